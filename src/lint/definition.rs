//! Rules about one attachment definition: what it says, and whether that does for those who use it.
//!
//! A definition that no storage uses is judged by what no pod could be attached with. What only matters to storage is said of
//! those that storage uses: a virtual machine may well want a network without addresses.

use super::checker::{Checker, Use, Used, users};
use super::finding::{Finding, Subject};
use super::rule::Rule;
use crate::network::attachment::{AttachmentError, Chain, RESOURCE_ANNOTATION};
use crate::network::ipam::{Capacity, Effect, IpamFault, IpamProblem, Scope, Source};
use crate::network::plugin::Master;
use crate::network::{AttachmentDefinition, AttachmentRef, cidr};
use crate::storage::Treatment;

/// The field that holds the plugins.
pub(super) const CONFIG: &str = "spec.config";
/// Where a plugin says whence addresses come.
const IPAM: &str = "spec.config: ipam";
/// How many pods Rook advises to have room for on each host (network-providers.md: "10+ Rook pods per host").
const PODS_PER_HOST: u64 = 10;
/// How many of them are OSDs by Rook's own measure (`rook multus validation`, converged nodes).
const OSDS_PER_HOST: u64 = 3;
/// The plugins that keep pods from reaching their own host through the interface that they share.
const SHARING: [&str; 2] = ["macvlan", "ipvlan"];

