//! Pods of no cluster that get networks all the same: clients that ask for one by name, and pods that a StorageNetwork selects
//! by labels.
//!
//! A client asks by an annotation of its own, or of its namespace, and gets the one network that the system has for clients,
//! never another, where the cluster's owner allows its namespace. It must learn nothing of clusters that do not.

use super::decide::{Deciding, Part, Risk};
use super::decision::{
    CLIENT_ROLE, CUSTOM_SYSTEM, EffectiveProvider, FoundBy, MEMBER_ROLE, ProviderSource, Recognised, Verdict,
};
use super::host::host_network;
use super::pod::PodView;
use super::reason::{Asker, Reason, Refusal};
use super::remark::Remark;
use crate::network::Provider;
use crate::storage::System;
use crate::world::{ATTACH_ANNOTATION, AllowedNamespaces, Cluster, Declarer, Mode, Outcome, RoleRule, StorageNetwork};

/// One declaration for a guest, with the provider it asks for.
struct Offer<'s> {
    part: Part<'s>,
    provider: EffectiveProvider<'s>,
}

/// What the StorageNetworks that select a pod offer it.
struct Selecting<'s> {
    offers: Vec<Offer<'s>>,
    /// One that gives the pod's role none.
    gives_none: Option<&'s StorageNetwork>,
    /// Whether any of them counts; one whose mode is off does not.
    counted: bool,
}

/// What a StorageNetwork makes of a pod that it selects.
struct Selected<'s> {
    recognised: Recognised<'s>,
    /// Nothing where it gives the pod's role none.
    offer: Option<Offer<'s>>,
}

impl<'s> Deciding<'s> {
    /// What a pod gets that belongs to no cluster; `otherwise` is why, where it gets nothing here either.
    pub(super) fn guest(
        &mut self,
        pod: &PodView<'_>,
        namespace: &str,
        otherwise: Reason<'s>,
    ) -> Result<Verdict<'s>, Reason<'s>> {
        let snapshot = self.snapshot;
        let asked = match pod.annotation(ATTACH_ANNOTATION) {
            Some(asked) => Some((asked.trim(), Asker::Pod)),
            None => snapshot.asked_by_namespace(namespace).map(|asked| (asked, Asker::Namespace)),
        };
        let asked = asked.filter(|(asked, _)| !asked.is_empty());
        let selecting = snapshot.storage_networks_for(namespace, pod);
        if asked.is_none() && selecting.is_empty() {
            return Err(self.unless_off(otherwise));
        }
        // What it may have looked like before does not matter any more.
        (self.recognised, self.cluster) = (None, None);
        self.mode = self.mode_of(None, None);
        let client = match asked {
            Some((asked, asker)) => self.client_unless_refused(asked, asker, namespace, !selecting.is_empty())?,
            None => None,
        };
        let clients_mode = self.mode;
        // What the namespace gives to all its pods comes first: asking for a cluster's network is no way out of it.
        let Selecting { mut offers, gives_none, counted } = self.offers(&selecting, pod, client.is_some())?;
        let of_namespace = offers.len();
        match client {
            Some(client) if !counted => {
                self.mode = clients_mode;
                offers.push(client);
            }
            Some(client) if clients_mode.mode > self.mode.mode => {
                self.remarks.push(Remark::ClientNotAttached(client.part.declarer, clients_mode.mode));
            }
            Some(client) if offers.is_empty() || matches!(client.provider.provider, Provider::Attach(_)) => {
                offers.push(client);
            }
            Some(_) | None => {}
        }
        let Some(first) = offers.first() else {
            return Err(gives_none.map_or(Reason::ModeOff, Reason::NoNetworkDeclared));
        };
        let (provider, followed) = (first.provider.clone(), first.part.declarer);
        let mut parts = Vec::new();
        for offer in offers {
            if offer.provider.provider == provider.provider {
                parts.push(offer.part);
            } else {
                self.remarks.push(Remark::OtherProvider { followed, ignored: offer.part.declarer });
            }
        }
        self.provider = Some(provider.clone());
        match provider.provider {
            Provider::None => Err(Reason::ProviderNone),
            // Clients are never put there, whoever else has nothing to give.
            Provider::Host if of_namespace == 0 => Err(Reason::ClientOffHost(followed)),
            Provider::Host => host_network(followed, None, &provider, pod),
            Provider::Attach(plugin) => self.attachments(&parts, plugin, Risk::None, pod, namespace),
        }
    }

