//! JSON Patch operations from a decision.
//!
//! Built from the decision, never by comparing documents. A patch that does not apply rejects the pod even under
//! failurePolicy Ignore, so every path that an operation needs is known to be there: an annotations map that is absent or
//! `null` is added whole.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::Value;

use super::decision::{Attachments, Decision, HostNetwork, Verdict};
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
    operations
}

fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path.iter().copied()), value })
}
