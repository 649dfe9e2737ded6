//! The HTTPS server: what it refuses, how it leaves, how certificates are replaced, and what the admin port says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rook_multihome::tls::{authority, files};
use serde_json::json;
use support::client::Client;
use support::fixtures::named;
use support::server::{Running, wait_for};

fn server(certs: &std::path::Path, flags: &[&str]) -> Running {
    let server = Running::start(&named("osd-multus").world(), certs, flags);
    server.wait_until_ready();
    server
}

#[test]
fn one_connection_carries_many_reviews() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let mut client = server.client();
    let (osd, mon) = (named("osd-multus"), named("mon-multus"));
    for _ in 0..50 {
        let answer = client.review(&osd.compact_review());
        assert_eq!(answer["response"]["auditAnnotations"]["role"], "ceph/osd");
        let answer = client.review(&mon.review);
        assert_eq!(answer["response"]["auditAnnotations"]["role"], "ceph/mon");
    }
    assert!((server.metric("rook_multihome_connections_open") - 1.0).abs() < 0.1);
    let osds = r#"rook_multihome_reviews_total{outcome="attached",role="ceph/osd",reason=""}"#;
    assert!((server.metric(osds) - 50.0).abs() < 0.1);
    assert!((server.metric(r#"rook_multihome_reviews_total{mode="enforce"}"#) - 100.0).abs() < 0.1);
    drop(client);
    wait_for("the end of the connection", || server.metric(r#"rook_multihome_connections_total{end="closed"}"#) > 0.5);
}

#[test]
fn what_is_no_review_is_refused_with_its_reason() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let json_type = [("content-type", "application/json")];
    let yaml_type = [("content-type", "text/yaml")];
    let cases = [
        ("POST", "/mutate", &json_type[..], "{", 400, "the body is not JSON: EOF"),
        ("POST", "/mutate", &json_type, "{}", 400, "expected AdmissionReview, found nothing (at kind)"),
        ("POST", "/mutate", &[], "{}", 415, "must be application/json, not nothing"),
        ("POST", "/mutate", &yaml_type, "{}", 415, "not text/yaml"),
        ("GET", "/mutate", &[], "", 405, "GET is not answered here"),
        ("PUT", "/mutate", &json_type, "{}", 405, "POST an AdmissionReview"),
        ("POST", "/", &json_type, "{}", 404, "nothing at /"),
        ("POST", "/mutate/x", &json_type, "{}", 404, "pods go to /mutate"),
        ("GET", "/metrics", &[], "", 404, "nothing at /metrics"),
    ];
    for (method, path, headers, body, code, part) in cases {
        // One connection each: a refusal need not wait for the body, and may close the connection instead.
        let response = server.client().request(method, path, headers, body.as_bytes());
        assert_eq!(response.status, code, "{method} {path} {body}");
        let status = response.json();
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)));
        assert!(status["message"].as_str().unwrap().contains(part), "{status}");
    }
    let wrong = named("osd-multus").review.replace(r#""hostNetwork""#, r#""x""#).replacen(
        r#""labels": {"#,
        r#""labels": 5, "l": {"#,
        1,
    );
    let response = server.client().post("/mutate", &wrong);
    assert_eq!(response.status, 400);
    assert_eq!(response.json()["details"]["causes"][0]["field"], "request.object.metadata.labels");
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    let review = named("osd-multus").review;
    assert_eq!(server.client().request("POST", "/mutate?timeout=5s", &charset, review.as_bytes()).status, 200);
    assert!(server.metric(r#"rook_multihome_rejected_requests_total{code="404"}"#) > 2.5);
}

#[test]
fn a_body_that_is_too_long_or_too_slow_is_refused() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let long = format!("\"{}\"", "x".repeat(8 * 1024 * 1024));
    assert_eq!(server.client().post("/mutate", &long).status, 413);
    let mut client = server.client();
    client.send_head("POST", "/mutate?timeout=1s", &[("content-type", "application/json")], 100);
    let response = client.read_response().unwrap();
    assert_eq!(response.status, 408);
    assert!(response.text().contains("within 1 s"), "{}", response.text());
    // Nearly as long as may be, and answered.
    let mut review: serde_json::Value = serde_json::from_str(&named("osd-multus").review).unwrap();
    review["request"]["object"]["spec"]["padding"] = "x".repeat(8 * 1024 * 1024 - 50_000).into();
    assert_eq!(server.client().post("/mutate", &review.to_string()).status, 200);
}

/// What `serve` prints for a user to paste, pasted.
#[test]
fn the_curl_line_works_as_pasted() {
    let certs = tempfile::tempdir().unwrap();
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = support::program();
    command.args(["serve", "--manifests", "examples/ceph-multus"]);
    let server = Running::start_saying(command, certs.path(), "127.0.0.1:0", said.as_file());
    server.wait_until_ready();
    let said = fs::read_to_string(said.path()).unwrap();
    assert!(
        said.contains(
            "Read 3 files: clusters 1, attachment definitions 2, StorageNetworks 0, host network overrides 0, other objects 6, problems 0."
        ),
        "{said}"
    );
    let curl = said.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
    let run = |flags: &str| {
        let line = curl.replacen("curl ", &format!("curl --silent --show-error {flags} "), 1);
        support::stdout(Command::new("sh").arg("-c").arg(line).current_dir(support::project()))
    };
    let answer: serde_json::Value = serde_json::from_str(&run("")).unwrap();
    assert_eq!(
        answer["response"]["auditAnnotations"]["networks"],
        "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net"
    );
    for (flags, protocol) in [("--http1.1 --tls-max 1.2", "1.1"), ("--http1.1 --tlsv1.3", "1.1"), ("--http2", "2")] {
        let written = run(&format!("{flags} --output /dev/null --write-out '%{{http_code}} %{{http_version}}'"));
        assert_eq!(written, format!("200 {protocol}"), "{flags}");
    }
}

#[test]
fn a_connection_over_the_limit_takes_the_place_of_one_that_is_of_no_use() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &["--max-connections", "2"]);
    let review = named("osd-multus").compact_review();
    let displaced = || server.metric(r#"rook_multihome_connections_total{end="displaced"}"#);
    // A connection has a fifth of a second before it can be displaced; one that was of use is spared only where there is another.
    let is_seated = || {
        wait_for("its seat", || server.metric("rook_multihome_connections_open") > 1.5);
        std::thread::sleep(Duration::from_millis(250));
    };
    let mut of_use = server.client();
    of_use.review(&review);
    // Silent, in the handshake, headers without an end, a body that does not come: each has the place of the one before.
    let mut silent = Client::connect_plain(server.webhook);
    is_seated();
    let mut half_open = Client::connect_plain(server.webhook);
    assert!(silent.is_closed());
    half_open.send(&[22, 3, 1]);
    is_seated();
    let mut slow = server.client();
    slow.send(b"POST /mutate HTTP/1.1\r\n");
    assert!(half_open.is_closed());
    is_seated();
    let mut slower = server.client();
    slower.send_head("POST", "/mutate", &[("content-type", "application/json")], 100);
    assert!(slow.is_closed());
    assert!((displaced() - 3.0).abs() < 0.1);
    of_use.review(&review);
    // A request has a second. One whose answers came is displaced last, and not right after one.
    server.client().review(&review);
    assert!(slower.is_closed());
    of_use.review(&review);
    let mut third = server.client();
    third.review(&review);
    server.client().review(&review);
    assert!(of_use.is_closed());
    assert!((displaced() - 5.0).abs() < 0.1);
}

