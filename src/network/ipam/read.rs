//! What the plugins that hand out addresses read in the same way: addresses, ranges, routes, and a list of fixed addresses.
//!
//! A reader goes on after a fault, so that the faults of a definition are told at once: the first [`TOLD`] of each effect,
//! for more help nobody and a definition may be made of faults. What a definition costs must never grow faster than its text,
//! so lists are looked at no further than their first [`LOOKED_AT`] entries, and a fault says so. What is excluded is looked at
//! to its end: nothing would be wrong with a long list, and without its end the rest would be taken for handed out.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use super::fault::{ADDRESS, Effect, IpamFault, IpamProblem};
use super::pool::{AddressRange, Gateway, Pool};
use super::{Account, Ipam, Source};
use crate::network::cidr;
use crate::network::fields::{self, Mistyped, Object};

/// The most entries of one list that are looked at.
const LOOKED_AT: usize = 1024;

/// The most faults of one effect that are told.
const TOLD: usize = 16;

/// Plugins that add every route of a pod to its interface, whatever the device.
const ADD_ROUTES: [&str; 4] = ["macvlan", "ipvlan", "vlan", "bridge"];

/// A route that pods get (containernetworking/cni `types.Route`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads, without host bits.
    pub to: IpNet,
    /// Over which address; where there is none, over the gateway, or straight from the interface.
    pub via: Option<IpAddr>,
}

/// Collects what is read, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) pools: Vec<Pool>,
    routes: Vec<Route>,
    faults: Vec<IpamFault>,
}

impl Reader {
    pub(super) fn finish(self, source: Source) -> Ipam {
        Ipam {
            source,
            pools: self.pools.into(),
            routes: self.routes.into(),
            faults: self.faults.into(),
            account: Account::default(),
        }
    }

    pub(super) fn fails(&mut self, problem: IpamProblem) {
        self.fault(IpamFault::fails(problem));
    }

    pub(super) fn surprises(&mut self, problem: IpamProblem) {
        self.fault(IpamFault::surprises(problem));
    }

