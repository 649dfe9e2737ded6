//! One JSON element of a pod's annotation, kept as it was written.
//!
//! Other webhooks and newer plugins put fields into an element that this project has never heard of, and re-serialising
//! through a typed struct is how injectors in the field lose them. So an element is a list of fields whose values stay raw
//! text; only the fields that Multus itself checks are looked into. Keys are matched as Go's `encoding/json` matches them:
//! without regard to case, the last one wins, and `null` counts as absent. Only [`Element::exact`] does not: it is for annotations of other readers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::cidr;
use super::foreign::shorten;

/// One JSON object of the annotation: its fields in the order in which they stand, values as raw JSON text.
#[derive(Debug)]
pub(super) struct Element {
    fields: Vec<(String, Box<RawValue>)>,
}

/// The elements of a list, no more than [`LIST_LENGTH`].
#[derive(Debug)]
pub(super) struct Elements(pub(super) Vec<Element>);

/// The most elements of an annotation: far more than any pod has interfaces. An element takes many times the memory of its text.
pub(super) const LIST_LENGTH: usize = 1_000;
/// The most fields of an element, the namespace among them even where it is yet to be filled in, so that what is written can be
/// read again. No reader knows half as many, and a field takes many times the memory of its text.
const FIELDS: usize = 100;

/// The fields that Rook knows, in the order in which it writes them (`NetworkSelectionElement` of the attachment definition client).
pub(super) const ROOK_KNOWS: [&str; 11] = [
    "name",
    "namespace",
    "ips",
    "mac",
    "infiniband-guid",
    "interface",
    "portMappings",
    "bandwidth",
    "cni-args",
    "default-route",
    "ipam-claim-reference",
];

impl Element {
    /// All fields, in the order in which they stand.
    pub(super) fn fields(&self) -> &[(String, Box<RawValue>)] {
        &self.fields
    }

    /// The raw text of the last field that is called `key` to the letter, `null` included: for readers that are not Go structs.
    pub(super) fn exact(&self, key: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// The text of the field `key`, or nothing where it is absent, `null` or empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let text: String =
            serde_json::from_str(value).map_err(|_| format!("\"{key}\" must be a text, not {}", shorten(value)))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Checks what Multus checks in an element when it reads the annotation. A refused element fails the whole pod there.
    pub(super) fn check(&self) -> Result<(), String> {
        for key in ["mac", "infiniband-guid"] {
            if let Some(address) = self.text(key)?
                && !cidr::is_hardware_address(&address)
            {
                return Err(format!(
                    "\"{key}\" is \"{}\", which is no hardware address (write it like 02:00:00:00:00:01)",
                    shorten(&address)
                ));
            }
        }
        for address in self.typed::<Vec<String>>("ips", "a list of texts")?.unwrap_or_default() {
            if !cidr::is_address_request(&address) {
                return Err(format!(
                    "\"ips\" has \"{}\", which is no address and no address with prefix length",
                    shorten(&address)
                ));
            }
        }
        for address in self.typed::<Vec<String>>("default-route", "a list of texts")?.unwrap_or_default() {
            if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
                return Err(format!("\"default-route\" has \"{}\", which is no address", shorten(&address)));
            }
        }
        for key in ["deviceID", "ipam-claim-reference"] {
            self.text(key)?;
        }
        self.typed::<serde_json::Map<String, serde_json::Value>>("cni-args", "an object")?;
        self.typed::<Vec<PortMapping>>("portMappings", "a list of objects with whole port numbers")?;
        self.typed::<Bandwidth>("bandwidth", "an object of whole numbers")?;
        Ok(())
    }

    /// The element as one compact JSON object, every field as it stood, with the namespace filled in after the name.
    pub(super) fn with_namespace(&self, namespace: &str) -> String {
        let keeps_own = matches!(self.text("namespace"), Ok(Some(_)));
        let mut object = ObjectWriter::new();
        for (key, value) in &self.fields {
            if !keeps_own && key.eq_ignore_ascii_case("namespace") {
                continue;
            }
            object.field(key, value.get());
            if !keeps_own && key.eq_ignore_ascii_case("name") && !object.has_namespace {
                object.namespace(namespace);
            }
        }
        if !keeps_own && !object.has_namespace {
            object.namespace(namespace);
        }
        object.finish()
    }

