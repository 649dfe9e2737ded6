//! What is looked for: every rule with its name, how bad it is, what is wrong, and what to do.
//!
//! One rule is one entry of [`TABLE`] and one section of `docs/lint.md`; a test compares the two. The name of a rule never
//! changes once it has been released: it stands in people's pipelines.

use std::fmt;

use crate::world::Severity;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The spec of a cluster or StorageNetwork is invalid.
    InvalidSpec,
    /// An interface name is one that Multus, libcni or Linux refuse.
    InterfaceRefused,
    /// Two networks of a pod would have the same interface name.
    InterfaceConflict,
    /// The meta-plugin cannot attach the networks.
    ProviderObstacle,
    /// A selector is read otherwise by the operator.
    SelectorDiffers,
    /// An attachment definition does not exist.
    AttachmentMissing,
    /// An attachment definition is not to be reached under namespace isolation.
    AttachmentIsolated,
    /// An attachment definition lies in another namespace.
    AttachmentElsewhere,
    /// An attachment definition cannot be loaded.
    ConfigUnreadable,
    /// A plugin refuses its configuration.
    PluginRefuses,
    /// A plugin does something else than its configuration seems to say.
    PluginSurprises,
    /// The source of addresses refuses its configuration.
    AddressesRefused,
    /// The source of addresses does something else than its configuration seems to say.
    AddressesSurprise,
    /// Everything that could be handed out is excluded.
    RangeExcluded,
    /// A range is written with host bits.
    HostBits,
    /// Pods get no addresses.
    NoAddresses,
    /// Addresses are kept account of on each node alone.
    AddressesPerNode,
    /// Every pod gets the same address, or has to ask for its own.
    StaticAddresses,
    /// A DHCP server hands out addresses.
    DhcpAddresses,
    /// There are fewer addresses than pods.
    RangeTooSmall,
    /// Two definitions hand out the same addresses.
    RangesOverlap,
    /// The networks of two keys have addresses in common.
    KeysOverlap,
    /// A network has addresses of the pod or Service network.
    OverlapsCluster,
    /// A network hands out addresses where hosts have theirs.
    OverlapsHosts,
    /// Families of addresses do not fit together.
    FamiliesMixed,
    /// Declared address ranges are not those of the attachment definition.
    RangesContradict,
    /// Address ranges could be declared.
    RangesOffered,
    /// Pods have no route to the hosts.
    NoRouteToHosts,
    /// The interface of the node is the one of its default route, whichever that is.
    MasterDefault,
    /// The networks have packets of different sizes.
    MtuDiffers,
    /// One attachment definition stands for two keys.
    SameAttachment,
    /// A device is needed, and nobody asks for it.
    DeviceNotRequested,
    /// A plugin needs a device, and the definition does not say of which resource.
    DeviceUnnamed,
    /// Addresses are asked for that the definition does not let pods ask for.
    CapabilityMissing,
    /// All pods of a cluster ask for the same address.
    AddressForAll,
    /// The provider is changed in a way that Rook forbids.
    ProviderChange,
    /// The host network is used.
    HostNetwork,
    /// A definition in use is taken away.
    AttachmentInUse,
    /// A definition in use leads elsewhere now.
    AttachmentChanged,
    /// A StorageNetwork is about a cluster that does not exist.
    ClusterMissing,
    /// Another StorageNetwork stands in the way.
    NetworksConflict,
}

/// What there is to know of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The rule.
    pub rule: Rule,
    /// Its name, as in reports, metrics and links.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub about: &'static str,
    /// What to do, in a sentence.
    pub mend: &'static str,
}

use Severity::{Advice, Error, Warning};

