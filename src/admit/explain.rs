//! A decision in sentences: for the warning that kubectl prints, for the audit log, and step by step for `explain`.
//!
//! Everything here is read off the [`Decision`]; nothing is decided again.

use serde::Serialize;

use super::decision::{Decision, Declared, HostNetwork, Verdict, Wanted, WantedStep};
use super::devices::{DeviceRequest, Devices};
use super::pod::PodView;
use super::{INJECT_ANNOTATION, INJECT_DISABLED, INJECT_ENABLED};
use crate::network::NetworkSelection;
use crate::world::{Mode, Outcome};

/// One step of a decision. Only what was looked for is there: a pod that opts out has no step about its cluster.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What the step is about: `cluster`, `declared`, `mode`, `role`, `provider`, `network`, `default`, `change`, `before`, `reason` or
    /// `remark`.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// By what, or who says so, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// The steps of a decision, in the order in which they were taken.
#[must_use]
pub fn steps(decision: &Decision<'_>, pod: &PodView<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |about, found: String, because: Option<String>| steps.push(Step { about, found, because });
    if let Some(cluster) = decision.cluster {
        step("cluster", cluster.to_string(), decision.found_by.describe(cluster));
    }
    for network in &decision.storage_networks {
        let because = match decision.cluster.filter(|cluster| network.is_about(cluster)) {
            Some(cluster) if cluster.can_declare => "in the place of what the cluster itself declares",
            Some(_) => "its clusterRef names the cluster",
            None => "its podSelector selects the pod",
        };
        step("declared", format!("by {network}"), Some(because.to_owned()));
    }
    let mode = match decision.mode.mode {
        Mode::Enforce => None,
        Mode::Audit => Some("audit: what follows is said, and not done"),
        Mode::Off => Some("off: nothing is done"),
    };
    if let Some(mode) = mode {
        step("mode", mode.to_owned(), Some(decision.mode.source.to_string()));
    }
    if let Some(found) = &decision.recognised {
        let by = if found.known.is_some() { format!("label {}", found.by) } else { found.by.clone() };
        step("role", format!("{} {}", found.system, found.role), Some(by));
    }
    if let Some(provider) = &decision.provider {
        step("provider", provider.provider.name().to_owned(), Some(provider.source.to_string()));
    }
    for wanted in &decision.wanted {
        let (found, because) = describe_wanted(wanted, decision.reason().is_none() && decision.is_carried_out());
        step("network", found, Some(because));
    }
    match &decision.verdict {
        Verdict::Attach(attachments) => {
            if let Some(selection) = attachments.default_network {
                let because = "it takes the place of the pod network of the cluster".to_owned();
                step("default", selection.attachment.to_string(), Some(because));
            }
            match attachments.host_network {
                HostNetwork::NotUsed => {}
                HostNetwork::Left => step("change", "hostNetwork: false".to_owned(), None),
            }
            for DeviceRequest { resource, needed, requested } in requested(attachments.devices.as_ref()) {
                let because = match needed {
                    1 => "one attachment needs a device of it".to_owned(),
                    needed => format!("{needed} attachments need a device of it each"),
                };
                step("change", format!("containers[0] requests {requested} of {resource}"), Some(because));
            }
            for (annotation, value) in &attachments.annotations {
                step("change", format!("annotation {annotation}: {value}"), None);
                let before = pod.annotation(annotation).unwrap_or_default();
                let before = before.split_whitespace().collect::<Vec<_>>().join(" ");
                step("before", if before.is_empty() { "not set".to_owned() } else { before }, None);
            }
        }
        Verdict::UseHostNetwork => {
            let because = "cluster names resolve on the host network only with this DNS policy".to_owned();
            step("change", "hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet".to_owned(), Some(because));
        }
        Verdict::Leave(reason) => step("reason", reason.to_string(), None),
    }
    for remark in &decision.remarks {
        step("remark", remark.to_string(), None);
    }
    steps
}