/// A definition that Multus cannot load.
pub(super) fn unreadable(name: &AttachmentRef, error: &AttachmentError, uses: &[Use<'_>]) -> Finding {
    let subject = Subject::attachment(&name.namespace, &name.name);
    let fault = format!("Multus cannot load it: {error}");
    Finding::new(Rule::ConfigUnreadable, subject, CONFIG, fault, "mend the configuration").with(users(uses))
}

/// Everything that is found in one definition that Multus can load.
pub(super) fn findings(checker: &Checker<'_>, used: Used<'_>) -> Vec<Finding> {
    let mut found = Found { used, users: used.users(), findings: Vec::new() };
    found.faults();
    found.device();
    if !used.uses.is_empty() {
        found.addresses();
        found.master();
        found.room(checker);
        found.route_to_hosts(checker);
    }
    found.findings
}

/// Whether pods get an interface without an address, as far as that can be seen.
fn has_no_addresses(definition: &AttachmentDefinition) -> bool {
    match &definition.ipam.source {
        Source::Nobody => definition.chain != Chain::OnNode,
        Source::Ovn(_) => definition.ipam.pools.is_empty() && definition.ipam.failure().is_none(),
        Source::HostLocal
        | Source::Static
        | Source::Dhcp
        | Source::Whereabouts
        | Source::Resource(_)
        | Source::Unknown(_) => false,
    }
}

struct Found<'c> {
    used: Used<'c>,
    users: Vec<Subject>,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, rule: Rule, field: &str, fault: String, mend: &str) {
        let finding = Finding::new(rule, self.used.subject(), field, fault, mend);
        self.findings.push(finding.with(self.users.clone()));
    }

    fn faults(&mut self) {
        let definition = self.used.definition;
        for fault in definition.plugin_faults() {
            let rule = match fault.effect() {
                Effect::Fails => Rule::PluginRefuses,
                Effect::Surprises => Rule::PluginSurprises,
            };
            self.add(rule, CONFIG, fault.to_string(), &fault.mend());
        }
        for fault in definition.ipam_faults() {
            if let Some(rule) = self.rule_of(fault) {
                self.add(rule, IPAM, fault.to_string(), &fault.mend());
            }
        }
    }

    fn rule_of(&self, fault: &IpamFault) -> Option<Rule> {
        let is_used = !self.used.uses.is_empty();
        match (&fault.problem, fault.effect) {
            (IpamProblem::NothingLeft { .. }, _) => Some(Rule::RangeExcluded),
            (_, Effect::Fails) => Some(Rule::AddressesRefused),
            (IpamProblem::HostBits { .. }, Effect::Surprises) => Some(Rule::HostBits),
            // Which pods are meant makes all the difference here.
            (IpamProblem::PerNode, Effect::Surprises) => is_used.then_some(Rule::AddressesPerNode),
            (IpamProblem::SameForAll(_), Effect::Surprises) => is_used.then_some(Rule::StaticAddresses),
            (_, Effect::Surprises) => Some(Rule::AddressesSurprise),
        }
    }

    /// What makes a plugin fail that works with a device (sriov-cni: a `deviceID` is required, which Multus hands on from the
    /// resource of the definition).
    fn device(&mut self) {
        let Some(plugin) = self.used.definition.plugin() else { return };
        let needs_device = matches!(&*plugin.kind, "sriov" | "ib-sriov");
        if needs_device && plugin.device.is_none() && self.used.definition.resource.is_none() {
            let fault = format!("{} needs a device, and nothing says which", plugin.kind);
            let mend = "name the resource of the device plugin there, such as openshift.io/storage";
            self.add(Rule::DeviceUnnamed, &format!("metadata.annotations[{RESOURCE_ANNOTATION}]"), fault, mend);
        }
    }

    /// Where addresses come from, and whether that does for storage.
    fn addresses(&mut self) {
        let (definition, who) = (self.used.definition, self.used.in_words());
        if has_no_addresses(definition) {
            let mend = "add an ipam, such as whereabouts with a range for these pods";
            self.add(
                Rule::NoAddresses,
                CONFIG,
                format!("it gives pods no address, and {who} needs one for each"),
                mend,
            );
        }
        match definition.ipam.source {
            Source::Static if definition.ipam.ranges().next().is_none() && !self.asks_for_addresses() => {
                let fault = format!("static hands out no address by itself, and nothing in {who} asks for one");
                self.add(
                    Rule::StaticAddresses,
                    IPAM,
                    fault,
                    "use whereabouts, or another plugin that hands out addresses",
                );
            }
            Source::Dhcp => {
                let fault =
                    format!("a DHCP server hands out the addresses of {who}, so they may change with every restart");
                let mend = "see that the dhcp daemon of the CNI plugins runs on every node, and declare address ranges";
                self.add(Rule::DhcpAddresses, IPAM, fault, mend);
            }
            Source::Nobody
            | Source::Static
            | Source::HostLocal
            | Source::Whereabouts
            | Source::Ovn(_)
            | Source::Resource(_)
            | Source::Unknown(_) => {}
        }
    }

    fn asks_for_addresses(&self) -> bool {
        self.used.uses.iter().any(|user| !user.network.selection.addresses().is_empty())
    }

    /// macvlan and ipvlan take the interface of the default route where none is named (containernetworking/plugins
    /// `getDefaultRouteInterfaceName`).
    fn master(&mut self) {
        let plugin = self.used.definition.plugin();
        if let Some(plugin) = plugin.filter(|plugin| plugin.master() == Master::NodeDefault) {
            let fault = format!(
                "{} has no master, so it works on the interface of each node's default route, which carries everything else too",
                plugin.kind
            );
            self.add(
                Rule::MasterDefault,
                CONFIG,
                fault,
                "name the interface that leads to the storage network as master",
            );
        }
    }

    /// Whether there are addresses for all pods.
    fn room(&mut self, checker: &Checker<'_>) {
        let Capacity::Pods { most, per } = self.used.definition.capacity() else { return };
        if self.used.definition.ipam.failure().is_some() {
            return;
        }
        let (mut pods, mut hosts) = (0_u64, 0_u64);
        let mut counted: Vec<Subject> = Vec::new();
        for user in self.used.uses {
            let subject = user.declaration.subject();
            if !counted.contains(&subject) {
                let needed = needed(checker, user);
                pods = pods.saturating_add(needed.pods);
                hosts = hosts.saturating_add(needed.hosts);
                counted.push(subject);
            }
        }
        let needed = match per {
            Scope::Cluster => pods,
            Scope::Node => pods.checked_div(hosts).unwrap_or_default(),
        };
        if u64::from(most) >= needed {
            return;
        }
        let (each, who) = (if per == Scope::Node { " on each node" } else { "" }, self.used.in_words());
        let hosts = if hosts > 0 { format!(" on {hosts} hosts") } else { String::new() };
        let fault = format!("it has {most} addresses{each}, and {who} needs at least {needed}{hosts}");
        self.add(Rule::RangeTooSmall, IPAM, fault, "give a larger range, or exclude less");
    }

    /// The kubelet and the CSI drivers mount in the network of the host, which a macvlan or ipvlan interface does not reach over
    /// the interface that both share (Rook's network-providers.md, host configuration).
    fn route_to_hosts(&mut self, checker: &Checker<'_>) {
        let definition = self.used.definition;
        let shares = definition.plugin().is_some_and(|plugin| SHARING.contains(&&*plugin.kind));
        let is_mounted = |user: &Use<'_>| {
            let roles = user.declaration.system.into_iter().flat_map(|system| &system.roles);
            let mut at_risk = roles.filter_map(|role| match &role.treatment {
                Treatment::NeverTouch { at_risk, .. } => Some(at_risk),
                Treatment::Networks(_) | Treatment::NoNetwork(_) => None,
            });
            user.network.key().is_some_and(|key| at_risk.any(|keys| keys.contains(key)))
        };
        let Some(user) = self.used.uses.iter().find(|user| shares && is_mounted(user)) else { return };
        let Ok(networks) = definition.networks() else { return };
        let routes = &definition.ipam.routes;
        let hosts = &checker.settings().checks.surroundings.hosts;
        let reached = |host: &ipnet::IpNet| {
            networks.iter().any(|network| network.contains(host)) || routes.iter().any(|route| route.to.contains(host))
        };
        let fault = if hosts.is_empty() {
            // Hosts may have addresses of the network itself: what they have is excluded then.
            let has_room = definition.ipam.ranges().any(|range| !range.excluded.is_empty());
            if !routes.is_empty() || has_room {
                return;
            }
            "pods get no route but that to their own network, so hosts outside of it do not hear from them".to_owned()
        } else {
            let Some(host) = hosts.iter().find(|host| !reached(host)) else { return };
            format!("pods get no route to the hosts in {host}")
        };
        let fault = format!("{fault}, and the CSI driver of {} runs there", user.declaration.declarer);
        let mend = match hosts.first() {
            Some(host) => format!("add {{\"dst\": \"{host}\"}} to the routes of ipam"),
            None => "add the addresses of the hosts to the routes of ipam, and say them by --host-cidr to have this checked exactly".to_owned(),
        };
        self.add(Rule::NoRouteToHosts, IPAM, fault, &mend);
    }
}

