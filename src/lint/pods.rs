//! Which pods get what is declared, judged before there are any: by role, bound to no node or to one that a single entry of
//! `nodeInterfaces` fits, and for pods that name no networks of their own.
//!
//! The rules are those that a decision applies to a pod; nothing here may be laxer or stricter.

use std::borrow::Cow;

use super::declaration::{DeclaredNetwork, Place};
use crate::network::provider::{Clash, ClashWith, Names};
use crate::network::{MetaPlugin, NetworkKey, NetworkSelection, NetworkSpec, Provider};
use crate::storage::{Selector, System, Treatment, keys_behind};
use crate::world::{Declared, NodeInterfaces, RoleRule, Settings};

/// What is declared for pods: by a StorageNetwork, or by a cluster's own resource, which says nothing of roles and nodes.
#[derive(Clone, Copy, Debug)]
pub struct Networks<'s> {
    /// Provider and networks.
    pub spec: &'s NetworkSpec,
    /// What a StorageNetwork says besides.
    pub declared: Option<&'s Declared>,
}

/// Pods that get the same.
#[derive(Debug)]
pub struct Pods<'s> {
    /// Their roles; none where they are pods without any.
    pub roles: Vec<&'s str>,
    /// The keys whose networks they get, in order.
    pub keys: Vec<&'s NetworkKey>,
    /// Who attaches them.
    pub plugin: &'static dyn MetaPlugin,
}

/// Nodes that are alike to a declaration.
#[derive(Debug)]
pub struct Nodes<'s> {
    /// The entry that they are of; none for those that nothing is said about.
    pub entry: Option<&'s NodeInterfaces>,
    /// All entries that fit them, in order, each with its index.
    fitting: Vec<(usize, &'s NodeInterfaces)>,
}

impl<'s> Networks<'s> {
    /// The pods that get networks: of a cluster of `system`, or else by their labels.
    #[must_use]
    pub fn pods(self, system: Option<&'s System>, settings: &Settings) -> Vec<Pods<'s>> {
        match system {
            Some(system) => self.pods_of_cluster(system, settings),
            None => self.pods_by_labels(),
        }
    }

    /// What is declared for `key` on some nodes: under the key itself or under what it falls back to.
    #[must_use]
    pub fn behind(
        self,
        key: &'s NetworkKey,
        system: Option<&'s System>,
        nodes: &Nodes<'s>,
    ) -> Option<DeclaredNetwork<'s>> {
        keys_behind(system, key).find_map(|behind| {
            let on_nodes = nodes.fitting.iter().find_map(|(index, nodes)| {
                let (key, selection) = nodes.selections.get_key_value(behind)?;
                Some(DeclaredNetwork { selection, place: Place::Nodes(*index, key) })
            });
            let on_all = || {
                let (key, selection) = self.spec.selections.get_key_value(behind)?;
                Some(DeclaredNetwork { selection, place: Place::Key(key) })
            };
            on_nodes.or_else(on_all)
        })
    }

    /// Where nodes have networks of their own.
    #[must_use]
    pub fn node_interfaces(self) -> &'s [NodeInterfaces] {
        self.declared.map(|declared| declared.node_interfaces.as_slice()).unwrap_or_default()
    }

    /// The nodes that networks may differ on: those that nothing is said about, and those of each entry.
    #[must_use]
    pub fn nodes(self) -> Vec<Nodes<'s>> {
        let entries = self.node_interfaces();
        let of_entry = |entry: Option<&'s NodeInterfaces>| {
            let fits = |(_, other): &(usize, &NodeInterfaces)| {
                entry.is_some_and(|entry| other.selector.is_everything() || other.selector == entry.selector)
            };
            Nodes { entry, fitting: entries.iter().enumerate().filter(fits).collect() }
        };
        std::iter::once(None).chain(entries.iter().map(Some)).map(of_entry).collect()
    }

    fn rules(self) -> &'s [RoleRule] {
        self.declared.map(|declared| declared.roles.as_slice()).unwrap_or_default()
    }

    fn pods_of_cluster(self, system: &'s System, settings: &Settings) -> Vec<Pods<'s>> {
        let provider = if settings.enforce_host_network { Provider::Host } else { self.spec.provider };
        let mut all = Vec::new();
        for role in &system.roles {
            let rule = self.rules().iter().find(|rule| rule.name == role.name);
            let own = rule.and_then(|rule| rule.networks.as_ref());
            let keys = match (&role.treatment, own) {
                (Treatment::NeverTouch { at_risk, .. }, _) if settings.attach_csi_node_plugins_and_risk_hung_mounts => {
                    at_risk
                }
                (Treatment::NeverTouch { .. }, _) | (Treatment::NoNetwork(_), None) => continue,
                (_, Some(keys)) | (Treatment::Networks(keys), None) => keys,
            };
            add(&mut all, role.name.as_str(), keys.iter(), rule.and_then(|rule| rule.provider).unwrap_or(provider));
        }
        let Some(declared) = self.declared else { return all };
        for rule in declared.roles.iter().filter(|rule| system.role(rule.name.as_str()).is_none()) {
            let keys = declared.networks_of(Some(rule));
            add(&mut all, rule.name.as_str(), keys.into_iter(), rule.provider.unwrap_or(provider));
        }
        all
    }

    fn pods_by_labels(self) -> Vec<Pods<'s>> {
        let mut all = Vec::new();
        let Some(declared) = self.declared else { return all };
        for rule in &declared.roles {
            let gets_none = rule.networks.as_ref().is_some_and(Vec::is_empty);
            if !gets_none {
                let provider = rule.provider.unwrap_or(declared.spec.provider);
                add(&mut all, rule.name.as_str(), declared.networks_of(Some(rule)).into_iter(), provider);
            }
            // The first that fits counts, so nobody is left for what follows.
            if rule.selector.as_ref().is_some_and(Selector::is_everything) {
                return all;
            }
        }
        if let Provider::Attach(plugin) = declared.spec.provider {
            all.push(Pods { roles: Vec::new(), keys: declared.keys().collect(), plugin });
        }
        all
    }
}

