//! The rules that are looked for. One rule is one entry of [`TABLE`] and one section of `docs/lint.md`.

use std::fmt;

use super::table::TABLE;
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
    /// A network is declared that no pod gets.
    NetworkUnused,
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
    /// What stands for one key has packets of different sizes.
    MtuDiffers,
    /// The networks of two keys have packets of different sizes.
    MtuOfKeys,
    /// One attachment definition stands for two keys.
    SameAttachment,
    /// A device is needed, and nobody asks for it.
    DeviceNotRequested,
    /// A plugin needs a device, and the definition does not say of which resource.
    DeviceUnnamed,
    /// A definition names a resource that has no devices.
    ResourceInvalid,
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
