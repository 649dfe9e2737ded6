//! What holds for every pod and every cluster, tried with many odd ones.
//!
//! Decisions are total and idempotent; every patch applies, and touches nothing but the networks annotation, `hostNetwork` and
//! `dnsPolicy`; merging keeps every element and every field that was there. Where the mode is not to enforce, nothing is
//! changed and nothing refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod generated;
mod lint;
mod storage_networks;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, LazyLock};

use json_patch::Patch;
use proptest::collection::vec;
use proptest::prelude::*;
use rook_multihome::admit::{Decision, Pin, PodView, decide, patch};
use rook_multihome::network::NETWORKS_ANNOTATION;
use rook_multihome::network::selection::read_annotation;
use rook_multihome::storage::Catalogue;
use rook_multihome::wire::{self, Review};
use rook_multihome::world::{Concern, Entry, Mode, ObjectKind, Outcome, OutcomeRule, Settings, Snapshot, World};
use serde_json::{Map, Value, json};

use generated::{element, json_value, network, origin, pod, text};

const NAMESPACE: &str = "rook-ceph";
static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::built_in().unwrap()));

fn review(object: &Value) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "u", "operation": "CREATE", "namespace": NAMESPACE, "kind": {"group": "", "kind": "Pod"}, "object": object},
    })
    .to_string()
}

/// The whole way of a review: what `take` makes of the decision, the patch and the response.
fn reviewed<T>(snapshot: &Snapshot, object: &Value, take: impl FnOnce(&Decision<'_>, Option<Patch>, &Value) -> T) -> T {
    let review = review(object);
    let request = Review::read(review.as_bytes()).expect("objects here are shaped like pods");
    let admission = request.admission();
    let decision = decide(snapshot, &admission);
    let answer: Value =
        serde_json::from_slice(&wire::answer_json(&wire::answer(request.uid(), &decision, admission.pod))).unwrap();
    let operations = admission.pod.map(|pod| patch::operations(&decision, pod));
    take(&decision, operations, &answer["response"])
}

/// The patched object where there was a patch.
fn answer(snapshot: &Snapshot, object: &Value) -> Option<Value> {
    let operations = reviewed(snapshot, object, |_, operations, response| {
        assert_eq!(response["allowed"], true, "nothing but a client's request is refused by default");
        let operations = operations?;
        assert_eq!(operations.is_empty(), response.get("patch").is_none());
        Some(operations)
    })?;
    if operations.is_empty() {
        return None;
    }
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &operations).expect("every patch applies to the pod it was computed from");
    Some(patched)
}

/// What was decided, without its mode, and the response.
fn decided(snapshot: &Snapshot, object: &Value) -> (String, Value) {
    reviewed(snapshot, object, |decision, _, response| {
        (format!("{:?} {:?} {:?}", decision.wanted, decision.verdict, decision.outcome), response.clone())
    })
}

fn snapshot(network: &Value, attachments: &[(&str, &str)], settings: Settings) -> Snapshot {
    let catalogue = &*CATALOGUE;
    let mut world = World::new(Arc::clone(catalogue), settings);
    for kind in ObjectKind::always(catalogue) {
        let objects: Vec<Value> = match &kind {
            ObjectKind::Cluster(_, resource) if resource.kind == "CephCluster" => {
                vec![json!({"metadata": {"namespace": NAMESPACE, "name": "c"}, "spec": {"network": network}})]
            }
            ObjectKind::Attachment => attachments
                .iter()
                .map(|(namespace, name)| {
                    json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"config": r#"{"type":"macvlan"}"#}})
                })
                .collect(),
            _ => Vec::new(),
        };
        let entries: Vec<_> = objects.iter().map(|object| Entry::read(&kind, object, catalogue).unwrap()).collect();
        world.replace_all(&kind, entries);
    }
    world.snapshot()
}

const ATTACHMENTS: [(&str, &str); 4] =
    [("rook-ceph", "public-net"), ("rook-ceph", "cluster-net"), ("storage", "a"), ("rook-ceph", "a")];

/// The pod without what may be changed.
fn rest(pod: &Value) -> Value {
    let mut rest = pod.clone();
    if let Some(annotations) = rest["metadata"]["annotations"].as_object_mut() {
        annotations.remove(NETWORKS_ANNOTATION);
    }
    if rest["metadata"]["annotations"].as_object().is_none_or(Map::is_empty) {
        rest["metadata"]["annotations"] = Value::Null;
    }
    if let Some(spec) = rest["spec"].as_object_mut() {
        spec.remove("hostNetwork");
        spec.remove("dnsPolicy");
    }
    rest
}

