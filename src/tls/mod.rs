//! Certificates: served ([`ServedCertificate`]), made ([`authority`]), read from files and replaced while serving ([`files`]), or
//! kept by the replicas themselves: [`rotation`] says what to do next, [`stored`] is where all replicas find it, [`trust`] what
//! the API server goes by, [`cluster`] reads and writes Kubernetes, [`keeper`] does it, and [`keeping`] says how it goes. And
//! those that clients are asked for ([`clients`]).
//!
//! A private key is in memory and in the file or Secret it came from, nowhere else: it is never logged, and never part of an
//! error. TLS 1.2 and 1.3 by aws-lc-rs.

pub mod authority;
pub mod certificate;
pub mod clients;
pub mod cluster;
pub mod files;
pub mod keeper;
pub mod keeping;
pub mod rotation;
mod served;
pub mod stored;
pub mod trust;

pub use served::{Served, ServedCertificate, ServedReport};

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;

use clients::ClientAuthorities;

/// The configuration of the HTTPS port: the certificate is whatever `certificate` holds at each handshake, and the protocol
/// is chosen by ALPN. Clients that offer none get HTTP/1.1. Where there are `clients`, nobody else is let in.
///
/// # Errors
/// Where aws-lc-rs does not offer TLS 1.2 and 1.3, which it always does.
pub fn server_config(
    certificate: Arc<ServedCertificate>,
    clients: Option<Arc<ClientAuthorities>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = if let Some(clients) = clients {
        let mut config = builder.with_client_cert_verifier(clients).with_cert_resolver(certificate);
        // Who resumes a session is not asked for a certificate again, and would outlive its authority.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    } else {
        builder.with_no_client_auth().with_cert_resolver(certificate)
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
