//! Rules about addresses that a definition hands out and somebody else has: another definition, the cluster's own network, hosts.
//!
//! Two definitions may well have the same addresses in networks that are apart, so they are compared only where they surely lead
//! to one segment: the same interface of the node, bridge or resource, and the same VLAN.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::checker::{Checker, Used, users};
use super::declaration::Place;
use super::definition::{IPAM, any_overlap};
use super::finding::{Finding, Subject};
use super::rule::Rule;
use super::scene::Scene;
use crate::network::cidr::Family;
use crate::network::ipam::{AddressRange, Reach, Source};
use crate::network::{AttachmentDefinition, AttachmentRef};

/// What surely is one segment, for all definitions that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment<'s> {
    /// An interface of the node, or that of its default route, and a VLAN on it.
    Interface(Option<&'s str>, Option<u16>),
    /// A bridge that a plugin makes or joins, and a VLAN on it.
    Bridge(&'s str, Option<&'s str>, Option<u16>),
    /// The devices of a resource, and a VLAN on them.
    Devices(&'s str, Option<u16>),
}

/// A definition that hands out addresses on a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'s> {
    namespace: &'s str,
    name: &'s str,
    definition: &'s AttachmentDefinition,
}

/// The definitions on each segment, in no particular order.
pub(super) type Segments<'s> = HashMap<Segment<'s>, Vec<Placed<'s>>>;

/// All of them.
pub(super) fn segments(scene: Scene<'_>) -> Segments<'_> {
    let mut segments = Segments::new();
    for (namespace, name, definition) in scene.definitions() {
        if let Some(segment) = segment_of(definition) {
            segments.entry(segment).or_default().push(Placed { namespace, name, definition });
        }
    }
    segments
}

fn segment_of(definition: &AttachmentDefinition) -> Option<Segment<'_>> {
    if definition.ipam.pools.is_empty() || definition.ipam.failure().is_some() {
        return None;
    }
    let plugin = definition.plugin()?;
    let vlan = plugin.vlan.filter(|vlan| *vlan > 0);
    match &*plugin.kind {
        "macvlan" | "ipvlan" => Some(Segment::Interface(plugin.parent.as_deref(), None)),
        "vlan" => Some(Segment::Interface(Some(plugin.parent.as_deref()?), vlan)),
        kind @ ("bridge" | "ovs") => Some(Segment::Bridge(kind, plugin.bridge.as_deref(), vlan)),
        "sriov" => Some(Segment::Devices(definition.resource.as_deref()?, vlan)),
        // Others have networks of their own (OVN-Kubernetes), or nothing is known of where they lead.
        _ => None,
    }
}

impl<'s> Placed<'s> {
    fn key(&self) -> (&'s str, &'s str) {
        (self.namespace, self.name)
    }

    /// The name of its network: Multus takes that of the definition where the configuration has none (multus-cni
    /// `cniConfigFromNetworkResource`).
    fn network(&self) -> &'s str {
        self.definition.network.as_deref().unwrap_or(self.name)
    }

    fn reference(&self) -> AttachmentRef {
        AttachmentRef::new(self.namespace, self.name)
    }
}

/// What is found in the addresses of one definition that storage uses, and in what surrounds it.
pub(super) fn findings(checker: &Checker<'_>, used: Used<'_, '_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |rule, fault, mend: &str| {
        findings.push(Finding::new(rule, used.subject(), IPAM, fault, mend).with(used.users()));
    };
    let surroundings = &checker.settings().checks.surroundings;
    let ipam = &used.definition.ipam;
    let networks: Vec<IpNet> = ipam.ranges().map(|range| range.network).collect();
    // What takes the place of the pod network may have its addresses.
    if used.uses.iter().any(|user| user.network.place != Place::Default) {
        for (what, taken) in [("pods", &surroundings.pods), ("Services", &surroundings.services)] {
            if let Some((network, other)) = any_overlap(&networks, taken) {
                let fault =
                    format!("the range {network} has addresses in common with {other}, where {what} have theirs");
                add(Rule::OverlapsCluster, fault, &format!("choose a range outside of {other}"));
            }
        }
    }
    for range in ipam.ranges() {
        let mut of_hosts = surroundings.hosts.iter().map(|hosts| (hosts, AddressRange::all_of(*hosts)));
        let shared = of_hosts.find_map(|(hosts, addresses)| Some((hosts, range.first_in_common(&addresses)?)));
        if let Some((hosts, shared)) = shared {
            let fault = format!("{shared} can be handed out, and hosts have the addresses of {hosts}");
            add(Rule::OverlapsHosts, fault, &apart_from(&ipam.source, hosts));
        }
    }
    findings
}

