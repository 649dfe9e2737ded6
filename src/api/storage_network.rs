//! StorageNetwork, as a user writes it: which pods are meant, which networks they get, and how.
//!
//! A typing error in a file must be said, so unknown fields of the spec are refused here; the API server drops them before
//! they arrive. What the fields hold is checked where it is used, never here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::selector::LabelSelector;
use super::status::StorageNetworkStatus;
use super::texts;

/// StorageNetwork attaches the pods of one storage cluster to networks of their own, such as one for clients and one for
/// replication. Use it for storage systems whose own resource cannot name networks, and for pods of your own. It counts for
/// pods that are created from then on, in its own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageNetwork {
    /// Which pods are meant, which networks they get, and how.
    pub spec: StorageNetworkSpec,
    /// What was found when this StorageNetwork was last looked at. It is written by rook-multihome; do not write it yourself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StorageNetworkStatus>,
}

/// Which pods are meant, which networks they get, and how. Give exactly one of clusterRef and podSelector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
pub struct StorageNetworkSpec {
    /// The storage cluster whose pods are meant, in the same namespace as this StorageNetwork. Its storage system says which of
    /// its pods has which role, and which networks each role needs. For pods that belong to no storage system that is known, give
    /// podSelector instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<ClusterRef>,
    /// Says that the pods belong to a system of your own. It may stand beside podSelector, where it changes nothing, and not
    /// beside clusterRef, whose kind says which system it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<OwnSystem>,
    /// The pods that are meant, by their labels, in the namespace of this StorageNetwork; {} means all of them. Give this instead
    /// of clusterRef where the pods belong to no storage system that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// How the pods are connected. Where this is left out, it is multus. A role can depart from it in roles.
    #[serde(default)]
    pub provider: Provider,
    /// The networks, by key. The key says what travels there (a storage system knows its own keys, such as client and
    /// replication); the value selects the network: `[namespace/]name[@interface]` of an attachment definition, such as
    /// storage/replication-net@repl0, or one Multus network selection as JSON text, such as {"name": "replication-net",
    /// "namespace": "storage", "interface": "repl0"}. A name without a namespace means the namespace of this StorageNetwork.
    /// Keys consist of lower case letters, digits and hyphens, at most 63.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = texts::NETWORKS_MAX, "additionalProperties" = texts::selector()))]
    pub interfaces: BTreeMap<String, String>,
    /// What is different for single roles, and roles of your own. Where this is left out, the storage system says which networks
    /// each role gets, and the pods of a podSelector get all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub roles: Vec<RoleNetworks>,
    /// Networks that depend on the node, for instance because each rack has a replication network of its own. For pods that are
    /// bound to nodes with certain labels, a key selects what is said here instead of what interfaces says. Entries are looked
    /// at in their order; for each key, the first that fits and has it counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub node_interfaces: Vec<NodeInterfaces>,
    /// The network that replaces the pod network of the cluster in these pods, as eth0, in the same form as the values of
    /// interfaces, such as storage/pod-net. It is asked for by the annotation v1.multus-cni.io/default-network, which Multus
    /// obeys only for the namespaces that its own configuration allows. Where this is left out, pods keep the pod network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = texts::SELECTOR_MAX))]
    pub default_network: Option<String>,
    /// What is done about the pods of this cluster. Where this is left out, the setting of the installation counts
    /// (settings.mode in the values of the chart).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Namespaces whose pods may ask to be attached to the network that clients of this cluster use; * means all namespaces. Such
    /// a pod asks by the annotation multihome.rook.io/attach, whose value is namespace/cluster, such as
    /// rook-cassandra/rook-cassandra. Where this is left out, no pod of another namespace is attached. It goes with clusterRef: the
    /// pods of a podSelector have no clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("items" = texts::namespace_or_all(), "x-kubernetes-list-type" = "set"))]
    pub allowed_namespaces: Vec<String>,
}

/// A storage cluster in the same namespace, such as { group: cassandra.rook.io, kind: Cluster, name: rook-cassandra }.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterRef {
    /// The API group of the cluster's resource, without the version, such as cassandra.rook.io.
    #[schemars(length(min = 1, max = 253), regex(pattern = texts::OBJECT_NAME))]
    pub group: String,
    /// The kind of the cluster's resource, such as Cluster.
    #[schemars(length(min = 1, max = 63), regex(pattern = texts::KIND_NAME))]
    pub kind: String,
    /// The name of the cluster.
    #[schemars(length(min = 1, max = 253), regex(pattern = texts::OBJECT_NAME))]
    pub name: String,
}

/// The networks of one role, where they differ from what the storage system says, or of a role of your own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleNetworks {
    /// The name of the role: one that the storage system knows, such as member, or a new one, which needs a podSelector. Each
    /// name may stand here once.
    #[schemars(length(min = 1, max = 63), regex(pattern = texts::PLAIN_NAME))]
    pub name: String,
    /// The pods of the role, by their labels, such as { matchLabels: { app: backup } }. Required for a role that the storage
    /// system does not know. For one that it knows, leave this out to have its pods recognised as ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// How the pods of this role are connected. Where this is left out, the provider of the spec counts. For instance, host moves a
    /// toolbox to the network of its node while all other pods keep multus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The keys of the networks that the pods of this role get, in the order in which they are attached. Each has to be a key of
    /// interfaces or nodeInterfaces. Where this is left out, the storage system says which they are; with the empty list, written
    /// [], the role gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = texts::NETWORKS_MAX), extend("items" = texts::key(), "x-kubernetes-list-type" = "atomic"))]
    pub interfaces: Option<Vec<String>>,
}

/// Networks of pods that are bound to certain nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeInterfaces {
    /// The nodes that are meant, by their labels, such as { matchLabels: { topology.kubernetes.io/zone: rack-1 } }.
    pub node_selector: LabelSelector,
    /// The networks on these nodes, by key, in the same form as interfaces of the spec. Keys that are not here keep what
    /// the spec says.
    #[schemars(extend(
        "minProperties" = 1,
        "maxProperties" = texts::NETWORKS_MAX,
        "additionalProperties" = texts::selector()
    ))]
    pub interfaces: BTreeMap<String, String>,
}

/// How pods are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Provider {
    /// Multus attaches the networks, beside the pod network.
    #[default]
    Multus,
    /// The pods use the network of their node, and interfaces is not looked at.
    Host,
    /// The pods keep the pod network alone; nothing is changed.
    None,
    /// Knitter attaches the networks.
    Knitter,
    /// CNI-Genie attaches the networks.
    Genie,
}

/// What is done about pods. In YAML, write "off" in quotes: without them it is a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Pods get their networks.
    Enforce,
    /// Nothing is changed or refused; warnings, logs and metrics say what would have been done.
    Audit,
    /// Pods are left alone, and nothing is said. In YAML, write it in quotes: without them it is a boolean.
    Off,
}

/// A system of the user's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OwnSystem {
    /// The pods of podSelector are a system of your own.
    Custom,
}
