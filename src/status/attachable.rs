//! Whether pods can get what a StorageNetwork declares, judged before there are any.
//!
//! By the rules that a decision applies to a pod, for one that names no networks of its own: for the pods of each role, bound to
//! no node or to one that a single entry of `nodeInterfaces` fits.

use std::borrow::Cow;

use super::networks::in_words;
use crate::network::provider::Names;
use crate::network::{InterfaceTemplate, MetaPlugin, NetworkKey, NetworkSelection, Provider};
use crate::storage::{System, Treatment, keys_behind};
use crate::world::{Declared, NodeInterfaces, Settings};

/// What becomes of pods.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// No pods are to be attached.
    NotMeant,
    /// Pods are to be attached, and no role has a network.
    Nothing,
    /// Pods are attached.
    Attached,
    /// Only those are attached that are bound to nodes which these selectors fit; none stands for every node.
    OnlyOnNodes(Vec<Option<String>>),
    /// Some pods cannot be attached, as a sentence.
    Not(String),
}

/// Pods that get the same.
struct Pods<'s> {
    /// Their roles; none where they are pods without any.
    roles: Vec<&'s str>,
    keys: Vec<&'s NetworkKey>,
    plugin: &'static dyn MetaPlugin,
}

/// What becomes of the pods that `declared` is about, in `namespace`; of a cluster of `system`, or else by their labels.
pub(super) fn outlook(declared: &Declared, system: Option<&System>, settings: &Settings, namespace: &str) -> Outlook {
    let all = match system {
        Some(system) => pods_of_cluster(declared, system, settings),
        None => pods_by_labels(declared),
    };
    if all.is_empty() {
        let attaches = matches!(declared.spec.provider, Provider::Attach(_)) && !is_enforced(system, settings);
        return if attaches { Outlook::Nothing } else { Outlook::NotMeant };
    }
    let (mut everywhere, mut on_nodes) = (false, Vec::new());
    for pods in &all {
        for nodes in std::iter::once(None).chain(declared.node_interfaces.iter().map(Some)) {
            let selections = pods.selections(declared, system, nodes, settings.interface_names.as_ref());
            let selections: Vec<&NetworkSelection> = selections.iter().map(|selection| &**selection).collect();
            if let Some(fault) = fault(pods.plugin, &selections, namespace) {
                let who = match pods.roles[..] {
                    [] => "pods".to_owned(),
                    [role] => format!("pods of the role {role}"),
                    [..] => format!("pods of the roles {}", pods.roles.join(", ")),
                };
                let bound = nodes.map(|nodes| format!(" on nodes with {}", in_words(&nodes.selector)));
                let bound = bound.unwrap_or_default();
                return Outlook::Not(format!(
                    "{who}{bound} are left alone, at least where they name no networks of their own: {fault}"
                ));
            }
            let has_default = declared.default_network.is_some() && pods.plugin.default_network_annotation().is_some();
            match nodes {
                _ if selections.is_empty() && !has_default => {}
                None => everywhere = true,
                Some(nodes) => {
                    let nodes = (!nodes.selector.is_everything()).then(|| nodes.selector.to_string());
                    if !on_nodes.contains(&nodes) {
                        on_nodes.push(nodes);
                    }
                }
            }
        }
    }
    match (everywhere, on_nodes.is_empty()) {
        (true, _) => Outlook::Attached,
        (false, false) => Outlook::OnlyOnNodes(on_nodes),
        (false, true) => Outlook::Nothing,
    }
}

/// Whether the provider that is declared does not count.
fn is_enforced(system: Option<&System>, settings: &Settings) -> bool {
    system.is_some() && settings.enforce_host_network
}

fn pods_of_cluster<'s>(declared: &'s Declared, system: &'s System, settings: &Settings) -> Vec<Pods<'s>> {
    let provider = if is_enforced(Some(system), settings) { Provider::Host } else { declared.spec.provider };
    let mut all = Vec::new();
    for role in &system.roles {
        let rule = declared.rule_of(&role.name);
        let own = rule.and_then(|rule| rule.networks.as_ref());
        let keys: Vec<&NetworkKey> = match (&role.treatment, own) {
            (Treatment::NeverTouch { at_risk, .. }, _) if settings.attach_csi_node_plugins_and_risk_hung_mounts => {
                at_risk.iter().collect()
            }
            (Treatment::NeverTouch { .. }, _) | (Treatment::NoNetwork(_), None) => continue,
            (_, Some(keys)) | (Treatment::Networks(keys), None) => keys.iter().collect(),
        };
        add(&mut all, role.name.as_str(), keys, rule.and_then(|rule| rule.provider).unwrap_or(provider));
    }
    for rule in declared.roles.iter().filter(|rule| system.role(rule.name.as_str()).is_none()) {
        add(&mut all, rule.name.as_str(), declared.networks_of(Some(rule)), rule.provider.unwrap_or(provider));
    }
    all
}

