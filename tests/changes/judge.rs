//! Clusters and StorageNetworks: what is said of them, and what is refused.

use rook_multihome::lint::{Change, Operation, judge};
use rook_multihome::world::{Deny, Mode, Settings, Severity};
use serde_json::{Value, json};

use super::{
    EVERY_DENY, ceph, change, changed, configured, created, definition, deleted, denying, is_silent, macvlan, public,
    rules, sound, updated, world,
};

/// A cluster with one finding of each severity, by itself.
fn with(severity: Severity) -> Value {
    match severity {
        Severity::Error => changed(&sound(), "/spec/network/selectors/public", json!("nowhere")),
        Severity::Warning => changed(&sound(), "/spec/network/selectors/public", json!("routeless")),
        Severity::Advice => ceph(json!({"provider": "multus", "selectors": {"public": "public"}})),
    }
}

/// `public`, and the same without a route to the hosts.
fn networks() -> [Value; 2] {
    let ipam = json!({"type": "whereabouts", "range": "192.168.0.0/18"});
    // On another interface, so that each may have the same addresses.
    [public(), configured("routeless", &changed(&macvlan(ipam), "/master", json!("eth2")))]
}

fn rule(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "attachment-missing",
        Severity::Warning => "no-route-to-hosts",
        Severity::Advice => "ranges-offered",
    }
}

fn storage_network(name: &str, cluster: &str, network: &str) -> Value {
    json!({
        "apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork",
        "metadata": {"name": name, "namespace": "rook-ceph"},
        "spec": {
            "clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": cluster},
            "provider": "multus", "interfaces": {"public": network},
        },
    })
}

#[test]
fn nothing_is_said_of_what_is_sound() {
    for deny in EVERY_DENY {
        let snapshot = world(denying(deny), &networks());
        let judgement = created(&snapshot, &sound());
        assert!(is_silent(&judgement), "{:?}", judgement.warnings());
        assert_eq!(judgement.subject.unwrap().to_string(), "CephCluster rook-ceph/my-cluster");
        assert!(is_silent(&deleted(&snapshot, &sound())), "who deletes a cluster need not hear of its networks");
    }
}

#[test]
fn each_severity_is_refused_where_that_is_asked_for() {
    for deny in EVERY_DENY {
        let snapshot = world(denying(deny), &networks());
        for severity in Severity::ALL {
            let is_refused = deny.covers(severity);
            let expected = if is_refused { format!("!{}", rule(severity)) } else { rule(severity).to_owned() };
            for judgement in
                [created(&snapshot, &with(severity)), updated(&snapshot, &ceph(json!({})), &with(severity))]
            {
                assert_eq!(rules(&judgement), [&*expected], "{deny} {severity}");
                assert_eq!(judgement.is_refused(), is_refused);
                assert_eq!(judgement.refusal().is_some(), is_refused);
                assert_eq!(judgement.warnings().len(), usize::from(!is_refused), "what is in the refusal is said once");
                assert_eq!(judgement.audit_annotations(), [("findings", rule(severity).to_owned())]);
            }
        }
    }
}

#[test]
fn sentences_name_the_object_the_field_and_the_mend() {
    let error = "CephCluster rook-ceph/my-cluster, spec.network.selectors.public: there is no attachment definition rook-ceph/nowhere; create it, or mend the name (attachment-missing)";
    let snapshot = world(Settings::default(), &networks());
    assert_eq!(created(&snapshot, &with(Severity::Error)).warnings(), [format!("rook-multihome: {error}")]);
    let snapshot = world(denying(Deny::From(Severity::Error)), &networks());
    let judgement = created(&snapshot, &with(Severity::Error));
    assert_eq!(judgement.refusal().unwrap(), format!("rook-multihome refuses this: {error}"));
}

#[test]
fn what_changes_no_spec_is_silent() {
    let snapshot = world(denying(Deny::From(Severity::Advice)), &networks());
    for severity in Severity::ALL {
        let old = with(severity);
        let mut being_deleted = changed(&old, "/metadata/deletionTimestamp", json!("2026-11-22T00:00:00Z"));
        being_deleted["metadata"]["finalizers"] = json!([]);
        // Whoever removes a finalizer may bring an older spec with it.
        let with_spec = changed(&being_deleted, "/spec/network/selectors", json!({"public": "elsewhere"}));
        for new in [
            changed(&old, "/status", json!({"phase": "Ready"})),
            changed(&old, "/metadata/labels", json!({"a": "b"})),
            changed(&old, "/metadata/finalizers", json!([])),
            being_deleted,
            with_spec,
        ] {
            let judgement = updated(&snapshot, &old, &new);
            assert!(is_silent(&judgement) && judgement.subject.is_none(), "{new}");
        }
    }
}

