//! The snapshot that decisions read right now.

use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

use super::snapshot::Snapshot;

/// Holds one snapshot for everybody; reading it takes no lock and never waits.
#[derive(Debug)]
pub struct Published(ArcSwap<Snapshot>);

impl Published {
    /// Publishes a first snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    /// The snapshot of this moment. What is decided from it stays consistent, whatever is published meanwhile.
    pub fn read(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// Publishes a newer snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}
