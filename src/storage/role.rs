//! Roles: what a pod does in its cluster, and what follows from that for its networks.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::labels::{LabelRule, Labels};
use super::names::NAME_LENGTH;
use super::resource::{FieldPath, Resource};
use crate::api::{KIND_NAME, LABEL_KEY, PLAIN_NAME};
use crate::network::{NetworkKey, shorten};

/// The name of a role, such as `osd`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = PLAIN_NAME, "maxLength" = NAME_LENGTH))]
pub struct RoleName(Arc<str>);

/// One role of a storage system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "RoleEntry")]
#[schemars(with = "RoleEntry")]
pub struct Role {
    /// What the role is called.
    pub name: RoleName,
    /// How its pods are recognised: any one of these rules is enough.
    pub rules: Vec<LabelRule>,
    /// The kinds of which the pod's own owner must be one; empty where it may be anything, or nothing.
    pub owner_kinds: Vec<String>,
    /// Whether its pods belong to the workloads of their cluster.
    pub owner: RoleOwner,
    /// What its pods get.
    pub treatment: Treatment,
    /// Where a user can decide about the host network for this role alone.
    pub host_override: Option<HostOverride>,
    /// What in a pod shows that it was rendered for the pod network, and must not be moved to the host's.
    pub host_evidence: Vec<Evidence>,
}

/// What the pods of a role get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// The networks behind these keys, in this order.
    Networks(Vec<NetworkKey>),
    /// Nothing, because the role has no use for a storage network; the text says why.
    NoNetwork(String),
    /// Nothing, because a change would do harm.
    NeverTouch {
        /// Which harm.
        why: String,
        /// The networks of those who take that risk by a setting; empty where nobody can.
        at_risk: Vec<NetworkKey>,
    },
}

/// What the owners of a role's pods say about their cluster, in a system that goes by owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleOwner {
    /// They lead to it.
    LeadsToCluster,
    /// Nothing: people make these pods, or other resources do.
    Any,
}

/// A field in which a user says whether one role uses the host network, whatever the provider is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "HostOverrideEntry")]
#[schemars(with = "HostOverrideEntry")]
pub struct HostOverride {
    /// Where the field lies in its resource.
    pub field: FieldPath,
    /// Which resource has the field.
    pub source: OverrideSource,
}

/// The resource that carries a [`HostOverride`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideSource {
    /// The cluster's own.
    Cluster,
    /// Another custom resource in the pod's namespace, whose name is the value of the pod's label.
    Named {
        /// The kind of resource.
        resource: Resource,
        /// The label of the pod that names it.
        label: String,
    },
}

/// A sign that a pod was rendered for the pod network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// An argument of any container.
    Argument(ArgumentEvidence),
    /// Labels of the pod.
    Labels(LabelRule),
}

/// An argument that begins with one text and, where that is given, contains another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ArgumentEvidence {
    /// What the argument begins with.
    #[schemars(length(min = 1))]
    pub(super) starts_with: String,
    /// What it contains besides.
    #[serde(default)]
    contains: String,
}

impl RoleName {
    /// A role of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as it stands in the catalogue.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Role {
    /// Why pods of this role must never be touched, unless the user takes the risk that goes with it and may.
    #[must_use]
    pub fn never_touched(&self, takes_risk: bool) -> Option<&str> {
        match &self.treatment {
            Treatment::NeverTouch { why, at_risk } if !takes_risk || at_risk.is_empty() => Some(why),
            Treatment::NeverTouch { .. } | Treatment::Networks(_) | Treatment::NoNetwork(_) => None,
        }
    }

    /// The first sign that a pod of this role was rendered for the pod network, in words. The arguments are those of all its
    /// containers.
    pub fn evidence_against_host(&self, labels: &impl Labels, arguments: &[&str]) -> Option<String> {
        self.host_evidence.iter().find_map(|evidence| match evidence {
            Evidence::Argument(sign) => arguments
                .iter()
                .find(|argument| argument.starts_with(&sign.starts_with) && argument.contains(&sign.contains))
                .map(|argument| format!("the argument {}", shorten(argument))),
            Evidence::Labels(rule) => rule.matches(labels).then(|| format!("the label {}", rule.describe())),
        })
    }
}

