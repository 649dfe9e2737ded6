//! Statuses of small worlds.

use std::sync::{Arc, LazyLock};

mod bounds;
mod ready;

use super::*;
use crate::api::{InterfaceStatus, NodeStatus};
use crate::lint::lint;
use crate::storage::Catalogue;
use crate::world::manifests::{self, parse_documents};
use crate::world::{Entry, ObjectKind, Settings, World};

static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::built_in().unwrap()));

/// A cluster without networks of its own, one with, one by annotation in audit mode, one whose annotation is wrong,
/// and three networks, one of them broken.
const STORAGE: &str = "
{ apiVersion: cassandra.rook.io/v1alpha1, kind: Cluster, metadata: { name: db, namespace: s } }
---
{ apiVersion: cassandra.rook.io/v1alpha1, kind: Cluster, metadata: { name: audited, namespace: s, annotations: { multihome.rook.io/mode: audit } } }
---
{ apiVersion: ceph.rook.io/v1, kind: CephCluster, metadata: { name: ceph, namespace: s }, spec: { network: { provider: multus, selectors: { public: a } } } }
---
{ apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: { name: a, namespace: s } }
---
{ apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: { name: a, namespace: t } }
---
{ apiVersion: cassandra.rook.io/v1alpha1, kind: Cluster, metadata: { name: odd, namespace: s, annotations: { multihome.rook.io/mode: strict } } }
---
{ apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: { name: broken, namespace: s }, spec: { config: '{' } }
";

fn network(name: &str, spec: &str) -> String {
    // Their names are their ages.
    let created = format!("2026-01-01T00:00:0{}Z", name.len());
    format!(
        "---\n{{ apiVersion: multihome.rook.io/v1alpha1, kind: StorageNetwork, metadata: {{ name: {name}, namespace: s, generation: 3, creationTimestamp: '{created}' }}, spec: {{ {spec} }} }}\n"
    )
}

fn snapshot_with(networks: &[(&str, &str)], settings: Settings) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let networks: String = networks.iter().map(|(name, spec)| network(name, spec)).collect();
    let file = folder.path().join("world.yaml");
    std::fs::write(&file, format!("{STORAGE}{networks}")).unwrap();
    manifests::load(&[file], Arc::clone(&CATALOGUE), settings).unwrap().0.snapshot()
}

fn status_in(snapshot: &Snapshot, name: &str) -> StorageNetworkStatus {
    let all = statuses(snapshot, &lint(snapshot)).into_iter();
    all.map(|(network, status)| (&network.id.name, status)).find(|(known, _)| *known == name).unwrap().1
}

/// The status of the last of `networks`.
fn status(networks: &[(&str, &str)]) -> StorageNetworkStatus {
    status_in(&snapshot_with(networks, Settings::default()), networks.last().unwrap().0)
}

fn condition<'s>(status: &'s StorageNetworkStatus, kind: &str) -> &'s Condition {
    status.conditions.iter().find(|condition| condition.kind == kind).unwrap()
}

/// Status and reason of each condition, in order, but for what the checks find.
fn reasons(status: &StorageNetworkStatus) -> Vec<String> {
    let conditions = status.conditions.iter().filter(|condition| condition.kind != NETWORKS_SOUND);
    conditions.map(|condition| format!("{:?} {}", condition.status, condition.reason)).collect()
}

const DB: &str = "clusterRef: { group: cassandra.rook.io, kind: Cluster, name: db }";
const AUDITED: &str = "clusterRef: { group: cassandra.rook.io, kind: Cluster, name: audited }";
const CEPH: &str = "clusterRef: { group: ceph.rook.io, kind: CephCluster, name: ceph }";
const PODS: &str = "podSelector: { matchLabels: { app: db } }";

