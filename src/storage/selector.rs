//! Label selectors: which objects are meant, as Kubernetes' own selectors say it.
//!
//! The meaning is that of `metav1.LabelSelectorAsSelector`: every requirement has to be met, and where there is none,
//! everything is meant. That no selector at all means nothing is for whoever has a place for one. What the API server would
//! refuse is refused when a selector is made, so that matching is total.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::labels::Labels;
use super::names::{check_label_key, check_label_value};
use crate::network::shorten;

/// Which objects are meant, by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// By key, as kubectl prints them.
    requirements: Vec<(String, Condition)>,
}

/// One of the `matchExpressions` of a selector, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The key of the label.
    pub key: String,
    /// How the label is compared.
    pub operator: Operator,
    /// The values it is compared with; none for [`Operator::Exists`] and [`Operator::DoesNotExist`].
    pub values: Vec<String>,
}

/// How a requirement compares a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label has none of the values, or is absent.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// What one label has to be, with the values that this needs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Is(String),
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// A selector from its `matchLabels` and `matchExpressions`.
    ///
    /// # Errors
    /// What `labels.NewRequirement` of Kubernetes would refuse, as a clause: an operator with values it does not take or
    /// without those it needs, a key or value that no label has.
    pub fn new(
        match_labels: impl IntoIterator<Item = (String, String)>,
        expressions: impl IntoIterator<Item = Requirement>,
    ) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for (key, value) in match_labels {
            check_label_key(&key)?;
            check_label_value(&key, &value)?;
            requirements.push((key, Condition::Is(value)));
        }
        for Requirement { key, operator, values } in expressions {
            check_label_key(&key)?;
            for value in &values {
                check_label_value(&key, value)?;
            }
            let condition = Condition::new(operator, values)
                .ok_or_else(|| format!("{} of \"{key}\" {}", operator.name(), operator.demand()))?;
            requirements.push((key, condition));
        }
        // Those of one key stay in order: the sort is stable.
        requirements.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { requirements })
    }

    /// Whether an object with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &impl Labels) -> bool {
        self.requirements.iter().all(|(key, condition)| condition.is_met_by(labels.label(key)))
    }

    /// Whether every object is meant, whatever its labels: there is no requirement.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Condition {
    /// None where the operator does not go with the values.
    fn new(operator: Operator, values: Vec<String>) -> Option<Self> {
        match (operator, values.is_empty()) {
            (Operator::In, false) => Some(Self::In(values.into_iter().collect())),
            (Operator::NotIn, false) => Some(Self::NotIn(values.into_iter().collect())),
            (Operator::Exists, true) => Some(Self::Exists),
            (Operator::DoesNotExist, true) => Some(Self::DoesNotExist),
            _ => None,
        }
    }

    fn is_met_by(&self, label: Option<&str>) -> bool {
        match self {
            Self::Is(expected) => label == Some(expected),
            Self::In(values) => label.is_some_and(|label| values.contains(label)),
            Self::NotIn(values) => label.is_none_or(|label| !values.contains(label)),
            Self::Exists => label.is_some(),
            Self::DoesNotExist => label.is_none(),
        }
    }
}

impl Operator {
    /// All operators.
    pub const ALL: [Self; 4] = [Self::In, Self::NotIn, Self::Exists, Self::DoesNotExist];

    /// The name, as in `matchExpressions`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }

    fn demand(self) -> &'static str {
        match self {
            Self::In | Self::NotIn => "needs at least one value",
            Self::Exists | Self::DoesNotExist => "takes no values",
        }
    }
}

impl FromStr for Operator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| format!("\"{}\" is not one of {}", shorten(text), Self::ALL.map(Self::name).join(", ")))
    }
}

