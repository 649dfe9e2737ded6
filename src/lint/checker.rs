//! The rules, applied: to everything there is, or to one object and what it touches.
//!
//! An object that is being written is judged while somebody waits for it, so what is not about it is not computed: of a thousand
//! definitions only those are looked at closely that it names, or that name it.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::declaration::{Declaration, DeclaredNetwork, Place};
use super::finding::{Finding, Subject};
use super::layout::Layouts;
use super::overlap::Segments;
use super::rivals::Neighbours;
use super::scene::{Candidate, Scene};
use super::{declared, definition, overlap};
use crate::api;
use crate::network::{AttachmentDefinition, AttachmentRef, NetworkKey};
use crate::world::{AttachmentState, Declarer, ObjectName, Settings, Snapshot};

/// What is needed to apply the rules.
pub(super) struct Checker<'s> {
    pub(super) scene: Scene<'s>,
    pub(super) layouts: Rc<Layouts<'s>>,
    uses: HashMap<&'s AttachmentRef, Vec<Use<'s>>>,
    reach: Reach<'s>,
}

/// How much is looked at.
enum Reach<'s> {
    /// Everything: each definition is asked about, so what lies on each segment is known beforehand.
    All(Segments<'s>),
    /// Some objects: which others are used is found out when it is needed, for all of them at once.
    Some(OnceCell<HashSet<AttachmentRef>>),
}

/// One network that names an attachment definition.
#[derive(Clone, Copy)]
pub(super) struct Use<'s> {
    pub(super) declaration: Declaration<'s>,
    pub(super) network: DeclaredNetwork<'s>,
}

/// An attachment definition, and who uses it.
#[derive(Clone, Copy)]
pub(super) struct Used<'c, 's> {
    pub(super) name: &'c AttachmentRef,
    pub(super) definition: &'c AttachmentDefinition,
    pub(super) uses: &'c [Use<'s>],
}

/// Everything that is found in a snapshot, in the order of objects and fields.
#[must_use]
pub fn lint(snapshot: &Snapshot) -> Vec<Finding> {
    let scene = Scene::of(snapshot);
    let checker = Checker::of_all(scene);
    let mut neighbours: HashMap<&str, Neighbours<'_>> = HashMap::new();
    let mut findings: Vec<Finding> = Vec::new();
    for declaration in scene.declarations() {
        findings.extend(checker.of_declaration(declaration));
        if let Declarer::StorageNetwork(network) = declaration.declarer {
            let namespace = &*network.id.namespace;
            let neighbours = neighbours
                .entry(namespace)
                .or_insert_with(|| Neighbours::of(snapshot, snapshot.storage_networks_in(namespace).collect()));
            findings.extend(declared::rivalry(network, neighbours));
        }
    }
    findings.extend(scene.clusters().flat_map(|(_, cluster)| declared::other_problems(cluster)));
    for (namespace, name, _) in snapshot.attachments() {
        findings.extend(checker.concerning(&AttachmentRef::new(namespace, name)));
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Everything that is found about `candidate` in a scene that has it, the worst first: what [`lint`] would find that is about the
/// object, or that it has a part in ([`Finding::concerns`]), if the object were there as it is here. Of definitions that hand out
/// the same addresses, here the one that is asked about tells, and there only the first by name.
#[must_use]
pub fn lint_candidate(scene: Scene<'_>, candidate: &Candidate) -> Vec<Finding> {
    lint_candidate_with(&Layouts::new(scene.snapshot().settings()), scene, candidate)
}

/// The same, where some layouts may be known already.
pub(super) fn lint_candidate_with<'s>(
    layouts: &Rc<Layouts<'s>>,
    scene: Scene<'s>,
    candidate: &'s Candidate,
) -> Vec<Finding> {
    let subject = candidate.subject();
    let mut findings = match candidate {
        Candidate::Attachment(name, _) => {
            let checker = Checker::new(layouts, scene, |other| other == name);
            let mut findings = checker.concerning(name);
            for user in checker.users_of(name) {
                let found = declared::findings_with_definitions(&checker, user.declaration);
                findings.extend(found.into_iter().filter(|finding| finding.concerns(&subject)));
            }
            findings
        }
        Candidate::Cluster(cluster) => {
            let system = scene.snapshot().catalogue().system_of(&cluster.group, &cluster.kind);
            let network = scene.storage_network_of(cluster);
            let declaration = system.map(|system| Declaration::of_cluster(system, cluster, network));
            let declaration = declaration.filter(|_| cluster.can_declare);
            let mut findings =
                declaration.map(|declaration| about(layouts, scene, declaration, &subject)).unwrap_or_default();
            findings.extend(declared::other_problems(cluster));
            findings
        }
        Candidate::StorageNetwork(network) => {
            let mut findings = about(layouts, scene, scene.declaration_of(network), &subject);
            let snapshot = scene.snapshot();
            let others = snapshot.storage_networks_in(&network.id.namespace).filter(|other| other.id != network.id);
            let neighbours = Neighbours::of(snapshot, others.chain([&**network]).collect());
            findings.extend(declared::rivalry(network, &neighbours));
            findings
        }
    };
    findings.sort_by(Finding::worst_first);
    findings.dedup();
    findings
}

/// What is found about a declaration, and about the definitions that it names as far as it is concerned.
fn about<'s>(
    layouts: &Rc<Layouts<'s>>,
    scene: Scene<'s>,
    declaration: Declaration<'s>,
    subject: &Subject,
) -> Vec<Finding> {
    if declaration.subject() != *subject {
        // A StorageNetwork counts in its place.
        return Vec::new();
    }
    let mut named: Vec<&AttachmentRef> = declaration.attached().map(|network| &network.selection.attachment).collect();
    named.sort();
    named.dedup();
    let checker = Checker::new(layouts, scene, |other| named.contains(&other));
    let mut findings = checker.of_declaration(declaration);
    for name in named {
        findings.extend(checker.concerning(name).into_iter().filter(|finding| finding.concerns(subject)));
    }
    findings
}

