//! What the properties are tried with: pods, network specs and annotations, well shaped, odd in one place, or anything at all.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rook_multihome::network::NETWORKS_ANNOTATION;
use serde_json::{Map, Value, json};

/// Text of every kind, and often text that means something.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "rook-ceph", "storage", "net1", "net2", "public0", "", " ", "x/y", "@", "~", "\"", "null"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

pub(super) fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(text(), inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An element that Multus takes, with fields that nobody has heard of.
pub(super) fn element() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "public-net", "cluster-net", "My.Net"]);
    let namespace = option::of(prop::sample::select(vec!["rook-ceph", "storage", ""]));
    let interface = option::of(prop::sample::select(vec!["net1", "net2", "net7", "eth9"]));
    let foreign = btree_map("[a-z-]{1,6}x", json_value(), 0..3);
    (name, namespace, interface, foreign).prop_map(|(name, namespace, interface, foreign)| {
        let mut element: Map<String, Value> = foreign.into_iter().collect();
        element.insert("name".into(), name.into());
        element.extend(namespace.map(|namespace| ("namespace".to_owned(), Value::from(namespace))));
        element.extend(interface.map(|interface| ("interface".to_owned(), Value::from(interface))));
        Value::Object(element)
    })
}

pub(super) fn annotation() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => vec(element(), 0..4).prop_map(|elements| Value::from(elements).to_string()),
        1 => vec(element(), 0..3).prop_map(|elements| serde_json::to_string_pretty(&elements).unwrap()),
        1 => prop::sample::select(vec!["", "a", "a,b", "storage/a@net1, b", "rook-ceph/public-net", "a,", "[", "[null]", "{}", "null"]).prop_map(str::to_owned),
        1 => text(),
    ]
}

/// The resources of a container: well shaped, lacking parts, or anything at all.
fn resources() -> impl Strategy<Value = Value> {
    let quantity = prop_oneof![
        4 => prop::sample::select(vec![json!("1"), json!("2"), json!(1), json!("1k"), json!("500m"), json!("-1"), json!(""), Value::Null]),
        1 => json_value(),
    ];
    let resource = prop::sample::select(vec!["intel.com/sriov", "x.com/a~b", "cpu"]).prop_map(str::to_owned);
    let list = || {
        prop_oneof![
            4 => btree_map(resource.clone(), quantity.clone(), 0..3).prop_map(|list| json!(list)),
            1 => Just(Value::Null),
            1 => json_value(),
        ]
    };
    let absent_or = |of: BoxedStrategy<Value>| option::weighted(0.7, of);
    let claims = prop::sample::select(vec![Value::Null, json!([]), json!([{"name": "nic"}])]).boxed();
    let shaped = (absent_or(list().boxed()), absent_or(list().boxed()), option::weighted(0.2, claims)).prop_map(
        |(requests, limits, claims)| {
            let parts = [("requests", requests), ("limits", limits), ("claims", claims)];
            parts.into_iter().filter_map(|(key, part)| Some((key.to_owned(), part?))).collect::<Map<_, _>>().into()
        },
    );
    prop_oneof![8 => shaped, 2 => Just(Value::Null), 1 => json_value()]
}

/// One or two containers, of which the first has arguments.
fn containers() -> impl Strategy<Value = Value> {
    let arguments = vec(prop_oneof![text(), Just("--public-addr=$(ROOK_POD_IP)".to_owned())], 0..3);
    let first = (arguments, option::weighted(0.8, resources())).prop_map(|(arguments, resources)| {
        let mut container = json!({"name": "c", "args": arguments});
        container.as_object_mut().unwrap().extend(resources.map(|resources| ("resources".to_owned(), resources)));
        container
    });
    let second = option::of(resources().prop_map(|resources| json!({"name": "d", "resources": resources})));
    let first = prop_oneof![20 => first, 1 => Just(Value::Null)];
    (first, second).prop_map(|(first, second)| [Some(first), second].into_iter().flatten().collect::<Vec<_>>().into())
}

