//! Address ranges that are written into clusters: for which keys, when, and what is left alone.

use rook_multihome::lint::{Operation, Rule, WRITTEN_ANNOTATION, Writing, write};
use rook_multihome::world::{AddressRanges, Checks, Mode, Settings, Snapshot};
use serde_json::{Value, json};

use super::{ceph, change, changed, configured, definition, macvlan, world};

const WROTE: &str = "rook-multihome wrote spec.network.addressRanges, so that Rook need not run pods to find them: ";

pub(super) fn writing_settings() -> Settings {
    let checks = Checks { address_ranges: AddressRanges::Write, ..Checks::default() };
    Settings { checks, ..Settings::default() }
}

/// Three networks with ranges that are certain, and one without.
fn networks() -> Vec<Value> {
    vec![
        definition("a", "10.1.0.0/16"),
        definition("b", "10.2.0.0/16"),
        definition("c", "10.3.0.0/16"),
        configured("dhcp", &macvlan(json!({"type": "dhcp"}))),
    ]
}

fn snapshot() -> Snapshot {
    world(writing_settings(), &networks())
}

#[allow(clippy::needless_pass_by_value)] // it reads better where it is used
fn selecting(selectors: Value) -> Value {
    ceph(json!({"provider": "multus", "selectors": selectors}))
}

fn with_ranges(cluster: &Value, ranges: Value) -> Value {
    changed(cluster, "/spec/network/addressRanges", ranges)
}

fn ranges(cluster: &Value) -> Value {
    cluster["spec"]["network"]["addressRanges"].clone()
}

fn recorded(cluster: &Value) -> Value {
    let text = cluster["metadata"]["annotations"][WRITTEN_ANNOTATION].as_str();
    text.map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default()
}

/// What Rook would refuse, and where, with what does not fit the definitions.
fn faults(snapshot: &Snapshot, cluster: &Value) -> Vec<(Rule, String)> {
    let judgement = super::created(snapshot, cluster);
    let found = judgement.findings.into_iter().map(|judged| (judged.finding.rule, judged.finding.field));
    found.filter(|(rule, _)| matches!(rule, Rule::InvalidSpec | Rule::RangesContradict)).collect()
}

/// The object as it is stored, and what is said. What is written passes the rules of Rook's own validation, and is not written a
/// second time.
pub(super) fn written(snapshot: &Snapshot, operation: Operation, old: &Value, new: &Value) -> (Value, Option<String>) {
    let Some(Writing { patch, warning }) = write(snapshot, &change(operation, old, new)) else {
        return (new.clone(), None);
    };
    let mut stored = new.clone();
    json_patch::patch(&mut stored, &patch).unwrap();
    if !patch.is_empty() {
        let again = write(snapshot, &change(operation, old, &stored));
        assert!(again.is_none_or(|again| again.patch.is_empty()), "once is enough: {stored}");
        let (before, after) = (faults(snapshot, new), faults(snapshot, &stored));
        // What Rook would refuse hides what does not fit the definitions; taking it away brings a person's own ranges to light.
        let was_invalid = before.iter().any(|(rule, _)| *rule == Rule::InvalidSpec);
        let is_a_persons = |field: &str| {
            let pointer = format!("/{}", field.replace('.', "/"));
            stored.pointer(&pointer) == new.pointer(&pointer)
        };
        for fault in &after {
            let (rule, field) = fault;
            let was_hidden = was_invalid && *rule == Rule::RangesContradict && is_a_persons(field);
            assert!(was_hidden || before.contains(fault), "{after:?} {stored}");
        }
    }
    (stored, Some(warning))
}

fn created(new: &Value) -> (Value, Option<String>) {
    written(&snapshot(), Operation::Create, &Value::Null, new)
}

fn updated_to(old: &Value, new: &Value) -> (Value, Option<String>) {
    written(&snapshot(), Operation::Update, old, new)
}

#[test]
fn ranges_are_written_into_what_is_created() {
    let both = json!({"public": "a", "cluster": "b"});
    for (new, expected, ours, said) in [
        (
            selecting(both.clone()),
            json!({"public": ["10.1.0.0/16"], "cluster": ["10.2.0.0/16"]}),
            json!({"public": ["10.1.0.0/16"], "cluster": ["10.2.0.0/16"]}),
            "cluster: [10.2.0.0/16], public: [10.1.0.0/16]",
        ),
        (
            selecting(json!({"public": "a", "cluster": "dhcp"})),
            json!({"public": ["10.1.0.0/16"]}),
            json!({"public": ["10.1.0.0/16"]}),
            "public: [10.1.0.0/16]; it left out cluster, whose addresses are not known for certain",
        ),
        (
            with_ranges(&selecting(both.clone()), json!({"public": ["10.9.0.0/16"]})),
            json!({"public": ["10.9.0.0/16"], "cluster": ["10.2.0.0/16"]}),
            json!({"cluster": ["10.2.0.0/16"]}),
            "cluster: [10.2.0.0/16]",
        ),
        (
            with_ranges(&selecting(json!({"public": "a"})), Value::Null),
            json!({"public": ["10.1.0.0/16"]}),
            json!({"public": ["10.1.0.0/16"]}),
            "public: [10.1.0.0/16]",
        ),
        (
            with_ranges(&selecting(both), json!({"public": [], "cluster": null})),
            json!({"public": ["10.1.0.0/16"], "cluster": ["10.2.0.0/16"]}),
            json!({"public": ["10.1.0.0/16"], "cluster": ["10.2.0.0/16"]}),
            "cluster: [10.2.0.0/16], public: [10.1.0.0/16]",
        ),
    ] {
        let (stored, warning) = match new["spec"]["network"]["addressRanges"]["public"][0].as_str() {
            // What a person says of the definition is another rule's business.
            Some("10.9.0.0/16") => {
                let writing = write(&snapshot(), &change(Operation::Create, &Value::Null, &new)).unwrap();
                let mut stored = new.clone();
                json_patch::patch(&mut stored, &writing.patch).unwrap();
                (stored, Some(writing.warning))
            }
            _ => created(&new),
        };
        assert_eq!((ranges(&stored), recorded(&stored)), (expected, ours), "{new}");
        assert_eq!(warning.unwrap(), format!("{WROTE}{said}"));
    }
}

