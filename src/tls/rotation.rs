//! The staged rotation of the authority that all replicas share: what is to be done next, as a pure function of what is
//! stored, what the webhook configurations trust, and the time.
//!
//! An authority signs nothing before every webhook configuration has been seen to trust it for a while, and stays trusted
//! until the last certificate that it signed has expired; so at no moment does the API server meet a certificate that it does
//! not trust. Any replica may take the next step: the store takes a step only from one that has seen the latest state.
//! Nothing here reads a clock, waits, or makes a key.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::authority::{Authority, BACKDATED};
use super::certificate::Certificate;
use super::trust::{Observed, Trust};

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authority. After two thirds of its life the next one is made.
    pub authority: Duration,
    /// A serving certificate. It is made anew after two thirds of its life.
    pub leaf: Duration,
    /// How long a new authority has to be in every webhook configuration before it signs: until every API server has noticed.
    pub settle: Duration,
}

/// What is stored for all replicas.
#[derive(Clone, Debug)]
pub enum Stored {
    /// There is no Secret.
    Absent,
    /// There is one, and nothing is in it yet.
    Empty,
    /// Something that cannot be read, and why.
    Unreadable(String),
    /// The authorities.
    Authorities(Authorities),
}

/// The authorities, by what they are used for.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// Signs.
    pub current: Introduced,
    /// Will sign, once it is trusted everywhere.
    pub next: Option<Introduced>,
    /// Have signed what may still be served.
    pub retired: Vec<Retired>,
}

/// An authority on its way to being trusted.
#[derive(Clone, Debug)]
pub struct Introduced {
    /// The authority.
    pub authority: Arc<Authority>,
    /// Since when every webhook configuration has been seen to trust it.
    pub seen: Option<SystemTime>,
}

/// An authority that signs no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Its certificate.
    pub certificate: Certificate,
    /// Until when it has to be trusted.
    pub until: SystemTime,
}

impl Stored {
    /// The authorities, where there are any.
    #[must_use]
    pub fn authorities(&self) -> Option<&Authorities> {
        match self {
            Self::Authorities(authorities) => Some(authorities),
            Self::Absent | Self::Empty | Self::Unreadable(_) => None,
        }
    }
}

/// A step of the rotation, as a change of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Begin anew with a new authority, because there is none that is of use.
    Begin {
        /// Authorities whose certificates may still be served.
        retired: Vec<Retired>,
    },
    /// Make the next authority.
    Introduce,
    /// Remember that the current authority is trusted everywhere.
    NoteCurrent,
    /// Remember that the next authority is trusted everywhere.
    NoteNext,
    /// Forget that the next authority was trusted everywhere: it is not any more.
    ForgetNext,
    /// Let the next authority sign.
    Promote,
    /// Have these retired instead of those that are.
    Retire(Vec<Retired>),
    /// Forget retired authorities that nobody has to trust, and nobody trusts any more.
    Drop,
}

/// Where the rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is known yet.
    Unknown,
    /// The current authority is on its way into the webhook configurations.
    Starting,
    /// One authority, trusted; nothing is under way.
    Stable,
    /// The next authority is on its way into the webhook configurations.
    Introduced,
    /// The next authority is trusted, and waits for every API server to have noticed.
    Settling,
    /// The authority before is still trusted, until what it signed has expired.
    Retiring,
    /// The stored authority is from this clock's future: one of the replicas' clocks is wrong.
    ClockBehind,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to change in the store.
    pub change: Option<Change>,
    /// Where the rotation stands.
    pub stage: Stage,
    /// When there will be something to do, if nothing else happens before; `None` where that hangs on others.
    pub due: Option<SystemTime>,
}

