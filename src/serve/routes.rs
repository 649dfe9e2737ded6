//! The webhook's routes, and honest errors for everything else. Pods are answered here; `changes` answers the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use super::body::{BODY_DEADLINE, Collected, Refusal, Room};
use super::changes::{Turns, in_turn};
use super::labels::ReviewOutcome;
use super::metrics::Metrics;
use super::phase::{Phase, PhaseWatch};
use crate::admit::{Decision, Verdict, decide};
use crate::network::shorten;
use crate::wire::{self, Answer, Request, Review, Unreadable};
use crate::world::{Outcome, Published};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What answers reviews.
#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) published: Arc<Published>,
    pub(super) metrics: Arc<Metrics>,
    room: Arc<Room>,
    pub(super) turns: Turns,
    #[cfg(feature = "otlp")]
    spans: Arc<super::spans::Spans>,
}

/// A request that is answered with an HTTP error. The API server treats it as a failed call, and its failure policy decides.
pub(super) struct Rejection {
    code: StatusCode,
    message: String,
    /// The field at fault, where it is one of the body's.
    field: Option<String>,
}

/// The routes of the webhook's port.
pub(super) fn router(webhook: Webhook, phase: PhaseWatch) -> Router {
    let metrics = Arc::clone(&webhook.metrics);
    let on_panic = move |_: Box<dyn std::any::Any + Send>| {
        metrics.panicked();
        tracing::error!("a request ended in a panic; this is a bug");
        Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "answering this request ended in a panic".to_owned())
            .into_response()
    };
    Router::new()
        .route("/mutate", post(async |State(webhook), request| answered(webhook, request).await))
        .route("/validate", post(async |State(webhook), request| in_turn(webhook, request, Webhook::validate).await))
        .route(
            "/address-ranges",
            post(async |State(webhook), request| in_turn(webhook, request, Webhook::write_address_ranges).await),
        )
        .method_not_allowed_fallback(async |State(webhook): State<Webhook>, request: HttpRequest| {
            let method = request.method().as_str();
            let message = format!("{} is not answered here; POST an AdmissionReview", shorten(method));
            let mut response = webhook.reject(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, message));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            response
        })
        .fallback(async |State(webhook): State<Webhook>, request: HttpRequest| {
            let message = format!(
                "there is nothing at {}; pods go to /mutate, what networks depend on to /validate",
                shorten(request.uri().path())
            );
            webhook.reject(Rejection::new(StatusCode::NOT_FOUND, message))
        })
        .with_state(webhook)
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(middleware::from_fn_with_state(phase, close_when_leaving))
}

