//! Attachment definitions: above all those that storage uses.

use std::sync::Arc;

use rook_multihome::lint::{Finding, Judgement, Rule};
use rook_multihome::storage::Catalogue;
use rook_multihome::world::{Checks, Deny, InUse, Mode, Settings, Severity};
use serde_json::{Value, json};

use super::{
    changed, configured, created, deleted, denying, is_silent, macvlan, public, rules, sound, updated, world, world_of,
};

fn protecting(in_use: InUse) -> Settings {
    Settings { checks: Checks { in_use, ..Checks::default() }, ..Settings::default() }
}

/// A definition whose attachments need a device of this resource.
fn of_resource(mut definition: Value, resource: &str) -> Value {
    definition["metadata"]["annotations"] = json!({"k8s.v1.cni.cncf.io/resourceName": resource});
    definition
}

/// `public` with another configuration.
#[allow(clippy::needless_pass_by_value)] // it reads better where it is used
fn with(pointer: &str, value: Value) -> Value {
    let config: Value = serde_json::from_str(public()["spec"]["config"].as_str().unwrap()).unwrap();
    configured("public", &changed(&config, pointer, value))
}

#[test]
fn a_definition_in_use_is_kept_where_that_is_asked_for() {
    for in_use in InUse::ALL {
        // It has a setting of its own: whoever refuses errors may still want to delete.
        for deny in [Deny::Never, Deny::From(Severity::Advice)] {
            let settings = Settings { checks: Checks { in_use, deny, ..Checks::default() }, ..Settings::default() };
            let judgement = deleted(&world(settings.clone(), &[public(), sound()]), &public());
            let said = "NetworkAttachmentDefinition rook-ceph/public: it is used by CephCluster rook-ceph/my-cluster (public), whose pods cannot start again without it; take it out of use first: let them name another network, and wait until their pods have restarted (attachment-in-use)";
            match in_use {
                InUse::Warn => assert_eq!(judgement.warnings(), [format!("rook-multihome: {said}")]),
                InUse::Deny => {
                    assert_eq!(judgement.refusal().unwrap(), format!("rook-multihome refuses this: {said}"));
                }
            }
            assert_eq!(judgement.is_refused(), in_use == InUse::Deny);
            assert!(is_silent(&deleted(&world(settings, &[public()]), &public())), "nobody uses it");
        }
    }
    let audited = Settings { mode: Mode::Audit, ..protecting(InUse::Deny) };
    let judgement = deleted(&world(audited, &[public(), sound()]), &public());
    assert!(!judgement.is_refused() && judgement.warnings()[0].contains("would have refused this"));
    let off = Settings { mode: Mode::Off, ..protecting(InUse::Deny) };
    assert!(is_silent(&deleted(&world(off, &[public(), sound()]), &public())));
}

#[test]
fn a_definition_that_a_storage_network_uses_is_in_use() {
    let network = json!({
        "apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork",
        "metadata": {"name": "tenant", "namespace": "rook-ceph"},
        "spec": {"podSelector": {}, "provider": "multus", "defaultNetwork": "public"},
    });
    let judgement = deleted(&world(protecting(InUse::Deny), &[public(), network]), &public());
    assert!(judgement.refusal().unwrap().contains("used by StorageNetwork rook-ceph/tenant (defaultNetwork)"));
}

#[test]
fn a_change_of_a_definition_in_use_is_said() {
    let unreadable = changed(&public(), "/spec/config", json!("{"));
    let failing = with("/ipam/range", json!("192.168.0.0/99"));
    let broken: &[&str] = &["attachment-in-use"];
    let elsewhere: &[&str] = &["attachment-changed"];
    let ipam = json!({"type": "whereabouts", "range": "192.168.0.0/18", "routes": [{"dst": "192.168.252.0/22"}]});
    let bare = configured("public", &json!({"cniVersion": "0.3.1", "type": "sriov", "ipam": ipam}));
    let sriov = of_resource(bare.clone(), "vendor.com/nic");
    for (old, new, expected, words) in [
        (public(), unreadable.clone(), broken, "no pod can be attached to it any more"),
        (public(), failing.clone(), broken, "no pod can be attached to it any more"),
        (public(), with("/master", json!("eth9")), elsewhere, "the master changes"),
        (public(), with("/type", json!("bridge")), elsewhere, "the plugin changes"),
        (public(), with("/ipam/range", json!("192.168.0.0/17")), elsewhere, "the range of addresses changes"),
        // It stands beside the spec, and every attachment depends on it.
        (
            sriov.clone(),
            of_resource(bare.clone(), "vendor.com/other"),
            elsewhere,
            "the resource of its devices changes",
        ),
        (sriov.clone(), bare.clone(), broken, "metadata.annotations[k8s.v1.cni.cncf.io/resourceName]: it is used by"),
        (bare, sriov, elsewhere, "the resource of its devices changes"),
        (public(), changed(&public(), "/metadata/annotations", json!({"note": "ours"})), &[], ""),
        (public(), with("/ipam/exclude", json!(["192.168.0.0/24"])), &[], ""),
        (public(), with("/name", json!("other")), &[], ""),
        // It did not work before either.
        (unreadable.clone(), changed(&unreadable, "/spec/config", json!("{{")), &[], ""),
        (failing, unreadable.clone(), &[], ""),
        (unreadable, public(), &[], ""),
    ] {
        for in_use in InUse::ALL {
            let snapshot = world(protecting(in_use), &[old.clone(), sound()]);
            let judgement = updated(&snapshot, &old, &new);
            let of_the_change: Vec<String> = rules(&judgement)
                .into_iter()
                .filter(|rule| rule.contains("attachment-in-use") || rule.contains("attachment-changed"))
                .collect();
            let is_refused = in_use == InUse::Deny && expected == broken;
            let expected: Vec<String> =
                expected.iter().map(|rule| if is_refused { format!("!{rule}") } else { (*rule).to_owned() }).collect();
            assert_eq!(of_the_change, expected, "{old} {new}");
            assert_eq!(judgement.is_refused(), is_refused);
            let said = [judgement.warnings(), judgement.refusal().into_iter().collect()].concat().join("\n");
            assert!(said.contains(words), "{said}");
            let unused = world(protecting(in_use), std::slice::from_ref(&old));
            let judgement = updated(&unused, &old, &new);
            assert!(!rules(&judgement).iter().any(|rule| rule.contains("attachment-")), "nobody uses it");
        }
    }
}

