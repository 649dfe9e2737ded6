//! The chart, rendered by the real helm with every file of values in `charts/rook-multihome/ci`, and held to what it promises:
//! the least rights, pods that hold to the strictest rules, nothing that differs from one rendering to the next.
//!
//! `BLESS=1` writes what the chart has from elsewhere: the tables of its README, from the comments in `values.yaml`; and what it knows
//! of storage systems, from the catalogue.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod monitoring;
mod objects;
mod on_a_cluster;
mod rendered;
mod rights;
#[path = "../support/mod.rs"]
mod support;
mod systems;
mod validation;
mod values;
mod webhook;

const RELEASE: &str = "rook-multihome";
const NAMESPACE: &str = "webhooks";
/// Kinds of the chart that belong to no namespace.
const CLUSTER_WIDE: [&str; 5] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];
