//! What holds for every pod and every cluster, tried with many odd ones.
//!
//! Decisions are total and idempotent; every patch applies, and touches nothing but the networks annotation, `hostNetwork`,
//! `dnsPolicy` and the devices that the first container requests; merging keeps every element and every field that was there. Where the mode is not to enforce, nothing is
//! changed and nothing refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod devices;
mod generated;
mod storage_networks;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, LazyLock};

use json_patch::Patch;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rook_multihome::admit::{Decision, Pin, PodView, decide, patch};
use rook_multihome::network::InterfaceTemplate;
use rook_multihome::network::NETWORKS_ANNOTATION;
use rook_multihome::network::attachment::RESOURCE_ANNOTATION;
use rook_multihome::network::selection::read_annotation;
use rook_multihome::storage::Catalogue;
use rook_multihome::wire::{self, Review};
use rook_multihome::world::{
    Concern, DeviceResources, Entry, Mode, ObjectKind, Outcome, OutcomeRule, Settings, Snapshot, World,
};
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
            ObjectKind::Attachment => attachments.iter().map(|(namespace, name)| definition(namespace, name)).collect(),
            _ => Vec::new(),
        };
        let entries: Vec<_> = objects.iter().map(|object| Entry::read(&kind, object, catalogue).unwrap()).collect();
        world.replace_all(&kind, entries);
    }
    world.snapshot()
}

/// An attachment definition.
fn definition(namespace: &str, name: &str) -> Value {
    let annotations = resource_of(name).map(|resource| json!({RESOURCE_ANNOTATION: resource}));
    let metadata = json!({"namespace": namespace, "name": name, "annotations": annotations});
    json!({"metadata": metadata, "spec": {"config": r#"{"type":"macvlan"}"#}})
}

/// The resource of a definition, by its name. No resource of Kubernetes has a ~ in its name; a path of a patch has to escape it.
fn resource_of(name: &str) -> Option<&'static str> {
    match name {
        "cluster-net" | "third-net" => Some("intel.com/sriov"),
        "a" => Some("x.com/a~b"),
        _ => None,
    }
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
        without_devices(spec);
    }
    rest
}

/// Takes away what the first container requests of devices, and what is empty without it.
fn without_devices(spec: &mut Map<String, Value>) {
    let is_nothing = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    let first = spec.get_mut("containers").and_then(|containers| containers.get_mut(0)).and_then(Value::as_object_mut);
    let Some(first) = first else { return };
    if let Some(resources) = first.get_mut("resources").and_then(Value::as_object_mut) {
        for list in ["requests", "limits"] {
            if let Some(list) = resources.get_mut(list).and_then(Value::as_object_mut) {
                list.retain(|resource, _| !["intel.com/sriov", "x.com/a~b"].contains(&resource.as_str()));
            }
            if resources.get(list).is_some_and(is_nothing) {
                resources.remove(list);
            }
        }
    }
    if first.get("resources").is_some_and(is_nothing) {
        first.remove("resources");
    }
}

/// Where devices have been requested, requests and limits are whole, equal and no lower than they were.
fn devices_are_requested_as_kubernetes_wants_them(before: &Value, after: &Value) {
    let quantity = |pod: &Value, list: &str, resource: &str| {
        pod.pointer("/spec/containers/0/resources").and_then(|resources| resources.get(list)?.get(resource).cloned())
    };
    for resource in ["intel.com/sriov", "x.com/a~b"] {
        let [before, after] =
            [before, after].map(|pod| ["requests", "limits"].map(|list| quantity(pod, list, resource)));
        if before == after {
            continue;
        }
        let whole = |quantity: &Value| -> u64 {
            let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
            text.parse().unwrap_or_else(|_| panic!("{quantity} is no whole number"))
        };
        assert_eq!(after[0], after[1]);
        let after = whole(after[0].as_ref().unwrap());
        for before in before.into_iter().flatten().filter(|before| !before.is_null()) {
            let before = if before == "1k" { 1_000 } else { whole(&before) };
            assert!(before <= after, "{before} was lowered to {after}");
        }
    }
}

/// Settings that choose what else is changed of a pod.
fn choices() -> impl Strategy<Value = Settings> {
    let templates = prop::sample::select(vec!["{key}0", "net-{key}", "{key}-0123456789", "net{key}"]);
    (prop::sample::select(DeviceResources::ALL.to_vec()), option::of(templates)).prop_map(
        |(device_resources, template)| {
            let interface_names = template.map(|template| template.parse::<InterfaceTemplate>().unwrap());
            Settings { device_resources, interface_names, ..Settings::default() }
        },
    )
}

fn elements(pod: &Value) -> Vec<Value> {
    let value = pod["metadata"]["annotations"][NETWORKS_ANNOTATION].as_str().unwrap_or_default();
    serde_json::from_str(value).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_total_idempotent_and_touch_only_what_is_theirs(pod in pod(), network in network(), enforce in any::<bool>(), choices in choices()) {
        let settings = Settings { enforce_host_network: enforce, ..choices };
        let snapshot = snapshot(&network, &ATTACHMENTS, settings);
        if let Some(patched) = answer(&snapshot, &pod) {
            prop_assert_eq!(rest(&patched), rest(&pod));
            devices_are_requested_as_kubernetes_wants_them(&pod, &patched);
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
    fn naming_keeps_every_element_and_every_other_field(existing in vec(element(), 0..4), network in network()) {
        let annotation = Value::from(existing.clone()).to_string();
        let pod = json!({"metadata": {"labels": {"app": "rook-ceph-osd"}, "annotations": {NETWORKS_ANNOTATION: annotation}}, "spec": {}});
        let settings = Settings { interface_names: Some("{key}0".parse().unwrap()), ..Settings::default() };
        let snapshot = snapshot(&network, &ATTACHMENTS, settings);
        if let Some(patched) = answer(&snapshot, &pod)
            && patched["spec"]["hostNetwork"] != true
        {
            let merged = elements(&patched);
            prop_assert!(merged.len() >= existing.len());
            for (before, after) in existing.iter().zip(&merged) {
                let mut expected = before.clone();
                if before["namespace"].as_str().unwrap_or_default().is_empty() {
                    expected["namespace"] = NAMESPACE.into();
                }
                if before.get("interface").is_none() && after.get("interface").is_some() {
                    prop_assert!(["public0", "cluster0"].contains(&after["interface"].as_str().unwrap()));
                    expected["interface"] = after["interface"].clone();
                }
                prop_assert_eq!(&expected, after);
            }
            let value = patched["metadata"]["annotations"][NETWORKS_ANNOTATION].as_str().unwrap();
            let read = read_annotation(value, "elsewhere").unwrap();
            let named: Vec<&str> = read.iter().filter_map(|one| one.interface.as_deref()).collect();
            for name in ["public0", "cluster0"] {
                prop_assert!(named.iter().filter(|other| **other == name).count() <= 1, "{} twice", name);
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
