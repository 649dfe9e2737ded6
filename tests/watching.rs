//! The watches, against an API server that misbehaves: what was known is kept, and what is not known is not called ready.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::fake_api::{CEPH_CLUSTERS, FakeApi, Mood};
use support::fixtures::named;
use support::server::{Running, wait_for};

fn networks(server: &Running) -> Value {
    let answer = server.client().review(&named("osd-multus").compact_review());
    answer["response"]["auditAnnotations"]["networks"].clone()
}

const BOTH: &str = "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net";

#[test]
fn what_was_known_is_kept_while_the_api_server_fails() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::with_ceph(Mood::Fine);
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    assert_eq!(networks(&server), BOTH);
    for (mood, sign) in [
        (Mood::Forbidden, "synced; "),
        (Mood::Gone, "synced; "),
        // An API server that has just started does not know custom resources for a moment.
        (Mood::NotFound, "the API is not installed"),
    ] {
        api.turn(mood);
        let line = format!("[+] watch cephclusters.ceph.rook.io: {sign}");
        wait_for(sign, || server.admin("/readyz?verbose").1.contains(&line));
        assert_eq!(networks(&server), BOTH);
        assert_eq!(server.admin("/readyz").0, 200);
    }
    assert!(server.metric(r#"rook_multihome_watch_failures_total{resource="cephclusters.ceph.rook.io"}"#) > 0.5);
    api.turn(Mood::Fine);
    wait_for("the watch to recover", || {
        server.admin("/readyz?verbose").1.contains("[+] watch cephclusters.ceph.rook.io: synced\n")
    });
    assert_eq!(networks(&server), BOTH);
}

#[test]
fn what_was_never_known_is_not_called_ready() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::with_ceph(Mood::NotFound);
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    let verbose = server.admin("/readyz?verbose").1;
    assert!(verbose.contains("[+] watch cephclusters.ceph.rook.io: the API is not installed"), "{verbose}");
    api.turn(Mood::Forbidden);
    wait_for("readiness to end", || {
        let (code, reasons) = server.admin("/readyz");
        code == 503 && reasons.contains("[-] watch cephclusters.ceph.rook.io: not listed yet; ")
    });
    api.turn(Mood::Fine);
    server.wait_until_ready();
    assert_eq!(networks(&server), BOTH);
}