#[test]
fn each_condition_has_its_reason() {
    let spec = |target: &str, rest: &str| format!("{target}, {rest}");
    let good = "interfaces: { client: a }";
    let ready = ["True Accepted", "True Resolved", "False NoConflict", "True Ready"];
    for (spec, expected) in [
        (spec(DB, good), ready),
        (spec(PODS, good), ready),
        (spec("podSelector: {}", "provider: none"), ready),
        (spec(DB, "provider: host, interfaces: { client: absent }"), ready),
        (spec(PODS, "provider: genie, interfaces: { client: a@eth0 }"), ready),
        (
            spec(PODS, "provider: knitter, interfaces: { client: absent@eth0 }"),
            ["True Accepted", "True Resolved", "False NoConflict", "True Ready"],
        ),
        (
            spec(CEPH, "interfaces: { public: a }"),
            ["True Overrides", "True Resolved", "False NoConflict", "True Ready"],
        ),
        (
            spec(DB, "interfaces: { client: 'a@b@c' }"),
            ["False Invalid", "Unknown NotAccepted", "False NoConflict", "False Invalid"],
        ),
        (
            spec("clusterRef: { group: g, kind: K, name: k }", good),
            ["False Invalid", "False ClusterNotFound", "False NoConflict", "False Invalid"],
        ),
        (
            spec("clusterRef: { group: cassandra.rook.io, kind: Cluster, name: none }", good),
            ["True Accepted", "False ClusterNotFound", "False NoConflict", "False ClusterNotFound"],
        ),
        (
            spec(DB, "interfaces: { client: a, replication: absent }"),
            ["True Accepted", "False AttachmentsMissing", "False NoConflict", "False AttachmentsMissing"],
        ),
        (
            spec(DB, "interfaces: { client: a }, defaultNetwork: absent"),
            ["True Accepted", "False AttachmentsMissing", "False NoConflict", "False AttachmentsMissing"],
        ),
        (
            spec(DB, "provider: host, roles: [{ name: member, provider: multus }], interfaces: { client: broken }"),
            ["True Accepted", "False AttachmentMalformed", "False NoConflict", "False AttachmentMalformed"],
        ),
        (
            spec(DB, "mode: audit, interfaces: { client: a }"),
            ["True Accepted", "True Resolved", "False NoConflict", "False ModeAudit"],
        ),
        (
            spec(PODS, "mode: 'off', interfaces: { client: a }"),
            ["True Accepted", "True Resolved", "False NoConflict", "False ModeOff"],
        ),
        (spec(AUDITED, good), ["True Accepted", "True Resolved", "False NoConflict", "False ModeAudit"]),
        (spec(AUDITED, "mode: enforce, interfaces: { client: a }"), ready),
        (
            spec("provider: none", "mode: enforce"),
            ["False Invalid", "Unknown NotAccepted", "False NoConflict", "False Invalid"],
        ),
    ] {
        assert_eq!(reasons(&status(&[("x", &spec)])), expected, "{spec}");
    }
}

#[test]
fn the_message_names_the_mend() {
    let message = |spec: &str, kind: &str| condition(&status(&[("x", spec)]), kind).message.clone();
    assert_eq!(
        message(&format!("{DB}, interfaces: {{ client: 'a@b@c', other: a }}"), ACCEPTED),
        "spec.interfaces.client: the selector \"a@b@c\" is invalid: it is \"a@b@c\", which has more than one @; write [namespace/]name[@interface], such as s/my-network, or the JSON of one selection. spec.interfaces.other: cassandra has no key other, and no role here asks for it; write one of client, replication, or name the key in the interfaces of a role. Until then the pods that are meant are left alone"
    );
    assert_eq!(
        message(&format!("{CEPH}, interfaces: {{ public: a }}"), ACCEPTED),
        "spec.network of CephCluster s/ceph declares networks too, and rook-multihome does not follow it; the operator of CephCluster s/ceph may still do so. Keep one of the two: remove spec.network there, or delete this StorageNetwork"
    );
    assert_eq!(
        message(
            &format!(
                "{DB}, interfaces: {{ client: gone, replication: broken }}, nodeInterfaces: [{{ nodeSelector: {{}}, interfaces: {{ client: t/gone }} }}]"
            ),
            RESOLVED_REFS
        ),
        "attachment definitions that do not exist: s/gone, t/gone; create them, or mend the spec. And attachment definitions that Multus could not load: s/broken: spec.config is not a JSON object: EOF while parsing an object at line 1 column 1; mend them"
    );
    assert_eq!(
        message(&format!("{AUDITED}, interfaces: {{ client: a }}"), READY),
        "the mode is audit by the annotation multihome.rook.io/mode of Cluster s/audited, so what would be done to pods is said, and nothing is done; set spec.mode to enforce to have it done"
    );
    let long = format!(
        "{DB}, interfaces: {{ {} }}",
        (0..60).map(|key| format!("'ü{key}': ''")).collect::<Vec<_>>().join(", ")
    );
    let message = message(&long, ACCEPTED);
    assert!(message.len() <= size::MESSAGE_BYTES + 4 && message.ends_with(" ..."), "{}", message.len());
}

