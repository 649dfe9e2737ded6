//! What is true about a StorageNetwork, computed from one snapshot: conditions, each with its reason and its mend, and what the
//! columns of kubectl show.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::attachable::{Outlook, outlook};
use super::networks::{Lookup, Named, in_words};
use super::size;
use super::sound::{FoundAbout, Sound};
use crate::admit::CUSTOM_SYSTEM;
use crate::api::{Condition, ConditionStatus, InterfaceState, StorageNetworkStatus};
use crate::lint::{Finding, Neighbours, Rival};
use crate::network::{NetworkSpec, Provider, SpecProblem};
use crate::storage::System;
use crate::world::{Cluster, ClusterRef, Declared, Knowledge, MODE_ANNOTATION, Mode, Snapshot, StorageNetwork, Target};

/// The condition that the spec is valid, and counts.
pub const ACCEPTED: &str = "Accepted";
/// The condition that all that the spec refers to is there.
pub const RESOLVED_REFS: &str = "ResolvedRefs";
/// The condition that another StorageNetwork stands in the way.
pub const CONFLICTED: &str = "Conflicted";
/// The condition that nothing was found to be wrong with its networks.
pub const NETWORKS_SOUND: &str = "NetworksSound";
/// The condition that pods get what the spec says.
pub const READY: &str = "Ready";

/// Reasons that say no more than that something is not known yet.
const NOT_KNOWN_YET: [&str; 2] = ["ClustersNotListed", "AttachmentsNotListed"];

/// What is said about one condition.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) status: ConditionStatus,
    pub(super) reason: Cow<'static, str>,
    pub(super) message: String,
}

/// What a StorageNetwork is about, as far as the snapshot knows it.
#[derive(Clone, Copy)]
enum Meant<'s> {
    /// A cluster.
    Cluster(&'s System, &'s Cluster),
    /// A cluster that does not exist.
    NoCluster(&'s ClusterRef),
    /// A cluster of a kind whose clusters have not been listed yet.
    NotListed(&'s ClusterRef),
    /// Pods by their labels, or nothing that can be told.
    NoReference,
}

/// The status of every StorageNetwork, without the times of its conditions; see [`dated`]. `findings` are those of the same
/// snapshot.
#[must_use]
pub fn statuses<'s>(snapshot: &'s Snapshot, findings: &[Finding]) -> Vec<(&'s StorageNetwork, StorageNetworkStatus)> {
    let mut namespaces: BTreeMap<&str, Vec<&StorageNetwork>> = BTreeMap::new();
    for network in snapshot.storage_networks() {
        namespaces.entry(&network.id.namespace).or_default().push(network);
    }
    let found = FoundAbout::of(findings);
    let mut all = Vec::new();
    for networks in namespaces.into_values() {
        let neighbours = Neighbours::of(snapshot, networks.clone());
        let status = |network| {
            let sound = Sound { found: found.about(network) };
            (network, status_of(snapshot, network, neighbours.rival_of(network), &sound))
        };
        all.extend(networks.into_iter().map(status));
    }
    all
}

fn status_of(
    snapshot: &Snapshot,
    network: &StorageNetwork,
    rival: Option<Rival<'_>>,
    sound: &Sound<'_>,
) -> StorageNetworkStatus {
    let meant = Meant::find(snapshot, network);
    let named = network.declared.as_ref().ok().map(|declared| Named::read(snapshot, declared));
    let accepted = accepted(network, meant, rival);
    let resolved = resolved(meant, named.as_ref());
    let conflicted = conflicted(rival);
    let sound = sound.said(named.as_ref());
    let ready = ready(snapshot, network, meant, [&accepted, &resolved], &conflicted);
    let generation = Some(network.generation).filter(|generation| *generation > 0);
    let conditions = [
        (ACCEPTED, accepted),
        (RESOLVED_REFS, resolved),
        (CONFLICTED, conflicted),
        (NETWORKS_SOUND, sound),
        (READY, ready),
    ]
    .map(|(kind, Said { status, reason, message })| Condition {
        kind: kind.to_owned(),
        status,
        observed_generation: generation,
        last_transition_time: String::new(),
        reason: reason.into_owned(),
        message,
    });
    let (cluster, pods, system) = match &network.target {
        Some(Target::Cluster(ClusterRef { group, kind, name })) => {
            let system = snapshot.catalogue().system_of(group, kind).map(|system| system.name.to_string());
            (Some(format!("{kind}/{name}")), None, system)
        }
        Some(Target::Pods(pods)) => (None, Some(in_words(pods)), Some(CUSTOM_SYSTEM.to_owned())),
        None => (None, None, None),
    };
    let provider = network.declared.as_ref().ok().map(|declared| declared.spec.provider.name().to_owned());
    let (interfaces, nodes, line) =
        named.map(|Named { interfaces, nodes, line, .. }| (interfaces, nodes, line)).unwrap_or_default();
    size::bounded(StorageNetworkStatus {
        observed_generation: generation,
        system,
        cluster,
        pods,
        provider,
        networks: Some(line).filter(|line| !line.is_empty()),
        interfaces,
        nodes,
        conditions: conditions.into(),
    })
}

