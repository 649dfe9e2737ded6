//! Self-managed certificates, kept: looks at what is stored and trusted, takes the next step of the rotation, and serves a
//! certificate of the current authority.
//!
//! Every replica runs this, and none leads: a step that another one took first fails as a conflict, and what the other wrote
//! is seen a moment later. Whatever fails is tried again, with growing pauses; nothing in here ends the process or takes away
//! the certificate that is being served. The time is the wall clock's, looked at again and again, because a machine may sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::authority::Authority;
use super::certificate::{timestamp, verify_chain, verify_name};
use super::cluster::{Cluster, View, WriteFault};
use super::rotation::{self, Authorities, Change, Lifetimes, Plan, Stage, Stored, Trust};
use super::served::{Served, ServedCertificate};

/// How often the clock is looked at, when nothing else happens.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// And at most how often, where lifetimes are very short.
const SHORTEST_TURN: Duration = Duration::from_millis(200);
/// The pauses after something that failed, and between writes over somebody else's.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long after a write another one counts as a struggle with somebody.
const STRUGGLE: Duration = Duration::from_secs(60);

/// How long a Secret has to be gone before it is made again. When everything is uninstalled, it goes a moment before the webhook
/// configuration, and would be left behind; and what is served meanwhile does not hang on it.
const GONE_FOR_GOOD: Duration = Duration::from_secs(5);

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
    /// There is no webhook configuration that calls us.
    NoConfiguration,
    /// Nobody has looked yet.
    Unknown,
}

/// Keeps one replica's certificate.
pub struct Keeper {
    cluster: Cluster,
    lifetimes: Lifetimes,
    certificate: Arc<ServedCertificate>,
    keeping: Arc<Keeping>,
    store_pause: Pause,
    bundle_pause: Pause,
    gone_since: Option<Instant>,
    complaint: Option<String>,
}

/// Spaces attempts out.
#[derive(Default)]
struct Pause {
    length: Duration,
    until: Option<Instant>,
}

impl Keeper {
    /// Keeps `certificate` by what is in `cluster`.
    #[must_use]
    pub fn new(cluster: Cluster, lifetimes: Lifetimes, certificate: Arc<ServedCertificate>) -> Self {
        let keeping = Arc::default();
        let (store_pause, bundle_pause) = Default::default();
        Self { cluster, lifetimes, certificate, keeping, store_pause, bundle_pause, gone_since: None, complaint: None }
    }

    /// How things are.
    #[must_use]
    pub fn keeping(&self) -> Arc<Keeping> {
        Arc::clone(&self.keeping)
    }

    /// Keeps the certificate for as long as the process lives.
    pub async fn run(mut self) {
        let Lifetimes { settle, leaf, .. } = self.lifetimes;
        let turn = settle.min(leaf / 10).clamp(SHORTEST_TURN, LONGEST_TURN);
        let mut seen = self.cluster.watch();
        loop {
            let mut view = seen.borrow_and_update().clone();
            // What was just written counts at once; the watch brings it later.
            while self.take_turn(&mut view, SystemTime::now()).await {}
            tokio::select! {
                changed = seen.changed() => if changed.is_err() {
                    // Every watch has ended, which they never do. Better slow than not at all.
                    tokio::time::sleep(turn).await;
                },
                () = tokio::time::sleep(turn) => {}
            }
        }
    }

