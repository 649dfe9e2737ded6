//! What is due to be written, and when, as a state machine that reads no clock and asks nobody.
//!
//! Each StorageNetwork is looked at when its status has changed, and otherwise every few minutes, in case that somebody else
//! wrote there. One that makes trouble waits longer each time, and no other waits for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::conditions::is_provisional;
use crate::api::StorageNetworkStatus;
use crate::world::ObjectName;

/// How long a status that was found or written is taken to be there.
const LOOKED_AT_AGAIN: Duration = Duration::from_secs(300);
/// The first pause after a failure, which doubles with each further one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long a status is held back that says that something is not known yet. Written at once, it would be another one a moment
/// later, with each start of a replica.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of looking at one object, and writing its status where that was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its status was written.
    Written,
    /// Its status was right.
    Agrees,
    /// The object is gone.
    Gone,
    /// Somebody else wrote the object in that moment, or it is newer than what is known of it here.
    Conflict,
    /// The API server refused, or did not answer.
    Failed,
}

/// The statuses of all StorageNetworks.
#[derive(Debug)]
pub struct Ledger {
    /// Until when a status that is not known yet is held back.
    patient_until: Instant,
    entries: BTreeMap<ObjectName, Entry>,
}

/// The status of one StorageNetwork, as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which one.
    pub id: ObjectName,
    /// When it was created, which tells it from one that had the same name before.
    pub created: Box<str>,
    /// The status, without the times of its conditions.
    pub status: StorageNetworkStatus,
}

#[derive(Debug)]
struct Entry {
    created: Box<str>,
    wanted: StorageNetworkStatus,
    due: Instant,
    /// The pause after the last failure, until something succeeds, and when it ends.
    pause: Option<(Duration, Instant)>,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 5] = [Self::Written, Self::Agrees, Self::Gone, Self::Conflict, Self::Failed];

    /// The name, as in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Agrees => "agrees",
            Self::Gone => "gone",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { patient_until: now + PATIENCE, entries: BTreeMap::new() }
    }

    /// Takes over the statuses as they should be, of all that there are; those that have changed are due, and those of objects
    /// that were made anew.
    pub fn want(&mut self, wanted: impl IntoIterator<Item = Wanted>, now: Instant) {
        let mut before = std::mem::take(&mut self.entries);
        for Wanted { id, created, status: wanted } in wanted {
            let soonest = if is_provisional(&wanted) { now.max(self.patient_until) } else { now };
            let entry = match before.remove(&id) {
                Some(entry) if entry.wanted == wanted && entry.created == created => entry,
                Some(Entry { pause, .. }) => {
                    // A change is no reason to try more often what fails.
                    let due = pause.map_or(soonest, |(_, end)| soonest.max(end));
                    Entry { created, wanted, due, pause }
                }
                None => Entry { created, wanted, due: soonest, pause: None },
            };
            self.entries.insert(id, entry);
        }
    }

    /// Whether there is a StorageNetwork of that name.
    #[must_use]
    pub fn knows(&self, id: &ObjectName) -> bool {
        self.entries.contains_key(id)
    }

    /// Forgets everything: somebody else has written meanwhile.
    pub fn forget(&mut self) {
        self.entries.clear();
    }

    /// What has been due for longest, where anything is.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<(ObjectName, StorageNetworkStatus)> {
        let due = self.entries.iter().filter(|(_, entry)| entry.due <= now);
        due.min_by_key(|(_, entry)| entry.due).map(|(id, entry)| (id.clone(), entry.wanted.clone()))
    }

    /// Takes note of what came of an object that was due.
    pub fn settle(&mut self, id: &ObjectName, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        match outcome {
            Outcome::Written | Outcome::Agrees | Outcome::Gone => {
                entry.pause = None;
                entry.due = now + LOOKED_AT_AGAIN;
            }
            Outcome::Conflict | Outcome::Failed => {
                let (shortest, longest) = PAUSES;
                let length = entry.pause.map_or(shortest, |(length, _)| (length * 2).min(longest));
                entry.pause = Some((length, now + length));
                entry.due = now + length;
            }
        }
    }
}

#[cfg(test)]
mod tests;
