//! Plugins whose addresses lie in resources of their own, which a definition at most names.
//!
//! The names are taken from each plugin's documentation: Calico's configuration reference, Kube-OVN's on attachment networks,
//! Mellanox/nvidia-k8s-ipam's README, and spiderpool's on the choice of pools. Nothing was run. The resources themselves are
//! never read here.

use ipnet::IpNet;

use super::pool::{AddressRange, Pool};
use super::read::Reader;
use super::{Ipam, OwnResource, Source};
use crate::network::cidr::{self, Family};
use crate::network::fields::{self, Object};

/// The type of Kube-OVN, both as a plugin and as one that others ask for addresses.
pub(super) const KUBE_OVN: &str = "kube-ovn";

/// Plugins that make an interface, and leave it without an address where no other plugin is named for that: those of
/// containernetworking/plugins, and of the projects for SR-IOV, InfiniBand, Open vSwitch and virtual machines.
const LEAVE_ADDRESSES_TO_OTHERS: [&str; 17] = [
    "macvlan",
    "ipvlan",
    "vlan",
    "bridge",
    "host-device",
    "ptp",
    "tap",
    "dummy",
    "sriov",
    "ib-sriov",
    "ipoib",
    "bond",
    "ovs",
    "macvtap",
    "vhost-user",
    "userspace",
    "cnv-bridge",
];

pub(super) fn leaves_addresses_to_others(plugin: &str) -> bool {
    LEAVE_ADDRESSES_TO_OTHERS.contains(&plugin)
}

/// Calico: pools by their names or their ranges. Where all are given as ranges, those are known; a pod gets one address of
/// each family, and those of the network and of the broadcast are as good as others.
pub(super) fn calico(ipam: &Object) -> Ipam {
    let mut reader = Reader::default();
    let mut names: Vec<&str> = Vec::new();
    let mut by_name = false;
    for (field, family) in [("ipv4_pools", Family::V4), ("ipv6_pools", Family::V6)] {
        let texts = reader.texts(ipam, field);
        let ranges: Vec<AddressRange> = texts.iter().filter_map(|text| cidr::parse_cidr(text)).map(whole).collect();
        by_name |= ranges.len() < texts.len() || ranges.iter().any(|range| Family::of_range(&range.network) != family);
        names.extend(texts);
        if !ranges.is_empty() {
            reader.pools.push(Pool { ranges: ranges.into() });
        }
    }
    if by_name {
        reader.pools.clear();
    }
    reader.finish(resource("IPPool", &names))
}

fn whole(range: IpNet) -> AddressRange {
    AddressRange::new(range, range.network(), range.broadcast())
}

/// Kube-OVN: the subnets whose provider is the one that is named.
pub(super) fn kube_ovn(object: &Object) -> Ipam {
    let mut reader = Reader::default();
    let provider = reader.keep(fields::filled(object, "provider"));
    reader.finish(resource("Subnet", provider.as_slice()))
}

/// NVIDIA's: one pool, or two divided by a comma.
pub(super) fn nv_ipam(ipam: &Object) -> Ipam {
    let kind = if matches!(fields::text(ipam, "poolType"), Ok(Some("cidrpool"))) { "CIDRPool" } else { "IPPool" };
    let mut reader = Reader::default();
    let names = reader.keep(fields::filled(ipam, "poolName")).unwrap_or_default();
    let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    reader.finish(resource(kind, &names))
}

/// spiderpool: pools to be tried one after the other, unless a pod or its namespace names others.
pub(super) fn spiderpool(ipam: &Object) -> Ipam {
    let mut reader = Reader::default();
    let mut names = Vec::new();
    for field in ["default_ipv4_ippool", "default_ipv6_ippool"] {
        names.extend(reader.texts(ipam, field));
    }
    reader.finish(resource("SpiderIPPool", &names))
}

fn resource(kind: &'static str, names: &[&str]) -> Source {
    Source::Resource(Box::new(OwnResource { kind, names: names.iter().map(|name| (*name).into()).collect() }))
}
