//! `certs`: making certificates.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::print;
use crate::tls::{authority, files};

/// Flags of `certs`.
#[derive(Debug, Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Make an authority and a serving certificate; the authority's key is thrown away
    Make(MakeArgs),
}

#[derive(Debug, Args)]
struct MakeArgs {
    /// A name or address that clients call the webhook by; in a cluster SERVICE.NAMESPACE.svc. Repeatable
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The folder for ca.crt, tls.crt and tls.key; nothing in it is overwritten
    #[arg(long, value_name = "FOLDER", default_value = "certs", env = "ROOK_MULTIHOME_CERT_DIR")]
    cert_dir: PathBuf,
    /// How many days the certificates are valid
    #[arg(long, default_value = "365", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

impl CertsArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let CertsCommand::Make(MakeArgs { names, cert_dir, days }) = self.command;
        let lifetime = Duration::from_hours(24) * days;
        let issued = authority::issue(&names, SystemTime::now(), lifetime)
            .with_context(|| format!("cannot issue a certificate for {}", names.join(", ")))?;
        files::write(&cert_dir, &issued)?;
        print(&format!(
            "made {}, {} and {} in {}, valid for {days} days, for {}",
            files::CA_FILE,
            files::CERTIFICATE_FILE,
            files::KEY_FILE,
            cert_dir.display(),
            names.join(", ")
        ))
    }
}
