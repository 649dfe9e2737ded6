//! The networks that a StorageNetwork names, one by one, and whether there are such.

use crate::api::{InterfaceState, InterfaceStatus, NodeStatus};
use crate::network::provider::Names;
use crate::network::{NetworkKey, NetworkSelection, Provider};
use crate::storage::Selector;
use crate::world::{AttachmentState, Declared, Snapshot};

/// Under which key the network stands that replaces the pod network. No user can name a key so.
const DEFAULT_NETWORK: &str = "defaultNetwork";

/// Whether the names of networks are names of attachment definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// They are: whoever attaches them finds them there, or not.
    Definitions,
    /// They are not looked at, because nobody attaches them.
    Unused,
    /// They mean networks that are kept elsewhere, where only the provider sees them.
    Elsewhere,
}

/// Everything that a StorageNetwork names.
pub(super) struct Named {
    pub(super) lookup: Lookup,
    pub(super) interfaces: Vec<InterfaceStatus>,
    pub(super) nodes: Vec<NodeStatus>,
    /// All in one line, for a column.
    pub(super) line: String,
    /// The attachment definitions that can be read, but not used, each with the reason.
    pub(super) faults: Vec<String>,
}

impl Named {
    pub(super) fn read(snapshot: &Snapshot, declared: &Declared) -> Self {
        let lookup = Lookup::of(declared);
        let mut faults = Vec::new();
        let mut status = |key: &str, selection: &NetworkSelection| {
            let state = match (lookup, snapshot.attachment(&selection.attachment)) {
                (Lookup::Elsewhere, _) | (_, AttachmentState::Unknown) => InterfaceState::Unknown,
                (_, AttachmentState::Usable(_)) => InterfaceState::Found,
                (_, AttachmentState::Missing) => InterfaceState::Missing,
                (_, AttachmentState::Malformed(error)) => {
                    faults.push(format!("{}: {error}", selection.attachment));
                    InterfaceState::Malformed
                }
            };
            let (network, interface) = (selection.attachment.to_string(), selection.interface.clone());
            InterfaceStatus { key: key.to_owned(), network, interface, state }
        };
        let mut interfaces: Vec<InterfaceStatus> =
            declared.spec.selections.iter().map(|(key, selection)| status(key.as_str(), selection)).collect();
        // Only Multus can replace the pod network; from the others nobody reads this.
        if let (Some(selection), Provider::Attach(plugin)) = (&declared.default_network, declared.spec.provider)
            && plugin.default_network_annotation().is_some()
        {
            interfaces.push(status(DEFAULT_NETWORK, selection));
        }
        let nodes = declared.node_interfaces.iter().map(|nodes| NodeStatus {
            nodes: in_words(&nodes.selector),
            interfaces: nodes.selections.iter().map(|(key, selection)| status(key.as_str(), selection)).collect(),
        });
        let nodes = nodes.collect();
        faults.sort();
        faults.dedup();
        let line = if lookup == Lookup::Unused { String::new() } else { line(declared, &interfaces) };
        Self { lookup, interfaces, nodes, line, faults }
    }

    /// The networks in this state, each once.
    pub(super) fn that_are(&self, state: InterfaceState) -> Vec<&str> {
        let all = self.interfaces.iter().chain(self.nodes.iter().flat_map(|nodes| &nodes.interfaces));
        let mut these: Vec<&str> =
            all.filter(|one| one.state == state).map(|interface| interface.network.as_str()).collect();
        these.sort_unstable();
        these.dedup();
        these
    }
}

impl Lookup {
    fn of(declared: &Declared) -> Self {
        let of_roles = declared.roles.iter().filter_map(|role| role.provider);
        let plugins: Vec<_> = std::iter::once(declared.spec.provider)
            .chain(of_roles)
            .filter_map(|provider| match provider {
                Provider::Attach(plugin) => Some(plugin.names()),
                Provider::None | Provider::Host => None,
            })
            .collect();
        if plugins.contains(&Names::AttachmentDefinitions) {
            Self::Definitions
        } else if plugins.is_empty() {
            Self::Unused
        } else {
            Self::Elsewhere
        }
    }
}

/// A selector as kubectl writes it. For one that selects everything kubectl writes `<none>`, which reads like nothing.
pub(super) fn in_words(selector: &Selector) -> String {
    if selector.is_everything() { "all".to_owned() } else { selector.to_string() }
}

/// `key=network` for each key in alphabetical order, and last what replaces the pod network.
fn line(declared: &Declared, interfaces: &[InterfaceStatus]) -> String {
    let network = |interface: &InterfaceStatus| match &interface.interface {
        Some(name) => format!("{}@{name}", interface.network),
        None => interface.network.clone(),
    };
    let on_all = |key: &NetworkKey| interfaces.iter().find(|interface| interface.key == key.as_str());
    let keys = declared.keys().map(|key| match on_all(key) {
        Some(interface) => format!("{key}={}", network(interface)),
        None => format!("{key}=by node"),
    });
    let default = interfaces.iter().filter(|interface| interface.key == DEFAULT_NETWORK);
    keys.chain(default.map(|interface| format!("default={}", network(interface)))).collect::<Vec<_>>().join(", ")
}
