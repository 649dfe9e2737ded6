//! Reading a review.
//!
//! The usual case is one pass over the text by [`serde_json`], straight into borrowed structs. Only where that fails is the
//! review looked at again: an object that is no pod is passed over, and what remains wrong is said with its place. Neither
//! way keeps a copy of the body or builds a tree of it, and no message repeats more than a few words of it: whoever reaches
//! the port can send eight MiB of anything.

use serde::Serialize;
use thiserror::Error;

use super::{API_VERSION, KIND};
use crate::admit::{Admission, PodView, Text, read_object};
use crate::network::shorten;

/// The envelope of a review.
#[derive(Debug, Default)]
pub struct Review<'a> {
    head: ReviewHead<'a>,
    request: Option<Request<'a>>,
}

/// The request inside a review.
#[derive(Debug, Default)]
pub struct Request<'a> {
    head: RequestHead<'a>,
    object: Option<PodView<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct ReviewHead<'a> {
    pub(super) api_version: Text<'a>,
    pub(super) kind: Text<'a>,
}

/// A request but for its object.
#[derive(Debug, Default)]
pub(super) struct RequestHead<'a> {
    pub(super) uid: Text<'a>,
    pub(super) kind: GroupKind<'a>,
    pub(super) sub_resource: Text<'a>,
    pub(super) namespace: Text<'a>,
    pub(super) operation: Text<'a>,
    pub(super) dry_run: bool,
}

#[derive(Debug, Default)]
pub(super) struct GroupKind<'a> {
    pub(super) group: Text<'a>,
    pub(super) kind: Text<'a>,
}

/// A review whose object is not looked at.
#[derive(Debug, Default)]
struct WithoutObject<'a> {
    head: ReviewHead<'a>,
    request: Option<RequestHead<'a>>,
}

read_object!(Review { "apiVersion" => head.api_version, "kind" => head.kind, "request" => request });
read_object!(WithoutObject { "apiVersion" => head.api_version, "kind" => head.kind, "request" => request });
read_object!(Request {
    "uid" => head.uid,
    "kind" => head.kind,
    "subResource" => head.sub_resource,
    "namespace" => head.namespace,
    "operation" => head.operation,
    "dryRun" => head.dry_run,
    "object" => object,
});
read_object!(RequestHead {
    "uid" => uid,
    "kind" => kind,
    "subResource" => sub_resource,
    "namespace" => namespace,
    "operation" => operation,
    "dryRun" => dry_run,
});
read_object!(GroupKind { "group" => group, "kind" => kind });

/// A request body that is no review: what is wrong, where, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[error("{message}{}", at(.path.as_ref()))]
pub struct Unreadable {
    /// What is wrong and what is expected.
    pub message: String,
    /// The field at fault, as a path from the top, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl<'a> Review<'a> {
    /// Reads the request in a body.
    ///
    /// # Errors
    /// Where the body is no AdmissionReview v1 with a request, or where the pod in it is no pod.
    pub fn read(body: &'a [u8]) -> Result<Request<'a>, Unreadable> {
        // One check up front spares the parser a check of every text in the body.
        let text = std::str::from_utf8(body).map_err(|error| {
            Unreadable::new(format!("the body is not UTF-8: the fault is at byte {}", error.valid_up_to()))
        })?;
        match serde_json::from_str::<Self>(text) {
            Ok(Self { head, request }) => {
                head.check()?;
                let request = request.ok_or_else(Unreadable::without_request)?;
                request.head.check()?;
                Ok(request)
            }
            Err(error) => read_again(text, &error),
        }
    }
}

impl<'a> Request<'a> {
    /// The request's id, which the answer must carry.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.head.uid
    }

    /// Whether nothing will be stored. The answer is the same: a decision has no side effects.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.head.dry_run
    }

    /// The admission that is asked about.
    #[must_use]
    pub fn admission(&'a self) -> Admission<'a> {
        let RequestHead { uid: _, kind, sub_resource, namespace, operation, dry_run: _ } = &self.head;
        Admission {
            operation,
            kind: &kind.kind,
            group: &kind.group,
            subresource: sub_resource,
            namespace,
            pod: self.object.as_ref(),
        }
    }
}

impl ReviewHead<'_> {
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        for (path, expected, found) in [("kind", KIND, &self.kind), ("apiVersion", API_VERSION, &self.api_version)] {
            if &**found != expected {
                let found = if found.is_empty() { "nothing".into() } else { shorten(found) };
                return Err(Unreadable::at(format!("expected {expected}, found {found}"), path));
            }
        }
        Ok(())
    }
}

