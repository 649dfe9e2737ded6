//! Workloads and their owners: the way from a pod to its cluster's resource.
//!
//! Only who owns whom is kept. The way is walked in memory, from the owner references of the pod being created; it must never
//! be guessed: what has not been seen yet is said to be not seen.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::cluster::Cluster;
use crate::storage::{System, WorkloadKind};

/// One workload, as far as its owners go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// The identity of this very object; none where it comes from a file that does not say.
    uid: Option<Box<str>>,
    owners: Box<[Owner]>,
}

/// One owner reference.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    api_version: Box<str>,
    kind: Box<str>,
    name: Box<str>,
    uid: Box<str>,
}

/// One owner reference of a pod or of a workload, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct OwnerRef<'o> {
    /// Group and version, where the reference has a group.
    pub api_version: &'o str,
    /// The kind.
    pub kind: &'o str,
    /// The name; an owner is always in the namespace of what it owns.
    pub name: &'o str,
    /// The identity of the owner; empty where it is not known.
    pub uid: &'o str,
}

/// Where the owners of a pod lead.
#[derive(Debug)]
pub enum Lead<'s> {
    /// To these clusters; mostly one.
    To(Vec<&'s Cluster>),
    /// To none, and everything on the way is known.
    Nowhere,
    /// To what is not known (yet): a workload that was made a moment ago.
    NotSeen {
        /// Its kind.
        kind: WorkloadKind,
        /// Its name.
        name: String,
    },
}

/// The workloads, by namespace: a change copies no more than those of one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Workloads {
    namespaces: HashMap<Box<str>, Arc<InNamespace>>,
}

type InNamespace = BTreeMap<WorkloadKind, HashMap<Box<str>, Workload>>;

/// No way leads over more workloads than this: that of a CronJob's pod over two. Owner references of strangers may form a ring.
const LONGEST_WAY: usize = 32;

impl Workload {
    pub(super) fn read(object: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().into();
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let owners = owners.map(|owner| Owner {
            api_version: text(owner, "apiVersion"),
            kind: text(owner, "kind"),
            name: text(owner, "name"),
            uid: text(owner, "uid"),
        });
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).map(Into::into);
        Self { uid, owners: owners.collect() }
    }
}

impl Owner {
    fn as_ref(&self) -> OwnerRef<'_> {
        OwnerRef { api_version: &self.api_version, kind: &self.kind, name: &self.name, uid: &self.uid }
    }
}

impl OwnerRef<'_> {
    /// Whether the object with this name and identity is meant. Where the identity is known, it decides: some of Rook's operators
    /// wrote the namespace in the place of the name. Files mostly do not say it.
    fn means(&self, name: &str, uid: Option<&str>) -> bool {
        match uid.filter(|uid| !uid.is_empty() && !self.uid.is_empty()) {
            Some(uid) => uid == self.uid,
            None => name == self.name,
        }
    }
}

impl Workloads {
    fn get(&self, namespace: &str, kind: WorkloadKind, name: &str) -> Option<&Workload> {
        self.namespaces.get(namespace)?.get(&kind)?.get(name)
    }

    /// Whether the very same is known already. Workloads change all the time in what does not matter here.
    pub(super) fn has(&self, namespace: &str, kind: WorkloadKind, name: &str, workload: &Workload) -> bool {
        self.get(namespace, kind, name) == Some(workload)
    }

    /// Returns whether one was replaced.
    pub(super) fn insert(&mut self, namespace: &str, kind: WorkloadKind, name: &str, workload: Workload) -> bool {
        let here = Arc::make_mut(self.namespaces.entry(namespace.into()).or_default());
        here.entry(kind).or_default().insert(name.into(), workload).is_some()
    }

    pub(super) fn remove(&mut self, namespace: &str, kind: WorkloadKind, name: &str) {
        if let Some(here) = self.namespaces.get_mut(namespace)
            && let Some(workloads) = Arc::make_mut(here).get_mut(&kind)
        {
            workloads.remove(name);
        }
    }

    pub(super) fn remove_all(&mut self, namespace: &str, kind: WorkloadKind) {
        if let Some(here) = self.namespaces.get_mut(namespace) {
            Arc::make_mut(here).remove(&kind);
            if here.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }

    /// How many workloads are known.
    pub(super) fn len(&self) -> usize {
        self.namespaces.values().flat_map(|here| here.values()).map(HashMap::len).sum()
    }

    /// Where `owners` lead in `namespace`: to which of `clusters`, over the workloads that `system` goes by. Owners of other kinds
    /// lead nowhere.
    pub(super) fn lead<'s>(
        &self,
        namespace: &str,
        system: &System,
        clusters: &[&'s Cluster],
        owners: &[OwnerRef<'_>],
    ) -> Lead<'s> {
        let resource_of = |cluster: &Cluster| {
            let mut kinds = system.clusters.iter().map(|kind| &kind.resource);
            kinds.find(|resource| resource.kind == cluster.kind && resource.group == cluster.group)
        };
        let mut ahead: VecDeque<OwnerRef<'_>> = owners.iter().copied().collect();
        let mut reached: Vec<&'s Cluster> = Vec::new();
        let mut not_seen = None;
        let mut steps = 0;
        while let Some(owner) = ahead.pop_front() {
            let cluster = clusters.iter().find(|cluster| {
                resource_of(cluster).is_some_and(|known| known.is_referred_to(owner.api_version, owner.kind))
                    && owner.means(&cluster.id.name, cluster.uid.as_deref())
            });
            if let Some(cluster) = cluster {
                if !reached.iter().any(|known| std::ptr::eq(*known, *cluster)) {
                    reached.push(cluster);
                }
                continue;
            }
            let kind = WorkloadKind::of_reference(owner.api_version, owner.kind);
            let Some(kind) = kind.filter(|kind| system.owners.contains(kind)) else { continue };
            steps += 1;
            if steps > LONGEST_WAY {
                break;
            }
            match self.get(namespace, kind, owner.name).filter(|known| owner.means(owner.name, known.uid.as_deref())) {
                Some(workload) => ahead.extend(workload.owners.iter().map(Owner::as_ref)),
                None => not_seen = Some(Lead::NotSeen { kind, name: owner.name.to_owned() }),
            }
        }
        match (reached.is_empty(), not_seen) {
            (false, _) => Lead::To(reached),
            (true, Some(not_seen)) => not_seen,
            (true, None) => Lead::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests;