    /// What the StorageNetworks that select a pod offer it, the oldest first, and the mode that goes with that.
    fn offers(
        &mut self,
        selecting: &[&'s StorageNetwork],
        pod: &PodView<'_>,
        is_client: bool,
    ) -> Result<Selecting<'s>, Reason<'s>> {
        let mut all = Selecting { offers: Vec::new(), gives_none: None, counted: false };
        for network in selecting {
            let mode = self.mode_of(None, Some(network));
            if mode.mode == Mode::Off {
                continue;
            }
            // The mildest of the modes counts: more may not be done to a pod than any of them asks for.
            if !all.counted || mode.mode > self.mode.mode {
                self.mode = mode;
            }
            all.counted = true;
            self.storage_networks.push(network);
            let Selected { recognised, offer } = selected(network, pod)?;
            // As a client it is known already; else as what the first makes of it that gives it something.
            if self.recognised.is_none() || (all.offers.is_empty() && all.gives_none.is_some() && !is_client) {
                self.recognised = Some(recognised);
            }
            match offer {
                Some(offer) => all.offers.push(offer),
                None => all.gives_none = Some(network),
            }
        }
        Ok(all)
    }

    /// The network of the clients of the cluster that is asked for. Where there is none to be had, but the pod is not refused for
    /// that, it keeps what its namespace declares, where that is something.
    fn client_unless_refused(
        &mut self,
        asked: &str,
        asker: Asker,
        namespace: &str,
        has_other: bool,
    ) -> Result<Option<Offer<'s>>, Reason<'s>> {
        let reason = match self.client(asked, asker, namespace) {
            Ok(client) => return Ok(client),
            Err(reason) => self.unless_off(reason),
        };
        let outcome = reason.concern().map(|concern| self.snapshot.settings().outcome(concern));
        if !has_other || outcome == Some(Outcome::Deny) {
            return Err(reason);
        }
        self.remarks.push(Remark::ClientLeft(Box::new(reason)));
        Ok(None)
    }

    /// The network of the clients of the cluster that is asked for, or nothing where the cluster's mode is off.
    fn client(&mut self, asked: &str, asker: Asker, namespace: &str) -> Result<Option<Offer<'s>>, Reason<'s>> {
        let refuse = |refusal| Reason::ClientRefused { asker, asked: asked.to_owned(), refusal };
        let id = asked.split_once('/').map(|(namespace, name)| (namespace.trim(), name.trim()));
        let id = id.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'));
        let Some((of, name)) = id else { return Err(refuse(Refusal::Malformed)) };
        let allows = |(_, cluster): &(&System, &Cluster)| {
            let by_network = self.counting(cluster).map_or(&AllowedNamespaces::Own, |network| &network.allowed);
            cluster.id.namespace == namespace || cluster.allowed.contains(namespace) || by_network.contains(namespace)
        };
        let mut found: Vec<(&'s System, &'s Cluster)> = self.snapshot.clusters_named(of, name);
        found.retain(allows);
        let (system, cluster) = match found[..] {
            [one] => one,
            [] => return Err(refuse(Refusal::NotAllowed { namespace: namespace.to_owned() })),
            _ => return Err(refuse(Refusal::Ambiguous(found.iter().map(|(_, cluster)| *cluster).collect()))),
        };
        let key = system.client.as_ref().ok_or_else(|| refuse(Refusal::NoClientNetwork(system)))?;
        let network = self.counting(cluster);
        self.cluster = Some(cluster);
        self.found_by = FoundBy::Request(asker);
        self.mode = self.mode_of(Some(cluster), network);
        let (system_name, role) = (system.name.as_str(), CLIENT_ROLE);
        let by = format!("{ATTACH_ANNOTATION}: {asked}");
        self.recognised = Some(Recognised { system: system_name, role, known: None, by });
        if self.mode.mode == Mode::Off {
            return Ok(None);
        }
        self.storage_networks.extend(network);
        let part = Part::of(system, cluster, network)?;
        // No other key stands in here: what a cluster replicates over is never for its clients. And a default network is for the
        // cluster's own pods.
        let part = Part { keys: vec![key], fallbacks: None, default_network: None, ..part };
        let provider = self.provider_of(part.spec);
        let on_nodes = || part.node_interfaces.iter().any(|nodes| nodes.selections.contains_key(key));
        // Where the cluster's pods use the pod network, clients reach them there; but not where nothing can say so.
        let is_declared = part.spec.selections.contains_key(key) || on_nodes();
        let may_be_none = cluster.can_declare || network.is_some();
        if !is_declared && (matches!(provider, Provider::Attach(_)) || !may_be_none) {
            return Err(refuse(Refusal::NothingDeclared(part.declarer, key)));
        }
        let source = if provider == part.spec.provider {
            ProviderSource::Declarer(part.declarer)
        } else {
            ProviderSource::Enforced
        };
        Ok(Some(Offer { part, provider: EffectiveProvider { provider, source } }))
    }
}

/// What a StorageNetwork makes of a pod that it selects.
fn selected<'s>(network: &'s StorageNetwork, pod: &PodView<'_>) -> Result<Selected<'s>, Reason<'s>> {
    let declarer = Declarer::StorageNetwork(network);
    let declared = network.declared.as_ref().map_err(|problems| Reason::InvalidSpec(declarer, problems))?;
    let rule = declared.role_for(pod);
    let role = rule.map_or(MEMBER_ROLE, |rule| rule.name.as_str());
    let by = rule.map_or_else(|| format!("the podSelector of {network}"), RoleRule::told_by);
    let recognised = Recognised { system: CUSTOM_SYSTEM, role, known: None, by };
    let keys = declared.networks_of(rule);
    let own = rule.and_then(|rule| rule.provider);
    // An empty list is no way out of a default network; nor of what the role's own provider asks for.
    let gets_none = keys.is_empty() && declared.default_network.is_none() && own != Some(Provider::Host);
    if gets_none && rule.is_some_and(|rule| rule.networks.is_some()) {
        return Ok(Selected { recognised, offer: None });
    }
    let provider = match own {
        Some(provider) => EffectiveProvider { provider, source: ProviderSource::Role(network) },
        None => EffectiveProvider { provider: declared.spec.provider, source: ProviderSource::Declarer(declarer) },
    };
    let (spec, node_interfaces) = (&declared.spec, declared.node_interfaces.as_slice());
    let default_network = declared.default_network.as_ref();
    let part = Part { declarer, fallbacks: None, keys, spec, node_interfaces, default_network };
    Ok(Selected { recognised, offer: Some(Offer { part, provider }) })
}
