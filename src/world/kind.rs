//! Kinds of objects that the world is made of, and the names of objects.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::api;
use crate::network::attachment;
use crate::storage::{Catalogue, Resource, WorkloadKind};

/// A kind of object that the world is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A cluster of a storage system: which kind of the catalogue, and its resource.
    Cluster(KindPosition, Resource),
    /// A resource other than the cluster in which the host network of a role can be overruled.
    Override(Resource),
    /// An attachment definition.
    Attachment,
    /// A StorageNetwork.
    StorageNetwork,
    /// A namespace, for what it asks on behalf of its pods.
    Namespace,
    /// A node, for its labels.
    Node,
    /// A kind of workload in one namespace, for its owners.
    Workload(WorkloadKind, String),
}

/// Where in a catalogue a kind of cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindPosition {
    /// The position of the system.
    pub system: usize,
    /// The position among the system's kinds.
    pub kind: usize,
}

/// How much of an object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Who it is, what it says to this project, and its spec.
    Spec,
    /// Its metadata; the rest need not be sent.
    Metadata,
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; empty for an object that lies in none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// An object that cannot even be named.
#[derive(Debug, Error)]
#[error("an object of kind {kind} has no metadata.name; give it one")]
pub struct ObjectError {
    kind: String,
}

impl ObjectKind {
    /// Every kind that is needed whatever there is in the cluster, each once.
    #[must_use]
    pub fn always(catalogue: &Catalogue) -> Vec<Self> {
        let clusters = catalogue.systems().iter().enumerate().flat_map(|(system, known)| {
            let kinds = known.clusters.iter().enumerate();
            kinds.map(move |(kind, known)| Self::Cluster(KindPosition { system, kind }, known.resource.clone()))
        });
        let overrides = catalogue.override_resources().into_iter().cloned().map(Self::Override);
        clusters.chain(overrides).chain([Self::Attachment, Self::StorageNetwork, Self::Namespace]).collect()
    }

    /// The resource behind the kind.
    #[must_use]
    pub fn resource(&self) -> Resource {
        let named = |group: &str, version: &str, kind: &str, plural: &str| Resource {
            group: group.to_owned(),
            versions: vec![version.to_owned()],
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        match self {
            Self::Cluster(_, resource) | Self::Override(resource) => resource.clone(),
            Self::Attachment => named(attachment::GROUP, attachment::VERSION, attachment::KIND, attachment::PLURAL),
            Self::StorageNetwork => named(api::GROUP, api::VERSION, api::KIND, api::PLURAL),
            Self::Namespace => named("", "v1", "Namespace", "namespaces"),
            Self::Node => named("", "v1", "Node", "nodes"),
            Self::Workload(kind, _) => kind.resource(),
        }
    }

    /// The namespace in which objects of this kind are looked for, where it is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Workload(_, namespace) => Some(namespace),
            Self::Cluster(..)
            | Self::Override(_)
            | Self::Attachment
            | Self::StorageNetwork
            | Self::Namespace
            | Self::Node => None,
        }
    }

    /// How much is read of objects of this kind.
    #[must_use]
    pub fn content(&self) -> Content {
        match self {
            Self::Cluster(..) | Self::Override(_) | Self::Attachment | Self::StorageNetwork => Content::Spec,
            Self::Namespace | Self::Node | Self::Workload(..) => Content::Metadata,
        }
    }

    /// Namespace and name of an object of this kind. As with kubectl, an object without a namespace is in `default`.
    ///
    /// # Errors
    /// Where it has no name.
    pub fn name_of(&self, object: &Value) -> Result<ObjectName, ObjectError> {
        let text = |path| object.pointer(path).and_then(Value::as_str).filter(|text: &&str| !text.is_empty());
        let Some(name) = text("/metadata/name") else {
            return Err(ObjectError { kind: self.resource().kind });
        };
        let namespace = match self {
            Self::Namespace | Self::Node => "",
            Self::Cluster(..) | Self::Override(_) | Self::Attachment | Self::StorageNetwork | Self::Workload(..) => {
                text("/metadata/namespace").unwrap_or("default")
            }
        };
        Ok(ObjectName { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ObjectKind {
    /// By what the API server calls it, such as `cephclusters.ceph.rook.io`; with the namespace where it is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource().full_name())?;
        self.namespace().map_or(Ok(()), |namespace| write!(f, " in {namespace}"))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}
