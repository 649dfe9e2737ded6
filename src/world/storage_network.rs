//! StorageNetworks: networks that are declared beside a cluster, or for pods of no operator at all.
//!
//! What users write (the room `api`) becomes what decisions read here, once, when it arrives, and everything that is wrong is
//! said at once. A StorageNetwork with a problem is never half used, and never passed over either: the pods it is about are
//! left alone until it is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::cluster::{AllowedNamespaces, Cluster, ClusterRef};
use super::kind::ObjectName;
use super::settings::Mode;
use crate::api;
use crate::network::provider::{Genie, Knitter, multus};
use crate::network::spec::{read_selection, read_selections};
use crate::network::{NetworkKey, NetworkSelection, NetworkSpec, Provider, SpecProblem};
use crate::storage::{Catalogue, Labels, Operator, Requirement, RoleName, Selector, System, Treatment};

/// One StorageNetwork.
#[derive(Debug)]
pub struct StorageNetwork {
    /// Namespace and name.
    pub id: ObjectName,
    /// When it was created, as Kubernetes writes it; empty where it comes from a file. Of two, the older one counts.
    pub created: Box<str>,
    /// The generation of its spec, which its status refers to.
    pub generation: i64,
    /// Which pods it is about; none where that cannot be told.
    pub target: Option<Target>,
    /// The mode that it chooses.
    pub mode: Option<Mode>,
    /// Whose pods may ask for the network of the cluster's clients. It is read also where something else is wrong: a slip there
    /// must not tell those who are allowed that they are not.
    pub allowed: AllowedNamespaces,
    /// What it declares, or everything that is wrong with it.
    pub declared: Result<Declared, Vec<SpecProblem>>,
}

/// Which pods a StorageNetwork is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Those of a cluster in its namespace.
    Cluster(ClusterRef),
    /// Those in its namespace that this selects, whoever made them.
    Pods(Selector),
}

/// What a StorageNetwork declares, and found to be valid.
#[derive(Debug)]
pub struct Declared {
    /// Provider and networks.
    pub spec: NetworkSpec,
    /// What it says about single roles.
    pub roles: Vec<RoleRule>,
    /// Where nodes have networks of their own; the first entry that fits a node counts.
    pub node_interfaces: Vec<NodeInterfaces>,
    /// What replaces the pod's default network.
    pub default_network: Option<NetworkSelection>,
}

/// What a StorageNetwork says about one role.
#[derive(Debug)]
pub struct RoleRule {
    /// The role: one of the system's, or one that the user invents.
    pub name: RoleName,
    /// The pods that have it, besides those that the system's own table recognises.
    pub selector: Option<Selector>,
    /// The keys whose networks it gets, in this order; none where it gets what it would without this rule.
    pub networks: Option<Vec<NetworkKey>>,
    /// How its networks are attached, where that is not as for the others.
    pub provider: Option<Provider>,
}

/// Networks of some nodes.
#[derive(Debug)]
pub struct NodeInterfaces {
    /// Which nodes.
    pub selector: Selector,
    /// What stands there in the place of the networks for all.
    pub selections: BTreeMap<NetworkKey, NetworkSelection>,
}

impl StorageNetwork {
    /// Whether it is about `cluster`.
    #[must_use]
    pub fn is_about(&self, cluster: &Cluster) -> bool {
        match &self.target {
            Some(Target::Cluster(meant)) => self.id.namespace == cluster.id.namespace && meant.key() == cluster.key(),
            Some(Target::Pods(_)) | None => false,
        }
    }

    /// Older ones first; those of which that is not known after them, by name: one that is being created has no time yet.
    #[must_use]
    pub fn age(&self) -> (bool, &str, &str) {
        (self.created.is_empty(), &self.created, &self.id.name)
    }
}

impl StorageNetwork {
    pub(super) fn read(id: &ObjectName, object: &Value, catalogue: &Catalogue) -> Self {
        let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let created = text("/metadata/creationTimestamp").into();
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        let id = id.clone();
        let allowed = allowed(object);
        match api::StorageNetwork::read(object) {
            Ok(written) => {
                let mut reader = Reader { namespace: &id.namespace, catalogue, problems: Vec::new() };
                let (target, declared) = reader.spec(&written.spec);
                let declared = if reader.problems.is_empty() { Ok(declared) } else { Err(reader.problems) };
                Self { created, generation, target, mode: written.spec.mode.map(mode), allowed, declared, id }
            }
            Err(error) => {
                let problem = SpecProblem::new(&error.field, error.fault, api::READ_MEND);
                let target = target_at_least(object);
                Self { created, generation, target, mode: None, allowed, declared: Err(vec![problem]), id }
            }
        }
    }
}

