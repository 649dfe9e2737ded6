//! Workloads: what stands between a pod and the custom resource of its cluster.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::resource::Resource;

/// A kind of workload that owns pods, or owns what owns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// `apps/v1`
    ReplicaSet,
    /// `apps/v1`
    Deployment,
    /// `apps/v1`
    StatefulSet,
    /// `apps/v1`
    DaemonSet,
    /// `batch/v1`
    Job,
    /// `batch/v1`, `batch/v1beta1` before Kubernetes 1.21
    CronJob,
}

impl WorkloadKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::ReplicaSet, Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob];

    /// The kind's name, as in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplicaSet => "ReplicaSet",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// The kind that an owner reference means, where it means one of these.
    #[must_use]
    pub fn of_reference(api_version: &str, kind: &str) -> Option<Self> {
        let (group, _) = api_version.split_once('/')?;
        Self::ALL.into_iter().find(|known| known.name() == kind && known.group() == group)
    }

    /// The resource behind the kind.
    #[must_use]
    pub fn resource(self) -> Resource {
        let versions: &[&str] = match self {
            Self::CronJob => &["v1", "v1beta1"],
            Self::ReplicaSet | Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::Job => &["v1"],
        };
        Resource {
            group: self.group().to_owned(),
            versions: versions.iter().map(ToString::to_string).collect(),
            kind: self.name().to_owned(),
            plural: format!("{}s", self.name().to_ascii_lowercase()),
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::ReplicaSet | Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Job | Self::CronJob => "batch",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
