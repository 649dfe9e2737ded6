//! Devices: what the pods of networks with a resource have to request.
//!
//! Multus gives each attachment of a definition with [`RESOURCE_ANNOTATION`](crate::network::attachment::RESOURCE_ANNOTATION) the
//! next device of that resource which the kubelet has handed to the pod (multus-cni `getKubernetesDelegate`), and the kubelet hands
//! out what the containers request. Nothing is ever lowered, and nothing is guessed: what cannot be read is left alone. Containers
//! are parsed only here, and only for a pod that needs devices.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::decide::Deciding;
use super::object::read_object;
use super::pod::{LIST_LENGTH, List, PodSpec, PodView, Text, UnreadablePart, read_raw};
use super::remark::Remark;
use crate::network::provider::Names;
use crate::network::{AttachmentRef, MetaPlugin};
use crate::world::{AttachmentState, DeviceResources};

/// The devices that the first container of a pod is made to request.
#[derive(Debug, PartialEq, Eq)]
pub struct Devices<'s> {
    /// One for each resource, never none at all.
    pub requests: Vec<DeviceRequest<'s>>,
    /// Whether that container has `resources`,
    pub resources_there: Presence,
    /// `requests` among these,
    pub requests_there: Presence,
    /// and `limits`: a patch can only add to what is there.
    pub limits_there: Presence,
}

/// How many devices of one resource are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRequest<'s> {
    /// The resource.
    pub resource: &'s str,
    /// How many attachments of the pod need one.
    pub needed: u64,
    /// How many the first container requests from now on; other containers may request some as well.
    pub requested: u64,
}

/// Whether a part of a pod is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is, as an object.
    There,
    /// It is not, or it is `null`.
    Absent,
}

/// What one container requests.
#[derive(Debug, Default)]
struct Requesting<'a> {
    resources: Option<Resources<'a>>,
}

#[derive(Debug, Default)]
struct Resources<'a> {
    requests: Option<Quantities<'a>>,
    limits: Option<Quantities<'a>>,
    claims: Option<&'a RawValue>,
}

/// Quantities by resource, as they are written.
#[derive(Debug, Default)]
struct Quantities<'a>(Vec<(Text<'a>, &'a RawValue)>);

read_object!(Requesting { "resources" => resources });
read_object!(Resources { "requests" => requests, "limits" => limits, "claims" => claims });

impl<'s> Deciding<'s> {
    /// What has to be requested for the attachments of a pod, `all` of its list and its default network among them, beyond what it
    /// requests already. Only resources of networks that are `wanted` count: what the pod attaches of its own accord is its own
    /// affair.
    pub(super) fn devices<'a>(
        &mut self,
        plugin: &dyn MetaPlugin,
        wanted: impl Iterator<Item = &'a AttachmentRef>,
        all: &[&AttachmentRef],
        pod: &PodView<'_>,
    ) -> Option<Devices<'s>> {
        let mode = self.snapshot.settings().device_resources;
        match (mode, plugin.names()) {
            (DeviceResources::Off, _) | (_, Names::ItsOwnNetworks) => return None,
            (DeviceResources::Add | DeviceResources::Skip, Names::AttachmentDefinitions) => {}
        }
        let mut resources: Vec<&'s str> = Vec::new();
        for resource in wanted.filter_map(|attachment| self.resource_of(attachment)) {
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        if resources.is_empty() {
            return None;
        }
        let spec = pod.spec.as_ref()?;
        let containers = spec.requesting();
        let Ok(List(containers)) = containers else {
            self.remarks.push(Remark::UnreadableRequests(resources));
            return None;
        };
        let Some(Some(first)) = containers.first() else {
            self.remarks.push(Remark::UnreadableRequests(resources));
            return None;
        };
        let mut requests = Vec::new();
        for resource in resources {
            if mode == DeviceResources::Skip && containers.iter().flatten().any(|one| one.names(resource)) {
                continue;
            }
            let needed = all.iter().filter(|attachment| self.resource_of(attachment) == Some(resource)).count();
            let needed = u64::try_from(needed).unwrap_or(u64::MAX);
            let amounts: Result<Vec<u64>, UnreadablePart> =
                containers.iter().flatten().map(|one| one.amount(resource)).collect();
            let (Ok(amounts), Ok(own)) = (amounts, first.amount(resource)) else {
                self.remarks.push(Remark::UnreadableQuantity(resource));
                continue;
            };
            let missing = needed.saturating_sub(amounts.into_iter().fold(0, u64::saturating_add));
            if missing > 0 {
                requests.push(DeviceRequest { resource, needed, requested: own.saturating_add(missing) });
            }
        }
        if requests.is_empty() {
            return None;
        }
        if spec.claims_devices() || containers.iter().flatten().any(Requesting::claims) {
            let resources = requests.into_iter().map(|request| request.resource).collect();
            self.remarks.push(Remark::ClaimsDevices(resources));
            return None;
        }
        let resources = first.resources.as_ref();
        Some(Devices {
            requests,
            resources_there: Presence::of(resources),
            requests_there: Presence::of(resources.and_then(|resources| resources.requests.as_ref())),
            limits_there: Presence::of(resources.and_then(|resources| resources.limits.as_ref())),
        })
    }

    /// The resource of which every attachment of a definition needs a device.
    fn resource_of(&self, attachment: &AttachmentRef) -> Option<&'s str> {
        match self.snapshot.attachment(attachment) {
            AttachmentState::Usable(definition) => definition.resource.as_deref(),
            AttachmentState::Missing | AttachmentState::Malformed(_) | AttachmentState::Unknown => None,
        }
    }
}

impl Presence {
    fn of<T>(part: Option<&T>) -> Self {
        match part {
            Some(_) => Self::There,
            None => Self::Absent,
        }
    }
}