/// Dates the conditions of `status`: one that has the same status as `before` has had it since then, any other since `now`.
#[must_use]
pub fn dated(
    mut status: StorageNetworkStatus,
    before: Option<&StorageNetworkStatus>,
    now: &str,
) -> StorageNetworkStatus {
    for condition in &mut status.conditions {
        let mut known = before.into_iter().flat_map(|before| &before.conditions);
        let same = known.find(|known| known.kind == condition.kind && known.status == condition.status);
        let since = same.map(|same| same.last_transition_time.as_str()).filter(|since| !since.is_empty());
        since.unwrap_or(now).clone_into(&mut condition.last_transition_time);
    }
    status
}

/// Whether the pods that are meant get what the StorageNetwork says.
#[must_use]
pub fn readiness(status: &StorageNetworkStatus) -> ConditionStatus {
    let ready = status.conditions.iter().find(|condition| condition.kind == READY);
    ready.map_or(ConditionStatus::Unknown, |ready| ready.status)
}

/// Whether the status says of something that it is not known yet, so that a better one is likely to follow soon.
#[must_use]
pub fn is_provisional(status: &StorageNetworkStatus) -> bool {
    status.conditions.iter().any(|condition| NOT_KNOWN_YET.contains(&condition.reason.as_str()))
}

impl<'s> Meant<'s> {
    fn find(snapshot: &'s Snapshot, network: &'s StorageNetwork) -> Self {
        let Some(Target::Cluster(meant)) = &network.target else { return Self::NoReference };
        let named = snapshot.clusters_named(&network.id.namespace, &meant.name).into_iter();
        let found = named.into_iter().find(|(_, cluster)| network.is_about(cluster));
        match (found, snapshot.clusters_known(&meant.group, &meant.kind)) {
            (Some((system, cluster)), _) => Self::Cluster(system, cluster),
            (None, Knowledge::Complete) => Self::NoCluster(meant),
            (None, Knowledge::Incomplete) => Self::NotListed(meant),
        }
    }
}

fn accepted(network: &StorageNetwork, meant: Meant<'_>, rival: Option<Rival<'_>>) -> Said {
    if let Err(problems) = &network.declared {
        let all: Vec<String> = problems.iter().map(SpecProblem::to_string).collect();
        return Said::no("Invalid", format!("{}. Until then the pods that are meant are left alone", all.join(". ")));
    }
    if let Some(Rival::SameCluster(other)) = rival {
        let message = format!("{other} is about the same cluster and is older, so it counts, and this one does not");
        return Said::no("Conflicted", message);
    }
    match meant {
        Meant::Cluster(system, cluster) if declares_networks(cluster) => {
            let kind = system.cluster_kind(&cluster.group, &cluster.kind);
            let field = kind.and_then(|kind| kind.network.as_ref()).map(ToString::to_string).unwrap_or_default();
            Said::yes(
                "Overrides",
                format!(
                    "{field} of {cluster} declares networks too, and rook-multihome does not follow it; the operator of {cluster} may still do so. Keep one of the two: remove {field} there, or delete this StorageNetwork"
                ),
            )
        }
        Meant::Cluster(..) | Meant::NoCluster(_) | Meant::NotListed(_) | Meant::NoReference => {
            Said::yes("Accepted", "the spec is valid".to_owned())
        }
    }
}

