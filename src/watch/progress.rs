//! How far the watches are: for readiness, metrics and people.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::world::ObjectKind;

/// How long after a failure, without a further one, a watch counts as recovered. Attempts come more often: the API server gives
/// a list up after a minute, and the longest pause is ten seconds.
pub(crate) const FAILURE_IS_OVER: Duration = Duration::from_secs(90);

/// The progress of every watch that there is.
#[derive(Debug)]
pub struct Progress(Mutex<BTreeMap<ObjectKind, Arc<KindProgress>>>);

/// The progress of the watch of one kind.
#[derive(Debug)]
pub struct KindProgress {
    kind: ObjectKind,
    resource: String,
    namespace: Option<String>,
    need: Need,
    asked_for_by: AskedForBy,
    current: Mutex<Current>,
    malformed: AtomicU64,
    failures: AtomicU64,
}

/// Whether this process is ready without what is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It is not: there was this kind to be listed before it ever was.
    Before,
    /// It is: what is watched has become necessary since, as with a cluster in a namespace that had none. What it answers
    /// meanwhile is better than no answer.
    Since,
}

/// Who makes a watch necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedForBy {
    /// The program itself, always.
    Program,
    /// Objects that there are. Whoever may make one must not be able to keep a process from ever being ready, which a right that
    /// was not granted would.
    Objects,
}

#[derive(Debug, Default)]
struct Current {
    state: State,
    listed: bool,
    /// Whether the API server has refused to say anything for long enough to be taken at its word.
    refused: bool,
    /// Whether the last failure was that there is no right to it.
    forbidden: bool,
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
    /// The progress of a process that watches nothing, because its world comes from files.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Mutex::default())
    }

    /// Every watch that there is now, in the order of their kinds.
    #[must_use]
    pub fn kinds(&self) -> Vec<Arc<KindProgress>> {
        self.all().values().map(Arc::clone).collect()
    }

    /// The need of a watch that is begun now: once everything is known that this process had to wait for, nothing more is waited
    /// for.
    pub(super) fn next_need(&self) -> Need {
        let all = self.all();
        if !all.is_empty() && all.values().all(|kind| kind.is_no_obstacle()) { Need::Since } else { Need::Before }
    }

    pub(super) fn add(&self, kind: &ObjectKind, need: Need) -> Arc<KindProgress> {
        let progress = Arc::new(KindProgress::new(kind, need));
        self.all().insert(kind.clone(), Arc::clone(&progress));
        progress
    }

    pub(super) fn remove(&self, kind: &ObjectKind) {
        self.all().remove(kind);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ObjectKind, Arc<KindProgress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KindProgress {
    fn new(kind: &ObjectKind, need: Need) -> Self {
        Self {
            kind: kind.clone(),
            resource: kind.resource().full_name(),
            namespace: kind.namespace().map(str::to_owned),
            need,
            asked_for_by: match kind {
                ObjectKind::Node | ObjectKind::Workload(..) => AskedForBy::Objects,
                ObjectKind::Cluster(..)
                | ObjectKind::Override(_)
                | ObjectKind::Attachment
                | ObjectKind::StorageNetwork
                | ObjectKind::Namespace => AskedForBy::Program,
            },
            current: Mutex::default(),
            malformed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// What is watched.
    #[must_use]
    pub fn kind(&self) -> &ObjectKind {
        &self.kind
    }

    /// The resource that is watched, as the API server calls it, such as `cephclusters.ceph.rook.io`.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The namespace in which it is watched, where it is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether this process may be ready as things stand with this watch.
    #[must_use]
    pub fn is_no_obstacle(&self) -> bool {
        let Current { state, refused, .. } = *self.current();
        let is_given_up = refused && self.asked_for_by == AskedForBy::Objects;
        self.need == Need::Since || state != State::Listing || is_given_up
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

    /// Whether nothing of it is known because there is no right to list it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        let Current { state, forbidden, .. } = *self.current();
        state == State::Listing && forbidden
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
        (current.refused, current.forbidden) = (false, false);
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

    /// Whether the failure that has just come is that there is no right to it.
    pub(super) fn forbid(&self, is_forbidden: bool) {
        self.current().forbidden = is_forbidden;
    }

    /// The API server has refused to say anything for so long that it is not waited for.
    pub(super) fn refuse(&self) {
        self.current().refused = true;
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
    use crate::storage::WorkloadKind;

    #[test]
    fn a_watch_fails_from_its_first_failure_until_something_goes_right() {
        let kind = KindProgress::new(&ObjectKind::Node, Need::Before);
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

    #[test]
    fn what_objects_ask_for_and_is_refused_is_no_obstacle() {
        for (kind, is_no_obstacle) in [
            (ObjectKind::Node, true),
            (ObjectKind::Workload(WorkloadKind::Job, "n".to_owned()), true),
            (ObjectKind::Namespace, false),
            (ObjectKind::Attachment, false),
        ] {
            let progress = KindProgress::new(&kind, Need::Before);
            assert!(!progress.is_no_obstacle());
            progress.refuse();
            assert_eq!(progress.is_no_obstacle(), is_no_obstacle, "{kind}");
        }
    }

    #[test]
    fn what_is_forbidden_is_so_until_it_is_listed() {
        let kind = KindProgress::new(&ObjectKind::Attachment, Need::Before);
        assert!(!kind.is_forbidden());
        kind.forbid(true);
        assert!(kind.is_forbidden());
        kind.forbid(false);
        assert!(!kind.is_forbidden(), "it fails otherwise now");
        kind.forbid(true);
        kind.set_state(State::Synced);
        assert!(!kind.is_forbidden());
        kind.forbid(true);
        assert!(!kind.is_forbidden(), "what was listed is known");
    }

    #[test]
    fn what_is_needed_later_is_no_obstacle() {
        let progress = Progress::of_nothing();
        let first = progress.add(&ObjectKind::Namespace, progress.next_need());
        assert!(!first.is_no_obstacle());
        assert_eq!(progress.next_need(), Need::Before, "nobody was ready yet");
        let second = progress.add(&ObjectKind::Node, progress.next_need());
        first.set_state(State::Synced);
        assert_eq!(progress.next_need(), Need::Before);
        second.set_state(State::NotInstalled);
        assert_eq!(progress.next_need(), Need::Since);

        let third = ObjectKind::Workload(WorkloadKind::StatefulSet, "n".to_owned());
        let late = progress.add(&third, progress.next_need());
        assert!(late.is_no_obstacle() && late.state() == State::Listing);
        assert_eq!((late.resource(), late.namespace()), ("statefulsets.apps", Some("n")));
        assert_eq!(progress.next_need(), Need::Since);
        second.doubt();
        assert!(!second.is_no_obstacle(), "it may be there by now");
        progress.remove(&third);
        assert_eq!(progress.kinds().len(), 2);
    }
}
