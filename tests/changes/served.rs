//! The routes /validate and /address-ranges over HTTPS: answers, refusals of what is no review, the log and the metrics.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::support::client::Response;
use super::support::server::{Running, wait_for};
use super::{ceph, changed, public, sound};

const ROUTES: [&str; 2] = ["/validate", "/address-ranges"];

/// Serves `public` and a cluster that uses it; what it returns keeps the files.
fn serve(flags: &[&str]) -> (tempfile::TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.yaml");
    std::fs::write(&world, format!("---\n{}\n---\n{}\n", public(), sound())).unwrap();
    let certs: &Path = &folder.path().join("certs");
    let server = Running::start(&world, certs, flags);
    server.wait_until_ready();
    (folder, server)
}

fn review(operation: &str, old: &Value, new: &Value) -> Value {
    let there = if new.is_null() { old } else { new };
    let (group, version) = there["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "a-uid", "kind": {"group": group, "version": version, "kind": there["kind"]}, "operation": operation,
            "namespace": "rook-ceph", "name": there["metadata"]["name"], "object": new, "oldObject": old, "dryRun": false,
        },
    })
}

fn lost() -> Value {
    changed(&sound(), "/spec/network/selectors/public", json!("lost"))
}

fn response(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    let answer = response.json();
    assert_eq!((&answer["apiVersion"], &answer["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
    assert_eq!(answer["response"]["uid"], "a-uid");
    answer["response"].clone()
}

#[test]
fn what_is_found_is_answered_logged_and_counted() {
    let (_folder, server) = serve(&["--definition-in-use", "deny"]);
    let mut client = server.client();
    let mut ask = |operation: &str, old: &Value, new: &Value| {
        response(&client.post("/validate", &review(operation, old, new).to_string()))
    };
    let null = Value::Null;
    assert_eq!(ask("CREATE", &null, &sound()), json!({"uid": "a-uid", "allowed": true}));
    let warned = ask("CREATE", &null, &lost());
    assert_eq!((&warned["allowed"], &warned["status"]), (&json!(true), &null));
    let said = warned["warnings"][0].as_str().unwrap();
    assert!(
        said.starts_with("rook-multihome: CephCluster rook-ceph/my-cluster, spec.network.selectors.public: "),
        "{said}"
    );
    assert_eq!(warned["auditAnnotations"], json!({"findings": "attachment-missing"}));
    let event = loop {
        let event = server.wait_for_log("validation");
        if event["outcome"] == "warned" {
            break event;
        }
    };
    for (field, value) in [
        ("level", json!("INFO")),
        ("uid", json!("a-uid")),
        ("object", json!("CephCluster rook-ceph/my-cluster")),
        ("findings", json!("attachment-missing")),
        ("mode", json!("enforce")),
        ("dry_run", json!(false)),
    ] {
        assert_eq!(event[field], value, "{field}: {event}");
    }
    assert!(event["micros"].is_u64(), "{event}");

    let denied = ask("DELETE", &public(), &null);
    assert_eq!(
        (&denied["allowed"], &denied["status"]["code"], &denied["warnings"]),
        (&json!(false), &json!(403), &null)
    );
    assert_eq!(denied["status"]["reason"], "Forbidden");
    let said = denied["status"]["message"].as_str().unwrap();
    assert!(
        said.starts_with("rook-multihome refuses this: NetworkAttachmentDefinition rook-ceph/public: it is used by"),
        "{said}"
    );
    assert_eq!(server.wait_for_log("validation")["outcome"], "denied");
    let silent = ask("UPDATE", &lost(), &changed(&lost(), "/status", json!({"phase": "Ready"})));
    assert_eq!(silent, json!({"uid": "a-uid", "allowed": true}));
    // Nothing is patched here, whatever is asked.
    assert!(denied["patch"].is_null() && warned["patch"].is_null());

    for (labels, count) in [
        (r#"outcome="allowed",kind="CephCluster""#, 1.0),
        (r#"outcome="warned",kind="CephCluster""#, 1.0),
        (r#"outcome="denied",kind="NetworkAttachmentDefinition""#, 1.0),
        (r#"outcome="allowed",kind="""#, 1.0),
    ] {
        let found = server.metric(&format!("rook_multihome_validations_total{{{labels}}}"));
        assert!((found - count).abs() < 0.1, "{labels}: {found}\n{}", server.admin("/metrics").1);
    }
}

#[test]
fn ranges_are_written_over_https() {
    let plain = ceph(json!({"provider": "multus", "selectors": {"public": "public"}}));
    let (_folder, server) = serve(&["--write-address-ranges"]);
    let mut client = server.client();
    let mut ask = |operation: &str, old: &Value, new: &Value| {
        response(&client.post("/address-ranges", &review(operation, old, new).to_string()))
    };
    let written = ask("CREATE", &Value::Null, &plain);
    assert_eq!((&written["allowed"], &written["patchType"]), (&json!(true), &json!("JSONPatch")));
    let patch: Value = serde_json::from_slice(&BASE64.decode(written["patch"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        patch,
        json!([
            {"op": "add", "path": "/spec/network/addressRanges", "value": {"public": ["192.168.0.0/18"]}},
            {"op": "add", "path": "/metadata/annotations", "value": {"multihome.rook.io/address-ranges": r#"{"public":["192.168.0.0/18"]}"#}},
        ])
    );
    let said = "rook-multihome wrote spec.network.addressRanges, so that Rook need not run pods to find them: public: [192.168.0.0/18]";
    assert_eq!(written["warnings"], json!([said]));
    let event = server.wait_for_log("address ranges");
    assert_eq!((&event["said"], &event["uid"], &event["dry_run"]), (&json!(said), &json!("a-uid"), &json!(false)));
    let left = ask("UPDATE", &plain, &changed(&plain, "/status", json!({})));
    assert_eq!(left, json!({"uid": "a-uid", "allowed": true}));
    for outcome in ["written", "left"] {
        let metric = format!(r#"rook_multihome_address_range_reviews_total{{outcome="{outcome}"}}"#);
        assert!((server.metric(&metric) - 1.0).abs() < 0.1, "{outcome}\n{}", server.admin("/metrics").1);
    }
}

#[test]
fn what_is_no_review_is_refused_on_every_route() {
    let (_folder, server) = serve(&[]);
    let deep = format!(
        r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{"uid": "u", "object": {}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let json_type = [("content-type", "application/json")];
    let yaml_type = [("content-type", "text/yaml")];
    let without_request = r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#;
    let without_uid = r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}"#;
    for route in ROUTES {
        for (method, headers, body, code, part) in [
            ("POST", &json_type[..], "{", 400, "this is no AdmissionReview: the body cannot be read: EOF"),
            ("POST", &json_type, "{}", 400, "this is no AdmissionReview: expected AdmissionReview, found nothing"),
            ("POST", &json_type, "[]", 400, "this is no AdmissionReview"),
            ("POST", &json_type, "\u{1}\u{7f}", 400, "this is no AdmissionReview"),
            ("POST", &json_type, without_request, 400, "request"),
            ("POST", &json_type, without_uid, 400, "uid"),
            ("POST", &json_type, &deep, 400, "recursion limit"),
            ("POST", &yaml_type, "{}", 415, "must be application/json, not text/yaml"),
            ("POST", &[], "{}", 415, "must be application/json, not nothing"),
            ("GET", &[], "", 405, "GET is not answered here"),
        ] {
            let response = server.client().request(method, route, headers, body.as_bytes());
            assert_eq!(response.status, code, "{route} {}", response.text());
            let status = response.json();
            assert!(status["message"].as_str().unwrap().contains(part), "{status}");
        }
        let mut long = review("CREATE", &Value::Null, &lost());
        long["request"]["object"]["spec"]["padding"] = "x".repeat(8 * 1024 * 1024 - 50_000).into();
        let answer = response(&server.client().post(route, &{
            long["request"]["uid"] = json!("a-uid");
            long.to_string()
        }));
        assert_eq!(answer["allowed"], true);
        long["request"]["object"]["spec"]["padding"] = "x".repeat(8 * 1024 * 1024).into();
        assert_eq!(server.client().post(route, &long.to_string()).status, 413);
        // A pod is nothing that says anything about networks.
        let pod = json!({"apiVersion": "v1/", "kind": "Pod", "metadata": {"name": "a"}});
        let answer = response(&server.client().post(route, &review("CREATE", &Value::Null, &pod).to_string()));
        assert_eq!(answer, json!({"uid": "a-uid", "allowed": true}));
    }
    assert!(server.metric(r#"rook_multihome_rejected_requests_total{code="400"}"#) > 13.5);
    assert!(server.metric("rook_multihome_panics_total") < 0.5);
}

#[test]
fn findings_are_counted_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.yaml");
    let advised = ceph(json!({"provider": "multus", "selectors": {"public": "public", "cluster": "lost"}}));
    std::fs::write(&world, format!("---\n{}\n---\n{advised}\n", public())).unwrap();
    let server = Running::start(&world, &folder.path().join("certs"), &[] as &[&str]);
    server.wait_until_ready();
    for finding in [r#"rule="attachment-missing",severity="error""#, r#"rule="ranges-offered",severity="advice""#] {
        wait_for(finding, || (server.metric(&format!("rook_multihome_findings{{{finding}}}")) - 1.0).abs() < 0.1);
    }
}
