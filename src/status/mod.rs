//! What StorageNetworks say about themselves, written by one replica at a time.
//!
//! [`conditions`] computes the status of each from the snapshot that decisions read, so that nothing is said there that does
//! not hold for a pod. [`lease`] says who may write, [`ledger`] what is due to be written, [`cluster`] reads and writes
//! Kubernetes, [`writer`] does it, and [`standing`] says how it goes.
//!
//! Nothing in here is on the way of a pod: where it fails, statuses are old, and nothing else.

mod attachable;
pub mod cluster;
pub mod conditions;
pub mod lease;
pub mod ledger;
mod networks;
mod size;
mod sound;
pub mod standing;
pub mod writer;
