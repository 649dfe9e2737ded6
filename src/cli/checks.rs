//! Flags about the checks of networks, which commands have in common.

use clap::Args;
use ipnet::IpNet;

use crate::world::{AddressRanges, Checks, Deny, InUse, Isolation, Surroundings};

/// Under which heading --help lists them.
const CHECKS: &str = "Checks of networks";

/// What surrounds the networks that are checked.
#[derive(Debug, Args)]
pub(super) struct SurroundingsArgs {
    /// Where pods have the addresses of the cluster's own network, as in 10.244.0.0/16. Repeatable, or separated by commas
    #[arg(long = "pod-cidr", help_heading = CHECKS, value_name = "CIDR", value_parser = Surroundings::range, value_delimiter = ',', env = "ROOK_MULTIHOME_POD_CIDR")]
    pods: Vec<IpNet>,
    /// Where Services have their addresses, as in 10.96.0.0/12. Repeatable, or separated by commas
    #[arg(long = "service-cidr", help_heading = CHECKS, value_name = "CIDR", value_parser = Surroundings::range, value_delimiter = ',', env = "ROOK_MULTIHOME_SERVICE_CIDR")]
    services: Vec<IpNet>,
    /// Where hosts have their addresses on the networks of clients, which CSI reaches them by. Repeatable, or separated by commas
    #[arg(long = "host-cidr", help_heading = CHECKS, value_name = "CIDR", value_parser = Surroundings::range, value_delimiter = ',', env = "ROOK_MULTIHOME_HOST_CIDR")]
    hosts: Vec<IpNet>,
    /// Multus runs with namespaceIsolation: a pod may only be attached to definitions of its own namespace and of global ones
    #[arg(long, help_heading = CHECKS, env = "ROOK_MULTIHOME_NAMESPACE_ISOLATION")]
    namespace_isolation: bool,
    /// A namespace that is global to Multus (its globalNamespaces; default where none is named). Repeatable, or separated by commas
    #[arg(long = "global-namespace", help_heading = CHECKS, value_name = "NAMESPACE", requires = "namespace_isolation", value_delimiter = ',', env = "ROOK_MULTIHOME_GLOBAL_NAMESPACE")]
    global_namespaces: Vec<String>,
}

/// What is done at admission about what the checks find.
#[derive(Debug, Args)]
pub(super) struct AdmissionArgs {
    /// Refuse clusters, StorageNetworks and attachment definitions with findings of this severity or a worse one: error, warning,
    /// advice, or never. docs/lint.md lists the findings
    #[arg(long, help_heading = CHECKS, value_name = "SEVERITY", default_value = Deny::NEVER, env = "ROOK_MULTIHOME_DENY_FINDINGS")]
    deny_findings: Deny,
    /// What to do about an attachment definition that storage uses, and that is deleted or changed so that nothing can be
    /// attached any more: warn or deny
    #[arg(long, help_heading = CHECKS, value_name = "ACTION", default_value = InUse::default().name(), env = "ROOK_MULTIHOME_DEFINITION_IN_USE")]
    definition_in_use: InUse,
    /// Write spec.network.addressRanges into a CephCluster that declares none, from its attachment definitions, when it is created
    /// and when a selector changes. What a person has written is never changed
    #[arg(long, help_heading = CHECKS, env = "ROOK_MULTIHOME_WRITE_ADDRESS_RANGES")]
    write_address_ranges: bool,
}

impl AdmissionArgs {
    /// `checks` with these settings.
    pub(super) fn apply(self, checks: &mut Checks) {
        let Self { deny_findings, definition_in_use, write_address_ranges } = self;
        checks.deny = deny_findings;
        checks.in_use = definition_in_use;
        checks.address_ranges = if write_address_ranges { AddressRanges::Write } else { AddressRanges::Offer };
    }
}

impl SurroundingsArgs {
    /// The settings, with the defaults of what only a server does.
    pub(super) fn checks(self) -> Checks {
        let Self { pods, services, hosts, namespace_isolation, global_namespaces } = self;
        let isolation = match (namespace_isolation, global_namespaces.is_empty()) {
            (false, _) => Isolation::Off,
            (true, true) => Isolation::On(vec!["default".to_owned()]),
            (true, false) => Isolation::On(global_namespaces),
        };
        Checks { surroundings: Surroundings { pods, services, hosts }, isolation, ..Checks::default() }
    }
}