    /// A fault once, however often it is met.
    pub(super) fn fault(&mut self, fault: IpamFault) {
        let alike = self.faults.iter().filter(|other| other.effect == fault.effect).count();
        if alike < TOLD && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Ranges that have addresses in common, of all pools: each with the one before it that reaches furthest.
    pub(super) fn overlaps(&self) -> Vec<(IpNet, IpNet)> {
        let mut ranges: Vec<&AddressRange> = self.pools.iter().flat_map(|pool| &pool.ranges).collect();
        ranges.sort_by_key(|range| range.first);
        let mut overlaps = Vec::new();
        let mut furthest: Option<&AddressRange> = None;
        for range in ranges {
            match furthest {
                Some(other) if range.first <= other.last => {
                    overlaps.push((other.network, range.network));
                    furthest = Some(if range.last > other.last { range } else { other });
                }
                _ => furthest = Some(range),
            }
        }
        overlaps
    }

    /// What was read, or its absence and a fault.
    pub(super) fn keep<T, E: Into<IpamFault>>(&mut self, read: Result<Option<T>, E>) -> Option<T> {
        read.unwrap_or_else(|fault| {
            self.fault(fault.into());
            None
        })
    }

    /// An address as Go's `net.IP` is read from JSON: an empty text is none.
    pub(super) fn address(&mut self, object: &Object, field: &'static str) -> Option<IpAddr> {
        let text = self.keep(fields::filled(object, field))?;
        let address = cidr::parse_address(text);
        if address.is_none() {
            self.fault(IpamFault::not_an_address(field, text));
        }
        address
    }

    /// A range as the CNI library's `IPNet` is read from JSON, host bits and all.
    pub(super) fn range(&mut self, object: &Object, field: &'static str) -> Option<IpNet> {
        let text = self.keep(fields::text(object, field))?;
        let range = cidr::parse_cidr(text);
        if range.is_none() {
            self.fault(IpamFault::not_a_cidr(field, text));
        }
        range
    }

    /// The entries of a list that are looked at.
    pub(super) fn some<T>(&mut self, field: &'static str, entries: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut entries = entries.into_iter();
        let some = entries.by_ref().take(LOOKED_AT).collect();
        if entries.next().is_some() {
            self.surprises(IpamProblem::TooMany { field, most: LOOKED_AT });
        }
        some
    }

    /// The texts of a list.
    pub(super) fn texts<'c>(&mut self, object: &'c Object, field: &'static str) -> Vec<&'c str> {
        let texts = self.all_texts(object, field);
        self.some(field, texts)
    }

    /// The texts of a list, however long it is.
    pub(super) fn all_texts<'c>(&mut self, object: &'c Object, field: &'static str) -> Vec<&'c str> {
        self.keep(fields::texts(object, field).map(Some)).unwrap_or_default()
    }

    /// The objects of a list. (Go reads a `null` among them as an empty one.)
    pub(super) fn objects<'c>(&mut self, object: &'c Object, field: &'static str) -> Vec<Option<&'c Object>> {
        let values = self.keep(fields::list(object, field).map(Some)).unwrap_or_default();
        if values.iter().all(|value| value.is_null() || value.is_object()) {
            return self.some(field, values.iter().map(Value::as_object));
        }
        self.fault(Mistyped { field, expected: "a list of objects" }.into());
        Vec::new()
    }

    pub(super) fn routes(&mut self, ipam: &Object) {
        for route in self.objects(ipam, "routes").into_iter().flatten() {
            let via = self.address(route, "gw");
            match self.range(route, "dst") {
                Some(to) => self.routes.push(Route { to: to.trunc(), via }),
                None if fields::field(route, "dst").is_none() => self.surprises(IpamProblem::NowhereRoute),
                None => {}
            }
        }
    }

    /// Routes over an address that the interface does not reach (containernetworking/plugins `ConfigureIface` adds each route to
    /// the interface, and Linux refuses one whose gateway needs a gateway itself). Only of plugins that surely add routes in this
    /// way: a device of sriov or host-device may be a program's, without any. Nothing is said of IPv6, where a router may announce
    /// more networks than the definition has; nor where another route of the list leads to the address without a gateway.
    pub(super) fn unreachable_gateways(&mut self, plugin: &str) {
        let fails = self.faults.iter().any(|fault| fault.effect == Effect::Fails);
        if self.pools.is_empty() || fails || !ADD_ROUTES.contains(&plugin) {
            return;
        }
        let networks = self.pools.iter().flat_map(|pool| &pool.ranges).map(|range| range.network);
        let direct = self.routes.iter().filter(|route| route.via.is_none()).map(|route| route.to);
        let reached: Vec<Ipv4Net> = networks.chain(direct).filter_map(of_four).collect();
        // Sorted, and none of them inside of another.
        let reached = Ipv4Net::aggregate(&reached);
        let is_reached = |via: &Ipv4Addr| {
            let after = reached.partition_point(|network| network.network() <= *via);
            after.checked_sub(1).is_some_and(|before| reached[before].contains(via))
        };
        let over = self.routes.iter().filter_map(|route| match route.via {
            Some(IpAddr::V4(via)) => Some((route.to, via)),
            Some(IpAddr::V6(_)) | None => None,
        });
        let unreachable: Vec<(IpNet, Ipv4Addr)> = over.filter(|(_, via)| !is_reached(via)).collect();
        for (to, via) in unreachable {
            self.fails(IpamProblem::UnreachableGateway { to, via });
        }
    }

    /// Addresses that every pod gets, of which static and whereabouts read the texts each in its own way.
    pub(super) fn fixed_addresses(&mut self, ipam: &Object, parse: impl Fn(&str) -> Option<IpNet>) {
        let nothing = Object::new();
        for object in self.objects(ipam, "addresses") {
            let object = object.unwrap_or(&nothing);
            let text = self.keep(fields::text(object, ADDRESS)).unwrap_or_default();
            let gateway = self.address(object, "gateway");
            let Some(address) = parse(text) else {
                self.fault(IpamFault::not_a_cidr(ADDRESS, text));
                continue;
            };
            if address.addr() == address.network() && address.prefix_len() + 1 < address.max_prefix_len() {
                self.surprises(IpamProblem::NetworkAddress(address));
            }
            self.surprises(IpamProblem::SameForAll(address.addr()));
            let mut range = AddressRange::new(address, address.addr(), address.addr());
            if let Some(gateway) = gateway {
                range.gateway = Gateway::Told(gateway);
                if !range.network.contains(&gateway) {
                    self.surprises(IpamProblem::GatewayOutside { gateway, network: range.network });
                }
            }
            self.pools.push(Pool::of(range));
        }
    }

    /// Whether a pod would get several addresses of a family by a version of the specification that has no place for them
    /// (host-local and static, `LoadIPAMConfig`). Where no version is given the oldest is meant.
    pub(super) fn one_of_each_family(&mut self, version: Option<&str>) {
        let version = match version {
            None | Some("") => "0.1.0 (which is meant where none is given)",
            Some(old @ ("0.1.0" | "0.2.0")) => old,
            Some(_) => return,
        };
        let of_four = |pool: &&Pool| pool.ranges.first().is_some_and(|range| range.first.is_ipv4());
        let four = self.pools.iter().filter(of_four).count();
        if four > 1 || self.pools.len() - four > 1 {
            self.fails(IpamProblem::OldVersion(version.into()));
        }
    }
}

fn of_four(network: IpNet) -> Option<Ipv4Net> {
    match network {
        IpNet::V4(network) => Some(network),
        IpNet::V6(_) => None,
    }
}
