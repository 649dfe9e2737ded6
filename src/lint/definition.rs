//! Rules about one attachment definition: what it says, and whether that does for those who use it.
//!
//! A definition that no storage uses is judged by what no pod could be attached with. What only matters to storage is said of
//! those that storage uses: a virtual machine may well want a network without addresses.

use super::checker::{Checker, Use, Used, users};
use super::declaration::Place;
use super::finding::{Finding, Subject};
use super::room;
use super::rule::Rule;
use crate::network::attachment::{AttachmentError, Chain, RESOURCE_ANNOTATION};
use crate::network::cidr::Family;
use crate::network::ipam::{AddressRange, Effect, IpamFault, IpamProblem, Source};
use crate::network::plugin::{Master, Plugin, PluginFault};
use crate::network::resource::ResourceFault;
use crate::network::{AttachmentDefinition, AttachmentRef, cidr};
use crate::storage::Treatment;

/// The field that holds the plugins.
pub(super) const CONFIG: &str = "spec.config";
/// Where a plugin says whence addresses come.
pub(super) const IPAM: &str = "spec.config: ipam";
/// Plugins that are called after the one that makes the interface, and give it no address.
const CHANGE_NO_ADDRESSES: [&str; 9] =
    ["tuning", "cnv-tuning", "sbr", "bandwidth", "portmap", "firewall", "vrf", "route-override", "rdma"];
/// What to do where static is meant to do what it does not.
const HANDS_OUT: &str = "use whereabouts, or another plugin that hands out an address for each pod";
/// The plugins that keep pods from reaching their own host through the interface that they share.
const SHARING: [&str; 2] = ["macvlan", "ipvlan"];

/// The field that names the resource of which every attachment needs a device.
pub(super) fn resource_field() -> String {
    format!("metadata.annotations[{RESOURCE_ANNOTATION}]")
}

/// A definition that Multus cannot load.
pub(super) fn unreadable(name: &AttachmentRef, error: &AttachmentError, uses: &[Use<'_>]) -> Finding {
    let subject = Subject::definition(name);
    let fault = format!("Multus cannot load it: {error}");
    Finding::new(Rule::ConfigUnreadable, subject, CONFIG, fault, "mend the configuration").with(users(uses))
}

/// Everything that is found in one definition that Multus can load.
pub(super) fn findings<'s>(checker: &Checker<'s>, used: Used<'_, 's>) -> Vec<Finding> {
    let mut found = Found { used, findings: Vec::new() };
    found.faults();
    if !used.uses.is_empty() {
        found.device();
        found.addresses();
        // Where a plugin refuses its configuration, what it would do otherwise does not matter yet.
        if plugins_work(used.definition) {
            found.master();
            found.room(checker);
            found.route_to_hosts(checker);
        }
    }
    found.findings
}

/// Whether no plugin refuses its configuration; what is wrong with the addresses is another matter.
fn plugins_work(definition: &AttachmentDefinition) -> bool {
    definition.plugin_faults().all(|fault| fault.effect() != Effect::Fails)
}

/// Whether pods get an interface without an address, as far as that can be seen: a plugin that is not known may give them one.
fn has_no_addresses(definition: &AttachmentDefinition) -> bool {
    let changes_no_addresses = |plugin: &Plugin| CHANGE_NO_ADDRESSES.contains(&&*plugin.kind);
    match &definition.ipam.source {
        Source::Nobody => {
            definition.chain != Chain::OnNode && definition.plugins().iter().skip(1).all(changes_no_addresses)
        }
        // static gives what stands there, and what a pod asks for.
        Source::Ovn(_) | Source::Static => definition.ipam.pools.is_empty() && definition.ipam.failure().is_none(),
        Source::HostLocal | Source::Dhcp | Source::Whereabouts | Source::Resource(_) | Source::Unknown(_) => false,
    }
}

struct Found<'c, 's> {
    used: Used<'c, 's>,
    findings: Vec<Finding>,
}

