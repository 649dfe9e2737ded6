//! Rules about what a selection asks for besides: `ips` and `mac`.
//!
//! Multus hands both on twice, as a capability to the plugin that has it, and in `CNI_ARGS` to every plugin (multus-cni
//! `DelegateAdd`). What comes of that depends on who hands out addresses, and was read in their sources. Where that is not known,
//! nothing is said.

use super::declaration::DeclaredNetwork;
use super::declared::Found;
use super::rule::Rule;
use crate::network::AttachmentDefinition;
use crate::network::ipam::Source;

/// What comes of a request.
#[derive(Clone, Copy)]
enum Answer {
    /// Every pod gets what is asked for.
    Same,
    /// No pod can be attached, and why.
    Refused(&'static str),
    /// Every pod gets it beside what it gets anyway, as the rest of a sentence, and what to do about that.
    Beside(&'static str, &'static str),
    /// Nothing comes of it, as the rest of a sentence.
    Nothing(&'static str),
    /// Nobody knows.
    Unknown,
}

impl<'s> Found<'_, 's> {
    /// Whether what is asked for can be had.
    pub(super) fn request(&mut self, network: DeclaredNetwork<'s>) {
        let selection = network.selection;
        let Some(definition) = self.definition(selection) else { return };
        if !definition.works() {
            return;
        }
        let addresses = selection.addresses();
        if let Some(first) = addresses.first() {
            self.answered(network, first, of_addresses(definition, &addresses));
        }
        if let Some(hardware) = selection.hardware_address() {
            self.answered(network, &hardware, of_hardware(definition));
        }
    }

    fn answered(&mut self, network: DeclaredNetwork<'s>, what: &str, answer: Answer) {
        let asked = &[network.selection];
        if matches!(answer, Answer::Same | Answer::Beside(..)) && self.declaration.is_for_many(network.place) {
            let fault = format!("it asks for {what}, and every pod that gets this network would have the same");
            let mend = "leave ips and mac out of the selector";
            self.add_with(Rule::AddressForAll, network.place, fault, mend, asked);
        }
        match answer {
            Answer::Refused(why) => {
                let fault = format!("it asks for {what}, and {why}");
                let mend = "leave ips out of the selector";
                self.add_with(Rule::AddressesRefused, network.place, fault, mend, asked);
            }
            Answer::Beside(why, mend) => {
                let fault = format!("it asks for {what}, and {why}");
                self.add_with(Rule::CapabilityMissing, network.place, fault, mend, asked);
            }
            Answer::Nothing(why) => {
                let fault = format!("it asks for {what}, and {why}");
                let mend = "leave it out of the selector";
                self.add_with(Rule::CapabilityMissing, network.place, fault, mend, asked);
            }
            Answer::Same | Answer::Unknown => {}
        }
    }
}

fn of_addresses(definition: &AttachmentDefinition, addresses: &[String]) -> Answer {
    let allows = definition.plugins().iter().any(|plugin| plugin.allows("ips"));
    let is_bare = addresses.iter().any(|address| !address.contains('/'));
    match &definition.ipam.source {
        Source::Static if is_bare => Answer::Refused("static refuses an address without a prefix length"),
        Source::Static if !allows && !definition.ipam.pools.is_empty() => Answer::Beside(
            "pods get it beside the addresses of the definition, which lacks the capability ips to replace them",
            "leave it out of the selector, or give the definition the capability ips, or no addresses",
        ),
        Source::HostLocal if addresses.len() > 1 => Answer::Refused("host-local takes one address and fails with more"),
        Source::Whereabouts if is_bare => Answer::Refused("whereabouts refuses an address without a prefix length"),
        Source::Whereabouts => Answer::Beside(
            "whereabouts gives each pod one of its own all the same, and adds this one without keeping account of it",
            "leave it out of the selector",
        ),
        Source::Dhcp => Answer::Nothing("the DHCP server does not hear of it"),
        Source::Ovn(_) if !definition.ipam.pools.is_empty() => {
            Answer::Refused("OVN-Kubernetes refuses that in a network with subnets")
        }
        Source::Static | Source::HostLocal | Source::Ovn(_) => Answer::Same,
        Source::Nobody | Source::Resource(_) | Source::Unknown(_) => Answer::Unknown,
    }
}

fn of_hardware(definition: &AttachmentDefinition) -> Answer {
    match definition.plugin().map(|plugin| &*plugin.kind) {
        Some("ipvlan") => Answer::Nothing("interfaces of ipvlan have the hardware address of their master"),
        Some("macvlan" | "bridge" | "sriov") => Answer::Same,
        Some(_) | None => Answer::Unknown,
    }
}
