//! What stands on a pod beside what it is to have: which networks it has already, and which of them get an interface name.
//!
//! A name is filled in where nobody asks for one. An interface that somebody has named keeps its name, whoever that was.

use super::decide::Deciding;
use super::decision::{Declared, WantedStep};
use super::remark::Remark;
use crate::network::provider::Names;
use crate::network::{AttachmentRef, MetaPlugin, NetworkSelection};

/// The networks that stand on a pod, as they are to be.
pub(super) struct Standing<'s> {
    /// In their order, with the names that were filled in.
    pub(super) selections: Vec<NetworkSelection>,
    /// The interface of each.
    interfaces: Vec<String>,
    /// Those whose name was filled in: where, and for which network.
    pub(super) named: Vec<(usize, &'s AttachmentRef)>,
}

impl<'s> Standing<'s> {
    pub(super) fn new(plugin: &dyn MetaPlugin, selections: Vec<NetworkSelection>) -> Self {
        let interfaces = plugin.interface_names(&selections.iter().collect::<Vec<_>>());
        Self { selections, interfaces, named: Vec::new() }
    }

    /// Whether what is wanted is there already, and under `name`, where it is to have one. The name is filled in where the network
    /// stands there without one.
    pub(super) fn meet(&mut self, wanted: &'s NetworkSelection, name: Option<&str>) -> WantedStep {
        let Some(name) = name else {
            let mut all = self.selections.iter().zip(&self.interfaces);
            let is_there = all.any(|(other, interface)| wanted.is_met_by(other, Some(interface)));
            return if is_there { WantedStep::Present } else { WantedStep::Add };
        };
        if self.has_under(wanted, name) {
            return WantedStep::Present;
        }
        let is_same = |other: &NetworkSelection| other.attachment == wanted.attachment;
        let unnamed = self.selections.iter().position(|other| is_same(other) && other.interface.is_none());
        let named = unnamed.and_then(|at| Some((at, self.selections[at].with_interface(name)?)));
        match named {
            Some((at, named)) => {
                self.selections[at] = named;
                name.clone_into(&mut self.interfaces[at]);
                self.named.push((at, &wanted.attachment));
                WantedStep::Name
            }
            None if self.selections.iter().any(is_same) => WantedStep::Present,
            None => WantedStep::Add,
        }
    }

    /// Whether the network is there under that interface name.
    pub(super) fn has_under(&self, wanted: &NetworkSelection, name: &str) -> bool {
        let mut all = self.selections.iter().zip(&self.interfaces);
        all.any(|(other, interface)| other.attachment == wanted.attachment && interface == name)
    }

    /// Whether the network is there under a name that somebody asks for.
    fn has_named(&self, wanted: &NetworkSelection) -> bool {
        self.selections.iter().any(|other| other.attachment == wanted.attachment && other.interface.is_some())
    }
}

impl<'s> Deciding<'s> {
    /// The interface name that the setting gives to what is declared, where that asks for none. Only with Multus: the names of the
    /// others follow rules of their own, and some of them mean more than a name.
    pub(super) fn name_for(
        &mut self,
        declared: &Declared<'s>,
        plugin: &dyn MetaPlugin,
        standing: &Standing<'s>,
    ) -> Option<String> {
        let template = self.snapshot.settings().interface_names.as_ref()?;
        match plugin.names() {
            Names::AttachmentDefinitions => {}
            Names::ItsOwnNetworks => return None,
        }
        if declared.selection.interface.is_some() {
            return None;
        }
        match template.name(declared.key) {
            Ok(name) => Some(name),
            Err(unfit) => {
                if !standing.has_named(declared.selection) {
                    self.remarks.push(Remark::NoInterfaceName(declared.key, unfit));
                }
                None
            }
        }
    }
}
