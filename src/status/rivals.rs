//! StorageNetworks that stand in each other's way.
//!
//! What is found here is what a decision makes of it: for a cluster the oldest counts alone; pods that several select by labels
//! get the networks of all, but have one provider and one default network, which are those of the oldest.

use crate::network::{NetworkSelection, Provider};
use crate::storage::Selector;
use crate::world::{Mode, Snapshot, StorageNetwork, Target};

/// Another StorageNetwork, and how it stands in the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rival<'s> {
    /// It is about the same cluster, and older.
    SameCluster(&'s StorageNetwork),
    /// It may select the same pods, is older, and asks for another provider.
    OtherProvider(&'s StorageNetwork, Provider),
    /// It may select the same pods, is older, and replaces the pod network by another one.
    OtherDefault(&'s StorageNetwork, &'s NetworkSelection),
    /// It may select the same pods, and is invalid: whatever it selects is left alone.
    Invalid(&'s StorageNetwork),
}

/// What stands in the way of `network`, where anything does.
pub(super) fn rival_of<'s>(snapshot: &'s Snapshot, network: &StorageNetwork) -> Option<Rival<'s>> {
    let others = snapshot.storage_networks_in(&network.id.namespace);
    match network.target.as_ref()? {
        Target::Cluster(cluster) => {
            let is_about =
                |other: &&StorageNetwork| matches!(&other.target, Some(Target::Cluster(other)) if other == cluster);
            let older = others.filter(|other| other.age() < network.age()).filter(is_about);
            older.min_by_key(|other| other.age()).map(Rival::SameCluster)
        }
        Target::Pods(pods) => {
            let rivals = others.filter_map(|other| Some((other.age(), rival_for(pods, snapshot, network, other)?)));
            rivals.min_by_key(|(age, _)| *age).map(|(_, rival)| rival)
        }
    }
}

fn rival_for<'s>(
    pods: &Selector,
    snapshot: &Snapshot,
    network: &StorageNetwork,
    other: &'s StorageNetwork,
) -> Option<Rival<'s>> {
    let Some(Target::Pods(others)) = &other.target else { return None };
    let is_off = other.mode.unwrap_or(snapshot.settings().mode) == Mode::Off;
    if other.id == network.id || is_off || !surely_overlap(pods, others) {
        return None;
    }
    let Ok(theirs) = &other.declared else { return Some(Rival::Invalid(other)) };
    let ours = network.declared.as_ref().ok().filter(|_| other.age() < network.age())?;
    if theirs.spec.provider != ours.spec.provider {
        return Some(Rival::OtherProvider(other, theirs.spec.provider));
    }
    let default = theirs.default_network.as_ref()?;
    let own = ours.default_network.as_ref()?;
    (own.attachment != default.attachment).then_some(Rival::OtherDefault(other, default))
}

/// Whether some pod can have labels that both select, as far as that can be seen without knowing which labels there are.
fn surely_overlap(one: &Selector, other: &Selector) -> bool {
    one == other || one.is_everything() || other.is_everything()
}
