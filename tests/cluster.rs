//! The whole thing on a real control plane: installed with helm, called by the API server through its Service, with pods made
//! by the real controllers.
//!
//! The steps build on one another, so they are one test; each says what it is about before it begins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use support::control_plane::{ControlPlane, give_address, in_own_network, say};
use support::program;
use support::server::Running;

const RELEASE_NAMESPACE: &str = "rook-multihome";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:rook-multihome:rook-multihome";
const POD_ADDRESS: &str = "10.77.0.10";
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const PUBLIC: &str = r#"{"name":"public-net","namespace":"rook-ceph"}"#;
const CLUSTER: &str = r#"{"name":"cluster-net","namespace":"rook-ceph"}"#;

#[test]
fn a_pod_is_created_and_gets_its_networks() {
    in_own_network("a_pod_is_created_and_gets_its_networks", || {
        let plane = ControlPlane::start();
        say(&plane.kubectl(&["version"]).replace('\n', ", "));
        for namespace in ["rook-ceph", "no-cluster", RELEASE_NAMESPACE] {
            plane.kubectl(&["create", "namespace", namespace]);
            // Kubernetes puts this label there itself since 1.21.
            plane.kubectl(&[
                "label",
                "namespace",
                namespace,
                &format!("kubernetes.io/metadata.name={namespace}"),
                "--overwrite",
            ]);
        }
        let mut webhook = install(&plane);
        apis_appear_while_it_runs(&plane, &webhook);
        workloads_get_their_networks(&plane, &webhook);
        kubectl_shows_what_happens(&plane);
        nothing_is_asked_during_an_admission(&plane, &webhook);
        an_edited_cluster_counts_for_the_next_pod(&plane);
        a_cron_job_gets_its_network(&plane);
        without_an_answer_pods_are_created_all_the_same(&plane, &mut webhook);
        nothing_is_left_behind(&plane);
    });
}

/// Installs the chart, runs the program in place of its pods, and lets the endpoints controller find it there.
fn install(plane: &ControlPlane) -> Running {
    say("installing the chart");
    let certs = plane.path("certs");
    let name = format!("rook-multihome.{RELEASE_NAMESPACE}.svc");
    let mut make = program();
    // localhost, for the test's own client.
    make.args(["certs", "make", "--name", &name, "--name", "localhost", "--cert-dir"]).arg(&certs);
    support::stdout(&mut make);
    let file = |value: &str, file: &str| format!("{value}={}", certs.join(file).display());
    let printed = plane.helm(&[
        "install",
        "rook-multihome",
        "charts/rook-multihome",
        "--namespace",
        RELEASE_NAMESPACE,
        "--set",
        "namespaces={rook-ceph,no-cluster},tls.mode=provided",
        "--set-file",
        &file("tls.provided.ca", "ca.crt"),
        "--set-file",
        &file("tls.provided.certificate", "tls.crt"),
        "--set-file",
        &file("tls.provided.key", "tls.key"),
    ]);
    assert!(printed.contains("looks at pods that are created in: rook-ceph, no-cluster."), "{printed}");
    plane.wait_for("the chart's pods", |plane| chart_pods(plane).len() == 2);

    say("starting the webhook with the chart's service account");
    plane.wait_for("its rights to count", |plane| plane.may(SERVICE_ACCOUNT, &["watch", "namespaces"]));
    give_address(POD_ADDRESS);
    plane.run_pod(RELEASE_NAMESPACE, &chart_pods(plane)[0], POD_ADDRESS);
    let token = plane.kubectl(&["create", "token", "rook-multihome", "--namespace", RELEASE_NAMESPACE]);
    let mut command = program();
    command.arg("serve").env("KUBECONFIG", plane.kubeconfig("webhook.kubeconfig", token.trim()));
    command.env("ROOK_MULTIHOME_DRAIN_DELAY", "0");
    let webhook = Running::start_listening(command, &certs, &format!("{POD_ADDRESS}:8443"));
    webhook.wait_until_ready();
    let (_, verbose) = webhook.admin("/readyz?verbose");
    assert!(
        verbose.contains("[+] watch cephclusters.ceph.rook.io: the API is not installed; asking again until it is"),
        "{verbose}"
    );

    plane.wait_for("the Service's endpoint", |plane| {
        plane.get(&["endpoints", "rook-multihome", "-n", RELEASE_NAMESPACE])["subsets"][0]["addresses"][0]["ip"]
            == POD_ADDRESS
    });
    webhook
}

