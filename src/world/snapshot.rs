//! The snapshot: one immutable view of all clusters, attachment definitions and settings. Every decision reads exactly one.
//!
//! A [`World`] is changed entry by entry and gives out snapshots that share what did not change, so that taking one costs
//! three reference counts and an event costs a copy of the one index it concerns.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::by_cluster::ByCluster;
use super::by_name::ByName;
use super::cluster::Cluster;
use super::entry::{Entry, HostFields};
use super::kind::{KindPosition, ObjectKind, ObjectName};
use super::settings::Settings;
use super::storage_network::{StorageNetwork, Target};
use super::workload::{Lead, OwnerRef, Workloads};
use crate::network::attachment::AttachmentError;
use crate::network::{AttachmentDefinition, AttachmentRef};
use crate::storage::{Catalogue, Labels, OverrideSource, Resource, Role, System};

/// One immutable view of everything that a decision reads besides the pod.
#[derive(Clone, Debug)]
pub struct Snapshot {
    catalogue: Arc<Catalogue>,
    settings: Arc<Settings>,
    /// One index a kind of cluster, by system, in the catalogue's order.
    clusters: Vec<Vec<Arc<ByName<Arc<Cluster>>>>>,
    /// How much is known about each of these kinds.
    clusters_known: Arc<BTreeMap<KindPosition, Knowledge>>,
    overrides: HashMap<Resource, Arc<ByName<HostFields>>>,
    attachments: Arc<ByName<Result<AttachmentDefinition, AttachmentError>>>,
    attachments_known: Knowledge,
    storage_networks: Arc<ByName<Arc<StorageNetwork>>>,
    /// Those that are about a cluster, which are looked for with every pod.
    by_cluster: Arc<ByCluster>,
    /// What namespaces ask for on behalf of their pods.
    asked: Arc<BTreeMap<String, String>>,
    /// The labels of nodes.
    nodes: Arc<BTreeMap<String, NodeLabels>>,
    workloads: Workloads,
}

/// The labels of one node.
pub type NodeLabels = BTreeMap<String, String>;

/// The label by which pods are bound to a node. The kubelet sets it to its host's name, and an administrator may change it, so
/// its value need not be the node's name.
pub const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// How much is known about a kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Not listed yet: that an object is not here says nothing.
    Incomplete,
    /// Listed: what is not here does not exist. An API that is not installed is known to have no objects.
    Complete,
}