#[test]
fn an_old_fault_is_said_and_never_refused() {
    for deny in EVERY_DENY {
        let snapshot = world(denying(deny), &networks());
        for severity in Severity::ALL {
            let old = with(severity);
            let judgement = updated(&snapshot, &old, &changed(&old, "/spec/cephVersion", json!({"image": "new"})));
            assert!(!judgement.is_refused());
            let expected: &[&str] = if severity == Severity::Advice { &[] } else { &[rule(severity)] };
            assert_eq!(rules(&judgement), expected, "{deny} {severity}");
        }
        let judgement = updated(&snapshot, &with(Severity::Error), &sound());
        assert!(is_silent(&judgement), "what is mended is not said");
    }
}

#[test]
fn a_new_fault_is_refused_beside_an_old_one() {
    let snapshot = world(denying(Deny::From(Severity::Error)), &networks());
    let old = with(Severity::Error);
    let judgement = updated(&snapshot, &old, &changed(&old, "/spec/network/selectors/cluster", json!("lost")));
    assert_eq!(rules(&judgement), ["!attachment-missing", "attachment-missing"]);
    assert!(judgement.refusal().unwrap().contains("selectors.cluster") && judgement.warnings().len() == 1);
    let judgement = updated(&snapshot, &old, &changed(&old, "/spec/network/selectors/public", json!("lost")));
    assert_eq!(rules(&judgement), ["!attachment-missing"], "another name that does not exist is another fault");
}

/// Where entries of a list come and go, those after them have other numbers, and the same faults.
#[test]
fn an_old_fault_stays_one_when_its_number_changes() {
    let snapshot = world(denying(Deny::From(Severity::Error)), &[networks().to_vec(), vec![sound()]].concat());
    let network = |racks: &[(&str, &str)]| {
        let nodes = |(rack, network): &(&str, &str)| json!({"nodeSelector": {"matchLabels": {"rack": rack}}, "interfaces": {"public": network}});
        let entries: Vec<Value> = racks.iter().map(nodes).collect();
        changed(&storage_network("first", "my-cluster", "public"), "/spec/nodeInterfaces", entries.into())
    };
    let old = network(&[("a", "gone"), ("b", "lost")]);
    for (new, expected) in [
        (network(&[("b", "lost")]), &["attachment-missing"][..]),
        (network(&[("c", "public"), ("a", "gone"), ("b", "lost")]), &["attachment-missing", "attachment-missing"]),
        (network(&[("a", "new"), ("b", "lost")]), &["!attachment-missing", "attachment-missing"]),
    ] {
        assert_eq!(rules(&updated(&snapshot, &old, &new)), expected, "{new}");
    }
}

/// Behind a fault that kept the rest from being looked at, others may have been.
#[test]
fn what_comes_to_light_with_a_mend_is_said_and_never_refused() {
    let snapshot = world(denying(Deny::From(Severity::Warning)), &networks());
    let cluster =
        |public: &str| ceph(json!({"provider": "multus", "selectors": {"public": public, "cluster": "lost"}}));
    let judgement = updated(&snapshot, &cluster("not a name!"), &cluster("public"));
    assert_eq!(rules(&judgement)[0], "attachment-missing");
    assert!(!judgement.is_refused());
    assert!(
        created(&snapshot, &cluster("public")).is_refused() && created(&snapshot, &cluster("not a name!")).is_refused()
    );
}

#[test]
fn a_cluster_on_a_network_that_was_too_small_may_become_smaller() {
    let small = definition("small", "192.168.0.0/28");
    let snapshot = world(denying(Deny::From(Severity::Advice)), &[small]);
    let on_hosts = |hosts: usize| {
        let nodes: Vec<Value> = (0..hosts).map(|host| json!({"name": format!("host-{host}")})).collect();
        let network = json!({"provider": "multus", "selectors": {"public": "small"}, "addressRanges": {"public": ["192.168.0.0/28"]}});
        changed(&ceph(network), "/spec/storage", json!({"nodes": nodes}))
    };
    assert_eq!(rules(&created(&snapshot, &on_hosts(9))), ["!range-too-small"]);
    let judgement = updated(&snapshot, &on_hosts(9), &on_hosts(8));
    assert_eq!(rules(&judgement), ["range-too-small"]);
    assert!(is_silent(&updated(&snapshot, &on_hosts(9), &on_hosts(1))));
}

