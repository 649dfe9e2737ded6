//! Certificates on a real control plane: everything that can happen to them happens under a load of admissions, and none of
//! those may fail. The failure policy of daemons is `Fail` here, so that every failure shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rook_multihome::tls::authority::{self, Authority};
use rook_multihome::tls::rotation::{Authorities, Introduced};
use rook_multihome::tls::stored::{self, Data};
use serde_json::{Value, json};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::load::Load;
use support::release::{NAMESPACE, RELEASE, Release};
use support::{fixtures, program};

const CA_SECRET: &str = "rook-multihome-ca";
/// How late the test's own client is to notice a changed bundle; the settle time is longer.
const LAG: Duration = Duration::from_secs(2);

fn review() -> String {
    fixtures::named("osd-multus").review
}

#[test]
fn nobody_notices_a_rotation() {
    in_own_network("nobody_notices_a_rotation", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(
            &plane,
            &["--set", "tls.selfManaged.leafLifetime=30s,tls.selfManaged.settle=8s,webhook.daemons.failurePolicy=Fail"],
        );
        release.start(2);
        plane.wait_for_networks();
        let first = release.bundles();
        assert_eq!(first, vec![first[0].clone(); 4], "every entry of both configurations trusts the same");
        assert_eq!(first[0].matches("BEGIN CERTIFICATE").count(), 1);
        nothing_else_is_written(&plane);
        status_says_how_things_are(&release);

        let addresses: Vec<SocketAddr> = release.replicas.iter().map(|replica| replica.running.webhook).collect();
        let admissions = Load::of_admissions(&plane, 2);
        let handshakes = Load::of_handshakes(&plane, &addresses, &review(), LAG);
        certificates_are_renewed(&release);
        the_authority_is_rotated(&plane, &release);
        the_secret_is_deleted(&plane, &release);
        the_secret_is_corrupted(&plane, &release);
        admissions.stop().expect_all("admissions through all of that");
        handshakes.stop().expect_all("handshakes through all of that");

        somebody_edits_the_bundle(&plane, &release);
        nothing_is_left_behind(&plane, release);
    });
}

