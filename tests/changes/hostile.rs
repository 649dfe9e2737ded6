//! Whatever objects hold: there is a judgement, it can be said, and what is written applies and is written once.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rook_multihome::lint::{Operation, WRITTEN_ANNOTATION, judge, write};
use rook_multihome::wire::{self, ChangeRequest};
use rook_multihome::world::{Deny, Severity, Snapshot};
use serde_json::{Value, json};

use super::writing::{writing_settings, written};
use super::{NAMESPACE, ceph, configured, definition, macvlan, world};

fn text() -> impl Strategy<Value = String> {
    let known = [
        "a",
        "b",
        "dhcp",
        "nowhere",
        "public",
        "cluster",
        "spec",
        "network",
        "provider",
        "selectors",
        "addressRanges",
        "metadata",
        "annotations",
        "name",
        "namespace",
        "config",
        "10.1.0.0/16",
        "multus",
        "host",
        "",
        "~/",
        "null",
    ];
    prop_oneof![6 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A cluster as people might write it: with selectors, ranges and records that may not fit each other.
fn cluster() -> impl Strategy<Value = Value> {
    let network = || prop::sample::select(vec!["a", "b", "dhcp", "nowhere", ""]);
    let key = || prop::sample::select(vec!["public", "cluster", "other"]);
    let list = || {
        prop_oneof![
            4 => prop::sample::select(vec![json!(["10.1.0.0/16"]), json!(["10.2.0.0/16"]), json!(["10.9.0.0/16"]), json!([]), Value::Null]),
            1 => anything(),
        ]
    };
    let lists =
        || option::of(prop_oneof![6 => btree_map(key(), list(), 0..3).prop_map(|map| json!(map)), 1 => anything()]);
    let provider = option::of(prop::sample::select(vec![
        json!("multus"),
        json!("multus"),
        json!("multus"),
        json!("host"),
        json!(""),
        Value::Null,
        json!(5),
    ]));
    let mode = option::weighted(0.2, prop::sample::select(vec!["audit", "off", "enforce", "x"]));
    (provider, btree_map(key(), network(), 0..3), lists(), lists(), mode, option::weighted(0.1, anything())).prop_map(
        |(provider, selectors, ranges, record, mode, odd)| {
            let mut cluster = ceph(json!({"selectors": selectors}));
            let network = &mut cluster["spec"]["network"];
            if let Some(provider) = provider {
                network["provider"] = provider;
            }
            if let Some(ranges) = ranges {
                network["addressRanges"] = ranges;
            }
            if let Some(record) = record {
                cluster["metadata"]["annotations"][WRITTEN_ANNOTATION] = record.to_string().into();
            }
            if let Some(mode) = mode {
                cluster["metadata"]["annotations"]["multihome.rook.io/mode"] = mode.into();
            }
            if let Some(odd) = odd {
                cluster["metadata"]["annotations"] = odd;
            }
            cluster
        },
    )
}

fn object() -> impl Strategy<Value = Value> {
    prop_oneof![4 => cluster(), 2 => anything(), 1 => anything().prop_map(|spec| json!({"metadata": {"name": "a"}, "spec": spec}))]
}

fn snapshot() -> Snapshot {
    let mut settings = writing_settings();
    settings.checks.deny = Deny::From(Severity::Warning);
    let networks = [
        definition("a", "10.1.0.0/16"),
        definition("b", "10.2.0.0/16"),
        configured("dhcp", &macvlan(json!({"type": "dhcp"}))),
    ];
    world(settings, &[&networks[..], &[ceph(json!({"provider": "multus", "selectors": {"public": "a"}}))]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn there_is_always_a_judgement(
        old in object(),
        new in object(),
        kind in prop::sample::select(vec![
            ("ceph.rook.io", "CephCluster"),
            ("multihome.rook.io", "StorageNetwork"),
            ("k8s.cni.cncf.io", "NetworkAttachmentDefinition"),
            ("edgefs.rook.io", "Cluster"),
            ("", "Pod"),
        ]),
        operation in prop::sample::select(vec!["CREATE", "UPDATE", "DELETE", "CONNECT", ""]),
        sub_resource in prop::sample::select(vec!["", "", "", "status"]),
    ) {
        let snapshot = snapshot();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "kind": {"group": kind.0, "version": "v1", "kind": kind.1}, "operation": operation,
                "subResource": sub_resource, "namespace": NAMESPACE, "object": new, "oldObject": old,
            },
        }).to_string();
        let request = ChangeRequest::read(review.as_bytes()).unwrap();
        let Some(change) = request.change() else { return Ok(()) };
        let judgement = judge(&snapshot, &change);
        prop_assert_eq!(judgement.is_refused(), judgement.refusal().is_some());
        prop_assert!(judgement.warnings().len() <= 13);
        let answer: Value = serde_json::from_slice(&wire::answer_json(&wire::judged(request.uid(), &judgement))).unwrap();
        prop_assert_eq!(&answer["response"]["allowed"], !judgement.is_refused());
        let answer = wire::written(request.uid(), write(&snapshot, &change));
        prop_assert!(wire::patch_applies(review.as_bytes(), &answer));
    }

    #[test]
    fn ranges_are_written_once_and_what_is_written_is_valid(old in cluster(), new in cluster()) {
        let snapshot = snapshot();
        for (operation, old) in [(Operation::Create, &Value::Null), (Operation::Update, &old)] {
            let (stored, _) = written(&snapshot, operation, old, &new);
            // But for its own field and annotation, the object is as it was.
            let mut rest = stored;
            let mut before = new.clone();
            for object in [&mut rest, &mut before] {
                if let Some(network) = object["spec"]["network"].as_object_mut() {
                    network.remove("addressRanges");
                }
                if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                    annotations.remove(WRITTEN_ANNOTATION);
                }
                if object["metadata"]["annotations"].as_object().is_none_or(serde_json::Map::is_empty) {
                    object["metadata"]["annotations"] = Value::Null;
                }
            }
            prop_assert_eq!(rest, before);
        }
    }
}
