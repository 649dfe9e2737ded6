//! Statuses of StorageNetworks on a real API server: what they say, who writes them, and that nothing is written twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::control_plane::{CASSANDRA_DEFINITION, ControlPlane, in_own_network, say};
use support::program;
use support::server::Running;

const RELEASE: &str = "rook-multihome";
const LEASE: &str = "rook-multihome-status";
/// The Lease and the service account of the replicas, with no more rights than it takes; the chart is not looked at here.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: rook-multihome, namespace: rook-multihome }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: watches }
rules:
  - { apiGroups: ['*'], resources: ['*'], verbs: [list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: statuses }
rules:
  - { apiGroups: [multihome.rook.io], resources: [storagenetworks], verbs: [get] }
  - { apiGroups: [multihome.rook.io], resources: [storagenetworks/status], verbs: [patch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: lease, namespace: rook-multihome }
rules:
  - { apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [rook-multihome-status], verbs: [get, update] }
  - { apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create] }
";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:rook-multihome:rook-multihome";
const HELD: &str = "rook_multihome_status_lease_held";

#[test]
fn statuses_say_what_is_so() {
    in_own_network("statuses_say_what_is_so", || {
        let plane = ControlPlane::with_storage();
        for namespace in [RELEASE, "rook-cassandra"] {
            plane.namespace(namespace);
        }
        plane.apply(CASSANDRA_DEFINITION);
        plane.wait_for("the definition of Cassandra", |plane| plane.has_api("cassandra.rook.io/v1alpha1"));
        for name in ["one", "two"] {
            plane.wait_for("a cluster", |plane| {
                let cluster = json!({"apiVersion": "cassandra.rook.io/v1alpha1", "kind": "Cluster", "metadata": {"name": name, "namespace": "rook-cassandra"}});
                plane.try_kubectl(&["apply", "-f", "-"], &cluster.to_string()).is_ok()
            });
        }
        attachment(&plane, "client-net");
        plane.apply(RIGHTS);
        for binding in ["watches", "statuses"] {
            bind(&plane, binding);
        }
        let account = format!("--serviceaccount={RELEASE}:rook-multihome");
        plane.kubectl(&["create", "rolebinding", "lease", "-n", RELEASE, "--role=lease", &account]);
        plane.wait_for("the rights to count", |plane| {
            let lease = ["update", "leases.coordination.k8s.io/rook-multihome-status", "-n", RELEASE];
            plane.may(SERVICE_ACCOUNT, &["watch", "namespaces"]) && plane.may(SERVICE_ACCOUNT, &lease)
        });
        let mut replicas = vec![start(&plane, "a"), start(&plane, "b")];
        without_storage_networks_nothing_is_asked(&plane, &replicas);
        plane.apply_file("charts/rook-multihome/files/storagenetwork-crd-without-cel.yaml");
        plane.wait_for("the definition of StorageNetwork", |plane| plane.has_api("multihome.rook.io/v1alpha1"));
        each_says_what_is_so(&plane);
        one_writes(&plane, &replicas);
        nothing_is_written_twice(&plane, &replicas);
        what_changes_is_said(&plane);
        kubectl_shows_it(&plane);
        assert!(
            plane
                .requests_of(SERVICE_ACCOUNT)
                .iter()
                .all(|event| event["annotations"]["authorization.k8s.io/decision"] == "allow"),
            "the rights are enough"
        );
        what_is_forbidden_is_tried_again(&plane, &replicas);
        another_takes_over(&plane, &mut replicas);
        one_that_leaves_gives_the_lease_back(&plane, &mut replicas);
    });
}

fn start(plane: &ControlPlane, name: &str) -> Running {
    let certs = plane.path("certs");
    if !certs.exists() {
        support::stdout(program().args(["certs", "make", "--name", "localhost", "--cert-dir"]).arg(&certs));
    }
    let token = plane.kubectl(&["create", "token", "rook-multihome", "--namespace", RELEASE]);
    let mut command = program();
    command.arg("serve").env("KUBECONFIG", plane.kubeconfig("replica.kubeconfig", token.trim())).env("HOSTNAME", name);
    // One that leaves has as long for giving the lease back.
    command.env("ROOK_MULTIHOME_DRAIN_DELAY", "3");
    let replica = Running::start_command(command, &certs);
    replica.wait_until_ready();
    replica
}

/// Whether the replicas may write statuses, as the API server sees it.
fn may_write(plane: &ControlPlane) -> bool {
    let right = ["patch", "storagenetworks.multihome.rook.io", "--subresource=status", "-n", "rook-cassandra"];
    plane.may(SERVICE_ACCOUNT, &right)
}

fn bind(plane: &ControlPlane, role: &str) {
    let (role_flag, account) = (format!("--clusterrole={role}"), format!("--serviceaccount={RELEASE}:rook-multihome"));
    plane.kubectl(&["create", "clusterrolebinding", role, &role_flag, &account]);
}

fn attachment(plane: &ControlPlane, name: &str) {
    plane.apply(&format!("apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {{ name: {name}, namespace: rook-cassandra }}"));
}

fn declare(plane: &ControlPlane, namespace: &str, name: &str, spec: &Value) {
    let object = json!({"apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork", "metadata": {"name": name, "namespace": namespace}, "spec": spec});
    plane.wait_for("the API", |plane| plane.try_kubectl(&["apply", "-f", "-"], &object.to_string()).is_ok());
}

fn cassandra(cluster: &str, network: &str) -> Value {
    json!({"clusterRef": {"group": "cassandra.rook.io", "kind": "Cluster", "name": cluster}, "interfaces": {"client": network}})
}

fn network(plane: &ControlPlane, namespace: &str, name: &str) -> Value {
    plane.get(&["stnet", name, "-n", namespace])
}

/// Status and reason of a condition.
fn condition(network: &Value, kind: &str) -> String {
    let conditions = network["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.map_or(String::new(), |found| {
        format!("{} {}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap())
    })
}

fn wait_for_ready(plane: &ControlPlane, namespace: &str, name: &str, expected: &str) {
    plane.wait_for(&format!("{name} to be {expected}"), |plane| {
        condition(&network(plane, namespace, name), "Ready") == expected
    });
}

/// How many requests of the replicas were about the lease, or about single StorageNetworks.
fn requests(plane: &ControlPlane) -> usize {
    let is_meant = |event: &Value| {
        let (resource, name) = (&event["objectRef"]["resource"], &event["objectRef"]["name"]);
        resource == "leases" || (resource == "storagenetworks" && !name.is_null())
    };
    plane.requests_of(SERVICE_ACCOUNT).iter().filter(|event| is_meant(event)).count()
}

fn without_storage_networks_nothing_is_asked(plane: &ControlPlane, replicas: &[Running]) {
    say("without StorageNetworks, not even the lease is asked for");
    std::thread::sleep(Duration::from_secs(4));
    assert!(replicas.iter().all(|replica| replica.metric(HELD) < 0.5));
    assert!(plane.try_kubectl(&["get", "lease", LEASE, "-n", RELEASE], "").is_err());
    assert_eq!(requests(plane), 0);
    // As the chart makes it: nobody's.
    plane.apply(&format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{ name: {LEASE}, namespace: {RELEASE}, labels: {{ app: x }} }}"
    ));
}