/// As kubectl prints it (`metav1.FormatLabelSelector`): `app=db,tier in (a,b),!x`, and `<none>` for everything.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("<none>");
        }
        for (index, (key, condition)) in self.requirements.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            match condition {
                Condition::Is(value) => write!(f, "{key}={value}")?,
                Condition::In(values) => write!(f, "{key} in ({})", joined(values))?,
                Condition::NotIn(values) => write!(f, "{key} notin ({})", joined(values))?,
                Condition::Exists => f.write_str(key)?,
                Condition::DoesNotExist => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

fn joined(values: &BTreeSet<String>) -> String {
    values.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// The labels of anything, as a map.
impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{DOMAIN_LENGTH, NAME_LENGTH};
    use super::*;

    fn pairs(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn selector(labels: &[(&str, &str)], expressions: &[(&str, Operator, &[&str])]) -> Result<Selector, String> {
        let requirement = |(key, operator, values): &(&str, Operator, &[&str])| Requirement {
            key: (*key).to_owned(),
            operator: *operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        Selector::new(pairs(labels), expressions.iter().map(requirement))
    }

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let one = pairs(&[("app", "db"), ("tier", "a"), ("empty", "")]);
        let none = BTreeMap::new();
        for (labels, expressions, of_one, of_none, written) in [
            (&[][..], &[][..], true, true, "<none>"),
            (&[("app", "db")], &[], true, false, "app=db"),
            (&[("app", "d")], &[], false, false, "app=d"),
            (&[("empty", "")], &[], true, false, "empty="),
            (&[("tier", "a"), ("app", "db")], &[], true, false, "app=db,tier=a"),
            (&[("tier", "b"), ("app", "db")], &[], false, false, "app=db,tier=b"),
            (&[], &[("tier", Operator::In, &["b", "a", "b"][..])], true, false, "tier in (a,b)"),
            (&[], &[("tier", Operator::In, &["b"])], false, false, "tier in (b)"),
            (&[], &[("tier", Operator::NotIn, &["a"])], false, true, "tier notin (a)"),
            (&[], &[("tier", Operator::NotIn, &["b"])], true, true, "tier notin (b)"),
            (&[], &[("empty", Operator::Exists, &[])], true, false, "empty"),
            (&[], &[("empty", Operator::DoesNotExist, &[])], false, true, "!empty"),
            (&[], &[("x.io/y", Operator::DoesNotExist, &[])], true, true, "!x.io/y"),
            (
                &[("app", "db")],
                &[("tier", Operator::In, &["a", "b"]), ("x", Operator::DoesNotExist, &[])],
                true,
                false,
                "app=db,tier in (a,b),!x",
            ),
            // All have to be met, also where one key has several.
            (
                &[("app", "db")],
                &[("app", Operator::NotIn, &["db"]), ("app", Operator::Exists, &[])],
                false,
                false,
                "app=db,app notin (db),app",
            ),
        ] {
            let selector = selector(labels, expressions).unwrap();
            assert_eq!(selector.to_string(), written);
            assert_eq!((selector.matches(&one), selector.matches(&none)), (of_one, of_none), "{written}");
            assert_eq!(selector.is_everything(), written == "<none>");
        }
        assert!(Selector::default().is_everything());
    }

    #[test]
    fn what_kubernetes_refuses_is_refused() {
        let long = "a".repeat(NAME_LENGTH + 1);
        for (labels, expressions, fault) in [
            (&[][..], &[("a", Operator::In, &[][..])][..], "In of \"a\" needs at least one value"),
            (&[], &[("a", Operator::NotIn, &[])], "NotIn of \"a\" needs at least one value"),
            (&[], &[("a", Operator::Exists, &["b"])], "Exists of \"a\" takes no values"),
            (&[], &[("a", Operator::DoesNotExist, &["b"])], "DoesNotExist of \"a\" takes no values"),
            (&[("", "a")], &[], "a key is empty"),
            (&[], &[("", Operator::Exists, &[])], "a key is empty"),
            (&[], &[("a", Operator::In, &["b c"])], "\"b c\" is no value that the label a can have"),
            (&[("a", "-b")], &[], "\"-b\" is no value that the label a can have"),
            (&[("a", long.as_str())], &[], "is no value that the label a can have"),
        ] {
            let found = selector(labels, expressions).unwrap_err();
            assert!(found.contains(fault), "{found}");
        }
        let domain = format!("{}/a", "a".repeat(DOMAIN_LENGTH + 1));
        for key in ["a b", "a/", "/a", "a/b/c", "A.io/a", "a..io/a", "-a", "a_", "ä", &long, &domain] {
            let found = selector(&[(key, "")], &[]).unwrap_err();
            assert!(found.ends_with("is no key of a label"), "{key}: {found}");
        }
        for key in ["a", "A_b.c-1", "x.io/A", "kubernetes.io/hostname", "9-a.b/c"] {
            assert_eq!(selector(&[(key, "")], &[]).map(|selector| selector.to_string()), Ok(format!("{key}=")));
        }
    }

    #[test]
    fn operators_are_read_by_their_names() {
        for operator in Operator::ALL {
            assert_eq!(operator.name().parse(), Ok(operator));
        }
        let fault = "Equals".parse::<Operator>().unwrap_err();
        assert_eq!(fault, "\"Equals\" is not one of In, NotIn, Exists, DoesNotExist");
    }
}
