//! The certificate that is being served, replaced whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use super::certificate::{Certificate, timestamp};

/// Holds the certificate for each handshake to come. Handshakes read it without a lock.
#[derive(Debug, Default)]
pub struct ServedCertificate {
    current: ArcSwapOption<Served>,
    refused: AtomicU64,
    complaint: ArcSwapOption<String>,
}

/// One certificate that was found fit to serve.
#[derive(Debug)]
pub struct Served {
    /// Certificate chain and key.
    pub key: Arc<CertifiedKey>,
    /// The certificate itself, without those that follow it.
    pub certificate: Certificate,
}

/// What a replica says about the certificate that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServedReport {
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// Who signed it.
    pub issuer: String,
    /// From when on it is valid,
    pub not_before: Timestamp,
    /// and until when.
    pub not_after: Timestamp,
}

impl Served {
    /// Puts certificate chain and key together.
    ///
    /// # Errors
    /// Where the key does not belong to the first certificate of the chain.
    pub(super) fn new(chain: &[Certificate], key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        let certificate = chain.first().ok_or(rustls::Error::NoCertificatesPresented)?.clone();
        let chain = chain.iter().map(|certificate| certificate.der.clone()).collect();
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        Ok(Self { key: Arc::new(certified), certificate })
    }

    /// What to say about it.
    #[must_use]
    pub fn report(&self) -> ServedReport {
        let Certificate { serial, issuer, not_before, not_after, .. } = &self.certificate;
        ServedReport {
            serial: serial.clone(),
            issuer: issuer.clone(),
            not_before: timestamp(*not_before),
            not_after: timestamp(*not_after),
        }
    }
}

impl ServedCertificate {
    /// Serves `served` from now on.
    pub fn replace(&self, served: Served) {
        self.current.store(Some(Arc::new(served)));
        self.complaint.store(None);
    }

    /// Notes that a new certificate was found unfit, and why; what was served before is served still.
    pub fn refuse(&self, complaint: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.complaint.store(Some(Arc::new(complaint)));
    }

    /// What is being served.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Served>> {
        self.current.load_full()
    }

    /// When what is being served expires.
    #[must_use]
    pub fn expiry(&self) -> Option<SystemTime> {
        self.current().map(|served| served.certificate.not_after)
    }

    /// How many certificates were found unfit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Why the newest certificate is not served, where it is not.
    #[must_use]
    pub fn complaint(&self) -> Option<Arc<String>> {
        self.complaint.load_full()
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().as_ref().map(|served| Arc::clone(&served.key))
    }
}
