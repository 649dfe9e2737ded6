//! Label rules: which labels a pod must carry to be taken for something.
//!
//! A value matches whole, by its end where the rule starts with `*`, or around the name of a cluster where the rule has
//! `{cluster}`: some operators give their pods no other label. There is no matching by beginning, and there must never be:
//! `rook-ceph-osd-prepare` begins like an OSD and is none.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::names::{NAME_LENGTH, check_label_key, is_label_value};
use crate::api::LABEL_KEY;

/// The labels of a pod or of another object, as a rule or a selector asks for them.
pub trait Labels {
    /// The value of the label `key`, where the pod carries it.
    fn label(&self, key: &str) -> Option<&str>;
}

/// Every label of a rule has to match.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<String, Pattern>")]
#[schemars(with = "BTreeMap<String, Pattern>", extend("minProperties" = 1, "propertyNames" = { "pattern": LABEL_KEY }))]
pub struct LabelRule(BTreeMap<String, Pattern>);

/// That a rule matches, and the name of the cluster that it found in a label, where it looks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched<'c> {
    /// The name.
    pub cluster: Option<&'c str>,
}

/// What the value of one label has to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Pattern {
    Exactly(String),
    EndsWith(String),
    /// The name of a cluster, with this before and that after it.
    AroundCluster(String, String),
}

/// What stands for the name of a cluster in a pattern.
const CLUSTER: &str = "{cluster}";
/// The patterns that some value of a label can match, as a schema says it.
const PATTERN: &str = r"^(([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?|\*([-A-Za-z0-9_.]{0,62}[A-Za-z0-9])?|([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?\{cluster\}([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)$";

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
    by_part: Vec<(Pattern, Candidate)>,
}

/// A rule, and the number of what it stands for.
#[derive(Clone, Debug)]
struct Candidate {
    target: usize,
    rule: LabelRule,
}

impl LabelRule {
    /// Whether `labels` carry all that the rule asks for, where `clusters` are the names of the clusters that may be meant. A
    /// rule that asks for the name of a cluster in two labels asks for the same one.
    pub fn find<'c>(&self, labels: &impl Labels, clusters: &[&'c str]) -> Option<Matched<'c>> {
        let mut found = None;
        for (key, pattern) in &self.0 {
            let named = pattern.find(labels.label(key)?, clusters)?.cluster;
            if found.is_some() && named.is_some() && found != named {
                return None;
            }
            found = found.or(named);
        }
        Some(Matched { cluster: found })
    }

    /// Whether `labels` carry all that the rule asks for, where it does not ask for a cluster.
    pub fn matches(&self, labels: &impl Labels) -> bool {
        self.find(labels, &[]).is_some()
    }

    /// The labels of the rule, as `label=pattern`, for explanations.
    #[must_use]
    pub fn describe(&self) -> String {
        self.0.iter().map(|(key, pattern)| format!("{key}={pattern}")).collect::<Vec<_>>().join(", ")
    }

    /// Whether the rule asks for nothing, and so would match every pod.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the rule asks for the name of a cluster.
    pub(super) fn names_cluster(&self) -> bool {
        self.0.values().any(|pattern| matches!(pattern, Pattern::AroundCluster(..)))
    }

    /// The values that the rule asks for in `label`, where it asks for a whole one and for nothing else.
    #[must_use]
    pub fn only_value(&self, label: &str) -> Option<&str> {
        match (self.0.get(label)?, self.0.len()) {
            (Pattern::Exactly(value), 1) => Some(value),
            _ => None,
        }
    }
}

impl Pattern {
    fn find<'c>(&self, value: &str, clusters: &[&'c str]) -> Option<Matched<'c>> {
        let cluster = match self {
            Self::Exactly(expected) => (value == expected).then_some(None),
            Self::EndsWith(end) => value.ends_with(end.as_str()).then_some(None),
            Self::AroundCluster(before, after) => {
                let name = value.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                Some(clusters.iter().copied().find(|cluster| *cluster == name)).filter(Option::is_some)
            }
        };
        cluster.map(|cluster| Matched { cluster })
    }
}

