//! One Kubernetes object in our own types.
//!
//! An object whose content is wrong still becomes an entry wherever that lets a decision say what is wrong; only an object
//! without a name is refused.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::settings::Mode;
use crate::network::attachment::{self, AttachmentError};
use crate::network::{AttachmentDefinition, NetworkKey, NetworkSpec, SpecProblem, shorten};
use crate::storage::{Catalogue, FieldPath, OverrideSource, Resource, RoleName, SystemName};

/// The annotation by which a cluster chooses its own [`Mode`].
pub const MODE_ANNOTATION: &str = "multihome.rook.io/mode";

/// A kind of object that the world is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A cluster of a storage system: the position of the system in the catalogue, and its resource.
    Cluster(usize, Resource),
    /// A resource other than the cluster in which the host network of a role can be overruled.
    Override(Resource),
    /// An attachment definition.
    Attachment,
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; never empty.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// One storage cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The storage system.
    pub system: SystemName,
    /// The kind of its resource, for people.
    pub kind: String,
    /// Namespace and name.
    pub id: ObjectName,
    /// The mode it chooses for itself; none where it does not, or where what it chooses is not to be understood.
    pub mode: Option<Mode>,
    /// The networks it declares, or what is wrong with the cluster: with them, or with what else it says to this project.
    pub network: Result<NetworkSpec, Vec<SpecProblem>>,
    /// What the cluster's own resource says about the host network of single roles.
    pub host_overrides: Vec<(RoleName, bool)>,
}

/// What a resource says about the host network, by the field that says it.
pub type HostFields = Vec<(FieldPath, bool)>;

/// One object, read.
#[derive(Debug)]
pub enum Entry {
    /// A cluster.
    Cluster(Cluster),
    /// What a resource says about the host network, by the field that says it; fields that say nothing are left out.
    Override(HostFields, Vec<SpecProblem>),
    /// An attachment definition, or why Multus could not load it.
    Attachment(Result<AttachmentDefinition, AttachmentError>),
}

/// An object that cannot even be named.
#[derive(Debug, Error)]
#[error("an object of kind {kind} has no metadata.name; give it one")]
pub struct ObjectError {
    kind: String,
}

impl ObjectKind {
    /// Every kind that the systems of a catalogue need, each once.
    #[must_use]
    pub fn all(catalogue: &Catalogue) -> Vec<Self> {
        let clusters =
            catalogue.systems().iter().enumerate().map(|(index, system)| Self::Cluster(index, system.cluster.clone()));
        let overrides = catalogue.override_resources().into_iter().cloned().map(Self::Override);
        clusters.chain(overrides).chain([Self::Attachment]).collect()
    }

    /// The resource behind the kind.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Cluster(_, resource) | Self::Override(resource) => resource.clone(),
            Self::Attachment => Resource {
                group: attachment::GROUP.to_owned(),
                versions: vec![attachment::VERSION.to_owned()],
                kind: attachment::KIND.to_owned(),
                plural: attachment::PLURAL.to_owned(),
            },
        }
    }
}

impl ObjectName {
    /// Reads namespace and name of an object. As with kubectl, an object without a namespace is in `default`.
    ///
    /// # Errors
    /// Where it has no name.
    pub fn of(object: &Value) -> Result<Self, ObjectError> {
        let text = |path| object.pointer(path).and_then(Value::as_str).filter(|text: &&str| !text.is_empty());
        let Some(name) = text("/metadata/name") else {
            let kind = text("/kind").unwrap_or("(none)").to_owned();
            return Err(ObjectError { kind });
        };
        let namespace = text("/metadata/namespace").unwrap_or("default");
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl Cluster {
    /// What the cluster's own resource says about the host network of `role`.
    #[must_use]
    pub fn host_override(&self, role: &RoleName) -> Option<bool> {
        self.host_overrides.iter().find(|(name, _)| name == role).map(|(_, host)| *host)
    }
}

impl Entry {
    /// Reads an object of a known kind.
    ///
    /// # Errors
    /// Where the object has no name.
    pub fn read(kind: &ObjectKind, object: &Value, catalogue: &Catalogue) -> Result<(ObjectName, Self), ObjectError> {
        let id = ObjectName::of(object)?;
        let entry = match kind {
            ObjectKind::Cluster(system, _) => Self::Cluster(read_cluster(*system, &id, object, catalogue)),
            ObjectKind::Override(resource) => read_overrides(resource, object, catalogue),
            ObjectKind::Attachment => Self::Attachment(AttachmentDefinition::read(object)),
        };
        Ok((id, entry))
    }

    /// What is wrong with the object, each as a sentence without its name.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Cluster(Cluster { network: Err(problems), .. }) | Self::Override(_, problems) => {
                problems.iter().map(ToString::to_string).collect()
            }
            Self::Attachment(Err(error)) => vec![error.to_string()],
            Self::Cluster(_) | Self::Attachment(Ok(_)) => Vec::new(),
        }
    }
}

