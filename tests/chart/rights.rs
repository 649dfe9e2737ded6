//! What the service account may do: what the program does with these values, and no more.

use std::collections::BTreeSet;

use rook_multihome::storage::{BUILT_IN, Catalogue, Resource};
use rook_multihome::world::ObjectKind;
use serde_json::json;

use crate::NAMESPACE;
use crate::rendered::{Feature, Objects, list, text, texts};
use crate::systems::{catalogue, chosen};

/// What the service account may do, one line for each verb.
fn rights(objects: &Objects) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for kind in ["ClusterRole", "Role"] {
        for role in objects.of(kind) {
            let bindings = objects.of(&format!("{kind}Binding"));
            let bound: Vec<_> =
                bindings.iter().filter(|one| one["roleRef"]["name"] == role["metadata"]["name"]).collect();
            assert_eq!(bound.len(), 1, "{kind} {} is bound once", role["metadata"]["name"]);
            assert_eq!(bound[0]["roleRef"]["kind"], kind);
            let account = &objects.only("ServiceAccount")["metadata"]["name"];
            assert_eq!(
                bound[0]["subjects"],
                json!([{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}])
            );
            for rule in list(&role["rules"]) {
                let groups = texts(&rule["apiGroups"]);
                assert_eq!(groups.len(), 1, "each group has its own resources: {rule}");
                let names = rule.get("resourceNames").map_or(vec!["*"], texts);
                for resource in texts(&rule["resources"]) {
                    let resource = full_name(resource, groups[0]);
                    for (verb, name) in
                        texts(&rule["verbs"]).iter().flat_map(|verb| names.iter().map(move |name| (verb, name)))
                    {
                        let is_new = rights.insert(format!("{kind}: {verb} {resource} {name}"));
                        assert!(is_new, "{verb} {resource} {name} is granted twice");
                    }
                }
            }
        }
    }
    rights
}

fn full_name(resource: &str, group: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// The rights to watch what can be needed with a catalogue.
fn watches(catalogue: &Catalogue, nodes: bool) -> BTreeSet<String> {
    let mut resources: Vec<Resource> = ObjectKind::always(catalogue).iter().map(ObjectKind::resource).collect();
    let owners = catalogue.systems().iter().flat_map(|system| &system.owners);
    resources.extend(owners.map(|kind| kind.resource()));
    resources.extend(nodes.then(|| ObjectKind::Node.resource()));
    let grant =
        |resource: Resource| ["list", "watch"].map(|verb| format!("ClusterRole: {verb} {} *", resource.full_name()));
    resources.into_iter().flat_map(grant).collect()
}

#[test]
fn rights_are_the_least() {
    for feature in Feature::all() {
        let objects = feature.render();
        let mut expected = watches(&catalogue(&feature), feature.values()["watchNodes"] != false);
        let mut expect = |right: &str| assert!(expected.insert(right.to_owned()), "{right}");
        expect("ClusterRole: patch storagenetworks/status.multihome.rook.io *");
        for verb in ["get", "update"] {
            expect(&format!("Role: {verb} leases.coordination.k8s.io rook-multihome-status"));
        }
        expect("Role: create leases.coordination.k8s.io *");
        expect("ClusterRole: get storagenetworks.multihome.rook.io *");
        if feature.is_self_managed() {
            for verb in ["get", "list", "watch", "patch"] {
                expect(&format!(
                    "ClusterRole: {verb} mutatingwebhookconfigurations.admissionregistration.k8s.io rook-multihome"
                ));
                if feature.values()["validation"]["enabled"] != false {
                    expect(&format!(
                        "ClusterRole: {verb} validatingwebhookconfigurations.admissionregistration.k8s.io rook-multihome"
                    ));
                }
            }
            for verb in ["get", "list", "watch", "update"] {
                expect(&format!("Role: {verb} secrets rook-multihome-ca"));
            }
            expect("Role: create secrets *");
        }
        assert_eq!(rights(&objects), expected, "{}", feature.name);
        let systems = format!("--systems={}", chosen(&feature).join(","));
        assert!(objects.arguments().contains(&systems.as_str()), "{}: the program goes by the same", feature.name);
    }
}

/// Each system brings its own resources, and no others.
#[test]
fn a_system_that_is_left_out_cannot_be_read() {
    for (name, text) in BUILT_IN {
        let objects = Feature::named("minimal").render_with(&["--set", &format!("builtInSystems={{{name}}}")]);
        let alone = Catalogue::read([(name, text)]).unwrap();
        let found: BTreeSet<String> =
            rights(&objects).into_iter().filter(|right| right.starts_with("ClusterRole: list ")).collect();
        let mut expected = watches(&alone, true);
        expected.retain(|right| right.starts_with("ClusterRole: list "));
        expected.extend(["mutating", "validating"].map(|kind| {
            format!("ClusterRole: list {kind}webhookconfigurations.admissionregistration.k8s.io rook-multihome")
        }));
        assert_eq!(found, expected, "{name}");
    }
    let ceph = rights(&Feature::named("ceph-only").render());
    assert!(
        !ceph.iter().any(|right| right.contains(".apps ") || right.contains(".batch ") || right.contains(" nodes "))
    );
    let own = rights(&Feature::named("own-system").render());
    for resource in ["garageclusters.garage.example.com", "garagenodepools.garage.example.com", "jobs.batch"] {
        assert!(own.contains(&format!("ClusterRole: watch {resource} *")), "{resource}: {own:?}");
    }
    assert!(!own.iter().any(|right| right.contains("deployments")), "{own:?}");
}

#[test]
fn what_is_read_is_of_no_secret() {
    for feature in Feature::all() {
        for role in feature.render().of("ClusterRole") {
            let resources = list(&role["rules"]).iter().flat_map(|rule| texts(&rule["resources"]));
            assert!(
                resources.clone().all(|resource| !["secrets", "configmaps", "pods", "*"].contains(&resource)),
                "{}: {}",
                feature.name,
                text(&role["metadata"]["name"])
            );
        }
    }
}
