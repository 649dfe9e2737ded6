//! Every folder of `tests/lint`: a world in which a rule is broken (`found.yaml`), one beside it in which it is not (`mended.yaml`),
//! and everything that is found in either (`findings.txt`). Folders of `tests/lint/beside` are worlds that look as if a rule were
//! broken, and in which less is found than one might think.
//!
//! `BLESS=1 cargo test --test lint` writes the expected findings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use rook_multihome::lint::{Finding, Rule, TABLE, lint};
use serde_json::{Value, json};

/// Rules about changes, which a world alone cannot break: they are found where an object is written.
const ONLY_AT_ADMISSION: [Rule; 3] = [Rule::AttachmentInUse, Rule::AttachmentChanged, Rule::ProviderChange];

fn findings(folder: &Path, file: &str) -> Vec<Finding> {
    let snapshot = support::fixtures::snapshot(&folder.join(file), support::fixtures::settings(folder));
    let findings = lint(&snapshot);
    assert!(findings.is_sorted() && findings.windows(2).all(|pair| pair[0] != pair[1]), "{}", folder.display());
    findings
}

/// The findings of a file, one a line, each with the objects that have a part in it below.
fn in_lines(file: &str, findings: &[Finding]) -> String {
    let mut text = format!("# {file}\n");
    for finding in findings {
        text.push_str(&format!("{} {finding}\n", finding.rule.severity()));
        for other in &finding.with {
            text.push_str(&format!("    with {other}\n"));
        }
    }
    text
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn each_rule_is_found_where_it_is_broken_and_not_beside_it() {
    for folder in support::folders(&support::project().join("tests/lint")) {
        let name = name_of(&folder);
        if name == "beside" {
            continue;
        }
        let (found, mended) = (findings(&folder, "found.yaml"), findings(&folder, "mended.yaml"));
        let text = in_lines("found.yaml", &found) + &in_lines("mended.yaml", &mended);
        support::expect_file(&folder.join("findings.txt"), &text);
        let is_there = |findings: &[Finding]| findings.iter().any(|finding| finding.rule.id() == name);
        assert!(is_there(&found), "{name} is not found in its own world: {found:#?}");
        assert!(!is_there(&mended), "{name} is found where it is mended: {mended:#?}");
    }
}

#[test]
fn no_more_is_found_than_there_is() {
    for folder in support::folders(&support::project().join("tests/lint/beside")) {
        let text = in_lines("found.yaml", &findings(&folder, "found.yaml"));
        support::expect_file(&folder.join("findings.txt"), &text);
    }
}

#[test]
fn every_rule_has_a_world() {
    let folders: BTreeSet<String> =
        support::folders(&support::project().join("tests/lint")).iter().map(|folder| name_of(folder)).collect();
    let wanted = TABLE.iter().filter(|entry| !ONLY_AT_ADMISSION.contains(&entry.rule)).map(|entry| entry.id.to_owned());
    let wanted: BTreeSet<String> = wanted.chain(["beside".to_owned()]).collect();
    assert_eq!(folders, wanted, "folders on the left, rules on the right");
}

/// What people read: a clause that says what is wrong and one that says what to do, both without the end of a sentence, of a field
/// that is a path.
#[test]
fn every_finding_is_a_sentence() {
    let root = support::project().join("tests/lint");
    for folder in support::folders(&root).into_iter().chain(support::folders(&root.join("beside"))) {
        if !folder.join("found.yaml").exists() {
            continue;
        }
        for Finding { subject, field, rule, fault, mend, with } in findings(&folder, "found.yaml") {
            for clause in [&fault, &mend] {
                assert!(!clause.is_empty() && !clause.ends_with(['.', ';', ',', ' ']), "{rule}: {clause:?}");
                assert!(!clause.contains("  ") && !clause.contains('\n'), "{rule}: {clause:?}");
            }
            assert!(field.starts_with("spec") || field.starts_with("metadata."), "{rule}: {field:?}");
            assert!(!with.contains(&subject), "{rule}: nothing has a part in itself");
        }
    }
}

/// The rules that are broken in a world of one Cassandra cluster of three members, one network of it and one definition.
fn rules_of(config: &str, selector: &str) -> Vec<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    let object = |api: &str, kind: &str, name: &str, spec: Value| json!({"apiVersion": api, "kind": kind, "metadata": {"namespace": "db", "name": name}, "spec": spec});
    let cluster = json!({"group": "cassandra.rook.io", "kind": "Cluster", "name": "c"});
    let network = json!({"clusterRef": cluster, "provider": "multus", "interfaces": {"client": selector}});
    let objects = [
        object("cassandra.rook.io/v1alpha1", "Cluster", "c", json!({"datacenter": {"racks": [{"members": 3}]}})),
        object("multihome.rook.io/v1alpha1", "StorageNetwork", "sn", network),
        object("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", "nad", json!({"config": config})),
    ];
    let text = objects.map(|object| object.to_string()).join("\n---\n");
    std::fs::write(folder.path().join("world.yaml"), text).unwrap();
    findings(folder.path(), "world.yaml").iter().map(|finding| finding.rule.id()).collect()
}

