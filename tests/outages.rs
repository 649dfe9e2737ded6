//! Every way in which the API server or the webhook can be down, on a real control plane: what becomes of pods meanwhile, how it
//! shows, and how it ends. `docs/operations.md` has the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::client::{Client, Roots};
use support::control_plane::{ControlPlane, compact_etcd, in_own_network, say};
use support::fixtures;
use support::load::{Load, osd};
use support::release::{NAMESPACE, RELEASE, Release, Replica};
use support::server::Running;

const SERVICE: &str = "rook-multihome.rook-multihome.svc";
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const BOTH: &str = "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net";
const FAIL: &str = "webhook.daemons.failurePolicy=Fail";
const MIB: u64 = 1024;

/// Whether the API server refused a pod because the webhook for daemons did not answer, and says so.
fn is_refused(error: &str) -> bool {
    error.replace('\\', "").contains(r#"failed calling webhook "daemons.multihome.rook.io""#)
}

/// The networks that a replica, asked directly, gives to an OSD.
fn networks(replica: &Running, roots: &Roots, review: &str) -> Value {
    let mut client = Client::try_connect(replica.webhook, roots, SERVICE).unwrap();
    client.review(review)["response"]["auditAnnotations"]["networks"].clone()
}

/// Asks a replica again and again until something is done; it has to be ready and to answer from what it knew all the while.
fn answers_until(replica: &Running, roots: &Roots, mut done: impl FnMut() -> bool) -> u32 {
    let review = fixtures::named("osd-multus").compact_review();
    let deadline = Instant::now() + Duration::from_secs(150);
    let mut answers = 0;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain");
        for _ in 0..5 {
            assert_eq!(networks(replica, roots, &review), BOTH);
            answers += 1;
        }
        assert_eq!(replica.admin("/readyz").0, 200);
        std::thread::sleep(Duration::from_millis(500));
    }
    answers
}

fn failing(replica: &Running) -> f64 {
    replica.metric(r#"rook_multihome_watch_failing_seconds{resource="cephclusters.ceph.rook.io"}"#)
}

/// For a minute and a half it accepts connections and says nothing, and then it is not there at all. Meanwhile another replica
/// starts.
#[test]
fn without_the_api_server_reviews_are_answered_from_what_was_known() {
    in_own_network("without_the_api_server_reviews_are_answered_from_what_was_known", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(&plane, &[]);
        release.start(1);
        plane.wait_for_networks();
        let (late_pod, late_address, late_command) = release.prepare_one();
        let roots = plane.api().bundles().unwrap().remove(0);
        let replica = &release.replicas[0].running;
        answers_until(replica, &roots, || true);
        std::thread::sleep(Duration::from_secs(1));
        answers_until(replica, &roots, {
            let mut rounds = 0..10;
            move || rounds.next().is_none()
        });
        let before = replica.memory("VmRSS");
        let failures_before = replica.metric("rook_multihome_watch_failures_total");

        say("the API server hangs, and later is gone: two minutes in all");
        let since = Instant::now();
        plane.freeze_api_server();
        let mut answers = answers_until(replica, &roots, || failing(replica) > 0.0);
        say(&format!("that it hangs shows after {:?}", since.elapsed()));
        plane.kill_api_server();
        let late = Replica { pod: late_pod, address: late_address, running: Running::start_exactly(late_command) };
        answers += answers_until(replica, &roots, || {
            since.elapsed() > Duration::from_secs(125) && failing(&late.running) > 20.0
        });

        let failing_for = failing(replica);
        let failures = replica.metric("rook_multihome_watch_failures_total") - failures_before;
        let after = replica.memory("VmRSS");
        say(&format!(
            "{answers} reviews answered in {:?}; failing for {failing_for} s, {failures} failures; {before} kB before, {after} kB after",
            since.elapsed()
        ));
        assert!(failing_for > 20.0 && failures > 5.0);
        assert!(after < before + 4 * MIB);
        let (_, verbose) = replica.admin("/readyz?verbose");
        assert!(verbose.contains("[+] watch cephclusters.ceph.rook.io: synced; "), "{verbose}");

        assert_eq!(late.running.admin("/livez").0, 200);
        let (code, reasons) = late.running.admin("/readyz");
        assert_eq!(code, 503);
        assert!(reasons.contains("[-] watch cephclusters.ceph.rook.io: not listed yet; "), "{reasons}");

        what_is_deleted_meanwhile_is_noticed(&plane, replica, &late.running, &roots);
        let review = fixtures::named("osd-multus").compact_review();
        plane.wait_for("the edit at the other one", |_| networks(&late.running, &roots, &review) == ONE);
    });
}

