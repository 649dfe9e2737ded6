//! Attachment definitions (`NetworkAttachmentDefinition`, NAD for short), as far as a decision needs them: that one exists,
//! and that Multus could load it.
//!
//! The configuration is judged as Multus judges it, no more strictly: calling a definition unusable that works would keep
//! pods off their network.

use serde_json::{Map, Value};
use thiserror::Error;

/// The API group of attachment definitions.
pub const GROUP: &str = "k8s.cni.cncf.io";
/// The only version that has ever been served.
pub const VERSION: &str = "v1";
/// The kind.
pub const KIND: &str = "NetworkAttachmentDefinition";
/// The resource name.
pub const PLURAL: &str = "network-attachment-definitions";

/// One attachment definition that Multus can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentDefinition {
    /// Type of the plugin that makes the interface (`macvlan`, `host-device` ...), or none where the configuration lies in a
    /// file on the node.
    pub plugin: Option<Box<str>>,
}

/// Why Multus could not load an attachment definition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttachmentError {
    /// `spec.config` is there and no text.
    #[error("spec.config must be a text that holds the plugin's JSON configuration")]
    NotAText,
    /// The text is no JSON object.
    #[error("spec.config is not a JSON object: {0}")]
    NotJson(String),
    /// A field has a type that Multus cannot read.
    #[error("{field} in spec.config must be {expected}")]
    FieldType {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Neither a plugin nor a list of plugins.
    #[error("spec.config names no plugin: it needs a \"type\", or \"plugins\" whose first entry has a \"type\"")]
    NoPlugin,
}

impl AttachmentDefinition {
    /// Reads the whole custom resource.
    ///
    /// # Errors
    /// Where Multus would fail to load the configuration (multus-cni `LoadDelegateNetConf`).
    pub fn read(object: &Value) -> Result<Self, AttachmentError> {
        match object.pointer("/spec/config") {
            None | Some(Value::Null) => Ok(Self { plugin: None }),
            // An empty configuration sends Multus to a file on the node, which nobody but the node can see.
            Some(Value::String(config)) if config.is_empty() => Ok(Self { plugin: None }),
            Some(Value::String(config)) => Self::read_config(config),
            Some(_) => Err(AttachmentError::NotAText),
        }
    }

    fn read_config(config: &str) -> Result<Self, AttachmentError> {
        let config: Map<String, Value> = serde_json::from_str(config)
            .map_err(|error| AttachmentError::NotJson(super::shorten(&error.to_string()).into_owned()))?;
        check_types(&config)?;
        if let Some(plugin) = plugin_type(&config) {
            return Ok(Self { plugin: Some(plugin) });
        }
        let plugins = field(&config, "plugins").and_then(Value::as_array).ok_or(AttachmentError::NoPlugin)?;
        for plugin in plugins {
            match plugin {
                Value::Object(plugin) => check_types(plugin)?,
                Value::Null => {}
                _ => return Err(AttachmentError::FieldType { field: "plugins", expected: "a list of objects" }),
            }
        }
        let first = plugins.first().and_then(Value::as_object);
        let plugin = first.and_then(plugin_type).ok_or(AttachmentError::NoPlugin)?;
        Ok(Self { plugin: Some(plugin) })
    }
}

/// The types of the fields that Multus decodes, whichever plugin they are for (libcni's `NetConf`).
fn check_types(config: &Map<String, Value>) -> Result<(), AttachmentError> {
    let wrong = |field, expected| Err(AttachmentError::FieldType { field, expected });
    for name in ["name", "cniVersion", "type"] {
        if !matches!(field(config, name), None | Some(Value::Null | Value::String(_))) {
            return wrong(name, "a text");
        }
    }
    match field(config, "ipam") {
        None | Some(Value::Null) => {}
        Some(Value::Object(ipam)) => {
            if !matches!(field(ipam, "type"), None | Some(Value::Null | Value::String(_))) {
                return wrong("ipam.type", "a text");
            }
        }
        Some(_) => return wrong("ipam", "an object"),
    }
    match field(config, "capabilities") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(capabilities))
            if capabilities.values().all(|value| value.is_boolean() || value.is_null()) =>
        {
            Ok(())
        }
        Some(_) => wrong("capabilities", "an object of true and false"),
    }
}

fn plugin_type(config: &Map<String, Value>) -> Option<Box<str>> {
    field(config, "type").and_then(Value::as_str).filter(|plugin| !plugin.is_empty()).map(Into::into)
}

/// A field by its name, without regard to case: Multus is written in Go.
fn field<'c>(config: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    config.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: &str) -> Result<AttachmentDefinition, AttachmentError> {
        AttachmentDefinition::read(&json!({"spec": {"config": config}}))
    }

    #[test]
    fn what_multus_loads() {
        for (config, plugin) in [
            ("", None),
            (r#"{"type":"macvlan"}"#, Some("macvlan")),
            (r#"{"Type":"macvlan"}"#, Some("macvlan")),
            (r#"{"plugins":[{"type":"bridge"},{"type":"tuning"}]}"#, Some("bridge")),
            (r#"{"type":"ipvlan","plugins":[]}"#, Some("ipvlan")),
            (r#"{"cniVersion":"bogus","type":"macvlan"}"#, Some("macvlan")),
            (r#"{"type":"macvlan","ipam":{}}"#, Some("macvlan")),
            (r#"{"type":"macvlan","ipam":null,"capabilities":{"ips":true}}"#, Some("macvlan")),
            (r#"{"plugins":[{"type":"macvlan"},{"mtu":9000}]}"#, Some("macvlan")),
        ] {
            assert_eq!(read(config).unwrap().plugin.as_deref(), plugin, "{config}");
        }
        assert_eq!(AttachmentDefinition::read(&json!({})).unwrap().plugin, None);
    }

    #[test]
    fn what_multus_fails_on() {
        for config in ["null", "[]", "x", "{}", r#"{"type":""}"#, r#"{"type":1}"#, r#"{"plugins":[]}"#]
            .into_iter()
            .chain([r#"{"type":"a","name":1}"#, r#"{"type":"a","cniVersion":1}"#, r#"{"type":"a","ipam":[]}"#])
            .chain([r#"{"type":"a","ipam":"dhcp"}"#, r#"{"type":"a","ipam":{"type":1}}"#])
            .chain([r#"{"type":"a","capabilities":{"ips":"true"}}"#, r#"{"type":"a","capabilities":["ips"]}"#])
            .chain([r#"{"plugins":[{"type":"a"},"b"]}"#, r#"{"plugins":[{"type":"a","ipam":"dhcp"}]}"#])
            .chain([r#"{"plugins":[null]}"#, r#"{"plugins":{}}"#, r#"{"plugins":["macvlan"]}"#, r#"{"type":"a"} x"#])
        {
            assert!(read(config).is_err(), "{config}");
        }
        assert!(AttachmentDefinition::read(&json!({"spec": {"config": {"type": "macvlan"}}})).is_err());
    }
}
