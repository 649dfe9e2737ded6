//! What is kept of an object while it is being read: who it is, its spec or its owners and labels, and our own annotations.
//!
//! Clusters carry statuses, foreign annotations and field managers many times the size of what a decision needs, and workloads
//! whole templates of pods. Where the metadata is enough, the API server is asked for no more; and what it sends besides is
//! skipped while its answer is parsed, so that a long list costs little memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope, Resource};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::network::attachment::RESOURCE_ANNOTATION;
use crate::world::ANNOTATION_PREFIX;

/// One object of any kind, of which `P` is read.
#[derive(Clone, Debug)]
pub(super) struct Object<P> {
    /// Which object it is, and which version of it: what a watch goes on from.
    metadata: ObjectMeta,
    value: Value,
    part: PhantomData<P>,
}

/// The part of an object that is read.
pub(super) trait Part: DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static {
    /// Whether it lies in the metadata, so that the rest need not be sent.
    const IS_METADATA: bool;

    /// Which object it is, and all that is kept, as entries are read from.
    fn into_kept(self) -> (ObjectMeta, Value);
}

/// Who an object is, what it says to this project, and its spec.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct WithSpec {
    #[serde(default)]
    metadata: SpecMetadata,
    #[serde(default)]
    spec: Value,
}

/// Who an object is, who owns it, its labels, and what it says to this project.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MetadataOnly {
    #[serde(default)]
    metadata: RelatedMetadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecMetadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
    creation_timestamp: Option<String>,
    generation: Option<i64>,
    annotations: Option<OwnAnnotations>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RelatedMetadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
    owner_references: Option<Vec<Owner>>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<OwnAnnotations>,
}

/// What is read of an owner reference.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Owner {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
}

/// The annotations that begin with [`ANNOTATION_PREFIX`], and [`RESOURCE_ANNOTATION`]. The values of all others are skipped
/// unread.
#[derive(Clone, Debug, Serialize)]
struct OwnAnnotations(BTreeMap<String, String>);

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
                    if key.starts_with(ANNOTATION_PREFIX) || key == RESOURCE_ANNOTATION {
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

impl Part for WithSpec {
    const IS_METADATA: bool = false;

    fn into_kept(self) -> (ObjectMeta, Value) {
        let SpecMetadata { name, namespace, resource_version, uid, creation_timestamp, generation, annotations } =
            self.metadata;
        let kept = json!({
            "metadata": {
                "name": name, "namespace": namespace, "uid": uid, "creationTimestamp": creation_timestamp,
                "generation": generation, "annotations": annotations,
            },
            "spec": self.spec,
        });
        (ObjectMeta { name, namespace, resource_version, uid, ..ObjectMeta::default() }, kept)
    }
}

impl Part for MetadataOnly {
    const IS_METADATA: bool = true;

    fn into_kept(self) -> (ObjectMeta, Value) {
        let RelatedMetadata { name, namespace, resource_version, uid, owner_references, labels, annotations } =
            self.metadata;
        let kept = json!({
            "metadata": {
                "name": name, "namespace": namespace, "uid": uid, "ownerReferences": owner_references,
                "labels": labels, "annotations": annotations,
            },
        });
        (ObjectMeta { name, namespace, resource_version, uid, ..ObjectMeta::default() }, kept)
    }
}

impl<'de, P: Part> Deserialize<'de> for Object<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (metadata, value) = P::deserialize(deserializer)?.into_kept();
        Ok(Self { metadata, value, part: PhantomData })
    }
}

impl<P> Object<P> {
    /// The object as one value, as entries are read from.
    pub(super) fn into_value(self) -> Value {
        self.value
    }
}

impl<P: Part> Resource for Object<P> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        P::IS_METADATA
    }

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

    fn object() -> Value {
        json!({
            "metadata": {
                "name": "c", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"multihome.rook.io/label": "x"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "K", "name": "o", "uid": "w", "controller": true},
                ],
                "managedFields": [{"manager": "kubectl"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "long",
                    "multihome.rook.io/mode": "audit",
                    "multihome.rook.iox/mode": "foreign",
                },
            },
            "spec": {"network": {}},
            "status": {"phase": "Ready"},
        })
    }

    #[test]
    fn nothing_is_kept_but_what_is_read() {
        let read: Object<WithSpec> = serde_json::from_value(object()).unwrap();
        assert_eq!(read.meta().resource_version.as_deref(), Some("1"));
        let kept = json!({
            "metadata": {
                "name": "c", "namespace": "n", "uid": "u", "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"multihome.rook.io/mode": "audit"},
            },
            "spec": {"network": {}},
        });
        assert_eq!(read.into_value(), kept);
    }

    #[test]
    fn of_metadata_owners_and_labels_are_kept() {
        let read: Object<MetadataOnly> = serde_json::from_value(object()).unwrap();
        assert_eq!(read.meta().resource_version.as_deref(), Some("1"));
        let kept = json!({
            "metadata": {
                "name": "c", "namespace": "n", "uid": "u", "labels": {"multihome.rook.io/label": "x"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "w"}],
                "annotations": {"multihome.rook.io/mode": "audit"},
            },
        });
        assert_eq!(read.into_value(), kept);
    }

    #[test]
    fn an_object_without_annotations_is_read() {
        for metadata in [json!({"name": "c"}), json!({"name": "c", "annotations": null})] {
            let object = json!({ "metadata": metadata });
            let read: Object<WithSpec> = serde_json::from_value(object.clone()).unwrap();
            assert_eq!(read.into_value()["metadata"]["annotations"], Value::Null);
            let read: Object<MetadataOnly> = serde_json::from_value(object).unwrap();
            assert_eq!(read.into_value()["metadata"]["annotations"], Value::Null);
        }
    }
}
