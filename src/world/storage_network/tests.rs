//! What is read of a StorageNetwork, and everything that is refused, as tables.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use serde_json::json;

use super::*;

fn read(spec: &Value) -> StorageNetwork {
    let catalogue = Catalogue::built_in().unwrap();
    let id = ObjectName { namespace: "ns".to_owned(), name: "sn".to_owned() };
    let object =
        json!({"metadata": {"name": "sn", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec});
    StorageNetwork::read(&id, &object, &catalogue)
}

fn cassandra() -> Value {
    json!({"group": "cassandra.rook.io", "kind": "Cluster", "name": "c"})
}

#[test]
fn what_is_declared_is_read() {
    let network = read(&json!({
        "clusterRef": cassandra(),
        "interfaces": {"client": "client-net", "replication": "storage/replication-net@repl0", "backup": "backup-net"},
        "roles": [
            {"name": "member", "interfaces": ["replication", "client"]},
            {"name": "reaper", "provider": "host"},
            {"name": "backup", "podSelector": {"matchLabels": {"app": "backup"}}, "interfaces": ["backup"]},
        ],
        "nodeInterfaces": [{"nodeSelector": {"matchLabels": {"rack": "1"}}, "interfaces": {"replication": "rack1"}}],
        "defaultNetwork": "storage/pod-net",
        "mode": "audit",
        "allowedNamespaces": ["a", "b"],
    }));
    assert_eq!((network.generation, &*network.created), (3, "2026-01-01T00:00:00Z"));
    assert_eq!(network.mode, Some(Mode::Audit));
    assert!(network.allowed.contains("a") && !network.allowed.contains("c"));
    let declared = network.declared.unwrap();
    assert_eq!(declared.spec.provider, Provider::MULTUS);
    let selected: Vec<String> =
        declared.spec.selections.iter().map(|(key, network)| format!("{key}={}", network.attachment)).collect();
    assert_eq!(selected, ["backup=ns/backup-net", "client=ns/client-net", "replication=storage/replication-net"]);
    let order: Vec<&str> = declared.roles[0].networks.iter().flatten().map(NetworkKey::as_str).collect();
    assert_eq!(order, ["replication", "client"]);
    assert_eq!(declared.roles[1].provider, Some(Provider::Host));
    assert!(declared.roles[1].networks.is_none());
    assert_eq!(declared.node_interfaces.len(), 1);
    assert_eq!(declared.default_network.unwrap().attachment.to_string(), "storage/pod-net");
}

#[test]
fn everything_that_is_wrong_is_said_with_its_field_and_mend() {
    for (spec, said) in [
        (json!({}), "spec: nothing says which pods are meant; add clusterRef, or podSelector"),
        (json!({"clusterRef": cassandra(), "podSelector": {}, "interfaces": {"client": "n"}}), "keep one of the two"),
        (
            json!({"clusterRef": cassandra(), "system": "custom", "interfaces": {"client": "n"}}),
            "spec.system: it goes with podSelector",
        ),
        (
            json!({"clusterRef": {"group": "x.io", "kind": "Db", "name": "d"}, "interfaces": {"client": "n"}}),
            "spec.clusterRef: no storage system has clusters of the kind Db of x.io",
        ),
        (json!({"clusterRef": cassandra()}), "provider multus needs a network to attach"),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": ""}}),
            "spec.interfaces.client: it selects nothing",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": "a/b/c"}}),
            "spec.interfaces.client: the selector \"a/b/c\" is invalid",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": "a@x", "replication": "b@x"}}),
            "it asks for the interface \"x\", and so does \"client\"",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"clients": "a"}}),
            "cassandra has no key clients, and no role here asks for it; write one of client, replication",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": "a"}, "roles": [{"name": "membr"}]}),
            "spec.roles[0]: cassandra has no role membr; mend the name, or give the role a podSelector",
        ),
        (
            json!({"podSelector": {}, "interfaces": {"client": "a"}, "roles": [{"name": "x"}]}),
            "nothing says which pods have the role x",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": "a"}, "roles": [{"name": "member"}, {"name": "member"}]}),
            "spec.roles[1].name: the role member is given twice",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": "a"}, "roles": [{"name": "member", "interfaces": ["x"]}]}),
            "spec.roles[0].interfaces: nothing is declared for the key x; add spec.interfaces.x",
        ),
        (
            json!({"clusterRef": cassandra(), "interfaces": {"client": "a"}, "roles": [{"name": "member", "interfaces": ["client", "client"]}]}),
            "the key client is given twice",
        ),
        (
            json!({"clusterRef": {"group": "ceph.rook.io", "kind": "CephCluster", "name": "c"}, "interfaces": {"public": "a"}, "roles": [{"name": "operator", "interfaces": ["public"]}]}),
            "pods of the role operator are never touched",
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}, "interfaces": {"x": "a"}}),
            "spec.podSelector: ",
        ),
        (
            json!({"podSelector": {}, "interfaces": {"x": "a"}, "allowedNamespaces": ["b"]}),
            "spec.allowedNamespaces: it goes with clusterRef; only clusters have clients in other namespaces; remove it",
        ),
        (
            json!({"podSelector": {}, "provider": "host", "defaultNetwork": "a"}),
            "provider host cannot replace the default network",
        ),
        (
            json!({"podSelector": {}, "provider": "genie", "interfaces": {"x": "a"}, "defaultNetwork": "a"}),
            "provider genie cannot replace",
        ),
        (json!({"podSelector": {}, "colour": "red"}), "spec.colour: unknown field `colour`"),
        (json!({"podSelector": {}, "provider": "bridge"}), "spec.provider: unknown variant `bridge`"),
    ] {
        let problems: Vec<String> = read(&spec).declared.unwrap_err().iter().map(ToString::to_string).collect();
        assert!(problems.join("\n").contains(said), "{spec}: {problems:?}");
    }
}

