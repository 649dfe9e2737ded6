//! Statuses, written: sees what has changed, keeps the lease, and puts right what is due.
//!
//! Every replica runs this, and the one that holds the lease writes. One request is under way at a time, and each may take a
//! few seconds at most, so that a slow API server cannot make a holder outlive its lease. Where there are no StorageNetworks,
//! nothing is asked at all. Whatever fails is tried again, with growing pauses.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::cluster::{Cluster, Fault};
use super::conditions::statuses;
use super::lease::{Claim, Election, Failure, Interest, Seen, Step, Terms};
use super::ledger::{Ledger, Outcome, Wanted};
use super::standing::{Found, Readiness, Standing};
use crate::lint::{Finding, lint};
use crate::world::{ObjectName, Published, Snapshot};

/// How often the snapshot is looked at. Asking whether it is another one costs less than having every event say so.
const TURN: Duration = Duration::from_secs(1);
/// How long changes are gathered where this replica writes,
const GATHERED: Duration = Duration::from_secs(2);
/// and where it does not, and statuses are computed only to be counted.
const GATHERED_FOR_COUNTS: Duration = Duration::from_secs(10);
/// How much longer than computing the statuses the pause after it is, so that reviews have the processor to themselves.
const REST: u32 = 10;

/// Writes the statuses of all StorageNetworks, while it holds the lease.
pub struct Writer {
    cluster: Cluster,
    published: Arc<Published>,
    election: Election,
    ledger: Ledger,
    standing: Arc<Standing>,
    /// Whether the lease was held at the last turn.
    held: bool,
    readiness: Arc<Readiness>,
    found: Arc<Found>,
    /// The statuses that are being computed.
    computing: Option<JoinHandle<Computed>>,
    /// What they were last computed from, until when that is good enough, whatever changes.
    computed: Option<(Arc<Snapshot>, Instant)>,
    /// What went wrong last, by the StorageNetwork that it is about, or the lease, until it goes right again.
    complaints: BTreeMap<Option<ObjectName>, String>,
}

/// All statuses, as they should be.
struct Computed {
    snapshot: Arc<Snapshot>,
    findings: Vec<Finding>,
    wanted: Vec<Wanted>,
    took: Duration,
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
            readiness: Arc::default(),
            found: Arc::default(),
            computing: None,
            computed: None,
            complaints: BTreeMap::new(),
        }
    }

    /// How it goes.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// What the statuses say.
    #[must_use]
    pub fn readiness(&self) -> Arc<Readiness> {
        Arc::clone(&self.readiness)
    }

    /// What is found in networks.
    #[must_use]
    pub fn found(&self) -> Arc<Found> {
        Arc::clone(&self.found)
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
                // That took some of the time for which the lease is believed in.
                if self.compute(snapshot, now).await {
                    return Duration::ZERO;
                }
                if self.held
                    && let Some((id, status)) = self.ledger.due(now)
                {
                    let outcome = self.cluster.put_right(&id, status).await;
                    self.settle(&id, outcome);
                    return Duration::ZERO;
                }
                until.saturating_duration_since(now).min(TURN)
            }
        }
    }

    /// Computes the statuses anew where the world has changed, and waits for them, but no longer than a turn: the lease has to
    /// be renewed meanwhile. Returns whether it waited.
    async fn compute(&mut self, snapshot: Arc<Snapshot>, now: Instant) -> bool {
        let is_due = || match &self.computed {
            None => true,
            Some((before, until)) => !Arc::ptr_eq(before, &snapshot) && now >= *until,
        };
        let mut computing = match self.computing.take() {
            Some(computing) => computing,
            None if is_due() => {
                self.computed = Some((Arc::clone(&snapshot), now + GATHERED));
                // There may be thousands, and reviews must not wait for them.
                tokio::task::spawn_blocking(|| Computed::from(snapshot))
            }
            None => return false,
        };
        match tokio::time::timeout(TURN, &mut computing).await {
            Err(_) => self.computing = Some(computing),
            Ok(Ok(computed)) => self.take_over(computed, Instant::now()),
            Ok(Err(error)) => {
                tracing::error!(%error, "the statuses of StorageNetworks could not be computed; this is a bug");
            }
        }
        true
    }

    /// Brings counts and ledger up to date.
    fn take_over(&mut self, Computed { snapshot, findings, wanted, took }: Computed, now: Instant) {
        self.found.set(&findings);
        self.readiness.set(wanted.iter().map(|wanted| &wanted.status));
        let gathered = if self.held { GATHERED } else { GATHERED_FOR_COUNTS };
        self.computed = Some((snapshot, now + gathered.max(took * REST)));
        if self.held {
            self.ledger.want(wanted, now);
            let ledger = &self.ledger;
            self.complaints.retain(|about, _| about.as_ref().is_none_or(|id| ledger.knows(id)));
        }
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
                self.complaints.remove(&None);
                return Some(answer);
            }
            Err(Fault::Conflict | Fault::Gone) => Failure::Conflict,
            Err(Fault::Failed(fault)) => {
                self.complain(None, fault);
                Failure::Unknown
            }
        };
        self.election.has_failed(failure, Instant::now());
        None
    }

    fn settle(&mut self, id: &ObjectName, outcome: Result<Outcome, String>) {
        let outcome = match outcome {
            Ok(outcome) => {
                self.complaints.remove(&Some(id.clone()));
                outcome
            }
            Err(fault) => {
                self.complain(Some(id.clone()), fault);
                Outcome::Failed
            }
        };
        tracing::debug!(object = %id, outcome = outcome.name(), "looked at a status");
        self.standing.count(outcome);
        self.ledger.settle(id, outcome, Instant::now());
    }

    /// What fails in the same way again is said once.
    fn complain(&mut self, about: Option<ObjectName>, fault: String) {
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

impl Computed {
    fn from(snapshot: Arc<Snapshot>) -> Self {
        let begun = Instant::now();
        let findings = lint(&snapshot);
        let wanted = statuses(&snapshot, &findings).into_iter().map(|(network, status)| Wanted {
            id: network.id.clone(),
            created: network.created.clone(),
            status,
        });
        let wanted = wanted.collect();
        Self { snapshot, findings, wanted, took: begun.elapsed() }
    }
}
