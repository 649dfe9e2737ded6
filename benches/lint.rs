//! The checks of networks, where there are 200 clusters and 1,000 attachment definitions.
//!
//! The floor of the whole is to walk over every object and every selection once; that of one object is to find out who uses a
//! definition, without any index, which is what an answer cannot do without. `cargo bench --bench lint` prints them side by side;
//! their ratio is what counts, because machines differ. Nothing is asserted: a noisy machine must not fail a build.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rook_multihome::lint::{Candidate, Scene, lint, lint_candidate};
use rook_multihome::network::AttachmentRef;
use rook_multihome::storage::Catalogue;
use rook_multihome::world::{Entry, ObjectKind, Settings, Snapshot, World};
use serde_json::{Value, json};

fn cluster(number: u32) -> Value {
    let name = json!({"namespace": format!("storage-{number}"), "name": "my-cluster"});
    let network = json!({"provider": "multus", "selectors": {"public": "net-0", "cluster": "net-1"}});
    json!({"metadata": name, "spec": {"network": network, "mon": {"count": 3}}})
}

/// Five in each namespace, of which two are used; all on one interface of the nodes, with ranges of their own or, one in five, not.
fn definition(number: u32, network: u32) -> Value {
    let name = json!({"namespace": format!("storage-{number}"), "name": format!("net-{network}")});
    let range = if network == 4 { "192.168.0.0/24".to_owned() } else { format!("10.{number}.{network}.0/24") };
    let ipam = json!({"type": "host-local", "subnet": range, "routes": [{"dst": "192.168.252.0/22"}]});
    let config = json!({"cniVersion": "0.3.1", "type": "macvlan", "master": "eth1", "ipam": ipam}).to_string();
    json!({"metadata": name, "spec": {"config": config}})
}

struct Kinds {
    catalogue: Arc<Catalogue>,
    cluster: ObjectKind,
}

fn kinds() -> Option<Kinds> {
    let catalogue = Arc::new(Catalogue::built_in().ok()?);
    let is_ceph =
        |kind: &ObjectKind| matches!(kind, ObjectKind::Cluster(_, resource) if resource.kind == "CephCluster");
    let cluster = ObjectKind::always(&catalogue).into_iter().find(is_ceph)?;
    Some(Kinds { catalogue, cluster })
}

fn world(Kinds { catalogue, cluster: kind }: &Kinds) -> Snapshot {
    let mut world = World::new(Arc::clone(catalogue), Settings::default());
    let mut add = |kind: &ObjectKind, object: &Value| {
        if let Ok((id, entry)) = Entry::read(kind, object, catalogue) {
            world.insert(kind, &id, entry);
        }
    };
    for number in 0..200 {
        add(kind, &cluster(number));
        for network in 0..5 {
            add(&ObjectKind::Attachment, &definition(number, network));
        }
    }
    world.snapshot()
}

fn selections(snapshot: &Snapshot) -> impl Iterator<Item = &AttachmentRef> {
    let clusters = snapshot.clusters();
    clusters.flat_map(|cluster| cluster.network.selections.values().map(|selection| &selection.attachment))
}

fn checks(criterion: &mut Criterion) {
    let Some(kinds) = kinds() else { return };
    let snapshot = world(&kinds);
    let mut group = criterion.benchmark_group("lint, 200 clusters and 1000 definitions");
    group.sample_size(20);
    group.bench_function("floor: look at every object", |bencher| {
        bencher.iter(|| {
            let ranges =
                snapshot.attachments().filter_map(|(_, _, read)| Some(read.as_ref().ok()?.ipam.ranges().count()));
            let found = selections(&snapshot).map(|name| snapshot.attachment(name));
            black_box((ranges.sum::<usize>(), found.count()))
        });
    });
    group.bench_function("everything", |bencher| bencher.iter(|| lint(black_box(&snapshot))));
    group.finish();

    let mut group = criterion.benchmark_group("lint of one object among them");
    let used = AttachmentRef::new("storage-100", "net-0");
    group.bench_function("floor: who uses a definition", |bencher| {
        bencher.iter(|| selections(black_box(&snapshot)).filter(|name| **name == used).count());
    });
    let objects = [
        ("a CephCluster", &kinds.cluster, cluster(100)),
        ("a definition in use", &ObjectKind::Attachment, definition(100, 0)),
        ("a definition that nobody uses, with 199 others of its range", &ObjectKind::Attachment, definition(100, 4)),
    ];
    for (name, kind, object) in objects {
        let Some(candidate) = candidate(&kinds, kind, &object) else { continue };
        group.bench_function(name, |bencher| {
            bencher.iter(|| lint_candidate(Scene::with(black_box(&snapshot), &candidate), &candidate));
        });
    }
    group.finish();
}

fn candidate(kinds: &Kinds, kind: &ObjectKind, object: &Value) -> Option<Candidate> {
    let (id, entry) = Entry::read(kind, object, &kinds.catalogue).ok()?;
    match entry {
        Entry::Cluster(cluster) => Some(Candidate::Cluster(Box::new(cluster))),
        Entry::Attachment(definition) => {
            Some(Candidate::Attachment(AttachmentRef::new(&id.namespace, &id.name), Some(definition)))
        }
        Entry::Override(..) | Entry::StorageNetwork(_) | Entry::Namespace(_) | Entry::Node(_) | Entry::Workload(_) => {
            None
        }
    }
}

criterion_group!(benches, checks);
criterion_main!(benches);
