//! The rotation of the authority, with a clock that is moved: replicas, API servers that notice late, and everything that can
//! happen to what they share. At no moment may an API server meet a certificate that it does not trust.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rook_multihome::tls::authority::{Authority, Leaf};
use rook_multihome::tls::certificate::Certificate;
use rook_multihome::tls::rotation::{self, Change, Lifetimes, Stage, Stored};
use rook_multihome::tls::stored::{self, Data};
use rook_multihome::tls::trust::{Observed, Trust};

const DAY: Duration = Duration::from_hours(24);
const LIFETIMES: Lifetimes =
    Lifetimes { authority: DAY.saturating_mul(365), leaf: DAY.saturating_mul(7), settle: Duration::from_mins(1) };
/// How long an API server may take to notice a change. The settle time is chosen to be longer.
const LATEST: Duration = Duration::from_secs(40);

/// What the replicas share, and the API servers that call them.
struct World {
    now: SystemTime,
    /// The Secret's data; `None` where there is no Secret.
    secret: Option<Data>,
    version: u64,
    /// Two entries, of one webhook configuration or of one of each kind; `None` where there is none.
    bundles: Option<[Vec<Certificate>; 2]>,
    bundle_version: u64,
    /// Earlier bundles that an API server may still go by, and until when.
    remembered: Vec<(SystemTime, Vec<Certificate>)>,
    replicas: Vec<Replica>,
    /// What was read last from which data: reading keys takes longer than all the rest.
    read: RefCell<Option<(Data, Stored)>>,
    /// Every change that was carried out.
    changes: Vec<Change>,
    /// Set by what nobody can survive: no bundle, or a foreign one.
    broken_until_written: bool,
}

#[derive(Default)]
struct Replica {
    leaf: Option<Leaf>,
    /// Whether it is asked for reviews.
    is_ready: bool,
    /// Who has signed what it serves, and since when everybody accepts that.
    accepted: Option<(String, SystemTime)>,
    /// What it saw the configurations trust, and since when.
    saw: Option<(Trust, SystemTime)>,
    /// How far this replica's clock is ahead of the others', in seconds.
    ahead: i64,
}

/// What a replica has seen before it acts.
struct Seen {
    stored: Stored,
    version: u64,
    trust: Trust,
    bundle_version: u64,
}

impl World {
    fn new(replicas: usize) -> Self {
        Self {
            now: SystemTime::UNIX_EPOCH + 20_000 * DAY,
            secret: Some(Data::new()),
            version: 0,
            bundles: Some([Vec::new(), Vec::new()]),
            bundle_version: 0,
            remembered: Vec::new(),
            replicas: (0..replicas).map(|_| Replica::default()).collect(),
            read: RefCell::default(),
            changes: Vec::new(),
            broken_until_written: true,
        }
    }

    /// A world that has settled.
    fn settled(replicas: usize) -> Self {
        let mut world = Self::new(replicas);
        world.run(3 * LIFETIMES.settle);
        assert_eq!(world.stage(), Stage::Stable);
        world.changes.clear();
        world
    }

    fn see(&self) -> Seen {
        let stored = self.secret.as_ref().map_or(Stored::Absent, |data| self.read(data));
        let trust = match &self.bundles {
            Some(bundles) => Trust::Bundles(bundles.to_vec()),
            None => Trust::Absent,
        };
        Seen { stored, version: self.version, trust, bundle_version: self.bundle_version }
    }

    fn read(&self, data: &Data) -> Stored {
        let mut read = self.read.borrow_mut();
        match &*read {
            Some((known, stored)) if known == data => stored.clone(),
            _ => {
                let stored = stored::read(data);
                *read = Some((data.clone(), stored.clone()));
                stored
            }
        }
    }

    fn stage(&self) -> Stage {
        let Seen { stored, trust, .. } = self.see();
        rotation::plan(&stored, &long_ago(trust), self.now, &LIFETIMES).stage
    }

