//! Roles: what a pod does in its cluster, and what follows from that for its networks.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::labels::{LabelRule, Labels};
use super::resource::{FieldPath, Resource};
use crate::network::{NetworkKey, shorten};

/// The name of a role, such as `osd`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct RoleName(Arc<str>);

/// One role of a storage system.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RoleEntry")]
pub struct Role {
    /// What the role is called.
    pub name: RoleName,
    /// How its pods are recognised: any one of these rules is enough.
    pub rules: Vec<LabelRule>,
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
    /// Nothing, because a change would do harm; the text says which.
    NeverTouch(String),
}

/// A field in which a user says whether one role uses the host network, whatever the provider is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "HostOverrideEntry")]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// An argument of any container.
    Argument(ArgumentEvidence),
    /// Labels of the pod.
    Labels(LabelRule),
}

/// An argument that begins with one text and, where that is given, contains another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ArgumentEvidence {
    starts_with: String,
    #[serde(default)]
    contains: String,
}

impl RoleName {
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RoleEntry {
    name: RoleName,
    #[serde(rename = "match")]
    rules: Vec<LabelRule>,
    networks: Option<Vec<NetworkKey>>,
    why: Option<String>,
    never_touch: Option<String>,
    host_override: Option<HostOverride>,
    #[serde(default)]
    host_evidence: Vec<Evidence>,
}

impl TryFrom<RoleEntry> for Role {
    type Error = String;

    fn try_from(entry: RoleEntry) -> Result<Self, String> {
        let RoleEntry { name, rules, networks, why, never_touch, host_override, host_evidence } = entry;
        if rules.is_empty() || rules.iter().any(LabelRule::is_empty) {
            return Err(format!("role {name}: every entry of match needs a label, or the role would take every pod"));
        }
        let treatment = match (networks, why, never_touch) {
            (Some(keys), None, None) if !keys.is_empty() => Treatment::Networks(keys),
            (Some(keys), Some(why), None) if keys.is_empty() => Treatment::NoNetwork(why),
            (None, None, Some(why)) => Treatment::NeverTouch(why),
            _ => {
                return Err(format!(
                    "role {name}: say either networks with at least one key, or networks: [] and why, or neverTouch with the reason"
                ));
            }
        };
        Ok(Self { name, rules, treatment, host_override, host_evidence })
    }
}

/// A host override as it is written in the catalogue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HostOverrideEntry {
    field: FieldPath,
    resource: Option<Resource>,
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
