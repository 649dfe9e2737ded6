//! `certs`: making certificates for a machine, and looking after the ones that replicas keep in a cluster.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tls::{LifetimeArgs, NameArgs, TlsMode};
use super::{hint, print};
use crate::tls::certificate::{Certificate, timestamp};
use crate::tls::cluster::{Cluster, REPORT_PATH, Replica, View, WriteFault};
use crate::tls::rotation::{self, Authorities, Change, Plan, Stage, Stored};
use crate::tls::trust::{Observed, Trust};
use crate::tls::{ServedReport, authority, files};
use crate::watch;

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
    /// Say what is stored, trusted and served in a cluster, and what happens next
    Status(StatusArgs),
    /// Start a rotation of the self-managed authority now; the replicas take it through its stages
    Rotate(RotateArgs),
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

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    lifetimes: LifetimeArgs,
    /// Where the replicas' certificates come from; of files, nothing is kept in the cluster
    #[arg(long, value_enum, default_value = "self-managed", env = "ROOK_MULTIHOME_TLS_MODE")]
    tls_mode: TlsMode,
    /// The labels of the replicas
    #[arg(long, value_name = "LABELS", default_value = "app.kubernetes.io/name=rook-multihome")]
    selector: String,
    /// The replicas' admin port
    #[arg(long, value_name = "PORT", default_value = "8080", env = "ROOK_MULTIHOME_ADMIN_PORT")]
    admin_port: u16,
    /// For whom to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Args)]
struct RotateArgs {
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    lifetimes: LifetimeArgs,
}

/// How long a replica on this machine may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For machines
    Json,
}

impl CertsArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            CertsCommand::Make(args) => args.run(),
            CertsCommand::Status(args) => on_cluster(args.run()),
            CertsCommand::Rotate(args) => on_cluster(args.run()),
        }
    }
}