#[test]
fn a_network_elsewhere_is_never_refused() {
    let snapshot = world(denying(Deny::From(Severity::Warning)), &[public(), sound()]);
    let judgement = updated(&snapshot, &public(), &with("/master", json!("eth9")));
    assert_eq!(rules(&judgement), ["attachment-changed"]);
}

#[test]
fn a_definition_that_nothing_can_be_attached_with_is_refused_as_an_error() {
    let bad = changed(&public(), "/spec/config", json!("{\"type\": \"macvlan\", \"master\": }"));
    let judgement = created(&world(Settings::default(), &[]), &bad);
    assert_eq!(rules(&judgement), ["config-unreadable"]);
    assert!(created(&world(denying(Deny::From(Severity::Error)), &[]), &bad).is_refused());
    let snapshot = world(denying(Deny::From(Severity::Error)), &[bad.clone(), sound()]);
    let mended = updated(&snapshot, &bad, &public());
    assert!(is_silent(&mended), "{:?}", mended.warnings());
}

/// Behind a fault that kept the rest from being looked at, others may have been.
#[test]
fn what_comes_to_light_with_a_mend_is_said_and_never_refused() {
    let foreign = configured("public", &macvlan(json!({"type": "host-local", "range": "10.0.0.0/24"})));
    let text = foreign["spec"]["config"].as_str().unwrap().replace("\"eth1\"", "\"eth1\",");
    let unreadable = changed(&foreign, "/spec/config", json!(text.replace("}}", "},}")));
    let failing = with("/ipam/range", json!("192.168.0.0/99"));
    for old in [unreadable, failing] {
        let snapshot = world(denying(Deny::From(Severity::Error)), std::slice::from_ref(&old));
        let judgement = updated(&snapshot, &old, &foreign);
        assert_eq!(rules(&judgement), ["addresses-refused"]);
        assert!(updated(&snapshot, &public(), &foreign).is_refused());
    }
}

/// Definition and cluster cannot change at one time: the definition is the first, and the cluster follows it.
#[test]
fn a_range_that_a_cluster_declares_can_be_moved() {
    let deny = denying(Deny::From(Severity::Error));
    let moved = with("/ipam/range", json!("192.168.64.0/18"));
    let judgement = updated(&world(deny.clone(), &[public(), sound()]), &public(), &moved);
    assert_eq!(rules(&judgement), ["ranges-contradict", "attachment-changed"]);
    let followed = changed(&sound(), "/spec/network/addressRanges/public", json!(["192.168.64.0/18"]));
    let snapshot = world(deny, &[moved, sound()]);
    assert!(is_silent(&updated(&snapshot, &sound(), &followed)));
    assert_eq!(rules(&updated(&snapshot, &followed, &sound())), ["!ranges-contradict"]);
}

/// Half a mend is one: of several others that something is wrong with, fewer are left.
#[test]
fn fewer_overlaps_than_before_are_no_reason() {
    let [wide, narrow] = [json!("192.168.0.0/18"), json!("192.168.0.0/20")];
    let own = |range| with("/ipam", json!({"type": "host-local", "subnet": range, "name": "own"}));
    let other = |name, range| configured(name, &macvlan(json!({"type": "host-local", "subnet": range})));
    let others = [other("y", "192.168.32.0/24"), other("z", "192.168.1.0/24")];
    let (old, new) = (own(wide), own(narrow));
    let snapshot = world(denying(Deny::From(Severity::Warning)), &[&others[..], &[old.clone(), sound()]].concat());
    let overlap = |judgement: &rook_multihome::lint::Judgement| {
        let all = rules(judgement);
        all.into_iter().find(|rule| rule.ends_with("ranges-overlap"))
    };
    assert_eq!(overlap(&updated(&snapshot, &old, &new)).as_deref(), Some("ranges-overlap"));
    assert_eq!(overlap(&updated(&snapshot, &new, &old)).as_deref(), Some("!ranges-overlap"));
}