/// What Multus and libcni make of configurations, as rules (multus-cni `LoadDelegateNetConf`, containernetworking/cni).
#[test]
fn configurations() {
    for (config, rules) in [
        ("", &[] as &[&str]),
        ("{}", &["config-unreadable"]),
        (r#"{"type":""}"#, &["config-unreadable"]),
        (r#"{"plugins":null}"#, &["config-unreadable"]),
        ("null", &["config-unreadable"]),
        ("[]", &["config-unreadable"]),
        ("x", &["config-unreadable"]),
        (r#"{"type":"own"} x"#, &["config-unreadable"]),
        (r#"{"type":"own",}"#, &["config-unreadable"]),
        (r#"{"type":1}"#, &["config-unreadable"]),
        (r#"{"type":"own","name":1}"#, &["config-unreadable"]),
        (r#"{"Type":"own"}"#, &[]),
        (r#"{"type":"own","cniVersion":"bogus"}"#, &["plugin-refuses"]),
        (r#"{"type":"own","name":"a b"}"#, &["plugin-refuses"]),
        (r#"{"type":"macvlan","master":"eth1","ipam":{}}"#, &["no-addresses"]),
        (r#"{"type":"macvlan","master":"eth1","ipam":null}"#, &["no-addresses"]),
        (r#"{"type":"own","ipam":[]}"#, &["config-unreadable"]),
        (r#"{"type":"own","ipam":"dhcp"}"#, &["config-unreadable"]),
        (r#"{"type":"own","ipam":{"type":1}}"#, &["config-unreadable"]),
        (r#"{"type":"own","capabilities":{"ips":"true"}}"#, &["config-unreadable"]),
        (r#"{"type":"own","capabilities":["ips"]}"#, &["config-unreadable"]),
        (r#"{"plugins":[{"type":"own"}]}"#, &[]),
        (r#"{"plugins":[]}"#, &["config-unreadable"]),
        (r#"{"plugins":[null]}"#, &["config-unreadable"]),
        (r#"{"plugins":{}}"#, &["config-unreadable"]),
        (r#"{"plugins":["macvlan"]}"#, &["config-unreadable"]),
        (r#"{"plugins":[{"type":"own"},{"mtu":9000}]}"#, &["plugin-refuses"]),
        (r#"{"type":"own","plugins":[{"type":"other"}]}"#, &["plugin-surprises"]),
        (
            r#"{"plugins":[{"type":"macvlan","master":"eth1"}],"ipam":{"type":"whereabouts","range":"10.1.1.0/24"}}"#,
            &["plugin-surprises", "no-addresses"],
        ),
        (
            r#"{"type":"macvlan","master":"eth1","ipam":{"type":"whereabouts","range":"10.1.1.0/24","routes":[{"dst":"10.2.0.0/16","gw":"10.3.0.1"}]}}"#,
            &["addresses-refused"],
        ),
        // One share of two addresses, and three members.
        (
            r#"{"type":"macvlan","master":"eth1","ipam":{"type":"whereabouts","range":"10.1.1.0/30","node_slice_size":"/30"}}"#,
            &["range-too-small"],
        ),
        (
            r#"{"type":"macvlan","master":"eth1","ipam":{"type":"whereabouts","range":"10.1.1.0/29","node_slice_size":"/30"}}"#,
            &[],
        ),
    ] {
        assert_eq!(rules_of(config, "nad"), rules, "{config}");
    }
}

/// What comes of asking for addresses, by who hands them out.
#[test]
fn requests_for_addresses() {
    let (bare, cidr) = (r#"["10.1.1.5"]"#, r#"["10.1.1.5/24"]"#);
    let two = r#"["10.1.1.5/24","fd00::5/64"]"#;
    let of_static = r#""ipam":{"type":"static"}"#;
    let filled = r#""ipam":{"type":"static","addresses":[{"address":"10.1.1.9/24"}]}"#;
    let host_local = r#""ipam":{"type":"host-local","subnet":"10.1.1.0/24"}"#;
    let whereabouts = r#""ipam":{"type":"whereabouts","range":"10.1.1.0/24"}"#;
    let allowed = r#""capabilities":{"ips":true}"#;
    for (plugin, ips, rules) in [
        (format!("{of_static},{allowed}"), cidr, &["address-for-all"] as &[&str]),
        (format!("{of_static},{allowed}"), two, &["address-for-all"]),
        (of_static.to_owned(), cidr, &["address-for-all"]),
        (of_static.to_owned(), bare, &["addresses-refused"]),
        (format!("{of_static},{allowed}"), bare, &["addresses-refused"]),
        (filled.to_owned(), cidr, &["static-addresses", "capability-missing", "address-for-all"]),
        (format!("{filled},{allowed}"), cidr, &["static-addresses", "address-for-all"]),
        (host_local.to_owned(), bare, &["addresses-per-node", "address-for-all"]),
        (host_local.to_owned(), two, &["addresses-per-node", "addresses-refused"]),
        (format!("{host_local},{allowed}"), two, &["addresses-per-node", "addresses-refused"]),
        (whereabouts.to_owned(), bare, &["addresses-refused"]),
        (whereabouts.to_owned(), cidr, &["capability-missing", "address-for-all"]),
        (r#""ipam":{"type":"dhcp"}"#.to_owned(), cidr, &["dhcp-addresses", "capability-missing"]),
        (r#""ipam":{"type":"own"}"#.to_owned(), cidr, &[]),
    ] {
        let config = format!(r#"{{"cniVersion":"0.3.1","type":"macvlan","master":"eth1",{plugin}}}"#);
        let selector = format!(r#"{{"name":"nad","ips":{ips}}}"#);
        assert_eq!(rules_of(&config, &selector), rules, "{plugin} {ips}");
    }
    let ovn = r#"{"type":"ovn-k8s-cni-overlay","topology":"layer2","netAttachDefName":"db/nad""#;
    let selector = format!(r#"{{"name":"nad","ips":{cidr}}}"#);
    assert_eq!(rules_of(&format!("{ovn}}}"), &selector), ["address-for-all"]);
    assert_eq!(rules_of(&format!(r#"{ovn},"subnets":"10.1.1.0/24"}}"#), &selector), ["addresses-refused"]);
    let mac = r#"{"name":"nad","mac":"02:00:00:00:00:01"}"#;
    assert_eq!(rules_of(&format!(r#"{{"type":"macvlan","master":"eth1",{whereabouts}}}"#), mac), ["address-for-all"]);
    assert_eq!(rules_of(&format!(r#"{{"type":"ipvlan","master":"eth1",{whereabouts}}}"#), mac), ["capability-missing"]);
}