/// The next step. An unknown trust counts as none: nothing is concluded from it.
#[must_use]
pub fn plan(stored: &Stored, observed: &Observed, now: SystemTime, lifetimes: &Lifetimes) -> Plan {
    let trust = &observed.trust;
    let authorities = match (stored, trust) {
        (Stored::Authorities(authorities), _) => authorities,
        // A Secret that is gone together with the webhook configuration is being uninstalled: made again, it would be left behind.
        (Stored::Absent, Trust::Absent) | (Stored::Absent | Stored::Empty | Stored::Unreadable(_), Trust::Unknown) => {
            return Plan { change: None, stage: Stage::Unknown, due: None };
        }
        (Stored::Absent | Stored::Empty | Stored::Unreadable(_), Trust::Absent | Trust::Bundles(_)) => {
            return Plan { change: Some(anew(stored, trust, now, lifetimes)), stage: Stage::Unknown, due: Some(now) };
        }
    };
    let Authorities { current, next, retired } = authorities;
    let stage = authorities.stage(trust, now);
    let at_once = |change| (Some(change), Some(now));
    let mended = authorities.retired_by(trust, now, lifetimes);
    let (change, due) = match (stage, next) {
        (Stage::ClockBehind, _) => (None, Some(current.authority.certificate.not_before)),
        // With the current one expired there is nothing to lose: no client accepts what is served.
        (_, Some(next)) if current.has_expired(now) && next.authority.certificate.is_valid(now) => {
            at_once(Change::Promote)
        }
        (_, _) if current.has_expired(now) => at_once(anew(stored, trust, now, lifetimes)),
        // Before anything else: the bundle is about to be written by what is stored, and must not lose what is in use.
        (_, _) if mended != *retired => at_once(Change::Retire(mended)),
        (_, Some(next)) if next.has_expired(now) => at_once(Change::Introduce),
        (_, Some(next)) => next.step_as_next(observed, now, lifetimes),
        (_, None) if now >= current.renewal() => at_once(Change::Introduce),
        (_, None) if current.noted(now).is_none() && trust.trusts(&current.authority.certificate) => {
            at_once(Change::NoteCurrent)
        }
        (_, None) => match retired.iter().map(|retired| retired.until).min() {
            // Those whose time is over leave the bundles first.
            Some(end) if end <= now && !authorities.is_any_over_trusted(trust, now) => at_once(Change::Drop),
            Some(end) => (None, Some(end.min(current.renewal()))),
            None => (None, Some(current.renewal())),
        },
    };
    Plan { change, stage, due }
}

/// The change by which a new authority takes the place of all others at once. Whatever other replicas may still serve stays
/// trusted for as long as that lasts: what is stored, and what the bundles hold of ours. An authority that has expired by this
/// clock does so too, because another replica's clock may know better, and it harms nobody.
#[must_use]
pub fn anew(stored: &Stored, trust: &Trust, now: SystemTime, lifetimes: &Lifetimes) -> Change {
    let (authorities, known) = match stored {
        Stored::Authorities(authorities) => (Some(authorities), authorities.retired.as_slice()),
        Stored::Absent | Stored::Empty | Stored::Unreadable(_) => (None, &[][..]),
    };
    let in_use = authorities.into_iter().flat_map(Authorities::in_use);
    Change::Begin { retired: retire(known, in_use.chain(trust.ours()), now, lifetimes) }
}

/// Carries out a change. `make` makes a new authority where one is needed.
///
/// # Errors
/// Where `make` fails.
pub fn carry_out<E>(
    change: Change,
    stored: &Stored,
    now: SystemTime,
    lifetimes: &Lifetimes,
    make: impl FnOnce() -> Result<Authority, E>,
) -> Result<Authorities, E> {
    let new = |authority| Introduced { authority: Arc::new(authority), seen: None };
    let (authorities, change) = match (stored, change) {
        (_, Change::Begin { retired }) => return Ok(Authorities { current: new(make()?), next: None, retired }),
        (Stored::Authorities(authorities), change) => (authorities, change),
        (Stored::Absent | Stored::Empty | Stored::Unreadable(_), _) => {
            return Ok(Authorities { current: new(make()?), next: None, retired: Vec::new() });
        }
    };
    let Authorities { mut current, mut next, mut retired } = authorities.clone();
    match change {
        Change::Introduce => next = Some(new(make()?)),
        Change::NoteCurrent => current.seen = Some(now),
        Change::NoteNext => next = next.map(|next| Introduced { seen: Some(now), ..next }),
        Change::ForgetNext => next = next.map(|next| Introduced { seen: None, ..next }),
        Change::Promote => {
            if let Some(next) = next.take() {
                retired = retire(&retired, [&current.authority.certificate], now, lifetimes);
                current = next;
            }
        }
        Change::Retire(mended) => retired = mended,
        Change::Drop => retired.retain(|retired| retired.until > now),
        // Carried out above.
        Change::Begin { .. } => {}
    }
    Ok(Authorities { current, next, retired })
}

