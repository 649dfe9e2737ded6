//! What is said about a StorageNetwork in its status.
//!
//! The status is for people and their tools: no decision about a pod may be taken from it. Unlike the spec, it may hold fields
//! that are not known here, because a newer version may have written it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found when this StorageNetwork was last looked at. It is written by rook-multihome; do not write it yourself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageNetworkStatus {
    /// The generation of the spec that this status is about. Where metadata.generation is higher, the last change of the spec
    /// has not been looked at yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The storage system, such as cassandra; custom where the pods are named by spec.podSelector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The storage cluster, as kind and name, such as Cluster/rook-cassandra. Absent where spec.podSelector is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The pods that spec.podSelector selects, as kubectl writes selectors, such as app=backup; all where it selects every pod of
    /// the namespace. Absent where spec.clusterRef is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<String>,
    /// The provider that counts, such as multus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The networks in one line, as key=network, such as client=storage/client-net, replication=storage/replication-net@repl0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<String>,
    /// Every network that the spec names for all nodes, and whether its attachment definition was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub interfaces: Vec<InterfaceStatus>,
    /// The same for the networks of single nodes, in the order of spec.nodeInterfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub nodes: Vec<NodeStatus>,
    /// What is true about this StorageNetwork, by type. Ready says whether its pods get their networks, and if not, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The networks of the nodes that one entry of spec.nodeInterfaces is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The nodes, as kubectl writes selectors, such as topology.kubernetes.io/zone=rack-1; all where every node is meant.
    pub nodes: String,
    /// The networks on these nodes.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub interfaces: Vec<InterfaceStatus>,
}

/// One network that the spec names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStatus {
    /// The key in the spec, such as client; defaultNetwork for what replaces the pod network.
    pub key: String,
    /// The attachment definition that the key selects, as namespace/name.
    pub network: String,
    /// The name of the interface in the pod, where the spec asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Whether the attachment definition can be used.
    pub state: InterfaceState,
}

/// Whether an attachment definition can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InterfaceState {
    /// The attachment definition is there, and can be read.
    Found,
    /// There is no such attachment definition: create it, or mend the name in the spec.
    Missing,
    /// The attachment definition is there, but Multus could not load it: mend its spec.config.
    Malformed,
    /// It is not known: attachment definitions have not been read yet, or the provider keeps its networks elsewhere.
    Unknown,
}

/// One thing that is true about the object, or is not, in the form that all of Kubernetes uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, such as Ready.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,
    /// Whether it is true.
    pub status: ConditionStatus,
    /// The generation of the spec that the condition is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status last went from one value to another, such as 2026-01-31T12:00:00Z.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, in one word for machines, such as MissingAttachment.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"))]
    pub reason: String,
    /// Why, in sentences for people, with what to do about it.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Whether a condition is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is true.
    True,
    /// It is not true.
    False,
    /// It is not known.
    Unknown,
}
