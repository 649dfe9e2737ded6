//! Rules about addresses that a definition hands out and somebody else has: another definition, the cluster's own network, hosts.

use ipnet::IpNet;

use super::checker::{Checker, Used};
use super::definition::any_overlap;
use super::finding::{Finding, Subject};
use super::rule::Rule;
use crate::network::AttachmentDefinition;
use crate::network::ipam::{AddressRange, Source};
use crate::network::plugin::Master;

const IPAM: &str = "spec.config: ipam";

/// Everything that is found in the addresses of one definition that storage uses.
pub(super) fn findings(checker: &Checker<'_>, used: Used<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let users = used.users();
    let mut add = |rule, fault, mend: &str, other: Option<Subject>| {
        let with = other.into_iter().chain(users.iter().cloned()).collect();
        findings.push(Finding::new(rule, used.subject(), IPAM, fault, mend).with(with));
    };
    let surroundings = &checker.settings().checks.surroundings;
    let networks: Vec<IpNet> = used.definition.ipam.ranges().map(|range| range.network).collect();
    for (what, taken) in [("pods", &surroundings.pods), ("Services", &surroundings.services)] {
        if let Some((network, other)) = any_overlap(&networks, taken) {
            let fault = format!("the range {network} has addresses in common with {other}, where {what} have theirs");
            add(Rule::OverlapsCluster, fault, "choose a range outside of it", None);
        }
    }
    for range in used.definition.ipam.ranges() {
        let of_hosts = surroundings.hosts.iter().map(|hosts| (hosts, AddressRange::all_of(*hosts)));
        for (hosts, addresses) in of_hosts {
            if let Some(shared) = range.first_in_common(&addresses) {
                let fault = format!("{shared} can be handed out, and hosts have the addresses of {hosts}");
                add(Rule::OverlapsHosts, fault, &format!("exclude {hosts}, or choose another range"), None);
            }
        }
    }
    for (namespace, name, other) in checker.scene.definitions() {
        if *namespace == *used.name.namespace && *name == *used.name.name {
            continue;
        }
        if let Some(fault) = overlap(used.definition, other) {
            let subject = Subject::attachment(namespace, name);
            let mend = "give each a range of its own, or exclude in each what the other hands out";
            add(Rule::RangesOverlap, format!("{fault} {namespace}/{name}"), mend, Some(subject));
        }
    }
    findings
}

/// The beginning of a sentence about what two definitions both hand out, which ends in the name of the other.
fn overlap(one: &AttachmentDefinition, other: &AttachmentDefinition) -> Option<String> {
    if one.ipam.pools.is_empty() || other.ipam.pools.is_empty() || are_apart(one, other) {
        return None;
    }
    let both_whereabouts = one.ipam.source == Source::Whereabouts && other.ipam.source == Source::Whereabouts;
    let pairs = one.ipam.ranges().flat_map(|range| other.ipam.ranges().map(move |theirs| (range, theirs)));
    // Definitions of whereabouts with the same range have one account.
    let mut apart = pairs.filter(|(range, theirs)| !(both_whereabouts && range.network == theirs.network));
    let shared = apart.find_map(|(range, theirs)| range.first_in_common(theirs))?;
    Some(if both_whereabouts {
        format!("{shared} is kept apart only by enable_overlapping_ranges of whereabouts from what is handed out by")
    } else {
        format!("{shared} can be handed out twice, here and by")
    })
}

/// Whether two networks are surely different ones, so that each may have the same addresses.
fn are_apart(one: &AttachmentDefinition, other: &AttachmentDefinition) -> bool {
    let (Some(one), Some(other)) = (one.plugin(), other.plugin()) else { return false };
    let masters = match (one.master(), other.master()) {
        (Master::Given(one), Master::Given(other)) => one != other,
        _ => false,
    };
    let bridges = one.bridge.is_some() && other.bridge.is_some() && one.bridge != other.bridge;
    masters || bridges || (one.vlan.is_some() && other.vlan.is_some() && one.vlan != other.vlan)
}
