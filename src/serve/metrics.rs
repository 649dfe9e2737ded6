//! Metrics, in the OpenMetrics text that Prometheus reads. Each is described in `docs/metrics.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Parts;
use super::labels::{
    ClusterLabels, CodeLabels, ConnectionEnd, EndLabels, FindingLabels, ReadyLabels, ReviewLabels, ReviewOutcome,
    StageLabels, StatusLabels, ValidationLabels, ValidationOutcome, WatchLabels, WatchStateLabels, WritingLabels,
};
use crate::api::ConditionStatus;
use crate::status::ledger::Outcome;
use crate::status::standing::Standing;
use crate::tls::keeping::{Keeping, Trusted};
use crate::tls::rotation::Stage;
use crate::watch::{KindProgress, State};
use crate::world::Mode;

/// Everything that is counted.
pub(super) struct Metrics {
    registry: Registry,
    /// Held from when series are made anew until they are written.
    writing: Mutex<()>,
    reviews: Family<ReviewLabels, Counter>,
    validations: Family<ValidationLabels, Counter>,
    address_ranges: Family<WritingLabels, Counter>,
    review_seconds: Histogram,
    rejected_requests: Family<CodeLabels, Counter>,
    panics: Counter,
    connections_open: Gauge,
    connections: Family<EndLabels, Counter>,
    accept_failures: Counter,
    // Set when they are asked for.
    clusters: Family<ClusterLabels, Gauge>,
    attachments: Gauge,
    storage_networks: Family<ReadyLabels, Gauge>,
    findings: Family<FindingLabels, Gauge>,
    status_lease_held: Gauge,
    statuses: Family<StatusLabels, Counter>,
    watch_state: Family<WatchStateLabels, Gauge>,
    watch_age: Family<WatchLabels, Gauge<f64, AtomicU64>>,
    watch_failing: Family<WatchLabels, Gauge<f64, AtomicU64>>,
    watch_malformed: Family<WatchLabels, Counter>,
    watch_failures: Family<WatchLabels, Counter>,
    certificate_expiry: Gauge,
    certificates_refused: Counter,
    certificates_issued: Counter,
    ca_expiry: Gauge,
    ca_rotation_stage: Family<StageLabels, Gauge>,
    ca_bundle_in_place: Gauge,
    ca_bundle_writes: Counter,
    log_lines_dropped: Counter,
}

/// Upper bounds of the histogram, in seconds: reviews take tens of microseconds.
const REVIEW_BUCKETS: [f64; 10] = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 1e-1];

