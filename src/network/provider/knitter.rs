//! Knitter: the annotation `networks`, a JSON object whose `ports` each attach the pod to one of Knitter's networks.
//!
//! Read from ZTE/Knitter at commit 6838073: the form from `example/pod1.json`; what is required, what is filled in and what is
//! refused from `knitter-monitor/services/port.go` (`EagerPort.Transform`) and `services/pod.go` (`NewPodFromK8sPod`); where
//! networks are looked up from `knitter-manager/models/network.go` (`GetNetworkByName`). Nothing was run. Networks are
//! Knitter's own, those of the tenant that is called like the pod's namespace and then the public ones, so a namespace cannot
//! be named; and a pod with the annotation gets the listed ports and nothing else.
//!
//! What stands on a pod is kept as raw text, attributes that nobody here has heard of included. Keys are matched byte for
//! byte and the last one wins, as in the maps of Knitter's JSON library.

use std::net::Ipv4Addr;

use super::{MetaPlugin, Names, PodNetwork, further_fields, other_namespace};
use crate::network::element::{Element, Elements, json_text};
use crate::network::foreign::shorten;
use crate::network::name::AttachmentRef;
use crate::network::selection::{AnnotationError, NetworkSelection};

/// The longest interface name that Knitter takes, in bytes. Linux would take 15.
const INTERFACE_NAME_MAX: usize = 12;

/// ZTE/Knitter.
#[derive(Clone, Copy, Debug)]
pub struct Knitter;

impl MetaPlugin for Knitter {
    fn name(&self) -> &'static str {
        "knitter"
    }

    fn title(&self) -> &'static str {
        "Knitter"
    }

    fn annotation(&self) -> &'static str {
        "networks"
    }

    fn names(&self) -> Names {
        Names::ItsOwnNetworks
    }

    fn pod_network(&self) -> PodNetwork {
        PodNetwork::Listed
    }

    fn parse(&self, value: &str, namespace: &str) -> Result<Vec<NetworkSelection>, AnnotationError> {
        let Some(list) = PortList::read(value)? else { return Ok(Vec::new()) };
        let ports = list.ports.iter().map(|port| selection(port, namespace)).enumerate();
        ports.map(|(index, port)| port.map_err(|fault| AnnotationError::Item { position: index + 1, fault })).collect()
    }

    fn unsupported(&self, selection: &NetworkSelection, namespace: &str) -> Option<String> {
        let interface = interface_name(selection);
        let too_long = (interface.len() > INTERFACE_NAME_MAX).then(|| {
            format!("it takes at most {INTERFACE_NAME_MAX} bytes for an interface name, unlike \"{interface}\"")
        });
        other_namespace("Knitter", selection, namespace).or(too_long).or_else(|| further_fields("Knitter", selection))
    }

    fn write(&self, existing: &str, namespace: &str, added: &[&NetworkSelection]) -> Result<String, AnnotationError> {
        self.read(existing, namespace)?;
        let ports: Vec<String> = added.iter().copied().map(port).collect();
        Ok(match PortList::read(existing)? {
            None => format!(r#"{{"ports":[{}]}}"#, ports.join(",")),
            Some(_) if ports.is_empty() => existing.to_owned(),
            Some(list) => list.with(&ports.join(",")),
        })
    }

    fn interface_names(&self, selections: &[&NetworkSelection]) -> Vec<String> {
        selections.iter().copied().map(interface_name).collect()
    }
}

/// The annotation of a pod: everything that stands in it, and its ports.
struct PortList {
    object: Element,
    ports: Vec<Element>,
}

