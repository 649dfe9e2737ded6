//! The rules, applied: to everything there is, or to one object and what it touches.
//!
//! An object that is being written is judged while somebody waits for it, so what is not about it is not computed: of a thousand
//! definitions only those are looked at closely that it names, or that name it.

use std::collections::HashMap;

use super::declaration::{Declaration, DeclaredNetwork};
use super::finding::{Finding, Subject};
use super::rule::Rule;
use super::scene::{Candidate, Scene};
use super::{declared, definition, overlap};
use crate::network::{AttachmentDefinition, AttachmentRef};
use crate::world::{AttachmentState, Declarer, Settings, Snapshot};

/// What is needed to apply the rules.
pub(super) struct Checker<'s> {
    pub(super) scene: Scene<'s>,
    uses: HashMap<&'s AttachmentRef, Vec<Use<'s>>>,
}

/// One network that names an attachment definition.
#[derive(Clone, Copy)]
pub(super) struct Use<'s> {
    pub(super) declaration: Declaration<'s>,
    pub(super) network: DeclaredNetwork<'s>,
}

/// An attachment definition, and who uses it.
#[derive(Clone, Copy)]
pub(super) struct Used<'c> {
    pub(super) name: &'c AttachmentRef,
    pub(super) definition: &'c AttachmentDefinition,
    pub(super) uses: &'c [Use<'c>],
}

/// Everything that is found in a snapshot, in the order of objects and fields.
#[must_use]
pub fn lint(snapshot: &Snapshot) -> Vec<Finding> {
    let checker = Checker::new(Scene::of(snapshot), |_| true);
    let mut findings: Vec<Finding> =
        checker.scene.declarations().flat_map(|declaration| checker.of_declaration(declaration)).collect();
    for (namespace, name, _) in snapshot.attachments() {
        findings.extend(checker.of_attachment(&AttachmentRef::new(namespace, name)));
    }
    // Of two definitions that overlap each is found by the other.
    findings.retain(|finding| {
        let other = finding.with.first().filter(|_| finding.rule == Rule::RangesOverlap);
        other.is_none_or(|other| {
            let is_used = checker.uses.contains_key(&AttachmentRef::new(&other.id.namespace, &other.id.name));
            !is_used || finding.subject < *other
        })
    });
    findings.sort();
    findings.dedup();
    findings
}

/// Everything that is found about `candidate` in a scene that has it, the worst first.
#[must_use]
pub fn lint_candidate(scene: Scene<'_>, candidate: &Candidate) -> Vec<Finding> {
    let subject = candidate.subject();
    let mut findings = match candidate {
        Candidate::Attachment(name, _) => {
            let checker = Checker::new(scene, |other| other == name);
            let users = checker.uses_of(name).iter().flat_map(|user| checker.of_declaration(user.declaration));
            let users: Vec<Finding> = users.filter(|finding| finding.concerns(&subject)).collect();
            checker.of_attachment(name).into_iter().chain(users).collect()
        }
        Candidate::Cluster(cluster) => {
            let system = scene.snapshot().catalogue().system_of(&cluster.group, &cluster.kind);
            let network = scene.storage_network_of(cluster);
            let declaration = system.map(|system| Declaration::of_cluster(system, cluster, network));
            declaration.map(|declaration| about(scene, declaration, &subject)).unwrap_or_default()
        }
        Candidate::StorageNetwork(network) => about(scene, scene.declaration_of(network), &subject),
    };
    findings.sort_by(|one, other| (one.rule.severity(), one).cmp(&(other.rule.severity(), other)));
    findings.dedup();
    findings
}

/// What is found about a declaration, and about the definitions that it names as far as it is concerned.
fn about<'s>(scene: Scene<'s>, declaration: Declaration<'s>, subject: &Subject) -> Vec<Finding> {
    if declaration.subject() != *subject {
        // A StorageNetwork counts in its place.
        return Vec::new();
    }
    let named: Vec<&AttachmentRef> = declaration.attached().map(|network| &network.selection.attachment).collect();
    let checker = Checker::new(scene, |other| named.contains(&other));
    let mut findings = checker.of_declaration(declaration);
    for (index, name) in named.iter().enumerate() {
        if !named[..index].contains(name) {
            findings.extend(checker.of_attachment(name).into_iter().filter(|finding| finding.concerns(subject)));
        }
    }
    findings
}

impl<'s> Checker<'s> {
    /// A checker that knows who uses the definitions that are `wanted`.
    pub(super) fn new(scene: Scene<'s>, wanted: impl Fn(&AttachmentRef) -> bool) -> Self {
        let mut uses: HashMap<&AttachmentRef, Vec<Use<'s>>> = HashMap::new();
        for declaration in scene.declarations() {
            for network in declaration.attached().filter(|network| wanted(&network.selection.attachment)) {
                uses.entry(&network.selection.attachment).or_default().push(Use { declaration, network });
            }
        }
        Self { scene, uses }
    }

    pub(super) fn settings(&self) -> &'s Settings {
        self.scene.snapshot().settings()
    }

    /// Who uses a definition.
    pub(super) fn uses_of(&self, name: &AttachmentRef) -> &[Use<'s>] {
        self.uses.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn of_declaration(&self, declaration: Declaration<'s>) -> Vec<Finding> {
        declared::findings(self, declaration)
    }

    fn of_attachment(&self, name: &AttachmentRef) -> Vec<Finding> {
        let uses = self.uses_of(name);
        match self.scene.attachment(name) {
            AttachmentState::Malformed(error) => vec![definition::unreadable(name, error, uses)],
            AttachmentState::Usable(definition) => {
                let used = Used { name, definition, uses };
                let mut findings = definition::findings(self, used);
                if !uses.is_empty() {
                    findings.extend(overlap::findings(self, used));
                }
                findings
            }
            AttachmentState::Missing | AttachmentState::Unknown => Vec::new(),
        }
    }
}

impl Used<'_> {
    pub(super) fn subject(&self) -> Subject {
        Subject::attachment(&self.name.namespace, &self.name.name)
    }

    /// Who uses it, each once.
    pub(super) fn users(&self) -> Vec<Subject> {
        users(self.uses)
    }

    /// The same in words, such as `CephCluster rook-ceph/rook-ceph (public)`.
    pub(super) fn in_words(&self) -> String {
        /// As many as a sentence can bear.
        const NAMED: usize = 3;
        let mut named: Vec<String> = Vec::new();
        for Use { declaration, network } in self.uses {
            let key = network.key().map_or("defaultNetwork", |key| key.as_str());
            let user = format!("{} ({key})", declaration.declarer);
            if !named.contains(&user) {
                named.push(user);
            }
        }
        match named.len().checked_sub(NAMED) {
            Some(more) if more > 0 => format!("{} and {more} more", named[..NAMED].join(", ")),
            Some(_) | None => named.join(" and "),
        }
    }
}

/// Who uses a definition, each once.
pub(super) fn users(uses: &[Use<'_>]) -> Vec<Subject> {
    let mut users: Vec<Subject> = uses.iter().map(|user| Subject::declarer(user.declaration.declarer)).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// Whether a StorageNetwork declares it, and no operator reads it.
pub(super) fn is_ours(declarer: Declarer<'_>) -> bool {
    matches!(declarer, Declarer::StorageNetwork(_))
}
