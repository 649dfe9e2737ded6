//! Writing the answer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use json_patch::Patch;
use serde::Serialize;

use super::{API_VERSION, KIND};
use crate::admit::{Decision, PodView, explain, patch};
use crate::lint::{Judgement, Writing};

/// The AdmissionReview that answers a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    // The API server takes one without the other for an error of the webhook.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    patch: Option<EncodedPatch>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedPatch {
    patch_type: &'static str,
    patch: String,
}

#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// The answer that carries out `decision`, under the request's own uid.
#[must_use]
pub fn answer<'a>(uid: &'a str, decision: &Decision<'_>, pod: Option<&PodView<'_>>) -> Answer<'a> {
    let operations = pod.map(|pod| patch::operations(decision, pod)).unwrap_or_default();
    let warnings = pod.map(|pod| explain::warnings(decision, pod)).unwrap_or_default();
    Answer::new(uid, explain::refusal(decision), &operations, warnings, explain::audit_annotations(decision))
}

/// The answer that says what is found in an object.
#[must_use]
pub fn judged<'a>(uid: &'a str, judgement: &Judgement) -> Answer<'a> {
    Answer::new(uid, judgement.refusal(), &Patch::default(), judgement.warnings(), judgement.audit_annotations())
}

/// The answer that writes address ranges, or nothing.
#[must_use]
pub fn written(uid: &str, writing: Option<Writing>) -> Answer<'_> {
    match writing {
        None => Answer::new(uid, None, &Patch::default(), Vec::new(), Vec::new()),
        Some(Writing { patch, warning }) => Answer::new(uid, None, &patch, vec![warning], Vec::new()),
    }
}

impl<'a> Answer<'a> {
    /// A patch is always the base64 of a JSON Patch; without operations there is none.
    fn new(
        uid: &'a str,
        refusal: Option<String>,
        patch: &Patch,
        warnings: Vec<String>,
        audit_annotations: Vec<(&'static str, String)>,
    ) -> Self {
        let response = Response {
            uid,
            allowed: refusal.is_none(),
            status: refusal.map(|message| Status { code: 403, reason: "Forbidden", message }),
            patch: (!patch.is_empty()).then(|| EncodedPatch {
                patch_type: "JSONPatch",
                patch: BASE64.encode(serde_json::to_vec(patch).unwrap_or_default()),
            }),
            warnings,
            audit_annotations: audit_annotations.into_iter().collect(),
        };
        Self { api_version: API_VERSION, kind: KIND, response }
    }
}

impl Answer<'_> {
    /// The value of an audit annotation, empty where the answer has none of that name.
    #[must_use]
    pub fn audit_annotation(&self, key: &str) -> &str {
        self.response.audit_annotations.get(key).map_or("", String::as_str)
    }
}

/// The answer as JSON text.
#[must_use]
pub fn answer_json(answer: &Answer<'_>) -> Vec<u8> {
    // Texts and maps of texts always serialise; were that ever untrue, an empty body follows the failure policy.
    serde_json::to_vec(answer).unwrap_or_default()
}

/// Whether the patch of an answer applies to the object in the review that it answers. An answer without one does.
#[must_use]
pub fn patch_applies(review: &[u8], answer: &Answer<'_>) -> bool {
    let Some(patch) = &answer.response.patch else { return true };
    let apply = || -> Option<()> {
        let mut review: serde_json::Value = serde_json::from_slice(review).ok()?;
        let patch: json_patch::Patch = serde_json::from_slice(&BASE64.decode(&patch.patch).ok()?).ok()?;
        json_patch::patch(review.pointer_mut("/request/object")?, &patch).ok()
    };
    apply().is_some()
}