/// The namespaces that are allowed, whatever else is written. What is no name there allows none.
fn allowed(object: &Value) -> AllowedNamespaces {
    let written = object.pointer("/spec/allowedNamespaces").and_then(Value::as_array);
    AllowedNamespaces::of(written.into_iter().flatten().filter_map(Value::as_str))
}

/// What a spec that cannot be read is about: the pods that are meant are left alone, and neither attached to what their cluster
/// declares itself nor passed over.
fn target_at_least(object: &Value) -> Option<Target> {
    cluster_at_least(object).map(Target::Cluster).or_else(|| {
        let written = object.pointer("/spec/podSelector").filter(|selector| !selector.is_null())?;
        let selector = api::LabelSelector::read(written).ok().and_then(|selector| read_selector(&selector).ok());
        Some(pods_of(selector))
    })
}

fn cluster_at_least(object: &Value) -> Option<ClusterRef> {
    let cluster = object.pointer("/spec/clusterRef")?;
    let text = |field| cluster.get(field).and_then(Value::as_str).map(str::to_owned);
    Some(ClusterRef { group: text("group")?, kind: text("kind")?, name: text("name")? })
}

/// The pods of a selector. One that cannot be read means every pod of the namespace: those that it was to select are among them,
/// and must not run without their network unnoticed. None of them gets anything, as the StorageNetwork is invalid.
fn pods_of(selector: Option<Selector>) -> Target {
    Target::Pods(selector.unwrap_or_default())
}

fn read_selector(written: &api::LabelSelector) -> Result<Selector, String> {
    let expressions = written.match_expressions.iter().map(|expression| Requirement {
        key: expression.key.clone(),
        operator: match expression.operator {
            api::LabelOperator::In => Operator::In,
            api::LabelOperator::NotIn => Operator::NotIn,
            api::LabelOperator::Exists => Operator::Exists,
            api::LabelOperator::DoesNotExist => Operator::DoesNotExist,
        },
        values: expression.values.clone(),
    });
    Selector::new(written.match_labels.clone(), expressions)
}

/// Reads one spec, and collects what is wrong with it.
struct Reader<'r> {
    namespace: &'r str,
    catalogue: &'r Catalogue,
    problems: Vec<SpecProblem>,
}

impl<'r> Reader<'r> {
    fn spec(&mut self, spec: &api::StorageNetworkSpec) -> (Option<Target>, Declared) {
        let (target, system) = self.target(spec);
        let selections = self.selections("spec.interfaces", &spec.interfaces);
        let node_interfaces: Vec<NodeInterfaces> = (spec.node_interfaces.iter().enumerate())
            .filter_map(|(index, written)| {
                let field = format!("spec.nodeInterfaces[{index}]");
                let selections = self.selections(&format!("{field}.interfaces"), &written.interfaces);
                let selector = self.selector(&format!("{field}.nodeSelector"), &written.node_selector)?;
                Some(NodeInterfaces { selector, selections })
            })
            .collect();
        let roles: Vec<RoleRule> =
            spec.roles.iter().enumerate().map(|(index, role)| self.role(index, role, spec, system)).collect();
        self.keys_without_use(spec, system, &roles);
        let default_network = self.default_network(spec);
        let provider = provider(spec.provider);
        if matches!(provider, Provider::Attach(_))
            && spec.interfaces.is_empty()
            && spec.node_interfaces.is_empty()
            && spec.default_network.is_none()
        {
            let fault = format!("provider {} needs a network to attach", provider.name());
            self.problem("spec.interfaces", fault, "name an attachment definition for a key, or set provider to none");
        }
        let spec = NetworkSpec { provider, selections, ..NetworkSpec::default() };
        (target, Declared { spec, roles, node_interfaces, default_network })
    }

