//! Traces over OTLP, where the standard variables name a collector.
//!
//! Finished spans wait in a bounded queue, and a thread of its own sends them in batches. Where the collector is slow or away,
//! spans are dropped: no review waits for it, and one warning says so until it is back.

use std::env;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::{Key, KeyValue, global};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

use crate::watch::with_causes;

/// Sends spans, for as long as this is kept.
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

/// Posts batches to the collector, and tells when it goes away and comes back.
#[derive(Debug)]
struct Collector {
    client: HyperClient,
    /// The thread that sends is none of the runtime's, which the client needs.
    runtime: Handle,
    away: AtomicBool,
}

/// The variables that name a collector; the first that is set counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The variables that choose a protocol.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";
/// How long a batch may take to be sent.
const SENDING: Duration = Duration::from_secs(10);
/// How long the spans that are left may take to be sent at the end.
const FINISHING: Duration = Duration::from_secs(3);

impl Traces {
    /// Begins to send spans, where there is a collector. Where the variables are of no use, that is said and the webhook goes
    /// on without: they are often set for all pods at once, by somebody who does not know each.
    pub(super) fn start(runtime: &Handle) -> Option<Self> {
        let (variable, endpoint) = first_set(ENDPOINTS)?;
        match Self::send_to(variable, &endpoint, runtime) {
            Ok(traces) => {
                tracing::info!(collector = endpoint, "sending traces");
                Some(traces)
            }
            Err(fault) => {
                tracing::warn!(fault, "no traces are sent");
                None
            }
        }
    }

    fn send_to(variable: &str, endpoint: &str, runtime: &Handle) -> Result<Self, String> {
        if !endpoint.starts_with("http://") {
            return Err(format!("{variable} is {endpoint:?}; write an address that begins with http://"));
        }
        if let Some((variable, protocol)) = first_set(PROTOCOLS)
            && protocol != PROTOCOL
        {
            return Err(format!("{variable} is {protocol:?}; only {PROTOCOL} is spoken, mostly on port 4318"));
        }
        let client = HyperClient::with_default_connector(SENDING, None);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector { client, runtime: runtime.clone(), away: AtomicBool::new(false) })
            .with_protocol(Protocol::HttpBinary)
            // A batch that fails is dropped: to wait and send it again would fill the queue behind it.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| error.to_string())?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        global::set_tracer_provider(provider.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Self { provider })
    }

    /// Sends what is left, within bounds. Not to be called on the runtime, which does the sending.
    pub(super) fn finish(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FINISHING) {
            tracing::warn!(%error, "the last traces were not sent in time");
        }
    }
}

/// Who the spans are from, by the standard variables, and by this program's name where they do not say.
fn resource() -> Resource {
    let builder = || Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let detected = builder().build();
    let name = detected.get(&Key::from_static_str("service.name"));
    if name.is_some_and(|name| !name.as_str().starts_with("unknown_service")) {
        detected
    } else {
        builder().with_service_name(env!("CARGO_PKG_NAME")).build()
    }
}

/// The first of the variables that is set to something.
fn first_set(variables: [&'static str; 2]) -> Option<(&'static str, String)> {
    let set = |variable| env::var(variable).ok().filter(|value| !value.is_empty()).map(|value| (variable, value));
    variables.into_iter().find_map(set)
}

impl Collector {
    fn note(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let fault = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(with_causes(error.as_ref())),
        };
        match fault {
            Some(fault) if !self.away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(fault, "traces cannot be sent; dropping them until the collector is back");
            }
            None if self.away.swap(false, Ordering::Relaxed) => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

impl HttpClient for Collector {
    // The trait is declared by a macro; this is what that makes of an async function.
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'c: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let client = self.client.clone();
            let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await;
            // Cancelled, where the process is ending: that says itself what is lost.
            let answer = sent?;
            self.note(&answer);
            answer
        })
    }
}