    /// One turn of a replica, by what it has seen, which may not be the latest.
    fn act(&mut self, replica: usize, seen: &Seen) {
        let ahead = self.replicas[replica].ahead;
        let offset = Duration::from_secs(ahead.unsigned_abs());
        let now = if ahead < 0 { self.now - offset } else { self.now + offset };
        let Seen { stored, version, trust, bundle_version } = seen;
        let memory = &mut self.replicas[replica].saw;
        let since = memory.take().filter(|(saw, _)| saw == trust).map_or(self.now, |(_, since)| since);
        *memory = Some((trust.clone(), since));
        let unchanged_for = self.now.duration_since(since).unwrap_or_default();
        let observed = Observed { trust: trust.clone(), unchanged_for };
        let is_latest = (*version, *bundle_version) == (self.version, self.bundle_version);
        let plan = rotation::plan(stored, &observed, now, &LIFETIMES);
        // It looks again before it believes that something is missing.
        let change = plan.change.filter(|change| is_latest || !matches!(change, Change::Retire(_)));
        if let Some(change) = change {
            let make = || Authority::new(now, LIFETIMES.authority);
            let authorities = rotation::carry_out(change.clone(), stored, now, &LIFETIMES, make).unwrap();
            // Only over the version that was seen; else it is a conflict, and nothing happens.
            if *version == self.version {
                stored::write(&authorities, self.secret.get_or_insert_default());
                self.version += 1;
                self.changes.push(change);
                return self.act(replica, &self.see());
            }
        }
        let Stored::Authorities(authorities) = stored else { return };
        let leaf = self.replicas[replica].leaf.as_ref().map(|leaf| &leaf.certificate);
        if rotation::needs_leaf(leaf, authorities, &observed, now, &LIFETIMES) {
            let current = &authorities.current.authority;
            let at = rotation::issue_time(current, now);
            self.replicas[replica].leaf = Some(current.issue(&["a.b.svc".to_owned()], at, LIFETIMES.leaf).unwrap());
        }
        if let Some(leaf) = self.replicas[replica].leaf.as_ref().map(|leaf| leaf.certificate.clone()) {
            let is_accepted = trust.accepts(&leaf, now);
            let before = self.replicas[replica].accepted.take().filter(|(issuer, _)| *issuer == leaf.issuer);
            let since = before.map_or(self.now, |(_, since)| since);
            let accepted_for = self.now.duration_since(since).unwrap_or_default();
            self.replicas[replica].accepted = is_accepted.then(|| (leaf.issuer.clone(), since));
            let is_too_new = rotation::is_too_new(&leaf, authorities, accepted_for, now, &LIFETIMES);
            self.replicas[replica].is_ready = is_accepted && !is_too_new;
        }
        let wanted: Vec<Certificate> = authorities.bundle(now).cloned().collect();
        if matches!(trust, Trust::Bundles(_)) && !trust.is_exactly(authorities, now) && is_latest {
            self.set_bundles(Some([wanted.clone(), wanted]));
            self.broken_until_written = false;
        }
    }

    fn set_bundles(&mut self, bundles: Option<[Vec<Certificate>; 2]>) {
        let before = self.bundles.take();
        let until = self.now + LATEST;
        if !self.broken_until_written {
            self.remembered.extend(before.into_iter().flatten().map(|bundle| (until, bundle)));
        }
        self.bundles = bundles;
        self.bundle_version += 1;
    }

    /// Every API server, however late it notices, accepts what every replica serves.
    fn check(&mut self) {
        let now = self.now;
        self.remembered.retain(|(until, _)| *until > now);
        let Some(bundles) = &self.bundles else { return };
        if self.broken_until_written {
            return;
        }
        for bundle in bundles.iter().chain(self.remembered.iter().map(|(_, bundle)| bundle)) {
            let ready = self.replicas.iter().filter(|replica| replica.is_ready);
            for leaf in ready.filter_map(|replica| replica.leaf.as_ref()) {
                let leaf = &leaf.certificate;
                assert!(leaf.is_valid(now), "an invalid certificate is served: {leaf:?} at {now:?}");
                let trusted = bundle.iter().any(|known| known.subject == leaf.issuer && known.is_valid(now));
                assert!(trusted, "{} is met by an API server that trusts {:?}", leaf.issuer, subjects(bundle));
            }
        }
    }