impl<'s> Found<'_, 's> {
    fn add(&mut self, rule: Rule, field: &str, fault: String, mend: &str) {
        let finding = Finding::new(rule, self.used.subject(), field, fault, mend);
        self.findings.push(finding.with(self.used.users()));
    }

    fn faults(&mut self) {
        let definition = self.used.definition;
        // What no storage uses may be meant in a way that is not known here, as long as it works.
        let is_used = !self.used.uses.is_empty();
        let matters = |effect: Effect| is_used || effect == Effect::Fails;
        for fault in definition.plugin_faults().filter(|fault| matters(fault.effect())) {
            let rule = match fault.effect() {
                Effect::Fails => Rule::PluginRefuses,
                Effect::Surprises => Rule::PluginSurprises,
            };
            self.add(rule, CONFIG, fault.to_string(), &fault.mend());
        }
        for fault in definition.ipam_faults().iter().filter(|fault| matters(fault.effect)) {
            match self.rule_of(fault) {
                Some(rule @ Rule::StaticAddresses) => self.add(rule, IPAM, fault.to_string(), HANDS_OUT),
                Some(rule) => self.add(rule, IPAM, fault.to_string(), &fault.mend()),
                None => {}
            }
        }
    }

    fn rule_of(&self, fault: &IpamFault) -> Option<Rule> {
        // Where no pod can be attached, it does not matter yet which pods would get what.
        let works = self.used.definition.ipam.failure().is_none();
        let is_any = |is_meant: fn(&Use<'_>) -> bool| works && self.used.uses.iter().any(is_meant);
        match (&fault.problem, fault.effect) {
            (IpamProblem::NothingLeft { .. }, _) => Some(Rule::RangeExcluded),
            (_, Effect::Fails) => Some(Rule::AddressesRefused),
            (IpamProblem::HostBits { .. }, Effect::Surprises) => Some(Rule::HostBits),
            // Which pods are meant makes all the difference here. A network of some nodes has ranges of these alone, what takes the
            // place of the pod network may have routes between the nodes, and on one host there is one account.
            (IpamProblem::PerNode, Effect::Surprises) => {
                let is_meant = |user: &Use<'_>| matches!(user.network.place, Place::Key(_));
                let [first, others @ ..] = self.used.uses else { return None };
                // Two clusters of one host each may be on two.
                let is_same = |other: &Use<'_>| other.declaration.subject() == first.declaration.subject();
                let is_on_one_host = has_one_host(first) && others.iter().all(is_same);
                (is_any(is_meant) && !is_on_one_host).then_some(Rule::AddressesPerNode)
            }
            (IpamProblem::SameForAll(_), Effect::Surprises) => is_any(is_for_many).then_some(Rule::StaticAddresses),
            (_, Effect::Surprises) => Some(Rule::AddressesSurprise),
        }
    }

    /// What makes a plugin fail that works with a device (sriov-cni: a `deviceID` is required, which Multus hands on from the
    /// resource of the definition), and what is no resource.
    fn device(&mut self) {
        let AttachmentDefinition { resource, resource_fault, .. } = self.used.definition;
        // A selection may name a device itself.
        let is_asked_for = || self.used.uses.iter().any(|user| user.network.selection.as_json().contains("deviceID"));
        let needs_device = |plugin: &&Plugin| {
            matches!(&*plugin.kind, "sriov" | "ib-sriov") && plugin.device.is_none() && !is_asked_for()
        };
        let in_need = self.used.definition.plugin().filter(needs_device).filter(|_| resource.is_none());
        let (rule, fault) = match (in_need, resource_fault) {
            (Some(plugin), None) => {
                (Rule::DeviceUnnamed, format!("{} needs a device, and nothing says which", plugin.kind))
            }
            (Some(plugin), Some(fault)) => {
                (Rule::DeviceUnnamed, format!("{} needs a device, and {fault}", plugin.kind))
            }
            (None, Some(fault)) => (Rule::ResourceInvalid, format!("{fault}, so no pod requests one")),
            (None, None) => return,
        };
        self.add(rule, &resource_field(), fault, ResourceFault::MEND);
    }

    /// Where addresses come from, and whether that does for storage.
    fn addresses(&mut self) {
        let (definition, who) = (self.used.definition, self.used.in_words());
        // Who selects pods by labels may give them addresses in another way.
        let is_of_system = self.used.uses.iter().any(|user| user.declaration.system.is_some());
        if is_of_system && has_no_addresses(definition) && !self.asks_for_addresses() {
            let mend = match definition.ipam.source {
                _ if definition.faults.contains(&PluginFault::IpamBeside) => {
                    "move ipam from beside plugins into the one that makes the interface"
                }
                Source::Static => HANDS_OUT,
                Source::Ovn(_) => "give subnets, beside topology",
                _ => "add an ipam, such as whereabouts with a range for these pods",
            };
            let fault = format!("it gives pods no address, and those of {who} need one");
            self.add(Rule::NoAddresses, CONFIG, fault, mend);
        }
        if definition.ipam.source == Source::Dhcp {
            let fault =
                format!("a DHCP server hands out the addresses of {who}, so they may change with every restart");
            let mend = "see that the dhcp daemon of the CNI plugins runs on every node, and declare address ranges";
            self.add(Rule::DhcpAddresses, IPAM, fault, mend);
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

    /// Whether there are addresses for all pods. An address for everybody is a fault of its own.
    fn room(&mut self, checker: &Checker<'s>) {
        let ipam = &self.used.definition.ipam;
        let is_shared = |fault: &IpamFault| matches!(fault.problem, IpamProblem::SameForAll(_));
        if ipam.failure().is_some() || ipam.faults.iter().any(is_shared) {
            return;
        }
        if let Some(lack) = room::lack(checker, &self.used) {
            self.add(Rule::RangeTooSmall, IPAM, lack.fault, lack.mend);
        }
    }

    /// The kubelet and the CSI drivers mount in the network of the host, which a macvlan or ipvlan interface does not reach over
    /// the interface that both share (Rook's network-providers.md, host configuration).
    fn route_to_hosts(&mut self, checker: &Checker<'_>) {
        let definition = self.used.definition;
        let shares = definition.plugin().is_some_and(|plugin| {
            // In its other modes ipvlan routes, and hosts need routes of another kind.
            SHARING.contains(&&*plugin.kind) && !matches!(plugin.mode.as_deref(), Some("l3" | "l3s"))
        });
        let is_mounted = |user: &Use<'_>| {
            let roles = user.declaration.system.into_iter().flat_map(|system| &system.roles);
            let mut at_risk = roles.filter_map(|role| match &role.treatment {
                Treatment::NeverTouch { at_risk, .. } => Some(at_risk),
                Treatment::Networks(_) | Treatment::NoNetwork(_) => None,
            });
            user.network.key().is_some_and(|key| at_risk.any(|keys| keys.contains(key)))
        };
        // Then the drivers themselves are on the network, and not on the host's.
        if checker.settings().attach_csi_node_plugins_and_risk_hung_mounts {
            return;
        }
        let Some(user) = self.used.uses.iter().find(|user| shares && is_mounted(user)) else { return };
        let Ok(networks) = definition.networks() else { return };
        let routes = &definition.ipam.routes;
        let hosts = &checker.settings().checks.surroundings.hosts;
        let reached = |host: &ipnet::IpNet| {
            networks.iter().any(|network| network.contains(host)) || routes.iter().any(|route| route.to.contains(host))
        };
        // Hosts that have no address of a family that the network has are reached by the other one.
        let families = definition.ipam.families();
        let mut hosts = hosts.iter().filter(|host| families.contains(&Family::of_range(host))).peekable();
        let is_told = !checker.settings().checks.surroundings.hosts.is_empty();
        let first = hosts.peek().copied();
        let fault = if is_told {
            let Some(host) = hosts.find(|host| !reached(host)) else { return };
            format!("pods get no route to the hosts in {host}")
        } else {
            // Hosts may have addresses of the network itself: what they have is not handed out then.
            let has_room = definition.ipam.ranges().any(leaves_room);
            if !routes.is_empty() || has_room {
                return;
            }
            "pods get no route but that to their own network, and every address of it may be handed out, so that hosts can have none there".to_owned()
        };
        let fault = format!("{fault}, and the CSI driver of {} runs there", user.declaration.declarer);
        let mend = match first.filter(|_| is_told) {
            Some(host) => format!("add {{\"dst\": \"{host}\"}} to the routes of ipam"),
            None => "add the addresses of the hosts to the routes of ipam, and name them by --host-cidr to have this checked exactly".to_owned(),
        };
        self.add(Rule::NoRouteToHosts, IPAM, fault, &mend);
    }
}

/// Whether some addresses of a range's network are never handed out, beside those that no plugin hands out and its gateway.
fn leaves_room(range: &AddressRange) -> bool {
    let network = range.network;
    let is_first = range.first <= cidr::after(network.network(), 1);
    let is_last = cidr::before(network.broadcast()) <= range.last;
    !range.excluded.is_empty() || !is_first || !is_last
}

/// Whether a network is for pods of which there surely are several at a time.
fn is_for_many(user: &Use<'_>) -> bool {
    user.declaration.is_for_many(user.network.place)
}

/// Whether a network is of a cluster that says it has one host.
fn has_one_host(user: &Use<'_>) -> bool {
    user.declaration.says_hosts() && user.declaration.cluster.is_some_and(|cluster| cluster.size.hosts == 1)
}

/// Whether a range and another have addresses in common.
pub(super) fn any_overlap(networks: &[ipnet::IpNet], others: &[ipnet::IpNet]) -> Option<(ipnet::IpNet, ipnet::IpNet)> {
    let pairs = networks.iter().flat_map(|network| others.iter().map(move |other| (*network, *other)));
    pairs.into_iter().find(|(network, other)| cidr::overlap(network, other))
}
