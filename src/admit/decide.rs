//! The decision itself, from top to bottom in the order in which its rules apply.
//!
//! Total, and free of effects: an admission and a snapshot in, a [`Decision`] out. A rule that leaves a pod alone returns its
//! [`Reason`] as the error, so the order of the rules is the order of the lines.

use super::decision::{
    Decision, EffectiveMode, EffectiveProvider, ModeSource, ProviderSource, Reason, Recognised, Verdict, Wanted,
    WantedStep, to_add,
};
use super::pod::{Admission, PodView};
use super::{INJECT_ANNOTATION, INJECT_DISABLED};
use crate::network::selection::{interface_names, read_annotation, write_annotation};
use crate::network::{NETWORKS_ANNOTATION, NetworkKey, NetworkSelection, NetworkSpec, Provider};
use crate::storage::{Role, System, Treatment};
use crate::world::{AttachmentState, Cluster, Mode, Outcome, Snapshot};

/// The annotation that the kubelet puts on the mirror of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// Decides what to do with one admission.
#[must_use]
pub fn decide<'s>(snapshot: &'s Snapshot, admission: &Admission<'_>) -> Decision<'s> {
    let mode = EffectiveMode { mode: snapshot.settings().mode, source: ModeSource::Setting };
    let mut deciding = Deciding { snapshot, recognised: None, cluster: None, mode, provider: None, wanted: Vec::new() };
    let verdict = deciding.verdict(admission).unwrap_or_else(Verdict::Leave);
    let concern = match &verdict {
        Verdict::Leave(reason) => reason.concern(),
        Verdict::Attach { .. } | Verdict::UseHostNetwork => None,
    };
    let outcome = concern.map_or(Outcome::Leave, |concern| snapshot.settings().outcome(concern));
    let Deciding { snapshot: _, recognised, cluster, mode, provider, wanted } = deciding;
    Decision { recognised, cluster, mode, provider, wanted, verdict, outcome }
}

/// What has been found so far, kept for the explanation.
struct Deciding<'s> {
    snapshot: &'s Snapshot,
    recognised: Option<Recognised<'s>>,
    cluster: Option<&'s Cluster>,
    /// The setting, until it is known whose pod it is.
    mode: EffectiveMode<'s>,
    provider: Option<EffectiveProvider>,
    wanted: Vec<Wanted<'s>>,
}

/// Whose pod it is, and as what.
#[derive(Clone, Copy)]
struct Owner<'s> {
    system: &'s System,
    role: &'s Role,
    cluster: &'s Cluster,
}

impl<'s> Deciding<'s> {
    /// The rules in order. `Err` is a reason to leave the pod alone.
    fn verdict(&mut self, admission: &Admission<'_>) -> Result<Verdict<'s>, Reason<'s>> {
        let pod = pod_of(admission)?;
        let owner = self.owner(pod, admission.namespace)?;
        let spec = match (&owner.cluster.network, &owner.role.treatment) {
            (Ok(spec), _) => spec,
            // What is wrong with the networks does not concern a pod that gets none.
            (Err(_), Treatment::NoNetwork(why)) => return Err(Reason::NoNetworkForRole(why)),
            (Err(problems), _) => return Err(Reason::InvalidSpec(owner.cluster, problems)),
        };
        let effective = self.effective_provider(owner, spec, pod);
        let overridden = matches!(effective.source, ProviderSource::Override(_));
        match (effective.provider, &owner.role.treatment) {
            (_, Treatment::NeverTouch(why)) => Err(Reason::NeverTouch(why)),
            (Provider::Host, Treatment::Networks(_)) => host_network(owner, &effective.source, pod),
            // The provider means the cluster's daemons; an override means this role, whatever it needs.
            (Provider::Host, Treatment::NoNetwork(_)) if overridden => host_network(owner, &effective.source, pod),
            (_, Treatment::NoNetwork(why)) => Err(Reason::NoNetworkForRole(why)),
            (Provider::None, Treatment::Networks(_)) => Err(Reason::ProviderNone),
            (Provider::Attach(_), Treatment::Networks(keys)) => {
                self.attachments(owner, spec, keys, pod, admission.namespace)
            }
        }
    }

    /// Finds the pod's cluster by the namespace of the request, and its role by its labels.
    fn owner(&mut self, pod: &PodView<'_>, namespace: &str) -> Result<Owner<'s>, Reason<'s>> {
        let snapshot = self.snapshot;
        let here: Vec<(&'s System, Vec<&'s Cluster>)> =
            snapshot.clusters_in(namespace).filter(|(_, clusters)| !clusters.is_empty()).collect();
        for (system, clusters) in &here {
            if let Some(role) = self.recognise(system, pod) {
                return self.only_one(system, role, clusters);
            }
        }
        if let Some((system, clusters)) = here.iter().find(|(system, _)| system.is_marked(pod)) {
            self.belongs_to(clusters);
            return Err(self.unless_off(Reason::UnknownRole(system)));
        }
        let elsewhere = snapshot.systems().iter().find_map(|system| self.recognise(system, pod));
        Err(match elsewhere.map(|role| &role.treatment) {
            Some(Treatment::Networks(_)) => self.unless_off(Reason::UnknownCluster),
            _ if here.is_empty() => Reason::NoCluster,
            _ => Reason::NotStorage,
        })
    }