    /// Which pods are meant, and by which system's rules, where it is a cluster of one.
    fn target(&mut self, spec: &api::StorageNetworkSpec) -> (Option<Target>, Option<&'r System>) {
        match (&spec.cluster_ref, &spec.pod_selector) {
            (Some(cluster), selector) => {
                if selector.is_some() {
                    let fault =
                        "clusterRef and podSelector are both there, and each says which pods are meant".to_owned();
                    self.problem("spec", fault, "keep one of the two");
                } else if spec.system.is_some() {
                    let fault = "it goes with podSelector; the kind of the cluster says which system it is".to_owned();
                    self.problem("spec.system", fault, "remove it");
                }
                let api::ClusterRef { group, kind, name } = cluster.clone();
                let system = self.catalogue.system_of(&group, &kind);
                if system.is_none() {
                    let fault = format!("no storage system has clusters of the kind {kind} of {group}");
                    let mend = "mend group and kind, describe the system in a file for --catalogue, or select the pods by podSelector instead";
                    self.problem("spec.clusterRef", fault, mend);
                }
                // Also where pods are selected besides: those of the cluster must not get what the cluster declares itself.
                (Some(Target::Cluster(ClusterRef { group, kind, name })), system)
            }
            (None, Some(selector)) => {
                if !spec.allowed_namespaces.is_empty() {
                    let fault = "it goes with clusterRef; only clusters have clients in other namespaces".to_owned();
                    self.problem("spec.allowedNamespaces", fault, "remove it");
                }
                (Some(pods_of(self.selector("spec.podSelector", selector))), None)
            }
            (None, None) => {
                let fault = "nothing says which pods are meant".to_owned();
                self.problem("spec", fault, "add clusterRef, or podSelector ({} for every pod of the namespace)");
                (None, None)
            }
        }
    }

    fn selections(
        &mut self,
        field: &str,
        written: &BTreeMap<String, String>,
    ) -> BTreeMap<NetworkKey, NetworkSelection> {
        for (key, _) in written.iter().filter(|(_, text)| text.is_empty()) {
            let fault = "it selects nothing".to_owned();
            self.problem(&format!("{field}.{key}"), fault, "name an attachment definition, or remove the key");
        }
        let texts: Vec<(NetworkKey, &str)> =
            written.iter().map(|(key, text)| (key.as_str().into(), text.as_str())).collect();
        let texts = texts.iter().map(|(key, text)| (key, *text));
        read_selections(field, texts, self.namespace, &mut self.problems)
    }

    fn default_network(&mut self, spec: &api::StorageNetworkSpec) -> Option<NetworkSelection> {
        let text = spec.default_network.as_deref()?;
        let provider = provider(spec.provider);
        let is_obeyed = match provider {
            Provider::Attach(plugin) => plugin.default_network_annotation().is_some(),
            Provider::None | Provider::Host => false,
        };
        if !is_obeyed {
            let fault = format!("provider {} cannot replace the default network", provider.name());
            self.problem("spec.defaultNetwork", fault, "use provider multus, or remove it");
        }
        let selection = match read_selection("spec.defaultNetwork", text, self.namespace) {
            Ok(selection) => selection?,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        if let Some(why) = multus::unsupported_as_default(&selection) {
            self.problem("spec.defaultNetwork", why, "say no more than which network it is");
        }
        Some(selection)
    }

    fn role(
        &mut self,
        index: usize,
        role: &api::RoleNetworks,
        spec: &api::StorageNetworkSpec,
        system: Option<&System>,
    ) -> RoleRule {
        let field = format!("spec.roles[{index}]");
        if spec.roles[..index].iter().any(|other| other.name == role.name) {
            self.problem(
                &format!("{field}.name"),
                format!("the role {} is given twice", role.name),
                "keep one of them",
            );
        }
        let known = system.and_then(|system| system.role(&role.name));
        if let Some(Treatment::NeverTouch { why, .. }) = known.map(|known| &known.treatment) {
            let fault = format!("pods of the role {} are never touched: {why}", role.name);
            self.problem(&field, fault, "remove the role");
        }
        if known.is_none() && role.pod_selector.is_none() && (system.is_some() || spec.cluster_ref.is_none()) {
            let fault = match system {
                Some(system) => format!("{} has no role {}", system.name, role.name),
                None => format!("nothing says which pods have the role {}", role.name),
            };
            self.problem(&field, fault, "mend the name, or give the role a podSelector");
        }
        let is_declared = |key: &String| {
            let on_nodes = || spec.node_interfaces.iter().any(|nodes| nodes.interfaces.contains_key(key));
            let is_key = |system: &System| system.keys.iter().any(|known| known.name.as_str() == key);
            spec.interfaces.contains_key(key) || on_nodes() || system.is_some_and(is_key)
        };
        let networks = role.interfaces.as_ref();
        for unknown in networks.into_iter().flatten().filter(|key| !is_declared(key)) {
            let fault = format!("nothing is declared for the key {unknown}");
            let mend = format!("add spec.interfaces.{unknown}, or mend the key");
            self.problem(&format!("{field}.interfaces"), fault, &mend);
        }
        if let Some(keys) = networks
            && let Some(twice) = keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key))
        {
            let fault = format!("the key {} is given twice", twice.1);
            self.problem(&format!("{field}.interfaces"), fault, "keep one of them");
        }
        let selector = role.pod_selector.as_ref();
        RoleRule {
            name: RoleName::new(&role.name),
            selector: selector.and_then(|selector| self.selector(&format!("{field}.podSelector"), selector)),
            networks: networks.map(|keys| keys.iter().map(|key| key.as_str().into()).collect()),
            provider: role.provider.map(provider),
        }
    }

    /// A key that no role asks for is a slip of the pen: the network would never be attached, and nothing would say so.
    fn keys_without_use(&mut self, spec: &api::StorageNetworkSpec, system: Option<&System>, roles: &[RoleRule]) {
        let Some(system) = system else { return };
        let on_nodes = spec.node_interfaces.iter().flat_map(|nodes| nodes.interfaces.keys());
        let mut unused: Vec<&String> = spec.interfaces.keys().chain(on_nodes).collect();
        unused.retain(|key| {
            let is_key = system.keys.iter().any(|known| known.name.as_str() == *key);
            let asked =
                roles.iter().flat_map(|role| role.networks.iter().flatten()).any(|asked| asked.as_str() == *key);
            !is_key && !asked
        });
        unused.sort();
        unused.dedup();
        for key in unused {
            let known: Vec<&str> = system.keys.iter().map(|key| key.name.as_str()).collect();
            let fault = format!("{} has no key {key}, and no role here asks for it", system.name);
            let mend = format!("write one of {}, or name the key in the interfaces of a role", known.join(", "));
            self.problem(&format!("spec.interfaces.{key}"), fault, &mend);
        }
    }

    fn selector(&mut self, field: &str, written: &api::LabelSelector) -> Option<Selector> {
        read_selector(written).map_err(|fault| self.problem(field, fault, "mend the selector")).ok()
    }

    fn problem(&mut self, field: &str, fault: String, mend: &str) {
        self.problems.push(SpecProblem::new(field, fault, mend));
    }
}

