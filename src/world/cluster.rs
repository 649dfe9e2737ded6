//! Storage clusters: one custom resource of a system, read.
//!
//! A cluster whose content is wrong is a cluster all the same: decisions about its pods say what is wrong with it.

use std::fmt;

use serde_json::Value;

use super::kind::{KindPosition, ObjectName};
use super::settings::Mode;
use crate::network::spec::SpecShape;
use crate::network::{NetworkKey, NetworkSpec, SpecProblem, shorten};
use crate::storage::{Catalogue, FieldPath, OverrideSource, RoleName, SystemName};

/// The annotation by which a cluster chooses its own [`Mode`].
pub const MODE_ANNOTATION: &str = "multihome.rook.io/mode";
/// The annotation by which a cluster allows namespaces whose pods may ask for the network of its clients.
pub const ALLOWED_NAMESPACES_ANNOTATION: &str = "multihome.rook.io/allowed-namespaces";

/// One storage cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The storage system.
    pub system: SystemName,
    /// The group of its resource.
    pub group: String,
    /// The kind of its resource.
    pub kind: String,
    /// Namespace and name.
    pub id: ObjectName,
    /// The identity of this very object; none where it comes from a file that does not say.
    pub uid: Option<Box<str>>,
    /// The mode it chooses for itself; none where it does not, or where what it chooses is not to be understood.
    pub mode: Option<Mode>,
    /// Whether its own resource has a place for networks.
    pub can_declare: bool,
    /// The networks that its own resource declares; nothing where that cannot be read.
    pub network: NetworkSpec,
    /// What is wrong with those networks,
    pub network_problems: Vec<SpecProblem>,
    /// and with what else it says to this project.
    pub other_problems: Vec<SpecProblem>,
    /// What the cluster's own resource says about the host network of single roles.
    pub host_overrides: Vec<(RoleName, bool)>,
    /// Whose pods may ask for the network of its clients.
    pub allowed: AllowedNamespaces,
    /// How large it is, as far as it says so.
    pub size: ClusterSize,
}

/// How large a cluster is at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSize {
    /// How many hosts have pods of it; none where that is not said.
    pub hosts: u64,
    /// How many of its pods are named in its spec.
    pub members: u64,
    /// How many of these are of a role, for the roles of which it says so.
    pub roles: Box<[(RoleName, u64)]>,
}

/// The namespaces whose pods may ask for the network of a cluster's clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedNamespaces {
    /// None but the cluster's own.
    #[default]
    Own,
    /// These.
    Listed(Vec<String>),
    /// Every one.
    All,
}

/// A cluster, by its resource. It is in the namespace of what refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRef {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
}

impl ClusterRef {
    /// What tells it from the other clusters of its namespace: group, kind and name.
    #[must_use]
    pub fn key(&self) -> [&str; 3] {
        [&self.group, &self.kind, &self.name]
    }
}

impl Cluster {
    /// What tells it from the other clusters of its namespace: group, kind and name.
    #[must_use]
    pub fn key(&self) -> [&str; 3] {
        [&self.group, &self.kind, &self.id.name]
    }

