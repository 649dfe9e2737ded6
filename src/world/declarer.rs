//! Who declares the networks of pods: a cluster, or a StorageNetwork in its place or for pods of its own.

use std::fmt;

use super::cluster::Cluster;
use super::storage_network::StorageNetwork;

/// Who declares networks.
#[derive(Clone, Copy, Debug)]
pub enum Declarer<'s> {
    /// A cluster's own resource.
    Cluster(&'s Cluster),
    /// A StorageNetwork, for a cluster or for pods.
    StorageNetwork(&'s StorageNetwork),
}

impl<'s> Declarer<'s> {
    /// Who declares the networks of a cluster: the StorageNetwork that counts in the place of its own resource, where there is
    /// one.
    #[must_use]
    pub fn of(cluster: &'s Cluster, network: Option<&'s StorageNetwork>) -> Self {
        network.map_or(Self::Cluster(cluster), Self::StorageNetwork)
    }
}

impl fmt::Display for Declarer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(cluster) => cluster.fmt(f),
            Self::StorageNetwork(network) => network.fmt(f),
        }
    }
}
