//! The watch of one kind of object, for as long as the kind is needed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde_json::Value;

use super::installed::{Inquiry, Presence};
use super::object::{MetadataOnly, Object, Part, WithSpec};
use super::progress::{KindProgress, State};
use super::watches::Watches;
use super::{FIRST_PAUSE, WATCH_SECONDS, wait, with_causes};
use crate::world::{Content, Entry, ObjectKind, ObjectName};

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

/// One kind, how far its watch is, and what the API server said against it.
pub(super) struct Watching {
    kind: ObjectKind,
    /// The resource, with the namespace where it is watched in one: for people.
    name: String,
    progress: Arc<KindProgress>,
    inquiry: Inquiry,
    watches: Arc<Watches>,
    pause: Duration,
    denied_since: Option<Instant>,
    denied_by: DeniedBy,
    refused_since: Option<Instant>,
}

/// What said last that there is no such resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeniedBy {
    /// The list of all APIs: as good as a list without objects, and that nothing can be asked for now does not change it.
    Apis,
    /// Nothing but the answer to a request for the resource.
    Answer,
}

/// How to go on after a failure.
enum Next {
    /// From where it was: the stream remembers that.
    Resume,
    /// From the question whether there is such a resource.
    StartAnew,
}

impl Watching {
    pub(super) fn new(kind: ObjectKind, progress: Arc<KindProgress>, inquiry: Inquiry, watches: Arc<Watches>) -> Self {
        let name = kind.to_string();
        Self {
            kind,
            name,
            progress,
            inquiry,
            watches,
            pause: FIRST_PAUSE,
            denied_since: None,
            denied_by: DeniedBy::Answer,
            refused_since: None,
        }
    }

    /// Watches for as long as the task is let live.
    pub(super) async fn run(mut self, client: Client) {
        loop {
            match self.inquiry.next(&mut self.pause).await {
                Presence::Absent => self.denied(DeniedBy::Apis),
                Presence::Possible(version) => self.follow(events(&client, &self.kind, &version)).await,
            }
        }
    }

