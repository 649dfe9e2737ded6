//! Interfaces of one pod that would have the same name.
//!
//! Multus takes the whole pod down again over them, and so does Linux with whatever it finds second. Which of the networks is to
//! blame is for others to say.

use std::collections::HashMap;

use super::{MetaPlugin, POD_INTERFACE, PodNetwork};
use crate::network::NetworkSelection;

/// A network whose interface would have the name of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The name.
    pub interface: String,
    /// Which of the networks would have it, by its place among them.
    pub index: usize,
    /// What else would.
    pub with: ClashWith,
}

/// What has an interface already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClashWith {
    /// The network that a pod has beside the list.
    PodNetwork,
    /// An earlier one of the list, by its place.
    Earlier(usize),
}

impl dyn MetaPlugin {
    /// The names that would be given twice on a pod whose list is `all`, and for which `default_network` is chosen in the place of
    /// the cluster's own, where one is: those of the pod's own interface first.
    #[must_use]
    pub fn clashes(&self, all: &[&NetworkSelection], default_network: Option<&NetworkSelection>) -> Vec<Clash> {
        let names = self.interface_names(all);
        let own = self.own_interface(default_network);
        let mut clashes: Vec<Clash> = Vec::new();
        for (index, name) in names.iter().enumerate().filter(|(_, name)| Some(name.as_str()) == own) {
            clashes.push(Clash { interface: name.clone(), index, with: ClashWith::PodNetwork });
        }
        let mut last_with: HashMap<&str, usize> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            if let Some(earlier) = last_with.insert(name, index) {
                clashes.push(Clash { interface: name.clone(), index, with: ClashWith::Earlier(earlier) });
            }
        }
        clashes
    }

    /// The interface that a pod has beside those of the list, so that no network of the list can have it; nothing where the
    /// list is all there is. With Multus the runtime's name for the pod's network counts, unless the default network that is
    /// chosen for the pod asks for another interface: then it is that one (multus-cni `getIfname`: what is asked for comes first,
    /// else the default network gets the name that the runtime gave).
    fn own_interface<'s>(&self, default_network: Option<&'s NetworkSelection>) -> Option<&'s str> {
        match self.pod_network() {
            PodNetwork::Beside { chosen_by: None } => Some(POD_INTERFACE),
            PodNetwork::Beside { chosen_by: Some(_) } => {
                Some(default_network.and_then(|chosen| chosen.interface.as_deref()).unwrap_or(POD_INTERFACE))
            }
            PodNetwork::Listed => None,
        }
    }
}
