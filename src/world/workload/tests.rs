//! The way from a pod to its cluster, as tables.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use serde_json::json;

use super::*;
use crate::storage::Catalogue;
use crate::world::{Entry, ObjectKind};

/// The catalogue's one system: clusters `Db` of `x.io`, reached over every kind of workload.
fn catalogue() -> Catalogue {
    let file = "
system: db
clusters: [{ resource: { group: x.io, versions: [v1], kind: Db, plural: dbs } }]
owners: [ReplicaSet, Deployment, StatefulSet, Job, CronJob]
keys: [{ name: a, about: x }]
roles: [{ name: r, match: [{ app: r }], networks: [a] }]
";
    Catalogue::read([("db.yaml", file)]).unwrap()
}

fn cluster(catalogue: &Catalogue, name: &str, uid: &str) -> Cluster {
    let kind = ObjectKind::always(catalogue).remove(0);
    let object = json!({"metadata": {"namespace": "ns", "name": name, "uid": uid}});
    match Entry::read(&kind, &object, catalogue).unwrap() {
        (_, Entry::Cluster(cluster)) => cluster,
        other => panic!("{other:?}"),
    }
}

fn workload(uid: &str, owners: &[[&str; 4]]) -> Workload {
    let owners: Vec<Value> = (owners.iter())
        .map(
            |[api_version, kind, name, uid]| json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}),
        )
        .collect();
    Workload::read(&json!({"metadata": {"uid": uid, "ownerReferences": owners}}))
}

/// Where an owner leads, in words.
fn lead(owner: [&str; 4]) -> String {
    let catalogue = catalogue();
    let clusters =
        [cluster(&catalogue, "one", "u-one"), cluster(&catalogue, "two", "u-two"), cluster(&catalogue, "three", "")];
    let clusters: Vec<&Cluster> = clusters.iter().collect();
    let mut workloads = Workloads::default();
    for (kind, name, known) in [
        (WorkloadKind::StatefulSet, "set", workload("u-set", &[["x.io/v1", "Db", "one", "u-one"]])),
        (WorkloadKind::ReplicaSet, "rs", workload("u-rs", &[["apps/v1", "Deployment", "deploy", "u-deploy"]])),
        (WorkloadKind::Deployment, "deploy", workload("u-deploy", &[["x.io/v1", "Db", "two", "u-two"]])),
        (WorkloadKind::Job, "job", workload("u-job", &[["batch/v1", "CronJob", "cron", "u-cron"]])),
        (WorkloadKind::CronJob, "cron", workload("u-cron", &[["x.io/v1", "Db", "two", "u-two"]])),
        (WorkloadKind::StatefulSet, "orphan", workload("u-orphan", &[])),
        (WorkloadKind::StatefulSet, "ring", workload("u-ring", &[["apps/v1", "StatefulSet", "ring", "u-ring"]])),
        (
            WorkloadKind::StatefulSet,
            "both",
            workload("u-both", &[["x.io/v1", "Db", "one", "u-one"], ["x.io/v1", "Db", "two", "u-two"]]),
        ),
        (WorkloadKind::StatefulSet, "beside", workload("u", &[["apps/v1", "ReplicaSet", "new", "u-new"]])),
    ] {
        workloads.insert("ns", kind, name, known);
    }
    let [api_version, kind, name, uid] = owner;
    let owner = OwnerRef { api_version, kind, name, uid };
    match workloads.lead("ns", &catalogue.systems()[0], &clusters, &[owner]) {
        Lead::To(clusters) => clusters.iter().map(|cluster| cluster.id.name.as_str()).collect::<Vec<_>>().join(" "),
        Lead::Nowhere => "nowhere".to_owned(),
        Lead::NotSeen { kind, name } => format!("not seen: {kind} {name}"),
    }
}

#[test]
fn owners_are_walked_to_the_cluster() {
    for (owner, leads_to) in [
        (["apps/v1", "StatefulSet", "set", "u-set"], "one"),
        (["apps/v1", "ReplicaSet", "rs", "u-rs"], "two"),
        (["batch/v1", "Job", "job", "u-job"], "two"),
        (["batch/v1beta1", "CronJob", "cron", "u-cron"], "two"),
        (["x.io/v2", "Db", "one", "u-one"], "one"),
        // Rook's operator for MinIO: no group, and the namespace in the place of the name.
        (["v1", "Db", "ns", "u-one"], "one"),
        // Where the identity is not known, the name counts.
        (["x.io/v1", "Db", "three", "u-any"], "three"),
        (["x.io/v1", "Db", "one", ""], "one"),
        (["apps/v1", "StatefulSet", "both", "u-both"], "one two"),
        (["apps/v1", "StatefulSet", "orphan", "u-orphan"], "nowhere"),
        (["apps/v1", "StatefulSet", "ring", "u-ring"], "nowhere"),
        (["apps/v1", "DaemonSet", "set", "u-set"], "nowhere"),
        (["y.io/v1", "Db", "one", "u-one"], "nowhere"),
        (["v1", "Node", "one", "u-one"], "nowhere"),
        // One that was deleted and made anew is another one.
        (["x.io/v1", "Db", "one", "u-before"], "nowhere"),
        (["apps/v1", "StatefulSet", "set", "u-before"], "not seen: StatefulSet set"),
        (["apps/v1", "StatefulSet", "new", "u-new"], "not seen: StatefulSet new"),
        (["apps/v1", "StatefulSet", "beside", "u"], "not seen: ReplicaSet new"),
    ] {
        assert_eq!(lead(owner), leads_to, "{owner:?}");
    }
}

#[test]
fn what_has_not_changed_is_known_and_what_is_gone_is_gone() {
    let mut workloads = Workloads::default();
    let set = || workload("u", &[["x.io/v1", "Db", "one", "u-one"]]);
    assert!(!workloads.insert("ns", WorkloadKind::StatefulSet, "set", set()));
    assert!(workloads.has("ns", WorkloadKind::StatefulSet, "set", &set()));
    assert!(!workloads.has("ns", WorkloadKind::StatefulSet, "set", &workload("v", &[])));
    assert!(!workloads.has("other", WorkloadKind::StatefulSet, "set", &set()));
    assert_eq!(workloads.len(), 1);
    workloads.remove("ns", WorkloadKind::StatefulSet, "set");
    assert_eq!(workloads.len(), 0);
    workloads.insert("ns", WorkloadKind::StatefulSet, "set", set());
    workloads.remove_all("ns", WorkloadKind::Job);
    assert_eq!(workloads.len(), 1);
    workloads.remove_all("ns", WorkloadKind::StatefulSet);
    assert_eq!(workloads.len(), 0);
}