fn each_says_what_is_so(plane: &ControlPlane) {
    say("declaring one of each kind");
    declare(plane, "rook-cassandra", "good", &cassandra("one", "client-net"));
    let lacking =
        json!({"podSelector": {"matchLabels": {"app": "backup"}}, "interfaces": {"data": "backup-net@data0"}});
    declare(plane, "rook-cassandra", "lacking", &lacking);
    declare(
        plane,
        "rook-cassandra",
        "bad",
        &json!({"podSelector": {"matchLabels": {"app": "x"}}, "interfaces": {"data": "a@b@c"}}),
    );
    let mut audited = cassandra("two", "client-net");
    audited["mode"] = "audit".into();
    declare(plane, "rook-cassandra", "audited", &audited);
    let ceph = json!({"clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": "my-cluster"}, "interfaces": {"public": "public-net", "cluster": "cluster-net@clu0"}});
    declare(plane, "rook-ceph", "override", &ceph);
    declare(plane, "rook-cassandra", "lost", &cassandra("three", "client-net"));
    // Ages are known to the second.
    std::thread::sleep(Duration::from_millis(1100));
    declare(plane, "rook-cassandra", "again", &cassandra("one", "client-net"));

    for (namespace, name, accepted, resolved, conflicted, ready) in [
        ("rook-cassandra", "good", "True Accepted", "True Resolved", "False NoConflict", "True Ready"),
        (
            "rook-cassandra",
            "lacking",
            "True Accepted",
            "False AttachmentsMissing",
            "False NoConflict",
            "False AttachmentsMissing",
        ),
        ("rook-cassandra", "bad", "False Invalid", "Unknown NotAccepted", "False NoConflict", "False Invalid"),
        ("rook-cassandra", "audited", "True Accepted", "True Resolved", "False NoConflict", "False ModeAudit"),
        ("rook-ceph", "override", "True Overrides", "True Resolved", "False NoConflict", "True Ready"),
        (
            "rook-cassandra",
            "lost",
            "True Accepted",
            "False ClusterNotFound",
            "False NoConflict",
            "False ClusterNotFound",
        ),
        ("rook-cassandra", "again", "False Conflicted", "True Resolved", "True SameCluster", "False Conflicted"),
    ] {
        wait_for_ready(plane, namespace, name, ready);
        let found = network(plane, namespace, name);
        let conditions = ["Accepted", "ResolvedRefs", "Conflicted"].map(|kind| condition(&found, kind));
        assert_eq!(conditions, [accepted, resolved, conflicted], "{name}");
        assert_eq!(found["status"]["observedGeneration"], 1, "{name}");
    }
    let bad = network(plane, "rook-cassandra", "bad");
    let message = bad["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("spec.interfaces.data: the selector \"a@b@c\" is invalid"), "{message}");
}

