//! What several fuzz targets check: that the answer to a review can be carried out, and settles it; and that there is a judgement of
//! whatever is written.
//!
//! Nothing here may depend on anything but its input, or libFuzzer could not tell what an input reaches.

use std::path::Path;
use std::sync::Arc;

use rook_multihome::admit::{Decision, decide, patch};
use rook_multihome::lint::{judge, write};
use rook_multihome::storage::Catalogue;
use rook_multihome::wire::{self, ChangeRequest, Review};
use rook_multihome::world::{
    AddressRanges, Checks, Concern, Deny, InUse, Outcome, OutcomeRule, Settings, Severity, Snapshot, manifests,
};
use serde_json::{Value, json};

/// The settings that worlds are tried with: those by default, and those under which the most is done and refused.
#[must_use]
pub fn settings() -> [Settings; 2] {
    let outcomes = Concern::ALL.map(|concern| OutcomeRule { concern, outcome: Outcome::Deny }).into();
    let strict = Settings {
        enforce_host_network: true,
        attach_csi_node_plugins_and_risk_hung_mounts: true,
        outcomes,
        checks: strict_checks(),
        ..Settings::default()
    };
    [Settings::default(), strict]
}

/// The checks under which the most is refused and written.
#[must_use]
pub fn strict_checks() -> Checks {
    Checks {
        deny: Deny::From(Severity::Advice),
        in_use: InUse::Deny,
        address_ranges: AddressRanges::Write,
        ..Checks::default()
    }
}

/// The catalogue of the program.
#[must_use]
pub fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::built_in().expect("the built-in catalogue is right"))
}

/// A world for each folder of `examples`, with each of [`settings`].
#[must_use]
pub fn examples() -> Vec<Snapshot> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = folder.read_dir().expect("the examples of the project");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a folder").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let catalogue = catalogue();
    let worlds = folders.into_iter().flat_map(|folder| {
        settings().map(|settings| {
            let loaded = manifests::load(std::slice::from_ref(&folder), Arc::clone(&catalogue), settings);
            loaded.expect("examples can be read").0.snapshot()
        })
    });
    worlds.collect()
}

/// The review of the creation of `object`; where it calls itself a pod, as one.
#[must_use]
pub fn creation(object: &Value) -> Vec<u8> {
    review("CREATE", object, &Value::Null)
}

/// The reviews of all that can happen to objects: each is created and deleted, and becomes what the next one is.
pub fn changes(objects: &[Value]) -> impl Iterator<Item = Vec<u8>> {
    let alone = objects.iter().flat_map(|object| [creation(object), review("DELETE", &Value::Null, object)]);
    alone.chain(objects.windows(2).map(|two| review("UPDATE", &two[1], &two[0])))
}

/// A review, whose kind is that of the object after the operation or, where there is none, of the one before it.
fn review(operation: &str, object: &Value, old: &Value) -> Vec<u8> {
    let is = if object.is_null() { old } else { object };
    let field = |name| is.get(name).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = match (field("apiVersion").split_once('/'), field("kind")) {
        (Some((group, _)), kind) if kind != "Pod" => (group, kind),
        (Some(_) | None, kind) => ("", kind),
    };
    let namespace = is.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
    let request = json!({
        "uid": "u", "operation": operation, "namespace": namespace, "kind": {"group": group, "kind": kind},
        "object": object, "oldObject": old,
    });
    json!({"apiVersion": wire::API_VERSION, "kind": wire::KIND, "request": request}).to_string().into_bytes()
}

/// Answers a review: the answer carries its uid, its patch applies, and what comes of it is left as it is.
pub fn check_review(snapshot: &Snapshot, body: &[u8]) {
    let Some(operations) = answered(snapshot, body) else { return };
    // What the API server cannot have sent need not be patched: there are texts that no reader of whole documents takes.
    let Ok(mut review) = serde_json::from_slice::<Value>(body) else { return };
    let object = review.pointer_mut("/request/object").expect("only what has an object is patched");
    for operation in &operations {
        carry_out(object, operation);
    }
    let again = answered(snapshot, review.to_string().as_bytes());
    assert_eq!(again, None, "a second decision changes something after {operations:?}");
}

/// Judges the change of a review and writes its address ranges: the one is answered as it was judged, and the other applies.
pub fn check_change(snapshot: &Snapshot, body: &[u8]) {
    let Ok(request) = ChangeRequest::read(body) else { return };
    let Some(change) = request.change() else { return };
    let judgement = judge(snapshot, &change);
    let answer = wire::answer_json(&wire::judged(request.uid(), &judgement));
    let read: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
    assert_eq!(read["response"]["allowed"], !judgement.is_refused());
    let written = wire::written(request.uid(), write(snapshot, &change));
    if serde_json::from_slice::<Value>(body).is_ok() {
        assert!(wire::patch_applies(body, &written), "what is written does not apply");
    }
}

/// The operations of the answer to a review, where there are any.
fn answered(snapshot: &Snapshot, body: &[u8]) -> Option<Vec<Value>> {
    let request = Review::read(body).ok()?;
    let admission = request.admission();
    let decision: Decision<'_> = decide(snapshot, &admission);
    let answer = wire::answer(request.uid(), &decision, admission.pod);
    let read: Value = serde_json::from_slice(&wire::answer_json(&answer)).expect("an answer is JSON");
    assert_eq!(read["response"]["uid"], request.uid());
    let operations = patch::operations(&decision, admission.pod?);
    assert_eq!(operations.is_empty(), read["response"].get("patch").is_none() || read["response"]["allowed"] == false);
    if serde_json::from_slice::<Value>(body).is_ok() {
        assert!(wire::patch_applies(body, &answer), "{operations:?} does not apply");
    }
    let operations = serde_json::to_value(&operations).expect("operations are JSON");
    operations.as_array().filter(|operations| !operations.is_empty()).cloned()
}

/// Carries out one operation. All that there are add a field to an object, or replace it.
fn carry_out(object: &mut Value, operation: &Value) {
    assert_eq!(operation["op"], "add");
    let path = operation["path"].as_str().expect("an operation has a path");
    let (parent, field) = path.rsplit_once('/').expect("a path begins with a slash");
    let is_ours = matches!(
        (parent, field),
        ("/metadata", "annotations") | ("/metadata/annotations", _) | ("/spec", "hostNetwork" | "dnsPolicy")
    );
    assert!(is_ours, "{path} is none of what may be changed");
    let field = field.replace("~1", "/").replace("~0", "~");
    let parent = object.pointer_mut(parent).and_then(Value::as_object_mut).expect("a patch applies");
    parent.insert(field, operation["value"].clone());
}