#[test]
fn annotations_that_are_there_stay() {
    let annotated = changed(&selecting(json!({"public": "a"})), "/metadata/annotations", json!({"a/b~c": "d"}));
    let (stored, _) = created(&annotated);
    assert_eq!(stored["metadata"]["annotations"]["a/b~c"], "d");
    assert_eq!(stored["metadata"]["annotations"][WRITTEN_ANNOTATION], r#"{"public":["10.1.0.0/16"]}"#);
}

#[test]
fn nothing_is_written_where_nothing_is_certain_or_asked_for() {
    let plain = selecting(json!({"public": "a"}));
    let network = json!({
        "apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork",
        "metadata": {"name": "other", "namespace": "rook-ceph"},
        "spec": {
            "clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": "my-cluster"},
            "provider": "multus", "interfaces": {"public": "a"},
        },
    });
    let in_its_place = world(writing_settings(), &[networks(), vec![network]].concat());
    let off = world(Settings { mode: Mode::Off, ..writing_settings() }, &networks());
    let offered = world(Settings::default(), &networks());
    for snapshot in [in_its_place, off, offered] {
        assert!(write(&snapshot, &change(Operation::Create, &Value::Null, &plain)).is_none());
    }
    for cluster in [
        ceph(json!({})),
        ceph(json!({"provider": "host"})),
        ceph(json!({"provider": "multus", "selectors": {}})),
        // What is wrong is said elsewhere, and mended by whoever wrote it.
        selecting(json!({"public": "a@b@c"})),
        with_ranges(&plain, json!("10.1.0.0/16")),
        with_ranges(&plain, json!({"public": "10.1.0.0/16"})),
        with_ranges(&plain, json!({"public": ["10.9.0.0/16"]})),
        with_ranges(&plain, json!({"cluster": ["10.2.0.0/16"]})),
        changed(&plain, "/metadata/annotations", json!({"multihome.rook.io/mode": "off"})),
    ] {
        assert_eq!(created(&cluster), (cluster.clone(), None));
    }
    assert!(write(&snapshot(), &change(Operation::Delete, &plain, &Value::Null)).is_none());
}

#[test]
fn what_is_not_certain_is_left_out_and_that_is_said_once() {
    for public in ["dhcp", "missing", r#"{"name": "a", "ips": ["10.1.0.7/16"]}"#] {
        let cluster = selecting(json!({"public": public}));
        let (stored, warning) = created(&cluster);
        assert_eq!(stored, cluster);
        let said =
            "rook-multihome writes no spec.network.addressRanges for public, whose addresses are not known for certain";
        assert_eq!(warning.as_deref(), Some(said));
        let later = changed(&cluster, "/spec/cephVersion", json!({"image": "new"}));
        assert_eq!(updated_to(&cluster, &later), (later.clone(), None));
    }
}

#[test]
fn audit_says_what_would_have_been_written() {
    let audited = world(Settings { mode: Mode::Audit, ..writing_settings() }, &networks());
    let plain = selecting(json!({"public": "a"}));
    let annotated = changed(&plain, "/metadata/annotations", json!({"multihome.rook.io/mode": "audit"}));
    for (snapshot, cluster) in [(audited, plain), (snapshot(), annotated)] {
        let (stored, warning) = written(&snapshot, Operation::Create, &Value::Null, &cluster);
        assert_eq!(stored, cluster);
        let expected = "rook-multihome is in audit mode, and would have written spec.network.addressRanges, so that Rook need not run pods to find them: public: [10.1.0.0/16]";
        assert_eq!(warning.unwrap(), expected);
    }
}