/// Whether the cluster's own resource says anything about networks.
fn declares_networks(cluster: &Cluster) -> bool {
    let NetworkSpec { provider, selections, address_ranges: _, addressing: _, doubts: _, written: _ } =
        &cluster.network;
    *provider != Provider::None || !selections.is_empty() || !cluster.network_problems.is_empty()
}

fn resolved(meant: Meant<'_>, named: Option<&Named>) -> Said {
    match meant {
        Meant::NoCluster(cluster) => {
            let message = format!(
                "there is no {cluster} of {} in this namespace; create it, or mend spec.clusterRef",
                cluster.group
            );
            return Said::no("ClusterNotFound", message);
        }
        Meant::NotListed(cluster) => {
            let message = format!(
                "clusters of the kind {} of {} have not been listed yet; if that lasts, look at the log and at /readyz?verbose of rook-multihome",
                cluster.kind, cluster.group
            );
            return Said::unknown("ClustersNotListed", message);
        }
        Meant::Cluster(..) | Meant::NoReference => {}
    }
    let Some(named) = named else {
        return Said::unknown("NotAccepted", "the spec is invalid; mend what Accepted says".to_owned());
    };
    match named.lookup {
        Lookup::Unused => {
            return Said::yes("Resolved", "the provider needs no attachment definitions".to_owned());
        }
        Lookup::Elsewhere => {
            let message =
                "the provider keeps its networks elsewhere than in attachment definitions, so they are not looked for";
            return Said::yes("Resolved", message.to_owned());
        }
        Lookup::Definitions => {}
    }
    let missing = named.that_are(InterfaceState::Missing);
    let malformed = (!named.faults.is_empty())
        .then(|| format!("attachment definitions that Multus could not load: {}; mend them", named.faults.join(", ")));
    let missing = (!missing.is_empty()).then(|| {
        format!("attachment definitions that do not exist: {}; create them, or mend the spec", missing.join(", "))
    });
    match (missing, malformed) {
        (Some(missing), Some(malformed)) => Said::no("AttachmentsMissing", format!("{missing}. And {malformed}")),
        (Some(missing), None) => Said::no("AttachmentsMissing", missing),
        (None, Some(malformed)) => Said::no("AttachmentMalformed", malformed),
        (None, None) if !named.that_are(InterfaceState::Unknown).is_empty() => {
            let message = "attachment definitions have not been listed yet; if that lasts, look at the log and at /readyz?verbose of rook-multihome";
            Said::unknown("AttachmentsNotListed", message.to_owned())
        }
        (None, None) => Said::yes("Resolved", "all that the spec refers to is there".to_owned()),
    }
}

/// Here True is the bad one: the condition is named after the fault, as Kubernetes does it.
fn conflicted(rival: Option<Rival<'_>>) -> Said {
    let same_pods = "selects pods by labels that this one may select too";
    let (reason, message) = match rival {
        None => {
            let message =
                "no other StorageNetwork stands in the way, as far as that can be seen without looking at pods";
            return Said::no("NoConflict", message.to_owned());
        }
        Some(Rival::SameCluster(other)) => (
            "SameCluster",
            format!("{other} is about the same cluster and is older, so it counts; delete one of the two"),
        ),
        Some(Rival::OtherProvider(other, provider)) => (
            "OtherProvider",
            format!(
                "{other} {same_pods}, is older, and has the provider {}; pods that both select have that one, and get nothing from here. Give both the same provider, or selectors that do not overlap",
                provider.name()
            ),
        ),
        Some(Rival::OtherDefault(other, network)) => (
            "OtherDefaultNetwork",
            format!(
                "{other} {same_pods}, is older, and replaces the pod network by {}; pods that both select have that one. Give both the same defaultNetwork, or selectors that do not overlap",
                network.attachment
            ),
        ),
        Some(Rival::Invalid(other)) => (
            "OtherInvalid",
            format!(
                "{other} {same_pods}, and is invalid; pods that it selects are left alone. Mend it (its condition Accepted says how), or give them selectors that do not overlap"
            ),
        ),
    };
    Said { status: ConditionStatus::True, reason: reason.into(), message }
}