    /// Takes events until there may be no such resource.
    async fn follow(&mut self, mut events: BoxStream<'static, watcher::Result<Event<Value>>>) {
        let mut listed = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                // Says only that a list is about to be asked for, which may fail like the one before.
                Ok(Event::Init) => listed.clear(),
                Ok(event) => {
                    self.pause = FIRST_PAUSE;
                    (self.denied_since, self.refused_since) = (None, None);
                    self.take(&mut listed, event);
                }
                Err(error) if answer_code(&error) == Some(404) => return self.denied(DeniedBy::Answer),
                Err(error) => match self.failed(&error) {
                    Next::Resume => wait(&mut self.pause).await,
                    Next::StartAnew => return,
                },
            }
        }
    }

    /// The API server says that there is no such resource, which is not believed at once.
    fn denied(&mut self, by: DeniedBy) {
        self.refused_since = None;
        self.denied_by = by;
        let was_listed = self.progress.was_listed();
        if was_listed && self.denied_since.is_none() {
            self.inquiry.hurry();
        }
        let since = *self.denied_since.get_or_insert_with(Instant::now);
        let believed_after = if was_listed { BELIEVED_AFTER } else { BELIEVED_AT_START };
        let is_believed = since.elapsed() >= believed_after;
        if !is_believed && !was_listed {
            self.progress.failed("the API server does not know this resource (yet)", Instant::now());
            return;
        }
        let is_new = self.progress.state() != State::NotInstalled;
        // When a definition is deleted, its objects are deleted first, and those events came.
        if is_believed && (was_listed || is_new) {
            self.progress.forget();
            self.watches.replace_all(&self.kind, &self.progress, Vec::new());
        }
        if self.progress.set_state(State::NotInstalled) {
            let message = "this API is not installed in the cluster; it will be watched when it is";
            // Nobody has every storage system.
            if was_listed {
                tracing::warn!(resource = self.name, "{message}");
            } else {
                tracing::info!(resource = self.name, "{message}");
            }
        }
    }

    /// Listing or watching failed in another way.
    fn failed(&mut self, error: &watcher::Error) -> Next {
        let code = answer_code(error);
        self.denied_since = None;
        // Where the API server says that it will not say.
        let is_refused = code.is_some_and(|code| (400..500).contains(&code));
        let starts_anew = is_refused && !self.progress.was_listed();
        if starts_anew && self.refused_since.is_none() {
            self.inquiry.hurry();
        }
        self.refused_since = is_refused.then(|| self.refused_since.unwrap_or_else(Instant::now));
        let is_lasting = self.refused_since.is_some_and(|since| since.elapsed() >= DOUBTED_AFTER);
        if is_lasting {
            self.progress.refuse();
        }
        let is_doubtful = self.denied_by == DeniedBy::Answer || self.progress.was_listed();
        if is_doubtful && is_lasting {
            self.progress.doubt();
        }
        let mut message = with_causes(error);
        self.progress.forbid(code == Some(403));
        if code == Some(403) {
            message = format!("{message}; give this service account the verbs list and watch on {}", self.name);
        }
        if self.progress.last_failure().is_none() {
            self.pause = FIRST_PAUSE;
        }
        // Every attempt fails in the same way while the API server is gone: that is said once.
        if self.progress.failed(&message, Instant::now()) {
            tracing::warn!(resource = self.name, error = message, "watching failed; trying again");
        }
        // Who has no right to a resource is refused also where there is none.
        if starts_anew { Next::StartAnew } else { Next::Resume }
    }

    /// Brings one event into the world. A list is taken over whole when it is complete, so that nothing is ever missing only
    /// because a list has begun anew.
    fn take(&self, listed: &mut Vec<(ObjectName, Entry)>, event: Event<Value>) {
        self.progress.event(Instant::now());
        match event {
            Event::Init => {}
            Event::InitApply(object) => listed.extend(self.read(&object)),
            Event::InitDone => {
                let listed = std::mem::take(listed);
                tracing::info!(resource = self.name, objects = listed.len(), "listed");
                // First what it brings, with the watches that are needed for it: until then this one is in the way of readiness.
                self.watches.replace_all(&self.kind, &self.progress, listed);
                self.progress.set_state(State::Synced);
            }
            Event::Apply(object) => {
                if let Some((id, entry)) = self.read(&object) {
                    self.watches.insert(&self.kind, &self.progress, &id, entry);
                }
            }
            Event::Delete(object) => {
                if let Ok(id) = self.kind.name_of(&object) {
                    self.watches.remove(&self.kind, &self.progress, &id);
                }
            }
        }
    }

    /// Reads one object; what is wrong with it is logged with its name and counted, and the others are not held up.
    fn read(&self, object: &Value) -> Option<(ObjectName, Entry)> {
        let read = self.watches.read(&self.kind, object);
        let problems = match &read {
            Ok((id, entry)) => entry.problems().into_iter().map(|problem| (id.to_string(), problem)).collect(),
            Err(error) => vec![("(no name)".to_owned(), error.to_string())],
        };
        if !problems.is_empty() {
            self.progress.malformed();
        }
        for (name, problem) in problems {
            let resource = self.kind.resource();
            tracing::warn!(
                kind = resource.kind,
                resource = resource.full_name(),
                name,
                problem,
                "this object cannot be used"
            );
        }
        read.ok()
    }
}

/// The events of a kind, whose resource may be there in this version.
fn events(client: &Client, kind: &ObjectKind, version: &str) -> BoxStream<'static, watcher::Result<Event<Value>>> {
    match kind.content() {
        Content::Spec => events_of::<WithSpec>(client, kind, version),
        Content::Metadata => events_of::<MetadataOnly>(client, kind, version),
    }
}

fn events_of<P: Part>(
    client: &Client,
    kind: &ObjectKind,
    version: &str,
) -> BoxStream<'static, watcher::Result<Event<Value>>> {
    let resource = kind.resource();
    let gvk = GroupVersionKind::gvk(&resource.group, version, &resource.kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &resource.plural);
    let api: Api<Object<P>> = match kind.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let config = watcher::Config::default().page_size(PAGE_SIZE).timeout(WATCH_SECONDS);
    let kept = |event| match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(Object::into_value(object)),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(object.into_value()),
        Event::Delete(object) => Event::Delete(object.into_value()),
    };
    watcher::watcher(api, config).map_ok(kept).boxed()
}

/// The status code of the API server's answer, where there was one.
fn answer_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}