    /// The element as one compact JSON object under an interface name, every other field as it stood. Multus reads the older
    /// `interfaceRequest` only where `interface` says nothing, so neither may be left beside the name.
    pub(super) fn with_interface(&self, interface: &str) -> String {
        let mut object = ObjectWriter::new();
        for (key, value) in &self.fields {
            if !["interface", "interfaceRequest"].iter().any(|older| older.eq_ignore_ascii_case(key)) {
                object.field(key, value.get());
            }
        }
        object.field("interface", &json_text(interface));
        object.finish()
    }

    /// The element as Rook would write it: known fields first and in Rook's order, under their canonical names, `interface`
    /// in place of the older `interfaceRequest`. Fields that Rook drops because it does not know them follow as they stood.
    pub(super) fn canonical(&self, namespace: &str, interface: Option<&str>) -> String {
        let mut object = ObjectWriter::new();
        for key in ROOK_KNOWS {
            match (key, interface) {
                ("namespace", _) => object.namespace(namespace),
                ("interface", Some(interface)) => object.field(key, &json_text(interface)),
                ("interface", None) => {}
                _ => {
                    // Rook leaves empty ones out, and it matters: an empty default-route takes the other networks' away.
                    if let Some(value) = self.value(key).filter(|value| !is_empty(value)) {
                        object.field(key, value);
                    }
                }
            }
        }
        for (key, value) in &self.fields {
            let known = ROOK_KNOWS.iter().any(|known| known.eq_ignore_ascii_case(key));
            if !known && !key.eq_ignore_ascii_case("interfaceRequest") {
                object.field(key, value.get());
            }
        }
        object.finish()
    }

    /// The raw text of the last field called `key` that is not `null`.
    fn value(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .rev()
            .filter(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.get())
            .find(|value| *value != "null")
    }

    fn typed<T: serde::de::DeserializeOwned>(&self, key: &str, expected: &str) -> Result<Option<T>, String> {
        self.value(key)
            .map(|value| {
                serde_json::from_str(value).map_err(|_| format!("\"{key}\" must be {expected}, not {}", shorten(value)))
            })
            .transpose()
    }
}

/// What Multus wants of a port mapping; anything else in the object is ignored, there as here.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)] // read for its types only
struct PortMapping {
    host_port: Option<i64>,
    container_port: Option<i64>,
    protocol: Option<String>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)] // read for its types only
struct Bandwidth {
    ingress_rate: Option<i64>,
    ingress_burst: Option<i64>,
    egress_rate: Option<i64>,
    egress_burst: Option<i64>,
}

/// Writes one compact JSON object, field by field.
struct ObjectWriter {
    json: String,
    has_namespace: bool,
}

impl ObjectWriter {
    fn new() -> Self {
        Self { json: String::from("{"), has_namespace: false }
    }

    fn field(&mut self, key: &str, value: &str) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        self.json.push_str(&json_text(key));
        self.json.push(':');
        push_compact(&mut self.json, value);
    }

    fn namespace(&mut self, namespace: &str) {
        self.field("namespace", &json_text(namespace));
        self.has_namespace = true;
    }

    fn finish(mut self) -> String {
        self.json.push('}');
        self.json
    }
}

/// `text` as a JSON string, quoted and escaped.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether a JSON value is an empty list or an empty text.
fn is_empty(value: &str) -> bool {
    value == "\"\"" || (value.starts_with('[') && value[1..].trim_start().starts_with(']'))
}