const ONE: &str = "public=rook-ceph/public-net";

/// The replica stands still while the API server comes back without a past: only a list can tell it what is gone.
fn what_is_deleted_meanwhile_is_noticed(plane: &ControlPlane, replica: &Running, late: &Running, roots: &Roots) {
    say("the API server comes back; the first replica does not see what happens until etcd has forgotten it");
    replica.signal("-STOP");
    plane.start_api_server();
    let since = Instant::now();
    plane.wait_for("readiness", |_| late.admin("/readyz").0 == 200);
    say(&format!("the replica that started without it was ready {:?} after it", since.elapsed()));
    let patch = r#"{"spec":{"network":{"selectors":{"cluster":null}}}}"#;
    plane.kubectl(&["patch", "cephcluster", "my-cluster", "-n", "rook-ceph", "--type=merge", "-p", patch]);
    plane.kubectl(&["delete", "network-attachment-definition", "cluster-net", "-n", "rook-ceph"]);
    compact_etcd();
    plane.kill_api_server();
    plane.start_api_server();
    let since = Instant::now();
    replica.signal("-CONT");
    let review = fixtures::named("osd-multus").compact_review();
    plane.wait_for("the edit", |_| networks(replica, roots, &review) == ONE);
    plane.wait_for("the deletion", |_| replica.metric("rook_multihome_attachments") < 1.5);
    say(&format!("it knew after {:?}", since.elapsed()));
    let gone = |event: &Value| {
        event["message"] == "watching failed; trying again"
            && event["error"].as_str().unwrap_or_default().contains("too old resource version")
    };
    let log = replica.log_so_far();
    assert!(log.iter().any(gone), "{log:#?}");
    assert!(failing(replica) < 0.1);
    assert_eq!(replica.admin("/readyz").0, 200);
}

/// Everything that an operator does to replicas, and the worst that can happen to one, while pods are created without a pause.
#[test]
fn replicas_come_and_go_and_only_a_death_is_noticed() {
    in_own_network("replicas_come_and_go_and_only_a_death_is_noticed", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(&plane, &["--set", FAIL]);
        release.start(2);
        plane.wait_for_networks();

        let load = Load::of_admissions(&plane, 2);
        say("stopping one of two replicas, in the middle of a request");
        let slow = a_slow_request(&plane, &release.replicas[0]);
        release.stop(0);
        assert_eq!(slow.join().unwrap(), Some(200), "it came to its end when nothing new was accepted any more");
        release.start(2);
        say("rolling both over");
        release.roll();
        load.stop().expect_all("admissions while replicas were stopped and rolled");

        one_dies(&plane, &mut release, "-KILL", "under Fail, one killed", is_refused);
        one_dies(&plane, &mut release, "-STOP", "under Fail, one hanging", is_refused);
        release.upgrade(&["--set", "webhook.daemons.failurePolicy=Ignore"]);
        // Whether the API server has noticed, it does not say.
        std::thread::sleep(Duration::from_secs(6));
        one_dies(&plane, &mut release, "-KILL", "under Ignore, one killed", |failure| failure.contains("no networks"));
    });
}

/// A request whose second half comes after seven seconds: past the delay in which a replica that leaves serves on.
fn a_slow_request(plane: &ControlPlane, replica: &Replica) -> std::thread::JoinHandle<Option<u16>> {
    let roots = plane.api().bundles().unwrap().remove(0);
    let mut client = Client::try_connect(replica.running.webhook, &roots, SERVICE).unwrap();
    let review = fixtures::named("osd-multus").compact_review();
    let (first, second) = review.as_bytes().split_at(1000);
    client.send_head("POST", "/mutate", &[("content-type", "application/json")], review.len());
    client.send(first);
    let second = second.to_vec();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(7));
        client.send(&second);
        client.read_response().map(|response| response.status)
    })
}