#[test]
fn what_is_invalid_is_still_about_its_pods_and_allows_whom_it_names() {
    let target = |network: &StorageNetwork| match &network.target {
        Some(Target::Cluster(cluster)) => cluster.to_string(),
        Some(Target::Pods(selector)) => selector.to_string(),
        None => String::new(),
    };
    let all = Selector::default().to_string();
    let all = all.as_str();
    let broken = json!({"matchExpressions": [{"key": "a", "operator": "In"}]});
    for (mut spec, meant) in [
        (json!({"clusterRef": cassandra(), "colour": "red"}), "Cluster c"),
        (json!({"clusterRef": cassandra(), "interfaces": {"client": 7}}), "Cluster c"),
        (json!({"clusterRef": cassandra(), "podSelector": {}, "interfaces": {"client": "n"}}), "Cluster c"),
        (json!({"clusterRef": cassandra(), "podSelector": {}, "colour": "red"}), "Cluster c"),
        (json!({"clusterRef": {"name": 7}, "podSelector": {}}), all),
        (json!({"podSelector": {"matchLabels": {"app": "db"}}, "colour": "red"}), "app=db"),
        (json!({"clusterRef": null, "podSelector": {"matchLabels": {"app": "db"}}, "a": 7}), "app=db"),
        // Those that it was to select are among all pods, and nobody knows which.
        (json!({"podSelector": broken, "interfaces": {"x": "a"}}), all),
        (json!({"podSelector": broken, "colour": "red"}), all),
        (json!({"podSelector": {"matchLabel": {"app": "db"}}}), all),
        (json!({"podSelector": 7}), all),
        (json!({}), ""),
        (json!({"podSelector": null, "clusterRef": 7}), ""),
    ] {
        let network = read(&spec);
        assert!(network.declared.is_err(), "{spec}");
        assert_eq!((target(&network).as_str(), network.allowed), (meant, AllowedNamespaces::Own), "{spec}");
        spec["allowedNamespaces"] = json!(["x", 7]);
        let network = read(&spec);
        let allowed = AllowedNamespaces::Listed(vec!["x".to_owned()]);
        assert!(network.declared.is_err(), "{spec}");
        assert_eq!((target(&network).as_str(), network.allowed), (meant, allowed), "{spec}");
    }
    assert!(read(&json!(7)).target.is_none());
    let network = read(&json!({"clusterRef": cassandra(), "allowedNamespaces": ["x"], "interfaces": {"clients": "n"}}));
    assert!(network.declared.is_err() && network.allowed.contains("x"));
}

/// Whatever comes, changes and goes, the index has those about a cluster, the oldest first, and no others.
#[test]
fn the_index_of_clusters_follows_every_change() {
    let catalogue = std::sync::Arc::new(Catalogue::built_in().unwrap());
    let mut world = crate::world::World::new(std::sync::Arc::clone(&catalogue), crate::world::Settings::default());
    let kind = crate::world::ObjectKind::StorageNetwork;
    let id = |name: &str| ObjectName { namespace: "ns".to_owned(), name: name.to_owned() };
    let network = |name: &str, day: u8, of_kind: &str, cluster: &str| {
        let group = if of_kind == "Cluster" { "cassandra.rook.io" } else { "ceph.rook.io" };
        let object = json!({
            "metadata": {"name": name, "namespace": "ns", "creationTimestamp": format!("2026-01-{day:02}T00:00:00Z")},
            "spec": {"clusterRef": {"group": group, "kind": of_kind, "name": cluster}, "interfaces": {"client": "n"}},
        });
        crate::world::Entry::read(&kind, &object, &catalogue).unwrap()
    };
    let about = |world: &crate::world::World, group: &str, kind: &str, cluster: &str| {
        let snapshot = world.snapshot();
        let names =
            snapshot.storage_networks_about("ns", [group, kind, cluster]).map(|network| network.id.name.clone());
        names.collect::<Vec<_>>().join(" ")
    };
    let cassandra = |world: &crate::world::World, cluster| about(world, "cassandra.rook.io", "Cluster", cluster);
    for (name, day, kind_of, cluster) in
        [("c", 3, "Cluster", "x"), ("a", 2, "Cluster", "x"), ("b", 1, "CephCluster", "x"), ("d", 2, "Cluster", "x")]
    {
        let (id, entry) = network(name, day, kind_of, cluster);
        assert!(!world.insert(&kind, &id, entry));
    }
    assert_eq!(cassandra(&world, "x"), "a d c");
    assert_eq!(about(&world, "ceph.rook.io", "CephCluster", "x"), "b");
    let (moved, entry) = network("a", 2, "Cluster", "y");
    assert!(world.insert(&kind, &moved, entry));
    assert_eq!((cassandra(&world, "x"), cassandra(&world, "y")), ("d c".to_owned(), "a".to_owned()));
    world.remove(&kind, &id("d"));
    world.remove(&kind, &id("nobody"));
    assert_eq!(cassandra(&world, "x"), "c");
    world.replace_all(&kind, [network("e", 1, "Cluster", "x")]);
    assert_eq!((cassandra(&world, "x"), cassandra(&world, "y")), ("e".to_owned(), String::new()));
}