fn read_cluster(system: usize, id: &ObjectName, object: &Value, catalogue: &Catalogue) -> Cluster {
    let system = &catalogue.systems()[system];
    let keys: Vec<NetworkKey> = system.keys.iter().map(|key| key.name.clone()).collect();
    let spec = system.network.value_in(object);
    let mut network = NetworkSpec::read(spec, system.network.as_str(), &keys, &id.namespace);
    let mut problem_found = |problem| match &mut network {
        Ok(_) => network = Err(vec![problem]),
        Err(problems) => problems.push(problem),
    };
    let mode = read_mode(object).unwrap_or_else(|problem| {
        problem_found(problem);
        None
    });
    let mut host_overrides = Vec::new();
    for role in &system.roles {
        let Some(host) = role.host_override.as_ref().filter(|host| host.source == OverrideSource::Cluster) else {
            continue;
        };
        match read_flag(&host.field, object) {
            Ok(Some(flag)) => host_overrides.push((role.name.clone(), flag)),
            Ok(None) => {}
            Err(problem) => problem_found(problem),
        }
    }
    let (system, kind) = (system.name.clone(), system.cluster.kind.clone());
    Cluster { system, kind, id: id.clone(), mode, network, host_overrides }
}

/// The mode that a cluster chooses for itself. The empty text chooses none: it is what a template writes whose value was not
/// given.
fn read_mode(object: &Value) -> Result<Option<Mode>, SpecProblem> {
    let fault = match object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(MODE_ANNOTATION)) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(mode)) if mode.is_empty() => return Ok(None),
        Some(Value::String(mode)) => match mode.parse() {
            Ok(mode) => return Ok(Some(mode)),
            Err(fault) => fault,
        },
        // Only a file can hold this: an off without quotes is a boolean there, which the API server would refuse.
        Some(other) => format!("it must be a text in quotes, such as \"off\", not {}", shorten(&other.to_string())),
    };
    Err(SpecProblem {
        field: format!("metadata.annotations[{MODE_ANNOTATION}]"),
        fault,
        mend: "mend the value, or remove it to follow the setting".to_owned(),
    })
}

fn read_overrides(resource: &Resource, object: &Value, catalogue: &Catalogue) -> Entry {
    let roles = catalogue.systems().iter().flat_map(|system| &system.roles);
    let fields = roles.filter_map(|role| role.host_override.as_ref()).filter_map(|host| match &host.source {
        OverrideSource::Named { resource: named, .. } if named == resource => Some(&host.field),
        OverrideSource::Named { .. } | OverrideSource::Cluster => None,
    });
    let (mut flags, mut problems) = (Vec::new(), Vec::new());
    for field in fields {
        match read_flag(field, object) {
            Ok(Some(flag)) => flags.push((field.clone(), flag)),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    Entry::Override(flags, problems)
}

fn read_flag(field: &FieldPath, object: &Value) -> Result<Option<bool>, SpecProblem> {
    match field.value_in(object) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(SpecProblem {
            field: field.to_string(),
            fault: format!("it must be true or false, not {}", shorten(&other.to_string())),
            mend: "mend the value, or remove it to follow the cluster".to_owned(),
        }),
    }
}
