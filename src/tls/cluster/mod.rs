//! The Kubernetes half of self-managed certificates: the Secret with the authorities, the `caBundle` of the webhook
//! configurations, and what replicas say that they serve.
//!
//! Of a webhook configuration nothing but `caBundle` is ever written, and only in entries that call our Service: GitOps tools
//! and managed control planes have their own opinion of the rest. The Secret is only written over the version that was read.

mod configuration;
mod view;

pub use configuration::{ConfigurationKind, ConfigurationName};
pub use view::View;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{GetParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client, Resource as _, ResourceExt};
use serde_json::json;
use tokio::sync::watch;

use self::configuration::{Configuration, Entry};
use self::view::{Seen, follow};
use super::certificate::Certificate;
use super::rotation::Authorities;
use super::served::ServedReport;
use super::stored::{self, Data};
use super::trust::Trust;
use crate::watch::with_causes;

/// The annotation by which a webhook configuration leaves its `caBundle` to the replicas,
const BUNDLE_ANNOTATION: &str = "multihome.rook.io/ca-bundle";
/// and the value that does. Without it, somebody else writes there, and replicas that go during a change of who does must not
/// have the last word.
const BUNDLE_IS_OURS: &str = "self-managed";
/// The field manager that owns `caBundle`.
const FIELD_MANAGER: &str = "rook-multihome-certificates";
/// Where replicas say on their admin port what they serve.
pub const REPORT_PATH: &str = "certificate";
/// How long the API server may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// How long a watch may take to bring what was written, before it is written again.
const WATCH_DEADLINE: Duration = Duration::from_secs(5);

/// What the objects are called.
#[derive(Clone, Debug)]
pub struct Names {
    /// The namespace of Service and Secret.
    pub namespace: String,
    /// The Service by which the API server calls.
    pub service: String,
    /// The Secret with the authorities.
    pub secret: String,
    /// The webhook configurations that call the Service.
    pub configurations: Vec<ConfigurationName>,
}

/// Access to those objects.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    names: Names,
}

/// Which configurations were written, over which version, and when. Each has a watch of its own, and that of another one brings
/// nothing of it: until its own does, nothing is known that would have to be written.
#[derive(Default)]
pub struct BundleWrites(Vec<BundleWrite>);

struct BundleWrite {
    configuration: ConfigurationName,
    version: Option<String>,
    at: Instant,
}

/// Something that cannot be written.
#[derive(Debug)]
pub enum WriteFault {
    /// Somebody else was first; what they wrote will be seen.
    Conflict,
    /// Anything else, as a sentence.
    Failed(String),
}

/// A request that failed; without an error, because nobody answered.
struct RequestFailure(Option<kube::Error>);

/// A replica, and what it says about the certificate that it serves.
pub type Replica = (String, Result<ServedReport, String>);

impl Names {
    /// The name that the API server expects in the certificate.
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// Whether an entry of a webhook configuration calls our Service.
    fn is_called_by(&self, entry: &Entry) -> bool {
        let service = entry.client_config.service.as_ref();
        service.is_some_and(|service| service.name == self.service && service.namespace == self.namespace)
    }
}

impl Cluster {
    /// Access by `client`.
    #[must_use]
    pub fn new(client: Client, names: Names) -> Self {
        Self { client, names }
    }

