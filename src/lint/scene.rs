//! What is checked: a snapshot, or a snapshot as it would be if one object were created, changed or deleted.
//!
//! Nothing is copied for that: whoever asks for the object is given the other one.

use std::collections::BTreeMap;

use super::declaration::Declaration;
use super::finding::Subject;
use crate::network::attachment::AttachmentError;
use crate::network::{AttachmentDefinition, AttachmentRef, NetworkKey, NetworkSelection};
use crate::storage::System;
use crate::world::{AttachmentState, Cluster, Declarer, Mode, Snapshot, StorageNetwork, Target};

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
            Self::Attachment(name, _) => Subject::definition(name),
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

    /// Everything that declares networks: clusters for which no StorageNetwork does, and StorageNetworks.
    pub fn declarations(self) -> impl Iterator<Item = Declaration<'s>> {
        self.declarations_with(|_| true)
    }

    /// Of these, those that name a definition which is `wanted`, and perhaps some that do not.
    pub(super) fn declarations_with(
        self,
        wanted: impl Fn(&AttachmentRef) -> bool + Copy,
    ) -> impl Iterator<Item = Declaration<'s>> {
        let any = move |selections: &BTreeMap<NetworkKey, NetworkSelection>| {
            selections.is_empty() || selections.values().any(|selection| wanted(&selection.attachment))
        };
        let own = self.clusters().filter(move |(_, cluster)| cluster.can_declare && any(&cluster.network.selections));
        let own = own.filter_map(move |(system, cluster)| {
            let declaration = Declaration::of_cluster(system, cluster, self.storage_network_of(cluster));
            matches!(declaration.declarer, Declarer::Cluster(_)).then_some(declaration)
        });
        let networks = self.storage_networks().filter(move |network| match &network.declared {
            Ok(declared) => {
                any(&declared.spec.selections)
                    || declared.node_interfaces.iter().any(|nodes| any(&nodes.selections))
                    || declared.default_network.as_ref().is_some_and(|default| wanted(&default.attachment))
            }
            Err(_) => true,
        });
        own.chain(networks.map(move |network| self.declaration_of(network)))
    }

    /// Whether anything comes of a declaration: not where an older StorageNetwork is about the same cluster, nor where one is to
    /// have no effect. (A cluster's own resource is read by its operator, whatever the mode is here.)
    #[must_use]
    pub fn is_in_effect(self, declaration: Declaration<'s>) -> bool {
        let Declarer::StorageNetwork(network) = declaration.declarer else { return true };
        let oldest = match &network.target {
            Some(Target::Cluster(meant)) => self.oldest_about(&network.id.namespace, meant.key()),
            Some(Target::Pods(_)) | None => None,
        };
        declaration.mode(self.snapshot.settings()) != Mode::Off && oldest.is_none_or(|oldest| oldest.id == network.id)
    }

    /// What is done about an object: as it says itself, a StorageNetwork as its cluster says, or as is set for all.
    #[must_use]
    pub fn mode_of(self, candidate: &'s Candidate) -> Mode {
        let settings = self.snapshot.settings();
        match candidate {
            Candidate::Attachment(..) => settings.mode,
            Candidate::Cluster(cluster) => cluster.mode.unwrap_or(settings.mode),
            Candidate::StorageNetwork(network) => self.declaration_of(network).mode(settings),
        }
    }

    /// What a StorageNetwork declares.
    #[must_use]
    pub fn declaration_of(self, network: &'s StorageNetwork) -> Declaration<'s> {
        let (system, cluster) = match &network.target {
            Some(Target::Cluster(meant)) => {
                let known = self.snapshot.clusters_named(&network.id.namespace, &meant.name);
                let known = known.into_iter().map(|(_, cluster)| cluster);
                let cluster = self.other_cluster().into_iter().chain(known).find(|cluster| network.is_about(cluster));
                (self.snapshot.catalogue().system_of(&meant.group, &meant.kind), cluster)
            }
            Some(Target::Pods(_)) | None => (None, None),
        };
        Declaration { declarer: Declarer::StorageNetwork(network), system, cluster }
    }

    /// The StorageNetwork that counts in the place of what a cluster declares itself.
    #[must_use]
    pub fn storage_network_of(self, cluster: &'s Cluster) -> Option<&'s StorageNetwork> {
        self.oldest_about(&cluster.id.namespace, cluster.key())
    }

    /// The oldest StorageNetwork about a cluster, which need not exist.
    fn oldest_about(self, namespace: &str, cluster: [&'s str; 3]) -> Option<&'s StorageNetwork> {
        let other = self.other_storage_network();
        let mut known = self.snapshot.storage_networks_about(namespace, cluster);
        let known = known.find(|network| other.is_none_or(|other| other.id != network.id));
        let is_about = |network: &&StorageNetwork| {
            let meant = matches!(&network.target, Some(Target::Cluster(meant)) if meant.key() == cluster);
            meant && network.id.namespace == namespace
        };
        known.into_iter().chain(other.filter(is_about)).min_by_key(|network| network.age())
    }

    /// Every cluster, with its system.
    pub(super) fn clusters(self) -> impl Iterator<Item = (&'s System, &'s Cluster)> {
        let other = self.other_cluster();
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

    fn other_cluster(self) -> Option<&'s Cluster> {
        match self.instead {
            Some(Candidate::Cluster(cluster)) => Some(cluster),
            Some(Candidate::Attachment(..) | Candidate::StorageNetwork(_)) | None => None,
        }
    }

    fn other_storage_network(self) -> Option<&'s StorageNetwork> {
        match self.instead {
            Some(Candidate::StorageNetwork(network)) => Some(network),
            Some(Candidate::Attachment(..) | Candidate::Cluster(_)) | None => None,
        }
    }

    fn storage_networks(self) -> impl Iterator<Item = &'s StorageNetwork> {
        let other = self.other_storage_network();
        let known = self.snapshot.storage_networks();
        known.filter(move |network| other.is_none_or(|other| other.id != network.id)).chain(other)
    }
}
