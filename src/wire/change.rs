//! Reading a review of an object that networks depend on: a cluster, a StorageNetwork, an attachment definition.
//!
//! They are written by people, a few times a day. So unlike a pod they are read whole, before and after.

use serde_json::Value;

use super::review::{RequestHead, ReviewHead, Unreadable};
use crate::admit::read_object;
use crate::lint::{Change, Operation};
use crate::network::shorten;

/// The envelope of a review.
#[derive(Debug, Default)]
struct ChangeReview<'a> {
    head: ReviewHead<'a>,
    request: Option<ChangeRequest<'a>>,
}

/// The request inside a review.
#[derive(Debug, Default)]
pub struct ChangeRequest<'a> {
    head: RequestHead<'a>,
    object: Value,
    old_object: Value,
}

read_object!(ChangeReview { "apiVersion" => head.api_version, "kind" => head.kind, "request" => request });
read_object!(ChangeRequest {
    "uid" => head.uid,
    "kind" => head.kind,
    "subResource" => head.sub_resource,
    "namespace" => head.namespace,
    "operation" => head.operation,
    "dryRun" => head.dry_run,
    "object" => object,
    "oldObject" => old_object,
});

impl<'a> ChangeRequest<'a> {
    /// Reads the request in a body.
    ///
    /// # Errors
    /// Where the body is no AdmissionReview v1 with a request.
    pub fn read(body: &'a [u8]) -> Result<Self, Unreadable> {
        let review: ChangeReview<'a> = serde_json::from_slice(body)
            .map_err(|error| Unreadable::new(shorten(&format!("the body cannot be read: {error}")).into_owned()))?;
        review.head.check()?;
        let request = review.request.ok_or_else(Unreadable::without_request)?;
        request.head.check()?;
        Ok(request)
    }

    /// The request's id, which the answer must carry.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.head.uid
    }

    /// Whether nothing will be stored. The answer is the same.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.head.dry_run
    }

    /// The change that is asked about; nothing where it is of a subresource, or no change at all.
    #[must_use]
    pub fn change(&self) -> Option<Change<'_>> {
        let operation = match &*self.head.operation {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            _ => return None,
        };
        let change = Change {
            operation,
            group: &self.head.kind.group,
            kind: &self.head.kind.kind,
            namespace: &self.head.namespace,
            new: &self.object,
            old: &self.old_object,
        };
        self.head.sub_resource.is_empty().then_some(change)
    }
}
