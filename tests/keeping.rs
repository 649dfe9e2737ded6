//! Keeping certificates, against an API server that can be told to misbehave: what is written, what is not, and what goes on
//! meanwhile. The same on a real API server is in `certificates.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use support::program;
use support::server::{Running, wait_for};

const NAME: &str = "rook-multihome";
const MUTATING: &str = "mutatingwebhookconfigurations";
const VALIDATING: &str = "validatingwebhookconfigurations";
/// What is asked about with one configuration of each kind, of one name.
const BOTH: [&str; 2] = ["--validating-webhook-configuration", NAME];

/// One Secret and some webhook configurations.
#[derive(Clone)]
struct FakeApi {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// The objects, by kind of resource.
    secrets: Vec<Value>,
    configurations: Vec<Value>,
    validating: Vec<Value>,
    /// Watches of secrets, and of configurations, by the name that they select.
    watches: Vec<(&'static str, String, TcpStream)>,
    /// Requests to write something.
    writes: Vec<Write>,
    /// Whether nobody is answered, but watches.
    is_silent: bool,
    unanswered: Vec<TcpStream>,
    /// The kind whose watches are told nothing for now, and what they are to be told.
    late: Option<(&'static str, Vec<Value>)>,
}

/// A request to write something, and what became of it.
#[derive(Clone)]
struct Write {
    at: Instant,
    target: String,
    body: Value,
    is_done: bool,
}

fn configuration(name: &str, annotations: &Value) -> Value {
    let entry = |entry: &str, service: &str| json!({"name": entry, "clientConfig": {"service": {"name": service, "namespace": NAME, "path": "/mutate"}}, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    json!({
        "metadata": {"name": name, "uid": format!("uid-of-{name}"), "annotations": annotations},
        "webhooks": [entry("one.example.com", NAME), entry("two.example.com", NAME), entry("others.example.com", "another")],
    })
}

fn ours() -> Value {
    json!({"multihome.rook.io/ca-bundle": "self-managed"})
}

impl FakeApi {
    fn start(configurations: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        {
            let mut state = api.state.lock().unwrap();
            state.put(
                "secrets",
                json!({"metadata": {"name": "rook-multihome-ca", "namespace": NAME}, "type": "Opaque"}),
            );
            for configuration in configurations {
                state.put(MUTATING, configuration);
            }
        }
        let serving = api.clone();
        support::answer_each(listener, move |stream| _ = serving.answer(stream));
        api
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ').map(ToOwned::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();

        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let kind = ["secrets", MUTATING, VALIDATING].into_iter().find(|kind| path.contains(kind));
        let mut state = self.state.lock().unwrap();
        let (code, answer) = match kind {
            None => (
                404,
                json!({"kind": "Status", "code": 404, "message": "no such resource", "reason": "NotFound", "status": "Failure"}),
            ),
            Some(kind) => {
                let selected =
                    query.split("metadata.name%3D").nth(1).map(|rest| rest.split('&').next().unwrap().to_owned());
                if query.contains("watch=true") {
                    _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
                    // What came after the list that it goes on from.
                    let since = query.split("resourceVersion=").nth(1).map(|rest| rest.split('&').next().unwrap());
                    let since: u64 = since.unwrap().parse().unwrap();
                    let missed = state.objects(kind).iter().filter(|object| {
                        let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                        version > since && selected.as_ref().is_none_or(|name| object["metadata"]["name"] == **name)
                    });
                    for object in missed {
                        _ = writeln!(stream, "{}", json!({"type": "MODIFIED", "object": object}));
                    }
                    state.watches.push((kind, selected.unwrap_or_default(), stream));
                    return None;
                }
                if state.is_silent {
                    state.unanswered.push(stream);
                    return None;
                }
                state.answer(kind, &method, &target, path.rsplit('/').next()?, selected.as_deref(), &body)
            }
        };
        drop(state);
        let answer = answer.to_string();
        let head = "content-type: application/json\r\nconnection: close";
        write!(stream, "HTTP/1.1 {code} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).ok()
    }

    /// Somebody makes a validating configuration.
    fn put_validating(&self, configuration: Value) {
        self.state.lock().unwrap().put(VALIDATING, configuration);
    }

    /// Somebody deletes the configurations of a kind.
    fn delete_all(&self, kind: &str) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let gone = std::mem::take(state.objects(kind));
        for mut object in gone {
            object["metadata"]["resourceVersion"] = state.version.to_string().into();
            state.tell(kind, json!({"type": "DELETED", "object": object}));
        }
    }

    /// The PEM text of every bundle of a mutating configuration.
    fn bundles(&self, name: &str) -> Vec<String> {
        self.bundles_of(MUTATING, name)
    }

    fn bundles_of(&self, kind: &str, name: &str) -> Vec<String> {
        let mut state = self.state.lock().unwrap();
        let configuration = state.objects(kind).iter().find(|found| found["metadata"]["name"] == name).unwrap();
        let bundle = |webhook: &Value| {
            let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            String::from_utf8(BASE64.decode(bundle).unwrap()).unwrap()
        };
        configuration["webhooks"].as_array().unwrap().iter().map(bundle).collect()
    }

    /// Somebody empties a bundle.
    fn empty_bundle(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        let configuration = state.configurations.iter().find(|found| found["metadata"]["name"] == name).unwrap();
        let mut configuration = configuration.clone();
        configuration["webhooks"][0]["clientConfig"].as_object_mut().unwrap().remove("caBundle");
        state.put(MUTATING, configuration);
    }

    /// Watches of a kind are told nothing, until [`Self::catch_up`].
    fn be_late(&self, kind: &'static str) {
        self.state.lock().unwrap().late = Some((kind, Vec::new()));
    }

    fn catch_up(&self) {
        let mut state = self.state.lock().unwrap();
        let (kind, events) = state.late.take().unwrap();
        for event in events {
            state.tell(kind, event);
        }
    }

    /// What the replicas have tried to write of a kind.
    fn tried(&self, kind: &str) -> Vec<Write> {
        let state = self.state.lock().unwrap();
        state.writes.iter().filter(|write| write.target.contains(kind)).cloned().collect()
    }

    /// What they have written. One that has not heard of the latest version is turned away, and that is no harm.
    fn written(&self, kind: &str) -> Vec<Write> {
        self.tried(kind).into_iter().filter(|write| write.is_done).collect()
    }

    fn be_silent(&self, is_silent: bool) {
        let mut state = self.state.lock().unwrap();
        state.is_silent = is_silent;
        state.unanswered.clear();
    }

    fn serve(&self, folder: &std::path::Path, flags: &[&str]) -> Running {
        let kubeconfig = folder.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let mut command = program();
        command.args(["serve", "--tls-mode", "self-managed"]).args(flags).env("KUBECONFIG", kubeconfig);
        Running::start_command(command, &folder.join("certs"))
    }
}

impl State {
    fn objects(&mut self, kind: &str) -> &mut Vec<Value> {
        match kind {
            MUTATING => &mut self.configurations,
            VALIDATING => &mut self.validating,
            _ => &mut self.secrets,
        }
    }

    /// Stores an object as a new version of it, and tells the watches.
    fn put(&mut self, kind: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.objects(kind).retain(|known| known["metadata"]["name"] != *name);
        self.objects(kind).push(object.clone());
        self.tell(kind, json!({"type": "MODIFIED", "object": object}));
        object
    }

    /// Tells the watches of an object what happened to it.
    fn tell(&mut self, kind: &str, event: Value) {
        if let Some((_, events)) = self.late.as_mut().filter(|(late, _)| *late == kind) {
            events.push(event);
            return;
        }
        let name = &event["object"]["metadata"]["name"];
        for (_, _, stream) in self.watches.iter_mut().filter(|(of, selected, _)| *of == kind && name == selected) {
            _ = writeln!(stream, "{event}");
        }
    }

    fn answer(
        &mut self,
        kind: &str,
        method: &str,
        target: &str,
        name: &str,
        selected: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let (code, answer) = self.answer_unrecorded(kind, method, name, selected, body);
        if method != "GET" {
            let (target, body) = (target.to_owned(), body.clone());
            self.writes.push(Write { at: Instant::now(), target, body, is_done: code / 100 == 2 });
        }
        (code, answer)
    }

    fn answer_unrecorded(
        &mut self,
        kind: &str,
        method: &str,
        name: &str,
        selected: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let failure = |code: u16, message: &str| {
            (
                code,
                json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": "Failure"}),
            )
        };
        let version = self.version.to_string();
        let known = self.objects(kind).iter().find(|known| known["metadata"]["name"] == name).cloned();
        let is_stale = |known: &Value| {
            let wanted = &body["metadata"]["resourceVersion"];
            !wanted.is_null() && *wanted != known["metadata"]["resourceVersion"]
        };
        match (method, known) {
            ("GET", _) if name == kind => {
                let items: Vec<Value> = self
                    .objects(kind)
                    .iter()
                    .filter(|known| selected.is_none_or(|name| known["metadata"]["name"] == name))
                    .cloned()
                    .collect();
                (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}),
                )
            }
            ("GET", Some(known)) => (200, known),
            ("PUT" | "PATCH", Some(known)) if is_stale(&known) => failure(409, "somebody was first"),
            ("PUT", Some(_)) => (200, self.put(kind, body.clone())),
            ("PATCH", Some(mut known)) => {
                for applied in body["webhooks"].as_array().unwrap() {
                    let webhooks = known["webhooks"].as_array_mut().unwrap();
                    let webhook = webhooks.iter_mut().find(|webhook| webhook["name"] == applied["name"]).unwrap();
                    webhook["clientConfig"]["caBundle"] = applied["clientConfig"]["caBundle"].clone();
                }
                (200, self.put(kind, known))
            }
            ("POST", _) => (201, self.put(kind, body.clone())),
            (_, None) => failure(404, "not found"),
            (_, Some(_)) => failure(405, "not allowed"),
        }
    }
}

#[test]
fn the_bundle_is_written_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(vec![configuration(NAME, &ours())]);
    let replica = api.serve(folder.path(), &[]);
    replica.wait_until_ready();
    let bundles = api.bundles(NAME);
    assert!(bundles[0].starts_with("-----BEGIN CERTIFICATE-----") && bundles[0] == bundles[1]);
    assert_eq!(bundles[2], "", "that entry calls somebody else");

    let tried = api.tried("webhookconfigurations");
    let Write { target, body: patch, .. } = &tried[0];
    assert!(target.ends_with("/rook-multihome?&force=true&fieldManager=rook-multihome-certificates"), "{target}");
    let bundle = BASE64.encode(&bundles[0]);
    let entry = |name: &str| json!({"name": name, "clientConfig": {"caBundle": bundle}});
    assert_eq!(patch["webhooks"], json!([entry("one.example.com"), entry("two.example.com")]));
    assert_eq!(patch["metadata"]["uid"], "uid-of-rook-multihome");
    assert!(patch["metadata"]["resourceVersion"].is_string());
    let fields: Vec<&String> = patch.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["apiVersion", "kind", "metadata", "webhooks"]);
    // Making the authority, noting that it is trusted; and one bundle.
    assert_eq!((api.written("secrets").len(), tried.len()), (2, 1));
}