/// Every rule, in the order in which they are described.
pub const TABLE: &[Entry] = &[
    entry(
        Rule::InvalidSpec,
        "invalid-spec",
        Error,
        "The network part of a cluster, or a StorageNetwork, is invalid: its pods are left alone.",
        "Mend the field as the finding says; Rook refuses most of these too.",
    ),
    entry(
        Rule::InterfaceRefused,
        "interface-refused",
        Error,
        "An interface name is one that Multus, libcni or Linux refuse, so that no pod with it starts.",
        "Ask for a name of at most 15 lower-case letters, digits and hyphens, or for none.",
    ),
    entry(
        Rule::InterfaceConflict,
        "interface-conflict",
        Error,
        "Two networks of a pod would have one interface name, and Multus would take the whole pod down again.",
        "Ask for different interface names, or for none.",
    ),
    entry(
        Rule::ProviderObstacle,
        "provider-obstacle",
        Error,
        "The meta-plugin that is chosen cannot attach the networks, or not without harm.",
        "Do as the finding says, or choose another provider.",
    ),
    entry(
        Rule::SelectorDiffers,
        "selector-differs",
        Warning,
        "A selector is valid here, and the operator reads it otherwise or refuses it.",
        "Write it as [namespace/]name[@interface], or as one JSON object with fields that Rook knows.",
    ),
    entry(
        Rule::AttachmentMissing,
        "attachment-missing",
        Error,
        "A network names an attachment definition that does not exist: pods wait in ContainerCreating, or run without it.",
        "Create the attachment definition, or mend the name.",
    ),
    entry(
        Rule::AttachmentIsolated,
        "attachment-isolated",
        Error,
        "The attachment definition lies in a namespace that Multus does not let these pods use (namespaceIsolation).",
        "Move it into the namespace of the pods, or add its namespace to Multus's globalNamespaces.",
    ),
    entry(
        Rule::AttachmentElsewhere,
        "attachment-elsewhere",
        Advice,
        "The attachment definition lies in another namespace, which works only while Multus does not isolate namespaces.",
        "Say how Multus is set up by --namespace-isolation and --global-namespace, or keep the definition beside the cluster.",
    ),
    entry(
        Rule::ConfigUnreadable,
        "config-unreadable",
        Error,
        "Multus cannot load the attachment definition: every pod with it waits in ContainerCreating.",
        "Mend spec.config as the finding says.",
    ),
    entry(
        Rule::PluginRefuses,
        "plugin-refuses",
        Error,
        "A plugin refuses its configuration on the node: every pod with it waits in ContainerCreating.",
        "Mend the field as the finding says.",
    ),
    entry(
        Rule::PluginSurprises,
        "plugin-surprises",
        Warning,
        "A plugin does something else than its configuration seems to say.",
        "Mend the field as the finding says.",
    ),
    entry(
        Rule::AddressesRefused,
        "addresses-refused",
        Error,
        "The plugin that hands out addresses refuses its configuration: every pod with it waits in ContainerCreating.",
        "Mend the field as the finding says.",
    ),
    entry(
        Rule::AddressesSurprise,
        "addresses-surprise",
        Warning,
        "Addresses are handed out in another way than the configuration seems to say.",
        "Mend the field as the finding says.",
    ),
    entry(
        Rule::RangeExcluded,
        "range-excluded",
        Error,
        "Every address that could be handed out is excluded, so no pod gets one.",
        "Exclude less, or give a larger range.",
    ),
    entry(
        Rule::HostBits,
        "host-bits",
        Warning,
        "A range is written as an address inside it. Some programs take that for the range, others refuse it.",
        "Write the first address of the range.",
    ),
    entry(
        Rule::NoAddresses,
        "no-addresses",
        Error,
        "Pods get an interface without an address, and storage daemons listen on addresses.",
        "Add an ipam to the attachment definition; whereabouts keeps account for the whole cluster.",
    ),
    entry(
        Rule::AddressesPerNode,
        "addresses-per-node",
        Warning,
        "host-local keeps account on each node alone: pods on two nodes get the same address, and flap.",
        "Use whereabouts, or another plugin that keeps account for the whole cluster.",
    ),
    entry(
        Rule::StaticAddresses,
        "static-addresses",
        Warning,
        "The plugin static hands out nothing by itself: pods share the addresses of the definition, or have none.",
        "Use whereabouts, which gives each pod an address of its own.",
    ),
    entry(
        Rule::DhcpAddresses,
        "dhcp-addresses",
        Advice,
        "A DHCP server hands out the addresses: they are not known beforehand, and may change when a pod restarts.",
        "See that the CNI plugin's dhcp daemon runs on every node, and declare address ranges; or use whereabouts.",
    ),
    entry(
        Rule::RangeTooSmall,
        "range-too-small",
        Warning,
        "The network has fewer addresses than the clusters on it have pods.",
        "Give a larger range: Rook advises room for ten pods and more on each host.",
    ),
    entry(
        Rule::RangesOverlap,
        "ranges-overlap",
        Warning,
        "Two attachment definitions hand out the same addresses, each without knowing of the other.",
        "Give each a range of its own, or exclude in each what the other hands out.",
    ),
    entry(
        Rule::KeysOverlap,
        "keys-overlap",
        Error,
        "The networks of two keys have addresses in common: a pod on both cannot tell which way an answer goes.",
        "Give each network a range of its own.",
    ),
    entry(
        Rule::OverlapsCluster,
        "overlaps-cluster",
        Error,
        "The network has addresses of the pod network or of Services, which attached pods then cannot reach.",
        "Choose a range outside of both.",
    ),
    entry(
        Rule::OverlapsHosts,
        "overlaps-hosts",
        Error,
        "The network hands out addresses where hosts have theirs.",
        "Exclude the addresses of the hosts, or choose another range.",
    ),
    entry(
        Rule::FamiliesMixed,
        "families-mixed",
        Error,
        "The network has no addresses of a family that the cluster's daemons are to use.",
        "Give the network a range of that family, or mend ipFamily and dualStack.",
    ),
    entry(
        Rule::RangesContradict,
        "ranges-contradict",
        Error,
        "The address ranges that the cluster declares are not those that its attachment definition hands out.",
        "Declare the ranges of the attachment definition, or none.",
    ),
    entry(
        Rule::RangesOffered,
        "ranges-offered",
        Advice,
        "The cluster declares no address ranges, so Rook runs a pod for each network to find them.",
        "Add spec.network.addressRanges; rook-multihome networks --address-ranges prints it.",
    ),
    entry(
        Rule::NoRouteToHosts,
        "no-route-to-hosts",
        Warning,
        "Pods of a macvlan or ipvlan network have no route to the hosts, where the CSI driver mounts.",
        "Add a route to the addresses of the hosts to the ipam of the definition, and give the hosts one back.",
    ),
    entry(
        Rule::MasterDefault,
        "master-default",
        Warning,
        "The definition names no master, so each node takes the interface of its default route.",
        "Name the interface that leads to the network, the same on every node.",
    ),
    entry(
        Rule::MtuDiffers,
        "mtu-differs",
        Warning,
        "The networks of a cluster have different MTUs: large packets are lost where somebody takes one for the other.",
        "Give both the same mtu, as large as all that lies between allows.",
    ),
    entry(
        Rule::SameAttachment,
        "same-attachment",
        Warning,
        "One attachment definition stands for two keys: it is attached once, and their traffic is not apart.",
        "Give the second key a definition of its own, or leave it out.",
    ),
    entry(
        Rule::DeviceNotRequested,
        "device-not-requested",
        Warning,
        "Attachments need a device of a resource, and some pods will not request one: the plugin then fails.",
        "Let rook-multihome request devices, or do as the finding says.",
    ),
    entry(
        Rule::DeviceUnnamed,
        "device-unnamed",
        Error,
        "The plugin works with a device, and the definition names neither one nor the resource that has them.",
        "Add the annotation k8s.v1.cni.cncf.io/resourceName to the definition.",
    ),
    entry(
        Rule::CapabilityMissing,
        "capability-missing",
        Warning,
        "A selector asks for addresses in a way that the definition does not pass on, or not as it is meant.",
        "Add the capability to the plugin, or do not ask.",
    ),
    entry(
        Rule::AddressForAll,
        "address-for-all",
        Error,
        "A selector asks for an address, and every pod of the cluster would have the same.",
        "Leave ips and mac out of the selector; a range hands out one address for each pod.",
    ),
    entry(
        Rule::ProviderChange,
        "provider-change",
        Error,
        "The provider is changed from one to another directly, which Rook forbids.",
        "Set it to \"\" first, wait until the daemons have restarted, and then to the new one.",
    ),
    entry(
        Rule::HostNetwork,
        "host-network",
        Advice,
        "The daemons use the network of their hosts: every interface is theirs, and every port they open is the host's.",
        "docs/host-network.md says what is exposed, and how to move to networks of its own.",
    ),
    entry(
        Rule::AttachmentInUse,
        "attachment-in-use",
        Error,
        "An attachment definition that storage uses is deleted or made unusable: no pod with it starts again.",
        "Take it out of use first, or keep it.",
    ),
    entry(
        Rule::AttachmentChanged,
        "attachment-changed",
        Warning,
        "An attachment definition that storage uses leads elsewhere now: running pods stay where they were until they restart.",
        "See that the old and the new network reach each other until the last pod has restarted.",
    ),
    entry(
        Rule::ClusterMissing,
        "cluster-missing",
        Warning,
        "A StorageNetwork is about a cluster that does not exist.",
        "Create the cluster, or mend spec.clusterRef.",
    ),
    entry(
        Rule::NetworksConflict,
        "networks-conflict",
        Warning,
        "Another StorageNetwork stands in the way of this one.",
        "Delete one of the two, or let them select different pods.",
    ),
];

