//! Networks as a storage cluster declares them and as Multus reads them.
//!
//! This room knows the grammar of a cluster's network spec ([`spec`]), of one selector and of the Multus annotation
//! ([`selection`]), of interface names ([`interface`]), of the meta-plugins that attach networks ([`provider`]), of attachment
//! definitions ([`attachment`]) with their plugins ([`plugin`]), the devices that they need ([`resource`]) and where their
//! addresses come from ([`ipam`]), and of address ranges ([`cidr`]). It knows nothing of pods, roles or storage systems, and must
//! never do I/O: everything here is a function of text.

pub mod attachment;
pub mod cidr;
mod element;
mod fields;
mod foreign;
pub mod interface;
pub mod ipam;
pub mod name;
pub mod plugin;
mod problem;
pub mod provider;
pub mod resource;
pub mod selection;
pub mod spec;

pub use attachment::AttachmentDefinition;
pub use foreign::{shorten, yaml_fault};
pub use interface::{InterfaceTemplate, UnfitName};
pub use ipam::Ipam;
pub use name::{AttachmentRef, NetworkKey};
pub use plugin::Plugin;
pub use provider::{MetaPlugin, Provider};
pub use selection::{AnnotationError, NetworkSelection, SelectorError};
pub use spec::{NetworkSpec, SpecProblem};

/// The annotation in which Multus reads a pod's additional networks (Network Plumbing Working Group specification 1.3).
pub const NETWORKS_ANNOTATION: &str = "k8s.v1.cni.cncf.io/networks";