#[test]
fn the_older_one_counts() {
    let db = format!("{DB}, interfaces: {{ client: a }}");
    let expected = ["False Conflicted", "True Resolved", "True SameCluster", "False Conflicted"];
    assert_eq!(reasons(&status(&[("x", &db), ("xx", &db)])), expected);
    let younger = status(&[("x", &db), ("xx", &db)]);
    assert_eq!(
        condition(&younger, CONFLICTED).message,
        "StorageNetwork s/x is about the same cluster and is older, so it counts; delete one of the two"
    );
    assert_eq!(reasons(&status(&[("xx", &db), ("x", &db)]))[3], "True Ready", "nothing changes for the older one");
    // An invalid one counts too, and has the pods left alone.
    let invalid = format!("{DB}, interfaces: {{ client: '@' }}");
    assert_eq!(reasons(&status(&[("x", &invalid), ("xx", &db)])), expected);
    assert_eq!(reasons(&status(&[("x", &format!("{AUDITED}, provider: none")), ("xx", &db)]))[3], "True Ready");
}

#[test]
fn selectors_conflict_where_they_surely_overlap() {
    let conflict = |older: &str, younger: &str| {
        let status = status(&[("x", older), ("xx", younger)]);
        (condition(&status, CONFLICTED).reason.clone(), condition(&status, READY).reason.clone())
    };
    let reasons = |conflicted: &str, ready: &str| (conflicted.to_owned(), ready.to_owned());
    let none = reasons("NoConflict", "Ready");
    let multus = format!("{PODS}, interfaces: {{ client: a }}");
    let host = |target: &str| format!("{target}, provider: host");
    assert_eq!(conflict(&multus, &multus), none);
    assert_eq!(conflict(&host(PODS), &multus), reasons("OtherProvider", "Conflicted"));
    assert_eq!(conflict(&host("podSelector: {}"), &multus), reasons("OtherProvider", "Conflicted"));
    assert_eq!(conflict(&host("podSelector: { matchLabels: { app: web } }"), &multus), none);
    assert_eq!(conflict(&format!("{}, mode: 'off'", host(PODS)), &multus), none, "it does nothing");
    let default = |network: &str| format!("{PODS}, defaultNetwork: {network}");
    assert_eq!(conflict(&default("a"), &default("a")), none);
    assert_eq!(conflict(&default("broken"), &default("a")), reasons("OtherDefaultNetwork", "Conflicted"));
    assert_eq!(conflict(&multus, &default("a")), none);
    let invalid = format!("{PODS}, interfaces: {{ client: '@' }}");
    assert_eq!(conflict(&invalid, &multus), reasons("OtherInvalid", "Conflicted"));
    // Whatever its age: it is not passed over.
    let status = status(&[("xx", &invalid), ("x", &multus)]);
    assert_eq!(condition(&status, CONFLICTED).reason, "OtherInvalid");
}

