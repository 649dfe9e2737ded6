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

/// What the webhook configurations trust, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// There is no webhook configuration of ours, so there is nobody to trust.
    Absent,
    /// The `caBundle` of every entry that calls us; never empty.
    Bundles(Vec<Vec<Certificate>>),
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
    /// Stop trusting retired authorities whose time is over.
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
pub fn plan(stored: &Stored, trust: &Trust, now: SystemTime, lifetimes: &Lifetimes) -> Plan {
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
    let (change, due) = match (stage, next) {
        (Stage::ClockBehind, _) => (None, Some(current.authority.certificate.not_before)),
        // With the current one expired there is nothing to lose: no client accepts what is served.
        (_, Some(next)) if current.has_expired(now) && next.authority.certificate.is_valid(now) => {
            (Some(Change::Promote), Some(now))
        }
        (_, _) if current.has_expired(now) => (Some(anew(stored, trust, now, lifetimes)), Some(now)),
        (_, Some(next)) if next.has_expired(now) => (Some(Change::Introduce), Some(now)),
        (_, Some(next)) => match next.seen_before(now) {
            None if trust.trusts(&next.authority.certificate) => (Some(Change::NoteNext), Some(now)),
            None => (None, None),
            Some(_) if !trust.trusts(&next.authority.certificate) => {
                ((*trust != Trust::Unknown).then_some(Change::ForgetNext), None)
            }
            Some(seen) if now >= seen + lifetimes.settle => (Some(Change::Promote), Some(now)),
            Some(seen) => (None, Some(seen + lifetimes.settle)),
        },
        (_, None) if now >= current.renewal() => (Some(Change::Introduce), Some(now)),
        (_, None) if current.seen_before(now).is_none() && trust.trusts(&current.authority.certificate) => {
            (Some(Change::NoteCurrent), Some(now))
        }
        (_, None) => match retired.iter().map(|retired| retired.until).min() {
            Some(end) if end <= now => (Some(Change::Drop), Some(now)),
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
    let stored = match stored {
        Stored::Authorities(authorities) => Some(authorities.bundle()),
        Stored::Absent | Stored::Empty | Stored::Unreadable(_) => None,
    };
    let in_bundles = trust.certificates().filter(|known| Authority::may_have_made(known));
    Change::Begin { retired: retire(stored.into_iter().flatten().chain(in_bundles), now, lifetimes) }
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
                retired.extend(retire([&current.authority.certificate], now, lifetimes));
                current = next;
            }
        }
        // What has to be dropped is dropped below; the other was carried out above.
        Change::Drop | Change::Begin { .. } => {}
    }
    retired.retain(|retired| retired.until > now);
    Ok(Authorities { current, next, retired })
}

/// Whether a replica has to have a new serving certificate signed by the current authority, given the one that it has.
#[must_use]
pub fn needs_leaf(
    leaf: Option<&Certificate>,
    authorities: &Authorities,
    trust: &Trust,
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
    let is_settled = current.seen_before(now).is_some_and(|seen| now >= seen + lifetimes.settle);
    let is_trusted_no_more = !trust.trusts_subject(&leaf.issuer);
    trust.trusts(certificate) && (is_settled || is_trusted_no_more)
}

/// The moment at which new certificates are dated: now, but never before the authority that signs them.
#[must_use]
pub fn issue_time(current: &Authority, now: SystemTime) -> SystemTime {
    now.max(current.certificate.not_before + BACKDATED)
}

impl Authorities {
    /// What every `caBundle` has to hold: what signs, what will, what has.
    pub fn bundle(&self) -> impl Iterator<Item = &Certificate> {
        let introduced = [Some(&self.current), self.next.as_ref()].into_iter().flatten();
        let retired = self.retired.iter().map(|retired| &retired.certificate);
        introduced.map(|introduced| &introduced.authority.certificate).chain(retired)
    }

    fn stage(&self, trust: &Trust, now: SystemTime) -> Stage {
        let Self { current, next, retired } = self;
        match next {
            _ if now < current.authority.certificate.not_before => Stage::ClockBehind,
            Some(next) if next.seen_before(now).is_some() && trust.trusts(&next.authority.certificate) => {
                Stage::Settling
            }
            Some(_) => Stage::Introduced,
            None if current.seen_before(now).is_none() => Stage::Starting,
            None if retired.is_empty() => Stage::Stable,
            None => Stage::Retiring,
        }
    }
}

impl Introduced {
    fn has_expired(&self, now: SystemTime) -> bool {
        self.authority.certificate.not_after < now
    }

    /// When it has lived for two thirds of its life.
    fn renewal(&self) -> SystemTime {
        let certificate = &self.authority.certificate;
        let made = certificate.not_before + BACKDATED;
        made + certificate.not_after.duration_since(made).unwrap_or_default() * 2 / 3
    }

    /// Since when it has been seen. A moment that lies ahead was noted before the clock was set back, and counts for nothing.
    fn seen_before(&self, now: SystemTime) -> Option<SystemTime> {
        self.seen.filter(|seen| *seen <= now + CLOCK_SKEW)
    }
}

/// How far the clocks of two replicas may be apart without consequences.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Keeps certificates trusted until what they may have signed by now has expired, with some time for those who are late.
fn retire<'c>(
    certificates: impl IntoIterator<Item = &'c Certificate>,
    now: SystemTime,
    lifetimes: &Lifetimes,
) -> Vec<Retired> {
    let until = now + lifetimes.leaf + (lifetimes.leaf / 2).min(BACKDATED);
    let mut retired: Vec<Retired> = Vec::new();
    for certificate in certificates {
        if retired.iter().all(|known| known.certificate != *certificate) {
            retired.push(Retired { certificate: certificate.clone(), until });
        }
    }
    retired
}

impl Trust {
    /// Whether every entry trusts `certificate`.
    #[must_use]
    pub fn trusts(&self, certificate: &Certificate) -> bool {
        self.all(|known| known == certificate)
    }

    /// Whether every entry trusts an authority of that name.
    #[must_use]
    pub fn trusts_subject(&self, subject: &str) -> bool {
        self.all(|known| known.subject == subject)
    }

    /// Whether every entry trusts just what the bundle of `wanted` holds.
    #[must_use]
    pub fn is_exactly(&self, wanted: &Authorities) -> bool {
        let Self::Bundles(bundles) = self else { return false };
        bundles.iter().all(|bundle| {
            bundle.iter().all(|known| wanted.bundle().any(|wanted| wanted == known))
                && wanted.bundle().all(|wanted| bundle.contains(wanted))
        })
    }

    fn all(&self, is_it: impl Fn(&Certificate) -> bool) -> bool {
        let Self::Bundles(bundles) = self else { return false };
        bundles.iter().all(|bundle| bundle.iter().any(&is_it))
    }

    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let bundles = match self {
            Self::Bundles(bundles) => bundles.as_slice(),
            Self::Unknown | Self::Absent => &[],
        };
        bundles.iter().flatten()
    }
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
