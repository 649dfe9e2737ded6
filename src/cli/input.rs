//! What `review` and `explain` are asked about: reviews, pods, and workloads whose pods do not exist yet.
//!
//! Everything becomes an AdmissionReview, as the API server would send it, and goes the way that a request goes.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::wire;
use crate::world::manifests::{parse_documents, read_documents};

/// The file to read, and where its pods would be created.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// An AdmissionReview, Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob in YAML or JSON; - is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// The namespace of objects that name none
    #[arg(long, short, default_value = "default")]
    namespace: String,
}

/// One pod to decide about.
pub(super) struct Subject {
    /// Kind and name of what it comes from.
    pub(super) label: String,
    /// The AdmissionReview that asks about it.
    pub(super) review: Value,
}

/// The uid of a review that was made here: any text will do, and the same input must give the same output.
const UID: &str = "00000000-0000-0000-0000-000000000000";

impl InputArgs {
    /// Every pod in the file.
    pub(super) fn subjects(&self) -> anyhow::Result<Vec<Subject>> {
        if self.file.is_dir() {
            bail!("{} is a folder; name one file in it", self.file.display());
        }
        let from_stdin = self.file.as_os_str() == "-";
        let documents = if from_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
            parse_documents(&text).map_err(|fault| anyhow::anyhow!("stdin cannot be parsed: {fault}"))?
        } else {
            read_documents(&self.file)?
        };
        let kinds: Vec<String> = documents.iter().map(|document| kind_of(document).to_owned()).collect();
        let subjects: Vec<Subject> =
            documents.into_iter().filter_map(|document| subject(document, &self.namespace)).collect();
        if subjects.is_empty() {
            let found = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
            bail!(
                "{} holds no pod: found {found}; expected an AdmissionReview, Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob",
                if from_stdin { "stdin".into() } else { self.file.display().to_string() }
            );
        }
        Ok(subjects)
    }
}

fn kind_of(document: &Value) -> &str {
    document.get("kind").and_then(Value::as_str).unwrap_or("an object without kind")
}

fn subject(document: Value, default_namespace: &str) -> Option<Subject> {
    let kind = kind_of(&document).to_owned();
    if kind == wire::KIND {
        return Some(Subject { label: kind, review: document });
    }
    let template = match kind.as_str() {
        "Pod" => "",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => "/spec/template",
        "CronJob" => "/spec/jobTemplate/spec/template",
        _ => return None,
    };
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let namespace = text("/metadata/namespace").unwrap_or(default_namespace).to_owned();
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or("(no name)").to_owned();
    let mut pod = document.pointer(template).cloned().unwrap_or_else(|| json!({}));
    if let Some(pod) = pod.as_object_mut() {
        pod.insert("apiVersion".to_owned(), "v1".into());
        pod.insert("kind".to_owned(), "Pod".into());
        let metadata = pod.entry("metadata").or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        if let (Some(metadata), false) = (metadata.as_object_mut(), template.is_empty()) {
            metadata.insert("generateName".to_owned(), format!("{name}-").into());
        }
    }
    let label = format!("{kind} {namespace}/{name}");
    Some(Subject { label, review: review_of(&pod, &namespace) })
}

fn review_of(pod: &Value, namespace: &str) -> Value {
    json!({
        "apiVersion": wire::API_VERSION,
        "kind": wire::KIND,
        "request": {
            "uid": UID,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "operation": "CREATE",
            "namespace": namespace,
            "object": pod,
        },
    })
}