/// What becomes of the pod, or in audit mode would, in a few words.
#[must_use]
pub fn summary(decision: &Decision<'_>) -> String {
    let [gets, is_refused] =
        if decision.is_carried_out() { ["gets", "is refused"] } else { ["would get", "would be refused"] };
    match &decision.verdict {
        Verdict::Attach(attachments) => {
            let added = decision.added().map(|selection| named_apart(selection, decision.added()));
            let named = decision.wanted.iter().filter(|wanted| wanted.step == WantedStep::Name);
            let named = named.filter_map(|wanted| {
                let attachment = &wanted.declared?.selection.attachment;
                Some(format!("the interface name {} for {attachment}", wanted.interface.as_deref()?))
            });
            let default =
                attachments.default_network.map(|selection| format!("the default network {}", selection.attachment));
            // Devices are told of only where they are all there is to tell: else they are what the networks need.
            let mut networks: Vec<String> = added.chain(default).chain(named).collect();
            if networks.is_empty() {
                let devices = requested(attachments.devices.as_ref()).iter();
                networks.extend(devices.map(|one| format!("a request for devices of {}", one.resource)));
            }
            let [and_leaves, leaves] =
                if decision.is_carried_out() { ["leaves", "leaves"] } else { ["leave", "would leave"] };
            match (attachments.host_network, networks.is_empty()) {
                (HostNetwork::NotUsed, _) => format!("{gets} {}", networks.join(" and ")),
                (HostNetwork::Left, false) => {
                    format!("{gets} {}, and {and_leaves} the host network", networks.join(" and "))
                }
                (HostNetwork::Left, true) => format!("{leaves} the host network"),
            }
        }
        Verdict::UseHostNetwork => format!("{gets} the host network"),
        Verdict::Leave(reason) if decision.outcome == Outcome::Deny => format!("{is_refused} ({})", reason.name()),
        Verdict::Leave(reason) => format!("is left as it is ({})", reason.name()),
    }
}

/// The attachment of a network; with its interface where another network has the same attachment.
fn named_apart<'s>(selection: &NetworkSelection, mut all: impl Iterator<Item = &'s NetworkSelection>) -> String {
    let is_other = |other: &NetworkSelection| !std::ptr::eq(other, selection);
    let shared = all.any(|other| is_other(other) && other.attachment == selection.attachment);
    match selection.interface.as_ref().filter(|_| shared) {
        Some(interface) => format!("{}@{interface}", selection.attachment),
        None => selection.attachment.to_string(),
    }
}

/// What the one who created the pod should read, where there is something to act on. Where the mode is off, nothing is said.
#[must_use]
pub fn warnings(decision: &Decision<'_>, pod: &PodView<'_>) -> Vec<String> {
    let not_done = match decision.mode.mode {
        Mode::Enforce => None,
        Mode::Audit => not_done(decision, pod),
        Mode::Off => return Vec::new(),
    };
    let left_alone = decision.reason().filter(|_| decision.outcome == Outcome::Warn);
    let left_alone = left_alone.map(|reason| format!("rook-multihome left pod {} alone: {reason}", pod.display_name()));
    // Somebody who writes `false` here means to opt out, and would not learn otherwise that it does not.
    let inject = pod.annotation(INJECT_ANNOTATION).filter(|value| ![INJECT_DISABLED, INJECT_ENABLED].contains(value));
    let inject = inject.map(|value| {
        format!("rook-multihome ignores {INJECT_ANNOTATION}: {value:?}; write {INJECT_DISABLED} to opt out")
    });
    let remarks =
        decision.remarks.iter().map(|remark| format!("rook-multihome on pod {}: {remark}", pod.display_name()));
    not_done.into_iter().chain(left_alone).chain(remarks).chain(inject).collect()
}

/// What audit mode keeps from being done to the pod, where it does.
fn not_done(decision: &Decision<'_>, pod: &PodView<'_>) -> Option<String> {
    let why = match &decision.verdict {
        Verdict::Attach(_) | Verdict::UseHostNetwork => String::new(),
        Verdict::Leave(reason) if decision.outcome == Outcome::Deny => format!(": {reason}"),
        Verdict::Leave(_) => return None,
    };
    let whose = decision.cluster.map(|cluster| format!(" for {cluster}")).unwrap_or_default();
    let (name, would) = (pod.display_name(), summary(decision));
    Some(format!("rook-multihome is in audit mode{whose}: pod {name} {would}{why}"))
}

/// Why a pod is refused, where it is.
#[must_use]
pub fn refusal(decision: &Decision<'_>) -> Option<String> {
    let reason = decision.reason().filter(|_| decision.is_denied())?;
    Some(format!("rook-multihome refuses this pod ({}): {reason}", reason.name()))
}