    /// Lets time pass, with every replica taking a turn as often as it does.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        // Long times in long turns: nothing in them hangs on seconds, but for what is due.
        while self.now < end {
            for replica in 0..self.replicas.len() {
                let seen = self.see();
                self.act(replica, &seen);
                self.check();
            }
            let Seen { stored, trust, .. } = self.see();
            let due = rotation::plan(&stored, &long_ago(trust), self.now, &LIFETIMES).due;
            let is_soon = due.is_some_and(|due| due <= self.now + Duration::from_mins(10)) || time < DAY;
            let turn = if is_soon { Duration::from_secs(5) } else { DAY / 8 };
            self.now = (self.now + turn).min(end);
            self.check();
        }
    }

    fn did(&self, change: &Change) -> usize {
        self.changes.iter().filter(|done| *done == change).count()
    }

    fn begun(&self) -> usize {
        self.changes.iter().filter(|change| matches!(change, Change::Begin { .. })).count()
    }

    fn signers(&self) -> Vec<String> {
        let leaves = self.replicas.iter().filter_map(|replica| replica.leaf.as_ref());
        leaves.map(|leaf| leaf.certificate.issuer.clone()).collect()
    }

    fn authorities(&self) -> rotation::Authorities {
        match self.see().stored {
            Stored::Authorities(authorities) => authorities,
            other => panic!("{other:?}"),
        }
    }
}

/// As somebody sees it who has looked for long.
fn long_ago(trust: Trust) -> Observed {
    Observed { trust, unchanged_for: Duration::MAX }
}

fn subjects(bundle: &[Certificate]) -> Vec<&str> {
    bundle.iter().map(|certificate| certificate.subject.as_str()).collect()
}

#[test]
fn at_the_first_start_one_replica_makes_the_authority_and_all_use_it() {
    let mut world = World::new(3);
    // All have seen the empty Secret before any acts.
    let seen = [world.see(), world.see(), world.see()];
    for (replica, seen) in seen.iter().enumerate() {
        world.act(replica, seen);
    }
    assert_eq!(world.begun(), 1, "the others were too late");
    world.run(3 * LIFETIMES.settle);
    assert_eq!(world.stage(), Stage::Stable);
    let current = world.authorities().current.authority.certificate.subject.clone();
    assert_eq!(world.signers(), vec![current; 3]);
    assert_eq!(world.changes.len(), 2, "{:?}", world.changes);
}

#[test]
fn serving_begins_with_the_first_turn() {
    let mut world = World::new(1);
    let seen = world.see();
    world.act(0, &seen);
    assert!(world.replicas[0].leaf.is_some(), "nobody trusts anything else, so there is nothing to wait for");
    assert_eq!(world.bundles.as_ref().unwrap()[0].len(), 1);
}

#[test]
fn over_years_authorities_follow_each_other_and_nobody_notices() {
    let mut world = World::settled(2);
    world.run(1000 * DAY);
    // After 243 days each.
    assert_eq!(world.did(&Change::Promote), 4, "{:?}", world.changes);
    assert_eq!(world.did(&Change::Drop), 4);
    assert_eq!(world.begun(), 0);
    assert_eq!(world.bundles.as_ref().unwrap()[0].len(), 1, "what is retired is gone");
}

#[test]
fn a_certificate_is_renewed_long_before_it_expires() {
    let mut world = World::settled(1);
    let first = world.replicas[0].leaf.as_ref().unwrap().certificate.serial.clone();
    world.run(4 * DAY);
    assert_eq!(world.replicas[0].leaf.as_ref().unwrap().certificate.serial, first);
    world.run(DAY);
    assert_ne!(world.replicas[0].leaf.as_ref().unwrap().certificate.serial, first);
}

