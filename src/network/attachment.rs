//! Attachment definitions (`NetworkAttachmentDefinition`, NAD for short): that one exists, that Multus could load it, and what
//! network it makes of which addresses.
//!
//! The configuration is judged as Multus judges it, no more strictly: calling a definition unusable that works would keep
//! pods off their network. What only fails later, in a plugin on the node, is data ([`PluginFault`], [`IpamFault`]) and must
//! never become an error here.
//!
//! There may be a thousand definitions in memory, so nothing of the JSON is kept.

use serde_json::{Map, Value};
use thiserror::Error;

use super::fields::{self, Mistyped, Object, field};
use super::ipam::{Capacity, Context, Effect, Ipam, IpamFault, NetworksUnknown, Source};
use super::name::AttachmentRef;
use super::plugin::{Plugin, PluginFault};
use super::resource::ResourceFault;

/// The API group of attachment definitions.
pub const GROUP: &str = "k8s.cni.cncf.io";
/// The only version that has ever been served.
pub const VERSION: &str = "v1";
/// The kind.
pub const KIND: &str = "NetworkAttachmentDefinition";
/// The resource name.
pub const PLURAL: &str = "network-attachment-definitions";

/// The annotation of a definition whose attachments each need a device of a resource that the kubelet hands out (Network
/// Plumbing Working Group specification 1.3; multus-cni `getKubernetesDelegate`).
pub const RESOURCE_ANNOTATION: &str = "k8s.v1.cni.cncf.io/resourceName";

/// One attachment definition that Multus can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentDefinition {
    /// The plugins that are called.
    pub chain: Chain,
    /// The name of the network, where the configuration gives one: else it is that of the definition. Definitions that share
    /// it share host-local's account, and are one network to OVN-Kubernetes.
    pub network: Option<Box<str>>,
    /// Where addresses come from: of the first plugin that names another for them, else of the first of all.
    pub ipam: Ipam,
    /// The resource of which every attachment needs a device; see [`RESOURCE_ANNOTATION`]. Pods that request it are valid, for
    /// nothing else is taken for one.
    pub resource: Option<Box<str>>,
    /// What stands there instead, if it is no such resource.
    pub resource_fault: Option<Box<ResourceFault>>,
    /// What is wrong with the plugins as a whole.
    pub faults: Box<[PluginFault]>,
}

/// The plugins of a definition, in the order in which they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// They are configured in a file on the node, which nobody but the node can see.
    OnNode,
    /// One plugin.
    Single(Box<Plugin>),
    /// A list, whose first makes the interface.
    List(Box<[Plugin]>),
}

/// Why Multus could not load an attachment definition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttachmentError {
    /// `spec.config` is there and no text.
    #[error("spec.config must be a text that holds the plugin's JSON configuration")]
    NotAText,
    /// The text is no JSON object.
    #[error("spec.config is not a JSON object: {0}")]
    NotJson(String),
    /// A field has a type that Multus cannot read.
    #[error("{field} in spec.config must be {expected}")]
    FieldType {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Neither a plugin nor a list of plugins.
    #[error("spec.config names no plugin: it needs a \"type\", or \"plugins\" whose first entry has a \"type\"")]
    NoPlugin,
}