fn on_cluster(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

async fn connect(names: NameArgs) -> anyhow::Result<Cluster> {
    let client = watch::connect().await.context("no Kubernetes cluster to ask; set KUBECONFIG, or run in a pod")?;
    Ok(Cluster::new(client, names.names()))
}

impl MakeArgs {
    fn run(self) -> anyhow::Result<()> {
        let Self { names, cert_dir, days } = self;
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

/// What `status` has found out.
struct Status {
    kept: Result<Kept, String>,
    replicas: Result<Vec<Replica>, String>,
}

/// What the replicas keep in the cluster.
struct Kept {
    secret: String,
    configurations: String,
    stored: Stored,
    observed: Observed,
    plan: Plan,
}

impl StatusArgs {
    async fn run(self) -> anyhow::Result<()> {
        let Self { names, lifetimes, tls_mode, selector, admin_port, output } = self;
        let lifetimes = lifetimes.lifetimes()?;
        let cluster = connect(names).await?;
        let looked = match tls_mode {
            TlsMode::SelfManaged => cluster.look().await,
            TlsMode::Files => Err("nothing: the replicas read their certificates from files".to_owned()),
        };
        let kept = looked.map(|view| {
            let (stored, observed) = (view.stored().unwrap_or(Stored::Absent), seen_once(&cluster, &view));
            let plan = rotation::plan(&stored, &observed, SystemTime::now(), &lifetimes);
            let names = cluster.names();
            let secret = format!("{}/{}", names.namespace, names.secret);
            let configurations: Vec<String> = names.configurations.iter().map(ToString::to_string).collect();
            Kept { secret, configurations: configurations.join(", "), stored, observed, plan }
        });
        let replicas = match cluster.replicas(&selector, admin_port).await {
            // In a container, where the replicas may not be asked for, there is at least the one that is in it.
            Err(fault) => {
                ask_here(admin_port).await.map(|report| vec![("this one".to_owned(), Ok(report))]).ok_or(fault)
            }
            replicas => replicas,
        };
        let status = Status { kept, replicas };
        match output {
            Output::Text => print(&status.text()),
            Output::Json => print(&serde_json::to_string_pretty(&status.json())?),
        }
    }
}

/// What the configurations trust, as somebody sees it who looks once: for how long it has been so is for the replicas to know.
fn seen_once(cluster: &Cluster, view: &View) -> Observed {
    Observed { trust: cluster.trust(view), unchanged_for: Duration::MAX }
}

/// What a replica on this machine serves, where there is one.
async fn ask_here(port: u16) -> Option<ServedReport> {
    let mut stream = TcpStream::connect(("localhost", port)).await.ok()?;
    let request = format!("GET /{REPORT_PATH} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    tokio::time::timeout(ANSWER_DEADLINE, stream.read_to_end(&mut answer)).await.ok()?.ok()?;
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    serde_json::from_slice(&answer[body..]).ok()
}

impl RotateArgs {
    async fn run(self) -> anyhow::Result<()> {
        let Self { names, lifetimes } = self;
        let lifetimes = lifetimes.lifetimes()?;
        let cluster = connect(names).await?;
        let mut view = cluster.look().await.map_err(anyhow::Error::msg)?;
        let (stored, observed) = (view.stored().unwrap_or(Stored::Absent), seen_once(&cluster, &view));
        let now = SystemTime::now();
        let secret = format!("{}/{}", cluster.names().namespace, cluster.names().secret);
        let change = match (&stored, rotation::plan(&stored, &observed, now, &lifetimes).stage) {
            (Stored::Absent | Stored::Empty, _) => {
                bail!("Secret {secret} holds no authority: nothing is self-managed there; is --namespace right?")
            }
            // Nothing that is stored is of use, so there is nothing to go over from.
            (Stored::Unreadable(_), _) | (_, Stage::ClockBehind) => {
                rotation::anew(&stored, &observed.trust, now, &lifetimes)
            }
            (Stored::Authorities(Authorities { next: Some(next), .. }), _) => bail!(
                "a rotation to {} is under way already; rook-multihome certs status says how far it is",
                next.authority.certificate.subject
            ),
            (Stored::Authorities(_), _) => Change::Introduce,
        };
        let make = || authority::Authority::new(now, lifetimes.authority);
        let authorities = rotation::carry_out(change, &stored, now, &lifetimes, make)?;
        cluster.store(&mut view, &authorities).await.map_err(|fault| match fault {
            WriteFault::Conflict => anyhow::anyhow!("somebody else has just written Secret {secret}; try again"),
            WriteFault::Failed(failure) => anyhow::Error::msg(failure),
        })?;
        let new = authorities.next.as_ref().unwrap_or(&authorities.current);
        print(&format!(
            "made {}; the replicas will trust it, then sign with it, then stop trusting the one before",
            new.authority.certificate.subject
        ))?;
        hint("rook-multihome certs status says how far it is");
        Ok(())
    }
}

impl Status {
    fn text(&self) -> String {
        let kept = match &self.kept {
            Ok(kept) => kept.text(),
            Err(fault) => format!("stored and trusted\n  {fault}\n"),
        };
        let served = match &self.replicas {
            Err(fault) => format!("  the replicas cannot be listed: {fault}\n"),
            Ok(replicas) if replicas.is_empty() => "  there are no replicas\n".to_owned(),
            Ok(replicas) => replicas.iter().map(replica_line).collect(),
        };
        let next = match &self.kept {
            Ok(kept) => format!("stage     {}\nnext      {}\n", kept.plan.stage.name(), kept.next()),
            Err(_) => String::new(),
        };
        format!("{kept}served\n{served}{next}")
    }

    fn json(&self) -> Value {
        let served = match &self.replicas {
            Err(fault) => json!({ "fault": fault }),
            Ok(replicas) => replicas
                .iter()
                .map(|(name, report)| match report {
                    Ok(report) => json!({ "replica": name, "certificate": report }),
                    Err(fault) => json!({ "replica": name, "fault": fault }),
                })
                .collect(),
        };
        match &self.kept {
            Ok(kept) => {
                let [stored, trusted] = kept.json();
                json!({
                    "stored": stored,
                    "trusted": trusted,
                    "served": served,
                    "stage": kept.plan.stage.name(),
                    "next": kept.next(),
                })
            }
            Err(fault) => json!({ "fault": fault, "served": served }),
        }
    }
}

impl Kept {
    fn text(&self) -> String {
        let Self { secret, configurations, stored, observed, plan: _ } = self;
        let mut text = format!("stored in Secret {secret}\n");
        match stored {
            Stored::Absent => text.push_str("  there is no such Secret\n"),
            Stored::Empty => text.push_str("  nothing yet\n"),
            Stored::Unreadable(fault) => text.push_str(&format!("  cannot be read: {fault}\n")),
            Stored::Authorities(authorities) => {
                for (part, certificate, more) in parts(authorities) {
                    text.push_str(&format!("  {part:<9}{}{more}\n", line(certificate)));
                }
            }
        }
        text.push_str(&format!("trusted in the caBundle of {configurations}\n"));
        match &observed.trust {
            Trust::Unknown | Trust::Absent => text.push_str("  there is no entry that calls this Service\n"),
            Trust::Bundles(bundles) => {
                for (index, bundle) in bundles.iter().enumerate() {
                    let lines: Vec<String> = bundle.iter().map(line).collect();
                    let lines = if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n           ") };
                    text.push_str(&format!("  entry {:<3}{lines}\n", index + 1));
                }
            }
        }
        text
    }

    /// What happens next, and when.
    fn next(&self) -> String {
        let Plan { change, stage, due } = &self.plan;
        let authorities = match &self.stored {
            Stored::Absent if change.is_none() => return "nothing: this looks uninstalled".to_owned(),
            Stored::Absent | Stored::Empty => {
                return "a replica with self-managed certificates makes an authority".to_owned();
            }
            Stored::Unreadable(_) => return "a replica makes a new authority".to_owned(),
            Stored::Authorities(authorities) => authorities,
        };
        let has_bundles = matches!(self.observed.trust, Trust::Bundles(_));
        if has_bundles && !self.observed.trust.is_exactly(authorities, SystemTime::now()) {
            return "a replica writes the caBundle".to_owned();
        }
        let due_at = due.map_or_else(|| "when that is done".to_owned(), |due| timestamp(due).to_string());
        let is_end_of_retired = authorities.retired.iter().any(|retired| Some(retired.until) == *due);
        let what = match stage {
            Stage::ClockBehind => {
                return format!("nothing, before {due_at}: a clock is wrong; set it right, then run certs rotate");
            }
            Stage::Unknown | Stage::Starting => return "the authority is to be seen in every caBundle".to_owned(),
            Stage::Introduced => return "the next authority is to be seen in every caBundle".to_owned(),
            Stage::Settling => "the next authority signs",
            Stage::Retiring if is_end_of_retired => "a retired authority is not trusted any more",
            Stage::Stable | Stage::Retiring => "the next authority is made",
        };
        format!("{what}, {due_at}")
    }

    /// What is stored, and what is trusted.
    fn json(&self) -> [Value; 2] {
        let describe = |certificate: &Certificate| {
            json!({
                "subject": certificate.subject,
                "serial": certificate.serial,
                "notBefore": timestamp(certificate.not_before),
                "notAfter": timestamp(certificate.not_after),
            })
        };
        let stored = match &self.stored {
            Stored::Absent | Stored::Empty => json!([]),
            Stored::Unreadable(fault) => json!({ "fault": fault }),
            Stored::Authorities(authorities) => parts(authorities)
                .into_iter()
                .map(|(part, certificate, _)| json!({ "part": part, "certificate": describe(certificate) }))
                .collect(),
        };
        let trusted = match &self.observed.trust {
            Trust::Unknown | Trust::Absent => json!([]),
            Trust::Bundles(bundles) => {
                bundles.iter().map(|bundle| bundle.iter().map(describe).collect::<Vec<_>>()).collect()
            }
        };
        [stored, trusted]
    }
}

fn replica_line((name, report): &Replica) -> String {
    match report {
        Ok(report) => format!("  {name}  {}, signed by {}\n", until(report.not_after), report.issuer),
        Err(fault) => format!("  {name}  does not say ({fault})\n"),
    }
}

/// The stored certificates by what they are used for, with what is to be said besides.
fn parts(authorities: &Authorities) -> Vec<(&'static str, &Certificate, String)> {
    let Authorities { current, next, retired } = authorities;
    let seen = |seen: Option<SystemTime>| match seen {
        Some(seen) => format!(", in every caBundle since {}", timestamp(seen)),
        None => ", not yet in every caBundle".to_owned(),
    };
    let mut parts = vec![("current", &current.authority.certificate, seen(current.seen))];
    parts.extend(next.iter().map(|next| ("next", &next.authority.certificate, seen(next.seen))));
    parts.extend(
        retired
            .iter()
            .map(|retired| ("retired", &retired.certificate, format!(", trusted until {}", timestamp(retired.until)))),
    );
    parts
}

fn line(certificate: &Certificate) -> String {
    format!("{}, {}", certificate.subject, until(timestamp(certificate.not_after)))
}

fn until(moment: impl std::fmt::Display) -> String {
    format!("valid until {moment}")
}
