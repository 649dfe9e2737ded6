//! Whose pod it is: the cluster that it belongs to, and its role there.
//!
//! In this order: the namespace, where it has one cluster of the system; a label that names the cluster; the owners, walked in
//! memory. Labels are claims, so in a system whose workloads are owned by their clusters, owners that lead elsewhere are said.
//! What is not known yet is never guessed.

use super::decide::{Deciding, OwnedRole, Owner};
use super::decision::{FoundBy, Recognised};
use super::owner::OwnerReference;
use super::pod::PodView;
use super::reason::Reason;
use crate::storage::{Labels as _, Role, RoleOwner, System, Treatment};
use crate::world::{Cluster, Declared, Lead, Mode, OwnerRef, StorageNetwork};

/// What in a pod names its cluster.
struct Claim<'p> {
    /// The name.
    cluster: &'p str,
    /// Where it stands.
    named_by: String,
}

impl<'s> Deciding<'s> {
    /// Finds the pod's cluster, and its role there.
    pub(super) fn belongs(&mut self, pod: &PodView<'_>, namespace: &str) -> Result<Owner<'s>, Reason<'s>> {
        let snapshot = self.snapshot;
        let here: Vec<(&'s System, Vec<&'s Cluster>)> =
            snapshot.clusters_in(namespace).filter(|(_, clusters)| !clusters.is_empty()).collect();
        for (system, clusters) in &here {
            if let Some((role, claim)) = self.recognise(system, pod, clusters) {
                return self.which(system, role, claim.as_ref(), clusters, pod, namespace);
            }
        }
        let elsewhere = snapshot.systems().iter().find_map(|system| self.recognise(system, pod, &[]));
        let elsewhere = elsewhere.map(|(role, _)| role);
        // That holds wherever the cluster is.
        if let Some(why) = elsewhere.and_then(|role| role.never_touched(self.takes_risk())) {
            return Err(Reason::NeverTouch(why));
        }
        for (system, clusters) in &here {
            if let Some(owner) = self.declared_role(system, clusters, pod) {
                return owner;
            }
        }
        if let Some((system, clusters)) = here.iter().find(|(system, _)| system.is_marked(pod)) {
            self.may_be_of(clusters, FoundBy::Only);
            return Err(Reason::UnknownRole(system));
        }
        Err(match elsewhere.map(|role| &role.treatment) {
            Some(Treatment::Networks(_)) => Reason::UnknownCluster { named_by: None },
            _ if here.is_empty() => Reason::NoCluster,
            _ => Reason::NotStorage,
        })
    }

    /// The pod's role in `system`, where it has one, and the cluster that its labels name.
    fn recognise<'p>(
        &mut self,
        system: &'s System,
        pod: &'p PodView<'_>,
        clusters: &[&'s Cluster],
    ) -> Option<(&'s Role, Option<Claim<'p>>)>
    where
        's: 'p,
    {
        let names: Vec<&str> = clusters.iter().map(|cluster| cluster.id.name.as_str()).collect();
        let is_owned_by = |kinds: &[String]| {
            let owners = pod.owners().unwrap_or_default();
            owners.first().is_some_and(|owner| kinds.iter().any(|kind| **kind == *owner.kind))
        };
        let found = system.role_of(pod, &names, is_owned_by)?;
        let by = found.by.describe();
        let claim = found.cluster.map(|cluster| {
            let cluster = clusters.iter().find(|known| known.id.name == cluster);
            cluster.map(|cluster| Claim { cluster: &cluster.id.name, named_by: format!("the label {by}") })
        });
        let (system_name, role) = (system.name.as_str(), found.role);
        self.recognised = Some(Recognised { system: system_name, role: role.name.as_str(), known: Some(role), by });
        let by_label = || {
            let mut labels = system.clusters.iter().filter_map(|kind| kind.named_by.as_deref());
            labels.find_map(|label| Some((label, pod.label(label)?)))
        };
        let claim = claim.flatten().or_else(|| {
            by_label().map(|(label, cluster)| Claim { cluster, named_by: format!("the label {label}={cluster}") })
        });
        Some((role, claim))
    }

