//! The watches that there are, and the world that they change.
//!
//! Some kinds are watched always; others are needed because of what there is, such as the workloads in namespaces with a
//! cluster. That can change only with a cluster or a StorageNetwork, and is looked at then, in the same moment: so nobody sees
//! a world whose clusters are known and whose watches are not begun.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Client;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::installed::Installed;
use super::progress::{KindProgress, Progress};
use super::watching::Watching;
use crate::world::{Entry, ObjectError, ObjectKind, ObjectName, Published, World};

/// What all watches share.
pub(super) struct Watches {
    client: Client,
    held: Mutex<Held>,
    published: Arc<Published>,
    progress: Arc<Progress>,
    installed: Arc<Installed>,
}

/// What is changed together.
struct Held {
    world: World,
    running: BTreeMap<ObjectKind, Running>,
}

/// One watch.
struct Running {
    progress: Arc<KindProgress>,
    task: AbortHandle,
}

/// What an event changed.
enum Change {
    /// Nothing that anybody reads.
    Nothing,
    /// The world.
    World,
}

impl Watches {
    /// Begins to watch what is needed.
    pub(super) fn begin(client: &Client, world: World, published: Arc<Published>) -> Arc<Self> {
        let watches = Arc::new(Self {
            client: client.clone(),
            held: Mutex::new(Held { world, running: BTreeMap::new() }),
            published,
            progress: Arc::new(Progress::of_nothing()),
            installed: Installed::start(client),
        });
        watches.tend(&mut watches.lock());
        watches
    }

    /// How far they are.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Adds an entry, or replaces the one of that name. Workloads and nodes change all the time in what does not matter here:
    /// then nothing is copied, and nothing published.
    pub(super) fn insert(
        self: &Arc<Self>,
        kind: &ObjectKind,
        progress: &Arc<KindProgress>,
        id: &ObjectName,
        entry: Entry,
    ) {
        self.change(kind, progress, |world| {
            if world.has(kind, id, &entry) {
                return Change::Nothing;
            }
            world.insert(kind, id, entry);
            Change::World
        });
    }

    /// Removes the entry of that name.
    pub(super) fn remove(self: &Arc<Self>, kind: &ObjectKind, progress: &Arc<KindProgress>, id: &ObjectName) {
        self.change(kind, progress, |world| {
            world.remove(kind, id);
            Change::World
        });
    }

    /// Replaces all entries of a kind.
    pub(super) fn replace_all(
        self: &Arc<Self>,
        kind: &ObjectKind,
        progress: &Arc<KindProgress>,
        entries: Vec<(ObjectName, Entry)>,
    ) {
        self.change(kind, progress, |world| {
            world.replace_all(kind, entries);
            Change::World
        });
    }

    /// Reads an object; by the catalogue, which never changes.
    pub(super) fn read(&self, kind: &ObjectKind, object: &Value) -> Result<(ObjectName, Entry), ObjectError> {
        Entry::read(kind, object, self.published.read().catalogue())
    }

    /// Changes the world on behalf of one watch. One that was ended has no say any more, even if it was just about to: another
    /// one of its kind may have begun.
    fn change(
        self: &Arc<Self>,
        kind: &ObjectKind,
        progress: &Arc<KindProgress>,
        change: impl FnOnce(&mut World) -> Change,
    ) {
        let mut held = self.lock();
        if !held.running.get(kind).is_some_and(|running| Arc::ptr_eq(&running.progress, progress)) {
            return;
        }
        match change(&mut held.world) {
            Change::Nothing => {}
            Change::World => {
                if decides_what_is_needed(kind) {
                    self.tend(&mut held);
                }
                self.published.publish(held.world.snapshot());
            }
        }
    }