/// Of the webhook configurations, the replicas own `caBundle` alone.
fn nothing_else_is_written(plane: &ControlPlane) {
    for (kind, names) in [
        ("mutatingwebhookconfiguration", ["daemons", "others"]),
        ("validatingwebhookconfiguration", ["clusters.validation", "networks.validation"]),
    ] {
        let configuration = plane.get(&[kind, RELEASE, "--show-managed-fields"]);
        let managers = configuration["metadata"]["managedFields"].as_array().unwrap();
        let ours: Vec<&Value> =
            managers.iter().filter(|manager| manager["manager"] == "rook-multihome-certificates").collect();
        assert_eq!(ours.len(), 1, "{kind}");
        assert_eq!(ours[0]["operation"], "Apply");
        let webhook = json!({".": {}, "f:clientConfig": {"f:caBundle": {}}, "f:name": {}});
        let mut owned = json!({"f:webhooks": {}});
        for name in names {
            owned["f:webhooks"][format!(r#"k:{{"name":"{name}.multihome.rook.io"}}"#)] = webhook.clone();
        }
        assert_eq!(ours[0]["fieldsV1"], owned, "{kind}");
    }
}

fn status_says_how_things_are(release: &Release<'_>) {
    release.wait_for_metric(r#"rook_multihome_ca_rotation_stage{stage="stable"}"#, 1.0);
    let text = release.status(&[]);
    for replica in &release.replicas {
        let line = text.lines().find(|line| line.contains(&replica.pod)).unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains("valid until ") && line.contains(", signed by rook-multihome authority "), "{text}");
    }
    assert!(text.contains("\nstage     stable\nnext      the next authority is made, 2"), "{text}");
    say(&format!("certs status says\n{text}"));
    let status: Value = serde_json::from_str(&release.status(&["--output", "json"])).unwrap();
    let current = &status["stored"][0]["certificate"];
    assert_eq!(status["stored"][0]["part"], "current");
    assert_eq!(status["trusted"], json!([[current], [current], [current], [current]]));
    let both = "MutatingWebhookConfiguration rook-multihome, ValidatingWebhookConfiguration rook-multihome";
    assert!(text.contains(&format!("\ntrusted in the caBundle of {both}\n")), "{text}");
    assert_eq!(status["served"].as_array().unwrap().len(), 2);
    assert_eq!(status["served"][1]["certificate"]["issuer"], current["subject"]);
}

fn certificates_are_renewed(release: &Release<'_>) {
    say("waiting for certificates to be renewed");
    release.wait_for_metric("rook_multihome_certificates_issued_total", 3.0);
}

fn the_authority_is_rotated(plane: &ControlPlane, release: &Release<'_>) {
    say("rotating the authority");
    let before = release.bundles().remove(0);
    let rotate = || {
        let mut command = program();
        command.args(["certs", "rotate"]).env("KUBECONFIG", plane.path("admin.kubeconfig"));
        command
    };
    let printed = support::stdout(&mut rotate());
    assert!(printed.starts_with("made rook-multihome authority "), "{printed}");
    let again = rotate().output().unwrap();
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("is under way already"));

    plane.wait_for("both authorities to be trusted", |_| {
        release.bundles().iter().all(|bundle| bundle.matches("BEGIN CERTIFICATE").count() == 2)
    });
    plane.wait_for("the new one to sign", |_| release.stage() == "retiring");
    assert!(release.bundles().iter().all(|bundle| bundle.contains(&before)), "what it has signed is still served");
    plane.wait_for("the old one to be forgotten", |_| release.stage() == "stable");
    plane.wait_for("the bundle to say so", |_| release.bundles().iter().all(|bundle| !bundle.contains(&before)));
}

fn the_secret_is_deleted(plane: &ControlPlane, release: &Release<'_>) {
    say("deleting the Secret");
    anew(plane, release, |plane| _ = plane.kubectl(&["delete", "secret", CA_SECRET, "-n", NAMESPACE]));
}

fn the_secret_is_corrupted(plane: &ControlPlane, release: &Release<'_>) {
    say("corrupting the Secret");
    let patch = json!({"data": {"ca.key": BASE64.encode("no key")}}).to_string();
    anew(plane, release, |plane| {
        plane.kubectl(&["patch", "secret", CA_SECRET, "-n", NAMESPACE, "--type=merge", "-p", &patch]);
    });
}

/// Does some harm that makes the replicas begin anew, and waits until they have.
fn anew(plane: &ControlPlane, release: &Release<'_>, harm: impl Fn(&ControlPlane)) {
    let authority = |plane: &ControlPlane| {
        let secret = plane.try_kubectl(&["get", "secret", CA_SECRET, "-n", NAMESPACE, "-o", "json"], "");
        let secret: Value = secret.map_or(Value::Null, |(secret, _)| serde_json::from_str(&secret).unwrap());
        secret["data"]["ca.crt"].as_str().unwrap_or_default().to_owned()
    };
    let before = authority(plane);
    harm(plane);
    plane.wait_for("a new authority", |plane| {
        let now = authority(plane);
        !now.is_empty() && now != before
    });
    let before = String::from_utf8(BASE64.decode(&before).unwrap()).unwrap();
    assert!(
        release.bundles().iter().all(|bundle| bundle.contains(&before)),
        "the old one is trusted while it is served"
    );
    plane.wait_for("the old one to be forgotten", |_| {
        release.stage() == "stable" && release.bundles().iter().all(|bundle| !bundle.contains(&before))
    });
}

fn somebody_edits_the_bundle(plane: &ControlPlane, release: &Release<'_>) {
    say("taking the bundle away");
    let before = release.bundles();
    let patch = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    plane.kubectl(&["patch", "mutatingwebhookconfiguration", RELEASE, "--type=json", "-p", patch]);
    plane.kubectl(&["patch", "validatingwebhookconfiguration", RELEASE, "--type=json", "-p", patch]);
    let since = Instant::now();
    plane.wait_for("the bundle to be back", |_| release.bundles() == before);
    say(&format!("it was back after {:?}", since.elapsed()));

    let verbose = || release.replicas[0].running.admin("/readyz?verbose");
    say("taking the validating webhook configuration away");
    let configuration = plane.get(&["validatingwebhookconfiguration", RELEASE]);
    plane.kubectl(&["delete", "validatingwebhookconfiguration", RELEASE]);
    let missing = "there is no ValidatingWebhookConfiguration rook-multihome to write a caBundle into";
    plane.wait_for("the replicas to say so", |_| verbose().1.contains(missing));
    assert_eq!(verbose().0, 200, "pods get their networks all the same");
    plane.apply(&as_applied_again(configuration).to_string());
    plane.wait_for("the bundle to be there", |_| release.bundles() == before);

    say("taking the webhook configuration away");
    let configuration = plane.get(&["mutatingwebhookconfiguration", RELEASE]);
    plane.kubectl(&["delete", "mutatingwebhookconfiguration", RELEASE]);
    plane.wait_for("the replicas to notice", |_| verbose().0 == 503);
    assert!(
        verbose().1.contains("[-] authority: no MutatingWebhookConfiguration calls this Service"),
        "{}",
        verbose().1
    );
    plane.apply(&as_applied_again(configuration).to_string());
    plane.wait_for("the bundle to be there", |_| release.bundles() == before);
    plane.wait_for("the replicas to be ready", |_| verbose().0 == 200);
}

/// A webhook configuration as who installs it would apply it.
fn as_applied_again(mut configuration: Value) -> Value {
    let metadata = &configuration["metadata"];
    configuration["metadata"] =
        json!({"name": RELEASE, "labels": metadata["labels"], "annotations": metadata["annotations"]});
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"].as_object_mut().unwrap().remove("caBundle");
    }
    configuration
}

