//! What a definition comes to: networks, capacities and routes. Each plugin's own rules are in [`tables`], and what must hold
//! of whatever anybody writes in [`properties`].

mod properties;
mod tables;

use super::*;

fn read_plugin(json: &str) -> Ipam {
    let plugin: Object = serde_json::from_str(json).unwrap();
    let kind = fields::filled(&plugin, "type").unwrap().unwrap().to_owned();
    let definition = AttachmentRef::new("ns", "nad");
    Ipam::read(Context {
        plugin: &plugin,
        kind: &kind,
        version: Some("0.3.1"),
        definition: Some(&definition),
        chained: 1,
    })
}

fn read(ipam: &str) -> Ipam {
    read_plugin(&format!(r#"{{"type":"macvlan","ipam":{{{ipam}}}}}"#))
}

/// The ranges of all pools, pools divided by `;`.
fn ranges(ipam: &Ipam) -> String {
    let range = |range: &AddressRange| format!("{} {}-{}", range.network, range.first, range.last);
    let pool = |pool: &Pool| pool.ranges.iter().map(range).collect::<Vec<_>>().join(", ");
    ipam.pools.iter().map(pool).collect::<Vec<_>>().join("; ")
}

/// The faults, those that fail every attachment with an exclamation mark.
fn faults(ipam: &Ipam) -> Vec<String> {
    let mark = |fault: &IpamFault| if fault.effect == Effect::Fails { "!" } else { "" };
    ipam.faults.iter().map(|fault| format!("{}{fault}", mark(fault))).collect()
}

/// Each expected fault is the beginning of the one that was found in its place.
fn assert_faults(ipam: &Ipam, expected: &[&str], of: &str) {
    let found = faults(ipam);
    let alike =
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, wanted)| found.starts_with(wanted));
    assert!(alike, "{of}: {found:#?}");
    assert!(ipam.faults.iter().all(|fault| !fault.mend().is_empty()));
}

