//! Rules about what is declared: by a cluster's own resource, or by a StorageNetwork.

use ipnet::IpNet;

use super::address_ranges;
use super::checker::{Checker, is_ours};
use super::declaration::{Declaration, DeclaredNetwork, Place};
use super::finding::{Finding, Subject};
use super::pods::{Networks, Obstacle};
use super::rivals::{Neighbours, Rival};
use super::rule::Rule;
use crate::network::cidr::{self, Family};
use crate::network::ipam::Source;
use crate::network::spec::{Addressing, ProblemKind};
use crate::network::{AttachmentDefinition, NetworkKey, NetworkSelection, Provider, SpecProblem};
use crate::world::{AttachmentState, Declarer, DeviceResources, Isolation, Knowledge, Mode, StorageNetwork, Target};

/// Everything that is found in one declaration.
pub(super) fn findings(checker: &Checker<'_>, declaration: Declaration<'_>) -> Vec<Finding> {
    let mut found = Found { checker, declaration, findings: Vec::new() };
    found.problems();
    if let Declarer::StorageNetwork(network) = declaration.declarer {
        found.references(network);
    }
    let Ok(networks) = declaration.networks() else { return found.findings };
    found.host_network();
    for network in declaration.attached() {
        found.reference(network);
        found.request(network);
    }
    found.pods(networks);
    found.keys(networks);
    found.address_ranges(networks);
    found.devices();
    found.findings
}

struct Found<'c, 's> {
    checker: &'c Checker<'s>,
    declaration: Declaration<'s>,
    findings: Vec<Finding>,
}

