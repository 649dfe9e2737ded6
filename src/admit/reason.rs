//! Why a pod is left alone: as data, with a sentence for each.

use std::fmt;

use crate::network::attachment::AttachmentError;
use crate::network::{AnnotationError, AttachmentRef, MetaPlugin, NetworkKey, SpecProblem, shorten};
use crate::storage::{System, WorkloadKind};
use crate::world::{ALLOWED_NAMESPACES_ANNOTATION, ATTACH_ANNOTATION, Cluster, Concern, Declarer, StorageNetwork};

/// Why a pod is not changed.
#[derive(Debug)]
pub enum Reason<'s> {
    /// Not the creation of a pod.
    NotPodCreation,
    /// The request has no pod, or one without metadata or spec.
    NoPod,
    /// The pod opted out by annotation.
    OptedOut,
    /// A static pod's mirror: the kubelet runs it already.
    MirrorPod,
    /// No storage cluster in the namespace, and nothing that says the pod belongs to one.
    NoCluster,
    /// A pod of a storage system, in a namespace without a cluster of it, or naming one that is not there.
    UnknownCluster {
        /// What in the pod names the cluster, where something does.
        named_by: Option<String>,
    },
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
    /// A StorageNetwork gives the role none.
    NoNetworkDeclared(&'s StorageNetwork),
    /// Several clusters of one system may be meant.
    AmbiguousCluster(&'s System, Vec<&'s Cluster>),
    /// Which cluster is meant depends on a workload that is not known (yet).
    OwnerNotSeen {
        /// The workload's kind.
        kind: WorkloadKind,
        /// Its name.
        name: String,
    },
    /// The pod's owners do not lead to the cluster that it claims to be of.
    OwnerMismatch {
        /// The cluster that its namespace or its labels claim, in words.
        claimed: String,
        /// The one that its owners lead to, where they lead to one.
        lead: Option<&'s Cluster>,
    },
    /// The pod, or its namespace, asks for the network of a cluster's clients, and may not have it.
    ClientRefused {
        /// Who asks.
        asker: Asker,
        /// What is asked for.
        asked: String,
        /// Why not.
        refusal: Refusal<'s>,
    },
    /// What is declared is invalid.
    InvalidSpec(Declarer<'s>, &'s [SpecProblem]),
    /// The provider that applies changes nothing.
    ProviderNone,
    /// The cluster uses the host network, and its clients are never put there.
    ClientOffHost(Declarer<'s>),
    /// None of the networks of the role is declared.
    NothingDeclared,
    /// They are declared for some nodes only, and the pod is bound to none of these, as far as is known.
    NotOnNode(Declarer<'s>, &'s NetworkKey),
    /// The pod already has everything.
    Agrees,
    /// Networks are to be attached, and the pod is on the host network, where nothing can be attached.
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
    /// An annotation of the pod that lists networks cannot be read.
    UnreadableAnnotation(&'static dyn MetaPlugin, AnnotationError),
    /// Attachment definitions that do not exist, and who asks for them.
    MissingAttachment(Declarer<'s>, Vec<&'s AttachmentRef>),
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
    /// The meta-plugin cannot attach the networks, or not without harm; a whole sentence.
    ProviderObstacle(String),
}

/// Whose annotation asks for the network of a cluster's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The pod's own.
    Pod,
    /// That of its namespace, on behalf of all pods there.
    Namespace,
}

/// Why a client does not get what it asks for.
#[derive(Debug)]
pub enum Refusal<'s> {
    /// What it asks for names no cluster.
    Malformed,
    /// There is no such cluster that allows its namespace. Whether there is one that does not is not told: that is nobody
    /// else's business.
    NotAllowed {
        /// The namespace of the client.
        namespace: String,
    },
    /// Several clusters of that name, of different systems.
    Ambiguous(Vec<&'s Cluster>),
    /// The system has no network for clients.
    NoClientNetwork(&'s System),
    /// The cluster declares no network for clients.
    NothingDeclared(Declarer<'s>, &'s NetworkKey),
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
            Self::NoNetworkForRole(_) | Self::NoNetworkDeclared(_) => "no-network-for-role",
            Self::ProviderNone | Self::ClientOffHost(_) => "provider-none",
            Self::NothingDeclared => "nothing-declared",
            Self::Agrees => "agrees",
            Self::OnHostNetwork => "on-host-network",
            Self::UnreadableContainers => "unreadable-containers",
            Self::UnknownCluster { .. }
            | Self::UnknownRole(_)
            | Self::AmbiguousCluster(..)
            | Self::OwnerNotSeen { .. }
            | Self::OwnerMismatch { .. }
            | Self::ClientRefused { .. }
            | Self::InvalidSpec(..)
            | Self::RenderedForPodNetwork { .. }
            | Self::UnfitForHost { .. }
            | Self::UnreadableAnnotation(..)
            | Self::MissingAttachment(..)
            | Self::MalformedAttachment(..)
            | Self::InterfaceConflict { .. }
            | Self::ProviderObstacle(_)
            | Self::NotOnNode(..) => self.concern().map_or("", Concern::name),
        }
    }

    /// The concern under which the outcome of this reason is chosen; without one, the pod is left in silence.
    #[must_use]
    pub fn concern(&self) -> Option<Concern> {
        match self {
            Self::UnknownCluster { .. } => Some(Concern::UnknownCluster),
            Self::UnknownRole(_) => Some(Concern::UnknownRole),
            Self::AmbiguousCluster(..) => Some(Concern::AmbiguousCluster),
            Self::OwnerNotSeen { .. } => Some(Concern::OwnerNotSeen),
            Self::OwnerMismatch { .. } => Some(Concern::OwnerMismatch),
            Self::ClientRefused { .. } => Some(Concern::ClientRefused),
            Self::InvalidSpec(..) => Some(Concern::InvalidSpec),
            Self::RenderedForPodNetwork { .. } => Some(Concern::RenderedForPodNetwork),
            Self::UnfitForHost { .. } => Some(Concern::UnfitForHost),
            Self::UnreadableAnnotation(..) => Some(Concern::UnreadableAnnotation),
            Self::MissingAttachment(..) => Some(Concern::MissingAttachment),
            Self::MalformedAttachment(..) => Some(Concern::MalformedAttachment),
            Self::InterfaceConflict { .. } => Some(Concern::InterfaceConflict),
            Self::ProviderObstacle(_) => Some(Concern::ProviderObstacle),
            Self::NotOnNode(..) => Some(Concern::NotOnNode),
            Self::NotPodCreation
            | Self::NoPod
            | Self::OptedOut
            | Self::MirrorPod
            | Self::NoCluster
            | Self::NotStorage
            | Self::ModeOff
            | Self::NeverTouch(_)
            | Self::NoNetworkForRole(_)
            | Self::NoNetworkDeclared(_)
            | Self::ProviderNone
            | Self::ClientOffHost(_)
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
            Self::NoPod => f.write_str("the request holds no pod with metadata and a spec"),
            Self::OptedOut => {
                write!(f, "the pod opts out by {}: {}", super::INJECT_ANNOTATION, super::INJECT_DISABLED)
            }
            Self::MirrorPod => f.write_str("it mirrors a static pod that its kubelet runs already"),
            Self::NoCluster => f.write_str("its namespace has no storage cluster"),
            Self::UnknownCluster { named_by: None } => f.write_str(
                "its labels say that it is of a storage system, but its namespace has no cluster of that system",
            ),
            Self::UnknownCluster { named_by: Some(named_by) } => {
                write!(f, "{named_by} names a cluster that its namespace does not have")
            }
            Self::NotStorage => f.write_str("its labels do not make it a pod of the storage system"),
            Self::UnknownRole(system) => write!(
                f,
                "it is marked as a pod of {}, but its role is not known; if it needs a storage network, annotate it by hand and report the role",
                system.name
            ),
            Self::ModeOff => f.write_str("the mode is off"),
            Self::NeverTouch(why) => write!(f, "pods of this role are never touched: {why}"),
            Self::NoNetworkForRole(why) => write!(f, "pods of this role need no storage network: {why}"),
            Self::NoNetworkDeclared(network) => write!(f, "{network} gives pods of this role no network"),
            Self::AmbiguousCluster(system, clusters) => {
                let names = clusters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                let is_alone = system.owners.is_empty() && system.clusters.iter().all(|kind| kind.named_by.is_none());
                let then = if is_alone {
                    "Rook supports one; remove all but one"
                } else {
                    "neither its labels nor its owners tell which one is its own; select it by a podSelector of its role in a StorageNetwork"
                };
                write!(f, "its namespace has more than one cluster ({names}), and {then}")
            }
            Self::OwnerNotSeen { kind, name } => write!(
                f,
                "which cluster it belongs to depends on its owner {kind} {name}, which is not known yet; create the pod again in a moment"
            ),
            Self::OwnerMismatch { claimed, lead: Some(lead) } => write!(
                f,
                "it claims to be a pod of {claimed}, but its owners lead to {lead}; mend its labels, or who owns it"
            ),
            Self::OwnerMismatch { claimed, lead: None } => write!(
                f,
                "it claims to be a pod of {claimed}, but nothing of that cluster owns it; mend its labels, or who owns it"
            ),
            Self::ClientRefused { asker, asked, refusal } => {
                let asker = match asker {
                    Asker::Pod => "it",
                    Asker::Namespace => "its namespace",
                };
                write!(f, "{asker} asks by {ATTACH_ANNOTATION} for the network of {}, ", shorten(asked))?;
                refusal.fmt(f)
            }
            Self::InvalidSpec(declarer, problems) => {
                let is_annotation = problems.iter().all(|problem| problem.field.starts_with("metadata.annotations"));
                let what = if is_annotation { "annotation" } else { "network spec" };
                write!(f, "{declarer} has an invalid {what}: ")?;
                write_joined(f, problems, "; also ")
            }
            Self::ProviderNone => f.write_str("the pod network is what it is meant to use"),
            Self::ClientOffHost(declarer) => {
                write!(f, "{declarer} uses the host network, and clients are never put there")
            }
            Self::NothingDeclared => f.write_str("no network is declared for this role"),
            Self::NotOnNode(declarer, key) => write!(
                f,
                "{declarer} declares {key} for some nodes only, and the pod is not known to be bound to one of them when it is created; declare it for all nodes too"
            ),
            Self::Agrees => f.write_str("it already has the networks that it needs"),
            Self::OnHostNetwork => {
                f.write_str("it is on the host network, where nothing can be attached, and that is never taken away")
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
            Self::UnreadableAnnotation(plugin, error) => {
                write!(f, "its annotation {} cannot be read by {}: {error}", plugin.annotation(), plugin.title())
            }
            Self::MissingAttachment(declarer, missing) => {
                write!(f, "{declarer} asks for an attachment definition that does not exist: ")?;
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
            Self::ProviderObstacle(obstacle) => f.write_str(obstacle),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => {
                f.write_str("which names no cluster; write its namespace and name, as in rook-ceph/my-cluster")
            }
            Self::NotAllowed { namespace } => write!(
                f,
                "and there is no such cluster that allows the namespace {namespace}; its owner can allow it by the annotation {ALLOWED_NAMESPACES_ANNOTATION} of the cluster, or by allowedNamespaces of its StorageNetwork"
            ),
            Self::Ambiguous(clusters) => {
                f.write_str("and more than one cluster has that name: ")?;
                write_joined(f, clusters, " and ")
            }
            Self::NoClientNetwork(system) => write!(f, "and {} has no network for clients", system.name),
            Self::NothingDeclared(declarer, key) => {
                write!(f, "and {declarer} declares nothing for {key}, the network for clients")
            }
        }
    }
}

fn write_joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { separator })?;
    }
    Ok(())
}