impl Pattern {
    /// Whether some value that a label can have matches: a slip of the pen would be a rule that never does.
    fn can_match(&self) -> bool {
        match self {
            Self::Exactly(value) => is_label_value(value),
            // What stands for the rest is a letter, so that the ends of the pattern have to be ends of a value.
            Self::EndsWith(end) if end.len() == NAME_LENGTH => is_label_value(end),
            Self::EndsWith(end) => is_label_value(&format!("x{end}")),
            Self::AroundCluster(before, after) => is_label_value(&format!("{before}x{after}")),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => f.write_str(value),
            Self::EndsWith(end) => write!(f, "*{end}"),
            Self::AroundCluster(before, after) => write!(f, "{before}{CLUSTER}{after}"),
        }
    }
}

impl TryFrom<BTreeMap<String, Pattern>> for LabelRule {
    type Error = String;

    fn try_from(labels: BTreeMap<String, Pattern>) -> Result<Self, String> {
        labels.keys().try_for_each(|key| check_label_key(key))?;
        Ok(Self(labels))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (pattern, rest) = match (text.strip_prefix('*'), text.split_once(CLUSTER)) {
            (Some(end), _) => (Self::EndsWith(end.to_owned()), end.to_owned()),
            (None, Some((before, after))) => {
                (Self::AroundCluster(before.to_owned(), after.to_owned()), format!("{before}{after}"))
            }
            (None, None) => (Self::Exactly(text.clone()), text.clone()),
        };
        if rest.contains(['*', '{', '}']) {
            return Err(format!(
                "the label pattern \"{text}\" is none; write the whole value, a * and the end of it, or {CLUSTER} once where the name of the cluster stands"
            ));
        }
        if !pattern.can_match() {
            return Err(format!(
                "the label pattern \"{text}\" matches no value that a label can have; write at most {NAME_LENGTH} letters, digits, -, _ and ., with a letter or digit at both ends"
            ));
        }
        Ok(pattern)
    }
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "description": "The whole value of the label; or a * and the end of it (* alone: the label is there); or a value with {cluster} where the name of a cluster of the system in the pod's namespace stands.",
        })
    }
}

impl RuleIndex {
    /// Indexes rules that each stand for the number beside them. Where several match, the smallest number wins.
    pub(super) fn new<'r>(rules: impl IntoIterator<Item = (&'r LabelRule, usize)>) -> Self {
        let mut index = Self::default();
        for (rule, target) in rules {
            let Some((label, pattern)) = rule.0.first_key_value() else { continue };
            let position = index.labels.iter().position(|entry| entry.label == *label).unwrap_or_else(|| {
                index.labels.push(LabelIndex { label: label.clone(), exactly: HashMap::new(), by_part: Vec::new() });
                index.labels.len() - 1
            });
            let entry = &mut index.labels[position];
            let candidate = Candidate { target, rule: rule.clone() };
            match pattern {
                Pattern::Exactly(value) => entry.exactly.entry(value.clone()).or_default().push(candidate),
                pattern => entry.by_part.push((pattern.clone(), candidate)),
            }
        }
        index
    }

    /// The smallest number of a rule that matches and that `may_be` allows; with it the rule, and what it found.
    pub(super) fn find<'c>(
        &self,
        labels: &impl Labels,
        clusters: &[&'c str],
        may_be: impl Fn(usize) -> bool,
    ) -> Option<(usize, &LabelRule, Matched<'c>)> {
        self.labels
            .iter()
            .filter_map(|entry| Some((entry, labels.label(&entry.label)?)))
            .flat_map(|(entry, value)| {
                let exactly = entry.exactly.get(value).into_iter().flatten();
                let by_part = entry.by_part.iter().filter(move |(part, _)| part.find(value, clusters).is_some());
                exactly.chain(by_part.map(|(_, candidate)| candidate))
            })
            .filter_map(|candidate| Some((candidate, candidate.rule.find(labels, clusters)?)))
            .filter(|(candidate, _)| may_be(candidate.target))
            .min_by_key(|(candidate, _)| candidate.target)
            .map(|(candidate, matched)| (candidate.target, &candidate.rule, matched))
    }
}
