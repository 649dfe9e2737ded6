//! Multus: `k8s.v1.cni.cncf.io/networks`, and the annotation that chooses a pod's default network.
//!
//! The grammar is that of the Network Plumbing Working Group and lives in [`crate::network::selection`]; every selection of
//! this project is written in it, so Multus can express them all. What it does with them is taken from multus-cni 4.3
//! (`pkg/k8sclient/k8sclient.go`, `pkg/multus/multus.go`). Nothing here knows of Multus's own configuration on the nodes.

use thiserror::Error;

use super::{MetaPlugin, Names, PodNetwork};
use crate::network::NETWORKS_ANNOTATION;
use crate::network::selection::{
    AnnotationError, NetworkSelection, interface_names, read_annotation, write_annotation,
};

/// The annotation that puts another network in the place of the cluster's on one pod (multus-cni
/// `tryLoadK8sPodDefaultNetwork`).
pub const DEFAULT_NETWORK_ANNOTATION: &str = "v1.multus-cni.io/default-network";

/// Where Multus looks for a default network that is named without a namespace, unless its own setting `multusNamespace` says
/// otherwise. It is not the pod's namespace.
pub const MULTUS_NAMESPACE: &str = "kube-system";

/// What Multus passes to plugins in their runtime configuration, which it does not fill for a default network (multus-cni
/// `mergeCNIRuntimeConfig`). Addresses are not among these: they also go into `CNI_ARGS`, for the plugins that look there.
const NOT_FOR_THE_DEFAULT: [&str; 4] = ["portMappings", "bandwidth", "infiniband-guid", "deviceID"];

/// k8snetworkplumbingwg/multus-cni.
#[derive(Clone, Copy, Debug)]
pub struct Multus;

/// Why [`DEFAULT_NETWORK_ANNOTATION`] names no default network. Multus fails such a pod.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DefaultNetworkError {
    /// The annotation is there and empty.
    #[error("it is empty")]
    Empty,
    /// More or fewer networks than one. A list without any makes Multus crash.
    #[error("it names {0} networks, and there is exactly one default network")]
    NotOne(usize),
    /// It cannot be read at all.
    #[error(transparent)]
    Unreadable(#[from] AnnotationError),
}

impl MetaPlugin for Multus {
    fn name(&self) -> &'static str {
        "multus"
    }

    fn title(&self) -> &'static str {
        "Multus"
    }

    fn annotation(&self) -> &'static str {
        NETWORKS_ANNOTATION
    }

    fn names(&self) -> Names {
        Names::AttachmentDefinitions
    }

    fn pod_network(&self) -> PodNetwork {
        PodNetwork::Beside { chosen_by: Some(DEFAULT_NETWORK_ANNOTATION) }
    }

    fn parse(&self, value: &str, namespace: &str) -> Result<Vec<NetworkSelection>, AnnotationError> {
        read_annotation(value, namespace)
    }

    fn unsupported(&self, _: &NetworkSelection, _: &str) -> Option<String> {
        None
    }

    fn write(&self, existing: &str, namespace: &str, added: &[&NetworkSelection]) -> Result<String, AnnotationError> {
        let existing = self.read(existing, namespace)?;
        Ok(write_annotation(existing.iter().chain(added.iter().copied())))
    }

    fn interface_names(&self, selections: &[&NetworkSelection]) -> Vec<String> {
        interface_names(selections.iter().copied()).map(std::borrow::Cow::into_owned).collect()
    }
}

/// Reads [`DEFAULT_NETWORK_ANNOTATION`] as it stands on a pod, by Multus's rules. `multus_namespace` is Multus's own
/// namespace, [`MULTUS_NAMESPACE`] unless it was told otherwise.
///
/// # Errors
/// Where Multus would fail the pod, or crash.
pub fn read_default_network(value: &str, multus_namespace: &str) -> Result<NetworkSelection, DefaultNetworkError> {
    if value.is_empty() {
        return Err(DefaultNetworkError::Empty);
    }
    let mut networks = Multus.read(value, multus_namespace)?;
    match (networks.len(), networks.pop()) {
        (1, Some(network)) => Ok(network),
        (count, _) => Err(DefaultNetworkError::NotOne(count)),
    }
}

/// Writes [`DEFAULT_NETWORK_ANNOTATION`]: a list of one, with its namespace, so that it does not matter which is Multus's.
#[must_use]
pub fn write_default_network(selection: &NetworkSelection) -> String {
    write_annotation([selection])
}

/// Why `selection` cannot be a default network as it is asked for, as the rest of a sentence about it; nothing where it can.
/// (`ips` and `mac` reach a default network only in `CNI_ARGS`, which not every plugin reads. An interface name is obeyed: the
/// pod then has no `eth0`.)
#[must_use]
pub fn unsupported_as_default(selection: &NetworkSelection) -> Option<String> {
    let mut lost = selection.further_fields();
    lost.retain(|field| NOT_FOR_THE_DEFAULT.contains(&field.as_str()));
    (!lost.is_empty()).then(|| format!("Multus ignores {} in a default network", lost.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_network_is_one_and_multus_own_namespace_is_its_home() {
        for (value, expected) in [
            ("calico", Ok("kube-system/calico")),
            ("net/calico", Ok("net/calico")),
            (r#"[{"name":"calico"}]"#, Ok("kube-system/calico")),
            (r#"[{"name":"calico","namespace":"net"}]"#, Ok("net/calico")),
            ("", Err(DefaultNetworkError::Empty)),
            ("[]", Err(DefaultNetworkError::NotOne(0))),
            ("a,b", Err(DefaultNetworkError::NotOne(2))),
        ] {
            let read = read_default_network(value, MULTUS_NAMESPACE).map(|network| network.attachment.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{value}");
        }
        for unreadable in [" ", "[null]", "{", "a/b/c"] {
            let error = read_default_network(unreadable, MULTUS_NAMESPACE).unwrap_err();
            assert!(matches!(error, DefaultNetworkError::Unreadable(_)), "{unreadable}: {error}");
        }
    }

    #[test]
    fn what_is_written_as_the_default_is_read_again() {
        let json = r#"{"name":"a","ips":["10.0.0.5"],"cni-args":{"x":1}}"#;
        let selection = NetworkSelection::from_selector(json, "ns").unwrap().unwrap();
        let written = write_default_network(&selection);
        assert_eq!(written, r#"[{"name":"a","namespace":"ns","ips":["10.0.0.5"],"cni-args":{"x":1}}]"#);
        assert_eq!(read_default_network(&written, MULTUS_NAMESPACE).unwrap(), selection);
    }

    #[test]
    fn what_multus_ignores_in_a_default_network() {
        for (json, ignored) in [
            (r#"{"name":"a"}"#, None),
            (r#"{"name":"a","interface":"eth0","mac":"02:00:00:00:00:01","ips":["10.0.0.5/24"]}"#, None),
            (r#"{"name":"a","bandwidth":{"ingressRate":1}}"#, Some("Multus ignores bandwidth in a default network")),
            (r#"{"name":"a","deviceID":"x"}"#, Some("Multus ignores deviceID in a default network")),
        ] {
            let selection = NetworkSelection::from_selector(json, "ns").unwrap().unwrap();
            assert_eq!(unsupported_as_default(&selection).as_deref(), ignored, "{json}");
        }
    }
}
