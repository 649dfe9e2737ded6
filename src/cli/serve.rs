//! `serve`: the webhook, fed by a Kubernetes cluster or by manifests. The composition root.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tracing_appender::non_blocking::ErrorCounter;

use super::checks::AdmissionArgs;
use super::tls::{LifetimeArgs, NameArgs, TlsMode};
use super::{CatalogueArgs, SettingsArgs, load_manifests, print};
use crate::serve::{Parts, Phase, Phases, ServeSettings, Server};
use crate::status::cluster::Cluster as StatusCluster;
use crate::status::standing::{Found, Readiness};
use crate::status::writer::Writer;
use crate::tls::clients::{ClientAuthorities, ClientNames};
use crate::tls::cluster::Cluster;
use crate::tls::keeper::Keeper;
use crate::tls::{ServedCertificate, authority, files};
use crate::watch::{self, Progress};
use crate::world::manifests::Report;
use crate::world::{Published, World};

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Serve from YAML or JSON files or folders instead of a Kubernetes cluster. Repeatable
    #[arg(long, value_name = "PATH", env = "ROOK_MULTIHOME_MANIFESTS", value_delimiter = ',')]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    catalogue: CatalogueArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    checks: AdmissionArgs,
    /// Address of the webhook (HTTPS)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443", env = "ROOK_MULTIHOME_LISTEN", value_parser = address)]
    listen: SocketAddr,
    /// Address of /livez, /readyz and /metrics (plain HTTP)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", env = "ROOK_MULTIHOME_ADMIN_LISTEN", value_parser = address)]
    admin_listen: SocketAddr,
    /// The folder with tls.crt, tls.key and ca.crt; with --manifests they are made for localhost where none is there
    #[arg(long, value_name = "FOLDER", default_value = "certs", env = "ROOK_MULTIHOME_CERT_DIR")]
    cert_dir: PathBuf,
    /// Where the serving certificate comes from
    #[arg(long, value_enum, default_value = "files", env = "ROOK_MULTIHOME_TLS_MODE")]
    tls_mode: TlsMode,
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    lifetimes: LifetimeArgs,
    /// Serve only clients with a certificate signed by an authority in this PEM file; see docs/client-authentication.md
    #[arg(long, value_name = "FILE", env = "ROOK_MULTIHOME_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    /// Of those, serve only clients whose certificate has this common name or DNS name. Repeatable, or separated by commas
    #[arg(long = "client-name", value_name = "NAME", requires = "client_ca", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new(), env = "ROOK_MULTIHOME_CLIENT_NAME")]
    client_names: Vec<String>,
    /// How many connections to serve at a time
    #[arg(long, value_name = "COUNT", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=100_000), env = "ROOK_MULTIHOME_MAX_CONNECTIONS")]
    max_connections: u32,
    /// Seconds to serve on after SIGTERM, until nobody sends reviews any more [default: 5, with --manifests 0]
    #[arg(long, value_name = "SECONDS", env = "ROOK_MULTIHOME_DRAIN_DELAY")]
    drain_delay: Option<u16>,
    /// Seconds to wait, after that, for requests under way
    #[arg(long, value_name = "SECONDS", default_value = "15", env = "ROOK_MULTIHOME_DRAIN_DEADLINE")]
    drain_deadline: u16,
    /// Threads that answer reviews [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256), env = "ROOK_MULTIHOME_THREADS")]
    threads: Option<u16>,
}

/// How long the certificates for development are valid.
const DEVELOPMENT_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// How long the lease may take to be given back, once everything else is done.
const LEASE_RETURN: Duration = Duration::from_secs(2);
/// A review in the source tree, to try the server with.
const SAMPLE_REVIEW: &str = "tests/admission/osd-multus/review.json";

