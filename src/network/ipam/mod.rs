//! Where the addresses of a network come from (IPAM), and which they are, as far as a definition says so.
//!
//! Each plugin that hands out addresses has a file of its own here, which reads its configuration by that plugin's rules:
//! what one refuses, another corrects in silence. What is read is an early estimate and no more. The plugin on the node has
//! the last word, and so has what a cluster declares itself (Rook's `addressRanges`): nothing here may override it.

mod elsewhere;
mod fault;
mod fixed;
mod host_local;
mod ovn;
mod pool;
mod read;
mod whereabouts;

use std::collections::HashSet;

use ipnet::IpNet;

pub use fault::{Effect, IpamFault, IpamProblem};
pub use ovn::Topology;
pub use pool::{AddressRange, Capacity, Gateway, Pool, Scope, Share, Shares};
pub use read::Route;

use super::cidr::Family;
use super::fields::{self, Object};
use super::name::AttachmentRef;

/// The most pods that are worth counting: more addresses than that are never a limit.
const UNCOUNTED: u128 = 1 << 31;

/// Where the addresses of a network come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipam {
    /// Who hands them out.
    pub source: Source,
    /// What is handed out; a pod gets one address of each.
    pub pools: Box<[Pool]>,
    /// Routes that pods get beside that to their own network.
    pub routes: Box<[Route]>,
    /// What is wrong.
    pub faults: Box<[IpamFault]>,
    /// Whether what other definitions hand out is heeded.
    pub account: Account,
}

/// What is looked at before an address is handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Which ranges are.
    pub reach: Reach,
    /// Under which name whereabouts keeps account, where one is given: accounts of different names know nothing of each other
    /// (`network_name`; whereabouts `IPPoolName` and `normalizeIP`).
    pub name: Option<Box<str>>,
}

/// Of which ranges there is one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// What has been handed out of the same range.
    #[default]
    OfRange,
    /// What whereabouts has handed out of any range (`enable_overlapping_ranges`, which is its default).
    OfAllRanges,
}

/// Who hands out addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody: interfaces have no addresses.
    Nobody,
    /// host-local, which keeps account on each node alone (containernetworking/plugins).
    HostLocal,
    /// static, which gives every pod the same ones, or those that it asks for (containernetworking/plugins).
    Static,
    /// A DHCP server in the network.
    Dhcp,
    /// k8snetworkplumbingwg/whereabouts, which keeps account for the whole cluster.
    Whereabouts,
    /// OVN-Kubernetes, in a network of this form.
    Ovn(Topology),
    /// A plugin that reads them from resources of its own.
    Resource(Box<OwnResource>),
    /// A plugin that is not known here, by its type.
    Unknown(Box<str>),
}

/// The resources in which a plugin keeps its ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnResource {
    /// Their kind, such as `IPPool`.
    pub kind: &'static str,
    /// How the definition names them: their names, or whatever the plugin looks them up by. Empty where the plugin chooses.
    pub names: Box<[Box<str>]>,
}

