//! The decision itself, from top to bottom in the order in which its rules apply.
//!
//! Total, and free of effects: an admission and a snapshot in, a [`Decision`] out. A rule that leaves a pod alone returns its
//! [`Reason`] as the error, so the order of the rules is the order of the lines.

use super::decision::{Decision, EffectiveProvider, ProviderSource, Reason, Recognised, Verdict, Wanted, WantedStep};
use super::pod::{Admission, PodView};
use super::{INJECT_ANNOTATION, INJECT_DISABLED};
use crate::network::selection::{interface_names, read_annotation, write_annotation};
use crate::network::{NETWORKS_ANNOTATION, NetworkKey, NetworkSelection, NetworkSpec, Provider};
use crate::storage::{Labels as _, System, Treatment};
use crate::world::{AttachmentState, Cluster, Outcome, Snapshot};

/// The annotation that the kubelet puts on the mirror of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// Decides what to do with one admission.
#[must_use]
pub fn decide<'s>(snapshot: &'s Snapshot, admission: &Admission<'_>) -> Decision<'s> {
    let mut deciding = Deciding { snapshot, recognised: None, cluster: None, provider: None, wanted: Vec::new() };
    let verdict = deciding.verdict(admission).unwrap_or_else(Verdict::Leave);
    let concern = match &verdict {
        Verdict::Leave(reason) => reason.concern(),
        Verdict::Attach { .. } | Verdict::UseHostNetwork => None,
    };
    let outcome = concern.map_or(Outcome::Leave, |concern| snapshot.settings().outcome(concern));
    let Deciding { snapshot: _, recognised, cluster, provider, wanted } = deciding;
    Decision { recognised, cluster, provider, wanted, verdict, outcome }
}

/// What has been found so far.
struct Deciding<'s> {
    snapshot: &'s Snapshot,
    recognised: Option<Recognised<'s>>,
    cluster: Option<&'s Cluster>,
    provider: Option<EffectiveProvider>,
    wanted: Vec<Wanted<'s>>,
}

impl<'s> Deciding<'s> {
    /// The rules in order. `Err` is a reason to leave the pod alone.
    fn verdict(&mut self, admission: &Admission<'_>) -> Result<Verdict<'s>, Reason<'s>> {
        let pod = pod_of(admission)?;
        let (cluster, treatment) = self.cluster_and_treatment(pod, admission.namespace)?;
        let spec = cluster.network.as_ref().map_err(|problems| Reason::InvalidSpec(cluster, problems))?;
        let provider = self.effective_provider(cluster, spec, pod);
        match (provider, treatment) {
            (_, Treatment::NeverTouch(why)) => Err(Reason::NeverTouch(why)),
            (Provider::Host, Treatment::Networks(_)) => self.host_network(cluster, pod),
            // The provider means the cluster's daemons; an override means this role, whatever it needs.
            (Provider::Host, Treatment::NoNetwork(_)) if self.is_overridden() => self.host_network(cluster, pod),
            (_, Treatment::NoNetwork(why)) => Err(Reason::NoNetworkForRole(why)),
            (Provider::None, Treatment::Networks(_)) => Err(Reason::ProviderNone),
            (Provider::Multus, Treatment::Networks(keys)) => {
                self.attachments(cluster, spec, keys, pod, admission.namespace)
            }
        }
    }

