//! Storage systems: what their clusters are called, which roles their pods have, and which networks a role needs.
//!
//! All of it is data: one YAML file for each system in `catalogue/`, compiled into the program (the format is described in
//! `docs/storage-systems.md`). The code here reads, checks and indexes that data. It must never name a storage
//! system, a role or a label of one: a rule that needs code is a rule that the format lacks.

mod catalogue;
mod check;
mod labels;
mod names;
mod resource;
mod role;
mod selector;
mod system;
mod workload;

pub use catalogue::{BUILT_IN, Catalogue, CatalogueError};
pub use labels::{LabelRule, Labels};
pub use resource::{FieldPath, Resource};
pub use role::{Evidence, HostOverride, OverrideSource, Role, RoleName, RoleOwner, Treatment};
pub use selector::{Operator, Requirement, Selector};
pub use system::{ClusterKind, FoundRole, KeyDescription, SizeFields, System, SystemName, keys_behind};
pub use workload::WorkloadKind;
