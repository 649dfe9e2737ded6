//! Addresses that are handed out, and how many of them there are.
//!
//! The bounds of a range always lie in its network, the first not after the last. Counting never goes through addresses one
//! by one: a range may have 2^128 of them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::network::cidr;

/// Ranges of which every pod gets one address: of whichever range has one left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The ranges, all of one family, in the order in which they are written.
    pub ranges: Box<[AddressRange]>,
}

/// A range of addresses to hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The network: its prefix length is what a pod's interface gets. No host bits are set.
    pub network: IpNet,
    /// The first address that is handed out.
    pub first: IpAddr,
    /// The last address that is handed out.
    pub last: IpAddr,
    /// What is never handed out, as it is written but without host bits.
    pub excluded: Box<[IpNet]>,
    /// The gateway.
    pub gateway: Gateway,
    /// Whether every node hands out of the whole.
    pub share: Share,
}

/// The gateway of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// None is known.
    None,
    /// It is told to pods, and may be handed out to one of them.
    Told(IpAddr),
    /// It is told to pods, and never handed out.
    Reserved(IpAddr),
}

/// What of a range a node hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    Whole,
    /// A range of its own of this prefix length, of which so many addresses are not for pods.
    PerNode {
        /// The prefix length.
        length: u8,
        /// How many addresses of each share are never handed out.
        kept: u8,
    },
}

/// What nodes hand out where each has a share of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// How many addresses for pods the largest share has. Exclusions and bounds are not taken away: they leave some shares whole.
    pub addresses: u128,
    /// How many nodes can have a share.
    pub nodes: u128,
}

/// How many pods can have an address of every pool at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many at most.
    Pods {
        /// The number.
        most: u32,
        /// Where that many fit.
        per: Scope,
    },
    /// More than there can be pods.
    Unlimited,
    /// That cannot be known from the definition.
    Unknown,
}

/// Where so many addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// On each node, which has an account or a share of its own.
    Node,
    /// In the whole cluster.
    Cluster,
}

impl Pool {
    /// A pool of one range.
    pub(super) fn of(range: AddressRange) -> Self {
        Self { ranges: Box::new([range]) }
    }

    /// How many addresses can be handed out, exclusions and reserved gateways taken away.
    #[must_use]
    pub fn addresses(&self) -> u128 {
        self.ranges.iter().fold(0, |sum, range| sum.saturating_add(range.addresses()))
    }

    /// The shares of nodes, where they have some: each node has one share of one of the ranges.
    #[must_use]
    pub fn shares(&self) -> Option<Shares> {
        self.ranges.iter().filter_map(AddressRange::shares).reduce(|one, other| Shares {
            addresses: one.addresses.max(other.addresses),
            nodes: one.nodes.saturating_add(other.nodes),
        })
    }
}

impl AddressRange {
    /// All of `network` from `first` to `last`, with nothing excluded.
    pub(super) fn new(network: IpNet, first: IpAddr, last: IpAddr) -> Self {
        Self {
            network: network.trunc(),
            first,
            last,
            excluded: Box::default(),
            gateway: Gateway::None,
            share: Share::Whole,
        }
    }

    /// Everything in a network, with nothing kept back.
    #[must_use]
    pub fn all_of(network: IpNet) -> Self {
        Self::new(network, network.network(), network.broadcast())
    }

    /// Whether an address lies between the bounds of both. It may be one that neither hands out.
    #[inline]
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        // Addresses of different families have an order too, by which all of one come first.
        self.first <= other.last && other.first <= self.last
    }

    /// The first address that both hand out.
    #[must_use]
    pub fn first_in_common(&self, other: &Self) -> Option<IpAddr> {
        if !self.meets(other) {
            return None;
        }
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        first_beside(self.taken(first, last).chain(other.taken(first, last)), first, last)
    }

    /// The first address that is handed out and lies in none of `networks`.
    #[must_use]
    pub fn first_outside(&self, networks: &[IpNet]) -> Option<IpAddr> {
        let inside = networks.iter().map(|network| (network.network(), network.broadcast()));
        first_beside(self.taken(self.first, self.last).chain(inside), self.first, self.last)
    }

    /// Whether `address` can be handed out, by the bounds and the exclusions.
    #[must_use]
    pub fn hands_out(&self, address: IpAddr) -> bool {
        self.network.contains(&address)
            && (self.first..=self.last).contains(&address)
            && !self.excluded.iter().any(|excluded| excluded.contains(&address))
            && self.gateway != Gateway::Reserved(address)
    }

    /// How many addresses can be handed out. Where nodes have shares this is what fits at most.
    #[must_use]
    pub fn addresses(&self) -> u128 {
        let whole = cidr::count(self.first, self.last).saturating_sub(self.taken_away());
        self.shares().map_or(whole, |shares| whole.min(shares.addresses.saturating_mul(shares.nodes)))
    }

    /// The shares of nodes, where they have some.
    #[must_use]
    pub fn shares(&self) -> Option<Shares> {
        let power = |bits: u8| 1_u128.checked_shl(u32::from(bits)).unwrap_or(u128::MAX);
        match self.share {
            Share::Whole => None,
            Share::PerNode { length, kept } => Some(Shares {
                addresses: power(self.network.max_prefix_len().saturating_sub(length)).saturating_sub(u128::from(kept)),
                nodes: power(length.saturating_sub(self.network.prefix_len())),
            }),
        }
    }

    /// What of the addresses from `first` to `last` is excluded, or is the reserved gateway.
    fn taken(&self, first: IpAddr, last: IpAddr) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let gateway = match self.gateway {
            Gateway::Reserved(gateway) => Some((gateway, gateway)),
            Gateway::None | Gateway::Told(_) => None,
        };
        let excluded = self.excluded.iter().map(|excluded| (excluded.network(), excluded.broadcast()));
        let taken = excluded.chain(gateway).filter(move |(start, end)| *start <= last && first <= *end);
        taken.map(move |(start, end)| (start.max(first), end.min(last)))
    }

    /// How many addresses between the bounds are excluded, or the reserved gateway; none is counted twice.
    fn taken_away(&self) -> u128 {
        let mut pieces: Vec<(IpAddr, IpAddr)> = self.taken(self.first, self.last).collect();
        pieces.sort_unstable();
        let mut taken = 0_u128;
        let mut reached: Option<IpAddr> = None;
        for (first, last) in pieces {
            match reached {
                Some(reached) if last <= reached => continue,
                // The piece begins where another has been counted already.
                Some(reached) if first <= reached => {
                    taken = taken.saturating_add(cidr::number(last) - cidr::number(reached));
                }
                _ => taken = taken.saturating_add(cidr::count(first, last)),
            }
            reached = Some(last);
        }
        taken
    }
}

/// The first address from `first` to `last` that lies in none of `pieces`, each of which is a first and a last address.
fn first_beside(pieces: impl Iterator<Item = (IpAddr, IpAddr)>, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
    let mut pieces: Vec<(IpAddr, IpAddr)> = pieces.collect();
    pieces.sort_unstable();
    let mut address = first;
    for (start, end) in pieces {
        if start > address {
            break;
        }
        if end >= last {
            return None;
        }
        if end >= address {
            address = cidr::after(end, 1);
        }
    }
    (address <= last).then_some(address)
}
