//! Which pods get which networks of a declaration, worked out once for all the rules that ask.
//!
//! A definition may have hundreds of users, and each of them is asked the same several times: [`Layouts`] remembers, and knows that
//! what clusters of one system declare themselves, which is nothing of roles, is for the same pods where the provider is the same.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ptr;
use std::rc::Rc;

use super::declaration::{Declaration, DeclaredNetwork, Place};
use super::pods::{Networks, Nodes, Pods};
use crate::network::provider::Names;
use crate::network::{AttachmentRef, NetworkKey, Provider};
use crate::storage::System;
use crate::world::Settings;

/// Which pods get which networks of one declaration. Where the declaration is invalid, none gets any.
///
/// What a layout keeps does not grow with the product of roles and nodes, which may be large.
pub(super) struct Layout<'s> {
    /// The pods that get networks.
    pub(super) pods: Rc<[Pods<'s>]>,
    /// The networks that some pod is attached to, by their places: its role has the key, and its provider looks definitions up.
    /// Under a host network that is enforced there are none, but for roles with a provider of their own.
    pub(super) used: Vec<DeclaredNetwork<'s>>,
    declared: Option<(Networks<'s>, Option<&'s System>)>,
    /// Which of the pods get the network of each key.
    by_key: OnceCell<BTreeMap<&'s NetworkKey, Vec<usize>>>,
    /// The definitions that some pod has together with each.
    together: OnceCell<HashMap<&'s AttachmentRef, HashSet<&'s AttachmentRef>>>,
}

/// The layouts of the declarations that were asked about.
pub(super) struct Layouts<'s> {
    settings: &'s Settings,
    /// By who declares. Neither the cluster nor definitions matter here, so a layout is the same in every scene.
    known: RefCell<HashMap<*const (), Rc<Layout<'s>>>>,
    of_systems: RefCell<Vec<OfSystem<'s>>>,
}

/// The pods of all clusters of a system that have a provider, and say nothing of roles.
struct OfSystem<'s> {
    system: &'s System,
    provider: Provider,
    pods: Rc<[Pods<'s>]>,
}

impl<'s> Layouts<'s> {
    /// None so far.
    pub(super) fn new(settings: &'s Settings) -> Rc<Self> {
        Rc::new(Self { settings, known: RefCell::default(), of_systems: RefCell::default() })
    }

