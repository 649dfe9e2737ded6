//! A world from YAML and JSON files, for use without Kubernetes.
//!
//! Folders are read with everything below them; files may hold several documents, and `List` objects as kubectl prints them.
//! Kinds that the world is not made of are counted and left out, so that a folder may hold pods and anything else as well.
//! Where an object stands is told by the report, and by nothing that is kept: a server has no use for it.

mod lines;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use serde_saphyr::Spanned;
use thiserror::Error;

use super::entry::Entry;
use super::kind::{ObjectError, ObjectKind, ObjectName};
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
    /// What is wrong with objects that were read all the same.
    pub problems: Vec<Problem>,
    /// Where each object stands, by kind and group of its resource, and its name; of one that is given twice, the one that
    /// counts.
    origins: HashMap<(String, String, ObjectName), Origin>,
}

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named or found.
    pub path: PathBuf,
    /// The line on which it begins, counted from one.
    pub line: usize,
}

/// Something that is wrong with an object in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The kind of the object's resource.
    pub kind: String,
    /// The group of the object's resource.
    pub group: String,
    /// Namespace and name.
    pub id: ObjectName,
    /// What is wrong, as a sentence without its end.
    pub fault: String,
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

impl Report {
    /// Where an object stands, where it comes from a file.
    #[must_use]
    pub fn origin(&self, kind: &str, group: &str, id: &ObjectName) -> Option<&Origin> {
        self.origins.get(&(kind.to_owned(), group.to_owned(), id.clone()))
    }
}

impl fmt::Display for Problem {
    /// With file and object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind, group: _, id, fault } = self;
        write!(f, "{}: {kind} {id}: {fault}", path.display())
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
        let text = read(&path)?;
        let found = documents(&text).map_err(|fault| ManifestError::Parse { path: path.clone(), fault })?;
        for Document { object, line } in lines::of_items(&text, found) {
            let Some(kind) = kinds.kind_of(&object) else {
                report.ignored += 1;
                continue;
            };
            let (id, entry) = Entry::read(&kind, &object, world.current().catalogue())
                .map_err(|source| ManifestError::Object { path: path.clone(), source })?;
            let Resource { kind: of_kind, group, .. } = kind.resource();
            let problem = |fault| Problem {
                path: path.clone(),
                kind: of_kind.clone(),
                group: group.clone(),
                id: id.clone(),
                fault,
            };
            report.problems.extend(entry.problems().into_iter().map(problem));
            let is_replaced = world.insert(&kind, &id, entry);
            if is_replaced {
                report.problems.push(problem("it is given twice; this one counts".to_owned()));
            }
            report.origins.insert((of_kind, group, id), Origin { path: path.clone(), line });
            if is_replaced {
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
    parse_documents(&read(path)?).map_err(|fault| ManifestError::Parse { path: path.to_owned(), fault })
}

fn read(path: &Path) -> Result<String, ManifestError> {
    std::fs::read_to_string(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })
}

/// Reads every object in a YAML or JSON text; the items of a `List` count as documents of their own.
///
/// # Errors
/// What is wrong with the text, with the place in it.
pub fn parse_documents(text: &str) -> Result<Vec<Value>, String> {
    let documents = documents(text)?.into_iter();
    Ok(documents.flat_map(Document::objects).map(|Document { object, .. }| object).collect())
}

/// One document or item of a list, and the line on which it begins.
struct Document {
    object: Value,
    line: usize,
}

impl Document {
    fn is_list(&self) -> bool {
        let kind = self.object.get("kind").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.ends_with("List")) && self.object.get("items").is_some()
    }

    /// The document itself, or the items of a `List`, on the line of the list; nothing where there is nothing.
    fn objects(self) -> Vec<Self> {
        let is_list = self.is_list();
        let Self { object, line } = self;
        let objects = match object {
            Value::Null => Vec::new(),
            Value::Object(mut list) if is_list => match list.remove("items") {
                Some(Value::Array(items)) => items,
                Some(_) | None => Vec::new(),
            },
            object => vec![object],
        };
        objects.into_iter().map(|object| Self { object, line }).collect()
    }
}

/// The default bounds are for strangers' files; whole clusters are dumped into one file here. What stays bounded is how much
/// aliases can blow up.
fn without_bounds() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_documents: usize::MAX, max_events: usize::MAX, max_nodes: usize::MAX, max_total_scalar_bytes: usize::MAX },
    }
}

/// Reads every document in a YAML or JSON text; a `List` is one.
fn documents(text: &str) -> Result<Vec<Document>, String> {
    let yaml = || {
        let documents: Vec<Spanned<Value>> =
            serde_saphyr::from_multiple_with_options(text, without_bounds()).map_err(|error| yaml_fault(&error))?;
        let document = |Spanned { value, referenced, .. }| Document { object: value, line: lines::of(referenced) };
        Ok(documents.into_iter().map(document).collect())
    };
    if text.trim_start().starts_with('{') {
        // Mostly JSON, which its own parser reads with better errors and without loss; but YAML may begin like this too.
        match serde_json::from_str(text) {
            Ok(object) => {
                let line = lines::at(text, text.len() - text.trim_start().len());
                Ok(vec![Document { object, line }])
            }
            Err(error) => yaml().map_err(|_: String| error.to_string()),
        }
    } else {
        yaml()
    }
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