#[test]
fn a_peer_that_stays_silent_is_let_go() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let mut silent = Client::connect_plain(server.webhook);
    assert!(silent.is_closed());
    wait_for("the count", || server.metric(r#"rook_multihome_connections_total{end="handshake-timeout"}"#) > 0.5);
}

/// Whoever reaches the port can send anything: what is kept of it, and what is said of it, stays small.
#[test]
fn abuse_takes_little_memory_and_gets_short_answers() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let many = format!(r#"{{"apiVersion":1,"x":[{}0]}}"#, r#"{"":0},"#.repeat(1_000_000));
    let long = format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"{}"}}"#, "K".repeat(7_000_000));
    let deep = "[".repeat(7_000_000);
    for body in [&many, &long, &deep] {
        let response = server.client().post("/mutate", body);
        assert_eq!(response.status, 400);
        assert!(response.body.len() < 1000, "{}", response.text());
    }
    // What parses, but is like no pod: each element of these would take many times the memory of its text.
    let mut review: serde_json::Value = serde_json::from_str(&named("toolbox-host").review).unwrap();
    let labels: serde_json::Map<String, serde_json::Value> = (0..300_000).map(|n| (n.to_string(), "".into())).collect();
    review["request"]["object"]["metadata"]["annotations"] = labels.into();
    assert_eq!(server.client().post("/mutate", &review.to_string()).status, 400);
    let host = Running::start(&named("toolbox-host").world(), certs.path(), &[] as &[&str]);
    host.wait_until_ready();
    for (field, element) in [("containers", json!({})), ("ports", json!({"containerPort": 1}))] {
        let mut review: serde_json::Value = serde_json::from_str(&named("toolbox-host").review).unwrap();
        let many: serde_json::Value = vec![element; 200_000].into();
        let spec = &mut review["request"]["object"]["spec"];
        if field == "containers" {
            spec[field] = many;
        } else {
            spec["containers"][0][field] = many;
        }
        let answer = host.client().review(&review.to_string());
        assert_eq!(answer["response"]["auditAnnotations"]["reason"], "unreadable-containers");
    }
    for server in [&server, &host] {
        at_most_100_mb(server);
    }
}