fn pods_by_labels(declared: &Declared) -> Vec<Pods<'_>> {
    let mut all = Vec::new();
    for rule in &declared.roles {
        let gets_none = rule.networks.as_ref().is_some_and(Vec::is_empty);
        if !gets_none {
            let provider = rule.provider.unwrap_or(declared.spec.provider);
            add(&mut all, rule.name.as_str(), declared.networks_of(Some(rule)), provider);
        }
        // The first that fits counts, so nobody is left for what follows.
        if rule.selector.as_ref().is_some_and(crate::storage::Selector::is_everything) {
            return all;
        }
    }
    if let Provider::Attach(plugin) = declared.spec.provider {
        all.push(Pods { roles: Vec::new(), keys: declared.keys().collect(), plugin });
    }
    all
}

/// Adds the pods of a role to those that get the same.
fn add<'s>(all: &mut Vec<Pods<'s>>, role: &'s str, keys: Vec<&'s NetworkKey>, provider: Provider) {
    let Provider::Attach(plugin) = provider else { return };
    match all.iter_mut().find(|pods| pods.keys == keys && pods.plugin == plugin) {
        Some(pods) => pods.roles.push(role),
        None if keys.is_empty() => {}
        None => all.push(Pods { roles: vec![role], keys, plugin }),
    }
}

impl<'s> Pods<'s> {
    /// What is attached to these pods on a node that `nodes` fits, or on one that nothing is said about.
    fn selections(
        &self,
        declared: &'s Declared,
        system: Option<&'s System>,
        nodes: Option<&NodeInterfaces>,
        template: Option<&InterfaceTemplate>,
    ) -> Vec<Cow<'s, NetworkSelection>> {
        let template = match self.plugin.names() {
            Names::AttachmentDefinitions => template,
            Names::ItsOwnNetworks => None,
        };
        let fits = |other: &&NodeInterfaces| {
            nodes.is_some_and(|nodes| other.selector.is_everything() || other.selector == nodes.selector)
        };
        let here: Vec<&NodeInterfaces> = declared.node_interfaces.iter().filter(fits).collect();
        let mut selections: Vec<Cow<'s, NetworkSelection>> = Vec::new();
        for key in &self.keys {
            let found = keys_behind(system, key).find_map(|behind| {
                let on_nodes = here.iter().find_map(|nodes| nodes.selections.get(behind));
                Some((behind, on_nodes.or_else(|| declared.spec.selections.get(behind))?))
            });
            let is_new = |(_, found): &(&NetworkKey, &NetworkSelection)| {
                !selections.iter().any(|earlier| found.is_met_by(earlier, earlier.interface.as_deref()))
            };
            if let Some((behind, found)) = found.filter(is_new) {
                let name =
                    template.filter(|_| found.interface.is_none()).and_then(|template| template.name(behind).ok());
                let named = name.and_then(|name| found.with_interface(&name));
                selections.push(named.map_or(Cow::Borrowed(found), Cow::Owned));
            }
        }
        selections
    }
}

/// Why `selections` cannot be attached to a pod that has nothing else.
fn fault(plugin: &'static dyn MetaPlugin, selections: &[&NetworkSelection], namespace: &str) -> Option<String> {
    if let Some(obstacle) = plugin.obstacle(&[], selections, namespace) {
        return Some(obstacle);
    }
    let names = plugin.interface_names(selections);
    let own = plugin.own_interface();
    if let Some((own, at)) = own.and_then(|own| Some((own, names.iter().position(|name| name == own)?))) {
        return Some(format!(
            "{} asks for the interface {own}, which is that of the pod network; ask for another name, or for none",
            selections[at].attachment
        ));
    }
    let twice = (0..names.len()).find_map(|at| Some((names[..at].iter().position(|name| *name == names[at])?, at)));
    twice.map(|(first, second)| {
        format!(
            "{} and {} would both have the interface {}; ask for other names, or for none",
            selections[first].attachment, selections[second].attachment, names[second]
        )
    })
}
