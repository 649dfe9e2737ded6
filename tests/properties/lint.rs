//! Checks of worlds of any shape: they are total, give the same however the world came about, and find the same of an object that
//! is about to be written as of the same object once it is there.
//!
//! What is found of an object is every finding of the whole world that is about it, or that it has a part in
//! ([`Finding::concerns`]).

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rook_multihome::lint::{Candidate, Finding, Rule, Scene, Subject, lint, lint_candidate};
use rook_multihome::network::{AttachmentRef, NetworkSelection};
use rook_multihome::world::{Entry, Isolation, Mode, ObjectKind, Settings, Snapshot, World};
use serde_json::{Value, json};

use super::CATALOGUE;
use super::generated::{element, json_value, text};

/// One object, with its kind as a word: `ceph`, `db`, `nad` or `sn`.
type Object = (&'static str, Value);

fn select<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn namespace() -> impl Strategy<Value = &'static str> {
    select(&["a", "b"])
}

/// Mostly the name of a definition that may be there.
fn selector() -> impl Strategy<Value = String> {
    let written = select(&[
        "n1",
        "n2",
        "n3",
        "a/n1",
        "b/n2",
        "n1@x0",
        "n2@net2",
        "missing",
        r#"{"name":"n1","ips":["10.0.0.5/24"]}"#,
        r#"{"name":"n2","mac":"02:00:00:00:00:01"}"#,
        r#"{"name":"n3","deviceID":"x"}"#,
    ]);
    prop_oneof![9 => written.prop_map(str::to_owned), 1 => text()]
}

fn config() -> impl Strategy<Value = String> {
    let range = || select(&["10.0.0.0/24", "10.0.0.0/28", "10.0.0.9/24", "10.0.0.0/31", "fd00::/64", "10.9.0.0/16"]);
    let ipam = prop_oneof![
        4 => (range(), any::<bool>()).prop_map(|(range, heeds)| json!({"type": "whereabouts", "range": range, "enable_overlapping_ranges": heeds})),
        3 => range().prop_map(|range| json!({"type": "host-local", "subnet": range})),
        1 => range().prop_map(|address| json!({"type": "static", "addresses": [{"address": address}]})),
        1 => select(&["static", "dhcp", "own"]).prop_map(|kind| json!({"type": kind})),
        1 => Just(Value::Null),
    ];
    let kind = select(&["macvlan", "ipvlan", "bridge", "sriov", "unheard-of"]);
    let plugin = (kind, option::of(select(&["eth0", "eth1"])), option::of(select(&[1500, 9000])), ipam).prop_map(
        |(kind, master, mtu, ipam)| {
            json!({"cniVersion": "0.3.1", "type": kind, "master": master, "mtu": mtu, "ipam": ipam}).to_string()
        },
    );
    prop_oneof![8 => plugin, 1 => Just(String::new()), 1 => text()]
}

fn object() -> impl Strategy<Value = Object> {
    let definition = (namespace(), select(&["n1", "n2", "n3"]), config(), any::<bool>()).prop_map(|(namespace, name, config, device)| {
        let annotations = if device { json!({"k8s.v1.cni.cncf.io/resourceName": "x/y"}) } else { json!({}) };
        ("nad", json!({"metadata": {"namespace": namespace, "name": name, "annotations": annotations}, "spec": {"config": config}}))
    });
    let selectors = || btree_map(select(&["public".to_owned(), "cluster".to_owned()]), selector(), 0..3);
    let network = (
        select(&["multus", "multus", "multus", "host", ""]),
        selectors(),
        any::<bool>(),
        option::of(select(&["10.0.0.0/24", "10.0.0.0/25"])),
    )
        .prop_map(|(provider, selectors, design, range)| {
            let mut network = json!({"provider": provider});
            network[if design { "interfaces" } else { "selectors" }] = json!(selectors);
            if let Some(range) = range {
                network["addressRanges"] = json!({"public": [range]});
            }
            network
        });
    let mode = || option::weighted(0.3, select(&["off", "audit", "sometimes"]));
    let ceph = (namespace(), network, mode(), 0_u32..5).prop_map(|(namespace, network, mode, mons)| {
        let annotations = mode.map(|mode| json!({"multihome.rook.io/mode": mode}));
        ("ceph", json!({"metadata": {"namespace": namespace, "name": "c", "annotations": annotations}, "spec": {"network": network, "mon": {"count": mons}}}))
    });
    let db = (namespace(), 0_u32..9, mode()).prop_map(|(namespace, members, mode)| {
        let annotations = mode.map(|mode| json!({"multihome.rook.io/mode": mode}));
        ("db", json!({"metadata": {"namespace": namespace, "name": "c", "annotations": annotations}, "spec": {"datacenter": {"racks": [{"members": members}]}}}))
    });
    prop_oneof![4 => definition, 3 => ceph, 1 => db, 3 => storage_network()]
}

