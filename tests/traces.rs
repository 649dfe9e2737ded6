//! Traces, as a collector receives them.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::fixtures::named;
use support::server::Running;

/// A collector that keeps what it is sent.
struct Collector {
    address: SocketAddr,
    requests: mpsc::Receiver<(String, Vec<u8>)>,
}

/// A message in protobuf's encoding: its fields in order, numbers left out.
struct Message(Vec<(u64, Vec<u8>)>);

#[derive(Debug)]
struct Span {
    service: String,
    trace: String,
    parent: String,
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let mut head = String::new();
                    while stream.read_line(&mut head).unwrap_or_default() > 0 {
                        if !head.ends_with("\r\n\r\n") {
                            continue;
                        }
                        let length = head.to_ascii_lowercase();
                        let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
                        let mut body = vec![0; length.parse().unwrap()];
                        stream.read_exact(&mut body).unwrap();
                        // Before the answer, after which the server may leave.
                        _ = sender.send((std::mem::take(&mut head), body));
                        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// All spans that were sent so far.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for (head, body) in self.requests.try_iter() {
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("content-type: application/x-protobuf"), "{head}");
            for resource_spans in Message::read(&body).all(1) {
                let service = attributes(&resource_spans.one(1), 1)["service.name"].clone();
                for span in resource_spans.all(2).iter().flat_map(|scope_spans| scope_spans.all(2)) {
                    spans.push(Span {
                        service: service.clone(),
                        trace: hex(&span.bytes(1)),
                        parent: hex(&span.bytes(4)),
                        name: span.text(5),
                        attributes: attributes(&span, 9),
                    });
                }
            }
        }
        spans
    }
}

impl Message {
    fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let length = match tag & 7 {
                0 => {
                    varint(&mut bytes);
                    continue;
                }
                1 => 8,
                2 => usize::try_from(varint(&mut bytes)).unwrap(),
                5 => 4,
                other => panic!("no wire type: {other}"),
            };
            let (field, rest) = bytes.split_at(length);
            fields.push((tag >> 3, field.to_vec()));
            bytes = rest;
        }
        Self(fields)
    }

    fn all(&self, number: u64) -> Vec<Message> {
        self.0.iter().filter(|(field, _)| *field == number).map(|(_, bytes)| Self::read(bytes)).collect()
    }

    fn one(&self, number: u64) -> Message {
        Self::read(&self.bytes(number))
    }

    fn bytes(&self, number: u64) -> Vec<u8> {
        self.0.iter().find(|(field, _)| *field == number).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    fn text(&self, number: u64) -> String {
        String::from_utf8(self.bytes(number)).unwrap()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Key and value of attributes that are texts.
fn attributes(message: &Message, number: u64) -> BTreeMap<String, String> {
    message.all(number).iter().map(|attribute| (attribute.text(1), attribute.one(2).text(1))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn serve(variables: &[(&str, &str)]) -> (tempfile::TempDir, Running) {
    let certs = tempfile::tempdir().unwrap();
    let mut command = support::program();
    command.args(["serve", "--manifests"]).arg(named("osd-multus").world()).envs(variables.iter().copied());
    let server = Running::start_command(command, certs.path());
    server.wait_until_ready();
    (certs, server)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[test]
fn a_review_is_a_span_below_the_api_servers() {
    let collector = Collector::start();
    let endpoint = format!("http://{}", collector.address);
    let (_certs, mut server) = serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let review = named("osd-multus").compact_review();
    let post = |traceparent: Option<String>| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(traceparent.as_deref().map(|value| ("traceparent", value)));
        assert_eq!(server.client().request("POST", "/mutate", &headers, review.as_bytes()).status, 200);
    };
    post(Some(format!("00-{TRACE}-{PARENT}-01")));
    post(Some(format!("00-{TRACE}-1111111111111111-00"))); // not sampled
    post(Some("nonsense".to_owned()));
    post(None);
    // At the end, and not only when a batch is due.
    server.signal("-TERM");
    assert!(server.wait_for_exit().success());

    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let span = &spans[0];
    assert_eq!((span.name.as_str(), span.service.as_str()), ("review", "rook-multihome"));
    assert_eq!((span.trace.as_str(), span.parent.as_str()), (TRACE, PARENT));
    let attribute = |key: &str| span.attributes[key].as_str();
    assert_eq!(attribute("namespace"), "rook-ceph");
    assert_eq!(attribute("pod"), "rook-ceph-osd-0-7c6d8b5f9-");
    assert_eq!(attribute("cluster"), "rook-ceph/my-cluster");
    assert_eq!((attribute("role"), attribute("outcome"), attribute("reason")), ("ceph/osd", "attached", ""));
    assert_eq!(attribute("networks"), "public=rook-ceph/public-net,cluster=rook-ceph/cluster-net");
    for span in &spans[1..] {
        assert!(span.trace != TRACE && span.parent.is_empty(), "{span:?}");
    }
}

#[test]
fn the_standard_variables_hold() {
    let collector = Collector::start();
    let endpoint = format!("http://{}/v1/traces", collector.address);
    let (_certs, mut server) = serve(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
        ("OTEL_SERVICE_NAME", "storage-webhook"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ]);
    let review = named("osd-multus").compact_review();
    server.client().review(&review);
    server.signal("-TERM");
    assert!(server.wait_for_exit().success());
    assert!(collector.spans().is_empty());

    let (_certs, mut server) =
        serve(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint), ("OTEL_SERVICE_NAME", "storage-webhook")]);
    server.client().review(&review);
    server.signal("-TERM");
    assert!(server.wait_for_exit().success());
    assert_eq!(collector.spans()[0].service, "storage-webhook");
}

#[test]
fn a_collector_that_is_away_is_said_once_and_holds_nothing_up() {
    // One that accepts and never answers: the worst of them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (endpoint, part) in [
        ("http://127.0.0.1:1", "traces cannot be sent; dropping them until the collector is back"),
        (silent.as_str(), "the last traces were not sent in time"),
    ] {
        let (_certs, mut server) = serve(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16"),
        ]);
        let review = named("osd-multus").compact_review();
        let mut client = server.client();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(500) {
            let asked = Instant::now();
            client.review(&review);
            assert!(asked.elapsed() < Duration::from_secs(2));
        }
        drop(client);
        let stopping = Instant::now();
        server.signal("-TERM");
        assert!(server.wait_for_exit().success());
        assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
        let warnings: Vec<_> = server.log().into_iter().filter(|event| event["level"] != "INFO").collect();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert_eq!(warnings[0]["message"], part);
    }
}

#[test]
fn variables_that_are_of_no_use_end_nothing() {
    for (variables, part) in [
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")][..], "begins with http://"),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "only http/protobuf is spoken",
        ),
    ] {
        let (_certs, mut server) = serve(variables);
        server.client().review(&named("osd-multus").compact_review());
        server.signal("-TERM");
        assert!(server.wait_for_exit().success());
        let log = server.log();
        let warning = log.iter().find(|event| event["message"] == "no traces are sent").unwrap();
        assert!(warning["fault"].as_str().unwrap().contains(part), "{warning}");
    }
}
