//! One attachment definition and its users, in the words that all formats show.

use serde::Serialize;

use crate::lint::Place;
use crate::lint::networks::{Listed, User};
use crate::network::AttachmentDefinition;
use crate::network::ipam::{Capacity, NetworksUnknown, Scope, Source, Topology};
use crate::network::plugin::Master;
use crate::world::AttachmentState;

/// One attachment definition. What is not known, or does not apply, is left empty.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) state: &'static str,
    /// Why it cannot be loaded.
    pub(super) error: Option<String>,
    /// The types of its plugins, in the order in which they are called.
    pub(super) plugins: Vec<String>,
    pub(super) mode: Option<String>,
    pub(super) master: Option<String>,
    pub(super) bridge: Option<String>,
    pub(super) vlan: Option<u16>,
    pub(super) resource: Option<String>,
    pub(super) ipam: Option<String>,
    pub(super) networks: Vec<String>,
    /// Why the networks are not known.
    pub(super) networks_unknown: Option<String>,
    pub(super) capacity: Option<CapacityView>,
    /// How many nodes can have pods, where each has a share of the range.
    pub(super) nodes: Option<u32>,
    pub(super) used_by: Vec<UserView>,
}

/// How many pods fit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CapacityView {
    /// So many at most; none where there are more addresses than there can be pods.
    pub(super) pods: Option<u32>,
    /// Where that many fit: `cluster` or `node`.
    pub(super) per: &'static str,
}

/// Who uses it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserView {
    pub(super) kind: String,
    pub(super) group: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// The key of the network; none where it is the network in the place of the pod network.
    pub(super) key: Option<String>,
    /// Whether it is so only on some nodes.
    pub(super) on_some_nodes: bool,
    pub(super) roles: Vec<String>,
}

impl View {
    pub(super) fn of(listed: &Listed<'_>) -> Self {
        let Listed { name, state, users } = listed;
        let mut view = match state {
            AttachmentState::Usable(definition) => Self { state: "usable", ..Self::of_definition(definition) },
            AttachmentState::Malformed(error) => {
                Self { state: "malformed", error: Some(error.to_string()), ..Self::default() }
            }
            AttachmentState::Missing => Self { state: "missing", ..Self::default() },
            AttachmentState::Unknown => Self { state: "unknown", ..Self::default() },
        };
        (view.namespace, view.name) = (name.namespace.to_string(), name.name.to_string());
        view.used_by = users.iter().map(UserView::of).collect();
        view
    }

    fn of_definition(definition: &AttachmentDefinition) -> Self {
        let plugin = definition.plugin();
        let (networks, networks_unknown) = match definition.networks() {
            Ok(networks) => (networks.iter().map(ToString::to_string).collect(), None),
            Err(unknown) => (Vec::new(), Some(why_unknown(unknown))),
        };
        let owned = |text: Option<&Box<str>>| text.map(ToString::to_string);
        Self {
            plugins: definition.plugins().iter().map(|plugin| plugin.kind.to_string()).collect(),
            mode: owned(plugin.and_then(|plugin| plugin.mode.as_ref())),
            master: plugin.and_then(|plugin| match plugin.master() {
                Master::Given(master) => Some(master.to_owned()),
                Master::NodeDefault => Some(DEFAULT_ROUTE.to_owned()),
                Master::NotUsed => None,
            }),
            bridge: owned(plugin.and_then(|plugin| plugin.bridge.as_ref())),
            vlan: plugin.and_then(|plugin| plugin.vlan),
            resource: owned(definition.resource.as_ref()),
            ipam: source(&definition.ipam.source),
            networks,
            networks_unknown,
            capacity: match definition.capacity() {
                Capacity::Pods { most, per } => Some(CapacityView {
                    pods: Some(most),
                    per: match per {
                        Scope::Node => "node",
                        Scope::Cluster => "cluster",
                    },
                }),
                Capacity::Unlimited => Some(CapacityView { pods: None, per: "cluster" }),
                Capacity::Unknown => None,
            },
            nodes: definition.ipam.nodes(),
            ..Self::default()
        }
    }
}

/// In the place of a master's name: whichever interface the node's default route has.
pub(super) const DEFAULT_ROUTE: &str = "(default route)";

impl UserView {
    fn of(user: &User<'_>) -> Self {
        let User { declaration, place, roles } = user;
        let subject = declaration.subject();
        let (key, on_some_nodes) = match place {
            Place::Key(key) => (Some(key.to_string()), false),
            Place::Nodes(_, key) => (Some(key.to_string()), true),
            Place::Default => (None, false),
        };
        Self {
            kind: subject.kind,
            group: subject.group,
            namespace: subject.id.namespace,
            name: subject.id.name,
            key,
            on_some_nodes,
            roles: roles.iter().map(ToString::to_string).collect(),
        }
    }
}

fn source(source: &Source) -> Option<String> {
    Some(match source {
        Source::Nobody => return None,
        Source::HostLocal => "host-local".to_owned(),
        Source::Static => "static".to_owned(),
        Source::Dhcp => "dhcp".to_owned(),
        Source::Whereabouts => "whereabouts".to_owned(),
        Source::Ovn(topology) => {
            let form = match topology {
                Topology::Default => "default",
                Topology::Layer2 => "layer2",
                Topology::Layer3 => "layer3",
                Topology::Localnet => "localnet",
                Topology::Unknown => "unknown",
            };
            format!("OVN-Kubernetes {form}")
        }
        Source::Resource(resource) => resource.kind.to_owned(),
        Source::Unknown(kind) => kind.to_string(),
    })
}

/// Why the ranges of a network cannot be known, in few words.
pub(super) fn why_unknown(unknown: NetworksUnknown<'_>) -> String {
    match unknown {
        NetworksUnknown::ReadFromNode => "configured in a file on the node".to_owned(),
        NetworksUnknown::Dhcp => "a DHCP server knows".to_owned(),
        NetworksUnknown::NoIpam => "pods get no address".to_owned(),
        NetworksUnknown::PluginUnknown(plugin) => format!("the plugin {plugin} knows"),
        NetworksUnknown::OwnResource(resource) if resource.names.is_empty() => {
            format!("in resources {}", resource.kind)
        }
        NetworksUnknown::OwnResource(resource) => format!("in {} {}", resource.kind, resource.names.join(", ")),
        NetworksUnknown::PerPod => "each pod asks for its own".to_owned(),
        NetworksUnknown::Invalid(fault) => format!("invalid: {fault}"),
    }
}