fn storage_network() -> impl Strategy<Value = Object> {
    let target = select(&[
        json!({"clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": "c"}}),
        json!({"clusterRef": {"group": "cassandra.rook.io", "kind": "Cluster", "name": "c"}}),
        json!({"clusterRef": {"group": "x.io", "kind": "Db", "name": "c"}}),
        json!({"podSelector": {}}),
        json!({"podSelector": {"matchLabels": {"app": "x"}}}),
    ]);
    let interfaces =
        || btree_map(select(&["public".to_owned(), "cluster".to_owned(), "client".to_owned()]), selector(), 0..3);
    let provider = select(&["multus", "multus", "host", "none", "knitter", "genie"]);
    let mode = option::weighted(0.2, select(&["off", "audit"]));
    let created = option::of(1_u8..4);
    let nodes = option::weighted(0.3, interfaces());
    let default_network = option::weighted(0.2, selector());
    (namespace(), select(&["s1", "s2"]), target, provider, interfaces(), nodes, (mode, created, default_network))
        .prop_map(|(namespace, name, mut spec, provider, interfaces, nodes, (mode, created, default_network))| {
            spec["provider"] = provider.into();
            spec["interfaces"] = json!(interfaces);
            spec["mode"] = json!(mode);
            spec["defaultNetwork"] = json!(default_network);
            if let Some(nodes) = nodes {
                spec["nodeInterfaces"] = json!([{"nodeSelector": {"matchLabels": {"rack": "1"}}, "interfaces": nodes}]);
            }
            let created = created.map(|day| format!("2026-01-0{day}T00:00:00Z"));
            (
                "sn",
                json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": spec}),
            )
        })
}

fn settings() -> impl Strategy<Value = Settings> {
    (any::<[bool; 4]>(), select(&Mode::ALL)).prop_map(|([enforce, isolated, hosts, taken], mode)| {
        let mut settings = Settings { enforce_host_network: enforce && taken, mode, ..Settings::default() };
        settings.attach_csi_node_plugins_and_risk_hung_mounts = taken && hosts;
        if isolated {
            settings.checks.isolation = Isolation::On(vec!["default".to_owned()]);
        }
        if hosts {
            settings.checks.surroundings.hosts.push("10.0.0.0/26".parse().unwrap());
            settings.checks.surroundings.pods.push("10.8.0.0/13".parse().unwrap());
        }
        settings
    })
}

fn kind_of(word: &str) -> ObjectKind {
    let all = ObjectKind::always(&CATALOGUE);
    let is_it = |kind: &ObjectKind| match (word, kind) {
        ("nad", ObjectKind::Attachment) | ("sn", ObjectKind::StorageNetwork) => true,
        ("ceph", ObjectKind::Cluster(_, resource)) => resource.kind == "CephCluster",
        ("db", ObjectKind::Cluster(_, resource)) => resource.group == "cassandra.rook.io",
        _ => false,
    };
    all.into_iter().find(is_it).unwrap()
}

/// The world of some objects; of those with one name the first.
fn world<'o>(objects: impl IntoIterator<Item = &'o Object>, settings: &Settings) -> Snapshot {
    let mut world = World::new(Arc::clone(&CATALOGUE), settings.clone());
    for kind in ObjectKind::always(&CATALOGUE) {
        world.replace_all(&kind, []);
    }
    for (word, object) in objects {
        let kind = kind_of(word);
        let (id, entry) = Entry::read(&kind, object, &CATALOGUE).unwrap();
        world.insert(&kind, &id, entry);
    }
    world.snapshot()
}

/// The objects without those that have the name of one before them.
fn named_once(objects: Vec<Object>) -> Vec<Object> {
    let name = |(word, object): &Object| {
        (*word, object["metadata"]["namespace"].to_string(), object["metadata"]["name"].to_string())
    };
    let mut kept: Vec<Object> = Vec::new();
    for object in objects {
        if !kept.iter().any(|other| name(other) == name(&object)) {
            kept.push(object);
        }
    }
    kept
}

