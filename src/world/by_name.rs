//! Things by namespace and name, looked up with borrowed text.

use std::collections::{BTreeMap, HashMap};

/// A value for each namespace and name. A namespace's names are in alphabetical order.
#[derive(Clone, Debug)]
pub(super) struct ByName<T> {
    namespaces: HashMap<Box<str>, BTreeMap<Box<str>, T>>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { namespaces: HashMap::new() }
    }
}

impl<T> ByName<T> {
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.namespaces.get(namespace)?.get(name)
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.namespaces.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// The namespaces that have a value.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(AsRef::as_ref)
    }

    /// Returns whether a value was replaced.
    pub(super) fn insert(&mut self, namespace: &str, name: &str, value: T) -> bool {
        self.namespaces.entry(namespace.into()).or_default().insert(name.into(), value).is_some()
    }

    /// The value of a name, made where there is none.
    pub(super) fn entry(&mut self, namespace: &str, name: &str) -> &mut T
    where
        T: Default,
    {
        self.namespaces.entry(namespace.into()).or_default().entry(name.into()).or_default()
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(names) = self.namespaces.get_mut(namespace) {
            names.remove(name);
            if names.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.namespaces.values().map(BTreeMap::len).sum()
    }

    /// Namespace, name and value of each, in no particular order of namespaces.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str, &T)> {
        let namespaces = self.namespaces.iter();
        namespaces.flat_map(|(namespace, names)| names.iter().map(move |(name, value)| (&**namespace, &**name, value)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.namespaces.values().flat_map(BTreeMap::values)
    }
}
