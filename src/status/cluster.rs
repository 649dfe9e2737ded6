//! The Kubernetes half of statuses: the Lease, and the status of each StorageNetwork.
//!
//! Nothing is written but over the version that was read in the same moment, so that of two that write, one fails.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::conditions::dated;
use super::lease::{Claim, Seen, Terms};
use super::ledger::Outcome;
use crate::api::{self, StorageNetworkStatus};
use crate::watch::with_causes;
use crate::world::ObjectName;

/// The field manager that owns what is written.
const FIELD_MANAGER: &str = "rook-multihome";
/// How long the API server may take to answer: no longer than a lease lasts when its holder has ceased to believe in it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// What the Lease is called.
#[derive(Clone, Debug)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Access to the Lease and to StorageNetworks.
pub struct Cluster {
    client: Client,
    lease: LeaseName,
    /// The Lease as it was last seen.
    last: Option<Lease>,
}

/// Something that could not be read or written.
#[derive(Debug)]
pub enum Fault {
    /// Somebody else was first.
    Conflict,
    /// It is not there.
    Gone,
    /// Anything else, as a sentence.
    Failed(String),
}

impl Cluster {
    /// Access by `client`.
    #[must_use]
    pub fn new(client: Client, lease: LeaseName) -> Self {
        Self { client, lease, last: None }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.lease.namespace)
    }

    /// Looks at the Lease.
    ///
    /// # Errors
    /// Where the API server refuses, or does not answer.
    pub async fn look(&mut self) -> Result<Option<Seen>, Fault> {
        let LeaseName { namespace, name } = &self.lease;
        let found = within(self.leases().get(name), || format!("cannot read Lease {namespace}/{name}")).await;
        let found = match found {
            Ok(found) => Some(found),
            Err(Fault::Gone) => None,
            Err(fault) => return Err(fault),
        };
        self.last.clone_from(&found);
        Ok(found.as_ref().map(seen))
    }

    /// Writes the Lease over the version that was last seen.
    ///
    /// # Errors
    /// Where somebody else has written it since, or taken it away; and where the API server refuses, or does not answer.
    pub async fn claim(&mut self, claim: Claim, identity: &str) -> Result<Seen, Fault> {
        let LeaseName { namespace, name } = self.lease.clone();
        let about = || format!("cannot write Lease {namespace}/{name}");
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let now = MicroTime(Timestamp::now());
        let written = match (claim, self.last.clone()) {
            (Claim::Create, _) => {
                let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
                let spec = Some(claimed(LeaseSpec::default(), claim, identity, now));
                within(self.leases().create(&parameters, &Lease { metadata, spec }), about).await
            }
            (_, None) => return Err(Fault::Conflict),
            (_, Some(mut lease)) => {
                lease.metadata.managed_fields = None;
                lease.spec = Some(claimed(lease.spec.unwrap_or_default(), claim, identity, now));
                within(self.leases().replace(&name, &parameters, &lease), about).await
            }
        };
        let written = written.map_err(|fault| match (fault, claim) {
            // It could be made anew as often as one likes.
            (Fault::Gone, Claim::Create) => {
                let mend = "create it, or say with --namespace which one it is";
                Fault::Failed(format!("{}: there is no namespace {namespace}; {mend}", about()))
            }
            // One that is gone has to be made anew, and one that is there already has to be looked at.
            (Fault::Gone, _) => Fault::Conflict,
            (fault, _) => fault,
        })?;
        let seen = seen(&written);
        self.last = Some(written);
        Ok(seen)
    }

    /// Reads one StorageNetwork, and writes its status where it is another than `wanted`, which has no times yet.
    ///
    /// # Errors
    /// Where the API server refuses, or does not answer; as a sentence.
    pub async fn put_right(&self, id: &ObjectName, wanted: StorageNetworkStatus) -> Result<Outcome, String> {
        // Both requests together, so that what a holder of the lease has begun ends before another one begins.
        match tokio::time::timeout(ANSWER_DEADLINE, self.read_and_write(id, wanted)).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(Fault::Conflict)) => Ok(Outcome::Conflict),
            Ok(Err(Fault::Gone)) => Ok(Outcome::Gone),
            Ok(Err(Fault::Failed(failure))) => Err(failure),
            Err(_) => Err(too_late(&format!("cannot write the status of StorageNetwork {id}"))),
        }
    }

    async fn read_and_write(&self, id: &ObjectName, wanted: StorageNetworkStatus) -> Result<Outcome, Fault> {
        let ObjectName { namespace, name } = id;
        let gvk = GroupVersionKind::gvk(api::GROUP, api::VERSION, api::KIND);
        let resource = ApiResource::from_gvk_with_plural(&gvk, api::PLURAL);
        let objects: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let object = within(objects.get(name), || format!("cannot read StorageNetwork {id}")).await?;
        // What is known of it here is out of date, and so is what would be said.
        if object.metadata.generation > wanted.observed_generation && wanted.observed_generation.is_some() {
            return Ok(Outcome::Conflict);
        }
        let Some(status) = change(object.data.get("status"), wanted, &now()) else { return Ok(Outcome::Agrees) };
        let patch = json!({ "metadata": { "resourceVersion": object.resource_version() }, "status": status });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let about = || format!("cannot write the status of StorageNetwork {id}");
        within(objects.patch_status(name, &parameters, &Patch::Merge(&patch)), about).await?;
        Ok(Outcome::Written)
    }
}