/// One of two replicas dies, and for some seconds nobody knows. Every failure has to be one that is `expected`; once its address
/// is taken from the Service, there are none.
fn one_dies(
    plane: &ControlPlane,
    release: &mut Release<'_>,
    signal: &str,
    what: &str,
    expected: impl Fn(&str) -> bool,
) {
    let load = Load::of_admissions(plane, 2);
    std::thread::sleep(Duration::from_secs(1));
    let dead = release.replicas.remove(0);
    dead.running.signal(signal);
    std::thread::sleep(Duration::from_secs(11));
    release.forget(&dead.pod);
    release.wait_for_endpoints();
    // What is on its way still may take as long as the API server waits.
    std::thread::sleep(Duration::from_secs(6));
    let outcome = load.stop();
    say(&format!(
        "{what} for 11 s: {} admissions, {} failed, the slowest took {:?}",
        outcome.done,
        outcome.failures.len(),
        outcome.slowest
    ));
    if let Some(failure) = outcome.failures.iter().find(|failure| !expected(failure)) {
        panic!("{what}: {failure}");
    }
    let load = Load::of_admissions(plane, 2);
    std::thread::sleep(Duration::from_secs(3));
    plane.wait_for("enough admissions", |_| load.done() > 40);
    load.stop().expect_all("admissions by the other replica alone");
    drop(dead);
    release.start(2);
}

/// Both replicas are down, as after a power failure: what must not wait for the webhook does not.
#[test]
fn nothing_that_the_webhook_needs_waits_for_the_webhook() {
    in_own_network("nothing_that_the_webhook_needs_waits_for_the_webhook", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(&plane, &["--set", FAIL]);
        release.start(2);
        plane.wait_for_networks();
        say("both replicas die");
        release.kill(0);
        release.kill(0);
        release.wait_for_endpoints();

        plane.wait_for("the webhook's own pods", |plane| {
            plane.get(&["pods", "-n", NAMESPACE])["items"].as_array().unwrap().len() == 2
        });
        everything_else_is_admitted(&plane);
        let refused = create(&plane, &osd("refused")).unwrap_err();
        say(&format!("an OSD is refused: {}", refused.trim()));
        assert!(is_refused(&refused), "{refused}");

        say("letting go of the daemons, as in an emergency");
        for_daemons(&plane, "Ignore");
        let admitted = admitted_at_last(&plane);
        assert_eq!(admitted["metadata"]["annotations"][NETWORKS], Value::Null, "it is admitted as it is");
        for_daemons(&plane, "Fail");
        plane.wait_for("the policy", |plane| create(plane, &osd("refused")).is_err());

        say("an OSD of a Deployment waits for the webhook");
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "rook-ceph-osd-0", "namespace": "rook-ceph"},
            "spec": {
                "selector": {"matchLabels": {"app": "rook-ceph-osd"}},
                "template": {"metadata": {"labels": osd("o")["metadata"]["labels"]}, "spec": osd("o")["spec"]},
            },
        });
        plane.apply(&deployment.to_string());
        let events = ["get", "events", "-n", "rook-ceph", "--field-selector", "reason=FailedCreate"];
        plane.wait_for("the refusal", |plane| is_refused(&plane.kubectl(&events)));
        let since = Instant::now();
        std::thread::sleep(Duration::from_secs(10));
        assert!(pods(&plane, "rook-ceph-osd").is_empty());
        release.start(1);
        let (outage, since) = (since.elapsed(), Instant::now());
        plane.wait_for("the OSD", |plane| !pods(plane, "rook-ceph-osd").is_empty());
        say(&format!("after an outage of {outage:?} it came by itself {:?} later", since.elapsed()));
        let networks = pods(&plane, "rook-ceph-osd")[0]["metadata"]["annotations"][NETWORKS].clone();
        assert!(networks.as_str().unwrap().contains("cluster-net"), "{networks}");

        let columns =
            r"custom-columns=POD:.metadata.name,NETWORKS:.metadata.annotations.k8s\.v1\.cni\.cncf\.io/networks";
        let listed = plane.kubectl(&["get", "pods", "-n", "rook-ceph", "--output", columns]);
        assert!(listed.contains("cluster-net"), "{listed}");

        say("again, and this time the ReplicaSet is touched after it");
        release.kill(0);
        plane.kubectl(&["delete", "pod", "-n", "rook-ceph", "-l", "app=rook-ceph-osd", "--force", "--grace-period=0"]);
        // Its pauses double: after this time it would not try again for a quarter of a minute.
        std::thread::sleep(Duration::from_secs(23));
        assert!(pods(&plane, "rook-ceph-osd").is_empty());
        release.start(1);
        plane.kubectl(&["annotate", "replicaset", "-n", "rook-ceph", "--all", "--overwrite", "tried=now"]);
        let since = Instant::now();
        plane.wait_for("the OSD", |plane| !pods(plane, "rook-ceph-osd").is_empty());
        say(&format!("it came {:?} later", since.elapsed()));
        assert!(since.elapsed() < Duration::from_secs(8));

        say("taking the webhook configuration away while nobody answers");
        release.kill(0);
        assert!(create(&plane, &osd("refused")).is_err());
        plane.kubectl(&["delete", "mutatingwebhookconfiguration", RELEASE]);
        admitted_at_last(&plane);
        say("and putting it back");
        release.upgrade(&[]);
        release.start(1);
        plane.wait_for_networks();
    });
}