    /// What the objects are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.names.namespace)
    }

    fn configurations(&self, kind: ConfigurationKind) -> Api<Configuration> {
        Api::all_with(self.client.clone(), &kind)
    }

    /// Watches the objects for as long as anybody looks at the view.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<View> {
        let names = &self.names;
        let configurations = vec![Seen::Never; names.configurations.len()];
        let faults = vec![None; 1 + configurations.len()];
        let (sender, receiver) = watch::channel(View { secret: Seen::Never, configurations, faults });
        let what = format!("Secret {}", names.secret);
        tokio::spawn(follow(self.secrets(), names.secret.clone(), what, 0, sender.clone(), |view, secret| {
            view.secret = secret;
        }));
        for (index, name) in names.configurations.iter().enumerate() {
            tokio::spawn(follow(
                self.configurations(name.kind),
                name.name.clone(),
                name.to_string(),
                index + 1,
                sender.clone(),
                move |view, configuration| {
                    view.configurations[index] = configuration;
                },
            ));
        }
        receiver
    }

    /// Looks at the objects once.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub async fn look(&self) -> Result<View, String> {
        let Names { namespace, secret, configurations, .. } = &self.names;
        let mut view = View::default();
        let fault = |what: String| move |failure: RequestFailure| failure.of_reading(&what);
        let found = within(self.secrets().get_opt(secret)).await;
        view.secret = Seen::of(found.map_err(fault(format!("Secret {namespace}/{secret}")))?);
        for name in configurations {
            let found = within(self.configurations(name.kind).get_opt(&name.name)).await;
            view.configurations.push(Seen::of(found.map_err(fault(name.to_string()))?));
        }
        Ok(view)
    }

    /// Stores the authorities in place of what `view` has seen.
    ///
    /// # Errors
    /// Where somebody else has written since, or the API server refuses.
    pub async fn store(&self, view: &mut View, authorities: &Authorities) -> Result<(), WriteFault> {
        let name = &self.names.secret;
        let known = view.secret.get();
        let new = || Secret {
            metadata: ObjectMeta { name: Some(name.clone()), ..view.belonging() },
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let mut secret = known.cloned().unwrap_or_else(new);
        let mut data = plain(&secret);
        stored::write(authorities, &mut data);
        secret.data = Some(data.into_iter().map(|(key, value)| (key, ByteString(value))).collect());
        secret.metadata.managed_fields = None;
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = if known.is_some() {
            within(self.secrets().replace(name, &parameters, &secret)).await
        } else {
            within(self.secrets().create(&parameters, &secret)).await
        };
        let written = written.map_err(|failure| failure.about("Secret", name))?;
        view.secret = Seen::of(Some(written));
        Ok(())
    }

    /// Writes the bundle of `authorities` into every entry that calls us and has another one. What cannot be written in one
    /// configuration holds up no other, and one that is not there is for [`Self::missing`] to tell. What `writes` still awaits
    /// is left alone; `written` is told of each that was written.
    ///
    /// # Errors
    /// Where Secret or configuration are not as `view` has seen them any more, or the API server refuses. Somebody who has not
    /// heard of the latest state could take away what others sign with.
    pub async fn write_bundle(
        &self,
        view: &View,
        authorities: &Authorities,
        now: SystemTime,
        writes: &mut BundleWrites,
        mut written: impl FnMut(&ConfigurationName),
    ) -> Result<(), WriteFault> {
        let known = view.configurations.iter().zip(&self.names.configurations);
        let known = known.filter_map(|(seen, name)| Some((name, seen.get()?)));
        let is_due = |(name, configuration): &(&ConfigurationName, &Configuration)| {
            self.has_other_bundle(configuration, authorities, now) && !writes.awaits(name, configuration)
        };
        let due: Vec<_> = known.filter(is_due).collect();
        if due.is_empty() {
            return Ok(());
        }
        let secret = &self.names.secret;
        let latest = within(self.secrets().get_opt(secret)).await;
        let latest = latest.map_err(|failure| failure.about("the caBundle before reading Secret", secret))?;
        if latest.and_then(|secret| secret.resource_version())
            != view.secret.get().and_then(ResourceExt::resource_version)
        {
            return Err(WriteFault::Conflict);
        }
        let mut outcome = Ok(());
        for (name, configuration) in due {
            match self.write_one(name, configuration, authorities, now).await {
                Ok(()) => {
                    writes.note(name, configuration);
                    written(name);
                }
                Err(fault) => outcome = Err(fault),
            }
        }
        outcome
    }

    /// Whether an entry that calls us trusts anything but what `authorities` want trusted.
    fn has_other_bundle(&self, configuration: &Configuration, authorities: &Authorities, now: SystemTime) -> bool {
        let mut bundles = self.entries(configuration).map(|entry| Trust::Bundles(vec![entry.trusted()]));
        bundles.any(|bundle| !bundle.is_exactly(authorities, now))
    }

    /// Writes one configuration.
    async fn write_one(
        &self,
        name: &ConfigurationName,
        configuration: &Configuration,
        authorities: &Authorities,
        now: SystemTime,
    ) -> Result<(), WriteFault> {
        if configuration.annotations().get(BUNDLE_ANNOTATION).is_none_or(|value| value != BUNDLE_IS_OURS) {
            return Err(WriteFault::Failed(format!(
                "{name} does not trust the authority, and has no annotation {BUNDLE_ANNOTATION}: {BUNDLE_IS_OURS} that would leave its caBundle to the replicas"
            )));
        }
        let ca_bundle = ByteString(authorities.bundle(now).map(Certificate::pem).collect::<String>().into_bytes());
        let entry = |entry: &Entry| json!({ "name": entry.name, "clientConfig": { "caBundle": ca_bundle } });
        // With its version, so that nothing newer is written over, and its uid, so that a configuration deleted in this
        // moment is not made again.
        let patch = json!({
            "apiVersion": Configuration::api_version(&name.kind),
            "kind": name.kind.name(),
            "metadata": {
                "name": name.name,
                "uid": configuration.metadata.uid,
                "resourceVersion": configuration.metadata.resource_version,
            },
            "webhooks": self.entries(configuration).map(entry).collect::<Vec<_>>(),
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patched =
            within(self.configurations(name.kind).patch(&name.name, &parameters, &Patch::Apply(&patch))).await;
        patched.map(drop).map_err(|failure| failure.about("the caBundle of", &name.to_string()))
    }

    /// What the webhook configurations trust. One that is not there trusts nobody, and asks for nothing.
    #[must_use]
    pub fn trust(&self, view: &View) -> Trust {
        let mut bundles = Vec::new();
        for configuration in &view.configurations {
            match configuration {
                Seen::Never => return Trust::Unknown,
                Seen::Absent => {}
                Seen::Present(configuration) => bundles.extend(self.entries(configuration).map(Entry::trusted)),
            }
        }
        if bundles.is_empty() { Trust::Absent } else { Trust::Bundles(bundles) }
    }

    /// Whether a mutating webhook configuration calls us, which is what we are there for: without it, pods get no networks,
    /// whatever else is asked.
    #[must_use]
    pub fn is_asked_about_pods(&self, view: &View) -> bool {
        let configurations = view.configurations.iter().zip(&self.names.configurations);
        let mut mutating = configurations.filter(|(_, name)| name.kind == ConfigurationKind::Mutating);
        mutating.any(|(seen, _)| seen.get().is_some_and(|found| self.entries(found).next().is_some()))
    }

    /// The webhook configurations that are not there, as sentences, where others are. Where none is, nothing is installed yet,
    /// or nothing any more.
    pub fn missing(&self, view: &View) -> impl Iterator<Item = String> {
        let is_any_there = view.configurations.iter().any(|seen| seen.get().is_some());
        let configurations = view.configurations.iter().zip(&self.names.configurations);
        let missing = configurations.filter(move |(seen, _)| is_any_there && matches!(seen, Seen::Absent));
        missing.map(|(_, name)| format!("there is no {name} to write a caBundle into"))
    }

    /// Asks every replica what it serves, through the API server.
    ///
    /// # Errors
    /// Where the replicas cannot be listed.
    pub async fn replicas(&self, selector: &str, port: u16) -> Result<Vec<Replica>, String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.names.namespace);
        let listed = pods.list(&ListParams::default().labels(selector)).await;
        let listed = listed.map_err(|error| failure(&error))?;
        let mut replicas = Vec::new();
        for name in listed.items.iter().map(ResourceExt::name_any) {
            let path = format!("/api/v1/namespaces/{}/pods/{name}:{port}/proxy", self.names.namespace);
            let answer = match Request::new(path).get(REPORT_PATH, &GetParams::default()) {
                Ok(request) => self.client.request(request).await.map_err(|error| failure(&error)),
                Err(error) => Err(error.to_string()),
            };
            replicas.push((name, answer));
        }
        Ok(replicas)
    }

    fn entries<'w>(&'w self, configuration: &'w Configuration) -> impl Iterator<Item = &'w Entry> {
        configuration.entries().filter(|entry| self.names.is_called_by(entry))
    }
}