/// Brings a rotation to each of its stages.
fn at(stage: Stage) -> World {
    let mut world = World::settled(2);
    world.now += 244 * DAY;
    // What has expired meanwhile is of no interest here.
    for replica in &mut world.replicas {
        replica.leaf = None;
    }
    for _ in 0..1000 {
        if world.stage() == stage {
            return world;
        }
        if stage == Stage::Introduced {
            // The API server does not take the bundle yet.
            world.act_without_bundle();
        } else {
            let seen = world.see();
            world.act(0, &seen);
            world.now += Duration::from_secs(5);
        }
        if stage == Stage::Retiring && world.stage() == Stage::Stable {
            break;
        }
    }
    panic!("never was {stage:?}")
}

impl World {
    /// A turn whose write of the bundle fails.
    fn act_without_bundle(&mut self) {
        let before = self.bundles.clone();
        let seen = self.see();
        self.act(0, &seen);
        self.bundles = before;
        self.remembered.clear();
    }
}

#[test]
fn a_restart_at_any_stage_changes_nothing() {
    for stage in [Stage::Stable, Stage::Introduced, Stage::Settling, Stage::Retiring] {
        let mut world = if stage == Stage::Stable { World::settled(2) } else { at(stage) };
        for replica in &mut world.replicas {
            replica.leaf = None;
        }
        world.run(20 * DAY);
        assert_eq!(world.stage(), Stage::Stable, "{stage:?}");
        assert_eq!(world.begun(), 0, "{stage:?}: no authority was thrown away");
    }
}

#[test]
fn nothing_is_signed_by_what_is_not_trusted_everywhere() {
    let mut world = at(Stage::Introduced);
    for _ in 0..100 {
        world.act_without_bundle();
        world.now += DAY / 4;
    }
    assert_eq!(world.stage(), Stage::Introduced, "for as long as it takes");
    let next = world.authorities().next.unwrap().authority.certificate.subject.clone();
    assert!(world.signers().iter().all(|signer| *signer != next));

    // In one entry of two is not everywhere.
    let bundle: Vec<Certificate> = world.authorities().bundle(world.now).cloned().collect();
    let old = world.bundles.clone().unwrap()[1].clone();
    world.bundles = Some([bundle, old]);
    assert_eq!(world.stage(), Stage::Introduced);
}

#[test]
fn a_next_authority_that_is_taken_out_again_waits_anew() {
    let mut world = at(Stage::Settling);
    world.now += LIFETIMES.settle;
    world.now -= Duration::from_secs(1);
    let current: Vec<Certificate> = world.authorities().bundle(world.now).take(1).cloned().collect();
    world.set_bundles(Some([current.clone(), current]));
    let seen = world.see();
    world.act(0, &seen);
    assert!(world.changes.contains(&Change::ForgetNext));
    world.now += Duration::from_secs(2);
    let seen = world.see();
    world.act(0, &seen);
    assert_eq!(world.stage(), Stage::Settling, "the wait has begun anew");
    world.run(3 * LIFETIMES.settle);
    assert_eq!(world.stage(), Stage::Retiring);
}

#[test]
fn after_a_year_of_sleep_it_serves_at_once() {
    for days in [8, 250, 366, 5000] {
        let mut world = World::settled(2);
        world.now += days * DAY;
        world.broken_until_written = true;
        for replica in 0..2 {
            let seen = world.see();
            world.act(replica, &seen);
        }
        world.check();
        let now = world.now;
        assert!(!world.broken_until_written || days < 244, "{days}");
        world.broken_until_written = false;
        assert!(world.replicas.iter().all(|replica| replica.leaf.as_ref().unwrap().certificate.is_valid(now)));
        world.remembered.clear();
        world.run(20 * DAY);
        assert_eq!(world.stage(), Stage::Stable, "{days}");
    }
}

#[test]
fn a_sleep_in_the_middle_of_a_rotation_is_survived() {
    for (stage, days) in
        [(Stage::Introduced, 130), (Stage::Settling, 130), (Stage::Settling, 400), (Stage::Retiring, 400)]
    {
        let mut world = at(stage);
        world.now += days * DAY;
        world.broken_until_written = true;
        world.remembered.clear();
        for replica in 0..2 {
            world.replicas[replica].leaf = None;
            let seen = world.see();
            world.act(replica, &seen);
        }
        world.broken_until_written = false;
        world.remembered.clear();
        world.run(20 * DAY);
        assert_eq!(world.stage(), Stage::Stable, "{stage:?} after {days} days");
    }
}

