//! whereabouts: ranges of which addresses are handed out for the whole cluster.
//!
//! Read from k8snetworkplumbingwg/whereabouts 0.9 (`pkg/config/config.go`, `pkg/types/types.go`, `pkg/allocate/allocate.go`,
//! `pkg/iphelpers/iphelpers.go`, and of the shares of nodes `pkg/node-controller/controller.go` and
//! `pkg/storage/kubernetes/ipam.go`). It corrects much in silence: host bits are cut off, a bound that cannot be one is not looked
//! at. It never hands out the addresses of the network and of the broadcast, of IPv6 neither, and does hand out the gateway.
//! What the definition leaves out it takes from a file of its own on the node, so a missing range is no certain failure.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::fault::{IpamFault, IpamProblem};
use super::pool::{AddressRange, Gateway, Pool, Share};
use super::read::Reader;
use super::{Account, Context, Ipam, Reach, Source};
use crate::network::cidr;
use crate::network::fields::{self, Object};
use crate::network::foreign::shorten;

/// How many addresses of a node's share whereabouts keeps: that of the network, and that of the broadcast.
const KEPT: u8 = 2;

pub(super) fn read(ipam: &Object, context: Context<'_>) -> Ipam {
    let mut reader = Reader::default();
    reader.routes(ipam);
    let gateway = gateway(&mut reader, ipam);
    let share = share(&mut reader, ipam);
    // The range beside the type comes before the others. Only its own bounds are read sloppily, as the plugin's type has it.
    let mut ranges = Vec::new();
    if let Some(text) = reader.keep(fields::filled(ipam, "range")) {
        let bounds = ["range_start", "range_end"].map(|field| lenient_bound(&mut reader, ipam, field));
        ranges.extend(range(&mut reader, text, bounds, ipam));
    } else {
        for excluded in excluded(&mut reader, ipam) {
            reader.surprises(IpamProblem::Useless(excluded));
        }
    }
    for object in reader.objects(ipam, "ipRanges") {
        let nothing = Object::new();
        let object = object.unwrap_or(&nothing);
        let bounds = ["range_start", "range_end"].map(|field| reader.address(object, field));
        let text = reader.keep(fields::text(object, "range")).unwrap_or_default();
        ranges.extend(range(&mut reader, text, bounds, object));
    }
    for mut range in ranges {
        if let Some(gateway) = gateway.filter(|gateway| range.network.contains(gateway)) {
            if range.hands_out(gateway) {
                reader.surprises(IpamProblem::GatewayHandedOut(gateway));
            }
            range.gateway = Gateway::Told(gateway);
        }
        if let Some(length) = share {
            let network = range.network;
            // A longer one would leave no address beside those that are kept.
            let possible = (network.prefix_len(), network.max_prefix_len() - 2);
            if (possible.0..=possible.1).contains(&length) {
                range.share = Share::PerNode { length, kept: KEPT };
            } else {
                reader.fails(IpamProblem::Share { network, length, possible: Some(possible) });
            }
        }
        if range.addresses() == 0 {
            reader.fails(IpamProblem::NothingLeft { network: range.network });
        }
        reader.pools.push(Pool::of(range));
    }
    for (one, other) in reader.overlaps() {
        reader.surprises(IpamProblem::Overlap(one, other));
    }
    reader.fixed_addresses(ipam, cidr::parse_cidr_sloppily);
    let has_range = fields::filled(ipam, "range") != Ok(None) || fields::list(ipam, "ipRanges") != Ok(&[]);
    if !has_range && reader.pools.is_empty() {
        reader.surprises(IpamProblem::NoRange);
    }
    reader.unreachable_gateways(context.kind);
    let reach = match fields::field(ipam, "enable_overlapping_ranges").and_then(Value::as_bool) {
        Some(false) => Reach::OfRange,
        Some(true) | None => Reach::OfAllRanges,
    };
    let name = reader.keep(fields::filled(ipam, "network_name")).map(Into::into);
    Ipam { account: Account { reach, name }, ..reader.finish(Source::Whereabouts) }
}

