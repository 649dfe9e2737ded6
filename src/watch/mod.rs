//! Kubernetes in: one watch for each kind of object that the systems need, kept for as long as the process lives.
//!
//! Every event becomes an [`Entry`] of the world here, once, and a new snapshot is published; a decision never sees a
//! Kubernetes object and never asks the API server. A watch that fails is tried again, with growing pauses; a kind whose API
//! is not installed is asked for again until it is. Nothing in this room may end the process or take away what was known:
//! while the API server is gone, decisions go on from the last snapshot.

mod object;
mod progress;

pub(crate) use progress::FAILURE_IS_OVER;
pub use progress::{KindProgress, Progress, State};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, pin_mut};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

use self::object::Object;
use crate::world::{Entry, ObjectKind, ObjectName, Published, World};

/// The first pause after a failure; each further one doubles it.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: how long it may take until an API that was just installed is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the API server has to deny a resource that was there before until that is believed. It also does so for a moment
/// after a start, before it has read its custom resource definitions.
const BELIEVED_AFTER: Duration = Duration::from_secs(60);
/// The same for a resource that was never there, when there is nothing to lose but a wrong start.
const BELIEVED_AT_START: Duration = Duration::from_secs(3);
/// How long the API server has to refuse to say whether there is a resource that was not there before until it may be there by
/// now. It also refuses for a moment after a start, before it has read its roles; and while it says nothing, nothing changes.
const DOUBTED_AFTER: Duration = Duration::from_secs(10);
/// Objects a page, when a kind is listed. Small, because a page is held in memory whole.
const PAGE_SIZE: u32 = 50;
/// How long a watch lasts, in seconds, until it is asked for again from where it was: an API server that has gone without a
/// word, as in a power failure, is noticed then, and not before.
pub(crate) const WATCH_SECONDS: u32 = 60;
/// How long the API server may stay silent on any other request. Watches that others make last up to 290 seconds.
const SILENCE: Duration = Duration::from_secs(295);

/// The world that watches change, and where they publish it.
struct Shared {
    world: Mutex<World>,
    published: Arc<Published>,
    progress: Arc<Progress>,
}

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

/// Watches every kind that the world's catalogue needs. Returns at once; the watches end with the runtime.
pub fn start(client: &Client, world: World, published: Arc<Published>) -> Arc<Progress> {
    let kinds = ObjectKind::always(world.current().catalogue());
    let progress = Arc::new(Progress::new(kinds.iter().map(ToString::to_string)));
    let shared = Arc::new(Shared { world: Mutex::new(world), published, progress: Arc::clone(&progress) });
    for (index, kind) in kinds.into_iter().enumerate() {
        tokio::spawn(watch(client.clone(), kind, index, Arc::clone(&shared)));
    }
    progress
}