impl RequestHead<'_> {
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        if self.uid.is_empty() {
            let message = "the request has no uid, without which it cannot be answered".to_owned();
            return Err(Unreadable::at(message, "request.uid"));
        }
        Ok(())
    }

    fn is_pod_creation(&self) -> bool {
        &*self.kind.kind == "Pod" && &*self.operation == "CREATE" && self.sub_resource.is_empty()
    }
}

/// Answers for a text that could not be read as the review of a pod, and why.
fn read_again<'a>(text: &'a str, error: &serde_json::Error) -> Result<Request<'a>, Unreadable> {
    if error.is_syntax() || error.is_eof() {
        return Err(Unreadable::new(format!("the body is not JSON: {error}")));
    }
    if let Ok(WithoutObject { head, request: Some(request) }) = serde_json::from_str(text)
        && !request.is_pod_creation()
    {
        // Some other object, which does not look like a pod and need not.
        head.check()?;
        request.check()?;
        return Ok(Request { head: request, object: None });
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Review<'a>>(&mut parser) {
        Ok(_) => Err(Unreadable::new(shorten(&error.to_string()).into_owned())),
        Err(error) => {
            let path = error.path().to_string();
            let message = shorten(&error.into_inner().to_string()).into_owned();
            Err(if path == "." { Unreadable::new(message) } else { Unreadable::at(message, &shorten(&path)) })
        }
    }
}

impl Unreadable {
    pub(super) fn without_request() -> Self {
        Self::at("the review has no request".to_owned(), "request")
    }

    pub(super) fn new(message: String) -> Self {
        Self { message, path: None }
    }

    fn at(message: String, path: &str) -> Self {
        Self { message, path: Some(path.to_owned()) }
    }
}

fn at(path: Option<&String>) -> String {
    path.map(|path| format!(" (at {path})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Labels as _;

    fn read<T>(body: &str, check: impl FnOnce(Result<Request<'_>, Unreadable>) -> T) -> T {
        check(Review::read(body.as_bytes()))
    }

    fn review(request: &str) -> String {
        format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{request}}}"#)
    }

    fn creation(object: &str) -> String {
        review(&format!(
            r#"{{"uid":"u","kind":{{"group":"","kind":"Pod"}},"operation":"CREATE","namespace":"ns","object":{object}}}"#
        ))
    }

    #[test]
    fn odd_but_valid_pods_are_read() {
        for (object, app) in [
            (r#"{"metadata":{"labels":null,"annotations":null},"spec":null}"#, None),
            (r#"{"metadata":null}"#, None),
            (r#"{"metadata":{"labels":{"app":"a","app":"b"}}}"#, Some("b")),
            (r#"{"metadata":{"labels":{"app":"a"}},"metadata":{"labels":{"app":"c"}}}"#, Some("c")),
            (r#"{"metadata":{"labels":{"\u0061pp":"t\u0061b\t"}}}"#, Some("tab\t")),
            (r#"{"metadata":{"labels":{"app":null}}}"#, Some("")),
        ] {
            read(&creation(object), |request| {
                let request = request.unwrap();
                let admission = request.admission();
                assert_eq!(admission.namespace, "ns");
                assert_eq!(admission.pod.unwrap().label("app"), app, "{object}");
            });
        }
    }

    #[test]
    fn unreadable_reviews_say_what_and_where() {
        for (body, part) in [
            (String::new(), "not JSON"),
            ("[]".to_owned(), "expected an object"),
            ("{}".to_owned(), "expected AdmissionReview, found nothing (at kind)"),
            (review("null"), "no request (at request)"),
            (review("{}"), "no uid"),
            (review("[]"), "expected an object"),
            (creation("[{}, {}]"), "expected an object"),
            (review(r#"{"uid":""}"#), "no uid"),
            (review(r#"{"uid":"u"}"#).replace("k8s.io/v1", "k8s.io/v1beta1"), "(at apiVersion)"),
            (creation(r#"{"metadata":{"labels":[]}}"#), "(at request.object.metadata.labels)"),
            (creation(r#"{"spec":{"hostNetwork":"yes"}}"#), "(at request.object.spec.hostNetwork)"),
            (format!("{} x", creation("{}")), "trailing characters"),
        ] {
            let error = read(&body, |request| request.map(drop).unwrap_err()).to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
        let error = Review::read(b"\xff").map(drop).unwrap_err();
        assert!(error.to_string().contains("UTF-8"));
    }

    #[test]
    fn other_objects_need_not_look_like_pods() {
        let body = review(
            r#"{"uid":"u","kind":{"group":"x","kind":"Thing"},"operation":"CREATE","object":{"metadata":{"labels":5},"spec":"text"}}"#,
        );
        read(&body, |request| assert!(request.unwrap().admission().pod.is_none()));
    }
}
