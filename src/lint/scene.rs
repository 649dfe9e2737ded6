//! What is checked: a snapshot, or a snapshot as it would be if one object were created, changed or deleted.
//!
//! Nothing is copied for that: whoever asks for the object is given the other one.

use super::declaration::Declaration;
use super::finding::Subject;
use crate::network::attachment::AttachmentError;
use crate::network::{AttachmentDefinition, AttachmentRef};
use crate::storage::System;
use crate::world::{AttachmentState, Cluster, Declarer, Snapshot, StorageNetwork, Target};

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'s> {
    snapshot: &'s Snapshot,
    instead: Option<&'s Candidate>,
}

/// An object that would take the place of the one of its name; none where that one would go.
#[derive(Debug)]
pub enum Candidate {
    /// An attachment definition.
    Attachment(AttachmentRef, Option<Result<AttachmentDefinition, AttachmentError>>),
    /// A cluster.
    Cluster(Box<Cluster>),
    /// A StorageNetwork.
    StorageNetwork(Box<StorageNetwork>),
}

impl Candidate {
    /// Which object it is.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Attachment(name, _) => Subject::attachment(&name.namespace, &name.name),
            Self::Cluster(cluster) => Subject::cluster(cluster),
            Self::StorageNetwork(network) => Subject::storage_network(network),
        }
    }
}

impl<'s> Scene<'s> {
    /// A snapshot as it is.
    #[must_use]
    pub fn of(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, instead: None }
    }

    /// A snapshot as it would be.
    #[must_use]
    pub fn with(snapshot: &'s Snapshot, candidate: &'s Candidate) -> Self {
        Self { snapshot, instead: Some(candidate) }
    }

    /// The snapshot behind it.
    #[must_use]
    pub fn snapshot(self) -> &'s Snapshot {
        self.snapshot
    }

    /// What is known about an attachment definition.
    #[must_use]
    pub fn attachment(self, name: &AttachmentRef) -> AttachmentState<'s> {
        match self.instead {
            Some(Candidate::Attachment(other, definition)) if other == name => match definition {
                Some(Ok(definition)) => AttachmentState::Usable(definition),
                Some(Err(error)) => AttachmentState::Malformed(error),
                None => AttachmentState::Missing,
            },
            Some(_) | None => self.snapshot.attachment(name),
        }
    }

    /// Every attachment definition that Multus can load, by namespace and name.
    pub fn definitions(self) -> impl Iterator<Item = (&'s str, &'s str, &'s AttachmentDefinition)> {
        let other = match self.instead {
            Some(Candidate::Attachment(name, definition)) => Some((name, definition)),
            Some(Candidate::Cluster(_) | Candidate::StorageNetwork(_)) | None => None,
        };
        let is_other = move |namespace: &str, name: &str| {
            other.is_some_and(|(other, _)| *other.name == *name && *other.namespace == *namespace)
        };
        let known = self.snapshot.attachments().filter(move |(namespace, name, _)| !is_other(namespace, name));
        let instead = other.and_then(|(name, definition)| Some((&*name.namespace, &*name.name, definition.as_ref()?)));
        known
            .chain(instead)
            .filter_map(|(namespace, name, definition)| Some((namespace, name, definition.as_ref().ok()?)))
    }

    /// Everything that declares networks and counts.
    pub fn declarations(self) -> impl Iterator<Item = Declaration<'s>> {
        let own = self.clusters().filter(|(_, cluster)| cluster.can_declare);
        let own = own.filter_map(move |(system, cluster)| {
            let declaration = Declaration::of_cluster(system, cluster, self.storage_network_of(cluster));
            matches!(declaration.declarer, Declarer::Cluster(_)).then_some(declaration)
        });
        own.chain(self.storage_networks().map(move |network| self.declaration_of(network)))
    }

    /// What a StorageNetwork declares.
    #[must_use]
    pub fn declaration_of(self, network: &'s StorageNetwork) -> Declaration<'s> {
        let (system, cluster) = match &network.target {
            Some(Target::Cluster(meant)) => {
                let known = self.snapshot.clusters_named(&network.id.namespace, &meant.name);
                let cluster = known.into_iter().map(|(_, cluster)| cluster).find(|cluster| network.is_about(cluster));
                (self.snapshot.catalogue().system_of(&meant.group, &meant.kind), cluster)
            }
            Some(Target::Pods(_)) | None => (None, None),
        };
        Declaration { declarer: Declarer::StorageNetwork(network), system, cluster }
    }

    /// What a cluster declares, or the StorageNetwork that counts in its place.
    #[must_use]
    pub fn storage_network_of(self, cluster: &Cluster) -> Option<&'s StorageNetwork> {
        match self.instead {
            // Judged as if it counted: whether it does depends on when it was created, and what it says does not.
            Some(Candidate::StorageNetwork(network)) if network.is_about(cluster) => Some(network),
            Some(_) | None => self.snapshot.storage_network_of(cluster),
        }
    }

    fn clusters(self) -> impl Iterator<Item = (&'s System, &'s Cluster)> {
        let other = match self.instead {
            Some(Candidate::Cluster(cluster)) => Some(&**cluster),
            Some(Candidate::Attachment(..) | Candidate::StorageNetwork(_)) | None => None,
        };
        let is_other = move |cluster: &Cluster| {
            other.is_some_and(|other| {
                other.id == cluster.id && other.kind == cluster.kind && other.group == cluster.group
            })
        };
        let known = self.snapshot.clusters_by_system().filter(move |(_, cluster)| !is_other(cluster));
        let instead = other
            .and_then(|cluster| Some((self.snapshot.catalogue().system_of(&cluster.group, &cluster.kind)?, cluster)));
        known.chain(instead)
    }

    fn storage_networks(self) -> impl Iterator<Item = &'s StorageNetwork> {
        let other = match self.instead {
            Some(Candidate::StorageNetwork(network)) => Some(&**network),
            Some(Candidate::Attachment(..) | Candidate::Cluster(_)) | None => None,
        };
        let known = self.snapshot.storage_networks();
        known.filter(move |network| other.is_none_or(|other| other.id != network.id)).chain(other)
    }
}
