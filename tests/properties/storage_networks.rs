//! StorageNetworks of any shape, for clusters and for pods by their labels, under every meta-plugin: what is decided stays
//! decided, and nothing but what is theirs is touched.

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rook_multihome::network::{MetaPlugin, provider};
use rook_multihome::world::{Entry, ObjectKind, Settings, Snapshot, World};
use serde_json::{Value, json};

use super::generated::{annotation, json_value, pod, text};
use super::{
    ATTACHMENTS, CATALOGUE, NAMESPACE, answer, choices, definition, devices_are_requested_as_kubernetes_wants_them,
    without_devices,
};

/// A selector of the kind that people write, or not.
fn selector() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["public-net", "cluster-net@net2", "storage/a@public0", "a@eth0", "a@eth7", "missing", r#"{"name":"a","ips":["10.0.0.1"]}"#]).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn spec() -> impl Strategy<Value = Value> {
    let provider = || prop::sample::select(vec!["multus", "multus", "host", "none", "knitter", "genie"]);
    let key = || prop::sample::select(vec!["public".to_owned(), "cluster".to_owned(), "odd".to_owned()]);
    let interfaces = || btree_map(key(), selector(), 0..3);
    let role = prop::sample::select(vec!["osd", "mon", "toolbox", "exporter", "mine"]);
    let role = (role, option::of(vec(key(), 0..3)), option::of(provider()), any::<bool>()).prop_map(
        |(name, interfaces, provider, selects)| {
            let selector = selects.then(|| json!({"matchLabels": {"app": "other"}}));
            json!({"name": name, "interfaces": interfaces, "provider": provider, "podSelector": selector})
        },
    );
    let nodes = interfaces()
        .prop_map(|interfaces| json!({"nodeSelector": {"matchLabels": {"rack": "1"}}, "interfaces": interfaces}));
    let default_network = option::weighted(0.3, selector());
    let target = prop_oneof![
        Just(json!({"clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": "c"}})),
        Just(json!({"podSelector": {}})),
        Just(json!({"podSelector": {"matchLabels": {"app": "other"}}})),
    ];
    (target, provider(), interfaces(), vec(role, 0..3), vec(nodes, 0..2), default_network).prop_map(
        |(mut spec, provider, interfaces, roles, nodes, default_network)| {
            spec["provider"] = provider.into();
            spec["interfaces"] = json!(interfaces);
            spec["roles"] = roles.into();
            spec["nodeInterfaces"] = nodes.into();
            spec["defaultNetwork"] = json!(default_network);
            spec
        },
    )
}

fn snapshot(specs: &[Value], settings: Settings) -> Snapshot {
    let catalogue = &*CATALOGUE;
    let mut world = World::new(Arc::clone(catalogue), settings);
    for kind in ObjectKind::always(catalogue).into_iter().chain([ObjectKind::Node]) {
        let named = |namespace: &str, name: &str| json!({"namespace": namespace, "name": name});
        let objects: Vec<Value> = match &kind {
            ObjectKind::Cluster(_, resource) if resource.kind == "CephCluster" => {
                vec![json!({"metadata": named(NAMESPACE, "c"), "spec": {}})]
            }
            ObjectKind::Attachment => ATTACHMENTS.iter().map(|(namespace, name)| definition(namespace, name)).collect(),
            ObjectKind::StorageNetwork => {
                let network = |(number, spec): (usize, &Value)| json!({"metadata": named(NAMESPACE, &format!("sn-{number}")), "spec": spec});
                specs.iter().enumerate().map(network).collect()
            }
            ObjectKind::Node => {
                vec![json!({"metadata": {"name": "node-1", "labels": {"rack": "1", "kubernetes.io/hostname": "a"}}})]
            }
            _ => Vec::new(),
        };
        let entries: Vec<_> = objects.iter().map(|object| Entry::read(&kind, object, catalogue).unwrap()).collect();
        world.replace_all(&kind, entries);
    }
    world.snapshot()
}

/// The pod without what may be changed.
fn rest(pod: &Value) -> Value {
    let mut rest = pod.clone();
    if let Some(annotations) = rest["metadata"]["annotations"].as_object_mut() {
        annotations.remove(provider::multus::DEFAULT_NETWORK_ANNOTATION);
        for plugin in provider::ALL {
            annotations.remove(plugin.annotation());
        }
        if annotations.is_empty() {
            rest["metadata"]["annotations"] = Value::Null;
        }
    }
    if let Some(spec) = rest["spec"].as_object_mut() {
        spec.remove("hostNetwork");
        spec.remove("dnsPolicy");
        without_devices(spec);
    }
    rest
}

/// A pod that may be bound to a node, and may have annotations of any of the meta-plugins.
fn bound_pod() -> impl Strategy<Value = Value> {
    let plugin = prop::sample::select(provider::ALL.map(MetaPlugin::annotation).to_vec());
    let own = option::of((plugin, annotation()));
    (pod(), option::of(prop::sample::select(vec!["node-1", "node-2"])), own).prop_map(|(mut pod, node, own)| {
        if let (Some(node), true) = (node, pod["spec"].is_object()) {
            pod["spec"]["nodeName"] = node.into();
        }
        if let (Some((key, value)), true) = (own, pod["metadata"]["annotations"].is_object()) {
            pod["metadata"]["annotations"][key] = value.into();
        }
        pod
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_they_declare_is_done_once_and_touches_only_what_is_theirs(
        pod in bound_pod(),
        specs in vec(spec(), 0..4),
        risk in any::<bool>(),
        choices in choices(),
    ) {
        let settings = Settings { attach_csi_node_plugins_and_risk_hung_mounts: risk, ..choices };
        let snapshot = snapshot(&specs, settings);
        if let Some(patched) = answer(&snapshot, &pod) {
            prop_assert_eq!(rest(&patched), rest(&pod));
            devices_are_requested_as_kubernetes_wants_them(&pod, &patched);
            if pod["spec"]["hostNetwork"] == true {
                prop_assert!(risk && patched["spec"]["hostNetwork"] == false, "only the one who takes the risk is taken off the host network");
            }
            prop_assert_eq!(answer(&snapshot, &patched), None, "a second decision changes nothing");
        }
    }

    #[test]
    fn of_any_content_they_are_read_without_a_panic(spec in json_value()) {
        let object = json!({"metadata": {"name": "sn"}, "spec": spec});
        let (_, entry) = Entry::read(&ObjectKind::StorageNetwork, &object, &CATALOGUE).unwrap();
        _ = entry.problems();
    }
}
