//! Statuses, written: sees what has changed, keeps the lease, and puts right what is due.
//!
//! Every replica runs this, and the one that holds the lease writes. One request is under way at a time, and each may take a
//! few seconds at most, so that a slow API server cannot make a holder outlive its lease. Where there are no StorageNetworks,
//! nothing is asked at all. Whatever fails is tried again, with growing pauses.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Fault};
use super::conditions::status_of;
use super::lease::{Claim, Election, Failure, Interest, Seen, Step, Terms};
use super::ledger::{Ledger, Outcome, Wanted};
use super::standing::Standing;
use crate::world::{ObjectName, Published, Snapshot};

/// How often the snapshot is looked at, which is also how long changes are gathered. Asking whether it is another one costs
/// less than having every event say so.
const TURN: Duration = Duration::from_secs(1);
/// Under which name the complaints about the lease are kept.
const LEASE: &str = "the lease";

/// Writes the statuses of all StorageNetworks, while it holds the lease.
pub struct Writer {
    cluster: Cluster,
    published: Arc<Published>,
    election: Election,
    ledger: Ledger,
    standing: Arc<Standing>,
    /// Whether the lease was held at the last turn.
    held: bool,
    /// What the ledger was made from, and when.
    computed: Option<(Arc<Snapshot>, Instant)>,
    /// What went wrong last, by what it is about, until it goes right again.
    complaints: BTreeMap<String, String>,
}

impl Writer {
    /// A writer with a name that no other replica has.
    #[must_use]
    pub fn new(cluster: Cluster, published: Arc<Published>, identity: String) -> Self {
        Self {
            cluster,
            published,
            election: Election::new(identity, Terms::DEFAULT),
            ledger: Ledger::new(Instant::now()),
            standing: Arc::default(),
            held: false,
            computed: None,
            complaints: BTreeMap::new(),
        }
    }

    /// How it goes.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// Writes until `leave` says to stop, and then gives the lease back.
    pub async fn run(mut self, leave: impl Future<Output = ()>) {
        let mut leave = pin!(leave);
        loop {
            let pause = self.turn().await;
            tokio::select! {
                biased;
                () = &mut leave => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Step::Write(claim) = self.election.step(Interest::Unwanted, Instant::now()) {
            self.claim(claim).await;
        }
        self.note_lease(Instant::now());
    }

    /// One request at most; returns how long to wait before the next turn.
    async fn turn(&mut self) -> Duration {
        let now = Instant::now();
        self.note_lease(now);
        let snapshot = Arc::clone(&self.published.read());
        let interest = if snapshot.storage_networks().next().is_some() { Interest::Wanted } else { Interest::Unwanted };
        match self.election.step(interest, now) {
            Step::Look => {
                let found = self.cluster.look().await;
                if let Some(found) = self.unless_failed(found) {
                    self.election.has_looked(found, Instant::now());
                }
                Duration::ZERO
            }
            Step::Write(claim) => {
                self.claim(claim).await;
                Duration::ZERO
            }
            Step::Wait(until) => {
                if self.held {
                    self.compute(snapshot, now);
                    if let Some((id, status)) = self.ledger.due(now) {
                        let outcome = self.cluster.put_right(&id, status).await;
                        self.settle(&id, outcome);
                        return Duration::ZERO;
                    }
                }
                until.saturating_duration_since(now).min(TURN)
            }
        }
    }

    /// Brings the ledger up to date, where the world has changed.
    fn compute(&mut self, snapshot: Arc<Snapshot>, now: Instant) {
        let is_due = match &self.computed {
            None => true,
            Some((before, at)) => !Arc::ptr_eq(before, &snapshot) && now.duration_since(*at) >= TURN,
        };
        if !is_due {
            return;
        }
        let wanted = snapshot.storage_networks().map(|network| Wanted {
            id: network.id.clone(),
            created: network.created.clone(),
            status: status_of(&snapshot, network),
        });
        self.ledger.want(wanted, now);
        self.complaints.retain(|about, _| {
            about == LEASE || snapshot.storage_networks().any(|network| *about == network.id.to_string())
        });
        self.computed = Some((snapshot, now));
    }

    async fn claim(&mut self, claim: Claim) {
        let asked = Instant::now();
        let written: Result<Seen, Fault> = self.cluster.claim(claim, self.election.identity()).await;
        if let Some(written) = self.unless_failed(written) {
            self.election.has_written(claim, written, asked, Instant::now());
        }
    }

    /// Takes note of a request about the lease that failed.
    fn unless_failed<T>(&mut self, answer: Result<T, Fault>) -> Option<T> {
        let failure = match answer {
            Ok(answer) => {
                self.complaints.remove(LEASE);
                return Some(answer);
            }
            Err(Fault::Conflict | Fault::Gone) => Failure::Conflict,
            Err(Fault::Failed(fault)) => {
                self.complain(LEASE.to_owned(), fault);
                Failure::Unknown
            }
        };
        self.election.has_failed(failure, Instant::now());
        None
    }

    fn settle(&mut self, id: &ObjectName, outcome: Result<Outcome, String>) {
        let outcome = match outcome {
            Ok(outcome) => {
                self.complaints.remove(&id.to_string());
                outcome
            }
            Err(fault) => {
                self.complain(id.to_string(), fault);
                Outcome::Failed
            }
        };
        tracing::debug!(object = %id, outcome = outcome.name(), "looked at a status");
        self.standing.count(outcome);
        self.ledger.settle(id, outcome, Instant::now());
    }

    /// What fails in the same way again is said once.
    fn complain(&mut self, about: String, fault: String) {
        if self.complaints.get(&about) != Some(&fault) {
            tracing::warn!(fault, "writing the statuses of StorageNetworks; trying again");
            self.complaints.insert(about, fault);
        }
    }

    /// Takes note of whether the lease is held.
    fn note_lease(&mut self, now: Instant) {
        let holds = self.election.holds(now);
        self.standing.set_lease(holds);
        if holds == self.held {
            return;
        }
        self.held = holds;
        let identity = self.election.identity();
        if holds {
            tracing::info!(identity, "writing the statuses of StorageNetworks from now on");
            // Whoever did so before has written since.
            self.ledger.forget();
            self.computed = None;
        } else {
            tracing::info!(identity, "not writing the statuses of StorageNetworks any more");
        }
    }
}
