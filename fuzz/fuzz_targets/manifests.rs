//! Whatever stands in files and in a Kubernetes cluster: it is read, what is wrong with it is said, and what is in it is decided
//! and judged by.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rook_multihome::lint::lint;
use rook_multihome::status::conditions::statuses;
use rook_multihome::storage::{Catalogue, Resource, WorkloadKind};
use rook_multihome::world::{Entry, NodeLabels, ObjectKind, Settings, Snapshot, World, manifests};
use rook_multihome_fuzz::{catalogue, changes, check_change, check_review, creation, strict_checks};
use serde_json::Value;

static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(catalogue);
static KINDS: LazyLock<Vec<(ObjectKind, Resource)>> = LazyLock::new(|| {
    let workloads = WorkloadKind::ALL.map(|kind| ObjectKind::Workload(kind, "ns".to_owned()));
    let kinds = ObjectKind::always(&CATALOGUE).into_iter().chain([ObjectKind::Node]).chain(workloads);
    kinds.map(|kind| (kind.clone(), kind.resource())).collect()
});

/// The most bytes of a status.
const STATUS: usize = 32 * 1024;

fuzz_target!(|text: &str| {
    let Ok(objects) = manifests::parse_documents(text) else { return };
    let settings = Settings { checks: strict_checks(), ..Settings::default() };
    let mut world = World::new(Arc::clone(&CATALOGUE), settings);
    for (kind, _) in &*KINDS {
        world.replace_all(kind, []);
    }
    for object in &objects {
        let field = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, named) = (field("apiVersion"), field("kind"));
        for (kind, resource) in &*KINDS {
            let Ok((id, entry)) = Entry::read(kind, object, &CATALOGUE) else { break };
            for problem in entry.problems() {
                assert!(!problem.is_empty());
            }
            if resource.covers(api_version, named) {
                _ = world.insert(kind, &id, entry);
            }
        }
        manifests::add_workload(&mut world, object);
    }
    let snapshot = world.snapshot();
    ask(&snapshot);
    for pod in objects.iter().filter(|object| object.get("kind").is_some_and(|kind| kind == "Pod")) {
        check_review(&snapshot, &creation(pod));
    }
    for change in changes(&objects) {
        check_change(&snapshot, &change);
    }
});

/// Asks for all that can be known of a world.
fn ask(snapshot: &Snapshot) {
    _ = (snapshot.needed_kinds(), snapshot.workload_count(), snapshot.attachment_count());
    for cluster in snapshot.clusters() {
        let (namespace, name) = (&cluster.id.namespace, &cluster.id.name);
        assert!(snapshot.clusters_named(namespace, name).iter().any(|(_, known)| known.id == cluster.id));
        assert!(snapshot.clusters_in(namespace).any(|(_, here)| here.iter().any(|known| known.id == cluster.id)));
        _ = snapshot.storage_network_of(cluster);
    }
    for network in snapshot.storage_networks() {
        assert!(snapshot.storage_networks_in(&network.id.namespace).any(|known| known.id == network.id));
        if let Ok(declared) = &network.declared {
            _ = (declared.role_for(&NodeLabels::new()), declared.keys().count());
        }
    }
    for (network, status) in statuses(snapshot, &lint(snapshot)) {
        let written = serde_json::to_string(&status).expect("a status is JSON");
        assert!(written.len() <= STATUS, "the status of {} has {} bytes", network.id, written.len());
    }
}
