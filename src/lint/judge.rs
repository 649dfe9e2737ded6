//! The judgement of one object as it is about to be written: what is found, and whether that is a reason to refuse it.
//!
//! Total: whatever the object holds, there is a judgement. Only changes of what networks depend on are judged
//! ([`Change::leaves_networks`]), and only what a change brings about is a reason to refuse it: an old fault must never keep
//! anybody from writing a status, a finalizer, or the mend of another fault.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use super::change::{Change, Operation, Versions};
use super::checker::{Checker, in_words, lint_candidate_with, users};
use super::definition::{CONFIG, resource_field};
use super::finding::{Finding, Subject};
use super::layout::Layouts;
use super::overlap::NAMED;
use super::rule::Rule;
use super::scene::{Candidate, Scene};
use crate::network::AttachmentDefinition;
use crate::network::ipam::Source;
use crate::world::{Deny, InUse, Mode, Severity, Snapshot};

/// What is to be said of an object, the worst first.
#[derive(Debug, Default)]
pub struct Judgement {
    /// The findings.
    pub findings: Vec<Judged>,
    /// Whether what follows is done: in audit mode nothing is refused.
    pub mode: Mode,
    /// The object; none where it says nothing about networks, or nothing about it has changed.
    pub subject: Option<Subject>,
}

/// One finding, and what follows from it.
#[derive(Debug)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// What follows.
    pub verdict: Verdict,
    /// Whether it was not there before the change.
    pub is_new: bool,
}

/// What a change takes away from those who use a definition.
struct TakenAway {
    finding: Finding,
    /// Whether it is missed by somebody whose pods there are, and get networks.
    is_missed: bool,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is said.
    Said,
    /// The object is refused.
    Refused,
}

impl Judgement {
    /// The findings for which the object is refused.
    pub fn reasons(&self) -> impl Iterator<Item = &Finding> {
        let is_refused = |judged: &&Judged| judged.verdict == Verdict::Refused && self.mode == Mode::Enforce;
        self.findings.iter().filter(is_refused).map(|judged| &judged.finding)
    }

    /// Whether the object is refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.reasons().next().is_some()
    }
}

/// Judges a change.
#[must_use]
pub fn judge(snapshot: &Snapshot, change: &Change<'_>) -> Judgement {
    if change.leaves_networks() {
        return Judgement::default();
    }
    let Some(versions) = change.versions(snapshot) else { return Judgement::default() };
    let newest = versions.new.as_ref().or(versions.old.as_ref());
    let subject = newest.map(Candidate::subject);
    let mode = newest.map_or(snapshot.settings().mode, |newest| Scene::with(snapshot, newest).mode_of(newest));
    if mode == Mode::Off {
        return Judgement { findings: Vec::new(), mode, subject };
    }
    let checks = &snapshot.settings().checks;
    let layouts = Layouts::new(snapshot.settings());
    let found = |candidate| lint_candidate_with(&layouts, Scene::with(snapshot, candidate), candidate);
    let now = versions.new.as_ref().map(found).unwrap_or_default();
    let before = match change.operation {
        // What is not read has changed, such as the version of Ceph.
        Operation::Update if versions.read_the_same() => now.clone(),
        Operation::Update if !now.is_empty() => versions.old.as_ref().map(found).unwrap_or_default(),
        Operation::Create | Operation::Update | Operation::Delete => Vec::new(),
    };
    // What could not be read hid whatever else was wrong.
    let was_read = versions.old.as_ref().is_none_or(Candidate::is_read);
    let mut findings: Vec<Judged> = Vec::new();
    // Of a definition that many use, there may be as many findings as users.
    let mut earlier: HashMap<(Rule, &Subject), Vec<&Finding>> = HashMap::new();
    for finding in &before {
        earlier.entry((finding.rule, &finding.subject)).or_default().push(finding);
    }
    for finding in now {
        let mut earlier = earlier.get(&(finding.rule, &finding.subject)).into_iter().flatten();
        let is_new = was_read && !earlier.any(|earlier| is_same(earlier, &finding, subject.as_ref()));
        // Advice that was there already has been heard.
        if is_new || finding.rule.severity() != Severity::Advice {
            findings.push(Judged::new(finding, is_new, subject.as_ref(), checks.deny));
        }
    }
    // Multus attaches pods all the same, and they are of no use.
    let is_useless = |judged: &Judged| matches!(judged.finding.rule, Rule::NoAddresses | Rule::DeviceUnnamed);
    let is_broken = findings.iter().any(|judged| judged.is_new && is_useless(judged));
    let forbidden = provider_change(change, &versions);
    findings.extend(forbidden.map(|finding| Judged::new(finding, true, subject.as_ref(), checks.deny)));
    if let Some(TakenAway { finding, is_missed }) = taken_away(&layouts, snapshot, change, &versions, is_broken) {
        let is_kept = finding.rule == Rule::AttachmentInUse && is_missed && checks.in_use == InUse::Deny;
        let verdict = if is_kept { Verdict::Refused } else { Verdict::Said };
        findings.push(Judged { finding, verdict, is_new: true });
    }
    findings.sort_by_key(|judged| (judged.verdict == Verdict::Said, judged.finding.rule.severity()));
    Judgement { findings, mode, subject }
}

