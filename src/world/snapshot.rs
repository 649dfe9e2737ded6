//! The snapshot: one immutable view of all clusters, attachment definitions and settings. Every decision reads exactly one.
//!
//! A [`World`] is changed entry by entry and gives out snapshots that share what did not change, so that taking one costs
//! three reference counts and an event costs a copy of the one index it concerns.

use std::collections::HashMap;
use std::sync::Arc;

use super::by_name::ByName;
use super::entry::{Cluster, Entry, HostFields, ObjectKind, ObjectName};
use super::settings::Settings;
use crate::network::attachment::AttachmentError;
use crate::network::{AttachmentDefinition, AttachmentRef};
use crate::storage::{Catalogue, Labels, OverrideSource, Resource, Role, System};

/// One immutable view of everything that a decision reads besides the pod.
#[derive(Clone, Debug)]
pub struct Snapshot {
    catalogue: Arc<Catalogue>,
    settings: Arc<Settings>,
    /// One index a system, in the catalogue's order.
    clusters: Vec<Arc<ByName<Arc<Cluster>>>>,
    overrides: HashMap<Resource, Arc<ByName<HostFields>>>,
    attachments: Arc<ByName<Result<AttachmentDefinition, AttachmentError>>>,
    attachments_known: Knowledge,
}

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

    /// The clusters of each system in a namespace, in the catalogue's order. Rook looks for a pod's cluster by namespace too
    /// (`List(CephCluster, InNamespace)`).
    pub fn clusters_in(&self, namespace: &str) -> impl Iterator<Item = (&System, Vec<&Cluster>)> {
        self.systems()
            .iter()
            .zip(&self.clusters)
            .map(move |(system, clusters)| (system, clusters.in_namespace(namespace).map(AsRef::as_ref).collect()))
    }

    /// Every cluster, in no particular order.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter().flat_map(|index| index.values().map(AsRef::as_ref))
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
        let clusters = catalogue.systems().iter().map(|_| Arc::default()).collect();
        let current = Snapshot {
            catalogue,
            settings: Arc::new(settings),
            clusters,
            overrides: HashMap::new(),
            attachments: Arc::default(),
            attachments_known: Knowledge::Incomplete,
        };
        Self { current }
    }

    /// The catalogue that objects are read by.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.current.catalogue
    }

    /// The world as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.current.clone()
    }

    /// Adds an entry, or replaces the one of that name; returns whether one was replaced.
    pub fn insert(&mut self, kind: &ObjectKind, id: &ObjectName, entry: Entry) -> bool {
        let (namespace, name) = (&id.namespace, &id.name);
        match (kind, entry) {
            (ObjectKind::Cluster(system, _), Entry::Cluster(cluster)) => {
                Arc::make_mut(&mut self.current.clusters[*system]).insert(namespace, name, Arc::new(cluster))
            }
            (ObjectKind::Override(resource), Entry::Override(flags, _)) => {
                let index = self.current.overrides.entry(resource.clone()).or_default();
                Arc::make_mut(index).insert(namespace, name, flags)
            }
            (ObjectKind::Attachment, Entry::Attachment(definition)) => {
                Arc::make_mut(&mut self.current.attachments).insert(namespace, name, definition)
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
        match kind {
            ObjectKind::Cluster(system, _) => {
                Arc::make_mut(&mut self.current.clusters[*system]).remove(namespace, name);
            }
            ObjectKind::Override(resource) => {
                if let Some(index) = self.current.overrides.get_mut(resource) {
                    Arc::make_mut(index).remove(namespace, name);
                }
            }
            ObjectKind::Attachment => Arc::make_mut(&mut self.current.attachments).remove(namespace, name),
        }
    }

    /// Replaces all entries of a kind by a complete list of them: what is not in it is gone.
    pub fn replace_all(&mut self, kind: &ObjectKind, entries: impl IntoIterator<Item = (ObjectName, Entry)>) {
        match kind {
            ObjectKind::Cluster(system, _) => self.current.clusters[*system] = Arc::default(),
            ObjectKind::Override(resource) => _ = self.current.overrides.remove(resource),
            ObjectKind::Attachment => {
                self.current.attachments = Arc::default();
                self.current.attachments_known = Knowledge::Complete;
            }
        }
        for (id, entry) in entries {
            self.insert(kind, &id, entry);
        }
    }
}