const fn entry(rule: Rule, id: &'static str, severity: Severity, about: &'static str, mend: &'static str) -> Entry {
    Entry { rule, id, severity, about, mend }
}

impl Rule {
    /// What there is to know of it.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // The table has the order of the enum; a test says so.
        &TABLE[self as usize]
    }

    /// Its name.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        self.entry().severity
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_own_entry() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.rule as usize, index, "{}", entry.id);
            assert_eq!(entry.rule.id(), entry.id);
            assert!(entry.about.ends_with('.') && entry.mend.ends_with('.'), "{}", entry.id);
            assert!(!TABLE[..index].iter().any(|other| other.id == entry.id), "{}", entry.id);
        }
    }

    /// `docs/lint.md` has a section for each rule, in the order of the table, that says how bad it is.
    #[test]
    fn every_rule_is_described() {
        let docs = include_str!("../../docs/lint.md");
        let sections: Vec<(&str, &str)> =
            docs.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap_or((section, ""))).collect();
        let described: Vec<&str> = sections.iter().map(|(title, _)| title.trim_matches('`')).collect();
        let known: Vec<&str> = TABLE.iter().map(|entry| entry.id).collect();
        assert_eq!(described, known);
        for (entry, (_, text)) in TABLE.iter().zip(sections) {
            let begins = format!("\n{}: {}", entry.severity, entry.about);
            assert!(text.starts_with(&begins), "{} should begin with {begins:?}", entry.id);
        }
    }
}
