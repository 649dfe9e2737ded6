//! Names of networks: the key a cluster gives to a traffic class, and the attachment definition behind it.
//!
//! Names are compared byte for byte, as Kubernetes does; nothing here ever changes one.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::PLAIN_NAME;

/// The name a storage system gives to a traffic class: Ceph's `public` and `cluster`, EdgeFS's `server` and `broker`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = PLAIN_NAME, "maxLength" = 63))]
pub struct NetworkKey(Arc<str>);

/// The attachment definition that a network selection names. The namespace is never empty: where a selector leaves it
/// out, it has been filled in with the one that the reader of the selector would use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentRef {
    /// Namespace of the attachment definition.
    pub namespace: Arc<str>,
    /// Name of the attachment definition.
    pub name: Arc<str>,
}

impl NetworkKey {
    /// The key as it is written in a cluster's spec.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NetworkKey {
    fn from(key: &str) -> Self {
        Self(Arc::from(key))
    }
}

impl Borrow<str> for NetworkKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AttachmentRef {
    /// A reference to `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: Arc::from(namespace), name: Arc::from(name) }
    }
}

impl fmt::Display for AttachmentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