impl<'s> Found<'_, 's> {
    fn add(&mut self, rule: Rule, field: &str, fault: String, mend: &str) {
        self.findings.push(Finding::new(rule, self.declaration.subject(), field, fault, mend));
    }

    /// The same, where a definition has a part in it.
    fn add_with(&mut self, rule: Rule, field: &str, fault: String, mend: &str, selections: &[&NetworkSelection]) {
        let named = selections.iter().map(|selection| &selection.attachment);
        let with = named.map(|name| Subject::attachment(&name.namespace, &name.name)).collect();
        self.findings.push(Finding::new(rule, self.declaration.subject(), field, fault, mend).with(with));
    }

    fn definition(&self, selection: &NetworkSelection) -> Option<&'s AttachmentDefinition> {
        match self.checker.scene.attachment(&selection.attachment) {
            AttachmentState::Usable(definition) => Some(definition),
            AttachmentState::Malformed(_) | AttachmentState::Missing | AttachmentState::Unknown => None,
        }
    }

    fn problems(&mut self) {
        let own = self.declaration.networks().err().unwrap_or_default();
        let others: &[SpecProblem] = match self.declaration.declarer {
            Declarer::Cluster(cluster) => &cluster.other_problems,
            Declarer::StorageNetwork(_) => &[],
        };
        for problem in own.iter().chain(others) {
            let rule = match problem.kind {
                ProblemKind::Spec => Rule::InvalidSpec,
                ProblemKind::Interface => Rule::InterfaceRefused,
            };
            self.add(rule, &problem.field, problem.fault.clone(), &problem.mend);
        }
        let doubts = self.declaration.networks().map(|networks| networks.spec.doubts.as_slice());
        for doubt in doubts.unwrap_or_default() {
            self.add(Rule::SelectorDiffers, &doubt.field, doubt.fault.clone(), &doubt.mend);
        }
    }

    /// Whether what a StorageNetwork is about exists, and nothing stands in its way.
    fn references(&mut self, network: &'s StorageNetwork) {
        let snapshot = self.checker.scene.snapshot();
        if let (Some(Target::Cluster(cluster)), None) = (&network.target, self.declaration.cluster)
            && snapshot.clusters_known(&cluster.group, &cluster.kind) == Knowledge::Complete
        {
            let fault = format!("there is no {cluster} of {} in this namespace", cluster.group);
            self.add(Rule::ClusterMissing, "spec.clusterRef", fault, "create it, or mend the reference");
        }
        let neighbours = snapshot.storage_networks_in(&network.id.namespace).filter(|other| other.id != network.id);
        let neighbours = Neighbours::of(snapshot, neighbours.chain([network]).collect());
        let (fault, mend) = match neighbours.rival_of(network) {
            None => return,
            Some(Rival::SameCluster(other)) => {
                (format!("{other} is about the same cluster and is older, so it counts"), "delete one of the two")
            }
            Some(Rival::OtherProvider(other, provider)) => (
                format!("{other} may select the same pods, is older, and has the provider {}", provider.name()),
                "give both the same provider, or selectors that do not overlap",
            ),
            Some(Rival::OtherDefault(other, default)) => (
                format!(
                    "{other} may select the same pods, is older, and has the default network {}",
                    default.attachment
                ),
                "give both the same defaultNetwork, or selectors that do not overlap",
            ),
            Some(Rival::Invalid(other)) => (
                format!("{other} may select the same pods, and is invalid, so that they are left alone"),
                "mend it, or give them selectors that do not overlap",
            ),
        };
        self.add(Rule::NetworksConflict, "spec", fault, mend);
    }

    /// What pods on the host network expose, where an operator puts them there.
    fn host_network(&mut self) {
        if self.declaration.provider() != Provider::Host {
            return;
        }
        let who = self.declaration.declarer;
        let fault = format!(
            "the daemons of {who} run in the network of their hosts: they listen on every interface there, and whoever breaks into one sees all traffic of the host"
        );
        let mend = "docs/host-network.md says how to move to networks of its own";
        self.add(Rule::HostNetwork, &self.declaration.network_field("provider"), fault, mend);
    }

    /// Whether a definition is there, and in a place where pods may use it.
    fn reference(&mut self, network: DeclaredNetwork<'_>) {
        let selection = network.selection;
        let field = self.declaration.field(network.place);
        let name = &selection.attachment;
        if self.checker.scene.attachment(name) == AttachmentState::Missing {
            let fault = format!("there is no attachment definition {name}");
            let mend = "create it, or mend the name";
            self.add_with(Rule::AttachmentMissing, &field, fault, mend, &[selection]);
        }
        let pods = self.declaration.namespace();
        if *name.namespace == *pods {
            return;
        }
        match &self.checker.settings().checks.isolation {
            Isolation::Off => {
                let fault = format!(
                    "{name} lies outside of the namespace {pods}, which Multus allows unless namespaceIsolation is on"
                );
                let mend = "run with --namespace-isolation where it is, and else take no notice";
                self.add_with(Rule::AttachmentElsewhere, &field, fault, mend, &[selection]);
            }
            Isolation::On(global) if global.iter().any(|global| **global == *name.namespace) => {}
            Isolation::On(_) => {
                let fault = format!("Multus keeps pods of {pods} from {name}, whose namespace is not global");
                let mend =
                    format!("create the definition in {pods}, or add {} to globalNamespaces of Multus", name.namespace);
                self.add_with(Rule::AttachmentIsolated, &field, fault, &mend, &[selection]);
            }
        }
    }

    /// Whether what a selection asks for besides can be had (Multus hands `ips` and `mac` to plugins as a capability and as an
    /// argument; what each source of addresses makes of them was read in its source).
    fn request(&mut self, network: DeclaredNetwork<'_>) {
        let selection = network.selection;
        let field = self.declaration.field(network.place);
        let (addresses, hardware) = (selection.addresses(), selection.hardware_address());
        if addresses.is_empty() && hardware.is_none() {
            return;
        }
        let what = addresses.first().or(hardware.as_ref()).cloned().unwrap_or_default();
        let fault = format!("it asks for {what}, and every pod that gets this network would have the same");
        self.add_with(Rule::AddressForAll, &field, fault, "leave ips and mac out of the selector", &[selection]);
        let Some(definition) = self.definition(selection) else { return };
        let Some(plugin) = definition.plugin() else { return };
        let allows = |capability: &str| definition.plugins().iter().any(|plugin| plugin.allows(capability));
        let is_bare = addresses.iter().any(|address| !address.contains('/'));
        let source = &definition.ipam.source;
        let why = match source {
            _ if addresses.is_empty() => None,
            Source::Static if is_bare => Some("static wants addresses with a prefix length".to_owned()),
            Source::Static if !allows("ips") => Some(
                "the definition does not have the capability ips, so they come on top of its own addresses".to_owned(),
            ),
            Source::HostLocal if addresses.len() > 1 => {
                Some("host-local takes one address and fails with more".to_owned())
            }
            Source::Whereabouts => Some(
                "whereabouts hands out one of its own all the same, and does not reserve what is asked for".to_owned(),
            ),
            Source::Dhcp => Some("a DHCP server does not hear of it".to_owned()),
            Source::Ovn(_) if !definition.ipam.pools.is_empty() => {
                Some("OVN-Kubernetes refuses that in a network with subnets".to_owned())
            }
            Source::Unknown(_) | Source::Resource(_) if !allows("ips") => {
                Some("the definition does not have the capability ips".to_owned())
            }
            Source::Nobody
            | Source::Static
            | Source::HostLocal
            | Source::Ovn(_)
            | Source::Resource(_)
            | Source::Unknown(_) => None,
        };
        let mac = hardware.filter(|_| &*plugin.kind == "ipvlan");
        let why =
            why.or_else(|| mac.map(|_| "interfaces of ipvlan have the hardware address of their master".to_owned()));
        if let Some(why) = why {
            let mend = "mend the definition, or do not ask";
            self.add_with(
                Rule::CapabilityMissing,
                &field,
                format!("it asks for {what}, and {why}"),
                mend,
                &[selection],
            );
        }
    }

    /// Whether the networks can be attached to pods of every role.
    fn pods(&mut self, networks: Networks<'s>) {
        let declaration = self.declaration;
        for pods in networks.pods(declaration.system, self.checker.settings()) {
            for nodes in std::iter::once(None).chain(networks.node_interfaces().iter().map(Some)) {
                let selections = pods.selections(networks, declaration.system, nodes, self.checker.settings());
                let Some(obstacle) = pods.obstacle(&selections, declaration.namespace()) else { continue };
                let rule = match &obstacle {
                    Obstacle::Provider(_) => Rule::ProviderObstacle,
                    Obstacle::Interface(_) => Rule::InterfaceConflict,
                };
                let text = obstacle.into_text();
                let (fault, mend) =
                    text.rsplit_once("; ").unwrap_or((&text, "choose another provider, or other networks"));
                let field = if is_ours(declaration.declarer) {
                    "spec.interfaces".to_owned()
                } else {
                    declaration.network_field("selectors")
                };
                self.add(rule, &field, format!("{} are left alone: {fault}", pods.in_words()), mend);
                return;
            }
        }
    }

    /// Whether the networks of the keys go together.
    fn keys(&mut self, networks: Networks<'s>) {
        let keys: Vec<(&NetworkKey, &NetworkSelection)> = networks.spec.selections.iter().collect();
        for (index, (key, selection)) in keys.iter().enumerate() {
            for (earlier, other) in &keys[..index] {
                self.two_keys((key, selection), (earlier, other));
            }
            self.families(networks, key, selection);
        }
    }

    fn two_keys(
        &mut self,
        (key, selection): (&NetworkKey, &NetworkSelection),
        (earlier, other): (&NetworkKey, &NetworkSelection),
    ) {
        let field = self.declaration.field(Place::Key(key));
        if selection.attachment == other.attachment {
            let fault = format!("it is the same attachment definition as for {earlier}, {}", selection.attachment);
            let mend = "give it one of its own, or leave the key out";
            return self.add_with(Rule::SameAttachment, &field, fault, mend, &[selection]);
        }
        let (Some(own), Some(theirs)) = (self.definition(selection), self.definition(other)) else { return };
        let mtu = |definition: &AttachmentDefinition| definition.plugin().and_then(|plugin| plugin.mtu);
        if let (Some(own), Some(theirs)) = (mtu(own), mtu(theirs))
            && own != theirs
        {
            let fault = format!("its MTU is {own}, and that of {earlier} is {theirs}");
            self.add_with(Rule::MtuDiffers, &field, fault, "give both the same mtu", &[selection, other]);
        }
        let ranges = |definition: &AttachmentDefinition| -> Vec<IpNet> {
            definition.ipam.ranges().map(|range| range.network).collect()
        };
        if let Some((own, theirs)) = super::definition::any_overlap(&ranges(own), &ranges(theirs)) {
            let fault = format!("its range {own} has addresses in common with {theirs} of {earlier}");
            self.add_with(
                Rule::KeysOverlap,
                &field,
                fault,
                "give each network a range of its own",
                &[selection, other],
            );
        }
    }

    /// Ceph binds to the families that Rook tells it, and finds its address on each network by family (Rook's `ipFamily`, which is
    /// IPv4 where it is not said).
    fn families(&mut self, networks: Networks<'s>, key: &NetworkKey, selection: &NetworkSelection) {
        if self.declaration.kind().is_none_or(|kind| kind.address_ranges.is_none())
            || is_ours(self.declaration.declarer)
        {
            return;
        }
        let families = self.definition(selection).map(|definition| definition.ipam.families()).unwrap_or_default();
        let (wanted, why) = match networks.spec.addressing {
            Addressing::NotSaid => (vec![Family::V4], "Rook takes IPv4 where ipFamily is not given"),
            Addressing::Only(family) => (vec![family], "ipFamily says so"),
            Addressing::DualStack => (vec![Family::V4, Family::V6], "dualStack says so"),
        };
        let lacking = wanted.into_iter().find(|wanted| !families.is_empty() && !families.contains(wanted));
        if let Some(lacking) = lacking {
            let fault = format!(
                "the daemons are to use {}, as {why}, and {} hands out no such addresses",
                lacking.name(),
                selection.attachment
            );
            let field = self.declaration.field(Place::Key(key));
            let mend = "give the network a range of that family, or mend ipFamily and dualStack";
            self.add_with(Rule::FamiliesMixed, &field, fault, mend, &[selection]);
        }
    }

    /// Whether declared ranges are those of the definitions, and could be declared where they are not.
    fn address_ranges(&mut self, networks: Networks<'s>) {
        for (key, declared) in &networks.spec.address_ranges {
            let Some(selection) = networks.spec.selections.get(key) else { continue };
            let Some(Ok(handed_out)) = self.definition(selection).map(AttachmentDefinition::networks) else { continue };
            let outside =
                handed_out.iter().find(|network| !declared.iter().any(|declared| declared.contains(*network)));
            let Some(outside) = outside else { continue };
            let fault = if declared.iter().any(|declared| cidr::overlap(declared, outside)) {
                format!("{} hands out addresses of {outside}, of which only a part is declared", selection.attachment)
            } else {
                format!("{} hands out addresses of {outside}, which is not declared", selection.attachment)
            };
            let field = self.declaration.network_field(&format!("addressRanges.{key}"));
            let ranges = handed_out.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.add_with(
                Rule::RangesContradict,
                &field,
                fault,
                &format!("write [{ranges}], or mend the definition"),
                &[selection],
            );
        }
        let offered = address_ranges::offered(self.checker.scene, self.declaration);
        if !offered.is_empty() {
            let field = self.declaration.network_field("addressRanges");
            let fault = "no address ranges are declared, so Rook runs a pod for each network to find them, at every reconciliation".to_owned();
            self.add(Rule::RangesOffered, &field, fault, &format!("add {}", address_ranges::in_words(&offered)));
        }
    }

    /// Attachments that need a device, which nobody requests for the pod.
    fn devices(&mut self) {
        let settings = self.checker.settings();
        let is_changed =
            self.declaration.mode(settings) == Mode::Enforce && settings.device_resources != DeviceResources::Off;
        let declared = self.declaration.networks().map(|networks| &networks.spec.address_ranges);
        let has_canary = self.declaration.kind().is_some_and(|kind| kind.address_ranges.is_some())
            && !is_ours(self.declaration.declarer);
        let networks: Vec<DeclaredNetwork<'_>> = self.declaration.attached().collect();
        for network in networks {
            let Some(resource) =
                self.definition(network.selection).and_then(|definition| definition.resource.as_deref())
            else {
                continue;
            };
            let has_ranges = network.key().zip(declared.ok()).is_some_and(|(key, ranges)| ranges.contains_key(key));
            let (fault, mend) = if !is_changed {
                (
                    format!(
                        "each attachment needs a device of {resource}, and rook-multihome does not request it for these pods"
                    ),
                    "request it in the resources of the daemons, run network-resources-injector, or set --device-resources to add",
                )
            } else if has_canary && !has_ranges {
                (
                    format!(
                        "Rook's own pod that finds the address ranges of this network is given no device of {resource}, and never starts"
                    ),
                    "declare addressRanges, so that Rook need not run it",
                )
            } else {
                continue;
            };
            let field = self.declaration.field(network.place);
            self.add_with(Rule::DeviceNotRequested, &field, fault, mend, &[network.selection]);
        }
    }
}