/// Tells the client to come back on another connection, and so on another replica.
async fn close_when_leaving(State(phase): State<PhaseWatch>, request: HttpRequest, next: Next) -> Response {
    let has_connection_header = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if has_connection_header && phase.now() >= Phase::Leaving {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Collects the review of a pod, and answers it.
async fn answered(webhook: Webhook, request: HttpRequest) -> Response {
    let (head, body) = request.into_parts();
    match webhook.collect(&head, body).await {
        Ok((body, _room)) => webhook.review(&head.headers, &body),
        Err(rejection) => webhook.reject(rejection),
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Rejection> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media_type = content_type.as_deref().map(|value| value.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        found => {
            let found = shorten(found.unwrap_or("nothing"));
            let message = format!("the content type must be application/json, not {found}");
            Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

/// How long the API server will wait, which it says as `?timeout=10s`, but no longer than we would.
fn deadline(query: Option<&str>) -> Duration {
    let timeout = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("timeout="));
    let seconds = timeout.and_then(|timeout| timeout.strip_suffix('s')).and_then(|seconds| seconds.parse().ok());
    seconds.map_or(BODY_DEADLINE, Duration::from_secs).min(BODY_DEADLINE)
}

impl Webhook {
    pub(super) fn new(published: Arc<Published>, metrics: Arc<Metrics>) -> Self {
        Self {
            published,
            metrics,
            room: Arc::default(),
            turns: Turns::default(),
            #[cfg(feature = "otlp")]
            spans: Arc::default(),
        }
    }

    /// Collects a body.
    pub(super) async fn collect(&self, head: &Parts, body: Body) -> Result<Collected<'_>, Rejection> {
        expect_json(&head.headers)?;
        Ok(self.room.collect(body, deadline(head.uri.query())).await?)
    }

    /// Bytes of a review in, answer out. Everything in here is computation: no await, no lock, no call.
    fn review(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let started = Instant::now();
        let request = match Review::read(body) {
            Ok(request) => request,
            Err(unreadable) => return self.reject(unreadable.into()),
        };
        let snapshot = self.published.read();
        let admission = request.admission();
        let decision = decide(&snapshot, &admission);
        let answer = wire::answer(request.uid(), &decision, admission.pod);
        debug_assert!(wire::patch_applies(body, &answer), "a patch must apply to the pod it was computed from");
        let json = wire::answer_json(&answer);
        self.record(headers, &request, &decision, &answer, started.elapsed());
        ([(CONTENT_TYPE, JSON)], json).into_response()
    }

    #[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "only spans read headers"))]
    fn record(
        &self,
        headers: &HeaderMap,
        request: &Request<'_>,
        decision: &Decision<'_>,
        answer: &Answer<'_>,
        took: Duration,
    ) {
        let outcome = match (&decision.verdict, decision.outcome) {
            (Verdict::Attach(_), _) => ReviewOutcome::Attached,
            (Verdict::UseHostNetwork, _) => ReviewOutcome::Host,
            (Verdict::Leave(_), Outcome::Leave) => ReviewOutcome::Left,
            (Verdict::Leave(_), Outcome::Warn) => ReviewOutcome::Warned,
            (Verdict::Leave(_), Outcome::Deny) => ReviewOutcome::Denied,
        };
        let reason = decision.reason().map_or("", crate::admit::Reason::name);
        let mode = decision.mode.mode;
        let [cluster, role, networks] = ["cluster", "role", "networks"].map(|key| answer.audit_annotation(key));
        let admission = request.admission();
        let pod = admission.pod.map(crate::admit::PodView::display_name);
        tracing::info!(
            uid = request.uid(),
            namespace = admission.namespace,
            pod,
            outcome = outcome.name(),
            reason,
            cluster,
            role,
            networks,
            mode = mode.name(),
            dry_run = request.is_dry_run(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "review"
        );
        #[cfg(feature = "otlp")]
        self.spans.record(
            headers,
            took,
            &[
                ("namespace", admission.namespace),
                ("pod", pod.unwrap_or_default()),
                ("outcome", outcome.name()),
                ("mode", mode.name()),
                ("reason", reason),
                ("cluster", cluster),
                ("role", role),
                ("networks", networks),
            ],
        );
        self.metrics.reviewed(outcome, role.to_owned(), reason, mode, took);
    }

    pub(super) fn reject(&self, rejection: Rejection) -> Response {
        self.metrics.rejected(rejection.code.as_u16());
        tracing::warn!(code = rejection.code.as_u16(), message = rejection.message, "request rejected");
        rejection.into_response()
    }
}

impl Rejection {
    pub(super) fn new(code: StatusCode, message: String) -> Self {
        Self { code, message, field: None }
    }
}

impl From<Unreadable> for Rejection {
    fn from(unreadable: Unreadable) -> Self {
        let message = format!("this is no AdmissionReview: {unreadable}");
        Self { code: StatusCode::BAD_REQUEST, message, field: unreadable.path }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Refusal::BrokenOff(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(code, refusal.to_string())
    }
}

impl axum::response::IntoResponse for Rejection {
    /// A Kubernetes `Status`, which the API server and kubectl know how to show.
    fn into_response(self) -> Response {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.code.as_u16(),
            "reason": self.code.canonical_reason().unwrap_or_default().replace(' ', ""),
            "message": self.message,
        });
        if let Some(field) = self.field {
            status["details"] = json!({ "causes": [{ "field": field }] });
        }
        (self.code, [(CONTENT_TYPE, JSON)], format!("{status}\n")).into_response()
    }
}
