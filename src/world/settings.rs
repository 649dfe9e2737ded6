//! What the one who installs this project decides for all clusters.

use std::fmt;
use std::str::FromStr;

use super::checks::Checks;
use crate::network::{InterfaceTemplate, shorten};

/// Settings of the process, part of every snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The mode of clusters that do not say so themselves, and of pods whose cluster is not known.
    pub mode: Mode,
    /// Mirrors Rook's operator setting `ROOK_ENFORCE_HOST_NETWORK`: every cluster uses the host network, whatever its
    /// provider, but for roles whose own override says otherwise.
    pub enforce_host_network: bool,
    /// CSI node plugins are attached too, and taken off the host network for that. When one of them restarts, every volume that
    /// it mounted on its node hangs, mostly until the node is restarted: that is what the name says.
    pub attach_csi_node_plugins_and_risk_hung_mounts: bool,
    /// Departures from the default outcomes; the last that names a concern counts.
    pub outcomes: Vec<OutcomeRule>,
    /// Whether pods are made to request the devices that their networks need.
    pub device_resources: DeviceResources,
    /// How the interfaces of networks are named that are declared without a name, with Multus. Multus counts them where nobody says.
    pub interface_names: Option<InterfaceTemplate>,
    /// What is said about the checks of networks.
    pub checks: Checks,
}

/// Whether decisions are carried out, from the strictest to the mildest: the order counts where a pod may be of several
/// clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Decisions are carried out.
    #[default]
    Enforce,
    /// Decisions are taken, and what they would have done is said. Nothing is changed and nothing refused.
    Audit,
    /// No decisions are taken, and nothing is said.
    Off,
}

/// Whether a pod that gets networks is made to request the devices that they need. Multus hands out devices that the pod has
/// requested, and no others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceResources {
    /// What is missing is added to what the pod requests.
    #[default]
    Add,
    /// Nothing is added of a resource that one of its containers requests already, as network-resources-injector does.
    Skip,
    /// Nothing is ever added.
    Off,
}

/// What to do with a pod that a decision leaves alone for a reason that may concern its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Admit it as it is; only metrics, log and audit annotations say so.
    Leave,
    /// Admit it as it is, and tell the one who created it.
    Warn,
    /// Refuse it.
    Deny,
}

/// A reason for leaving a pod alone whose outcome can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The pod is marked as the storage system's, and no role fits it.
    UnknownRole,
    /// The pod has a role of a storage system, and its namespace has no cluster of it.
    UnknownCluster,
    /// The namespace has several clusters of the pod's system.
    AmbiguousCluster,
    /// Which cluster the pod belongs to depends on an owner that is not known (yet).
    OwnerNotSeen,
    /// The pod's owners do not lead to the cluster that its namespace or its labels claim.
    OwnerMismatch,
    /// The cluster's network spec is invalid.
    InvalidSpec,
    /// An attachment definition that the pod would need does not exist.
    MissingAttachment,
    /// An attachment definition that the pod would need cannot be loaded by Multus.
    MalformedAttachment,
    /// The pod's own networks annotation cannot be read.
    UnreadableAnnotation,
    /// Two of the pod's networks would have the same interface name.
    InterfaceConflict,
    /// The meta-plugin that would attach the networks cannot, or not without harm.
    ProviderObstacle,
    /// The pod's networks are declared for some nodes only, and it is bound to none of these.
    NotOnNode,
    /// The cluster uses the host network, and the pod was rendered for the pod network.
    RenderedForPodNetwork,
    /// The cluster uses the host network, and Kubernetes would refuse the pod there.
    UnfitForHost,
    /// The pod, or its namespace, asks for the network of a cluster's clients, and may not have it.
    ClientRefused,
}

/// The chosen outcome of one concern, written `reason=outcome`: a concern has the name of the reason it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeRule {
    /// For this concern,
    pub concern: Concern,
    /// do this.
    pub outcome: Outcome,
}

impl Settings {
    /// The outcome of `concern`: as chosen, else its default.
    #[must_use]
    pub fn outcome(&self, concern: Concern) -> Outcome {
        let chosen = self.outcomes.iter().rev().find(|rule| rule.concern == concern);
        chosen.map_or(concern.default_outcome(), |rule| rule.outcome)
    }
}

impl Concern {
    /// All concerns, in the order in which a decision meets them.
    pub const ALL: [Self; 15] = [
        Self::UnknownCluster,
        Self::UnknownRole,
        Self::AmbiguousCluster,
        Self::OwnerNotSeen,
        Self::OwnerMismatch,
        Self::ClientRefused,
        Self::InvalidSpec,
        Self::RenderedForPodNetwork,
        Self::UnfitForHost,
        Self::NotOnNode,
        Self::UnreadableAnnotation,
        Self::MissingAttachment,
        Self::MalformedAttachment,
        Self::InterfaceConflict,
        Self::ProviderObstacle,
    ];

