//! Flags about certificates, which `serve` and `certs` have in common.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::status::cluster::LeaseName;
use crate::tls::cluster::{ConfigurationKind, ConfigurationName, Names};
use crate::tls::rotation::Lifetimes;

/// Under which heading --help lists the flags that only self-managed certificates need.
const SELF_MANAGED: &str = "Self-managed certificates";

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TlsMode {
    /// From the files in --cert-dir, read again when they change
    Files,
    /// From an authority of the replicas' own, kept in a Secret, rotated, and written into the caBundle
    SelfManaged,
}

/// What the objects are called that self-managed certificates need.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The namespace of the Service, of the Secret with the authority, and of the Lease of the replica that writes statuses
    #[arg(long, help_heading = SELF_MANAGED, value_name = "NAMESPACE", default_value = "rook-multihome", env = "ROOK_MULTIHOME_NAMESPACE")]
    namespace: String,
    /// The Service by which the API server calls. The Lease of the replica that writes statuses has its name with -status after it
    #[arg(long, help_heading = SELF_MANAGED, value_name = "SERVICE", default_value = "rook-multihome", env = "ROOK_MULTIHOME_SERVICE")]
    service: String,
    /// The Secret with the authority
    #[arg(long, help_heading = SELF_MANAGED, value_name = "SECRET", default_value = "rook-multihome-ca", env = "ROOK_MULTIHOME_CA_SECRET")]
    ca_secret: String,
    /// The MutatingWebhookConfiguration whose caBundle is kept. Repeatable, or separated by commas
    #[arg(
        long = "webhook-configuration",
        help_heading = SELF_MANAGED,
        value_name = "NAME",
        default_value = "rook-multihome",
        value_delimiter = ',',
        env = "ROOK_MULTIHOME_WEBHOOK_CONFIGURATION"
    )]
    webhook_configurations: Vec<String>,
    /// A ValidatingWebhookConfiguration whose caBundle is kept too; none where none is named. Repeatable, or separated by commas
    #[arg(
        long = "validating-webhook-configuration",
        help_heading = SELF_MANAGED,
        value_name = "NAME",
        value_delimiter = ',',
        env = "ROOK_MULTIHOME_VALIDATING_WEBHOOK_CONFIGURATION"
    )]
    validating_webhook_configurations: Vec<String>,
}

/// How long things last.
#[derive(Debug, Args)]
pub(super) struct LifetimeArgs {
    /// How long an authority is valid; the next one is made after two thirds of that. As in 365d, 12h, 30m, 90s
    #[arg(long, help_heading = SELF_MANAGED, value_name = "TIME", default_value = "365d", value_parser = duration, env = "ROOK_MULTIHOME_CA_LIFETIME")]
    ca_lifetime: Duration,
    /// How long a serving certificate is valid; a new one is made after two thirds of that
    #[arg(long, help_heading = SELF_MANAGED, value_name = "TIME", default_value = "7d", value_parser = duration, env = "ROOK_MULTIHOME_LEAF_LIFETIME")]
    leaf_lifetime: Duration,
    /// How long a new authority has to be in the caBundle before anything is signed with it
    #[arg(long, help_heading = SELF_MANAGED, value_name = "TIME", default_value = "1m", value_parser = duration, env = "ROOK_MULTIHOME_CA_SETTLE")]
    ca_settle: Duration,
}

impl NameArgs {
    /// The Lease of the replica that writes the statuses of StorageNetworks.
    pub(super) fn status_lease(&self) -> LeaseName {
        LeaseName { namespace: self.namespace.clone(), name: format!("{}-status", self.service) }
    }

    pub(super) fn names(self) -> Names {
        let Self { namespace, service, ca_secret, webhook_configurations, validating_webhook_configurations } = self;
        let of = |kind| move |name| ConfigurationName { kind, name };
        let mutating = webhook_configurations.into_iter().map(of(ConfigurationKind::Mutating));
        let validating = validating_webhook_configurations.into_iter().map(of(ConfigurationKind::Validating));
        Names { namespace, service, secret: ca_secret, configurations: mutating.chain(validating).collect() }
    }
}

impl LifetimeArgs {
    /// The lifetimes, where they fit each other.
    pub(super) fn lifetimes(self) -> anyhow::Result<Lifetimes> {
        let Self { ca_lifetime, leaf_lifetime, ca_settle } = self;
        anyhow::ensure!(
            leaf_lifetime < ca_lifetime,
            "--leaf-lifetime must be shorter than --ca-lifetime: a certificate is valid no longer than the authority that signed it"
        );
        anyhow::ensure!(
            ca_settle < ca_lifetime / 3,
            "--ca-settle must be shorter than a third of --ca-lifetime: that is all the time that a rotation has"
        );
        Ok(Lifetimes { authority: ca_lifetime, leaf: leaf_lifetime, settle: ca_settle })
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    const HINT: &str = "write a whole number and a unit, as in 365d, 12h, 30m or 90s; at most ten years";
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(HINT),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds)).ok_or(HINT)?;
    let longest = 10 * 366 * 86_400;
    if (1..=longest).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(HINT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("365d"), Ok(Duration::from_hours(365 * 24)));
        for bad in ["", "90", "d", "1.5h", "-1h", "0s", "1w", "99999999999999999999d", "5000d", "1h "] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
