//! Texts that several fields hold: their bounds and patterns, as schemas.
//!
//! Bounds are never stricter than what Kubernetes itself allows for the thing that is named. Every list and map has one, or the
//! API server would take rules about them for too expensive.

use serde_json::{Value, json};

/// The name of an object: a DNS subdomain.
pub(crate) const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A network key, a role, a storage system, a namespace: a DNS label.
pub(crate) const PLAIN_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A kind of object.
pub(crate) const KIND_NAME: &str = "^[A-Z][A-Za-z0-9]*$";
/// The key of a label.
pub(crate) const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// The value of a label.
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// The longest selector text. A JSON selection can carry addresses and arguments for the plugin.
pub(super) const SELECTOR_MAX: usize = 4096;
/// The most networks that one cluster has.
pub(super) const NETWORKS_MAX: usize = 16;

/// What a network key selects.
pub(super) fn selector() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": SELECTOR_MAX,
        "description": "The attachment definition behind the key: [namespace/]name[@interface], or one Multus network \
            selection as JSON text. A name without a namespace means the namespace of this StorageNetwork.",
    })
}

/// A key that names a network.
pub(super) fn key() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 63,
        "pattern": PLAIN_NAME,
        "description": "A key of spec.interfaces or of an entry of spec.nodeInterfaces.",
    })
}

/// A namespace, or all of them.
pub(super) fn namespace_or_all() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 63,
        "pattern": format!(r"^\*$|{PLAIN_NAME}"),
        "description": "The name of a namespace, or * for all namespaces.",
    })
}

/// The value of a label.
pub(super) fn label_value() -> Value {
    json!({
        "type": "string",
        "maxLength": 63,
        "pattern": LABEL_VALUE,
        "description": "A value of the label.",
    })
}
