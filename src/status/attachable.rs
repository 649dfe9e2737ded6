//! Whether pods can get what a StorageNetwork declares, judged before there are any.
//!
//! For the pods of each role, bound to no node or to one that a single entry of `nodeInterfaces` fits.

use super::networks::in_words;
use crate::lint::Networks;
use crate::network::Provider;
use crate::storage::System;
use crate::world::{Declared, Settings};

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

/// What becomes of the pods that `declared` is about, in `namespace`; of a cluster of `system`, or else by their labels.
pub(super) fn outlook(declared: &Declared, system: Option<&System>, settings: &Settings, namespace: &str) -> Outlook {
    let networks = Networks { spec: &declared.spec, declared: Some(declared) };
    let all = networks.pods(system, settings);
    if all.is_empty() {
        let attaches = matches!(declared.spec.provider, Provider::Attach(_)) && !is_enforced(system, settings);
        return if attaches { Outlook::Nothing } else { Outlook::NotMeant };
    }
    let (mut everywhere, mut on_nodes) = (false, Vec::new());
    let all_nodes = networks.nodes();
    for pods in &all {
        for nodes in &all_nodes {
            let selections = pods.selections(networks, system, nodes, settings);
            if let Some(obstacle) = pods.obstacle(networks, &selections, namespace) {
                let (who, fault) = (pods.in_words(), obstacle.into_text());
                let bound = nodes.entry.map(|nodes| format!(" on nodes with {}", in_words(&nodes.selector)));
                let bound = bound.unwrap_or_default();
                return Outlook::Not(format!(
                    "{who}{bound} are left alone, at least where they name no networks of their own: {fault}"
                ));
            }
            let has_default = declared.default_network.is_some() && pods.plugin.default_network_annotation().is_some();
            match nodes.entry {
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
