//! One Kubernetes object in our own types.
//!
//! An object whose content is wrong still becomes an entry wherever that lets a decision say what is wrong; only an object
//! without a name is refused.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cluster::{Cluster, annotation, read_flag};
use super::kind::{ObjectError, ObjectKind, ObjectName};
use super::storage_network::StorageNetwork;
use super::workload::Workload;
use crate::network::attachment::AttachmentError;
use crate::network::{AttachmentDefinition, SpecProblem};
use crate::storage::{Catalogue, FieldPath, OverrideSource, Resource};

/// The annotation by which a pod, or a namespace for all its pods, asks for the network of a cluster's clients.
pub const ATTACH_ANNOTATION: &str = "multihome.rook.io/attach";

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
    /// A StorageNetwork.
    StorageNetwork(StorageNetwork),
    /// What a namespace asks for on behalf of its pods; see [`ATTACH_ANNOTATION`].
    Namespace(Option<String>),
    /// The labels of a node.
    Node(BTreeMap<String, String>),
    /// A workload.
    Workload(Workload),
}

impl Entry {
    /// Reads an object of a known kind.
    ///
    /// # Errors
    /// Where the object has no name.
    pub fn read(kind: &ObjectKind, object: &Value, catalogue: &Catalogue) -> Result<(ObjectName, Self), ObjectError> {
        let id = kind.name_of(object)?;
        let entry = match kind {
            ObjectKind::Cluster(position, _) => Self::Cluster(Cluster::read(*position, &id, object, catalogue)),
            ObjectKind::Override(resource) => read_overrides(resource, object, catalogue),
            ObjectKind::Attachment => Self::Attachment(AttachmentDefinition::read(object)),
            ObjectKind::StorageNetwork => Self::StorageNetwork(StorageNetwork::read(&id, object, catalogue)),
            ObjectKind::Namespace => {
                let asked = annotation(object, ATTACH_ANNOTATION).and_then(Value::as_str).map(str::trim);
                Self::Namespace(asked.filter(|asked| !asked.is_empty()).map(str::to_owned))
            }
            ObjectKind::Node => Self::Node(texts(object.pointer("/metadata/labels"))),
            ObjectKind::Workload(..) => Self::Workload(Workload::read(object)),
        };
        Ok((id, entry))
    }

    /// What is wrong with the object, each as a sentence without its name.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Cluster(cluster) => {
                let problems = cluster.network_problems.iter().chain(&cluster.other_problems);
                problems.map(ToString::to_string).collect()
            }
            Self::Override(_, problems) | Self::StorageNetwork(StorageNetwork { declared: Err(problems), .. }) => {
                problems.iter().map(ToString::to_string).collect()
            }
            Self::Attachment(Err(error)) => vec![error.to_string()],
            Self::Attachment(Ok(_))
            | Self::StorageNetwork(_)
            | Self::Namespace(_)
            | Self::Node(_)
            | Self::Workload(_) => Vec::new(),
        }
    }
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
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