    /// Which of `clusters` a pod with a role belongs to. What must never be touched is settled before the mode, and what gets
    /// nothing from any cluster before it matters which one it is.
    fn which(
        &mut self,
        system: &'s System,
        role: &'s Role,
        claim: Option<&Claim<'_>>,
        clusters: &[&'s Cluster],
        pod: &PodView<'_>,
        namespace: &str,
    ) -> Result<Owner<'s>, Reason<'s>> {
        self.may_be_of(clusters, FoundBy::Only);
        if let Some(why) = role.never_touched(self.takes_risk()) {
            return Err(Reason::NeverTouch(why));
        }
        match &role.treatment {
            _ if clusters.len() == 1 && self.mode.mode == Mode::Off => return Err(Reason::ModeOff),
            // Nothing is due to it, unless an override or a StorageNetwork says so: whose it is need not be proven.
            Treatment::NoNetwork(why) if !clusters.iter().any(|cluster| self.says_something_of(role, cluster)) => {
                return match clusters {
                    [cluster] => Ok(self.owner(system, cluster, OwnedRole::Known(role))),
                    _ => Err(Reason::NoNetworkForRole(why)),
                };
            }
            Treatment::NoNetwork(_) | Treatment::Networks(_) | Treatment::NeverTouch { .. } => {}
        }
        let is_claimed = |cluster: &&'s Cluster| claim.is_none_or(|claim| claim.cluster == cluster.id.name);
        let candidates: Vec<&'s Cluster> = clusters.iter().copied().filter(is_claimed).collect();
        let named_by = claim.map(|claim| claim.named_by.clone());
        let is_helper = matches!(role.treatment, Treatment::NoNetwork(_));
        let lead = self.lead(system, role, clusters, pod, namespace);
        // It is of none until its labels or its owners say so, not even of the only one.
        self.cluster = None;
        let (cluster, found_by) = match (&candidates[..], lead) {
            ([], Some(Lead::To(leads))) => {
                let claimed = format!("the cluster that {} names", named_by.unwrap_or_default());
                let lead = leads.first().copied();
                return Err(Reason::OwnerMismatch { claimed, lead });
            }
            ([], _) => return Err(Reason::UnknownCluster { named_by }),
            (candidates, Some(Lead::To(leads))) => {
                let both: Vec<&'s Cluster> = candidates
                    .iter()
                    .copied()
                    .filter(|one| leads.iter().any(|lead| std::ptr::eq(*lead, *one)))
                    .collect();
                match both[..] {
                    [cluster] => (cluster, FoundBy::Owners),
                    [] => return Err(mismatch(candidates, leads.first().copied())),
                    _ => return Err(self.unless_off(Reason::AmbiguousCluster(system, both))),
                }
            }
            // Helpers that a StorageNetwork gives something, such as operators, need not be the cluster's own.
            (candidates, Some(Lead::Nowhere)) if !is_helper => return Err(mismatch(candidates, None)),
            (&[cluster], _) => (cluster, named_by.map_or(FoundBy::Only, FoundBy::Name)),
            (_, Some(Lead::NotSeen { kind, name })) => {
                return Err(self.unless_off(Reason::OwnerNotSeen { kind, name }));
            }
            (candidates, None | Some(Lead::Nowhere)) => match self.selected_for(role, candidates, pod) {
                Some(cluster) => (cluster, FoundBy::Selector),
                None => return Err(self.unless_off(Reason::AmbiguousCluster(system, candidates.to_vec()))),
            },
        };
        self.may_be_of(&[cluster], found_by);
        if self.mode.mode == Mode::Off {
            return Err(Reason::ModeOff);
        }
        Ok(self.owner(system, cluster, OwnedRole::Known(role)))
    }

    /// Whether the StorageNetwork of `cluster` says something of `role`.
    fn says_something_of(&self, role: &Role, cluster: &Cluster) -> bool {
        self.declared_for(cluster).is_some_and(|declared| declared.rule_of(&role.name).is_some())
    }

    /// The one of `candidates` whose StorageNetwork selects the pod for its role, where it is one.
    fn selected_for(&self, role: &Role, candidates: &[&'s Cluster], pod: &PodView<'_>) -> Option<&'s Cluster> {
        let selects = |cluster: &&'s Cluster| {
            let rule = self.declared_for(cluster).and_then(|declared| declared.role_for(pod));
            rule.is_some_and(|rule| rule.name == role.name)
        };
        let mut selecting = candidates.iter().copied().filter(selects);
        selecting.next().filter(|_| selecting.next().is_none())
    }

