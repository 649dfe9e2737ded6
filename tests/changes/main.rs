//! What is said of an object that is about to be written, what is refused, and which address ranges are written into clusters.
//!
//! `judge` and `write` are asked directly, and by `served` over HTTPS; `tests/validation.rs` has kubectl ask.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod definitions;
mod hostile;
mod judge;
mod served;
#[path = "../support/mod.rs"]
mod support;
mod writing;

use std::sync::{Arc, LazyLock};

use rook_multihome::lint::{Change, Judgement, Operation, Verdict, judge};
use rook_multihome::storage::Catalogue;
use rook_multihome::world::{Checks, Deny, Mode, Settings, Severity, Snapshot, manifests};
use serde_json::{Value, json};

static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::built_in().unwrap()));
const NAMESPACE: &str = "rook-ceph";
const EVERY_DENY: [Deny; 4] =
    [Deny::Never, Deny::From(Severity::Error), Deny::From(Severity::Warning), Deny::From(Severity::Advice)];

fn denying(deny: Deny) -> Settings {
    Settings { checks: Checks { deny, ..Checks::default() }, ..Settings::default() }
}

fn world(settings: Settings, objects: &[Value]) -> Snapshot {
    world_of(&CATALOGUE, settings, objects)
}

fn world_of(catalogue: &Arc<Catalogue>, settings: Settings, objects: &[Value]) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.yaml");
    let text: Vec<String> = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    std::fs::write(&file, text.concat()).unwrap();
    manifests::load(&[file], Arc::clone(catalogue), settings).unwrap().0.snapshot()
}

/// An attachment definition of macvlan, with addresses by whereabouts.
fn definition(name: &str, range: &str) -> Value {
    let routes = json!([{"dst": "192.168.252.0/22"}]);
    configured(name, &macvlan(json!({"type": "whereabouts", "range": range, "routes": routes})))
}

#[allow(clippy::needless_pass_by_value)] // it reads better where it is used
fn macvlan(ipam: Value) -> Value {
    json!({"cniVersion": "0.3.1", "type": "macvlan", "master": "eth1", "mode": "bridge", "ipam": ipam})
}

fn configured(name: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"config": config.to_string()},
    })
}

#[allow(clippy::needless_pass_by_value)] // it reads better where it is used
fn ceph(network: Value) -> Value {
    json!({
        "apiVersion": "ceph.rook.io/v1", "kind": "CephCluster",
        "metadata": {"name": "my-cluster", "namespace": NAMESPACE},
        "spec": {"network": network},
    })
}

/// A cluster in whose networks nothing is found, where the definition `public` is there.
fn sound() -> Value {
    ceph(
        json!({"provider": "multus", "selectors": {"public": "public"}, "addressRanges": {"public": ["192.168.0.0/18"]}}),
    )
}

fn public() -> Value {
    definition("public", "192.168.0.0/18")
}

/// The same object, changed.
fn changed(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

fn change<'a>(operation: Operation, old: &'a Value, new: &'a Value) -> Change<'a> {
    let there = if new.is_null() { old } else { new };
    let text = |field: &str| there.get(field).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map(|(group, _)| group).unwrap_or_default();
    Change { operation, group, kind: text("kind"), namespace: NAMESPACE, new, old }
}

fn created(snapshot: &Snapshot, new: &Value) -> Judgement {
    judge(snapshot, &change(Operation::Create, &Value::Null, new))
}

fn updated(snapshot: &Snapshot, old: &Value, new: &Value) -> Judgement {
    judge(snapshot, &change(Operation::Update, old, new))
}

fn deleted(snapshot: &Snapshot, old: &Value) -> Judgement {
    judge(snapshot, &change(Operation::Delete, old, &Value::Null))
}

/// The names of the rules, with `!` before those that are a reason to refuse.
fn rules(judgement: &Judgement) -> Vec<String> {
    let name = |verdict, id: &str| match verdict {
        Verdict::Said => id.to_owned(),
        Verdict::Refused => format!("!{id}"),
    };
    judgement.findings.iter().map(|judged| name(judged.verdict, judged.finding.rule.id())).collect()
}

fn is_silent(judgement: &Judgement) -> bool {
    judgement.findings.is_empty()
        && judgement.warnings().is_empty()
        && judgement.refusal().is_none()
        && (judgement.mode != Mode::Enforce || judgement.audit_annotations().is_empty())
}
