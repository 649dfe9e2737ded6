//! A decision as data: what was found on the way, what is to be done, or why nothing is.

use std::fmt;

use crate::network::attachment::AttachmentError;
use crate::network::{AnnotationError, AttachmentRef, NetworkKey, NetworkSelection, Provider, SpecProblem, shorten};
use crate::storage::{Role, System};
use crate::world::{Cluster, Concern, MODE_ANNOTATION, Mode, Outcome};

/// What to do with one pod, and all that led to it. Borrows the snapshot that it was taken from.
#[derive(Debug)]
pub struct Decision<'s> {
    /// What the pod is, where its system has such a role.
    pub recognised: Option<Recognised<'s>>,
    /// The cluster that owns the pod.
    pub cluster: Option<&'s Cluster>,
    /// Whether what follows is done.
    pub mode: EffectiveMode<'s>,
    /// How this pod's networks are attached, once that is settled.
    pub provider: Option<EffectiveProvider>,
    /// The networks that the pod's role needs, in the order in which they are attached.
    pub wanted: Vec<Wanted<'s>>,
    /// What follows.
    pub verdict: Verdict<'s>,
    /// What is done about a pod that is left alone; like the verdict, in audit mode what would be done.
    pub outcome: Outcome,
}

/// A pod whose role is known.
#[derive(Debug)]
pub struct Recognised<'s> {
    /// The storage system.
    pub system: &'s System,
    /// The role.
    pub role: &'s Role,
    /// The labels by which it was recognised.
    pub by: String,
}

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
    /// The annotation of a cluster.
    Cluster(&'s Cluster),
}

/// The provider that applies to one pod, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveProvider {
    /// The provider.
    pub provider: Provider,
    /// Who says so.
    pub source: ProviderSource,
}

/// Who says which provider applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderSource {
    /// The cluster's network spec.
    Cluster,
    /// The setting that mirrors Rook's `ROOK_ENFORCE_HOST_NETWORK`.
    Enforced,
    /// An override for the role; the text names field and object.
    Override(String),
}

/// One network that the pod's role needs.
#[derive(Debug)]
pub struct Wanted<'s> {
    /// The key that the role asks for.
    pub key: &'s NetworkKey,
    /// What the cluster declares for it, and under which key: the same, or one that it falls back to.
    pub declared: Option<(&'s NetworkKey, &'s NetworkSelection)>,
    /// What is to be done about it.
    pub step: WantedStep,
}

/// What is to be done about one wanted network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedStep {
    /// It is to be added.
    Add,
    /// The pod has it already.
    Present,
    /// An earlier key selects the same attachment.
    SameAsEarlier,
    /// The cluster declares nothing for it.
    NotDeclared,
}

/// What follows for the pod.
#[derive(Debug)]
pub enum Verdict<'s> {
    /// Write this value into the networks annotation.
    Attach {
        /// The whole new value.
        annotation: String,
    },
    /// Put the pod on the host network.
    UseHostNetwork,
    /// Change nothing.
    Leave(Reason<'s>),
}

