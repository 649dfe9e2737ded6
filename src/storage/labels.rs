//! Label rules: which labels a pod must carry to be taken for something.
//!
//! A value matches exactly, or by its end where the rule starts with `*`. There is no matching by beginning, and there must
//! never be: `rook-ceph-osd-prepare` begins like an OSD and is none.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// The labels of a pod or of another object, as a rule or a selector asks for them.
pub trait Labels {
    /// The value of the label `key`, where the pod carries it.
    fn label(&self, key: &str) -> Option<&str>;
}

/// Every label of a rule has to match.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct LabelRule(BTreeMap<String, Pattern>);

/// What the value of one label has to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Pattern {
    Exactly(String),
    EndsWith(String),
}

/// Finds which of many rules match a pod, without trying them one after the other.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    /// Every label that some rule starts with.
    labels: Vec<LabelIndex>,
}

#[derive(Debug)]
struct LabelIndex {
    label: String,
    exactly: HashMap<String, Vec<Candidate>>,
    by_end: Vec<(String, Candidate)>,
}

/// A rule, and the number of what it stands for.
#[derive(Clone, Debug)]
struct Candidate {
    target: usize,
    rule: LabelRule,
}

impl LabelRule {
    /// Whether `labels` carry all that the rule asks for.
    pub fn matches(&self, labels: &impl Labels) -> bool {
        self.0.iter().all(|(key, pattern)| labels.label(key).is_some_and(|value| pattern.matches(value)))
    }

    /// The labels of the rule, as `label=pattern`, for explanations.
    pub fn describe(&self) -> String {
        let one = |(key, pattern): (&String, &Pattern)| match pattern {
            Pattern::Exactly(value) => format!("{key}={value}"),
            Pattern::EndsWith(end) => format!("{key}=*{end}"),
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Whether the rule asks for nothing, and so would match every pod.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exactly(expected) => value == expected,
            Self::EndsWith(end) => value.ends_with(end.as_str()),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (pattern, rest) = match text.strip_prefix('*') {
            Some(end) => (Self::EndsWith(end.to_owned()), end),
            None => (Self::Exactly(text.clone()), text.as_str()),
        };
        if rest.contains('*') {
            return Err(format!(
                "the label pattern \"{text}\" has a * that is not its first character; write the whole value, or a * and the end of it"
            ));
        }
        Ok(pattern)
    }
}

impl RuleIndex {
    /// Indexes rules that each stand for the number beside them. Where several match, the smallest number wins.
    pub(super) fn new<'r>(rules: impl IntoIterator<Item = (&'r LabelRule, usize)>) -> Self {
        let mut index = Self::default();
        for (rule, target) in rules {
            let Some((label, pattern)) = rule.0.first_key_value() else { continue };
            let position = index.labels.iter().position(|entry| entry.label == *label).unwrap_or_else(|| {
                index.labels.push(LabelIndex { label: label.clone(), exactly: HashMap::new(), by_end: Vec::new() });
                index.labels.len() - 1
            });
            let entry = &mut index.labels[position];
            let candidate = Candidate { target, rule: rule.clone() };
            match pattern {
                Pattern::Exactly(value) => entry.exactly.entry(value.clone()).or_default().push(candidate),
                Pattern::EndsWith(end) => entry.by_end.push((end.clone(), candidate)),
            }
        }
        index
    }

    /// The smallest number of a rule that matches, and that rule.
    pub(super) fn find(&self, labels: &impl Labels) -> Option<(usize, &LabelRule)> {
        self.labels
            .iter()
            .filter_map(|entry| Some((entry, labels.label(&entry.label)?)))
            .flat_map(|(entry, value)| {
                let exactly = entry.exactly.get(value).into_iter().flatten();
                let by_end = entry.by_end.iter().filter(|(end, _)| value.ends_with(end.as_str())).map(|(_, rule)| rule);
                exactly.chain(by_end)
            })
            .filter(|candidate| candidate.rule.matches(labels))
            .min_by_key(|candidate| candidate.target)
            .map(|candidate| (candidate.target, &candidate.rule))
    }
}