impl PortList {
    /// Nothing where Knitter would take its default network: the value is empty, or an empty text in quotes.
    fn read(value: &str) -> Result<Option<Self>, AnnotationError> {
        if value.is_empty() || value == r#""""# {
            return Ok(None);
        }
        let unreadable = |error: &str| AnnotationError::NoPorts(shorten(error).into_owned());
        let object: Element = serde_json::from_str(value).map_err(|error| unreadable(&error.to_string()))?;
        let ports = object.exact("ports").ok_or_else(|| unreadable("\"ports\" is missing"))?;
        let Elements(ports) = serde_json::from_str(ports).map_err(|error| unreadable(&error.to_string()))?;
        if ports.is_empty() {
            return Err(unreadable("\"ports\" is empty, which Knitter refuses"));
        }
        Ok(Some(Self { object, ports }))
    }

    /// The whole value with `ports`, which is not empty, at the end of the list.
    fn with(&self, ports: &str) -> String {
        let last = self.object.fields().iter().rposition(|(key, _)| key == "ports");
        let field = |(index, (key, value)): (usize, &(String, Box<serde_json::value::RawValue>))| {
            let value = value.get();
            match value.strip_suffix(']') {
                Some(list) if Some(index) == last => format!("{}:{list},{ports}]", json_text(key)),
                _ => format!("{}:{value}", json_text(key)),
            }
        };
        let fields: Vec<String> = self.object.fields().iter().enumerate().map(field).collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// One port that stands on a pod.
fn selection(port: &Element, namespace: &str) -> Result<NetworkSelection, String> {
    let text = |json: &str| serde_json::from_str::<String>(json).ok().filter(|text| !text.is_empty());
    let network = port.exact("attach_to_network").and_then(text);
    let network = network.ok_or("names no network in \"attach_to_network\"")?;
    // What has another type than Knitter expects is filled in there as if it were absent.
    let attributes = port.exact("attributes").filter(|json| json.starts_with('{'));
    let attributes = attributes.map(serde_json::from_str::<Element>).transpose();
    let attributes = attributes.map_err(|error| format!("has \"attributes\" that cannot be read: {error}"))?;
    let attribute = |key| attributes.as_ref().and_then(|attributes| attributes.exact(key)).and_then(text);
    let interface = attribute("nic_name");
    if let Some(long) = interface.as_deref().filter(|name| name.len() > INTERFACE_NAME_MAX) {
        return Err(format!(
            "asks for the interface \"{}\", which is longer than the {INTERFACE_NAME_MAX} bytes that Knitter allows",
            shorten(long)
        ));
    }
    if let Some(address) = attribute("ip_addr").filter(|address| !is_address(address)) {
        return Err(format!("has \"ip_addr\": \"{}\", which is no IPv4 address", shorten(&address)));
    }
    Ok(NetworkSelection::plain(AttachmentRef::new(namespace, &network), interface))
}

/// Knitter's pattern for `ip_addr`: IPv4, not beginning with 0.
fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok_and(|address| address.octets()[0] != 0)
}

