//! The certificate that is being served, replaced whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

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
    /// When the certificate expires.
    pub not_after: SystemTime,
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