#[test]
fn audit_says_what_would_have_been_refused_and_off_says_nothing() {
    let deny = Deny::From(Severity::Error);
    let by_setting = |mode| world(Settings { mode, ..denying(deny) }, &networks());
    let annotated =
        |mode: &str| changed(&with(Severity::Error), "/metadata/annotations", json!({"multihome.rook.io/mode": mode}));
    for (snapshot, cluster) in [
        (by_setting(Mode::Audit), with(Severity::Error)),
        (by_setting(Mode::Enforce), annotated("audit")),
        (by_setting(Mode::Off), annotated("audit")),
    ] {
        let judgement = created(&snapshot, &cluster);
        assert!(!judgement.is_refused() && judgement.refusal().is_none());
        let warnings = judgement.warnings();
        assert!(warnings.len() == 1, "{warnings:?}");
        let begin = "rook-multihome is in audit mode, and would have refused this: CephCluster rook-ceph/my-cluster, ";
        assert!(warnings[0].starts_with(begin), "{warnings:?}");
        let annotations = judgement.audit_annotations();
        assert_eq!(annotations, [("findings", "attachment-missing".to_owned()), ("mode", "audit".to_owned())]);
    }
    for (snapshot, cluster) in
        [(by_setting(Mode::Off), with(Severity::Error)), (by_setting(Mode::Enforce), annotated("off"))]
    {
        assert!(is_silent(&created(&snapshot, &cluster)));
    }
    assert!(created(&by_setting(Mode::Off), &annotated("enforce")).is_refused());
    assert!(created(&by_setting(Mode::Audit), &annotated("enforce")).is_refused());
}