impl Metrics {
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rook_multihome"),
            writing: Mutex::default(),
            reviews: Family::default(),
            validations: Family::default(),
            address_ranges: Family::default(),
            review_seconds: Histogram::new(REVIEW_BUCKETS),
            rejected_requests: Family::default(),
            panics: Counter::default(),
            connections_open: Gauge::default(),
            connections: Family::default(),
            accept_failures: Counter::default(),
            clusters: Family::default(),
            attachments: Gauge::default(),
            storage_networks: Family::default(),
            findings: Family::default(),
            status_lease_held: Gauge::default(),
            statuses: Family::default(),
            watch_state: Family::default(),
            watch_age: Family::default(),
            watch_failing: Family::default(),
            watch_malformed: Family::default(),
            watch_failures: Family::default(),
            certificate_expiry: Gauge::default(),
            certificates_refused: Counter::default(),
            certificates_issued: Counter::default(),
            ca_expiry: Gauge::default(),
            ca_rotation_stage: Family::default(),
            ca_bundle_in_place: Gauge::default(),
            ca_bundle_writes: Counter::default(),
            log_lines_dropped: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("reviews", "Reviews answered, by what became of the pod", self.reviews.clone());
        registry.register(
            "validations",
            "Objects that networks depend on, by what became of them",
            self.validations.clone(),
        );
        registry.register(
            "address_range_reviews",
            "Clusters that could have address ranges written, by whether they had",
            self.address_ranges.clone(),
        );
        registry.register(
            "findings",
            "What is found in networks as they are, by rule and severity",
            self.findings.clone(),
        );
        registry.register(
            "review_duration_seconds",
            "Time from the bytes of a review to the bytes of its answer",
            self.review_seconds.clone(),
        );
        registry.register(
            "rejected_requests",
            "Requests answered with an HTTP error, by status code",
            self.rejected_requests.clone(),
        );
        registry.register("panics", "Requests that ended in a panic; each is a bug", self.panics.clone());
        registry.register("connections_open", "Connections open now", self.connections_open.clone());
        registry.register("connections", "Connections ended, by how", self.connections.clone());
        registry.register("accept_failures", "Connections that could not be accepted", self.accept_failures.clone());
        registry.register("clusters", "Storage clusters known, by system and state of the spec", self.clusters.clone());
        registry.register("attachments", "Attachment definitions known", self.attachments.clone());
        registry.register(
            "storage_networks",
            "StorageNetworks known, by their condition Ready",
            self.storage_networks.clone(),
        );
        registry.register(
            "status_lease_held",
            "1 while this replica is the one that writes statuses",
            self.status_lease_held.clone(),
        );
        registry.register(
            "statuses",
            "StorageNetworks whose status was looked at, by what came of it",
            self.statuses.clone(),
        );
        registry.register(
            "watch_state",
            "1 for the state that the watch of a resource is in",
            self.watch_state.clone(),
        );
        registry.register(
            "watch_last_event_age_seconds",
            "Time since the last event of a watch",
            self.watch_age.clone(),
        );
        registry.register(
            "watch_failing_seconds",
            "For how long a watch has been failing; 0 while it works",
            self.watch_failing.clone(),
        );
        registry.register(
            "watch_malformed_objects",
            "Objects that could not be used, each time they were seen",
            self.watch_malformed.clone(),
        );
        registry.register("watch_failures", "Failures to list or watch", self.watch_failures.clone());
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the served certificate expires; 0 while none is served",
            self.certificate_expiry.clone(),
        );
        registry.register(
            "certificates_refused",
            "Certificates found unfit to serve",
            self.certificates_refused.clone(),
        );
        registry.register(
            "certificates_issued",
            "Certificates signed for this replica by the replicas' own authority",
            self.certificates_issued.clone(),
        );
        registry.register(
            "ca_expiry_timestamp_seconds",
            "When the replicas' own authority expires; 0 without one",
            self.ca_expiry.clone(),
        );
        registry.register(
            "ca_rotation_stage",
            "1 for the stage that the rotation is in",
            self.ca_rotation_stage.clone(),
        );
        registry.register(
            "ca_bundle_in_place",
            "1 while every webhook configuration trusts what is served",
            self.ca_bundle_in_place.clone(),
        );
        registry.register("ca_bundle_writes", "Writes of a caBundle", self.ca_bundle_writes.clone());
        registry.register(
            "log_lines_dropped",
            "Log lines dropped because they were not read in time",
            self.log_lines_dropped.clone(),
        );
        let build: Family<Vec<(&'static str, &'static str)>, Gauge> = Family::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "The version that is running", build);
    }

    pub(super) fn reviewed(
        &self,
        outcome: ReviewOutcome,
        role: String,
        reason: &'static str,
        mode: Mode,
        took: Duration,
    ) {
        self.reviews.get_or_create(&ReviewLabels { outcome, role, reason, mode: mode.name() }).inc();
        self.review_seconds.observe(took.as_secs_f64());
    }

    /// `kind` is empty where the object says nothing about networks.
    pub(super) fn validated(&self, outcome: ValidationOutcome, kind: &str) {
        let labels = ValidationLabels { outcome: outcome.name(), kind: kind.to_owned() };
        self.validations.get_or_create(&labels).inc();
    }

    pub(super) fn asked_for_address_ranges(&self, is_written: bool) {
        let outcome = if is_written { "written" } else { "left" };
        self.address_ranges.get_or_create(&WritingLabels { outcome }).inc();
    }

    pub(super) fn rejected(&self, code: u16) {
        self.rejected_requests.get_or_create(&CodeLabels { code }).inc();
    }

    pub(super) fn panicked(&self) {
        self.panics.inc();
    }

    pub(super) fn connection_opened(&self) {
        self.connections_open.inc();
    }

    pub(super) fn connection_ended(&self, end: ConnectionEnd) {
        self.connections_open.dec();
        self.connections.get_or_create(&EndLabels { end }).inc();
    }

    pub(super) fn accept_failed(&self) {
        self.accept_failures.inc();
    }

    /// The text of all metrics, with those of `parts` as they are now.
    pub(super) fn text(&self, parts: &Parts) -> Result<String, std::fmt::Error> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.update(parts);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn update(&self, parts: &Parts) {
        let snapshot = parts.published.read();
        for system in snapshot.systems() {
            for (spec, valid) in [("valid", true), ("invalid", false)] {
                let these =
                    |cluster: &&crate::world::Cluster| cluster.system == system.name && cluster.is_valid() == valid;
                let labels = ClusterLabels { system: system.name.to_string(), spec };
                self.clusters.get_or_create(&labels).set(as_i64(snapshot.clusters().filter(these).count()));
            }
        }
        self.attachments.set(as_i64(snapshot.attachment_count()));
        for (label, status) in
            [("true", ConditionStatus::True), ("false", ConditionStatus::False), ("unknown", ConditionStatus::Unknown)]
        {
            let count = parts.readiness.count_of(status);
            self.storage_networks.get_or_create(&ReadyLabels { ready: label }).set(as_i64(count));
        }
        for (entry, count) in parts.found.counts() {
            let labels = FindingLabels { rule: entry.id, severity: entry.severity.name() };
            self.findings.get_or_create(&labels).set(as_i64(count));
        }
        if let Some(standing) = &parts.standing {
            self.update_standing(standing);
        }
        self.update_watches(&parts.progress.kinds());
        self.certificate_expiry.set(parts.certificate.expiry().map_or(0, unix_seconds));
        if let Some(keeping) = &parts.keeping {
            self.update_keeping(keeping);
        }
        let dropped = u64::try_from(parts.dropped_log_lines.dropped_lines()).unwrap_or(u64::MAX);
        self.log_lines_dropped.inner().store(dropped, Ordering::Relaxed);
        self.certificates_refused.inner().store(parts.certificate.refused(), Ordering::Relaxed);
    }
}