#[test]
fn columns_and_interfaces() {
    let spec = format!(
        "{DB}, interfaces: {{ client: a, replication: t/gone@repl0 }}, defaultNetwork: broken, nodeInterfaces: [{{ nodeSelector: {{ matchLabels: {{ rack: r1 }} }}, interfaces: {{ replication: a }} }}]"
    );
    let found = status(&[("x", &spec)]);
    let texts = [&found.system, &found.cluster, &found.pods, &found.provider, &found.networks].map(Option::as_deref);
    let line = "client=s/a, replication=t/gone@repl0, default=s/broken";
    assert_eq!(texts, [Some("cassandra"), Some("Cluster/db"), None, Some("multus"), Some(line)]);
    assert_eq!(found.observed_generation, Some(3));
    let interface = |key: &str, network: &str, interface: Option<&str>, state| InterfaceStatus {
        key: key.to_owned(),
        network: network.to_owned(),
        interface: interface.map(str::to_owned),
        state,
    };
    assert_eq!(
        found.interfaces,
        [
            interface("client", "s/a", None, InterfaceState::Found),
            interface("replication", "t/gone", Some("repl0"), InterfaceState::Missing),
            interface("defaultNetwork", "s/broken", None, InterfaceState::Malformed),
        ]
    );
    let on_rack = vec![interface("replication", "s/a", None, InterfaceState::Found)];
    assert_eq!(found.nodes, [NodeStatus { nodes: "rack=r1".to_owned(), interfaces: on_rack }]);

    let only_on_nodes = "podSelector: {}, nodeInterfaces: [{ nodeSelector: {}, interfaces: { data: a } }]";
    let found = status(&[("x", only_on_nodes)]);
    let texts = [&found.system, &found.cluster, &found.pods, &found.networks].map(Option::as_deref);
    assert_eq!(texts, [Some("custom"), None, Some("all"), Some("data=by node")]);
    assert_eq!(found.nodes[0].nodes, "all");
    assert_eq!(status(&[("x", &format!("{PODS}, provider: host, interfaces: {{ data: a }}"))]).networks, None);
    let elsewhere = status(&[("x", &format!("{PODS}, provider: knitter, interfaces: {{ data: a }}"))]);
    assert_eq!(elsewhere.interfaces[0].state, InterfaceState::Unknown);
    let invalid = status(&[("x", &format!("{PODS}, interfaces: {{ client: '@' }}"))]);
    assert_eq!((invalid.pods.as_deref(), invalid.provider, invalid.interfaces.len()), (Some("app=db"), None, 0));
}

#[test]
fn settings_count() {
    let db = format!("{DB}, interfaces: {{ client: a }}");
    let pods = format!("{PODS}, interfaces: {{ client: a }}");
    let reason = |settings: Settings, spec: &str| {
        condition(&status_in(&snapshot_with(&[("x", spec)], settings), "x"), READY).reason.clone()
    };
    let enforced = Settings { enforce_host_network: true, ..Settings::default() };
    assert_eq!(reason(enforced.clone(), &db), "HostNetworkEnforced");
    assert_eq!(reason(enforced, &pods), "Ready", "it is about clusters");
    let audit = Settings { mode: Mode::Audit, ..Settings::default() };
    assert_eq!(reason(audit.clone(), &pods), "ModeAudit");
    assert_eq!(reason(audit, &format!("{pods}, mode: enforce")), "Ready");
    let clash = format!("{DB}, interfaces: {{ client: a@eth0 }}");
    let enforced = Settings { enforce_host_network: true, ..Settings::default() };
    assert_eq!(reason(enforced, &clash), "HostNetworkEnforced", "nothing is to be attached");
}

