//! Network selections: one element of the Multus annotation, and the two grammars that yield it.
//!
//! [`read_annotation`] reads what stands on a pod, by Multus's rules (multus-cni `parsePodNetworkAnnotation`).
//! [`NetworkSelection::from_selector`] reads what a cluster declares, by Rook's (`NetworkSpec.GetNetworkSelection`, which
//! uses the attachment definition client's parser). The two differ in small ways that matter, so each says which of them it
//! obeys. Where either accepts what can only fail later (an empty name, `[null]`), it is an error here.

use thiserror::Error;

use super::element::{Element, Elements, LIST_LENGTH, ROOK_KNOWS, json_text};
use super::foreign::shorten;
use super::name::AttachmentRef;

/// The longest interface name that Linux takes, in bytes (`IFNAMSIZ` without its final zero).
pub(super) const INTERFACE_NAME_MAX: usize = 15;

/// The most bytes of all annotations of an object together that Kubernetes stores (apimachinery `TotalAnnotationSizeLimitB`). It
/// looks only after mutating admission, so that what arrives here may be longer.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// The interface that every pod has already.
pub(super) const LOOPBACK: &str = "lo";

/// One element of the Multus annotation: which attachment definition, under which interface name, and the JSON that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSelection {
    /// The attachment definition that is selected.
    pub attachment: AttachmentRef,
    /// The interface name that is asked for; where there is none, Multus counts `net1`, `net2` by position.
    pub interface: Option<String>,
    json: Box<str>,
}

/// Why a pod's annotation cannot be merged with. Multus would refuse the pod, or fail to attach what it names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnnotationError {
    /// The JSON form is not a list of objects.
    #[error("it is not a JSON list of network selections ({0})")]
    NotAList(String),
    /// Knitter's form is not an object with a list of ports.
    #[error("it is not a JSON object with a list of \"ports\" ({0})")]
    NoPorts(String),
    /// Kubernetes would refuse the pod for its length, so it is not looked into.
    #[error(
        "it is {bytes} bytes long, and Kubernetes refuses a pod with more than {ANNOTATIONS_MAX} bytes of annotations"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The short form has more items than are read.
    #[error("it lists more than {LIST_LENGTH} networks")]
    TooMany,
    /// One item is at fault; items are counted from 1.
    #[error("item {position} {fault}")]
    Item {
        /// Which item, counted from 1.
        position: usize,
        /// What is wrong with it, as the rest of a sentence.
        fault: String,
    },
}

/// Why a cluster's selector names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// Only white space.
    #[error("it is blank")]
    Blank,
    /// The JSON form cannot be read.
    #[error(
        "it is not the JSON of a network selection ({0}); write [namespace/]name[@interface], or one JSON object with a \"name\""
    )]
    NotJson(String),
    /// More or fewer networks than the one that Rook allows under a key.
    #[error("it selects {0} networks, and exactly one is supported under one key")]
    NotOne(usize),
    /// The one selection is at fault.
    #[error("it {0}")]
    Item(String),
    /// The one selection asks for an interface name that Multus, libcni or Linux refuse.
    #[error("it {0}")]
    Interface(String),
}

/// What is wrong with an item, as the rest of a sentence about it.
enum ItemFault {
    /// The name of its interface.
    Interface(String),
    /// Anything else.
    Other(String),
}

/// Whose rules apply to an item of the short form.
#[derive(Clone, Copy)]
enum Dialect {
    /// Multus, reading a pod.
    Multus,
    /// The attachment definition client 1.7.7, with which Rook reads a selector.
    Rook,
}

