//! What Rook and Multus do, as tables.
//!
//! The cases are those of Rook's and Multus's own unit tests and of runs of their parsers (Rook 1.20, multus-cni 4.3,
//! attachment definition client 1.7.7). Where this project differs on purpose, the row says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use rook_multihome::network::selection::read_annotation;
use rook_multihome::network::spec::SpecShape;
use rook_multihome::network::{NetworkKey, NetworkSelection, NetworkSpec, Provider};
use serde_json::{Value, json};

const S1: &str = "macvlan@net1";
const S2: &str = "macvlan@net2";
const J1: &str = r#"[{"name": "macvlan", "interface": "net1"}]"#;
const J2: &str = r#"[{"name": "macvlan", "interface": "net2"}]"#;
const E1: &str = r#"[{"name":"macvlan","namespace":"ns","interface":"net1"}]"#;
const E1_E2: &str = r#"[{"name":"macvlan","namespace":"ns","interface":"net1"},{"name":"macvlan","namespace":"ns","interface":"net2"}]"#;

/// A world with one CephCluster in `ns`, and the networks of a pod with these labels there. Attachment definitions are not
/// listed, as they are not in Rook's tests either.
mod pods {
    use std::sync::Arc;

    use rook_multihome::admit::{Verdict, decide};
    use rook_multihome::storage::Catalogue;
    use rook_multihome::wire::Review;
    use rook_multihome::world::{Entry, ObjectKind, Settings, World};
    use serde_json::{Value, json};

    /// The annotation that is written, `host` for the host network, or the reason why nothing is.
    pub(super) fn networks(network: &Value, labels: &Value, settings: Settings) -> String {
        let catalogue = Arc::new(Catalogue::built_in().unwrap());
        let kind =
            ObjectKind::always(&catalogue).into_iter().find(|kind| kind.resource().kind == "CephCluster").unwrap();
        let cluster = json!({"metadata": {"namespace": "ns", "name": "c"}, "spec": {"network": network}});
        let mut world = World::new(Arc::clone(&catalogue), settings);
        let (id, entry) = Entry::read(&kind, &cluster, &catalogue).unwrap();
        world.insert(&kind, &id, entry);
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": "CREATE", "namespace": "ns", "kind": {"group": "", "kind": "Pod"},
                "object": {"metadata": {"labels": labels}, "spec": {"containers": []}},
            },
        })
        .to_string();
        let snapshot = world.snapshot();
        let request = Review::read(review.as_bytes()).unwrap();
        match decide(&snapshot, &request.admission()).verdict {
            Verdict::Attach(attachments) => attachments.annotations[0].1.clone(),
            Verdict::UseHostNetwork => "host".to_owned(),
            Verdict::Leave(reason) => reason.name().to_owned(),
        }
    }
}

/// Rook: `TestApplyMultus`. A pod without a known `app` is left alone here, where Rook gives whatever it renders the public
/// network; the rows without labels are therefore asked with a mon's.
#[test]
fn apply_multus() {
    let osd = json!({"app": "rook-ceph-osd"});
    let mon = json!({"app": "rook-ceph-mon"});
    for (selectors, labels, expected) in [
        (json!({"aruba": S1, "bahama": S2}), &mon, "nothing-declared"),
        (json!({"key-largo": S1, "montego": S2}), &osd, "nothing-declared"),
        (json!({"public": S1, "cluster": S2}), &mon, E1),
        (json!({"public": S1, "cluster": S2}), &osd, E1_E2),
        (json!({"cluster": S2, "public": S1}), &osd, E1_E2),
        (json!({"public": J1, "cluster": J2}), &mon, E1),
        (json!({"public": J1, "cluster": J2}), &osd, E1_E2),
        (json!({"cluster": J2, "public": J1}), &osd, E1_E2),
        (json!({"public": S1, "cluster": J2}), &osd, E1_E2),
    ] {
        let network = json!({"provider": "multus", "selectors": selectors});
        assert_eq!(pods::networks(&network, labels, rook_multihome::world::Settings::default()), expected, "{network}");
    }
}