fn ready(
    snapshot: &Snapshot,
    network: &StorageNetwork,
    meant: Meant<'_>,
    needed: [&Said; 2],
    conflicted: &Said,
) -> Said {
    if let Some(first) = needed.into_iter().find(|finding| finding.status != ConditionStatus::True) {
        return first.clone();
    }
    if conflicted.status == ConditionStatus::True {
        return Said::no("Conflicted", conflicted.message.clone());
    }
    let (system, cluster) = match meant {
        Meant::Cluster(system, cluster) => (Some(system), Some(cluster)),
        Meant::NoCluster(_) | Meant::NotListed(_) | Meant::NoReference => (None, None),
    };
    if let Some(cluster) = cluster.filter(|cluster| !cluster.other_problems.is_empty()) {
        let problems: Vec<String> = cluster.other_problems.iter().map(SpecProblem::to_string).collect();
        let message = format!("{cluster} is invalid: {}. Until then its pods are left alone", problems.join(". "));
        return Said::no("ClusterInvalid", message);
    }
    let outlook = match &network.declared {
        Ok(declared) => outlook(declared, system, snapshot.settings(), &network.id.namespace),
        Err(_) => Outlook::NotMeant,
    };
    // Whatever the mode is: those who only look at first want to know.
    if let Outlook::Not(why) = outlook {
        return Said::no("NotAttachable", why);
    }
    let (mode, chosen_by) = match (network.mode, cluster.and_then(|cluster| Some((cluster, cluster.mode?)))) {
        (Some(mode), _) => (mode, "spec.mode".to_owned()),
        (None, Some((cluster, mode))) => (mode, format!("the annotation {MODE_ANNOTATION} of {cluster}")),
        (None, None) => (snapshot.settings().mode, "the setting --mode of rook-multihome".to_owned()),
    };
    let said = match mode {
        Mode::Enforce => None,
        Mode::Audit => Some(("ModeAudit", "so what would be done to pods is said, and nothing is done")),
        Mode::Off => Some(("ModeOff", "so pods are left alone")),
    };
    if let Some((reason, effect)) = said {
        let mode = mode.name();
        return Said::no(
            reason,
            format!("the mode is {mode} by {chosen_by}, {effect}; set spec.mode to enforce to have it done"),
        );
    }
    if let Some(cluster) = cluster.filter(|_| snapshot.settings().enforce_host_network) {
        let message = format!(
            "rook-multihome runs with --enforce-host-network, so pods of {cluster} use the network of their node, but for roles that say otherwise; take the flag away to have networks attached"
        );
        return Said::no("HostNetworkEnforced", message);
    }
    let happens = match outlook {
        Outlook::OnlyOnNodes(nodes) => return Said::yes("OnlyOnNodes", only_on(nodes)),
        Outlook::Nothing => "pods keep the pod network: no role gets any of these networks",
        Outlook::NotMeant | Outlook::Attached | Outlook::Not(_) => what_happens(network.declared.as_ref().ok()),
    };
    Said::yes("Ready", happens.to_owned())
}

/// What becomes of pods whose networks are declared for nodes alone.
fn only_on(nodes: Vec<Option<String>>) -> String {
    let nodes: Option<Vec<String>> = nodes.into_iter().collect();
    let these = nodes.map(|nodes| format!(" with the labels {}", nodes.join(" or "))).unwrap_or_default();
    format!(
        "pods that are created from now on and bound to a node{these} are attached to the networks that are declared for it; all others keep the pod network alone"
    )
}

/// What becomes of pods, by the provider.
fn what_happens(declared: Option<&Declared>) -> &'static str {
    match declared.map(|declared| declared.spec.provider) {
        Some(Provider::Attach(_)) => "pods that are created from now on are attached to these networks",
        Some(Provider::Host) => "pods that are created from now on use the network of their node",
        Some(Provider::None) | None => "pods keep the pod network, but for roles that say otherwise",
    }
}

impl Said {
    pub(super) fn yes(reason: &'static str, message: String) -> Self {
        Self { status: ConditionStatus::True, reason: reason.into(), message }
    }

    pub(super) fn no(reason: &'static str, message: String) -> Self {
        Self { status: ConditionStatus::False, reason: reason.into(), message }
    }

    pub(super) fn unknown(reason: &'static str, message: String) -> Self {
        Self { status: ConditionStatus::Unknown, reason: reason.into(), message }
    }
}

#[cfg(test)]
mod tests;