impl<'s> Checker<'s> {
    /// A checker that knows who uses the definitions that are `wanted`.
    pub(super) fn new(
        layouts: &Rc<Layouts<'s>>,
        scene: Scene<'s>,
        wanted: impl Fn(&AttachmentRef) -> bool + Copy,
    ) -> Self {
        let mut uses: HashMap<&AttachmentRef, Vec<Use<'s>>> = HashMap::new();
        for user in users_of(layouts, scene, wanted) {
            uses.entry(&user.network.selection.attachment).or_default().push(user);
        }
        // Clusters are kept in no particular order, and sentences name them in one.
        for uses in uses.values_mut() {
            uses.sort_by(|one, other| one.order().cmp(&other.order()));
        }
        Self { scene, layouts: Rc::clone(layouts), uses, reach: Reach::Some(OnceCell::new()) }
    }

    /// A checker that knows who uses whatever definition.
    fn of_all(scene: Scene<'s>) -> Self {
        let layouts = Layouts::new(scene.snapshot().settings());
        Self { reach: Reach::All(overlap::segments(scene)), ..Self::new(&layouts, scene, |_| true) }
    }

    pub(super) fn settings(&self) -> &'s Settings {
        self.scene.snapshot().settings()
    }

    /// Who uses a definition.
    pub(super) fn uses_of(&self, name: &AttachmentRef) -> &[Use<'s>] {
        self.uses.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The first use of each declaration that uses a definition.
    fn users_of(&self, name: &AttachmentRef) -> impl Iterator<Item = &Use<'s>> {
        by_declarer(self.uses_of(name)).filter_map(<[_]>::first)
    }

    /// Whether anybody uses a definition, also one that was not wanted.
    pub(super) fn is_used(&self, name: &AttachmentRef) -> bool {
        if !self.uses_of(name).is_empty() {
            return true;
        }
        match &self.reach {
            Reach::All(_) => false,
            Reach::Some(used) => {
                let all = || users_of(&self.layouts, self.scene, |_| true);
                let all = || all().map(|user| user.network.selection.attachment.clone()).collect();
                used.get_or_init(all).contains(name)
            }
        }
    }

    /// The definitions whose networks some pod has together with that of `name`, so that it is said of its keys what there is to
    /// say.
    pub(super) fn together_with(&self, name: &AttachmentRef) -> HashSet<&'s AttachmentRef> {
        let mut together = HashSet::new();
        for user in self.users_of(name) {
            together.extend(self.layouts.of(user.declaration).together_with(name));
        }
        together
    }

    /// What lies on each segment, where that is known beforehand.
    pub(super) fn segments(&self) -> Option<&Segments<'s>> {
        match &self.reach {
            Reach::All(segments) => Some(segments),
            Reach::Some(_) => None,
        }
    }

    fn of_declaration(&self, declaration: Declaration<'s>) -> Vec<Finding> {
        declared::findings(self, declaration)
    }

    /// What is found about a definition, but for what others have to do with it.
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

    /// The same, and what others have to do with it. When everything is looked at, those that storage uses tell of the others.
    fn concerning(&self, name: &AttachmentRef) -> Vec<Finding> {
        let mut findings = self.of_attachment(name);
        let tells = self.segments().is_none() || !self.uses_of(name).is_empty();
        if let (AttachmentState::Usable(definition), true) = (self.scene.attachment(name), tells) {
            findings.extend(overlap::with_others(self, name, &overlap::overlapping(self, name, definition)));
        }
        findings
    }
}