impl<'a> PodSpec<'a> {
    /// What the containers request. One that is `null` is nothing that a patch could add to.
    fn requesting(&self) -> Result<List<Option<Requesting<'a>>>, UnreadablePart> {
        self.containers.map_or(Ok(List::default()), read_raw)
    }

    /// Whether the pod has resource claims (DRA), by which it may have devices without requesting them.
    fn claims_devices(&self) -> bool {
        self.resource_claims.is_some_and(is_filled)
    }
}

impl Requesting<'_> {
    /// Whether the container names the resource at all, in however large an amount.
    fn names(&self, resource: &str) -> bool {
        self.quantities().any(|quantities| quantities.get(resource).is_some())
    }

    /// How many devices of the resource the container requests. Requests and limits of such a resource must be equal; where they are
    /// not, the larger one counts.
    fn amount(&self, resource: &str) -> Result<u64, UnreadablePart> {
        self.quantities().try_fold(0, |amount, quantities| match quantities.get(resource) {
            Some(quantity) => Ok(amount.max(whole(quantity).ok_or(UnreadablePart)?)),
            None => Ok(amount),
        })
    }

    fn claims(&self) -> bool {
        self.resources.as_ref().and_then(|resources| resources.claims).is_some_and(is_filled)
    }

    fn quantities(&self) -> impl Iterator<Item = &Quantities<'_>> {
        let resources = self.resources.iter();
        resources.flat_map(|resources| [resources.requests.as_ref(), resources.limits.as_ref()]).flatten()
    }
}

impl<'a> Quantities<'a> {
    /// The last of a repeated resource counts, as in Go.
    fn get(&self, resource: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| &**name == resource).map(|(_, quantity)| *quantity)
    }
}

/// Whether a list has something in it. What is no list counts as one: it says something that is not understood here.
fn is_filled(list: &RawValue) -> bool {
    !matches!(serde_json::from_str::<Option<[(); 0]>>(list.get()), Ok(None | Some([])))
}

/// A Kubernetes quantity that is a whole number, in the forms in which the API server writes one: digits, and a suffix for
/// thousands (a text, or a number as a person writes it in YAML).
fn whole(quantity: &RawValue) -> Option<u64> {
    let text: Text<'_> = match quantity.get() {
        // As Go reads it.
        "null" => return Some(0),
        text if text.starts_with('"') => serde_json::from_str(text).ok()?,
        number => return digits(number),
    };
    let text = text.trim();
    let number = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor: u64 = match &text[number.len()..] {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        _ => return None,
    };
    digits(number)?.checked_mul(factor)
}

fn digits(number: &str) -> Option<u64> {
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

impl<'de: 'a, 'a> Deserialize<'de> for Quantities<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantitiesVisitor;
        impl<'de> Visitor<'de> for QuantitiesVisitor {
            type Value = Quantities<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object with at most {LIST_LENGTH} resources")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quantities<'de>, A::Error> {
                let mut quantities = Vec::new();
                while let Some(entry) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if quantities.len() == LIST_LENGTH {
                        return Err(A::Error::invalid_length(LIST_LENGTH + 1, &self));
                    }
                    quantities.push(entry);
                }
                Ok(Quantities(quantities))
            }
        }
        deserializer.deserialize_map(QuantitiesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_as_kubernetes_writes_them() {
        for (quantity, expected) in [
            ("2", Some(2)),
            (r#""2""#, Some(2)),
            (r#"" 10 ""#, Some(10)),
            (r#""1k""#, Some(1_000)),
            (r#""2Ki""#, Some(2_048)),
            (r#""0""#, Some(0)),
            (r#""18446744073709551616""#, None),
            (r#""18446744073709551615k""#, None),
            (r#""""#, None),
            (r#""k""#, None),
            (r#""1.5""#, None),
            ("1.5", None),
            ("-1", None),
            (r#""-1""#, None),
            (r#""500m""#, None),
            (r#""2é""#, None),
            ("null", Some(0)),
            ("true", None),
            ("{}", None),
        ] {
            let raw: &RawValue = serde_json::from_str(quantity).unwrap();
            assert_eq!(whole(raw), expected, "{quantity}");
        }
    }

    #[test]
    fn the_larger_of_requests_and_limits_counts() {
        for (container, names, amount) in [
            ("{}", false, Ok(0)),
            (r#"{"resources":null}"#, false, Ok(0)),
            (r#"{"resources":{"requests":null,"limits":{}}}"#, false, Ok(0)),
            (r#"{"resources":{"requests":{"a/b":"1"}}}"#, true, Ok(1)),
            (r#"{"resources":{"requests":{"a/b":"1"},"limits":{"a/b":3}}}"#, true, Ok(3)),
            (r#"{"resources":{"requests":{"a/b":"7","a/b":"1"}}}"#, true, Ok(1)),
            (r#"{"resources":{"limits":{"a/b":null}}}"#, true, Ok(0)),
            (r#"{"resources":{"requests":{"a/c":"1"}}}"#, false, Ok(0)),
            (r#"{"resources":{"requests":{"a/b":"x"}}}"#, true, Err(UnreadablePart)),
        ] {
            let read: Requesting<'_> = serde_json::from_str(container).unwrap();
            assert_eq!((read.names("a/b"), read.amount("a/b")), (names, amount), "{container}");
        }
    }

    #[test]
    fn a_claim_is_a_claim_in_whatever_shape() {
        for (claims, filled) in
            [("null", false), ("[]", false), ("[ ]", false), (r#"[{"name":"a"}]"#, true), ("{}", true), ("7", true)]
        {
            let raw: &RawValue = serde_json::from_str(claims).unwrap();
            assert_eq!(is_filled(raw), filled, "{claims}");
        }
    }
}
