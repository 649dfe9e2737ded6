//! A world from YAML and JSON files, for use without Kubernetes.
//!
//! Folders are read with everything below them; files may hold several documents, and `List` objects as kubectl prints them.
//! Kinds that the world is not made of are counted and left out, so that a folder may hold pods and anything else as well.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::entry::Entry;
use super::kind::{ObjectError, ObjectKind};
use super::settings::Settings;
use super::snapshot::World;
use crate::network::yaml_fault;
use crate::storage::{Catalogue, Resource, WorkloadKind};

/// What was found in the files.
#[derive(Debug, Default)]
pub struct Report {
    /// How many files were read.
    pub files: usize,
    /// How many clusters.
    pub clusters: usize,
    /// How many attachment definitions.
    pub attachments: usize,
    /// How many StorageNetworks.
    pub storage_networks: usize,
    /// How many resources that may overrule the host network of a role.
    pub overrides: usize,
    /// How many namespaces, nodes and workloads.
    pub others: usize,
    /// How many documents of other kinds.
    pub ignored: usize,
    /// What is wrong with objects that were read all the same, each a sentence with file and object.
    pub problems: Vec<String>,
}

/// A file that cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// A file or folder that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no YAML or JSON.
    #[error("{path} cannot be parsed: {fault}")]
    Parse {
        /// Where.
        path: PathBuf,
        /// What is wrong, with the place in the file.
        fault: String,
    },
    /// A known kind of object that cannot be named.
    #[error("{path}: {source}")]
    Object {
        /// Where.
        path: PathBuf,
        /// Why.
        source: ObjectError,
    },
}

/// The kinds of objects that files may hold, each with its resource. Workloads are read in whatever namespace they are.
struct FileKinds(Vec<(ObjectKind, Resource)>);

impl FileKinds {
    fn new(catalogue: &Catalogue) -> Self {
        let workloads = WorkloadKind::ALL.map(|kind| ObjectKind::Workload(kind, String::new()));
        let kinds = ObjectKind::always(catalogue).into_iter().chain([ObjectKind::Node]).chain(workloads);
        Self(kinds.map(|kind| (kind.clone(), kind.resource())).collect())
    }

    fn kind_of(&self, object: &Value) -> Option<ObjectKind> {
        let text = |field| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (kind, _) = self.0.iter().find(|(_, resource)| resource.covers(api_version, kind))?;
        Some(match kind {
            ObjectKind::Workload(kind, _) => {
                let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
                ObjectKind::Workload(*kind, namespace.unwrap_or("default").to_owned())
            }
            kind => kind.clone(),
        })
    }
}

/// Reads files and folders into a world.
///
/// # Errors
/// The first file that cannot be read or parsed. A wrong object in a file is no error: it is in the report.
pub fn load(
    paths: &[PathBuf],
    catalogue: Arc<Catalogue>,
    settings: Settings,
) -> Result<(World, Report), ManifestError> {
    let mut world = World::new(catalogue, settings);
    let kinds = FileKinds::new(world.current().catalogue());
    // Files are the whole truth: what they do not have does not exist.
    for (kind, _) in &kinds.0 {
        world.replace_all(kind, []);
    }
    let mut report = Report::default();
    let mut seen = HashSet::new();
    for path in files_below(paths)? {
        // One file by two ways, as in a mounted ConfigMap, is one file.
        if !seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            continue;
        }
        report.files += 1;
        for object in read_documents(&path)? {
            let Some(kind) = kinds.kind_of(&object) else {
                report.ignored += 1;
                continue;
            };
            let (id, entry) = Entry::read(&kind, &object, world.current().catalogue())
                .map_err(|source| ManifestError::Object { path: path.clone(), source })?;
            let label = format!("{}: {} {id}", path.display(), kind.resource().kind);
            report.problems.extend(entry.problems().iter().map(|problem| format!("{label}: {problem}")));
            if world.insert(&kind, &id, entry) {
                report.problems.push(format!("{label}: it is given twice; this one counts"));
                continue;
            }
            match kind {
                ObjectKind::Cluster(..) => report.clusters += 1,
                ObjectKind::Override(_) => report.overrides += 1,
                ObjectKind::Attachment => report.attachments += 1,
                ObjectKind::StorageNetwork => report.storage_networks += 1,
                ObjectKind::Namespace | ObjectKind::Node | ObjectKind::Workload(..) => report.others += 1,
            }
        }
    }
    Ok((world, report))
}

/// Brings a workload into a world; an object of any other kind, or without a name, is none.
pub fn add_workload(world: &mut World, object: &Value) {
    let catalogue = world.current().catalogue();
    let kind = FileKinds::new(catalogue).kind_of(object).filter(|kind| matches!(kind, ObjectKind::Workload(..)));
    let Some(kind) = kind else { return };
    if let Ok((id, entry)) = Entry::read(&kind, object, catalogue) {
        world.insert(&kind, &id, entry);
    }
}

/// Reads every object in a YAML or JSON file.
///
/// # Errors
/// Where the file cannot be read or parsed.
pub fn read_documents(path: &Path) -> Result<Vec<Value>, ManifestError> {
    let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })?;
    parse_documents(&text).map_err(|fault| ManifestError::Parse { path: path.to_owned(), fault })
}

/// Reads every object in a YAML or JSON text; the items of a `List` count as documents of their own.
///
/// # Errors
/// What is wrong with the text, with the place in it.
pub fn parse_documents(text: &str) -> Result<Vec<Value>, String> {
    let yaml = || {
        // The default bounds are for strangers' files; whole clusters are dumped into one file here. What stays bounded is how
        // much aliases can blow up.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_documents: usize::MAX, max_events: usize::MAX, max_nodes: usize::MAX, max_total_scalar_bytes: usize::MAX },
        };
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| yaml_fault(&error))
    };
    let documents: Vec<Value> = if text.trim_start().starts_with('{') {
        // Mostly JSON, which its own parser reads with better errors and without loss; but YAML may begin like this too.
        match serde_json::from_str(text) {
            Ok(document) => vec![document],
            Err(error) => yaml().map_err(|_| error.to_string())?,
        }
    } else {
        yaml()?
    };
    let mut objects = Vec::new();
    for document in documents {
        let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        match document {
            Value::Null => {}
            Value::Object(mut list) if is_list && list.contains_key("items") => {
                if let Some(Value::Array(items)) = list.remove("items") {
                    objects.extend(items);
                }
            }
            document => objects.push(document),
        }
    }
    Ok(objects)
}

/// The files at and below `paths`, each folder's in alphabetical order, so that a report reads the same every time. In a
/// folder only `.yaml`, `.yml` and `.json` count, and nothing whose name begins with a dot; a file that is named itself is read whatever it is called.
///
/// # Errors
/// The first file or folder that cannot be read.
pub fn files_below(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ManifestError> {
    let mut files = Vec::new();
    for path in paths {
        let error = |source| ManifestError::Read { path: path.clone(), source };
        if !std::fs::metadata(path).map_err(error)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path).map_err(error)? {
            entries.push(entry.map_err(error)?.path());
        }
        entries.sort();
        entries.retain(|path| {
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let is_manifest = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
            !hidden && (path.is_dir() || is_manifest)
        });
        files.extend(files_below(&entries)?);
    }
    Ok(files)
}
