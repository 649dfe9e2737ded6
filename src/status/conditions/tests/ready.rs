//! What is said of pods, where some of them or all cannot be attached.

use super::*;

#[test]
fn it_is_not_ready_where_no_pod_can_be_attached() {
    let ready = |spec: &str| {
        let status = status(&[("x", spec)]);
        let Condition { status, reason, message, .. } = condition(&status, READY).clone();
        (format!("{status:?} {reason}"), message)
    };
    let network = r#"'{"name": "a", "mac": "02:00:00:00:00:01", "interface": "eth0"}'"#;
    let node = |rack: &str, networks: &str| {
        format!("{{ nodeSelector: {{ matchLabels: {{ rack: {rack} }} }}, interfaces: {{ {networks} }} }}")
    };
    for (spec, expected) in [
        // What the provider cannot express.
        (
            format!("{PODS}, provider: genie, interfaces: {{ data: a }}"),
            "pods are left alone, at least where they name no networks of their own: Genie attaches a pod to the networks in its annotation cni and to nothing else, so",
        ),
        (
            format!("{PODS}, provider: knitter, interfaces: {{ data: {network} }}"),
            "pods are left alone, at least where they name no networks of their own: s/a cannot be attached by Knitter: Knitter has no place for mac",
        ),
        (format!("{PODS}, provider: knitter, interfaces: {{ data: t/a@eth0 }}"), "names networks without a namespace"),
        (
            format!("{DB}, roles: [{{ name: member, provider: genie }}], interfaces: {{ client: t/a@eth0 }}"),
            "pods of the role member are left alone, ",
        ),
        // Interfaces of one name, by position.
        (
            format!("{PODS}, interfaces: {{ a: a@net2, b: t/a }}"),
            "s/a and t/a would both have the interface net2; ask for other names, or for none",
        ),
        (format!("{PODS}, mode: audit, interfaces: {{ a: a@net2, b: t/a }}"), "s/a and t/a would both have"),
        (
            format!("{DB}, interfaces: {{ client: a@net2, replication: t/a }}"),
            "pods of the roles member, stargate are left alone, ",
        ),
        (
            format!(
                "{PODS}, interfaces: {{ a: a, b: t/a }}, nodeInterfaces: [{}, {}]",
                node("r1", "b: a"),
                node("r2", "b: t/a@net1")
            ),
            "pods on nodes with rack=r2 are left alone, at least where they name no networks of their own: s/a and t/a would both have the interface net1",
        ),
        (
            format!("{PODS}, interfaces: {{ a: a@eth0 }}"),
            "s/a asks for the interface eth0, which every pod has already",
        ),
        (
            format!(
                "{PODS}, roles: [{{ name: one, podSelector: {{ matchLabels: {{ one: x }} }}, interfaces: [b, a] }}], interfaces: {{ a: a@net1, b: t/a }}"
            ),
            "pods of the role one are left alone",
        ),
    ] {
        let (said, message) = ready(&spec);
        assert_eq!(said, "False NotAttachable", "{spec}: {message}");
        assert!(message.contains(expected), "{spec}: {message}");
    }
}

/// The setting that names interfaces takes part, as it does in decisions: with Multus, where no name is asked for.
#[test]
fn names_by_the_setting_are_told_apart() {
    let settings = Settings { interface_names: Some("{key}0".parse().unwrap()), ..Settings::default() };
    let ready = |spec: &str| {
        let status = status_in(&snapshot_with(&[("x", spec)], settings.clone()), "x");
        condition(&status, READY).reason.clone()
    };
    for (spec, expected) in [
        // By position, both would be net2.
        ("interfaces: { a: a@net2, b: t/a }", "Ready"),
        ("interfaces: { a: a@b0, b: t/a }", "NotAttachable"),
        ("provider: genie, interfaces: { a: a@eth0, c: other@b0, b: third }", "Ready"),
    ] {
        assert_eq!(ready(&format!("{PODS}, {spec}")), expected, "{spec}");
    }
}