/// The annotations for the audit log: cluster, role and StorageNetworks where they are known, the mode where it is not to enforce, then the
/// networks that were (or would have been) attached with the interfaces that were named and the devices that are requested, or the reason for leaving the pod alone. The API server puts the webhook's name before each key.
#[must_use]
pub fn audit_annotations(decision: &Decision<'_>) -> Vec<(&'static str, String)> {
    let mut annotations = Vec::with_capacity(4);
    if let Some(cluster) = decision.cluster {
        annotations.push(("cluster", cluster.id.to_string()));
    }
    if let Some(found) = &decision.recognised {
        annotations.push(("role", format!("{}/{}", found.system, found.role)));
    }
    if !decision.storage_networks.is_empty() {
        let names: Vec<String> = decision.storage_networks.iter().map(|network| network.id.to_string()).collect();
        annotations.push(("storage-networks", names.join(",")));
    }
    if !decision.is_carried_out() {
        annotations.push(("mode", decision.mode.mode.name().to_owned()));
    }
    match &decision.verdict {
        Verdict::Attach(attachments) => {
            let default = attachments.default_network.map(|selection| format!("default={}", selection.attachment));
            let networks: Vec<String> = attached(decision).chain(default).collect();
            let named = decision.wanted.iter().filter(|wanted| wanted.step == WantedStep::Name);
            let named: Vec<String> =
                named.filter_map(|wanted| Some(format!("{}={}", wanted.key, wanted.interface.as_deref()?))).collect();
            if !networks.is_empty() || (named.is_empty() && attachments.devices.is_none()) {
                annotations.push(("networks", networks.join(",")));
            }
            if !named.is_empty() {
                annotations.push(("interfaces", named.join(",")));
            }
            if let Some(devices) = &attachments.devices {
                let devices = devices.requests.iter().map(|one| format!("{}={}", one.resource, one.requested));
                annotations.push(("devices", devices.collect::<Vec<_>>().join(",")));
            }
        }
        Verdict::UseHostNetwork => annotations.push(("networks", "host".to_owned())),
        Verdict::Leave(reason) => annotations.push(("reason", reason.name().to_owned())),
    }
    annotations
}

/// The networks that are attached, as `key=namespace/name`.
fn attached(decision: &Decision<'_>) -> impl Iterator<Item = String> {
    let added = decision.wanted.iter().filter(|wanted| wanted.step == WantedStep::Add);
    added.filter_map(|wanted| Some(format!("{}={}", wanted.key, wanted.declared?.selection.attachment)))
}

/// What is requested for devices, if anything.
fn requested<'d, 's>(devices: Option<&'d Devices<'s>>) -> &'d [DeviceRequest<'s>] {
    devices.map(|devices| devices.requests.as_slice()).unwrap_or_default()
}

fn describe_wanted(wanted: &Wanted<'_>, is_changed: bool) -> (String, String) {
    let Some(Declared { key, selection, on_nodes }) = wanted.declared else {
        return (format!("{}: none", wanted.key), "nothing is declared for it".to_owned());
    };
    let interface = match wanted.interface_name() {
        Some(interface) => format!(" as interface {interface}"),
        None => String::new(),
    };
    let by_setting = if wanted.interface.is_some() { "; named by the setting interface-names" } else { "" };
    let on_nodes = on_nodes.map(|nodes| format!(" on nodes with {nodes}")).unwrap_or_default();
    let declared = if key == wanted.key {
        format!("declared for {key}{on_nodes}")
    } else {
        format!("{} is not declared, and falls back to {key}{on_nodes}", wanted.key)
    };
    let step = match wanted.step {
        WantedStep::Add if is_changed => "added",
        WantedStep::Add => "the pod does not have it",
        WantedStep::Name if is_changed => "the pod has it already, and its interface gets the name",
        WantedStep::Name => "the pod has it without the interface name",
        WantedStep::Present => "the pod has it already",
        WantedStep::SameAsEarlier => "the same attachment as before, attached once",
        WantedStep::NotDeclared => "not declared",
    };
    (format!("{}: {}{interface}", wanted.key, selection.attachment), format!("{declared}{by_setting}; {step}"))
}
