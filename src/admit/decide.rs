//! The decision itself, from top to bottom in the order in which its rules apply.
//!
//! Total, and free of effects: an admission and a snapshot in, a [`Decision`] out. A rule that leaves a pod alone returns its
//! [`Reason`] as the error, so the order of the rules is the order of the lines. Whose pod it is, is in `belongs`; pods that
//! are nobody's but get networks all the same, in `guest`; what is done in the end, in `attach` and `host`.

use super::decision::{
    Decision, EffectiveMode, EffectiveProvider, FoundBy, ModeSource, ProviderSource, Recognised, Verdict, Wanted,
};
use super::host::host_network;
use super::pod::{Admission, PodView};
use super::reason::Reason;
use super::remark::Remark;
use super::{INJECT_ANNOTATION, INJECT_DISABLED};
use crate::network::{NetworkKey, NetworkSelection, NetworkSpec, Provider};
use crate::storage::{Role, System, Treatment};
use crate::world::{
    ATTACH_ANNOTATION, Cluster, Declarer, Mode, NodeInterfaces, Outcome, RoleRule, Snapshot, StorageNetwork,
};

/// The annotation that the kubelet puts on the mirror of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// Decides what to do with one admission.
#[must_use]
pub fn decide<'s>(snapshot: &'s Snapshot, admission: &Admission<'_>) -> Decision<'s> {
    let mut deciding = Deciding::new(snapshot);
    let verdict = deciding.verdict(admission).unwrap_or_else(Verdict::Leave);
    if !matches!(verdict, Verdict::Attach(_) | Verdict::Leave(Reason::Agrees)) {
        deciding.remarks.retain(|remark| !remark.is_about_what_is_attached());
    }
    let concern = match &verdict {
        Verdict::Leave(reason) => reason.concern(),
        Verdict::Attach(_) | Verdict::UseHostNetwork => None,
    };
    let outcome = concern.map_or(Outcome::Leave, |concern| snapshot.settings().outcome(concern));
    let Deciding { snapshot: _, recognised, cluster, found_by, storage_networks, mode, provider, wanted, remarks } =
        deciding;
    Decision { recognised, cluster, found_by, storage_networks, mode, provider, wanted, verdict, outcome, remarks }
}

/// What has been found so far, kept for the explanation.
pub(super) struct Deciding<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) recognised: Option<Recognised<'s>>,
    pub(super) cluster: Option<&'s Cluster>,
    pub(super) found_by: FoundBy,
    pub(super) storage_networks: Vec<&'s StorageNetwork>,
    /// The setting, until it is known whose pod it is.
    pub(super) mode: EffectiveMode<'s>,
    pub(super) provider: Option<EffectiveProvider<'s>>,
    pub(super) wanted: Vec<Wanted<'s>>,
    pub(super) remarks: Vec<Remark<'s>>,
}

/// Whose pod it is, and as what.
#[derive(Clone, Copy)]
pub(super) struct Owner<'s> {
    pub(super) system: &'s System,
    pub(super) cluster: &'s Cluster,
    /// The StorageNetwork that counts for the cluster.
    pub(super) network: Option<&'s StorageNetwork>,
    pub(super) role: OwnedRole<'s>,
}

/// The role of a pod in a cluster.
#[derive(Clone, Copy)]
pub(super) enum OwnedRole<'s> {
    /// One of the system's.
    Known(&'s Role),
    /// One that a StorageNetwork invents, or whose pods it adds to.
    Declared(&'s RoleRule),
}

/// One declaration of networks, as far as it applies to a pod.
pub(super) struct Part<'s> {
    pub(super) declarer: Declarer<'s>,
    /// The system by whose keys one stands in for another; none where only the key itself counts.
    pub(super) fallbacks: Option<&'s System>,
    pub(super) keys: Vec<&'s NetworkKey>,
    pub(super) spec: &'s NetworkSpec,
    pub(super) node_interfaces: &'s [NodeInterfaces],
    pub(super) default_network: Option<&'s NetworkSelection>,
}

/// Whether a pod may be taken off the host network to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Risk {
    /// It may not.
    None,
    /// It may: the user takes the risk that the role names.
    Taken,
}

