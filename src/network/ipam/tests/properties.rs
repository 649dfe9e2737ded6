//! What holds of whatever anybody writes.

use proptest::prelude::*;

use super::*;
use crate::network::cidr;

/// Texts of which configurations are made: right ones, nearly right ones, and any.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(10|192|0|255)\\.[0-9]{1,3}\\.(0|1|255)\\.[0-9]{1,3}/[0-9]{1,2}",
        "10\\.0\\.0\\.[0-9]{1,2}",
        "10\\.0\\.0\\.[0-9]{1,2}-10\\.0\\.0\\.[0-9]{1,3}/(2[0-9]|30)",
        "fd00::[0-9a-f]{0,3}/[0-9]{1,3}",
        "(ffff:){7}fff[0-9a-f](/[0-9]{1,3})?",
        "[0-9./: ,-]{0,12}",
        Just("::/0".to_owned()),
        Just("0.0.0.0/0".to_owned()),
        Just("layer3".to_owned()),
        Just("layer2".to_owned()),
        Just("10.0.0.0/16/24, fd00::/48/64".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = || text().prop_map(serde_json::Value::from);
    let range = || {
        let keys = proptest::sample::select(
            &[
                "subnet",
                "range",
                "rangeStart",
                "rangeEnd",
                "range_start",
                "range_end",
                "gateway",
                "exclude",
                "address",
                "dst",
                "gw",
            ][..],
        );
        proptest::collection::btree_map(keys.prop_map(str::to_owned), text(), 0..5)
            .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()))
    };
    prop_oneof![
        6 => text(),
        2 => proptest::collection::vec(text(), 0..4).prop_map(serde_json::Value::from),
        2 => proptest::collection::vec(range(), 0..4).prop_map(serde_json::Value::from),
        2 => proptest::collection::vec(proptest::collection::vec(range(), 0..3), 0..3).prop_map(serde_json::Value::from),
        1 => proptest::num::i64::ANY.prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
    ]
}

fn plugin() -> impl Strategy<Value = Object> {
    let keys = proptest::sample::select(
        &[
            "subnet",
            "range",
            "ranges",
            "rangeStart",
            "rangeEnd",
            "range_start",
            "range_end",
            "exclude",
            "ipRanges",
            "addresses",
            "gateway",
            "routes",
            "node_slice_size",
            "subnets",
            "topology",
            "excludeSubnets",
            "reservedSubnets",
            "ipv4_pools",
            "ipv6_pools",
            "poolName",
            "provider",
        ][..],
    );
    let kinds = proptest::sample::select(
        &["host-local", "whereabouts", "static", "calico-ipam", "nv-ipam", "spiderpool", "kube-ovn", ovn::PLUGIN][..],
    );
    (kinds, proptest::collection::btree_map(keys.prop_map(str::to_owned), value(), 0..6)).prop_map(|(kind, fields)| {
        let mut object: Object = fields.into_iter().collect();
        object.insert("type".to_owned(), kind.into());
        if kind == ovn::PLUGIN { object } else { [("ipam".to_owned(), object.into())].into_iter().collect() }
    })
}

fn size(network: &IpNet) -> u128 {
    cidr::count(network.network(), network.broadcast())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_written(plugin in plugin()) {
        let kind = if plugin.contains_key("ipam") { "macvlan" } else { ovn::PLUGIN };
        let ipam = Ipam::read(Context { plugin: &plugin, kind, version: Some("0.3.1"), definition: None, chained: 1 });
        for range in ipam.ranges() {
            prop_assert!(!cidr::has_host_bits(&range.network));
            prop_assert!(range.network.contains(&range.first) && range.network.contains(&range.last), "{:?}", range);
            prop_assert!(range.first <= range.last, "{:?}", range);
            prop_assert!(range.addresses() <= size(&range.network), "{:?}", range);
        }
        for pool in &ipam.pools {
            prop_assert!(!pool.ranges.is_empty());
        }
        if let Capacity::Pods { most, .. } = ipam.capacity() {
            for pool in &ipam.pools {
                let sizes = pool.ranges.iter().map(|range| size(&range.network));
                prop_assert!(u128::from(most) <= sizes.fold(0, u128::saturating_add));
            }
        }
        if let Ok(networks) = ipam.networks() {
            prop_assert!(!networks.is_empty() && ipam.failure().is_none());
        }
        for fault in &ipam.faults {
            prop_assert!(!fault.to_string().is_empty() && !fault.mend().is_empty());
        }
    }

    /// The first address that two ranges have in common is the first that both hand out, found one by one.
    #[test]
    fn the_first_in_common_is_found(bounds in proptest::array::uniform4(0_u8..64), shift in prop_oneof![Just(0_u8), Just(32), Just(64)], excluded in proptest::collection::vec((0_u8..96, 27_u8..=32), 0..8), gateway in 0_u8..64) {
        let excluded: Vec<String> = excluded.iter().map(|(address, length)| format!("\"10.0.0.{address}/{length}\"")).collect();
        let (mine, theirs) = excluded.split_at(excluded.len() / 2);
        let [start, end, other_start, other_end] = bounds;
        let whereabouts = read(&format!(
            r#""type":"whereabouts","range":"10.0.0.0/25","range_start":"10.0.0.{start}","range_end":"10.0.0.{end}","exclude":[{}]"#,
            mine.join(",")
        ));
        let other = read(&format!(
            r#""type":"whereabouts","range":"10.0.0.{shift}/27","range_start":"10.0.0.{other_start}","range_end":"10.0.0.{other_end}","exclude":[{}]"#,
            theirs.join(",")
        ));
        let host_local = read(&format!(
            r#""type":"host-local","subnet":"10.0.0.{shift}/27","gateway":"10.0.0.{gateway}","rangeStart":"10.0.0.{other_start}""#
        ));
        for one in whereabouts.ranges().chain(host_local.ranges()) {
            for other in other.ranges().chain(host_local.ranges()) {
                let all = (0..=255_u8).map(|last| std::net::IpAddr::from([10, 0, 0, last]));
                let found = all.clone().find(|address| one.hands_out(*address) && other.hands_out(*address));
                prop_assert_eq!(one.first_in_common(other), found, "{:?} {:?}", one, other);
                prop_assert_eq!(other.first_in_common(one), found);
            }
        }
    }

    /// Addresses that are counted are those that are handed out, found one by one.
    #[test]
    fn counting_is_right(start in 0_u8..64, end in 0_u8..64, excluded in proptest::collection::vec((0_u8..64, 26_u8..=32), 0..6), gateway in 0_u8..64) {
        let excluded: Vec<String> = excluded.iter().map(|(address, length)| format!("\"10.0.0.{address}/{length}\"")).collect();
        let whereabouts = read(&format!(
            r#""type":"whereabouts","range":"10.0.0.0/26","range_start":"10.0.0.{start}","range_end":"10.0.0.{end}","exclude":[{}]"#,
            excluded.join(",")
        ));
        let host_local = read(&format!(
            r#""type":"host-local","subnet":"10.0.0.0/26","rangeStart":"10.0.0.{start}","gateway":"10.0.0.{gateway}""#
        ));
        for range in whereabouts.ranges().chain(host_local.ranges()) {
            let handed_out = range.network.hosts().chain([range.network.network(), range.network.broadcast()]).collect::<std::collections::BTreeSet<_>>();
            let counted = handed_out.into_iter().filter(|address| range.hands_out(*address)).count();
            prop_assert_eq!(u128::try_from(counted).unwrap(), range.addresses(), "{:?}", range);
        }
    }
}
