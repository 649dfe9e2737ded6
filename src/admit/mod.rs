//! The decision: what to do with one pod, and why.
//!
//! [`decide()`] is a function of an admission and a snapshot, and total: nothing about a pod can make it fail, what is odd
//! becomes a [`Reason`]. [`patch`] turns a decision into JSON Patch operations, [`explain`] into sentences. This room must
//! never do I/O, look at a clock or wait, and it changes nothing but the annotations that name networks, `hostNetwork`, `dnsPolicy`, and
//! the devices that the first container requests.

mod attach;
mod belongs;
mod decide;
mod decision;
mod devices;
pub mod explain;
mod guest;
mod host;
mod names;
mod object;
mod owner;
pub mod patch;
mod pin;
mod pod;
mod reason;
mod remark;

pub use decide::decide;
pub use decision::{
    Attachments, CLIENT_ROLE, CUSTOM_SYSTEM, Decision, Declared, EffectiveMode, EffectiveProvider, FoundBy,
    HostNetwork, MEMBER_ROLE, ModeSource, ProviderSource, Recognised, Verdict, Wanted, WantedStep,
};
pub use devices::{DeviceRequest, Devices, Presence};
pub(crate) use object::read_object;
pub use owner::OwnerReference;
pub use pin::Pin;
pub use pod::{Admission, Metadata, PodSpec, PodView, StringMap, Text, UnreadablePart};
pub use reason::{Asker, Reason, Refusal};
pub use remark::Remark;

/// The annotation by which a pod, or the template it comes from, opts out.
pub const INJECT_ANNOTATION: &str = "multihome.rook.io/inject";
/// The value of [`INJECT_ANNOTATION`] that does.
pub const INJECT_DISABLED: &str = "disabled";
/// The value that says what is so without the annotation, too.
pub const INJECT_ENABLED: &str = "enabled";
