//! StorageNetworks by the clusters that they are about, so that the one that counts is found at once, however many there are.

use std::sync::Arc;

use super::by_name::ByName;
use super::storage_network::{StorageNetwork, Target};

/// StorageNetworks by namespace and name of the cluster; those of one group and kind together, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct ByCluster(ByName<Vec<Arc<StorageNetwork>>>);

impl ByCluster {
    /// Those about the cluster of this group, kind and name; the oldest first.
    pub(super) fn about(&self, namespace: &str, cluster: [&str; 3]) -> &[Arc<StorageNetwork>] {
        let [.., name] = cluster;
        let named = self.0.get(namespace, name).map(Vec::as_slice).unwrap_or_default();
        let first = named.partition_point(|network| cluster_of(network) < Some(cluster));
        let end = named.partition_point(|network| cluster_of(network) <= Some(cluster));
        &named[first..end]
    }

    /// Adds one that is not here; those that select pods by labels are not kept.
    pub(super) fn add(&mut self, network: &Arc<StorageNetwork>) {
        let Some([.., name]) = cluster_of(network) else { return };
        let named = self.0.entry(&network.id.namespace, name);
        named.insert(named.partition_point(|other| place(other) < place(network)), Arc::clone(network));
    }

    /// Takes one away, where it is here.
    pub(super) fn remove(&mut self, network: &StorageNetwork) {
        let Some([.., name]) = cluster_of(network) else { return };
        let named = self.0.entry(&network.id.namespace, name);
        let at = named.partition_point(|other| place(other) < place(network));
        if named.get(at).is_some_and(|found| found.id == network.id) {
            named.remove(at);
        }
        if named.is_empty() {
            self.0.remove(&network.id.namespace, name);
        }
    }
}

/// Where one stands among those about clusters of the same name.
fn place(network: &StorageNetwork) -> (Option<[&str; 3]>, (bool, &str, &str)) {
    (cluster_of(network), network.age())
}

fn cluster_of(network: &StorageNetwork) -> Option<[&str; 3]> {
    match network.target.as_ref()? {
        Target::Cluster(cluster) => Some(cluster.key()),
        Target::Pods(_) => None,
    }
}
