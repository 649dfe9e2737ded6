//! The ranges of addresses that a cluster could declare (Ceph's `public_network` and `cluster_network`), read from its attachment
//! definitions.
//!
//! Rook takes what is declared for the truth (`ApplyCephNetworkSettings`), so a range that is not certain must never be offered:
//! daemons that look for their address in the wrong range do not start.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::declaration::{Declaration, Place};
use super::scene::Scene;
use crate::network::ipam::NetworksUnknown;
use crate::network::{AttachmentRef, NetworkKey, NetworkSelection};
use crate::world::{AttachmentState, Declarer};

/// Ranges by key.
pub type Ranges = BTreeMap<NetworkKey, Vec<IpNet>>;

/// Why the ranges of a key are not known for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut<'s> {
    /// There is no such attachment definition.
    Missing(&'s AttachmentRef),
    /// Nobody knows whether there is one.
    NotKnown(&'s AttachmentRef),
    /// Multus cannot load it, or no pod can be attached by it.
    Broken(&'s AttachmentRef),
    /// The ranges cannot be known from it.
    Unknown(&'s AttachmentRef, NetworksUnknown<'s>),
    /// Pods ask for addresses, which may lie anywhere.
    AskedFor,
    /// All pods are put on the host network, so their addresses are those of hosts.
    OnHosts,
}

/// The ranges that a cluster could declare and does not, of those keys whose addresses are known for certain.
#[must_use]
pub fn offered(scene: Scene<'_>, declaration: Declaration<'_>) -> Ranges {
    let mut offered = known(scene, declaration);
    if let Ok(networks) = declaration.networks() {
        offered.retain(|key, _| !networks.spec.address_ranges.contains_key(key));
    }
    offered
}

/// The ranges of every key whose addresses are known for certain, where the cluster has a place to declare them.
#[must_use]
pub fn known(scene: Scene<'_>, declaration: Declaration<'_>) -> Ranges {
    of_keys(scene, declaration).filter_map(|(key, ranges)| Some((key.clone(), ranges.ok()?))).collect()
}

/// What is known of every key that the cluster has a network for, where it has a place to declare ranges.
pub(super) fn of_keys<'s>(
    scene: Scene<'s>,
    declaration: Declaration<'s>,
) -> impl Iterator<Item = (&'s NetworkKey, Result<Vec<IpNet>, LeftOut<'s>>)> {
    let has_place = declaration.kind().is_some_and(|kind| kind.address_ranges.is_some());
    let may_declare = has_place && matches!(declaration.declarer, Declarer::Cluster(_));
    let is_on_hosts = scene.snapshot().settings().enforce_host_network;
    declaration.attached().filter(move |_| may_declare).filter_map(move |network| match network.place {
        Place::Key(key) if is_on_hosts => Some((key, Err(LeftOut::OnHosts))),
        Place::Key(key) => Some((key, certain(scene, network.selection))),
        Place::Nodes(..) | Place::Default => None,
    })
}

/// The ranges in which a pod with this network surely has its addresses.
fn certain<'s>(scene: Scene<'s>, selection: &'s NetworkSelection) -> Result<Vec<IpNet>, LeftOut<'s>> {
    let name = &selection.attachment;
    let definition = match scene.attachment(name) {
        AttachmentState::Missing => return Err(LeftOut::Missing(name)),
        AttachmentState::Unknown => return Err(LeftOut::NotKnown(name)),
        AttachmentState::Malformed(_) => return Err(LeftOut::Broken(name)),
        AttachmentState::Usable(definition) => definition,
    };
    let ranges = definition.networks().map_err(|unknown| LeftOut::Unknown(name, unknown))?;
    if !definition.works() {
        return Err(LeftOut::Broken(name));
    }
    if !selection.addresses().is_empty() {
        return Err(LeftOut::AskedFor);
    }
    Ok(ranges)
}

/// `public: [192.168.20.0/24], cluster: [192.168.21.0/24]`.
#[must_use]
pub fn in_words(ranges: &Ranges) -> String {
    let key = |(key, ranges): (&NetworkKey, &Vec<IpNet>)| {
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        format!("{key}: [{}]", ranges.join(", "))
    };
    ranges.iter().map(key).collect::<Vec<_>>().join(", ")
}
