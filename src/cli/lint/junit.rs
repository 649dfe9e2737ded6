//! The report as JUnit XML, which CI systems show as tests: a suite for each kind of object, a test case for each object.
//!
//! An object fails by what the exit code fails by; what is milder stands in its output. Readers take the first failure of a test
//! case and no more, so there is one, with everything in it. Written by hand: it is three elements, and all that may go wrong is
//! what [`Escaped`] does.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::report::{Report, shown};
use crate::lint::{Finding, Subject};

pub(super) fn render(report: &Report<'_>) -> String {
    let mut suites: BTreeMap<String, Vec<(&Subject, &[Finding])>> = BTreeMap::new();
    for (subject, findings) in &report.objects {
        suites.entry(format!("{}.{}", subject.kind, subject.group)).or_default().push((subject, findings));
    }
    let failed = |cases: &[(&Subject, &[Finding])]| {
        cases.iter().filter(|(_, findings)| findings.iter().any(|finding| report.is_failure(finding))).count()
    };
    let failures: usize = suites.values().map(|cases| failed(cases)).sum();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"rook-multihome lint\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"0\">\n",
        report.objects.len(),
    );
    for (kind, cases) in suites {
        let kind = Escaped(&kind);
        let (tests, failures) = (cases.len(), failed(&cases));
        xml.push_str(&format!(
            "  <testsuite name=\"{kind}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"0\">\n"
        ));
        for (subject, findings) in cases {
            case(&mut xml, report, subject, findings);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(xml: &mut String, report: &Report<'_>, subject: &Subject, findings: &[Finding]) {
    let Subject { kind, group, id } = subject;
    let (class, name) = (format!("{kind}.{group}"), id.to_string());
    let origin = report.origin(subject);
    let place = origin.map(|origin| format!(" file=\"{}\" line=\"{}\"", Escaped(&shown(&origin.path)), origin.line));
    xml.push_str(&format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"{}",
        Escaped(&class),
        Escaped(&name),
        place.unwrap_or_default()
    ));
    if findings.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    xml.push_str(">\n");
    let (failures, others): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| report.is_failure(finding));
    if let Some(worst) = failures.first() {
        let message = match failures.len() - 1 {
            0 => sentence(worst),
            more => format!("{} (and {more} more)", sentence(worst)),
        };
        xml.push_str(&format!(
            "      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
            worst.rule,
            Escaped(&message),
            Escaped(&all(&failures))
        ));
    }
    if !others.is_empty() {
        xml.push_str(&format!("      <system-out>{}</system-out>\n", Escaped(&all(&others))));
    }
    xml.push_str("    </testcase>\n");
}

fn sentence(finding: &Finding) -> String {
    format!("{}: {}", finding.field, finding.fault)
}

fn all(findings: &[&Finding]) -> String {
    let line = |finding: &&Finding| {
        format!("{}: {}; {} ({})\n", finding.rule.severity(), sentence(finding), finding.mend, finding.rule)
    };
    findings.iter().map(line).collect()
}

/// A text as it stands in an element or between the quotes of an attribute (XML 1.0, 2.2 and 2.4): what is markup is named, and what
/// XML cannot express becomes the sign for that. In a text that comes from a file, white space is kept by its number.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(character))?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_text() {
        let hostile = "]]></failure>&<!-- \"'\u{0}\u{1b}\u{ffff}\n\u{85}ä";
        assert_eq!(
            Escaped(hostile).to_string(),
            "]]&gt;&lt;/failure&gt;&amp;&lt;!-- &quot;&apos;\u{fffd}\u{fffd}\u{fffd}&#10;\u{85}ä"
        );
    }
}