/// Whether a finding was there before, of those of its rule and subject: in the same place and, where that is the changed object,
/// about no others than then. The words may differ, because half a mend is one too, and a network that is too small stays so
/// whatever number of pods a cluster has now.
fn is_same(earlier: &Finding, now: &Finding, changed: Option<&Subject>) -> bool {
    let has_part = |other: &Subject| earlier.with.contains(other);
    // Where as many were named as ever are, others may come forward.
    let are_all_named = earlier.with.len() < NAMED;
    place(earlier) == place(now) && (changed != Some(&now.subject) || !are_all_named || now.with.iter().all(has_part))
}

/// The field without the numbers of entries, which change when one before it comes or goes.
fn place(finding: &Finding) -> String {
    let mut parts = finding.field.split('[');
    let mut place = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        place.push('[');
        place.push_str(part.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    place
}

impl Judged {
    fn new(finding: Finding, is_new: bool, changed: Option<&Subject>, deny: Deny) -> Self {
        let may_be_reason = match finding.rule {
            // A StorageNetwork that comes before its cluster is in good time, not wrong.
            Rule::ClusterMissing => false,
            // Definition and cluster could never change together, and one has to be the first.
            Rule::RangesContradict => changed == Some(&finding.subject),
            _ => true,
        };
        let is_reason = is_new && may_be_reason && deny.covers(finding.rule.severity());
        Self { finding, verdict: if is_reason { Verdict::Refused } else { Verdict::Said }, is_new }
    }
}

/// Rook's definition of CephCluster lets a provider only come from nothing or go to nothing: "network provider must be disabled
/// (reverted to empty string) before a new provider is enabled". The API server says so too, where it evaluates such rules.
fn provider_change(change: &Change<'_>, versions: &Versions<'_>) -> Option<Finding> {
    let kind = versions.kind.filter(|kind| kind.address_ranges.is_some() && change.operation == Operation::Update)?;
    let path = kind.network.as_ref()?;
    let provider = |object| {
        let network: Option<&Value> = path.value_in(object);
        network.and_then(|network| network.get("provider")).and_then(Value::as_str).unwrap_or_default()
    };
    let (old, new) = (provider(change.old), provider(change.new));
    if old.is_empty() || new.is_empty() || old == new {
        return None;
    }
    let fault = format!("the provider is changed from {old} to {new} directly, which Rook forbids");
    let mend = format!("set it to \"\" first, wait until the daemons have restarted, and set it to {new} then");
    let subject = versions.new.as_ref()?.subject();
    Some(Finding::new(Rule::ProviderChange, subject, &format!("{path}.provider"), fault, &mend))
}

/// A definition that storage uses, and that is deleted or changed so that its pods notice.
/// `is_broken` says whether something else is found that is new with the change, and keeps pods from working.
fn taken_away<'s>(
    layouts: &Rc<Layouts<'s>>,
    snapshot: &'s Snapshot,
    change: &Change<'_>,
    versions: &'s Versions<'s>,
    is_broken: bool,
) -> Option<TakenAway> {
    let Some(Candidate::Attachment(name, old)) = &versions.old else { return None };
    let new = match (&versions.new, change.operation) {
        (_, Operation::Delete) => None,
        (Some(Candidate::Attachment(_, new)), Operation::Update) => new.as_ref(),
        (_, Operation::Create | Operation::Update) => return None,
    };
    let checker = Checker::new(layouts, Scene::of(snapshot), |other| other == name);
    let uses = checker.uses_of(name);
    if uses.is_empty() {
        return None;
    }
    let who = in_words(uses);
    let field = if change.leaves_spec() { resource_field() } else { CONFIG.to_owned() };
    let (rule, field, fault, mend) = match (old.as_ref().and_then(|old| old.as_ref().ok()), new) {
        (_, None) => (
            Rule::AttachmentInUse,
            String::new(),
            format!("it is used by {who}, whose pods cannot start again without it"),
            "take it out of use first: let them name another network, and wait until their pods have restarted",
        ),
        (Some(old), Some(Err(_))) if old.works() => broken(field, &who),
        (Some(old), Some(Ok(new))) if old.works() && (is_broken || !new.works()) => broken(field, &who),
        (Some(old), Some(Ok(new))) => (
            Rule::AttachmentChanged,
            field,
            format!(
                "{} changes, and it is used by {who}: running pods stay on the old network until they restart",
                difference(old, new)?
            ),
            "see that the old and the new network reach each other until the last pod has restarted",
        ),
        (Some(_) | None, Some(_)) => return None,
    };
    let is_missed = uses.iter().any(|user| {
        let has_pods = user.declaration.system.is_none() || user.declaration.cluster.is_some();
        let settings = snapshot.settings();
        // Where all is only looked at, it is said what would be refused.
        let least = settings.mode.max(Mode::Enforce);
        has_pods && user.declaration.mode(settings) <= least
    });
    Some(TakenAway {
        finding: Finding::new(rule, Subject::definition(name), &field, fault, mend).with(users(uses)),
        is_missed,
    })
}