/// How a definition is kept from handing out addresses, which depends on who does that.
fn apart_from(source: &Source, hosts: &IpNet) -> String {
    match source {
        Source::Whereabouts => format!("add \"{hosts}\" to exclude, or choose another range"),
        Source::Ovn(_) => format!("add {hosts} to excludeSubnets, or choose other subnets"),
        Source::HostLocal => {
            format!("choose rangeStart and rangeEnd so that {hosts} lies outside of them, or another subnet")
        }
        Source::Static => "choose another address".to_owned(),
        Source::Nobody | Source::Dhcp | Source::Resource(_) | Source::Unknown(_) => "choose another range".to_owned(),
    }
}

/// As many of the others as are named in a finding. There may be thousands, and each would name all the others.
pub(super) const NAMED: usize = 32;

/// The others that hand out addresses of a definition, of those that [`overlapping`] has found, where storage uses one of the two.
/// When everything is looked at, of two that storage uses the first by name tells; else the one that is looked at.
pub(super) fn with_others(
    checker: &Checker<'_>,
    name: &AttachmentRef,
    others: &[(Placed<'_>, IpAddr)],
) -> Option<Finding> {
    if others.is_empty() {
        return None;
    }
    let (uses, together) = (checker.uses_of(name), checker.together_with(name));
    let looks_at_all = checker.segments().is_some();
    let mut told = others.iter().filter(|(other, _)| {
        let reference = other.reference();
        let is_used = checker.is_used(&reference);
        let tells = match (uses.is_empty(), is_used) {
            (true, false) => false,
            (_, true) if looks_at_all => (&*name.namespace, &*name.name) < other.key(),
            _ => true,
        };
        tells && !together.contains(&reference)
    });
    let (first, shared) = told.next()?;
    let mut with = vec![Subject::attachment(first.namespace, first.name)];
    let mut of_others = uses.to_vec();
    of_others.extend(checker.uses_of(&first.reference()));
    let mut more = 0;
    for (other, _) in told {
        if with.len() < NAMED {
            with.push(Subject::attachment(other.namespace, other.name));
            of_others.extend(checker.uses_of(&other.reference()));
        }
        more += 1;
    }
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let fault = format!("{shared} can be handed out twice, here and by {}/{}{more}", first.namespace, first.name);
    with.extend(users(&of_others));
    let mend = "give each a range of its own, or exclude in each what the other hands out";
    Some(Finding::new(Rule::RangesOverlap, Subject::definition(name), IPAM, fault, mend).with(with))
}

/// The definitions that hand out the same addresses on the same segment, each with the first address that both do; by namespace
/// and name.
pub(super) fn overlapping<'c>(
    checker: &'c Checker<'_>,
    name: &AttachmentRef,
    definition: &'c AttachmentDefinition,
) -> Vec<(Placed<'c>, IpAddr)> {
    let Some(segment) = segment_of(definition) else { return Vec::new() };
    let own = Placed { namespace: &name.namespace, name: &name.name, definition };
    let compared = |other: Placed<'c>| {
        let is_itself = other.key() == own.key();
        let shared = if is_itself { None } else { handed_out_twice(own, other) };
        Some((other, shared?))
    };
    let mut found: Vec<(Placed<'c>, IpAddr)> = if let Some(segments) = checker.segments() {
        segments.get(&segment).into_iter().flatten().copied().filter_map(compared).collect()
    } else {
        // Of a thousand definitions this leaves few, and costs less than to find out where each leads.
        let own: Vec<&AddressRange> = definition.ipam.ranges().collect();
        let others = checker.scene.definitions().filter(|(_, _, other)| may_meet(&own, other));
        let others = others.filter(|(_, _, other)| segment_of(other) == Some(segment));
        let others = others.map(|(namespace, name, definition)| Placed { namespace, name, definition });
        others.filter_map(compared).collect()
    };
    found.sort_by_key(|(other, _)| other.key());
    found
}

