//! Kinds of custom resources, and fields in them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::names::{DOMAIN_LENGTH, NAME_LENGTH};
use crate::api::{KIND_NAME, OBJECT_NAME, PLAIN_NAME};

/// A kind of custom resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The API group. In the catalogue there is always one: it is empty for the kinds of Kubernetes' core alone.
    #[schemars(regex(pattern = OBJECT_NAME), length(max = DOMAIN_LENGTH))]
    pub group: String,
    /// The versions that this project can read, the preferred one first.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub versions: Vec<String>,
    /// The kind.
    #[schemars(regex(pattern = KIND_NAME), length(max = NAME_LENGTH))]
    pub kind: String,
    /// The resource name, as in URLs and RBAC rules.
    #[schemars(regex(pattern = PLAIN_NAME), length(max = NAME_LENGTH))]
    pub plural: String,
}

/// Where a field lies in an object: names joined by dots, the first of them `spec` (nothing else of an object is kept).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FieldPath(String);

impl Resource {
    /// Whether an object of this `apiVersion` and `kind` is one of these.
    #[must_use]
    pub fn covers(&self, api_version: &str, kind: &str) -> bool {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        kind == self.kind && group == self.group && self.versions.iter().any(|known| known == version)
    }

    /// Whether an owner reference with this `apiVersion` and `kind` may mean one of these, in whichever version. Rook's operator
    /// for MinIO wrote the version alone, so a missing group says nothing.
    #[must_use]
    pub fn is_referred_to(&self, api_version: &str, kind: &str) -> bool {
        kind == self.kind && api_version.split_once('/').is_none_or(|(group, _)| group == self.group)
    }

    /// The name by which the API server knows the resource, such as `cephclusters.ceph.rook.io`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

impl FieldPath {
    /// The value at this path, where there is one.
    #[must_use]
    pub fn value_in<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.0.split('.').try_fold(object, |value, name| value.get(name))
    }

    /// How many things the field stands for: a number as it is, a list by its length; where the path leads through a list, what
    /// its items say is summed. What is no count is none.
    #[must_use]
    pub fn count_in(&self, object: &Value) -> u64 {
        fn count(value: &Value, path: &[&str]) -> u64 {
            match (path, value) {
                ([], Value::Array(items)) => u64::try_from(items.len()).unwrap_or(u64::MAX),
                ([], value) => value.as_u64().unwrap_or_default(),
                (path, Value::Array(items)) => items.iter().fold(0, |sum, item| sum.saturating_add(count(item, path))),
                ([name, rest @ ..], value) => value.get(name).map_or(0, |below| count(below, rest)),
            }
        }
        count(object, &self.0.split('.').collect::<Vec<_>>())
    }

    /// The path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FieldPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        let mut names = path.split('.');
        if names.next() != Some("spec") || names.clone().next().is_none() || names.any(str::is_empty) {
            return Err(format!(
                "\"{path}\" is no path of a field; write names joined by dots from spec on, such as spec.network"
            ));
        }
        Ok(Self(path))
    }
}

impl JsonSchema for FieldPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FieldPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^spec(\\.[^.]+)+$",
            "description": "Where a field lies in an object: names joined by dots, from spec on.",
        })
    }
}