fn broken(field: String, who: &str) -> (Rule, String, String, &'static str) {
    let fault = format!("it is used by {who}, and with this change no pod can be attached to it any more");
    (Rule::AttachmentInUse, field, fault, "mend what the other findings say, or leave it as it was")
}

/// What makes the network another one, in a few words; nothing where it is the same.
fn difference(old: &AttachmentDefinition, new: &AttachmentDefinition) -> Option<&'static str> {
    match (old.plugin(), new.plugin()) {
        (Some(old), Some(new)) if old.kind != new.kind => return Some("the plugin"),
        (Some(old), Some(new)) if old.parent != new.parent => return Some("the master"),
        (Some(old), Some(new)) if old.bridge != new.bridge => return Some("the bridge"),
        (Some(old), Some(new)) if old.vlan != new.vlan => return Some("the VLAN"),
        (Some(old), Some(new)) if old.device != new.device => return Some("the device"),
        (Some(_), None) | (None, Some(_)) => return Some("the place of the configuration"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if old.resource != new.resource {
        return Some("the resource of its devices");
    }
    if let (Source::Ovn(one), Source::Ovn(other)) = (&old.ipam.source, &new.ipam.source) {
        if one != other {
            return Some("the topology");
        }
        // Its network is the one of this name (OVN-Kubernetes, multi-homing).
        if old.network != new.network {
            return Some("the name of the network");
        }
    }
    let ranges = |definition: &AttachmentDefinition| {
        let mut ranges = definition.networks().ok()?;
        ranges.sort_unstable();
        Some(ranges)
    };
    (ranges(old) != ranges(new)).then_some("the range of addresses")
}