/// What the pods of a role get from a cluster.
enum Due<'s> {
    Networks(Vec<&'s NetworkKey>, Risk),
    /// Nothing, and why.
    Nothing(Reason<'s>),
}

impl<'s> Deciding<'s> {
    fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            recognised: None,
            cluster: None,
            found_by: FoundBy::Nothing,
            storage_networks: Vec::new(),
            mode: EffectiveMode { mode: snapshot.settings().mode, source: ModeSource::Setting },
            provider: None,
            wanted: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// The rules in order. `Err` is a reason to leave the pod alone.
    fn verdict(&mut self, admission: &Admission<'_>) -> Result<Verdict<'s>, Reason<'s>> {
        let pod = pod_of(admission)?;
        match self.belongs(pod, admission.namespace) {
            Ok(owner) => self.owned(owner, pod, admission.namespace),
            // Nobody's pod may still ask for networks, or be given some.
            Err(
                reason @ (Reason::NoCluster
                | Reason::NotStorage
                | Reason::UnknownCluster { .. }
                | Reason::UnknownRole(_)
                | Reason::OwnerMismatch { .. }),
            ) => self.guest(pod, admission.namespace, reason),
            Err(reason) => Err(reason),
        }
    }

    /// A pod of a cluster.
    fn owned(&mut self, owner: Owner<'s>, pod: &PodView<'_>, namespace: &str) -> Result<Verdict<'s>, Reason<'s>> {
        if pod.annotation(ATTACH_ANNOTATION).is_some() {
            self.remarks.push(Remark::AttachIgnored);
        }
        let due = owner.due();
        // What is wrong with the networks does not concern a pod that gets none.
        let part = match (Part::of(owner.system, owner.cluster, owner.network), &due) {
            (Ok(part), _) => part,
            (Err(_), Due::Nothing(Reason::NoNetworkForRole(why))) => return Err(Reason::NoNetworkForRole(why)),
            (Err(reason), _) => return Err(reason),
        };
        let effective = self.effective_provider(owner, part.spec, pod);
        let overridden = matches!(effective.source, ProviderSource::Override(_) | ProviderSource::Role(_));
        match (effective.provider, due) {
            (Provider::Host, Due::Networks(_, Risk::None)) => host_network(part.declarer, Some(owner), &effective, pod),
            // The provider means the cluster's daemons; an override means this role, whatever it needs.
            (Provider::Host, Due::Nothing(_)) if overridden => {
                host_network(part.declarer, Some(owner), &effective, pod)
            }
            (_, Due::Nothing(reason)) => Err(reason),
            // Where such a pod belongs on the host network, it is there already.
            (Provider::None, Due::Networks(..)) | (Provider::Host, Due::Networks(_, Risk::Taken)) => {
                Err(Reason::ProviderNone)
            }
            (Provider::Attach(plugin), Due::Networks(keys, risk)) => {
                self.attachments(&[Part { keys, ..part }], plugin, risk, pod, namespace)
            }
        }
    }

    /// The provider for this pod: what a StorageNetwork says about its role, else an override of Rook's for the role, else the
    /// enforced host network, else the provider that is declared. An override to `false` only ever takes the host network away
    /// (Rook: "if the pointer is set, use it, else `IsHost()`").
    fn effective_provider(&mut self, owner: Owner<'s>, spec: &NetworkSpec, pod: &PodView<'_>) -> EffectiveProvider<'s> {
        let enforced = self.snapshot.settings().enforce_host_network;
        let host = match owner.role {
            OwnedRole::Known(role) => self.snapshot.host_override(owner.cluster, role, pod),
            OwnedRole::Declared(_) => None,
        };
        let own = owner.rule().and_then(|rule| rule.provider).zip(owner.network);
        let (provider, source) = match (own, host, spec.provider) {
            (Some((provider, network)), _, _) => (provider, ProviderSource::Role(network)),
            (None, Some((true, place)), _) => (Provider::Host, ProviderSource::Override(place)),
            (None, Some((false, place)), Provider::Host) => (Provider::None, ProviderSource::Override(place)),
            (None, Some((false, place)), declared) if enforced => (declared, ProviderSource::Override(place)),
            (None, None, _) if enforced => (Provider::Host, ProviderSource::Enforced),
            (None, Some((false, _)) | None, declared) => {
                (declared, ProviderSource::Declarer(Declarer::of(owner.cluster, owner.network)))
            }
        };
        let effective = EffectiveProvider { provider, source };
        self.provider = Some(effective.clone());
        effective
    }

    /// The provider of a whole cluster, whatever is said of single roles.
    pub(super) fn provider_of(&self, spec: &NetworkSpec) -> Provider {
        if self.snapshot.settings().enforce_host_network { Provider::Host } else { spec.provider }
    }

    /// The mode that a declarer chooses, or else the setting.
    pub(super) fn mode_of(
        &self,
        cluster: Option<&'s Cluster>,
        network: Option<&'s StorageNetwork>,
    ) -> EffectiveMode<'s> {
        let by_network = network.and_then(|network| Some((network.mode?, Declarer::StorageNetwork(network))));
        let by_cluster = || cluster.and_then(|cluster| Some((cluster.mode?, Declarer::Cluster(cluster))));
        match by_network.or_else(by_cluster) {
            Some((mode, declarer)) => EffectiveMode { mode, source: ModeSource::Declarer(declarer) },
            None => EffectiveMode { mode: self.snapshot.settings().mode, source: ModeSource::Setting },
        }
    }

    /// Whether the user takes the risk that roles with networks at a risk name.
    pub(super) fn takes_risk(&self) -> bool {
        self.snapshot.settings().attach_csi_node_plugins_and_risk_hung_mounts
    }

    /// A reason that may have an outcome, but where the mode is off: nobody is warned or refused then.
    pub(super) fn unless_off(&self, reason: Reason<'s>) -> Reason<'s> {
        match self.mode.mode {
            Mode::Off => Reason::ModeOff,
            Mode::Enforce | Mode::Audit => reason,
        }
    }
}