#[test]
fn a_cluster_changes_its_mode_by_annotation() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::with_ceph(Mood::Fine);
    let annotate = |annotations: Value| api.annotate(CEPH_CLUSTERS, "my-cluster", &annotations);
    let foreign = "kubectl.kubernetes.io/last-applied-configuration";
    annotate(json!({"multihome.rook.io/mode": "audit", foreign: "{}"}));
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    let response = || server.client().review(&named("osd-multus").compact_review())["response"].clone();
    assert_eq!(response()["auditAnnotations"]["mode"], "audit", "the list says so");
    assert!(response().get("patch").is_none());
    wait_for("the watch", || api.is_watched(CEPH_CLUSTERS));
    annotate(json!({"multihome.rook.io/mode": "off"}));
    wait_for("the event", || response()["auditAnnotations"]["reason"] == "mode-off");
    annotate(json!({foreign: "{}"}));
    wait_for("the next event", || response().get("patch").is_some());
    assert!(server.metric(r#"rook_multihome_reviews_total{mode="audit",outcome="attached"}"#) > 1.5);
}

/// Resources that keep unknown fields can hold anything, and whoever may write one must not take the others away.
#[test]
fn an_object_that_is_out_of_the_ordinary_holds_up_no_other() {
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::with_ceph(Mood::Fine);
    let deep = |namespace: &str, levels: usize| {
        let network = json!({"provider": "multus", "selectors": {"public": "net"}});
        let metadata = json!({"namespace": namespace, "name": "deep", "labels": {"x": nested(levels)}});
        json!({"metadata": metadata, "spec": {"network": network, "placement": nested(levels)}})
    };
    api.put(CEPH_CLUSTERS, deep("deep", 150));
    let odd = json!({"namespace": "odd", "name": "odd", "annotations": {"multihome.rook.io/mode": {"x": 1}}, "generation": "x"});
    api.put(CEPH_CLUSTERS, json!({"metadata": odd, "spec": 7}));
    api.put(NAMESPACES, json!({"metadata": {"name": "odd", "labels": {"x": 1}, "annotations": [1]}}));
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    assert_eq!(networks(&server), BOTH);
    let valid = r#"rook_multihome_clusters{system="ceph",spec="valid"}"#;
    let malformed = r#"rook_multihome_watch_malformed_objects_total{resource="cephclusters.ceph.rook.io"}"#;
    assert!((server.metric(valid) - 2.0).abs() < 0.1, "what is not read of it does not matter");
    assert!((server.metric(malformed) - 1.0).abs() < 0.1, "and what is read is said");
    let said = server.log_so_far().into_iter().filter(|line| line["name"] == "odd/odd").collect::<Vec<_>>();
    assert!(said[0]["problem"].as_str().unwrap().contains("multihome.rook.io/mode"), "{said:#?}");

    wait_for("the watch", || api.is_watched(CEPH_CLUSTERS));
    let mut later = deep("deep", 1000);
    later["metadata"]["name"] = "later".into();
    api.put(CEPH_CLUSTERS, later);
    wait_for("the event", || server.metric(valid) > 2.5);
    assert!(server.metric(r#"rook_multihome_watch_failures_total{resource="cephclusters.ceph.rook.io"}"#) < 0.5);
}

const CASSANDRAS: &str = "/apis/cassandra.rook.io/v1alpha1/clusters";
const STATEFUL_SETS: &str = "/apis/apps/v1/namespaces/rook-cassandra/statefulsets";
const STORAGE_NETWORKS: &str = "/apis/multihome.rook.io/v1alpha1/storagenetworks";
const NODES: &str = "/api/v1/nodes";
const NAMESPACES: &str = "/api/v1/namespaces";
const GROUPS: [&str; 4] = ["apps/v1", "batch/v1", "cassandra.rook.io/v1alpha1", "multihome.rook.io/v1alpha1"];

fn cassandra() -> Value {
    json!({"metadata": {"namespace": "rook-cassandra", "name": "rook-cassandra", "uid": "c"}, "spec": {}})
}

fn stateful_set(owner: &str) -> Value {
    let owner =
        json!({"apiVersion": "cassandra.rook.io/v1alpha1", "kind": "Cluster", "name": "rook-cassandra", "uid": owner});
    json!({
        "metadata": {"namespace": "rook-cassandra", "name": "rack", "uid": "s", "ownerReferences": [owner]},
        "spec": {"replicas": 3},
    })
}

/// What is said about a watch; empty where there is none.
fn check(server: &Running, watch: &str) -> String {
    let (_, text) = server.admin("/readyz?verbose");
    text.lines().find(|line| line.contains(&format!(" watch {watch}: "))).unwrap_or_default().to_owned()
}

const WORKLOADS: &str = "statefulsets.apps in rook-cassandra";
const WORKLOADS_SYNCED: &str = "[+] watch statefulsets.apps in rook-cassandra: synced";

#[test]
fn workloads_and_nodes_are_watched_while_they_are_needed_and_by_their_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::empty(Mood::Fine, &GROUPS);
    api.put(STATEFUL_SETS, stateful_set("c"));
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    wait_for("the watches", || api.is_watched(CASSANDRAS) && api.is_watched(STORAGE_NETWORKS));
    assert!(api.asked_for(STATEFUL_SETS).is_empty() && api.asked_for(NODES).is_empty());
    assert_eq!(check(&server, WORKLOADS), "");

    for round in 1..=2 {
        api.put(CASSANDRAS, cassandra());
        wait_for("the workloads", || check(&server, WORKLOADS) == WORKLOADS_SYNCED);
        let series = r#"rook_multihome_watch_state{resource="statefulsets.apps",watched_namespace="rook-cassandra",state="synced"}"#;
        assert!(server.metric(series) > 0.5);
        wait_for("the watch", || api.asked_for(STATEFUL_SETS).iter().filter(|asked| asked.is_watch).count() == round);
        // Whatever else is said about the cluster, it is watched once.
        api.annotate(CASSANDRAS, "rook-cassandra", &json!({"other": "x"}));
        api.delete(CASSANDRAS, "rook-cassandra");
        wait_for("the end", || check(&server, WORKLOADS).is_empty());
        assert!(!server.admin("/metrics").1.contains("statefulsets"), "the series ends with the watch");
    }
    let is_watch: Vec<bool> = api.asked_for(STATEFUL_SETS).iter().map(|asked| asked.is_watch).collect();
    assert_eq!(is_watch, [false, true, false, true]);

    let spec = json!({
        "clusterRef": {"group": "cassandra.rook.io", "kind": "Cluster", "name": "rook-cassandra"},
        "nodeInterfaces": [{"nodeSelector": {"matchLabels": {"rack": "1"}}, "interfaces": {"client": "storage/net"}}],
    });
    let metadata = json!({
        "namespace": "rook-cassandra", "name": "n", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z",
    });
    api.put(STORAGE_NETWORKS, json!({"metadata": metadata, "spec": spec}));
    wait_for("the nodes", || check(&server, "nodes") == "[+] watch nodes: synced");
    wait_for("the watch", || api.is_watched(NODES));
    api.delete(STORAGE_NETWORKS, "n");
    wait_for("the end", || check(&server, "nodes").is_empty());

    let whole = ["application/json", ""];
    for asked in api.asked() {
        let is_partial = asked.accept.starts_with("application/json;as=partialobjectmetadata");
        let is_metadata = [STATEFUL_SETS, NODES, NAMESPACES].contains(&asked.path.as_str());
        assert!(is_partial == is_metadata && (is_partial || whole.contains(&asked.accept.as_str())), "{asked:?}");
    }
    assert!(api.asked_for(NAMESPACES).iter().any(|asked| asked.is_watch));
    assert_eq!(server.admin("/readyz").0, 200);
}

#[test]
fn a_replica_is_ready_when_it_knows_the_workloads_too_and_says_what_to_allow() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::empty(Mood::Fine, &GROUPS);
    api.put(CASSANDRAS, cassandra());
    api.refuse("statefulsets");
    let server = api.start_server(folder.path());
    wait_for("all else", || {
        let (code, reasons) = server.admin("/readyz");
        assert_eq!(code, 503, "it was ready without the workloads");
        reasons.lines().filter(|line| line.contains("watch ")).count() == 1
    });
    let said = check(&server, WORKLOADS);
    assert!(said.starts_with("[-] watch statefulsets.apps in rook-cassandra: not listed yet; "), "{said}");
    let advice = "give this service account the verbs list and watch on statefulsets.apps in rook-cassandra";
    assert!(said.ends_with(advice), "{said}");
    wait_for("another refusal", || api.asked_for(STATEFUL_SETS).len() > 2);
    api.allow("statefulsets");
    server.wait_until_ready();
    assert_eq!(check(&server, WORKLOADS), WORKLOADS_SYNCED);
    let complaints: Vec<Value> = server.log_so_far().into_iter().filter(|line| line["level"] == "WARN").collect();
    assert!(complaints.len() == 1 && complaints[0]["resource"] == WORKLOADS, "{complaints:#?}");
    assert!(
        complaints[0]["error"].as_str().unwrap().ends_with(advice),
        "it is said once, and in full: {complaints:#?}"
    );
}

/// Whoever may make a cluster must not be able to keep replicas from ever being ready.
#[test]
fn what_objects_ask_for_and_is_refused_for_good_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::empty(Mood::Fine, &GROUPS);
    api.put(CASSANDRAS, cassandra());
    api.refuse("statefulsets");
    let server = api.start_server(folder.path());
    wait_for("the workloads to be refused", || !api.asked_for(STATEFUL_SETS).is_empty());
    assert_eq!(server.admin("/readyz").0, 503);
    server.wait_until_ready();
    let said = check(&server, WORKLOADS);
    assert!(
        said.starts_with("[+] watch statefulsets.apps in rook-cassandra: not listed yet, and not waited for; "),
        "{said}"
    );
    api.allow("statefulsets");
    wait_for("the workloads", || check(&server, WORKLOADS) == WORKLOADS_SYNCED);
}