/// Rook: `TestNetworkSpec_GetNetworkSelection_NetworkSelectionsToAnnotationValue`, each row with both syntaxes.
#[test]
fn selections_of_a_spec() {
    for (one, two) in [(S1, S2), (J1, J2)] {
        for (selectors, public, cluster) in [
            (json!({"public": one}), Some(E1), None),
            (json!({"cluster": one}), None, Some(E1)),
            (json!({"uncleKnown": one}), None, None),
            (json!({"public": one, "cluster": two}), Some(E1), Some("net2")),
            (
                json!({"public": r#"{"name": "legacyJsonObject"}"#}),
                Some(r#"[{"name":"legacyJsonObject","namespace":"ns"}]"#),
                None,
            ),
            (json!({"public": ""}), None, None),
        ] {
            let spec = spec(&json!({"provider": "multus", "selectors": selectors})).unwrap();
            let json = |key: &str| spec.selections.get(key).map(|selection| format!("[{}]", selection.as_json()));
            assert_eq!(json("public").as_deref(), public, "{selectors}");
            match cluster {
                Some("net2") => assert!(json("cluster").unwrap().contains("net2"), "{selectors}"),
                expected => assert_eq!(json("cluster").as_deref(), expected, "{selectors}"),
            }
        }
    }
    let bad = json!({"public": r#"[{"name": "jsonWithNoClosingBracket"}"#, "cluster": "multus%net"});
    let problems = spec(&json!({"provider": "multus", "selectors": bad})).unwrap_err();
    assert_eq!(problems, ["spec.network.selectors.public", "spec.network.selectors.cluster"]);
}

fn spec(network: &Value) -> Result<NetworkSpec, Vec<String>> {
    let keys = [NetworkKey::from("public"), NetworkKey::from("cluster")];
    NetworkSpec::read(Some(network), SpecShape { path: "spec.network", keys: &keys, host_fields: &[] }, "ns").map_err(
        |problems| {
            for problem in &problems {
                assert!(!problem.fault.is_empty() && !problem.mend.is_empty());
            }
            problems.into_iter().map(|problem| problem.field).collect()
        },
    )
}

/// Rook: `TestNetworkCephIsHost`, with the operator's `ROOK_ENFORCE_HOST_NETWORK` as our setting. Where Rook's formula gives
/// an answer for a spec that its own validation refuses, the pod is left alone here.
#[test]
fn host_or_not() {
    let mirror = json!({"app": "rook-ceph-fs-mirror"});
    for (host_network, provider, enforce, expected) in [
        (false, "host", false, "host"),
        (false, "host", true, "host"),
        (true, "", false, "host"),
        (false, "", false, "provider-none"),
        (false, "", true, "host"),
        (false, "multus", false, r#"[{"name":"p","namespace":"ns"}]"#),
        (false, "multus", true, "host"),
        (true, "multus", false, "invalid-spec"),
        (true, "foo", false, "invalid-spec"),
        (true, "foo", true, "invalid-spec"),
        (true, "host", false, "invalid-spec"), // TestValidateNetworkSpec
    ] {
        let network = json!({"provider": provider, "hostNetwork": host_network, "selectors": {"public": "p"}});
        let settings = rook_multihome::world::Settings { enforce_host_network: enforce, ..Default::default() };
        assert_eq!(pods::networks(&network, &mirror, settings), expected, "{network} enforce={enforce}");
    }
}

/// Rook: `TestNetworkCephSpecLegacy`, `TestNetworkSpec`, and the ways to declare nothing.
#[test]
fn specs_that_must_not_be_refused() {
    for (network, provider) in [
        (json!(null), Provider::None),
        (json!({}), Provider::None),
        (json!({"provider": null, "selectors": null, "addressRanges": null, "hostNetwork": null}), Provider::None),
        (json!({"hostNetwork": true}), Provider::Host),
        (json!({"provider": "host", "selectors": {"server": "enp2s0f0", "broker": "enp2s0f0"}}), Provider::Host),
        (json!({"provider": "multus", "selectors": {"anything": "at all!"}}), Provider::MULTUS),
        (json!({"provider": "", "ipFamily": "IPv6", "connections": {"requireMsgr2": true}}), Provider::None),
    ] {
        assert_eq!(spec(&network).map(|spec| spec.provider), Ok(provider), "{network}");
    }
}

/// Rook: `ValidateNetworkSpec`, rule by rule, and what only a file without a schema can hold.
#[test]
fn validation() {
    let ranges = |ranges: Value, provider: &str, selectors: Value| json!({"provider": provider, "selectors": selectors, "addressRanges": ranges});
    let both = || json!({"public": "p", "cluster": "c"});
    let multus = |selectors: Value| json!({"provider": "multus", "selectors": selectors});
    for (network, fields) in [
        (json!({"provider": "host", "hostNetwork": true}), &["hostNetwork"][..]),
        (json!({"provider": "multus"}), &["selectors"]),
        (multus(json!({})), &["selectors"]),
        (multus(json!({"public": "%"})), &["selectors.public"]),
        (multus(json!({"cluster": "%"})), &["selectors.cluster"]),
        (multus(json!({"public": "a@net1", "cluster": "b@net1"})), &["selectors.cluster"]),
        (ranges(json!({"public": ["10.0.0.0/8"]}), "", json!(null)), &["addressRanges"]),
        (ranges(json!({"public": ["10.0.0.0/8"]}), "multus", json!({"cluster": "c"})), &["addressRanges.public"]),
        (ranges(json!({"cluster": ["10.0.0.0/8"]}), "multus", json!({"public": "p"})), &["addressRanges.cluster"]),
        (
            ranges(json!({"public": ["10.0.0.0/33"], "cluster": ["2000:/64"]}), "multus", both()),
            &["addressRanges.cluster", "addressRanges.public"],
        ),
        (json!({"provider": "multus", "selectors": {"public": "a"}, "interfaces": {"public": "b"}}), &["interfaces"]),
        (
            json!({"provider": "multus", "selectors": {"public": "a"}, "interfaces": {"public": "a", "cluster": "b"}}),
            &["interfaces"],
        ),
        (json!({"provider": 5}), &["provider"]),
        (json!({"provider": "multus", "selectors": ["a"]}), &["selectors"]),
        (json!({"provider": "multus", "selectors": {"public": {"name": "a"}}}), &["selectors.public"]),
        (json!({"hostNetwork": "true"}), &["hostNetwork"]),
        (ranges(json!("10.0.0.0/8"), "host", json!(null)), &["addressRanges"]),
        (ranges(json!({"public": "10.0.0.0/8"}), "host", json!(null)), &["addressRanges.public"]),
        (ranges(json!({"public": [5]}), "host", json!(null)), &["addressRanges.public"]),
    ] {
        let expected: Vec<String> = fields.iter().map(|field| format!("spec.network.{field}")).collect();
        assert_eq!(spec(&network).map(|_| ()), Err(expected), "{network}");
    }
    for network in [
        ranges(json!({"public": ["10.0.0.0/8"]}), "host", json!(null)),
        ranges(json!({"public": ["10.0.0.0/8", "2000::/64"], "cluster": []}), "multus", both()),
        ranges(json!({}), "", json!(null)),
        json!({"provider": "multus", "selectors": {"public": "a"}, "interfaces": {"public": "a"}}),
    ] {
        assert!(spec(&network).is_ok(), "{network}");
    }
}

/// Rook's selector rules at their edges, as its own code answered.
#[test]
fn selectors() {
    let full = r#"{"name":"x","ips":["10.0.0.5/24"],"mac":"02:00:00:00:00:01","infiniband-guid":"02:00:00:00:00:01:02:03","portMappings":[{"hostPort":80,"containerPort":8080}],"bandwidth":{"ingressRate":1},"cni-args":{"b":1,"a":"<x&y>","big":12345678901234567890},"default-route":["10.0.0.1"],"ipam-claim-reference":"c","mine":[1]}"#;
    // Rook drops `mine`, sorts `cni-args` and passes its numbers through a float; here they stay as they are.
    let full_out = r#"{"name":"x","namespace":"ns","ips":["10.0.0.5/24"],"mac":"02:00:00:00:00:01","infiniband-guid":"02:00:00:00:00:01:02:03","portMappings":[{"hostPort":80,"containerPort":8080}],"bandwidth":{"ingressRate":1},"cni-args":{"b":1,"a":"<x&y>","big":12345678901234567890},"default-route":["10.0.0.1"],"ipam-claim-reference":"c","mine":[1]}"#;
    for (selector, expected) in [
        ("macvlan", r#"{"name":"macvlan","namespace":"ns"}"#),
        ("default/kube-multus-net", r#"{"name":"kube-multus-net","namespace":"default"}"#),
        ("default/macvlan@net1", r#"{"name":"macvlan","namespace":"default","interface":"net1"}"#),
        (" default / macvlan @ net1 ", r#"{"name":"macvlan","namespace":"default","interface":"net1"}"#),
        ("/mac", r#"{"name":"mac","namespace":"ns"}"#),
        ("mac@", r#"{"name":"mac","namespace":"ns"}"#),
        ("[{\"name\":\"x\"}]\n", r#"{"name":"x","namespace":"ns"}"#),
        (r#"[{"name":"x","namespace":"other"}]"#, r#"{"name":"x","namespace":"other"}"#),
        (r#"[{"NAME":"x","Interface":"net1"}]"#, r#"{"name":"x","namespace":"ns","interface":"net1"}"#),
        (r#"[{"name":"UPPER.case_ok"}]"#, r#"{"name":"UPPER.case_ok","namespace":"ns"}"#),
        (r#"[{"name":"x","name":"y"}]"#, r#"{"name":"y","namespace":"ns"}"#),
        ("null", r#"{"name":"null","namespace":"ns"}"#),
        (full, full_out),
        (
            r#"[{"name":"x","ips":[],"default-route":[ ],"mac":"","cni-args":{}}]"#,
            r#"{"name":"x","namespace":"ns","cni-args":{}}"#,
        ),
        // Beyond Rook: white space around an object, and the older name of `interface`.
        ("{\"name\": \"x\"}\n", r#"{"name":"x","namespace":"ns"}"#),
        (" {\"name\": \"x\"}", r#"{"name":"x","namespace":"ns"}"#),
        (r#"[{"name":"x","interfaceRequest":"net1"}]"#, r#"{"name":"x","namespace":"ns","interface":"net1"}"#),
        (
            r#"[{"name":"x","interface":"a","interfaceRequest":"b"}]"#,
            r#"{"name":"x","namespace":"ns","interface":"a"}"#,
        ),
    ] {
        let selection = NetworkSelection::from_selector(selector, "ns").unwrap().unwrap();
        assert_eq!(selection.as_json(), expected, "{selector}");
    }
    assert_eq!(NetworkSelection::from_selector("", "ns"), Ok(None));
    for refused in [
        // Refused by Rook.
        "a,b",
        "a,",
        "[]",
        r#"[{"name":"a"},{"name":"b"}]"#,
        r#"{"name":"a"},{"name":"b"}"#,
        "ns/a/b",
        "a@b@c",
        "Macvlan",
        "mac_vlan",
        "mac.vlan",
        "ns.x/mac",
        "-mac",
        "a b",
        "multus%net",
        r#"[{"name":"x","ips":"10.0.0.5"}]"#,
        r#""x""#,
        r#"["x"]"#,
        r#"[{"name":"x"}"#,
        "a@Net1",
        "a@net_1",
        // Accepted by Rook without a name, and a crash.
        "ns/",
        "@eth1",
        "   ",
        "[{}]",
        r#"[{"interface":"net1"}]"#,
        "[null]",
        // Accepted by Rook, and refused by Multus or the kernel on every pod.
        "a@averylonginterface",
        r#"{"name":"x","interface":"a/b"}"#,
        r#"{"name":"x","interface":".."}"#,
        r#"{"name":"x","mac":"2:0:0:0:0:1"}"#,
        r#"{"name":"x","ips":["10.0.0.05"]}"#,
    ] {
        assert!(NetworkSelection::from_selector(refused, "ns").is_err(), "{refused}");
    }
}

/// multus-cni: `k8sclient_test.go`, and the edges of `parsePodNetworkAnnotation`. A name that is empty parses there and fails
/// the pod when it is attached; here it is refused at once.
#[test]
fn annotations() {
    let read = |value: &str| -> Option<Vec<String>> {
        let selections = read_annotation(value, "pod-ns").ok()?;
        let text = |selection: &NetworkSelection| {
            let interface = selection.interface.as_ref().map(|interface| format!("@{interface}"));
            format!("{}{}", selection.attachment, interface.unwrap_or_default())
        };
        Some(selections.iter().map(text).collect())
    };
    for (value, expected) in [
        ("", &[][..]),
        ("[]", &[]),
        (" [ ] ", &[]),
        ("net1", &["pod-ns/net1"]),
        ("default/net1", &["default/net1"]),
        ("net1@my_interface", &["pod-ns/net1@my_interface"]),
        ("default/net1@my_interface", &["default/net1@my_interface"]),
        ("ns1/net1@eth0", &["ns1/net1@eth0"]),
        ("net1,net2", &["pod-ns/net1", "pod-ns/net2"]),
        ("ns1/net1,net2", &["ns1/net1", "pod-ns/net2"]),
        (" ns / net @ if0 ,\n\tb ", &["ns/net@if0", "pod-ns/b"]),
        ("net1@", &["pod-ns/net1"]),
        ("/net1", &["pod-ns/net1"]),
        ("net1@fifteen_bytes_x", &["pod-ns/net1@fifteen_bytes_x"]),
        ("null", &["pod-ns/null"]),
        (
            r#"[{"name":"net1"},{"name":"net2","ipRequest":"1.2.3.4","macRequest":"aa:bb:cc:dd:ee:ff"},{"name":"net3","namespace":"other-ns"}]"#,
            &["pod-ns/net1", "pod-ns/net2", "other-ns/net3"],
        ),
        (r#"[{"name":"net1","default-route":["192.168.2.2"]}]"#, &["pod-ns/net1"]),
        (r#"[{"name":"net1","default-route":[]}]"#, &["pod-ns/net1"]),
        (r#"[{"name":"net1","default-route":["10.1.1.1","fc00::1"]}]"#, &["pod-ns/net1"]),
        (r#"[{"name":"My.Net_1","namespace":"Other NS","interfaceRequest":"old0"}]"#, &["Other NS/My.Net_1@old0"]),
        (r#"[{"NAME":"x","name":null,"deviceID":"0000:03:02.0"}]"#, &["pod-ns/x"]),
    ] {
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(read(value), Some(expected), "{value:?}");
    }
    for refused in [
        "root@someIP/root@someOtherIP/root@thirdIP",
        "root@someIP/root@someOtherIP@garbagevalue",
        "root@someIP/root@someOtherIP",
        "default/net1@myIfc Name",
        "default/net1@very_long_interface_name",
        "[adsfasdfasdfasf]",
        "ns1/net1/if1",
        "net1@if1@if2",
        "ns/net1,net2,net3@if1@if2",
        r#"{"name": "net1"}"#,
        r#"net1,"net2""#,
        r#""x""#,
        r#"["x"]"#,
        "{}",
        r#"[{"name":"a"},]"#,
        r#"[{"name":"a"}] b"#,
        "My.Net",
        r#"[{"name":"a","ips":["10.0.0.5/33"]}]"#,
        r#"[{"name":"a","mac":"2:0:0:0:0:1"}]"#,
        r#"[{"name":"a","bandwidth":{"ingressRate":1.5}}]"#,
        // Parsed by Multus, which then fails the pod, or crashes.
        "[{}]",
        r#"[{"name":""}]"#,
        "[null]",
        "  ",
        "net1,",
        "net1,,net2",
        ",",
        "ns/",
        "@if",
    ] {
        assert_eq!(read(refused), None, "{refused:?}");
    }
}
