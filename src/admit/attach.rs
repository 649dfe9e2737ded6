//! Attachments: what is declared for a pod, merged with what the pod already names.
//!
//! A pod with an attachment that cannot be made never starts, so everything that can be known is checked first, and part of the
//! networks is no better than none.

use std::borrow::Cow;

use super::decide::{Deciding, Part, Risk};
use super::decision::{Attachments, Declared, HostNetwork, Verdict, Wanted, WantedStep};
use super::devices::Devices;
use super::names::Standing;
use super::pin::Pin;
use super::pod::PodView;
use super::reason::Reason;
use super::remark::Remark;
use crate::network::provider::{Clash, ClashWith, Names, multus};
use crate::network::selection::write_annotation;
use crate::network::{AttachmentRef, MetaPlugin, NetworkKey, NetworkSelection};
use crate::storage::keys_behind;
use crate::world::{AttachmentState, Declarer, NodeLabels};

/// The most networks that are declared for one pod. Nobody has as many, and each is compared with the others.
const NETWORKS_MAX: usize = 64;

/// A network that is to be attached, and who asks for it.
type Asked<'s> = (Declarer<'s>, &'s NetworkSelection);

impl<'s> Deciding<'s> {
    /// The attachments that `parts` declare, merged with what the pod already names.
    pub(super) fn attachments(
        &mut self,
        parts: &[Part<'s>],
        plugin: &'static dyn MetaPlugin,
        risk: Risk,
        pod: &PodView<'_>,
        namespace: &str,
    ) -> Result<Verdict<'s>, Reason<'s>> {
        let count: usize = parts.iter().map(|part| part.keys.len()).sum();
        if count > NETWORKS_MAX {
            return Err(Reason::ProviderObstacle(format!(
                "{count} networks are declared for it, and no pod is given more than {NETWORKS_MAX}; declare fewer"
            )));
        }
        let text = pod.annotation(plugin.annotation()).unwrap_or_default();
        let (existing, unreadable) = match plugin.read(text, namespace) {
            Ok(existing) => (existing, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut standing = Standing::new(plugin, existing);
        let mut added: Vec<Asked<'s>> = Vec::new();
        let mut new: Vec<Cow<'s, NetworkSelection>> = Vec::new();
        for part in parts {
            let node = self.node_of(part, pod);
            for key in &part.keys {
                let declared = part.declared(key, node);
                let mut interface = None;
                let step = match declared {
                    None => WantedStep::NotDeclared,
                    Some(Declared { selection, .. }) if self.is_wanted_already(selection) => WantedStep::SameAsEarlier,
                    Some(declared) => {
                        let selection = declared.selection;
                        let name = self.name_for(&declared, plugin, &standing);
                        let step = standing.meet(selection, name.as_deref());
                        if step == WantedStep::Add {
                            let named = name.as_deref().and_then(|name| selection.with_interface(name));
                            added.push((part.declarer, selection));
                            new.push(named.map_or(Cow::Borrowed(selection), Cow::Owned));
                        }
                        // Where it stands there under another name, that one is kept.
                        interface =
                            name.filter(|name| step != WantedStep::Present || standing.has_under(selection, name));
                        step
                    }
                };
                self.wanted.push(Wanted { key, declared, interface, step });
            }
        }
        let asked_default = parts.iter().find_map(|part| Some((part.declarer, part.default_network?)));
        if asked_default.is_none() && self.wanted.iter().all(|wanted| wanted.step == WantedStep::NotDeclared) {
            let only_on_nodes = parts.iter().find_map(Part::key_only_on_nodes);
            return Err(
                only_on_nodes.map_or(Reason::NothingDeclared, |(declarer, key)| Reason::NotOnNode(declarer, key))
            );
        }
        let host_network = match (pod.is_on_host_network(), risk) {
            (false, _) => HostNetwork::NotUsed,
            (true, Risk::Taken) => HostNetwork::Left,
            (true, Risk::None) => return Err(Reason::OnHostNetwork),
        };
        if let Some(error) = unreadable {
            return Err(Reason::UnreadableAnnotation(plugin, error));
        }
        let default_network = asked_default.filter(|asked| self.replaces_default(*asked, plugin, pod));
        // The one that the pod has in the end, its own included.
        let chosen_default = match (default_network, plugin.default_network_annotation()) {
            (Some((_, selection)), _) => Some(Cow::Borrowed(selection)),
            (None, Some(annotation)) => own_default_network(pod, annotation).map(Cow::Owned),
            (None, None) => None,
        };
        let new: Vec<&NetworkSelection> = new.iter().map(|selection| &**selection).collect();
        let devices = self.devices_of(plugin, &standing, &new, asked_default, chosen_default.as_deref(), pod);
        let is_list_as_wanted = new.is_empty() && standing.named.is_empty();
        if is_list_as_wanted && default_network.is_none() && host_network == HostNetwork::NotUsed && devices.is_none() {
            return Err(Reason::Agrees);
        }
        if plugin.names() == Names::AttachmentDefinitions {
            let all: Vec<Asked<'s>> = added.iter().copied().chain(default_network).collect();
            self.check_definitions(&all)?;
        }
        check_plugin(plugin, &standing.selections, &new, pod, namespace)?;
        check_interfaces(plugin, &standing, &added, &new, chosen_default.as_deref())?;
        let mut annotations = Vec::new();
        if !is_list_as_wanted {
            let text = if standing.named.is_empty() { text } else { &write_annotation(&standing.selections) };
            let written = plugin.write(text, namespace, &new);
            let written = written.map_err(|error| Reason::UnreadableAnnotation(plugin, error))?;
            annotations.push((plugin.annotation(), written));
        }
        let default_network = default_network.map(|(_, selection)| selection);
        if let (Some(selection), Some(annotation)) = (default_network, plugin.default_network_annotation()) {
            annotations.push((annotation, multus::write_default_network(selection)));
        }
        if host_network == HostNetwork::Left {
            self.remarks.push(Remark::RiskTaken);
        }
        Ok(Verdict::Attach(Attachments { annotations, default_network, host_network, devices }))
    }

    /// The devices for what a pod has in the end: its list with what is `new`, and the default network that was chosen, which Multus
    /// gives a device as well (multus-cni `tryLoadK8sPodDefaultNetwork`).
    fn devices_of(
        &mut self,
        plugin: &dyn MetaPlugin,
        standing: &Standing<'s>,
        new: &[&NetworkSelection],
        asked_default: Option<Asked<'s>>,
        chosen_default: Option<&NetworkSelection>,
        pod: &PodView<'_>,
    ) -> Option<Devices<'s>> {
        let wanted: Vec<&'s AttachmentRef> = {
            let asked_default = asked_default.map(|(_, selection)| selection);
            let agrees =
                |asked: &&NetworkSelection| chosen_default.is_some_and(|chosen| chosen.attachment == asked.attachment);
            let listed = self.wanted.iter().filter_map(|wanted| wanted.declared.map(|declared| declared.selection));
            listed.chain(asked_default.filter(agrees)).map(|selection| &selection.attachment).collect()
        };
        let all = standing.selections.iter().chain(new.iter().copied()).chain(chosen_default);
        let all: Vec<&AttachmentRef> = all.map(|selection| &selection.attachment).collect();
        self.devices(plugin, wanted.into_iter(), &all, pod)
    }

    /// The labels of the node that the pod is bound to, where the networks of `part` depend on it. Where it is bound to none, or
    /// to one that is not known, that is remarked, and what is declared for all nodes counts.
    fn node_of(&mut self, part: &Part<'s>, pod: &PodView<'_>) -> Option<&'s NodeLabels> {
        let depends = part.node_interfaces.iter().flat_map(|nodes| nodes.selections.keys());
        let mut wanted = part.keys.iter().flat_map(|key| part.keys_behind(key));
        let depends: Vec<&NetworkKey> = depends.collect();
        let Declarer::StorageNetwork(network) = part.declarer else { return None };
        if !wanted.any(|key| depends.contains(&key)) {
            return None;
        }
        let (found, name) = match Pin::of(pod) {
            Pin::Name(name) => (self.snapshot.node(&name), name.into_owned()),
            Pin::Hostname(name) => (self.snapshot.node_with_hostname(&name), name.into_owned()),
            Pin::None | Pin::Unreadable => {
                self.remarks.push(Remark::NotBoundToNode(network));
                return None;
            }
        };
        if found.is_none() {
            self.remarks.push(Remark::UnknownNode(network, name));
        }
        found
    }

