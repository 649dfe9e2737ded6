//! How the writing of statuses goes, for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::ledger::Outcome;

/// How things stand.
#[derive(Debug, Default)]
pub struct Standing {
    holds_lease: AtomicBool,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

impl Standing {
    pub(super) fn set_lease(&self, holds: bool) {
        self.holds_lease.store(holds, Ordering::Relaxed);
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Whether this replica is the one that writes.
    #[must_use]
    pub fn holds_lease(&self) -> bool {
        self.holds_lease.load(Ordering::Relaxed)
    }

    /// How often that came of looking at a StorageNetwork.
    #[must_use]
    pub fn count_of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }
}