fn at_most_100_mb(server: &Running) {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(most < 100_000, "{most} kB at the most");
}

/// Seven reviews of 7.9 MB are more than all large ones together may take; small ones have room beside them.
#[test]
fn bodies_under_way_are_bounded_together() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let review = named("osd-multus").compact_review();
    let padded = format!("{}{review}", " ".repeat(7_900_000));
    // What is announced is held, for as long as its sender has time to send it: on a slow machine the seventh may come too
    // late to find the room taken, and it is tried again.
    wait_for("a refusal", || {
        let mut others: Vec<Client> = (0..6).map(|_| server.client()).collect();
        for other in &mut others {
            other.send_head("POST", "/mutate", &[("content-type", "application/json")], padded.len());
        }
        assert_eq!(server.client().post("/mutate", &review).status, 200, "reviews of the usual size are not kept out");
        server.client().post("/mutate", &padded).status == 503
    });
    wait_for("room", || server.client().post("/mutate", &padded).status == 200);
}

/// A container log driver that stops reading must not stop the webhook.
#[test]
fn answers_do_not_wait_for_whoever_reads_the_log() {
    let certs = tempfile::tempdir().unwrap();
    let mut server = server(certs.path(), &[]);
    server.stop_reading_logs();
    let review = named("osd-multus").compact_review();
    let mut client = server.client();
    for _ in 0..12_000 {
        client.review(&review);
    }
    assert_eq!(server.admin("/livez").0, 200);
    assert!(server.metric("rook_multihome_log_lines_dropped_total") > 0.5);
}