fn chart_pods(plane: &ControlPlane) -> Vec<String> {
    let pods = plane.get(&["pods", "-n", RELEASE_NAMESPACE]);
    let names =
        pods["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned());
    names.collect()
}

fn apis_appear_while_it_runs(plane: &ControlPlane, webhook: &Running) {
    say("installing the custom resources while the webhook runs");
    plane.apply_file("tests/control-plane/crds.yaml");
    plane.wait_for("the watches", |_| {
        [
            "cephclusters.ceph.rook.io",
            "cephobjectstores.ceph.rook.io",
            "cephnfses.ceph.rook.io",
            "network-attachment-definitions.k8s.cni.cncf.io",
        ]
        .iter()
        .all(|resource| {
            let metric = format!(r#"rook_multihome_watch_state{{resource="{resource}",state="synced"}}"#);
            webhook.metric(&metric) > 0.5
        })
    });
    // One that is not there does not hold up the others.
    let absent = r#"rook_multihome_watch_state{resource="cephnvmeofgateways.ceph.rook.io",state="not-installed"}"#;
    assert!(webhook.metric(absent) > 0.5);
    assert_eq!(webhook.admin("/readyz").0, 200);

    say("declaring clusters and networks, one of each malformed");
    plane.apply_file("examples/ceph-multus/cluster.yaml");
    plane.apply_file("examples/ceph-multus/networks.yaml");
    plane.apply(
        "apiVersion: ceph.rook.io/v1\nkind: CephCluster\nmetadata: { name: odd, namespace: no-cluster }\nspec: { network: multus }",
    );
    plane.apply(
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: { name: odd, namespace: rook-ceph }\nspec: { config: '{' }",
    );
    plane.wait_for("what was declared", |_| {
        webhook.metric(r#"rook_multihome_clusters{system="ceph",spec="valid"}"#) > 0.5
            && webhook.metric(r#"rook_multihome_clusters{system="ceph",spec="invalid"}"#) > 0.5
            && webhook.metric("rook_multihome_attachments") > 2.5
    });
    for resource in ["cephclusters.ceph.rook.io", "network-attachment-definitions.k8s.cni.cncf.io"] {
        let metric = format!(r#"rook_multihome_watch_malformed_objects_total{{resource="{resource}"}}"#);
        assert!(webhook.metric(&metric) > 0.5, "{metric}");
    }
    plane.wait_for("what is said of the malformed ones", |_| {
        let log = webhook.log_so_far();
        let said: Vec<&Value> = log.iter().filter(|line| line["message"] == "this object cannot be used").collect();
        [("CephCluster", "no-cluster/odd"), ("NetworkAttachmentDefinition", "rook-ceph/odd")]
            .iter()
            .all(|(kind, name)| said.iter().any(|line| line["kind"] == *kind && line["name"] == *name))
    });
    plane.kubectl(&["delete", "cephcluster", "odd", "-n", "no-cluster"]);
    plane
        .wait_for("the deletion", |_| webhook.metric(r#"rook_multihome_clusters{system="ceph",spec="invalid"}"#) < 0.5);
}

/// Networks of the pods in a namespace, by the pod's `app`.
fn networks(plane: &ControlPlane, namespace: &str) -> BTreeMap<String, Vec<Value>> {
    let mut networks: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pod in plane.get(&["pods", "-n", namespace])["items"].as_array().unwrap() {
        let app = pod["metadata"]["labels"]["app"].as_str().unwrap_or_default().to_owned();
        networks.entry(app).or_default().push(pod["metadata"]["annotations"][NETWORKS].clone());
    }
    networks
}

fn workloads_get_their_networks(plane: &ControlPlane, webhook: &Running) {
    say("creating workloads");
    cron_job(plane);
    plane.apply_file("tests/control-plane/workloads.yaml");
    plane.wait_for("the controllers' pods", |plane| {
        let networks = networks(plane, "rook-ceph");
        let count = |app: &str| networks.get(app).map_or(0, Vec::len);
        count("rook-ceph-osd") == 1
            && count("rook-ceph-tools") == 2
            && count("rook-ceph-mds") == 1
            && count("rook-ceph-exporter") == 1
    });
    let found = networks(plane, "rook-ceph");
    let public = Value::from(format!("[{PUBLIC}]"));
    let merged =
        Value::from(format!(r#"[{{"name":"other-net","namespace":"rook-ceph","interface":"eth9"}},{PUBLIC}]"#));
    assert_eq!(found["rook-ceph-osd"], [Value::from(format!("[{PUBLIC},{CLUSTER}]"))]);
    assert_eq!(found["rook-ceph-tools"], [merged.clone(), merged]);
    for app in ["rook-ceph-mds", "rook-ceph-mon"] {
        assert_eq!(found[app], std::slice::from_ref(&public), "{app}");
    }
    assert_eq!(found["rook-ceph-exporter"], [Value::Null]);
    let tools = &plane.get(&["pods", "-n", "rook-ceph", "-l", "app=rook-ceph-tools"])["items"][0];
    assert_eq!(tools["metadata"]["annotations"]["example.com/kept"], "yes");

    say("pods of other namespaces are not touched");
    assert_eq!(networks(plane, "default")["rook-ceph-osd"], [Value::Null], "the API server does not even ask");
    assert_eq!(networks(plane, "no-cluster")["rook-ceph-osd"], [Value::Null]);
    let asked = r#"rook_multihome_reviews_total{outcome="left",role="ceph/osd",reason="unknown-cluster"}"#;
    assert!((webhook.metric(asked) - 1.0).abs() < 0.1);

    let attached = plane.audit().into_iter().any(|event| {
        let annotations = &event["annotations"];
        annotations["daemons.multihome.rook.io/networks"] == "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net"
            && annotations["daemons.multihome.rook.io/role"] == "ceph/osd"
            && annotations["daemons.multihome.rook.io/cluster"] == "rook-ceph/my-cluster"
    });
    assert!(attached, "the audit log says what was attached to the OSD");
}

fn pod(name: &str, app: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, namespace: rook-ceph, labels: {{ app: {app}, rook_cluster: rook-ceph }} }}\nspec: {{ containers: [{{ name: c, image: none }}] }}\n"
    )
}

fn kubectl_shows_what_happens(plane: &ControlPlane) {
    say("a dry run shows the change and makes none");
    let dry = ["apply", "--dry-run=server", "-o", "json", "-f", "-"];
    let (shown, warned) = plane.try_kubectl(&dry, &pod("dry", "rook-ceph-osd")).unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["metadata"]["annotations"][NETWORKS], format!("[{PUBLIC},{CLUSTER}]"));
    assert_eq!(warned, "", "no warning where there is nothing to do");
    assert!(plane.try_kubectl(&["get", "pod", "dry", "-n", "rook-ceph"], "").is_err());

    say("kubectl prints the warnings");
    plane.kubectl(&["delete", "net-attach-def", "cluster-net", "-n", "rook-ceph"]);
    plane.wait_for("a warning", |plane| !plane.try_kubectl(&dry, &pod("dry", "rook-ceph-osd")).unwrap().1.is_empty());
    let (_, warned) = plane.try_kubectl(&["apply", "-f", "-"], &pod("warned", "rook-ceph-osd")).unwrap();
    assert_eq!(
        warned.trim(),
        "Warning: rook-multihome left pod warned alone: CephCluster rook-ceph/my-cluster asks for an attachment definition that does not exist: rook-ceph/cluster-net; create it or mend the selector, then create the pod again"
    );
    assert_eq!(plane.get(&["pod", "warned", "-n", "rook-ceph"])["metadata"]["annotations"][NETWORKS], Value::Null);
    plane.apply_file("examples/ceph-multus/networks.yaml");
    plane.wait_for("the network to be back", |plane| {
        plane.try_kubectl(&dry, &pod("dry", "rook-ceph-osd")).unwrap().1.is_empty()
    });
}

fn nothing_is_asked_during_an_admission(plane: &ControlPlane, webhook: &Running) {
    say("the webhook asks nothing while it answers");
    let reviewed = || webhook.metric("rook_multihome_review_duration_seconds_count");
    let (asked, answered) = (plane.requests_of(SERVICE_ACCOUNT).len(), reviewed());
    for number in 0..20 {
        plane.apply(&pod(&format!("asked-{number}"), "rook-ceph-osd"));
    }
    assert!(reviewed() - answered > 19.5);
    let requests = plane.requests_of(SERVICE_ACCOUNT);
    // Not counted: a watch that ends in this moment, as each does after some minutes, is opened again; and every ten seconds the
    // APIs that there are are asked for, and a resource that its API does not have.
    let asks_for_apis = |request: &Value| request["verb"] == "get" && request["requestURI"] == "/apis";
    let expected = |request: &Value| {
        request["verb"] == "watch"
            || asks_for_apis(request)
            || (request["verb"] == "list" && request["objectRef"]["resource"] == "cephnvmeofgateways")
    };
    let new: Vec<&Value> = requests[asked..].iter().filter(|request| !expected(request)).collect();
    assert!(new.is_empty(), "{new:#?}");
    let only_reads =
        |request: &Value| request["verb"] == "list" || request["verb"] == "watch" || asks_for_apis(request);
    assert!(requests.iter().all(only_reads));
    assert!(requests.iter().all(|request| request["annotations"]["authorization.k8s.io/decision"] != "forbid"));
}

fn an_edited_cluster_counts_for_the_next_pod(plane: &ControlPlane) {
    say("editing the cluster from multus to none");
    let next = |plane: &ControlPlane| {
        let dry = ["apply", "--dry-run=server", "-o", "json", "-f", "-"];
        let (shown, _) = plane.try_kubectl(&dry, &pod("next", "rook-ceph-mon")).unwrap();
        serde_json::from_str::<Value>(&shown).unwrap()["metadata"]["annotations"][NETWORKS].clone()
    };
    assert_eq!(next(plane), format!("[{PUBLIC}]"));
    let patch = r#"{"spec":{"network":{"provider":"","selectors":null}}}"#;
    plane.kubectl(&["patch", "cephcluster", "my-cluster", "-n", "rook-ceph", "--type=merge", "-p", patch]);
    plane.wait_for("the edit to count", |plane| next(plane) == Value::Null);
    plane.apply_file("examples/ceph-multus/cluster.yaml");
    plane.wait_for("the cluster to be back", |plane| next(plane) == format!("[{PUBLIC}]"));
}

fn cron_job(plane: &ControlPlane) {
    let version = if plane.has_api("batch/v1beta1")
        && !plane.kubectl(&["api-resources", "--api-group=batch"]).contains("batch/v1 ")
    {
        "batch/v1beta1"
    } else {
        "batch/v1"
    };
    let cron_job = format!(
        "apiVersion: {version}\nkind: CronJob\nmetadata: {{ name: rook-ceph-osd-key-rotation-0, namespace: rook-ceph }}\nspec:\n  schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      template:\n        metadata: {{ labels: {{ app: rook-ceph-osd-key-rotation, rook_cluster: rook-ceph }} }}\n        spec: {{ restartPolicy: Never, containers: [{{ name: c, image: none }}] }}\n"
    );
    if plane.try_kubectl(&["apply", "-f", "-"], &cron_job).is_err() {
        // The API of the other age.
        let other = if version == "batch/v1" { "batch/v1beta1" } else { "batch/v1" };
        plane.apply(&cron_job.replace(version, other));
    }
}

fn a_cron_job_gets_its_network(plane: &ControlPlane) {
    say("waiting for the cron job's minute");
    // One of an earlier minute may have come while the cluster had no networks.
    plane.wait_for("the cron job's pod, with its network", |plane| {
        let networks = networks(plane, "rook-ceph");
        networks.get("rook-ceph-osd-key-rotation").is_some_and(|found| found.contains(&format!("[{PUBLIC}]").into()))
    });
    plane.kubectl(&["delete", "cronjob", "--all", "-n", "rook-ceph"]);
}

fn without_an_answer_pods_are_created_all_the_same(plane: &ControlPlane, webhook: &mut Running) {
    say("stopping the webhook");
    webhook.signal("-TERM");
    assert!(webhook.wait_for_exit().success());
    plane.apply(&pod("unanswered", "rook-ceph-osd"));
    assert_eq!(plane.get(&["pod", "unanswered", "-n", "rook-ceph"])["metadata"]["annotations"][NETWORKS], Value::Null);
}

fn nothing_is_left_behind(plane: &ControlPlane) {
    say("uninstalling the chart");
    plane.helm(&["uninstall", "rook-multihome", "--namespace", RELEASE_NAMESPACE, "--wait", "--timeout", "60s"]);
    std::thread::sleep(Duration::from_millis(500));
    let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,deployments,services,secrets,serviceaccounts";
    let left = plane.get(&[kinds, "--all-namespaces", "-l", "app.kubernetes.io/instance=rook-multihome"]);
    assert_eq!(left["items"], serde_json::json!([]));
}