impl NetworkSelection {
    /// Reads a selector of a cluster in `namespace` by Rook's rules. An empty text is no selection at all.
    ///
    /// Beyond Rook: white space around a JSON object is accepted (YAML block scalars end in a newline), `interfaceRequest`
    /// is honoured, and what Multus would refuse on every pod is an error here rather than there.
    ///
    /// # Errors
    /// Where Rook or Multus would refuse the selector, or where it names nothing.
    pub fn from_selector(selector: &str, namespace: &str) -> Result<Option<Self>, SelectorError> {
        if selector.is_empty() {
            return Ok(None);
        }
        let text = selector.trim();
        if text.is_empty() {
            return Err(SelectorError::Blank);
        }
        if !is_json_form(text) {
            return match text.split(',').count() {
                1 => Self::from_short(text, namespace, Dialect::Rook).map(Some).map_err(SelectorError::from),
                count => Err(SelectorError::NotOne(count)),
            };
        }
        // A single object is Rook's undocumented legacy form: it is read as a list of one.
        let list = if text.starts_with('{') && text.ends_with('}') { &format!("[{text}]") } else { text };
        let Elements(elements) = serde_json::from_str(list)
            .map_err(|error| SelectorError::NotJson(shorten(&error.to_string()).into_owned()))?;
        let [element] = &elements[..] else { return Err(SelectorError::NotOne(elements.len())) };
        Self::declared(element, namespace).map(Some).map_err(SelectorError::from)
    }

    /// What Rook makes of a selector that [`from_selector`](Self::from_selector) takes, where that is something else, as the rest
    /// of a sentence about it: Rook knows fewer fields, and wraps one object into a list only where nothing stands around it.
    #[must_use]
    pub fn read_otherwise_by_rook(selector: &str) -> Option<String> {
        let text = selector.trim();
        if !is_json_form(text) {
            return None;
        }
        let is_object = text.starts_with('{') && text.ends_with('}');
        if is_object && text != selector {
            return Some(
                "has white space around its JSON object, which Rook does not take away before it reads the object"
                    .to_owned(),
            );
        }
        let list = if is_object { format!("[{text}]") } else { text.to_owned() };
        let Elements(elements) = serde_json::from_str(&list).ok()?;
        let element = elements.first()?;
        let is_dropped = |key: &&String| !ROOK_KNOWS.iter().any(|known| known.eq_ignore_ascii_case(key));
        let dropped: Vec<&str> =
            element.fields().iter().map(|(key, _)| key).filter(is_dropped).map(String::as_str).collect();
        (!dropped.is_empty()).then(|| {
            format!(
                "has {}, which Rook does not know, and leaves out for the daemons that it makes itself",
                shorten(&dropped.join(", "))
            )
        })
    }

