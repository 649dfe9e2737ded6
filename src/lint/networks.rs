//! Every attachment definition with those who use it, and the address ranges that clusters could declare: lists for people, who
//! draw their own conclusions. Nothing here is judged.

use std::collections::BTreeMap;

use super::address_ranges::{self, LeftOut, Ranges};
use super::declaration::{Declaration, Place};
use super::layout::Layouts;
use super::scene::Scene;
use crate::network::{AttachmentRef, NetworkKey};
use crate::world::{AttachmentState, Snapshot};

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

/// The attachment definitions of a snapshot, by namespace and name.
#[must_use]
pub fn networks(snapshot: &Snapshot, which: Which) -> Vec<Listed<'_>> {
    let (scene, layouts) = (Scene::of(snapshot), Layouts::new(snapshot.settings()));
    let mut users: BTreeMap<AttachmentRef, Vec<User<'_>>> = BTreeMap::new();
    for declaration in scene.declarations().filter(|declaration| scene.is_in_effect(*declaration)) {
        let layout = layouts.of(declaration);
        for network in &layout.used {
            let roles = network.key().map(|key| layout.roles_of(key).collect()).unwrap_or_default();
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
    let declared = &declaration.networks().ok()?.spec.address_ranges;
    let (mut ranges, mut left_out) = (Ranges::new(), Vec::new());
    for (key, known) in address_ranges::of_keys(scene, declaration).filter(|(key, _)| !declared.contains_key(*key)) {
        match known {
            Ok(known) => _ = ranges.insert(key.clone(), known),
            Err(why) => left_out.push((key, why)),
        }
    }
    (!ranges.is_empty() || !left_out.is_empty()).then_some(Offer { declaration, ranges, left_out })
}