/// One of each kind, of one name: each is written as what it is, and both count.
#[test]
fn both_kinds_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(vec![configuration(NAME, &ours())]);
    api.put_validating(configuration(NAME, &ours()));
    let replica = api.serve(folder.path(), &BOTH);
    replica.wait_until_ready();
    let bundles = api.bundles_of(VALIDATING, NAME);
    assert!(bundles[0].starts_with("-----BEGIN CERTIFICATE-----") && bundles[0] == bundles[1]);
    assert_eq!(bundles, api.bundles(NAME));
    for (plural, kind) in [(MUTATING, "MutatingWebhookConfiguration"), (VALIDATING, "ValidatingWebhookConfiguration")] {
        let tried = api.tried(plural);
        assert_eq!(tried.len(), 1, "{plural}");
        let Write { target, body: patch, .. } = &tried[0];
        assert!(target.starts_with("/apis/admissionregistration.k8s.io/v1/"), "{target}");
        assert_eq!((&patch["kind"], &patch["metadata"]["name"]), (&json!(kind), &json!(NAME)));
    }
}

/// Each configuration has a watch of its own. What the one brings says nothing about whether the other was written.
#[test]
fn what_a_watch_has_still_to_bring_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(vec![configuration(NAME, &ours())]);
    api.put_validating(configuration(NAME, &ours()));
    api.be_late(VALIDATING);
    let replica = api.serve(folder.path(), &BOTH);
    wait_for("both to be written", || {
        [MUTATING, VALIDATING].iter().all(|kind| api.bundles_of(kind, NAME)[0].contains("BEGIN CERTIFICATE"))
    });
    // Long enough for some turns, shorter than a watch may take.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(replica.admin("/readyz").0, 503, "what it has not seen, it does not claim");
    api.catch_up();
    replica.wait_until_ready();
    for kind in [MUTATING, VALIDATING] {
        let tried = api.tried(kind);
        // A watch that brings nothing for five seconds is not waited for any longer.
        let pauses = tried.windows(2).map(|pair| pair[1].at - pair[0].at).collect::<Vec<_>>();
        assert!(pauses.iter().all(|pause| *pause > Duration::from_secs(4)), "{kind}: {pauses:?}");
    }
}

