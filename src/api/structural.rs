//! From the schema of a type to a structural schema, the only form that Kubernetes takes.
//!
//! Structural means: each node says its type once, nothing hides in `oneOf` or `$ref`, and fields that are unknown are dropped
//! rather than forbidden. No bound and no description may be lost on the way.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::crd::Cel;

/// Where rules in CEL stand.
const RULES: &str = "x-kubernetes-validations";
/// Of the formats that schemas of types have, those that Kubernetes knows. The others (such as `uint8`) are left out.
const KNOWN_FORMATS: [&str; 3] = ["date-time", "int32", "int64"];

/// The structural schema of a type.
pub(super) fn schema_of<T: JsonSchema>(cel: Cel) -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    make_structural(&mut schema, cel);
    schema
}

fn make_structural(schema: &mut Value, cel: Cel) {
    let Some(node) = schema.as_object_mut() else { return };
    node.remove("title");
    take_null_away(node);
    fold_variants(node);
    // Where fields are listed, Kubernetes drops the others itself.
    node.retain(|key, value| key != "additionalProperties" || *value != Value::Bool(false));
    node.retain(|key, value| key != "format" || value.as_str().is_none_or(|format| KNOWN_FORMATS.contains(&format)));
    if cel == Cel::Without {
        node.remove(RULES);
    }
    if let Some(Value::String(description)) = node.get_mut("description") {
        *description = unwrapped(description);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = node.get_mut(key) {
            make_structural(below, cel);
        }
    }
    for below in node.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        make_structural(below, cel);
    }
}

/// Optional fields are left out, and never null: the API server drops a null before it looks further.
fn take_null_away(node: &mut Map<String, Value>) {
    if let Some(Value::Array(choices)) = node.remove("anyOf") {
        for choice in choices {
            if choice.get("nullable").is_none()
                && let Value::Object(choice) = choice
            {
                // What is said about the field counts more than what is said about its type.
                for (key, value) in choice {
                    node.entry(key).or_insert(value);
                }
            }
        }
    }
    node.remove("nullable");
    node.retain(|key, value| key != "default" || !value.is_null());
    if let Some(Value::Array(values)) = node.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// Variants that have a description each are a choice of schemas; they become one list of values, and the descriptions go
/// into that of the field.
fn fold_variants(node: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = node.remove("oneOf") else { return };
    let (mut names, mut described) = (Vec::new(), String::new());
    for mut variant in variants {
        let values = variant.get_mut("enum").map(Value::take);
        for value in values.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let about = variant.get("description").and_then(Value::as_str);
            if let (Some(name), Some(about)) = (value.as_str(), about) {
                described.push_str(&format!("\n\n{name}: {about}"));
            }
            names.push(value.clone());
        }
    }
    let description = node.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}{described}").trim_start().to_owned();
    node.insert("description".to_owned(), Value::String(description));
    node.insert("enum".to_owned(), Value::Array(names));
    node.insert("type".to_owned(), Value::String("string".to_owned()));
}

/// A text without code marks, whose lines are only broken between paragraphs: whoever shows it breaks lines to their own width.
fn unwrapped(text: &str) -> String {
    let text = text.replace('`', "");
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    #![allow(dead_code)] // types that are there for their schema alone

    use serde_json::json;

    use super::*;

    /// How it shines.
    #[derive(JsonSchema)]
    enum Light {
        /// It shines
        /// `brightly`.
        On,
        /// It is dark.
        Off,
        Broken,
    }

    /// A lamp.
    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Lamp {
        /// What the field says
        /// about it.
        ///
        /// And more.
        light: Option<Light>,
        /// How many.
        bulbs: Option<u8>,
        /// Those beside it.
        #[schemars(extend("x-kubernetes-validations" = [{"rule": "true"}]))]
        others: Vec<Light>,
    }

    #[test]
    fn types_become_structural() {
        let all = "On: It shines brightly.\n\nOff: It is dark.";
        let mut expected = json!({
            "type": "object",
            "description": "A lamp.",
            "required": ["others"],
            "properties": {
                "light": {
                    "type": "string",
                    "enum": ["Broken", "On", "Off"],
                    "description": format!("What the field says about it.\n\nAnd more.\n\n{all}"),
                },
                "bulbs": {"type": "integer", "minimum": 0, "maximum": 255, "description": "How many."},
                "others": {
                    "type": "array",
                    "description": "Those beside it.",
                    "items": {
                        "type": "string",
                        "enum": ["Broken", "On", "Off"],
                        "description": format!("How it shines.\n\n{all}"),
                    },
                    "x-kubernetes-validations": [{"rule": "true"}],
                },
            },
        });
        assert_eq!(schema_of::<Lamp>(Cel::With), expected);
        expected["properties"]["others"].as_object_mut().map(|others| others.remove(RULES));
        assert_eq!(schema_of::<Lamp>(Cel::Without), expected);
    }
}
