//! What was found: which rule, where, what is wrong and what to do about it.

use std::cmp::Ordering;
use std::fmt;

use crate::api;
use crate::network::{AttachmentRef, attachment};
use crate::world::{Cluster, Declarer, ObjectName, StorageNetwork};

use super::rule::Rule;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The object that is to be mended.
    pub subject: Subject,
    /// The field at fault, as a path from the top of the object; empty where it is the object itself.
    pub field: String,
    /// The rule.
    pub rule: Rule,
    /// What is wrong, as a clause.
    pub fault: String,
    /// What to do about it, as a clause.
    pub mend: String,
    /// The other objects that have a part in it.
    pub with: Vec<Subject>,
}

/// An object that something is found about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The kind of its resource.
    pub kind: String,
    /// The group of its resource.
    pub group: String,
    /// Namespace and name.
    pub id: ObjectName,
}

impl Finding {
    /// A finding that no other object has a part in.
    pub(super) fn new(rule: Rule, subject: Subject, field: &str, fault: String, mend: &str) -> Self {
        Self { rule, subject, field: field.to_owned(), fault, mend: mend.to_owned(), with: Vec::new() }
    }

    /// The same, with the other objects that have a part in it.
    pub(super) fn with(mut self, with: Vec<Subject>) -> Self {
        self.with = with;
        self
    }

    /// The order in which findings are told: the worst first.
    #[must_use]
    pub fn worst_first(&self, other: &Self) -> Ordering {
        (self.rule.severity(), self).cmp(&(other.rule.severity(), other))
    }

    /// Whether an object has a part in it.
    #[must_use]
    pub fn concerns(&self, subject: &Subject) -> bool {
        self.subject == *subject || self.with.contains(subject)
    }
}

impl Subject {
    /// A cluster.
    #[must_use]
    pub fn cluster(cluster: &Cluster) -> Self {
        Self { kind: cluster.kind.clone(), group: cluster.group.clone(), id: cluster.id.clone() }
    }

    /// A StorageNetwork.
    #[must_use]
    pub fn storage_network(network: &StorageNetwork) -> Self {
        Self { kind: api::KIND.to_owned(), group: api::GROUP.to_owned(), id: network.id.clone() }
    }

    /// Who declares networks.
    #[must_use]
    pub fn declarer(declarer: Declarer<'_>) -> Self {
        match declarer {
            Declarer::Cluster(cluster) => Self::cluster(cluster),
            Declarer::StorageNetwork(network) => Self::storage_network(network),
        }
    }

    /// The attachment definition of this name.
    #[must_use]
    pub fn definition(name: &AttachmentRef) -> Self {
        Self::attachment(&name.namespace, &name.name)
    }

    /// An attachment definition.
    #[must_use]
    pub fn attachment(namespace: &str, name: &str) -> Self {
        Self {
            kind: attachment::KIND.to_owned(),
            group: attachment::GROUP.to_owned(),
            id: ObjectName { namespace: namespace.to_owned(), name: name.to_owned() },
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl fmt::Display for Finding {
    /// As one sentence, with the name of the rule after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, field, rule, fault, mend, with: _ } = self;
        match field.as_str() {
            "" => write!(f, "{subject}: {fault}; {mend} ({rule})"),
            field => write!(f, "{subject}, {field}: {fault}; {mend} ({rule})"),
        }
    }
}