#[test]
fn what_is_needed_later_does_not_end_readiness() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::empty(Mood::Fine, &GROUPS);
    api.refuse("statefulsets");
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    wait_for("the watch", || api.is_watched(CASSANDRAS));
    api.put(CASSANDRAS, cassandra());
    let late = "[+] watch statefulsets.apps in rook-cassandra: not listed yet, and not waited for; ";
    wait_for("the workloads to be refused", || {
        assert_eq!(server.admin("/readyz").0, 200);
        check(&server, WORKLOADS).starts_with(late)
    });
    assert!(server.metric(r#"rook_multihome_watch_state{resource="statefulsets.apps",state="listing"}"#) > 0.5);
    api.allow("statefulsets");
    wait_for("the workloads", || {
        assert_eq!(server.admin("/readyz").0, 200);
        check(&server, WORKLOADS) == WORKLOADS_SYNCED
    });
}

#[test]
fn apis_that_are_not_installed_cost_one_question_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::empty(Mood::Fine, &["apps/v1", "batch/v1"]);
    // As without the right to it: whether there is such a resource is found out without.
    api.refuse("clusters");
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    let until_ready = api.asked_for("/apis").len();
    std::thread::sleep(Duration::from_secs(12));
    let apis = api.asked_for("/apis");
    let others: Vec<_> = api.asked().into_iter().filter(|asked| asked.path != "/apis").collect();
    eprintln!("{until_ready} questions until it was ready, {} in all, {} other requests", apis.len(), others.len());
    assert!(until_ready <= 5 && apis.len() - until_ready <= 2, "{apis:#?}");
    assert!(others.iter().all(|asked| asked.path == NAMESPACES), "{others:#?}");
    assert!(others.len() <= 2, "{others:#?}");
    let pauses: Vec<Duration> = apis.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    // Each is twice the one before; what the machine adds to it is no matter.
    let least = [500, 1000, 2000, 4000, 8000].map(|millis| Duration::from_millis(millis) * 9 / 10);
    assert!(pauses.iter().zip(least).all(|(pause, least)| *pause >= least), "they grow: {pauses:?}");

    let installed = std::time::Instant::now();
    api.put(CASSANDRAS, cassandra());
    api.allow("clusters");
    api.install("cassandra.rook.io/v1alpha1");
    wait_for("what was installed", || check(&server, WORKLOADS) == WORKLOADS_SYNCED);
    assert_eq!(check(&server, "clusters.cassandra.rook.io"), "[+] watch clusters.cassandra.rook.io: synced");
    let asked = api.asked_for(CASSANDRAS)[0].at;
    let questions = api.asked_for("/apis").iter().filter(|apis| (installed..asked).contains(&apis.at)).count();
    // The first after which it could be; the next comes half a second later, and may on a slow machine be in between.
    assert!((1..=2).contains(&questions), "it was asked for at once: {questions}");
    assert_eq!(server.admin("/readyz").0, 200);
}

