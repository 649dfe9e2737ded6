//! Rules about networks that stand beside each other in one declaration: those that a pod has together, and those that stand for
//! one key on different nodes.

use std::collections::HashSet;

use ipnet::IpNet;

use super::declaration::DeclaredNetwork;
use super::declared::Found;
use super::definition::any_overlap;
use super::rule::Rule;
use crate::network::AttachmentDefinition;

impl<'s> Found<'_, 's> {
    /// Whether the networks of one pod go together.
    pub(super) fn together(&mut self) {
        let mut seen = HashSet::new();
        for set in self.declaration.on_one_pod(self.checker.settings()) {
            for (index, network) in set.iter().enumerate() {
                for other in &set[..index] {
                    let pair = [other, network].map(|network| std::ptr::from_ref(network.selection));
                    if seen.insert(pair) {
                        self.two_networks(*network, *other);
                    }
                }
            }
        }
    }

    fn two_networks(&mut self, network: DeclaredNetwork<'s>, other: DeclaredNetwork<'s>) {
        let (Some(key), Some(earlier)) = (network.key(), other.key()) else { return };
        let selections = [network.selection, other.selection];
        let [own, theirs] = selections.map(|selection| &selection.attachment);
        // The same key twice is one that stands in for another on some nodes.
        if key == earlier {
            return;
        }
        if own == theirs {
            let fault = format!("it is the same attachment definition as for {earlier}, {own}");
            let mend = "give it one of its own, or leave the key out";
            return self.add_with(Rule::SameAttachment, network.place, fault, mend, &selections[..1]);
        }
        let ranges = |definition: &AttachmentDefinition| definition.networks().unwrap_or_default();
        let [own, theirs] = selections.map(|selection| self.definition(selection).map(ranges).unwrap_or_default());
        if let Some((own, theirs)) = any_overlap(&own, &theirs) {
            let (own, theirs): (IpNet, IpNet) = (own, theirs);
            let fault = format!("its range {own} has addresses in common with {theirs} of {earlier}");
            let mend = "give each network a range of its own";
            self.add_with(Rule::KeysOverlap, network.place, fault, mend, &selections);
        }
    }

    /// Whether what stands for one key on different nodes is one network for those who use it.
    pub(super) fn nodes(&mut self, used: &[DeclaredNetwork<'s>]) {
        // What a later plugin of the chain sets counts, as tuning does of containernetworking/plugins.
        let mtu = |found: &Self, network: &DeclaredNetwork<'_>| {
            let definition = found.definition(network.selection)?;
            definition.plugins().iter().rev().find_map(|plugin| plugin.mtu)
        };
        for (index, network) in used.iter().enumerate() {
            let Some((key, own)) = network.key().zip(mtu(self, network)) else { continue };
            let mut others = used[..index].iter().filter(|other| other.key() == Some(key));
            let other = others.find_map(|other| mtu(self, other).filter(|mtu| *mtu != own).map(|mtu| (*other, mtu)));
            if let Some((other, mtu)) = other {
                let fault = format!(
                    "its MTU is {own}, and that of {}, for {key} on other nodes, is {mtu}",
                    other.selection.attachment
                );
                let selections = [network.selection, other.selection];
                self.add_with(Rule::MtuDiffers, network.place, fault, "give all of them the same mtu", &selections);
            }
        }
    }
}
