//! What is kept of an object while it is being read: who it is, and its spec.
//!
//! Clusters carry statuses, annotations and field managers many times the size of what a decision needs. They are skipped
//! while the answer of the API server is parsed, so that a long list costs little memory.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope, Resource};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// One object of any kind.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Object {
    #[serde(default, deserialize_with = "identity")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
}

/// The fields of the metadata that say which object it is, and which version of it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
}

fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Identity { name, namespace, resource_version, uid } = Identity::deserialize(deserializer)?;
    Ok(ObjectMeta { name, namespace, resource_version, uid, ..ObjectMeta::default() })
}

impl Object {
    /// The object as one value, as entries are read from.
    pub(super) fn into_value(self) -> Value {
        let Self { metadata, spec } = self;
        json!({ "metadata": { "name": metadata.name, "namespace": metadata.namespace }, "spec": spec })
    }
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
