//! A storage system: its cluster resource, its network keys and its roles.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::labels::{LabelRule, Labels, RuleIndex};
use super::resource::{FieldPath, Resource};
use super::role::{Role, Treatment};
use crate::network::NetworkKey;

/// The name of a storage system, such as `ceph`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct SystemName(Arc<str>);

/// One storage system, read and found consistent.
#[derive(Debug, Deserialize)]
#[serde(try_from = "SystemEntry")]
pub struct System {
    /// What the system is called.
    pub name: SystemName,
    /// The custom resource that stands for one cluster.
    pub cluster: Resource,
    /// Where the network spec lies in it.
    pub network: FieldPath,
    /// The network keys, in the order in which networks are attached.
    pub keys: Vec<KeyDescription>,
    /// Signs that a pod belongs to the system even where its role is not known.
    pub marks: Vec<LabelRule>,
    /// The roles; the first that matches a pod is its role.
    pub roles: Vec<Role>,
    index: RuleIndex,
}

/// One network key of a system.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDescription {
    /// The key.
    pub name: NetworkKey,
    /// What travels there, for people.
    pub about: String,
    /// The key whose network stands in where a cluster does not declare this one.
    pub fallback: Option<NetworkKey>,
}

impl SystemName {
    /// The name as it stands in the catalogue.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl System {
    /// The role of a pod with these labels, and the rule by which it was recognised.
    pub fn role_of(&self, labels: &impl Labels) -> Option<(&Role, &LabelRule)> {
        self.index.find(labels).map(|(role, rule)| (&self.roles[role], rule))
    }

    /// Whether a pod with these labels says that it is of this system.
    pub fn is_marked(&self, labels: &impl Labels) -> bool {
        self.marks.iter().any(|mark| mark.matches(labels))
    }

    /// The keys to look under for the network behind `key`: the key itself, then what it falls back to.
    pub fn keys_behind<'s>(&'s self, key: &'s NetworkKey) -> impl Iterator<Item = &'s NetworkKey> {
        std::iter::successors(Some(key), |key| self.description(key).and_then(|known| known.fallback.as_ref()))
            // A ring of fallbacks is refused when the catalogue is read; this only bounds the walk.
            .take(self.keys.len())
    }

    fn description(&self, key: &NetworkKey) -> Option<&KeyDescription> {
        self.keys.iter().find(|known| known.name == *key)
    }

    fn check(&self) -> Result<(), String> {
        for key in &self.keys {
            if let Some(fallback) = &key.fallback
                && self.description(fallback).is_none()
            {
                return Err(format!("key {}: its fallback {fallback} is not among the keys", key.name));
            }
            let ring = std::iter::successors(Some(&key.name), |key| {
                self.description(key).and_then(|known| known.fallback.as_ref())
            });
            if ring.take(self.keys.len() + 1).count() > self.keys.len() {
                return Err(format!("key {}: its fallbacks lead back to a key that came before", key.name));
            }
        }
        for (position, role) in self.roles.iter().enumerate() {
            if self.roles[..position].iter().any(|other| other.name == role.name) {
                return Err(format!("role {}: the name is given twice", role.name));
            }
            if let Treatment::Networks(keys) = &role.treatment
                && let Some(unknown) = keys.iter().find(|key| self.description(key).is_none())
            {
                return Err(format!("role {}: its network {unknown} is not among the keys", role.name));
            }
        }
        Ok(())
    }
}

/// A system as it is written in the catalogue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemEntry {
    system: SystemName,
    cluster: ClusterEntry,
    keys: Vec<KeyDescription>,
    #[serde(default)]
    marks: Vec<LabelRule>,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterEntry {
    resource: Resource,
    network: FieldPath,
}

impl TryFrom<SystemEntry> for System {
    type Error = String;

    fn try_from(entry: SystemEntry) -> Result<Self, String> {
        let SystemEntry { system, cluster, keys, marks, roles } = entry;
        let rules =
            roles.iter().enumerate().flat_map(|(number, role)| role.rules.iter().map(move |rule| (rule, number)));
        let index = RuleIndex::new(rules);
        let ClusterEntry { resource, network } = cluster;
        let system = Self { name: system, cluster: resource, network, keys, marks, roles, index };
        system.check()?;
        Ok(system)
    }
}
