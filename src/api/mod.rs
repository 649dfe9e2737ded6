//! The API of our own, as users write it: its types, its schema, and the document that installs it.
//!
//! The types are the one source. Their documentation is what `kubectl explain` prints, so it speaks to whoever runs storage;
//! their attributes are what the API server checks. What a StorageNetwork means for a pod is not decided here, and this room
//! uses no other.

mod crd;
mod read;
mod rules;
mod selector;
mod status;
mod storage_network;
mod structural;
mod texts;
mod yaml;

pub use crd::{Cel, storage_network_crd};
pub use read::{READ_MEND, ReadError};
pub use selector::{LabelOperator, LabelRequirement, LabelSelector};
pub use status::{Condition, ConditionStatus, InterfaceState, InterfaceStatus, NodeStatus, StorageNetworkStatus};
pub use storage_network::{
    ClusterRef, Mode, NodeInterfaces, OwnSystem, Provider, RoleNetworks, StorageNetwork, StorageNetworkSpec,
};
pub(crate) use texts::{KIND_NAME, LABEL_KEY, OBJECT_NAME, PLAIN_NAME};
pub use yaml::{YamlError, to_yaml};

/// The API group.
pub const GROUP: &str = "multihome.rook.io";
/// The only version of the API so far.
pub const VERSION: &str = "v1alpha1";
/// The kind of [`StorageNetwork`].
pub const KIND: &str = "StorageNetwork";
/// What the kind is called in URLs and by kubectl.
pub const PLURAL: &str = "storagenetworks";
/// The same for one of them.
pub const SINGULAR: &str = "storagenetwork";
/// The same for those who type it often.
pub const SHORT_NAME: &str = "stnet";
