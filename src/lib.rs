//! rook-multihome: a mutating admission webhook that attaches storage pods to the networks their cluster declares.
//!
//! # The rooms
//!
//! A room may use only the rooms below it; `tests/architecture.rs` guards that.
//!
//! | room | what it is for |
//! |---|---|
//! | [`cli`] | the commands, one file each |
//! | [`serve`] | HTTPS: connections, routes, drain; the admin port |
//! | [`status`] | what StorageNetworks say about themselves, written by one replica at a time |
//! | [`tls`] | certificates: made, kept, rotated, replaced while serving; those of clients |
//! | [`wire`] | AdmissionReview v1: reading one, writing the answer. Pure |
//! | [`admit`] | the decision: what to do with a pod, and why. Pure |
//! | [`lint`] | networks, checked before pods hang. Pure |
//! | [`watch`] | Kubernetes in: watches that keep the world up to date |
//! | [`world`] | the snapshot that decisions read, and how it is put together |
//! | [`storage`] | storage systems and their roles, as data. Pure |
//! | [`network`] | network specs, selections, attachment definitions. Pure |
//! | [`api`] | the API of our own, as users write it: types, schema, CRD document. Pure |
//!
//! Pure rooms have no async, no clock and no I/O. Only `watch`, `tls::cluster` and
//! `status::cluster` import `kube`; only `serve` imports `axum` and `hyper`.
//!
//! # A pod's way through
//!
//! 1. [`serve::listener`] accepts the connection; [`serve::routes`] collects the body.
//! 2. [`wire::Review::read`] parses it once, borrowing what a decision reads.
//! 3. The handler takes one [`world::Snapshot`].
//! 4. [`admit::decide()`] finds cluster, role, provider and networks, and decides.
//! 5. [`admit::patch`] writes the operations, [`wire::answer()`] the answer.
//! 6. Counters and one log event; the reply goes out. There is no await from 2 to 6, and no API call.

#![forbid(unsafe_code)]

pub mod admit;
pub mod api;
pub mod cli;
pub mod lint;
pub mod network;
pub mod serve;
pub mod status;
pub mod storage;
pub mod tls;
pub mod watch;
pub mod wire;
pub mod world;
