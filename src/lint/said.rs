//! A judgement in sentences: for the warnings that kubectl prints, for the refusal, and for the audit log.

use super::judge::{Judged, Judgement, Verdict};
use crate::world::Mode;

/// The most findings that are said at once. The API server forgets warnings past 4,096 characters of them all.
const SAID_MAX: usize = 12;

impl Judgement {
    /// What the one who writes the object should read, the worst first. What it is refused for is in the refusal.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let said: Vec<&Judged> = self
            .findings
            .iter()
            .filter(|judged| judged.verdict == Verdict::Said || self.mode != Mode::Enforce)
            .collect();
        let sentence = |judged: &&Judged| match judged.verdict {
            Verdict::Said => format!("rook-multihome: {}", judged.finding),
            Verdict::Refused => {
                format!("rook-multihome is in audit mode, and would have refused this: {}", judged.finding)
            }
        };
        let more = said.len().saturating_sub(SAID_MAX);
        let more = (more > 0)
            .then(|| format!("rook-multihome: and {more} more findings; rook-multihome lint prints them all"));
        said.iter().take(SAID_MAX).map(sentence).chain(more).collect()
    }

    /// Why the object is refused, where it is.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let reasons: Vec<String> = self.reasons().take(SAID_MAX).map(ToString::to_string).collect();
        if reasons.is_empty() {
            return None;
        }
        let more = self.reasons().count() - reasons.len();
        let more = if more > 0 {
            format!(". {more} more findings; rook-multihome lint prints them all")
        } else {
            String::new()
        };
        Some(format!("rook-multihome refuses this: {}{more}", reasons.join(". ")))
    }

    /// The annotations for the audit log: the names of the rules, each once, and the mode where it is not to enforce.
    #[must_use]
    pub fn audit_annotations(&self) -> Vec<(&'static str, String)> {
        let mut annotations = Vec::new();
        let mut rules: Vec<&str> = Vec::new();
        for judged in &self.findings {
            let rule = judged.finding.rule.id();
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        if !rules.is_empty() {
            annotations.push(("findings", rules.join(",")));
        }
        if self.mode != Mode::Enforce {
            annotations.push(("mode", self.mode.name().to_owned()));
        }
        annotations
    }
}
