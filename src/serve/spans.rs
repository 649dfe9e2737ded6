//! A span for each review, as a child of the API server's own where it sends one.
//!
//! It is made when the answer is there, as the log's event is, and so it is never open while something is waited for. Handing
//! it over is a push to a bounded queue, which drops what is too much; sending it is not done here.

use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{Span as _, SpanKind, Tracer as _};

use crate::network::shorten;

/// Where spans go: nowhere, where no collector was named when the process started.
pub(super) struct Spans(BoxedTracer);

/// The headers of a request, for whoever looks for `traceparent` in them.
struct Headers<'h>(&'h HeaderMap);

impl Default for Spans {
    fn default() -> Self {
        Self(global::tracer(env!("CARGO_PKG_NAME")))
    }
}

impl Spans {
    /// Records a review that took `took` until now.
    pub(super) fn record(&self, headers: &HeaderMap, took: Duration, attributes: &[(&'static str, &str)]) {
        // This reads through a lock that was last written when the process started.
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
        let builder =
            self.0.span_builder("review").with_kind(SpanKind::Server).with_start_time(SystemTime::now() - took);
        let mut span = builder.start_with_context(&self.0, &parent);
        if span.is_recording() {
            // Some are the client's own words, which may be long.
            span.set_attributes(attributes.iter().map(|&(key, value)| KeyValue::new(key, shorten(value).into_owned())));
        }
        span.end();
    }
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