#[test]
fn without_an_answer_about_apis_each_resource_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::with_ceph(Mood::Fine);
    api.refuse("apis");
    api.refuse("clusters");
    let server = api.start_server(folder.path());
    wait_for("all that may be asked for", || {
        let (code, reasons) = server.admin("/readyz");
        assert_eq!(code, 503);
        reasons.lines().filter(|line| line.contains("watch ")).all(|line| line.contains("watch clusters."))
    });
    let said = check(&server, "clusters.cassandra.rook.io");
    assert!(
        said.ends_with("give this service account the verbs list and watch on clusters.cassandra.rook.io"),
        "{said}"
    );
    assert_eq!(networks(&server), BOTH);
    // What nobody may ask for is found not to be there as soon as that can be asked.
    api.allow("apis");
    server.wait_until_ready();
}

/// Statuses are for people: where they cannot be written, that is said, and costs next to nothing.
#[test]
fn a_namespace_that_does_not_exist_for_the_lease_is_said_and_not_hammered() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::empty(Mood::Fine, &GROUPS);
    let spec = json!({"podSelector": {}, "interfaces": {"data": "net"}});
    api.put(STORAGE_NETWORKS, json!({"metadata": {"namespace": "n", "name": "n", "generation": 1}, "spec": spec}));
    let server = api.start_server(folder.path());
    server.wait_until_ready();
    let leases = || api.asked().into_iter().filter(|asked| asked.path.contains("/leases")).count();
    wait_for("the lease to be asked for", || leases() > 1);
    std::thread::sleep(Duration::from_secs(4));
    assert!(leases() < 8, "{} requests", leases());
    let log = server.log_so_far();
    let said: Vec<&Value> = log.iter().filter(|line| !line["fault"].is_null()).collect();
    assert_eq!(said.len(), 1, "{log:#?}");
    assert!(said[0]["fault"].as_str().unwrap().contains("there is no namespace "), "{said:#?}");
}