impl BundleWrites {
    /// Whether the watch has still to bring what was written over this version.
    fn awaits(&self, name: &ConfigurationName, seen: &Configuration) -> bool {
        let Self(writes) = self;
        let is_it = |write: &&BundleWrite| write.configuration == *name && write.version == seen.resource_version();
        writes.iter().find(is_it).is_some_and(|write| write.at.elapsed() < WATCH_DEADLINE)
    }

    fn note(&mut self, name: &ConfigurationName, over: &Configuration) {
        let Self(writes) = self;
        writes.retain(|write| write.configuration != *name);
        writes.push(BundleWrite { configuration: name.clone(), version: over.resource_version(), at: Instant::now() });
    }
}

/// The labels and annotations by which tools that install things know what is theirs.
const BELONGING: [&str; 3] = ["app.kubernetes.io/", "helm.sh/", "meta.helm.sh/"];

impl View {
    /// What says to whom the webhook configurations belong. A Secret that is made again belongs to the same, or it would be
    /// left behind when they are uninstalled.
    fn belonging(&self) -> ObjectMeta {
        let owned = |map: &BTreeMap<String, String>| {
            let known = map.iter().filter(|(key, _)| BELONGING.iter().any(|prefix| key.starts_with(prefix)));
            known.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let Some(configuration) = self.configurations.iter().find_map(Seen::get) else { return ObjectMeta::default() };
        let labels = configuration.metadata.labels.as_ref().map(owned);
        let annotations = configuration.metadata.annotations.as_ref().map(owned);
        ObjectMeta { labels, annotations, ..ObjectMeta::default() }
    }
}

impl RequestFailure {
    /// What it means for something that was to be read.
    fn of_reading(self, what: &str) -> String {
        match self.0 {
            Some(error) => format!("cannot read {what}: {}", failure(&error)),
            None => format!(
                "cannot read {what}: the API server did not answer within {} seconds",
                ANSWER_DEADLINE.as_secs()
            ),
        }
    }

    /// What it means for something that was to be written.
    fn about(self, what: &str, name: &str) -> WriteFault {
        match self.0 {
            Some(kube::Error::Api(status)) if status.code == 409 => WriteFault::Conflict,
            Some(error) => WriteFault::Failed(format!("cannot write {what} {name}: {}", failure(&error))),
            None => WriteFault::Failed(format!(
                "cannot write {what} {name}: the API server did not answer within {} seconds",
                ANSWER_DEADLINE.as_secs()
            )),
        }
    }
}

/// Waits for an answer, but not for ever: whoever keeps certificates has other things to do besides.
async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, RequestFailure> {
    match tokio::time::timeout(ANSWER_DEADLINE, request).await {
        Ok(answer) => answer.map_err(|error| RequestFailure(Some(error))),
        Err(_) => Err(RequestFailure(None)),
    }
}

/// The data of a Secret, without its base64.
fn plain(secret: &Secret) -> Data {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

/// Why the API server did not do it: in its own words, where it has any.
fn failure(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => with_causes(error),
    }
}
