//! What a decision reads of an admission and its pod, borrowed from the request's text.
//!
//! Everything else in the request is skipped by the parser: that is most of the speed (a full `Pod` costs six times as
//! much). Borrowing also forbids holding on to a request beyond its answer. `null` counts as absent and the last of repeated
//! keys wins, as in Go. What few decisions need, such as containers and owners, stays raw text until one asks for it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::object::read_object;
use crate::storage::Labels;

/// One admission: who asks for what, and the pod it is about.
#[derive(Debug)]
pub struct Admission<'a> {
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: &'a str,
    /// The kind of the object, `Pod` for one that may be changed.
    pub kind: &'a str,
    /// The API group of the object, empty for pods.
    pub group: &'a str,
    /// The subresource, empty for the object itself.
    pub subresource: &'a str,
    /// The namespace of the request; the pod's own may be empty.
    pub namespace: &'a str,
    /// The pod, where the request has an object.
    pub pod: Option<&'a PodView<'a>>,
}

/// The parts of a pod that a decision reads.
#[derive(Debug, Default)]
pub struct PodView<'a> {
    /// Name, labels, annotations and owners.
    pub metadata: Option<Metadata<'a>>,
    /// The spec, where there is one.
    pub spec: Option<PodSpec<'a>>,
}

/// The parts of a pod's metadata that a decision reads.
#[derive(Debug, Default)]
pub struct Metadata<'a> {
    /// The name, where it is known already.
    pub name: Option<Text<'a>>,
    /// The beginning of the name, for pods that a controller makes.
    pub generate_name: Option<Text<'a>>,
    /// The labels.
    pub labels: StringMap<'a>,
    /// The annotations; whether there are none or an empty map makes a difference to a patch.
    pub annotations: Option<StringMap<'a>>,
    pub(super) owner_references: Option<&'a RawValue>,
}

/// The parts of a pod's spec that a decision reads.
#[derive(Debug, Default)]
pub struct PodSpec<'a> {
    /// Whether the pod uses the host network.
    pub host_network: Option<bool>,
    pub(super) node_name: Option<&'a RawValue>,
    pub(super) node_selector: Option<&'a RawValue>,
    pub(super) affinity: Option<&'a RawValue>,
    host_users: Option<bool>,
    security_context: Option<&'a RawValue>,
    pub(super) resource_claims: Option<&'a RawValue>,
    pub(super) containers: Option<&'a RawValue>,
    init_containers: Option<&'a RawValue>,
}

/// Text, borrowed where it stands in the request without escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

/// A map from text to text, in the order of the request.
#[derive(Debug, Default)]
pub struct StringMap<'a>(Vec<(Text<'a>, Text<'a>)>);

/// A part of the pod that is read only when asked for, and is not shaped as the API says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this part of the pod cannot be read")]
pub struct UnreadablePart;

/// What the host network depends on in one container; what runs may stand in either list.
#[derive(Debug, Default)]
struct Container<'a> {
    command: List<Text<'a>>,
    args: List<Text<'a>>,
    ports: List<Port<'a>>,
}

#[derive(Debug, Default)]
struct Port<'a> {
    inside: i64,
    on_host: i64,
    protocol: Text<'a>,
    host_address: Text<'a>,
}

#[derive(Debug, Default)]
struct SecurityContext<'a> {
    sysctls: List<Sysctl<'a>>,
}

#[derive(Debug, Default)]
struct Sysctl<'a> {
    name: Text<'a>,
}

/// The containers of a pod, as far as the host network depends on them.
#[derive(Debug)]
pub(super) struct Containers<'a> {
    init: List<Container<'a>>,
    main: List<Container<'a>>,
}

/// A list that is refused where it is longer than any in a real pod: an element may take many times the memory of its text.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// The most elements of a list, and the most labels or annotations.
pub(super) const LIST_LENGTH: usize = 1_000;
const MAP_LENGTH: usize = 50_000;

read_object!(PodView { "metadata" => metadata, "spec" => spec });
read_object!(Metadata {
    "name" => name,
    "generateName" => generate_name,
    "labels" => labels,
    "annotations" => annotations,
    "ownerReferences" => owner_references,
});
read_object!(PodSpec {
    "hostNetwork" => host_network,
    "nodeName" => node_name,
    "nodeSelector" => node_selector,
    "affinity" => affinity,
    "hostUsers" => host_users,
    "securityContext" => security_context,
    "resourceClaims" => resource_claims,
    "containers" => containers,
    "initContainers" => init_containers,
});
read_object!(SecurityContext { "sysctls" => sysctls });
read_object!(Sysctl { "name" => name });
read_object!(Container { "command" => command, "args" => args, "ports" => ports });
read_object!(Port { "containerPort" => inside, "hostPort" => on_host, "protocol" => protocol, "hostIP" => host_address });