    /// The name, as in settings and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownRole => "unknown-role",
            Self::UnknownCluster => "unknown-cluster",
            Self::AmbiguousCluster => "ambiguous-cluster",
            Self::InvalidSpec => "invalid-spec",
            Self::MissingAttachment => "missing-attachment",
            Self::MalformedAttachment => "malformed-attachment",
            Self::UnreadableAnnotation => "unreadable-annotation",
            Self::InterfaceConflict => "interface-conflict",
            Self::RenderedForPodNetwork => "rendered-for-pod-network",
            Self::UnfitForHost => "unfit-for-host",
            Self::OwnerNotSeen => "owner-not-seen",
            Self::OwnerMismatch => "owner-mismatch",
            Self::ClientRefused => "client-refused",
            Self::ProviderObstacle => "provider-obstacle",
            Self::NotOnNode => "not-on-node",
        }
    }

    /// No default refuses a storage pod that Kubernetes would have run. A client that asks for a network by name is told no
    /// rather than run without it. A pod without a cluster is left in silence, because Rook itself makes such pods before a
    /// cluster exists and while one is being deleted.
    #[must_use]
    pub fn default_outcome(self) -> Outcome {
        match self {
            Self::UnknownCluster => Outcome::Leave,
            Self::ClientRefused => Outcome::Deny,
            Self::UnknownRole
            | Self::AmbiguousCluster
            | Self::OwnerNotSeen
            | Self::OwnerMismatch
            | Self::InvalidSpec
            | Self::MissingAttachment
            | Self::MalformedAttachment
            | Self::UnreadableAnnotation
            | Self::InterfaceConflict
            | Self::ProviderObstacle
            | Self::NotOnNode
            | Self::RenderedForPodNetwork
            | Self::UnfitForHost => Outcome::Warn,
        }
    }
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Enforce, Self::Audit, Self::Off];

    /// The name, as in settings, annotations and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
            Self::Off => "off",
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| format!("\"{}\" is not one of {}", shorten(text), Self::ALL.map(Self::name).join(", ")))
    }
}

impl DeviceResources {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Add, Self::Skip, Self::Off];

    /// The name, as in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Skip => "skip",
            Self::Off => "off",
        }
    }
}

impl FromStr for DeviceResources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| format!("\"{}\" is not one of {}", shorten(text), Self::ALL.map(Self::name).join(", ")))
    }
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Leave, Self::Warn, Self::Deny];

    /// The name, as in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl FromStr for OutcomeRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (concern, outcome) =
            text.split_once('=').ok_or("write REASON=OUTCOME, for example missing-attachment=deny")?;
        let concern = Concern::ALL
            .into_iter()
            .find(|known| known.name() == concern)
            .ok_or_else(|| format!("\"{concern}\" is not one of {}", Concern::ALL.map(Concern::name).join(", ")))?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|known| known.name() == outcome)
            .ok_or_else(|| format!("\"{outcome}\" is not one of {}", Outcome::ALL.map(Outcome::name).join(", ")))?;
        Ok(Self { concern, outcome })
    }
}

impl fmt::Display for OutcomeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.concern.name(), self.outcome.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_back_as_written() {
        for concern in Concern::ALL {
            for outcome in Outcome::ALL {
                let rule = OutcomeRule { concern, outcome };
                assert_eq!(rule.to_string().parse(), Ok(rule));
            }
        }
        for bad in ["", "unknown-role", "unknown-role=", "unknown-role=refuse", "role=deny"] {
            assert!(bad.parse::<OutcomeRule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_are_read_back_as_written() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        for bad in ["", "Audit", "audit ", "false"] {
            let error = bad.parse::<Mode>().unwrap_err();
            assert_eq!(error, format!("\"{bad}\" is not one of enforce, audit, off"));
        }
        assert_eq!(Settings::default().mode, Mode::Enforce);
    }

    #[test]
    fn what_is_done_about_devices_is_read_back_as_written() {
        for setting in DeviceResources::ALL {
            assert_eq!(setting.name().parse(), Ok(setting));
        }
        let error = "never".parse::<DeviceResources>().unwrap_err();
        assert_eq!(error, "\"never\" is not one of add, skip, off");
        assert_eq!(Settings::default().device_resources, DeviceResources::Add);
    }

    #[test]
    fn the_last_word_counts_and_no_default_denies_a_storage_pod() {
        let mut settings = Settings::default();
        for concern in Concern::ALL {
            let denies = settings.outcome(concern) == Outcome::Deny;
            assert_eq!(denies, concern == Concern::ClientRefused, "{}", concern.name());
        }
        settings.outcomes = vec!["invalid-spec=deny".parse().unwrap(), "invalid-spec=leave".parse().unwrap()];
        assert_eq!(settings.outcome(Concern::InvalidSpec), Outcome::Leave);
    }
}
