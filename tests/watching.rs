//! The watches, against an API server that misbehaves: what was known is kept, and what is not known is not called ready.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::fixtures::named;
use support::program;
use support::server::{Running, wait_for};

/// How the API server answers lists and watches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Fine = 0,
    NotFound = 1,
    Forbidden = 2,
    Gone = 3,
}

/// A stand-in for the API server, with one CephCluster, whose annotations can be chosen, and its two networks.
#[derive(Clone)]
struct FakeApi {
    address: SocketAddr,
    mood: Arc<AtomicU8>,
    annotations: Arc<Mutex<Value>>,
    /// Connections of watches by their request lines; they are cut when the mood changes.
    watches: Arc<Mutex<Vec<(String, TcpStream)>>>,
}

impl FakeApi {
    fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = Self {
            address: listener.local_addr().unwrap(),
            mood: Arc::new(AtomicU8::new(mood as u8)),
            annotations: Arc::default(),
            watches: Arc::default(),
        };
        let serving = api.clone();
        support::answer_each(listener, move |stream| serving.answer(stream));
        api
    }

    fn turn(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
        for (_, watch) in self.watches.lock().unwrap().drain(..) {
            _ = watch.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Changes the cluster's annotations, and tells those who watch it.
    fn annotate(&self, annotations: Value) {
        *self.annotations.lock().unwrap() = annotations;
        let event = json!({"type": "MODIFIED", "object": self.cluster()});
        for (target, watch) in self.watches.lock().unwrap().iter_mut() {
            if target.contains("/cephclusters") {
                watch.write_all(format!("{event}\n").as_bytes()).unwrap();
            }
        }
    }

    fn cluster(&self) -> Value {
        let network = json!({"provider": "multus", "selectors": {"public": "public-net", "cluster": "cluster-net"}});
        let annotations = self.annotations.lock().unwrap().clone();
        json!({
            "apiVersion": "ceph.rook.io/v1", "kind": "CephCluster",
            "metadata": {"namespace": "rook-ceph", "name": "my-cluster", "resourceVersion": "1", "annotations": annotations},
            "spec": {"network": network},
        })
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(target) = lines.next() else { return };
        lines.find(String::is_empty);
        let is_watch = target.contains("watch=true");
        let mood = self.mood.load(Ordering::SeqCst);
        let code = match mood {
            mood if mood == Mood::Fine as u8 => 200,
            mood if mood == Mood::NotFound as u8 => 404,
            mood if mood == Mood::Forbidden as u8 => 403,
            _ if is_watch => 410,
            _ => 503,
        };
        if code == 200 && is_watch {
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
            self.watches.lock().unwrap().push((target, stream));
            return;
        }
        let body = if code == 200 { self.list(&target) } else { failure(code) };
        let head = "content-type: application/json\r\nconnection: close";
        _ = write!(stream, "HTTP/1.1 {code} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }

    fn list(&self, target: &str) -> String {
        let items: Vec<Value> = if target.contains("/cephclusters") {
            vec![self.cluster()]
        } else if target.contains("/network-attachment-definitions") {
            let definition =
                |name| json!({"metadata": {"namespace": "rook-ceph", "name": name}, "spec": {"config": ""}});
            vec![definition("public-net"), definition("cluster-net")]
        } else {
            Vec::new()
        };
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items}).to_string()
    }
}

fn failure(code: u16) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "X", "message": "no"})
        .to_string()
}

fn start(api: &FakeApi, folder: &std::path::Path) -> Running {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", api.address)}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    });
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let certs = folder.join("certs");
    support::stdout(program().args(["certs", "make", "--name", "localhost", "--cert-dir"]).arg(&certs));
    let mut command = program();
    command.arg("serve").env("KUBECONFIG", kubeconfig);
    Running::start_command(command, &certs)
}

fn networks(server: &Running) -> Value {
    let answer = server.client().review(&named("osd-multus").compact_review());
    answer["response"]["auditAnnotations"]["networks"].clone()
}

const BOTH: &str = "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net";

#[test]
fn what_was_known_is_kept_while_the_api_server_fails() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(Mood::Fine);
    let server = start(&api, folder.path());
    server.wait_until_ready();
    assert_eq!(networks(&server), BOTH);
    for (mood, sign) in [
        // An API server that has just started does not know custom resources for a moment.
        (Mood::NotFound, "the API is not installed"),
        (Mood::Forbidden, "synced; "),
        (Mood::Gone, "synced; "),
    ] {
        api.turn(mood);
        wait_for(sign, || server.admin("/readyz?verbose").1.contains(&format!("[+] watch cephclusters: {sign}")));
        assert_eq!(networks(&server), BOTH);
        assert_eq!(server.admin("/readyz").0, 200);
    }
    assert!(server.metric(r#"rook_multihome_watch_failures_total{resource="cephclusters"}"#) > 0.5);
    api.turn(Mood::Fine);
    wait_for("the watch to recover", || !server.admin("/readyz?verbose").1.contains("synced; "));
    assert_eq!(networks(&server), BOTH);
}

#[test]
fn what_was_never_known_is_not_called_ready() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(Mood::NotFound);
    let server = start(&api, folder.path());
    server.wait_until_ready();
    assert!(server.admin("/readyz?verbose").1.contains("[+] watch cephclusters: the API is not installed"));
    api.turn(Mood::Forbidden);
    wait_for("readiness to end", || server.admin("/readyz").0 == 503);
    assert!(
        server.admin("/readyz").1.contains("[-] watch cephclusters: not listed yet; "),
        "{}",
        server.admin("/readyz").1
    );
    api.turn(Mood::Fine);
    server.wait_until_ready();
    assert_eq!(networks(&server), BOTH);
}

#[test]
fn a_cluster_changes_its_mode_by_annotation() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(Mood::Fine);
    let foreign = "kubectl.kubernetes.io/last-applied-configuration";
    api.annotate(json!({"multihome.rook.io/mode": "audit", foreign: "{}"}));
    let server = start(&api, folder.path());
    server.wait_until_ready();
    let response = || server.client().review(&named("osd-multus").compact_review())["response"].clone();
    assert_eq!(response()["auditAnnotations"]["mode"], "audit", "the list says so");
    assert!(response().get("patch").is_none());
    wait_for("the watch", || api.watches.lock().unwrap().iter().any(|(target, _)| target.contains("/cephclusters")));
    api.annotate(json!({"multihome.rook.io/mode": "off"}));
    wait_for("the event", || response()["auditAnnotations"]["reason"] == "mode-off");
    api.annotate(json!({foreign: "{}"}));
    wait_for("the next event", || response().get("patch").is_some());
    assert!(server.metric(r#"rook_multihome_reviews_total{mode="audit",outcome="attached"}"#) > 1.5);
}