fn create(plane: &ControlPlane, pod: &Value) -> Result<Value, String> {
    let created = plane.try_kubectl(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &pod.to_string());
    created.map(|(pod, _)| serde_json::from_str(&pod).unwrap())
}

fn admitted_at_last(plane: &ControlPlane) -> Value {
    let since = Instant::now();
    plane.wait_for("an OSD to be admitted", |plane| create(plane, &osd("admitted")).is_ok());
    say(&format!("OSDs are admitted after {:?}", since.elapsed()));
    create(plane, &osd("admitted")).unwrap()
}

fn for_daemons(plane: &ControlPlane, policy: &str) {
    let patch = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": policy}]).to_string();
    plane.kubectl(&["patch", "mutatingwebhookconfiguration", RELEASE, "--type=json", "-p", &patch]);
}

fn pods(plane: &ControlPlane, app: &str) -> Vec<Value> {
    let pods = plane.get(&["pods", "-n", "rook-ceph", "-l", &format!("app={app}")]);
    pods["items"].as_array().unwrap().clone()
}

/// Whatever starts together with storage: none of it is a daemon in a storage namespace, so none of it can be refused.
fn everything_else_is_admitted(plane: &ControlPlane) {
    plane.namespace("apps");
    plane.namespace("kube-system");
    let pods = [
        ("kube-system", "kube-multus-ds"),
        ("kube-system", "whereabouts"),
        ("kube-system", "kube-dns"),
        ("kube-system", "rook-ceph-osd"),
        (NAMESPACE, "rook-ceph-osd"),
        ("rook-ceph", "rook-ceph-operator"),
        ("rook-ceph", "rook-discover"),
        ("rook-ceph", "csi-rbdplugin"),
        ("rook-ceph", "csi-cephfsplugin"),
        ("rook-ceph", "rbd.csi.ceph.com-nodeplugin"),
        ("rook-ceph", "rook-ceph-crashcollector"),
        ("rook-ceph", "rook-ceph-exporter"),
        ("rook-ceph", "something-else"),
        ("apps", "rook-ceph-osd"),
    ];
    for (namespace, app) in pods {
        let mut pod = osd("early");
        pod["metadata"]["namespace"] = namespace.into();
        pod["metadata"]["labels"]["app"] = app.into();
        create(plane, &pod).unwrap_or_else(|error| panic!("{app} in {namespace}: {error}"));
    }
    let mut unlabelled = osd("early");
    unlabelled["metadata"].as_object_mut().unwrap().remove("labels");
    create(plane, &unlabelled).unwrap();

    say("a DaemonSet of the network, whose pods come from the real controller");
    let multus = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "kube-multus-ds", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"app": "multus"}},
            "template": {
                "metadata": {"labels": {"app": "multus"}},
                "spec": {"hostNetwork": true, "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": "none"}]},
            },
        },
    });
    plane.apply(&multus.to_string());
    plane.wait_for("its pod", |plane| {
        let pods = plane.get(&["pods", "-n", "kube-system", "-l", "app=multus"]);
        !pods["items"].as_array().unwrap().is_empty()
    });
}
