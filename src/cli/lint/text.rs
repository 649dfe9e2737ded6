//! The report for people: by object, the worst first.

use std::fmt::Write as _;

use super::report::{Counts, Report, shown};
use crate::cli::words::{WIDTH, count, plain, wrap};
use crate::lint::{Finding, Subject};
use crate::world::Severity;

/// Whether anything is coloured; nothing is said by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// No.
    Plain,
    /// Yes, by the codes of terminals.
    Coloured,
}

/// Where what is found begins, after how bad it is.
const INDENT: usize = 11;

pub(super) fn render(report: &Report<'_>, style: Style) -> String {
    let mut objects: Vec<(&Subject, &Vec<Finding>)> =
        report.objects.iter().filter(|(_, findings)| !findings.is_empty()).collect();
    objects.sort_by_key(|(_, findings)| findings.iter().map(|finding| finding.rule.severity()).min());
    let mut text = String::new();
    for (subject, findings) in objects {
        let name = style.strong(&plain(&subject.to_string()));
        let origin = report.origin(subject).map(|origin| format!(" ({}:{})", shown(&origin.path), origin.line));
        text.push_str(&format!("{name}{}\n", plain(&origin.unwrap_or_default())));
        for finding in findings {
            write(&mut text, finding, style);
        }
        text.push('\n');
    }
    text.push_str(&summary(report.counts()));
    text.push('\n');
    text
}

fn write(text: &mut String, finding: &Finding, style: Style) {
    let Finding { subject: _, field, rule, fault, mend, with: _ } = finding;
    let severity = rule.severity();
    let said = [format!("{field}: {fault}"), format!("{mend} ({rule})")];
    let lines = said.iter().flat_map(|said| wrap(&plain(said), WIDTH - INDENT));
    for (index, line) in lines.enumerate() {
        let margin = if index == 0 { severity.name() } else { "" };
        // Padded before it is coloured, as codes have a length too.
        let margin = format!("{margin:<width$}", width = INDENT - 2);
        let margin = if index == 0 { style.of(severity, &margin) } else { margin };
        _ = writeln!(text, "  {margin}{line}");
    }
}

fn summary(counts: Counts) -> String {
    let Counts { errors, warnings, advice, objects } = counts;
    let found: Vec<String> =
        [(errors, "error", "errors"), (warnings, "warning", "warnings"), (advice, "advice", "advice")]
            .into_iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, one, many)| count(number, one, many))
            .collect();
    let objects = count(objects, "object", "objects");
    if found.is_empty() { format!("nothing found in {objects}") } else { format!("{} in {objects}", found.join(", ")) }
}

impl Style {
    fn strong(self, text: &str) -> String {
        self.coded("1", text)
    }

    fn of(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "33",
            Severity::Advice => "36",
        };
        self.coded(code, text)
    }

    fn coded(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_there_is() {
        let counts = |errors, warnings, advice, objects| summary(Counts { errors, warnings, advice, objects });
        assert_eq!(counts(3, 2, 1, 14), "3 errors, 2 warnings, 1 advice in 14 objects");
        assert_eq!(counts(1, 0, 0, 1), "1 error in 1 object");
        assert_eq!(counts(0, 0, 2, 2), "2 advice in 2 objects");
        assert_eq!(counts(0, 0, 0, 0), "nothing found in 0 objects");
    }

    #[test]
    fn nothing_is_said_by_colour_alone() {
        let coloured = Style::Coloured.of(Severity::Error, "error    ");
        assert_eq!(coloured, "\u{1b}[1;31merror    \u{1b}[0m");
        assert_eq!(Style::Plain.of(Severity::Error, "error    "), "error    ");
    }
}