/// What is known about one attachment definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentState<'s> {
    /// It exists, and Multus can load it.
    Usable(&'s AttachmentDefinition),
    /// It exists, and Multus could not load it.
    Malformed(&'s AttachmentError),
    /// It does not exist.
    Missing,
    /// Nobody knows yet.
    Unknown,
}

/// The world, changed entry by entry.
#[derive(Debug)]
pub struct World {
    current: Snapshot,
}

impl Snapshot {
    /// The settings of the process.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The storage systems, in the order in which they are asked about a pod.
    #[must_use]
    pub fn systems(&self) -> &[System] {
        self.catalogue.systems()
    }

    /// The catalogue that objects are read by.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The clusters of each system in a namespace, in the catalogue's order. Rook looks for a pod's cluster by namespace too
    /// (`List(CephCluster, InNamespace)`).
    pub fn clusters_in(&self, namespace: &str) -> impl Iterator<Item = (&System, Vec<&Cluster>)> {
        self.systems().iter().zip(&self.clusters).map(move |(system, kinds)| {
            let here = kinds.iter().flat_map(|index| index.in_namespace(namespace));
            (system, here.map(AsRef::as_ref).collect())
        })
    }

    /// The clusters of this namespace and name, of whatever system.
    #[must_use]
    pub fn clusters_named(&self, namespace: &str, name: &str) -> Vec<(&System, &Cluster)> {
        let systems = self.systems().iter().zip(&self.clusters);
        let named = systems.flat_map(|(system, kinds)| {
            let named = kinds.iter().filter_map(|index| index.get(namespace, name));
            named.map(move |cluster| (system, cluster.as_ref()))
        });
        named.collect()
    }

    /// Every cluster, in no particular order.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter().flatten().flat_map(|index| index.values().map(AsRef::as_ref))
    }

    /// How much is known about the clusters of a kind; one that no system has is known to have none.
    #[must_use]
    pub fn clusters_known(&self, group: &str, kind: &str) -> Knowledge {
        let systems = self.systems().iter().enumerate();
        let mut positions = systems.flat_map(|(system, known)| {
            let kinds = known.clusters.iter().enumerate();
            kinds.map(move |(kind, known)| (KindPosition { system, kind }, &known.resource))
        });
        let meant = positions.find(|(_, resource)| resource.group == group && resource.kind == kind);
        meant.map_or(Knowledge::Complete, |(position, _)| {
            self.clusters_known.get(&position).copied().unwrap_or(Knowledge::Incomplete)
        })
    }

    /// Every StorageNetwork, in no particular order.
    pub fn storage_networks(&self) -> impl Iterator<Item = &StorageNetwork> {
        self.storage_networks.values().map(AsRef::as_ref)
    }

    /// The StorageNetwork that counts for `cluster`, where there is one: the oldest, so that nothing that is added later changes
    /// what a running cluster has.
    #[must_use]
    pub fn storage_network_of(&self, cluster: &Cluster) -> Option<&StorageNetwork> {
        self.storage_networks_about(&cluster.id.namespace, cluster.key()).next()
    }

    /// The StorageNetworks about the cluster of this namespace and [key](Cluster::key), which need not exist; the oldest first.
    pub fn storage_networks_about<'a>(
        &'a self,
        namespace: &str,
        cluster: [&str; 3],
    ) -> impl Iterator<Item = &'a StorageNetwork> + use<'a> {
        self.by_cluster.about(namespace, cluster).iter().map(AsRef::as_ref)
    }

    /// The StorageNetworks of a namespace that select pods by labels, and select these; the oldest first.
    #[must_use]
    pub fn storage_networks_for(&self, namespace: &str, labels: &impl Labels) -> Vec<&StorageNetwork> {
        let selects =
            |network: &&StorageNetwork| matches!(&network.target, Some(Target::Pods(pods)) if pods.matches(labels));
        let mut selecting: Vec<&StorageNetwork> = self.storage_networks_in(namespace).filter(selects).collect();
        selecting.sort_by_key(|network| network.age());
        selecting
    }

    /// The StorageNetworks of a namespace, by name.
    pub fn storage_networks_in(&self, namespace: &str) -> impl Iterator<Item = &StorageNetwork> {
        self.storage_networks.in_namespace(namespace).map(AsRef::as_ref)
    }

    /// What a namespace asks for on behalf of its pods.
    #[must_use]
    pub fn asked_by_namespace(&self, namespace: &str) -> Option<&str> {
        self.asked.get(namespace).map(String::as_str)
    }

    /// The labels of a node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeLabels> {
        self.nodes.get(name)
    }

    /// The labels of the node whose [`HOSTNAME_LABEL`] has this value, where there is exactly one.
    #[must_use]
    pub fn node_with_hostname(&self, hostname: &str) -> Option<&NodeLabels> {
        let has_hostname = |labels: &&NodeLabels| labels.get(HOSTNAME_LABEL).is_some_and(|value| value == hostname);
        // Mostly it is the name.
        if let Some(named) = self.nodes.get(hostname).filter(has_hostname) {
            return Some(named);
        }
        let mut found = self.nodes.values().filter(has_hostname);
        found.next().filter(|_| found.next().is_none())
    }

    /// How many workloads are known.
    #[must_use]
    pub fn workload_count(&self) -> usize {
        self.workloads.len()
    }

    /// Where the owners of a pod in `namespace` lead: to which of `clusters`, all of them of `system`.
    #[must_use]
    pub fn lead<'s>(
        &self,
        namespace: &str,
        system: &System,
        clusters: &[&'s Cluster],
        owners: &[OwnerRef<'_>],
    ) -> Lead<'s> {
        self.workloads.lead(namespace, system, clusters, owners)
    }

    /// The kinds of objects that are needed because of what there is, besides those that always are: the workloads of systems
    /// that go by owners, in the namespaces of their clusters, and nodes where networks depend on them.
    #[must_use]
    pub fn needed_kinds(&self) -> BTreeSet<ObjectKind> {
        let mut needed = BTreeSet::new();
        for (system, kinds) in self.systems().iter().zip(&self.clusters) {
            let namespaces = kinds.iter().flat_map(|index| index.namespaces());
            for namespace in namespaces {
                needed.extend(system.owners.iter().map(|kind| ObjectKind::Workload(*kind, namespace.to_owned())));
            }
        }
        let depends_on_nodes = |network: &StorageNetwork| matches!(&network.declared, Ok(declared) if !declared.node_interfaces.is_empty());
        if self.storage_networks().any(depends_on_nodes) {
            needed.insert(ObjectKind::Node);
        }
        needed
    }

    /// Every attachment definition by namespace and name, or why Multus could not load it; in no particular order.
    pub fn attachments(&self) -> impl Iterator<Item = (&str, &str, &Result<AttachmentDefinition, AttachmentError>)> {
        self.attachments.entries()
    }

    /// Every cluster with its system, in the catalogue's order of systems.
    pub fn clusters_by_system(&self) -> impl Iterator<Item = (&System, &Cluster)> {
        self.systems().iter().zip(&self.clusters).flat_map(|(system, kinds)| {
            kinds.iter().flat_map(|index| index.values()).map(move |cluster| (system, cluster.as_ref()))
        })
    }

    /// How many attachment definitions are known.
    #[must_use]
    pub fn attachment_count(&self) -> usize {
        self.attachments.len()
    }

    /// What is known about one attachment definition.
    #[must_use]
    pub fn attachment(&self, attachment: &AttachmentRef) -> AttachmentState<'_> {
        match (self.attachments.get(&attachment.namespace, &attachment.name), self.attachments_known) {
            (Some(Ok(definition)), _) => AttachmentState::Usable(definition),
            (Some(Err(error)), _) => AttachmentState::Malformed(error),
            (None, Knowledge::Complete) => AttachmentState::Missing,
            (None, Knowledge::Incomplete) => AttachmentState::Unknown,
        }
    }

    /// What a user says about the host network for a pod of `role` in `cluster`, and in which object.
    pub fn host_override(&self, cluster: &Cluster, role: &Role, labels: &impl Labels) -> Option<(bool, String)> {
        let setting = role.host_override.as_ref()?;
        match &setting.source {
            OverrideSource::Cluster => {
                let host = cluster.host_override(&role.name)?;
                Some((host, format!("{} of {cluster}", setting.field)))
            }
            OverrideSource::Named { resource, label } => {
                let (namespace, name) = (&cluster.id.namespace, labels.label(label)?);
                let fields = self.overrides.get(resource)?.get(namespace, name)?;
                let (_, host) = fields.iter().find(|(field, _)| *field == setting.field)?;
                Some((*host, format!("{} of {} {namespace}/{name}", setting.field, resource.kind)))
            }
        }
    }
}

