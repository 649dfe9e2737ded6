//! Every attachment definition with those who use it, and the address ranges that clusters could declare: lists for people, who
//! draw their own conclusions. Nothing here is judged.

use std::collections::BTreeMap;

use super::address_ranges::{self, Ranges};
use super::declaration::{Declaration, Place};
use super::scene::Scene;
use crate::network::ipam::{Effect, NetworksUnknown};
use crate::network::provider::Names;
use crate::network::{AttachmentRef, NetworkKey, NetworkSelection, Provider};
use crate::world::{AttachmentState, Declarer, Snapshot};

/// Which attachment definitions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that storage uses.
    Used,
    /// Those that nobody uses, too.
    All,
}

/// One attachment definition, which may not exist.
#[derive(Debug)]
pub struct Listed<'s> {
    /// Its name.
    pub name: AttachmentRef,
    /// What is known about it.
    pub state: AttachmentState<'s>,
    /// Who uses it, in the order of their kinds and names.
    pub users: Vec<User<'s>>,
}

/// Who uses an attachment definition, and for what.
#[derive(Debug)]
pub struct User<'s> {
    /// What is declared.
    pub declaration: Declaration<'s>,
    /// Where it is declared.
    pub place: Place<'s>,
    /// The roles of the pods that get it; none where it is for pods without any.
    pub roles: Vec<&'s str>,
}

/// The address ranges that a cluster could declare and does not.
#[derive(Debug)]
pub struct Offer<'s> {
    /// The cluster.
    pub declaration: Declaration<'s>,
    /// The ranges of each key whose addresses are known for certain; empty where none are.
    pub ranges: Ranges,
    /// The other keys that nothing is declared for.
    pub left_out: Vec<(&'s NetworkKey, LeftOut<'s>)>,
}

/// Why the address ranges of a key are not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut<'s> {
    /// There is no such attachment definition.
    Missing(&'s AttachmentRef),
    /// Nobody knows whether there is one.
    NotKnown(&'s AttachmentRef),
    /// Multus cannot load it, or no pod can be attached by it.
    Broken(&'s AttachmentRef),
    /// The ranges cannot be known from it.
    Unknown(&'s AttachmentRef, NetworksUnknown<'s>),
    /// Pods ask for addresses, which may lie anywhere.
    AskedFor,
}

/// The attachment definitions of a snapshot, by namespace and name.
#[must_use]
pub fn networks(snapshot: &Snapshot, which: Which) -> Vec<Listed<'_>> {
    let scene = Scene::of(snapshot);
    let mut users: BTreeMap<AttachmentRef, Vec<User<'_>>> = BTreeMap::new();
    for declaration in scene.declarations() {
        for network in declaration.attached() {
            let roles = network.key().map(|key| declaration.roles_of(key, snapshot.settings())).unwrap_or_default();
            let user = User { declaration, place: network.place, roles };
            users.entry(network.selection.attachment.clone()).or_default().push(user);
        }
    }
    if which == Which::All {
        for (namespace, name, _) in snapshot.attachments() {
            users.entry(AttachmentRef::new(namespace, name)).or_default();
        }
    }
    let listed = users.into_iter().map(|(name, mut users)| {
        // Of one cluster, what is declared for it first, in the order in which it is.
        users.sort_by_cached_key(|user| user.declaration.subject());
        Listed { state: snapshot.attachment(&name), name, users }
    });
    listed.collect()
}

/// Every cluster that could declare address ranges and does not, at least for one of its networks; by kind and name.
#[must_use]
pub fn offers(snapshot: &Snapshot) -> Vec<Offer<'_>> {
    let scene = Scene::of(snapshot);
    let mut offers: Vec<Offer<'_>> = scene.declarations().filter_map(|declaration| offer(scene, declaration)).collect();
    offers.sort_by_cached_key(|offer| offer.declaration.subject());
    offers
}

fn offer<'s>(scene: Scene<'s>, declaration: Declaration<'s>) -> Option<Offer<'s>> {
    let has_place = declaration.kind().is_some_and(|kind| kind.address_ranges.is_some());
    let (true, Declarer::Cluster(_), Ok(networks)) = (has_place, declaration.declarer, declaration.networks()) else {
        return None;
    };
    match networks.spec.provider {
        Provider::Attach(plugin) if plugin.names() == Names::AttachmentDefinitions => {}
        Provider::Attach(_) | Provider::Host | Provider::None => return None,
    }
    let ranges = address_ranges::offered(scene, declaration);
    let selections = networks.spec.selections.iter();
    let others =
        selections.filter(|(key, _)| !ranges.contains_key(*key) && !networks.spec.address_ranges.contains_key(*key));
    let left_out: Vec<_> = others.map(|(key, selection)| (key, why_not(scene, selection))).collect();
    (!ranges.is_empty() || !left_out.is_empty()).then_some(Offer { declaration, ranges, left_out })
}

fn why_not<'s>(scene: Scene<'s>, selection: &'s NetworkSelection) -> LeftOut<'s> {
    let name = &selection.attachment;
    match scene.attachment(name) {
        AttachmentState::Missing => LeftOut::Missing(name),
        AttachmentState::Unknown => LeftOut::NotKnown(name),
        AttachmentState::Malformed(_) => LeftOut::Broken(name),
        AttachmentState::Usable(definition) => match definition.networks() {
            Err(unknown) => LeftOut::Unknown(name, unknown),
            Ok(_) if definition.worst_effect() == Some(Effect::Fails) => LeftOut::Broken(name),
            Ok(_) => LeftOut::AskedFor,
        },
    }
}