/// A role as it is written in the catalogue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RoleEntry {
    /// What the role is called, in explanations, metrics and StorageNetworks.
    name: RoleName,
    /// How its pods are recognised: any one entry is enough, and of an entry every label must match.
    #[serde(rename = "match")]
    #[schemars(length(min = 1))]
    rules: Vec<LabelRule>,
    /// The kinds, such as StatefulSet, of which the pod's own owner must be one. Left out: it may be anything, or nothing.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "string", "pattern": KIND_NAME, "maxLength": NAME_LENGTH }))]
    owner_kinds: Vec<String>,
    /// Whether the owners of these pods need not lead to the cluster: people make them, or other resources do. Only in systems
    /// with owners.
    #[serde(default)]
    any_owner: bool,
    /// The keys whose networks its pods get, in this order; an empty list needs a why.
    networks: Option<Vec<NetworkKey>>,
    /// Why its pods need no storage network.
    why: Option<String>,
    /// Why its pods must never be touched: which harm that would do.
    never_touch: Option<String>,
    /// The keys whose networks its pods get where the setting attach-csi-node-plugins-and-risk-hung-mounts is on.
    #[serde(default)]
    networks_at_risk: Vec<NetworkKey>,
    /// A field in which a user decides about the host network for this role alone.
    host_override: Option<HostOverride>,
    /// Signs that a pod was rendered for the pod network, and must not be moved to the host's; one is enough.
    #[serde(default)]
    host_evidence: Vec<Evidence>,
}

impl TryFrom<RoleEntry> for Role {
    type Error = String;

    fn try_from(entry: RoleEntry) -> Result<Self, String> {
        let RoleEntry {
            name,
            rules,
            owner_kinds,
            any_owner,
            networks,
            why,
            never_touch,
            networks_at_risk: at_risk,
            host_override,
            host_evidence,
        } = entry;
        if rules.is_empty() || rules.iter().any(LabelRule::is_empty) {
            return Err(format!("role {name}: every entry of match needs a label, or the role would take every pod"));
        }
        let treatment = match (networks, why, never_touch) {
            (Some(keys), None, None) if !keys.is_empty() => Treatment::Networks(keys),
            (Some(keys), Some(why), None) if keys.is_empty() => Treatment::NoNetwork(why),
            (None, None, Some(why)) => Treatment::NeverTouch { why, at_risk: at_risk.clone() },
            _ => {
                return Err(format!(
                    "role {name}: say either networks with at least one key, or networks: [] and why, or neverTouch with the reason"
                ));
            }
        };
        if !at_risk.is_empty() && !matches!(treatment, Treatment::NeverTouch { .. }) {
            return Err(format!("role {name}: networksAtRisk goes with neverTouch"));
        }
        let owner = if any_owner { RoleOwner::Any } else { RoleOwner::LeadsToCluster };
        Ok(Self { name, rules, owner_kinds, owner, treatment, host_override, host_evidence })
    }
}

/// A host override as it is written in the catalogue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HostOverrideEntry {
    /// Where the field lies.
    field: FieldPath,
    /// The kind of custom resource that has the field. Left out: the cluster's own.
    resource: Option<Resource>,
    /// The pod's label that names the resource; goes with resource.
    #[schemars(extend("pattern" = LABEL_KEY))]
    name_from_label: Option<String>,
}

impl TryFrom<HostOverrideEntry> for HostOverride {
    type Error = String;

    fn try_from(entry: HostOverrideEntry) -> Result<Self, String> {
        let source = match (entry.resource, entry.name_from_label) {
            (None, None) => OverrideSource::Cluster,
            (Some(resource), Some(label)) => OverrideSource::Named { resource, label },
            _ => return Err("hostOverride: resource and nameFromLabel go together".to_owned()),
        };
        Ok(Self { field: entry.field, source })
    }
}
