//! Self-managed certificates, kept: looks at what is stored and trusted, takes the next step of the rotation, and serves a
//! certificate of the current authority.
//!
//! Every replica runs this, and none leads: a step that another one took first fails as a conflict, and what the other wrote
//! is seen a moment later. Whatever fails is tried again, with growing pauses; nothing in here ends the process or takes away
//! the certificate that is being served. The time is the wall clock's, looked at again and again, because a machine may sleep.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::authority::Authority;
use super::certificate::{Certificate, timestamp, verify_chain, verify_name};
use super::cluster::{BundleWrites, Cluster, View, WriteFault};
use super::keeping::{Keeping, KeepingState, Trusted};
use super::rotation::{self, Authorities, Change, Lifetimes, Plan, Stage, Stored};
use super::served::{Served, ServedCertificate};
use super::trust::{Observed, Trust};

/// How often the clock is looked at, when nothing else happens.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// And at most how often, where lifetimes are very short.
const SHORTEST_TURN: Duration = Duration::from_millis(200);
/// The pauses after something that failed, and between writes over somebody else's.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How many conflicts in a row are nothing to speak of.
const MOST_CONFLICTS: u32 = 5;
/// How long after a write another one counts as a struggle with somebody.
const STRUGGLE: Duration = Duration::from_secs(60);

/// How long a Secret has to be gone before it is made again. When everything is uninstalled, it goes a moment before the webhook
/// configuration, and would be left behind; and what is served meanwhile does not hang on it.
const GONE_FOR_GOOD: Duration = Duration::from_secs(5);

