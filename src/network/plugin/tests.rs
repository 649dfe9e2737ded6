//! Each plugin's fields, and what the plugin would refuse.

use super::*;

fn read(json: &str) -> Plugin {
    Plugin::read(&serde_json::from_str(json).unwrap())
}

#[test]
fn fields() {
    for (json, expected) in [
        (r#"{"type":"macvlan"}"#, Plugin { kind: "macvlan".into(), ..Plugin::default() }),
        (
            r#"{"type":"macvlan","master":"eth0","mode":"bridge","mtu":9000}"#,
            Plugin {
                kind: "macvlan".into(),
                parent: Some("eth0".into()),
                mode: Some("bridge".into()),
                mtu: Some(9000),
                ..Plugin::default()
            },
        ),
        (
            r#"{"type":"vlan","master":"eth0","vlanId":100,"mtu":0}"#,
            Plugin { kind: "vlan".into(), parent: Some("eth0".into()), vlan: Some(100), ..Plugin::default() },
        ),
        (
            r#"{"type":"bridge","bridge":"br0","vlan":4094}"#,
            Plugin { kind: "bridge".into(), bridge: Some("br0".into()), vlan: Some(4094), ..Plugin::default() },
        ),
        (
            r#"{"type":"sriov","deviceID":"0000:03:00.1","vlan":5,"capabilities":{"mac":true,"ips":null}}"#,
            Plugin {
                kind: "sriov".into(),
                device: Some("0000:03:00.1".into()),
                vlan: Some(5),
                capabilities: Box::new(["mac".into()]),
                ..Plugin::default()
            },
        ),
        (
            r#"{"type":"ovn-k8s-cni-overlay","vlanID":33}"#,
            Plugin { kind: "ovn-k8s-cni-overlay".into(), vlan: Some(33), ..Plugin::default() },
        ),
        // An unknown plugin is never called wrong.
        (
            r#"{"type":"unheard-of","master":5,"mtu":"x","mode":"new"}"#,
            Plugin { kind: "unheard-of".into(), mode: Some("new".into()), ..Plugin::default() },
        ),
        // macvlan has no such fields, and does not look at them.
        (r#"{"type":"macvlan","vlan":"x","deviceID":1}"#, Plugin { kind: "macvlan".into(), ..Plugin::default() }),
        (r#"{"type":"macvlan","vlan":0,"vlanId":"0"}"#, Plugin { kind: "macvlan".into(), ..Plugin::default() }),
        (
            r#"{"type":"host-device","device":"eth1","pciBusID":"0000:03:00.1"}"#,
            Plugin { kind: "host-device".into(), device: Some("eth1".into()), ..Plugin::default() },
        ),
        (
            r#"{"type":"host-device","device":"","pciBusID":"0000:03:00.1"}"#,
            Plugin { kind: "host-device".into(), device: Some("0000:03:00.1".into()), ..Plugin::default() },
        ),
        (
            r#"{"type":"host-device","hwaddr":"02:00:00:00:00:01","deviceID":"0000:03:00.1"}"#,
            Plugin { kind: "host-device".into(), device: Some("02:00:00:00:00:01".into()), ..Plugin::default() },
        ),
        (
            r#"{"type":"sriov","vlan":5,"vlanQoS":7}"#,
            Plugin { kind: "sriov".into(), vlan: Some(5), ..Plugin::default() },
        ),
        (r#"{"type":"sriov","vlanQoS":0}"#, Plugin { kind: "sriov".into(), ..Plugin::default() }),
    ] {
        assert_eq!(read(json), expected, "{json}");
    }
}

#[test]
fn masters() {
    for (json, expected) in [
        (r#"{"type":"macvlan","master":"eth0"}"#, Master::Given("eth0")),
        (r#"{"type":"macvlan","master":""}"#, Master::NodeDefault),
        (r#"{"type":"ipvlan"}"#, Master::NodeDefault),
        (r#"{"type":"bridge"}"#, Master::NotUsed),
        (r#"{"type":"vlan"}"#, Master::NotUsed),
    ] {
        assert_eq!(read(json).master(), expected, "{json}");
    }
}

#[test]
fn faults() {
    for (json, sentence) in [
        (r#"{"type":"macvlan","mode":"l2"}"#, "macvlan has no mode \"l2\""),
        (r#"{"type":"ipvlan","mode":"bridge"}"#, "ipvlan has no mode \"bridge\""),
        (r#"{"type":"macvlan","mtu":"9000"}"#, "mtu of macvlan must be a whole number"),
        (r#"{"type":"macvlan","mtu":-1}"#, "mtu is -1, and must be from 0 to 4294967295"),
        (r#"{"type":"macvlan","master":["eth0"]}"#, "master of macvlan must be a text"),
        (r#"{"type":"vlan","vlanId":5}"#, "vlan needs master"),
        (r#"{"type":"vlan","master":"eth0","vlanId":4095}"#, "vlanId is 4095, and must be from 0 to 4094"),
        (r#"{"type":"sriov","vlan":-5}"#, "vlan is -5, and must be from 0 to 4094"),
        (r#"{"type":"sriov","vlan":5,"vlanQoS":8}"#, "vlanQoS is 8, and must be from 0 to 7"),
        (r#"{"type":"sriov","vlanQoS":3}"#, "vlanQoS is 3, and there is no vlan that packets could have it in"),
        (
            r#"{"type":"sriov","vlan":0,"vlanQoS":3}"#,
            "vlanQoS is 3, and there is no vlan that packets could have it in",
        ),
        // What is wrong with the one field is not said of the other too.
        (r#"{"type":"sriov","vlan":4095,"vlanQoS":3}"#, "vlan is 4095, and must be from 0 to 4094"),
    ] {
        let plugin = read(json);
        assert_eq!(plugin.faults.len(), 1, "{json}: {:?}", plugin.faults);
        assert_eq!(plugin.faults[0].to_string(), sentence);
        assert_eq!(plugin.faults[0].effect(), Effect::Fails);
        assert!(!plugin.faults[0].mend().is_empty());
    }
    for mode in MACVLAN_MODES {
        assert!(read(&format!(r#"{{"type":"macvlan","mode":"{mode}"}}"#)).faults.is_empty());
    }
}

#[test]
fn a_vlan_where_the_plugin_knows_none() {
    for (json, sentence) in [
        (r#"{"type":"macvlan","vlan":100}"#, "macvlan has no field vlan, so packets are not tagged"),
        (r#"{"type":"macvlan","vlan":100,"vlanId":100}"#, "macvlan has no field vlan, so packets are not tagged"),
        (r#"{"type":"ipvlan","vlanID":"100"}"#, "ipvlan has no field vlanId, so packets are not tagged"),
    ] {
        let plugin = read(json);
        assert_eq!(plugin.vlan, None, "{json}");
        assert_eq!(plugin.faults.len(), 1, "{json}: {:?}", plugin.faults);
        assert_eq!(plugin.faults[0].to_string(), sentence);
        assert_eq!(plugin.faults[0].effect(), Effect::Surprises);
        assert!(!plugin.faults[0].mend().is_empty());
    }
}
