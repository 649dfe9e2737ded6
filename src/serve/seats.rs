//! Seats for connections: how many there are, and whose is taken away when somebody new comes and none is free.
//!
//! Whoever reaches the port can open connections and say nothing on them, or say it slowly. Were the seats kept until a
//! deadline, such peers could keep the API server waiting for longer than it waits for an answer. So a new connection always
//! gets a seat, soon: that of the one that was of the least use so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a request under way, or an answer that was just given, keeps a connection from being displaced. The API server
/// sends a review within milliseconds.
const BUSY: Duration = Duration::from_secs(1);
/// How long every connection may stay: enough for a handshake and a request. A flood gets every seat once in that time, and
/// whatever comes faster waits in the kernel's queue.
const STAY: Duration = Duration::from_millis(200);
/// The pause until somebody is looked for again, where nobody could be displaced.
const AGAIN: Duration = Duration::from_millis(50);

/// The seats of a port.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

/// Who has a seat, in the order in which they came.
#[derive(Default)]
struct Taken {
    next: u64,
    by: BTreeMap<u64, Arc<Activity>>,
}

/// A seat, for as long as it is kept.
pub(super) struct Seat {
    /// What happens on the connection.
    pub(super) activity: Arc<Activity>,
    seats: Arc<Seats>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

/// The requests of one connection.
pub(super) struct Activity {
    opened: Instant,
    requests: Mutex<Requests>,
    first: Notify,
    displaced: Notify,
}

#[derive(Default)]
struct Requests {
    /// How many were begun.
    begun: usize,
    /// How many are under way.
    under_way: usize,
    /// Since when some are.
    busy_since: Option<Instant>,
    /// When the last one was answered with success.
    answered: Option<Instant>,
}

/// One request under way.
pub(super) struct UnderWay(Arc<Activity>);

impl Seats {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), taken: Mutex::default() }
    }

    /// Takes a seat; where none is free, somebody else's.
    pub(super) async fn take(self: &Arc<Self>) -> Seat {
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return self.seat(permit);
            }
            self.displace(Instant::now());
            let freed = tokio::time::timeout(AGAIN, Arc::clone(&self.free).acquire_owned()).await;
            if let Ok(Ok(permit)) = freed {
                return self.seat(permit);
            }
        }
    }

    fn seat(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Seat {
        let activity = Arc::new(Activity::default());
        let mut taken = self.taken();
        let number = taken.next;
        taken.next += 1;
        taken.by.insert(number, Arc::clone(&activity));
        Seat { activity, seats: Arc::clone(self), number, _permit: permit }
    }

    /// Takes a seat away: that of the longest without any answer; where all have had one, that of the one whose last is the
    /// oldest. Nobody is displaced who is busy.
    fn displace(&self, now: Instant) {
        let mut taken = self.taken();
        let mut least: Option<(Instant, u64)> = None;
        for (number, activity) in &taken.by {
            match activity.standing(now) {
                Standing::Busy => {}
                Standing::Unanswered => {
                    least = Some((now, *number));
                    break;
                }
                Standing::Answered(at) => least = least.min(Some((at, *number))).or(Some((at, *number))),
            }
        }
        if let Some(activity) = least.and_then(|(_, number)| taken.by.remove(&number)) {
            activity.displaced.notify_one();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().by.remove(&self.number);
    }
}

/// What speaks for leaving a connection its seat.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// No request was ever answered with success, and none has begun just now: silence, a handshake, headers that do not end,
    /// a body that does not come, nonsense.
    Unanswered,
    /// A request was answered with success, last then.
    Answered(Instant),
    /// It was just opened, or a request has just begun or was just answered.
    Busy,
}

impl Default for Activity {
    fn default() -> Self {
        Self { opened: Instant::now(), requests: Mutex::default(), first: Notify::new(), displaced: Notify::new() }
    }
}

impl Activity {
    /// A request begins.
    pub(super) fn begin(activity: &Arc<Self>) -> UnderWay {
        let mut requests = activity.requests();
        requests.begun += 1;
        requests.under_way += 1;
        requests.busy_since.get_or_insert_with(Instant::now);
        drop(requests);
        activity.first.notify_one();
        UnderWay(Arc::clone(activity))
    }

    /// Waits for the first request, if none was begun yet.
    pub(super) async fn begun_any(&self) {
        if self.requests().begun == 0 {
            self.first.notified().await;
        }
    }

