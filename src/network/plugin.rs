//! One plugin of an attachment definition: what kind of interface it makes, and on top of what.
//!
//! Only fields are kept that say something about the network: where it leads, and what pods may ask for. They are judged for
//! the plugins whose rules are known (containernetworking/plugins `plugins/main`, k8snetworkplumbingwg/sriov-cni). The fields
//! of others are read where they look alike, and never called wrong.

use serde_json::Value;
use thiserror::Error;

use super::fields::{self, Mistyped, Object};
use super::foreign::shorten;
use super::ipam::Effect;

/// One plugin, as a definition configures it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    /// Its type, such as `macvlan`.
    pub kind: Box<str>,
    /// The interface of the node that it works on top of, where one is named; see [`master`](Self::master).
    pub parent: Option<Box<str>>,
    /// How it connects pods with one another, such as `bridge` of macvlan or `l2` of ipvlan; where it is not given the plugin
    /// has a default.
    pub mode: Option<Box<str>>,
    /// The bridge that it makes pods part of (bridge, ovs).
    pub bridge: Option<Box<str>>,
    /// The device that it uses, where Multus does not choose one for the pod: `deviceID` of sriov, and what host-device knows one
    /// by, its name, its hardware address, or its place in the kernel or on the bus (`device` and those after it).
    pub device: Option<Box<str>>,
    /// What pods may ask for in their selection, such as `ips` and `mac`: the names that are true, in alphabetical order
    /// (containernetworking/cni `injectRuntimeConfig`).
    pub capabilities: Box<[Box<str>]>,
    /// The size of the largest packet; where there is none, that of what it works on.
    pub mtu: Option<u32>,
    /// The VLAN that it puts packets into (`vlan` of bridge and sriov, `vlanId` of vlan, `vlanID` of OVN-Kubernetes); none of
    /// macvlan and ipvlan, which know no such field.
    pub vlan: Option<u16>,
    /// What is wrong.
    pub faults: Box<[PluginFault]>,
}

/// What an interface is made on top of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Master<'p> {
    /// The interface of this name, on every node.
    Given(&'p str),
    /// The interface of the node's default route, whatever its name (macvlan and ipvlan, where `master` is left out).
    NodeDefault,
    /// None that the definition could name.
    NotUsed,
}

/// One fault of a plugin's configuration, as a sentence without its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PluginFault {
    /// A field has a type that the plugin cannot read.
    #[error("{field} of {plugin} must be {expected}")]
    FieldType {
        /// The plugin's type.
        plugin: Box<str>,
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// An entry of a list names no plugin. Multus loads that, and the library that calls the plugins does not.
    #[error("entry {0} of plugins has no type")]
    NoType(usize),
    /// An entry of a list is no object.
    #[error("entry {0} of plugins is empty")]
    Empty(usize),
    /// The plugin has no such mode.
    #[error("{plugin} has no mode \"{mode}\"")]
    Mode {
        /// The plugin's type.
        plugin: Box<str>,
        /// What stands there.
        mode: Box<str>,
    },
    /// A number lies outside of what is possible.
    #[error("{field} is {number}, and must be from {least} to {most}")]
    Number {
        /// The field.
        field: &'static str,
        /// What stands there.
        number: i64,
        /// The least that is possible.
        least: i64,
        /// The most that is possible.
        most: i64,
    },
    /// A plugin cannot work without a field.
    #[error("{plugin} needs {field}")]
    Missing {
        /// The plugin's type.
        plugin: Box<str>,
        /// The field.
        field: &'static str,
    },
    /// The priority of packets is given, and no VLAN that they could have it in (sriov-cni `LoadConf`).
    #[error("vlanQoS is {0}, and there is no vlan that packets could have it in")]
    QosWithoutVlan(i64),
    /// A VLAN is given to a plugin that knows none: packets go out without a tag.
    #[error("{plugin} has no field {field}, so packets are not tagged")]
    NotTagged {
        /// The plugin's type.
        plugin: Box<str>,
        /// The field.
        field: &'static str,
    },
    /// Both forms of a configuration in one.
    #[error("both type and plugins are given; Multus calls the one plugin, and other programs the list")]
    BothForms,
    /// What hands out addresses is named beside the list of plugins. libcni hands each plugin its own entry, and of what is beside
    /// them the name and the version alone (containernetworking/cni `buildOneConfig`).
    #[error("ipam stands beside plugins, where nobody reads it")]
    IpamBeside,
    /// A version that no plugin knows.
    #[error("cniVersion \"{0}\" is no version of the CNI specification")]
    Version(Box<str>),
    /// A name that the library which calls the plugins refuses.
    #[error(
        "the network's name \"{0}\" must begin with a letter or digit, and have none but letters, digits, _, . and -"
    )]
    NetworkName(Box<str>),
}