/// Adds the pods of a role to those that get the same. Most roles get what another does, so keys are not collected before.
fn add<'s>(
    all: &mut Vec<Pods<'s>>,
    role: &'s str,
    keys: impl Iterator<Item = &'s NetworkKey> + Clone,
    provider: Provider,
) {
    let Provider::Attach(plugin) = provider else { return };
    let gets_the_same = |pods: &&mut Pods<'s>| pods.plugin == plugin && pods.keys.iter().copied().eq(keys.clone());
    if let Some(pods) = all.iter_mut().find(gets_the_same) {
        pods.roles.push(role);
        return;
    }
    let keys: Vec<&NetworkKey> = keys.collect();
    if !keys.is_empty() {
        all.push(Pods { roles: vec![role], keys, plugin });
    }
}

impl<'s> Pods<'s> {
    /// What is attached to these pods on such nodes.
    #[must_use]
    pub fn selections(
        &self,
        networks: Networks<'s>,
        system: Option<&'s System>,
        nodes: &Nodes<'s>,
        settings: &Settings,
    ) -> Vec<Cow<'s, NetworkSelection>> {
        let template = match self.plugin.names() {
            Names::AttachmentDefinitions => settings.interface_names.as_ref(),
            Names::ItsOwnNetworks => None,
        };
        let mut selections: Vec<Cow<'s, NetworkSelection>> = Vec::new();
        for key in &self.keys {
            let is_new = |network: &DeclaredNetwork<'_>| {
                !selections.iter().any(|earlier| network.selection.is_met_by(earlier, earlier.interface.as_deref()))
            };
            if let Some(network) = networks.behind(key, system, nodes).filter(is_new) {
                let found = network.selection;
                let template = template.filter(|_| found.interface.is_none()).zip(network.key());
                let name = template.and_then(|(template, key)| template.name(key).ok());
                let named = name.and_then(|name| found.with_interface(&name));
                selections.push(named.map_or(Cow::Borrowed(found), Cow::Owned));
            }
        }
        selections
    }

    /// Who they are, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.roles[..] {
            [] => "pods".to_owned(),
            [role] => format!("pods of the role {role}"),
            [..] => format!("pods of the roles {}", self.roles.join(", ")),
        }
    }

    /// Why `selections`, which `networks` declares, cannot be attached to one of them that has nothing else in `namespace`.
    #[must_use]
    pub fn obstacle(
        &self,
        networks: Networks<'s>,
        selections: &[Cow<'_, NetworkSelection>],
        namespace: &str,
    ) -> Option<Obstacle> {
        let selections: &[&NetworkSelection] = &selections.iter().map(AsRef::as_ref).collect::<Vec<_>>();
        if let Some(obstacle) = self.plugin.obstacle(&[], selections, namespace) {
            return Some(Obstacle::Provider(obstacle));
        }
        let default_network = networks.declared.and_then(|declared| declared.default_network.as_ref());
        let Clash { interface, index, with } = self.plugin.clashes(selections, default_network).into_iter().next()?;
        let attachment = &selections[index].attachment;
        Some(Obstacle::Interface(match with {
            ClashWith::PodNetwork => format!(
                "{attachment} asks for the interface {interface}, which every pod has already; ask for another name, or for none"
            ),
            ClashWith::Earlier(earlier) => format!(
                "{} and {attachment} would both have the interface {interface}; ask for other names, or for none",
                selections[earlier].attachment
            ),
        }))
    }
}

/// Why networks cannot be attached, as a sentence with its mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The meta-plugin cannot do it, or not without harm.
    Provider(String),
    /// Two interfaces would have one name.
    Interface(String),
}

impl Obstacle {
    /// The sentence.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Provider(text) | Self::Interface(text) => text,
        }
    }
}
