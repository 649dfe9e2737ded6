//! The objects as last seen, and the watches that keep seeing them.

use std::time::Instant;

use futures_util::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::configuration::Configuration;
use super::plain;
use crate::tls::rotation::Stored;
use crate::tls::stored;
use crate::watch::{FAILURE_IS_OVER, FIRST_PAUSE, WATCH_SECONDS, wait, with_causes};

/// The objects as last seen.
#[derive(Clone, Default)]
pub struct View {
    pub(super) secret: Seen<Secret>,
    pub(super) configurations: Vec<Seen<Configuration>>,
    /// What went wrong when looking last, and when: at the Secret, then at each configuration.
    pub(super) faults: Vec<Option<(Instant, String)>>,
}

/// One object as last seen.
#[derive(Clone, Default)]
pub(super) enum Seen<K> {
    /// Nobody has looked yet.
    #[default]
    Never,
    /// There is none.
    Absent,
    /// There it is.
    Present(Box<K>),
}

impl View {
    /// What went wrong when looking last, until it goes right again, or nothing more has gone wrong for a while: that a watch
    /// goes on shows only at its next event.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let fresh = self.faults.iter().flatten().filter(|(at, _)| at.elapsed() < FAILURE_IS_OVER);
        let faults: Vec<&str> = fresh.map(|(_, fault)| fault.as_str()).collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// The versions of everything that was seen: whoever has the same has seen the same.
    #[must_use]
    pub fn versions(&self) -> Vec<Option<String>> {
        let configurations = self.configurations.iter().map(|seen| seen.get().and_then(ResourceExt::resource_version));
        [self.secret.get().and_then(ResourceExt::resource_version)].into_iter().chain(configurations).collect()
    }

    /// What is stored; nothing where nobody has looked yet.
    #[must_use]
    pub fn stored(&self) -> Option<Stored> {
        match &self.secret {
            Seen::Never => None,
            Seen::Absent => Some(Stored::Absent),
            Seen::Present(secret) => Some(stored::read(&plain(secret))),
        }
    }
}

impl<K> Seen<K> {
    pub(super) fn of(object: Option<K>) -> Self {
        object.map_or(Self::Absent, |object| Self::Present(Box::new(object)))
    }

    pub(super) fn get(&self) -> Option<&K> {
        match self {
            Self::Present(object) => Some(object),
            Self::Never | Self::Absent => None,
        }
    }
}

/// Watches one object, which is `what` for people, for as long as anybody looks at the view.
pub(super) async fn follow<K>(
    api: Api<K>,
    name: String,
    what: String,
    fault: usize,
    view: watch::Sender<View>,
    put: impl Fn(&mut View, Seen<K>) + Send,
) where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    let events = watcher::watcher(api, config);
    pin_mut!(events);
    let mut pause = FIRST_PAUSE;
    let mut listed = None;
    while let Some(event) = events.next().await {
        let object = match event {
            // Says only that a list is about to be asked for.
            Ok(Event::Init) => {
                listed = None;
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed = Some(object);
                continue;
            }
            Ok(Event::InitDone) => Ok(listed.take()),
            Ok(Event::Apply(object)) => Ok(Some(object)),
            Ok(Event::Delete(_)) => Ok(None),
            Err(error) => Err(error),
        };
        match object {
            Ok(object) => {
                pause = FIRST_PAUSE;
                view.send_modify(|view| {
                    put(view, Seen::of(object));
                    view.faults[fault] = None;
                });
            }
            Err(error) => {
                let error = format!("watching {what} failed: {}", with_causes(&error));
                view.send_if_modified(|view| {
                    let before = view.faults[fault].replace((Instant::now(), error.clone()));
                    before.is_none_or(|(_, before)| before != error)
                });
                wait(&mut pause).await;
            }
        }
        if view.is_closed() {
            return;
        }
    }
}