/// Until it is there, pods are what counts; from then on, it has to be trusted like the other.
#[test]
fn a_validating_configuration_may_come_later_and_counts_then() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(vec![configuration(NAME, &ours())]);
    let replica = api.serve(folder.path(), &BOTH);
    replica.wait_until_ready();
    let verbose = || replica.admin("/readyz?verbose");
    let missing = "there is no ValidatingWebhookConfiguration rook-multihome to write a caBundle into";
    wait_for("what is missing to be said", || verbose().1.contains(missing));
    assert_eq!(verbose().0, 200, "pods get their networks all the same");

    api.put_validating(configuration(NAME, &json!({"somebody": "else"})));
    let said = "ValidatingWebhookConfiguration rook-multihome does not trust the authority, and has no annotation multihome.rook.io/ca-bundle: self-managed";
    wait_for("what is wrong with it to be said", || verbose().0 == 503 && verbose().1.contains(said));
    assert!(!verbose().1.contains(missing), "{}", verbose().1);
    api.put_validating(configuration(NAME, &ours()));
    wait_for("readiness", || verbose().0 == 200);
    assert_eq!(api.bundles_of(VALIDATING, NAME), api.bundles(NAME));

    api.delete_all(MUTATING);
    wait_for("the loss to be noticed", || verbose().0 == 503);
    let lost = "[-] authority: no MutatingWebhookConfiguration calls this Service";
    assert!(verbose().1.contains(lost), "{}", verbose().1);
}