    /// Notes to which of `clusters` a pod belongs, and the mode that goes with that. A pod that may be of several has the
    /// mildest of their modes: more may not be done to it than any of them asks for.
    fn belongs_to(&mut self, clusters: &[&'s Cluster]) {
        if let [cluster] = clusters {
            self.cluster = Some(cluster);
        }
        let setting = self.mode;
        let modes = clusters.iter().map(|cluster| match cluster.mode {
            Some(mode) => EffectiveMode { mode, source: ModeSource::Cluster(cluster) },
            None => setting,
        });
        self.mode = modes.max_by_key(|effective| effective.mode).unwrap_or(setting);
    }

    /// A reason that may have an outcome, but where the mode is off: nobody is warned or refused then.
    fn unless_off(&self, reason: Reason<'s>) -> Reason<'s> {
        match self.mode.mode {
            Mode::Off => Reason::ModeOff,
            Mode::Enforce | Mode::Audit => reason,
        }
    }

    /// The owner of a pod with a role, where the namespace has one cluster of its system. What must never be touched is
    /// settled before the mode, and what gets nothing from any cluster before it matters how many there are.
    fn only_one(
        &mut self,
        system: &'s System,
        role: &'s Role,
        clusters: &[&'s Cluster],
    ) -> Result<Owner<'s>, Reason<'s>> {
        self.belongs_to(clusters);
        match (&role.treatment, self.mode.mode, clusters) {
            (Treatment::NeverTouch(why), _, _) => Err(Reason::NeverTouch(why)),
            (_, Mode::Off, _) => Err(Reason::ModeOff),
            (_, Mode::Enforce | Mode::Audit, [cluster]) => Ok(Owner { system, role, cluster }),
            (Treatment::NoNetwork(why), _, _) => Err(Reason::NoNetworkForRole(why)),
            (Treatment::Networks(_), _, clusters) => Err(Reason::AmbiguousCluster(clusters.to_vec())),
        }
    }

    /// The pod's role in `system`, where it has one.
    fn recognise(&mut self, system: &'s System, pod: &PodView<'_>) -> Option<&'s Role> {
        let (role, by) = system.role_of(pod)?;
        self.recognised = Some(Recognised { system, role, by: by.describe() });
        Some(role)
    }

    /// The provider for this pod: an override for its role, else the enforced host network, else the cluster's. An override
    /// to `false` only ever takes the host network away (Rook: "if the pointer is set, use it, else `IsHost()`").
    fn effective_provider(&mut self, owner: Owner<'s>, spec: &NetworkSpec, pod: &PodView<'_>) -> EffectiveProvider {
        let enforced = self.snapshot.settings().enforce_host_network;
        let host = self.snapshot.host_override(owner.cluster, owner.role, pod);
        let (provider, source) = match (host, spec.provider) {
            (Some((true, place)), _) => (Provider::Host, ProviderSource::Override(place)),
            (Some((false, place)), Provider::Host) => (Provider::None, ProviderSource::Override(place)),
            (Some((false, place)), declared) if enforced => (declared, ProviderSource::Override(place)),
            (None, _) if enforced => (Provider::Host, ProviderSource::Enforced),
            (Some((false, _)) | None, declared) => (declared, ProviderSource::Cluster),
        };
        let effective = EffectiveProvider { provider, source };
        self.provider = Some(effective.clone());
        effective
    }

    /// The attachments, merged with what the pod already names.
    fn attachments(
        &mut self,
        owner: Owner<'s>,
        spec: &'s NetworkSpec,
        keys: &'s [NetworkKey],
        pod: &PodView<'_>,
        namespace: &str,
    ) -> Result<Verdict<'s>, Reason<'s>> {
        let existing = read_annotation(pod.annotation(NETWORKS_ANNOTATION).unwrap_or_default(), namespace);
        let on_pod = existing.as_deref().unwrap_or_default();
        let interfaces: Vec<_> = interface_names(on_pod).collect();
        let is_present = |selection: &NetworkSelection| {
            let mut on_pod = on_pod.iter().zip(&interfaces);
            on_pod.any(|(other, interface)| selection.is_met_by(other, Some(interface)))
        };
        for key in keys {
            let declared = owner.system.keys_behind(key).find_map(|behind| spec.selections.get_key_value(behind));
            let step = match declared {
                None => WantedStep::NotDeclared,
                Some((_, selection)) if self.is_wanted_already(selection) => WantedStep::SameAsEarlier,
                Some((_, selection)) if is_present(selection) => WantedStep::Present,
                Some(_) => WantedStep::Add,
            };
            self.wanted.push(Wanted { key, declared, step });
        }
        if self.wanted.iter().all(|wanted| wanted.step == WantedStep::NotDeclared) {
            return Err(Reason::NothingDeclared);
        }
        if pod.is_on_host_network() {
            return Err(Reason::OnHostNetwork);
        }
        let existing = existing.map_err(Reason::UnreadableAnnotation)?;
        let added: Vec<&NetworkSelection> = to_add(&self.wanted).collect();
        if added.is_empty() {
            return Err(Reason::Agrees);
        }
        self.check_attachments(owner.cluster, &added)?;
        check_interfaces(&existing, &added)?;
        Ok(Verdict::Attach { annotation: write_annotation(existing.iter().chain(added.iter().copied())) })
    }

    fn is_wanted_already(&self, selection: &NetworkSelection) -> bool {
        let mut earlier = self.wanted.iter().filter_map(|wanted| wanted.declared);
        earlier.any(|(_, earlier)| selection.is_met_by(earlier, earlier.interface.as_deref()))
    }

    /// A pod with an attachment that Multus cannot make never starts. Part of the networks would be no better than none.
    fn check_attachments(&self, cluster: &'s Cluster, added: &[&'s NetworkSelection]) -> Result<(), Reason<'s>> {
        let mut missing = Vec::new();
        for selection in added {
            match self.snapshot.attachment(&selection.attachment) {
                AttachmentState::Missing => missing.push(&selection.attachment),
                AttachmentState::Malformed(error) => {
                    return Err(Reason::MalformedAttachment(&selection.attachment, error));
                }
                // Where attachment definitions have not been listed yet, the cluster is taken at its word, as Rook does.
                AttachmentState::Usable(_) | AttachmentState::Unknown => {}
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Reason::MissingAttachment(cluster, missing)) }
    }
}