/// Appends valid JSON text without the white space between its tokens.
fn push_compact(out: &mut String, json: &str) {
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character == '"' {
            in_string = true;
        } else if character.is_ascii_whitespace() {
            continue;
        }
        out.push(character);
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Element;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a \"name\"")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut has_namespace = false;
                while let Some((key, value)) = map.next_entry::<String, _>()? {
                    has_namespace |= key.eq_ignore_ascii_case("namespace");
                    if fields.len() + usize::from(!has_namespace) >= FIELDS {
                        return Err(A::Error::custom(format!("an object has more than {FIELDS} fields")));
                    }
                    fields.push((key, value));
                }
                Ok(Element { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Elements;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Elements, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = sequence.next_element()? {
                    if elements.len() == LIST_LENGTH {
                        return Err(A::Error::custom(format!("it has more than {LIST_LENGTH} elements")));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(json: &str) -> Element {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn keys_are_matched_as_go_matches_them() {
        let e = element(r#"{"NAME":"x","Interface":"net1","name":"y","name":null}"#);
        assert_eq!(e.text("name").unwrap().as_deref(), Some("y"));
        assert_eq!(e.text("interface").unwrap().as_deref(), Some("net1"));
        assert_eq!(e.text("mac").unwrap(), None);
        assert!(element(r#"{"name":5}"#).text("name").is_err());
    }

    #[test]
    fn every_field_survives_and_the_namespace_is_filled_in() {
        let json = r#"{ "mac": "02:00:00:00:00:01", "name": "a", "cni-args": {"b": [1, 12345678901234567890123], "s": "x \" y"}, "future": null }"#;
        assert_eq!(
            element(json).with_namespace("ns"),
            r#"{"mac":"02:00:00:00:00:01","name":"a","namespace":"ns","cni-args":{"b":[1,12345678901234567890123],"s":"x \" y"},"future":null}"#
        );
        assert_eq!(element(r#"{"namespace":"","name":"a"}"#).with_namespace("ns"), r#"{"name":"a","namespace":"ns"}"#);
        assert_eq!(
            element(r#"{"namespace":"own","name":"a"}"#).with_namespace("ns"),
            r#"{"namespace":"own","name":"a"}"#
        );
    }

    #[test]
    fn an_element_has_a_bounded_number_of_fields() {
        let with = |own: &str, further: usize| format!("{{{own}{}}}", vec![r#""x":0"#; further].join(","));
        let read = |json: String| serde_json::from_str::<Element>(&json).map_err(|error| error.to_string());
        assert!(read(with(r#""namespace":"ns","#, 99)).is_ok());
        assert!(read(with("", 99)).is_ok());
        // Nothing gets so long by its namespace that it cannot be read again.
        assert!(read(read(with("", 99)).unwrap().with_namespace("ns")).is_ok());
        assert!(read(read(with(r#""interfaceRequest":"net1","#, 98)).unwrap().canonical("ns", Some("net1"))).is_ok());
        for long in [with(r#""namespace":"ns","#, 100), with("", 100), with("", 100_000)] {
            let error = read(long).unwrap_err();
            assert!(error.starts_with("an object has more than 100 fields"), "{error}");
        }
    }

    #[test]
    fn a_list_has_a_bounded_number_of_elements() {
        let list = |length: usize| serde_json::from_str::<Elements>(&format!("[{}]", vec!["{}"; length].join(",")));
        assert_eq!(list(1_000).unwrap().0.len(), 1_000);
        assert!(list(1_001).unwrap_err().to_string().starts_with("it has more than 1000 elements"));
    }

    #[test]
    fn what_multus_refuses_is_refused() {
        for bad in [
            r#"{"mac":"2:0:0:0:0:1"}"#,
            r#"{"infiniband-guid":"zz"}"#,
            r#"{"ips":"10.0.0.5"}"#,
            r#"{"ips":[5]}"#,
            r#"{"ips":["10.0.0.05"]}"#,
            r#"{"default-route":"10.0.0.1"}"#,
            r#"{"default-route":["10.0.0.1/24"]}"#,
            r#"{"cni-args":[]}"#,
            r#"{"bandwidth":{"ingressRate":1.5}}"#,
            r#"{"portMappings":[{"hostPort":"80"}]}"#,
            r#"{"deviceID":7}"#,
        ] {
            assert!(element(bad).check().is_err(), "{bad}");
        }
        for good in [
            r#"{"mac":null,"ips":null}"#,
            r#"{"ips":[],"default-route":[""]}"#,
            r#"{"default-route":["192.168.2.2","fc00::1"],"bandwidth":{"ingressRate":10},"portMappings":[{"hostPort":80,"x":1}]}"#,
        ] {
            element(good).check().unwrap();
        }
    }
}
