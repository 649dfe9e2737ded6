//! Answers about objects that networks depend on: what is found in them, and address ranges that are written into them.
//!
//! As with pods, everything in here is computation: no await, no lock, no call.

use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::labels::ValidationOutcome;
use super::routes::{JSON, Webhook};
use crate::lint::{self, Judgement, judge};
use crate::wire::{self, Answer, ChangeRequest};

impl Webhook {
    /// Says what is found in an object, and refuses it where that is asked for.
    pub(super) fn validate(&self, _: &HeaderMap, body: &[u8]) -> Response {
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
    pub(super) fn write_address_ranges(&self, _: &HeaderMap, body: &[u8]) -> Response {
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
