//! A client that speaks HTTP/1.1 over TLS, as the API server does to webhooks, and that can be told to misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

pub struct Client {
    stream: Box<dyn Stream + Send>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a client shows of itself: PEM texts of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// What a client trusts.
pub type Roots = Vec<CertificateDer<'static>>;

/// How to connect: trusting `ca`, and showing an identity where there is one. Connections by the same configuration resume
/// each other's sessions where the server lets them.
pub fn config(ca: &Path, identity: Option<&Identity>) -> Arc<ClientConfig> {
    trusting(&vec![CertificateDer::from_pem_file(ca).unwrap()], identity)
}

fn trusting(trusted: &Roots, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in trusted {
        roots.add(root.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

impl Client {
    pub fn connect(address: SocketAddr, ca: &Path) -> Self {
        Self::connect_by(address, config(ca, None))
    }

    pub fn connect_by(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let session = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        Self { stream: Box::new(StreamOwned::new(session, tcp(address))) }
    }

    /// Connects to `address` as to `name`, trusting `roots`.
    pub fn try_connect(address: SocketAddr, roots: &Roots, name: &str) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session = ClientConnection::new(trusting(roots, None), name).unwrap();
        let mut stream = try_tcp(address).map_err(|error| format!("connecting: {error}"))?;
        session.complete_io(&mut stream).map_err(|error| format!("handshake: {error}"))?;
        Ok(Self { stream: Box::new(StreamOwned::new(session, stream)) })
    }

    pub fn connect_plain(address: SocketAddr) -> Self {
        Self { stream: Box::new(tcp(address)) }
    }

    pub fn review(&mut self, review: &str) -> Value {
        let response = self.post("/mutate", review);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("application/json"));
        serde_json::from_slice(&response.body).unwrap()
    }

    pub fn post(&mut self, path: &str, body: &str) -> Response {
        self.request("POST", path, &[("content-type", "application/json")], body.as_bytes())
    }

    /// Whether a request is answered at all, instead of the connection being refused.
    pub fn is_served(&mut self) -> bool {
        // A server that refuses may say so while the request is still being written.
        let head = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let sent = self.stream.write_all(head).and_then(|()| self.stream.flush());
        sent.is_ok() && self.read_response().is_some()
    }

    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.send_head(method, path, headers, body.len());
        // A server that refuses a body may answer and close before all of it is written.
        _ = self.stream.write_all(body);
        _ = self.stream.flush();
        self.read_response().expect("a response")
    }

    /// The same where a failure is an answer, too.
    pub fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, String> {
        let mut request = head(method, path, headers, body.len()).into_bytes();
        request.extend_from_slice(body);
        self.stream
            .write_all(&request)
            .and_then(|()| self.stream.flush())
            .map_err(|error| format!("asking: {error}"))?;
        self.read_response().ok_or_else(|| "no answer came".to_owned())
    }

    pub fn send_head(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body_length: usize) {
        self.send(head(method, path, headers, body_length).as_bytes());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// Whether bytes can still be sent.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The next response, or nothing where the connection was closed before one.
    pub fn read_response(&mut self) -> Option<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response { status, headers, body: Vec::new() };
        if response.header("transfer-encoding") == Some("chunked") {
            // The last chunk is an empty one.
            loop {
                let chunk = self.read_chunk()?;
                if chunk.is_empty() {
                    return Some(response);
                }
                response.body.extend(chunk);
            }
        }
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        response.body = vec![0; length];
        self.stream.read_exact(&mut response.body).ok()?;
        Some(response)
    }

    /// One chunk of a body whose length is not known before.
    fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let length = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        Some(chunk)
    }

    /// Whether the peer closes the connection instead of sending anything.
    pub fn is_closed(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0]), Ok(1))
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn head(method: &str, path: &str, headers: &[(&str, &str)], body_length: usize) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {body_length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

fn tcp(address: SocketAddr) -> TcpStream {
    try_tcp(address).unwrap()
}

fn try_tcp(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}
