//! The document that makes an API server know StorageNetworks.

use serde_json::{Value, json};

use super::storage_network::StorageNetwork;
use super::structural;
use super::{GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION};

/// Whether the document has rules in CEL. API servers before Kubernetes 1.25 refuse or drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cel {
    /// With the rules: for Kubernetes 1.25 or newer.
    With,
    /// Without them: for Kubernetes 1.20 to 1.24.
    Without,
}

/// The CustomResourceDefinition of StorageNetwork.
#[must_use]
pub fn storage_network_crd(cel: Cel) -> Value {
    let columns = [
        ("System", "string", ".status.system"),
        ("Cluster", "string", ".status.cluster"),
        ("Provider", "string", ".status.provider"),
        ("Networks", "string", ".status.networks"),
        ("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#),
        ("Age", "date", ".metadata.creationTimestamp"),
    ];
    let columns = columns.map(|(name, of, path)| json!({"name": name, "type": of, "jsonPath": path}));
    // Shown by kubectl get --output wide.
    let wide =
        [("Pods", "string", ".status.pods"), ("Reason", "string", r#".status.conditions[?(@.type=="Ready")].reason"#)];
    let wide = wide.map(|(name, of, path)| json!({"name": name, "type": of, "jsonPath": path, "priority": 1}));
    let columns: Vec<Value> = columns.into_iter().chain(wide).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": ["rook"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": structural::schema_of::<StorageNetwork>(cel)},
            }],
        },
    })
}
