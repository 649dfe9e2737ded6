//! A decision as data: what was found on the way, what is to be done, or why nothing is.

use std::fmt;

use super::devices::Devices;
use super::reason::{Asker, Reason};
use super::remark::Remark;
use crate::network::{NetworkKey, NetworkSelection, Provider};
use crate::storage::{Role, Selector};
use crate::world::{ATTACH_ANNOTATION, Cluster, Declarer, MODE_ANNOTATION, Mode, Outcome, StorageNetwork};

/// What to do with one pod, and all that led to it. Borrows the snapshot that it was taken from.
#[derive(Debug)]
pub struct Decision<'s> {
    /// What the pod is, where that is known.
    pub recognised: Option<Recognised<'s>>,
    /// The cluster that the pod belongs to, or whose client it is.
    pub cluster: Option<&'s Cluster>,
    /// How that cluster was found.
    pub found_by: FoundBy,
    /// The StorageNetworks that apply.
    pub storage_networks: Vec<&'s StorageNetwork>,
    /// Whether what follows is done.
    pub mode: EffectiveMode<'s>,
    /// How this pod's networks are attached, once that is settled.
    pub provider: Option<EffectiveProvider<'s>>,
    /// The networks that the pod needs, in the order in which they are attached.
    pub wanted: Vec<Wanted<'s>>,
    /// What follows.
    pub verdict: Verdict<'s>,
    /// What is done about a pod that is left alone; like the verdict, in audit mode what would be done.
    pub outcome: Outcome,
    /// What its owner should know besides.
    pub remarks: Vec<Remark<'s>>,
}

/// How a pod's cluster was found. Put into words only where somebody asks.
#[derive(Debug)]
pub enum FoundBy {
    /// It was not.
    Nothing,
    /// It is the only one of its kind in the namespace.
    Only,
    /// What in the pod names it, in words.
    Name(String),
    /// The pod's owners lead to it.
    Owners,
    /// Its StorageNetwork selects the pod.
    Selector,
    /// A client asks for it.
    Request(Asker),
}

/// A pod whose role is known.
#[derive(Debug)]
pub struct Recognised<'s> {
    /// The name of the storage system; see [`CUSTOM_SYSTEM`].
    pub system: &'s str,
    /// The name of the role.
    pub role: &'s str,
    /// The role, where it is one of the system's own.
    pub known: Option<&'s Role>,
    /// What it was recognised by.
    pub by: String,
}

/// The name of the system of pods that a StorageNetwork selects by labels.
pub const CUSTOM_SYSTEM: &str = "custom";
/// The role of a pod that asks for the network of a cluster's clients.
pub const CLIENT_ROLE: &str = "client";
/// The role of a pod that a StorageNetwork selects by labels and gives no role.
pub const MEMBER_ROLE: &str = "member";

/// The mode that applies to one pod, and who says so.
#[derive(Clone, Copy, Debug)]
pub struct EffectiveMode<'s> {
    /// The mode.
    pub mode: Mode,
    /// Who says so.
    pub source: ModeSource<'s>,
}

/// Who says which mode applies.
#[derive(Clone, Copy, Debug)]
pub enum ModeSource<'s> {
    /// The setting, for clusters that do not say so themselves and for pods whose cluster is not known.
    Setting,
    /// The annotation of a cluster, or a StorageNetwork.
    Declarer(Declarer<'s>),
}

/// The provider that applies to one pod, and who says so.
#[derive(Clone, Debug)]
pub struct EffectiveProvider<'s> {
    /// The provider.
    pub provider: Provider,
    /// Who says so.
    pub source: ProviderSource<'s>,
}

/// Who says which provider applies.
#[derive(Clone, Debug)]
pub enum ProviderSource<'s> {
    /// Whoever declares the networks.
    Declarer(Declarer<'s>),
    /// The setting that mirrors Rook's `ROOK_ENFORCE_HOST_NETWORK`.
    Enforced,
    /// An override of Rook's for the role; the text names field and object.
    Override(String),
    /// What a StorageNetwork says about the role.
    Role(&'s StorageNetwork),
}

/// One network that the pod needs.
#[derive(Debug)]
pub struct Wanted<'s> {
    /// The key that its role asks for.
    pub key: &'s NetworkKey,
    /// What is declared for it.
    pub declared: Option<Declared<'s>>,
    /// The interface name that the setting gives it, where what is declared asks for none.
    pub interface: Option<String>,
    /// What is to be done about it.
    pub step: WantedStep,
}

/// What is declared for a key.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'s> {
    /// Under which key: the same, or one that it falls back to.
    pub key: &'s NetworkKey,
    /// The network.
    pub selection: &'s NetworkSelection,
    /// The nodes for which alone it is declared, where it is not for all.
    pub on_nodes: Option<&'s Selector>,
}

