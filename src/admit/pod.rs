//! What a decision reads of an admission and its pod, borrowed from the request's text.
//!
//! Everything else in the request is skipped by the parser: that is most of the speed (a full `Pod` costs six times as
//! much). Borrowing also forbids holding on to a request beyond its answer. `null` counts as absent and the last of repeated
//! keys wins, as in Go; containers stay raw text until a decision needs their arguments.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
#[derive(Debug, Default, serde::Deserialize)]
pub struct PodView<'a> {
    /// Name, labels and annotations.
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    pub metadata: Metadata<'a>,
    /// The spec, where there is one.
    #[serde(borrow)]
    pub spec: Option<PodSpec<'a>>,
}

/// The parts of a pod's metadata that a decision reads.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata<'a> {
    /// The name, where it is known already.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// The beginning of the name, for pods that a controller makes.
    #[serde(borrow)]
    pub generate_name: Option<Text<'a>>,
    /// The namespace; often absent at admission.
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    /// The labels.
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    pub labels: StringMap<'a>,
    /// The annotations; whether there are none or an empty map makes a difference to a patch.
    #[serde(borrow)]
    pub annotations: Option<StringMap<'a>>,
}

/// The parts of a pod's spec that a decision reads.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec<'a> {
    /// Whether the pod uses the host network.
    pub host_network: Option<bool>,
    /// The DNS policy.
    #[serde(borrow)]
    pub dns_policy: Option<Text<'a>>,
    #[serde(borrow)]
    containers: Option<&'a RawValue>,
    #[serde(borrow)]
    init_containers: Option<&'a RawValue>,
}

/// Text, borrowed where it stands in the request without escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

/// A map from text to text, in the order of the request.
#[derive(Debug, Default)]
pub struct StringMap<'a>(Vec<(Text<'a>, Text<'a>)>);

/// The containers' arguments could not be read.
#[derive(Debug)]
pub(super) struct UnreadableContainers;

/// The arguments of one container; what runs may stand in either list.
#[derive(serde::Deserialize)]
struct ContainerArguments<'a> {
    #[serde(borrow)]
    command: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    args: Option<Vec<Text<'a>>>,
}

impl PodView<'_> {
    /// The pod's name, or as much of it as is known.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let known = [&self.metadata.name, &self.metadata.generate_name];
        known.into_iter().flatten().map(Deref::deref).find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key)
    }

    /// Whether the pod already uses the host network.
    #[must_use]
    pub fn is_on_host_network(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true))
    }
}

impl<'a> PodSpec<'a> {
    /// The commands and arguments of all containers, one after the other.
    pub(super) fn arguments(&self) -> Result<Vec<Text<'a>>, UnreadableContainers> {
        let mut arguments = Vec::new();
        for containers in [self.init_containers, self.containers].into_iter().flatten() {
            let containers: Option<Vec<ContainerArguments<'a>>> =
                serde_json::from_str(containers.get()).map_err(|_| UnreadableContainers)?;
            for container in containers.into_iter().flatten() {
                arguments.extend(container.command.into_iter().flatten());
                arguments.extend(container.args.into_iter().flatten());
            }
        }
        Ok(arguments)
    }
}

impl Labels for PodView<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.get(key)
    }
}

impl StringMap<'_> {
    /// The value of `key`: the last one, where the key is repeated.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| &**value)
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

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
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

impl<'de: 'a, 'a> Deserialize<'de> for StringMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = StringMap<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from text to text")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringMap<'de>, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some((key, value)) = map.next_entry::<Text<'de>, Option<Text<'de>>>()? {
                    // Go reads a null among texts as the empty text.
                    entries.push((key, value.unwrap_or(Text(Cow::Borrowed("")))));
                }
                Ok(StringMap(entries))
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}
