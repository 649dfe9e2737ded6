//! Rules about what is declared: by a cluster's own resource, or by a StorageNetwork.

use std::collections::HashSet;

use super::address_ranges;
use super::checker::Checker;
use super::declaration::{Declaration, DeclaredNetwork, Place};
use super::finding::{Finding, Subject};
use super::layout::Layout;
use super::overlap::has_family;
use super::pods::{Networks, Obstacle};
use super::rivals::{Neighbours, Rival};
use super::rule::Rule;
use crate::network::cidr::Family;
use crate::network::ipam::AddressRange;
use crate::network::spec::{Addressing, ProblemKind};
use crate::network::{AttachmentDefinition, NetworkKey, NetworkSelection, Provider, SpecProblem};
use crate::world::{
    AttachmentState, Cluster, Declarer, DeviceResources, Isolation, Knowledge, Mode, StorageNetwork, Target,
};

/// Everything that is found in one declaration, but for what stands in its way.
pub(super) fn findings<'s>(checker: &Checker<'s>, declaration: Declaration<'s>) -> Vec<Finding> {
    let mut found = Found { checker, declaration, findings: Vec::new() };
    found.of_itself();
    found.of_definitions();
    found.findings
}

/// Of these, those that name attachment definitions beside the declaration ([`Finding::with`]).
pub(super) fn findings_with_definitions<'s>(checker: &Checker<'s>, declaration: Declaration<'s>) -> Vec<Finding> {
    let mut found = Found { checker, declaration, findings: Vec::new() };
    found.of_definitions();
    found.findings
}

/// What is wrong with a cluster's resource beside its networks.
pub(super) fn other_problems(cluster: &Cluster) -> Vec<Finding> {
    cluster.other_problems.iter().map(|problem| of_problem(Subject::cluster(cluster), problem)).collect()
}

/// What stands in the way of a StorageNetwork among its neighbours.
pub(super) fn rivalry(network: &StorageNetwork, neighbours: &Neighbours<'_>) -> Option<Finding> {
    let (field, fault, mend) = match neighbours.rival_of(network)? {
        Rival::SameCluster(other) => (
            "spec.clusterRef",
            format!("{other} is about the same cluster and is older, so it counts, and this one does not"),
            "delete one of the two",
        ),
        Rival::OtherProvider(other, provider) => (
            "spec.provider",
            format!("{other} may select the same pods, is older, and has the provider {}", provider.name()),
            "give both the same provider, or selectors that do not overlap",
        ),
        Rival::OtherDefault(other, default) => (
            "spec.defaultNetwork",
            format!("{other} may select the same pods, is older, and has the default network {}", default.attachment),
            "give both the same defaultNetwork, or selectors that do not overlap",
        ),
        Rival::Invalid(other) => (
            "spec.podSelector",
            format!("{other} may select the same pods, and is invalid, so that they are left alone"),
            "mend that one, or give the two selectors that do not overlap",
        ),
    };
    Some(Finding::new(Rule::NetworksConflict, Subject::storage_network(network), field, fault, mend))
}

fn of_problem(subject: Subject, problem: &SpecProblem) -> Finding {
    let rule = match problem.kind {
        ProblemKind::Spec => Rule::InvalidSpec,
        ProblemKind::Interface => Rule::InterfaceRefused,
        ProblemKind::UnknownKey => Rule::NetworkUnused,
    };
    Finding::new(rule, subject, &problem.field, problem.fault.clone(), &problem.mend)
}

/// What has been found in a declaration so far.
pub(super) struct Found<'c, 's> {
    pub(super) checker: &'c Checker<'s>,
    pub(super) declaration: Declaration<'s>,
    findings: Vec<Finding>,
}