    /// That of a declaration.
    pub(super) fn of(&self, declaration: Declaration<'s>) -> Rc<Layout<'s>> {
        let identity = declaration.identity();
        if let Some(layout) = self.known.borrow().get(&identity) {
            return Rc::clone(layout);
        }
        let layout = match declaration.networks() {
            Ok(networks) => Layout::new(declaration, networks, self.pods(networks, declaration.system), self.settings),
            Err(_) => Layout::of_nothing(),
        };
        let layout = Rc::new(layout);
        self.known.borrow_mut().insert(identity, Rc::clone(&layout));
        layout
    }

    fn pods(&self, networks: Networks<'s>, system: Option<&'s System>) -> Rc<[Pods<'s>]> {
        let (None, Some(system)) = (networks.declared, system) else {
            return networks.pods(system, self.settings).into();
        };
        let provider = networks.spec.provider;
        let mut of_systems = self.of_systems.borrow_mut();
        if let Some(known) = of_systems.iter().find(|of| ptr::eq(of.system, system) && of.provider == provider) {
            return Rc::clone(&known.pods);
        }
        let pods: Rc<[Pods<'s>]> = networks.pods(Some(system), self.settings).into();
        of_systems.push(OfSystem { system, provider, pods: Rc::clone(&pods) });
        pods
    }
}

impl<'s> Layout<'s> {
    fn of_nothing() -> Self {
        Self { pods: Rc::new([]), used: Vec::new(), declared: None, by_key: OnceCell::new(), together: OnceCell::new() }
    }

    fn new(declaration: Declaration<'s>, networks: Networks<'s>, pods: Rc<[Pods<'s>]>, settings: &Settings) -> Self {
        let (system, all_nodes) = (declaration.system, networks.nodes());
        let is_enforced = system.is_some() && settings.enforce_host_network;
        let has_default = !is_enforced && matches!(declaration.provider(), Provider::Attach(_));
        let default = declaration.attached().filter(|network| has_default && network.place == Place::Default);
        let mut used: Vec<DeclaredNetwork<'s>> = default.collect();
        for pods in attached(&pods) {
            used.extend(all_nodes.iter().flat_map(|nodes| of_pods(pods, networks, system, nodes)));
            used.sort_unstable_by_key(|network| network.place);
            used.dedup_by_key(|network| network.place);
        }
        Self { pods, used, declared: Some((networks, system)), ..Self::of_nothing() }
    }

    /// The networks that pods have together: those of one role, on nodes that nothing is said about or that one entry fits. Each
    /// set once, however many pods have it. Only networks that name an attachment definition.
    pub(super) fn sets(&self) -> Vec<Vec<DeclaredNetwork<'s>>> {
        let Some((networks, system)) = self.declared else { return Vec::new() };
        let all_nodes = networks.nodes();
        let mut sets: Vec<Vec<DeclaredNetwork<'s>>> = Vec::new();
        let mut seen: BTreeSet<Vec<Place<'s>>> = BTreeSet::new();
        for pods in attached(&self.pods) {
            for nodes in &all_nodes {
                let mut set: Vec<DeclaredNetwork<'s>> = Vec::with_capacity(pods.keys.len());
                for network in of_pods(pods, networks, system, nodes) {
                    // Two keys may fall back to one.
                    if !set.iter().any(|earlier| earlier.place == network.place) {
                        set.push(network);
                    }
                }
                if seen.insert(set.iter().map(|network| network.place).collect()) {
                    sets.push(set);
                }
            }
        }
        sets
    }

    /// The roles of the pods that get the network of a key, in the order of the system.
    pub(super) fn roles_of(&self, key: &NetworkKey) -> impl Iterator<Item = &'s str> {
        self.pods_with(key).flat_map(|pods| pods.roles.iter().copied())
    }

    /// Whether some pod gets the network of a key; it may have no role.
    pub(super) fn has_pods_with(&self, key: &NetworkKey) -> bool {
        self.pods_with(key).next().is_some()
    }

    fn pods_with(&self, key: &NetworkKey) -> impl Iterator<Item = &Pods<'s>> {
        let by_key = self.by_key.get_or_init(|| self.pods_by_key());
        by_key.get(key).into_iter().flatten().filter_map(|index| self.pods.get(*index))
    }

    fn pods_by_key(&self) -> BTreeMap<&'s NetworkKey, Vec<usize>> {
        let mut by_key: BTreeMap<&'s NetworkKey, Vec<usize>> = BTreeMap::new();
        let Some((networks, system)) = self.declared else { return by_key };
        let all_nodes = networks.nodes();
        for (index, pods) in self.pods.iter().enumerate() {
            let behind = all_nodes.iter().flat_map(|nodes| of_pods(pods, networks, system, nodes));
            for key in behind.filter_map(|network| network.key()) {
                let pods = by_key.entry(key).or_default();
                if pods.last() != Some(&index) {
                    pods.push(index);
                }
            }
        }
        by_key
    }

    /// The definitions that some pod has together with this one, which is among them where it is for a key.
    pub(super) fn together_with(&self, name: &AttachmentRef) -> impl Iterator<Item = &'s AttachmentRef> {
        let together = self.together.get_or_init(|| {
            let mut together: HashMap<&AttachmentRef, HashSet<&AttachmentRef>> = HashMap::new();
            for set in self.sets() {
                let names = || set.iter().map(|network| &network.selection.attachment);
                for name in names() {
                    together.entry(name).or_default().extend(names());
                }
            }
            together
        });
        together.get(name).into_iter().flatten().copied()
    }
}

/// Those that are attached by definitions.
fn attached<'c, 's>(pods: &'c [Pods<'s>]) -> impl Iterator<Item = &'c Pods<'s>> {
    pods.iter().filter(|pods| pods.plugin.names() == Names::AttachmentDefinitions)
}

/// What pods get on some nodes, for each of their keys.
fn of_pods<'c, 's>(
    pods: &'c Pods<'s>,
    networks: Networks<'s>,
    system: Option<&'s System>,
    nodes: &'c Nodes<'s>,
) -> impl Iterator<Item = DeclaredNetwork<'s>> {
    pods.keys.iter().filter_map(move |key| networks.behind(key, system, nodes))
}