#[test]
fn a_secret_that_is_deleted_or_corrupted_is_made_anew_and_nobody_notices() {
    type Harm = fn(&mut World);
    let harms: [(&str, Harm); 7] = [
        ("deleted", |world| world.secret = None),
        ("emptied", |world| world.secret = Some(Data::new())),
        ("no key", |world| _ = world.secret.as_mut().unwrap().remove("ca.key")),
        ("no certificate", |world| _ = world.secret.as_mut().unwrap().remove("ca.crt")),
        ("garbage", |world| _ = world.secret.as_mut().unwrap().insert("ca.crt".to_owned(), vec![0xff; 9])),
        ("moments", |world| _ = world.secret.as_mut().unwrap().insert("rotation.json".to_owned(), b"{".to_vec())),
        ("another's key", |world| {
            let other = Authority::new(world.now, DAY).unwrap().key_pem().into_bytes();
            world.secret.as_mut().unwrap().insert("ca.key".to_owned(), other);
        }),
    ];
    for (name, harm) in harms {
        for stage in [Stage::Stable, Stage::Introduced, Stage::Settling, Stage::Retiring] {
            let mut world = if stage == Stage::Stable { World::settled(2) } else { at(stage) };
            world.run(Duration::from_secs(10));
            let before = world.signers();
            world.changes.clear();
            harm(&mut world);
            world.version += 1;
            world.run(Duration::from_secs(10));
            assert_eq!(world.begun(), 1, "{name} when {stage:?}");
            assert_eq!(world.signers(), before, "{name} when {stage:?}: what is trusted goes on being served");
            world.run(20 * DAY);
            assert_eq!(world.stage(), Stage::Stable, "{name} when {stage:?}");
            assert_ne!(world.signers(), before);
            assert_eq!(world.bundles.as_ref().unwrap()[0].len(), 1);
        }
    }
}

/// As after a restore: the Secret is fine, and of another time.
#[test]
fn a_secret_that_is_put_back_from_a_copy_takes_nothing_away() {
    let mut world = World::settled(2);
    let copy = world.secret.clone();
    world.secret = None;
    world.version += 1;
    world.run(30 * DAY);
    assert_eq!(world.stage(), Stage::Stable);
    let before = world.signers();
    world.changes.clear();
    world.secret = copy;
    world.version += 1;
    world.run(Duration::from_secs(20));
    assert!(matches!(world.changes[0], Change::Retire(_)), "{:?}", world.changes);
    assert_eq!(world.signers(), before, "what is trusted goes on being served");
    world.run(20 * DAY);
    assert_eq!(world.stage(), Stage::Stable);
    assert_ne!(world.signers(), before);
}

/// Somebody takes the Secret away every few seconds: what is stored stays bounded, and nothing is kept for ever.
#[test]
fn a_secret_that_is_taken_away_again_and_again_grows_no_list_without_end() {
    let mut world = World::settled(2);
    for _ in 0..100 {
        world.secret = None;
        world.version += 1;
        world.broken_until_written = true;
        world.run(Duration::from_secs(5));
    }
    assert!(world.authorities().retired.len() <= 24);
    world.remembered.clear();
    world.broken_until_written = true;
    world.run(20 * DAY);
    assert_eq!(world.stage(), Stage::Stable);
}

#[test]
fn what_is_no_authority_is_not_taken_for_one() {
    let mut world = World::settled(1);
    let authority = Authority::new(world.now, DAY).unwrap();
    let leaf = authority.issue(&["a.b.svc".to_owned()], world.now, DAY).unwrap();
    let secret = world.secret.as_mut().unwrap();
    secret.insert("ca.crt".to_owned(), leaf.certificate.pem().into_bytes());
    secret.insert("ca.key".to_owned(), leaf.key_pem().into_bytes());
    match world.see().stored {
        Stored::Unreadable(fault) => assert!(fault.contains("no authority's"), "{fault}"),
        other => panic!("{other:?}"),
    }
}

