//! Every way in which the API server or the webhook can be down, on a real control plane: what becomes of pods meanwhile, how it
//! shows, and how it ends. `docs/operations.md` has the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::client::{Client, Roots};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::fixtures;
use support::load::{Load, osd};
use support::release::{NAMESPACE, RELEASE, Release, Replica};
use support::server::Running;

const SERVICE: &str = "rook-multihome.rook-multihome.svc";
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const BOTH: &str = "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net";
const FAIL: &str = "webhook.daemons.failurePolicy=Fail";
/// What the API server says of a pod that it refuses because nobody answers.
const REFUSED: &str = r#"failed calling webhook "daemons.multihome.rook.io""#;
const MIB: u64 = 1024;

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
    replica.metric(r#"rook_multihome_watch_failing_seconds{resource="cephclusters"}"#)
}

/// For a minute and a half it accepts connections and says nothing, and then it is not there at all. Meanwhile another replica
/// starts.
#[test]
fn without_the_api_server_reviews_are_answered_from_what_was_known() {
    in_own_network("without_the_api_server_reviews_are_answered_from_what_was_known", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(&plane, &[]);
        release.start(1);
        release.wait_for_networks();
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
        answers += answers_until(replica, &roots, || since.elapsed() > Duration::from_secs(125));

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
        assert!(verbose.contains("[+] watch cephclusters: synced; "), "{verbose}");

        assert_eq!(late.running.admin("/livez").0, 200);
        let (code, reasons) = late.running.admin("/readyz");
        assert_eq!(code, 503);
        assert!(reasons.contains("[-] watch cephclusters: not listed yet; "), "{reasons}");
        assert!(failing(&late.running) > 20.0);

        what_is_deleted_meanwhile_is_noticed(&plane, replica, &roots);
        let since = Instant::now();
        late.running.wait_until_ready();
        say(&format!("whoever started without the API server was ready {:?} after that", since.elapsed()));
        assert_eq!(networks(&late.running, &roots, &fixtures::named("osd-multus").compact_review()), ONE);
    });
}

const ONE: &str = "public=rook-ceph/public-net";

/// The replica stands still while the API server comes back without a past: only a list can tell it what is gone.
fn what_is_deleted_meanwhile_is_noticed(plane: &ControlPlane, replica: &Running, roots: &Roots) {
    say("the API server comes back; one replica does not see what happens until etcd has forgotten it");
    replica.signal("-STOP");
    plane.start_api_server();
    let patch = r#"{"spec":{"network":{"selectors":{"cluster":null}}}}"#;
    plane.kubectl(&["patch", "cephcluster", "my-cluster", "-n", "rook-ceph", "--type=merge", "-p", patch]);
    plane.kubectl(&["delete", "network-attachment-definition", "cluster-net", "-n", "rook-ceph"]);
    plane.compact();
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
    let log = replica.log();
    assert!(log.iter().any(gone), "{log:#?}");
    assert!(failing(replica) < 0.1);
    assert_eq!(replica.admin("/readyz").0, 200);
}