    /// Whether everything that it says can be used.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.network_problems.is_empty() && self.other_problems.is_empty()
    }

    /// What the cluster's own resource says about the host network of `role`.
    #[must_use]
    pub fn host_override(&self, role: &RoleName) -> Option<bool> {
        self.host_overrides.iter().find(|(name, _)| name == role).map(|(_, host)| *host)
    }

    pub(super) fn read(position: KindPosition, id: &ObjectName, object: &Value, catalogue: &Catalogue) -> Self {
        let system = &catalogue.systems()[position.system];
        let kind = &system.clusters[position.kind];
        let keys: Vec<NetworkKey> = system.keys.iter().map(|key| key.name.clone()).collect();
        let network = kind.network.as_ref().map(|path| {
            let shape = SpecShape { path: path.as_str(), keys: &keys, host_fields: &kind.host_fields };
            NetworkSpec::read(path.value_in(object), shape, &id.namespace)
        });
        let (network, network_problems) = match network {
            None => (NetworkSpec::default(), Vec::new()),
            Some(Ok(network)) => (network, Vec::new()),
            Some(Err(problems)) => (NetworkSpec::default(), problems),
        };
        let mut other_problems = Vec::new();
        let mode = read_mode(object).unwrap_or_else(|problem| {
            other_problems.push(problem);
            None
        });
        let allowed = annotation(object, ALLOWED_NAMESPACES_ANNOTATION).and_then(Value::as_str).unwrap_or_default();
        let mut host_overrides = Vec::new();
        for role in &system.roles {
            let Some(host) = role.host_override.as_ref().filter(|host| host.source == OverrideSource::Cluster) else {
                continue;
            };
            match read_flag(&host.field, object) {
                Ok(Some(flag)) => host_overrides.push((role.name.clone(), flag)),
                Ok(None) => {}
                Err(problem) => other_problems.push(problem),
            }
        }
        let sum = |paths: &[FieldPath]| paths.iter().fold(0_u64, |sum, path| sum.saturating_add(path.count_in(object)));
        let resource = &kind.resource;
        Self {
            system: system.name.clone(),
            group: resource.group.clone(),
            kind: resource.kind.clone(),
            id: id.clone(),
            uid: object.pointer("/metadata/uid").and_then(Value::as_str).map(Into::into),
            mode,
            can_declare: kind.network.is_some(),
            network,
            network_problems,
            other_problems,
            host_overrides,
            allowed: AllowedNamespaces::of(allowed.split(',')),
            size: ClusterSize {
                hosts: kind.size.hosts.iter().map(|path| path.count_in(object)).max().unwrap_or_default(),
                members: sum(&kind.size.members),
                roles: kind.size.roles.iter().map(|(role, paths)| (role.clone(), sum(paths))).collect(),
            },
        }
    }
}

impl ClusterSize {
    /// How many pods of `role` its spec names; none where it does not say.
    #[must_use]
    pub fn of_role(&self, role: &str) -> u64 {
        self.roles.iter().find(|(name, _)| name.as_str() == role).map_or(0, |(_, pods)| *pods)
    }
}

impl AllowedNamespaces {
    /// Reads names of namespaces, of which `*` means all.
    pub fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.map(str::trim).filter(|name| !name.is_empty()).collect();
        match names[..] {
            [] => Self::Own,
            _ if names.contains(&"*") => Self::All,
            _ => Self::Listed(names.into_iter().map(str::to_owned).collect()),
        }
    }

    /// Whether `namespace` is one that is allowed to others than the owner's own.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::Own => false,
            Self::Listed(names) => names.iter().any(|name| name == namespace),
            Self::All => true,
        }
    }
}

impl fmt::Display for ClusterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

pub(super) fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v Value> {
    object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(key))
}

/// The mode that a cluster chooses for itself. The empty text chooses none: it is what a template writes whose value was not
/// given.
fn read_mode(object: &Value) -> Result<Option<Mode>, SpecProblem> {
    let fault = match annotation(object, MODE_ANNOTATION) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(mode)) if mode.is_empty() => return Ok(None),
        Some(Value::String(mode)) => match mode.parse() {
            Ok(mode) => return Ok(Some(mode)),
            Err(fault) => fault,
        },
        // Only a file can hold this: an off without quotes is a boolean there, which the API server would refuse.
        Some(other) => format!("it must be a text in quotes, such as \"off\", not {}", shorten(&other.to_string())),
    };
    Err(SpecProblem::new(
        &format!("metadata.annotations[{MODE_ANNOTATION}]"),
        fault,
        "mend the value, or remove it to follow the setting",
    ))
}

/// A field that says yes or no, or nothing.
pub(super) fn read_flag(field: &FieldPath, object: &Value) -> Result<Option<bool>, SpecProblem> {
    match field.value_in(object) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(SpecProblem::new(
            field.as_str(),
            format!("it must be true or false, not {}", shorten(&other.to_string())),
            "mend the value, or remove it to follow the cluster",
        )),
    }
}