/// What is to be done about one wanted network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedStep {
    /// It is to be added.
    Add,
    /// The pod has it already, without an interface name, and gets that.
    Name,
    /// The pod has it already.
    Present,
    /// An earlier key selects the same attachment.
    SameAsEarlier,
    /// Nothing is declared for it.
    NotDeclared,
}

/// What follows for the pod.
#[derive(Debug)]
pub enum Verdict<'s> {
    /// Write these annotations, and what goes with them.
    Attach(Attachments<'s>),
    /// Put the pod on the host network.
    UseHostNetwork,
    /// Change nothing.
    Leave(Reason<'s>),
}

/// How networks are attached to a pod.
#[derive(Debug)]
pub struct Attachments<'s> {
    /// The annotations to write, each with its whole new value.
    pub annotations: Vec<(&'static str, String)>,
    /// What takes the place of the pod's default network.
    pub default_network: Option<&'s NetworkSelection>,
    /// Whether the pod is taken off the host network, where nothing can be attached.
    pub host_network: HostNetwork,
    /// The devices that it has to request besides.
    pub devices: Option<Devices<'s>>,
}

/// What becomes of the host network of a pod that networks are attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostNetwork {
    /// The pod does not use it.
    NotUsed,
    /// The pod leaves it. Never but for pods whose risk the user takes by a setting that names it.
    Left,
}

impl Wanted<'_> {
    /// The interface name that it has or gets: what is declared, else what the setting gives it.
    #[must_use]
    pub fn interface_name(&self) -> Option<&str> {
        self.declared.and_then(|declared| declared.selection.interface.as_deref()).or(self.interface.as_deref())
    }
}

impl<'s> Decision<'s> {
    /// The networks that are to be added, in order.
    pub fn added(&self) -> impl Iterator<Item = &'s NetworkSelection> {
        to_add(&self.wanted)
    }

    /// Whether what follows is done. Where it is not, nothing is changed and nothing refused, whatever the verdict is.
    #[must_use]
    pub fn is_carried_out(&self) -> bool {
        match self.mode.mode {
            Mode::Enforce => true,
            Mode::Audit | Mode::Off => false,
        }
    }

    /// Whether the pod is refused.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.outcome == Outcome::Deny && self.is_carried_out()
    }

    /// The reason for leaving the pod alone, where it is left alone.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason<'s>> {
        match &self.verdict {
            Verdict::Leave(reason) => Some(reason),
            Verdict::Attach(_) | Verdict::UseHostNetwork => None,
        }
    }
}

/// The networks among `wanted` that are to be added, in order.
pub(super) fn to_add<'s>(wanted: &[Wanted<'s>]) -> impl Iterator<Item = &'s NetworkSelection> {
    let to_add = wanted.iter().filter(|wanted| wanted.step == WantedStep::Add);
    to_add.filter_map(|wanted| wanted.declared.map(|declared| declared.selection))
}

impl FoundBy {
    /// In words, for the cluster that was found.
    #[must_use]
    pub fn describe(&self, cluster: &Cluster) -> Option<String> {
        Some(match self {
            Self::Nothing => return None,
            Self::Only => format!("the only {} in namespace {}", cluster.kind, cluster.id.namespace),
            Self::Name(named_by) => named_by.clone(),
            Self::Owners => "its owners lead to it".to_owned(),
            Self::Selector => "its StorageNetwork selects the pod".to_owned(),
            Self::Request(Asker::Pod) => format!("the annotation {ATTACH_ANNOTATION} names it"),
            Self::Request(Asker::Namespace) => format!("the annotation {ATTACH_ANNOTATION} of its namespace names it"),
        })
    }
}

impl fmt::Display for ModeSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting => f.write_str("the setting mode"),
            Self::Declarer(Declarer::Cluster(cluster)) => write!(f, "the annotation {MODE_ANNOTATION} of {cluster}"),
            Self::Declarer(Declarer::StorageNetwork(network)) => write!(f, "spec.mode of {network}"),
        }
    }
}

impl fmt::Display for ProviderSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declarer(Declarer::Cluster(cluster)) if cluster.can_declare => {
                f.write_str("the cluster's network spec")
            }
            Self::Declarer(Declarer::Cluster(cluster)) => write!(f, "no StorageNetwork is about {cluster}"),
            Self::Declarer(Declarer::StorageNetwork(network)) => write!(f, "spec.provider of {network}"),
            Self::Enforced => f.write_str("the setting enforce-host-network"),
            Self::Override(place) => f.write_str(place),
            Self::Role(network) => write!(f, "what {network} says about the role"),
        }
    }
}
