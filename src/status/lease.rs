//! Who may write: the holder of one Lease, as a state machine that reads no clock and asks nobody.
//!
//! The rules are those of Kubernetes' own components (client-go's leader election). Clocks of two machines are never compared:
//! a lease is taken from another holder only when this replica has itself seen it unchanged for as long as it lasts, by its own
//! clock; and a holder believes in its lease for less than that, counted from before it asked for it. Every write is over the
//! version that was seen, so that of two that write, one fails.
//!
//! A machine that sleeps may wake up believing. Its next write of a status is then over a version of the object that it has
//! just read, and says what any other replica would say: the lease is there to spare requests, and nothing breaks without it.

use std::time::{Duration, Instant};

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a lease lasts that is not renewed.
    pub duration: Duration,
    /// How long its holder believes in it. The rest is for clocks that run at different speeds, and requests under way.
    pub belief: Duration,
    /// How often its holder renews it.
    pub renewal: Duration,
    /// How often the others look at it.
    pub look: Duration,
}

impl Terms {
    /// What is used. A replica that has died is replaced after 18 seconds at most.
    pub const DEFAULT: Self = Self {
        duration: Duration::from_secs(15),
        belief: Duration::from_secs(10),
        renewal: Duration::from_secs(5),
        look: Duration::from_secs(3),
    };
}

/// The first pause after a failure, which doubles with each further one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The same after a write that came too late. It is short at first, because somebody else has the lease then, and that is soon
/// known. Where it happens again and again, nobody has it.
const CONFLICT_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A lease as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who holds it; empty where it was given back.
    pub holder: String,
    /// How long it lasts, by its own word.
    pub duration: Duration,
    /// Which version of it this is.
    pub version: String,
}

/// Whether anybody has use for the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// There is something to write.
    Wanted,
    /// There is nothing: a lease that is held is given back, and any other is not looked at.
    Unwanted,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this moment.
    Wait(Instant),
    /// Look at the lease.
    Look,
    /// Write it, over the version that was seen.
    Write(Claim),
}

/// How to write the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Make it; there is none.
    Create,
    /// Take it from nobody, or from a holder that has not renewed it.
    Take,
    /// Go on holding it.
    Renew,
    /// Give it back.
    Release,
}

/// Why a write of the lease failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody else has written it.
    Conflict,
    /// Whether it was written is not known.
    Unknown,
}

/// One replica's part.
#[derive(Debug)]
pub struct Election {
    identity: String,
    terms: Terms,
    known: Known,
    /// When this replica last asked for the lease that it holds by what it knows.
    renewed: Option<Instant>,
    /// When this replica last looked.
    looked: Option<Instant>,
    /// The pause after the last failure, and when it ends.
    pause: Option<(Duration, Instant)>,
    /// The length of the pause after the last conflict, until the lease is somebody's.
    after_conflict: Option<Duration>,
}

/// What is known of the lease.
#[derive(Debug)]
enum Known {
    Nothing,
    Absent,
    /// It was so, and has not been seen to change since this moment.
    Seen(Seen, Instant),
}

impl Election {
    /// A replica that nobody else is called like.
    #[must_use]
    pub fn new(identity: String, terms: Terms) -> Self {
        Self { identity, terms, known: Known::Nothing, renewed: None, looked: None, pause: None, after_conflict: None }
    }

    /// What this replica is called.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether this replica may write.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| now < renewed + self.terms.belief)
    }

    /// The next step.
    #[must_use]
    pub fn step(&self, interest: Interest, now: Instant) -> Step {
        if let Some((_, end)) = self.pause.filter(|(_, end)| now < *end) {
            return Step::Wait(end);
        }
        let Terms { duration, renewal, look, .. } = self.terms;
        let is_ours = matches!(&self.known, Known::Seen(seen, _) if seen.holder == self.identity);
        match (interest, &self.known) {
            (Interest::Unwanted, _) if is_ours => Step::Write(Claim::Release),
            (Interest::Unwanted, _) => Step::Wait(now + look),
            (Interest::Wanted, Known::Nothing) => Step::Look,
            (Interest::Wanted, Known::Absent) => Step::Write(Claim::Create),
            (Interest::Wanted, Known::Seen(..)) if is_ours => match self.renewed.map(|renewed| renewed + renewal) {
                Some(due) if now < due => Step::Wait(due),
                Some(_) | None => Step::Write(Claim::Renew),
            },
            (Interest::Wanted, Known::Seen(seen, _)) if seen.holder.is_empty() => Step::Write(Claim::Take),
            (Interest::Wanted, Known::Seen(seen, since)) => {
                // What the holder itself counts on may be more, where it is of another version.
                let end = *since + duration.max(seen.duration);
                let next = self.looked.map_or(now, |looked| looked + look);
                match (now >= end, now >= next) {
                    (true, _) => Step::Write(Claim::Take),
                    (false, true) => Step::Look,
                    (false, false) => Step::Wait(end.min(next)),
                }
            }
        }
    }

    /// Takes note of what was seen; nothing where there is no lease. `now` is when the answer was there, so that what is
    /// counted from it is never too early.
    pub fn has_looked(&mut self, found: Option<Seen>, now: Instant) {
        self.pause = None;
        self.looked = Some(now);
        self.known = match (found, &self.known) {
            (None, _) => Known::Absent,
            (Some(found), Known::Seen(before, since)) if found.version == before.version => Known::Seen(found, *since),
            (Some(found), _) => Known::Seen(found, now),
        };
        let holder = match &self.known {
            Known::Seen(seen, _) => seen.holder.as_str(),
            Known::Nothing | Known::Absent => "",
        };
        if !holder.is_empty() {
            self.after_conflict = None;
        }
        if holder != self.identity {
            self.renewed = None;
        }
    }

    /// Takes note that the lease was written, and is so now. `asked` is from before the request, so that the belief in it ends
    /// in time.
    pub fn has_written(&mut self, claim: Claim, written: Seen, asked: Instant, now: Instant) {
        (self.pause, self.after_conflict) = (None, None);
        self.looked = Some(now);
        self.renewed = match claim {
            Claim::Create | Claim::Take | Claim::Renew => Some(asked),
            Claim::Release => None,
        };
        self.known = Known::Seen(written, now);
    }

    /// Takes note that looking or writing failed.
    pub fn has_failed(&mut self, failure: Failure, now: Instant) {
        match failure {
            // Somebody else's now, most likely; it has to be looked at.
            Failure::Conflict => {
                self.renewed = None;
                self.known = Known::Nothing;
                let (shortest, longest) = CONFLICT_PAUSES;
                let length = self.after_conflict.map_or(shortest, |length| (length * 2).min(longest));
                self.after_conflict = Some(length);
                self.pause = Some((length, now + length));
            }
            Failure::Unknown => {
                let (shortest, longest) = PAUSES;
                let length = self.pause.map_or(shortest, |(length, _)| (length * 2).min(longest));
                // Whoever holds the lease goes on trying while it lasts.
                let length = if self.holds(now) { length.min(shortest * 2) } else { length };
                self.pause = Some((length, now + length));
            }
        }
    }
}

#[cfg(test)]
mod tests;
