//! `lint`: what is wrong with networks, before pods hang.
//!
//! What is found is decided in [`crate::lint`]; this loads what is looked at, leaves out the rules that are not wanted, and
//! writes a report, one format a file. The exit code says whether to go on: 0 where nothing was found that is as bad as
//! `--fail-on`, 1 where something was, and 2 where nobody could look.

mod json;
mod junit;
mod report;
mod sarif;
mod text;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::report::Report;
use self::text::Style;
use super::state::{State, StateArgs};
use super::{hint, is_broken_pipe, print};
use crate::lint::{Finding, Rule, TABLE, lint};
use crate::world::{Deny, manifests};

/// How many letters of a rule's name may be wrong.
const WRONG: usize = 3;
/// How many names of rules are worth reading.
const SHOWN: usize = 5;

/// Flags of `lint`.
#[derive(Debug, Args)]
pub(super) struct LintArgs {
    #[command(flatten)]
    state: StateArgs,
    /// End with exit code 1 where something of this severity or a worse one is found: error, warning, advice, or never. Where
    /// nobody could look, it is 2
    #[arg(long, value_name = "SEVERITY", default_value = "warning")]
    fail_on: Deny,
    /// Look for this only. Repeatable, or separated by commas; docs/lint.md lists the rules
    #[arg(long = "rule", value_name = "RULE", value_delimiter = ',', value_parser = rule)]
    wanted: Vec<Rule>,
    /// Do not look for this. Repeatable, or separated by commas
    #[arg(long = "ignore", value_name = "RULE", value_delimiter = ',', value_parser = rule)]
    ignored: Vec<Rule>,
    /// For whom to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For machines: one object with all findings
    Json,
    /// For code scanning, as on GitHub: SARIF 2.1.0
    Sarif,
    /// For CI that counts tests: JUnit XML, with a test case for each object
    Junit,
}

impl LintArgs {
    /// Prints what is found, and says by the exit code whether it is bad.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { state, fail_on, wanted, ignored, output } = self;
        let state = state.load()?;
        let mut findings = lint(&state.snapshot);
        for problem in state.report.problems.iter().filter(|problem| !is_found(problem, &findings)) {
            hint(&format!("warning: {problem}"));
        }
        state.gaps().for_each(|gap| hint(&gap));
        let is_wanted = |rule: Rule| (wanted.is_empty() || wanted.contains(&rule)) && !ignored.contains(&rule);
        findings.retain(|finding| is_wanted(finding.rule));
        let report = Report::new(&state, findings, fail_on);
        let printed = match output {
            Output::Text => print(&text::render(&report, style())),
            Output::Json => print(&json::render(&report)?),
            Output::Sarif => print(&sarif::render(&report)?),
            Output::Junit => print(&junit::render(&report)),
        };
        // Who reads no further, as `head` does, still wants to know.
        printed.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })?;
        Ok(if report.fails() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Whether a problem of an object is told by a finding, so that it need not be told again.
fn is_found(problem: &manifests::Problem, findings: &[Finding]) -> bool {
    let manifests::Problem { path: _, kind, group, id, fault } = problem;
    findings.iter().any(|finding| {
        let subject = &finding.subject;
        let is_same = subject.kind == *kind && subject.group == *group && subject.id == *id;
        is_same && format!("{}: {}; {}", finding.field, finding.fault, finding.mend).contains(fault)
    })
}

/// Colours only where a terminal shows them, and nobody asked for none (no-color.org).
fn style() -> Style {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb { Style::Coloured } else { Style::Plain }
}

/// The rule of this name.
fn rule(name: &str) -> Result<Rule, String> {
    if let Some(entry) = TABLE.iter().find(|entry| entry.id == name) {
        return Ok(entry.rule);
    }
    let is_near = |id: &str| {
        let has_word = !name.is_empty() && name.split('-').any(|word| word.len() > WRONG && id.contains(word));
        let distance = distance(name, id);
        (distance <= WRONG || has_word).then_some((distance, id.to_owned()))
    };
    let mut near: Vec<(usize, String)> = TABLE.iter().filter_map(|entry| is_near(entry.id)).collect();
    near.sort();
    let near: Vec<String> = near.into_iter().take(SHOWN).map(|(_, id)| id).collect();
    Err(if near.is_empty() {
        "there is no such rule; docs/lint.md lists them".to_owned()
    } else {
        format!("there is no such rule; near it are {}", near.join(", "))
    })
}

/// How many letters have to be added, removed or exchanged to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (at, same) in other.iter().enumerate() {
            let exchanged = diagonal + usize::from(letter != *same);
            diagonal = row[at + 1];
            row[at + 1] = exchanged.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_near_are_named() {
        assert_eq!(rule("keys-overlap"), Ok(Rule::KeysOverlap));
        let near = rule("key-overlap").unwrap_err();
        assert!(near.starts_with("there is no such rule; near it are keys-overlap"), "{near}");
        let near = rule("missing").unwrap_err();
        assert!(near.contains("attachment-missing") && near.contains("cluster-missing"), "{near}");
        for name in ["", "x", "*", "\u{1b}[31m"] {
            assert_eq!(rule(name).unwrap_err(), "there is no such rule; docs/lint.md lists them");
        }
    }

    #[test]
    fn letters_that_differ_are_counted() {
        for (one, other, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "axc", 1), ("bc", "abcd", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{one} {other}");
        }
    }
}