/// Why a pod is not changed.
#[derive(Debug)]
pub enum Reason<'s> {
    /// Not the creation of a pod.
    NotPodCreation,
    /// The request has no pod, or one without a spec.
    NoPod,
    /// The pod opted out by annotation.
    OptedOut,
    /// A static pod's mirror: the kubelet runs it already.
    MirrorPod,
    /// No storage cluster in the namespace, and nothing that says the pod belongs to one.
    NoCluster,
    /// A pod of a storage system, in a namespace without a cluster of it.
    UnknownCluster,
    /// Not of the storage system, as far as its labels say.
    NotStorage,
    /// Of the storage system, but no role fits.
    UnknownRole(&'s System),
    /// The mode is off.
    ModeOff,
    /// A change would do harm.
    NeverTouch(&'s str),
    /// The role needs no storage network.
    NoNetworkForRole(&'s str),
    /// Several clusters of one system in the namespace.
    AmbiguousCluster(Vec<&'s Cluster>),
    /// The cluster's network spec is invalid.
    InvalidSpec(&'s Cluster, &'s [SpecProblem]),
    /// The provider that applies changes nothing.
    ProviderNone,
    /// The cluster declares none of the networks of the role.
    NothingDeclared,
    /// The pod already has everything.
    Agrees,
    /// Networks are to be attached, and the pod is on the host network, where Multus attaches none.
    OnHostNetwork,
    /// The host network is to be used, and the pod was rendered for the pod network.
    RenderedForPodNetwork {
        /// Who asks for the host network.
        asked_by: String,
        /// What in the pod shows what it was rendered for.
        sign: String,
    },
    /// The host network is to be used, and Kubernetes would refuse the pod there.
    UnfitForHost {
        /// Who asks for the host network.
        asked_by: String,
        /// What in the pod does not fit.
        obstacle: String,
    },
    /// The pod's containers cannot be read, so whether the host network fits them cannot be told.
    UnreadableContainers,
    /// The pod's own networks annotation cannot be read.
    UnreadableAnnotation(AnnotationError),
    /// Attachment definitions that do not exist, and the cluster that asks for them.
    MissingAttachment(&'s Cluster, Vec<&'s AttachmentRef>),
    /// An attachment definition that Multus could not load.
    MalformedAttachment(&'s AttachmentRef, &'s AttachmentError),
    /// Two networks of the pod would have the same interface name.
    InterfaceConflict {
        /// The name.
        interface: String,
        /// The network that would be added.
        added: &'s AttachmentRef,
        /// The other one.
        other: AttachmentRef,
    },
}

impl Reason<'_> {
    /// The reason's name in metrics, logs and audit annotations.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotPodCreation => "not-pod-creation",
            Self::NoPod => "no-pod",
            Self::OptedOut => "opted-out",
            Self::MirrorPod => "mirror-pod",
            Self::NoCluster => "no-cluster",
            Self::NotStorage => "not-storage",
            Self::ModeOff => "mode-off",
            Self::NeverTouch(_) => "never-touch",
            Self::NoNetworkForRole(_) => "no-network-for-role",
            Self::ProviderNone => "provider-none",
            Self::NothingDeclared => "nothing-declared",
            Self::Agrees => "agrees",
            Self::OnHostNetwork => "on-host-network",
            Self::UnreadableContainers => "unreadable-containers",
            Self::UnknownCluster
            | Self::UnknownRole(_)
            | Self::AmbiguousCluster(_)
            | Self::InvalidSpec(..)
            | Self::RenderedForPodNetwork { .. }
            | Self::UnfitForHost { .. }
            | Self::UnreadableAnnotation(_)
            | Self::MissingAttachment(..)
            | Self::MalformedAttachment(..)
            | Self::InterfaceConflict { .. } => self.concern().map_or("", Concern::name),
        }
    }

    /// The concern under which the outcome of this reason is chosen; without one, the pod is left in silence.
    #[must_use]
    pub fn concern(&self) -> Option<Concern> {
        match self {
            Self::UnknownCluster => Some(Concern::UnknownCluster),
            Self::UnknownRole(_) => Some(Concern::UnknownRole),
            Self::AmbiguousCluster(_) => Some(Concern::AmbiguousCluster),
            Self::InvalidSpec(..) => Some(Concern::InvalidSpec),
            Self::RenderedForPodNetwork { .. } => Some(Concern::RenderedForPodNetwork),
            Self::UnfitForHost { .. } => Some(Concern::UnfitForHost),
            Self::UnreadableAnnotation(_) => Some(Concern::UnreadableAnnotation),
            Self::MissingAttachment(..) => Some(Concern::MissingAttachment),
            Self::MalformedAttachment(..) => Some(Concern::MalformedAttachment),
            Self::InterfaceConflict { .. } => Some(Concern::InterfaceConflict),
            Self::NotPodCreation
            | Self::NoPod
            | Self::OptedOut
            | Self::MirrorPod
            | Self::NoCluster
            | Self::NotStorage
            | Self::ModeOff
            | Self::NeverTouch(_)
            | Self::NoNetworkForRole(_)
            | Self::ProviderNone
            | Self::NothingDeclared
            | Self::Agrees
            | Self::OnHostNetwork
            | Self::UnreadableContainers => None,
        }
    }
}