#[test]
fn an_api_server_that_does_not_answer_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(vec![configuration(NAME, &ours())]);
    let replica = api.serve(folder.path(), &["--leaf-lifetime", "9s", "--ca-settle", "1s"]);
    replica.wait_until_ready();
    let before = api.bundles(NAME);
    api.be_silent(true);
    api.empty_bundle(NAME);
    let verbose = || replica.admin("/readyz?verbose");
    wait_for("the missing bundle to be noticed", || verbose().0 == 503);
    assert!(verbose().1.contains("[-] authority: not trusted by every webhook configuration yet"), "{}", verbose().1);
    let issued = replica.metric("rook_multihome_certificates_issued_total");
    wait_for("the request to be given up", || verbose().1.contains("the API server did not answer within 10 seconds"));
    wait_for("certificates to be renewed all the same", || {
        replica.metric("rook_multihome_certificates_issued_total") > issued
    });
    api.be_silent(false);
    wait_for("the bundle to be back", || api.bundles(NAME) == before);
    wait_for("readiness", || verbose().0 == 200);
}

#[test]
fn a_configuration_that_is_not_ours_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = configuration("theirs", &json!({"somebody": "else"}));
    let api = FakeApi::start(vec![theirs, configuration(NAME, &ours())]);
    let replica = api.serve(folder.path(), &["--webhook-configuration", "theirs,missing,rook-multihome"]);
    wait_for("the bundle", || api.bundles(NAME)[0].contains("BEGIN CERTIFICATE"));
    let said = "MutatingWebhookConfiguration theirs does not trust the authority, and has no annotation multihome.rook.io/ca-bundle: self-managed that would leave its caBundle to the replicas";
    wait_for("what is wrong to be said", || {
        let (code, verbose) = replica.admin("/readyz?verbose");
        code == 503 && (verbose.contains(said) || verbose.contains("there is no MutatingWebhookConfiguration missing"))
    });
    assert_eq!(api.bundles("theirs"), ["", "", ""]);
}

/// A tool that resets the Secret each time it is written must not be met by as many new authorities.
#[test]
fn a_struggle_over_the_secret_becomes_slower() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::start(vec![configuration(NAME, &ours())]);
    let replica = api.serve(folder.path(), &[]);
    replica.wait_until_ready();
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(12) {
        let mut state = api.state.lock().unwrap();
        let mut secret = state.secrets[0].clone();
        if !secret["data"].is_null() {
            secret.as_object_mut().unwrap().remove("data");
            state.put("secrets", secret);
        }
        drop(state);
        std::thread::sleep(Duration::from_millis(20));
    }
    let made = api.tried("secrets").len();
    assert!((2..12).contains(&made), "{made} writes in {:?}", since.elapsed());
}