/// A network of virtual machines is nobody's business here, as long as something can be attached to it.
#[test]
fn what_no_storage_uses_is_judged_by_what_nothing_could_be_attached_with() {
    let deny = denying(Deny::From(Severity::Warning));
    let odd = with("/ipam/range", json!("192.168.0.1/18"));
    assert!(is_silent(&created(&world(deny.clone(), &[]), &odd)));
    assert_eq!(rules(&created(&world(deny.clone(), &[sound()]), &odd)), ["!host-bits"]);
    assert_eq!(rules(&created(&world(deny, &[]), &with("/ipam/range", json!("x")))), ["!addresses-refused"]);
}

/// What is said to be done is done, and then nothing is left to do.
#[test]
fn a_network_of_ovn_kubernetes_gets_its_addresses_by_subnets() {
    let ovn = |more: Value| {
        let mut config = json!({"cniVersion": "0.3.1", "type": "ovn-k8s-cni-overlay", "name": "one", "topology": "localnet", "netAttachDefName": "rook-ceph/public"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        configured("public", &config)
    };
    let snapshot = world(Settings::default(), &[sound()]);
    let said = created(&snapshot, &ovn(json!({}))).warnings().join("\n");
    assert!(said.contains("it gives pods no address") && said.contains("; give subnets, beside topology"), "{said}");
    assert!(is_silent(&created(&snapshot, &ovn(json!({"subnets": "192.168.0.0/18"})))));
}

#[test]
fn a_definition_of_ovn_kubernetes_leads_elsewhere_by_its_name_and_topology() {
    let ovn = |name: &str, topology: &str| {
        let config = json!({
            "cniVersion": "0.3.1", "type": "ovn-k8s-cni-overlay", "name": name, "topology": topology,
            "netAttachDefName": "rook-ceph/public", "subnets": "192.168.0.0/18",
        });
        configured("public", &config)
    };
    let old = ovn("one", "layer2");
    let snapshot = world(Settings::default(), &[old.clone(), sound()]);
    for (new, words) in
        [(ovn("other", "layer2"), "the name of the network changes"), (ovn("one", "localnet"), "the topology changes")]
    {
        let said = updated(&snapshot, &old, &new).warnings().join("\n");
        assert!(said.contains(words) && said.contains("(attachment-changed)"), "{said}");
    }
}

#[test]
fn what_a_definition_does_to_its_users_is_said_of_it() {
    let nothing = configured("public", &macvlan(json!({})));
    let snapshot = world(Settings::default(), &[sound()]);
    let judgement = created(&snapshot, &nothing);
    assert_eq!(rules(&judgement), ["no-addresses"]);
    assert!(
        is_silent(&created(&world(Settings::default(), &[]), &nothing)),
        "others may want a network without addresses"
    );
}

#[test]
fn clusters_of_one_kind_and_name_in_two_groups_are_two_users() {
    let groups = ["a.example", "b.example"];
    let files = groups.map(|group| {
        let system = json!({
            "system": group.replace('.', "-"),
            "clusters": [{
                "resource": {"group": group, "versions": ["v1"], "kind": "Cluster", "plural": "clusters"}, "network": "spec.network",
            }],
            "owners": ["StatefulSet"],
            "keys": [{"name": "data", "about": "everything"}],
            "roles": [{"name": "server", "match": [{"app": group}], "networks": ["data"]}],
        });
        (group, system.to_string())
    });
    let catalogue = Catalogue::read(files.iter().map(|(group, text)| (*group, text.as_str()))).unwrap();
    let clusters = groups.map(|group| {
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "Cluster", "metadata": {"name": "one", "namespace": "elsewhere"},
            "spec": {"network": {"provider": "multus", "selectors": {"data": "rook-ceph/public"}}},
        })
    });
    let [first, second] = clusters;
    let world = world_of(&Arc::new(catalogue), Settings::default(), &[public(), first, second]);
    let about = |judgement: Judgement, rule: Rule| -> Vec<Finding> {
        let findings = judgement.findings.into_iter().map(|judged| judged.finding);
        findings.filter(|finding| finding.rule == rule).collect()
    };
    let [in_use] = &about(deleted(&world, &public()), Rule::AttachmentInUse)[..] else { panic!("it is in use, once") };
    let users: Vec<&str> = in_use.with.iter().map(|user| user.group.as_str()).collect();
    assert_eq!(users, groups);
    assert!(in_use.fault.contains("Cluster elsewhere/one (data) and Cluster elsewhere/one (data)"), "{}", in_use.fault);
    // What each of them does is said of each.
    let found = about(created(&world, &public()), Rule::AttachmentElsewhere);
    let subjects: Vec<&str> = found.iter().map(|finding| finding.subject.group.as_str()).collect();
    assert_eq!(subjects, groups);
}