fn candidate((word, object): &Object) -> (Subject, Candidate) {
    let (id, entry) = Entry::read(&kind_of(word), object, &CATALOGUE).unwrap();
    let candidate = match entry {
        Entry::Cluster(cluster) => Candidate::Cluster(Box::new(cluster)),
        Entry::StorageNetwork(network) => Candidate::StorageNetwork(Box::new(network)),
        Entry::Attachment(definition) => {
            Candidate::Attachment(AttachmentRef::new(&id.namespace, &id.name), Some(definition))
        }
        _ => unreachable!("no other kind is made here"),
    };
    (candidate.subject(), candidate)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn checks_are_total_and_do_not_depend_on_order(objects in vec(object(), 0..12), settings in settings()) {
        let objects = named_once(objects);
        let found = lint(&world(&objects, &settings));
        prop_assert!(found.is_sorted());
        for pair in found.windows(2) {
            prop_assert_ne!(&pair[0], &pair[1]);
        }
        for finding in &found {
            prop_assert!(!finding.fault.is_empty() && !finding.mend.is_empty(), "{}", finding);
            prop_assert!(finding.field.contains('.') || finding.field == "spec", "{}", finding);
            prop_assert!(!finding.with.contains(&finding.subject), "{}", finding);
        }
        prop_assert_eq!(found, lint(&world(objects.iter().rev(), &settings)));
    }

    #[test]
    fn an_object_is_judged_as_it_will_be(objects in vec(object(), 1..12), settings in settings()) {
        let objects = named_once(objects);
        let all = lint(&world(&objects, &settings));
        for (index, object) in objects.iter().enumerate() {
            let (subject, candidate) = candidate(object);
            let mut expected: Vec<&Finding> = all.iter().filter(|finding| finding.concerns(&subject)).collect();
            expected.sort();
            let without = objects.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, object)| object);
            for there in [world(without, &settings), world(&objects, &settings)] {
                let found = lint_candidate(Scene::with(&there, &candidate), &candidate);
                prop_assert!(found.is_sorted_by_key(|finding| finding.rule.severity()));
                let mut found: Vec<&Finding> = found.iter().collect();
                found.sort();
                let overlaps = |findings: &mut Vec<&Finding>| {
                    let before = findings.len();
                    findings.retain(|finding| finding.rule != Rule::RangesOverlap);
                    findings.len() < before
                };
                // Of two definitions it is not always the same one that tells of both.
                let mut others = expected.clone();
                prop_assert_eq!(overlaps(&mut found), overlaps(&mut others), "{:?}", subject);
                prop_assert_eq!(&found, &others, "{:?}", subject);
            }
        }
    }

    /// Nothing is known before definitions have been listed, so nothing is said of any that is not there.
    #[test]
    fn what_is_not_known_is_not_missing(objects in vec(object(), 0..8), settings in settings()) {
        let mut world = World::new(Arc::clone(&CATALOGUE), settings);
        for object in named_once(objects).iter().filter(|(word, _)| *word != "nad") {
            let kind = kind_of(object.0);
            let (id, entry) = Entry::read(&kind, &object.1, &CATALOGUE).unwrap();
            world.insert(&kind, &id, entry);
        }
        for finding in lint(&world.snapshot()) {
            let id = finding.rule.id();
            prop_assert!(!["attachment-missing", "cluster-missing"].contains(&id), "{}", finding);
        }
    }

    #[test]
    fn objects_of_any_content_are_checked_without_a_panic(value in json_value(), word in select(&["nad", "sn", "ceph", "db"])) {
        let object = (word, json!({"metadata": {"namespace": "a", "name": "n1"}, "spec": value}));
        let there = world([&object], &Settings::default());
        let (_, candidate) = candidate(&object);
        _ = (lint(&there), lint_candidate(Scene::with(&there, &candidate), &candidate));
    }

    /// What is read of a selector is written again with every field that says something, and reads the same.
    #[test]
    fn a_selector_keeps_every_field(element in element()) {
        let text = element.to_string();
        let Ok(Some(selection)) = NetworkSelection::from_selector(&text, "ns") else { return Ok(()) };
        let written: Value = serde_json::from_str(selection.as_json()).unwrap();
        for (key, value) in element.as_object().unwrap() {
            let is_filled_in = key == "namespace" && value == "";
            prop_assert!(is_filled_in || written.get(key) == Some(value), "{} of {} is not in {}", key, text, written);
        }
        prop_assert_eq!(NetworkSelection::from_selector(selection.as_json(), "elsewhere").unwrap(), Some(selection));
    }
}