/// Somebody who may write the Secret plants a certificate that is to be trusted for ever.
#[test]
fn nothing_is_trusted_for_longer_than_anything_lasts() {
    let mut world = World::settled(2);
    let planted = Authority::new(world.now, 4000 * DAY).unwrap().certificate;
    let mut authorities = world.authorities();
    let retired = rotation::Retired { certificate: planted.clone(), until: world.now + 4000 * DAY };
    authorities.retired.push(retired);
    stored::write(&authorities, world.secret.as_mut().unwrap());
    world.version += 1;
    world.run(Duration::from_secs(10));
    assert!(world.bundles.as_ref().unwrap()[0].contains(&planted), "it may be what another clock has retired");
    world.run(20 * DAY);
    assert!(!world.bundles.as_ref().unwrap()[0].contains(&planted));
    assert_eq!(world.stage(), Stage::Stable);
}

/// What is not one of ours is not kept, whoever put it into a bundle.
#[test]
fn a_foreign_certificate_in_a_bundle_is_not_adopted() {
    let mut world = World::settled(1);
    let foreign = Authority::new(world.now, DAY).unwrap().issue(&["x.y.svc".to_owned()], world.now, DAY).unwrap();
    let foreign = foreign.certificate;
    world.bundles.as_mut().unwrap()[0].push(foreign.clone());
    world.secret = None;
    world.version += 1;
    world.run(Duration::from_secs(10));
    assert!(!world.bundles.as_ref().unwrap()[0].contains(&foreign));
    assert!(world.authorities().retired.iter().all(|retired| retired.certificate != foreign));
}

/// The wait is as long as it is said to be, and a next authority that is not valid yet is waited for.
#[test]
fn a_next_authority_signs_when_it_has_settled_and_is_valid() {
    let mut world = at(Stage::Settling);
    world.run(Duration::from_secs(50));
    assert_eq!(world.stage(), Stage::Settling);
    world.run(Duration::from_secs(20));
    assert_eq!(world.stage(), Stage::Retiring);

    let mut world = World::settled(2);
    let stored = Stored::Authorities(world.authorities());
    // As by somebody whose clock is three hours ahead.
    let make = || Authority::new(world.now + 3 * Duration::from_hours(1), LIFETIMES.authority);
    let rotated = rotation::carry_out(Change::Introduce, &stored, world.now, &LIFETIMES, make).unwrap();
    stored::write(&rotated, world.secret.as_mut().unwrap());
    world.version += 1;
    let before = world.signers();
    world.run(Duration::from_mins(110));
    assert_eq!((world.stage(), world.signers()), (Stage::Introduced, before));
    world.run(Duration::from_mins(20));
    assert_eq!(world.stage(), Stage::Retiring);
}

/// Whoever was away for as long as a certificate lasts still has some time.
#[test]
fn a_retired_authority_outlasts_what_it_has_signed() {
    let world = at(Stage::Retiring);
    let late = world.authorities().retired[0].until.duration_since(world.now + LIFETIMES.leaf).unwrap();
    assert!(late > Duration::from_mins(59), "{late:?}");
}

/// An authority at its end signs nothing that would end as soon as what is served.
#[test]
fn certificates_are_not_renewed_in_ever_shorter_steps() {
    let mut world = World::new(1);
    world.bundles = None;
    world.run(360 * DAY);
    let Stored::Authorities(authorities) = world.see().stored else { panic!("nothing is stored") };
    let certificate = authorities.current.authority.certificate.clone();
    let leaf = world.replicas[0].leaf.as_ref().unwrap().certificate.clone();
    if leaf.not_after == certificate.not_after {
        assert!(!rotation::needs_leaf(Some(&leaf), &authorities, &long_ago(Trust::Absent), leaf.not_after, &LIFETIMES));
    }
    // By a clock that is behind, what is served goes on.
    let early = certificate.not_before - DAY;
    assert!(!rotation::needs_leaf(Some(&leaf), &authorities, &long_ago(Trust::Absent), early, &LIFETIMES));
}