#[test]
fn what_is_not_listed_yet_is_not_called_missing() {
    let catalogue = Arc::new(Catalogue::built_in().unwrap());
    let mut world = World::new(Arc::clone(&catalogue), Settings::default());
    let insert = |world: &mut World, name: &str, spec: &str| {
        for document in parse_documents(&network(name, spec)).unwrap() {
            let (id, entry) = Entry::read(&ObjectKind::StorageNetwork, &document, &catalogue).unwrap();
            world.insert(&ObjectKind::StorageNetwork, &id, entry);
        }
    };
    insert(&mut world, "x", &format!("{DB}, interfaces: {{ client: a }}"));
    insert(&mut world, "xx", &format!("{PODS}, interfaces: {{ client: a }}"));
    let snapshot = world.snapshot();
    for (name, reason) in [("x", "Unknown ClustersNotListed"), ("xx", "Unknown AttachmentsNotListed")] {
        let status = status_in(&snapshot, name);
        assert_eq!(reasons(&status), ["True Accepted", reason, "False NoConflict", reason]);
        assert!(is_provisional(&status) && readiness(&status) == ConditionStatus::Unknown);
    }
    for kind in ObjectKind::always(&catalogue).into_iter().filter(|kind| *kind != ObjectKind::StorageNetwork) {
        world.replace_all(&kind, []);
    }
    let snapshot = world.snapshot();
    for (name, reason) in [("x", "False ClusterNotFound"), ("xx", "False AttachmentsMissing")] {
        let status = status_in(&snapshot, name);
        assert_eq!(reasons(&status)[1], reason);
        assert!(!is_provisional(&status) && readiness(&status) == ConditionStatus::False);
    }
}

#[test]
fn what_the_checks_find_is_a_condition() {
    let config = |config: &str| {
        format!(
            "{{ apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {{ namespace: s, name: net }}, spec: {{ config: '{config}' }} }}"
        )
    };
    let ipam = r#""ipam": {"type": "whereabouts", "range": "10.9.0.0/24"}"#;
    for (definition, expected) in [
        (format!(r#"{{"type": "macvlan", "master": "eth1", {ipam}}}"#), ("True", "NothingFound", "nothing wrong")),
        (
            format!(r#"{{"type": "macvlan", {ipam}}}"#),
            (
                "False",
                "MasterDefault",
                "warning: NetworkAttachmentDefinition s/net, spec.config: macvlan has no master",
            ),
        ),
        (
            r#"{"type": "macvlan", "master": "eth1", "ipam": {"type": "dhcp"}}"#.to_owned(),
            ("True", "OnlyAdvice", "advice: "),
        ),
        // The worst comes first, and what other conditions say is not said again.
        (r#"{"type": "macvlan"}"#.to_owned(), ("False", "NoAddresses", "error: ")),
        (r#"{"type": }"#.to_owned(), ("True", "NothingFound", "nothing wrong")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("world.yaml");
        let network = network("x", &format!("{DB}, interfaces: {{ client: net }}"));
        std::fs::write(&file, format!("{STORAGE}---\n{}\n{network}", config(&definition))).unwrap();
        let (world, _) = manifests::load(&[file], Arc::clone(&CATALOGUE), Settings::default()).unwrap();
        let snapshot = world.snapshot();
        let status = status_in(&snapshot, "x");
        let found = condition(&status, NETWORKS_SOUND);
        let (state, reason, part) = expected;
        assert_eq!((format!("{:?}", found.status).as_str(), found.reason.as_str()), (state, reason), "{definition}");
        assert!(found.message.contains(part), "{}", found.message);
    }
}

#[test]
fn only_a_change_of_the_status_is_a_transition() {
    let times = |status: &StorageNetworkStatus| {
        let times = status.conditions.iter().map(|condition| condition.last_transition_time.clone());
        times.collect::<Vec<_>>()
    };
    let missing = status(&[("x", &format!("{DB}, interfaces: {{ client: gone }}"))]);
    let first = dated(missing, None, "1");
    assert_eq!(times(&first), ["1"; 5]);
    let malformed = status(&[("x", &format!("{DB}, interfaces: {{ client: broken }}"))]);
    let second = dated(malformed, Some(&first), "2");
    assert_eq!(times(&second), ["1"; 5], "another reason is no transition");
    let good = status(&[("x", &format!("{DB}, interfaces: {{ client: a }}"))]);
    assert_eq!(times(&dated(good, Some(&second), "3")), ["1", "3", "1", "1", "3"]);
}
