//! Kubernetes in: one watch for each kind of object that the systems need, for as long as it is needed.
//!
//! Every event becomes an [`Entry`](crate::world::Entry) of the world here, once, and a new snapshot is published; a decision
//! never sees a Kubernetes object and never asks the API server. A watch that fails is tried again, with growing pauses; a kind
//! whose API is not installed waits until it is. Nothing in this room may end the process or take away what was known: while
//! the API server is gone, decisions go on from the last snapshot.

mod installed;
mod object;
mod progress;
mod watches;
mod watching;

pub(crate) use progress::FAILURE_IS_OVER;
pub use progress::{KindProgress, Progress, State};

use std::sync::Arc;
use std::time::Duration;

use kube::Client;

use self::watches::Watches;
use crate::world::{Published, World};

/// The first pause after a failure; each further one doubles it.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: how long it may take until an API that was just installed is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a watch lasts, in seconds, until it is asked for again from where it was: an API server that has gone without a
/// word, as in a power failure, is noticed then, and not before.
pub(crate) const WATCH_SECONDS: u32 = 60;
/// How long the API server may stay silent on any other request. Watches that others make last up to 290 seconds.
const SILENCE: Duration = Duration::from_secs(295);

/// Connects by the usual rules: `KUBECONFIG`, `~/.kube/config`, or the service account of the pod.
///
/// # Errors
/// Where there is no configuration, or it cannot be used.
pub async fn connect() -> Result<Client, kube::Error> {
    let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
    // Without it, an answer that never comes is waited for without end.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    Client::try_from(config)
}

/// Watches every kind that the world's catalogue needs, and those that are needed because of what there is. Returns at once; the
/// watches end with the runtime.
#[must_use]
pub fn start(client: &Client, world: World, published: Arc<Published>) -> Arc<Progress> {
    Watches::begin(client, world, published).progress()
}

/// Waits before another attempt, and makes the next pause longer.
pub(crate) async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

/// An error with the errors below it, which is where the cause is; what a message says already is not said again.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let mut message = error.to_string();
    for cause in causes.map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}
