//! Definitions as Multus loads them, or fails to.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::network::ipam::Scope;
use crate::network::plugin::Master;

fn read(config: &str) -> Result<AttachmentDefinition, AttachmentError> {
    AttachmentDefinition::read(&json!({"metadata": {"namespace": "ns", "name": "nad"}, "spec": {"config": config}}))
}

fn kinds(definition: &AttachmentDefinition) -> Vec<&str> {
    definition.plugins().iter().map(|plugin| &*plugin.kind).collect()
}

#[test]
fn what_multus_loads() {
    for (config, plugins) in [
        ("", &[] as &[&str]),
        (r#"{"type":"macvlan"}"#, &["macvlan"]),
        (r#"{"Type":"macvlan"}"#, &["macvlan"]),
        (r#"{"plugins":[{"type":"bridge"},{"type":"tuning"}]}"#, &["bridge", "tuning"]),
        (r#"{"type":"ipvlan","plugins":[]}"#, &["ipvlan"]),
        (r#"{"type":"ipvlan","plugins":null}"#, &["ipvlan"]),
        (r#"{"cniVersion":"bogus","type":"macvlan"}"#, &["macvlan"]),
        (r#"{"type":"macvlan","ipam":{}}"#, &["macvlan"]),
        (r#"{"type":"macvlan","ipam":null,"capabilities":{"ips":true}}"#, &["macvlan"]),
        (r#"{"plugins":[{"type":"macvlan"},{"mtu":9000}]}"#, &["macvlan"]),
        (r#"{"plugins":[{"type":"macvlan"},null]}"#, &["macvlan"]),
        (r#"{"type":"macvlan","type":"bridge"}"#, &["bridge"]),
    ] {
        assert_eq!(kinds(&read(config).unwrap()), plugins, "{config}");
    }
    for object in [json!({}), json!({"spec": {}}), json!({"spec": {"config": null}})] {
        let definition = AttachmentDefinition::read(&object).unwrap();
        assert_eq!(definition.chain, Chain::OnNode);
        assert_eq!(definition.plugin(), None);
        assert_eq!(definition.networks(), Err(NetworksUnknown::ReadFromNode));
        assert_eq!(definition.capacity(), Capacity::Unknown);
    }
}

#[test]
fn what_multus_fails_on() {
    for config in
        ["null", "[]", "x", "{}", r#"{"type":""}"#, r#"{"type":1}"#, r#"{"plugins":[]}"#, r#"{"plugins":null}"#]
            .into_iter()
            .chain([r#"{"type":"a","name":1}"#, r#"{"type":"a","cniVersion":1}"#, r#"{"type":"a","ipam":[]}"#])
            .chain([r#"{"type":"a","ipam":"dhcp"}"#, r#"{"type":"a","ipam":{"type":1}}"#])
            .chain([r#"{"type":"a","capabilities":{"ips":"true"}}"#, r#"{"type":"a","capabilities":["ips"]}"#])
            .chain([r#"{"plugins":[{"type":"a"},"b"]}"#, r#"{"plugins":[{"type":"a","ipam":"dhcp"}]}"#])
            .chain([r#"{"plugins":[null]}"#, r#"{"plugins":{}}"#, r#"{"plugins":["macvlan"]}"#, r#"{"type":"a"} x"#])
            .chain([
                r#"{"type":"a",}"#,
                r#"{"type":"a"} // x"#,
                r#"{"plugins":[{"mtu":1}]}"#,
                r#"{"plugins":[{"type":""}]}"#,
            ])
            .chain([r#"{"plugins":[null,{"type":"a"}]}"#, " "])
    {
        assert!(read(config).is_err(), "{config}");
    }
    assert!(AttachmentDefinition::read(&json!({"spec": {"config": {"type": "macvlan"}}})).is_err());
}

/// What Multus loads and libcni or a plugin refuses later, and what works in another way than it looks.
#[test]
fn what_fails_later() {
    for (config, effect, sentence) in [
        (r#"{"type":"macvlan","cniVersion":"bogus"}"#, Effect::Fails, "cniVersion \"bogus\" is no version"),
        (r#"{"type":"macvlan","name":"a b"}"#, Effect::Fails, "the network's name \"a b\" must begin"),
        (r#"{"plugins":[{"type":"macvlan"},{"mtu":9}]}"#, Effect::Fails, "entry 2 of plugins has no type"),
        (r#"{"plugins":[{"type":"macvlan"},null]}"#, Effect::Fails, "entry 2 of plugins is empty"),
        (r#"{"type":"macvlan","plugins":[]}"#, Effect::Surprises, "both type and plugins are given"),
        (
            r#"{"plugins":[{"type":"macvlan"}],"ipam":{"type":"dhcp"}}"#,
            Effect::Surprises,
            "ipam stands beside plugins, where nobody reads it",
        ),
    ] {
        let definition = read(config).unwrap();
        let faults: Vec<_> = definition.plugin_faults().collect();
        assert_eq!(faults.len(), 1, "{config}: {faults:?}");
        assert!(faults[0].to_string().starts_with(sentence), "{}", faults[0]);
        assert!(!faults[0].mend().is_empty());
        assert_eq!(definition.worst_effect(), Some(effect), "{config}");
    }
    for config in [
        "",
        r#"{"plugins":[{"type":"macvlan"}],"ipam":null}"#,
        r#"{"type":"macvlan","cniVersion":"0.3.1","name":"a_b.c-1"}"#,
        r#"{"type":"unheard-of","mtu":"x"}"#,
    ] {
        assert_eq!(read(config).unwrap().worst_effect(), None, "{config}");
    }
}

#[test]
fn the_fields_of_a_definition() {
    let config = r#"{"cniVersion":"0.3.1","name":"public-net","type":"macvlan","master":"eth0.100","mode":"bridge","mtu":9000,
        "capabilities":{"mac":true,"ips":true,"x":false},"ipam":{"type":"whereabouts","range":"192.168.20.0/24"}}"#;
    let mut object =
        json!({"metadata": {"annotations": {RESOURCE_ANNOTATION: "vendor.com/nic"}}, "spec": {"config": config}});
    let definition = AttachmentDefinition::read(&object).unwrap();
    assert_eq!(definition.network.as_deref(), Some("public-net"));
    assert_eq!(definition.resource.as_deref(), Some("vendor.com/nic"));
    let plugin = definition.plugin().unwrap();
    assert_eq!(plugin.master(), Master::Given("eth0.100"));
    assert!(plugin.allows("ips") && plugin.allows("mac") && !plugin.allows("x"));
    assert_eq!(definition.networks().unwrap()[0].to_string(), "192.168.20.0/24");
    for nothing in [json!(""), json!(null), json!(5)] {
        object["metadata"]["annotations"][RESOURCE_ANNOTATION] = nothing;
        let definition = AttachmentDefinition::read(&object).unwrap();
        assert_eq!((definition.resource, definition.resource_fault), (None, None));
    }
    for invalid in ["sriov_storage", "openshift.io/storage\n", " ", "openshift.io/-storage", "cpu"] {
        object["metadata"]["annotations"][RESOURCE_ANNOTATION] = json!(invalid);
        let definition = AttachmentDefinition::read(&object).unwrap();
        assert_eq!(definition.resource, None, "{invalid:?}");
        assert_eq!(&*definition.resource_fault.unwrap().written, invalid);
    }
    // Multus gives such a network the name of its definition.
    assert_eq!(read(r#"{"type":"mynet","name":""}"#).unwrap().network, None);
}

#[test]
fn addresses_are_those_of_the_plugin_that_asks_for_them() {
    let dhcp = r#""ipam":{"type":"dhcp"}"#;
    for (config, expected) in [
        (format!(r#"{{"plugins":[{{"type":"macvlan",{dhcp}}},{{"type":"sbr"}}]}}"#), Err(NetworksUnknown::Dhcp)),
        (format!(r#"{{"plugins":[{{"type":"sbr"}},{{"type":"macvlan",{dhcp}}}]}}"#), Err(NetworksUnknown::Dhcp)),
        (r#"{"plugins":[{"type":"macvlan"},{"type":"route-override"}]}"#.to_owned(), Err(NetworksUnknown::NoIpam)),
        (r#"{"plugins":[{"type":"cilium-cni"}]}"#.to_owned(), Err(NetworksUnknown::PluginUnknown("cilium-cni"))),
        // What stands beside a list belongs to no plugin.
        (format!(r#"{{{dhcp},"plugins":[{{"type":"macvlan"}}]}}"#), Err(NetworksUnknown::NoIpam)),
    ] {
        assert_eq!(read(&config).unwrap().networks(), expected, "{config}");
    }
}

/// The examples of Rook's documentation (`Documentation/CRDs/Cluster/network-providers.md`) have nothing wrong.
#[test]
fn what_rook_recommends() {
    for (ipam, networks, most) in [
        (
            r#"{"type":"whereabouts","range":"192.168.0.0/18","routes":[{"dst":"192.168.252.0/22"}]}"#,
            "192.168.0.0/18",
            16382,
        ),
        (
            r#"{"type":"whereabouts","range":"192.168.0.0/16","exclude":["192.168.252.0/22"]}"#,
            "192.168.0.0/16",
            65536 - 1024 - 1,
        ),
    ] {
        let definition = read(&format!(
            r#"{{"cniVersion":"0.3.1","type":"macvlan","master":"eth0","mode":"bridge","ipam":{ipam}}}"#
        ));
        let definition = definition.unwrap();
        assert_eq!(definition.worst_effect(), None, "{ipam}");
        assert_eq!(definition.networks().unwrap(), [networks.parse().unwrap()]);
        assert_eq!(definition.capacity(), Capacity::Pods { most, per: Scope::Cluster });
    }
}

/// What a definition costs in memory, on the stack and behind its pointers.
fn bytes(definition: &AttachmentDefinition) -> usize {
    let texts = |texts: &[Box<str>]| texts.iter().map(|text| size_of::<Box<str>>() + text.len()).sum::<usize>();
    let plugins = definition.plugins().iter().map(|plugin| {
        let names = [&plugin.parent, &plugin.mode, &plugin.bridge, &plugin.device].into_iter().flatten();
        size_of::<Plugin>()
            + plugin.kind.len()
            + names.map(|name| name.len()).sum::<usize>()
            + texts(&plugin.capabilities)
    });
    let ranges = definition
        .ipam
        .ranges()
        .map(|range| size_of_val(range) + size_of::<super::super::ipam::Pool>() + size_of_val(&*range.excluded));
    size_of::<AttachmentDefinition>()
        + plugins.sum::<usize>()
        + ranges.sum::<usize>()
        + size_of_val(&*definition.ipam.routes)
        + size_of_val(&*definition.ipam.faults)
        + definition.network.as_deref().map_or(0, str::len)
}

#[test]
fn a_thousand_definitions_are_no_burden() {
    let typical = r#"{"cniVersion":"0.3.1","name":"rook-public","type":"macvlan","master":"eth0","mode":"bridge","ipam":
        {"type":"whereabouts","range":"192.168.0.0/18","exclude":["192.168.1.0/24"],"routes":[{"dst":"192.168.252.0/22"}]}}"#;
    let bytes = bytes(&read(typical).unwrap());
    assert!(bytes < 640, "{bytes}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(config in "[\\[\\]{}\",:@/a-z0-9 ]{0,60}|.{0,40}") {
        if let Ok(definition) = read(&config) {
            let _ = (definition.networks(), definition.capacity(), definition.worst_effect());
        }
    }
}