    /// Waits until no request was begun or under way for `time`, or for up to twice as long.
    pub(super) async fn idle_for(&self, time: Duration) {
        let mut seen = usize::MAX;
        loop {
            let (begun, under_way) = {
                let requests = self.requests();
                (requests.begun, requests.under_way)
            };
            if begun == seen && under_way == 0 {
                return;
            }
            seen = begun;
            tokio::time::sleep(time).await;
        }
    }

    /// Waits until somebody else gets the seat.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }

    fn standing(&self, now: Instant) -> Standing {
        let requests = self.requests();
        let is_within = |time: Duration, since: Instant| now.saturating_duration_since(since) < time;
        let is_busy = requests.busy_since.or(requests.answered).is_some_and(|since| is_within(BUSY, since));
        match requests.answered {
            _ if is_busy || is_within(STAY, self.opened) => Standing::Busy,
            Some(at) => Standing::Answered(at),
            None => Standing::Unanswered,
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// The request was answered with success.
    pub(super) fn answered(self) {
        self.0.requests().answered = Some(Instant::now());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.under_way -= 1;
        if requests.under_way == 0 {
            requests.busy_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, sleep, timeout};

    const IDLE: Duration = Duration::from_secs(120);

    /// Whether a connection has lost its seat.
    async fn is_displaced(seat: &Seat) -> bool {
        timeout(Duration::ZERO, seat.activity.displaced()).await.is_ok()
    }

    fn answer(seat: &Seat) {
        Activity::begin(&seat.activity).answered();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_longest_without_an_answer_goes_first() {
        let seats = Arc::new(Seats::new(4));
        let [answered, silent, asking, new] =
            [seats.take().await, seats.take().await, seats.take().await, seats.take().await];
        answer(&answered);
        let request = Activity::begin(&asking.activity);
        seats.displace(Instant::now());
        assert!(!is_displaced(&silent).await, "it has only just come");
        advance(BUSY / 2).await;
        seats.displace(Instant::now());
        assert!(is_displaced(&silent).await, "it came before the new one");
        seats.displace(Instant::now());
        assert!(is_displaced(&new).await, "it is the only one that has not begun anything");
        seats.displace(Instant::now());
        assert!(!is_displaced(&answered).await && !is_displaced(&asking).await, "both are busy");
        advance(BUSY).await;
        seats.displace(Instant::now());
        assert!(is_displaced(&asking).await, "its request takes too long, and it never had an answer");
        seats.displace(Instant::now());
        assert!(is_displaced(&answered).await);
        drop(request);
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_that_had_answers_the_one_that_is_quiet_for_longest_goes() {
        let seats = Arc::new(Seats::new(2));
        let (first, second) = (seats.take().await, seats.take().await);
        for seat in [&second, &first] {
            answer(seat);
            advance(BUSY).await;
        }
        seats.displace(Instant::now());
        assert!(is_displaced(&second).await && !is_displaced(&first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_waited_for_until_somebody_can_go() {
        let seats = Arc::new(Seats::new(1));
        let seat = seats.take().await;
        let started = Instant::now();
        answer(&seat);
        let sitting = tokio::spawn(async move { seat.activity.displaced().await });
        seats.take().await;
        assert!((BUSY..BUSY + 2 * AGAIN).contains(&started.elapsed()), "{:?}", started.elapsed());
        assert!(sitting.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_is_left_is_free() {
        let seats = Arc::new(Seats::new(1));
        let first = seats.take().await;
        drop(first);
        let second = seats.take().await;
        assert!(!is_displaced(&second).await);
        assert_eq!(seats.taken().by.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_asked_for_that_long() {
        let activity = Arc::new(Activity::default());
        let started = Instant::now();
        let asking = tokio::spawn({
            let activity = Arc::clone(&activity);
            async move {
                for _ in 0..10 {
                    let request = Activity::begin(&activity);
                    sleep(Duration::from_secs(1)).await;
                    drop(request);
                    sleep(Duration::from_secs(60)).await;
                }
                let long = Activity::begin(&activity);
                sleep(Duration::from_secs(1000)).await;
                drop(long);
            }
        });
        activity.idle_for(IDLE).await;
        assert!(asking.is_finished(), "it was busy until then");
        let busy = Duration::from_secs(1610);
        assert!((busy..=busy + 2 * IDLE).contains(&started.elapsed()), "{:?}", started.elapsed());
    }
}
