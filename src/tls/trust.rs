//! What the webhook configurations trust, and for how long this replica has seen it. Computes, and nothing else.

use std::time::{Duration, SystemTime};

use super::authority::Authority;
use super::certificate::{Certificate, verify_chain};
use super::rotation::Authorities;

/// What one replica sees of the webhook configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What they trust.
    pub trust: Trust,
    /// For how long this replica has seen just that, by a clock of its own that nobody sets. That somebody else has noted a
    /// moment is not enough to conclude how long ago it was: clocks differ.
    pub unchanged_for: Duration,
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

impl Trust {
    /// Whether every entry trusts `certificate`.
    #[must_use]
    pub fn trusts(&self, certificate: &Certificate) -> bool {
        let Self::Bundles(bundles) = self else { return false };
        bundles.iter().all(|bundle| bundle.contains(certificate))
    }

    /// Whether a client that goes by any entry accepts `leaf` at `now`.
    #[must_use]
    pub fn accepts(&self, leaf: &Certificate, now: SystemTime) -> bool {
        let Self::Bundles(bundles) = self else { return false };
        bundles.iter().all(|bundle| verify_chain(std::slice::from_ref(leaf), bundle, now).is_ok())
    }

    /// Whether every entry trusts just what the bundle of `wanted` holds at `now`.
    #[must_use]
    pub fn is_exactly(&self, wanted: &Authorities, now: SystemTime) -> bool {
        let Self::Bundles(bundles) = self else { return false };
        bundles.iter().all(|bundle| {
            bundle.iter().all(|known| wanted.bundle(now).any(|wanted| wanted == known))
                && wanted.bundle(now).all(|wanted| bundle.contains(wanted))
        })
    }

    /// What looks as if one of our replicas had made it.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates().filter(|known| Authority::may_have_made(known))
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let bundles = match self {
            Self::Bundles(bundles) => bundles.as_slice(),
            Self::Unknown | Self::Absent => &[],
        };
        bundles.iter().flatten()
    }
}
