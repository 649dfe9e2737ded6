//! The node that a pod is pinned to at its creation, before the scheduler has chosen one.
//!
//! Rook pins each OSD to the node of its disk, by the node selector or the node affinity of its Deployment; the DaemonSet
//! controller pins each pod by a node affinity for the node's name. A pod that could run on a second node is not pinned,
//! and what cannot be read is not guessed at.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::object::read_object;
use super::pod::{List, PodSpec, PodView, StringMap, Text, UnreadablePart, read_raw};
use crate::world::HOSTNAME_LABEL;

/// The one node that a pod may run on, as far as the pod itself says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin<'a> {
    /// The node of this name.
    Name(Cow<'a, str>),
    /// The node whose label `kubernetes.io/hostname` has this value, which need not be the node's name.
    Hostname(Cow<'a, str>),
    /// No single node: the scheduler has a choice, or nothing to choose from.
    None,
    /// The part of the spec that would say so is not shaped as the API says.
    Unreadable,
}

/// The one field of a node that a term may match (`NodeSelectorTerm.matchFields`).
const NAME_FIELD: &str = "metadata.name";

#[derive(Debug, Default)]
struct Affinity<'a> {
    node: NodeAffinity<'a>,
}

#[derive(Debug, Default)]
struct NodeAffinity<'a> {
    required: NodeSelector<'a>,
}

#[derive(Debug, Default)]
struct NodeSelector<'a> {
    terms: List<Term<'a>>,
}

/// One of several ways to be a fit node. Its requirements are read one term after the other, because all at once may take
/// many times the memory of their text.
#[derive(Debug, Default)]
struct Term<'a> {
    expressions: Option<&'a RawValue>,
    fields: Option<&'a RawValue>,
}

#[derive(Debug, Default)]
struct Requirement<'a> {
    key: Text<'a>,
    operator: Text<'a>,
    values: Option<&'a RawValue>,
}

/// What a term asks of a node, as far as it takes a single one to meet it.
#[derive(Debug)]
struct Node<'a> {
    name: Option<Text<'a>>,
    hostname: Option<Text<'a>>,
}

read_object!(Affinity { "nodeAffinity" => node });
read_object!(NodeAffinity { "requiredDuringSchedulingIgnoredDuringExecution" => required });
read_object!(NodeSelector { "nodeSelectorTerms" => terms });
read_object!(Term { "matchExpressions" => expressions, "matchFields" => fields });
read_object!(Requirement { "key" => key, "operator" => operator, "values" => values });

impl<'a> Pin<'a> {
    /// The pin of a pod: `nodeName`, or else the node selector, or else the required node affinity.
    #[must_use]
    pub fn of(pod: &PodView<'a>) -> Self {
        let pin = pod.spec.as_ref().map_or(Ok(Self::None), Self::read);
        pin.unwrap_or(Self::Unreadable)
    }

    fn read(spec: &PodSpec<'a>) -> Result<Self, UnreadablePart> {
        let name: Text<'a> = spec.node_name.map_or(Ok(Text::default()), read_raw)?;
        if !name.is_empty() {
            return Ok(Self::Name(name.into()));
        }
        let selector: StringMap<'a> = spec.node_selector.map_or(Ok(StringMap::default()), read_raw)?;
        if let Some(hostname) = selector.into_value(HOSTNAME_LABEL) {
            return Ok(Self::Hostname(hostname.into()));
        }
        let affinity: Affinity<'a> = spec.affinity.map_or(Ok(Affinity::default()), read_raw)?;
        Self::by_terms(affinity.node.required.terms.0)
    }

    /// The pin of a node affinity (`nodeaffinity` of `k8s.io/component-helpers`): terms are alternatives, of which an empty
    /// one matches no node.
    fn by_terms(terms: Vec<Term<'a>>) -> Result<Self, UnreadablePart> {
        let mut common: Option<Node<'a>> = None;
        for term in terms {
            let Some(node) = term.node()? else { continue };
            common = Some(match common {
                None => node,
                Some(common) => common.and(&node),
            });
        }
        Ok(match common {
            Some(Node { name: Some(name), .. }) => Self::Name(name.into()),
            Some(Node { name: None, hostname: Some(hostname) }) => Self::Hostname(hostname.into()),
            Some(Node { name: None, hostname: None }) | None => Self::None,
        })
    }
}

