//! Installing, upgrading, rolling back and uninstalling on a real control plane, by helm and without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::time::{Duration, SystemTime};

use rook_multihome::tls::authority;
use serde_json::{Value, json};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::load::Load;
use support::release::{CHART, NAMESPACE, RELEASE, Release};

/// The chart before this one, as it was.
const PREVIOUS: &str = "tests/control-plane/chart-0.3.0";
/// With a short wait: where an authority of ours was trusted before, new replicas wait until the next one has settled.
const SELF_MANAGED: [&str; 2] = ["--set", "tls.selfManaged.settle=5s"];
/// Every kind that the chart has objects of, and those that come with them.
const KINDS: &str = "deployments,replicasets,pods,services,endpoints,secrets,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,poddisruptionbudgets,networkpolicies,resourcequotas,mutatingwebhookconfigurations,validatingwebhookconfigurations";

/// What is there, in the release's namespace and in none, but for what Kubernetes puts into every namespace itself.
fn everything(plane: &ControlPlane) -> Vec<Value> {
    let all = plane.get(&[KINDS, "--all-namespaces"]);
    let is_ours = |object: &&Value| match object["metadata"]["namespace"].as_str() {
        Some(namespace) => {
            let name = object["metadata"]["name"].as_str().unwrap();
            let is_everywhere = name == "default" || name.starts_with("default-token-") || name == "kube-root-ca.crt";
            namespace == NAMESPACE && !is_everywhere
        }
        None => object["metadata"]["labels"]["kubernetes.io/bootstrapping"].is_null() && is_of_the_release(object),
    };
    all["items"].as_array().unwrap().iter().filter(is_ours).cloned().collect()
}

fn is_of_the_release(object: &Value) -> bool {
    object["metadata"]["name"].as_str().unwrap().starts_with(RELEASE)
}

fn names(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect()
}

/// Waits until an OSD gets its networks.
fn wait_for_networks(plane: &ControlPlane, when: &str) {
    let took = plane.wait_for_networks();
    say(&format!("{when}: an OSD got its networks after {took:?}"));
}

/// Waits until every entry of both webhook configurations trusts the replicas, also of the one that the previous version had not.
fn wait_for_trust(plane: &ControlPlane, release: &Release<'_>) {
    plane.wait_for("the same trust in every entry", |_| {
        let bundles = release.bundles();
        bundles.len() == 4 && bundles.iter().all(|bundle| bundle.contains("CERTIFICATE") && *bundle == bundles[0])
    });
}

fn refs(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

#[test]
fn from_the_previous_version_and_back_and_nothing_is_left() {
    in_own_network("from_the_previous_version_and_back_and_nothing_is_left", || {
        let plane = ControlPlane::with_storage();
        let issued =
            authority::issue(&[format!("{RELEASE}.{NAMESPACE}.svc")], SystemTime::now(), Duration::from_hours(24))
                .unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(plane.path(name), text).unwrap();
            plane.path(name).display().to_string()
        };
        let files = [("ca", &issued.ca), ("certificate", &issued.certificate), ("key", &issued.key)];
        let values = |prefix: &str| -> Vec<String> {
            let value = |(name, text): (&str, &String)| format!("{prefix}.{name}={}", file(name, text));
            files.into_iter().flat_map(|pair| ["--set-file".to_owned(), value(pair)]).collect()
        };

        // The old chart comes with the old program, which is not here. The present one stands in for it: it reads no more.
        say("installing the previous version");
        let mut release = Release::install_chart(&plane, PREVIOUS, &SELF_MANAGED);
        release.start(2);
        wait_for_networks(&plane, "the previous version");

        say("upgrading with the old values alone");
        let upgrade = ["upgrade", RELEASE, CHART, "--namespace", NAMESPACE, "--reuse-values"];
        let refused = plane.try_helm(&upgrade).unwrap_err();
        assert!(refused.contains("upgrade with --reset-then-reuse-values"), "{refused}");

        say("upgrading");
        release.upgrade(&SELF_MANAGED);
        release.follow_rollout();
        wait_for_networks(&plane, "upgraded");
        wait_for_trust(&plane, &release);

        say("rolling back to the previous version");
        plane.helm(&["rollback", RELEASE, "1", "--namespace", NAMESPACE]);
        release.follow_rollout();
        wait_for_networks(&plane, "rolled back");
        assert_eq!(release.bundles().len(), 2, "what the previous version had no entry for is gone");

        say("and forward again");
        release.upgrade(&SELF_MANAGED);
        release.follow_rollout();
        wait_for_networks(&plane, "forward again");
        wait_for_trust(&plane, &release);

        say("to a certificate of one's own, with both authorities trusted");
        let both = format!("{}{}", release.bundles()[0], issued.ca);
        let both = format!("tls.provided.ca={}", file("both.crt", &both));
        let mut provided = values("tls.provided");
        provided.extend(["--set".to_owned(), "tls.mode=provided".to_owned()]);
        provided.extend(["--set-file".to_owned(), both]);
        if !plane.is_helm_3() {
            provided.push("--force-conflicts".to_owned());
        }
        let admissions = Load::of_admissions(&plane, 1);
        release.upgrade(&refs(&provided));
        release.follow_rollout();
        assert!(release.bundles().iter().all(|bundle| bundle.ends_with(&issued.ca)), "nobody writes over it");
        admissions.stop().expect_all("admissions through the change");
        release.upgrade(&SELF_MANAGED);
        release.follow_rollout();
        wait_for_networks(&plane, "self-managed again");
        assert!(release.bundles().iter().all(|bundle| !bundle.contains(&issued.ca)));

        say("uninstalling while the replicas run");
        plane.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "120s"]);
        // Long enough for a replica to make the Secret again, were it to do that.
        std::thread::sleep(Duration::from_secs(8));
        for replica in std::mem::take(&mut release.replicas) {
            release.end(replica);
        }
        plane.wait_for("the end of the pods", |plane| {
            names(&everything(plane)).iter().all(|name| !name.contains("Pod"))
        });
        assert_eq!(names(&everything(&plane)), Vec::<String>::new(), "what is left behind");
    });
}

