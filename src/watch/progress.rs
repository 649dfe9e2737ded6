//! How far the watches are: for readiness, metrics and people.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after a failure, without a further one, a watch counts as recovered. Attempts come more often: the API server gives
/// a list up after a minute, and the longest pause is ten seconds.
pub(crate) const FAILURE_IS_OVER: Duration = Duration::from_secs(90);

/// The progress of every watch.
#[derive(Debug)]
pub struct Progress(Vec<KindProgress>);

/// The progress of the watch of one kind.
#[derive(Debug)]
pub struct KindProgress {
    resource: String,
    current: Mutex<Current>,
    malformed: AtomicU64,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Current {
    state: State,
    listed: bool,
    last_event: Option<Instant>,
    last_failure: Option<(Instant, String)>,
    /// When the first of the failures came that nothing good came between.
    failing_since: Option<Instant>,
}

/// Where a watch stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The first list is not complete.
    #[default]
    Listing,
    /// Listed once, and watched or listed again since.
    Synced,
    /// The API server does not know the resource: there are no objects of it.
    NotInstalled,
}

impl Progress {
    pub(super) fn new(resources: impl IntoIterator<Item = String>) -> Self {
        let kind = |resource| KindProgress {
            resource,
            current: Mutex::default(),
            malformed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        };
        Self(resources.into_iter().map(kind).collect())
    }

    /// The progress of a process that watches nothing, because its world comes from files.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Vec::new())
    }

    pub(super) fn kind(&self, index: usize) -> &KindProgress {
        &self.0[index]
    }

    /// Every watch.
    pub fn kinds(&self) -> impl Iterator<Item = &KindProgress> {
        self.0.iter()
    }
}

impl KindProgress {
    /// The resource that is watched, by its plural name.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Where the watch stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.current().state
    }

    /// How long ago the last event came, if one ever did.
    #[must_use]
    pub fn age_of_last_event(&self, now: Instant) -> Option<Duration> {
        self.current().last_event.map(|at| now.saturating_duration_since(at))
    }

    /// What went wrong last, until something goes right again, or nothing more has gone wrong for a while: that a watch goes
    /// on shows only at its next event.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        let current = self.current();
        let (at, failure) = current.last_failure.as_ref()?;
        (at.elapsed() < FAILURE_IS_OVER).then(|| failure.clone())
    }

    /// For how long the watch has been failing, if it is; see [`Self::last_failure`].
    #[must_use]
    pub fn failing_for(&self, now: Instant) -> Option<Duration> {
        let current = self.current();
        let (at, _) = current.last_failure.as_ref()?;
        let since = current.failing_since.filter(|_| now.saturating_duration_since(*at) < FAILURE_IS_OVER)?;
        Some(now.saturating_duration_since(since))
    }

    /// How many objects could not be used.
    #[must_use]
    pub fn malformed_count(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// How often listing or watching failed.
    #[must_use]
    pub fn failure_count(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether all objects were known at some time.
    pub(super) fn was_listed(&self) -> bool {
        self.current().listed
    }

    /// Whatever was known is not known any more.
    pub(super) fn forget(&self) {
        self.current().listed = false;
    }

    /// Returns whether the state is another one than before.
    pub(super) fn set_state(&self, state: State) -> bool {
        let mut current = self.current();
        current.last_failure = None;
        current.listed |= state == State::Synced;
        std::mem::replace(&mut current.state, state) != state
    }

    pub(super) fn event(&self, now: Instant) {
        let mut current = self.current();
        current.last_event = Some(now);
        current.last_failure = None;
    }

    /// Returns whether the failure is another one than before, or comes anew after the last one was over.
    pub(super) fn failed(&self, error: &str, now: Instant) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut current = self.current();
        let goes_on =
            current.last_failure.take().filter(|(at, _)| now.saturating_duration_since(*at) < FAILURE_IS_OVER);
        let is_new = goes_on.as_ref().is_none_or(|(_, failure)| failure != error);
        if goes_on.is_none() {
            current.failing_since = Some(now);
        }
        current.last_failure = Some((now, error.to_owned()));
        is_new
    }

    /// A resource that was not there may be there by now; what is known of it is what was known before, if anything was.
    pub(super) fn doubt(&self) {
        let mut current = self.current();
        if current.state == State::NotInstalled {
            current.state = if current.listed { State::Synced } else { State::Listing };
        }
    }

    pub(super) fn malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_fails_from_its_first_failure_until_something_goes_right() {
        let progress = Progress::new(["things".to_owned()]);
        let kind = progress.kind(0);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(kind.failing_for(at(0)), None);
        assert!(kind.failed("gone", at(0)));
        assert!(!kind.failed("gone", at(70)), "the same is said once");
        assert!(kind.failed("still gone", at(140)));
        assert_eq!(kind.failing_for(at(150)), Some(Duration::from_secs(150)));
        kind.event(at(151));
        assert_eq!(kind.failing_for(at(151)), None);

        assert!(kind.failed("gone", at(200)));
        assert_eq!(kind.failing_for(at(289)), Some(Duration::from_secs(89)));
        assert_eq!(kind.failing_for(at(290)), None, "no further failure came");
        assert!(kind.failed("gone", at(300)));
        assert_eq!(kind.failing_for(at(310)), Some(Duration::from_secs(10)), "counted from the first that is not over");
    }
}