impl Metrics {
    fn update_standing(&self, standing: &Standing) {
        self.status_lease_held.set(i64::from(standing.holds_lease()));
        for outcome in Outcome::ALL {
            let labels = StatusLabels { outcome: outcome.name() };
            self.statuses.get_or_create(&labels).inner().store(standing.count_of(outcome), Ordering::Relaxed);
        }
    }

    /// Watches come and go, and so do their series.
    fn update_watches(&self, kinds: &[Arc<KindProgress>]) {
        self.watch_state.clear();
        self.watch_age.clear();
        self.watch_failing.clear();
        self.watch_malformed.clear();
        self.watch_failures.clear();
        let now = Instant::now();
        for kind in kinds {
            let watched_namespace = kind.namespace().map(str::to_owned);
            let labels = WatchLabels { resource: kind.resource().to_owned(), watched_namespace };
            for state in [State::Listing, State::Synced, State::NotInstalled] {
                let WatchLabels { resource, watched_namespace } = labels.clone();
                let labels = WatchStateLabels { resource, watched_namespace, state: state_name(state) };
                self.watch_state.get_or_create(&labels).set(i64::from(kind.state() == state));
            }
            if let Some(age) = kind.age_of_last_event(now) {
                self.watch_age.get_or_create(&labels).set(age.as_secs_f64());
            }
            let failing = kind.failing_for(now).unwrap_or_default();
            self.watch_failing.get_or_create(&labels).set(failing.as_secs_f64());
            self.watch_malformed.get_or_create(&labels).inner().store(kind.malformed_count(), Ordering::Relaxed);
            self.watch_failures.get_or_create(&labels).inner().store(kind.failure_count(), Ordering::Relaxed);
        }
    }

    fn update_keeping(&self, keeping: &Keeping) {
        let state = keeping.state();
        for stage in Stage::ALL {
            let labels = StageLabels { stage: stage.name() };
            self.ca_rotation_stage.get_or_create(&labels).set(i64::from(stage == state.stage));
        }
        self.ca_expiry.set(state.authority_expiry.map_or(0, unix_seconds));
        self.ca_bundle_in_place.set(i64::from(state.trusted == Trusted::Yes));
        self.ca_bundle_writes.inner().store(keeping.bundle_writes(), Ordering::Relaxed);
        self.certificates_issued.inner().store(keeping.issued(), Ordering::Relaxed);
    }
}

fn unix_seconds(moment: SystemTime) -> i64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| as_i64(since.as_secs()))
}

/// The name of a watch's state, in metrics and readiness.
pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Listing => "listing",
        State::Synced => "synced",
        State::NotInstalled => "not-installed",
    }
}

fn as_i64(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