/// Why the networks of a definition's pods cannot be known from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworksUnknown<'d> {
    /// They lie in a file on the node.
    ReadFromNode,
    /// A DHCP server knows them.
    Dhcp,
    /// Pods get no address.
    NoIpam,
    /// The plugin of this type is not known here.
    PluginUnknown(&'d str),
    /// They lie in resources of the plugin.
    OwnResource(&'d OwnResource),
    /// Each pod asks for its own.
    PerPod,
    /// No pod can be attached: this is wrong.
    Invalid(&'d IpamFault),
}

/// What there is to know of a plugin in order to read where its addresses come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'c> {
    /// The plugin's configuration.
    pub(super) plugin: &'c Object,
    /// Its type.
    pub(super) kind: &'c str,
    /// The version of the specification that it says it follows.
    pub(super) version: Option<&'c str>,
    /// Which definition it stands in, where that is known.
    pub(super) definition: Option<&'c AttachmentRef>,
    /// How many plugins are called.
    pub(super) chained: usize,
}

impl Ipam {
    /// Reads where a plugin's addresses come from. There is no input for which that fails.
    pub(super) fn read(context: Context<'_>) -> Self {
        let nothing = Object::new();
        let ipam = fields::field(context.plugin, "ipam").and_then(serde_json::Value::as_object).unwrap_or(&nothing);
        let kind = fields::filled(ipam, "type").ok().flatten();
        match (context.kind, kind) {
            (ovn::PLUGIN, _) => ovn::read(context, kind),
            (elsewhere::KUBE_OVN, None) => elsewhere::kube_ovn(context.plugin),
            // Calico rewrites what it hands on to other plugins, so that nothing but its own can be read.
            ("calico", None | Some("calico-ipam")) | (_, Some("calico-ipam")) => elsewhere::calico(ipam),
            (kind @ "calico", Some(_)) => Self::from(Source::Unknown(kind.into())),
            (_, Some("host-local")) => host_local::read(ipam, context),
            (_, Some("static")) => fixed::read(ipam, context),
            (_, Some("dhcp")) => Self::from(Source::Dhcp),
            (_, Some("whereabouts")) => whereabouts::read(ipam, context),
            (_, Some(elsewhere::KUBE_OVN)) => elsewhere::kube_ovn(ipam),
            (_, Some("nv-ipam")) => elsewhere::nv_ipam(ipam),
            (_, Some("spiderpool")) => elsewhere::spiderpool(ipam),
            (_, Some(other)) => Self::from(Source::Unknown(other.into())),
            (kind, None) if elsewhere::leaves_addresses_to_others(kind) => Self::from(Source::Nobody),
            (kind, None) => Self::from(Source::Unknown(kind.into())),
        }
    }

    /// The ranges that the addresses of the network's pods lie in, each once and in the order in which they are written.
    ///
    /// # Errors
    /// Why that cannot be known.
    pub fn networks(&self) -> Result<Vec<IpNet>, NetworksUnknown<'_>> {
        if let Some(fault) = self.failure() {
            return Err(NetworksUnknown::Invalid(fault));
        }
        let mut seen = HashSet::new();
        let networks: Vec<IpNet> =
            self.ranges().map(|range| range.network).filter(|network| seen.insert(*network)).collect();
        if !networks.is_empty() {
            return Ok(networks);
        }
        Err(match &self.source {
            // What is missing in the definition, whereabouts looks for in a file of its own on the node.
            Source::HostLocal | Source::Whereabouts => NetworksUnknown::ReadFromNode,
            Source::Nobody | Source::Ovn(_) => NetworksUnknown::NoIpam,
            Source::Static => NetworksUnknown::PerPod,
            Source::Dhcp => NetworksUnknown::Dhcp,
            Source::Resource(resource) => NetworksUnknown::OwnResource(resource),
            Source::Unknown(plugin) => NetworksUnknown::PluginUnknown(plugin),
        })
    }

    /// The families of which every pod gets an address, as far as that is known.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = self.ranges().map(|range| Family::of_range(&range.network)).collect();
        families.sort_unstable();
        families.dedup();
        families
    }

    /// How many pods can be attached at the same time: a pod needs an address of every pool, so the smallest decides.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        let of_each = |pool: &Pool| match pool.shares() {
            Some(shares) => (shares.addresses, Scope::Node),
            None if self.source == Source::HostLocal => (pool.addresses(), Scope::Node),
            None => (pool.addresses(), Scope::Cluster),
        };
        let smallest = self.pools.iter().map(of_each).min_by_key(|(addresses, _)| *addresses);
        if self.failure().is_some() {
            let per = if self.source == Source::HostLocal { Scope::Node } else { Scope::Cluster };
            return Capacity::Pods { most: 0, per };
        }
        match smallest {
            None => Capacity::Unknown,
            Some((addresses, _)) if addresses >= UNCOUNTED => Capacity::Unlimited,
            Some((addresses, per)) => {
                u32::try_from(addresses).map_or(Capacity::Unlimited, |most| Capacity::Pods { most, per })
            }
        }
    }

    /// On how many nodes there can be pods, where each node has a share of its own; nothing where there is no such limit, or so
    /// high a one that there are never as many nodes.
    #[must_use]
    pub fn nodes(&self) -> Option<u32> {
        if self.failure().is_some() {
            return None;
        }
        self.pools.iter().filter_map(Pool::shares).map(|shares| shares.nodes).min()?.try_into().ok()
    }

    /// All ranges of all pools.
    pub fn ranges(&self) -> impl Iterator<Item = &AddressRange> {
        self.pools.iter().flat_map(|pool| &pool.ranges)
    }

    /// The first fault by which no pod can be attached.
    #[must_use]
    pub fn failure(&self) -> Option<&IpamFault> {
        self.faults.iter().find(|fault| fault.effect == Effect::Fails)
    }
}

impl From<Source> for Ipam {
    /// A source of which no more is known.
    fn from(source: Source) -> Self {
        Self {
            source,
            pools: Box::default(),
            routes: Box::default(),
            faults: Box::default(),
            account: Account::default(),
        }
    }
}

#[cfg(test)]
mod tests;
