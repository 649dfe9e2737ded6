//! Who declares which networks, for which pods: a cluster's own resource and a StorageNetwork looked at in one way.

use std::ptr;

use super::finding::Subject;
use super::pods::Networks;
use crate::network::provider::Names;
use crate::network::{NetworkKey, NetworkSelection, Provider, SpecProblem};
use crate::storage::{ClusterKind, System};
use crate::world::{Cluster, Declarer, Mode, Settings, StorageNetwork};

/// One declaration of networks.
#[derive(Clone, Copy, Debug)]
pub struct Declaration<'s> {
    /// Who declares them.
    pub declarer: Declarer<'s>,
    /// The storage system whose pods are meant; none where they are told by their labels.
    pub system: Option<&'s System>,
    /// The cluster whose pods are meant, where there is one.
    pub cluster: Option<&'s Cluster>,
}

/// One network that is declared.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredNetwork<'s> {
    /// The network.
    pub selection: &'s NetworkSelection,
    /// Where it is declared.
    pub place: Place<'s>,
}

/// Where a network is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place<'s> {
    /// For a key, on all nodes.
    Key(&'s NetworkKey),
    /// For a key, in this entry of `nodeInterfaces`.
    Nodes(usize, &'s NetworkKey),
    /// In the place of the pod network.
    Default,
}

impl<'s> Declaration<'s> {
    /// What is declared for a cluster: by itself, or by the StorageNetwork that counts in its place.
    #[must_use]
    pub fn of_cluster(system: &'s System, cluster: &'s Cluster, network: Option<&'s StorageNetwork>) -> Self {
        Self { declarer: Declarer::of(cluster, network), system: Some(system), cluster: Some(cluster) }
    }

    /// Which object it is.
    #[must_use]
    pub fn subject(self) -> Subject {
        Subject::declarer(self.declarer)
    }

    /// Where the object lies that declares, which tells it from every other for as long as it is there.
    pub(super) fn identity(self) -> *const () {
        match self.declarer {
            Declarer::Cluster(cluster) => ptr::from_ref(cluster).cast(),
            Declarer::StorageNetwork(network) => ptr::from_ref(network).cast(),
        }
    }

    /// The namespace of its pods.
    #[must_use]
    pub fn namespace(self) -> &'s str {
        match self.declarer {
            Declarer::Cluster(cluster) => &cluster.id.namespace,
            Declarer::StorageNetwork(network) => &network.id.namespace,
        }
    }

    /// What is declared, or what is wrong with it.
    ///
    /// # Errors
    /// The problems.
    pub fn networks(self) -> Result<Networks<'s>, &'s [SpecProblem]> {
        match self.declarer {
            Declarer::Cluster(cluster) if cluster.network_problems.is_empty() => {
                Ok(Networks { spec: &cluster.network, declared: None })
            }
            Declarer::Cluster(cluster) => Err(&cluster.network_problems),
            Declarer::StorageNetwork(network) => match &network.declared {
                Ok(declared) => Ok(Networks { spec: &declared.spec, declared: Some(declared) }),
                Err(problems) => Err(problems),
            },
        }
    }

    /// How its networks are attached; none where it is invalid.
    #[must_use]
    pub fn provider(self) -> Provider {
        self.networks().map(|networks| networks.spec.provider).unwrap_or_default()
    }

    /// Every network that names an attachment definition somebody attaches.
    pub fn attached(self) -> impl Iterator<Item = DeclaredNetwork<'s>> {
        let looked_up = |networks: &Networks<'s>| {
            let of_roles = networks.declared.into_iter().flat_map(|declared| &declared.roles);
            let mut providers = of_roles.filter_map(|rule| rule.provider).chain([networks.spec.provider]);
            providers.any(|provider| matches!(provider, Provider::Attach(plugin) if plugin.names() == Names::AttachmentDefinitions))
        };
        self.networks().ok().filter(looked_up).into_iter().flat_map(|networks| {
            let on_all = networks.spec.selections.iter();
            let on_all = on_all.map(|(key, selection)| DeclaredNetwork { selection, place: Place::Key(key) });
            let on_nodes = networks.node_interfaces().iter().enumerate().flat_map(|(index, nodes)| {
                let here = nodes.selections.iter();
                here.map(move |(key, selection)| DeclaredNetwork { selection, place: Place::Nodes(index, key) })
            });
            let default = networks.declared.and_then(|declared| declared.default_network.as_ref());
            let default = default.map(|selection| DeclaredNetwork { selection, place: Place::Default });
            on_all.chain(on_nodes).chain(default)
        })
    }

    /// Whether more than one pod gets the network of a place at a time, for certain. On one node alone there may be one pod alone,
    /// pods that somebody selects by labels may be one, and so may those of a cluster that says it has no more.
    #[must_use]
    pub fn is_for_many(self, place: Place<'_>) -> bool {
        let has_many = self.says_hosts() || self.cluster.is_none_or(|cluster| cluster.size.members != 1);
        self.system.is_some() && has_many && !matches!(place, Place::Nodes(..))
    }

    /// Whether the cluster's resource has a place that says on how many hosts it runs.
    #[must_use]
    pub fn says_hosts(self) -> bool {
        self.kind().is_some_and(|kind| !kind.size.hosts.is_empty())
    }

    /// Where a network stands in the object.
    #[must_use]
    pub fn field(self, place: Place<'_>) -> String {
        match (self.declarer, place) {
            (Declarer::Cluster(cluster), Place::Key(key)) => {
                self.network_field(&format!("{}.{key}", cluster.network.written.selectors))
            }
            (Declarer::StorageNetwork(_), Place::Key(key)) => format!("spec.interfaces.{key}"),
            (_, Place::Nodes(index, key)) => format!("spec.nodeInterfaces[{index}].interfaces.{key}"),
            (_, Place::Default) => "spec.defaultNetwork".to_owned(),
        }
    }

    /// A field of the network part of a cluster's resource, or of a StorageNetwork.
    #[must_use]
    pub fn network_field(self, name: &str) -> String {
        match (self.declarer, self.kind().and_then(|kind| kind.network.as_ref())) {
            (Declarer::Cluster(_), Some(path)) => format!("{path}.{name}"),
            (Declarer::Cluster(_) | Declarer::StorageNetwork(_), _) => format!("spec.{name}"),
        }
    }

    /// The map from network key to selector.
    #[must_use]
    pub fn selectors_field(self) -> String {
        match self.declarer {
            Declarer::Cluster(cluster) => self.network_field(cluster.network.written.selectors),
            Declarer::StorageNetwork(_) => "spec.interfaces".to_owned(),
        }
    }

    /// The kind of the cluster's resource, as the catalogue describes it.
    #[must_use]
    pub fn kind(self) -> Option<&'s ClusterKind> {
        let cluster = self.cluster?;
        self.system?.cluster_kind(&cluster.group, &cluster.kind)
    }

    /// What is done with its pods.
    #[must_use]
    pub fn mode(self, settings: &Settings) -> Mode {
        let own = match self.declarer {
            Declarer::Cluster(_) => None,
            Declarer::StorageNetwork(network) => network.mode,
        };
        own.or_else(|| self.cluster?.mode).unwrap_or(settings.mode)
    }
}

impl<'s> DeclaredNetwork<'s> {
    /// The key, where it is declared for one.
    #[must_use]
    pub fn key(&self) -> Option<&'s NetworkKey> {
        match self.place {
            Place::Key(key) | Place::Nodes(_, key) => Some(key),
            Place::Default => None,
        }
    }
}