/// Watches one kind for ever. Where a resource is known in several versions, they are tried in turn.
async fn watch(client: Client, kind: ObjectKind, index: usize, shared: Arc<Shared>) {
    let resource = kind.resource();
    let progress = shared.progress.kind(index);
    let mut pause = FIRST_PAUSE;
    let mut denied_since: Option<Instant> = None;
    let mut refused_since: Option<Instant> = None;
    for version in resource.versions.iter().cycle() {
        let gvk = GroupVersionKind::gvk(&resource.group, version, &resource.kind);
        let api: Api<Object> =
            Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&gvk, &resource.plural));
        let events = watcher::watcher(api, watcher::Config::default().page_size(PAGE_SIZE).timeout(WATCH_SECONDS));
        pin_mut!(events);
        let mut listed = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                // Says only that a list is about to be asked for, which may fail like the one before.
                Ok(Event::Init) => listed.clear(),
                Ok(event) => {
                    pause = FIRST_PAUSE;
                    (denied_since, refused_since) = (None, None);
                    shared.take(&kind, progress, &mut listed, event);
                }
                Err(error) if is_not_installed(&error) => {
                    refused_since = None;
                    let since = *denied_since.get_or_insert_with(Instant::now);
                    let believed_after = if progress.was_listed() { BELIEVED_AFTER } else { BELIEVED_AT_START };
                    let is_believed = since.elapsed() >= believed_after;
                    if !is_believed && !progress.was_listed() {
                        progress.failed("the API server does not know this resource (yet)", Instant::now());
                        break;
                    }
                    if progress.set_state(State::NotInstalled) {
                        tracing::warn!(
                            resource = resource.plural,
                            group = resource.group,
                            "this API is not installed in the cluster; asking again until it is"
                        );
                    }
                    // When a definition is deleted, its objects are deleted first, and those events came.
                    if is_believed {
                        progress.forget();
                        shared.replace_all(&kind, Vec::new());
                    }
                    break;
                }
                Err(error) => {
                    denied_since = None;
                    refused_since = is_refused(&error).then(|| refused_since.unwrap_or_else(Instant::now));
                    if refused_since.is_some_and(|since| since.elapsed() >= DOUBTED_AFTER) {
                        progress.doubt();
                    }
                    let error = with_causes(&error);
                    if progress.last_failure().is_none() {
                        pause = FIRST_PAUSE;
                    }
                    // Every attempt fails in the same way while the API server is gone: that is said once.
                    if progress.failed(&error, Instant::now()) {
                        tracing::warn!(resource = resource.plural, error, "watching failed; trying again");
                    }
                    // The stream remembers where it was, and goes on from there when it is asked again.
                    wait(&mut pause).await;
                }
            }
        }
        wait(&mut pause).await;
    }
}

/// Waits before another attempt, and makes the next pause longer.
pub(crate) async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

impl Shared {
    /// Brings one event into the world. A list is taken over whole when it is complete, so that nothing is ever missing only
    /// because a list has begun anew.
    fn take(
        &self,
        kind: &ObjectKind,
        progress: &KindProgress,
        listed: &mut Vec<(ObjectName, Entry)>,
        event: Event<Object>,
    ) {
        progress.event(Instant::now());
        match event {
            Event::Init => {}
            Event::InitApply(object) => listed.extend(self.read(kind, progress, object)),
            Event::InitDone => {
                let listed = std::mem::take(listed);
                tracing::info!(resource = kind.resource().plural, objects = listed.len(), "listed");
                self.replace_all(kind, listed);
                progress.set_state(State::Synced);
            }
            Event::Apply(object) => {
                if let Some((id, entry)) = self.read(kind, progress, object) {
                    self.change(|world| _ = world.insert(kind, &id, entry));
                }
            }
            Event::Delete(object) => {
                if let Ok(id) = kind.name_of(&object.into_value()) {
                    self.change(|world| world.remove(kind, &id));
                }
            }
        }
    }

    /// Reads one object; what is wrong with it is logged with its name and counted, and the others are not held up.
    fn read(&self, kind: &ObjectKind, progress: &KindProgress, object: Object) -> Option<(ObjectName, Entry)> {
        let read = {
            let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            Entry::read(kind, &object.into_value(), world.current().catalogue())
        };
        let problems = match &read {
            Ok((id, entry)) => entry.problems().into_iter().map(|problem| (id.to_string(), problem)).collect(),
            Err(error) => vec![("(no name)".to_owned(), error.to_string())],
        };
        if !problems.is_empty() {
            progress.malformed();
        }
        for (name, problem) in problems {
            tracing::warn!(kind = kind.resource().kind, name, problem, "this object cannot be used");
        }
        read.ok()
    }

    fn replace_all(&self, kind: &ObjectKind, entries: Vec<(ObjectName, Entry)>) {
        self.change(|world| world.replace_all(kind, entries));
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut world);
        self.published.publish(world.snapshot());
    }
}

/// Whether the API server said that it does not know the resource.
fn is_not_installed(error: &watcher::Error) -> bool {
    answer_code(error) == Some(404)
}

/// Whether the API server said that it will not say.
fn is_refused(error: &watcher::Error) -> bool {
    answer_code(error).is_some_and(|code| (400..500).contains(&code))
}

/// The status code of the API server's answer, where there was one.
fn answer_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
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
