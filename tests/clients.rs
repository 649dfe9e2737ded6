//! Clients that have to show a certificate: who is let in, who is not, and how the authorities are replaced.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use support::client::{Client, Identity, config};
use support::fixtures::named;
use support::server::{Running, wait_for};

/// An authority that signs clients' certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// When a certificate ends.
#[derive(Clone, Copy)]
enum Ends {
    Tomorrow,
    Yesterday,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, common_name: &str, dns_names: &[&str], ends: Ends) -> Identity {
        let day = Duration::from_hours(24);
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(dns_names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = (SystemTime::now() - 2 * day).into();
        params.not_after = match ends {
            Ends::Tomorrow => (SystemTime::now() + day).into(),
            Ends::Yesterday => (SystemTime::now() - day).into(),
        };
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

const REFUSED: &str = r#"rook_multihome_connections_total{end="client-refused"}"#;

fn server(folder: &Path, flags: &[&str]) -> Running {
    let ca = folder.join("client-ca.crt");
    let flags: Vec<&str> = ["--client-ca", ca.to_str().unwrap()].into_iter().chain(flags.iter().copied()).collect();
    let server = Running::start(&named("osd-multus").world(), &folder.join("certs"), &flags);
    server.wait_until_ready();
    server
}

fn serves(server: &Running, identity: Option<&Identity>) -> bool {
    Client::connect_by(server.webhook, config(&server.certs.join("ca.crt"), identity)).is_served()
}

#[test]
fn only_clients_with_the_right_certificate_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new("clients"), Authority::new("clients"));
    fs::write(folder.path().join("client-ca.crt"), &authority.pem).unwrap();
    let server = server(folder.path(), &["--client-name", "apiserver,api.example.com"]);

    let right = authority.issue("apiserver", &[], Ends::Tomorrow);
    let mut client = Client::connect_by(server.webhook, config(&server.certs.join("ca.crt"), Some(&right)));
    assert_eq!(client.review(&named("osd-multus").compact_review())["response"]["allowed"], true);
    let by_dns_name = authority.issue("somebody", &["api.example.com"], Ends::Tomorrow);
    assert!(serves(&server, Some(&by_dns_name)));
    assert_eq!(server.metric(REFUSED).to_string(), "0");

    let refused = [
        ("another name", Some(authority.issue("system:node:worker-1", &["worker-1"], Ends::Tomorrow))),
        ("no certificate", None),
        ("another authority of the same name", Some(stranger.issue("apiserver", &[], Ends::Tomorrow))),
        ("expired", Some(authority.issue("apiserver", &[], Ends::Yesterday))),
    ];
    for (number, (what, identity)) in (1..).zip(&refused) {
        assert!(!serves(&server, identity.as_ref()), "{what}");
        wait_for("the count", || server.metric(REFUSED).to_string() == format!("{number}"));
    }
    let warned = server.wait_for_log("client refused (said once a minute at most; the metric counts them all)");
    let reason =
        "its certificate is for system:node:worker-1, worker-1, which is none of the names that clients may have";
    assert_eq!(warned["reason"], reason);
    assert_eq!(server.metric(r#"rook_multihome_connections_total{end="handshake-failed"}"#).to_string(), "0");

    let (_, ready) = server.admin("/readyz?verbose");
    let line = "[+] clients: a certificate is required, authorities: 1, names: apiserver, api.example.com\n";
    assert!(ready.contains(line), "{ready}");
}

#[test]
fn a_new_authority_is_taken_without_a_restart_and_a_bad_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client-ca.crt");
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    fs::write(&file, &old.pem).unwrap();
    let server = server(folder.path(), &[]);
    let (before, after) = (old.issue("a", &[], Ends::Tomorrow), new.issue("b", &[], Ends::Tomorrow));
    let by = config(&server.certs.join("ca.crt"), Some(&before));
    let mut open = Client::connect_by(server.webhook, by.clone());
    assert!(open.is_served());
    assert!(!serves(&server, Some(&after)));

    let half = &old.pem[..old.pem.len() / 2];
    for (content, part) in [("", "it holds no certificate in PEM form"), (half, "no certificate in PEM form")] {
        fs::write(&file, content).unwrap();
        wait_for("the complaint", || server.admin("/readyz?verbose").1.contains(part));
        assert_eq!(server.admin("/readyz").0, 200);
        assert!(serves(&server, Some(&before)), "the old content goes on");
    }
    fs::remove_file(&file).unwrap();
    wait_for("the complaint", || server.admin("/readyz?verbose").1.contains("cannot read the client authorities"));

    fs::write(&file, format!("{}{}", old.pem, new.pem)).unwrap();
    wait_for("both authorities", || server.admin("/readyz?verbose").1.contains("authorities: 2\n"));
    assert!(serves(&server, Some(&before)) && serves(&server, Some(&after)));

    fs::write(&file, &new.pem).unwrap();
    wait_for("the new authority alone", || server.admin("/readyz?verbose").1.contains("authorities: 1\n"));
    assert!(!serves(&server, Some(&before)) && serves(&server, Some(&after)));
    // Its session is not resumed either, which would need no certificate; a connection that is open is not cut off.
    assert!(!Client::connect_by(server.webhook, by).is_served());
    assert!(open.is_served());
}

#[test]
fn a_bad_file_at_the_start_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client-ca.crt");
    let start = |flags: &[&str]| {
        let mut command = support::program();
        command.args(["serve", "--manifests"]).arg(named("osd-multus").world()).args(flags);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cert-dir"]);
        let output = command.arg(folder.path().join("certs")).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let flags = ["--client-ca", file.to_str().unwrap()];
    assert!(start(&flags).contains("error: cannot read the client authorities "));
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let said = start(&flags);
    assert!(
        said.contains("error: no client can be verified with ") && said.contains("it is no X.509 certificate"),
        "{said}"
    );
    assert!(start(&["--client-name", "apiserver"]).contains("--client-ca <FILE>"));
}