#[test]
fn what_is_no_tls_is_counted() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    let mut client = Client::connect_plain(server.webhook);
    client.send(b"GET /mutate HTTP/1.1\r\nhost: localhost\r\n\r\n");
    while !client.is_closed() {}
    wait_for("the count", || server.metric(r#"rook_multihome_connections_total{end="handshake-failed"}"#) > 0.5);
    assert_eq!(server.client().post("/mutate", "{}").status, 400, "others are served");
}

#[test]
fn leaving_loses_no_request() {
    let certs = tempfile::tempdir().unwrap();
    let mut server = server(certs.path(), &["--drain-delay", "4"]);
    let review = named("osd-multus").compact_review();
    let mut idle = server.client();
    idle.review(&review);
    let mut slow = server.client();
    slow.review(&review);
    slow.send_head("POST", "/mutate", &[("content-type", "application/json")], review.len());
    slow.send(&review.as_bytes()[..100]);

    server.signal("-TERM");
    wait_for("readiness to end", || server.admin("/readyz").0 == 503);
    // Accepted while that was still possible; its handshake and its request come when it is not any more.
    let mut late = server.client();
    assert!(server.admin("/readyz").1.contains("[-] phase: leaving"));
    assert_eq!(server.admin("/livez"), (200, "ok\n".to_owned()));
    // New and old connections are still served, and asked not to come back.
    for mut client in [server.client(), idle] {
        let response = client.post("/mutate", &review);
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert!(client.is_closed());
    }
    // Past the delay nothing is accepted, but the request under way is answered.
    wait_for("the listener to close", || std::net::TcpStream::connect(server.webhook).is_err());
    assert_eq!(late.post("/mutate", &review).status, 200);
    slow.send(&review.as_bytes()[100..]);
    assert_eq!(slow.read_response().unwrap().status, 200);
    assert!(server.wait_for_exit().success());
}

#[test]
fn a_second_signal_ends_at_once() {
    let certs = tempfile::tempdir().unwrap();
    let mut server = server(certs.path(), &["--drain-delay", "60"]);
    server.signal("-TERM");
    wait_for("readiness to end", || server.admin("/readyz").0 == 503);
    server.signal("-INT");
    assert!(!server.wait_for_exit().success());
}

#[test]
fn a_new_certificate_is_served_without_a_restart_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &[]);
    let old_ca = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("ca.crt"), old_ca.path().join("ca.crt")).unwrap();
    let review = named("osd-multus").compact_review();
    let mut before = server.client();
    before.review(&review);

    fs::write(folder.path().join("tls.key"), "half written").unwrap();
    wait_for("the complaint", || server.metric("rook_multihome_certificates_refused_total") > 0.5);
    let (code, text) = server.admin("/readyz?verbose");
    assert_eq!(code, 200, "the old pair is served still");
    assert!(text.contains("tls.key cannot be served: it holds no private key"), "{text}");
    Client::connect(server.webhook, &old_ca.path().join("ca.crt")).review(&review);

    for file in ["ca.crt", "tls.crt", "tls.key"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    // One that begins to be valid in some seconds, as where a clock is behind: certificates are dated back by an hour. Files are
    // looked at every five seconds, and have to be at least once before.
    let names = ["localhost".to_owned()];
    let soon = SystemTime::now() + Duration::from_secs(3600 + 12);
    let issued = authority::issue(&names, soon, Duration::from_secs(50 * 3600)).unwrap();
    files::write(folder.path(), &issued).unwrap();
    wait_for("the complaint about its date", || server.admin("/readyz?verbose").1.contains("not valid yet"));
    wait_for("the new certificate", || server.admin("/readyz?verbose").1.contains("expires in 2 days"));
    server.client().review(&review);
    before.review(&review); // an open connection is not disturbed
    assert!(server.metric("rook_multihome_certificate_expiry_timestamp_seconds") > 1e9);
}

#[test]
fn the_admin_port_says_how_things_are() {
    let certs = tempfile::tempdir().unwrap();
    let server = server(certs.path(), &[]);
    assert_eq!(server.admin("/readyz"), (200, "ok\n".to_owned()));
    let (_, verbose) = server.admin("/readyz?verbose");
    assert!(verbose.starts_with("[+] phase: serving\n[+] certificate: served, expires in "), "{verbose}");
    assert_eq!(server.admin("/mutate").0, 404);
    assert!((server.metric(r#"rook_multihome_clusters{system="ceph",spec="valid"}"#) - 1.0).abs() < 0.1);
    assert!((server.metric("rook_multihome_attachments") - 2.0).abs() < 0.1);
    let (_, text) = server.admin("/metrics");
    assert!(text.ends_with("# EOF\n"));
    let documented = fs::read_to_string(support::project().join("docs/metrics.md")).unwrap();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(documented.contains(&format!("`{name}")), "docs/metrics.md does not describe {name}");
    }
}
