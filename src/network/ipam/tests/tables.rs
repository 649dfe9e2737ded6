//! The rules of each plugin that hands out addresses, case by case.

use super::*;

const PER_NODE: &str = "host-local keeps account on each node alone";

#[test]
fn host_local() {
    for (ipam, expected, wrong) in [
        (r#""subnet":"10.1.2.0/24""#, "10.1.2.0/24 10.1.2.1-10.1.2.254", &[PER_NODE] as &[&str]),
        (
            r#""subnet":"10.1.2.0/24","rangeStart":"10.1.2.9","rangeEnd":"10.1.2.20","gateway":"10.1.2.254""#,
            "10.1.2.0/24 10.1.2.9-10.1.2.20",
            &[PER_NODE],
        ),
        (r#""SUBNET":"10.1.2.0/24","rangestart":"10.1.2.9""#, "10.1.2.0/24 10.1.2.9-10.1.2.254", &[PER_NODE]),
        (r#""subnet":"fd00::/120""#, "fd00::/120 fd00::1-fd00::ff", &[PER_NODE]),
        // The plugin's own example: of each list a pod gets one.
        (
            r#""ranges":[[{"subnet":"10.10.0.0/16","rangeStart":"10.10.1.20","rangeEnd":"10.10.3.50"},{"subnet":"172.16.5.0/24"}],[{"subnet":"fd00::/64","rangeStart":"fd00::10","rangeEnd":"fd00::20"}]]"#,
            "10.10.0.0/16 10.10.1.20-10.10.3.50, 172.16.5.0/24 172.16.5.1-172.16.5.254; fd00::/64 fd00::10-fd00::20",
            &[PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.0/24","ranges":[[{"subnet":"10.0.1.0/24"}]]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254; 10.0.1.0/24 10.0.1.1-10.0.1.254",
            &[PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.5/24""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!10.0.0.5/24 is an address inside", PER_NODE],
        ),
        (r#""subnet":"10.0.0.0/31""#, "", &["!the range 10.0.0.0/31 is too small", PER_NODE]),
        (r#""subnet":"10.0.0.0/32""#, "", &["!the range 10.0.0.0/32 is too small", PER_NODE]),
        (r#""ranges":[{"subnet":"10.0.0.0/24"}]"#, "", &["!ranges is a list of ranges; host-local wants", PER_NODE]),
        (
            r#""ranges":[[{"subnet":"10.0.0.0/24"},{"subnet":"fd00::/64"}]]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254, fd00::/64 fd00::1-fd00::ffff:ffff:ffff:ffff",
            &["!10.0.0.0/24 and fd00::/64 are of different families", PER_NODE],
        ),
        (
            r#""ranges":[[{"subnet":"10.0.0.0/16"}],[{"subnet":"10.0.5.0/24"}]]"#,
            "10.0.0.0/16 10.0.0.1-10.0.255.254; 10.0.5.0/24 10.0.5.1-10.0.5.254",
            &[PER_NODE, "!the ranges 10.0.0.0/16 and 10.0.5.0/24 have addresses in common"],
        ),
        (
            r#""ranges":[[{"subnet":"10.0.0.0/24","rangeEnd":"10.0.0.99"},{"subnet":"10.0.0.0/24","rangeStart":"10.0.0.100"}]]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.99, 10.0.0.0/24 10.0.0.100-10.0.0.254",
            &[PER_NODE],
        ),
        (r#""ranges":[[]]"#, "", &["!ranges has an empty list in it", PER_NODE]),
        (r#""ranges":[[{}]]"#, "", &["!no range is given", PER_NODE]),
        (r#""ranges":[5]"#, "", &["!ranges must be a list of lists", PER_NODE]),
        (r#""ranges":"10.0.0.0/24""#, "", &["!ranges must be a list", PER_NODE]),
        (r#""ranges":[]"#, "", &["!no range is given"]),
        ("", "", &["!no range is given"]),
        (r#""range":"10.0.0.0/24""#, "", &["!host-local has no field range"]),
        (r#""subnet":"10.0.0.0""#, "", &["!subnet is \"10.0.0.0\", which is no address with a prefix", PER_NODE]),
        (r#""subnet":"010.0.0.0/8""#, "", &["!subnet is \"010.0.0.0/8\"", PER_NODE]),
        (r#""subnet":5"#, "", &["!subnet must be a text", PER_NODE]),
        (
            r#""subnet":"10.0.0.0/24","rangeStart":"10.0.1.1""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!rangeStart 10.0.1.1 cannot be a bound", PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.0/24","rangeStart":"fd00::1""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!rangeStart fd00::1 cannot be a bound", PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.0/24","rangeStart":"10.0.0.20","rangeEnd":"10.0.0.10""#,
            "",
            &["!the range ends at 10.0.0.10, before it begins at 10.0.0.20", PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.0/24","rangeStart":"10.0.0.1","rangeEnd":"10.0.0.1""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.1",
            &["!every address of 10.0.0.0/24 that could be handed out is excluded", PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.0/24","gateway":"10.9.0.1""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["the gateway 10.9.0.1 lies outside of 10.0.0.0/24", PER_NODE],
        ),
        (
            r#""subnet":"10.0.0.0/24","gateway":"x""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!gateway is \"x\"", PER_NODE],
        ),
    ] {
        let read = read(format!(r#""type":"host-local",{ipam}"#).trim_end_matches(','));
        assert_eq!(read.source, Source::HostLocal);
        assert_eq!(ranges(&read), expected, "{ipam}");
        assert_faults(&read, wrong, ipam);
    }
}

#[test]
fn host_local_by_an_old_version() {
    let plugin: Object = serde_json::from_str(
        r#"{"ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}],[{"subnet":"10.0.1.0/24"}]]}}"#,
    )
    .unwrap();
    for (version, fails) in
        [(None, true), (Some(""), true), (Some("0.2.0"), true), (Some("0.3.0"), false), (Some("1.0.0"), false)]
    {
        let ipam = Ipam::read(Context { plugin: &plugin, kind: "macvlan", version, definition: None, chained: 1 });
        assert_eq!(ipam.failure().is_some(), fails, "{version:?}");
    }
}

#[test]
fn fixed_addresses() {
    for (ipam, expected, wrong) in [
        (r#""addresses":[]"#, "", &[] as &[&str]),
        (
            r#""addresses":[{"address":"10.10.0.1/24","gateway":"10.10.0.254"},{"address":"fd00::1/64"}]"#,
            "10.10.0.0/24 10.10.0.1-10.10.0.1; fd00::/64 fd00::1-fd00::1",
            &["every pod is given the address 10.10.0.1", "every pod is given the address fd00::1"],
        ),
        (r#""addresses":[{"address":"10.10.0.1"}]"#, "", &["!address is \"10.10.0.1\", which is no address with"]),
        (r#""addresses":[{}]"#, "", &["!address is \"\""]),
        (r#""addresses":[null]"#, "", &["!address is \"\""]),
        (r#""addresses":["10.10.0.1/24"]"#, "", &["!addresses must be a list of objects"]),
        (r#""addresses":{}"#, "", &["!addresses must be a list"]),
        (
            r#""addresses":[{"address":"10.10.0.0/24","gateway":"10.9.0.1"}]"#,
            "10.10.0.0/24 10.10.0.0-10.10.0.0",
            &["10.10.0.0/24 is the address of the network itself", "every pod", "the gateway 10.9.0.1 lies outside"],
        ),
    ] {
        let read = read(&format!(r#""type":"static",{ipam}"#));
        assert_eq!(ranges(&read), expected, "{ipam}");
        assert_faults(&read, wrong, ipam);
    }
    assert_eq!(read(r#""type":"static""#).networks(), Err(NetworksUnknown::PerPod));
}

#[test]
fn whereabouts() {
    for (ipam, expected, wrong) in [
        (r#""range":"192.168.20.0/24""#, "192.168.20.0/24 192.168.20.1-192.168.20.254", &[] as &[&str]),
        (
            r#""range":"192.168.2.225/28""#,
            "192.168.2.224/28 192.168.2.225-192.168.2.238",
            &["192.168.2.225/28 is an address inside the range 192.168.2.224/28"],
        ),
        (r#""range":"192.168.2.225-192.168.2.230/28""#, "192.168.2.224/28 192.168.2.225-192.168.2.230", &[]),
        (r#""range":"192.168.2.224-192.168.2.239/28""#, "192.168.2.224/28 192.168.2.225-192.168.2.238", &[]),
        (r#""range":"10.0.0.5-10.0.0.9/24","range_start":"10.0.0.200""#, "10.0.0.0/24 10.0.0.5-10.0.0.9", &[]),
        (
            r#""range":"192.168.2.225 - 192.168.2.230/28""#,
            "",
            &["!the range \"192.168.2.225 - 192.168.2.230/28\" has spaces"],
        ),
        (
            r#""range":"192.168.1.5-192.168.2.25/28""#,
            "",
            &["!range 192.168.1.5 cannot be a bound of what is handed out of 192.168.2.16/28"],
        ),
        (
            r#""range":"10.0.0.9-10.0.0.5/24""#,
            "10.0.0.0/24 10.0.0.9-10.0.0.254",
            &["the range ends at 10.0.0.5, before it begins at 10.0.0.9"],
        ),
        (
            r#""range":"00192.00168.1.0/24","range_start":"00192.00168.1.44","range_end":"00192.00168.01.209""#,
            "192.168.1.0/24 192.168.1.44-192.168.1.209",
            &[
                "range_start is \"00192.00168.1.44\": whereabouts reads",
                "range_end is",
                "range is \"00192.00168.1.0/24\": whereabouts reads",
            ],
        ),
        (
            r#""range":"10.0.0.0/24","range_start":"x","range_end":"10.0.9.9""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["range_start is \"x\", which is no address", "range_end 10.0.9.9 cannot be a bound"],
        ),
        (
            r#""range":"fd00::/64","ipRanges":[{"range":"10.0.0.0/24","range_start":"10.0.0.9","exclude":["10.0.0.10"]}]"#,
            "fd00::/64 fd00::1-fd00::ffff:ffff:ffff:fffe; 10.0.0.0/24 10.0.0.9-10.0.0.254",
            &[],
        ),
        (
            r#""ipRanges":[{"range":"10.0.0.0/24","range_start":"x"}]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!range_start is \"x\""],
        ),
        (r#""ipRanges":[{}]"#, "", &["!range is \"\""]),
        (r#""ipRanges":["10.0.0.0/24"]"#, "", &["!ipRanges must be a list of objects"]),
        (
            r#""range":"10.0.0.0/24","exclude":["10.0.0.0/25","10.0.0.200","10.9.0.0/16","x"]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!exclude is \"x\"", "10.9.0.0/16 is excluded, and no address"],
        ),
        (
            r#""range":"10.0.0.0/24","exclude":["10.0.0.0/24"]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!every address of 10.0.0.0/24 that could be handed out is excluded"],
        ),
        (r#""exclude":["10.0.0.0/24"]"#, "", &["10.0.0.0/24 is excluded, and no address", "no range is given"]),
        ("", "", &["no range is given"]),
        (r#""range":"""#, "", &["no range is given"]),
        (r#""range":["10.0.0.0/24"]"#, "", &["!range must be a text"]),
        (r#""range":"10.0.0.0""#, "", &["!range is \"10.0.0.0\", which is no address with a prefix length"]),
        (r#""range":"10.0.0.0/31""#, "", &["!the range 10.0.0.0/31 is too small"]),
        (
            r#""range":"10.0.0.0/24","gateway":"10.0.0.1""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["the gateway 10.0.0.1 is among the addresses that are handed out"],
        ),
        (
            r#""range":"10.0.0.0/24","gateway":"10.0.0.1","exclude":["10.0.0.1/32"]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &[],
        ),
        (r#""range":"10.0.0.0/24","gateway":"x""#, "10.0.0.0/24 10.0.0.1-10.0.0.254", &["!gateway is \"x\""]),
        (
            r#""range":"10.0.0.0/24","ipRanges":[{"range":"10.0.0.0/25"}]"#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254; 10.0.0.0/25 10.0.0.1-10.0.0.126",
            &["the ranges 10.0.0.0/24 and 10.0.0.0/25 have addresses in common"],
        ),
        (
            r#""range":"10.0.0.0/16","node_slice_size":"/8""#,
            "10.0.0.0/16 10.0.0.1-10.0.255.254",
            &["!a node's share of"],
        ),
        (
            r#""range":"10.0.0.0/16","node_slice_size":"x""#,
            "10.0.0.0/16 10.0.0.1-10.0.255.254",
            &["!node_slice_size must"],
        ),
        (
            r#""addresses":[{"address":"010.0.0.5/24"}]"#,
            "10.0.0.0/24 10.0.0.5-10.0.0.5",
            &["every pod is given the address 10.0.0.5"],
        ),
    ] {
        let json = format!(r#""type":"whereabouts",{ipam}"#);
        let read = read(json.trim_end_matches(','));
        assert_eq!(ranges(&read), expected, "{ipam}");
        assert_faults(&read, wrong, ipam);
    }
    assert_eq!(read(r#""type":"whereabouts""#).networks(), Err(NetworksUnknown::ReadFromNode));
}

#[test]
fn ovn_kubernetes() {
    for (plugin, expected, wrong) in [
        (
            r#""topology":"layer2","subnets":"10.100.200.0/24, fd00::/64","excludeSubnets":"10.100.200.0/29""#,
            "10.100.200.0/24 10.100.200.1-10.100.200.254; fd00::/64 fd00::1-fd00::ffff",
            &[] as &[&str],
        ),
        (
            r#""topology":"localnet","subnets":"10.0.0.7/24""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["10.0.0.7/24 is an address"],
        ),
        (r#""topology":"localnet""#, "", &[]),
        (r#""topology":"layer3","subnets":"10.128.0.0/16/24""#, "10.128.0.0/16 10.128.0.0-10.128.255.255", &[]),
        (r#""topology":"layer3","subnets":"10.128.0.0/16""#, "10.128.0.0/16 10.128.0.0-10.128.255.255", &[]),
        (
            r#""topology":"layer3","subnets":"10.128.0.0/24""#,
            "",
            &["!a node's share of 10.128.0.0/24 cannot have", "!no range"],
        ),
        (
            r#""topology":"layer3","subnets":"fd00::/48/72""#,
            "",
            &["!a node's share of fd00::/48 cannot have", "!no range"],
        ),
        (r#""topology":"layer3""#, "", &["!no range is given"]),
        (r#""topology":"layer2","subnets":"10.0.0.0/16/24""#, "", &["!subnets is \"10.0.0.0/16/24\""]),
        (r#""topology":"layer2","subnets":"10.0.0.0/24,""#, "10.0.0.0/24 10.0.0.1-10.0.0.254", &["!subnets is \"\""]),
        (r#""topology":"layer2","subnets":["10.0.0.0/24"]"#, "", &["!subnets must be a text"]),
        (r#""topology":"layer2","subnets":"10.0.0.0/32""#, "", &["!the range 10.0.0.0/32 is too small"]),
        (
            r#""topology":"layer2","subnets":"10.0.0.0/24","excludeSubnets":"10.9.0.0/24""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254",
            &["!10.9.0.0/24 is excluded"],
        ),
        (
            r#""topology":"localnet","reservedSubnets":"10.0.0.0/29""#,
            "",
            &["!reservedSubnets is given", "!10.0.0.0/29 is"],
        ),
        (
            r#""topology":"layer2","subnets":"10.0.0.0/24,10.0.0.0/25""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254; 10.0.0.0/25 10.0.0.1-10.0.0.126",
            &["!the ranges 10.0.0.0/24 and 10.0.0.0/25 have"],
        ),
        (
            r#""topology":"localnet","subnets":"10.0.0.0/24,10.0.0.0/25""#,
            "10.0.0.0/24 10.0.0.1-10.0.0.254; 10.0.0.0/25 10.0.0.1-10.0.0.126",
            &["the ranges 10.0.0.0/24 and 10.0.0.0/25 have"],
        ),
        (r#""topology":"layer4""#, "", &["!the topology \"layer4\" is none"]),
        (r#""topology":"layer2","ipam":{"type":"static"}"#, "", &["!ipam.type is given"]),
    ] {
        let json = format!(r#"{{"type":"ovn-k8s-cni-overlay","netAttachDefName":"ns/nad",{plugin}}}"#);
        let read = read_plugin(&json);
        assert_eq!(ranges(&read), expected, "{plugin}");
        assert_faults(&read, wrong, plugin);
    }
    let other = read_plugin(r#"{"type":"ovn-k8s-cni-overlay","topology":"layer2","netAttachDefName":"nad"}"#);
    assert_faults(&other, &["!netAttachDefName is \"nad\", and the definition is ns/nad"], "name");
    let plugin: Object = serde_json::from_str(r#"{"topology":"localnet"}"#).unwrap();
    let chained =
        Ipam::read(Context { plugin: &plugin, kind: ovn::PLUGIN, version: None, definition: None, chained: 2 });
    assert_faults(&chained, &["!OVN-Kubernetes is one of several plugins"], "chained");
    assert_eq!(chained.source, Source::Ovn(Topology::Localnet));
}
