//! The ranges of addresses that a cluster could declare (Ceph's `public_network` and `cluster_network`), read from its attachment
//! definitions.
//!
//! Rook takes what is declared for the truth (`ApplyCephNetworkSettings`), so a range that is not certain must never be offered:
//! daemons that look for their address in the wrong range do not start.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::declaration::{Declaration, Place};
use super::scene::Scene;
use crate::network::provider::Names;
use crate::network::{AttachmentDefinition, NetworkKey, NetworkSelection, Provider};
use crate::world::{AttachmentState, Declarer};

/// Ranges by key.
pub type Ranges = BTreeMap<NetworkKey, Vec<IpNet>>;

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
    let has_place = declaration.kind().is_some_and(|kind| kind.address_ranges.is_some());
    let (true, Declarer::Cluster(_)) = (has_place, declaration.declarer) else { return Ranges::new() };
    let Ok(networks) = declaration.networks() else { return Ranges::new() };
    // On the host network the addresses of daemons are those of hosts.
    if scene.snapshot().settings().enforce_host_network {
        return Ranges::new();
    }
    match networks.spec.provider {
        Provider::Attach(plugin) if plugin.names() == Names::AttachmentDefinitions => {}
        Provider::Attach(_) | Provider::Host | Provider::None => return Ranges::new(),
    }
    let attached = declaration.attached().filter_map(|network| match network.place {
        Place::Key(key) => Some((key, network.selection)),
        Place::Nodes(..) | Place::Default => None,
    });
    attached.filter_map(|(key, selection)| Some((key.clone(), certain(scene, selection)?))).collect()
}

/// The ranges in which a pod with this network surely has its addresses.
fn certain(scene: Scene<'_>, selection: &NetworkSelection) -> Option<Vec<IpNet>> {
    let AttachmentState::Usable(definition) = scene.attachment(&selection.attachment) else { return None };
    // What fails hands out nothing, and addresses that are asked for may lie anywhere.
    let is_sound = definition.worst_effect() != Some(crate::network::ipam::Effect::Fails);
    let ranges = AttachmentDefinition::networks(definition).ok()?;
    (is_sound && selection.addresses().is_empty()).then_some(ranges)
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
