//! What the one who installs this project says about the checks of networks: what surrounds them, which cannot be seen from the
//! objects, and what is done about what is found.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use crate::network::cidr;

/// How bad a finding is, from the worst to the mildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Pods will hang, or run without their network.
    Error,
    /// It works by chance, or not for long.
    Warning,
    /// It works, and there is something better.
    Advice,
}

/// Settings of the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// The networks that the checked ones lie among.
    pub surroundings: Surroundings,
    /// Whether Multus keeps pods to definitions of their own namespace.
    pub isolation: Isolation,
    /// What is refused at admission.
    pub deny: Deny,
    /// What is done about an attachment definition in use that is deleted, or changed so that pods cannot be attached any more.
    pub in_use: InUse,
    /// Whether the address ranges of a CephCluster are written into it where it declares none.
    pub address_ranges: AddressRanges,
}

/// Networks of a Kubernetes cluster that none of its objects tell of. Empty where nobody says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Where pods have the addresses of the cluster's own network.
    pub pods: Vec<IpNet>,
    /// Where Services have their addresses.
    pub services: Vec<IpNet>,
    /// Where hosts have their addresses on the networks that clients use.
    pub hosts: Vec<IpNet>,
}

/// Multus's `namespaceIsolation`: a pod may only be attached to definitions of its own namespace, and of those that are global.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// It is off, as by default.
    #[default]
    Off,
    /// It is on, and these namespaces are global (Multus's `globalNamespaces`; `default` where none are named).
    On(Vec<String>),
}

/// Which findings are a reason to refuse an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deny {
    /// None: they are said, and that is all.
    #[default]
    Never,
    /// Those that are as bad as that, or worse.
    From(Severity),
}

/// What is done about a change that takes an attachment definition away from those who use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InUse {
    /// It is said.
    #[default]
    Warn,
    /// It is refused.
    Deny,
}

/// Whether address ranges are written into clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressRanges {
    /// They are only offered.
    #[default]
    Offer,
    /// They are written where nobody has declared any.
    Write,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Advice];

    /// The name, as in settings, metrics and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

impl Deny {
    /// The name of the setting under which nothing is refused.
    pub const NEVER: &'static str = "never";

    /// Whether a finding of this severity is a reason.
    #[must_use]
    pub fn covers(self, severity: Severity) -> bool {
        match self {
            Self::Never => false,
            // The worst is the least.
            Self::From(least) => severity <= least,
        }
    }
}

impl InUse {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Warn, Self::Deny];

    /// The name, as in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl Surroundings {
    /// Reads a range of addresses, as a flag gives it.
    ///
    /// # Errors
    /// Where it is no range, or names an address inside one.
    pub fn range(text: &str) -> Result<IpNet, String> {
        let range = cidr::parse_cidr(text).ok_or("write an address and a prefix length, such as 10.244.0.0/16")?;
        if cidr::has_host_bits(&range) {
            return Err(format!("{range} is an address inside a range; write {}", range.trunc()));
        }
        Ok(range)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| format!("write one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

impl fmt::Display for Deny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str(Self::NEVER),
            Self::From(severity) => severity.fmt(f),
        }
    }
}

impl FromStr for Deny {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::NEVER {
            return Ok(Self::Never);
        }
        text.parse().map(Self::From).map_err(|known: String| format!("{known}, or {}", Self::NEVER))
    }
}

impl FromStr for InUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| format!("write one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_as_written() {
        for severity in Severity::ALL {
            assert_eq!(severity.to_string().parse(), Ok(severity));
            assert_eq!(Deny::From(severity).to_string().parse(), Ok(Deny::From(severity)));
        }
        assert_eq!("never".parse(), Ok(Deny::Never));
        assert_eq!("always".parse::<Deny>(), Err("write one of error, warning, advice, or never".to_owned()));
        for in_use in InUse::ALL {
            assert_eq!(in_use.name().parse(), Ok(in_use));
        }
    }

    #[test]
    fn what_is_worse_is_covered_too() {
        for (deny, covered) in [
            (Deny::Never, [false, false, false]),
            (Deny::From(Severity::Error), [true, false, false]),
            (Deny::From(Severity::Warning), [true, true, false]),
            (Deny::From(Severity::Advice), [true, true, true]),
        ] {
            assert_eq!(Severity::ALL.map(|severity| deny.covers(severity)), covered, "{deny}");
        }
    }

    #[test]
    fn ranges_of_the_surroundings_are_ranges() {
        assert!(Surroundings::range("10.244.0.0/16").is_ok() && Surroundings::range("fd00::/48").is_ok());
        let error = Surroundings::range("10.244.0.1/16").unwrap_err();
        assert_eq!(error, "10.244.0.1/16 is an address inside a range; write 10.244.0.0/16");
        assert!(Surroundings::range("10.244.0.0").is_err());
    }
}
