//! Address ranges, written into a cluster as it is created or one of its selectors changes, so that Rook need not run pods to find
//! them out.
//!
//! What a person has written is never changed. What was written here is recorded in an annotation, and follows the selector for
//! as long as nobody else changes it.

use ipnet::IpNet;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Map, Value, json};

use super::address_ranges::{Ranges, in_words, known};
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
    if !is_asked || change.operation == Operation::Delete || change.leaves_spec() {
        return None;
    }
    let versions = change.versions(snapshot)?;
    let field = versions.kind?.address_ranges.as_ref()?;
    let candidate = versions.new.as_ref()?;
    let Candidate::Cluster(cluster) = candidate else { return None };
    let mode = cluster.mode.unwrap_or(snapshot.settings().mode);
    let scene = Scene::with(snapshot, candidate);
    let system = snapshot.catalogue().system_of(&cluster.group, &cluster.kind)?;
    let declaration = Declaration::of_cluster(system, cluster, scene.storage_network_of(cluster));
    let known = known(scene, declaration);
    let plan = Plan::new(change, &versions, field, &known);
    if plan.write.is_empty() && plan.remove.is_empty() || mode == Mode::Off {
        return None;
    }
    let said = plan.in_words(&versions);
    let patch = if mode == Mode::Enforce { plan.patch(change.new, field)? } else { Patch::default() };
    let warning = match mode {
        Mode::Enforce => format!("rook-multihome {said}"),
        Mode::Audit | Mode::Off => {
            format!("rook-multihome is in audit mode for {cluster}, and would have said: it {said}")
        }
    };
    Some(Writing { patch, warning })
}

/// What is to be done with each key.
struct Plan {
    /// Ranges to be written,
    write: Ranges,
    /// ranges that were written here and do not hold any more,
    remove: Vec<NetworkKey>,
    /// and what is written here afterwards, to be recorded.
    recorded: Map<String, Value>,
}

impl Plan {
    fn new(change: &Change<'_>, versions: &Versions<'_>, field: &FieldPath, known: &Ranges) -> Self {
        let annotation = change.new.pointer("/metadata/annotations").and_then(|all| all.get(WRITTEN_ANNOTATION));
        let recorded = annotation.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
        let recorded: Map<String, Value> = recorded.unwrap_or_default();
        let declared = field.value_in(change.new);
        let mut plan = Self { write: Ranges::new(), remove: Vec::new(), recorded: Map::new() };
        let spec = versions.new.as_ref().and_then(Candidate::spec);
        let before = versions.old.as_ref().and_then(Candidate::spec);
        // A key is looked at when its selector has come or changed.
        let has_changed = |key: &NetworkKey| {
            change.operation == Operation::Create
                || spec.map(|spec| (spec.provider, spec.selections.get(key)))
                    != before.map(|spec| (spec.provider, spec.selections.get(key)))
        };
        let gone = recorded.keys().map(|key| NetworkKey::from(key.as_str()));
        let gone = gone.filter(|key| spec.is_some_and(|spec| !spec.selections.contains_key(key)));
        let keys = spec.into_iter().flat_map(|spec| spec.selections.keys().cloned()).chain(gone);
        for key in keys {
            let there = declared.and_then(|declared| declared.get(key.as_str())).filter(|ranges| !is_empty(ranges));
            let is_ours = there.is_some() && there == recorded.get(key.as_str());
            match (there, known.get(&key)) {
                (None, Some(ranges)) if has_changed(&key) => _ = plan.write.insert(key.clone(), ranges.clone()),
                (Some(there), Some(ranges)) if is_ours && has_changed(&key) && *there != as_json(ranges) => {
                    plan.write.insert(key.clone(), ranges.clone());
                }
                (Some(_), None) if is_ours && has_changed(&key) => {
                    plan.remove.push(key);
                    continue;
                }
                // Somebody has taken it away, or written something else.
                (None, _) => continue,
                (Some(_), _) if !is_ours => continue,
                (Some(_), _) => {}
            }
            let ours = known.get(&key).filter(|_| plan.write.contains_key(&key)).map(|ranges| as_json(ranges));
            let ours = ours.or_else(|| recorded.get(key.as_str()).cloned());
            plan.recorded.extend(ours.map(|ours| (key.to_string(), ours)));
        }
        plan
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

    fn in_words(&self, versions: &Versions<'_>) -> String {
        let mut said = Vec::new();
        if !self.write.is_empty() {
            said.push(format!(
                "wrote spec.network.addressRanges, as its attachment definitions say, so that Rook need not look for them: {}",
                in_words(&self.write)
            ));
        }
        if !self.remove.is_empty() {
            let keys: Vec<&str> = self.remove.iter().map(NetworkKey::as_str).collect();
            said.push(format!(
                "took back the addressRanges that it had written for {}, which hold no more",
                keys.join(", ")
            ));
        }
        let spec = versions.new.as_ref().and_then(Candidate::spec);
        let left = spec.into_iter().flat_map(|spec| spec.selections.keys().map(move |key| (spec, key)));
        let left: Vec<&str> = left
            .filter(|(spec, key)| !spec.address_ranges.contains_key(*key) && !self.write.contains_key(*key))
            .map(|(_, key)| key.as_str())
            .collect();
        if !left.is_empty() {
            said.push(format!("left out {}, whose addresses cannot be known for certain", left.join(", ")));
        }
        said.join("; it ")
    }
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
