//! Label selectors, as Kubernetes writes them everywhere.
//!
//! A type of our own, because the one of the client library belongs to the rooms that talk to Kubernetes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::texts;

/// Selects objects by their labels. All that is said has to be true of an object; an empty selector, written {}, selects every
/// object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Labels that an object must have, each with exactly this value, such as { app: backup }.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = texts::label_value()))]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on labels that go beyond one exact value. An object must meet all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One condition on one label, such as { key: app, operator: In, values: [backup, restore] }.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::label_requirement()))]
pub struct LabelRequirement {
    /// The key of the label that the condition is about, such as app.kubernetes.io/component.
    #[schemars(length(min = 1, max = 317), regex(pattern = texts::LABEL_KEY))]
    pub key: String,
    /// How the label is compared with the values.
    pub operator: LabelOperator,
    /// The values to compare with. In and NotIn need at least one; Exists and DoesNotExist take none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("items" = texts::label_value(), "x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// How a label is compared with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// The object has the label, with one of the values.
    In,
    /// The object has the label with another value, or does not have it.
    NotIn,
    /// The object has the label, with any value.
    Exists,
    /// The object does not have the label.
    DoesNotExist,
}
