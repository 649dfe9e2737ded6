//! One review, from bytes to finished answer, beside the floor: walking over the same bytes and keeping nothing.
//!
//! `cargo bench` prints both; their ratio is what counts, because machines differ. The rows of one group are about the same
//! body. Nothing is asserted: a noisy machine must not fail a build.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rook_multihome::admit::decide;
use rook_multihome::storage::Catalogue;
use rook_multihome::wire::{self, Review};
use rook_multihome::world::{Settings, Snapshot, manifests};
use serde::de::IgnoredAny;

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

fn review(criterion: &mut Criterion) {
    for (name, fixture_name) in [
        ("osd, two networks attached", "osd-multus"),
        ("toolbox, merged with its own", "merges-short-form"),
        ("mon, left alone on the host", "mon-rendered-for-pod-network"),
        ("not a storage pod", "not-storage"),
    ] {
        let Some((snapshot, body)) = fixture(fixture_name) else { continue };
        let mut group = criterion.benchmark_group(format!("{name} ({} bytes)", body.len()));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("floor: skip every byte", |bencher| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(&body)).is_ok());
        });
        group.bench_function("review: bytes to answer", |bencher| {
            bencher.iter(|| answer(black_box(&snapshot), black_box(&body)));
        });
        group.finish();
    }
}

criterion_group!(benches, review);
criterion_main!(benches);
