//! What the formats have in common: findings by object, with where the object stands, and how many there are.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::State;
use crate::lint::{Finding, Subject};
use crate::world::manifests::Origin;
use crate::world::{Deny, Severity};

/// Everything that was found, and in what.
pub(super) struct Report<'s> {
    pub(super) state: &'s State,
    /// The objects that were looked at, each with what is found about it, the worst first; objects in the order of their kinds.
    pub(super) objects: BTreeMap<Subject, Vec<Finding>>,
    fail_on: Deny,
}

/// How many there are of each severity, and in how many objects was looked.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) advice: usize,
    pub(super) objects: usize,
}

impl<'s> Report<'s> {
    pub(super) fn new(state: &'s State, findings: Vec<Finding>, fail_on: Deny) -> Self {
        let snapshot = &state.snapshot;
        let attachments = snapshot.attachments().map(|(namespace, name, _)| Subject::attachment(namespace, name));
        let networks = snapshot.storage_networks().map(Subject::storage_network);
        let subjects = snapshot.clusters().map(Subject::cluster).chain(networks).chain(attachments);
        let mut objects: BTreeMap<Subject, Vec<Finding>> = subjects.map(|subject| (subject, Vec::new())).collect();
        for finding in findings {
            objects.entry(finding.subject.clone()).or_default().push(finding);
        }
        for findings in objects.values_mut() {
            findings.sort_by(Finding::worst_first);
        }
        Self { state, objects, fail_on }
    }

    /// All findings, by object.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.objects.values().flatten()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { objects: self.objects.len(), ..Counts::default() };
        for finding in self.findings() {
            match finding.rule.severity() {
                Severity::Error => counts.errors += 1,
                Severity::Warning => counts.warnings += 1,
                Severity::Advice => counts.advice += 1,
            }
        }
        counts
    }

    /// Whether a finding is bad enough to fail by.
    pub(super) fn is_failure(&self, finding: &Finding) -> bool {
        self.fail_on.covers(finding.rule.severity())
    }

    pub(super) fn fails(&self) -> bool {
        self.findings().any(|finding| self.is_failure(finding))
    }

    /// Where an object stands, where it comes from a file.
    pub(super) fn origin(&self, subject: &Subject) -> Option<&Origin> {
        self.state.origin(&subject.kind, &subject.group, &subject.id)
    }
}

/// A path as reports have it: without the `./` that it may have been named by.
pub(super) fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}
