//! One review, from bytes to finished answer, beside the floor: walking over the same bytes and keeping nothing.
//!
//! `cargo bench` prints both; their ratio is what counts, because machines differ. The rows of one group are about the same
//! body. The groups "in a large world" are about the same pods where there are 200 clusters of all systems, 1,000 attachment
//! definitions and 5,000 workloads with their owners. Nothing is asserted: a noisy machine must not fail a build.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rook_multihome::admit::decide;
use rook_multihome::storage::Catalogue;
use rook_multihome::wire::{self, Review};
use rook_multihome::world::{Settings, Snapshot, manifests};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// What the server does between the last byte of a body and the first of its answer.
fn answer(snapshot: &Snapshot, body: &[u8]) -> Vec<u8> {
    let Ok(request) = Review::read(body) else { return Vec::new() };
    let admission = request.admission();
    let decision = decide(snapshot, &admission);
    wire::answer_json(&wire::answer(request.uid(), &decision, admission.pod))
}

fn fixture(name: &str) -> Option<(Snapshot, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission").join(name);
    let catalogue = Arc::new(Catalogue::built_in().ok()?);
    let (world, _) = manifests::load(&[folder.join("world.yaml")], catalogue, Settings::default()).ok()?;
    // As it comes over the wire: without white space.
    let review = std::fs::read_to_string(folder.join("review.json")).ok()?;
    let review: serde_json::Value = serde_json::from_str(&review).ok()?;
    Some((world.snapshot(), review.to_string().into_bytes()))
}

/// A world of many clusters: in each of 100 namespaces one CephCluster and two Cassandra clusters with a StorageNetwork for one
/// of them, ten attachment definitions and 50 StatefulSets, which belong to the Cassandra clusters by turns.
fn large_world() -> Option<Snapshot> {
    let catalogue = Arc::new(Catalogue::built_in().ok()?);
    let folder = tempfile::tempdir().ok()?;
    let mut text = String::new();
    let mut add = |object: &Value| text.push_str(&format!("---\n{object}\n"));
    for number in 0..100 {
        let metadata = |name: &str| json!({"namespace": format!("storage-{number}"), "name": name, "uid": name});
        let network = json!({"provider": "multus", "selectors": {"public": "net-1", "cluster": "net-2"}});
        add(
            &json!({"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "metadata": metadata("my-cluster"), "spec": {"network": network}}),
        );
        for name in ["c1", "c2"] {
            add(
                &json!({"apiVersion": "cassandra.rook.io/v1alpha1", "kind": "Cluster", "metadata": metadata(name), "spec": {}}),
            );
        }
        let cluster = json!({"group": "cassandra.rook.io", "kind": "Cluster", "name": "c2"});
        let interfaces = json!({"client": "net-3", "replication": "net-4@repl0"});
        let spec = json!({"clusterRef": cluster, "provider": "multus", "interfaces": interfaces});
        add(
            &json!({"apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork", "metadata": metadata("c2"), "spec": spec}),
        );
        for network in 0..10 {
            let name = format!("net-{network}");
            add(
                &json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": metadata(&name), "spec": {"config": r#"{"type":"macvlan"}"#}}),
            );
        }
        for workload in 0..50 {
            let mut metadata = metadata(&format!("rack-{workload}"));
            let owner = if workload % 2 == 0 { "c1" } else { "c2" };
            metadata["ownerReferences"] =
                json!([{"apiVersion": "cassandra.rook.io/v1alpha1", "kind": "Cluster", "name": owner, "uid": owner}]);
            add(&json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata}));
        }
    }
    let file = folder.path().join("world.yaml");
    std::fs::write(&file, text).ok()?;
    let (world, _) = manifests::load(&[file], catalogue, Settings::default()).ok()?;
    Some(world.snapshot())
}

/// The pod of a fixture in a namespace of the large world; with other labels and owners, where they are given.
fn moved(fixture_name: &str, labels: Option<Value>, owners: &Value) -> Option<Vec<u8>> {
    let (_, body) = fixture(fixture_name)?;
    let mut review: Value = serde_json::from_slice(&body).ok()?;
    let request = &mut review["request"];
    request["namespace"] = json!("storage-50");
    let metadata = &mut request["object"]["metadata"];
    metadata["namespace"] = json!("storage-50");
    if let Some(labels) = labels {
        metadata["labels"] = labels;
    }
    metadata["ownerReferences"] = owners.clone();
    Some(review.to_string().into_bytes())
}

fn measure(criterion: &mut Criterion, name: &str, snapshot: &Snapshot, body: &[u8]) {
    let mut group = criterion.benchmark_group(format!("{name} ({} bytes)", body.len()));
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("floor: skip every byte", |bencher| {
        bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).is_ok());
    });
    group.bench_function("review: bytes to answer", |bencher| {
        bencher.iter(|| answer(black_box(snapshot), black_box(body)));
    });
    group.finish();
}

fn review_in_a_large_world(criterion: &mut Criterion) {
    let Some(snapshot) = large_world() else { return };
    let member = json!({
        "app": "rook-cassandra",
        "app.kubernetes.io/name": "rook-cassandra",
        "app.kubernetes.io/managed-by": "rook-cassandra-operator",
        "cassandra.rook.io/cluster": "c2",
        "cassandra.rook.io/datacenter": "dc",
        "cassandra.rook.io/rack": "r1",
    });
    let rack = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "rack-7", "uid": "rack-7", "controller": true}]);
    for (name, fixture_name, labels, owners) in [
        ("osd, two networks attached, in a large world", "osd-multus", None, Value::Null),
        ("one of two Cassandra clusters, by label and owners, in a large world", "osd-multus", Some(member), rack),
        ("not a storage pod, in a large world", "not-storage", None, Value::Null),
    ] {
        let Some(body) = moved(fixture_name, labels, &owners) else { continue };
        measure(criterion, name, &snapshot, &body);
    }
}

fn review(criterion: &mut Criterion) {
    for (name, fixture_name) in [
        ("osd, two networks attached", "osd-multus"),
        ("toolbox, merged with its own", "merges-short-form"),
        ("mon, left alone on the host", "mon-rendered-for-pod-network"),
        ("not a storage pod", "not-storage"),
    ] {
        let Some((snapshot, body)) = fixture(fixture_name) else { continue };
        measure(criterion, name, &snapshot, &body);
    }
}

criterion_group!(benches, review, review_in_a_large_world);
criterion_main!(benches);