struct Needed {
    pods: u64,
    hosts: u64,
}

/// How many pods of a cluster want an address: those that its spec names, and ten for each host where it says on which hosts it
/// runs; for a network of one role alone, three.
fn needed(checker: &Checker<'_>, user: &Use<'_>) -> Needed {
    let Some(cluster) = user.declaration.cluster else { return Needed { pods: 0, hosts: 0 } };
    let says_hosts = user.declaration.kind().is_some_and(|kind| !kind.size.hosts.is_empty());
    let hosts = match (says_hosts, cluster.size.hosts) {
        (false, _) => return Needed { pods: cluster.size.members, hosts: 0 },
        (true, hosts) => hosts,
    };
    let roles = user.network.key().map_or(0, |key| user.declaration.roles_of(key, checker.settings()).len());
    if roles == 1 {
        return Needed { pods: hosts.saturating_mul(OSDS_PER_HOST), hosts };
    }
    Needed { pods: hosts.saturating_mul(PODS_PER_HOST).max(cluster.size.members), hosts }
}

/// Whether a range and another have addresses in common.
pub(super) fn any_overlap(networks: &[ipnet::IpNet], others: &[ipnet::IpNet]) -> Option<(ipnet::IpNet, ipnet::IpNet)> {
    let pairs = networks.iter().flat_map(|network| others.iter().map(move |other| (*network, *other)));
    pairs.into_iter().find(|(network, other)| cidr::overlap(network, other))
}
