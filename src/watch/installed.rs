//! Which APIs there are: one question for all of them, in the place of one for each resource that is not there.
//!
//! Most clusters have one storage system, and the catalogue knows many. What waits for its API to be installed waits here, for
//! the next answer to `GET /apis`; nobody asks while nothing waits. Where the API server does not answer that question, each
//! resource is asked for by itself, at the same pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{Notify, watch};

use super::{FIRST_PAUSE, wait};
use crate::storage::Resource;

/// How long the answer is waited for. Until then nothing that waits here can be asked for by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// The versions of each group that the API server serves.
type Groups = BTreeMap<String, Vec<String>>;

/// The one question, and who waits for its answer.
pub(super) struct Installed {
    answer: watch::Sender<Answer>,
    /// Somebody has begun to wait.
    wanted: Notify,
    /// Somebody was told something else than before.
    urgent: Notify,
}

#[derive(Clone, Debug, Default)]
struct Answer {
    /// Counted from one; nothing was asked yet at zero.
    number: u64,
    /// None where the API server did not say.
    groups: Option<Arc<Groups>>,
}

/// What is known about a resource before it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Its API is not served.
    Absent,
    /// It may be there, in this version.
    Possible(String),
}

/// The inquiries of one resource, each of which waits for a newer answer.
pub(super) struct Inquiry {
    resource: Resource,
    installed: Arc<Installed>,
    /// The number of the answer that was used last.
    seen: u64,
    turn: usize,
}

impl Installed {
    /// Asks for as long as the runtime lives, whenever somebody waits for an answer.
    pub(super) fn start(client: &Client) -> Arc<Self> {
        let installed =
            Arc::new(Self { answer: watch::Sender::default(), wanted: Notify::new(), urgent: Notify::new() });
        tokio::spawn(Arc::clone(&installed).keep_asking(client.clone()));
        installed
    }

    async fn keep_asking(self: Arc<Self>, client: Client) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Whoever waits holds a receiver for as long, and no longer.
            while self.answer.receiver_count() == 0 {
                self.wanted.notified().await;
                pause = FIRST_PAUSE;
            }
            let groups = ask(&client).await.map(Arc::new);
            let is_news = self.answer.borrow().groups != groups;
            self.answer.send_modify(|answer| *answer = Answer { number: answer.number + 1, groups });
            // A group is served a moment before its resources are.
            if is_news {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = wait(&mut pause) => {}
                () = self.urgent.notified() => {
                    pause = FIRST_PAUSE;
                    wait(&mut pause).await;
                }
            }
        }
    }

    /// The next answers are to come soon: what the API server says is not what it said before, and may change again at once.
    pub(super) fn hurry(&self) {
        self.urgent.notify_one();
    }

    /// The inquiries of a resource.
    pub(super) fn inquiry(self: &Arc<Self>, resource: Resource) -> Inquiry {
        Inquiry { resource, installed: Arc::clone(self), seen: 0, turn: 0 }
    }

    /// The first answer after that of this number.
    async fn answer_after(&self, number: u64) -> Answer {
        let mut answers = self.answer.subscribe();
        self.wanted.notify_one();
        // The sender lives as long as `self`, so there is an answer at some time.
        answers.wait_for(|answer| answer.number > number).await.map(|answer| answer.clone()).unwrap_or_default()
    }
}

async fn ask(client: &Client) -> Option<Groups> {
    match tokio::time::timeout(PATIENCE, client.list_api_groups()).await {
        Ok(Ok(list)) => {
            let versions =
                |group: Vec<_>| group.into_iter().map(|version: GroupVersion| version.version).collect::<Vec<_>>();
            Some(list.groups.into_iter().map(|group| (group.name, versions(group.versions))).collect())
        }
        Ok(Err(error)) => {
            let error = super::with_causes(&error);
            tracing::debug!(error, "the API groups cannot be listed; each resource is asked for by itself");
            None
        }
        Err(_) => None,
    }
}

type GroupVersion = k8s_openapi::apimachinery::pkg::apis::meta::v1::GroupVersionForDiscovery;