    /// Begins the watches that are needed and missing, and ends those that are not needed any more.
    fn tend(self: &Arc<Self>, held: &mut Held) {
        let current = held.world.current();
        let mut needed = current.needed_kinds();
        needed.extend(ObjectKind::always(current.catalogue()));
        let ended: Vec<ObjectKind> = held.running.keys().filter(|kind| !needed.contains(kind)).cloned().collect();
        for kind in ended {
            if let Some(running) = held.running.remove(&kind) {
                running.task.abort();
            }
            self.progress.remove(&kind);
            held.world.replace_all(&kind, []);
            tracing::info!(resource = %kind, "not needed any more, and not watched");
        }
        // For all of them: the first one is in the way of none of the others.
        let need = self.progress.next_need();
        for kind in needed {
            if held.running.contains_key(&kind) {
                continue;
            }
            let progress = self.progress.add(&kind, need);
            let inquiry = self.installed.inquiry(kind.resource());
            let watching = Watching::new(kind.clone(), Arc::clone(&progress), inquiry, Arc::clone(self));
            let task = tokio::spawn(watching.run(self.client.clone())).abort_handle();
            held.running.insert(kind, Running { progress, task });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what else has to be watched depends on objects of this kind.
fn decides_what_is_needed(kind: &ObjectKind) -> bool {
    match kind {
        ObjectKind::Cluster(..) | ObjectKind::StorageNetwork => true,
        ObjectKind::Override(_)
        | ObjectKind::Attachment
        | ObjectKind::Namespace
        | ObjectKind::Node
        | ObjectKind::Workload(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::{Catalogue, WorkloadKind};
    use crate::watch::State;
    use crate::world::{Settings, Snapshot};

    /// Watches of an API server that is not there.
    struct Stage {
        watches: Arc<Watches>,
        cassandra: ObjectKind,
        workloads: ObjectKind,
    }

    impl Stage {
        fn new() -> Self {
            let world = World::new(Arc::new(Catalogue::built_in().unwrap()), Settings::default());
            let published = Arc::new(Published::new(world.snapshot()));
            let kinds = ObjectKind::always(world.current().catalogue());
            let cassandra = kinds.into_iter().find(|kind| kind.to_string() == "clusters.cassandra.rook.io").unwrap();
            let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
            let watches = Watches::begin(&client, world, published);
            Self { watches, cassandra, workloads: ObjectKind::Workload(WorkloadKind::StatefulSet, "n".to_owned()) }
        }

        fn progress(&self, kind: &ObjectKind) -> Option<Arc<KindProgress>> {
            self.watches.lock().running.get(kind).map(|running| Arc::clone(&running.progress))
        }

        fn put(&self, kind: &ObjectKind, object: &Value) {
            let (id, entry) = self.watches.read(kind, object).unwrap();
            self.watches.insert(kind, &self.progress(kind).unwrap(), &id, entry);
        }

        fn remove(&self, kind: &ObjectKind, name: &str) {
            let id = ObjectName { namespace: "n".to_owned(), name: name.to_owned() };
            self.watches.remove(kind, &self.progress(kind).unwrap(), &id);
        }

        fn snapshot(&self) -> Arc<Snapshot> {
            Arc::clone(&self.watches.published.read())
        }
    }

    fn named(name: &str) -> Value {
        json!({"metadata": {"namespace": "n", "name": name}})
    }

    #[tokio::test]
    async fn workloads_are_watched_from_the_first_cluster_to_the_last() {
        let stage = Stage::new();
        let always = stage.watches.progress.kinds().len();
        assert_eq!(always, ObjectKind::always(stage.snapshot().catalogue()).len());
        stage.put(&stage.cassandra, &named("a"));
        let first = stage.progress(&stage.workloads).unwrap();
        assert_eq!(stage.watches.progress.kinds().len(), always + 1);
        stage.put(&stage.cassandra, &named("b"));
        stage.remove(&stage.cassandra, "a");
        assert!(Arc::ptr_eq(&first, &stage.progress(&stage.workloads).unwrap()), "the same watch goes on");

        stage.put(&stage.workloads, &named("rack"));
        assert_eq!(stage.snapshot().workload_count(), 1);
        stage.remove(&stage.cassandra, "b");
        assert_eq!((stage.watches.progress.kinds().len(), stage.snapshot().workload_count()), (always, 0));

        // Another one begins, and the one that ended has no say.
        stage.put(&stage.cassandra, &named("a"));
        stage.put(&stage.workloads, &named("new"));
        stage.watches.replace_all(&stage.workloads, &first, Vec::new());
        let (id, entry) = stage.watches.read(&stage.workloads, &named("old")).unwrap();
        stage.watches.insert(&stage.workloads, &first, &id, entry);
        assert_eq!(stage.snapshot().workload_count(), 1);
    }

    #[tokio::test]
    async fn what_changes_nothing_is_not_published() {
        let stage = Stage::new();
        stage.put(&stage.cassandra, &named("a"));
        stage.put(&stage.workloads, &named("rack"));
        let before = stage.snapshot();
        stage.put(&stage.workloads, &named("rack"));
        stage.put(&ObjectKind::Namespace, &json!({"metadata": {"name": "n"}}));
        assert!(Arc::ptr_eq(&before, &stage.snapshot()));
        stage.put(&stage.workloads, &named("rack-2"));
        assert!(!Arc::ptr_eq(&before, &stage.snapshot()));
    }

    #[tokio::test]
    async fn what_the_first_list_needs_is_waited_for_and_what_comes_later_is_not() {
        let stage = Stage::new();
        for kind in ObjectKind::always(stage.snapshot().catalogue()) {
            if kind != stage.cassandra {
                stage.progress(&kind).unwrap().set_state(State::NotInstalled);
            }
        }
        let of = |namespace: &str| json!({"metadata": {"namespace": namespace, "name": "a"}});
        let clusters = stage.progress(&stage.cassandra).unwrap();
        let listed = [of("n")].iter().map(|object| stage.watches.read(&stage.cassandra, object).unwrap()).collect();
        stage.watches.replace_all(&stage.cassandra, &clusters, listed);
        clusters.set_state(State::Synced);
        let first = stage.progress(&stage.workloads).unwrap();
        assert!(!first.is_no_obstacle(), "the clusters are known, and not what belongs to them");
        stage.put(&stage.cassandra, &of("m"));
        let workloads_of = |namespace: &str| ObjectKind::Workload(WorkloadKind::StatefulSet, namespace.to_owned());
        assert!(!stage.progress(&workloads_of("m")).unwrap().is_no_obstacle(), "nobody is ready yet");
        first.set_state(State::Synced);
        stage.progress(&workloads_of("m")).unwrap().set_state(State::Synced);
        stage.put(&stage.cassandra, &of("o"));
        assert!(stage.progress(&workloads_of("o")).unwrap().is_no_obstacle());
        assert!(stage.watches.progress.kinds().iter().all(|kind| kind.is_no_obstacle()));
    }
}
