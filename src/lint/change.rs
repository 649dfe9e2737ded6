//! An object that is about to be written, read as the world would read it.

use std::borrow::Cow;

use serde_json::Value;

use super::scene::Candidate;
use crate::network::attachment::{self, RESOURCE_ANNOTATION};
use crate::network::{AttachmentDefinition, AttachmentRef, NetworkSpec};
use crate::storage::{Catalogue, ClusterKind};
use crate::world::{Entry, ObjectKind, Snapshot};

/// What somebody is about to do with an object.
#[derive(Debug)]
pub struct Change<'a> {
    /// What is done.
    pub operation: Operation,
    /// The group of its resource.
    pub group: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The namespace of the request; the object's own may be empty.
    pub namespace: &'a str,
    /// The object as it would be; null where it is deleted.
    pub new: &'a Value,
    /// The object as it is; null where it is created.
    pub old: &'a Value,
}

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
}

/// The object before and after, where it is one that says something about networks.
#[derive(Debug)]
pub(super) struct Versions<'s> {
    pub(super) old: Option<Candidate>,
    pub(super) new: Option<Candidate>,
    /// What the catalogue says of its kind, where it is a cluster.
    pub(super) kind: Option<&'s ClusterKind>,
}

impl Change<'_> {
    /// Whether nothing is changed that networks depend on: an object that is being deleted is written to once more for each of its
    /// finalizers, and operators write statuses and labels all the time.
    #[must_use]
    pub fn leaves_networks(&self) -> bool {
        let is_deleted = || self.new.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
        self.operation == Operation::Update && (is_deleted() || (self.leaves_spec() && self.leaves_resource()))
    }

    /// Whether the spec is what it was.
    pub(super) fn leaves_spec(&self) -> bool {
        self.old.get("spec") == self.new.get("spec")
    }

    /// Whether a definition names the same resource as before, which it does beside its spec.
    fn leaves_resource(&self) -> bool {
        let resource = |object: &Value| object.pointer("/metadata/annotations")?.get(RESOURCE_ANNOTATION).cloned();
        let names_one = self.kind == attachment::KIND && self.group == attachment::GROUP;
        !names_one || resource(self.old) == resource(self.new)
    }

    /// What the catalogue says of the object's kind, where it is a cluster that has a place for networks.
    pub(super) fn cluster_kind<'s>(&self, catalogue: &'s Catalogue) -> Option<&'s ClusterKind> {
        catalogue
            .system_of(self.group, self.kind)?
            .cluster_kind(self.group, self.kind)
            .filter(|kind| kind.network.is_some())
    }

    /// Reads both versions; nothing where the object is of a kind that says nothing about networks.
    pub(super) fn versions<'s>(&self, snapshot: &'s Snapshot) -> Option<Versions<'s>> {
        let catalogue = snapshot.catalogue();
        let cluster_kind = self.cluster_kind(catalogue);
        let mut kinds = ObjectKind::always(catalogue).into_iter();
        let kind = kinds.find(|kind| {
            let resource = kind.resource();
            resource.kind == self.kind && resource.group == self.group
        })?;
        match &kind {
            ObjectKind::Attachment | ObjectKind::StorageNetwork => {}
            ObjectKind::Cluster(..) if cluster_kind.is_some() => {}
            ObjectKind::Cluster(..)
            | ObjectKind::Override(_)
            | ObjectKind::Namespace
            | ObjectKind::Node
            | ObjectKind::Workload(..) => return None,
        }
        let read = |object: &Value| {
            if object.is_null() {
                return None;
            }
            let (name, entry) = Entry::read(&kind, &self.named(object), catalogue).ok()?;
            Some(match entry {
                Entry::Cluster(cluster) => Candidate::Cluster(Box::new(cluster)),
                Entry::StorageNetwork(network) => Candidate::StorageNetwork(Box::new(network)),
                Entry::Attachment(definition) => {
                    Candidate::Attachment(AttachmentRef::new(&name.namespace, &name.name), Some(definition))
                }
                Entry::Override(..) | Entry::Namespace(_) | Entry::Node(_) | Entry::Workload(_) => return None,
            })
        };
        Some(Versions { old: read(self.old), new: read(self.new), kind: cluster_kind })
    }

    /// The object with its namespace and name, which the API server may have left to the request, or not chosen yet.
    fn named<'o>(&self, object: &'o Value) -> Cow<'o, Value> {
        let is_empty = |value: Option<&Value>| value.and_then(Value::as_str).is_none_or(str::is_empty);
        let of_metadata = |name| object.get("metadata").and_then(|metadata| metadata.get(name));
        if !is_empty(of_metadata("namespace")) && !is_empty(of_metadata("name")) {
            return Cow::Borrowed(object);
        }
        let mut named = object.clone();
        if let Some(metadata) = named.get_mut("metadata").and_then(Value::as_object_mut) {
            if is_empty(metadata.get("namespace")) {
                metadata.insert("namespace".to_owned(), self.namespace.into());
            }
            if is_empty(metadata.get("name")) {
                let generated = metadata.get("generateName").cloned().unwrap_or_else(|| "new".into());
                metadata.insert("name".to_owned(), generated);
            }
        }
        Cow::Owned(named)
    }
}

impl Versions<'_> {
    /// Whether the object before and after surely says the same about networks.
    pub(super) fn read_the_same(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(Candidate::Cluster(old)), Some(Candidate::Cluster(new))) => old == new,
            // A change of their spec is nearly always one of networks.
            (Some(_) | None, _) => false,
        }
    }
}

impl Candidate {
    /// Whether all that it says about networks could be looked at.
    pub(super) fn is_read(&self) -> bool {
        match self {
            Self::Attachment(_, None) => true,
            Self::Attachment(_, Some(definition)) => definition.as_ref().is_ok_and(AttachmentDefinition::works),
            Self::Cluster(cluster) => cluster.network_problems.is_empty(),
            Self::StorageNetwork(network) => network.declared.is_ok(),
        }
    }

    /// The networks that a cluster declares, where they can be read.
    pub(super) fn spec(&self) -> Option<&NetworkSpec> {
        match self {
            Self::Cluster(cluster) if cluster.network_problems.is_empty() => Some(&cluster.network),
            Self::Cluster(_) | Self::Attachment(..) | Self::StorageNetwork(_) => None,
        }
    }
}