impl ServeArgs {
    /// Serves until a signal says to stop.
    pub(super) fn run(self, dropped_log_lines: ErrorCounter) -> anyhow::Result<()> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            runtime.worker_threads(threads.into());
        }
        let runtime = runtime.enable_all().build().context("cannot start the runtime")?;
        #[cfg(feature = "otlp")]
        let traces = super::traces::Traces::start(runtime.handle());
        runtime.block_on(self.serve(dropped_log_lines))?;
        #[cfg(feature = "otlp")]
        if let Some(traces) = traces {
            traces.finish();
        }
        Ok(())
    }

    async fn serve(self, dropped_log_lines: ErrorCounter) -> anyhow::Result<()> {
        let Self {
            manifests,
            catalogue,
            settings,
            checks,
            listen,
            admin_listen,
            cert_dir,
            tls_mode,
            names,
            lifetimes,
            client_ca,
            client_names,
            max_connections,
            drain_delay,
            drain_deadline,
            threads: _,
        } = self;
        let offline = !manifests.is_empty();
        anyhow::ensure!(
            !offline || tls_mode == TlsMode::Files,
            "--tls-mode=self-managed needs a cluster, and --manifests serves without one; leave one of the two out"
        );
        let mut settings = settings.settings();
        checks.apply(&mut settings.checks);
        let lifetimes = lifetimes.lifetimes()?;
        let clients = client_ca.map(|file| ClientAuthorities::read(file, ClientNames::of(client_names))).transpose()?;
        let clients = clients.map(Arc::new);
        let drain_delay = Duration::from_secs(drain_delay.unwrap_or(if offline { 0 } else { 5 }).into());
        let server = Server::bind(ServeSettings {
            listen,
            admin_listen,
            max_connections: usize::try_from(max_connections)?,
            drain_delay,
            drain_deadline: Duration::from_secs(drain_deadline.into()),
        })?;
        let (listen, admin) = server.addresses()?;

        let certificate = Arc::new(ServedCertificate::default());
        let phases = Phases::new();
        let (published, progress, keeping, writer) = if offline {
            let (world, report) = load_manifests(&manifests, &catalogue, settings)?;
            make_development_certificates(&cert_dir, listen.ip())?;
            print(&welcome(&report, listen, admin, &cert_dir, clients.as_deref()))?;
            tokio::spawn(files::keep_serving(cert_dir, Arc::clone(&certificate)));
            (Arc::new(Published::new(world.snapshot())), Arc::new(Progress::of_nothing()), None, None)
        } else {
            let world = World::new(Arc::new(catalogue.load()?), settings);
            let published = Arc::new(Published::new(world.snapshot()));
            let client = watch::connect().await.context(
                "no Kubernetes cluster to watch; set KUBECONFIG, run in a pod, or serve from files with --manifests",
            )?;
            let statuses = StatusCluster::new(client.clone(), names.status_lease());
            let writer = Writer::new(statuses, Arc::clone(&published), identity());
            let keeping = match tls_mode {
                TlsMode::Files => {
                    tokio::spawn(files::keep_serving(cert_dir, Arc::clone(&certificate)));
                    None
                }
                TlsMode::SelfManaged => {
                    let cluster = Cluster::new(client.clone(), names.names());
                    let keeper = Keeper::new(cluster, lifetimes, Arc::clone(&certificate));
                    let keeping = keeper.keeping();
                    tokio::spawn(keeper.run());
                    Some(keeping)
                }
            };
            (Arc::clone(&published), watch::start(&client, world, published), keeping, Some(writer))
        };
        let standing = writer.as_ref().map(Writer::standing);
        let readiness = writer.as_ref().map_or_else(|| Arc::new(Readiness::of(&published.read())), Writer::readiness);
        let found = writer.as_ref().map_or_else(|| Arc::new(Found::of(&published.read())), Writer::found);
        let mut phase = phases.watch();
        let leaving = async move { phase.reached(Phase::Leaving).await };
        let writing = writer.map(|writer| tokio::spawn(writer.run(leaving)));
        if let Some(clients) = &clients {
            tokio::spawn(Arc::clone(clients).keep_reading());
        }

        tracing::info!(version = env!("CARGO_PKG_VERSION"), webhook = %listen, %admin, "serving");
        let parts =
            Parts { published, progress, certificate, keeping, standing, readiness, found, clients, dropped_log_lines };
        tokio::select! {
            served = server.run(parts, &phases) => {
                served?;
                if let Some(writing) = writing {
                    // It gave its lease back long ago, but where the drain is short.
                    _ = tokio::time::timeout(LEASE_RETURN, writing).await;
                }
                Ok(())
            }
            signals = phases.follow_signals(drain_delay) => {
                signals.context("cannot listen for signals")?;
                anyhow::bail!("ended by a second signal, before requests under way were answered")
            }
        }
    }
}

/// A name for this process that no other has: that of its pod, and something random, because a pod may start it again.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "rook-multihome".to_owned());
    format!("{host}_{:016x}", RandomState::new().build_hasher().finish())
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:8443 or [::]:8443")
}

/// Makes certificates for this machine, unless there are any: with files instead of a cluster, nobody else brings them.
fn make_development_certificates(folder: &Path, listen: IpAddr) -> anyhow::Result<()> {
    if files::any_in(folder) {
        // Said now and not only in the log, because without them nothing can be tried.
        files::load(folder, SystemTime::now())?;
        return Ok(());
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.is_loopback() && !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    let issued = authority::issue(&names, SystemTime::now(), DEVELOPMENT_LIFETIME)?;
    files::write(folder, &issued)?;
    tracing::info!(folder = %folder.display(), "made a development authority and certificate, valid for a year");
    Ok(())
}

/// What a user who has just started this by hand wants to know.
fn welcome(
    report: &Report,
    listen: SocketAddr,
    admin: SocketAddr,
    cert_dir: &Path,
    clients: Option<&ClientAuthorities>,
) -> String {
    let Report { files, clusters, attachments, storage_networks, overrides, others, ignored, problems, .. } = report;
    let host = if listen.ip().is_loopback() || listen.ip().is_unspecified() {
        "localhost".to_owned()
    } else {
        SocketAddr::new(listen.ip(), 0).to_string().trim_end_matches(":0").to_owned()
    };
    let (review, make) = if Path::new(SAMPLE_REVIEW).exists() {
        (SAMPLE_REVIEW, "")
    } else {
        (
            "review.json",
            "\n(rook-multihome review --output request --manifests FOLDER POD.yaml > review.json makes one)",
        )
    };
    let client = if clients.is_some() { " --cert client.crt --key client.key" } else { "" };
    format!(
        "Read {files} files: clusters {clusters}, attachment definitions {attachments}, StorageNetworks {storage_networks}, host network overrides {overrides}, other objects {}, problems {}.
Try it from another terminal:

  curl --cacert {ca}{client} https://{host}:{port}/mutate -H 'Content-Type: application/json' -d @{review}
{make}
Health and metrics: http://{admin}/readyz?verbose  http://{admin}/metrics
",
        others + ignored,
        problems.len(),
        ca = cert_dir.join(files::CA_FILE).display(),
        port = listen.port(),
    )
}
