//! The report as SARIF 2.1.0, which code scanning reads: one run, every rule that there is, and one result a finding.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Component, Path};

use serde_json::{Value, json};

use super::report::Report;
use crate::cli::state::NotListed;
use crate::lint::{Entry, Finding, Subject, TABLE};
use crate::world::Severity;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// The name under which a finding is known again in the next run. It changes with how it is made.
const FINGERPRINT: &str = "rookMultihome/v1";

pub(super) fn render(report: &Report<'_>) -> anyhow::Result<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let results: Vec<Value> = report.findings().map(|finding| result(report, finding, &mut seen)).collect();
    let notification = |NotListed { resource, why }: &NotListed| {
        let text = format!("{resource} could not be listed: {why}");
        json!({"level": "warning", "message": {"text": text}})
    };
    let notifications: Vec<Value> = report.state.not_listed.iter().map(notification).collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": TABLE.iter().map(rule).collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notifications}],
            "results": results,
        }],
    });
    Ok(serde_json::to_string_pretty(&document)?)
}

fn rule(entry: &Entry) -> Value {
    let Entry { rule: _, id, severity, about, mend } = entry;
    json!({
        "id": id,
        "shortDescription": {"text": about},
        "help": {"text": mend},
        "defaultConfiguration": {"level": level(*severity)},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn result(report: &Report<'_>, finding: &Finding, seen: &mut HashMap<String, usize>) -> Value {
    let Finding { subject, field, rule, fault, mend, with: _ } = finding;
    let Subject { kind, group, id } = subject;
    // Without the fault, which has numbers in it that change while it stays the same.
    let fingerprint = format!("{rule} {kind}.{group} {id} {field}");
    let number = seen.entry(fingerprint.clone()).and_modify(|number| *number += 1).or_insert(1);
    let fingerprint = format!("{fingerprint} {number}");
    let mut location = json!({
        "logicalLocations": [{"name": id.name, "fullyQualifiedName": format!("{kind}.{group}/{id}"), "kind": "resource"}],
    });
    if let Some(origin) = report.origin(subject) {
        location["physicalLocation"] = json!({
            "artifactLocation": {"uri": uri(&origin.path)},
            "region": {"startLine": origin.line},
        });
    }
    json!({
        "ruleId": rule.id(),
        // The table has the order of the rules.
        "ruleIndex": TABLE.iter().position(|entry| entry.rule == *rule),
        "level": level(rule.severity()),
        "message": {"text": format!("{subject}, {field}: {fault}; {mend}")},
        "locations": [location],
        "partialFingerprints": {FINGERPRINT: fingerprint},
    })
}

/// A path as a relative reference (RFC 3986): relative to the working folder where the file lies below it, which in CI is that
/// of the repository; else absolute.
fn uri(path: &Path) -> String {
    let working = std::env::current_dir().unwrap_or_default();
    let below = path.strip_prefix(&working).unwrap_or(path);
    let mut uri = String::from(if below.is_absolute() { "file:///" } else { "" });
    let mut is_first = true;
    for part in below.components() {
        let part = match part {
            Component::Normal(part) => part.as_encoded_bytes(),
            Component::ParentDir => b"..",
            Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
        };
        if !std::mem::take(&mut is_first) {
            uri.push('/');
        }
        for byte in part {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
                _ => _ = write!(uri, "%{byte:02X}"),
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_references() {
        for (path, expected) in [
            ("a/b.yaml", "a/b.yaml"),
            ("./a.yaml", "a.yaml"),
            ("../a.yaml", "../a.yaml"),
            ("/etc/a b.yaml", "file:///etc/a%20b.yaml"),
            ("a:b%/ä?#.yaml", "a%3Ab%25/%C3%A4%3F%23.yaml"),
        ] {
            assert_eq!(uri(Path::new(path)), expected);
        }
        let below = std::env::current_dir().unwrap().join("x/y.yaml");
        assert_eq!(uri(&below), "x/y.yaml");
    }
}
