//! The seam, asked of every meta-plugin alike: what is written is read again, and what stands on a pod stays.

use proptest::prelude::*;

use super::*;

fn selection(text: &str) -> NetworkSelection {
    NetworkSelection::from_selector(text, "ns").unwrap().unwrap()
}

/// What the caller does: adds what does not stand there yet.
fn merge(plugin: &dyn MetaPlugin, existing: &str, wanted: &[NetworkSelection]) -> String {
    let standing = plugin.read(existing, "ns").unwrap();
    let names = plugin.interface_names(&standing.iter().collect::<Vec<_>>());
    let is_there = |wanted: &NetworkSelection| {
        standing.iter().zip(&names).any(|(other, name)| wanted.is_met_by(other, Some(name)))
    };
    let added: Vec<_> = wanted.iter().filter(|wanted| !is_there(wanted)).collect();
    if added.is_empty() { existing.to_owned() } else { plugin.write(existing, "ns", &added).unwrap() }
}

#[test]
fn the_same_interfaces_in_every_form() {
    let wanted = [selection("public@net1"), selection("cluster@net2")];
    for (plugin, expected) in ALL.into_iter().zip([
        r#"[{"name":"public","namespace":"ns","interface":"net1"},{"name":"cluster","namespace":"ns","interface":"net2"}]"#,
        r#"{"ports":[{"attach_to_network":"public","attributes":{"accelerate":"false","function":"std","nic_name":"net1","nic_type":"normal"}},{"attach_to_network":"cluster","attributes":{"accelerate":"false","function":"std","nic_name":"net2","nic_type":"normal"}}]}"#,
        "public@net1,cluster@net2",
    ]) {
        let written = merge(plugin, "", &wanted);
        assert_eq!(written, expected, "{}", plugin.name());
        assert_eq!(plugin.read(&written, "ns").unwrap(), wanted, "{}", plugin.name());
    }
}

