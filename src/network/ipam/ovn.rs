//! OVN-Kubernetes, which hands out addresses itself and has no `ipam` in its configuration.
//!
//! Read from ovn-kubernetes/ovn-kubernetes `go-controller/pkg/config/cni.go`, `pkg/util/multi_network.go` (`ValidateNetConf`,
//! `parseNetworkSubnets`), `pkg/config/utils.go` (`ParseClusterSubnetEntriesWithDefaults`) and `pkg/allocator/ip`
//! (`NewAllocatorCIDRRange`). Whatever is wrong, no pod is attached: the network is never made. Whether a range collides with
//! the cluster's own is known to OVN-Kubernetes alone.

use ipnet::IpNet;

use super::fault::{IpamFault, IpamProblem};
use super::pool::{AddressRange, Pool, Share};
use super::read::Reader;
use super::{Context, Ipam, Source};
use crate::network::cidr::{self, Family};
use crate::network::fields::{self, Object};
use crate::network::foreign::shorten;

/// The type of its plugin.
pub(super) const PLUGIN: &str = "ovn-k8s-cni-overlay";

/// How many addresses of an IPv6 range it hands out at most, that of the network counted with them.
const MOST_OF_SIX: u128 = 65536;

/// How many addresses of a node's share are not for pods: those of the network, of the broadcast and of the gateway.
const KEPT: u8 = 3;

/// The prefix length of a node's share that is not written, and the only one there is in IPv6.
const SHARE_OF_FOUR: u8 = 24;
const SHARE_OF_SIX: u8 = 64;

/// Fields that no other network may have.
const ONLY_LAYER2: [&str; 3] = ["reservedSubnets", "infrastructureSubnets", "defaultGatewayIPs"];

/// The form of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// The cluster's own network, which is configured elsewhere.
    Default,
    /// One segment for the whole cluster.
    Layer2,
    /// A segment for each node, with routes between them.
    Layer3,
    /// A network of the nodes' surroundings.
    Localnet,
    /// None that there is.
    Unknown,
}

pub(super) fn read(context: Context<'_>, ipam_type: Option<&str>) -> Ipam {
    let plugin = context.plugin;
    let mut reader = Reader::default();
    let topology = topology(&mut reader, plugin);
    if topology == Topology::Default {
        return Ipam { faults: reader.finish(Source::Nobody).faults, ..Ipam::from(Source::Unknown(PLUGIN.into())) };
    }
    if ipam_type.is_some() {
        reader.fails(IpamProblem::IpamBesideOvn);
    }
    if context.chained > 1 {
        reader.fails(IpamProblem::Chained);
    }
    let written = reader.keep(fields::text(plugin, "netAttachDefName")).unwrap_or_default();
    if let Some(expected) = context.definition.map(ToString::to_string)
        && written != expected
    {
        let (written, expected) = (shorten(written).into(), expected.into());
        reader.fails(IpamProblem::DefinitionName { written, expected });
    }
    let subnets = items(&mut reader, plugin, "subnets");
    let mut ranges: Vec<AddressRange> =
        reader.some("subnets", subnets).into_iter().filter_map(|item| range(&mut reader, topology, item)).collect();
    if ranges.is_empty() && topology == Topology::Layer3 {
        reader.fails(IpamProblem::NoRange);
    }
    for field in ONLY_LAYER2 {
        let given = reader.keep(fields::filled(plugin, field)).is_some();
        if given && topology != Topology::Layer2 {
            reader.fails(IpamProblem::OnlyLayer2 { field });
        }
    }
    if topology != Topology::Layer3 {
        exclude(&mut reader, plugin, &mut ranges);
    }
    for range in &ranges {
        if range.addresses() == 0 {
            reader.fails(IpamProblem::NothingLeft { network: range.network });
        }
    }
    // A pod of layer3 gets an address of its node's share, and ranges of a family are one another's continuation.
    if topology == Topology::Layer3 {
        for family in [Family::V4, Family::V6] {
            let of_family = |range: &&AddressRange| Family::of_range(&range.network) == family;
            let ranges: Box<[AddressRange]> = ranges.iter().filter(of_family).cloned().collect();
            if !ranges.is_empty() {
                reader.pools.push(Pool { ranges });
            }
        }
    } else {
        reader.pools = ranges.into_iter().map(Pool::of).collect();
    }
    for (one, other) in reader.overlaps() {
        // Of localnet it does not compare them.
        match topology {
            Topology::Localnet => reader.surprises(IpamProblem::Overlap(one, other)),
            _ => reader.fails(IpamProblem::Overlap(one, other)),
        }
    }
    reader.finish(Source::Ovn(topology))
}

fn topology(reader: &mut Reader, plugin: &Object) -> Topology {
    match reader.keep(fields::text(plugin, "topology")).unwrap_or_default() {
        "" => Topology::Default,
        "layer2" => Topology::Layer2,
        "layer3" => Topology::Layer3,
        "localnet" => Topology::Localnet,
        other => {
            reader.fails(IpamProblem::Topology(shorten(other).into()));
            Topology::Unknown
        }
    }
}

