//! Whether a definition has addresses for all pods of those who use it, and where nodes have shares of a range, for all nodes.
//!
//! What a cluster's spec names is certain, and what Rook advises beyond that is only counted where the cluster says on how many
//! hosts it runs. What cannot be counted is never too much.

use super::checker::{Checker, Use, Used, by_declarer};
use super::pods::Networks;
use crate::network::ipam::{Capacity, Scope};

/// How many pods Rook advises to have room for on each host (network-providers.md: "10+ Rook pods per host").
const PODS_PER_HOST: u64 = 10;
/// How many of them are OSDs by Rook's own measure (`rook multus validation`, converged nodes).
const OSDS_PER_HOST: u64 = 3;

/// What a definition has too little of.
pub(super) struct Lack {
    /// What there is, and what is needed, as a clause.
    pub(super) fault: String,
    /// What to do about it, as a clause.
    pub(super) mend: &'static str,
}

/// What there is.
#[derive(Clone, Copy)]
struct Room {
    /// So many addresses,
    addresses: u64,
    /// there.
    per: Scope,
    /// The most nodes that can have pods; more than there can be where that is not limited.
    nodes: u64,
}

/// What there is too little of, if anything.
pub(super) fn lack<'s>(checker: &Checker<'s>, used: &Used<'_, 's>) -> Option<Lack> {
    let nodes = used.definition.ipam.nodes();
    let (addresses, per) = match used.definition.capacity() {
        Capacity::Pods { most, per } => (u64::from(most), per),
        // Then there may still be too few shares.
        Capacity::Unlimited if nodes.is_some() => (u64::MAX, Scope::Node),
        Capacity::Unlimited | Capacity::Unknown => return None,
    };
    let room = Room { addresses, per, nodes: nodes.map_or(u64::MAX, u64::from) };
    if room.is_enough(used) {
        return None;
    }
    let mut needs: Vec<(&Use<'_>, Needed)> = Vec::new();
    for uses in by_declarer(used.uses) {
        let needed = uses.iter().map(|user| needed(checker, user)).fold(Needed::default(), Needed::max);
        needs.extend(uses.first().map(|user| (user, needed)));
    }
    let larger = "give a larger range, or exclude less";
    // Clusters may share hosts, so that one alone has to need too many.
    if let Some((user, needed)) = needs.iter().max_by_key(|(_, needed)| needed.hosts)
        && needed.hosts > room.nodes
    {
        let (has, runs) = (count(room.nodes, "node"), count(needed.hosts, "host"));
        let fault = format!("it has shares for {has}, and {} runs on {runs}", user.declaration.declarer);
        return Some(Lack { fault, mend: "give a larger range, or smaller shares" });
    }
    let needed = needs.into_iter().fold(Needed::default(), |sum, (_, needed)| sum.plus(needed));
    let (has, who) = (count_of_addresses(addresses), used.in_words());
    let hosts = count(needed.hosts, "host");
    let fault = match per {
        Scope::Cluster if addresses < needed.certain => {
            format!("it has {has}, and {who} has at least {} pods that each need one", needed.certain)
        }
        Scope::Cluster if addresses < needed.advised => {
            format!("it has {has}, and {who} should have room for {} pods on {hosts}", needed.advised)
        }
        Scope::Node if needed.hosts > 0 && addresses < needed.advised / needed.hosts => {
            let each = needed.advised / needed.hosts;
            let fault = format!("it has {has} on each node, and {who} should have room for {each} pods on each");
            let mend = if nodes.is_some() { "give larger shares" } else { larger };
            return Some(Lack { fault, mend });
        }
        Scope::Node if room.in_all() < needed.certain => format!(
            "it has {} in all shares, and {who} has at least {} pods that each need one",
            count_of_addresses(room.in_all()),
            needed.certain
        ),
        Scope::Cluster | Scope::Node => return None,
    };
    Some(Lack { fault, mend: larger })
}

impl Room {
    /// Whether there is more than anybody could need. Who exactly needs how many takes longer to find out, and mostly need not be.
    fn is_enough(self, used: &Used<'_, '_>) -> bool {
        let clusters = || used.uses.iter().filter_map(|user| user.declaration.cluster);
        let pods = clusters().map(|cluster| {
            let named = cluster.size.roles.iter().map(|(_, pods)| *pods).chain([cluster.size.members]);
            named.fold(cluster.size.hosts.saturating_mul(PODS_PER_HOST), u64::max)
        });
        let pods = pods.fold(0, u64::saturating_add);
        match self.per {
            Scope::Cluster => self.addresses >= pods,
            Scope::Node => {
                let hosts = clusters().map(|cluster| cluster.size.hosts).max().unwrap_or_default();
                self.addresses >= PODS_PER_HOST && self.nodes >= hosts && self.in_all() >= pods
            }
        }
    }

    /// How many addresses all nodes have together.
    fn in_all(self) -> u64 {
        self.addresses.saturating_mul(self.nodes)
    }
}

fn count(number: u64, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

fn count_of_addresses(number: u64) -> String {
    if number == 1 { "1 address".to_owned() } else { format!("{number} addresses") }
}

/// How many pods want an address.
#[derive(Clone, Copy, Debug, Default)]
struct Needed {
    /// So many for certain.
    certain: u64,
    /// So many should have room,
    advised: u64,
    /// on so many hosts; none where that is not known.
    hosts: u64,
}

impl Needed {
    fn max(self, other: Self) -> Self {
        Self {
            certain: self.certain.max(other.certain),
            advised: self.advised.max(other.advised),
            hosts: self.hosts.max(other.hosts),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            certain: self.certain.saturating_add(other.certain),
            advised: self.advised.saturating_add(other.advised),
            hosts: self.hosts.saturating_add(other.hosts),
        }
    }
}

/// How many pods of a cluster want an address: for certain those that its spec names, and with room for more where it says on how
/// many hosts it runs. Of a network that one role alone has, or that some nodes have, nothing is certain.
fn needed<'s>(checker: &Checker<'s>, user: &Use<'s>) -> Needed {
    let declaration = user.declaration;
    let (Some(cluster), Some(key)) = (declaration.cluster, user.network.key()) else { return Needed::default() };
    let says_otherwise = |networks: Networks<'_>| {
        let of_roles = networks.declared.is_some_and(|declared| !declared.roles.is_empty());
        of_roles || !networks.node_interfaces().is_empty()
    };
    if declaration.networks().is_ok_and(says_otherwise) {
        return Needed::default();
    }
    if !declaration.says_hosts() {
        return Needed { certain: cluster.size.members, ..Needed::default() };
    }
    let hosts = cluster.size.hosts;
    let layout = checker.layouts.of(declaration);
    let mut roles = layout.roles_of(key);
    match (roles.next(), roles.next()) {
        (None, _) => Needed::default(),
        (Some(role), None) => {
            Needed { certain: cluster.size.of_role(role), advised: hosts.saturating_mul(OSDS_PER_HOST), hosts }
        }
        (Some(_), Some(_)) => {
            Needed { certain: cluster.size.members, advised: hosts.saturating_mul(PODS_PER_HOST), hosts }
        }
    }
}
