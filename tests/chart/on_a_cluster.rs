//! A real API server takes it all, and an upgrade takes nothing away.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::rendered::{Feature, Objects, list, read, text};
use crate::support::control_plane::{ControlPlane, in_own_network, say};
use crate::{NAMESPACE, RELEASE};

/// A real API server takes everything, and an upgrade takes nothing away that others have written.
#[test]
fn a_cluster_takes_it() {
    in_own_network("on_a_cluster::a_cluster_takes_it", || {
        let plane = ControlPlane::start();
        plane.kubectl(&["create", "namespace", NAMESPACE]);
        let version: Value = serde_json::from_str(&plane.kubectl(&["get", "--raw", "/version"])).unwrap();
        every_object_is_valid(&plane, text(&version["gitVersion"]));
        an_upgrade_takes_nothing_away(&plane);
    });
}

fn every_object_is_valid(plane: &ControlPlane, version: &str) {
    for feature in Feature::all() {
        say(&format!("applying {} for {version}", feature.name));
        let Objects(mut objects) = feature.render_with(&["--kube-version", version]);
        // Custom resources of others, which are not installed here.
        let foreign = ["cert-manager.io/v1", "monitoring.coreos.com/v1"];
        objects.retain(|object| !foreign.contains(&text(&object["apiVersion"])));
        let all = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        // As Helm does it: a field that the server does not know is an error.
        let apply = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        plane.try_kubectl(&apply, &all.to_string()).unwrap_or_else(|error| panic!("{}: {error}", feature.name));
    }
}