    /// Where the pod's owners lead, in a system that goes by them and for a role that does.
    fn lead(
        &self,
        system: &System,
        role: &Role,
        clusters: &[&'s Cluster],
        pod: &PodView<'_>,
        namespace: &str,
    ) -> Option<Lead<'s>> {
        if system.owners.is_empty() || role.owner == RoleOwner::Any {
            return None;
        }
        let owners = pod.owners().unwrap_or_default();
        let owners: Vec<OwnerRef<'_>> = owners.iter().map(as_ref).collect();
        Some(self.snapshot.lead(namespace, system, clusters, &owners))
    }

    /// A role that a StorageNetwork of one of `clusters` declares, and selects this pod for.
    fn declared_role(
        &mut self,
        system: &'s System,
        clusters: &[&'s Cluster],
        pod: &PodView<'_>,
    ) -> Option<Result<Owner<'s>, Reason<'s>>> {
        let (cluster, rule) =
            clusters.iter().find_map(|cluster| Some((*cluster, self.declared_for(cluster)?.role_for(pod)?)))?;
        self.may_be_of(&[cluster], FoundBy::Selector);
        let (role, known) = (rule.name.as_str(), system.role(rule.name.as_str()));
        self.recognised = Some(Recognised { system: system.name.as_str(), role, known, by: rule.told_by() });
        Some(match self.mode.mode {
            Mode::Off => Err(Reason::ModeOff),
            Mode::Enforce | Mode::Audit => {
                let role = known.map_or(OwnedRole::Declared(rule), OwnedRole::Known);
                Ok(self.owner(system, cluster, role))
            }
        })
    }

    fn owner(&mut self, system: &'s System, cluster: &'s Cluster, role: OwnedRole<'s>) -> Owner<'s> {
        let network = self.counting(cluster);
        self.storage_networks.extend(network);
        Owner { system, cluster, network, role }
    }

    /// The StorageNetwork that counts for a cluster, where there is one.
    pub(super) fn counting(&self, cluster: &Cluster) -> Option<&'s StorageNetwork> {
        self.snapshot.storage_network_of(cluster)
    }

    /// What it declares, where that is valid.
    fn declared_for(&self, cluster: &Cluster) -> Option<&'s Declared> {
        self.counting(cluster)?.declared.as_ref().ok()
    }

    /// Notes to which of `clusters` a pod belongs, and the mode that goes with that. A pod that may be of several has the
    /// mildest of their modes: more may not be done to it than any of them asks for.
    fn may_be_of(&mut self, clusters: &[&'s Cluster], found_by: FoundBy) {
        if let [cluster] = clusters {
            self.cluster = Some(cluster);
            self.found_by = found_by;
        }
        let modes = clusters.iter().map(|cluster| self.mode_of(Some(cluster), self.counting(cluster)));
        if let Some(mildest) = modes.max_by_key(|effective| effective.mode) {
            self.mode = mildest;
        }
    }
}

fn mismatch<'s>(candidates: &[&'s Cluster], lead: Option<&'s Cluster>) -> Reason<'s> {
    let claimed = candidates.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    Reason::OwnerMismatch { claimed, lead }
}

fn as_ref<'o>(owner: &'o OwnerReference<'_>) -> OwnerRef<'o> {
    OwnerRef { api_version: &owner.api_version, kind: &owner.kind, name: &owner.name, uid: &owner.uid }
}