/// A merge patch that makes `found` into `wanted`, dated; nothing where it is that already.
fn change(found: Option<&Value>, wanted: StorageNetworkStatus, now: &str) -> Option<Value> {
    let before = found.and_then(|found| StorageNetworkStatus::deserialize(found).ok());
    // A map of texts and lists; it is always possible to write it as JSON.
    let mut status = serde_json::to_value(dated(wanted, before.as_ref(), now)).unwrap_or_default();
    if found == Some(&status) {
        return None;
    }
    let known = found.and_then(Value::as_object).into_iter().flatten();
    for (key, _) in known {
        // A merge patch takes away only what it names.
        if status.get(key).is_none() {
            status[key] = Value::Null;
        }
    }
    Some(status)
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Seen {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
        version: lease.resource_version().unwrap_or_default(),
    }
}

/// The Lease as it is after `claim`. Its times are for people: no replica goes by them.
fn claimed(before: LeaseSpec, claim: Claim, identity: &str, now: MicroTime) -> LeaseSpec {
    let seconds = i32::try_from(Terms::DEFAULT.duration.as_secs()).ok();
    let transitions = before.lease_transitions.unwrap_or_default();
    match claim {
        Claim::Renew => LeaseSpec { lease_duration_seconds: seconds, renew_time: Some(now), ..before },
        // As other holders of Leases do it: it is nobody's, and lasts for a second.
        Claim::Release => LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(now),
            ..before
        },
        Claim::Create | Claim::Take => LeaseSpec {
            holder_identity: Some(identity.to_owned()),
            lease_duration_seconds: seconds,
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(if claim == Claim::Take { transitions.saturating_add(1) } else { transitions }),
            ..before
        },
    }
}

/// This moment, as times are written in conditions.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// Waits for an answer, but not for ever. `about` says what was tried.
async fn within<T>(request: impl Future<Output = kube::Result<T>>, about: impl FnOnce() -> String) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER_DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Fault::Conflict),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(Fault::Gone),
        Ok(Err(kube::Error::Api(status))) if !status.message.is_empty() => {
            Err(Fault::Failed(format!("{}: {}", about(), status.message)))
        }
        Ok(Err(error)) => Err(Fault::Failed(format!("{}: {}", about(), with_causes(&error)))),
        Err(_) => Err(Fault::Failed(too_late(&about()))),
    }
}

fn too_late(about: &str) -> String {
    format!("{about}: the API server did not answer within {} seconds", ANSWER_DEADLINE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_right_is_not_written() {
        let status = StorageNetworkStatus { system: Some("custom".to_owned()), ..StorageNetworkStatus::default() };
        let written = change(None, status.clone(), "now").unwrap();
        assert_eq!(written, json!({"system": "custom"}));
        assert_eq!(change(Some(&written), status.clone(), "later"), None);
        let edited = json!({"system": "ceph", "provider": "host", "foreign": {"x": 1}});
        let mended = json!({"system": "custom", "provider": null, "foreign": null});
        assert_eq!(change(Some(&edited), status.clone(), "now"), Some(mended));
        for unreadable in [json!("text"), json!(null), json!({"conditions": 7, "system": "custom"})] {
            assert!(change(Some(&unreadable), status.clone(), "now").is_some(), "{unreadable}");
        }
    }

    #[test]
    fn a_lease_says_who_holds_it() {
        let at = |second| MicroTime(Timestamp::from_second(second).unwrap());
        let taken = claimed(LeaseSpec::default(), Claim::Create, "one", at(1));
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("one"), Some(0)));
        let renewed = claimed(taken, Claim::Renew, "one", at(2));
        assert_eq!((renewed.acquire_time.clone(), renewed.renew_time.clone()), (Some(at(1)), Some(at(2))));
        let released = claimed(renewed, Claim::Release, "one", at(3));
        assert_eq!((released.holder_identity.as_deref(), released.lease_duration_seconds), (Some(""), Some(1)));
        let taken = claimed(released, Claim::Take, "two", at(4));
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("two"), Some(1)));
        assert_eq!((taken.lease_duration_seconds, taken.acquire_time), (Some(15), Some(at(4))));
    }
}