fn nothing_is_left_behind(plane: &ControlPlane, release: Release<'_>) {
    say("uninstalling while the replicas run");
    plane.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait=false"]);
    // Long enough for a replica to make the Secret again, were it to do that.
    std::thread::sleep(Duration::from_secs(8));
    drop(release);
    let left = plane.kubectl(&["get", "secrets", "-n", NAMESPACE, "-o", "name"]);
    assert!(!left.contains(CA_SECRET), "{left}");
    let left = plane.get(&[
        "mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,roles,rolebindings,services,configmaps",
        "-A",
        "-l",
        "app.kubernetes.io/instance=rook-multihome",
    ]);
    assert_eq!(left["items"], json!([]));
}

/// A cluster that was paused for longer than the authority lives.
#[test]
fn after_a_year_of_pause_it_serves_within_seconds() {
    in_own_network("after_a_year_of_pause_it_serves_within_seconds", || {
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(&plane, &["--set", "webhook.daemons.failurePolicy=Fail"]);
        let day = Duration::from_hours(24);
        let old = Authority::new(SystemTime::now() - 400 * day, 365 * day).unwrap();
        let bundle = BASE64.encode(old.certificate.pem());
        let current = Introduced { authority: old.into(), seen: Some(SystemTime::now() - 400 * day) };
        let mut data = Data::new();
        stored::write(&Authorities { current, next: None, retired: Vec::new() }, &mut data);
        let data: Value = data.into_iter().map(|(key, value)| (key, Value::from(BASE64.encode(value)))).collect();
        let patch = json!({ "data": data }).to_string();
        plane.kubectl(&["patch", "secret", CA_SECRET, "-n", NAMESPACE, "--type=merge", "-p", &patch]);
        for entry in [0, 1] {
            let patch =
                json!([{"op": "add", "path": format!("/webhooks/{entry}/clientConfig/caBundle"), "value": bundle}]);
            for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
                plane.kubectl(&["patch", kind, RELEASE, "--type=json", "-p", &patch.to_string()]);
            }
        }
        let since = Instant::now();
        release.start(2);
        plane.wait_for_networks();
        let took = since.elapsed();
        say(&format!("two replicas started and an OSD was admitted with its networks, {took:?} after the first start"));
        assert!(release.bundles().iter().all(|new| *new != bundle));
        let log = release.replicas[0].running.log_so_far();
        assert!(
            log.iter().any(|event| event["message"] == "made a new authority in place of one that has expired"),
            "{log:#?}"
        );
    });
}

/// Files that the kubelet replaces by switching a symbolic link, as with cert-manager or a Secret of one's own.
#[test]
fn nobody_notices_that_mounted_files_are_replaced() {
    in_own_network("nobody_notices_that_mounted_files_are_replaced", || {
        let plane = ControlPlane::with_storage();
        let names = [format!("{RELEASE}.{NAMESPACE}.svc")];
        let issue = || authority::issue(&names, SystemTime::now(), Duration::from_hours(24)).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(plane.path(name), text).unwrap();
            plane.path(name).display().to_string()
        };
        let (old, new) = (issue(), issue());
        let both = write("both.crt", &format!("{}{}", old.ca, new.ca));
        let values = |ca: String, issued: &authority::Issued| {
            let certificate = write("tls.crt", &issued.certificate);
            let key = write("tls.key", &issued.key);
            [
                format!("tls.provided.ca={ca}"),
                format!("tls.provided.certificate={certificate}"),
                format!("tls.provided.key={key}"),
            ]
        };
        let set = |values: [String; 3]| -> Vec<String> {
            let files = values.into_iter().flat_map(|value| ["--set-file".to_owned(), value]);
            ["--set".to_owned(), "tls.mode=provided,webhook.daemons.failurePolicy=Fail".to_owned()]
                .into_iter()
                .chain(files)
                .collect()
        };
        let first = set(values(write("old.crt", &old.ca), &old));
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        let mut release = Release::install(&plane, &first);
        release.start(2);
        plane.wait_for_networks();
        let folder = release.mounted("/certs");
        let addresses: Vec<SocketAddr> = release.replicas.iter().map(|replica| replica.running.webhook).collect();
        let admissions = Load::of_admissions(&plane, 2);
        let handshakes = Load::of_handshakes(&plane, &addresses, &review(), LAG);

        say("trusting the old authority and the new one");
        let overlap = set(values(both.clone(), &old));
        release.upgrade(&overlap.iter().map(String::as_str).collect::<Vec<_>>());
        std::thread::sleep(2 * LAG);
        say("replacing the Secret, and then the files as the kubelet does");
        let replaced = set(values(both, &new));
        release.upgrade(&replaced.iter().map(String::as_str).collect::<Vec<_>>());
        release.mount(&format!("{RELEASE}-tls"), &folder);
        let served =
            rook_multihome::tls::certificate::Certificate::all_in(new.certificate.as_bytes()).unwrap().remove(0);
        plane.wait_for("both replicas to serve the new certificate", |_| {
            release.replicas.iter().all(|replica| replica.running.admin("/certificate").1.contains(&served.serial))
        });
        say("trusting the new authority alone");
        let last = set(values(write("new.crt", &new.ca), &new));
        release.upgrade(&last.iter().map(String::as_str).collect::<Vec<_>>());
        std::thread::sleep(2 * LAG);
        admissions.stop().expect_all("admissions through all of that");
        handshakes.stop().expect_all("handshakes through all of that");
    });
}
