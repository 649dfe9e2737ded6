//! A storage system: the resources that stand for its clusters, its network keys and its roles.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::check;
use super::labels::{LabelRule, Labels, Matched, RuleIndex};
use super::names::NAME_LENGTH;
use super::resource::{FieldPath, Resource};
use super::role::{Role, RoleEntry, RoleName};
use super::workload::WorkloadKind;
use crate::api::{LABEL_KEY, PLAIN_NAME};
use crate::network::NetworkKey;

/// The name of a storage system, such as `ceph`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = PLAIN_NAME, "maxLength" = NAME_LENGTH))]
pub struct SystemName(Arc<str>);

/// One storage system, read and found consistent.
#[derive(Debug, Deserialize)]
#[serde(try_from = "SystemEntry")]
pub struct System {
    /// What the system is called.
    pub name: SystemName,
    /// The kinds of custom resources that stand for one cluster.
    pub clusters: Vec<ClusterKind>,
    /// The workloads that lead from a pod to its cluster's resource; empty where owners say nothing about that.
    pub owners: Vec<WorkloadKind>,
    /// The key whose network clients in other namespaces may be given.
    pub client: Option<NetworkKey>,
    /// The network keys, in the order in which networks are attached.
    pub keys: Vec<KeyDescription>,
    /// Signs that a pod belongs to the system even where its role is not known.
    pub marks: Vec<LabelRule>,
    /// The roles; the first that matches a pod is its role.
    pub roles: Vec<Role>,
    index: RuleIndex,
}

/// A kind of custom resource that stands for one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterKind {
    /// The custom resource.
    pub resource: Resource,
    /// Where the network spec lies in it: provider and selectors, as Rook has them. Left out: it has none, and networks are
    /// declared by a StorageNetwork.
    pub network: Option<FieldPath>,
    /// Fields in the network spec that mean the host network by being there, where no provider is given.
    #[serde(default)]
    pub host_fields: Vec<String>,
    /// The pod's label whose value is the name of the cluster.
    #[schemars(extend("pattern" = LABEL_KEY))]
    pub named_by: Option<String>,
    /// Where it says how large the cluster is. It is used to judge whether a network has addresses enough.
    #[serde(default)]
    pub size: SizeFields,
    /// Where it declares the ranges of addresses of its networks, as a map from network key to CIDRs. Left out: nowhere.
    pub address_ranges: Option<FieldPath>,
}

/// Fields that say how large a cluster is. A number counts as it is, a list by its length; a path may lead through the items of a
/// list, and what they say is summed. What is not said counts as none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SizeFields {
    /// How many hosts have pods of it: the largest of these.
    #[serde(default)]
    pub hosts: Vec<FieldPath>,
    /// How many pods with networks it has: the sum of these.
    #[serde(default)]
    pub members: Vec<FieldPath>,
    /// How many of the members are of a role, where that is said apart: the sum of these.
    #[serde(default)]
    pub roles: BTreeMap<RoleName, Vec<FieldPath>>,
}

/// One network key of a system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyDescription {
    /// The key.
    pub name: NetworkKey,
    /// What travels there, for people.
    pub about: String,
    /// The key whose network stands in where a cluster does not declare this one. Two keys may stand in for each other.
    pub fallback: Option<NetworkKey>,
}

/// The role of a pod, and how it was told.
#[derive(Clone, Copy, Debug)]
pub struct FoundRole<'s, 'c> {
    /// The role.
    pub role: &'s Role,
    /// The rule that matched.
    pub by: &'s LabelRule,
    /// The cluster that the rule found in a label.
    pub cluster: Option<&'c str>,
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

/// The keys to look under for the network behind `key`: the key itself, then what it falls back to in `system`, where there is one.
pub fn keys_behind<'s>(
    system: Option<&'s System>,
    key: &'s NetworkKey,
) -> impl Iterator<Item = &'s NetworkKey> + use<'s> {
    // Keys may stand in for each other, so the walk could go round and round.
    let most = system.map_or(1, |system| system.keys.len().max(1));
    std::iter::successors(Some(key), move |key| system?.description(key)?.fallback.as_ref()).take(most)
}

impl System {
    /// The kind of its clusters that are resources of this group and kind.
    #[must_use]
    pub fn cluster_kind(&self, group: &str, kind: &str) -> Option<&ClusterKind> {
        self.clusters.iter().find(|known| known.resource.group == group && known.resource.kind == kind)
    }

    /// The role of a pod with these labels. `clusters` are the names of the system's clusters in its namespace, and `is_owned_by`
    /// says whether the pod's own owner is of one of some kinds; it is only asked where a role depends on that.
    pub fn role_of<'c>(
        &self,
        labels: &impl Labels,
        clusters: &[&'c str],
        is_owned_by: impl Fn(&[String]) -> bool,
    ) -> Option<FoundRole<'_, 'c>> {
        let may_be = |role: usize| {
            let kinds = &self.roles[role].owner_kinds;
            kinds.is_empty() || is_owned_by(kinds)
        };
        let (role, by, Matched { cluster }) = self.index.find(labels, clusters, may_be)?;
        Some(FoundRole { role: &self.roles[role], by, cluster })
    }

    /// The role of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name.as_str() == name)
    }

    /// Whether a pod with these labels says that it is of this system.
    pub fn is_marked(&self, labels: &impl Labels) -> bool {
        self.marks.iter().any(|mark| mark.matches(labels))
    }

    fn description(&self, key: &NetworkKey) -> Option<&KeyDescription> {
        self.keys.iter().find(|known| known.name == *key)
    }
}

/// A storage system: what its clusters are called, which roles its pods have, and which networks a role needs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "StorageSystem")]
pub(super) struct SystemEntry {
    /// The name of the system, in metrics and explanations.
    system: SystemName,
    /// The kinds of custom resources that stand for one cluster.
    #[schemars(length(min = 1))]
    clusters: Vec<ClusterKind>,
    /// The kinds of workloads that lead from a pod to its cluster's resource by owner references. They are watched, metadata only,
    /// in namespaces that have a cluster, to tell clusters apart and to check what pods claim. Left out: owners say nothing.
    #[serde(default)]
    owners: Vec<WorkloadKind>,
    /// The key whose network clients in other namespaces may be given. Left out: none. Never the one for replication.
    client: Option<NetworkKey>,
    /// The network keys, in the order in which networks are attached.
    keys: Vec<KeyDescription>,
    /// Labels that show that a pod belongs to the system, even if no role fits it; one entry is enough.
    #[serde(default)]
    marks: Vec<LabelRule>,
    /// The roles; the first that matches a pod is its role.
    #[schemars(with = "Vec<RoleEntry>")]
    roles: Vec<Role>,
}

impl TryFrom<SystemEntry> for System {
    type Error = String;

    fn try_from(entry: SystemEntry) -> Result<Self, String> {
        let SystemEntry { system, clusters, owners, client, keys, marks, roles } = entry;
        let rules =
            roles.iter().enumerate().flat_map(|(number, role)| role.rules.iter().map(move |rule| (rule, number)));
        let index = RuleIndex::new(rules);
        let system = Self { name: system, clusters, owners, client, keys, marks, roles, index };
        check(&system)?;
        Ok(system)
    }
}
