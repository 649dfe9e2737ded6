//! The seam between what is to be attached and the meta-plugin that attaches it.
//!
//! A meta-plugin is a CNI plugin that calls others, and learns from an annotation of the pod which. Each is one small type in
//! a file of its own here, and one line in [`ALL`]; `docs/providers.md` compares them and says what was verified. A
//! meta-plugin reads its annotation by the rules of the program it stands for and writes only what that program reads. It
//! must never lose what already stands on a pod, and must never guess: what it cannot express, it says.

mod clash;
mod genie;
mod knitter;
pub mod multus;

use std::fmt;

pub use clash::{Clash, ClashWith};
pub use genie::Genie;
pub use knitter::Knitter;
pub use multus::Multus;

use super::element::LIST_LENGTH;
use super::selection::{AnnotationError, NetworkSelection, check_length};

/// Every meta-plugin there is, in the order in which people are told of them.
pub const ALL: [&dyn MetaPlugin; 3] = [&Multus, &Knitter, &Genie];

/// The interface of a pod's network, as those name it who call the plugins: the kubelet (`DefaultInterfaceName`, while it did so
/// itself), containerd (`defaultIfName`) and CRI-O (ocicni's `DefaultInterfaceName`).
const POD_INTERFACE: &str = "eth0";

/// How a cluster's networks are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The pod network alone; Rook writes it as the empty text. Nothing is changed.
    #[default]
    None,
    /// The host's network namespace.
    Host,
    /// Attachments, made by a meta-plugin.
    Attach(&'static dyn MetaPlugin),
}

/// What a meta-plugin takes the name of a network for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A `NetworkAttachmentDefinition`, so that it can be told beforehand whether there is one.
    AttachmentDefinitions,
    /// Something that the meta-plugin keeps outside of Kubernetes and that only it can look up.
    ItsOwnNetworks,
}

/// What becomes of the cluster's own network on a pod with the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodNetwork {
    /// It is attached beside what the annotation lists, unless the annotation named here chooses another in its place.
    Beside {
        /// The annotation that chooses another, where there is such a thing.
        chosen_by: Option<&'static str>,
    },
    /// The list is all that the pod gets: the cluster's network is attached where it is listed, and not otherwise.
    Listed,
}

/// A CNI plugin that attaches a pod to the networks that an annotation lists.
pub trait MetaPlugin: fmt::Debug + Sync {
    /// The value of a `provider` field that means it; also for metrics.
    fn name(&self) -> &'static str;

    /// Its name in a sentence.
    fn title(&self) -> &'static str;

    /// The annotation of a pod in which it reads its list.
    fn annotation(&self) -> &'static str;

    /// What the names in its list are names of.
    fn names(&self) -> Names;

    /// What becomes of the cluster's own network.
    fn pod_network(&self) -> PodNetwork;

    /// Annotations that cannot stand beside its list, whatever their value: either it would read them in place of the list,
    /// or the list in place of them.
    fn rivals(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads the list as it stands on a pod in `namespace`. An empty value is no network. Not for a meta-plugin to replace:
    /// here, and only here, is looked at how long the list is.
    ///
    /// # Errors
    /// Where the plugin would refuse the list, or fail to attach an item because it names nothing; or where Kubernetes would
    /// refuse it for its length.
    fn read(&self, value: &str, namespace: &str) -> Result<Vec<NetworkSelection>, AnnotationError> {
        check_length(value)?;
        self.parse(value, namespace)
    }

    /// What [`read`](Self::read) does with a list of acceptable length: for nobody else to call.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    fn parse(&self, value: &str, namespace: &str) -> Result<Vec<NetworkSelection>, AnnotationError>;

    /// Why `selection` cannot be expressed for a pod in `namespace`, as the rest of a sentence about it; nothing where it can.
    fn unsupported(&self, selection: &NetworkSelection, namespace: &str) -> Option<String>;

    /// The list that stands on a pod in `namespace` with `added` at its end. Nothing that stands there is lost, and reading
    /// the result finds all of `added`, provided that none of it is [`unsupported`](Self::unsupported).
    ///
    /// # Errors
    /// Where what stands there cannot be read, as with [`read`](Self::read).
    fn write(&self, existing: &str, namespace: &str, added: &[&NetworkSelection]) -> Result<String, AnnotationError>;

    /// The interface names that it will give to `selections`, one for each.
    fn interface_names(&self, selections: &[&NetworkSelection]) -> Vec<String>;
}

impl dyn MetaPlugin {
    /// The annotation that chooses another network in the place of the cluster's own, where it reads one.
    #[must_use]
    pub fn default_network_annotation(&self) -> Option<&'static str> {
        match self.pod_network() {
            PodNetwork::Beside { chosen_by } => chosen_by,
            PodNetwork::Listed => None,
        }
    }