/// The items of a list in one text. A blank text has none.
fn items<'c>(reader: &mut Reader, plugin: &'c Object, field: &'static str) -> Vec<&'c str> {
    let text = reader.keep(fields::text(plugin, field)).unwrap_or_default();
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(str::trim).collect()
}

/// One of the network's ranges; in layer3, the prefix length of a node's share may follow.
fn range(reader: &mut Reader, topology: Topology, item: &str) -> Option<AddressRange> {
    let parts: Vec<&str> = item.splitn(3, '/').collect();
    let written = match parts.as_slice() {
        [address, length] => cidr::parse_cidr(&format!("{address}/{length}")),
        [address, length, _] if topology == Topology::Layer3 => cidr::parse_cidr(&format!("{address}/{length}")),
        _ => None,
    };
    let Some(written) = written else {
        reader.fault(IpamFault::not_a_cidr("subnets", item));
        return None;
    };
    if cidr::has_host_bits(&written) {
        reader.surprises(IpamProblem::HostBits { cidr: written });
    }
    let network = written.trunc();
    if topology == Topology::Layer3 {
        let share = parts.get(2).map(|share| share.parse::<u8>());
        return match share {
            Some(Err(_)) => {
                reader.fault(IpamFault::not_a_cidr("subnets", item));
                None
            }
            Some(Ok(length)) => shared(reader, network, length),
            None if Family::of_range(&network) == Family::V4 => shared(reader, network, SHARE_OF_FOUR),
            None => shared(reader, network, SHARE_OF_SIX),
        };
    }
    let first = cidr::after(network.network(), 1);
    let last = match Family::of_range(&network) {
        Family::V4 => cidr::before(network.broadcast()),
        Family::V6 => network.broadcast().min(cidr::after(network.network(), MOST_OF_SIX - 1)),
    };
    if last < first || !network.contains(&first) {
        reader.fails(IpamProblem::TooSmall { network });
        return None;
    }
    Some(AddressRange::new(network, first, last))
}

/// A range that nodes have shares of.
fn shared(reader: &mut Reader, network: IpNet, length: u8) -> Option<AddressRange> {
    let longer = network.prefix_len().saturating_add(1);
    let (least, most) = match Family::of_range(&network) {
        // A longer one would have none but the addresses that are kept.
        Family::V4 => (longer, network.max_prefix_len() - 2),
        Family::V6 => (longer.max(SHARE_OF_SIX), SHARE_OF_SIX),
    };
    if !(least..=most).contains(&length) {
        reader.fails(IpamProblem::Share { network, length, possible: (least <= most).then_some((least, most)) });
        return None;
    }
    let range = AddressRange::new(network, network.network(), network.broadcast());
    Some(AddressRange { share: Share::PerNode { length, kept: KEPT }, ..range })
}

/// Takes away what is excluded, which must lie in a range, and what is kept for pods that ask for an address.
fn exclude(reader: &mut Reader, plugin: &Object, ranges: &mut [AddressRange]) {
    let mut excluded = vec![Vec::new(); ranges.len()];
    let nested = Nested::of(ranges);
    for field in ["excludeSubnets", "reservedSubnets"] {
        for item in items(reader, plugin, field) {
            let Some(item) = cidr::parse_cidr(item).map(|excluded| excluded.trunc()) else {
                reader.fault(IpamFault::not_a_cidr(field, item));
                continue;
            };
            match nested.first_around(&item) {
                Some(index) => excluded[index].push(item),
                None => reader.fails(IpamProblem::Useless(item)),
            }
        }
    }
    for (range, excluded) in ranges.iter_mut().zip(excluded) {
        range.excluded = excluded.into();
    }
}

/// The ranges by their first addresses, a larger one before those inside of it. A list of exclusions is read to its end, and so
/// must not be compared with every range.
struct Nested(Vec<Nest>);

struct Nest {
    network: IpNet,
    /// Where the smallest of the ranges around it stands.
    around: Option<usize>,
    /// Which of this one and those around it is written first.
    first: usize,
}

impl Nested {
    fn of(ranges: &[AddressRange]) -> Self {
        let mut sorted: Vec<(IpNet, usize)> =
            ranges.iter().enumerate().map(|(index, range)| (range.network, index)).collect();
        sorted.sort_unstable();
        let mut nested = Self(Vec::with_capacity(sorted.len()));
        for (network, index) in sorted {
            let around = nested.around(nested.0.len(), &network);
            let first = around.map_or(index, |around| nested.0[around].first.min(index));
            nested.0.push(Nest { network, around, first });
        }
        nested
    }

    /// The first range, as they are written, that has all of `item`.
    fn first_around(&self, item: &IpNet) -> Option<usize> {
        let after = self.0.partition_point(|nest| nest.network <= *item);
        self.around(after, item).map(|around| self.0[around].first)
    }

    /// The smallest range around `network` of those before the place `end`: the one just before, or one around that.
    fn around(&self, end: usize, network: &IpNet) -> Option<usize> {
        let mut around = end.checked_sub(1);
        while let Some(place) = around
            && !self.0[place].network.contains(network)
        {
            around = self.0[place].around;
        }
        around
    }
}