    /// One turn; returns whether what is stored has changed, so that another one is due at once.
    async fn take_turn(&mut self, view: &mut View, now: SystemTime) -> bool {
        let trust = self.cluster.trust(view);
        let Some(stored) = view.stored() else {
            self.publish(Stage::Unknown, None, &trust, view.fault());
            return false;
        };
        let Plan { change, stage, .. } = rotation::plan(&stored, &trust, now, &self.lifetimes);
        let mut fault = view.fault();
        let may_store = self.store_pause.is_over() && !self.is_just_gone(&stored);
        if let Some(change) = change.filter(|_| may_store) {
            match self.carry_out(change, &stored, view, now).await {
                Ok(()) => {
                    self.store_pause = Pause::default();
                    return true;
                }
                Err(WriteFault::Conflict) => {}
                Err(WriteFault::Failed(failure)) => {
                    self.store_pause.grow();
                    fault = Some(failure);
                }
            }
        }
        let Stored::Authorities(authorities) = &stored else {
            self.publish(stage, None, &trust, fault.or_else(|| unreadable(&stored)));
            return false;
        };
        self.renew_leaf(authorities, &trust, now);
        let is_missing = matches!(trust, Trust::Bundles(_)) && !trust.is_exactly(authorities);
        if is_missing && self.bundle_pause.is_over() {
            fault = self.write_bundle(authorities, view).await.or(fault);
        }
        if stage == Stage::ClockBehind {
            fault = Some(clock_fault(&authorities.current.authority));
        }
        self.publish(stage, Some(authorities), &trust, fault);
        false
    }

    /// Whether the Secret has been gone for so short a time that more may be about to go.
    fn is_just_gone(&mut self, stored: &Stored) -> bool {
        match stored {
            Stored::Absent => self.gone_since.get_or_insert_with(Instant::now).elapsed() < GONE_FOR_GOOD,
            Stored::Empty | Stored::Unreadable(_) | Stored::Authorities(_) => {
                self.gone_since = None;
                false
            }
        }
    }

    async fn carry_out(
        &self,
        change: Change,
        stored: &Stored,
        view: &mut View,
        now: SystemTime,
    ) -> Result<(), WriteFault> {
        let said = describe(&change, stored);
        let make =
            || Authority::new(now, self.lifetimes.authority).map_err(|error| WriteFault::Failed(error.to_string()));
        let authorities = rotation::carry_out(change, stored, now, &self.lifetimes, make)?;
        self.cluster.store(view, &authorities).await?;
        tracing::info!(current = authorities.current.authority.certificate.subject, "{said}");
        Ok(())
    }

    /// Has a new certificate signed where one is due, and serves it once it is found to hold.
    fn renew_leaf(&self, authorities: &Authorities, trust: &Trust, now: SystemTime) {
        let served = self.certificate.current();
        let leaf = served.as_ref().map(|served| &served.certificate);
        if !rotation::needs_leaf(leaf, authorities, trust, now, &self.lifetimes) {
            return;
        }
        match self.issue(&authorities.current.authority, now) {
            Ok(served) => {
                tracing::info!(
                    serial = served.certificate.serial,
                    issuer = served.certificate.issuer,
                    "serving a new certificate"
                );
                self.keeping.issued.fetch_add(1, Ordering::Relaxed);
                self.certificate.replace(served);
            }
            Err(fault) => {
                let complaint = format!("a new certificate cannot be served: {fault}");
                if self.certificate.complaint().is_none_or(|before| *before != complaint) {
                    tracing::error!(complaint, "keeping what was served before");
                    self.certificate.refuse(complaint);
                }
            }
        }
    }