/// A port as Knitter writes it itself (`GetDefaultNetworkConfig`), for an interface of the ordinary kind.
fn port(selection: &NetworkSelection) -> String {
    let nic_name =
        selection.interface.as_deref().map(|name| format!(r#""nic_name":{},"#, json_text(name))).unwrap_or_default();
    format!(
        r#"{{"attach_to_network":{},"attributes":{{"accelerate":"false","function":"std",{nic_name}"nic_type":"normal"}}}}"#,
        json_text(&selection.attachment.name)
    )
}

/// What is asked for, else `eth_` and the network, cut to what is allowed.
fn interface_name(selection: &NetworkSelection) -> String {
    match &selection.interface {
        Some(interface) => interface.clone(),
        None => "eth_".chars().chain(selection.attachment.name.chars()).take(INTERFACE_NAME_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knitter's own `example/pod1.json`, shortened to two ports.
    const POD1: &str = r#"{"ports": [{"attach_to_network": "net_api", "attributes": {"accelerate": "false", "function": "std", "nic_name": "eth0", "nic_type": "normal"}}, {"attach_to_network": "control", "attributes": {"accelerate": "false", "function": "std", "nic_name": "testpodctl", "nic_type": "normal"}}]}"#;

    fn selection(text: &str) -> NetworkSelection {
        NetworkSelection::from_selector(text, "ns").unwrap().unwrap()
    }

    fn read(value: &str) -> Result<Vec<String>, AnnotationError> {
        let read = Knitter.read(value, "ns")?;
        Ok(read.iter().zip(Knitter.interface_names(&read.iter().collect::<Vec<_>>())).map(show).collect())
    }

    fn show((selection, interface): (&NetworkSelection, String)) -> String {
        format!("{}@{interface}", selection.attachment)
    }

    #[test]
    fn what_knitter_reads() {
        for (value, expected) in [
            ("", &[] as &[&str]),
            (r#""""#, &[]),
            (POD1, &["ns/net_api@eth0", "ns/control@testpodctl"]),
            (r#"{"ports":[{"attach_to_network":"a"}]}"#, &["ns/a@eth_a"]),
            (r#"{"ports":[{"attach_to_network":"a-long-name","attributes":[]}]}"#, &["ns/a-long-name@eth_a-long-n"]),
            (r#"{"ports":[{"attach_to_network":"a","attributes":{"nic_name":7,"NIC_NAME":"x"}}]}"#, &["ns/a@eth_a"]),
            (r#"{"ports":[{"attach_to_network":"a","attributes":{"ip_addr":"10.0.0.5"}}]}"#, &["ns/a@eth_a"]),
            (r#"{"ports":7,"ports":[{"attach_to_network":"x","attach_to_network":"a"}]}"#, &["ns/a@eth_a"]),
        ] {
            assert_eq!(read(value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn what_knitter_refuses() {
        for value in ["[]", "null", "x", " ", "{}", r#"{"Ports":[{"attach_to_network":"a"}]}"#, r#"{"ports":[]}"#]
            .into_iter()
            .chain([r#"{"ports":{}}"#, r#"{"ports":[null]}"#, r#"{"ports":["a"]}"#, r#"{"ports":[{}]}"#])
            .chain([r#"{"ports":[{"attach_to_network":""}]}"#, r#"{"ports":[{"attach_to_network":7}]}"#])
            .chain([r#"{"ports":[{"attach_to_network":"a","attributes":{"nic_name":"thirteenbytes"}}]}"#])
            .chain([r#"{"ports":[{"attach_to_network":"a","attributes":{"ip_addr":"10.0.0.05"}}]}"#])
            .chain([r#"{"ports":[{"attach_to_network":"a","attributes":{"ip_addr":"0.0.0.5"}}]}"#])
        {
            assert!(read(value).is_err(), "{value}");
            assert!(Knitter.write(value, "ns", &[&selection("a")]).is_err(), "{value}");
        }
    }

    #[test]
    fn nothing_that_stands_on_a_pod_is_lost() {
        let new = r#"{"attach_to_network":"b","attributes":{"accelerate":"false","function":"std","nic_name":"net1","nic_type":"normal"}}"#;
        for (existing, expected) in [
            (String::new(), format!(r#"{{"ports":[{new}]}}"#)),
            (r#""""#.to_owned(), format!(r#"{{"ports":[{new}]}}"#)),
            (
                r#"{"v":1.50,"ports" : [ {"attach_to_network":"a","attributes":{"metadata":{"x":12345678901234567890123}},"new":null} ],"z":[]}"#.to_owned(),
                format!(
                    r#"{{"v":1.50,"ports":[ {{"attach_to_network":"a","attributes":{{"metadata":{{"x":12345678901234567890123}}}},"new":null}} ,{new}],"z":[]}}"#
                ),
            ),
            (
                r#"{"ports":[],"ports":[{"attach_to_network":"a"}]}"#.to_owned(),
                format!(r#"{{"ports":[],"ports":[{{"attach_to_network":"a"}},{new}]}}"#),
            ),
        ] {
            assert_eq!(Knitter.write(&existing, "ns", &[&selection("b@net1")]).unwrap(), expected);
        }
        assert_eq!(Knitter.write(POD1, "ns", &[]).unwrap(), POD1);
    }

    #[test]
    fn what_knitter_cannot_express() {
        for (text, because) in [
            ("a", None),
            ("a@net1", None),
            ("a@twelve-bytes", None),
            ("other/a", Some("without a namespace")),
            ("a@thirteen-byte", Some("at most 12 bytes")),
            (r#"{"name":"a","mac":"02:00:00:00:00:01","ips":["10.0.0.5"]}"#, Some("no place for ips, mac")),
            (r#"{"name":"a","default-route":["10.0.0.1"]}"#, Some("no place for default-route")),
        ] {
            let unsupported = Knitter.unsupported(&selection(text), "ns");
            match because {
                None => assert_eq!(unsupported, None, "{text}"),
                Some(because) => assert!(unsupported.unwrap().contains(because), "{text}"),
            }
        }
    }
}
