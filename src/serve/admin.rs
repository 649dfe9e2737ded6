//! The admin port: liveness, readiness, metrics. Plain HTTP, for the kubelet and Prometheus.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Parts;
use super::metrics::{Metrics, state_name};
use super::phase::{Phase, PhaseWatch};
use crate::tls::clients::ClientNames;
use crate::tls::keeping::{KeepingState, Trusted};
use crate::watch::{KindProgress, State as WatchState};

/// The content type of the text that Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Admin {
    parts: Parts,
    metrics: Arc<Metrics>,
    phase: PhaseWatch,
}

/// One thing that has to hold for this replica to be sent reviews.
struct Check {
    name: String,
    holds: bool,
    detail: String,
}

/// The routes of the admin port.
pub(super) fn router(parts: Parts, metrics: Arc<Metrics>, phase: PhaseWatch) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/certificate", get(certificate))
        .with_state(Admin { parts, metrics, phase })
}

/// 200 when every check holds. `?verbose` lists them, as the API server's own `/readyz?verbose` does.
async fn ready(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let checks = admin.checks(SystemTime::now());
    let holds = checks.iter().all(|check| check.holds);
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part == "verbose" || part == "verbose=true"));
    let mut text = String::new();
    for check in checks.iter().filter(|check| verbose || !check.holds) {
        let mark = if check.holds { "[+]" } else { "[-]" };
        text.push_str(&format!("{mark} {}: {}\n", check.name, check.detail));
    }
    text.push_str(if holds { "ok\n" } else { "not ready\n" });
    (if holds { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    match admin.metrics.text(&admin.parts) {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be written: {error}\n")).into_response()
        }
    }
}

/// What is served, without its key, for `certs status`.
async fn certificate(State(admin): State<Admin>) -> Response {
    match admin.parts.certificate.current() {
        Some(served) => Json(served.report()).into_response(),
        None => (StatusCode::NOT_FOUND, "no certificate is served\n").into_response(),
    }
}

impl Admin {
    fn checks(&self, now: SystemTime) -> Vec<Check> {
        let phase = match self.phase.now() {
            Phase::Serving => "serving",
            Phase::Leaving => "leaving: still serving, and closing connections",
            Phase::Stopping => "stopping: nothing new is accepted",
        };
        let phase =
            Check { name: "phase".to_owned(), holds: self.phase.now() == Phase::Serving, detail: phase.to_owned() };
        let watches = self.parts.progress.kinds().into_iter().map(|kind| check_watch(&kind));
        let trust = self.parts.keeping.as_ref().map(|keeping| check_trust(&keeping.state()));
        let certificate = [phase, self.check_certificate(now)].into_iter();
        certificate.chain(trust).chain(self.check_clients()).chain(watches).collect()
    }

    fn check_certificate(&self, now: SystemTime) -> Check {
        let certificate = &self.parts.certificate;
        let complaint = certificate.complaint();
        let served = certificate.current();
        let is_early = served.as_ref().is_some_and(|served| now < served.certificate.not_before);
        let left = certificate.expiry().map(|expiry| expiry.duration_since(now));
        let (holds, mut detail) = match left {
            Some(Ok(_)) if is_early => (false, "the served certificate is not valid yet".to_owned()),
            Some(Ok(left)) => (true, format!("served, expires in {}", in_words(left))),
            Some(Err(_)) => (false, "the served certificate has expired".to_owned()),
            None => (false, "none is served".to_owned()),
        };
        if let Some(complaint) = complaint {
            detail = format!("{detail}; {complaint}");
        }
        Check { name: "certificate".to_owned(), holds, detail }
    }

    /// Who may connect. It always holds: where the file is of no use any more, what it held before is.
    fn check_clients(&self) -> Option<Check> {
        let clients = self.parts.clients.as_ref()?;
        let mut detail = format!("a certificate is required, authorities: {}", clients.count());
        if let ClientNames::OneOf(names) = clients.names() {
            detail = format!("{detail}, names: {}", names.join(", "));
        }
        if let Some(complaint) = clients.complaint() {
            detail = format!("{detail}; {complaint}");
        }
        Some(Check { name: "clients".to_owned(), holds: true, detail })
    }
}

/// Whether the API server accepts what is served. Until it does, another replica answers better.
fn check_trust(state: &KeepingState) -> Check {
    let (holds, detail) = match state.trusted {
        Trusted::Yes => (true, "trusted by every webhook configuration"),
        Trusted::Recently => (false, "trusted since a moment ago; waiting until every API server has noticed"),
        Trusted::No => (false, "not trusted by every webhook configuration yet"),
        Trusted::NoConfiguration => {
            (false, "no MutatingWebhookConfiguration calls this Service, so no reviews of pods will come")
        }
        Trusted::Unknown => (false, "the webhook configuration has not been seen yet"),
    };
    let mut detail = format!("{detail}; rotation: {}", state.stage.name());
    if let Some(fault) = &state.fault {
        detail = format!("{detail}; {fault}");
    }
    Check { name: "authority".to_owned(), holds, detail }
}

fn check_watch(kind: &KindProgress) -> Check {
    let holds = kind.is_no_obstacle();
    let mut detail = match kind.state() {
        WatchState::Synced => state_name(WatchState::Synced).to_owned(),
        WatchState::NotInstalled => "the API is not installed; asking again until it is".to_owned(),
        WatchState::Listing if holds => "not listed yet, and not waited for".to_owned(),
        WatchState::Listing => "not listed yet".to_owned(),
    };
    if let Some(failure) = kind.last_failure() {
        detail = format!("{detail}; {failure}");
    }
    let place = kind.namespace().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    Check { name: format!("watch {}{place}", kind.resource()), holds, detail }
}

fn in_words(time: Duration) -> String {
    let hours = time.as_secs() / 3600;
    if hours >= 48 { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}
