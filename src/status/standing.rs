//! How the writing of statuses goes, what they say, and what is found in networks, for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::conditions::{readiness, statuses};
use super::ledger::Outcome;
use crate::api::{ConditionStatus, StorageNetworkStatus};
use crate::lint::{Entry, Finding, TABLE, lint};
use crate::world::Snapshot;

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

/// How often each rule finds something, when that was last computed.
#[derive(Debug)]
pub struct Found(Vec<AtomicU64>);

/// How many StorageNetworks there are, by their condition Ready, when that was last computed.
#[derive(Debug, Default)]
pub struct Readiness([AtomicU64; 3]);

impl Readiness {
    /// Of a snapshot that stays as it is.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let counts = Self::default();
        counts.set(statuses(snapshot, &[]).iter().map(|(_, status)| status));
        counts
    }

    pub(super) fn set<'s>(&self, statuses: impl Iterator<Item = &'s StorageNetworkStatus>) {
        let mut counts = [0; 3];
        for status in statuses {
            counts[readiness(status) as usize] += 1;
        }
        for (known, count) in self.0.iter().zip(counts) {
            known.store(count, Ordering::Relaxed);
        }
    }

    /// How many have the condition with this status.
    #[must_use]
    pub fn count_of(&self, status: ConditionStatus) -> u64 {
        self.0[status as usize].load(Ordering::Relaxed)
    }
}

impl Default for Found {
    fn default() -> Self {
        Self(TABLE.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Found {
    /// In a snapshot that stays as it is.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let found = Self::default();
        found.set(&lint(snapshot));
        found
    }

    pub(super) fn set(&self, findings: &[Finding]) {
        for (entry, known) in TABLE.iter().zip(&self.0) {
            let count = findings.iter().filter(|finding| finding.rule == entry.rule).count();
            known.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Every rule, and how often it finds something.
    pub fn counts(&self) -> impl Iterator<Item = (&'static Entry, u64)> {
        TABLE.iter().zip(&self.0).map(|(entry, count)| (entry, count.load(Ordering::Relaxed)))
    }
}