/// The host network, unless the pod has it, or was rendered for the pod network: daemons are given arguments that only fit the
/// network they were rendered for.
fn host_network<'s>(owner: Owner<'s>, source: &ProviderSource, pod: &PodView<'_>) -> Result<Verdict<'s>, Reason<'s>> {
    if pod.is_on_host_network() {
        return Err(Reason::Agrees);
    }
    let asked_by = || match source {
        ProviderSource::Cluster => owner.cluster.to_string(),
        ProviderSource::Enforced | ProviderSource::Override(_) => source.to_string(),
    };
    let spec = pod.spec.as_ref().ok_or(Reason::NoPod)?;
    let containers = spec.containers().map_err(|_| Reason::UnreadableContainers)?;
    // A pod that names networks of its own would lose them: Multus attaches nothing on the host network.
    let own = read_annotation(pod.annotation(NETWORKS_ANNOTATION).unwrap_or_default(), &owner.cluster.id.namespace);
    let names_networks = own.map_or(true, |own| !own.is_empty());
    let sign = if names_networks {
        Some(format!("the annotation {NETWORKS_ANNOTATION}"))
    } else {
        owner.role.evidence_against_host(pod, &containers.arguments())
    };
    if let Some(sign) = sign {
        return Err(Reason::RenderedForPodNetwork { asked_by: asked_by(), sign });
    }
    match spec.obstacle_to_host(&containers).map_err(|_| Reason::UnreadableContainers)? {
        Some(obstacle) => Err(Reason::UnfitForHost { asked_by: asked_by(), obstacle }),
        None => Ok(Verdict::UseHostNetwork),
    }
}

/// The pod of an admission that may be changed at all.
fn pod_of<'a>(admission: &Admission<'a>) -> Result<&'a PodView<'a>, Reason<'static>> {
    let Admission { operation, kind, group, subresource, namespace: _, pod } = *admission;
    if (operation, kind, group, subresource) != ("CREATE", "Pod", "", "") {
        return Err(Reason::NotPodCreation);
    }
    let pod = pod.filter(|pod| pod.spec.is_some()).ok_or(Reason::NoPod)?;
    if pod.annotation(MIRROR_ANNOTATION).is_some() {
        return Err(Reason::MirrorPod);
    }
    if pod.annotation(INJECT_ANNOTATION) == Some(INJECT_DISABLED) {
        return Err(Reason::OptedOut);
    }
    Ok(pod)
}

/// A second interface of one name makes Multus take the whole pod down again. What is wrong in the pod's own list is not
/// looked for: it is the pod's own.
fn check_interfaces<'s>(existing: &[NetworkSelection], added: &[&'s NetworkSelection]) -> Result<(), Reason<'s>> {
    let all: Vec<&NetworkSelection> = existing.iter().chain(added.iter().copied()).collect();
    let names: Vec<_> = interface_names(all.iter().copied()).collect();
    for (index, selection) in added.iter().enumerate() {
        let own = existing.len() + index;
        if let Some(other) = (0..all.len()).find(|other| *other != own && names[*other] == names[own]) {
            return Err(Reason::InterfaceConflict {
                interface: names[own].to_string(),
                added: &selection.attachment,
                other: all[other].attachment.clone(),
            });
        }
    }
    Ok(())
}