#[test]
fn what_was_written_here_follows_its_selector() {
    let (old, _) = created(&selecting(json!({"public": "a", "cluster": "b"})));
    let select = |key: &str, network: Value| changed(&old, &format!("/spec/network/selectors/{key}"), network);
    let without_cluster = changed(&old, "/spec/network/selectors", json!({"public": "a"}));
    let host = changed(&changed(&old, "/spec/network/provider", json!("host")), "/spec/network/selectors", json!({}));
    let a = json!({"public": ["10.1.0.0/16"]});
    let took = "rook-multihome took back what it had written to spec.network.addressRanges for";
    for (new, expected, said) in [
        (
            select("public", json!("c")),
            json!({"public": ["10.3.0.0/16"], "cluster": ["10.2.0.0/16"]}),
            format!("{WROTE}public: [10.3.0.0/16]"),
        ),
        (select("cluster", json!("dhcp")), a.clone(), format!("{took} cluster, which does not hold any more")),
        (without_cluster, a, format!("{took} cluster, which does not hold any more")),
        (
            select("cluster", json!("")),
            json!({"public": ["10.1.0.0/16"]}),
            format!("{took} cluster, which does not hold any more"),
        ),
        (host, Value::Null, format!("{took} cluster and public, which does not hold any more")),
        (
            changed(&old, "/spec/network/provider", json!("")),
            Value::Null,
            format!("{took} cluster and public, which does not hold any more"),
        ),
    ] {
        let (stored, warning) = updated_to(&old, &new);
        assert_eq!(warning, Some(said), "{new}");
        assert_eq!((ranges(&stored), recorded(&stored)), (expected.clone(), expected));
    }
    // Back from nothing, they are written again.
    let none = ceph(json!({"provider": ""}));
    let (stored, _) = updated_to(&none, &selecting(json!({"public": "a"})));
    assert_eq!(ranges(&stored), json!({"public": ["10.1.0.0/16"]}));
}

#[test]
fn what_a_person_has_written_stays() {
    let (ours, _) = created(&selecting(json!({"public": "a", "cluster": "b"})));
    let theirs = with_ranges(&ours, json!({"public": ["10.0.0.0/8"], "cluster": ["10.2.0.0/16"]}));
    // As they write it, and with the selector in one go.
    for (old, new) in [
        (&ours, theirs.clone()),
        (&ours, changed(&theirs, "/spec/network/selectors/public", json!("c"))),
        (&theirs, changed(&theirs, "/spec/network/selectors/public", json!("c"))),
    ] {
        assert_eq!(updated_to(old, &new), (new.clone(), None));
    }
    let (stored, _) = updated_to(&theirs, &changed(&theirs, "/spec/network/selectors/cluster", json!("c")));
    assert_eq!(ranges(&stored), json!({"public": ["10.0.0.0/8"], "cluster": ["10.3.0.0/16"]}));
    assert_eq!(recorded(&stored), json!({"cluster": ["10.3.0.0/16"]}), "what is theirs is not recorded any more");
    // Whose selector has gone, they have to mend themselves.
    let gone = changed(&theirs, "/spec/network/selectors", json!({"cluster": "b"}));
    assert_eq!(updated_to(&theirs, &gone), (gone.clone(), None));
}

#[test]
fn what_a_person_has_taken_away_is_not_brought_back() {
    let (ours, _) = created(&selecting(json!({"public": "a", "cluster": "b"})));
    let without =
        changed(&ours, "/spec/network", json!({"provider": "multus", "selectors": {"public": "a", "cluster": "b"}}));
    assert_eq!(updated_to(&ours, &without), (without.clone(), None));
    let later = changed(&without, "/spec/cephVersion", json!({"image": "new"}));
    assert_eq!(updated_to(&without, &later), (later.clone(), None));
    let (stored, _) = updated_to(&later, &changed(&later, "/spec/network/selectors/public", json!("c")));
    assert_eq!(ranges(&stored), json!({"public": ["10.3.0.0/16"]}), "another network is another question");
}

#[test]
fn a_change_of_something_else_writes_nothing() {
    let (ours, _) = created(&selecting(json!({"public": "a", "cluster": "b"})));
    let plain = selecting(json!({"public": "a"}));
    for old in [ours, plain] {
        for (pointer, value) in [
            ("/spec/cephVersion", json!({"image": "new"})),
            ("/status", json!({"phase": "Ready"})),
            ("/metadata/labels", json!({"a": "b"})),
            ("/metadata/deletionTimestamp", json!("2026-11-22T00:00:00Z")),
        ] {
            let new = changed(&old, pointer, value);
            assert_eq!(updated_to(&old, &new), (new.clone(), None), "{pointer}");
        }
    }
}

#[test]
fn an_annotation_that_cannot_be_read_records_nothing() {
    for text in ["", "{", "[]", "null", r#"{"public": 5}"#] {
        let annotated =
            changed(&selecting(json!({"public": "a"})), "/metadata/annotations", json!({WRITTEN_ANNOTATION: text}));
        let (stored, _) = created(&annotated);
        assert_eq!(recorded(&stored), json!({"public": ["10.1.0.0/16"]}));
        let theirs = with_ranges(&annotated, json!({"public": ["10.0.0.0/8"]}));
        let moved = changed(&theirs, "/spec/network/selectors/public", json!("c"));
        assert_eq!(updated_to(&theirs, &moved), (moved.clone(), None));
    }
}