fn elements(pod: &Value) -> Vec<Value> {
    let value = pod["metadata"]["annotations"][NETWORKS_ANNOTATION].as_str().unwrap_or_default();
    serde_json::from_str(value).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_total_idempotent_and_touch_only_what_is_theirs(pod in pod(), network in network(), enforce in any::<bool>()) {
        let settings = Settings { enforce_host_network: enforce, ..Settings::default() };
        let snapshot = snapshot(&network, &ATTACHMENTS, settings);
        if let Some(patched) = answer(&snapshot, &pod) {
            prop_assert_eq!(rest(&patched), rest(&pod));
            prop_assert_ne!(pod["spec"]["hostNetwork"].clone(), json!(true), "a pod on the host network is never changed");
            if patched["spec"]["hostNetwork"] == true {
                prop_assert_eq!(&patched["spec"]["dnsPolicy"], "ClusterFirstWithHostNet");
                prop_assert_eq!(&patched["metadata"], &pod["metadata"]);
            }
            prop_assert_eq!(answer(&snapshot, &patched), None, "a second decision changes nothing");
        }
    }

    #[test]
    fn audit_decides_as_ever_and_does_nothing_and_off_says_nothing(pod in pod(), network in network(), outcome in prop::sample::select(vec![Outcome::Leave, Outcome::Warn, Outcome::Deny])) {
        let outcomes: Vec<OutcomeRule> = Concern::ALL.into_iter().map(|concern| OutcomeRule { concern, outcome }).collect();
        let under = |mode| {
            let settings = Settings { mode, outcomes: outcomes.clone(), ..Settings::default() };
            decided(&snapshot(&network, &ATTACHMENTS, settings), &pod)
        };
        let [(enforced, done), (audited, said), (_, silent)] = Mode::ALL.map(under);
        prop_assert_eq!(enforced, audited);
        for response in [&said, &silent] {
            prop_assert_eq!(&response["allowed"], true);
            prop_assert!(response.get("patch").is_none() && response.get("status").is_none(), "{}", response);
        }
        let something_done = done["allowed"] == false || done.get("patch").is_some();
        let would_have = said["warnings"][0].as_str().is_some_and(|warning| warning.contains("in audit mode"));
        prop_assert_eq!(something_done, would_have, "what is not done is said: {}", said);
        prop_assert!(silent.get("warnings").is_none(), "{}", silent);
    }

    #[test]
    fn merging_keeps_every_element_and_every_field(existing in vec(element(), 0..4), network in network()) {
        let annotation = Value::from(existing.clone()).to_string();
        let pod = json!({"metadata": {"labels": {"app": "rook-ceph-osd"}, "annotations": {NETWORKS_ANNOTATION: annotation}}, "spec": {}});
        let snapshot = snapshot(&network, &ATTACHMENTS, Settings::default());
        if let Some(patched) = answer(&snapshot, &pod)
            && patched["spec"]["hostNetwork"] != true
        {
            let merged = elements(&patched);
            prop_assert!(merged.len() > existing.len(), "a patch adds something");
            for (before, after) in existing.iter().zip(&merged) {
                let mut filled_in = before.clone();
                if before["namespace"].as_str().unwrap_or_default().is_empty() {
                    filled_in["namespace"] = NAMESPACE.into();
                }
                prop_assert_eq!(&filled_in, after);
            }
            let value = patched["metadata"]["annotations"][NETWORKS_ANNOTATION].as_str().unwrap();
            let read = read_annotation(value, "elsewhere").unwrap();
            let added = &read[existing.len()..];
            for (index, one) in added.iter().enumerate() {
                for other in &added[..index] {
                    prop_assert!(one != other, "nothing is attached twice");
                }
            }
        }
    }

    #[test]
    fn annotations_of_any_text_are_read_without_a_panic(value in any::<String>(), odd in text()) {
        _ = read_annotation(&value, &odd);
        _ = rook_multihome::network::NetworkSelection::from_selector(&value, &odd);
    }

    #[test]
    fn owners_and_pins_are_total_and_leave_the_pod_readable(pod in origin()) {
        let text = pod.to_string();
        let pod: PodView<'_> = serde_json::from_str(&text).expect("what is read when asked for is not looked at before");
        if let Ok(owners) = pod.owners() {
            prop_assert!(owners.is_sorted_by_key(|owner| !owner.controller));
        }
        if let Pin::Name(node) | Pin::Hostname(node) = Pin::of(&pod) {
            // Go reads a null among texts as the empty text.
            let written = Value::from(&*node).to_string();
            prop_assert!(node.is_empty() || text.contains(&written), "{} is made up", written);
        }
    }

    #[test]
    fn bodies_of_any_bytes_are_answered_without_a_panic(bytes in vec(any::<u8>(), 0..200), value in json_value()) {
        _ = Review::read(&bytes).map(drop);
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "object": value}});
        _ = Review::read(review.to_string().as_bytes()).map(drop);
    }
}