    /// Why `added` cannot be put on a pod in `namespace` whose list is `existing`, as a sentence; nothing where it can. The
    /// rules are the same for every meta-plugin:
    ///
    /// - each addition can be expressed;
    /// - the list can be read again with them;
    /// - no interface that stands on the pod gets another name by it (Genie counts anew around a name that is asked for);
    /// - the pod does not lose the cluster's network: where the list is all that it gets, the first to write a list must
    ///   name one network for `eth0`.
    ///
    /// Two networks that would get one interface name are not looked for: that is what `clashes` does.
    #[must_use]
    pub fn obstacle(
        &self,
        existing: &[NetworkSelection],
        added: &[&NetworkSelection],
        namespace: &str,
    ) -> Option<String> {
        for selection in added {
            if let Some(why) = self.unsupported(selection, namespace) {
                return Some(format!("{} cannot be attached by {}: {why}", selection.attachment, self.title()));
            }
        }
        let standing: Vec<&NetworkSelection> = existing.iter().collect();
        let all: Vec<&NetworkSelection> = standing.iter().chain(added).copied().collect();
        if all.len() > LIST_LENGTH {
            return Some(format!(
                "its annotation {} would list {} networks with those that are to be added, which is more than {LIST_LENGTH}",
                self.annotation(),
                all.len()
            ));
        }
        let (before, after) = (self.interface_names(&standing), self.interface_names(&all));
        if let Some((old, new)) = before.iter().zip(&after).find(|(old, new)| old != new) {
            return Some(format!(
                "{} would rename the interface {old}, which the pod has already, to {new}; ask for other interface names",
                self.title()
            ));
        }
        let is_first = existing.is_empty() && !added.is_empty();
        if self.pod_network() == PodNetwork::Listed && is_first && !after.iter().zip(&all).any(is_pod_interface) {
            return Some(format!(
                "{} attaches a pod to the networks in its annotation {} and to nothing else, so the pod would lose the cluster's own network; list that one too, with the interface {POD_INTERFACE}",
                self.title(),
                self.annotation()
            ));
        }
        None
    }
}

/// Whether a network is asked for as the pod's own. That it would get the name because it comes first does not count: nobody
/// said that it can take the place of the cluster's network.
fn is_pod_interface((name, selection): (&String, &&NetworkSelection)) -> bool {
    name == POD_INTERFACE && selection.interface.is_some()
}

impl PartialEq for dyn MetaPlugin {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn MetaPlugin {}

impl Provider {
    /// Multus, the one meta-plugin that Rook knows.
    pub const MULTUS: Self = Self::Attach(&Multus);

    /// The provider's name in a cluster's spec, but `none` for the empty one: this is for people and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Attach(plugin) => plugin.name(),
        }
    }

    /// The provider that `text` names in a resource of this project, where every meta-plugin may be named and `none` may
    /// stand for the empty text. (Rook's own resources know fewer: [`super::NetworkSpec::read`].)
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "" | "none" => Some(Self::None),
            "host" => Some(Self::Host),
            _ => ALL.into_iter().find(|plugin| plugin.name() == text).map(Self::Attach),
        }
    }
}

/// Why a network of another namespace than the pod's cannot be named, where a plugin's networks have none.
fn other_namespace(title: &str, selection: &NetworkSelection, namespace: &str) -> Option<String> {
    (*selection.attachment.namespace != *namespace)
        .then(|| format!("{title} names networks without a namespace; leave it out (the pod's is {namespace})"))
}

/// Why a selection that asks for more than a network and an interface name cannot be expressed.
fn further_fields(title: &str, selection: &NetworkSelection) -> Option<String> {
    let fields = selection.further_fields();
    (!fields.is_empty()).then(|| format!("{title} has no place for {} in its annotation", fields.join(", ")))
}

#[cfg(test)]
mod tests;
