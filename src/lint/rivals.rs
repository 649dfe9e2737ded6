//! StorageNetworks that stand in each other's way.
//!
//! What is found here is what a decision makes of it: for a cluster the oldest counts alone; pods that several select by labels
//! get the networks of all, but have one provider and one default network, which are those of the oldest.

use std::collections::HashMap;

use crate::network::{AttachmentRef, NetworkSelection, Provider};
use crate::storage::Selector;
use crate::world::{Declared, Mode, Snapshot, StorageNetwork, Target};

/// Another StorageNetwork, and how it stands in the way.
#[derive(Clone, Copy, Debug)]
pub enum Rival<'s> {
    /// It is about the same cluster, and older.
    SameCluster(&'s StorageNetwork),
    /// It may select the same pods, is older, and asks for another provider.
    OtherProvider(&'s StorageNetwork, Provider),
    /// It may select the same pods, is older, and replaces the pod network by another one.
    OtherDefault(&'s StorageNetwork, &'s NetworkSelection),
    /// It may select the same pods, and is invalid: whatever it selects is left alone.
    Invalid(&'s StorageNetwork),
}

/// The StorageNetworks of one namespace that can stand in the way of others there. There may be thousands, so they are not
/// compared each with each.
#[derive(Default)]
pub struct Neighbours<'s> {
    /// The oldest one about each cluster.
    of_clusters: HashMap<[&'s str; 3], &'s StorageNetwork>,
    /// Those that select pods, by the selector as text,
    by_selector: HashMap<String, Few<'s>>,
    /// those that select every pod,
    of_everything: Few<'s>,
    /// and all of both.
    of_pods: Few<'s>,
}

/// As many of the StorageNetworks that select the same pods as it takes to find the rival of any other, the oldest first.
#[derive(Default)]
struct Few<'s>(Vec<&'s StorageNetwork>);

impl<'s> Neighbours<'s> {
    /// Those among `all`, which are the StorageNetworks of one namespace.
    #[must_use]
    pub fn of(snapshot: &Snapshot, mut all: Vec<&'s StorageNetwork>) -> Self {
        all.sort_by_key(|network| network.age());
        let mut neighbours = Self::default();
        for network in all {
            match &network.target {
                Some(Target::Cluster(cluster)) => _ = neighbours.of_clusters.entry(cluster.key()).or_insert(network),
                Some(Target::Pods(pods)) if network.mode.unwrap_or(snapshot.settings().mode) != Mode::Off => {
                    neighbours.by_selector.entry(pods.to_string()).or_default().add(network);
                    if pods.is_everything() {
                        neighbours.of_everything.add(network);
                    }
                    neighbours.of_pods.add(network);
                }
                Some(Target::Pods(_)) | None => {}
            }
        }
        neighbours
    }

    /// What stands in the way of `network`, where anything does.
    #[must_use]
    pub fn rival_of(&self, network: &StorageNetwork) -> Option<Rival<'s>> {
        match network.target.as_ref()? {
            Target::Cluster(cluster) => {
                let oldest = self.of_clusters.get(&cluster.key()).copied();
                oldest.filter(|oldest| oldest.age() < network.age()).map(Rival::SameCluster)
            }
            Target::Pods(pods) => {
                let others = if pods.is_everything() {
                    [Some(&self.of_pods), None]
                } else {
                    [self.by_selector.get(&pods.to_string()), Some(&self.of_everything)]
                };
                let others = others.into_iter().flatten().flat_map(|few| &few.0);
                let rivals = others.filter_map(|other| Some((other.age(), rival_for(pods, network, other)?)));
                rivals.min_by_key(|(age, _)| *age).map(|(_, rival)| rival)
            }
        }
    }
}

impl<'s> Few<'s> {
    /// Adds one that is younger than all that are here, where it can be the oldest rival of any: of those that are invalid two,
    /// because one of them may be the one that is asked about; of each provider the first, and the first two default networks.
    fn add(&mut self, network: &'s StorageNetwork) {
        let Ok(declared) = &network.declared else {
            if self.0.iter().filter(|other| other.declared.is_err()).count() < 2 {
                self.0.push(network);
            }
            return;
        };
        let valid = self.0.iter().filter_map(|other| other.declared.as_ref().ok());
        let same: Vec<&Declared> = valid.filter(|other| other.spec.provider == declared.spec.provider).collect();
        let defaults: Vec<&AttachmentRef> = same.iter().filter_map(|other| default_of(other)).collect();
        let is_new_default = default_of(declared).is_some_and(|own| defaults.len() < 2 && !defaults.contains(&own));
        if same.is_empty() || is_new_default {
            self.0.push(network);
        }
    }
}

fn default_of(declared: &Declared) -> Option<&AttachmentRef> {
    declared.default_network.as_ref().map(|selection| &selection.attachment)
}

fn rival_for<'s>(pods: &Selector, network: &StorageNetwork, other: &'s StorageNetwork) -> Option<Rival<'s>> {
    let Some(Target::Pods(others)) = &other.target else { return None };
    if other.id == network.id || !surely_overlap(pods, others) {
        return None;
    }
    let Ok(theirs) = &other.declared else { return Some(Rival::Invalid(other)) };
    let ours = network.declared.as_ref().ok().filter(|_| other.age() < network.age())?;
    if theirs.spec.provider != ours.spec.provider {
        return Some(Rival::OtherProvider(other, theirs.spec.provider));
    }
    let default = theirs.default_network.as_ref()?;
    let own = ours.default_network.as_ref()?;
    (own.attachment != default.attachment).then_some(Rival::OtherDefault(other, default))
}

/// Whether some pod can have labels that both select, as far as that can be seen without knowing which labels there are.
fn surely_overlap(one: &Selector, other: &Selector) -> bool {
    one == other || one.is_everything() || other.is_everything()
}
