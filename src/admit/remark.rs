//! What the owner of a pod should know besides what is done with it: as data, with a sentence for each.

use std::fmt;

use super::reason::Reason;
use crate::network::{NetworkKey, NetworkSelection, UnfitName, shorten};
use crate::world::Declarer;
use crate::world::{ATTACH_ANNOTATION, Mode, StorageNetwork};

/// What the owner of a pod should know, whatever is done with it.
#[derive(Debug)]
pub enum Remark<'s> {
    /// Networks depend on the node, and the pod is not bound to one; it gets what is declared for all.
    NotBoundToNode(&'s StorageNetwork),
    /// Networks depend on the node, and nothing is known of the one that the pod is bound to.
    UnknownNode(&'s StorageNetwork, String),
    /// The pod chooses its default network itself.
    OwnDefaultNetwork(&'s StorageNetwork, &'s NetworkSelection),
    /// A second declaration asks for another provider than the one that counts, and is not followed.
    OtherProvider {
        /// Who is followed.
        followed: Declarer<'s>,
        /// Who is not.
        ignored: Declarer<'s>,
    },
    /// A client is not attached because of the mode of the cluster that it asks for, and gets what its namespace declares.
    ClientNotAttached(Declarer<'s>, Mode),
    /// A client is not attached for this reason, and gets what its namespace declares.
    ClientLeft(Box<Reason<'s>>),
    /// A pod of a cluster asks for the network of clients too, which is not read.
    AttachIgnored,
    /// The pod leaves the host network at the risk that the setting names.
    RiskTaken,
    /// The setting that names interfaces has no name for the network under a key.
    NoInterfaceName(&'s NetworkKey, UnfitName),
    /// Devices of these resources would be requested, but the pod has resource claims, and may have them by these.
    ClaimsDevices(Vec<&'s str>),
    /// How many devices of a resource are requested cannot be told.
    UnreadableQuantity(&'s str),
    /// Whether devices of these resources are requested cannot be told, because the containers cannot be read.
    UnreadableRequests(Vec<&'s str>),
}

impl Remark<'_> {
    /// Whether it says which networks a pod gets, and so nothing where it gets none.
    pub(super) fn is_about_what_is_attached(&self) -> bool {
        match self {
            Self::NotBoundToNode(_)
            | Self::UnknownNode(..)
            | Self::NoInterfaceName(..)
            | Self::ClaimsDevices(_)
            | Self::UnreadableQuantity(_)
            | Self::UnreadableRequests(_) => true,
            Self::OwnDefaultNetwork(..)
            | Self::OtherProvider { .. }
            | Self::ClientNotAttached(..)
            | Self::ClientLeft(_)
            | Self::AttachIgnored
            | Self::RiskTaken => false,
        }
    }
}

impl fmt::Display for Remark<'_> {
    /// One sentence about a pod, without its name and without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBoundToNode(network) => write!(
                f,
                "the networks of {network} depend on the node, and the pod is not bound to one when it is created; it gets those for all nodes"
            ),
            Self::UnknownNode(network, node) => write!(
                f,
                "the networks of {network} depend on the node, and nothing is known of {}, to which the pod is bound; it gets those for all nodes",
                shorten(node)
            ),
            Self::OwnDefaultNetwork(network, selection) => write!(
                f,
                "{network} gives it the default network {}, but the pod chooses its own, which is kept",
                selection.attachment
            ),
            Self::OtherProvider { followed, ignored } => write!(
                f,
                "{ignored} asks for another provider than {followed}, and a pod can have one; {ignored} is not followed for it"
            ),
            Self::ClientNotAttached(declarer, mode) => {
                write!(f, "the mode of {declarer} is {}, so its network is not attached", mode.name())
            }
            Self::ClientLeft(reason) => reason.fmt(f),
            Self::AttachIgnored => write!(f, "it is a pod of a storage cluster itself, so {ATTACH_ANNOTATION} is not read"),
            Self::RiskTaken => f.write_str(
                "attach-csi-node-plugins-and-risk-hung-mounts asks to take it off the host network: when it restarts, the volumes that it mounted on its node hang",
            ),
            Self::NoInterfaceName(key, unfit) => {
                write!(f, "the setting interface-names has no name for the interface of {key}: {unfit}; it gets none")
            }
            Self::ClaimsDevices(resources) => write!(
                f,
                "its networks need devices of {}, of which it requests too few; nothing is added because it has resource claims, so see that these give it the devices",
                resources.join(" and ")
            ),
            Self::UnreadableQuantity(resource) => write!(
                f,
                "its networks need devices of {resource}, and what its containers request of that is no whole number; nothing is added, so write one"
            ),
            Self::UnreadableRequests(resources) => write!(
                f,
                "its networks need devices of {}, and nothing is added because the resources of its containers cannot be read",
                resources.join(" and ")
            ),
        }
    }
}
