//! The report for machines. Fields are added and never taken away; docs/checks.md describes them.

use serde::Serialize;

use super::report::{Counts, Report, shown};
use crate::cli::state::NotListed;
use crate::lint::{Finding, Subject};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    findings: Vec<Found<'r>>,
    summary: Counts,
    /// What could not be listed in the cluster.
    not_listed: &'r [NotListed],
}

#[derive(Serialize)]
struct Found<'r> {
    rule: &'static str,
    severity: &'static str,
    object: ObjectView<'r>,
    field: &'r str,
    fault: &'r str,
    mend: &'r str,
    file: Option<String>,
    line: Option<usize>,
    with: Vec<ObjectView<'r>>,
}

/// An object by its kind and name.
#[derive(Serialize)]
pub(in crate::cli) struct ObjectView<'r> {
    kind: &'r str,
    group: &'r str,
    namespace: &'r str,
    name: &'r str,
}

impl<'r> From<&'r Subject> for ObjectView<'r> {
    fn from(subject: &'r Subject) -> Self {
        let Subject { kind, group, id } = subject;
        Self { kind, group, namespace: &id.namespace, name: &id.name }
    }
}

pub(super) fn render(report: &Report<'_>) -> anyhow::Result<String> {
    let found = |finding| found(report, finding);
    let findings = report.findings().map(found).collect();
    let document = Document { findings, summary: report.counts(), not_listed: &report.state.not_listed };
    Ok(serde_json::to_string_pretty(&document)?)
}

fn found<'r>(report: &'r Report<'_>, finding: &'r Finding) -> Found<'r> {
    let Finding { subject, field, rule, fault, mend, with } = finding;
    let origin = report.origin(subject);
    Found {
        rule: rule.id(),
        severity: rule.severity().name(),
        object: subject.into(),
        field,
        fault,
        mend,
        file: origin.map(|origin| shown(&origin.path)),
        line: origin.map(|origin| origin.line),
        with: with.iter().map(Into::into).collect(),
    }
}