#[test]
fn what_others_put_into_a_secret_stays() {
    let mut world = World::settled(1);
    world.secret.as_mut().unwrap().insert("note".to_owned(), b"keep".to_vec());
    world.run(300 * DAY);
    assert_eq!(world.secret.as_ref().unwrap()["note"], b"keep");
}

#[test]
fn a_bundle_that_somebody_edits_is_mended() {
    let mut world = World::settled(2);
    let foreign =
        Authority::new(world.now, DAY).unwrap().issue(&["x.y.svc".to_owned()], world.now, DAY).unwrap().certificate;
    let ours = world.bundles.clone().unwrap();
    let mut more = ours.clone();
    more[1].push(foreign.clone());
    for edited in [[Vec::new(), Vec::new()], [vec![foreign.clone()], vec![foreign]], more] {
        world.bundles = Some(edited);
        world.remembered.clear();
        world.broken_until_written = true;
        let seen = world.see();
        world.act(1, &seen);
        assert_eq!(world.bundles.clone().unwrap(), ours);
        world.remembered.clear();
    }
    assert_eq!(world.changes, [], "nothing that is stored has changed");
}

#[test]
fn without_a_webhook_configuration_it_waits_and_serves() {
    let mut world = World::new(2);
    world.bundles = None;
    world.run(10 * DAY);
    assert!(world.replicas.iter().all(|replica| replica.leaf.is_some()));
    assert_eq!(world.stage(), Stage::Starting);
    world.bundles = Some([Vec::new(), Vec::new()]);
    world.run(Duration::from_mins(5));
    assert_eq!(world.stage(), Stage::Stable);

    // It goes away for longer than an authority lives.
    world.set_bundles(None);
    world.run(800 * DAY);
    world.bundles = Some([Vec::new(), Vec::new()]);
    world.broken_until_written = true;
    world.remembered.clear();
    world.run(20 * DAY);
    assert_eq!(world.stage(), Stage::Stable);
}

#[test]
fn before_anything_is_seen_nothing_is_concluded() {
    let mut world = at(Stage::Settling);
    world.now += 2 * LIFETIMES.settle;
    let Seen { stored, version, bundle_version, .. } = world.see();
    world.changes.clear();
    world.act(0, &Seen { stored, version, trust: Trust::Unknown, bundle_version });
    world.act(0, &Seen { stored: Stored::Absent, version, trust: Trust::Unknown, bundle_version });
    assert_eq!(world.changes, []);
}

#[test]
fn a_clock_that_is_set_back_does_no_harm() {
    let mut world = at(Stage::Settling);
    world.run(Duration::from_secs(5));
    world.changes.clear();
    // Less than certificates are dated back: it may as well be another's clock that is ahead, and is waited for.
    world.now -= Duration::from_mins(40);
    world.remembered.clear();
    world.run(Duration::from_mins(39));
    assert_eq!(world.changes, []);
    world.run(Duration::from_mins(5));
    assert_eq!(world.changes, [Change::Promote]);

    // More than that: nothing is changed, nothing is taken away, and it is said.
    let mut world = World::settled(2);
    let (before, stored) = (world.signers(), world.secret.clone());
    world.now -= 30 * DAY;
    world.broken_until_written = true;
    world.run(Duration::from_mins(10));
    assert_eq!((world.signers(), &world.secret), (before, &stored));
    assert_eq!(world.stage(), Stage::ClockBehind);
    // Even a replica that starts now serves something: other clocks may be right.
    world.replicas[0].leaf = None;
    let seen = world.see();
    world.act(0, &seen);
    let issued = world.replicas[0].leaf.as_ref().unwrap().certificate.clone();
    assert!(issued.is_valid(world.now + 30 * DAY));
}

#[test]
fn one_replica_whose_clock_is_years_ahead_takes_nothing_away_from_the_others() {
    let mut world = World::settled(3);
    world.replicas[2].ahead = 3 * 365 * 86_400;
    let before = world.signers();
    for _ in 0..20 {
        for replica in 0..3 {
            let seen = world.see();
            world.act(replica, &seen);
        }
        world.now += Duration::from_secs(5);
    }
    assert_eq!(world.signers()[..2], before[..2]);
    assert_eq!(world.begun(), 1, "they do not fight");
    let bundle = world.bundles.as_ref().unwrap()[0].clone();
    assert!(bundle.iter().any(|known| known.subject == before[0]), "it is still trusted");
}

