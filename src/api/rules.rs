//! Rules about fields together, in the language CEL, which the API server applies since Kubernetes 1.25.
//!
//! Each message says the mend. Older API servers do not know these rules, so nothing may rely on them: what reads a
//! StorageNetwork has to meet the same faults. A rule goes through lists that have bounds, looks keys up in maps, and compares
//! nothing of unknown length, or the API server refuses the whole document for what the rule could cost: ten million at most for
//! each, by its own estimate.

use serde_json::{Value, json};

/// What has to be true of a spec.
pub(super) fn spec() -> Value {
    json!([
        {
            "rule": "has(self.clusterRef) ? !has(self.podSelector) : has(self.podSelector)",
            "message": "give exactly one of clusterRef (a cluster of a storage system that is known) and podSelector (pods of your \
                own; {} for all pods of the namespace)",
        },
        {
            "rule": "!has(self.system) || has(self.podSelector)",
            "message": "system goes with podSelector: remove system, or give podSelector instead of clusterRef",
        },
        {
            "rule": "!has(self.allowedNamespaces) || size(self.allowedNamespaces) == 0 || has(self.clusterRef)",
            "message": "allowedNamespaces goes with clusterRef: remove allowedNamespaces, or give clusterRef instead of podSelector",
        },
        {
            "rule": "(has(self.provider) && self.provider in ['host', 'none']) || has(self.defaultNetwork) || \
                (has(self.interfaces) && size(self.interfaces) > 0) || \
                (has(self.nodeInterfaces) && size(self.nodeInterfaces) > 0)",
            "message": "there is no network to attach: give interfaces, nodeInterfaces or defaultNetwork, or set provider to host or \
                none",
        },
        {
            "rule": "!has(self.roles) || self.roles.all(role, !has(role.interfaces) || role.interfaces.all(key, \
                (has(self.interfaces) && key in self.interfaces) || \
                (has(self.nodeInterfaces) && self.nodeInterfaces.exists(node, key in node.interfaces))))",
            "message": "a role names a network that is not declared: add its key to interfaces or nodeInterfaces, or remove it from \
                the interfaces of the role",
        },
    ])
}

/// What has to be true of one condition on a label.
pub(super) fn label_requirement() -> Value {
    json!([{
        "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : \
            !has(self.values) || size(self.values) == 0",
        "message": "give at least one of values with In and NotIn, and remove values with Exists and DoesNotExist",
    }])
}