fn one_writes(plane: &ControlPlane, replicas: &[Running]) {
    say("one of the two writes");
    assert!((replicas.iter().map(|replica| replica.metric(HELD)).sum::<f64>() - 1.0).abs() < 0.1);
    let written = r#"rook_multihome_statuses_total{outcome="written"}"#;
    let (holder, other): (Vec<_>, Vec<_>) = replicas.iter().partition(|replica| replica.metric(HELD) > 0.5);
    assert!(holder[0].metric(written) > 6.5 && other[0].metric(written) < 0.5);
    assert!(holder[0].metric(r#"rook_multihome_storage_networks{ready="true"}"#) > 1.5);
    // The other one asks only every ten seconds for an API that is not there.
    plane.wait_for("the other one's metric", |_| {
        other[0].metric(r#"rook_multihome_storage_networks{ready="false"}"#) > 4.5
    });
    assert!(holder[0].metric(r#"rook_multihome_statuses_total{outcome="failed"}"#) < 0.5);
    let lease = plane.get(&["lease", LEASE, "-n", RELEASE]);
    assert_eq!(
        (&lease["spec"]["leaseDurationSeconds"], &lease["metadata"]["labels"]["app"]),
        (&json!(15), &json!("x"))
    );
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
    assert!(holder.starts_with("a_") || holder.starts_with("b_"), "{holder}");
    let good = plane.get(&["stnet", "good", "-n", "rook-cassandra", "--show-managed-fields"]);
    let fields = &good["metadata"]["managedFields"];
    let ours = |field: &&Value| field["subresource"] == "status" || field["manager"] == "rook-multihome";
    assert!(fields.as_array().unwrap().iter().filter(ours).all(|field| field["manager"] == "rook-multihome"));
}

fn versions(plane: &ControlPlane) -> Vec<Value> {
    let all = plane.get(&["stnet", "--all-namespaces"]);
    all["items"].as_array().unwrap().iter().map(|item| item["metadata"]["resourceVersion"].clone()).collect()
}

fn nothing_is_written_twice(plane: &ControlPlane, replicas: &[Running]) {
    let outcomes =
        || replicas.iter().map(|replica| replica.metric("rook_multihome_statuses_total")).sum::<f64>().to_string();
    say("nothing is written where nothing changes");
    let (before, looked) = (versions(plane), outcomes());
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!((versions(plane), outcomes()), (before, looked));
}

fn what_changes_is_said(plane: &ControlPlane) {
    say("creating what is missing, and taking it away again");
    let since = |kind: &str| {
        let found = network(plane, "rook-cassandra", "lacking");
        let conditions = found["status"]["conditions"].as_array().unwrap().clone();
        conditions.iter().find(|condition| condition["type"] == kind).unwrap()["lastTransitionTime"].clone()
    };
    let (ready, accepted) = (since("Ready"), since("Accepted"));
    attachment(plane, "backup-net");
    let begun = Instant::now();
    wait_for_ready(plane, "rook-cassandra", "lacking", "True Ready");
    say(&format!("said after {} ms", begun.elapsed().as_millis()));
    assert_eq!(since("Accepted"), accepted, "only a change of the status is a transition");
    assert_ne!(since("Ready"), ready);
    assert_eq!(network(plane, "rook-cassandra", "lacking")["status"]["interfaces"][0]["state"], "Found");

    say("mending a spec");
    let patch = r#"{"spec":{"interfaces":{"data":"backup-net"}}}"#;
    plane.kubectl(&["patch", "stnet", "bad", "-n", "rook-cassandra", "--type=merge", "-p", patch]);
    wait_for_ready(plane, "rook-cassandra", "bad", "True Ready");
    assert_eq!(network(plane, "rook-cassandra", "bad")["status"]["observedGeneration"], 2);

    say("a status that somebody else has edited is put right with the next change");
    let patch = r#"{"status":{"system":"edited","cluster":"edited"}}"#;
    plane.kubectl(&[
        "patch",
        "stnet",
        "bad",
        "-n",
        "rook-cassandra",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    ]);
    let patch = r#"{"spec":{"mode":"off"}}"#;
    plane.kubectl(&["patch", "stnet", "bad", "-n", "rook-cassandra", "--type=merge", "-p", patch]);
    wait_for_ready(plane, "rook-cassandra", "bad", "False ModeOff");
    let found = network(plane, "rook-cassandra", "bad");
    assert_eq!((&found["status"]["system"], &found["status"]["cluster"]), (&json!("custom"), &Value::Null));

    say("deleting the older of two lets the younger count");
    plane.kubectl(&["delete", "stnet", "good", "-n", "rook-cassandra"]);
    wait_for_ready(plane, "rook-cassandra", "again", "True Ready");
}

fn kubectl_shows_it(plane: &ControlPlane) {
    say("kubectl shows it");
    for wide in [&[][..], &["--output=wide"]] {
        let table = plane.kubectl(&[&["get", "storagenetworks", "--all-namespaces"], wide].concat());
        eprintln!("{table}");
        let row = table.lines().find(|line| line.contains("override")).unwrap();
        for shown in [
            "ceph",
            "CephCluster/my-cluster",
            "multus",
            "cluster=rook-ceph/cluster-net@clu0, public=rook-ceph/public-net",
            "True",
        ] {
            assert!(row.contains(shown), "{row}");
        }
    }
}

fn what_is_forbidden_is_tried_again(plane: &ControlPlane, replicas: &[Running]) {
    say("taking the right to write statuses away");
    plane.kubectl(&["delete", "clusterrolebinding", "statuses"]);
    let failed = || -> f64 {
        replicas.iter().map(|replica| replica.metric(r#"rook_multihome_statuses_total{outcome="failed"}"#)).sum()
    };
    plane.wait_for("the API server to notice", |plane| !may_write(plane));
    let patch = r#"{"spec":{"mode":"audit"}}"#;
    plane.kubectl(&["patch", "stnet", "bad", "-n", "rook-cassandra", "--type=merge", "-p", patch]);
    plane.wait_for("a failure", |_| failed() > 0.5);
    std::thread::sleep(Duration::from_secs(6));
    assert!(failed() < 4.5, "{}", failed());
    assert!((replicas.iter().map(|replica| replica.metric(HELD)).sum::<f64>() - 1.0).abs() < 0.1);
    assert_eq!(condition(&network(plane, "rook-cassandra", "bad"), "Ready"), "False ModeOff");
    bind(plane, "statuses");
    wait_for_ready(plane, "rook-cassandra", "bad", "False ModeAudit");
}

fn another_takes_over(plane: &ControlPlane, replicas: &mut Vec<Running>) {
    say("killing the one that writes");
    let index = replicas.iter().position(|replica| replica.metric(HELD) > 0.5).unwrap();
    let mut holder = replicas.remove(index);
    holder.signal("-KILL");
    holder.wait_for_exit();
    let killed = Instant::now();
    plane.wait_for("the other one to take over", |_| replicas[0].metric(HELD) > 0.5);
    let took = killed.elapsed();
    say(&format!("taken over after {} ms", took.as_millis()));
    // The lease is for fifteen seconds; looking again takes some more.
    assert!(took < Duration::from_secs(25) && took > Duration::from_secs(5), "{took:?}");
    // It finds everything as it should be.
    let before = versions(plane);
    plane.wait_for("it to have looked", |_| {
        replicas[0].metric(r#"rook_multihome_statuses_total{outcome="agrees"}"#) > 5.5
    });
    assert_eq!(versions(plane), before);
    plane.kubectl(&["delete", "net-attach-def", "backup-net", "-n", "rook-cassandra"]);
    wait_for_ready(plane, "rook-cassandra", "lacking", "False AttachmentsMissing");
}

fn one_that_leaves_gives_the_lease_back(plane: &ControlPlane, replicas: &mut Vec<Running>) {
    say("stopping the one that writes");
    replicas.push(start(plane, "c"));
    let mut leaving = replicas.remove(0);
    let holder = || {
        let lease = plane.try_kubectl(&["get", "lease", LEASE, "-n", RELEASE, "-o", "json"], "");
        let lease: Value = serde_json::from_str(&lease.ok()?.0).unwrap();
        Some(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    };
    leaving.signal("-TERM");
    assert!(leaving.wait_for_exit().success());
    let given_back = holder().unwrap();
    assert!(given_back.is_empty() || given_back.starts_with("c_"), "{given_back}");
    let left = Instant::now();
    plane.wait_for("the other one to take over", |_| replicas[0].metric(HELD) > 0.5);
    say(&format!("taken over after {} ms", left.elapsed().as_millis()));
    assert!(left.elapsed() < Duration::from_secs(8), "{:?}", left.elapsed());

    say("deleting the lease");
    plane.kubectl(&["delete", "lease", LEASE, "-n", RELEASE]);
    plane.wait_for("another lease", |_| holder().is_some_and(|holder| holder.starts_with("c_")));

    say("without StorageNetworks the lease is nobody's");
    plane.kubectl(&["delete", "stnet", "--all", "--all-namespaces"]);
    plane.wait_for("the lease to be given back", |_| holder().is_none_or(|holder| holder.is_empty()));
    plane.wait_for("the metric", |_| replicas[0].metric(HELD) < 0.5);
    let asked = requests(plane);
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(requests(plane), asked);
}