fn provider(written: api::Provider) -> Provider {
    match written {
        api::Provider::None => Provider::None,
        api::Provider::Host => Provider::Host,
        api::Provider::Multus => Provider::MULTUS,
        api::Provider::Knitter => Provider::Attach(&Knitter),
        api::Provider::Genie => Provider::Attach(&Genie),
    }
}

fn mode(written: api::Mode) -> Mode {
    match written {
        api::Mode::Enforce => Mode::Enforce,
        api::Mode::Audit => Mode::Audit,
        api::Mode::Off => Mode::Off,
    }
}

impl fmt::Display for StorageNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageNetwork {}", self.id)
    }
}

impl RoleRule {
    /// By what its pods are told, in words.
    #[must_use]
    pub fn told_by(&self) -> String {
        match &self.selector {
            None => String::new(),
            Some(selector) if selector.is_everything() => "a podSelector for every pod".to_owned(),
            Some(selector) => format!("the podSelector {selector}"),
        }
    }
}

impl Declared {
    /// What is said of a role.
    #[must_use]
    pub fn rule_of(&self, role: &RoleName) -> Option<&RoleRule> {
        self.roles.iter().find(|rule| rule.name == *role)
    }

    /// The keys of pods that no system's table speaks of: those of the role that they have here, or else every one.
    #[must_use]
    pub fn networks_of<'d>(&'d self, rule: Option<&'d RoleRule>) -> Vec<&'d NetworkKey> {
        match rule.and_then(|rule| rule.networks.as_ref()) {
            Some(keys) => keys.iter().collect(),
            None => self.keys().collect(),
        }
    }

    /// The first role whose own selector selects a pod with these labels.
    #[must_use]
    pub fn role_for(&self, labels: &impl Labels) -> Option<&RoleRule> {
        self.roles.iter().find(|rule| rule.selector.as_ref().is_some_and(|selector| selector.matches(labels)))
    }

    /// Every key for which a network is declared, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &NetworkKey> {
        let on_nodes = self.node_interfaces.iter().flat_map(|nodes| nodes.selections.keys());
        self.spec.selections.keys().chain(on_nodes).collect::<BTreeSet<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests;
