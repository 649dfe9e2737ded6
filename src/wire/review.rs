//! Reading a review.
//!
//! The usual case is one pass over the text by [`serde_json`], straight into borrowed structs. Only where that fails is the
//! review looked at again, slowly: repeated keys are folded as Go folds them, an object that is no pod is passed over, and
//! what remains wrong is said with its place.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{API_VERSION, KIND};
use crate::admit::{Admission, PodView, Text};

/// The envelope of a review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a, Object: Deserialize<'de>"))]
pub struct Review<'a, Object> {
    api_version: Option<Text<'a>>,
    kind: Option<Text<'a>>,
    request: Option<Request<'a, Object>>,
}

/// The request inside a review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a, Object: Deserialize<'de>"))]
pub struct Request<'a, Object = PodView<'a>> {
    /// The request's id, which the answer must carry.
    pub uid: Text<'a>,
    kind: Option<GroupKind<'a>>,
    sub_resource: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    operation: Option<Text<'a>>,
    object: Option<Object>,
    /// Whether nothing will be stored. The answer is the same: a decision has no side effects.
    pub dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct GroupKind<'a> {
    #[serde(borrow)]
    group: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
}

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

impl<'a> Review<'a, PodView<'a>> {
    /// Reads the request in a body. `scratch` must be empty; it holds the text that the request borrows from where the body
    /// itself cannot be borrowed from.
    ///
    /// # Errors
    /// Where the body is no AdmissionReview v1 with a request, or where the pod in it is no pod.
    pub fn read(body: &'a [u8], scratch: &'a mut String) -> Result<Request<'a>, Unreadable> {
        // One check up front spares the parser a check of every text in the body.
        let text = std::str::from_utf8(body).map_err(|error| {
            Unreadable::new(format!("the body is not UTF-8: the fault is at byte {}", error.valid_up_to()))
        })?;
        match serde_json::from_str::<Self>(text) {
            Ok(review) => review.into_request(),
            Err(_) => read_slowly(text, scratch),
        }
    }
}

impl<'a, Object> Review<'a, Object> {
    fn into_request(self) -> Result<Request<'a, Object>, Unreadable> {
        let found = |text: &Option<Text<'_>>| text.as_deref().unwrap_or("nothing").to_owned();
        if self.kind.as_deref() != Some(KIND) {
            return Err(Unreadable::at(format!("expected {KIND}, found {}", found(&self.kind)), "kind"));
        }
        if self.api_version.as_deref() != Some(API_VERSION) {
            let message = format!("expected {API_VERSION}, found {}", found(&self.api_version));
            return Err(Unreadable::at(message, "apiVersion"));
        }
        let request = self.request.ok_or_else(|| Unreadable::at("the review has no request".to_owned(), "request"))?;
        if request.uid.is_empty() {
            return Err(Unreadable::at(
                "the request has no uid, without which it cannot be answered".to_owned(),
                "request.uid",
            ));
        }
        Ok(request)
    }
}

impl<'a> Request<'a> {
    /// The admission that is asked about.
    #[must_use]
    pub fn admission(&'a self) -> Admission<'a> {
        let text = |text: &'a Option<Text<'a>>| text.as_deref().unwrap_or_default();
        let (group, kind) = self.kind.as_ref().map_or(("", ""), |kind| (text(&kind.group), text(&kind.kind)));
        Admission {
            operation: text(&self.operation),
            kind,
            group,
            subresource: text(&self.sub_resource),
            namespace: text(&self.namespace),
            pod: self.object.as_ref(),
        }
    }
}

impl<Object> Request<'_, Object> {
    fn is_pod_creation(&self) -> bool {
        let kind = self.kind.as_ref().and_then(|kind| kind.kind.as_deref());
        kind == Some("Pod")
            && self.operation.as_deref() == Some("CREATE")
            && self.sub_resource.as_deref().is_none_or(str::is_empty)
    }
}

fn read_slowly<'a>(text: &'a str, scratch: &'a mut String) -> Result<Request<'a>, Unreadable> {
    // A `Value` keeps the last of repeated keys, which borrowed structs refuse.
    let folded: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Unreadable::new(format!("the body is not JSON: {error}")))?;
    *scratch = folded.to_string();
    let text: &'a str = scratch;
    let mut parser = serde_json::Deserializer::from_str(text);
    let error = match serde_path_to_error::deserialize::<_, Review<'a, PodView<'a>>>(&mut parser) {
        Ok(review) => return review.into_request(),
        Err(error) => error,
    };
    if let Ok(Review { request: Some(request), .. }) = serde_json::from_str::<Review<'a, IgnoredAny>>(text)
        && !request.is_pod_creation()
    {
        // Some other object, which does not look like a pod and need not.
        let Request { uid, kind, sub_resource, namespace, operation, object: _, dry_run } = request;
        return Ok(Request { uid, kind, sub_resource, namespace, operation, object: None, dry_run });
    }
    let path = error.path().to_string();
    // Positions would be those of the folded text, which nobody has seen.
    let message = error.into_inner().to_string();
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    Err(if path == "." { Unreadable::new(message) } else { Unreadable::at(message, &path) })
}

impl Unreadable {
    fn new(message: String) -> Self {
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
        check(Review::read(body.as_bytes(), &mut String::new()))
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
            ("[]".to_owned(), "expected struct"),
            ("{}".to_owned(), "expected AdmissionReview, found nothing (at kind)"),
            (review("null"), "no request (at request)"),
            (review("{}"), "missing field `uid` (at request)"),
            (review(r#"{"uid":""}"#), "no uid"),
            (review(r#"{"uid":"u"}"#).replace("k8s.io/v1", "k8s.io/v1beta1"), "(at apiVersion)"),
            (creation(r#"{"metadata":{"labels":[]}}"#), "(at request.object.metadata.labels)"),
            (creation(r#"{"spec":{"hostNetwork":"yes"}}"#), "(at request.object.spec.hostNetwork)"),
            (format!("{} x", creation("{}")), "trailing characters"),
        ] {
            let error = read(&body, |request| request.map(drop).unwrap_err()).to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
        let error = Review::read(b"\xff", &mut String::new()).map(drop).unwrap_err();
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