/// The largest identifier of a VLAN that may be used.
const LAST_VLAN: i64 = 4094;
/// The modes of macvlan and ipvlan; an empty one is the first.
const MACVLAN_MODES: [&str; 4] = ["bridge", "private", "vepa", "passthru"];
const IPVLAN_MODES: [&str; 3] = ["l2", "l3", "l3s"];
/// The plugins whose fields are judged, and the fields that each of them reads.
const JUDGED: [(&str, &[&str]); 5] = [
    ("macvlan", &["master", "mode", "mtu"]),
    ("ipvlan", &["master", "mode", "mtu"]),
    ("vlan", &["master", "mtu", "vlanId"]),
    ("bridge", &["bridge", "mtu", "vlan"]),
    ("sriov", &["deviceID", "vlan", "vlanQoS"]),
];
/// The largest priority that a packet of a VLAN may have.
const LAST_QOS: i64 = 7;
/// By what host-device knows a device; the first that is given counts (`getLink`).
const HOST_DEVICES: [&str; 4] = ["device", "hwaddr", "kernelpath", "pciBusID"];
/// What other plugins call a VLAN.
const VLAN_FIELDS: [&str; 2] = ["vlan", "vlanId"];
/// The versions of the specification that there are (containernetworking/cni `pkg/version`).
const VERSIONS: [&str; 8] = ["", "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

impl Plugin {
    /// Reads one plugin's configuration. There is no input for which that fails.
    pub(super) fn read(object: &Object) -> Self {
        let kind = fields::filled(object, "type").ok().flatten().unwrap_or_default();
        let mut reader = Reader { object, kind, faults: Vec::new() };
        let [parent, mode, bridge] = ["master", "mode", "bridge"].map(|field| reader.text(field));
        let device = match kind {
            "host-device" => HOST_DEVICES.iter().find_map(|field| reader.text(field)),
            _ => reader.text("deviceID"),
        };
        let mtu = reader.number("mtu", i64::from(u32::MAX));
        let vlan = match kind {
            "bridge" | "sriov" => reader.number("vlan", LAST_VLAN),
            "vlan" => reader.number("vlanId", LAST_VLAN),
            "macvlan" | "ipvlan" => {
                let field = VLAN_FIELDS.into_iter().find(|field| names_a_vlan(object, field));
                reader.faults.extend(field.map(|field| PluginFault::NotTagged { plugin: kind.into(), field }));
                None
            }
            _ => reader.number("vlanID", LAST_VLAN).or_else(|| reader.number("vlan", LAST_VLAN)),
        };
        if kind == "sriov" {
            let qos = reader.number("vlanQoS", LAST_QOS).filter(|qos| *qos > 0);
            // Where a vlan stands that is wrong itself, that is said already.
            let has_none = fields::whole(object, "vlan").is_ok_and(|vlan| vlan.unwrap_or_default() == 0);
            reader.faults.extend(qos.filter(|_| has_none).map(PluginFault::QosWithoutVlan));
        }
        let modes: &[&str] = match kind {
            "macvlan" => &MACVLAN_MODES,
            "ipvlan" => &IPVLAN_MODES,
            _ => &[],
        };
        if let Some(mode) = mode.filter(|mode| !modes.is_empty() && !modes.contains(mode)) {
            reader.faults.push(PluginFault::Mode { plugin: kind.into(), mode: shorten(mode).into() });
        }
        if kind == "vlan" && parent.is_none() {
            reader.faults.push(PluginFault::Missing { plugin: kind.into(), field: "master" });
        }
        Self {
            kind: kind.into(),
            parent: parent.map(Into::into),
            mode: mode.map(Into::into),
            bridge: bridge.map(Into::into),
            device: device.map(Into::into),
            capabilities: capabilities(object),
            mtu: mtu.filter(|mtu| *mtu > 0).and_then(|mtu| mtu.try_into().ok()),
            vlan: vlan.and_then(|vlan| vlan.try_into().ok()),
            faults: reader.faults.into(),
        }
    }

    /// What its interfaces are made on top of.
    #[must_use]
    pub fn master(&self) -> Master<'_> {
        match (&self.parent, &*self.kind) {
            (Some(parent), _) => Master::Given(parent),
            (None, "macvlan" | "ipvlan") => Master::NodeDefault,
            (None, _) => Master::NotUsed,
        }
    }

    /// Whether pods may ask for something in their selection, such as `ips`.
    #[must_use]
    pub fn allows(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| **name == *capability)
    }
}

