//! Replicas and a Lease, with clocks that are moved.

use super::*;

/// A Lease as the API server keeps it.
#[derive(Default)]
struct Store(Option<Seen>);

/// A replica, whose clock is ahead by some time that nobody else knows.
struct Replica {
    election: Election,
    ahead: Duration,
    interest: Interest,
}

impl Store {
    fn version(&self) -> Option<&str> {
        self.0.as_ref().map(|seen| seen.version.as_str())
    }

    /// Writes over `version`, as the API server does.
    fn write(&mut self, holder: &str, over: Option<&str>) -> Result<Seen, Failure> {
        if self.version() != over {
            return Err(Failure::Conflict);
        }
        let next = self.version().map_or(0, |version| version.parse::<u32>().unwrap()) + 1;
        let seen = Seen { holder: holder.to_owned(), duration: Terms::DEFAULT.duration, version: next.to_string() };
        self.0 = Some(seen.clone());
        Ok(seen)
    }
}

impl Replica {
    fn new(name: &str, ahead: u64) -> Self {
        let election = Election::new(name.to_owned(), Terms::DEFAULT);
        Self { election, ahead: Duration::from_secs(ahead), interest: Interest::Wanted }
    }

    fn known(&self) -> Option<String> {
        match &self.election.known {
            Known::Seen(seen, _) => Some(seen.version.clone()),
            Known::Nothing | Known::Absent => None,
        }
    }

    /// Does what is due, until nothing is.
    fn act(&mut self, store: &mut Store, now: Instant) {
        let now = now + self.ahead;
        for _ in 0..10 {
            match self.election.step(self.interest, now) {
                Step::Wait(until) => {
                    assert!(until > now, "nothing is done in a hot loop");
                    return;
                }
                Step::Look => self.election.has_looked(store.0.clone(), now),
                Step::Write(claim) => {
                    let holder = if claim == Claim::Release { "" } else { self.election.identity() };
                    match store.write(holder, self.known().as_deref()) {
                        Ok(seen) => self.election.has_written(claim, seen, now, now),
                        Err(failure) => self.election.has_failed(failure, now),
                    }
                }
            }
        }
        panic!("it never comes to rest");
    }

    fn holds(&self, now: Instant) -> bool {
        self.election.holds(now + self.ahead)
    }
}

/// Lets a second go by at a time; returns how many of the seconds each replica held the lease.
fn pass(seconds: u32, store: &mut Store, replicas: &mut [Replica], now: &mut Instant) -> Vec<u32> {
    let mut held = vec![0; replicas.len()];
    for _ in 0..seconds {
        *now += Duration::from_secs(1);
        for replica in replicas.iter_mut() {
            replica.act(store, *now);
        }
        let holding: Vec<usize> = (0..replicas.len()).filter(|index| replicas[*index].holds(*now)).collect();
        assert!(holding.len() <= 1, "{holding:?} believe that they hold it");
        for index in holding {
            held[index] += 1;
        }
    }
    held
}

#[test]
fn one_of_three_holds_it_and_goes_on_holding_it() {
    let (mut store, mut now) = (Store::default(), Instant::now());
    // Hours apart: no clock is compared with another's.
    let mut replicas = [Replica::new("a", 0), Replica::new("b", 7200), Replica::new("c", 3600)];
    assert_eq!(pass(600, &mut store, &mut replicas, &mut now), [600, 0, 0]);
    assert_eq!(store.version(), Some("120"), "one write every five seconds");
}

#[test]
fn the_dead_are_replaced_in_time() {
    for lives in 1..20 {
        let (mut store, mut now) = (Store::default(), Instant::now());
        let mut replicas = [Replica::new("a", 0), Replica::new("b", 7200)];
        pass(lives, &mut store, &mut replicas, &mut now);
        // From now on only the second one does anything, while the first may still believe.
        let died = now;
        let [first, second] = &mut replicas;
        while !second.holds(now) {
            now += Duration::from_millis(100);
            second.act(&mut store, now);
            assert!(!(first.holds(now) && second.holds(now)));
            assert!(now < died + Duration::from_secs(19), "{lives}");
        }
        assert!(now > died + Duration::from_secs(9), "{lives}");
    }
}

#[test]
fn one_that_leaves_is_followed_at_once() {
    let (mut store, mut now) = (Store::default(), Instant::now());
    let mut replicas = [Replica::new("a", 0), Replica::new("b", 0)];
    pass(20, &mut store, &mut replicas, &mut now);
    replicas[0].interest = Interest::Unwanted;
    assert_eq!(pass(20, &mut store, &mut replicas, &mut now)[0], 0);
    assert!(replicas[1].holds(now));
    assert_eq!(store.0.as_ref().unwrap().holder, "b");
    // Where nobody has use for it, it is nobody's, and nobody looks.
    replicas[1].interest = Interest::Unwanted;
    pass(2, &mut store, &mut replicas, &mut now);
    let version = store.version().unwrap().to_owned();
    pass(60, &mut store, &mut replicas, &mut now);
    assert_eq!((store.0.as_ref().unwrap().holder.as_str(), store.version()), ("", Some(version.as_str())));
}