/// Whether a replica has to have a new serving certificate signed by the current authority, given the one that it has.
#[must_use]
pub fn needs_leaf(
    leaf: Option<&Certificate>,
    authorities: &Authorities,
    observed: &Observed,
    now: SystemTime,
    lifetimes: &Lifetimes,
) -> bool {
    let Some(leaf) = leaf.filter(|leaf| now <= leaf.not_after) else { return true };
    let current = &authorities.current;
    let certificate = &current.authority.certificate;
    if now < certificate.not_before {
        return false;
    }
    if leaf.issuer == certificate.subject {
        // Dated back, so that it is older than it looks by that much.
        let made = leaf.not_before + BACKDATED;
        let life = leaf.not_after.duration_since(made).unwrap_or_default();
        // One that would not last longer, because the authority itself is at its end, is no use.
        return now >= made + life * 2 / 3 && certificate.not_after > leaf.not_after;
    }
    // Another authority's, and fine for as long as clients accept it better than what the current one would sign.
    let trust = &observed.trust;
    trust.trusts(certificate) && (current.is_settled(observed, now, lifetimes) || !trust.accepts(leaf, now))
}

/// Whether clients that have not heard the latest may still refuse `leaf`, while other replicas may serve what they accept.
/// `accepted_for` is how long this replica has seen everybody accept what its issuer signs.
#[must_use]
pub fn is_too_new(
    leaf: &Certificate,
    authorities: &Authorities,
    accepted_for: Duration,
    now: SystemTime,
    lifetimes: &Lifetimes,
) -> bool {
    let Authorities { current, retired, .. } = authorities;
    // By a clock that may be behind by that much.
    let long = lifetimes.settle + BACKDATED;
    let is_noted_long_ago = current.noted(now).is_some_and(|since| now >= since + long);
    let is_settled = leaf.issuer == current.authority.certificate.subject && is_noted_long_ago;
    let is_another_served = retired.iter().any(|retired| retired.certificate.is_valid(now));
    is_another_served && !is_settled && accepted_for < lifetimes.settle
}

/// The moment at which new certificates are dated: now, but never before the authority that signs them.
#[must_use]
pub fn issue_time(current: &Authority, now: SystemTime) -> SystemTime {
    now.max(current.certificate.not_before + BACKDATED)
}

/// How many retired authorities are kept, some 20 KiB. More than that come only of somebody who takes the Secret away again and
/// again.
const MOST_RETIRED: usize = 24;

impl Authorities {
    /// What every `caBundle` has to hold: what signs, what will, what has.
    pub fn bundle(&self, now: SystemTime) -> impl Iterator<Item = &Certificate> {
        let retired = self.retired.iter().filter(move |retired| retired.until > now);
        self.in_use().chain(retired.map(|retired| &retired.certificate))
    }

    /// What signs, and what will.
    fn in_use(&self) -> impl Iterator<Item = &Certificate> {
        [Some(&self.current), self.next.as_ref()]
            .into_iter()
            .flatten()
            .map(|introduced| &introduced.authority.certificate)
    }

    /// The retired authorities as they should be: with those that bundles hold and nobody has stored, as after a Secret was put
    /// back from a copy; and none for longer than anything that it signed can last.
    fn retired_by(&self, trust: &Trust, now: SystemTime, lifetimes: &Lifetimes) -> Vec<Retired> {
        let is_known = |certificate: &&Certificate| {
            self.in_use().any(|known| known == *certificate)
                || self.retired.iter().any(|retired| retired.certificate == **certificate)
        };
        let latest = now + retirement(lifetimes) * 2;
        let bounded =
            self.retired.iter().map(|retired| Retired { until: retired.until.min(latest), ..retired.clone() });
        let room = MOST_RETIRED.saturating_sub(self.retired.len());
        let unknown = trust.ours().filter(|certificate| !is_known(certificate)).take(room);
        retire(&bounded.collect::<Vec<_>>(), unknown, now, lifetimes)
    }

