//! The labels of metrics, and the values that they can have. `docs/metrics.md` says what each means.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReviewLabels {
    pub(super) outcome: ReviewOutcome,
    pub(super) role: String,
    pub(super) reason: &'static str,
    pub(super) mode: &'static str,
}

/// What became of a review; in audit mode, what would have.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum ReviewOutcome {
    /// Networks were attached.
    Attached,
    /// The pod was put on the host network.
    Host,
    /// The pod was left as it is.
    Left,
    /// The pod was left as it is, with a warning.
    Warned,
    /// The pod was refused.
    Denied,
}

/// What became of an object that networks depend on.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum ValidationOutcome {
    /// Nothing was found.
    Allowed,
    /// Something was found, and said.
    Warned,
    /// The object was refused.
    Denied,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ValidationLabels {
    pub(super) outcome: &'static str,
    pub(super) kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct WritingLabels {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FindingLabels {
    pub(super) rule: &'static str,
    pub(super) severity: &'static str,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// One side closed it in order.
    Closed,
    /// No request came in time.
    Idle,
    /// The peer broke it off, or spoke something else than HTTP.
    Failed,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The TLS handshake was not finished in time.
    HandshakeTimeout,
    /// The client showed no certificate, or not the right one.
    ClientRefused,
    /// All seats were taken, and a new connection got this one's.
    Displaced,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CodeLabels {
    pub(super) code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct EndLabels {
    pub(super) end: ConnectionEnd,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ClusterLabels {
    pub(super) system: String,
    pub(super) spec: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReadyLabels {
    pub(super) ready: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct StatusLabels {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct StageLabels {
    pub(super) stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct WatchLabels {
    pub(super) resource: String,
    /// Not `namespace`: that is where a Prometheus says that this replica is.
    pub(super) watched_namespace: Option<String>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct WatchStateLabels {
    pub(super) resource: String,
    pub(super) watched_namespace: Option<String>,
    pub(super) state: &'static str,
}

impl ValidationOutcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
        }
    }
}

impl ReviewOutcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Host => "host",
            Self::Left => "left",
            Self::Warned => "warned",
            Self::Denied => "denied",
        }
    }
}

impl EncodeLabelValue for ReviewOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

impl EncodeLabelValue for ConnectionEnd {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Failed => "failed",
            Self::HandshakeFailed => "handshake-failed",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::ClientRefused => "client-refused",
            Self::Displaced => "displaced",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}