/// Keeps one replica's certificate.
pub struct Keeper {
    cluster: Cluster,
    lifetimes: Lifetimes,
    certificate: Arc<ServedCertificate>,
    keeping: Arc<Keeping>,
    store_pause: Pause,
    bundle_pause: Pause,
    gone_since: Option<Instant>,
    /// How often in a row a bundle could not be written because something newer was there.
    conflicts: u32,
    writes: BundleWrites,
    /// What the configurations trust, and since when they do.
    trust: (Trust, Instant),
    /// The issuer of what is served, and since when everybody has been seen to accept it.
    accepted: Option<(String, Instant)>,
    /// What went wrong with the Secret, and with the bundle, until it goes right again.
    faults: [Option<String>; 2],
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
        Self {
            cluster,
            lifetimes,
            certificate,
            keeping,
            store_pause,
            bundle_pause,
            gone_since: None,
            conflicts: 0,
            writes: BundleWrites::default(),
            trust: (Trust::Unknown, Instant::now()),
            accepted: None,
            faults: [None, None],
            complaint: None,
        }
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
        let observed = self.observe(view);
        let Some(stored) = view.stored() else {
            self.publish(Stage::Unknown, None, &observed.trust, view, now);
            return false;
        };
        // First what needs nobody else.
        if let Stored::Authorities(authorities) = &stored {
            self.renew_leaf(authorities, &observed, now);
        }
        let Plan { change, stage, .. } = rotation::plan(&stored, &observed, now, &self.lifetimes);
        self.publish(stage, stored.authorities(), &observed.trust, view, now);
        if change.is_none() {
            self.faults[0] = None;
        }
        let may_store = self.store_pause.is_over() && !self.is_just_gone(&stored);
        if let Some(change) = change.filter(|_| may_store)
            && self.take_step(change, &stored, view, now).await
        {
            return true;
        }
        if let Stored::Authorities(authorities) = &stored {
            self.keep_bundle(authorities, &observed.trust, view, now).await;
        }
        self.publish(stage, stored.authorities(), &observed.trust, view, now);
        false
    }

    /// What the configurations trust, and for how long that has been so.
    fn observe(&mut self, view: &View) -> Observed {
        let trust = self.cluster.trust(view);
        if trust != self.trust.0 {
            self.trust = (trust.clone(), Instant::now());
        }
        Observed { trust, unchanged_for: self.trust.1.elapsed() }
    }

    /// Takes a step; returns whether another look is worth while at once.
    async fn take_step(&mut self, change: Change, stored: &Stored, view: &mut View, now: SystemTime) -> bool {
        // What bundles hold and nobody has stored may only be what this replica has not heard of yet.
        if matches!(change, Change::Retire(_)) && !self.is_latest(view).await {
            return false;
        }
        let is_anew = matches!(change, Change::Begin { .. });
        let outcome = self.carry_out(change, stored, view, now).await;
        match outcome {
            Ok(()) => {
                self.faults[0] = None;
                // More than one new beginning a minute: somebody takes the Secret away, and will go on.
                if is_anew && self.store_pause.was_within(STRUGGLE) {
                    self.store_pause.grow();
                } else if is_anew {
                    self.store_pause.begin();
                }
                true
            }
            Err(WriteFault::Conflict) => false,
            Err(WriteFault::Failed(failure)) => {
                self.store_pause.grow();
                self.faults[0] = Some(failure);
                false
            }
        }
    }

    /// Whether nothing has changed since `view`.
    async fn is_latest(&mut self, view: &View) -> bool {
        match self.cluster.look().await {
            Ok(latest) => latest.versions() == view.versions(),
            Err(fault) => {
                self.store_pause.grow();
                self.faults[0] = Some(fault);
                false
            }
        }
    }

    /// Writes the bundle where it is not what it should be.
    async fn keep_bundle(&mut self, authorities: &Authorities, trust: &Trust, view: &View, now: SystemTime) {
        let is_other = matches!(trust, Trust::Bundles(_)) && !trust.is_exactly(authorities, now);
        if !is_other {
            self.faults[1] = None;
            self.conflicts = 0;
            return;
        }
        if !self.bundle_pause.is_over() {
            return;
        }
        let keeping = Arc::clone(&self.keeping);
        let mut is_written = false;
        let outcome = self
            .cluster
            .write_bundle(view, authorities, now, &mut self.writes, |configuration| {
                is_written = true;
                keeping.has_written_bundle();
                tracing::info!(%configuration, "wrote the caBundle");
            })
            .await;
        // More than one write a minute: somebody writes something else there, and will go on.
        let is_struggle = is_written && self.bundle_pause.was_within(STRUGGLE);
        match outcome {
            Ok(()) => self.faults[1] = None,
            // What somebody else wrote is seen in a moment.
            Err(WriteFault::Conflict) if self.conflicts < MOST_CONFLICTS => self.conflicts += 1,
            Err(WriteFault::Conflict) => {
                self.faults[1] = Some("somebody has written the Secret or the webhook configuration, and the watches do not bring it; the caBundle is not written by what is out of date".to_owned());
                self.bundle_pause.grow();
                return;
            }
            Err(WriteFault::Failed(failure)) => {
                self.faults[1] = Some(failure);
                self.bundle_pause.grow();
                return;
            }
        }
        if is_struggle {
            self.bundle_pause.grow();
        } else if is_written {
            self.bundle_pause.begin();
        }
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
    fn renew_leaf(&self, authorities: &Authorities, observed: &Observed, now: SystemTime) {
        let served = self.certificate.current();
        let leaf = served.as_ref().map(|served| &served.certificate);
        if !rotation::needs_leaf(leaf, authorities, observed, now, &self.lifetimes) {
            return;
        }
        match self.issue(&authorities.current.authority, now) {
            Ok(served) => {
                tracing::info!(
                    serial = served.certificate.serial,
                    issuer = served.certificate.issuer,
                    "serving a new certificate"
                );
                self.keeping.has_issued();
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

    /// For how long everybody has accepted what the issuer of `leaf` signs; nothing where nobody does now.
    fn accepted_for(&mut self, leaf: Option<&Certificate>) -> Duration {
        let issuer = leaf.map(|leaf| leaf.issuer.as_str());
        if self.accepted.as_ref().map(|(issuer, _)| issuer.as_str()) != issuer {
            self.accepted = issuer.map(|issuer| (issuer.to_owned(), Instant::now()));
        }
        self.accepted.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    fn publish(
        &mut self,
        stage: Stage,
        authorities: Option<&Authorities>,
        trust: &Trust,
        view: &View,
        now: SystemTime,
    ) {
        let clock = authorities.filter(|_| stage == Stage::ClockBehind);
        let clock = clock.map(|authorities| clock_fault(&authorities.current.authority));
        let faults = [clock, view.fault()].into_iter().chain(self.faults.clone()).flatten();
        let faults = faults.chain(self.cluster.missing(view));
        let fault = faults.reduce(|all, fault| format!("{all}; {fault}"));
        if fault.is_some() && fault != self.complaint {
            tracing::warn!(fault, "keeping the certificates; trying again");
        }
        self.complaint.clone_from(&fault);
        let served = self.certificate.current();
        let leaf = served.as_ref().map(|served| &served.certificate);
        let accepted_for = self.accepted_for(leaf.filter(|leaf| trust.accepts(leaf, now)));
        let is_too_new = |leaf| {
            authorities.is_some_and(|found| rotation::is_too_new(leaf, found, accepted_for, now, &self.lifetimes))
        };
        let trusted = match (trust, leaf) {
            (Trust::Unknown, _) => Trusted::Unknown,
            (Trust::Absent, _) => Trusted::NoConfiguration,
            (Trust::Bundles(_), _) if !self.cluster.is_asked_about_pods(view) => Trusted::NoConfiguration,
            (Trust::Bundles(_), Some(leaf)) if !trust.accepts(leaf, now) => Trusted::No,
            (Trust::Bundles(_), Some(leaf)) if is_too_new(leaf) => Trusted::Recently,
            (Trust::Bundles(_), Some(_)) => Trusted::Yes,
            (Trust::Bundles(_), None) => Trusted::No,
        };
        let authority_expiry = authorities.map(|found| found.current.authority.certificate.not_after);
        self.keeping.publish(KeepingState { stage, authority_expiry, trusted, fault });
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
        (Change::Retire(_), _) => {
            "keeping authorities trusted that the webhook configurations have and the Secret had not".to_owned()
        }
        (Change::Drop, _) => "a retired authority is not trusted any more".to_owned(),
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
