//! Whatever objects hold: there is a judgement, it can be said, and what is written applies and is written once.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rook_multihome::lint::networks::{Which, networks};
use rook_multihome::lint::{Finding, Operation, Rule, WRITTEN_ANNOTATION, judge, lint, write};
use rook_multihome::wire::{self, ChangeRequest};
use rook_multihome::world::{Deny, Settings, Severity, Snapshot};
use serde_json::{Value, json};

use super::writing::{writing_settings, written};
use super::{NAMESPACE, ceph, change, configured, definition, macvlan, sound, world};

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

/// As many roles and entries as the definition of StorageNetwork allows, all different: what is looked at must not be multiplied by
/// itself. (It took minutes once, and would again.)
#[test]
fn the_largest_storage_network_is_judged() {
    let keys: Vec<String> = (0..16).map(|key| format!("k{key}")).collect();
    let all: serde_json::Map<String, Value> = keys.iter().map(|key| (key.clone(), json!("x"))).collect();
    let role = |role: usize| {
        let some: Vec<&String> = keys
            .iter()
            .enumerate()
            .filter(|(at, _)| *at >= 6 || (role + 1) >> at & 1 == 1)
            .map(|(_, key)| key)
            .collect();
        json!({"name": format!("r{role}"), "podSelector": {"matchLabels": {"r": role.to_string()}}, "interfaces": some})
    };
    let nodes = |node: usize| json!({"nodeSelector": {"matchLabels": {"n": node.to_string()}}, "interfaces": all});
    let network = json!({
        "apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork", "metadata": {"name": "s", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"app": "x"}}, "provider": "multus", "interfaces": all,
            "roles": (0..64).map(role).collect::<Vec<_>>(), "nodeInterfaces": (0..64).map(nodes).collect::<Vec<_>>(),
        },
    });
    let host_local = |name| configured(name, &macvlan(json!({"type": "host-local", "subnet": "10.1.0.0/24"})));
    let snapshot = world(Settings::default(), &[host_local("x"), host_local("y"), network.clone()]);
    let judgement = judge(&snapshot, &change(Operation::Create, &Value::Null, &network));
    assert!(judgement.findings.len() > 1000 && judgement.warnings().len() == 13);
    assert_eq!(judgement.audit_annotations().len(), 1);
    assert_eq!(rook_multihome::lint::networks::offers(&snapshot).len(), 0);
    let listed = networks(&snapshot, Which::Used);
    assert_eq!(listed.iter().map(|listed| listed.users.len()).sum::<usize>(), 16 * 65);
}

#[test]
fn thousands_of_storage_networks_about_one_cluster_are_judged() {
    let network = |number: usize| {
        json!({
            "apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork",
            "metadata": {"name": format!("s{number:04}"), "namespace": NAMESPACE},
            "spec": {"clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": "my-cluster"}, "interfaces": {"public": "lost"}},
        })
    };
    let all: Vec<Value> = (0..3000).map(network).collect();
    let found = lint(&world(Settings::default(), &all));
    let of_rule = |rule| found.iter().filter(|finding| finding.rule == rule).count();
    assert_eq!((of_rule(Rule::NetworksConflict), of_rule(Rule::AttachmentMissing)), (2999, 1));
}

#[test]
fn definitions_of_a_thousand_ranges_each_are_compared() {
    let ranges =
        |second: usize, number: usize| json!({"range": format!("10.{second}.{}.{}/28", number / 16, number % 16 * 16)});
    let definition = |name: &str, second: usize| {
        let all: Vec<Value> = (0..1000).map(|number| ranges(second, number)).collect();
        let ipam = json!({"type": "whereabouts", "network_name": name, "ipRanges": all});
        configured(name, &macvlan(ipam))
    };
    let mut objects: Vec<Value> = (1..30).map(|second| definition(&format!("n{second}"), second)).collect();
    objects.extend([definition("public", 0), definition("twin", 0), sound()]);
    let found = lint(&world(Settings::default(), &objects));
    let overlaps: Vec<&Finding> = found.iter().filter(|finding| finding.rule == Rule::RangesOverlap).collect();
    let [overlap] = overlaps[..] else { panic!("{overlaps:?}") };
    assert!(overlap.fault.contains("10.0.0.1 can be handed out twice, here and by rook-ceph/twin"), "{overlap}");
}