    /// Which cluster owns the pod, and what its role gets.
    fn cluster_and_treatment(
        &mut self,
        pod: &PodView<'_>,
        namespace: &str,
    ) -> Result<(&'s Cluster, &'s Treatment), Reason<'s>> {
        let snapshot = self.snapshot;
        let mut here: Vec<(&'s System, Vec<&'s Cluster>)> =
            snapshot.clusters_in(namespace).filter(|(_, clusters)| !clusters.is_empty()).collect();
        let found = here.iter().position(|(system, _)| self.recognise(system, pod));
        let Some(position) = found else {
            return Err(self.without_cluster(pod, here.iter().map(|(system, _)| *system)));
        };
        let (_, clusters) = here.swap_remove(position);
        let treatment = self.recognised.as_ref().map(|found| &found.role.treatment);
        if let [cluster] = clusters[..] {
            self.cluster = Some(cluster);
        }
        // What must never be touched comes before everything that a cluster could say.
        if let Some(Treatment::NeverTouch(why)) = treatment {
            return Err(Reason::NeverTouch(why));
        }
        match (&clusters[..], treatment) {
            ([cluster], Some(treatment)) => Ok((cluster, treatment)),
            // Which cluster it is does not matter to a pod that gets nothing from any.
            (_, Some(Treatment::NoNetwork(why))) => Err(Reason::NoNetworkForRole(why)),
            _ => Err(Reason::AmbiguousCluster(clusters)),
        }
    }

    /// Notes the pod's role in `system`, where it has one.
    fn recognise(&mut self, system: &'s System, pod: &PodView<'_>) -> bool {
        let Some((role, by)) = system.role_of(pod) else { return false };
        self.recognised = Some(Recognised { system, role, by: by.describe() });
        true
    }

    /// Why a pod that has no role in any system with a cluster `here` is left alone.
    fn without_cluster(&mut self, pod: &PodView<'_>, here: impl Iterator<Item = &'s System>) -> Reason<'s> {
        let mut any_here = false;
        for system in here {
            any_here = true;
            if system.is_marked(pod) {
                return Reason::UnknownRole(system);
            }
        }
        let elsewhere = self.snapshot.systems().iter().find(|system| self.recognise(system, pod));
        let networks =
            self.recognised.as_ref().is_some_and(|found| matches!(found.role.treatment, Treatment::Networks(_)));
        match elsewhere {
            Some(_) if networks => Reason::UnknownCluster,
            _ if any_here => Reason::NotStorage,
            _ => Reason::NoCluster,
        }
    }

    /// The provider for this pod: an override for its role, else the enforced host network, else the cluster's. An override
    /// to `false` only ever takes the host network away (Rook: "if the pointer is set, use it, else `IsHost()`").
    fn effective_provider(&mut self, cluster: &'s Cluster, spec: &NetworkSpec, pod: &PodView<'_>) -> Provider {
        let role = self.recognised.as_ref().map(|found| found.role);
        let host = role.and_then(|role| self.snapshot.host_override(cluster, role, pod));
        let enforced = self.snapshot.settings().enforce_host_network;
        let (provider, source) = match host {
            Some((true, place)) => (Provider::Host, ProviderSource::Override(place)),
            Some((false, place)) if enforced || spec.provider == Provider::Host => {
                let provider = if spec.provider == Provider::Multus { Provider::Multus } else { Provider::None };
                (provider, ProviderSource::Override(place))
            }
            _ if enforced => (Provider::Host, ProviderSource::Enforced),
            _ => (spec.provider, ProviderSource::Cluster),
        };
        self.provider = Some(EffectiveProvider { provider, source });
        provider
    }

    fn is_overridden(&self) -> bool {
        self.provider.as_ref().is_some_and(|provider| matches!(provider.source, ProviderSource::Override(_)))
    }

    /// The host network, unless the pod has it, or was rendered for the pod network: daemons are given arguments that only
    /// fit the network they were rendered for.
    fn host_network(&self, cluster: &'s Cluster, pod: &PodView<'_>) -> Result<Verdict<'s>, Reason<'s>> {
        if pod.is_on_host_network() {
            return Err(Reason::Agrees);
        }
        let (Some(spec), Some(found)) = (&pod.spec, &self.recognised) else { return Err(Reason::NoPod) };
        let arguments = spec.arguments().map_err(|_| Reason::UnreadableContainers)?;
        let arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
        match found.role.evidence_against_host(pod, &arguments) {
            Some(sign) => Err(Reason::RenderedForPodNetwork { asked_by: self.asked_by(cluster), sign }),
            None => Ok(Verdict::UseHostNetwork),
        }
    }

    fn asked_by(&self, cluster: &Cluster) -> String {
        match self.provider.as_ref().map(|provider| &provider.source) {
            None | Some(ProviderSource::Cluster) => cluster.to_string(),
            Some(source @ (ProviderSource::Enforced | ProviderSource::Override(_))) => source.to_string(),
        }
    }

    /// The attachments, merged with what the pod already names.
    fn attachments(
        &mut self,
        cluster: &'s Cluster,
        spec: &'s NetworkSpec,
        keys: &'s [NetworkKey],
        pod: &PodView<'_>,
        namespace: &str,
    ) -> Result<Verdict<'s>, Reason<'s>> {
        let Some(found) = &self.recognised else { return Err(Reason::NotStorage) };
        let system = found.system;
        let existing = read_annotation(pod.annotation(NETWORKS_ANNOTATION).unwrap_or_default(), namespace);
        let on_pod = existing.as_deref().unwrap_or_default();
        for key in keys {
            let declared = system.keys_behind(key).find_map(|behind| spec.selections.get_key_value(behind));
            let step = match declared {
                None => WantedStep::NotDeclared,
                Some((_, selection)) if self.is_wanted_already(selection) => WantedStep::SameAsEarlier,
                Some((_, selection)) if on_pod.iter().any(|other| selection.is_met_by(other)) => WantedStep::Present,
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
        let added = self.to_add();
        if added.is_empty() {
            return Err(Reason::Agrees);
        }
        self.check_attachments(cluster, &added)?;
        check_interfaces(&existing, &added)?;
        Ok(Verdict::Attach { annotation: write_annotation(existing.iter().chain(added.iter().copied())) })
    }

    fn is_wanted_already(&self, selection: &NetworkSelection) -> bool {
        self.wanted.iter().filter_map(|wanted| wanted.declared).any(|(_, earlier)| selection.is_met_by(earlier))
    }

    fn to_add(&self) -> Vec<&'s NetworkSelection> {
        let to_add = self.wanted.iter().filter(|wanted| wanted.step == WantedStep::Add);
        to_add.filter_map(|wanted| wanted.declared.map(|(_, selection)| selection)).collect()
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

/// The pod of an admission that may be changed at all.
fn pod_of<'a>(admission: &Admission<'a>) -> Result<&'a PodView<'a>, Reason<'static>> {
    let Admission { operation, kind, group, subresource, namespace: _, pod } = *admission;
    if (operation, kind, group, subresource) != ("CREATE", "Pod", "", "") {
        return Err(Reason::NotPodCreation);
    }
    let pod = pod.filter(|pod| pod.spec.is_some()).ok_or(Reason::NoPod)?;
    if pod.annotation(INJECT_ANNOTATION) == Some(INJECT_DISABLED) {
        return Err(Reason::OptedOut);
    }
    if pod.annotation(MIRROR_ANNOTATION).is_some() || pod.label(MIRROR_ANNOTATION).is_some() {
        return Err(Reason::MirrorPod);
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