pub(super) fn pod() -> impl Strategy<Value = Value> {
    let apps = vec![
        "rook-ceph-osd",
        "rook-ceph-mon",
        "rook-ceph-mgr",
        "rook-ceph-tools",
        "rook-ceph-exporter",
        "rook-ceph-rgw",
        "rook-ceph-nfs",
        "rook-ceph-operator",
        "x.rbd.csi.ceph.com-ctrlplugin",
        "x.rbd.csi.ceph.com-nodeplugin",
        "rook-ceph-osd-prepare",
        "other",
    ];
    let labels =
        option::of((prop::sample::select(apps), btree_map(text(), text(), 0..3)).prop_map(|(app, mut labels)| {
            labels.insert("app".to_owned(), app.to_owned());
            labels
        }));
    let annotations = option::of((option::weighted(0.7, annotation()), btree_map(text(), text(), 0..3)).prop_map(
        |(own, mut others)| {
            others.extend(own.map(|own| (NETWORKS_ANNOTATION.to_owned(), own)));
            others
        },
    ));
    let claims = prop::sample::select(vec![Value::Null, Value::Null, Value::Null, json!([]), json!([{"name": "nic"}])]);
    let spec = (option::of(any::<bool>()), option::of(text()), containers(), json_value(), any::<bool>(), claims);
    (labels, annotations, option::weighted(0.95, spec), json_value()).prop_map(|(labels, annotations, spec, foreign)| {
        let spec = spec.map(|(host_network, dns_policy, containers, foreign, odd, claims)| {
            let containers = if odd { foreign.clone() } else { containers };
            json!({"hostNetwork": host_network, "dnsPolicy": dns_policy, "containers": containers, "resourceClaims": claims, "foreign": foreign})
        });
        json!({"metadata": {"generateName": "p-", "labels": labels, "annotations": annotations, "foreign": foreign}, "spec": spec, "status": foreign})
    })
}

pub(super) fn network() -> impl Strategy<Value = Value> {
    let selector = prop_oneof![
        prop::sample::select(vec![
            "public-net",
            "cluster-net@net2",
            "storage/a@public0",
            "missing",
            "",
            "%",
            r#"{"name":"a","ips":["10.0.0.1"]}"#
        ])
        .prop_map(str::to_owned),
        text(),
    ];
    let selectors = btree_map(
        prop::sample::select(vec!["public".to_owned(), "cluster".to_owned(), "odd".to_owned()]),
        selector,
        0..3,
    );
    let shaped = (prop::sample::select(vec!["", "host", "multus", "multus", "foo"]), selectors, any::<bool>())
        .prop_map(|(provider, selectors, host)| json!({"provider": provider, "selectors": selectors, "hostNetwork": host && provider.is_empty()}));
    prop_oneof![8 => shaped, 1 => json_value()]
}

/// What says where a pod comes from and where it has to run: well shaped, odd in one place, or anything at all.
pub(super) fn origin() -> impl Strategy<Value = Value> {
    let or_odd = |shaped: BoxedStrategy<Value>| prop_oneof![6 => shaped, 1 => json_value()].boxed();
    let list = |of: BoxedStrategy<Value>| or_odd(vec(of, 0..3).prop_map(Value::from).boxed());
    let word = || prop_oneof![text(), Just("kubernetes.io/hostname".to_owned()), Just("metadata.name".to_owned())];
    let requirement =
        (word(), prop::sample::select(vec!["In", "NotIn", "Exists"]), list(text().prop_map(Value::from).boxed()))
            .prop_map(|(key, operator, values)| json!({"key": key, "operator": operator, "values": values}));
    let requirements = list(or_odd(requirement.boxed()));
    let term = (requirements.clone(), requirements)
        .prop_map(|(expressions, fields)| json!({"matchExpressions": expressions, "matchFields": fields}));
    let affinity = list(or_odd(term.boxed())).prop_map(|terms| {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}})
    });
    let selector = or_odd(btree_map(word(), text(), 0..3).prop_map(|labels| json!(labels)).boxed());
    let owner = (text(), text(), option::of(any::<bool>()))
        .prop_map(|(name, uid, controller)| json!({"kind": "Job", "name": name, "uid": uid, "controller": controller}));
    let name = prop_oneof![2 => Just(Value::Null), 1 => or_odd(text().prop_map(Value::from).boxed())];
    (list(or_odd(owner.boxed())), name, option::of(selector), or_odd(affinity.boxed())).prop_map(
        |(owners, name, selector, affinity)| {
            json!({
                "metadata": {"ownerReferences": owners},
                "spec": {"nodeName": name, "nodeSelector": selector, "affinity": affinity},
            })
        },
    )
}
