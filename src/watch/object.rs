//! What is kept of an object while it is being read: who it is, its spec, and our own annotations.
//!
//! Clusters carry statuses, foreign annotations and field managers many times the size of what a decision needs. They are
//! skipped while the answer of the API server is parsed, so that a long list costs little memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::core::{ApiResource, DynamicResourceScope, Resource};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::world::ANNOTATION_PREFIX;

/// One object of any kind.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Object {
    #[serde(default, deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
}

/// The fields of the metadata that say which object it is, and which version of it; and what it says to this project.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
    creation_timestamp: Option<Time>,
    generation: Option<i64>,
    annotations: Option<OwnAnnotations>,
}

/// The annotations that begin with [`ANNOTATION_PREFIX`]. The values of all others are skipped unread.
struct OwnAnnotations(BTreeMap<String, String>);

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Metadata { name, namespace, resource_version, uid, creation_timestamp, generation, annotations } =
        Metadata::deserialize(deserializer)?;
    let annotations = annotations.map(|OwnAnnotations(own)| own);
    let meta = ObjectMeta { name, namespace, resource_version, uid, annotations, ..ObjectMeta::default() };
    Ok(ObjectMeta { creation_timestamp, generation, ..meta })
}

impl<'de> Deserialize<'de> for OwnAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OwnVisitor;

        impl<'de> Visitor<'de> for OwnVisitor {
            type Value = OwnAnnotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OwnAnnotations, A::Error> {
                let mut own = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key.starts_with(ANNOTATION_PREFIX) {
                        own.insert(key, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(OwnAnnotations(own))
            }
        }

        deserializer.deserialize_map(OwnVisitor)
    }
}

impl Object {
    /// The object as one value, as entries are read from.
    pub(super) fn into_value(self) -> Value {
        let Self { metadata, spec } = self;
        let ObjectMeta { name, namespace, uid, creation_timestamp, generation, annotations, .. } = metadata;
        json!({
            "metadata": {
                "name": name, "namespace": namespace, "uid": uid, "creationTimestamp": creation_timestamp,
                "generation": generation, "annotations": annotations,
            },
            "spec": spec,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_but_what_is_read() {
        let object = json!({
            "metadata": {
                "name": "c", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 7,
                "creationTimestamp": "2026-01-31T12:00:00Z",
                "labels": {"multihome.rook.io/label": "x"},
                "managedFields": [{"manager": "kubectl"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "long",
                    "multihome.rook.io/mode": "audit",
                    "multihome.rook.iox/mode": "foreign",
                },
            },
            "spec": {"network": {}},
            "status": {"phase": "Ready"},
        });
        let read: Object = serde_json::from_value(object).unwrap();
        assert_eq!(read.meta().resource_version.as_deref(), Some("1"));
        let kept = json!({
            "metadata": {
                "name": "c", "namespace": "n", "uid": "u", "generation": 7, "creationTimestamp": "2026-01-31T12:00:00Z",
                "annotations": {"multihome.rook.io/mode": "audit"},
            },
            "spec": {"network": {}},
        });
        assert_eq!(read.into_value(), kept);
    }

    #[test]
    fn an_object_without_annotations_is_read() {
        for metadata in [json!({"name": "c"}), json!({"name": "c", "annotations": null})] {
            let read: Object = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
            assert!(read.meta().annotations.is_none());
        }
    }
}