#[test]
fn a_provider_comes_from_nothing_or_goes_to_nothing() {
    let snapshot = world(denying(Deny::From(Severity::Error)), &networks());
    let multus = sound();
    let provider = |provider: Value| changed(&ceph(json!({})), "/spec/network/provider", provider);
    let absent = ceph(json!({}));
    let none = changed(&absent, "/spec", json!({}));
    for (old, new, is_refused) in [
        (provider(json!("")), multus.clone(), false),
        (provider(Value::Null), multus.clone(), false),
        (absent.clone(), multus.clone(), false),
        (none.clone(), multus.clone(), false),
        (multus.clone(), provider(json!("")), false),
        (multus.clone(), provider(Value::Null), false),
        (multus.clone(), absent.clone(), false),
        (multus.clone(), none, false),
        (provider(json!("host")), absent, false),
        (provider(json!("host")), multus.clone(), true),
        (multus.clone(), provider(json!("host")), true),
    ] {
        let judgement = updated(&snapshot, &old, &new);
        let found = rules(&judgement).iter().any(|rule| rule == "!provider-change");
        assert_eq!(found, is_refused, "{old} {new} {:?}", rules(&judgement));
        assert_eq!(judgement.is_refused(), is_refused);
    }
    let refusal = updated(&snapshot, &provider(json!("host")), &multus).refusal().unwrap();
    let expected = "CephCluster rook-ceph/my-cluster, spec.network.provider: the provider is changed from host to multus directly, which Rook forbids; set it to \"\" first, wait until the daemons have restarted, and set it to multus then (provider-change)";
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn objects_that_have_no_name_yet_are_judged_too() {
    let snapshot = world(Settings::default(), &networks());
    for metadata in [json!({"generateName": "ceph-"}), json!({}), json!({"name": "", "namespace": ""})] {
        let judgement = created(&snapshot, &changed(&with(Severity::Error), "/metadata", metadata));
        assert_eq!(rules(&judgement), ["attachment-missing"]);
        let name = judgement.subject.unwrap().to_string();
        assert!(name == "CephCluster rook-ceph/ceph-" || name == "CephCluster rook-ceph/new", "{name}");
    }
}

#[test]
fn other_kinds_are_silent() {
    let snapshot = world(denying(Deny::From(Severity::Advice)), &networks());
    let cluster = with(Severity::Error);
    for (group, kind) in
        [("", "Pod"), ("apps", "Deployment"), ("ceph.rook.io", "CephObjectStore"), ("", ""), ("x", "CephCluster")]
    {
        let change = Change { group, kind, ..change(Operation::Create, &Value::Null, &cluster) };
        let judgement = judge(&snapshot, &change);
        assert!(is_silent(&judgement) && judgement.subject.is_none(), "{group} {kind}");
    }
}

#[test]
fn a_storage_network_is_judged_in_the_place_of_its_cluster() {
    let deny = denying(Deny::From(Severity::Warning));
    let objects = [networks().to_vec(), vec![sound(), storage_network("other", "my-cluster", "public")]].concat();
    let snapshot = world(deny.clone(), &objects);
    // Nobody reads what the cluster says, so nothing is said of it.
    assert!(is_silent(&updated(&snapshot, &sound(), &with(Severity::Error))));
    let judgement = created(&snapshot, &storage_network("second", "my-cluster", "public"));
    assert_eq!(rules(&judgement), ["!networks-conflict"], "what is created is younger than all that is there");

    let snapshot = world(deny, &[networks().to_vec(), vec![sound()]].concat());
    assert!(is_silent(&created(&snapshot, &storage_network("first", "my-cluster", "public"))));
    let judgement = created(&snapshot, &storage_network("first", "my-cluster", "nowhere"));
    assert_eq!(rules(&judgement), ["!attachment-missing"]);
    assert_eq!(judgement.subject.clone().unwrap().to_string(), "StorageNetwork rook-ceph/first");
    let judgement = created(&snapshot, &storage_network("first", "lost", "public"));
    assert_eq!(rules(&judgement), ["cluster-missing"]);
    let audited = changed(&storage_network("first", "lost", "public"), "/spec/mode", json!("audit"));
    let judgement = created(&snapshot, &audited);
    assert!(!judgement.is_refused() && judgement.warnings().len() == 1);
    assert!(is_silent(&deleted(&snapshot, &storage_network("first", "lost", "public"))));
}

/// It is done about its pods as its cluster says, where it says nothing itself (docs/decisions.md, modes).
#[test]
fn a_storage_network_has_the_mode_of_its_cluster() {
    let bad = storage_network("first", "my-cluster", "nowhere");
    for (of_cluster, own, refused) in
        [("audit", None, false), ("off", None, false), ("enforce", None, true), ("audit", Some("enforce"), true)]
    {
        let cluster = changed(&sound(), "/metadata/annotations", json!({"multihome.rook.io/mode": of_cluster}));
        let snapshot = world(denying(Deny::From(Severity::Error)), &[networks().to_vec(), vec![cluster]].concat());
        let bad = own.map_or_else(|| bad.clone(), |own| changed(&bad, "/spec/mode", json!(own)));
        let judgement = created(&snapshot, &bad);
        assert_eq!(judgement.is_refused(), refused, "{of_cluster} {own:?}");
        assert_eq!(is_silent(&judgement), of_cluster == "off", "{of_cluster} {own:?}");
    }
}

#[test]
fn a_cluster_of_edgefs_is_judged() {
    let snapshot = world(denying(Deny::From(Severity::Error)), &networks());
    let edgefs = |network: &str| {
        json!({
            "apiVersion": "edgefs.rook.io/v1", "kind": "Cluster",
            "metadata": {"name": "edge", "namespace": "rook-ceph"},
            "spec": {"network": {"provider": "multus", "selectors": {"server": network}}},
        })
    };
    let judgement = created(&snapshot, &edgefs("nowhere"));
    assert_eq!(rules(&judgement), ["!attachment-missing"]);
    assert_eq!(judgement.subject.clone().unwrap().to_string(), "Cluster rook-ceph/edge");
    assert!(!created(&snapshot, &edgefs("public")).is_refused());
    // Only Rook's definition of CephCluster has such a rule.
    let host = changed(&edgefs("public"), "/spec/network", json!({"provider": "host"}));
    assert!(!updated(&snapshot, &host, &edgefs("public")).is_refused());
}

#[test]
fn a_long_list_ends_in_a_count() {
    let role = |index: usize| json!({"nodeSelector": {"matchLabels": {"n": index.to_string()}}, "interfaces": {"public": format!("lost-{index}")}});
    let mut network = storage_network("many", "my-cluster", "nowhere");
    network["spec"]["nodeInterfaces"] = (0..14).map(role).collect();
    let snapshot = world(Settings::default(), &[sound()]);
    let warnings = created(&snapshot, &network).warnings();
    assert_eq!(warnings.len(), 13, "{warnings:#?}");
    assert_eq!(warnings[12], "rook-multihome: and 3 more findings; rook-multihome lint prints them all");
    let snapshot = world(denying(Deny::From(Severity::Error)), &[sound()]);
    let judgement = created(&snapshot, &network);
    assert!(judgement.refusal().unwrap().ends_with(". 3 more findings; rook-multihome lint prints them all"));
    assert!(judgement.warnings().is_empty());
}
