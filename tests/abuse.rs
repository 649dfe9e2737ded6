//! Whoever reaches the webhook's port can do there what they like. Each kind of abuse happens here to the only replica of a real
//! control plane, while pods are created through the API server and other reviews come on connections of their own: none may
//! fail, none may take as long as the API server waits, and memory stays far below the chart's limit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use support::client::{self, Client, Roots};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::fixtures;
use support::load::Load;
use support::release::Release;
use support::server::{Running, wait_for};

/// How long the API server waits for an answer, by the chart's defaults.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The chart's memory limit, in kB.
const MEMORY: u64 = 192 * 1024;
/// More connections than are served at a time.
const MANY: usize = 1_500;
const SERVICE: &str = "rook-multihome.rook-multihome.svc";
const JSON: (&str, &str) = ("content-type", "application/json");

/// The only replica of a release, under abuse.
struct Victim<'p> {
    plane: &'p ControlPlane,
    replica: &'p Running,
    roots: Roots,
    review: String,
}

#[test]
fn abuse_keeps_no_review_waiting() {
    in_own_network("abuse_keeps_no_review_waiting", || {
        let files = open_as_many_files_as_possible();
        let plane = ControlPlane::with_storage();
        let mut release = Release::install(&plane, &["--set", "webhook.daemons.failurePolicy=Fail"]);
        release.start(1);
        plane.wait_for_networks();
        let victim = Victim {
            plane: &plane,
            replica: &release.replicas[0].running,
            roots: plane.api().bundles().unwrap().remove(0),
            review: fixtures::named("osd-multus").compact_review(),
        };
        silent_connections(&victim, 10_000.min(files - 2_000));
        handshakes_that_do_not_end(&victim);
        slow_headers(&victim);
        slow_bodies(&victim);
        oversized_bodies(&victim);
        garbage(&victim);
        wrong_names(&victim);
        old_protocols(&victim);
    });
}

fn open_as_many_files_as_possible() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard: usize = line.split_whitespace().nth(4).unwrap().parse().unwrap();
    let own = std::process::id().to_string();
    support::stdout(Command::new("prlimit").args(["--pid", &own, &format!("--nofile={hard}:{hard}")]));
    hard
}

impl Victim<'_> {
    /// Abuses the replica under load, and says how the load went. Returns how much more there is of a metric after it.
    fn suffers(&self, what: &str, metric: &str, abuse: impl FnOnce()) -> f64 {
        let before = self.replica.metric(metric);
        let admissions = Load::of_admissions(self.plane, 2);
        let handshakes = Load::of_handshakes(self.plane, &[self.address()], &self.review, Duration::from_secs(600));
        std::thread::sleep(Duration::from_secs(1));
        let since = Instant::now();
        abuse();
        let left = Duration::from_secs(3).saturating_sub(since.elapsed());
        std::thread::sleep(left);
        wait_for("enough reviews", || admissions.done() > 40 && handshakes.done() > 40);
        let memory = self.replica.memory("VmHWM");
        for (load, kind) in [(admissions, "admissions"), (handshakes, "reviews on new connections")] {
            let outcome = load.stop();
            assert!(outcome.slowest < TIMEOUT, "{kind} under {what}: {outcome:?}");
            outcome.expect_all(&format!("{kind} under {what}"));
        }
        let more = self.replica.metric(metric) - before;
        say(&format!("{what}: {metric} grew by {more}; {memory} kB at the most so far"));
        assert!(memory < MEMORY / 2);
        more
    }

    fn address(&self) -> SocketAddr {
        self.replica.webhook
    }

    fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    fn client(&self) -> Client {
        Client::try_connect(self.address(), &self.roots, SERVICE).unwrap()
    }

    fn metric_grows(&self, metric: &str, before: f64) {
        wait_for(metric, || self.replica.metric(metric) > before + 0.5);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap()
}