impl<'s> Owner<'s> {
    /// What the StorageNetwork that counts says about the role.
    pub(super) fn rule(&self) -> Option<&'s RoleRule> {
        match self.role {
            OwnedRole::Declared(rule) => Some(rule),
            OwnedRole::Known(role) => self.network?.declared.as_ref().ok()?.rule_of(&role.name),
        }
    }

    /// What a pod gets for its role, before it is asked how: what a StorageNetwork says about the role, else what the system
    /// says.
    fn due(&self) -> Due<'s> {
        let declared = self.network.and_then(|network| network.declared.as_ref().ok());
        let networks = self.rule().and_then(|rule| rule.networks.as_ref());
        match (self.role, networks, self.network) {
            // An empty list is no way out of a default network.
            (_, Some(keys), Some(network))
                if keys.is_empty() && declared.is_none_or(|declared| declared.default_network.is_none()) =>
            {
                Due::Nothing(Reason::NoNetworkDeclared(network))
            }
            (_, Some(keys), _) => Due::Networks(keys.iter().collect(), Risk::None),
            (OwnedRole::Known(role), None, _) => match &role.treatment {
                Treatment::Networks(keys) => Due::Networks(keys.iter().collect(), Risk::None),
                Treatment::NoNetwork(why) => Due::Nothing(Reason::NoNetworkForRole(why)),
                // Those whose risk nobody has taken never come here.
                Treatment::NeverTouch { at_risk, .. } => Due::Networks(at_risk.iter().collect(), Risk::Taken),
            },
            // A role that the system does not know gets every network that is declared.
            (OwnedRole::Declared(_), None, _) => {
                Due::Networks(declared.map(|declared| declared.keys().collect()).unwrap_or_default(), Risk::None)
            }
        }
    }
}

impl<'s> Part<'s> {
    /// What is declared for a cluster, without keys.
    ///
    /// # Errors
    /// Where it, or something else that the cluster says to this project, is invalid.
    pub(super) fn of(
        system: &'s System,
        cluster: &'s Cluster,
        network: Option<&'s StorageNetwork>,
    ) -> Result<Self, Reason<'s>> {
        let declarer = Declarer::of(cluster, network);
        let (spec, node_interfaces, default_network) = match network.map(|network| &network.declared) {
            Some(Err(problems)) => return Err(Reason::InvalidSpec(declarer, problems)),
            Some(Ok(declared)) => {
                (&declared.spec, declared.node_interfaces.as_slice(), declared.default_network.as_ref())
            }
            None if cluster.network_problems.is_empty() => (&cluster.network, [].as_slice(), None),
            None => return Err(Reason::InvalidSpec(declarer, &cluster.network_problems)),
        };
        if !cluster.other_problems.is_empty() {
            return Err(Reason::InvalidSpec(Declarer::Cluster(cluster), &cluster.other_problems));
        }
        Ok(Self { declarer, fallbacks: Some(system), keys: Vec::new(), spec, node_interfaces, default_network })
    }
}

/// The pod of an admission that may be changed at all.
fn pod_of<'a>(admission: &Admission<'a>) -> Result<&'a PodView<'a>, Reason<'static>> {
    let Admission { operation, kind, group, subresource, namespace: _, pod } = *admission;
    if (operation, kind, group, subresource) != ("CREATE", "Pod", "", "") {
        return Err(Reason::NotPodCreation);
    }
    let pod = pod.filter(|pod| pod.metadata.is_some() && pod.spec.is_some()).ok_or(Reason::NoPod)?;
    if pod.annotation(MIRROR_ANNOTATION).is_some() {
        return Err(Reason::MirrorPod);
    }
    if pod.annotation(INJECT_ANNOTATION) == Some(INJECT_DISABLED) {
        return Err(Reason::OptedOut);
    }
    Ok(pod)
}