impl World {
    /// A world without objects.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, settings: Settings) -> Self {
        let systems = catalogue.systems().iter();
        let clusters = systems.map(|system| system.clusters.iter().map(|_| Arc::default()).collect()).collect();
        let current = Snapshot {
            catalogue,
            settings: Arc::new(settings),
            clusters,
            clusters_known: Arc::default(),
            overrides: HashMap::new(),
            attachments: Arc::default(),
            attachments_known: Knowledge::Incomplete,
            storage_networks: Arc::default(),
            by_cluster: Arc::default(),
            asked: Arc::default(),
            nodes: Arc::default(),
            workloads: Workloads::default(),
        };
        Self { current }
    }

    /// The world as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.current.clone()
    }

    /// The world as it is now, to be looked at.
    #[must_use]
    pub fn current(&self) -> &Snapshot {
        &self.current
    }

    /// Whether this very entry is there already, so that nothing would change; said only of kinds that change all the time in
    /// what does not matter here.
    #[must_use]
    pub fn has(&self, kind: &ObjectKind, id: &ObjectName, entry: &Entry) -> bool {
        match (kind, entry) {
            (ObjectKind::Workload(kind, _), Entry::Workload(workload)) => {
                self.current.workloads.has(&id.namespace, *kind, &id.name, workload)
            }
            (ObjectKind::Node, Entry::Node(labels)) => self.current.nodes.get(&id.name) == Some(labels),
            (ObjectKind::Namespace, Entry::Namespace(asked)) => self.current.asked.get(&id.name) == asked.as_ref(),
            _ => false,
        }
    }

    /// Adds an entry, or replaces the one of that name; returns whether one was replaced.
    pub fn insert(&mut self, kind: &ObjectKind, id: &ObjectName, entry: Entry) -> bool {
        let (namespace, name) = (&id.namespace, &id.name);
        let current = &mut self.current;
        match (kind, entry) {
            (ObjectKind::Cluster(KindPosition { system, kind }, _), Entry::Cluster(cluster)) => {
                Arc::make_mut(&mut current.clusters[*system][*kind]).insert(namespace, name, Arc::new(cluster))
            }
            (ObjectKind::Override(resource), Entry::Override(flags, _)) => {
                let index = current.overrides.entry(resource.clone()).or_default();
                Arc::make_mut(index).insert(namespace, name, flags)
            }
            (ObjectKind::Attachment, Entry::Attachment(definition)) => {
                Arc::make_mut(&mut current.attachments).insert(namespace, name, definition)
            }
            (ObjectKind::StorageNetwork, Entry::StorageNetwork(network)) => {
                let by_cluster = Arc::make_mut(&mut current.by_cluster);
                if let Some(replaced) = current.storage_networks.get(namespace, name) {
                    by_cluster.remove(replaced);
                }
                let network = Arc::new(network);
                by_cluster.add(&network);
                Arc::make_mut(&mut current.storage_networks).insert(namespace, name, network)
            }
            (ObjectKind::Namespace, Entry::Namespace(asked)) => {
                let all = Arc::make_mut(&mut current.asked);
                match asked {
                    Some(asked) => all.insert(name.clone(), asked).is_some(),
                    // Most namespaces ask for nothing, and are not kept.
                    None => all.remove(name).is_some(),
                }
            }
            (ObjectKind::Node, Entry::Node(labels)) => {
                Arc::make_mut(&mut current.nodes).insert(name.clone(), labels).is_some()
            }
            (ObjectKind::Workload(kind, _), Entry::Workload(workload)) => {
                current.workloads.insert(namespace, *kind, name, workload)
            }
            (kind, entry) => {
                debug_assert!(false, "{entry:?} was read as something else than {kind:?}");
                false
            }
        }
    }

    /// Removes the entry of that name, where there is one.
    pub fn remove(&mut self, kind: &ObjectKind, id: &ObjectName) {
        let (namespace, name) = (&id.namespace, &id.name);
        let current = &mut self.current;
        match kind {
            ObjectKind::Cluster(KindPosition { system, kind }, _) => {
                Arc::make_mut(&mut current.clusters[*system][*kind]).remove(namespace, name);
            }
            ObjectKind::Override(resource) => {
                if let Some(index) = current.overrides.get_mut(resource) {
                    Arc::make_mut(index).remove(namespace, name);
                }
            }
            ObjectKind::Attachment => Arc::make_mut(&mut current.attachments).remove(namespace, name),
            ObjectKind::StorageNetwork => {
                if let Some(gone) = current.storage_networks.get(namespace, name) {
                    Arc::make_mut(&mut current.by_cluster).remove(gone);
                }
                Arc::make_mut(&mut current.storage_networks).remove(namespace, name);
            }
            ObjectKind::Namespace => _ = Arc::make_mut(&mut current.asked).remove(name),
            ObjectKind::Node => _ = Arc::make_mut(&mut current.nodes).remove(name),
            ObjectKind::Workload(kind, _) => current.workloads.remove(namespace, *kind, name),
        }
    }

    /// Replaces all entries of a kind by a complete list of them: what is not in it is gone.
    pub fn replace_all(&mut self, kind: &ObjectKind, entries: impl IntoIterator<Item = (ObjectName, Entry)>) {
        let current = &mut self.current;
        match kind {
            ObjectKind::Cluster(position, _) => {
                current.clusters[position.system][position.kind] = Arc::default();
                Arc::make_mut(&mut current.clusters_known).insert(*position, Knowledge::Complete);
            }
            ObjectKind::Override(resource) => _ = current.overrides.remove(resource),
            ObjectKind::Attachment => {
                current.attachments = Arc::default();
                current.attachments_known = Knowledge::Complete;
            }
            ObjectKind::StorageNetwork => {
                current.storage_networks = Arc::default();
                current.by_cluster = Arc::default();
            }
            ObjectKind::Namespace => current.asked = Arc::default(),
            ObjectKind::Node => current.nodes = Arc::default(),
            ObjectKind::Workload(kind, namespace) => current.workloads.remove_all(namespace, *kind),
        }
        for (id, entry) in entries {
            self.insert(kind, &id, entry);
        }
    }
}