impl PluginFault {
    /// What comes of it.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::BothForms | Self::IpamBeside | Self::NotTagged { .. } => Effect::Surprises,
            Self::FieldType { .. }
            | Self::NoType(_)
            | Self::Empty(_)
            | Self::Mode { .. }
            | Self::Number { .. }
            | Self::Missing { .. }
            | Self::QosWithoutVlan(_)
            | Self::Version(_)
            | Self::NetworkName(_) => Effect::Fails,
        }
    }

    /// What to do about it, as a clause.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::FieldType { expected, .. } => format!("write {expected}"),
            Self::NoType(_) => "give it a type, or remove it".to_owned(),
            Self::Empty(_) => "remove it".to_owned(),
            Self::Mode { plugin, .. } if **plugin == *"ipvlan" => format!("write one of {}", IPVLAN_MODES.join(", ")),
            Self::Mode { .. } => format!("write one of {}", MACVLAN_MODES.join(", ")),
            Self::Number { least, most, .. } => format!("write a number from {least} to {most}"),
            Self::Missing { field, .. } => format!("give {field}"),
            Self::QosWithoutVlan(_) => format!("give vlan, from 1 to {LAST_VLAN}, or remove vlanQoS"),
            Self::NotTagged { .. } => {
                "use an interface of the node that is in the VLAN as master, or the plugin vlan".to_owned()
            }
            Self::BothForms => "keep one of the two".to_owned(),
            Self::IpamBeside => "move it into the plugin that makes the interface".to_owned(),
            Self::Version(_) => "write 0.3.1, 0.4.0 or 1.0.0".to_owned(),
            Self::NetworkName(_) => "choose another name, or leave it out".to_owned(),
        }
    }

    /// What is wrong with the fields beside the plugins: the version and the name of the network.
    pub(super) fn of_network(version: Option<&str>, name: Option<&str>) -> Vec<Self> {
        let version = version.filter(|version| !VERSIONS.contains(version));
        let name = name.filter(|name| !name.is_empty() && !is_network_name(name));
        let version = version.map(|version| Self::Version(shorten(version).into()));
        version.into_iter().chain(name.map(|name| Self::NetworkName(shorten(name).into()))).collect()
    }
}

/// Whether libcni takes the name of a network (containernetworking/cni `ValidateNetworkName`).
fn is_network_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character))
}

/// Whether a field means a VLAN, be it as a number or as a text; 0 is none.
fn names_a_vlan(object: &Object, field: &str) -> bool {
    let number = fields::field(object, field).and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
    number.is_some_and(|number| number != 0)
}

fn capabilities(object: &Object) -> Box<[Box<str>]> {
    let entries = fields::field(object, "capabilities").and_then(Value::as_object).into_iter().flatten();
    entries.filter(|(_, value)| value.as_bool() == Some(true)).map(|(name, _)| name.as_str().into()).collect()
}

/// Reads fields, and collects what is wrong with those of plugins that are known.
struct Reader<'c> {
    object: &'c Object,
    kind: &'c str,
    faults: Vec<PluginFault>,
}

impl<'c> Reader<'c> {
    fn text(&mut self, field: &'static str) -> Option<&'c str> {
        let read = fields::filled(self.object, field);
        self.keep(read)
    }

    fn number(&mut self, field: &'static str, most: i64) -> Option<i64> {
        let read = fields::whole(self.object, field);
        let number = self.keep(read)?;
        if (0..=most).contains(&number) {
            return Some(number);
        }
        self.fault(field, PluginFault::Number { field, number, least: 0, most });
        None
    }

    fn keep<T>(&mut self, read: Result<Option<T>, Mistyped>) -> Option<T> {
        read.unwrap_or_else(|Mistyped { field, expected }| {
            self.fault(field, PluginFault::FieldType { plugin: self.kind.into(), field, expected });
            None
        })
    }

    fn fault(&mut self, field: &str, fault: PluginFault) {
        if JUDGED.iter().any(|(plugin, fields)| *plugin == self.kind && fields.contains(&field)) {
            self.faults.push(fault);
        }
    }
}

#[cfg(test)]
mod tests;
