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
    /// Whether the networks of one pod go together, of all `sets` of them.
    pub(super) fn together(&mut self, sets: &[Vec<DeclaredNetwork<'s>>]) {
        let mut seen = HashSet::new();
        for set in sets {
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
        if let (Some(mtu), Some(other_mtu)) = (self.mtu(&network), self.mtu(&other))
            && mtu != other_mtu
        {
            let fault = format!("its MTU is {mtu}, and that of {earlier} is {other_mtu}");
            let mend = "give both the same mtu, unless one is meant to have larger packets than the other";
            self.add_with(Rule::MtuOfKeys, network.place, fault, mend, &selections);
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

    /// The size of the largest packet: the last plugin of a chain that says one sets it.
    fn mtu(&self, network: &DeclaredNetwork<'_>) -> Option<u32> {
        let definition = self.definition(network.selection)?;
        definition.plugins().iter().rev().find_map(|plugin| plugin.mtu)
    }

    /// Whether what stands for one key on different nodes is one network for those who use it.
    pub(super) fn nodes(&mut self, used: &[DeclaredNetwork<'s>]) {
        // What a later plugin of the chain sets counts, as tuning does of containernetworking/plugins.
        for (index, network) in used.iter().enumerate() {
            let Some((key, own)) = network.key().zip(self.mtu(network)) else { continue };
            let mut others = used[..index].iter().filter(|other| other.key() == Some(key));
            let other = others.find_map(|other| self.mtu(other).filter(|mtu| *mtu != own).map(|mtu| (*other, mtu)));
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