/// Every use of the definitions that are `wanted`.
fn users_of<'s>(
    layouts: &Layouts<'s>,
    scene: Scene<'s>,
    wanted: impl Fn(&AttachmentRef) -> bool + Copy,
) -> impl Iterator<Item = Use<'s>> {
    let declarations = scene.declarations_with(wanted).filter(move |declaration| scene.is_in_effect(*declaration));
    declarations.flat_map(move |declaration| {
        let named = declaration.attached().any(|network| wanted(&network.selection.attachment));
        let layout = named.then(|| layouts.of(declaration));
        let used = layout.iter().flat_map(|layout| &layout.used);
        let used = used.filter(|network| wanted(&network.selection.attachment));
        used.map(|network| Use { declaration, network: *network }).collect::<Vec<_>>()
    })
}

impl<'s> Use<'s> {
    /// By who declares it, and for what.
    fn order(&self) -> ((&'s str, &'s ObjectName, &'s str), Place<'s>) {
        (self.declarer(), self.network.place)
    }

    /// Who declares it: kind, namespace and name, and group.
    fn declarer(&self) -> (&'s str, &'s ObjectName, &'s str) {
        match self.declaration.declarer {
            Declarer::Cluster(cluster) => (&cluster.kind, &cluster.id, &cluster.group),
            Declarer::StorageNetwork(network) => (api::KIND, &network.id, api::GROUP),
        }
    }
}

impl Used<'_, '_> {
    pub(super) fn subject(&self) -> Subject {
        Subject::definition(self.name)
    }

    /// Who uses it, each once.
    pub(super) fn users(&self) -> Vec<Subject> {
        users(self.uses)
    }

    /// The same in words.
    pub(super) fn in_words(&self) -> String {
        in_words(self.uses)
    }
}

/// The uses of each declaration, out of those of one definition, in which they follow each other ([`Checker::uses_of`]).
pub(super) fn by_declarer<'c, 's>(uses: &'c [Use<'s>]) -> impl Iterator<Item = &'c [Use<'s>]> {
    uses.chunk_by(|one, other| one.declarer() == other.declarer())
}

/// Who uses a definition, each once.
pub(super) fn users(uses: &[Use<'_>]) -> Vec<Subject> {
    let mut users: Vec<Subject> = uses.iter().map(|user| Subject::declarer(user.declaration.declarer)).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// The same in words, such as `CephCluster rook-ceph/rook-ceph (public)`.
pub(super) fn in_words(uses: &[Use<'_>]) -> String {
    /// As many as a sentence can bear.
    const NAMED: usize = 3;
    // Of hundreds, only those that are named are put into words.
    let (mut named, mut count): (Vec<String>, usize) = (Vec::new(), 0);
    for uses in by_declarer(uses) {
        let mut seen: BTreeSet<Option<&NetworkKey>> = BTreeSet::new();
        for user in uses {
            if seen.insert(user.network.key()) && named.len() < NAMED {
                let key = user.network.key().map_or("defaultNetwork", |key| key.as_str());
                named.push(format!("{} ({key})", user.declaration.declarer));
            }
        }
        count += seen.len();
    }
    match count.saturating_sub(NAMED) {
        0 => named.join(" and "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