impl PodView<'_> {
    /// The pod's name, or as much of it as is known.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let known = self.metadata.iter().flat_map(|metadata| [&metadata.name, &metadata.generate_name]);
        known.flatten().map(Deref::deref).find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.annotations.as_ref()?.get(key)
    }

    /// Whether the pod already uses the host network.
    #[must_use]
    pub fn is_on_host_network(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true))
    }
}

impl<'a> PodSpec<'a> {
    /// The containers, read where a decision needs them.
    pub(super) fn containers(&self) -> Result<Containers<'a>, UnreadablePart> {
        let read = |containers: Option<&'a RawValue>| containers.map_or(Ok(List::default()), read_raw);
        Ok(Containers { init: read(self.init_containers)?, main: read(self.containers)? })
    }

    /// What Kubernetes would refuse in this pod on the host network, in words (`ValidatePodSpec` of the API server).
    pub(super) fn obstacle_to_host(&self, containers: &Containers<'_>) -> Result<Option<String>, UnreadablePart> {
        if self.host_users == Some(false) {
            return Ok(Some("hostUsers: false".to_owned()));
        }
        let security: SecurityContext<'_> = self.security_context.map(read_raw).transpose()?.unwrap_or_default();
        if let Some(sysctl) = security.sysctls.0.iter().find(|sysctl| is_network_sysctl(&sysctl.name)) {
            return Ok(Some(format!("the sysctl {}", sysctl.name)));
        }
        // Init containers run one after the other, so each has its ports to itself.
        let each_init = containers.init.0.iter().map(std::slice::from_ref);
        Ok(each_init.chain([&containers.main.0[..]]).find_map(port_obstacle))
    }
}

/// What Kubernetes would refuse on the host network in the ports of containers that run together: there, every containerPort
/// becomes a hostPort.
fn port_obstacle(containers: &[Container<'_>]) -> Option<String> {
    let mut taken = HashSet::new();
    for port in containers.iter().flat_map(|container| &container.ports.0).filter(|port| port.inside != 0) {
        if port.on_host != 0 && port.on_host != port.inside {
            return Some(format!("hostPort {} beside containerPort {}", port.on_host, port.inside));
        }
        let protocol = if port.protocol.is_empty() { "TCP" } else { &*port.protocol };
        if !taken.insert((port.inside, protocol, &*port.host_address)) {
            return Some(format!("port {} given twice", port.inside));
        }
    }
    None
}

/// Sysctls of the network may be written with dots or with slashes.
fn is_network_sysctl(name: &str) -> bool {
    name.starts_with("net.") || name.starts_with("net/")
}

impl Containers<'_> {
    /// The commands and arguments of all containers, one after the other.
    pub(super) fn arguments(&self) -> Vec<&str> {
        let all = self.init.0.iter().chain(&self.main.0);
        all.flat_map(|container| container.command.0.iter().chain(&container.args.0)).map(Deref::deref).collect()
    }
}

/// Reads a part that was kept as it stood.
pub(super) fn read_raw<'a, T: Deserialize<'a> + Default>(raw: &'a RawValue) -> Result<T, UnreadablePart> {
    let read: Option<T> = serde_json::from_str(raw.get()).map_err(|_| UnreadablePart)?;
    Ok(read.unwrap_or_default())
}

impl Labels for PodView<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.labels.get(key)
    }
}

impl<'a> StringMap<'a> {
    /// The value of `key`: the last one, where the key is repeated.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| &**value)
    }

    /// The same, for as long as the request is there.
    pub(super) fn into_value(self, key: &str) -> Option<Text<'a>> {
        self.0.into_iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| value)
    }
}

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// Written by hand because serde's own `Cow` always copies when it stands inside another type.
impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {LIST_LENGTH} elements")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = sequence.next_element::<Option<T>>()? {
                    if list.len() == LIST_LENGTH {
                        return Err(A::Error::invalid_length(LIST_LENGTH + 1, &self));
                    }
                    list.push(element.unwrap_or_default());
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StringMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = StringMap<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a map from text to text with at most {MAP_LENGTH} entries")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringMap<'de>, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some((key, value)) = map.next_entry::<Text<'de>, Option<Text<'de>>>()? {
                    if entries.len() == MAP_LENGTH {
                        return Err(A::Error::invalid_length(MAP_LENGTH + 1, &self));
                    }
                    // Go reads a null among texts as the empty text.
                    entries.push((key, value.unwrap_or(Text(Cow::Borrowed("")))));
                }
                Ok(StringMap(entries))
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}