#[test]
fn what_is_declared_for_nodes_alone_says_so() {
    let ready = |spec: &str| {
        let status = status(&[("x", spec)]);
        let Condition { status, reason, message, .. } = condition(&status, READY).clone();
        assert_eq!(status, ConditionStatus::True, "{message}");
        (reason, message)
    };
    let node = |labels: &str| format!("{{ nodeSelector: {labels}, interfaces: {{ client: a }} }}");
    let rack = |rack: &str| node(&format!("{{ matchLabels: {{ rack: {rack} }} }}"));
    for target in [DB, PODS] {
        let (reason, message) = ready(&format!("{target}, nodeInterfaces: [{}, {}]", rack("r1"), rack("r2")));
        assert_eq!(reason, "OnlyOnNodes");
        assert_eq!(
            message,
            "pods that are created from now on and bound to a node with the labels rack=r1 or rack=r2 are attached to the networks that are declared for it; all others keep the pod network alone"
        );
        let (reason, message) = ready(&format!("{target}, nodeInterfaces: [{}, {}]", rack("r1"), node("{}")));
        assert_eq!(reason, "OnlyOnNodes");
        assert!(message.starts_with("pods that are created from now on and bound to a node are attached"), "{message}");
        let both = format!("{target}, interfaces: {{ client: t/a }}, nodeInterfaces: [{}]", rack("r1"));
        assert_eq!(ready(&both).0, "Ready");
        let default = format!("{target}, defaultNetwork: a, nodeInterfaces: [{}]", rack("r1"));
        assert_eq!(ready(&default).0, "Ready");
    }
    let none =
        format!("{PODS}, roles: [{{ name: all, podSelector: {{}}, interfaces: [] }}], interfaces: {{ client: a }}");
    assert_eq!(ready(&none).1, "pods keep the pod network: no role gets any of these networks");
}

#[test]
fn a_cluster_whose_annotation_is_wrong_is_not_ready() {
    let spec = "clusterRef: { group: cassandra.rook.io, kind: Cluster, name: odd }, interfaces: { client: a }";
    let status = status(&[("x", spec)]);
    assert_eq!(reasons(&status), ["True Accepted", "True Resolved", "False NoConflict", "False ClusterInvalid"]);
    let message = &condition(&status, READY).message;
    assert!(
        message.starts_with("Cluster s/odd is invalid: metadata.annotations[multihome.rook.io/mode]: "),
        "{message}"
    );
    assert!(message.ends_with(". Until then its pods are left alone"), "{message}");
}

/// Two kinds of one system may have the same name in different groups.
#[test]
fn the_field_that_is_overridden_is_that_of_the_right_resource() {
    let system = "
system: twice
clusters:
  - resource: { group: old.example.com, versions: [v1], kind: Store, plural: stores }
    network: spec.old
    namedBy: store
  - resource: { group: new.example.com, versions: [v1], kind: Store, plural: stores }
    network: spec.new
    namedBy: store
keys: [{ name: data, about: everything }]
roles: [{ name: member, match: [{ store: \"*\" }], networks: [data] }]
";
    let catalogue = Arc::new(Catalogue::read([("twice", system)]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.yaml");
    let store = "{ apiVersion: new.example.com/v1, kind: Store, metadata: { name: one, namespace: s }, spec: { new: { provider: host } } }\n";
    let about = "clusterRef: { group: new.example.com, kind: Store, name: one }, interfaces: { data: a }";
    std::fs::write(&file, format!("{store}{}", network("x", about))).unwrap();
    let snapshot = manifests::load(&[file], catalogue, Settings::default()).unwrap().0.snapshot();
    let status = status_in(&snapshot, "x");
    let accepted = condition(&status, ACCEPTED);
    assert_eq!(accepted.reason, "Overrides");
    assert!(accepted.message.starts_with("spec.new of Store s/one declares networks too"), "{}", accepted.message);
}