fn an_upgrade_takes_nothing_away(plane: &ControlPlane) {
    let release = |command: &str, more: &[&str]| {
        let common =
            [command, RELEASE, "charts/rook-multihome", "--namespace", NAMESPACE, "--set", "namespaces={rook-ceph}"];
        plane.helm(&[&common[..], more].concat());
    };
    let secret = || plane.get(&["secret", "rook-multihome-ca", "-n", NAMESPACE])["data"].clone();
    let bundles = || -> Vec<Value> {
        let configuration = plane.get(&["mutatingwebhookconfiguration", RELEASE]);
        list(&configuration["webhooks"]).iter().map(|webhook| webhook["clientConfig"]["caBundle"].clone()).collect()
    };
    let validating = || -> Vec<Value> {
        let configuration = plane.get(&["validatingwebhookconfiguration", RELEASE]);
        list(&configuration["webhooks"]).iter().map(|webhook| webhook["clientConfig"]["caBundle"].clone()).collect()
    };
    let authority = read(plane.path("pki/ca.crt"));
    let bundle = base64::engine::general_purpose::STANDARD.encode(&authority);

    say("installing, and writing what the replicas write");
    release("install", &[]);
    assert_eq!((secret(), bundles()), (Value::Null, vec![Value::Null, Value::Null]));
    assert_eq!(validating(), [Value::Null, Value::Null]);
    let token = plane.kubectl(&["create", "token", RELEASE, "-n", NAMESPACE]);
    let replica = plane.kubeconfig("replica.kubeconfig", token.trim()).display().to_string();
    let account = format!("system:serviceaccount:{NAMESPACE}:{RELEASE}");
    plane.wait_for("the rights to count", |plane| {
        let secret = ["update", "secrets/rook-multihome-ca", "-n", NAMESPACE];
        let bundle = ["patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/rook-multihome"];
        plane.may(&account, &secret) && plane.may(&account, &bundle)
    });
    let write = |arguments: &[&str]| plane.kubectl(&[&["--kubeconfig", &replica], arguments].concat());
    let mut written = plane.get(&["secret", "rook-multihome-ca", "-n", NAMESPACE]);
    written["data"] = json!({"ca.crt": bundle});
    plane.try_kubectl(&["--kubeconfig", &replica, "replace", "-f", "-"], &written.to_string()).unwrap();
    let patches = ["daemons", "others"]
        .map(|name| json!({"name": format!("{name}.multihome.rook.io"), "clientConfig": {"caBundle": bundle}}));
    let patch = json!({"webhooks": patches});
    write(&["patch", "mutatingwebhookconfiguration", RELEASE, "--type=strategic", "--patch", &patch.to_string()]);
    let patches = ["clusters", "networks"].map(
        |name| json!({"name": format!("{name}.validation.multihome.rook.io"), "clientConfig": {"caBundle": bundle}}),
    );
    let patch = json!({"webhooks": patches});
    write(&["patch", "validatingwebhookconfiguration", RELEASE, "--type=strategic", "--patch", &patch.to_string()]);
    let unchanged = || {
        assert_eq!(secret(), json!({"ca.crt": bundle}));
        assert_eq!(validating(), [bundle.as_str(); 2]);
        assert_eq!(bundles(), [bundle.as_str(); 2]);
    };
    unchanged();

    let lease = || plane.get(&["lease", "rook-multihome-status", "-n", NAMESPACE])["spec"]["holderIdentity"].clone();
    let mut held = plane.get(&["lease", "rook-multihome-status", "-n", NAMESPACE]);
    held["spec"] = json!({"holderIdentity": "one"});
    plane.try_kubectl(&["--kubeconfig", &replica, "replace", "-f", "-"], &held.to_string()).unwrap();

    say("upgrading");
    release("upgrade", &["--set", "webhook.timeoutSeconds=7"]);
    assert_eq!(plane.get(&["mutatingwebhookconfiguration", RELEASE])["webhooks"][1]["timeoutSeconds"], 7);
    unchanged();
    say("an entry that comes, is written to, and goes again");
    release("upgrade", &["--set", "clients.namespaces={shop}"]);
    assert_eq!(bundles(), [json!(bundle), json!(bundle), Value::Null]);
    // As the replicas do it, which makes the entry theirs too.
    let entry = json!({"name": "clients.multihome.rook.io", "clientConfig": {"caBundle": bundle}});
    let applied = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": RELEASE}, "webhooks": [entry]});
    let apply =
        ["apply", "--server-side", "--validate=false", "--force-conflicts", "--field-manager=replica", "-f", "-"];
    plane.try_kubectl(&[&["--kubeconfig", &replica], &apply[..]].concat(), &applied.to_string()).unwrap();
    assert_eq!(bundles(), [bundle.as_str(); 3]);
    // Helm 3 knows no other way than this. On the server, the entry would stay with nothing but what the replicas have applied.
    let on_the_client = if plane.is_helm_3() { &[][..] } else { &["--server-side=false"] };
    release("upgrade", &[on_the_client, &["--set", "webhook.timeoutSeconds=8"]].concat());
    assert_eq!(plane.get(&["mutatingwebhookconfiguration", RELEASE])["webhooks"][1]["timeoutSeconds"], 8);
    unchanged();

    say("making the Secret again, as a replica does when it is gone, and upgrading over it");
    plane.kubectl(&["delete", "secret", "rook-multihome-ca", "-n", NAMESPACE]);
    let again = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rook-multihome-ca", "namespace": NAMESPACE}, "type": "Opaque", "data": {"ca.crt": bundle}});
    plane.try_kubectl(&["--kubeconfig", &replica, "create", "-f", "-"], &again.to_string()).unwrap();
    release("upgrade", &[]);
    unchanged();
    assert_eq!(lease(), "one");

    say("the replicas may do no more than that");
    plane.apply_file("tests/control-plane/crds.yaml");
    let may = |right: &[&str]| plane.may(&account, right);
    // kubectl takes a resource that it does not know for one of the core.
    plane.wait_for("the custom resources", |_| may(&["watch", "cephclusters.ceph.rook.io", "--all-namespaces"]));
    for needed in [
        &["watch", "cephclusters.ceph.rook.io", "--all-namespaces"][..],
        &["list", "statefulsets.apps", "--all-namespaces"],
        &["watch", "namespaces"],
        &["patch", "storagenetworks.multihome.rook.io", "--subresource=status", "-n", "default"],
        &["create", "leases.coordination.k8s.io", "-n", NAMESPACE],
        &["update", "leases.coordination.k8s.io/rook-multihome-status", "-n", NAMESPACE],
    ] {
        assert!(may(needed), "{needed:?}");
    }
    for beyond in [
        &["patch", "storagenetworks.multihome.rook.io", "-n", "default"][..],
        &["update", "leases.coordination.k8s.io/another", "-n", NAMESPACE],
        &["create", "leases.coordination.k8s.io", "-n", "default"],
        &["get", "statefulsets.apps/one", "-n", "default"],
        &["list", "cronjobs.batch", "--all-namespaces"],
        &["get", "secret/another", "-n", NAMESPACE],
        &["list", "secrets", "-n", NAMESPACE],
        &["delete", "secret/rook-multihome-ca", "-n", NAMESPACE],
        &["create", "secrets", "-n", "default"],
        &["patch", "mutatingwebhookconfiguration/another"],
        &["delete", "mutatingwebhookconfiguration/rook-multihome"],
        &["patch", "validatingwebhookconfiguration/another"],
        &["delete", "validatingwebhookconfiguration/rook-multihome"],
        &["create", "pods", "-n", NAMESPACE],
    ] {
        assert!(!may(beyond), "{beyond:?}");
    }

    say("uninstalling");
    plane.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE]);
    for kind in [
        "mutatingwebhookconfiguration",
        "validatingwebhookconfiguration",
        "clusterrole",
        "clusterrolebinding",
        "secret",
        "role",
        "lease",
    ] {
        let left =
            plane.kubectl(&["get", kind, "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/managed-by=Helm"]);
        assert_eq!(left.trim(), "", "{kind}");
    }
    let left = plane.try_kubectl(&["get", "secret", "rook-multihome-ca", "-n", NAMESPACE], "");
    assert!(left.is_err(), "the authority's key goes with the release");

    say("the definition stays, with what users have declared, and the next release takes it over");
    let declared = "apiVersion: multihome.rook.io/v1alpha1\nkind: StorageNetwork\nmetadata: { name: kept, namespace: default }\nspec: { podSelector: {}, interfaces: { client: client-net } }";
    plane.apply(declared);
    release("install", &[]);
    plane.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE]);
    assert_eq!(plane.get(&["storagenetwork", "kept", "-n", "default"])["spec"]["provider"], "multus");
}