/// One range, where it is whole: `network/length`, or `first-last/length`, whose bounds then are the only ones.
fn range(reader: &mut Reader, text: &str, [start, end]: [Option<IpAddr>; 2], object: &Object) -> Option<AddressRange> {
    let excluded = excluded(reader, object);
    let (written, bounds) = match text.split_once('-') {
        None => (cidr(reader, text)?, [start, end]),
        Some((first, last)) => {
            if text.contains(char::is_whitespace) {
                reader.fails(IpamProblem::Spaces(shorten(text).into()));
                return None;
            }
            let Some(first) = address(reader, "range", first) else {
                reader.fault(IpamFault::not_an_address("range", first));
                return None;
            };
            let last = cidr(reader, last)?;
            let network = last.trunc();
            if !network.contains(&first) {
                let (least, most) = usable(network);
                let most = if (least..=most).contains(&last.addr()) { last.addr() } else { most };
                let possible = (least.min(most), most);
                reader.fails(IpamProblem::Bound { field: "range", address: first, network, possible });
                return None;
            }
            (last, [Some(first), Some(last.addr())])
        }
    };
    let network = written.trunc();
    if !text.contains('-') && cidr::has_host_bits(&written) {
        reader.surprises(IpamProblem::HostBits { cidr: written });
    }
    if network.prefix_len() + 2 > network.max_prefix_len() {
        reader.fails(IpamProblem::TooSmall { network });
        return None;
    }
    let (least, most) = usable(network);
    let mut range = AddressRange::new(network, least, most);
    let [start, end] = bounds;
    if let Some(start) = start {
        range.first = bound(reader, "range_start", start, &range).unwrap_or(range.first);
    }
    // What of the network comes before the start would be an end otherwise: it is the start that makes it none.
    let is_reversed = |end: IpAddr| least <= end && end < range.first;
    match end {
        Some(last) if is_reversed(last) => {
            reader.surprises(IpamProblem::Reversed { first: range.first, last, most });
        }
        Some(end) => range.last = bound(reader, "range_end", end, &range).unwrap_or(range.last),
        None => {}
    }
    for excluded in &excluded {
        if !cidr::overlap(&network, excluded) {
            reader.surprises(IpamProblem::Useless(*excluded));
        }
    }
    range.excluded = excluded.into();
    Some(range)
}

/// The first and the last address that whereabouts hands out of a network. A network too small for that has them the wrong way
/// round.
fn usable(network: IpNet) -> (IpAddr, IpAddr) {
    (cidr::after(network.network(), 1), cidr::before(network.broadcast()))
}

/// A bound, where whereabouts obeys it: one of the addresses that it would hand out otherwise (`GetIPRange`). The addresses
/// of the network and of the broadcast change nothing, and are no fault: they say "all of it".
fn bound(reader: &mut Reader, field: &'static str, address: IpAddr, range: &AddressRange) -> Option<IpAddr> {
    if (range.first..=range.last).contains(&address) {
        return Some(address);
    }
    let network = range.network;
    let says_all = if field == "range_start" { network.network() } else { network.broadcast() };
    if address != says_all {
        let possible = (range.first, range.last);
        reader.surprises(IpamProblem::Bound { field, address, network, possible });
    }
    None
}

fn cidr(reader: &mut Reader, text: &str) -> Option<IpNet> {
    let range = cidr::parse_cidr_sloppily(text);
    match range {
        None => reader.fault(IpamFault::not_a_cidr("range", text)),
        Some(_) if cidr::parse_cidr(text).is_none() => leading_zeros(reader, "range", text),
        Some(_) => {}
    }
    range
}

fn address(reader: &mut Reader, field: &'static str, text: &str) -> Option<IpAddr> {
    let address = cidr::parse_address_sloppily(text)?;
    if cidr::parse_address(text).is_none() {
        leading_zeros(reader, field, text);
    }
    Some(address)
}

fn leading_zeros(reader: &mut Reader, field: &'static str, text: &str) {
    reader.surprises(IpamProblem::LeadingZeros { field, text: shorten(text).into() });
}

/// A bound beside the type; what is no address is not looked at (`backwardsCompatibleIPAddress`).
fn lenient_bound(reader: &mut Reader, ipam: &Object, field: &'static str) -> Option<IpAddr> {
    let text = reader.keep(fields::filled(ipam, field))?;
    let address = address(reader, field, text);
    if address.is_none() {
        reader.surprises(IpamProblem::NotAnAddress { field, text: shorten(text).into() });
    }
    address
}

fn gateway(reader: &mut Reader, ipam: &Object) -> Option<IpAddr> {
    let text = reader.keep(fields::filled(ipam, "gateway"))?;
    let gateway = address(reader, "gateway", text);
    if gateway.is_none() {
        reader.fault(IpamFault::not_an_address("gateway", text));
    }
    gateway
}

/// The prefix length of the nodes' shares, where they have some; a slash before it may be left out. The range is divided into
/// shares of that length, of which each node is given one (`DivideRangeBySize`, `assignNodeToSlice`), and hands out nothing of the
/// others (`getNodeSlicedRangeAndPoolConfiguration`): where they run out, a node has none.
fn share(reader: &mut Reader, ipam: &Object) -> Option<u8> {
    let text = reader.keep(fields::filled(ipam, "node_slice_size"))?;
    let length = text.strip_prefix('/').unwrap_or(text).parse().ok();
    if length.is_none() {
        reader.fails(IpamProblem::FieldType { field: "node_slice_size", expected: "a prefix length such as \"/24\"" });
    }
    length
}

/// What is excluded: ranges, or addresses alone (`parseExcludedRange`).
fn excluded(reader: &mut Reader, object: &Object) -> Vec<IpNet> {
    let mut excluded = Vec::new();
    for text in reader.all_texts(object, "exclude") {
        match cidr::parse_cidr(text).or_else(|| cidr::parse_address(text).map(IpNet::from)) {
            Some(range) => excluded.push(range.trunc()),
            None => reader.fault(IpamFault::not_a_cidr("exclude", text)),
        }
    }
    excluded
}