impl<'s> Found<'_, 's> {
    /// What names no definition beside the declaration.
    fn of_itself(&mut self) {
        self.problems();
        if let Declarer::StorageNetwork(network) = self.declaration.declarer {
            self.reference_to_cluster(network);
        }
        let Some(networks) = self.in_effect() else { return };
        self.host_network();
        self.pods(networks);
        if self.may_declare_ranges() {
            self.family(networks);
            self.ranges_to_declare();
        }
    }

    /// What names definitions beside it.
    fn of_definitions(&mut self) {
        let Some(networks) = self.in_effect() else { return };
        let layout = self.checker.layouts.of(self.declaration);
        self.unused(&layout);
        for network in &layout.used {
            self.reference(*network);
            self.request(*network);
        }
        self.together(&layout.sets());
        self.nodes(&layout.used);
        if self.may_declare_ranges() {
            for network in &layout.used {
                self.families(networks, *network);
                self.declared_ranges(networks, *network);
            }
        }
        self.devices(&layout.used);
    }

    /// What is declared, where it is valid and something comes of it; what nothing comes of is wrong in no other way.
    fn in_effect(&self) -> Option<Networks<'s>> {
        self.declaration.networks().ok().filter(|_| self.checker.scene.is_in_effect(self.declaration))
    }

    /// Whether it is a cluster's own, whose resource has a place for address ranges.
    fn may_declare_ranges(&self) -> bool {
        let has_place = self.declaration.kind().is_some_and(|kind| kind.address_ranges.is_some());
        has_place && matches!(self.declaration.declarer, Declarer::Cluster(_))
    }

    fn add(&mut self, rule: Rule, field: &str, fault: String, mend: &str) {
        self.add_at(rule, field, fault, mend, &[]);
    }

    /// The same about a network that is declared, where definitions have a part in it.
    pub(super) fn add_with(
        &mut self,
        rule: Rule,
        place: Place<'_>,
        fault: String,
        mend: &str,
        selections: &[&NetworkSelection],
    ) {
        self.add_at(rule, &self.declaration.field(place), fault, mend, selections);
    }

    fn add_at(&mut self, rule: Rule, field: &str, fault: String, mend: &str, selections: &[&NetworkSelection]) {
        let with = selections.iter().map(|selection| Subject::definition(&selection.attachment)).collect();
        self.findings.push(Finding::new(rule, self.declaration.subject(), field, fault, mend).with(with));
    }

    pub(super) fn definition(&self, selection: &NetworkSelection) -> Option<&'s AttachmentDefinition> {
        match self.checker.scene.attachment(&selection.attachment) {
            AttachmentState::Usable(definition) => Some(definition),
            AttachmentState::Malformed(_) | AttachmentState::Missing | AttachmentState::Unknown => None,
        }
    }

    fn problems(&mut self) {
        let problems = self.declaration.networks().err().unwrap_or_default();
        let subject = self.declaration.subject();
        self.findings.extend(problems.iter().map(|problem| of_problem(subject.clone(), problem)));
        let doubts = self.declaration.networks().map(|networks| networks.spec.doubts.as_slice());
        for doubt in doubts.unwrap_or_default() {
            let rule = match doubt.kind {
                ProblemKind::UnknownKey => Rule::NetworkUnused,
                ProblemKind::Spec | ProblemKind::Interface => Rule::SelectorDiffers,
            };
            self.add(rule, &doubt.field, doubt.fault.clone(), &doubt.mend);
        }
    }

    /// Networks that no pod gets, because no role has their key. (Rook takes unknown keys and looks at none of them.)
    fn unused(&mut self, layout: &Layout<'s>) {
        let (declaration, settings) = (self.declaration, self.checker.settings());
        let Some(system) = declaration.system.filter(|_| !settings.enforce_host_network) else { return };
        let is_unused = |key: &NetworkKey| !layout.has_pods_with(key) && system.client.as_ref() != Some(key);
        let unused = declaration.attached().filter_map(|network| Some((network, network.key()?)));
        let unused: Vec<(DeclaredNetwork<'s>, &NetworkKey)> = unused.filter(|(_, key)| is_unused(key)).collect();
        if unused.is_empty() {
            return;
        }
        let mut seen: HashSet<&NetworkKey> = HashSet::new();
        let keys = layout.pods.iter().flat_map(|pods| &pods.keys).filter(|key| seen.insert(key));
        let keys: Vec<&str> = keys.map(|key| key.as_str()).collect();
        let known = match keys[..] {
            [] => "no role gets any".to_owned(),
            [..] => format!("roles have {}", keys.join(" and ")),
        };
        for (network, key) in unused {
            let fault = format!("no role of {} has the key {key}, so no pod gets this network; {known}", system.name);
            let mend = "mend the key, or leave it out";
            self.add_with(Rule::NetworkUnused, network.place, fault, mend, &[network.selection]);
        }
    }

    /// Whether the cluster that a StorageNetwork is about exists. One of a kind that nobody knows is a problem of its own.
    fn reference_to_cluster(&mut self, network: &'s StorageNetwork) {
        let snapshot = self.checker.scene.snapshot();
        if let (Some(Target::Cluster(cluster)), Some(_), None) =
            (&network.target, self.declaration.system, self.declaration.cluster)
            && snapshot.clusters_known(&cluster.group, &cluster.kind) == Knowledge::Complete
        {
            let fault = format!("there is no {cluster} of {} in this namespace", cluster.group);
            self.add(Rule::ClusterMissing, "spec.clusterRef", fault, "create it, or mend the reference");
        }
    }

    /// What pods on the host network expose.
    fn host_network(&mut self) {
        let who = self.declaration.declarer;
        let is_enforced = self.checker.settings().enforce_host_network && self.declaration.system.is_some();
        let exposes =
            "they can listen on every interface there, and whoever breaks into one sees all traffic of the host";
        let read_on = "docs/host-network.md says how to move to networks of its own";
        let field = match who {
            Declarer::Cluster(cluster) => self.declaration.network_field(&cluster.network.written.provider),
            Declarer::StorageNetwork(_) => self.declaration.network_field("provider"),
        };
        if is_enforced {
            let fault = format!(
                "by --enforce-host-network the daemons run in the network of their hosts, whatever the provider is: {exposes}"
            );
            let mend =
                format!("take the flag away together with ROOK_ENFORCE_HOST_NETWORK of Rook's operator, and {read_on}");
            self.add(Rule::HostNetwork, &field, fault, &mend);
        } else if self.declaration.provider() == Provider::Host {
            let fault = format!("the daemons run in the network of their hosts: {exposes}");
            self.add(Rule::HostNetwork, &field, fault, read_on);
        }
    }

    /// Whether a definition is there, and in a place where pods may use it. A default network is not subject to the isolation of
    /// namespaces (multus-cni `tryLoadK8sPodDefaultNetwork`).
    fn reference(&mut self, network: DeclaredNetwork<'_>) {
        let selection = network.selection;
        let name = &selection.attachment;
        let is_missing = self.checker.scene.attachment(name) == AttachmentState::Missing;
        if is_missing {
            let fault = format!("there is no attachment definition {name}");
            self.add_with(Rule::AttachmentMissing, network.place, fault, "create it, or mend the name", &[selection]);
        }
        let pods = self.declaration.namespace();
        if *name.namespace == *pods || network.place == Place::Default {
            return;
        }
        match &self.checker.settings().checks.isolation {
            // Where namespaces are isolated, this one is global unless others are named.
            Isolation::Off if is_missing || *name.namespace == *"default" => {}
            Isolation::Off => {
                let fault = format!(
                    "{name} lies outside of the namespace {pods}, which Multus allows unless namespaceIsolation is on"
                );
                let mend = "say --namespace-isolation where it is on, and take no notice where it is off";
                self.add_with(Rule::AttachmentElsewhere, network.place, fault, mend, &[selection]);
            }
            Isolation::On(global) if global.iter().any(|global| **global == *name.namespace) => {}
            Isolation::On(_) => {
                let fault = format!("Multus keeps pods of {pods} from {name}, whose namespace is not global");
                let mend =
                    format!("create the definition in {pods}, or add {} to globalNamespaces of Multus", name.namespace);
                self.add_with(Rule::AttachmentIsolated, network.place, fault, &mend, &[selection]);
            }
        }
    }

    /// Whether the networks can be attached to pods of every role.
    fn pods(&mut self, networks: Networks<'s>) {
        let declaration = self.declaration;
        let layout = self.checker.layouts.of(declaration);
        let all_nodes = networks.nodes();
        for pods in &*layout.pods {
            for nodes in &all_nodes {
                let selections = pods.selections(networks, declaration.system, nodes, self.checker.settings());
                let Some(obstacle) = pods.obstacle(networks, &selections, declaration.namespace()) else { continue };
                let rule = match &obstacle {
                    Obstacle::Provider(_) => Rule::ProviderObstacle,
                    Obstacle::Interface(_) => Rule::InterfaceConflict,
                };
                let text = obstacle.into_text();
                let (fault, mend) =
                    text.rsplit_once("; ").unwrap_or((&text, "choose another provider, or other networks"));
                let fault = format!("{fault} ({})", pods.in_words());
                self.add(rule, &declaration.selectors_field(), fault, mend);
                return;
            }
        }
    }

    /// Ceph binds to the families that Rook tells it, and finds its address on each network by family (Rook's `ipFamily`, which is
    /// IPv4 where it is not said).
    fn families(&mut self, networks: Networks<'s>, network: DeclaredNetwork<'s>) {
        let Some(definition) = self.definition(network.selection) else { return };
        let families = definition.ipam.families();
        if families.is_empty() || definition.ipam.failure().is_some() {
            return;
        }
        let (wanted, why) = match networks.spec.addressing {
            Addressing::NotSaid => (vec![Family::V4], "Rook takes IPv4 where ipFamily is not given"),
            Addressing::Only(family) => (vec![family], "ipFamily says so"),
            Addressing::DualStack => (vec![Family::V4, Family::V6], "dualStack says so"),
            Addressing::Unknown => return,
        };
        let Some(lacking) = wanted.into_iter().find(|wanted| !families.contains(wanted)) else { return };
        let name = &network.selection.attachment;
        let lacking = lacking.name();
        let fault = format!("the daemons are to use {lacking}, as {why}, and {name} hands out no such addresses");
        let mend = match networks.spec.addressing {
            Addressing::NotSaid => "say ipFamily: IPv6, or give the network a range of IPv4",
            Addressing::Only(_) | Addressing::DualStack | Addressing::Unknown => {
                "give the network a range of that family, or mend ipFamily and dualStack"
            }
        };
        self.add_with(Rule::FamiliesMixed, network.place, fault, mend, &[network.selection]);
    }

    /// Whether the family of addresses is one.
    fn family(&mut self, networks: Networks<'s>) {
        if networks.spec.addressing == Addressing::Unknown {
            let field = self.declaration.network_field("ipFamily");
            let fault = "there is no such family of addresses, and the API server refuses it".to_owned();
            self.add(Rule::FamiliesMixed, &field, fault, "write IPv4 or IPv6");
        }
    }

    /// Whether ranges could be declared that are not.
    fn ranges_to_declare(&mut self) {
        let offered = address_ranges::offered(self.checker.scene, self.declaration);
        if !offered.is_empty() {
            let field = self.declaration.network_field("addressRanges");
            let keys = offered.keys().map(NetworkKey::as_str).collect::<Vec<_>>().join(" and ");
            let fault = format!(
                "no ranges are declared for {keys}, so Rook runs a pod on each such network to find them out, at every reconciliation"
            );
            self.add(Rule::RangesOffered, &field, fault, &format!("add {}", address_ranges::in_words(&offered)));
        }
    }

    /// Addresses outside of what is declared that some pod may be given, of the families that are declared at all.
    fn declared_ranges(&mut self, networks: Networks<'s>, network: DeclaredNetwork<'s>) {
        let selection = network.selection;
        let Some(key) = network.key() else { return };
        let Some(declared) = networks.spec.address_ranges.get(key).filter(|declared| !declared.is_empty()) else {
            return;
        };
        let Some(definition) = self.definition(selection).filter(|_| selection.addresses().is_empty()) else { return };
        let Ok(handed_out) = definition.networks() else { return };
        let is_meant = |range: &&AddressRange| {
            let families = handed_out.iter().map(Family::of_range);
            let has_none = !families.into_iter().any(|family| has_family(declared, family));
            has_none || has_family(declared, Family::of_range(&range.network))
        };
        let ranges = definition.ipam.ranges().filter(is_meant);
        let mut outside = ranges.filter_map(|range| Some((range, range.first_outside(declared)?)));
        let Some((outside, address)) = outside.next() else { return };
        let name = &selection.attachment;
        let network = outside.network;
        let has_part =
            declared.iter().any(|declared| AddressRange::all_of(*declared).first_in_common(outside).is_some());
        let fault = if has_part {
            format!("{name} hands out addresses of {network}, and {address} among them is not declared")
        } else {
            format!("{name} hands out addresses of {network}, which is not declared")
        };
        let field = self.declaration.network_field(&format!("addressRanges.{key}"));
        let ranges = handed_out.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mend = format!("write [{ranges}], or mend the definition");
        self.add_at(Rule::RangesContradict, &field, fault, &mend, &[selection]);
    }

    /// Attachments that need a device, which nobody that is known here requests for the pod.
    fn devices(&mut self, used: &[DeclaredNetwork<'s>]) {
        let settings = self.checker.settings();
        let (why, change) = match (self.declaration.mode(settings), settings.device_resources) {
            (_, DeviceResources::Off) => (Some("--device-resources is off"), "set --device-resources to add"),
            (Mode::Audit, _) => (Some("its mode is audit"), "choose the mode enforce"),
            (Mode::Off, _) => (Some("its mode is off"), "choose the mode enforce"),
            (Mode::Enforce, DeviceResources::Add | DeviceResources::Skip) => (None, ""),
        };
        let declared = self.declaration.networks().map(|networks| &networks.spec.address_ranges);
        // Rook runs one wherever ranges could be declared and are not.
        let has_canary = self.may_declare_ranges();
        for network in used {
            let Some(resource) =
                self.definition(network.selection).and_then(|definition| definition.resource.as_deref())
            else {
                continue;
            };
            let has_ranges = network.key().zip(declared.ok()).is_some_and(|(key, ranges)| ranges.contains_key(key));
            let (fault, mend) = match why {
                Some(why) => (
                    format!(
                        "each attachment needs a device of {resource}, and rook-multihome requests none for these pods, as {why}"
                    ),
                    format!("{change}, or see that network-resources-injector does it"),
                ),
                None if has_canary && !has_ranges => (
                    format!(
                        "Rook's own pod that finds out the address ranges of this network requests no device of {resource}, and rook-multihome does not touch it"
                    ),
                    "declare addressRanges, so that Rook need not run it, or see that network-resources-injector requests one"
                        .to_owned(),
                ),
                None => continue,
            };
            self.add_with(Rule::DeviceNotRequested, network.place, fault, &mend, &[network.selection]);
        }
    }
}
