//! Clients that have to show a certificate: the authorities that may have signed it, and the names it may carry.
//!
//! The authorities' file is compared by content every few seconds, as the serving certificate's are: one that was read once
//! and for all is how webhooks end up refusing the API server after its authority was renewed. A file that does not hold is
//! reported, and the old content goes on.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, OtherError, RootCertStore,
    SignatureScheme,
};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::files::{POLL_INTERVAL, certificates};

/// Which certificates a client may have. Handshakes read it without a lock.
#[derive(Debug)]
pub struct ClientAuthorities {
    file: PathBuf,
    names: ClientNames,
    current: ArcSwap<Authorities>,
    complaint: ArcSwapOption<String>,
}

/// The names that a client's certificate may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientNames {
    /// Whatever the authorities sign.
    Any,
    /// One of these, as the subject's common name or as a DNS name.
    OneOf(Vec<String>),
}

/// What was read from the file.
#[derive(Debug)]
struct Authorities {
    pem: Vec<u8>,
    count: usize,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// A file of authorities that is of no use.
#[derive(Debug, Error)]
pub enum AuthoritiesError {
    /// It cannot be read.
    #[error("cannot read the client authorities {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content does not hold.
    #[error("no client can be verified with {path}: {fault}")]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
}

/// A certificate that the authorities signed for somebody else.
#[derive(Debug, Error)]
#[error("its certificate is for {found}, which is none of the names that clients may have")]
struct OtherName {
    found: String,
}

impl ClientAuthorities {
    /// Reads the authorities from a PEM file.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds no certificate, or one that cannot be an authority.
    pub fn read(file: PathBuf, names: ClientNames) -> Result<Self, AuthoritiesError> {
        let pem = fs::read(&file).map_err(|source| AuthoritiesError::Read { path: file.clone(), source })?;
        let authorities =
            Authorities::new(pem).map_err(|fault| AuthoritiesError::Unfit { path: file.clone(), fault })?;
        Ok(Self { file, names, current: ArcSwap::from_pointee(authorities), complaint: ArcSwapOption::empty() })
    }

    /// Looks at the file again and again, for as long as the process lives.
    pub async fn keep_reading(self: Arc<Self>) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let this = Arc::clone(&self);
            // It can only fail where the runtime ends, and this with it.
            _ = tokio::task::spawn_blocking(move || this.read_again()).await;
        }
    }

    /// Takes what the file holds now. What is wrong with it is said once.
    fn read_again(&self) {
        let read = fs::read(&self.file).map_err(|source| AuthoritiesError::Read { path: self.file.clone(), source });
        let found = match read {
            Ok(pem) if pem == self.current.load().pem => Ok(None),
            Ok(pem) => Authorities::new(pem)
                .map(Some)
                .map_err(|fault| AuthoritiesError::Unfit { path: self.file.clone(), fault }),
            Err(error) => Err(error),
        };
        match found {
            Ok(None) => self.complaint.store(None),
            Ok(Some(authorities)) => {
                tracing::info!(file = %self.file.display(), authorities = authorities.count, "reading clients' authorities anew");
                self.current.store(Arc::new(authorities));
                self.complaint.store(None);
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint().is_none_or(|before| *before != complaint) {
                    tracing::error!(complaint, "keeping the clients' authorities that were read before");
                    self.complaint.store(Some(Arc::new(complaint)));
                }
            }
        }
    }

    /// How many authorities there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.current.load().count
    }

    /// The names that a client's certificate may carry.
    #[must_use]
    pub fn names(&self) -> &ClientNames {
        &self.names
    }

    /// Why the newest content of the file is not used, where it is not.
    #[must_use]
    pub fn complaint(&self) -> Option<Arc<String>> {
        self.complaint.load_full()
    }
}

impl Authorities {
    fn new(pem: Vec<u8>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&pem)? {
            // One that cannot be used is not passed over: half of a file is what a file looks like that is being written.
            roots.add(certificate.der).map_err(|error| format!("one of its certificates is no authority ({error})"))?;
        }
        let count = roots.len();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { pem, count, verifier })
    }
}

impl ClientNames {
    /// Those that were named; where none was, any.
    #[must_use]
    pub fn of(names: Vec<String>) -> Self {
        if names.is_empty() { Self::Any } else { Self::OneOf(names) }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
        let Self::OneOf(names) = self else { return Ok(()) };
        let (_, certificate) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let (common_name, dns_names) = (common_name(&certificate), dns_names(&certificate));
        let allowed = |name: &String| {
            common_name == Some(name) || dns_names.iter().any(|dns_name| dns_name.eq_ignore_ascii_case(name))
        };
        if names.iter().any(allowed) {
            return Ok(());
        }
        let found: Vec<&str> = common_name.into_iter().chain(dns_names).collect();
        let found = if found.is_empty() { "nobody by name".to_owned() } else { found.join(", ") };
        Err(CertificateError::Other(OtherError(Arc::new(OtherName { found }))))
    }
}

/// Why a client's certificate was not taken, where that is why a handshake failed.
#[must_use]
pub fn why_refused(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref()? {
        TlsError::InvalidCertificate(CertificateError::Other(own)) => Some(own.to_string()),
        // A server verifies no other certificates than its clients'.
        error @ (TlsError::NoCertificatesPresented | TlsError::InvalidCertificate(_)) => Some(error.to_string()),
        _ => None,
    }
}

/// The subject's common name, where there is exactly one: of several, the authority may have looked at another.
fn common_name<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c str> {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok(),
        _ => None,
    }
}

fn dns_names<'c>(certificate: &'c X509Certificate<'_>) -> Vec<&'c str> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns_names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    dns_names.collect()
}

impl ClientCertVerifier for ClientAuthorities {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// None: they could not be replaced together with the authorities. A client without hints sends the certificate it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let verified = self.current.load().verifier.verify_client_cert(end_entity, intermediates, now)?;
        self.names.check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.current.load().verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.current.load().verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(common_names: &[&str], dns_names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = dns_names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (number, name) in common_names.iter().enumerate() {
            // The library keeps one of each type: a second common name is one by its number.
            let kind = if number == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
            params.distinguished_name.push(kind, *name);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_name_is_the_only_common_name_or_a_dns_name() {
        let names = ClientNames::of(vec!["apiserver".to_owned(), "api.example.com".to_owned()]);
        for (common_names, dns_names, allowed) in [
            (&["apiserver"][..], &[][..], true),
            (&["APISERVER"], &[], false),
            (&["node"], &["API.example.com"], true),
            (&["node"], &["api.example.com.evil.net"], false),
            (&["node"], &["*.example.com"], false),
            (&[], &["apiserver"], true),
            (&[], &[], false),
            (&["apiserver", "node"], &[], false),
        ] {
            let checked = names.check(&certificate(common_names, dns_names));
            assert_eq!(checked.is_ok(), allowed, "{common_names:?} {dns_names:?}: {checked:?}");
        }
        assert!(ClientNames::of(Vec::new()).check(&certificate(&["node"], &[])).is_ok());
    }
}