impl Inquiry {
    /// What to do next about the resource: waits for an answer that was not used yet. The core's kinds are always there, and
    /// are asked for after `pause`, from the second time on.
    pub(super) async fn next(&mut self, pause: &mut Duration) -> Presence {
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        if self.resource.group.is_empty() {
            if turn > 0 {
                wait(pause).await;
            }
            return presence(None, &self.resource, turn);
        }
        let answer = self.installed.answer_after(self.seen).await;
        self.seen = answer.number;
        presence(answer.groups.as_deref(), &self.resource, turn)
    }

    /// The next answers are to come soon.
    pub(super) fn hurry(&self) {
        self.installed.hurry();
    }
}

/// Whether a resource may be there. Where it is known in several versions, those that are served are tried in turn: a group may
/// serve a version that does not have the resource.
fn presence(groups: Option<&Groups>, resource: &Resource, turn: usize) -> Presence {
    let served: Vec<&String> = match groups {
        None => resource.versions.iter().collect(),
        Some(groups) => {
            let served = groups.get(&resource.group).map(Vec::as_slice).unwrap_or_default();
            resource.versions.iter().filter(|version| served.contains(version)).collect()
        }
    };
    match served.len() {
        0 => Presence::Absent,
        count => Presence::Possible(served[turn % count].clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(group: &str, versions: &[&str]) -> Resource {
        Resource {
            group: group.to_owned(),
            versions: versions.iter().map(ToString::to_string).collect(),
            kind: "Thing".to_owned(),
            plural: "things".to_owned(),
        }
    }

    fn possible(version: &str) -> Presence {
        Presence::Possible(version.to_owned())
    }

    #[test]
    fn a_resource_is_absent_only_where_none_of_its_versions_is_served() {
        let groups = Groups::from([
            ("batch".to_owned(), vec!["v1".to_owned(), "v1beta1".to_owned()]),
            ("new.io".to_owned(), vec!["v9".to_owned()]),
        ]);
        let ask = |group, versions: &[&str], turn| presence(Some(&groups), &resource(group, versions), turn);
        assert_eq!(ask("old.io", &["v1"], 0), Presence::Absent);
        assert_eq!(ask("new.io", &["v1"], 0), Presence::Absent, "only in a version that nobody here reads");
        assert_eq!(ask("batch", &["v1", "v1beta1"], 0), possible("v1"), "the preferred one first");
        assert_eq!(ask("batch", &["v1", "v1beta1"], 1), possible("v1beta1"));
        assert_eq!(ask("batch", &["v1", "v1beta1"], 2), possible("v1"));
        assert_eq!(ask("batch", &["v2", "v1beta1"], 2), possible("v1beta1"), "what is not served is passed over");
    }

    #[test]
    fn without_an_answer_every_version_is_tried() {
        let resource = resource("old.io", &["v2", "v1"]);
        assert_eq!(presence(None, &resource, 0), possible("v2"));
        assert_eq!(presence(None, &resource, 1), possible("v1"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_core_is_asked_for_without_asking_whether_it_is_there() {
        // Nobody answers here.
        let installed =
            Arc::new(Installed { answer: watch::Sender::default(), wanted: Notify::new(), urgent: Notify::new() });
        let mut inquiry = installed.inquiry(resource("", &["v1"]));
        let mut pause = FIRST_PAUSE;
        let start = tokio::time::Instant::now();
        assert_eq!(inquiry.next(&mut pause).await, possible("v1"));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(inquiry.next(&mut pause).await, possible("v1"));
        assert_eq!((start.elapsed(), pause), (FIRST_PAUSE, FIRST_PAUSE * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_used_once() {
        let installed =
            Arc::new(Installed { answer: watch::Sender::default(), wanted: Notify::new(), urgent: Notify::new() });
        let answer = |number, group: &str| {
            let groups = Some(Arc::new(Groups::from([(group.to_owned(), vec!["v1".to_owned()])])));
            installed.answer.send_replace(Answer { number, groups });
        };
        answer(1, "other.io");
        let mut inquiry = installed.inquiry(resource("things.io", &["v1"]));
        let mut pause = FIRST_PAUSE;
        assert_eq!(inquiry.next(&mut pause).await, Presence::Absent);
        let soon = Duration::from_secs(60);
        assert!(tokio::time::timeout(soon, inquiry.next(&mut pause)).await.is_err(), "the same answer again");
        assert_eq!(installed.answer.receiver_count(), 0, "who does not wait any more is not counted");
        answer(2, "things.io");
        assert_eq!(inquiry.next(&mut pause).await, possible("v1"));
    }
}
