//! What is wrong with a declaration of networks: one field, one fault, one mend.

use std::fmt;

/// One thing that is wrong with a network spec, said so that the one who wrote it can mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Path of the field in the cluster's resource, such as `spec.network.selectors.public`.
    pub field: String,
    /// What is wrong, as a clause.
    pub fault: String,
    /// What to do about it, as a clause.
    pub mend: String,
    /// What it is about.
    pub kind: ProblemKind,
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProblemKind {
    /// The spec.
    #[default]
    Spec,
    /// The name of an interface, which Multus, libcni or Linux refuse.
    Interface,
    /// A key that the system does not have.
    UnknownKey,
}

impl SpecProblem {
    /// A problem with the field at a path.
    #[must_use]
    pub fn new(field: &str, fault: String, mend: &str) -> Self {
        Self { field: field.to_owned(), fault, mend: mend.to_owned(), kind: ProblemKind::Spec }
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.fault, self.mend)
    }
}