#[test]
fn what_is_stored_is_read_back() {
    for stage in [Stage::Introduced, Stage::Settling, Stage::Retiring] {
        let mut world = at(stage);
        if stage == Stage::Retiring {
            // Two at a time.
            let Seen { stored, .. } = world.see();
            let make = || Authority::new(world.now, LIFETIMES.authority);
            let again = rotation::carry_out(Change::Introduce, &stored, world.now, &LIFETIMES, make).unwrap();
            let stored = Stored::Authorities(again);
            let promoted = rotation::carry_out(Change::Promote, &stored, world.now, &LIFETIMES, make).unwrap();
            stored::write(&promoted, world.secret.as_mut().unwrap());
            assert_eq!(promoted.retired.len(), 2);
        }
        let data = world.secret.clone().unwrap();
        let mut written = Data::new();
        stored::write(&world.authorities(), &mut written);
        assert_eq!(written, data, "{stage:?}");
    }
}

/// What may happen next, in the property test.
#[derive(Clone, Debug)]
enum Event {
    Wait(u32),
    Act(usize),
    /// Acts by what it saw before the last events.
    ActLate(usize),
    Restart(usize),
    DeleteSecret,
    CorruptSecret,
    Rotate,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1u32..30).prop_map(Event::Wait),
        1 => (1u32..2_000).prop_map(Event::Wait),
        6 => (0usize..3).prop_map(Event::Act),
        3 => (0usize..3).prop_map(Event::ActLate),
        1 => (0usize..3).prop_map(Event::Restart),
        1 => Just(Event::DeleteSecret),
        1 => Just(Event::CorruptSecret),
        1 => Just(Event::Rotate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to the Secret and whoever acts when: no API server meets what it does not trust, and in the end
    /// everything is settled.
    #[test]
    fn whatever_happens_nobody_meets_what_is_not_trusted(
        events in prop::collection::vec(event(), 1..120),
        ahead in prop::sample::select(vec![0, 30, -30, 600, -600, 3000, -3000]),
    ) {
        let mut world = World::settled(3);
        // One clock is wrong, by less than certificates are dated back.
        world.replicas[1].ahead = ahead;
        let mut late = world.see();
        // More harm than is kept track of is another matter.
        let mut harm_left = 20;
        for event in events {
            if matches!(event, Event::DeleteSecret | Event::CorruptSecret) {
                if harm_left == 0 {
                    continue;
                }
                harm_left -= 1;
            }
            match event {
                Event::Wait(seconds) => {
                    // Nobody sleeps through a renewal here; that is another test.
                    world.run(Duration::from_secs(seconds.into()));
                }
                Event::Act(replica) => {
                    let seen = world.see();
                    world.act(replica, &seen);
                    late = seen;
                }
                Event::ActLate(replica) => world.act(replica, &late),
                Event::Restart(replica) => {
                    world.replicas[replica] = Replica { ahead: world.replicas[replica].ahead, ..Replica::default() };
                    let seen = world.see();
                    world.act(replica, &seen);
                }
                Event::DeleteSecret => {
                    world.secret = None;
                    world.version += 1;
                }
                Event::CorruptSecret => {
                    world.secret.get_or_insert_default().insert("ca.key".to_owned(), b"?".to_vec());
                    world.version += 1;
                }
                Event::Rotate => {
                    if let Stored::Authorities(found) = world.see().stored && found.next.is_none() {
                        let make = || Authority::new(world.now, LIFETIMES.authority);
                        let stored = Stored::Authorities(found);
                        let rotated = rotation::carry_out(Change::Introduce, &stored, world.now, &LIFETIMES, make).unwrap();
                        stored::write(&rotated, world.secret.as_mut().unwrap());
                        world.version += 1;
                    }
                }
            }
            world.check();
        }
        world.run(20 * DAY);
        prop_assert_eq!(world.stage(), Stage::Stable);
    }
}