/// Whether some of the ranges meets one of a definition; where there are many, they may.
fn may_meet(ranges: &[&AddressRange], other: &AttachmentDefinition) -> bool {
    ranges.len() > FEW || other.ipam.ranges().any(|theirs| ranges.iter().any(|range| range.meets(theirs)))
}

/// How many pairs of their ranges there are.
fn pairs(one: &AttachmentDefinition, other: &AttachmentDefinition) -> usize {
    one.ipam.ranges().count() * other.ipam.ranges().count()
}

/// The first address that two definitions of one segment both hand out, each without knowing of the other.
fn handed_out_twice(one: Placed<'_>, other: Placed<'_>) -> Option<IpAddr> {
    // host-local keeps its account by the name of the network.
    let is_one_network = one.network() == other.network();
    let (one, other) = (one.definition, other.definition);
    let sources = (&one.ipam.source, &other.ipam.source);
    if sources == (&Source::HostLocal, &Source::HostLocal) && is_one_network {
        return None;
    }
    let both_whereabouts = sources == (&Source::Whereabouts, &Source::Whereabouts);
    let one_account = both_whereabouts && one.ipam.account.name == other.ipam.account.name;
    if one_account && [one, other].iter().all(|definition| definition.ipam.account.reach == Reach::OfAllRanges) {
        return None;
    }
    // Definitions of whereabouts with the same range have one account, unless they name different ones.
    let twice = |range: &AddressRange, theirs: &AddressRange| {
        let is_one = one_account && range.network == theirs.network;
        if is_one { None } else { range.first_in_common(theirs) }
    };
    if pairs(one, other) <= FEW {
        let mut all = one.ipam.ranges().flat_map(|range| other.ipam.ranges().map(move |theirs| (range, theirs)));
        return all.find_map(|(range, theirs)| twice(range, theirs));
    }
    let theirs = Sorted::new(other.ipam.ranges());
    one.ipam.ranges().find_map(|range| theirs.in_common(range).into_iter().find_map(|theirs| twice(range, theirs)))
}

/// So many pairs of ranges are compared each with each.
const FEW: usize = 64;

/// Ranges by their networks: of thousands, only those are looked at that have addresses in common with another one.
struct Sorted<'r>(Vec<&'r AddressRange>);

impl<'r> Sorted<'r> {
    fn new(ranges: impl Iterator<Item = &'r AddressRange>) -> Self {
        let mut ranges: Vec<&AddressRange> = ranges.collect();
        ranges.sort_by_key(|range| range.network);
        Self(ranges)
    }

    /// Those whose networks have addresses in common with that of `range`, by their networks. Of two networks that do, one lies in
    /// the other.
    fn in_common(&self, range: &AddressRange) -> Vec<&'r AddressRange> {
        let (first, last) = (range.network.network(), range.network.broadcast());
        let from = |network: IpNet| &self.0[self.0.partition_point(|other| other.network < network)..];
        let around = (0..range.network.prefix_len()).filter_map(|length| IpNet::new(first, length).ok());
        // One that begins at the same address is among those that begin inside.
        let around = around.map(|network| network.trunc()).filter(|network| network.network() < first);
        let around = around.flat_map(|network| from(network).iter().take_while(move |other| other.network == network));
        let inside = &self.0[self.0.partition_point(|other| other.network.network() < first)..];
        around.chain(inside.iter().take_while(|other| other.network.network() <= last)).copied().collect()
    }
}

/// Whether one of some ranges is of this family.
pub(super) fn has_family<'r>(ranges: impl IntoIterator<Item = &'r IpNet>, family: Family) -> bool {
    ranges.into_iter().any(|range| Family::of_range(range) == family)
}
