//! How the keeping of certificates goes, for readiness, metrics and people.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::rotation::Stage;

/// How things are, for readiness, metrics and people.
#[derive(Debug, Default)]
pub struct Keeping {
    state: ArcSwap<KeepingState>,
    bundle_writes: AtomicU64,
    issued: AtomicU64,
}

/// How things were at the last turn.
#[derive(Clone, Debug)]
pub struct KeepingState {
    /// Where the rotation stands.
    pub stage: Stage,
    /// When the current authority expires.
    pub authority_expiry: Option<SystemTime>,
    /// Whether clients trust what is served.
    pub trusted: Trusted,
    /// What went wrong last, until it goes right again.
    pub fault: Option<String>,
}

/// Whether the webhook configurations trust the authority of the certificate that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// They do.
    Yes,
    /// At least one does not.
    No,
    /// They do since a moment ago, and not every API server may have noticed; other replicas serve what was trusted before.
    Recently,
    /// There is no mutating webhook configuration that calls us, so that nobody asks about pods.
    NoConfiguration,
    /// Nobody has looked yet.
    Unknown,
}

impl Keeping {
    pub(super) fn publish(&self, state: KeepingState) {
        self.state.store(Arc::new(state));
    }

    pub(super) fn has_issued(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn has_written_bundle(&self) {
        self.bundle_writes.fetch_add(1, Ordering::Relaxed);
    }

    /// How things were at the last turn.
    #[must_use]
    pub fn state(&self) -> Arc<KeepingState> {
        self.state.load_full()
    }

    /// How often a `caBundle` was written.
    #[must_use]
    pub fn bundle_writes(&self) -> u64 {
        self.bundle_writes.load(Ordering::Relaxed)
    }

    /// How many certificates were signed for this replica.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }
}

impl Default for KeepingState {
    fn default() -> Self {
        Self { stage: Stage::Unknown, authority_expiry: None, trusted: Trusted::Unknown, fault: None }
    }
}
