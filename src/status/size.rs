//! How large a status may be.
//!
//! Statuses repeat what users wrote, which may be long, and lie in etcd beside it. What is cut says so.

use serde::Serialize;

use crate::api::{InterfaceState, InterfaceStatus, NodeStatus, StorageNetworkStatus};

/// The most bytes of a whole status, as JSON, with what is still to be added: the times of the conditions.
const STATUS_BYTES: usize = 32 * 1024;
const TIMES_BYTES: usize = 1024;
/// The longest message. The API allows more, but nobody reads it.
pub(super) const MESSAGE_BYTES: usize = 4096;
/// The longest text in one line: the networks, a selector.
const LINE_BYTES: usize = 1024;
/// The longest name; Kubernetes allows 253 bytes, and 63 for the namespace.
const NAME_BYTES: usize = 320;
/// Kept for the entry that says how many more there are.
const MORE_BYTES: usize = 160;

/// The status, no larger than it may be: first texts are cut, and then lists.
pub(super) fn bounded(mut status: StorageNetworkStatus) -> StorageNetworkStatus {
    let texts = [&mut status.system, &mut status.cluster, &mut status.pods, &mut status.provider, &mut status.networks];
    for text in texts.into_iter().flatten() {
        cut(text, LINE_BYTES);
    }
    for condition in &mut status.conditions {
        cut(&mut condition.message, MESSAGE_BYTES);
    }
    status.interfaces.iter_mut().for_each(cut_interface);
    for nodes in &mut status.nodes {
        cut(&mut nodes.nodes, LINE_BYTES);
        nodes.interfaces.iter_mut().for_each(cut_interface);
    }
    let (interfaces, nodes) = (std::mem::take(&mut status.interfaces), std::mem::take(&mut status.nodes));
    let mut left = STATUS_BYTES.saturating_sub(json_bytes(&status) + TIMES_BYTES + 2 * MORE_BYTES);
    status.interfaces = fitting(interfaces, &mut left, |more| InterfaceStatus {
        key: "...".to_owned(),
        network: format!("and {more} more"),
        interface: None,
        state: InterfaceState::Unknown,
    });
    status.nodes = fitting(nodes, &mut left, |more| NodeStatus {
        nodes: format!("... and {more} more entries of spec.nodeInterfaces"),
        interfaces: Vec::new(),
    });
    status
}

/// As many of `items` as there is room for, and where that is not all, one that says so.
fn fitting<T: Serialize>(mut items: Vec<T>, left: &mut usize, says: impl FnOnce(usize) -> T) -> Vec<T> {
    let fits = |item: &&T| {
        let rest = left.checked_sub(json_bytes(item) + 1);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    };
    let count = items.iter().take_while(fits).count();
    let more = items.len() - count;
    items.truncate(count);
    if more > 0 {
        items.push(says(more));
    }
    items
}

fn cut_interface(interface: &mut InterfaceStatus) {
    let InterfaceStatus { key, network, interface, state: _ } = interface;
    for text in [Some(key), Some(network), interface.as_mut()].into_iter().flatten() {
        cut(text, NAME_BYTES);
    }
}

/// Cuts a text so that it takes no more bytes than that as JSON, besides the sign that something is missing.
fn cut(text: &mut String, bytes: usize) {
    let mut taken = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        taken += match character {
            '"' | '\\' => 2,
            '\0'..' ' => 6,
            other => other.len_utf8(),
        };
        (taken > bytes).then_some(at)
    });
    if let Some(end) = end {
        text.truncate(end);
        text.push_str(" ...");
    }
}

/// How long it is as JSON, which everything in a status can be.
fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Condition, ConditionStatus};

    #[test]
    fn however_long_the_spec_is_the_status_is_small() {
        for filler in ["x", "\"", "\u{1}", "ü"] {
            let text = filler.repeat(9000);
            let interface = |at: usize| InterfaceStatus {
                key: format!("{at}{text}"),
                network: text.clone(),
                interface: Some(text.clone()),
                state: InterfaceState::Missing,
            };
            let interfaces: Vec<InterfaceStatus> = (0..16).map(interface).collect();
            let condition = Condition {
                kind: "ResolvedRefs".to_owned(),
                status: ConditionStatus::Unknown,
                observed_generation: Some(i64::MAX),
                last_transition_time: "2026-01-31T12:00:00Z".to_owned(),
                reason: "AttachmentsNotListed".to_owned(),
                message: text.clone(),
            };
            let nodes = NodeStatus { nodes: text.clone(), interfaces: interfaces.clone() };
            let large = StorageNetworkStatus {
                observed_generation: Some(i64::MAX),
                system: Some(text.clone()),
                cluster: Some(text.clone()),
                pods: Some(text.clone()),
                provider: Some("multus".to_owned()),
                networks: Some(text.clone()),
                interfaces,
                nodes: vec![nodes; 64],
                conditions: vec![condition; 4],
            };
            let small = bounded(large.clone());
            let bytes = json_bytes(&small);
            assert!(bytes <= STATUS_BYTES && bytes > STATUS_BYTES / 2, "{bytes}");
            let last = small.nodes.last().unwrap();
            let said = format!("... and {} more entries of spec.nodeInterfaces", 65 - small.nodes.len());
            assert_eq!((&last.nodes, last.interfaces.len()), (&said, 0));
            let without_nodes = bounded(StorageNetworkStatus { nodes: Vec::new(), ..large });
            assert!(json_bytes(&without_nodes) <= STATUS_BYTES && without_nodes.nodes.is_empty());
        }
    }

    #[test]
    fn what_is_not_long_is_left_as_it_is() {
        let interface = |at: usize| InterfaceStatus {
            key: format!("k{at}"),
            network: "n".repeat(NAME_BYTES),
            interface: None,
            state: InterfaceState::Found,
        };
        let status = StorageNetworkStatus {
            pods: Some("p".repeat(LINE_BYTES)),
            interfaces: (0..16).map(interface).collect(),
            nodes: vec![NodeStatus { nodes: "all".to_owned(), interfaces: (0..16).map(interface).collect() }; 3],
            ..StorageNetworkStatus::default()
        };
        assert_eq!(bounded(status.clone()), status);
    }
}
