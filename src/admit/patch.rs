//! JSON Patch operations from a decision.
//!
//! Built from the decision, never by comparing documents. A patch that does not apply rejects the pod even under
//! failurePolicy Ignore, so every path that an operation needs is known to be there: an annotations map that is absent or
//! `null` is added whole, and so are the resources of a container.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::{Map, Value};

use super::decision::{Attachments, Decision, HostNetwork, Verdict};
use super::devices::{DeviceRequest, Devices, Presence};
use super::pod::PodView;

/// The DNS policy that goes with the host network; with the default one, cluster names would not resolve there.
const HOST_DNS_POLICY: &str = "ClusterFirstWithHostNet";

/// The operations that carry out `decision` on the pod it was taken for; none where nothing is to be changed, or where the
/// mode is not to carry anything out.
#[must_use]
pub fn operations(decision: &Decision<'_>, pod: &PodView<'_>) -> Patch {
    if !decision.is_carried_out() {
        return Patch(Vec::new());
    }
    Patch(match &decision.verdict {
        Verdict::Leave(_) => Vec::new(),
        Verdict::Attach(attachments) => attach(attachments, pod),
        Verdict::UseHostNetwork => vec![
            add(&["spec", "hostNetwork"], Value::Bool(true)),
            add(&["spec", "dnsPolicy"], Value::from(HOST_DNS_POLICY)),
        ],
    })
}

fn attach(attachments: &Attachments<'_>, pod: &PodView<'_>) -> Vec<PatchOperation> {
    let annotations = &attachments.annotations;
    let mut operations =
        match (pod.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref()), annotations.is_empty()) {
            (_, true) => Vec::new(),
            // "add" also replaces a value that is there (RFC 6902, 4.1).
            (Some(_), _) => {
                let one = |(key, value): &(&str, String)| add(&["metadata", "annotations", key], value.as_str().into());
                annotations.iter().map(one).collect()
            }
            (None, _) => {
                let all = annotations.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str())));
                vec![add(&["metadata", "annotations"], Value::Object(all.collect()))]
            }
        };
    match attachments.host_network {
        HostNetwork::NotUsed => {}
        HostNetwork::Left => operations.push(add(&["spec", "hostNetwork"], Value::Bool(false))),
    }
    operations.extend(attachments.devices.iter().flat_map(request));
    operations
}

/// The first container requests devices. Requests and limits are both written, and equal: Kubernetes takes no other request for
/// a device (`ValidateResourceRequirements` of the API server).
fn request(devices: &Devices<'_>) -> Vec<PatchOperation> {
    let Devices { requests, resources_there, requests_there, limits_there } = devices;
    let quantity = |requested: u64| Value::from(requested.to_string());
    let all = || -> Map<String, Value> {
        requests.iter().map(|one| (one.resource.to_owned(), quantity(one.requested))).collect()
    };
    let of_first = ["spec", "containers", "0", "resources"];
    match resources_there {
        Presence::Absent => {
            let both = ["requests", "limits"].map(|list| (list.to_owned(), Value::Object(all())));
            vec![add(&of_first, Value::Object(both.into_iter().collect()))]
        }
        Presence::There => {
            let in_list = |(list, there): (&str, &Presence)| {
                let path = [&of_first[..], &[list]].concat();
                match there {
                    Presence::Absent => vec![add(&path, Value::Object(all()))],
                    Presence::There => {
                        let one = |one: &DeviceRequest<'_>| {
                            add(&[&path[..], &[one.resource]].concat(), quantity(one.requested))
                        };
                        requests.iter().map(one).collect()
                    }
                }
            };
            [("requests", requests_there), ("limits", limits_there)].into_iter().flat_map(in_list).collect()
        }
    }
}

fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path.iter().copied()), value })
}