    fn is_wanted_already(&self, selection: &NetworkSelection) -> bool {
        let mut earlier = self.wanted.iter().filter_map(|wanted| Some((wanted.declared?, wanted.interface_name())));
        earlier.any(|(earlier, interface)| selection.is_met_by(earlier.selection, interface))
    }

    /// Whether a default network is to be written. What the pod chooses itself is kept, and remarked where it is another.
    fn replaces_default(
        &mut self,
        (declarer, selection): Asked<'s>,
        plugin: &'static dyn MetaPlugin,
        pod: &PodView<'_>,
    ) -> bool {
        let Some(annotation) = plugin.default_network_annotation() else { return false };
        if pod.annotation(annotation).is_none() {
            return true;
        }
        let agrees = own_default_network(pod, annotation).is_some_and(|own| own.attachment == selection.attachment);
        if let (false, Declarer::StorageNetwork(network)) = (agrees, declarer) {
            self.remarks.push(Remark::OwnDefaultNetwork(network, selection));
        }
        false
    }

    /// A pod with an attachment that Multus cannot make never starts.
    fn check_definitions(&self, asked: &[Asked<'s>]) -> Result<(), Reason<'s>> {
        let mut missing = Vec::new();
        let mut asked_by = None;
        for (declarer, selection) in asked {
            match self.snapshot.attachment(&selection.attachment) {
                AttachmentState::Missing => {
                    asked_by.get_or_insert(*declarer);
                    missing.push(&selection.attachment);
                }
                AttachmentState::Malformed(error) => {
                    return Err(Reason::MalformedAttachment(&selection.attachment, error));
                }
                // Where attachment definitions have not been listed yet, the cluster is taken at its word, as Rook does.
                AttachmentState::Usable(_) | AttachmentState::Unknown => {}
            }
        }
        match asked_by {
            None => Ok(()),
            Some(declarer) => Err(Reason::MissingAttachment(declarer, missing)),
        }
    }
}

impl<'s> Part<'s> {
    /// What is declared for `key`: under the key itself or, where that says nothing, under what it falls back to; and under each
    /// for the node first.
    fn declared(&self, key: &'s NetworkKey, node: Option<&NodeLabels>) -> Option<Declared<'s>> {
        self.keys_behind(key).find_map(|behind| {
            let on_nodes = node.and_then(|labels| {
                let mut here = self.node_interfaces.iter().filter(|nodes| nodes.selector.matches(labels));
                here.find_map(|nodes| Some((&nodes.selector, nodes.selections.get_key_value(behind)?)))
            });
            if let Some((selector, (key, selection))) = on_nodes {
                return Some(Declared { key, selection, on_nodes: Some(selector) });
            }
            let (key, selection) = self.spec.selections.get_key_value(behind)?;
            Some(Declared { key, selection, on_nodes: None })
        })
    }

    /// A key for which a network is declared on some nodes, and not for all.
    fn key_only_on_nodes(&self) -> Option<(Declarer<'s>, &'s NetworkKey)> {
        let on_nodes = |key: &&NetworkKey| self.node_interfaces.iter().any(|nodes| nodes.selections.contains_key(*key));
        let mut behind = self.keys.iter().flat_map(|key| self.keys_behind(key));
        behind.find(on_nodes).map(|key| (self.declarer, key))
    }

    /// The keys to look under for the network behind `key`.
    fn keys_behind(&self, key: &'s NetworkKey) -> impl Iterator<Item = &'s NetworkKey> + use<'s> {
        keys_behind(self.fallbacks, key)
    }
}

/// What the meta-plugin cannot do, or not without harm to what the pod has already. What is wrong in the pod's own list is not
/// looked for: it is the pod's own.
fn check_plugin<'s>(
    plugin: &'static dyn MetaPlugin,
    existing: &[NetworkSelection],
    added: &[&NetworkSelection],
    pod: &PodView<'_>,
    namespace: &str,
) -> Result<(), Reason<'s>> {
    if let Some(rival) = plugin.rivals().iter().find(|rival| pod.annotation(rival).is_some() && !added.is_empty()) {
        return Err(Reason::ProviderObstacle(format!(
            "its annotation {rival} and the list of {} in {} cannot stand beside each other; remove one of them",
            plugin.title(),
            plugin.annotation()
        )));
    }
    if let Some(obstacle) = plugin.obstacle(existing, added, namespace) {
        return Err(Reason::ProviderObstacle(obstacle));
    }
    Ok(())
}

/// The default network that a pod chooses itself.
fn own_default_network(pod: &PodView<'_>, annotation: &str) -> Option<NetworkSelection> {
    multus::read_default_network(pod.annotation(annotation)?, multus::MULTUS_NAMESPACE).ok()
}

/// No network is added whose interface would have the name of another one's, and none is given such a name: Multus would take the
/// whole pod down again.
fn check_interfaces<'s>(
    plugin: &'static dyn MetaPlugin,
    standing: &Standing<'s>,
    added: &[Asked<'s>],
    new: &[&NetworkSelection],
    default_network: Option<&NetworkSelection>,
) -> Result<(), Reason<'s>> {
    let all: Vec<&NetworkSelection> = standing.selections.iter().chain(new.iter().copied()).collect();
    // The networks whose names are our doing. What the pod's own list does by itself is its own.
    let ours = |index: usize| match index.checked_sub(standing.selections.len()) {
        Some(index) => added.get(index).map(|(_, selection)| &selection.attachment),
        None => standing.named.iter().find(|(at, _)| *at == index).map(|(_, attachment)| *attachment),
    };
    for Clash { interface, index, with } in plugin.clashes(&all, default_network) {
        match with {
            ClashWith::PodNetwork => {
                let Some(attachment) = ours(index) else { continue };
                return Err(Reason::ProviderObstacle(format!(
                    "the network {attachment} would be the interface {interface}, which the pod has already; give it another name"
                )));
            }
            ClashWith::Earlier(earlier) => {
                let conflict = ours(index).map(|added| (added, earlier)).or_else(|| Some((ours(earlier)?, index)));
                let Some((added, other)) = conflict else { continue };
                let other = all[other].attachment.clone();
                return Err(Reason::InterfaceConflict { interface, added, other });
            }
        }
    }
    Ok(())
}