#[test]
fn a_conflict_ends_the_belief() {
    let (mut store, now) = (Store::default(), Instant::now());
    let mut replica = Replica::new("a", 0);
    replica.act(&mut store, now);
    assert!(replica.holds(now));
    store.write("somebody", Some("1")).unwrap();
    let later = now + Duration::from_secs(5);
    replica.act(&mut store, later);
    assert!(!replica.holds(later));
    let later = later + CONFLICT_PAUSES.0;
    replica.act(&mut store, later);
    assert!(matches!(replica.election.step(Interest::Wanted, later), Step::Wait(_)));
    // Somebody says that it lasts longer, and is believed.
    let mut seen = store.0.clone().unwrap();
    seen.duration = Duration::from_secs(60);
    seen.version = "9".to_owned();
    replica.election.has_looked(Some(seen.clone()), later);
    for (after, is_over) in [(16, false), (59, false), (60, true)] {
        let now = later + Duration::from_secs(after);
        replica.election.has_looked(Some(seen.clone()), now);
        let step = replica.election.step(Interest::Wanted, now);
        assert_eq!(step == Step::Write(Claim::Take), is_over, "{after}: {step:?}");
    }
}

#[test]
fn whoever_gets_no_answer_ceases_to_believe() {
    let (mut store, now) = (Store::default(), Instant::now());
    let mut replica = Replica::new("a", 0);
    replica.act(&mut store, now);
    let (mut time, mut attempts) = (now, 0);
    while replica.holds(time) {
        match replica.election.step(Interest::Wanted, time) {
            Step::Write(Claim::Renew) => {
                attempts += 1;
                replica.election.has_failed(Failure::Unknown, time);
            }
            Step::Wait(until) => time = until,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(time.duration_since(now), Duration::from_secs(10));
    assert!((3..6).contains(&attempts), "{attempts}");
    // What was written without an answer is found, and renewed before it is believed in.
    store.write("a", Some("1")).unwrap();
    time += Duration::from_secs(60);
    replica.act(&mut store, time);
    time += CONFLICT_PAUSES.0;
    replica.act(&mut store, time);
    assert!(replica.holds(time));
    assert_eq!(store.version(), Some("3"));
}

#[test]
fn failures_are_spaced_out() {
    let (mut now, begun, mut attempts) = (Instant::now(), Instant::now(), 0);
    let mut election = Election::new("a".to_owned(), Terms::DEFAULT);
    while now < begun + Duration::from_secs(600) {
        match election.step(Interest::Wanted, now) {
            Step::Wait(until) => now = until,
            Step::Look => {
                attempts += 1;
                election.has_failed(Failure::Unknown, now);
            }
            Step::Write(claim) => panic!("{claim:?}"),
        }
    }
    assert!(attempts < 30, "{attempts}");
}

/// As where something else keeps the lease from being made: a look finds none, and it cannot be made.
#[test]
fn conflicts_without_end_are_spaced_out() {
    let (mut now, begun, mut attempts) = (Instant::now(), Instant::now(), 0);
    let mut election = Election::new("a".to_owned(), Terms::DEFAULT);
    let mut fail_until = |election: &mut Election, end: Instant| {
        attempts = 0;
        while now < end {
            match election.step(Interest::Wanted, now) {
                Step::Wait(until) => now = until,
                Step::Look => election.has_looked(None, now),
                Step::Write(_) => {
                    attempts += 1;
                    assert!(attempts < 100, "a hot loop");
                    election.has_failed(Failure::Conflict, now);
                }
            }
        }
        attempts
    };
    let attempts = fail_until(&mut election, begun + Duration::from_secs(60));
    assert!((8..14).contains(&attempts), "{attempts}");
    // Somebody has it, so what was in the way is over.
    let seen = Seen { holder: "b".to_owned(), duration: Duration::from_secs(15), version: "1".to_owned() };
    election.has_looked(Some(seen), begun + Duration::from_secs(60));
    election.has_failed(Failure::Conflict, begun + Duration::from_secs(61));
    let next = begun + Duration::from_secs(61) + CONFLICT_PAUSES.0;
    assert_eq!(election.step(Interest::Wanted, begun + Duration::from_secs(61)), Step::Wait(next));
}
