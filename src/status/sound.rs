//! Whether anything is wrong with the networks that a StorageNetwork names: what the checks find, as a condition.
//!
//! What other conditions say already is not said again here.

use std::collections::HashMap;

use super::conditions::Said;
use super::networks::{Lookup, Named};
use crate::api::{ConditionStatus, InterfaceState};
use crate::lint::{Finding, Rule, Subject};
use crate::world::{Severity, StorageNetwork};

/// Findings by the objects that have a part in them.
pub(super) struct FoundAbout<'f>(HashMap<&'f Subject, Vec<&'f Finding>>);

/// What is found about one StorageNetwork.
pub(super) struct Sound<'f> {
    pub(super) found: Vec<&'f Finding>,
}

impl<'f> FoundAbout<'f> {
    pub(super) fn of(findings: &'f [Finding]) -> Self {
        let mut about: HashMap<&Subject, Vec<&Finding>> = HashMap::new();
        for finding in findings.iter().filter(|finding| !is_said_elsewhere(finding.rule)) {
            for subject in std::iter::once(&finding.subject).chain(&finding.with) {
                about.entry(subject).or_default().push(finding);
            }
        }
        Self(about)
    }

    /// What is found about one, the worst first.
    pub(super) fn about(&self, network: &StorageNetwork) -> Vec<&'f Finding> {
        let mut found = self.0.get(&Subject::storage_network(network)).cloned().unwrap_or_default();
        found.sort_by_key(|finding| finding.rule.severity());
        found
    }
}

impl Sound<'_> {
    /// The condition; `named` is what the StorageNetwork names, unless it is invalid.
    pub(super) fn said(&self, named: Option<&Named>) -> Said {
        let Some(named) = named else {
            return Said::unknown("NotAccepted", "the spec is invalid; mend what Accepted says".to_owned());
        };
        if named.lookup == Lookup::Definitions && !named.that_are(InterfaceState::Unknown).is_empty() {
            let message = "attachment definitions have not been listed yet, so nothing can be said about them";
            return Said::unknown("AttachmentsNotListed", message.to_owned());
        }
        let all: Vec<String> =
            self.found.iter().map(|finding| format!("{}: {finding}", finding.rule.severity())).collect();
        match self.found.first() {
            None => Said::yes("NothingFound", "the checks find nothing wrong with its networks".to_owned()),
            Some(worst) if worst.rule.severity() == Severity::Advice => Said::yes("OnlyAdvice", all.join(". ")),
            Some(worst) => {
                Said { status: ConditionStatus::False, reason: in_one_word(worst.rule).into(), message: all.join(". ") }
            }
        }
    }
}

/// Whether another condition says it: Accepted, ResolvedRefs, Conflicted, or Ready.
fn is_said_elsewhere(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::InvalidSpec
            | Rule::InterfaceRefused
            | Rule::AttachmentMissing
            | Rule::ConfigUnreadable
            | Rule::ClusterMissing
            | Rule::NetworksConflict
            | Rule::InterfaceConflict
            | Rule::ProviderObstacle
    )
}

/// The name of a rule as conditions write reasons: `range-too-small` as `RangeTooSmall`.
fn in_one_word(rule: Rule) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    rule.id().split('-').map(word).collect()
}
