//! Address ranges, written into a cluster as it is created or one of its selectors changes, so that Rook need not run pods to find
//! them out.
//!
//! What a person has written is never changed. What was written here is recorded in an annotation, and follows the selector for
//! as long as nobody else changes it.

use ipnet::IpNet;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Map, Value, json};

use super::address_ranges::{LeftOut, Ranges, in_words, of_keys};
use super::change::{Change, Operation, Versions};
use super::declaration::Declaration;
use super::scene::{Candidate, Scene};
use crate::network::NetworkKey;
use crate::storage::FieldPath;
use crate::world::{AddressRanges, Mode, Snapshot};

/// The annotation of a cluster that records which of its address ranges were written here.
pub const WRITTEN_ANNOTATION: &str = "multihome.rook.io/address-ranges";

/// What is written into a cluster.
#[derive(Debug)]
pub struct Writing {
    /// The operations; none in audit mode.
    pub patch: Patch,
    /// What is said about it.
    pub warning: String,
}

/// The address ranges to write with a change; nothing where there are none.
#[must_use]
pub fn write(snapshot: &Snapshot, change: &Change<'_>) -> Option<Writing> {
    let is_asked = snapshot.settings().checks.address_ranges == AddressRanges::Write;
    if !is_asked || change.operation == Operation::Delete || change.leaves_networks() {
        return None;
    }
    let field = change.cluster_kind(snapshot.catalogue())?.address_ranges.as_ref()?;
    let recorded = recorded(change.new);
    // A range whose selector has gone makes a cluster invalid; one that was written here must not.
    let bare = without(change.new, field, &recorded);
    let versions = Change { new: &bare, ..*change }.versions(snapshot)?;
    let candidate = versions.new.as_ref()?;
    let Candidate::Cluster(cluster) = candidate else { return None };
    let scene = Scene::with(snapshot, candidate);
    let mode = scene.mode_of(candidate);
    let system = snapshot.catalogue().system_of(&cluster.group, &cluster.kind)?;
    let declaration = Declaration::of_cluster(system, cluster, scene.storage_network_of(cluster));
    let plan = Plan::new(change, &versions, field, &recorded, &Known::of(scene, declaration));
    let patch = match mode {
        _ if plan.says_nothing() => return None,
        Mode::Off => return None,
        Mode::Audit => Patch::default(),
        Mode::Enforce if plan.does_nothing() => Patch::default(),
        Mode::Enforce => plan.patch(change.new, field)?,
    };
    Some(Writing { patch, warning: plan.in_words(mode, field) })
}

/// What was written here, as far as the object says.
fn recorded(object: &Value) -> Map<String, Value> {
    let annotation = object.pointer("/metadata/annotations").and_then(|all| all.get(WRITTEN_ANNOTATION));
    annotation.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The object without those ranges that still are what was written here.
fn without(object: &Value, field: &FieldPath, recorded: &Map<String, Value>) -> Value {
    let mut bare = object.clone();
    let pointer = PointerBuf::from_tokens(field.as_str().split('.'));
    if let Some(ranges) = bare.pointer_mut(pointer.as_str()).and_then(Value::as_object_mut) {
        ranges.retain(|key, there| recorded.get(key) != Some(there));
    }
    bare
}

/// What is known of the addresses of each key.
struct Known<'s> {
    certain: Ranges,
    uncertain: Vec<&'s NetworkKey>,
}

impl<'s> Known<'s> {
    fn of(scene: Scene<'s>, declaration: Declaration<'s>) -> Self {
        let mut known = Self { certain: Ranges::new(), uncertain: Vec::new() };
        for (key, ranges) in of_keys(scene, declaration) {
            match ranges {
                Ok(ranges) => _ = known.certain.insert(key.clone(), ranges),
                // Nobody expects ranges where no network is attached.
                Err(LeftOut::OnHosts) => {}
                Err(_) => known.uncertain.push(key),
            }
        }
        known
    }
}

/// What is to be done with each key.
#[derive(Default)]
struct Plan {
    /// Ranges to be written,
    write: Ranges,
    /// ranges that were written here and do not hold any more,
    remove: Vec<NetworkKey>,
    /// keys that are left without any where they might have got some, because nothing is certain about them,
    left: Vec<NetworkKey>,
    /// and what is written here afterwards, to be recorded.
    recorded: Map<String, Value>,
}

