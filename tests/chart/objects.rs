//! The objects that are rendered: the same bytes each time, the least rights, pods that hold to the strictest rules.

use std::collections::BTreeSet;
use std::fs;

use rook_multihome::api::{Cel, storage_network_crd};
use serde_json::{Value, json};

use crate::rendered::{Feature, chart, helm, list, read, text, try_render};
use crate::{CLUSTER_WIDE, NAMESPACE, RELEASE};

#[test]
fn it_renders_the_same_bytes_each_time() {
    for Feature { name, path } in Feature::all() {
        let lint = ["lint", "--strict", "charts/rook-multihome", "--namespace", NAMESPACE, "--values", &path];
        helm(&lint).unwrap_or_else(|error| panic!("{name}: {error}"));
        let render = || try_render(&["--values", &path]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(render(), render(), "{name}");
    }
    // What would differ each time, or from one cluster to the next.
    for entry in fs::read_dir(chart().join("templates")).unwrap() {
        let path = entry.unwrap().path();
        for word in
            ["genCA", "genSelfSigned", "genSigned", "genPrivateKey", "lookup", "rand", "uuidv4", "{{ now", "now |"]
        {
            assert!(!read(&path).contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_object_says_where_it_belongs_and_whose_it_is() {
    for feature in Feature::all() {
        let objects = feature.render();
        let mut seen = BTreeSet::new();
        for object in &objects.0 {
            let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
            let what = format!("{}: {kind} {}", feature.name, metadata["name"]);
            // Also where what is rendered goes to kubectl apply, which would otherwise take the user's own namespace.
            let namespace = if CLUSTER_WIDE.contains(&kind) { Value::Null } else { NAMESPACE.into() };
            assert_eq!(metadata["namespace"], namespace, "{what}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], RELEASE, "{what}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm", "{what}");
            assert!(seen.insert((kind, text(&metadata["name"]))), "{what} is there twice");
        }
        let mounts = !feature.is_self_managed() || ["client-auth", "own-system"].contains(&feature.name.as_str());
        assert_eq!(objects.pod().get("volumes").is_some(), mounts, "{}", feature.name);
    }
}

#[test]
fn a_feature_that_is_off_leaves_nothing_behind() {
    let always = [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Deployment",
        "Lease",
        "MutatingWebhookConfiguration",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ValidatingWebhookConfiguration",
    ];
    let self_managed = ["Secret"];
    let and = |more: &[&'static str]| -> BTreeSet<&str> { always.iter().chain(more).copied().collect() };
    for (name, expected) in [
        ("minimal", and(&self_managed)),
        ("provided-secret", and(&[])),
        ("provided-inline", and(&["Secret"])),
        ("cert-manager", and(&["Certificate", "Issuer"])),
        ("cert-manager-issuer", and(&["Certificate"])),
        ("network-policy", and(&[&self_managed[..], &["NetworkPolicy"]].concat())),
        ("monitoring", and(&[&self_managed[..], &["ServiceMonitor", "PrometheusRule", "ConfigMap"]].concat())),
        ("own-system", and(&[&self_managed[..], &["ConfigMap"]].concat())),
        ("gke-private", and(&[&self_managed[..], &["ResourceQuota"]].concat())),
    ] {
        assert_eq!(Feature::named(name).render().kinds(), expected, "{name}");
    }
    let elsewhere = Feature::named("crds-elsewhere").render();
    let mut expected = and(&self_managed);
    expected.remove("CustomResourceDefinition");
    assert_eq!(elsewhere.kinds(), expected);
    let unasked = Feature::named("validation-off").render();
    let mut expected = and(&self_managed);
    expected.remove("ValidatingWebhookConfiguration");
    assert_eq!(unasked.kinds(), expected);
    let single = Feature::named("single-replica").render();
    assert!(!single.kinds().contains("PodDisruptionBudget"), "one replica can always be evicted");
}

/// The definition is the one of the program, with the rules that this version of Kubernetes knows.
#[test]
fn the_definition_fits_the_version() {
    for (version, cel) in [("1.20.0", false), ("1.24.17-gke.100", false), ("1.25.0-eks-1", true), ("1.34.1", true)] {
        let render = |more: &[&str]| {
            let objects = Feature::named("minimal").render_with(&[&["--kube-version", version], more].concat());
            objects.only("CustomResourceDefinition").clone()
        };
        let definition = render(&[]);
        let expected = storage_network_crd(if cel { Cel::With } else { Cel::Without });
        assert_eq!(definition["spec"], expected["spec"], "{version}");
        assert_eq!(definition["metadata"]["name"], expected["metadata"]["name"]);
        assert_eq!(definition["metadata"]["annotations"], json!({"helm.sh/resource-policy": "keep"}));
        assert_eq!(render(&["--set", "crds.keep=false"])["metadata"]["annotations"], Value::Null);
    }
}

#[test]
fn pods_hold_to_the_strictest_rules() {
    for feature in Feature::all() {
        let (name, objects) = (&feature.name, feature.render());
        let deployment = objects.only("Deployment");
        let pod = objects.pod();
        let container = &pod["containers"][0];
        assert_eq!(list(&pod["containers"]).len(), 1, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        let user = if name == "openshift" { Value::Null } else { json!(65532) };
        assert_eq!(pod["securityContext"]["runAsUser"], user, "{name}");
        let security = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], security, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], true, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");

        let resources = &container["resources"];
        assert!(resources["limits"].get("cpu").is_none(), "{name}: throttling is the worst delay there is");
        assert!(resources["limits"]["memory"].is_string() && resources["requests"]["cpu"].is_string(), "{name}");
        for volume in pod.get("volumes").map(list).into_iter().flatten() {
            assert!(
                volume.get("secret").or_else(|| volume.get("configMap")).is_some(),
                "{name}: nothing on storage that it may have to bring up: {volume}"
            );
        }

        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "admin", "{name}");
        }
        let seconds = |flag: &str| -> u64 {
            let arguments = objects.arguments();
            arguments.iter().find_map(|argument| argument.strip_prefix(flag)).unwrap().parse().unwrap()
        };
        let drain = seconds("--drain-delay=") + seconds("--drain-deadline=");
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > drain, "{name}");

        let spread = list(&pod["topologySpreadConstraints"]);
        let keys: Vec<&str> = spread.iter().map(|one| text(&one["topologyKey"])).collect();
        assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"], "{name}");
        let selected = &deployment["spec"]["selector"]["matchLabels"];
        for selector in spread
            .iter()
            .map(|one| &one["labelSelector"])
            .chain(objects.of("PodDisruptionBudget").iter().map(|one| &one["spec"]["selector"]))
        {
            assert_eq!(&selector["matchLabels"], selected, "{name}");
        }
    }
    let minimal = Feature::named("minimal").render();
    assert_eq!(minimal.only("Deployment")["spec"]["replicas"], 2);
    assert_eq!(minimal.pod()["priorityClassName"], "system-cluster-critical");
    assert_eq!(minimal.only("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
}

#[test]
fn on_the_host_network_replicas_do_not_share_a_node() {
    let objects = Feature::named("eks-custom-cni").render();
    let pod = objects.pod();
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&json!(true), &json!("ClusterFirstWithHostNet")));
    let apart = &pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(apart["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(apart["labelSelector"], objects.only("Deployment")["spec"]["selector"]);
    // With as many nodes as replicas, a new one would find no place before an old one goes.
    assert_eq!(
        objects.only("Deployment")["spec"]["strategy"]["rollingUpdate"],
        json!({"maxUnavailable": 1, "maxSurge": 0})
    );
    let minimal = Feature::named("minimal").render();
    assert!(minimal.pod().get("hostNetwork").is_none() && minimal.pod().get("affinity").is_none());
}

#[test]
fn the_network_policy_lets_in_reviews_and_out_to_the_api_server() {
    let objects = Feature::named("network-policy").render();
    let policy = &objects.only("NetworkPolicy")["spec"];
    assert_eq!(policy["podSelector"], objects.only("Deployment")["spec"]["selector"]);
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let reviews = json!({"ports": [{"port": 8443, "protocol": "TCP"}]});
    let metrics = json!({
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    });
    assert_eq!(policy["ingress"], json!([reviews, metrics]));
    let api_server =
        json!({"ports": [{"port": 6443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]});
    assert_eq!(policy["egress"], json!([api_server]));

    // Without peers, nobody: an empty list of them would mean everybody.
    let objects = Feature::named("minimal").render_with(&["--set", "networkPolicy.enabled=true"]);
    let policy = &objects.only("NetworkPolicy")["spec"];
    assert_eq!(policy["ingress"], json!([reviews]));
    let ports = json!([{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]);
    assert_eq!(policy["egress"], json!([{"ports": ports}]));
}