impl<'a> Term<'a> {
    /// The node that the requirements of the term leave; none where there are no requirements.
    fn node(&self) -> Result<Option<Node<'a>>, UnreadablePart> {
        let read = |list: Option<&'a RawValue>| list.map_or(Ok(List::default()), read_raw);
        let fields = read(self.fields)?.0;
        let name = only_value(&fields, NAME_FIELD)?;
        let expressions = read(self.expressions)?.0;
        let hostname = only_value(&expressions, HOSTNAME_LABEL)?;
        let is_empty = fields.is_empty() && expressions.is_empty();
        Ok((!is_empty).then_some(Node { name, hostname }))
    }
}

/// The value that `key` has to have, where the requirements leave it one.
fn only_value<'a>(requirements: &[Requirement<'a>], key: &str) -> Result<Option<Text<'a>>, UnreadablePart> {
    for requirement in requirements.iter().filter(|one| &*one.key == key && &*one.operator == "In") {
        let values: List<Text<'a>> = requirement.values.map_or(Ok(List::default()), read_raw)?;
        if let Ok([value]) = <[Text<'a>; 1]>::try_from(values.0) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

impl Node<'_> {
    /// What both ask for: another name may be another node.
    fn and(self, other: &Self) -> Self {
        let Self { name, hostname } = self;
        Self {
            name: name.filter(|name| other.name.as_ref() == Some(name)),
            hostname: hostname.filter(|hostname| other.hostname.as_ref() == Some(hostname)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pod::LIST_LENGTH;
    use super::*;

    fn check(spec: &str, expected: &Pin<'_>) {
        let text = format!(r#"{{"spec":{spec}}}"#);
        let pod: PodView<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(Pin::of(&pod), *expected, "{spec}");
    }

    fn required(terms: &str) -> String {
        format!(
            r#"{{"affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":{terms}}}}}}}}}"#
        )
    }

    fn requirement(key: &str, operator: &str, values: &str) -> String {
        format!(r#"{{"key":"{key}","operator":"{operator}","values":{values}}}"#)
    }

    /// A term by expressions, and one by fields.
    fn by_label(values: &str) -> String {
        format!(r#"{{"matchExpressions":[{}]}}"#, requirement(HOSTNAME_LABEL, "In", values))
    }

    fn by_field(values: &str) -> String {
        format!(r#"{{"matchFields":[{}]}}"#, requirement(NAME_FIELD, "In", values))
    }

    fn name(name: &str) -> Pin<'_> {
        Pin::Name(name.into())
    }

    fn hostname(hostname: &str) -> Pin<'_> {
        Pin::Hostname(hostname.into())
    }

    #[test]
    fn the_surest_source_counts() {
        let affinity = required(&format!("[{}]", by_field(r#"["c"]"#)));
        let affinity = &affinity[1..];
        for (spec, expected) in [
            ("null", Pin::None),
            ("{}", Pin::None),
            (r#"{"nodeName":null,"nodeSelector":null,"affinity":null}"#, Pin::None),
            (r#"{"nodeName":"a"}"#, name("a")),
            (r#"{"nodeName":"\u0061","nodeName":"b\u0062"}"#, name("bb")),
            (r#"{"nodeName":"","nodeSelector":{"kubernetes.io/hostname":"b","disk":"ssd"}}"#, hostname("b")),
            (r#"{"nodeSelector":{"kubernetes.io/hostname":"a","kubernetes.io/hostname":"b"}}"#, hostname("b")),
            (r#"{"nodeSelector":{"kubernetes.io/os":"linux"}}"#, Pin::None),
            (r#"{"nodeName":"a","nodeSelector":{"kubernetes.io/hostname":"b"},"affinity":5}"#, name("a")),
            (&format!(r#"{{"nodeSelector":{{"kubernetes.io/hostname":"b"}},{affinity}"#), hostname("b")),
            (&format!(r#"{{"nodeSelector":{{"x":"b"}},{affinity}"#), name("c")),
        ] {
            check(spec, &expected);
        }
    }

    #[test]
    fn an_affinity_pins_where_every_term_means_one_node() {
        let (a, b, both) = (r#"["a"]"#, r#"["b"]"#, r#"["a","b"]"#);
        let with_other = |operator: &str| {
            let other = requirement("zone", operator, r#"["z"]"#);
            let own = requirement(HOSTNAME_LABEL, "In", a);
            format!(r#"{{"matchExpressions":[{other},{own}]}}"#)
        };
        let named_twice = format!(
            r#"{{"matchExpressions":[{}],"matchFields":[{}]}}"#,
            requirement(HOSTNAME_LABEL, "In", b),
            requirement(NAME_FIELD, "In", a)
        );
        let of_two = |one: &str, other: &str| format!("[{one},{other}]");
        let lone = |term: &str| format!("[{term}]");
        let expression = |text: &str| format!(r#"[{{"matchExpressions":[{text}]}}]"#);
        for (terms, expected) in [
            ("null".to_owned(), Pin::None),
            ("[]".to_owned(), Pin::None),
            ("[{},null]".to_owned(), Pin::None),
            (lone(&by_label(a)), hostname("a")),
            (lone(&by_field(a)), name("a")),
            (lone(&by_label(both)), Pin::None),
            (lone(&by_label("[]")), Pin::None),
            (lone(&by_label("null")), Pin::None),
            (lone(&by_field(both)), Pin::None),
            // All requirements of a term have to be met, so one that pins is enough.
            (lone(&with_other("In")), hostname("a")),
            (lone(&with_other("Exists")), hostname("a")),
            (lone(&named_twice), name("a")),
            // Terms are alternatives; an empty one is none.
            (of_two(&by_label(a), &by_label(a)), hostname("a")),
            (of_two(&by_label(a), &by_label(b)), Pin::None),
            (of_two(&by_label(a), r#"{"matchExpressions":[],"matchFields":null}"#), hostname("a")),
            (of_two(&by_label(a), &by_label(a).replace(HOSTNAME_LABEL, "zone")), Pin::None),
            (of_two(&by_label(a), &by_field(a)), Pin::None),
            (of_two(&named_twice, &by_field(a)), name("a")),
            (of_two(&named_twice, &by_label(b)), hostname("b")),
            (of_two(&named_twice, &by_label(a)), Pin::None),
            // Other operators, keys of the wrong list, and preferences leave a choice.
            (expression(&requirement(HOSTNAME_LABEL, "NotIn", a)), Pin::None),
            (expression(&requirement(HOSTNAME_LABEL, "in", a)), Pin::None),
            (expression(&requirement(NAME_FIELD, "In", a)), Pin::None),
            (lone(&by_field(a).replace(NAME_FIELD, HOSTNAME_LABEL)), Pin::None),
        ] {
            check(&required(&terms), &expected);
        }
        let preferred = required(&lone(&by_label(a))).replace("required", "preferred");
        check(&preferred, &Pin::None);
    }

    #[test]
    fn what_is_misshapen_is_no_pin_and_not_taken_for_none() {
        let long = format!("[{}]", vec!["{}"; LIST_LENGTH + 1].join(","));
        for spec in [
            r#"{"nodeName":5}"#.to_owned(),
            r#"{"nodeSelector":[]}"#.to_owned(),
            r#"{"nodeSelector":{"kubernetes.io/hostname":5}}"#.to_owned(),
            r#"{"affinity":"a"}"#.to_owned(),
            r#"{"affinity":{"nodeAffinity":[]}}"#.to_owned(),
            required("{}"),
            required("[5]"),
            required(r#"[{"matchFields":{}}]"#),
            required(r#"[{"matchExpressions":[{"key":5}]}]"#),
            required(&format!("[{}]", by_label("[5]"))),
            required(&long),
            required(&format!(r#"[{{"matchExpressions":{long}}}]"#)),
        ] {
            check(&spec, &Pin::Unreadable);
        }
    }
}