    /// The addresses that it asks for, as they are written.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.field("ips").and_then(|value| serde_json::from_str(&value).ok()).unwrap_or_default()
    }

    /// The hardware address that it asks for.
    #[must_use]
    pub fn hardware_address(&self) -> Option<String> {
        self.field("mac").and_then(|value| serde_json::from_str(&value).ok())
    }

    /// The raw text of a field that is neither the network nor the interface.
    fn field(&self, key: &str) -> Option<String> {
        // Most selections say no more than that, and need not be read again.
        if !self.json.contains(key) {
            return None;
        }
        let element: Element = serde_json::from_str(&self.json).ok()?;
        let (_, value) = element.fields().iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(value.get().to_owned())
    }

    /// The element as compact JSON, with the namespace filled in.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Whether `other`, which has the interface name `interface`, already is what this selection asks for: the same attachment
    /// definition, under the interface name that is asked for where one is. Other fields do not count: another webhook may have
    /// added a `mac`.
    #[must_use]
    pub fn is_met_by(&self, other: &Self, interface: Option<&str>) -> bool {
        self.attachment == other.attachment && (self.interface.is_none() || self.interface.as_deref() == interface)
    }

    /// The same under an interface name, where it asks for none; every other field stays. Nothing where it would have more fields than
    /// are read.
    #[must_use]
    pub fn with_interface(&self, interface: &str) -> Option<Self> {
        let element: Element = serde_json::from_str(&self.json).ok()?;
        let json = element.with_interface(interface);
        // An element may have as many fields as are allowed already, and what is written has to be read again.
        serde_json::from_str::<Element>(&json).ok()?;
        Some(Self { attachment: self.attachment.clone(), interface: Some(interface.to_owned()), json: json.into() })
    }

    /// A selection that says no more than which network, and under which interface name.
    pub(super) fn plain(attachment: AttachmentRef, interface: Option<String>) -> Self {
        let mut json =
            format!(r#"{{"name":{},"namespace":{}"#, json_text(&attachment.name), json_text(&attachment.namespace));
        if let Some(interface) = &interface {
            json.push_str(r#","interface":"#);
            json.push_str(&json_text(interface));
        }
        json.push('}');
        Self { attachment, interface, json: json.into() }
    }

    /// The names of the fields in which it says more than that, in their order.
    pub(super) fn further_fields(&self) -> Vec<String> {
        let plain = |key: &str| ["name", "namespace", "interface"].iter().any(|plain| plain.eq_ignore_ascii_case(key));
        let element: Option<Element> = serde_json::from_str(&self.json).ok();
        let fields = element.iter().flat_map(Element::fields).filter(|(_, value)| value.get() != "null");
        fields.map(|(key, _)| key.clone()).filter(|key| !plain(key)).collect()
    }

    fn from_short(item: &str, namespace: &str, dialect: Dialect) -> Result<Self, ItemFault> {
        let parts: Vec<&str> = item.split('/').collect();
        let (own_namespace, rest) = match parts[..] {
            [rest] => ("", rest),
            [namespace, rest] => (namespace.trim(), rest),
            _ => return Err(ItemFault::Other(format!("is \"{}\", which has more than one /", shorten(item.trim())))),
        };
        let parts: Vec<&str> = rest.split('@').collect();
        let (name, interface) = match parts[..] {
            [name] => (name.trim(), ""),
            [name, interface] => (name.trim(), interface.trim()),
            _ => return Err(ItemFault::Other(format!("is \"{}\", which has more than one @", shorten(item.trim())))),
        };
        for (what, text) in [("namespace", own_namespace), ("name", name)] {
            if !text.is_empty() && !is_dns_label(text) {
                let text = shorten(text);
                return Err(ItemFault::Other(format!(
                    "has the {what} \"{text}\", which the short form does not take (lower case letters, digits and -; a name with dots needs the JSON form)"
                )));
            }
        }
        match dialect {
            Dialect::Rook if !interface.is_empty() && !is_dns_label(interface) => {
                let interface = shorten(interface);
                return Err(ItemFault::Interface(format!(
                    "asks for the interface \"{interface}\", which the short form does not take (lower case letters, digits and -)"
                )));
            }
            Dialect::Rook | Dialect::Multus => check_interface(interface).map_err(ItemFault::Interface)?,
        }
        let attachment = Self::named(name, own_namespace, namespace)?;
        Ok(Self::plain(attachment, Some(interface.to_owned()).filter(|interface| !interface.is_empty())))
    }

    /// An element that a cluster declares, written as Rook would write it.
    fn declared(element: &Element, namespace: &str) -> Result<Self, ItemFault> {
        let (attachment, interface) = Self::looked_into(element, namespace)?;
        if let Some(interface) = &interface {
            check_interface(interface).map_err(ItemFault::Interface)?;
        }
        let json = element.canonical(&attachment.namespace, interface.as_deref()).into();
        Ok(Self { attachment, interface, json })
    }

    /// An element that stands on a pod, written as it stood but for its namespace.
    fn kept(element: &Element, namespace: &str) -> Result<Self, ItemFault> {
        let (attachment, interface) = Self::looked_into(element, namespace)?;
        let json = element.with_namespace(&attachment.namespace).into();
        Ok(Self { attachment, interface, json })
    }

    fn looked_into(element: &Element, namespace: &str) -> Result<(AttachmentRef, Option<String>), String> {
        let fault = |fault| format!("cannot be read: {fault}");
        element.check().map_err(fault)?;
        let name = element.text("name").map_err(fault)?.unwrap_or_default();
        let own_namespace = element.text("namespace").map_err(fault)?.unwrap_or_default();
        let interface = match element.text("interface").map_err(fault)? {
            Some(interface) => Some(interface),
            // The key's name before Multus 3.2, read only where the newer one is absent or empty.
            None => element.text("interfaceRequest").map_err(fault)?,
        };
        Ok((Self::named(&name, &own_namespace, namespace)?, interface))
    }

    fn named(name: &str, own_namespace: &str, default_namespace: &str) -> Result<AttachmentRef, String> {
        if name.is_empty() {
            return Err("names no attachment definition".to_owned());
        }
        Ok(AttachmentRef::new(if own_namespace.is_empty() { default_namespace } else { own_namespace }, name))
    }
}

impl ItemFault {
    fn into_text(self) -> String {
        match self {
            Self::Interface(fault) | Self::Other(fault) => fault,
        }
    }
}

impl From<String> for ItemFault {
    fn from(fault: String) -> Self {
        Self::Other(fault)
    }
}

impl From<ItemFault> for SelectorError {
    fn from(fault: ItemFault) -> Self {
        match fault {
            ItemFault::Interface(fault) => Self::Interface(fault),
            ItemFault::Other(fault) => Self::Item(fault),
        }
    }
}

/// Whether an annotation is no longer than Kubernetes would store, which is to be known before it is looked into.
pub(super) fn check_length(value: &str) -> Result<(), AnnotationError> {
    if value.len() > ANNOTATIONS_MAX { Err(AnnotationError::TooLong { bytes: value.len() }) } else { Ok(()) }
}

/// The items of a list in a short form, which commas divide.
pub(super) fn short_items(value: &str) -> Result<impl Iterator<Item = &str>, AnnotationError> {
    if value.split(',').nth(LIST_LENGTH).is_some() { Err(AnnotationError::TooMany) } else { Ok(value.split(',')) }
}

/// Reads the annotation of a pod in `namespace`, by Multus's rules. An empty value is no network. Its length is not looked at:
/// for what stands on a pod, there is [`MetaPlugin::read`](super::MetaPlugin::read).
///
/// # Errors
/// Where Multus would refuse the annotation, or fail to attach an item because it names nothing.
pub fn read_annotation(value: &str, namespace: &str) -> Result<Vec<NetworkSelection>, AnnotationError> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let item = |(index, selection): (usize, Result<NetworkSelection, ItemFault>)| {
        selection.map_err(|fault| AnnotationError::Item { position: index + 1, fault: fault.into_text() })
    };
    if is_json_form(value) {
        let Elements(elements) = serde_json::from_str(value)
            .map_err(|error| AnnotationError::NotAList(shorten(&error.to_string()).into_owned()))?;
        elements.iter().map(|element| NetworkSelection::kept(element, namespace)).enumerate().map(item).collect()
    } else {
        short_items(value)?
            .map(|text| NetworkSelection::from_short(text, namespace, Dialect::Multus))
            .enumerate()
            .map(item)
            .collect()
    }
}