/// An object without what differs from one installation to the next.
fn without_identity(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("meta.helm.sh/") && !key.starts_with("kubectl.kubernetes.io/"));
        annotations.remove("deployment.kubernetes.io/revision");
    }
    if metadata.get("annotations").is_some_and(|annotations| *annotations == json!({})) {
        metadata.remove("annotations");
    }
    let object_fields = object.as_object_mut().unwrap();
    for field in ["status", "secrets"] {
        object_fields.remove(field);
    }
    if let Some(spec) = object_fields.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
        webhook["clientConfig"].as_object_mut().unwrap().remove("caBundle");
    }
    object
}

/// What somebody has written, without what controllers make of it.
fn written(plane: &ControlPlane) -> Vec<Value> {
    let made = ["ReplicaSet", "Pod", "Endpoints"];
    let is_written = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap();
        // Helm's own record of the release, and the token of the service account.
        !made.contains(&object["kind"].as_str().unwrap())
            && !name.starts_with("sh.helm.release")
            && !name.contains("-token-")
    };
    everything(plane).into_iter().filter(is_written).map(without_identity).collect()
}

#[test]
fn without_helm_in_the_cluster_the_result_is_the_same() {
    in_own_network("without_helm_in_the_cluster_the_result_is_the_same", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::to_be_installed(&plane);
        let version = plane.version();
        let template = ["template", RELEASE, CHART, "--namespace", NAMESPACE, "--set", "namespaces={rook-ceph}"];
        let apis = ["--kube-version", &version, "--api-versions", "policy/v1beta1/PodDisruptionBudget"];
        let manifests = plane.helm(&[&template[..], &apis].concat());
        say("applying with kubectl");
        plane.apply(&manifests);
        release.start(2);
        wait_for_networks(&plane, "applied with kubectl");
        let applied = written(&plane);
        assert!(applied.len() > 8, "{:?}", names(&applied));

        say("applying again changes nothing");
        let secret = || plane.get(&["secret", "rook-multihome-ca", "-n", NAMESPACE])["data"].clone();
        let (before, bundles) = (secret(), release.bundles());
        assert!(before["ca.key"].is_string());
        plane.apply(&manifests);
        assert_eq!((secret(), release.bundles()), (before, bundles));

        say("deleting with kubectl");
        release.replicas.clear();
        plane.try_kubectl(&["delete", "--wait=false", "-f", "-"], &manifests).unwrap();
        plane.wait_for("everything to be gone", |plane| {
            plane
                .try_kubectl(&["delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0"], "")
                .unwrap();
            everything(plane).is_empty()
        });

        say("installing with helm");
        let mut release = Release::install(&plane, &[]);
        release.start(2);
        wait_for_networks(&plane, "installed with helm");
        let installed = written(&plane);
        assert_eq!(names(&applied), names(&installed));
        for (applied, installed) in applied.iter().zip(&installed) {
            if applied["kind"] == "Secret" {
                assert_eq!(applied["metadata"], installed["metadata"]);
            } else {
                assert_eq!(applied, installed, "{}", applied["metadata"]["name"]);
            }
        }
    });
}