    /// Whether any bundle still holds a retired authority whose time is over.
    fn is_any_over_trusted(&self, trust: &Trust, now: SystemTime) -> bool {
        let over = || self.retired.iter().filter(|retired| retired.until <= now);
        trust.certificates().any(|known| over().any(|retired| retired.certificate == *known))
    }

    fn stage(&self, trust: &Trust, now: SystemTime) -> Stage {
        let Self { current, next, retired } = self;
        match next {
            _ if now < current.authority.certificate.not_before => Stage::ClockBehind,
            Some(next) if next.noted(now).is_some() && trust.trusts(&next.authority.certificate) => Stage::Settling,
            Some(_) => Stage::Introduced,
            None if current.noted(now).is_none() => Stage::Starting,
            None if retired.is_empty() => Stage::Stable,
            None => Stage::Retiring,
        }
    }
}

impl Introduced {
    /// What is to be done about the next authority.
    fn step_as_next(
        &self,
        observed: &Observed,
        now: SystemTime,
        lifetimes: &Lifetimes,
    ) -> (Option<Change>, Option<SystemTime>) {
        let certificate = &self.authority.certificate;
        let trust = &observed.trust;
        match self.noted(now) {
            // Made by a clock that is ahead: what it would sign is not valid yet.
            _ if now < certificate.not_before => (None, Some(certificate.not_before)),
            None if trust.trusts(certificate) => (Some(Change::NoteNext), Some(now)),
            None => (None, None),
            Some(_) if !trust.trusts(certificate) => ((*trust != Trust::Unknown).then_some(Change::ForgetNext), None),
            Some(_) if self.is_settled(observed, now, lifetimes) => (Some(Change::Promote), Some(now)),
            Some(since) => {
                let left = lifetimes.settle.saturating_sub(observed.unchanged_for);
                (None, Some((since + lifetimes.settle).max(now + left)))
            }
        }
    }

    fn has_expired(&self, now: SystemTime) -> bool {
        self.authority.certificate.not_after < now
    }

    /// When it has lived for two thirds of its life.
    fn renewal(&self) -> SystemTime {
        let certificate = &self.authority.certificate;
        let made = certificate.not_before + BACKDATED;
        made + certificate.not_after.duration_since(made).unwrap_or_default() * 2 / 3
    }

    /// Since when it is noted as seen. A moment that lies far ahead was noted before the clock was set back, and counts for
    /// nothing; one that lies ahead by less may be of a clock that is a little faster, and is waited for.
    fn noted(&self, now: SystemTime) -> Option<SystemTime> {
        self.seen.filter(|seen| *seen <= now + BACKDATED)
    }

    /// Whether every API server has had the time to notice it, by what is noted and by what this replica has seen itself.
    fn is_settled(&self, observed: &Observed, now: SystemTime, lifetimes: &Lifetimes) -> bool {
        let is_noted_long_ago = self.noted(now).is_some_and(|since| now >= since + lifetimes.settle);
        is_noted_long_ago && observed.unchanged_for >= lifetimes.settle
    }
}

/// How long an authority has to be trusted after it has signed for the last time, with some time for those who are late.
fn retirement(lifetimes: &Lifetimes) -> Duration {
    lifetimes.leaf + (lifetimes.leaf / 2).min(BACKDATED)
}

/// Adds certificates to the retired ones, which keep their time: nothing signs with them any more.
fn retire<'c>(
    known: &[Retired],
    certificates: impl IntoIterator<Item = &'c Certificate>,
    now: SystemTime,
    lifetimes: &Lifetimes,
) -> Vec<Retired> {
    let mut retired = known.to_vec();
    for certificate in certificates {
        if retired.iter().all(|known| known.certificate != *certificate) {
            retired.push(Retired { certificate: certificate.clone(), until: now + retirement(lifetimes) });
        }
    }
    // Those that have signed last are the last ones.
    let too_many = retired.len().saturating_sub(MOST_RETIRED);
    retired.split_off(too_many)
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Starting,
        Self::Stable,
        Self::Introduced,
        Self::Settling,
        Self::Retiring,
        Self::ClockBehind,
    ];

    /// The name, in metrics and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Stable => "stable",
            Self::Introduced => "introduced",
            Self::Settling => "settling",
            Self::Retiring => "retiring",
            Self::ClockBehind => "clock-behind",
        }
    }
}
