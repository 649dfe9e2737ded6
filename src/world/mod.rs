//! The world as decisions see it: clusters, attachment definitions and settings, put together from objects.
//!
//! [`Entry::read`] turns one Kubernetes object into our own types, once, when it arrives; [`World`] holds the entries and
//! hands out [`Snapshot`]s; [`manifests`] fills a world from files. Reading those files is the only I/O in this room, and
//! nothing here knows whether objects come from a watch or from disk.

mod by_cluster;
mod by_name;
mod checks;
mod cluster;
mod declarer;
mod entry;
mod kind;
pub mod manifests;
mod published;
mod settings;
mod snapshot;
mod storage_network;
mod workload;

pub use checks::{AddressRanges, Checks, Deny, InUse, Isolation, Severity, Surroundings};
pub use cluster::{
    ALLOWED_NAMESPACES_ANNOTATION, AllowedNamespaces, Cluster, ClusterRef, ClusterSize, MODE_ANNOTATION,
};
pub use declarer::Declarer;
pub use entry::{ATTACH_ANNOTATION, Entry, HostFields};
pub use kind::{Content, KindPosition, ObjectError, ObjectKind, ObjectName};
pub use published::Published;
pub use settings::{Concern, DeviceResources, Mode, Outcome, OutcomeRule, Settings};
pub use snapshot::{AttachmentState, HOSTNAME_LABEL, Knowledge, NodeLabels, Snapshot, World};
pub use storage_network::{Declared, NodeInterfaces, RoleRule, StorageNetwork, Target};
pub use workload::{Lead, OwnerRef, Workload};

/// What our own annotations on the objects of the world begin with. No others are ever read.
pub const ANNOTATION_PREFIX: &str = "multihome.rook.io/";