fn ended(how: &str) -> String {
    format!(r#"rook_multihome_connections_total{{end="{how}"}}"#)
}

fn rejected(code: u16) -> String {
    format!(r#"rook_multihome_rejected_requests_total{{code="{code}"}}"#)
}

fn silent_connections(victim: &Victim<'_>, count: usize) {
    let timeouts = victim.replica.metric(&ended("handshake-timeout"));
    let more = victim.suffers(&format!("{count} silent connections"), &ended("displaced"), || {
        let opened = std::thread::scope(|scope| {
            let address = victim.address();
            let open = move || (0..count / 4).map(|_| connect(address)).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(opened.len(), count);
        assert!(victim.replica.metric("rook_multihome_connections_open") < 1025.5);
        // The rest are let go when the time for the handshake is over.
        victim.metric_grows(&ended("handshake-timeout"), timeouts);
    });
    assert!(more > 7_000.0, "{more}");
}

/// A greeting, and nothing after it.
fn handshakes_that_do_not_end(victim: &Victim<'_>) {
    let ca = victim.plane.path("pki/ca.crt");
    let name = ServerName::try_from(SERVICE).unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(client::config(&ca, None), name).unwrap().write_tls(&mut hello).unwrap();
    let more = victim.suffers("handshakes that do not end", &ended("displaced"), || {
        let mut open: Vec<TcpStream> = Vec::new();
        for _ in 0..MANY {
            let mut stream = victim.connect();
            stream.write_all(&hello).unwrap();
            open.push(stream);
        }
        std::thread::sleep(Duration::from_secs(2));
    });
    assert!(more > 100.0, "{more}");
}

/// The handshake is done; then comes a byte a second.
fn slow_headers(victim: &Victim<'_>) {
    let more = victim.suffers("slow headers", &ended("displaced"), || {
        let mut open: Vec<Client> = Vec::new();
        for _ in 0..MANY {
            let mut client = victim.client();
            client.try_send(b"P");
            open.push(client);
        }
        for byte in b"OST " {
            open.retain_mut(|client| client.try_send(&[*byte]));
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    assert!(more > 100.0, "{more}");
}

fn slow_bodies(victim: &Victim<'_>) {
    let before = victim.replica.metric(&rejected(408));
    let more = victim.suffers("slow bodies", &ended("displaced"), || {
        let mut open: Vec<Client> = Vec::new();
        let head =
            "POST /mutate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{";
        for _ in 0..MANY {
            let mut client = victim.client();
            client.try_send(head.as_bytes());
            open.push(client);
        }
        // What was not displaced has ten seconds.
        let since = Instant::now();
        while victim.replica.metric(&rejected(408)) < before + 0.5 {
            assert!(since.elapsed() < Duration::from_secs(20), "no request was given up");
            open.retain_mut(|client| client.try_send(b" "));
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    assert!(more > 100.0, "{more}");
}

fn oversized_bodies(victim: &Victim<'_>) {
    let long = vec![b' '; 9 * 1024 * 1024];
    let more = victim.suffers("bodies of 9 MiB", &rejected(413), || {
        for _ in 0..10 {
            assert_eq!(victim.client().request("POST", "/mutate", &[JSON], &long).status, 413);
        }
    });
    assert!((more - 10.0).abs() < 0.1, "{more}");
}

fn garbage(victim: &Victim<'_>) {
    let more = victim.suffers("garbage", &ended("handshake-failed"), || {
        let mut bytes = vec![0_u8; 1000];
        for number in 0..1_000_u32 {
            let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(1);
            for byte in &mut bytes {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                *byte = state.to_le_bytes()[0];
            }
            // Not a handshake by chance, for which more would be waited for.
            bytes[0] = 0;
            // The server may have closed the connection before all of it is written.
            _ = victim.connect().write_all(&bytes);
        }
    });
    assert!(more > 999.5, "{more}");
}

/// There is one certificate, and it is shown whatever name is asked for: clients that care refuse it.
fn wrong_names(victim: &Victim<'_>) {
    let more = victim.suffers("wrong names", &ended("handshake-failed"), || {
        for _ in 0..50 {
            let refused = Client::try_connect(victim.address(), &victim.roots, "localhost").err().unwrap();
            assert!(refused.contains("certificate not valid for name"), "{refused}");
        }
        let file = victim.plane.path("review.json");
        std::fs::write(&file, &victim.review).unwrap();
        let (to, body) = (victim.address(), format!("@{}", file.display()));
        let there = format!("other.example:{}:{}", to.port(), to.ip());
        let url = format!("https://other.example:{}/mutate", to.port());
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--insecure",
            "--resolve",
            &there,
            &url,
            "-H",
            "content-type: application/json",
            "-d",
            &body,
        ]);
        assert!(support::stdout(&mut curl).contains("public-net"), "who does not care is answered");
    });
    assert!(more > 49.5, "{more}");
}

/// TLS 1.1: refused by an alert.
fn old_protocols(victim: &Victim<'_>) {
    // Version 1.1, 32 random bytes, no session, two ciphers of its time, no compression.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let mut record =
        vec![22, 3, 1, 0, 4 + u8::try_from(hello.len()).unwrap(), 1, 0, 0, u8::try_from(hello.len()).unwrap()];
    record.extend(&hello);
    let more = victim.suffers("TLS 1.1", &ended("handshake-failed"), || {
        for _ in 0..50 {
            let mut stream = victim.connect();
            stream.write_all(&record).unwrap();
            let mut answer = Vec::new();
            _ = stream.read_to_end(&mut answer);
            // A fatal alert, and nothing else.
            assert_eq!((answer.len(), answer[0], answer[5]), (7, 21, 2), "{answer:?}");
        }
    });
    assert!(more > 49.5, "{more}");
}