impl Plan {
    fn new(
        change: &Change<'_>,
        versions: &Versions<'_>,
        field: &FieldPath,
        recorded: &Map<String, Value>,
        known: &Known<'_>,
    ) -> Self {
        let mut plan = Self::default();
        let Some(spec) = versions.new.as_ref().and_then(Candidate::spec) else { return plan };
        let before = versions.old.as_ref().and_then(Candidate::spec);
        // A key is looked at when its selector has come, changed or gone.
        let has_changed = |key: &NetworkKey| {
            change.operation == Operation::Create
                || before.is_none_or(|before| {
                    (before.provider, before.selections.get(key)) != (spec.provider, spec.selections.get(key))
                })
        };
        let declared = field.value_in(change.new);
        let gone = recorded.keys().map(|key| NetworkKey::from(key.as_str()));
        let gone = gone.filter(|key| !spec.selections.contains_key(key));
        for key in spec.selections.keys().cloned().chain(gone) {
            let there = declared.and_then(|declared| declared.get(key.as_str())).filter(|ranges| !is_empty(ranges));
            let is_ours = there.is_some() && there == recorded.get(key.as_str());
            match (there, known.certain.get(&key)) {
                // Somebody has taken it away, or written something else.
                (None, _) if !has_changed(&key) => {}
                (None, None) if known.uncertain.contains(&&key) => plan.left.push(key),
                (None, None) => {}
                (Some(_), _) if !is_ours => {}
                (Some(_), None) if has_changed(&key) => plan.remove.push(key),
                (Some(there), Some(ranges)) if !has_changed(&key) || *there == as_json(ranges) => {
                    plan.recorded.insert(key.to_string(), there.clone());
                }
                (Some(there), None) => _ = plan.recorded.insert(key.to_string(), there.clone()),
                (None | Some(_), Some(ranges)) => {
                    plan.recorded.insert(key.to_string(), as_json(ranges));
                    plan.write.insert(key, ranges.clone());
                }
            }
        }
        plan
    }

    fn does_nothing(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }

    fn says_nothing(&self) -> bool {
        self.does_nothing() && self.left.is_empty()
    }

    fn patch(&self, object: &Value, field: &FieldPath) -> Option<Patch> {
        let mut declared = field.value_in(object).and_then(Value::as_object).cloned().unwrap_or_default();
        for key in &self.remove {
            declared.remove(key.as_str());
        }
        declared.extend(self.write.iter().map(|(key, ranges)| (key.to_string(), as_json(ranges))));
        let tokens: Vec<&str> = field.as_str().split('.').collect();
        // The object around the field has the selectors, so it is there.
        let is_there = field.value_in(object).is_some();
        let mut operations = Vec::new();
        match (declared.is_empty(), is_there) {
            (true, true) => operations.push(remove(&tokens)),
            (true, false) => {}
            (false, _) => operations.push(add(&tokens, Value::Object(declared))),
        }
        let record = Value::String(serde_json::to_string(&self.recorded).ok()?);
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
        let has_record = annotations.is_some_and(|annotations| annotations.contains_key(WRITTEN_ANNOTATION));
        match (annotations, self.recorded.is_empty()) {
            (_, true) if has_record => operations.push(remove(&["metadata", "annotations", WRITTEN_ANNOTATION])),
            (_, true) => {}
            (Some(_), false) => operations.push(add(&["metadata", "annotations", WRITTEN_ANNOTATION], record)),
            (None, false) => operations.push(add(&["metadata", "annotations"], json!({ WRITTEN_ANNOTATION: record }))),
        }
        Some(Patch(operations))
    }

    fn in_words(&self, mode: Mode, field: &FieldPath) -> String {
        let (who, wrote, took_back) = match mode {
            Mode::Enforce => ("rook-multihome", "wrote", "took back"),
            Mode::Audit | Mode::Off => {
                ("rook-multihome is in audit mode, and", "would have written", "would have taken back")
            }
        };
        if self.does_nothing() {
            let keys = listed(&self.left);
            return format!("rook-multihome writes no {field} for {keys}, whose addresses are not known for certain");
        }
        let mut said = Vec::new();
        if !self.write.is_empty() {
            let ranges = in_words(&self.write);
            said.push(format!("{wrote} {field}, so that Rook need not run pods to find them: {ranges}"));
        }
        if !self.remove.is_empty() {
            let keys = listed(&self.remove);
            said.push(format!("{took_back} what it had written to {field} for {keys}, which does not hold any more"));
        }
        if !self.left.is_empty() {
            said.push(format!("left out {}, whose addresses are not known for certain", listed(&self.left)));
        }
        format!("{who} {}", said.join("; it "))
    }
}

fn listed(keys: &[NetworkKey]) -> String {
    keys.iter().map(NetworkKey::as_str).collect::<Vec<_>>().join(" and ")
}

fn as_json(ranges: &[IpNet]) -> Value {
    ranges.iter().map(ToString::to_string).collect()
}

fn is_empty(ranges: &Value) -> bool {
    ranges.is_null() || ranges.as_array().is_some_and(Vec::is_empty)
}

fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path.iter().copied()), value })
}

fn remove(path: &[&str]) -> PatchOperation {
    PatchOperation::Remove(RemoveOperation { path: PointerBuf::from_tokens(path.iter().copied()) })
}