/// Writes the annotation: the JSON list form, compact, which every reader in the field takes.
#[must_use]
pub fn write_annotation<'s>(selections: impl IntoIterator<Item = &'s NetworkSelection>) -> String {
    let mut value = String::from("[");
    for selection in selections {
        if value.len() > 1 {
            value.push(',');
        }
        value.push_str(selection.as_json());
    }
    value.push(']');
    value
}

/// The interface names that Multus will use for `selections`, in order: what is asked for, else `net` and the position.
/// (Each network in Multus's own `defaultNetworks`, which no webhook can see, would shift the positions by one.)
pub fn interface_names<'s>(
    selections: impl IntoIterator<Item = &'s NetworkSelection>,
) -> impl Iterator<Item = std::borrow::Cow<'s, str>> {
    selections.into_iter().enumerate().map(|(index, selection)| match &selection.interface {
        Some(interface) => interface.as_str().into(),
        None => format!("net{}", index + 1).into(),
    })
}

/// Multus decides between its two forms by these characters alone, wherever they stand.
fn is_json_form(text: &str) -> bool {
    text.contains(['[', '{', '"'])
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, without a limit on the length: Multus has none either.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-') && !text.is_empty()
}

/// What the kernel and libcni take as an interface name (containernetworking/cni `ValidateInterfaceName`), but for the one that
/// is there in every pod: no plugin could add another. Which name the pod's network has is a matter of the meta-plugin.
fn check_interface(interface: &str) -> Result<(), String> {
    if interface.len() > INTERFACE_NAME_MAX {
        return Err(format!(
            "asks for the interface \"{}\", which is longer than the {INTERFACE_NAME_MAX} bytes that Linux allows",
            shorten(interface)
        ));
    }
    let odd = interface.contains(['/', ':']) || interface.contains(char::is_whitespace);
    if odd || interface == "." || interface == ".." {
        return Err(format!("asks for the interface \"{interface}\", which is no name of an interface"));
    }
    if interface == LOOPBACK {
        return Err(format!("asks for the interface \"{interface}\", which every pod has already"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