#[test]
fn providers_by_name() {
    for (text, expected) in [
        ("", Some("none")),
        ("none", Some("none")),
        ("host", Some("host")),
        ("multus", Some("multus")),
        ("knitter", Some("knitter")),
        ("genie", Some("genie")),
        ("Multus", None),
        ("danm", None),
    ] {
        assert_eq!(Provider::named(text).map(Provider::name), expected, "{text}");
    }
    let mut names: Vec<&str> = ALL.iter().map(|plugin| plugin.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
    assert_ne!(Provider::named("genie"), Some(Provider::MULTUS));
}

#[test]
fn obstacles() {
    for (plugin, existing, added, because) in [
        (ALL[0], "", &["public", "other/cluster"] as &[&str], None),
        (ALL[0], "a", &["public@eth0"], None),
        (ALL[1], "", &[], None),
        (ALL[1], "", &["net@eth0", "public"], None),
        (
            ALL[1],
            "",
            &["public"],
            Some("Knitter attaches a pod to the networks in its annotation networks and to nothing else"),
        ),
        (ALL[1], r#"{"ports":[{"attach_to_network":"a"}]}"#, &["public"], None),
        (
            ALL[1],
            "",
            &["other/public"],
            Some("other/public cannot be attached by Knitter: Knitter names networks without"),
        ),
        (ALL[2], "", &["calico@eth0", "public", "cluster"], None),
        (ALL[2], "", &["public", "cluster"], Some("so the pod would lose the cluster's own network")),
        (ALL[2], "canal", &["public", "cluster"], None),
        (
            ALL[2],
            "canal,weave",
            &["public@eth1"],
            Some("would rename the interface eth1, which the pod has already, to eth2"),
        ),
    ] {
        let existing = plugin.read(existing, "ns").unwrap();
        let added: Vec<_> = added.iter().map(|text| selection(text)).collect();
        let obstacle = plugin.obstacle(&existing, &added.iter().collect::<Vec<_>>(), "ns");
        match because {
            None => assert_eq!(obstacle, None),
            Some(because) => {
                let obstacle = obstacle.unwrap();
                assert!(obstacle.contains(because), "{obstacle}");
            }
        }
    }
}

/// A list of `count` networks, as each meta-plugin reads it.
fn lists(count: usize) -> [String; 3] {
    [
        format!("[{}]", vec![r#"{"name":"a"}"#; count].join(",")),
        format!(r#"{{"ports":[{}]}}"#, vec![r#"{"attach_to_network":"a"}"#; count].join(",")),
        vec!["a"; count].join(","),
    ]
}

#[test]
fn what_kubernetes_would_not_store_is_not_looked_into() {
    let stored = 256 * 1024;
    for plugin in ALL {
        // Blank, which some refuse, but for another reason.
        let longest = " ".repeat(stored);
        assert!(!matches!(plugin.read(&longest, "ns"), Err(AnnotationError::TooLong { .. })), "{}", plugin.name());
        let too_long = longest + " ";
        let expected = AnnotationError::TooLong { bytes: stored + 1 };
        assert_eq!(plugin.read(&too_long, "ns"), Err(expected.clone()), "{}", plugin.name());
        assert_eq!(plugin.write(&too_long, "ns", &[&selection("b")]), Err(expected.clone()), "{}", plugin.name());
        assert_eq!(
            expected.to_string(),
            "it is 262145 bytes long, and Kubernetes refuses a pod with more than 262144 bytes of annotations"
        );
    }
    let default = multus::read_default_network(&"a".repeat(stored + 1), "ns");
    let expected = AnnotationError::TooLong { bytes: stored + 1 };
    assert_eq!(default, Err(multus::DefaultNetworkError::Unreadable(expected)));
}

#[test]
fn a_list_has_a_bounded_number_of_networks() {
    for (plugin, list) in ALL.into_iter().zip(lists(1_000)) {
        let standing = plugin.read(&list, "ns").unwrap();
        assert_eq!(standing.len(), 1_000, "{}", plugin.name());
        // One more could not be read again.
        assert_eq!(plugin.obstacle(&standing, &[], "ns"), None, "{}", plugin.name());
        let obstacle = plugin.obstacle(&standing, &[&selection("b@b")], "ns").unwrap();
        assert!(obstacle.contains("would list 1001 networks"), "{obstacle}");
    }
    let short = ALL[0].read(&vec!["a"; 1_001].join(","), "ns").unwrap_err();
    assert_eq!(short.to_string(), "it lists more than 1000 networks");
    for (plugin, list) in ALL.into_iter().zip(lists(1_001)) {
        let error = plugin.read(&list, "ns").unwrap_err().to_string();
        assert!(error.contains("more than 1000"), "{}: {error}", plugin.name());
    }
}

#[test]
fn the_fields_of_one_network_are_bounded() {
    let fields = r#","x":0"#.repeat(100);
    for (plugin, list) in [
        (ALL[0], format!(r#"[{{"name":"a"{fields}}}]"#)),
        (ALL[1], format!(r#"{{"ports":[{{"attach_to_network":"a"{fields}}}]}}"#)),
        (ALL[1], format!(r#"{{"ports":[{{"attach_to_network":"a"}}]{fields}}}"#)),
        (ALL[1], format!(r#"{{"ports":[{{"attach_to_network":"a","attributes":{{"nic_name":"b"{fields}}}}}]}}"#)),
    ] {
        let error = plugin.read(&list, "ns").unwrap_err().to_string();
        assert!(error.contains("more than 100 fields"), "{}: {error}", plugin.name());
    }
}

#[test]
fn only_beside_the_pod_network_is_its_interface_taken() {
    let asks = selection("a@eth0");
    for (plugin, with) in ALL.into_iter().zip([Some(ClashWith::PodNetwork), None, None]) {
        let with_whom: Vec<ClashWith> = plugin.clashes(&[&asks], None).into_iter().map(|clash| clash.with).collect();
        assert_eq!(with_whom, Vec::from_iter(with), "{}", plugin.name());
    }
}

#[test]
fn a_name_is_given_once() {
    for (list, default_network, expected) in [
        (&["a", "b"] as &[&str], None, &[] as &[(&str, usize, ClashWith)]),
        (&["a@x", "b@y", "c@x"], None, &[("x", 2, ClashWith::Earlier(0))]),
        // Multus counts what has no name by its place in the list.
        (&["a@net2", "b"], None, &[("net2", 1, ClashWith::Earlier(0))]),
        (&["a@x", "b@x", "c@x"], None, &[("x", 1, ClashWith::Earlier(0)), ("x", 2, ClashWith::Earlier(1))]),
        (&["a@x", "b@x", "c@eth0"], None, &[("eth0", 2, ClashWith::PodNetwork), ("x", 1, ClashWith::Earlier(0))]),
        (&["a@eth0"], Some("d"), &[("eth0", 0, ClashWith::PodNetwork)]),
        (&["a@eth0", "b@pod0"], Some("d@pod0"), &[("pod0", 1, ClashWith::PodNetwork)]),
    ] {
        let list: Vec<NetworkSelection> = list.iter().map(|text| selection(text)).collect();
        let default_network = default_network.map(selection);
        let clashes = ALL[0].clashes(&list.iter().collect::<Vec<_>>(), default_network.as_ref());
        let clashes: Vec<(&str, usize, ClashWith)> =
            clashes.iter().map(|clash| (clash.interface.as_str(), clash.index, clash.with)).collect();
        assert_eq!(clashes, expected, "{list:?}");
    }
}

fn selections() -> impl Strategy<Value = Vec<NetworkSelection>> {
    let interface = "[a-z][a-z0-9]{0,11}".prop_filter("every pod has it", |name| name != "lo");
    let item = ("[a-z][a-z0-9-]{0,14}[a-z0-9]", proptest::option::of(interface));
    let one = item.prop_map(|(name, interface)| {
        selection(&interface.map_or(name.clone(), |interface| format!("{name}@{interface}")))
    });
    proptest::collection::vec(one, 0..5)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_and_what_stood_there_stays(first in selections(), then in selections()) {
        for plugin in ALL {
            prop_assert!(first.iter().chain(&then).all(|wanted| plugin.unsupported(wanted, "ns").is_none()));
            let once = merge(plugin, "", &first);
            let twice = merge(plugin, &once, &then);
            let (before, after) = (plugin.read(&once, "ns").unwrap(), plugin.read(&twice, "ns").unwrap());
            prop_assert_eq!(&after[..before.len()], &before[..], "{} lost something", plugin.name());
            // Names that are asked for are kept; counted ones may be counted anew, which is an obstacle.
            if plugin.obstacle(&before, &after[before.len()..].iter().collect::<Vec<_>>(), "ns").is_none() {
                prop_assert_eq!(merge(plugin, &twice, &first), twice.clone());
                prop_assert_eq!(merge(plugin, &twice, &then), twice);
            }
        }
    }

    #[test]
    fn no_annotation_makes_a_reader_panic(value in "[\\[\\]{}\",:@/a-z0-9 ]{0,40}|.{0,40}") {
        for plugin in ALL {
            let written = plugin.write(&value, "ns", &[&selection("public@net1")]);
            prop_assert_eq!(written.is_ok(), plugin.read(&value, "ns").is_ok());
            if let Ok(written) = written {
                prop_assert!(plugin.read(&written, "ns").is_ok());
            }
        }
    }
}