    /// Signs a certificate and checks it as a client would, before anybody meets it.
    fn issue(&self, authority: &Authority, now: SystemTime) -> Result<Served, String> {
        let at = rotation::issue_time(authority, now);
        let name = self.cluster.names().dns_name();
        let leaf =
            authority.issue(std::slice::from_ref(&name), at, self.lifetimes.leaf).map_err(|error| error.to_string())?;
        let chain = std::slice::from_ref(&leaf.certificate);
        verify_chain(chain, [&authority.certificate], at)
            .and_then(|()| verify_name(&leaf.certificate, &name))
            .map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem().as_bytes()).map_err(|error| error.to_string())?;
        Served::new(chain, key).map_err(|error| error.to_string())
    }

    /// Writes the bundle; returns what went wrong.
    async fn write_bundle(&mut self, authorities: &Authorities, view: &View) -> Option<String> {
        match self.cluster.write_bundle(view, authorities).await {
            Ok(written) => {
                // More than one write a minute: somebody writes something else there, and will go on.
                let is_struggle = self.bundle_pause.was_within(STRUGGLE);
                if is_struggle {
                    self.bundle_pause.grow();
                } else {
                    self.bundle_pause.begin();
                }
                for configuration in written {
                    self.keeping.bundle_writes.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(configuration, "wrote the caBundle");
                }
                None
            }
            Err(WriteFault::Conflict) => None,
            Err(WriteFault::Failed(failure)) => {
                self.bundle_pause.grow();
                Some(failure)
            }
        }
    }

    fn publish(&mut self, stage: Stage, authorities: Option<&Authorities>, trust: &Trust, fault: Option<String>) {
        if fault.is_some() && fault != self.complaint {
            tracing::warn!(fault, "keeping the certificates; trying again");
        }
        self.complaint.clone_from(&fault);
        let trusted = match (trust, self.certificate.current()) {
            (Trust::Unknown, _) => Trusted::Unknown,
            (Trust::Absent, _) => Trusted::NoConfiguration,
            (Trust::Bundles(_), Some(served)) if trust.trusts_subject(&served.certificate.issuer) => Trusted::Yes,
            (Trust::Bundles(_), _) => Trusted::No,
        };
        let authority_expiry = authorities.map(|found| found.current.authority.certificate.not_after);
        self.keeping.state.store(Arc::new(KeepingState { stage, authority_expiry, trusted, fault }));
    }
}

fn unreadable(stored: &Stored) -> Option<String> {
    match stored {
        Stored::Unreadable(fault) => Some(format!("the Secret cannot be read: {fault}")),
        Stored::Absent | Stored::Empty | Stored::Authorities(_) => None,
    }
}

/// What to tell people whose clocks disagree.
fn clock_fault(current: &Authority) -> String {
    format!(
        "the stored authority is valid only from {}: this machine's clock is behind, or another replica's was ahead when it made it; set the clocks right, and if the authority is at fault, run rook-multihome certs rotate",
        timestamp(current.certificate.not_before)
    )
}

/// A step in words, for the log.
fn describe(change: &Change, stored: &Stored) -> String {
    match (change, stored) {
        (Change::Begin { .. }, Stored::Empty) => "made the authority".to_owned(),
        (Change::Begin { .. }, Stored::Absent) => "made a new authority, because the Secret is gone".to_owned(),
        (Change::Begin { .. }, Stored::Unreadable(fault)) => {
            format!("made a new authority in place of what could not be read ({fault})")
        }
        (Change::Begin { .. }, Stored::Authorities(_)) => {
            "made a new authority in place of one that has expired".to_owned()
        }
        (Change::Introduce, _) => "made the next authority".to_owned(),
        (Change::NoteCurrent, _) => "the authority is trusted by every webhook configuration".to_owned(),
        (Change::NoteNext, _) => "the next authority is trusted by every webhook configuration".to_owned(),
        (Change::ForgetNext, _) => {
            "the next authority is not trusted by every webhook configuration any more".to_owned()
        }
        (Change::Promote, _) => "the next authority signs from now on".to_owned(),
        (Change::Drop, _) => "a retired authority is not trusted any more".to_owned(),
    }
}

impl Keeping {
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

impl Pause {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() >= until)
    }

    /// Whether the last pause ended less than `time` ago.
    fn was_within(&self, time: Duration) -> bool {
        self.until.is_some_and(|until| until.elapsed() < time)
    }

    /// A first attempt: the next one may follow at once.
    fn begin(&mut self) {
        *self = Self { length: Duration::ZERO, until: Some(Instant::now()) };
    }

    fn grow(&mut self) {
        let (shortest, longest) = PAUSES;
        self.length = (self.length * 2).clamp(shortest, longest);
        self.until = Some(Instant::now() + self.length);
    }
}
