//! What is kept of an object while it is being read: who it is, its spec or its owners and labels, our own annotations, and the one
//! by which an attachment definition names a resource.
//!
//! Clusters carry statuses, foreign annotations and field managers many times the size of what a decision needs, and workloads
//! whole templates of pods. Where the metadata is enough, the API server is asked for no more; and what it sends besides is
//! skipped while its answer is parsed, so that a long list costs little memory.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope, Resource};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

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
pub(super) trait Part: Clone + fmt::Debug + Send + Sync + 'static {
    /// Whether it lies in the metadata, so that the rest need not be sent.
    const IS_METADATA: bool;
    /// What is kept.
    const KEPT: Kept;
}

/// Who an object is, what it says to this project, and its spec.
#[derive(Clone, Debug)]
pub(super) struct WithSpec;

/// Who an object is, who owns it, its labels, and what it says to this project.
#[derive(Clone, Debug)]
pub(super) struct MetadataOnly;

/// How much of a value is kept. Whatever its types are, it can be read: a list comes in pages, and one object that cannot be
/// read would keep all the others from being known. What an entry makes of it is for the entry to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    /// All of it, but for maps and lists that lie deeper than so many levels, which become null.
    Levels(usize),
    /// These fields, and of each so much; of a list, those of each item.
    Fields(&'static [(&'static str, Kept)]),
    /// The fields that begin with [`ANNOTATION_PREFIX`], and [`RESOURCE_ANNOTATION`].
    Own,
}

/// Far more levels than anything has that is read here. Resources that keep unknown fields can be nested without end, and the
/// parser gives up on a whole page at 128, which this stays below together with what is around it.
const LEVELS: usize = 64;
const WHOLE: Kept = Kept::Levels(LEVELS);
const VERSION: &str = "resourceVersion";

impl Part for WithSpec {
    const IS_METADATA: bool = false;
    const KEPT: Kept = Kept::Fields(&[
        (
            "metadata",
            Kept::Fields(&[
                ("name", WHOLE),
                ("namespace", WHOLE),
                (VERSION, WHOLE),
                ("uid", WHOLE),
                ("creationTimestamp", WHOLE),
                ("generation", WHOLE),
                ("annotations", Kept::Own),
            ]),
        ),
        ("spec", WHOLE),
    ]);
}

impl Part for MetadataOnly {
    const IS_METADATA: bool = true;
    const KEPT: Kept = Kept::Fields(&[(
        "metadata",
        Kept::Fields(&[
            ("name", WHOLE),
            ("namespace", WHOLE),
            (VERSION, WHOLE),
            ("uid", WHOLE),
            (
                "ownerReferences",
                Kept::Fields(&[("apiVersion", WHOLE), ("kind", WHOLE), ("name", WHOLE), ("uid", WHOLE)]),
            ),
            ("labels", WHOLE),
            ("annotations", Kept::Own),
        ]),
    )]);
}

impl Kept {
    /// How much of a field is kept; none where it is skipped.
    fn of_field(self, name: &str) -> Option<Self> {
        match self {
            Self::Levels(levels) => levels.checked_sub(1).map(Self::Levels),
            Self::Fields(fields) => fields.iter().find(|(known, _)| *known == name).map(|(_, kept)| *kept),
            Self::Own => (name.starts_with(ANNOTATION_PREFIX) || name == RESOURCE_ANNOTATION).then_some(WHOLE),
        }
    }

    fn of_item(self) -> Option<Self> {
        match self {
            Self::Levels(levels) => levels.checked_sub(1).map(Self::Levels),
            Self::Fields(_) => Some(self),
            Self::Own => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Kept {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kept {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    // What is skipped is skipped without recursion, however deep it is.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let Some(kept) = self.of_item() else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(kept)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        if matches!(self, Self::Levels(0)) {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match self.of_field(&name) {
                Some(kept) => _ = fields.insert(name, map.next_value_seed(kept)?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(fields.into())
    }
}

impl<'de, P: Part> Deserialize<'de> for Object<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = P::KEPT.deserialize(deserializer)?;
        let metadata = value.get_mut("metadata").and_then(Value::as_object_mut);
        // It changes with everything that is of no interest here.
        let version = metadata.and_then(|metadata| metadata.remove(VERSION));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let of = |field: &str| value.pointer("/metadata").and_then(|metadata| text(metadata.get(field)?));
        let (name, namespace, uid) = (of("name"), of("namespace"), of("uid"));
        let resource_version = version.as_ref().and_then(text);
        let metadata = ObjectMeta { name, namespace, resource_version, uid, ..ObjectMeta::default() };
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
    use serde_json::json;

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
                    "k8s.v1.cni.cncf.io/resourceName": "vendor.com/nic",
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
                "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"multihome.rook.io/mode": "audit", "k8s.v1.cni.cncf.io/resourceName": "vendor.com/nic"},
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
                "annotations": {"multihome.rook.io/mode": "audit", "k8s.v1.cni.cncf.io/resourceName": "vendor.com/nic"},
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

    /// One object of a page must not be able to keep the others from being read.
    #[test]
    fn whatever_an_object_holds_it_is_read() {
        let nested = |levels: usize| format!("{}{}", "{\"a\":[".repeat(levels / 2), "]}".repeat(levels / 2));
        for levels in [10, 100, 150, 100_000] {
            let nested = nested(levels);
            let text = format!(
                r#"[{{"metadata":{{"name":"c","managedFields":{nested}}},"spec":{{"deep":{nested},"x":1}},"status":{nested}}}]"#
            );
            let read: Vec<Object<WithSpec>> = serde_json::from_str(&text).unwrap();
            let read = read.into_iter().next().unwrap().into_value();
            assert_eq!((&read["metadata"]["name"], &read["spec"]["x"]), (&json!("c"), &json!(1)));
            let mut depth = 0;
            let mut deep = &read["spec"]["deep"];
            while let Some(below) = deep.get("a").and_then(|list| list.get(0)) {
                (deep, depth) = (below, depth + 2);
            }
            assert!(if levels < LEVELS { depth == levels - 2 } else { depth > LEVELS - 8 }, "{levels}: {depth}");
        }
        for odd in [
            json!(7),
            json!({"metadata": []}),
            json!({"metadata": {"name": 7, "resourceVersion": {}, "annotations": "x", "labels": [1], "ownerReferences": {"uid": 1}}}),
            json!({"metadata": {"name": "c", "generation": "x", "annotations": {"multihome.rook.io/mode": {"a": 1}}, "labels": {"a": 1}, "ownerReferences": [1, null, {"name": {}}]}, "spec": [1]}),
        ] {
            let read: Object<WithSpec> = serde_json::from_value(odd.clone()).unwrap();
            assert_eq!(read.meta().resource_version, None);
            read.into_value();
            let read: Object<MetadataOnly> = serde_json::from_value(odd).unwrap();
            assert_eq!(read.into_value().get("spec"), None);
        }
    }
}
