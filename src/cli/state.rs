//! What `lint` and `networks` look at: the objects of files, or those of a live cluster at one moment.
//!
//! Of a cluster everything is listed once, by the same watches as in `serve`, and nothing goes on afterwards. What must not be
//! listed is said, and is not known: it must never look as if it did not exist.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;

use super::{CatalogueArgs, SettingsArgs, read_manifests};
use crate::watch::{self, KindProgress, Progress, State as WatchState};
use crate::world::manifests::{Origin, Report};
use crate::world::{ObjectKind, ObjectName, Published, Settings, Snapshot, World};

/// A world from files, or from a Kubernetes cluster.
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    /// A YAML or JSON file, or a folder of them, to look at in the place of the Kubernetes cluster of KUBECONFIG; other kinds than
    /// clusters, StorageNetworks and attachment definitions may be in there. Repeatable
    #[arg(long, value_name = "PATH", env = "ROOK_MULTIHOME_MANIFESTS", value_delimiter = ',')]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    catalogue: CatalogueArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Objects, and what is known about them besides.
pub(super) struct State {
    /// The objects.
    pub(super) snapshot: Snapshot,
    /// Where they come from; of a live cluster nothing.
    pub(super) report: Report,
    /// What could not be listed.
    pub(super) not_listed: Vec<NotListed>,
}

/// A resource that may not be listed.
#[derive(Debug, Serialize)]
pub(super) struct NotListed {
    /// As the API server calls it.
    pub(super) resource: String,
    /// Why.
    pub(super) why: String,
}

/// How long everything may take to be listed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an API server may answer nothing at all. It says at once which APIs it does not have.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it may take until a refusal is believed: right after its start an API server refuses what it grants later.
const REFUSED_FOR: Duration = Duration::from_secs(3);
/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(50);

impl StateArgs {
    /// Reads the files, or lists the objects of the cluster.
    pub(super) fn load(self) -> anyhow::Result<State> {
        let Self { manifests, catalogue, settings } = self;
        if manifests.is_empty() {
            return of_cluster(&catalogue, settings.settings());
        }
        let (world, report) = read_manifests(&manifests, &catalogue, settings.settings())?;
        Ok(State { snapshot: world.snapshot(), report, not_listed: Vec::new() })
    }
}

impl State {
    /// Where an object stands, where it comes from a file.
    pub(super) fn origin(&self, kind: &str, group: &str, id: &ObjectName) -> Option<&Origin> {
        self.report.origin(kind, group, id)
    }

    /// What could not be listed, each as a sentence.
    pub(super) fn gaps(&self) -> impl Iterator<Item = String> {
        self.not_listed.iter().map(|NotListed { resource, why }| {
            format!("warning: {resource} are not known, and nothing is said about them or for want of them: {why}")
        })
    }

    /// How many objects are looked at: clusters, StorageNetworks and attachment definitions.
    pub(super) fn object_count(&self) -> usize {
        self.snapshot.clusters().count() + self.snapshot.storage_networks().count() + self.snapshot.attachment_count()
    }
}

fn of_cluster(catalogue: &CatalogueArgs, settings: Settings) -> anyhow::Result<State> {
    let world = World::new(Arc::new(catalogue.load()?), settings);
    let published = Arc::new(Published::new(world.snapshot()));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let not_listed = runtime.block_on(async {
        let client = watch::connect().await.context(
            "no Kubernetes cluster to look at; set KUBECONFIG, run in a pod, or look at files with --manifests",
        )?;
        let progress = watch::start(&client, world, Arc::clone(&published));
        everything_listed(&progress).await
    })?;
    // The watches end with it, and nobody waits for them.
    runtime.shutdown_background();
    let snapshot = published.read().as_ref().clone();
    Ok(State { snapshot, report: Report::default(), not_listed })
}

/// Waits until all that is looked at is known, but for what must not be listed.
async fn everything_listed(progress: &Progress) -> anyhow::Result<Vec<NotListed>> {
    let start = Instant::now();
    loop {
        let now = Instant::now();
        let kinds: Vec<Arc<KindProgress>> = progress.kinds();
        let kinds: Vec<&KindProgress> = kinds.iter().map(AsRef::as_ref).filter(|kind| matters(kind)).collect();
        let (listing, known): (Vec<&KindProgress>, Vec<&KindProgress>) =
            kinds.into_iter().partition(|kind| kind.state() == WatchState::Listing);
        let fails_for = |kind: &KindProgress, least| kind.failing_for(now).is_some_and(|time| time >= least);
        let is_anything_there = known.iter().any(|kind| kind.state() == WatchState::Synced);
        let are_forbidden = listing.iter().all(|kind| kind.is_forbidden() && fails_for(kind, REFUSED_FOR));
        if are_forbidden && (listing.is_empty() || is_anything_there) {
            return Ok(listing.into_iter().map(not_listed).collect());
        }
        let nobody_answers =
            known.is_empty() && start.elapsed() >= SILENCE && !listing.iter().any(|kind| kind.is_forbidden());
        if are_forbidden || nobody_answers || start.elapsed() >= PATIENCE {
            let seconds = start.elapsed().as_secs();
            bail!("not listed after {seconds} seconds: {}", by_reason(listing.into_iter().map(not_listed)));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What is not listed, with each reason once.
fn by_reason(all: impl Iterator<Item = NotListed>) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for NotListed { resource, why } in all {
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, resources)) => resources.push(resource),
            None => reasons.push((why, vec![resource])),
        }
    }
    let reasons = reasons.into_iter().map(|(why, resources)| format!("{} ({why})", resources.join(", ")));
    reasons.collect::<Vec<_>>().join("; ")
}

/// Whether anything is found in objects of this kind. Those of others only matter to pods.
fn matters(kind: &KindProgress) -> bool {
    match kind.kind() {
        ObjectKind::Cluster(..) | ObjectKind::Attachment | ObjectKind::StorageNetwork => true,
        ObjectKind::Override(_) | ObjectKind::Namespace | ObjectKind::Node | ObjectKind::Workload(..) => false,
    }
}

fn not_listed(kind: &KindProgress) -> NotListed {
    let why = kind.last_failure().unwrap_or_else(|| "no answer yet".to_owned());
    NotListed { resource: kind.resource().to_owned(), why }
}
