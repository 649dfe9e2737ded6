//! The commands, one file each, and what they have in common: flags, their environment variables, logs, exit codes.
//!
//! Data goes to stdout, logs and hints to stderr. A command is an argument struct with a `run`; it wires rooms together and
//! decides nothing itself.

mod certs;
mod checks;
mod explain;
mod input;
mod lint;
mod networks;
mod print;
mod review;
mod serve;
mod state;
mod tls;
#[cfg(feature = "otlp")]
mod traces;
mod words;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::network::InterfaceTemplate;
use crate::storage::{BUILT_IN, Catalogue};
use crate::watch;
use crate::world::manifests::{self, Report};
use crate::world::{DeviceResources, Mode, OutcomeRule, Settings, World};

/// Attaches storage pods to the networks their cluster declares.
///
/// rook-multihome is a mutating admission webhook: it sees a pod being created, finds the storage cluster that owns it, and
/// attaches the networks that the cluster declares, by the pod's role. The same decision can be had from files.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Flags can also be set by the environment variable named beside them."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How logs are written to stderr; auto is plain on a terminal and JSON elsewhere. RUST_LOG chooses which (default: info; of lint and networks error)
    #[arg(long, global = true, value_enum, default_value = "auto", env = "ROOK_MULTIHOME_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer admission reviews over HTTPS, from a Kubernetes cluster's state or from manifests
    Serve(Box<serve::ServeArgs>),
    /// Print the answer to a review, pod or workload in a file
    Review(review::ReviewArgs),
    /// Say step by step what is done with a pod, and why
    Explain(explain::ExplainArgs),
    /// Say what is wrong with networks, in files or in a Kubernetes cluster
    Lint(Box<lint::LintArgs>),
    /// List the attachment definitions that storage uses, and the address ranges that clusters could declare
    Networks(Box<networks::NetworksArgs>),
    /// Make certificates; see and rotate those that the replicas keep in a cluster
    Certs(certs::CertsArgs),
    /// Print the definition of StorageNetwork, a built-in storage system, or the schema of one
    Print(print::PrintArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Auto,
    Plain,
    Json,
}

/// What decisions are made of, besides the pod.
#[derive(Debug, Args)]
struct SettingsArgs {
    /// What is done about clusters that do not say so themselves by the annotation multihome.rook.io/mode: enforce, audit
    /// (nothing is changed or refused, but what would have been is said) or off
    #[arg(long, value_name = "MODE", default_value = Mode::default().name(), env = "ROOK_MULTIHOME_MODE")]
    mode: Mode,
    /// Treat every cluster as if it used the host network, as Rook does under ROOK_ENFORCE_HOST_NETWORK. Set both or neither
    #[arg(long, env = "ROOK_MULTIHOME_ENFORCE_HOST_NETWORK")]
    enforce_host_network: bool,
    /// Attach CSI node plugins to the public network too, and take them off the host network for that. When one of them restarts,
    /// every volume that it mounted on its node hangs, mostly until the node is restarted; docs/decisions.md says more
    #[arg(long, env = "ROOK_MULTIHOME_ATTACH_CSI_NODE_PLUGINS_AND_RISK_HUNG_MOUNTS")]
    attach_csi_node_plugins_and_risk_hung_mounts: bool,
    /// What to do with pods that are left alone for a reason: leave, warn or deny, as in missing-attachment=deny. Repeatable,
    /// or separated by commas; docs/decisions.md lists the reasons and their default outcomes
    #[arg(long = "outcome", value_name = "REASON=OUTCOME", value_delimiter = ',', env = "ROOK_MULTIHOME_OUTCOME")]
    outcomes: Vec<OutcomeRule>,
    /// What to do about devices (SR-IOV and others) that the networks of a pod need and the pod does not request: add what is
    /// missing, skip resources of which it requests any, or off
    #[arg(long, value_name = "MODE", default_value = DeviceResources::default().name(), env = "ROOK_MULTIHOME_DEVICE_RESOURCES")]
    device_resources: DeviceResources,
    /// Name the interfaces of networks that are declared without a name, with Multus: {key}0 makes public0 of the network under
    /// public. Multus counts net1, net2 where this is not set
    #[arg(long, value_name = "TEMPLATE", env = "ROOK_MULTIHOME_INTERFACE_NAMES")]
    interface_names: Option<InterfaceTemplate>,
    #[command(flatten)]
    surroundings: checks::SurroundingsArgs,
}

/// The storage systems that are known.
#[derive(Debug, Args)]
struct CatalogueArgs {
    /// The built-in storage systems to go by. Repeatable, or separated by commas
    #[arg(long, value_name = "SYSTEM", default_values_t = BUILT_IN.map(|(name, _)| name.to_owned()), value_parser = PossibleValuesParser::new(BUILT_IN.map(|(name, _)| name)), hide_possible_values = true, value_delimiter = ',', env = "ROOK_MULTIHOME_SYSTEMS")]
    systems: Vec<String>,
    /// A YAML file that describes a storage system of your own, or a folder of them; docs/storage-systems.md says how. Repeatable
    #[arg(long, value_name = "PATH", value_delimiter = ',', env = "ROOK_MULTIHOME_CATALOGUE")]
    catalogue: Vec<PathBuf>,
}

