//! host-local: ranges of which each node hands out addresses, and keeps account alone.
//!
//! Read from containernetworking/plugins `plugins/ipam/host-local/backend/allocator` (`LoadIPAMConfig`,
//! `Range.Canonicalize`, `RangeSet.Canonicalize`). Whatever is wrong there makes the plugin refuse, with nothing corrected in
//! silence. The gateway is never handed out; where none is given it is the first address after that of the network.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::fault::{IpamFault, IpamProblem};
use super::pool::{AddressRange, Gateway, Pool};
use super::read::Reader;
use super::{Context, Ipam, Source};
use crate::network::cidr::{self, Family};
use crate::network::fields::{self, Mistyped, Object};

pub(super) fn read(ipam: &Object, context: Context<'_>) -> Ipam {
    let mut reader = Reader::default();
    reader.routes(ipam);
    let sets = reader.keep(sets(ipam).map(Some)).unwrap_or_default();
    let mut sets = reader.some("ranges", sets);
    // The older form, one range beside the type; the plugin puts it before the others.
    if fields::field(ipam, "subnet").is_some() {
        sets.insert(0, vec![ipam]);
    }
    let complete = !sets.is_empty();
    for set in sets {
        let set = reader.some("ranges", set);
        let ranges: Vec<AddressRange> = set.into_iter().filter_map(|object| range(&mut reader, object)).collect();
        check_families(&mut reader, &ranges);
        if !ranges.is_empty() {
            reader.pools.push(Pool { ranges: ranges.into() });
        }
    }
    if !complete && fields::field(ipam, "range").is_some() {
        reader.fails(IpamProblem::ForeignRange);
    } else if !complete && fields::field(ipam, "ranges").is_none_or(is_empty_list) {
        reader.fails(IpamProblem::NoRange);
    } else {
        reader.surprises(IpamProblem::PerNode);
    }
    for (one, other) in reader.overlaps() {
        reader.fails(IpamProblem::Overlap(one, other));
    }
    reader.one_of_each_family(context.version);
    reader.unreachable_gateways(context.kind);
    reader.finish(Source::HostLocal)
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// The list of lists of ranges.
fn sets(ipam: &Object) -> Result<Vec<Vec<&Object>>, IpamFault> {
    let mut sets = Vec::new();
    for set in fields::list(ipam, "ranges")? {
        let ranges = match set {
            Value::Array(ranges) => ranges.as_slice(),
            Value::Null => &[],
            Value::Object(_) => return Err(IpamFault::fails(IpamProblem::FlatRanges)),
            _ => return Err(Mistyped { field: "ranges", expected: "a list of lists" }.into()),
        };
        if ranges.is_empty() {
            return Err(IpamFault::fails(IpamProblem::EmptySet));
        }
        let objects: Option<Vec<&Object>> = ranges.iter().map(Value::as_object).collect();
        sets.push(objects.ok_or(Mistyped { field: "ranges", expected: "a list of lists of objects" })?);
    }
    Ok(sets)
}

/// One range, where it is whole.
fn range(reader: &mut Reader, object: &Object) -> Option<AddressRange> {
    let [start, end, gateway] = ["rangeStart", "rangeEnd", "gateway"].map(|field| reader.address(object, field));
    if fields::field(object, "subnet").is_none() {
        reader.fails(IpamProblem::NoRange);
    }
    let subnet = reader.range(object, "subnet")?;
    let network = subnet.trunc();
    if subnet.prefix_len() + 2 > subnet.max_prefix_len() {
        reader.fails(IpamProblem::TooSmall { network });
        return None;
    }
    if cidr::has_host_bits(&subnet) {
        reader.fails(IpamProblem::HostBits { cidr: subnet });
    }
    let usable = (cidr::after(network.network(), 1), last_address(&network));
    let first = bound(reader, "rangeStart", start, network, usable).unwrap_or(usable.0);
    let last = bound(reader, "rangeEnd", end, network, (first.min(usable.1), usable.1)).unwrap_or(usable.1);
    if last < first {
        reader.fails(IpamProblem::Reversed { first, last, most: usable.1.max(first) });
        return None;
    }
    if let Some(gateway) = gateway.filter(|gateway| !network.contains(gateway)) {
        reader.surprises(IpamProblem::GatewayOutside { gateway, network });
    }
    let gateway = gateway.unwrap_or_else(|| cidr::after(network.network(), 1));
    let range = AddressRange { gateway: Gateway::Reserved(gateway), ..AddressRange::new(network, first, last) };
    if range.addresses() == 0 {
        reader.fails(IpamProblem::NothingLeft { network });
    }
    Some(range)
}

/// A bound, which must lie in the network; those that make sense are `possible`.
fn bound(
    reader: &mut Reader,
    field: &'static str,
    address: Option<IpAddr>,
    network: IpNet,
    possible: (IpAddr, IpAddr),
) -> Option<IpAddr> {
    let address = address?;
    if network.contains(&address) {
        return Some(address);
    }
    reader.fails(IpamProblem::Bound { field, address, network, possible });
    None
}

/// The last address of a network, without that of a broadcast in IPv4.
fn last_address(network: &IpNet) -> IpAddr {
    match Family::of_range(network) {
        Family::V4 => cidr::before(network.broadcast()),
        Family::V6 => network.broadcast(),
    }
}

/// A pod gets one address of a set, so the set cannot be of both families.
fn check_families(reader: &mut Reader, ranges: &[AddressRange]) {
    let Some((first, others)) = ranges.split_first() else { return };
    let family = Family::of_range(&first.network);
    if let Some(other) = others.iter().find(|other| Family::of_range(&other.network) != family) {
        reader.fails(IpamProblem::MixedFamilies(first.network, other.network));
    }
}
