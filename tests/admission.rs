//! Every folder of `tests/admission`, three ways: through the library, through `review`, and over HTTPS.
//!
//! The patch of each answer is applied to the pod of its review, and deciding about the result once more has to change
//! nothing. `BLESS=1 cargo test --test admission` writes the expected answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::BTreeSet;

use rook_multihome::admit::{decide, patch};
use rook_multihome::storage::{Catalogue, Treatment};
use rook_multihome::wire::{self, Review};
use rook_multihome::world::{Concern, Mode, Snapshot};
use serde_json::Value;

use support::fixtures::{Fixture, all, pretty, readable};
use support::server::Running;

fn library_answer(snapshot: &Snapshot, review: &str) -> Value {
    let request = Review::read(review.as_bytes()).unwrap();
    let admission = request.admission();
    let decision = decide(snapshot, &admission);
    let answer = wire::answer(request.uid(), &decision, admission.pod);
    assert!(wire::patch_applies(review.as_bytes(), &answer));
    serde_json::from_slice(&wire::answer_json(&answer)).unwrap()
}

#[test]
fn the_library_answers_as_expected() {
    for fixture in all() {
        let snapshot = fixture.snapshot();
        let answer = library_answer(&snapshot, &fixture.compact_review());
        let readable = readable(&answer, &fixture.object());
        support::expect_file(&fixture.expected(), &pretty(&readable));
        nothing_is_left_to_do(&fixture, &snapshot);
    }
}

/// The API server may call again after other webhooks (`reinvocationPolicy: IfNeeded`).
fn nothing_is_left_to_do(fixture: &Fixture, snapshot: &Snapshot) {
    let mut review: Value = serde_json::from_str(&fixture.review).unwrap();
    let text = review.to_string();
    let request = Review::read(text.as_bytes()).unwrap();
    let admission = request.admission();
    let decision = decide(snapshot, &admission);
    let Some(pod) = admission.pod else { return };
    let operations = patch::operations(&decision, pod);
    json_patch::patch(&mut review["request"]["object"], &operations).unwrap();
    let again = library_answer(snapshot, &review.to_string());
    assert!(again["response"].get("patch").is_none(), "{}: a second decision changes more", fixture.name());
}

#[test]
fn the_command_answers_as_the_library_does() {
    for fixture in all() {
        let mut command = support::program();
        command.arg("review").arg("--manifests").arg(fixture.world()).args(&fixture.flags);
        let printed = support::stdout(command.arg(fixture.folder.join("review.json")));
        let answer: Value = serde_json::from_str(&printed).unwrap();
        support::expect_file(&fixture.expected(), &pretty(&readable(&answer, &fixture.object())));
    }
}

#[test]
fn the_server_answers_as_the_library_does() {
    let certs = tempfile::tempdir().unwrap();
    for fixture in all() {
        let server = Running::start(&fixture.world(), certs.path(), &fixture.flags);
        server.wait_until_ready();
        let answer = server.client().review(&fixture.compact_review());
        support::expect_file(&fixture.expected(), &pretty(&readable(&answer, &fixture.object())));
        let event = server.wait_for_log("review");
        assert_eq!(event["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
        let mode = answer["response"]["auditAnnotations"]["mode"].as_str().unwrap_or("enforce");
        assert_eq!(event["mode"], mode, "{}", fixture.name());
        assert!(event.get("object").is_none(), "logs hold keys, never objects");
    }
}

/// Every role of the catalogue, every provider, every mode and every reason is met by some fixture.
#[test]
fn nothing_is_left_out() {
    let (mut roles, mut reasons, mut providers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut modes = BTreeSet::new();
    for fixture in all() {
        let snapshot = fixture.snapshot();
        let review = fixture.compact_review();
        let request = Review::read(review.as_bytes()).unwrap();
        let admission = request.admission();
        let decision = decide(&snapshot, &admission);
        roles.extend(decision.recognised.as_ref().map(|found| format!("{}/{}", found.system, found.role)));
        reasons.extend(decision.reason().map(rook_multihome::admit::Reason::name));
        modes.insert(decision.mode.mode);
        providers.extend(decision.provider.as_ref().map(|provider| provider.provider.name()));
    }
    let catalogue = Catalogue::built_in().unwrap();
    let known = catalogue.systems().iter().flat_map(|system| system.roles.iter().map(move |role| (&system.name, role)));
    for (system, role) in known {
        let name = format!("{system}/{}", role.name);
        assert!(roles.contains(&name), "no fixture has a pod of role {name}");
        let networks = matches!(&role.treatment, Treatment::Networks(_));
        assert!(networks || role.host_evidence.is_empty(), "{}: signs against a host network it never gets", role.name);
    }
    for concern in Concern::ALL {
        assert!(reasons.contains(concern.name()), "no fixture is left alone for {}", concern.name());
    }
    let silent = [
        "not-pod-creation",
        "no-pod",
        "opted-out",
        "mirror-pod",
        "no-cluster",
        "not-storage",
        "mode-off",
        "never-touch",
        "no-network-for-role",
        "provider-none",
        "nothing-declared",
        "agrees",
        "on-host-network",
        "unreadable-containers",
    ];
    for reason in silent {
        assert!(reasons.contains(reason), "no fixture is left alone for {reason}");
    }
    assert_eq!(reasons.len(), silent.len() + Concern::ALL.len(), "a reason is missing from this list: {reasons:?}");
    let documented = std::fs::read_to_string(support::project().join("docs/decisions.md")).unwrap();
    for reason in &reasons {
        assert!(documented.contains(&format!("\n| `{reason}` | ")), "docs/decisions.md does not describe {reason}");
    }
    assert_eq!(modes, BTreeSet::from(Mode::ALL));
    assert_eq!(providers, BTreeSet::from(["none", "host", "multus", "knitter", "genie"]));
}