impl fmt::Display for Reason<'_> {
    /// One sentence, without a full stop: what was found, and what to do where something is to be done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPodCreation => f.write_str("only the creation of a pod is ever changed"),
            Self::NoPod => f.write_str("the request holds no pod with a spec"),
            Self::OptedOut => {
                write!(f, "the pod opts out by {}: {}", super::INJECT_ANNOTATION, super::INJECT_DISABLED)
            }
            Self::MirrorPod => f.write_str("it mirrors a static pod that its kubelet runs already"),
            Self::NoCluster => f.write_str("its namespace has no storage cluster"),
            Self::UnknownCluster => f.write_str(
                "its labels say that it is of a storage system, but its namespace has no cluster of that system",
            ),
            Self::NotStorage => f.write_str("its labels do not make it a pod of the storage system"),
            Self::UnknownRole(system) => write!(
                f,
                "it is marked as a pod of {}, but its role is not known; if it needs a storage network, annotate it by hand and report the role",
                system.name
            ),
            Self::ModeOff => f.write_str("the mode is off"),
            Self::NeverTouch(why) => write!(f, "pods of this role are never touched: {why}"),
            Self::NoNetworkForRole(why) => write!(f, "pods of this role need no storage network: {why}"),
            Self::AmbiguousCluster(clusters) => {
                let names = clusters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                write!(
                    f,
                    "its namespace has more than one cluster ({names}), and Rook supports one; remove all but one"
                )
            }
            Self::InvalidSpec(cluster, problems) => {
                write!(f, "{cluster} has an invalid network spec: ")?;
                write_joined(f, problems, "; also ")
            }
            Self::ProviderNone => f.write_str("the pod network is what it is meant to use"),
            Self::NothingDeclared => f.write_str("the cluster declares no network for this role"),
            Self::Agrees => f.write_str("it already has the networks that it needs"),
            Self::OnHostNetwork => {
                f.write_str("it is on the host network, where Multus attaches nothing, and that is never taken away")
            }
            Self::RenderedForPodNetwork { asked_by, sign } => write!(
                f,
                "{asked_by} asks for the host network, but the pod was rendered for the pod network ({sign}); let its operator render it again instead of moving it"
            ),
            Self::UnfitForHost { asked_by, obstacle } => write!(
                f,
                "{asked_by} asks for the host network, where Kubernetes would refuse this pod for {obstacle}; mend the pod, or keep it off"
            ),
            Self::UnreadableContainers => f.write_str("its containers cannot be read"),
            Self::UnreadableAnnotation(error) => {
                write!(f, "its annotation {} cannot be read by Multus: {error}", crate::network::NETWORKS_ANNOTATION)
            }
            Self::MissingAttachment(cluster, missing) => {
                write!(f, "{cluster} asks for an attachment definition that does not exist: ")?;
                write_joined(f, missing, " and ")?;
                f.write_str("; create it or mend the selector, then create the pod again")
            }
            Self::MalformedAttachment(attachment, error) => {
                write!(f, "Multus could not load the attachment definition {attachment}: {error}")
            }
            Self::InterfaceConflict { interface, added, other } => write!(
                f,
                "the networks {added} and {} would both be interface {}; give each an interface name of its own",
                shorten(&other.to_string()),
                shorten(interface)
            ),
        }
    }
}

fn write_joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { separator })?;
    }
    Ok(())
}

impl fmt::Display for ModeSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting => f.write_str("the setting mode"),
            Self::Cluster(cluster) => write!(f, "the annotation {MODE_ANNOTATION} of {cluster}"),
        }
    }
}

impl fmt::Display for ProviderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster's network spec"),
            Self::Enforced => f.write_str("the setting enforce-host-network"),
            Self::Override(place) => f.write_str(place),
        }
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
            Verdict::Attach { .. } | Verdict::UseHostNetwork => None,
        }
    }
}

/// The networks among `wanted` that are to be added, in order.
pub(super) fn to_add<'s>(wanted: &[Wanted<'s>]) -> impl Iterator<Item = &'s NetworkSelection> {
    let to_add = wanted.iter().filter(|wanted| wanted.step == WantedStep::Add);
    to_add.filter_map(|wanted| wanted.declared.map(|(_, selection)| selection))
}
