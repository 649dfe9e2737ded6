//! The catalogue: all storage systems that this process knows.

use std::collections::HashSet;

use thiserror::Error;

use super::role::OverrideSource;
use super::system::{Resource, System};

/// The built-in systems: the name of the file, and its text.
const BUILT_IN: [(&str, &str); 1] = [("ceph.yaml", include_str!("catalogue/ceph.yaml"))];

/// All storage systems, in the order in which they are asked about a pod.
#[derive(Debug)]
pub struct Catalogue {
    systems: Vec<System>,
}

/// A file of the catalogue that cannot be used.
#[derive(Debug, Error)]
#[error("storage system file {file}: {fault}")]
pub struct CatalogueError {
    file: String,
    fault: String,
}

impl Catalogue {
    /// The systems that are built in.
    ///
    /// # Errors
    /// Never, as long as the tests of this module pass; the signature is that of [`Catalogue::read`].
    pub fn built_in() -> Result<Self, CatalogueError> {
        Self::read(BUILT_IN)
    }

    /// Reads systems from files, given as name and YAML text.
    ///
    /// # Errors
    /// The first file that is not valid, with the place in it and what is wrong.
    pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, CatalogueError> {
        let mut systems: Vec<System> = Vec::new();
        for (file, text) in files {
            let error = |fault| CatalogueError { file: file.to_owned(), fault };
            let system: System = serde_saphyr::from_str(text).map_err(|fault| error(fault.to_string()))?;
            if systems.iter().any(|other| other.name == system.name) {
                return Err(error(format!("the system {} is already described by another file", system.name)));
            }
            systems.push(system);
        }
        Ok(Self { systems })
    }

    /// The systems.
    #[must_use]
    pub fn systems(&self) -> &[System] {
        &self.systems
    }

    /// Every kind of resource besides the clusters in which a user can overrule the host network for a role.
    #[must_use]
    pub fn override_resources(&self) -> Vec<&Resource> {
        let mut seen = HashSet::new();
        let roles = self.systems.iter().flat_map(|system| &system.roles);
        roles
            .filter_map(|role| match &role.host_override.as_ref()?.source {
                OverrideSource::Named { resource, .. } => Some(resource),
                OverrideSource::Cluster => None,
            })
            .filter(|resource| seen.insert(*resource))
            .collect()
    }
}