impl AttachmentDefinition {
    /// Reads the whole custom resource.
    ///
    /// # Errors
    /// Where Multus would fail to load the configuration (multus-cni `LoadDelegateNetConf`).
    pub fn read(object: &Value) -> Result<Self, AttachmentError> {
        let mut definition = match object.pointer("/spec/config") {
            None | Some(Value::Null) => Self::on_node(),
            // An empty configuration sends Multus to a file on the node.
            Some(Value::String(config)) if config.is_empty() => Self::on_node(),
            Some(Value::String(config)) => Self::read_config(config, definition_of(object).as_ref())?,
            Some(_) => return Err(AttachmentError::NotAText),
        };
        let resource =
            object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(RESOURCE_ANNOTATION));
        if let Some(name) = resource.and_then(Value::as_str).filter(|name| !name.is_empty()) {
            match ResourceFault::of(name) {
                Some(fault) => definition.resource_fault = Some(Box::new(fault)),
                None => definition.resource = Some(name.into()),
            }
        }
        Ok(definition)
    }

    /// The plugins, none where they are configured on the node.
    #[must_use]
    pub fn plugins(&self) -> &[Plugin] {
        match &self.chain {
            Chain::OnNode => &[],
            Chain::Single(plugin) => std::slice::from_ref(plugin),
            Chain::List(plugins) => plugins,
        }
    }

    /// The plugin that makes the interface, unless it is configured on the node.
    #[must_use]
    pub fn plugin(&self) -> Option<&Plugin> {
        self.plugins().first()
    }

    /// The ranges that the addresses of the network's pods lie in; see [`Ipam::networks`].
    ///
    /// # Errors
    /// Why that cannot be known.
    pub fn networks(&self) -> Result<Vec<ipnet::IpNet>, NetworksUnknown<'_>> {
        match self.chain {
            Chain::OnNode => Err(NetworksUnknown::ReadFromNode),
            Chain::Single(_) | Chain::List(_) => self.ipam.networks(),
        }
    }

    /// How many pods can be attached at the same time; see [`Ipam::capacity`].
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        match self.chain {
            Chain::OnNode => Capacity::Unknown,
            Chain::Single(_) | Chain::List(_) => self.ipam.capacity(),
        }
    }

    /// What is wrong with the plugins, all of them.
    pub fn plugin_faults(&self) -> impl Iterator<Item = &PluginFault> {
        self.faults.iter().chain(self.plugins().iter().flat_map(|plugin| &plugin.faults))
    }

    /// What is wrong with where addresses come from.
    #[must_use]
    pub fn ipam_faults(&self) -> &[IpamFault] {
        &self.ipam.faults
    }

    /// Whether nothing is wrong by which every attachment fails.
    #[must_use]
    pub fn works(&self) -> bool {
        self.worst_effect() != Some(Effect::Fails)
    }

    /// The worst that comes of anything that is wrong; nothing where nothing is.
    #[must_use]
    pub fn worst_effect(&self) -> Option<Effect> {
        self.plugin_faults().map(PluginFault::effect).chain(self.ipam_faults().iter().map(|fault| fault.effect)).min()
    }

    fn on_node() -> Self {
        let ipam = Ipam::from(Source::Nobody);
        Self { chain: Chain::OnNode, network: None, ipam, resource: None, resource_fault: None, faults: Box::default() }
    }

    fn read_config(config: &str, definition: Option<&AttachmentRef>) -> Result<Self, AttachmentError> {
        let config: Object = serde_json::from_str(config)
            .map_err(|error| AttachmentError::NotJson(super::shorten(&error.to_string()).into_owned()))?;
        check_types(&config)?;
        let version = fields::text(&config, "cniVersion")?;
        let network = fields::filled(&config, "name")?;
        let mut faults = PluginFault::of_network(version, network);
        let (chain, objects) = if fields::filled(&config, "type")?.is_some() {
            if field(&config, "plugins").is_some() {
                faults.push(PluginFault::BothForms);
            }
            (Chain::Single(Box::new(Plugin::read(&config))), vec![&config])
        } else {
            let objects = objects(&config, &mut faults)?;
            if field(&config, "ipam").is_some() {
                faults.push(PluginFault::IpamBeside);
            }
            (Chain::List(objects.iter().copied().map(Plugin::read).collect()), objects)
        };
        let source = |plugin: &&Object| {
            let kind = fields::filled(plugin, "type").ok().flatten().unwrap_or_default();
            Ipam::read(Context { plugin, kind, version, definition, chained: objects.len() })
        };
        let asks = objects.iter().find(|plugin| asks_for_addresses(plugin)).or(objects.first());
        let ipam = asks.map_or_else(|| Ipam::from(Source::Nobody), source);
        let network = network.map(Into::into);
        Ok(Self { chain, network, ipam, resource: None, resource_fault: None, faults: faults.into() })
    }
}

/// The entries of a list of plugins. Those without a type are left out, and the first of them is a fault.
fn objects<'c>(config: &'c Object, faults: &mut Vec<PluginFault>) -> Result<Vec<&'c Object>, AttachmentError> {
    let entries = field(config, "plugins").and_then(Value::as_array).ok_or(AttachmentError::NoPlugin)?;
    let mut objects = Vec::with_capacity(entries.len());
    let mut no_type = None;
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Value::Object(plugin) => {
                check_types(plugin)?;
                let has_type = fields::filled(plugin, "type")?.is_some();
                match index {
                    _ if has_type => objects.push(plugin),
                    0 => return Err(AttachmentError::NoPlugin),
                    _ => no_type = no_type.or(Some(PluginFault::NoType(index + 1))),
                }
            }
            Value::Null if index == 0 => return Err(AttachmentError::NoPlugin),
            Value::Null => no_type = no_type.or(Some(PluginFault::Empty(index + 1))),
            _ => return Err(AttachmentError::FieldType { field: "plugins", expected: "a list of objects" }),
        }
    }
    faults.extend(no_type);
    if objects.is_empty() { Err(AttachmentError::NoPlugin) } else { Ok(objects) }
}

/// Whether a plugin names another that it asks for addresses.
fn asks_for_addresses(plugin: &Object) -> bool {
    let ipam = field(plugin, "ipam").and_then(Value::as_object);
    ipam.is_some_and(|ipam| fields::filled(ipam, "type").ok().flatten().is_some())
}

/// Which definition an object is, where it says so.
fn definition_of(object: &Value) -> Option<AttachmentRef> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    Some(AttachmentRef::new(text("/metadata/namespace")?, text("/metadata/name")?))
}

/// The types of the fields that Multus decodes, whichever plugin they are for (libcni's `NetConf`).
fn check_types(config: &Map<String, Value>) -> Result<(), AttachmentError> {
    let wrong = |field, expected| Err(AttachmentError::FieldType { field, expected });
    for name in ["name", "cniVersion", "type"] {
        fields::text(config, name)?;
    }
    match field(config, "ipam") {
        Some(Value::Object(ipam)) if fields::text(ipam, "type").is_err() => return wrong("ipam.type", "a text"),
        None | Some(Value::Object(_)) => {}
        Some(_) => return wrong("ipam", "an object"),
    }
    match field(config, "capabilities") {
        None => Ok(()),
        Some(Value::Object(capabilities))
            if capabilities.values().all(|value| value.is_boolean() || value.is_null()) =>
        {
            Ok(())
        }
        Some(_) => wrong("capabilities", "an object of true and false"),
    }
}

impl From<Mistyped> for AttachmentError {
    fn from(Mistyped { field, expected }: Mistyped) -> Self {
        Self::FieldType { field, expected }
    }
}

#[cfg(test)]
mod tests;
