//! Objects that networks depend on, as they are written: from the bytes of a review to those of the answer.
//!
//! The world has 200 CephClusters and 1,000 attachment definitions, with ranges of their own. Of the definitions, most are used
//! by a single cluster or by none, and one by 100. Nothing is asserted: a noisy machine must not fail a build.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rook_multihome::lint::{judge, write};
use rook_multihome::storage::Catalogue;
use rook_multihome::wire::{self, ChangeRequest};
use rook_multihome::world::{AddressRanges, Checks, Settings, Snapshot, manifests};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// What the server does between the last byte of a body and the first of its answer.
fn answer(snapshot: &Snapshot, body: &[u8]) -> Vec<u8> {
    let Ok(request) = ChangeRequest::read(body) else { return Vec::new() };
    let judgement = request.change().map(|change| judge(snapshot, &change)).unwrap_or_default();
    wire::answer_json(&wire::judged(request.uid(), &judgement))
}

fn ranges(snapshot: &Snapshot, body: &[u8]) -> Vec<u8> {
    let Ok(request) = ChangeRequest::read(body) else { return Vec::new() };
    let writing = request.change().and_then(|change| write(snapshot, &change));
    wire::answer_json(&wire::written(request.uid(), writing))
}

fn definition(number: u32, master: &str) -> Value {
    let (high, low) = (number / 250, number % 250);
    let ipam = json!({"type": "whereabouts", "range": format!("10.{high}.{low}.0/24"), "exclude": [format!("10.{high}.{low}.0/28")]});
    let config = json!({"cniVersion": "0.3.1", "type": "macvlan", "master": master, "mode": "bridge", "ipam": ipam});
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"namespace": format!("storage-{}", number / 5), "name": format!("net-{}", number % 5)},
        "spec": {"config": config.to_string()},
    })
}

/// With two networks of its own; but every second cluster shares the public one with others.
fn cluster(number: u32, image: &str) -> Value {
    let nodes: Vec<Value> =
        (0..20).map(|node| json!({"name": format!("host-{node}"), "deviceFilter": "^sd."})).collect();
    let public = if number.is_multiple_of(2) { "storage-0/net-0" } else { "net-0" };
    json!({
        "apiVersion": "ceph.rook.io/v1", "kind": "CephCluster",
        "metadata": {"namespace": format!("storage-{number}"), "name": "my-cluster"},
        "spec": {
            "cephVersion": {"image": image},
            "mon": {"count": 5},
            "storage": {"nodes": nodes},
            "network": {"provider": "multus", "selectors": {"public": public, "cluster": "net-1"}},
        },
    })
}

fn large_world() -> Option<Snapshot> {
    let catalogue = Arc::new(Catalogue::built_in().ok()?);
    let folder = tempfile::tempdir().ok()?;
    let objects =
        (0..1000).map(|number| definition(number, "eth1")).chain((0..200).map(|number| cluster(number, "v19")));
    let text: Vec<String> = objects.map(|object| format!("---\n{object}\n")).collect();
    let file = folder.path().join("world.yaml");
    std::fs::write(&file, text.concat()).ok()?;
    let checks = Checks { address_ranges: AddressRanges::Write, ..Checks::default() };
    let (world, _) = manifests::load(&[file], catalogue, Settings { checks, ..Settings::default() }).ok()?;
    Some(world.snapshot())
}

fn review(operation: &str, old: &Value, new: &Value) -> Vec<u8> {
    let there = if new.is_null() { old } else { new };
    let (group, version) = there["apiVersion"].as_str().and_then(|text| text.split_once('/')).unwrap_or_default();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": operation,
            "kind": {"group": group, "version": version, "kind": there["kind"]},
            "namespace": there["metadata"]["namespace"], "name": there["metadata"]["name"],
            "object": new, "oldObject": old, "dryRun": false,
        },
    });
    review.to_string().into_bytes()
}

fn validation(criterion: &mut Criterion) {
    let Some(snapshot) = large_world() else { return };
    let null = Value::Null;
    // net-1 of storage-50; and net-0 of storage-0.
    let (own, shared) = (definition(251, "eth1"), definition(0, "eth1"));
    let mut moved = cluster(51, "v19");
    moved["spec"]["network"]["selectors"]["cluster"] = json!("net-2");
    for (name, body) in [
        ("a version of Ceph, with networks of its own", review("UPDATE", &cluster(51, "v19"), &cluster(51, "v20"))),
        ("a selector, with networks of its own", review("UPDATE", &cluster(51, "v19"), &moved)),
        ("a version of Ceph, on a network of 100", review("UPDATE", &cluster(50, "v19"), &cluster(50, "v20"))),
        ("a status", review("UPDATE", &cluster(51, "v19"), &cluster(51, "v19"))),
        ("a definition in use is changed", review("UPDATE", &own, &definition(251, "eth2"))),
        ("a definition in use is deleted", review("DELETE", &own, &null)),
        ("a definition that 100 use is changed", review("UPDATE", &shared, &definition(0, "eth2"))),
        ("a definition that 100 use is deleted", review("DELETE", &shared, &null)),
    ] {
        let mut group = criterion.benchmark_group(format!("{name} ({} bytes)", body.len()));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("floor: skip every byte", |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(&body)).is_ok());
        });
        group.bench_function("validate: bytes to answer", |bencher| {
            bencher.iter(|| answer(black_box(&snapshot), black_box(&body)));
        });
        group.finish();
    }
    let body = review("CREATE", &null, &cluster(50, "v19"));
    criterion.bench_function("address ranges: bytes to answer", |bencher| {
        bencher.iter(|| ranges(black_box(&snapshot), black_box(&body)));
    });
}

criterion_group!(benches, validation);
criterion_main!(benches);