#[test]
fn networks_that_are_known_elsewhere() {
    let resource =
        |kind, names: &[&str]| OwnResource { kind, names: names.iter().map(|name| (*name).into()).collect() };
    for (plugin, expected) in [
        (r#"{"type":"macvlan"}"#, Err(NetworksUnknown::NoIpam)),
        (r#"{"type":"macvlan","ipam":{}}"#, Err(NetworksUnknown::NoIpam)),
        (r#"{"type":"macvlan","ipam":null}"#, Err(NetworksUnknown::NoIpam)),
        (r#"{"type":"macvlan","ipam":{"type":""}}"#, Err(NetworksUnknown::NoIpam)),
        (r#"{"type":"macvlan","ipam":{"type":"dhcp"}}"#, Err(NetworksUnknown::Dhcp)),
        (r#"{"type":"macvlan","ipam":{"type":"own"}}"#, Err(NetworksUnknown::PluginUnknown("own"))),
        (r#"{"type":"cilium-cni"}"#, Err(NetworksUnknown::PluginUnknown("cilium-cni"))),
        (r#"{"type":"ovn-k8s-cni-overlay"}"#, Err(NetworksUnknown::PluginUnknown("ovn-k8s-cni-overlay"))),
        (
            r#"{"type":"calico","ipam":{"type":"host-local","subnet":"usePodCidr"}}"#,
            Err(NetworksUnknown::PluginUnknown("calico")),
        ),
        (
            r#"{"type":"calico","ipam":{"type":"calico-ipam"}}"#,
            Err(NetworksUnknown::OwnResource(&resource("IPPool", &[]))),
        ),
        (
            r#"{"type":"calico","ipam":{"type":"calico-ipam","ipv4_pools":["10.0.0.0/24","pool"]}}"#,
            Err(NetworksUnknown::OwnResource(&resource("IPPool", &["10.0.0.0/24", "pool"]))),
        ),
        (
            r#"{"type":"calico","ipam":{"type":"calico-ipam","ipv4_pools":["10.0.0.0/24"],"ipv6_pools":["fd00::/64"]}}"#,
            Ok("10.0.0.0/24 fd00::/64"),
        ),
        (
            r#"{"type":"kube-ovn","provider":"nad.ns.ovn"}"#,
            Err(NetworksUnknown::OwnResource(&resource("Subnet", &["nad.ns.ovn"]))),
        ),
        (
            r#"{"type":"macvlan","ipam":{"type":"kube-ovn","provider":"nad.ns"}}"#,
            Err(NetworksUnknown::OwnResource(&resource("Subnet", &["nad.ns"]))),
        ),
        (
            r#"{"type":"sriov","ipam":{"type":"nv-ipam","poolName":"a, b","poolType":"cidrpool"}}"#,
            Err(NetworksUnknown::OwnResource(&resource("CIDRPool", &["a", "b"]))),
        ),
        (
            r#"{"type":"macvlan","ipam":{"type":"spiderpool","default_ipv4_ippool":["a"],"default_ipv6_ippool":["b"]}}"#,
            Err(NetworksUnknown::OwnResource(&resource("SpiderIPPool", &["a", "b"]))),
        ),
        (
            r#"{"type":"ovn-k8s-cni-overlay","topology":"layer2","netAttachDefName":"ns/nad"}"#,
            Err(NetworksUnknown::NoIpam),
        ),
        (
            r#"{"type":"macvlan","ipam":{"type":"whereabouts","range":"10.0.0.0/24","ipRanges":[{"range":"10.0.0.0/24"}]}}"#,
            Ok("10.0.0.0/24"),
        ),
    ] {
        let read = read_plugin(plugin);
        let networks =
            read.networks().map(|networks| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(networks, expected.map(str::to_owned), "{plugin}");
    }
    let invalid = read(r#""type":"host-local""#);
    assert!(matches!(invalid.networks(), Err(NetworksUnknown::Invalid(_))));
    assert_eq!(invalid.capacity(), Capacity::Pods { most: 0, per: Scope::Node });
}

#[test]
fn capacities() {
    let pods = |most| Capacity::Pods { most, per: Scope::Cluster };
    let on_each = |most| Capacity::Pods { most, per: Scope::Node };
    for (ipam, expected) in [
        (r#""type":"whereabouts","range":"10.0.0.0/24""#, pods(254)),
        (r#""type":"whereabouts","range":"10.0.0.0/24","gateway":"10.0.0.1""#, pods(254)),
        (
            r#""type":"whereabouts","range":"10.0.0.0/24","exclude":["10.0.0.0/25","10.0.0.5","10.0.0.96/27"]"#,
            pods(127),
        ),
        (
            r#""type":"whereabouts","range":"10.0.0.0/24","exclude":["10.0.0.250","10.0.0.250/31","10.0.0.0/8"]"#,
            pods(0),
        ),
        (r#""type":"whereabouts","range":"fd00::/64","ipRanges":[{"range":"10.0.0.0/29"}]"#, pods(6)),
        (r#""type":"whereabouts","range":"fd00::/64""#, Capacity::Unlimited),
        (r#""type":"whereabouts","range":"::/0""#, Capacity::Unlimited),
        (r#""type":"whereabouts","range":"0.0.0.0/0""#, Capacity::Unlimited),
        (r#""type":"whereabouts","range":"10.0.0.0/16","node_slice_size":"/24""#, on_each(254)),
        (r#""type":"whereabouts","range":"10.0.0.0/24","node_slice_size":"30""#, on_each(2)),
        // Other shares are whole.
        (
            r#""type":"whereabouts","range":"10.0.0.0/16","node_slice_size":"/24","exclude":["10.0.0.0/25"]"#,
            on_each(254),
        ),
        (
            r#""type":"whereabouts","range":"fd00::/64","node_slice_size":"/120","ipRanges":[{"range":"fd01::/64"}]"#,
            on_each(254),
        ),
        (r#""type":"whereabouts","range":"fd00::/48","node_slice_size":"/64""#, Capacity::Unlimited),
        (r#""type":"host-local","subnet":"10.0.0.0/24""#, Capacity::Pods { most: 253, per: Scope::Node }),
        (
            r#""type":"host-local","subnet":"10.0.0.0/24","rangeStart":"10.0.0.10","rangeEnd":"10.0.0.19""#,
            Capacity::Pods { most: 10, per: Scope::Node },
        ),
        (r#""type":"host-local","subnet":"fd00::/126""#, Capacity::Pods { most: 2, per: Scope::Node }),
        (r#""type":"static","addresses":[{"address":"10.0.0.5/24"}]"#, pods(1)),
        (r#""type":"static""#, Capacity::Unknown),
        (r#""type":"dhcp""#, Capacity::Unknown),
    ] {
        assert_eq!(read(ipam).capacity(), expected, "{ipam}");
    }
    for (plugin, expected) in [
        (
            r#""topology":"layer2","subnets":"10.0.0.0/24","excludeSubnets":"10.0.0.0/29","reservedSubnets":"10.0.0.8/29""#,
            pods(239),
        ),
        (r#""topology":"layer2","subnets":"fd00::/64""#, pods(65535)),
        (r#""topology":"layer3","subnets":"10.128.0.0/16/24""#, on_each(253)),
        (r#""topology":"layer3","subnets":"10.0.0.0/23/24,10.0.2.0/23/24""#, on_each(253)),
    ] {
        let json = format!(r#"{{"type":"ovn-k8s-cni-overlay","netAttachDefName":"ns/nad",{plugin}}}"#);
        assert_eq!(read_plugin(&json).capacity(), expected, "{plugin}");
    }
}

#[test]
fn nodes_that_can_have_pods() {
    for (ipam, expected) in [
        (r#""type":"whereabouts","range":"10.0.0.0/24""#, None),
        (r#""type":"whereabouts","range":"10.0.0.0/24","node_slice_size":"/24""#, Some(1)),
        (r#""type":"whereabouts","range":"10.0.0.0/24","node_slice_size":"/25""#, Some(2)),
        (r#""type":"whereabouts","range":"10.0.0.0/16","node_slice_size":"/29""#, Some(8192)),
        (r#""type":"whereabouts","range":"fd00::/48","node_slice_size":"/64""#, Some(65536)),
        (r#""type":"whereabouts","range":"fd00::/16","node_slice_size":"/126""#, None),
        (r#""type":"whereabouts","range":"10.0.0.0/24","node_slice_size":"/23""#, None),
        (r#""type":"host-local","subnet":"10.0.0.0/24""#, None),
    ] {
        assert_eq!(read(ipam).nodes(), expected, "{ipam}");
    }
    for (plugin, expected) in [
        (r#""topology":"layer2","subnets":"10.0.0.0/24""#, None),
        (r#""topology":"layer3","subnets":"10.0.0.0/23/24,10.0.2.0/23/25""#, Some(2 + 4)),
        (r#""topology":"layer3","subnets":"10.0.0.0/22/24,fd00::/63""#, Some(2)),
    ] {
        let json = format!(r#"{{"type":"ovn-k8s-cni-overlay","netAttachDefName":"ns/nad",{plugin}}}"#);
        assert_eq!(read_plugin(&json).nodes(), expected, "{plugin}");
    }
}

/// Which routes lead over an address that the interface does not reach.
#[test]
fn gateways_that_are_not_reached() {
    let over = |ipam: &str, routes: &str| format!(r#"{{"type":"macvlan","ipam":{{{ipam},"routes":[{routes}]}}}}"#);
    let whereabouts = r#""type":"whereabouts","range":"10.0.0.0/24","ipRanges":[{"range":"10.0.2.0/24"}]"#;
    let host_local = r#""type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"},{"subnet":"10.0.2.0/24"}]]"#;
    let fixed = r#""type":"static","addresses":[{"address":"10.0.0.5/24"}]"#;
    let far = r#"{"dst":"172.16.0.0/12","gw":"10.9.0.1"}"#;
    let sentence =
        "!the route to 172.16.0.0/12 leads over 10.9.0.1, which lies in no network that pods have an address of";
    let unreachable = |json: &str| -> Vec<String> {
        faults(&read_plugin(json)).into_iter().filter(|fault| fault.starts_with('!')).collect()
    };
    for ipam in [whereabouts, host_local, fixed] {
        assert_eq!(unreachable(&over(ipam, far)), [sentence], "{ipam}");
        for routes in [
            r#"{"dst":"172.16.0.0/12","gw":"10.0.0.200"}"#,
            r#"{"dst":"172.16.0.0/12"}"#,
            &format!(r#"{far},{{"dst":"10.9.0.0/16"}}"#),
            // A router may announce what the definition does not say.
            r#"{"dst":"fd00::/64","gw":"fd01::1"}"#,
        ] {
            assert!(unreachable(&over(ipam, routes)).is_empty(), "{ipam} {routes}");
        }
        // One that needs a gateway itself does not help.
        assert_eq!(unreachable(&over(ipam, &format!(r#"{far},{{"dst":"10.9.0.0/16","gw":"10.0.0.1"}}"#))).len(), 1);
    }
    let within_the_other = r#"{"dst":"172.16.0.0/12","gw":"10.0.2.1"}"#;
    assert!(unreachable(&over(whereabouts, within_the_other)).is_empty());
    assert!(unreachable(&over(host_local, within_the_other)).is_empty());
    // What is not known is never called wrong: pods that ask for their own, and devices that may have no routes at all.
    assert!(unreachable(&over(r#""type":"static""#, far)).is_empty());
    assert!(unreachable(&over(whereabouts, far).replace("macvlan", "sriov")).is_empty());
    let everything = over(r#""type":"whereabouts","range":"0.0.0.0/0""#, far);
    assert!(unreachable(&everything).is_empty());
}

/// What to do is possible: who does it is not told of the next fault.
#[test]
fn mends_that_name_an_interval_or_an_example() {
    for (ipam, fault, mend) in [
        (
            r#""type":"whereabouts","range":"192.168.2.0/24","range_start":"192.168.2.200","range_end":"192.168.2.20""#,
            "the range ends at 192.168.2.20, before it begins at 192.168.2.200",
            "exchange the two, or choose an end from 192.168.2.200 to 192.168.2.254",
        ),
        (
            r#""type":"whereabouts","range":"192.168.2.0/24","range_start":"192.168.2.200","range_end":"10.0.0.1""#,
            "range_end 10.0.0.1 cannot be a bound of what is handed out of 192.168.2.0/24",
            "choose an address from 192.168.2.200 to 192.168.2.254",
        ),
        (
            r#""type":"whereabouts","range":"192.168.2.0/24","range_start":"192.168.2.255""#,
            "range_start 192.168.2.255 cannot be",
            "choose an address from 192.168.2.1 to 192.168.2.254",
        ),
        (
            r#""type":"whereabouts","range":"192.168.1.5-192.168.2.25/28""#,
            "range 192.168.1.5 cannot be",
            "choose an address from 192.168.2.17 to 192.168.2.25",
        ),
        (
            r#""type":"host-local","subnet":"10.0.0.0/24","rangeStart":"10.0.0.9","rangeEnd":"10.0.1.1""#,
            "rangeEnd 10.0.1.1 cannot be",
            "choose an address from 10.0.0.9 to 10.0.0.254",
        ),
        (
            r#""type":"host-local","subnet":"10.0.0.0/24","rangeStart":"10.0.0.20","rangeEnd":"10.0.0.10""#,
            "the range ends at 10.0.0.10, before",
            "exchange the two, or choose an end from 10.0.0.20 to 10.0.0.254",
        ),
        (
            r#""type":"static","addresses":[{"address":"192.168.2.5"}]"#,
            r#"address is "192.168.2.5", which"#,
            "write 192.168.2.5/24, with the prefix length of its network",
        ),
        (
            r#""type":"static","addresses":[{"address":"fd00::5/129"}]"#,
            r#"address is "fd00::5/129", which"#,
            "write fd00::5/64, with the prefix length of its network",
        ),
        (
            r#""type":"static","addresses":[{"address":"192.168.2.0"}]"#,
            r#"address is "192.168.2.0", which"#,
            "write it as 192.168.0.5/24 or fd00::5/64",
        ),
        (
            r#""type":"static","addresses":[{"address":"x"}]"#,
            r#"address is "x", which"#,
            "write it as 192.168.0.5/24 or fd00::5/64",
        ),
        (
            r#""type":"whereabouts","range":"192.168.2.5""#,
            r#"range is "192.168.2.5", which"#,
            "write it as 192.168.0.0/24 or fd00::/64",
        ),
        (
            r#""type":"whereabouts","range":"10.0.0.0/16","node_slice_size":"/31""#,
            "a node's share of 10.0.0.0/16 cannot have the prefix length 31",
            "choose a length from /16 to /30",
        ),
    ] {
        let read = read(ipam);
        let found = read.faults.iter().find(|found| found.to_string().starts_with(fault));
        assert_eq!(found.map(IpamFault::mend).as_deref(), Some(mend), "{ipam}: {:#?}", faults(&read));
    }
    for (subnets, mend) in [
        ("10.0.0.0/24/24", "choose a length from /25 to /30"),
        ("fd00::/48/72", "write /64"),
        ("fd00::/64/72", "choose a larger range"),
    ] {
        let json = format!(
            r#"{{"type":"ovn-k8s-cni-overlay","netAttachDefName":"ns/nad","topology":"layer3","subnets":"{subnets}"}}"#
        );
        assert_eq!(read_plugin(&json).faults[0].mend(), mend, "{subnets}");
    }
}

#[test]
fn routes_and_families() {
    let ipam = read(
        r#""type":"whereabouts","range":"10.0.0.0/24","ipRanges":[{"range":"fd00::/64"}],"routes":[{"dst":"192.168.252.9/22"},{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{}]"#,
    );
    let routes: Vec<_> =
        ipam.routes.iter().map(|route| (route.to.to_string(), route.via.map(|via| via.to_string()))).collect();
    assert_eq!(routes, [("192.168.252.0/22".to_owned(), None), ("0.0.0.0/0".to_owned(), Some("10.0.0.1".to_owned()))]);
    assert_faults(&ipam, &["a route has no dst"], "routes");
    assert_eq!(ipam.families(), [Family::V4, Family::V6]);
    for (routes, wrong) in [
        (r#"[{"dst":"10.0.0.0"}]"#, "!dst is \"10.0.0.0\""),
        (r#"[{"dst":"10.0.0.0/8","gw":"x"}]"#, "!gw is \"x\""),
        (r#"{"dst":"10.0.0.0/8"}"#, "!routes must be a list"),
        (r#"["10.0.0.0/8"]"#, "!routes must be a list of objects"),
    ] {
        assert_faults(&read(&format!(r#""type":"static","routes":{routes}"#)), &[wrong], routes);
    }
}

#[test]
fn a_definition_made_of_faults_costs_no_more_than_its_text() {
    let nested: Vec<_> =
        (0..5000).map(|index| format!(r#"{{"range":"10.{}.{}.0/8"}}"#, index / 256, index % 256)).collect();
    let ipam = read(&format!(r#""type":"whereabouts","ipRanges":[{}]"#, nested.join(",")));
    assert_eq!(ipam.pools.len(), 1024);
    assert_eq!(ipam.faults.len(), 16);
    assert_eq!(faults(&ipam)[0], "ipRanges has more than 1024 entries, and the others were not looked at");
}

#[test]
fn what_is_excluded_is_looked_at_to_its_end() {
    let odd = (1..20_000).step_by(2);
    let excluded: Vec<_> = odd.map(|index: u32| format!(r#""10.0.{}.{}/32""#, index / 256, index % 256)).collect();
    let ipam = read(&format!(r#""type":"whereabouts","range":"10.0.0.0/16","exclude":[{}]"#, excluded.join(",")));
    assert_faults(&ipam, &[], "exclude");
    assert_eq!(ipam.capacity(), Capacity::Pods { most: 65_534 - 10_000, per: Scope::Cluster });
    let range = ipam.ranges().next().unwrap();
    let only = AddressRange::all_of("10.0.0.1/32".parse().unwrap());
    assert_eq!(range.first_in_common(&only), None);
    assert_eq!(range.first_in_common(range), Some("10.0.0.2".parse().unwrap()));
}

/// Each exclusion belongs to the first range that has it, and where it stands in the list does not matter.
#[test]
fn what_is_excluded_of_many_subnets_is_taken_from_each() {
    let subnets: Vec<_> = (0..1000_u32).rev().map(|index| format!("10.{}.{}.0/24", index / 256, index % 256)).collect();
    let excluded = (0..20_000_u32).map(|index| {
        let (subnet, last) = (index % 1000, 100 + index / 1000);
        format!("10.{}.{}.{last}/32", subnet / 256, subnet % 256)
    });
    let excluded: Vec<_> = excluded.chain(["10.200.0.0/24".to_owned(), "10.0.0.0/8".to_owned()]).collect();
    let ipam = read_plugin(&format!(
        r#"{{"type":"ovn-k8s-cni-overlay","topology":"layer2","netAttachDefName":"ns/nad","subnets":"{}","excludeSubnets":"{}"}}"#,
        subnets.join(","),
        excluded.join(",")
    ));
    assert_faults(&ipam, &["!10.200.0.0/24 is excluded", "!10.0.0.0/8 is excluded"], "excludeSubnets");
    assert_eq!(ipam.pools.len(), 1000);
    for range in ipam.ranges() {
        assert_eq!((range.excluded.len(), range.addresses()), (20, 234), "{}", range.network);
        assert!(range.excluded.iter().all(|excluded| range.network.contains(excluded)), "{}", range.network);
    }
}

#[test]
fn what_is_excluded_of_ranges_in_one_another_is_taken_from_the_first() {
    for (subnets, excluded, expected) in [
        ("10.0.0.0/24,10.0.0.0/25", "10.0.0.0/28", [240, 128]),
        ("10.0.0.0/25,10.0.0.0/24", "10.0.0.0/28", [112, 256]),
        ("10.0.0.0/25,10.0.0.0/24", "10.0.0.0/25,10.0.0.128/28", [0, 240]),
        ("10.0.0.0/24,10.0.0.0/24", "10.0.0.0/28", [240, 256]),
        ("10.0.0.32/28,10.0.0.0/24", "10.0.0.240/28", [16, 240]),
    ] {
        let ipam = read_plugin(&format!(
            r#"{{"type":"ovn-k8s-cni-overlay","topology":"localnet","netAttachDefName":"ns/nad","subnets":"{subnets}","excludeSubnets":"{excluded}"}}"#
        ));
        let left = ipam.ranges().map(|range| {
            let size = 1_u32 << (32 - range.network.prefix_len());
            size - range.excluded.iter().map(|excluded| 1_u32 << (32 - excluded.prefix_len())).sum::<u32>()
        });
        assert_eq!(left.collect::<Vec<_>>(), expected, "{subnets} without {excluded}");
    }
}