/// A world from files.
#[derive(Debug, Args)]
struct ManifestArgs {
    /// A YAML or JSON file, or a folder of them, with clusters, StorageNetworks, attachment definitions, and what else counts
    /// (workloads, nodes, namespaces); other kinds are ignored. Repeatable
    #[arg(long, value_name = "PATH", required = true, env = "ROOK_MULTIHOME_MANIFESTS", value_delimiter = ',')]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    catalogue: CatalogueArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Parses the command line and runs the command it names.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command, log_format } = Cli::parse();
    let logs = Logs::start(log_format, command.log_level());
    let failure = command.failure();
    let done = match command {
        Command::Serve(args) => args.run(logs.dropped.clone()).map(|()| ExitCode::SUCCESS),
        Command::Review(args) => args.run().map(|()| ExitCode::SUCCESS),
        Command::Explain(args) => args.run().map(|()| ExitCode::SUCCESS),
        Command::Lint(args) => args.run(),
        Command::Networks(args) => args.run().map(|()| ExitCode::SUCCESS),
        Command::Certs(args) => args.run().map(|()| ExitCode::SUCCESS),
        Command::Print(args) => args.run().map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            hint(&format!("error: {}", watch::with_causes(error.as_ref())));
            failure
        }
    }
}

impl Command {
    /// What is logged where `RUST_LOG` does not say.
    fn log_level(&self) -> &'static str {
        match self {
            // They say in their own words what they meet on the way.
            Self::Lint(_) | Self::Networks(_) => "error",
            Self::Serve(_) | Self::Review(_) | Self::Explain(_) | Self::Certs(_) | Self::Print(_) => "info",
        }
    }

    /// The exit code of an error.
    fn failure(&self) -> ExitCode {
        match self {
            // Its 1 says that something was found, as clap's 2 says that a flag is wrong.
            Self::Lint(_) => ExitCode::from(2),
            Self::Serve(_)
            | Self::Review(_)
            | Self::Explain(_)
            | Self::Networks(_)
            | Self::Certs(_)
            | Self::Print(_) => ExitCode::FAILURE,
        }
    }
}

/// Logging to stderr, for as long as this is kept.
struct Logs {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

/// Log lines that may wait to be written.
const WAITING_LINES: usize = 10_000;

impl Logs {
    /// Starts logging. Lines are written by a thread of their own: when whoever reads them is slow, they wait, then they are
    /// dropped and counted, and no answer waits for them.
    fn start(format: LogFormat, level: &str) -> Self {
        let filter = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        let filter = if filter.is_empty() { level } else { &filter };
        // The client's own complaints say less than ours about the same failures; who wants them names it.
        let is_named = filter.contains("kube");
        let filter = if is_named { filter.to_owned() } else { format!("{filter},kube_client=off,kube_runtime=off") };
        let filter = filter.as_str();
        let filter = EnvFilter::try_new(filter).unwrap_or_else(|error| {
            hint(&format!("warning: RUST_LOG is {filter:?}, which cannot be read ({error}); logging as with {level}"));
            EnvFilter::new(level)
        });
        let writer = NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).lossy(true);
        let (writer, guard) = writer.finish(std::io::stderr());
        let dropped = writer.error_counter();
        let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
        let terminal = std::io::stderr().is_terminal();
        match format {
            LogFormat::Plain => logs.with_ansi(terminal).init(),
            LogFormat::Auto if terminal => logs.with_ansi(true).init(),
            LogFormat::Auto | LogFormat::Json => logs.json().flatten_event(true).init(),
        }
        Self { dropped, _writer: guard }
    }
}

impl SettingsArgs {
    fn settings(self) -> Settings {
        let Self {
            mode,
            enforce_host_network,
            attach_csi_node_plugins_and_risk_hung_mounts,
            outcomes,
            device_resources,
            interface_names,
            surroundings,
        } = self;
        let checks = surroundings.checks();
        Settings {
            mode,
            enforce_host_network,
            attach_csi_node_plugins_and_risk_hung_mounts,
            outcomes,
            device_resources,
            interface_names,
            checks,
        }
    }
}

impl ManifestArgs {
    /// Reads the files; what is wrong with single objects goes to stderr.
    fn load(self) -> anyhow::Result<(World, Report)> {
        let Self { manifests, catalogue, settings } = self;
        load_manifests(&manifests, &catalogue, settings.settings())
    }
}

impl CatalogueArgs {
    /// Reads the systems: the built-in ones that are chosen, then those of the user's files.
    fn load(&self) -> anyhow::Result<Catalogue> {
        let chosen = BUILT_IN.into_iter().filter(|(name, _)| self.systems.iter().any(|chosen| chosen == name));
        let mut files: Vec<(String, String)> =
            chosen.map(|(name, text)| (format!("{name}.yaml (built in)"), text.to_owned())).collect();
        for path in manifests::files_below(&self.catalogue)? {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
        Ok(Catalogue::read(files.iter().map(|(file, text)| (file.as_str(), text.as_str())))?)
    }
}

fn load_manifests(paths: &[PathBuf], catalogue: &CatalogueArgs, settings: Settings) -> anyhow::Result<(World, Report)> {
    let (world, report) = read_manifests(paths, catalogue, settings)?;
    for problem in &report.problems {
        hint(&format!("warning: {problem}"));
    }
    Ok((world, report))
}

/// Reads the files; what is wrong with single objects is for the caller to say.
fn read_manifests(paths: &[PathBuf], catalogue: &CatalogueArgs, settings: Settings) -> anyhow::Result<(World, Report)> {
    let catalogue = Arc::new(catalogue.load()?);
    Ok(manifests::load(paths, catalogue, settings)?)
}

/// Writes data to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

/// Writes a line for people to stderr. Where even that fails, there is nobody to tell.
fn hint(text: &str) {
    _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
