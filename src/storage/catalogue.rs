//! The catalogue: all storage systems that this process knows.

use std::collections::HashSet;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use thiserror::Error;

use super::resource::Resource;
use super::role::OverrideSource;
use super::system::{System, SystemEntry};
use crate::network::yaml_fault;

/// The built-in systems: their names, and the text of the file of each, which is called after it.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("ceph", include_str!("catalogue/ceph.yaml")),
    ("edgefs", include_str!("catalogue/edgefs.yaml")),
    ("cassandra", include_str!("catalogue/cassandra.yaml")),
    ("cockroachdb", include_str!("catalogue/cockroachdb.yaml")),
    ("minio", include_str!("catalogue/minio.yaml")),
    ("nfs", include_str!("catalogue/nfs.yaml")),
    ("yugabytedb", include_str!("catalogue/yugabytedb.yaml")),
];

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
        let files: Vec<(String, &str)> = BUILT_IN.iter().map(|(name, text)| (format!("{name}.yaml"), *text)).collect();
        Self::read(files.iter().map(|(file, text)| (file.as_str(), *text)))
    }

    /// Reads systems from files, given as name and YAML text.
    ///
    /// # Errors
    /// The first file that is not valid, with the place in it and what is wrong.
    pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, CatalogueError> {
        let mut systems: Vec<System> = Vec::new();
        for (file, text) in files {
            let error = |fault| CatalogueError { file: file.to_owned(), fault };
            let system: System = serde_saphyr::from_str(text).map_err(|fault| error(yaml_fault(&fault)))?;
            if systems.iter().any(|other| other.name == system.name) {
                return Err(error(format!(
                    "the system {} is already described by another file; give it another name, or leave the built-in one out by --systems",
                    system.name
                )));
            }
            if let Some(taken) = taken_resource(&systems, &system) {
                return Err(error(format!("the resource {taken} already stands for clusters of another system")));
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

    /// The system whose clusters are resources of this group and kind.
    #[must_use]
    pub fn system_of(&self, group: &str, kind: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.cluster_kind(group, kind).is_some())
    }

    /// The JSON Schema of a file of the catalogue.
    #[must_use]
    pub fn schema() -> Schema {
        SchemaSettings::draft07().into_generator().into_root_schema_for::<SystemEntry>()
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

/// A resource of `system` that one of the others has already.
fn taken_resource(others: &[System], system: &System) -> Option<String> {
    let mut own = system.clusters.iter().map(|kind| &kind.resource);
    let mut others = others.iter().flat_map(|other| &other.clusters).map(|kind| &kind.resource);
    own.find(|own| others.any(|other| (&other.group, &other.kind) == (&own.group, &own.kind))).map(Resource::full_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const GOOD: &str = "
system: s
clusters: [{ resource: { group: g, versions: [v1], kind: K, plural: ks }, network: spec.network }]
client: a
keys: [{ name: a, about: x }, { name: b, about: y, fallback: a }]
roles:
  - { name: r, match: [{ app: r }], networks: [b] }
  - { name: n, match: [{ app: '*-n', tier: x }, { app: m }], networks: [], why: none }
  - { name: t, match: [{ app: r-n, tier: x }], neverTouch: harm }
";

    struct Pod(HashMap<&'static str, &'static str>);

    impl crate::storage::Labels for Pod {
        fn label(&self, key: &str) -> Option<&str> {
            self.0.get(key).copied()
        }
    }

    #[test]
    fn the_built_in_systems_are_valid() {
        let catalogue = Catalogue::built_in().unwrap();
        assert_eq!(catalogue.systems().len(), BUILT_IN.len());
        assert_eq!(catalogue.override_resources().len(), 3);
    }

    #[test]
    fn the_first_role_that_matches_is_the_pods() {
        let catalogue = Catalogue::read([("s.yaml", GOOD)]).unwrap();
        for (labels, role) in [
            (vec![("app", "r")], Some("r")),
            (vec![("app", "rr")], None),
            (vec![("app", "x-n")], None),
            (vec![("app", "x-n"), ("tier", "x")], Some("n")),
            (vec![("app", "r-n"), ("tier", "x")], Some("n")),
            (vec![("app", "m")], Some("n")),
            (vec![], None),
        ] {
            let pod = Pod(labels.iter().copied().collect());
            let found = catalogue.systems()[0].role_of(&pod, &[], |_| true).map(|found| found.role.name.as_str());
            assert_eq!(found, role, "{labels:?}");
        }
    }

    #[test]
    fn what_is_inconsistent_is_refused_with_file_and_fault() {
        for (good, bad, part) in [
            ("[{ app: r }]", "[{ app: 'r-{cluster}-{cluster}' }]", "{cluster} once"),
            ("plural: ks", "plural: ks, colour: red", "colour"),
            ("fallback: a", "fallback: c", "its fallback c is not among the keys"),
            ("client: a", "client: c", "client: c is not among the keys"),
            (
                "clusters: [{ resource: { group: g, versions: [v1], kind: K, plural: ks }, network: spec.network }]",
                "clusters: []",
                "at least one custom resource",
            ),
            ("networks: [b]", "networks: [b], networksAtRisk: [a]", "goes with neverTouch"),
            ("networks: [b]", "networks: [c]", "its network c is not among the keys"),
            ("networks: [b]", "networks: []", "networks: [] and why"),
            ("networks: [b]", "networks: [b], why: no", "say either networks"),
            ("[{ app: r }]", "[]", "every entry of match needs a label"),
            ("[{ app: r }]", "[{}]", "every entry of match needs a label"),
            ("[{ app: r }]", "[{ app: r* }]", "write the whole value, a * and the end of it"),
            ("name: t", "name: r", "the name is given twice"),
            ("spec.network", "status.network", "from spec on"),
            ("spec.network", "spec..network", "no path of a field"),
            ("networks: [b]", "networks: [b], hostOverride: { field: spec.h, nameFromLabel: l }", "go together"),
        ] {
            assert!(GOOD.contains(good));
            let text = GOOD.replacen(good, bad, 1);
            let error = Catalogue::read([("s.yaml", text.as_str())]).unwrap_err().to_string();
            assert!(error.starts_with("storage system file s.yaml: ") && error.contains(part), "{bad}: {error}");
        }
        let twice = Catalogue::read([("s.yaml", GOOD), ("t.yaml", GOOD)]).unwrap_err().to_string();
        assert!(twice.contains("already described by another file"), "{twice}");
    }
}
