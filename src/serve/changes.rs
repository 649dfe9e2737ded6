//! Answers about objects that networks depend on: what is found in them, and address ranges that are written into them.
//!
//! As with pods, an answer is computation: no await, no lock, no call. But it may look at thousands of objects that others have
//! written, and pods must never wait for that: answers are given one at a time, and on a thread of their own.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request as HttpRequest;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::labels::ValidationOutcome;
use super::routes::{JSON, Rejection, Webhook};
use crate::lint::{self, Judgement, judge};
use crate::wire::{self, Answer, ChangeRequest};

/// Whose turn it is to have an answer computed.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// Collects the review of an object, and answers it when it is its turn.
pub(super) async fn in_turn(
    webhook: Webhook,
    request: HttpRequest,
    answer: fn(&Webhook, &[u8]) -> Response,
) -> Response {
    let (head, body) = request.into_parts();
    let (body, _room) = match webhook.collect(&head, body).await {
        Ok(collected) => collected,
        Err(rejection) => return webhook.reject(rejection),
    };
    let turn = Arc::clone(&webhook.turns.0).acquire_owned().await;
    let apart = webhook.clone();
    // The turn lasts until the answer is there, also where nobody waits for it any more.
    let answered = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        answer(&apart, &body)
    });
    match answered.await {
        Ok(response) => response,
        // As everywhere, it ends in an error that says so, and is counted.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => {
            let message = "this replica is stopping; ask again".to_owned();
            webhook.reject(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, message))
        }
    }
}

impl Webhook {
    /// Says what is found in an object, and refuses it where that is asked for.
    pub(super) fn validate(&self, body: &[u8]) -> Response {
        let started = Instant::now();
        let request = match ChangeRequest::read(body) {
            Ok(request) => request,
            Err(unreadable) => return self.reject(unreadable.into()),
        };
        let snapshot = self.published.read();
        let judgement = request.change().map(|change| judge(&snapshot, &change)).unwrap_or_default();
        let answer = wire::judged(request.uid(), &judgement);
        let outcome = match (judgement.is_refused(), judgement.findings.is_empty()) {
            (true, _) => ValidationOutcome::Denied,
            (false, false) => ValidationOutcome::Warned,
            (false, true) => ValidationOutcome::Allowed,
        };
        self.note(&request, &judgement, &answer, outcome, started);
        json(&answer)
    }

    /// Writes the address ranges of a cluster into it, where that is asked for.
    pub(super) fn write_address_ranges(&self, body: &[u8]) -> Response {
        let request = match ChangeRequest::read(body) {
            Ok(request) => request,
            Err(unreadable) => return self.reject(unreadable.into()),
        };
        let snapshot = self.published.read();
        let writing = request.change().and_then(|change| lint::write(&snapshot, &change));
        if let Some(writing) = &writing {
            tracing::info!(
                uid = request.uid(),
                said = writing.warning,
                dry_run = request.is_dry_run(),
                "address ranges"
            );
        }
        self.metrics.asked_for_address_ranges(writing.as_ref().is_some_and(|writing| !writing.patch.is_empty()));
        let answer = wire::written(request.uid(), writing);
        debug_assert!(wire::patch_applies(body, &answer), "a patch must apply to the object it was computed from");
        json(&answer)
    }

    fn note(
        &self,
        request: &ChangeRequest<'_>,
        judgement: &Judgement,
        answer: &Answer<'_>,
        outcome: ValidationOutcome,
        started: Instant,
    ) {
        let object = judgement.subject.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::info!(
            uid = request.uid(),
            object,
            outcome = outcome.name(),
            findings = answer.audit_annotation("findings"),
            mode = judgement.mode.name(),
            dry_run = request.is_dry_run(),
            micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "validation"
        );
        let kind = judgement.subject.as_ref().map(|subject| subject.kind.as_str()).unwrap_or_default();
        self.metrics.validated(outcome, kind);
    }
}

fn json(answer: &Answer<'_>) -> Response {
    ([(CONTENT_TYPE, JSON)], wire::answer_json(answer)).into_response()
}
