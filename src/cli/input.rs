//! What `review` and `explain` are asked about: reviews, pods, and workloads whose pods do not exist yet.
//!
//! Everything becomes an AdmissionReview, as the API server would send it, and goes the way that a request goes.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::wire;
use crate::world::World;
use crate::world::manifests::{self, parse_documents, read_documents};

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
    /// The objects on its chain of owners that the file tells of, from the pod upwards, as far as a decision may look at
    /// them: `apiVersion`, `kind` and `metadata`. Empty for pods and reviews, which name owners that are not in the file.
    pub(super) workloads: Vec<Value>,
}

/// A kind of workload: where its pods are described, and what becomes of the description.
struct WorkloadKind {
    kind: &'static str,
    api_version: &'static str,
    template: &'static str,
    /// What its controller makes, where that is not the pods themselves.
    through: Option<Between>,
}

/// A kind that a workload's controller makes, and whose own controller makes the pods.
struct Between {
    kind: &'static str,
    api_version: &'static str,
    /// What its name has after the workload's. A real one ends in a hash, or in the minute it is run for; none has these.
    ending: &'static str,
    /// Where its labels and annotations come from.
    labels: &'static str,
    annotations: &'static str,
}

const APPS: &str = "apps/v1";
const BATCH: &str = "batch/v1";

/// The kinds that Kubernetes' own controllers make pods of (`pkg/controller` of Kubernetes).
const WORKLOADS: [WorkloadKind; 6] = [
    WorkloadKind {
        kind: "Deployment",
        api_version: APPS,
        template: "/spec/template",
        through: Some(Between {
            kind: "ReplicaSet",
            api_version: APPS,
            ending: "-0000000000",
            labels: "/spec/template/metadata/labels",
            annotations: "/metadata/annotations",
        }),
    },
    WorkloadKind { kind: "StatefulSet", api_version: APPS, template: "/spec/template", through: None },
    WorkloadKind { kind: "DaemonSet", api_version: APPS, template: "/spec/template", through: None },
    WorkloadKind { kind: "ReplicaSet", api_version: APPS, template: "/spec/template", through: None },
    WorkloadKind { kind: "Job", api_version: BATCH, template: "/spec/template", through: None },
    WorkloadKind {
        kind: "CronJob",
        api_version: BATCH,
        template: "/spec/jobTemplate/spec/template",
        through: Some(Between {
            kind: "Job",
            api_version: BATCH,
            ending: "-00000000",
            labels: "/spec/jobTemplate/metadata/labels",
            annotations: "/spec/jobTemplate/metadata/annotations",
        }),
    },
];

/// The uid of a review that was made here: any text will do, and the same input must give the same output.
const UID: &str = "00000000-0000-0000-0000-000000000000";
/// The uid of a workload that the file gives none, as is usual,
const WORKLOAD_UID: &str = "00000000-0000-0000-0000-000000000001";
/// and of what its controller would make.
const BETWEEN_UID: &str = "00000000-0000-0000-0000-000000000002";

/// Brings the workloads that a file tells of into the world, so that owners can be walked.
pub(super) fn add_workloads(world: &mut World, subjects: &[Subject]) {
    for workload in subjects.iter().flat_map(|subject| &subject.workloads) {
        manifests::add_workload(world, workload);
    }
}

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
        return Some(Subject { label: kind, review: document, workloads: Vec::new() });
    }
    let workload = WORKLOADS.iter().find(|workload| workload.kind == kind);
    if workload.is_none() && kind != "Pod" {
        return None;
    }
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let namespace = text("/metadata/namespace").unwrap_or(default_namespace).to_owned();
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or("(no name)").to_owned();
    let workloads = workload.map(|workload| workload.chain(&document, &namespace, &name)).unwrap_or_default();
    let template = workload.map_or("", |workload| workload.template);
    let mut pod = document.pointer(template).cloned().unwrap_or_else(|| json!({}));
    if let Some(pod) = pod.as_object_mut() {
        pod.insert("apiVersion".to_owned(), "v1".into());
        pod.insert("kind".to_owned(), "Pod".into());
        let metadata = pod.entry("metadata").or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        if let (Some(metadata), Some(owner)) = (metadata.as_object_mut(), workloads.first()) {
            metadata.insert("generateName".to_owned(), format!("{name}-").into());
            metadata.insert("ownerReferences".to_owned(), controlled_by(owner));
        }
    }
    let label = format!("{kind} {namespace}/{name}");
    Some(Subject { label, review: review_of(&pod, &namespace), workloads })
}

impl WorkloadKind {
    /// The workload as the API server would hold it, below it what its controller would make.
    fn chain(&self, document: &Value, namespace: &str, name: &str) -> Vec<Value> {
        let mut metadata = document.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        metadata.insert("namespace".to_owned(), namespace.into());
        metadata.insert("name".to_owned(), name.into());
        if metadata.get("uid").and_then(Value::as_str).is_none_or(str::is_empty) {
            metadata.insert("uid".to_owned(), WORKLOAD_UID.into());
        }
        let workload = json!({ "apiVersion": self.api_version, "kind": self.kind, "metadata": metadata });
        let below = self.through.as_ref().map(|between| {
            json!({
                "apiVersion": between.api_version,
                "kind": between.kind,
                "metadata": {
                    "namespace": namespace,
                    "name": format!("{name}{}", between.ending),
                    "uid": BETWEEN_UID,
                    "labels": document.pointer(between.labels),
                    "annotations": document.pointer(between.annotations),
                    "ownerReferences": controlled_by(&workload),
                },
            })
        });
        below.into_iter().chain([workload]).collect()
    }
}

/// The owner references of what the controller of `owner` makes (`metav1.NewControllerRef`).
fn controlled_by(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn subject_of(kind: &str, spec: &Value, metadata: &Value) -> Subject {
        subject(json!({"kind": kind, "metadata": metadata, "spec": spec}), "ns").unwrap()
    }

    /// Kind, name and uid of every owner that `object` names.
    fn owners(object: &Value) -> Vec<[&str; 4]> {
        let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        owners
            .iter()
            .map(|owner| ["apiVersion", "kind", "name", "uid"].map(|key| owner[key].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn pods_of_workloads_have_the_owners_that_controllers_would_give_them() {
        // Controllers take no owners from a template.
        let template = json!({"metadata": {"labels": {"a": "b"}, "ownerReferences": [{"name": "x"}]}, "spec": {}});
        let spec = json!({"template": template});
        let jobs = json!({"jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": spec}});
        for (kind, spec, chain) in [
            (
                "Deployment",
                &spec,
                &[["apps/v1", "ReplicaSet", "w-0000000000", BETWEEN_UID], ["apps/v1", "Deployment", "w", "u"]][..],
            ),
            ("StatefulSet", &spec, &[["apps/v1", "StatefulSet", "w", "u"]]),
            ("DaemonSet", &spec, &[["apps/v1", "DaemonSet", "w", "u"]]),
            ("ReplicaSet", &spec, &[["apps/v1", "ReplicaSet", "w", "u"]]),
            ("Job", &spec, &[["batch/v1", "Job", "w", "u"]]),
            ("CronJob", &jobs, &[["batch/v1", "Job", "w-00000000", BETWEEN_UID], ["batch/v1", "CronJob", "w", "u"]]),
        ] {
            let top = json!([{"apiVersion": "x.io/v1", "kind": "Top", "name": "t", "uid": "v", "controller": true}]);
            let metadata = json!({"name": "w", "uid": "u", "labels": {"own": "label"}, "ownerReferences": top});
            let Subject { label, review, workloads } = subject_of(kind, spec, &metadata);
            assert_eq!(label, format!("{kind} ns/w"));
            let pod = &review["request"]["object"];
            let reference = &pod["metadata"]["ownerReferences"][0];
            assert_eq!((&reference["controller"], &reference["blockOwnerDeletion"]), (&json!(true), &json!(true)));
            assert_eq!(workloads.len(), chain.len(), "{kind}");
            // Each object of the chain is the one owner of the one below it, the pod being the lowest.
            let mut below = pod;
            for (object, expected) in workloads.iter().zip(chain) {
                assert_eq!(owners(below), [*expected], "{kind}");
                let [api_version, own_kind, name, uid] = *expected;
                assert_eq!((&object["apiVersion"], &object["kind"]), (&json!(api_version), &json!(own_kind)));
                assert_eq!(object["metadata"]["name"], name);
                assert_eq!(object["metadata"]["uid"], uid);
                assert_eq!(object["metadata"]["namespace"], "ns");
                assert!(object.get("spec").is_none(), "only metadata is looked at");
                below = object;
            }
            // The workload stays as the file has it, its own owners included.
            assert_eq!(owners(below), [["x.io/v1", "Top", "t", "v"]]);
            assert_eq!(below["metadata"]["labels"]["own"], "label");
            if workloads.len() == 2 {
                assert_eq!(workloads[0]["metadata"]["labels"], json!({"a": "b"}), "{kind}");
            }
        }
    }

    #[test]
    fn pods_and_reviews_keep_the_owners_they_have() {
        let owners_of_pod = json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}]);
        let metadata = json!({"name": "p", "ownerReferences": owners_of_pod});
        let Subject { review, workloads, .. } = subject_of("Pod", &json!({}), &metadata);
        assert_eq!(review["request"]["object"]["metadata"]["ownerReferences"], owners_of_pod);
        assert!(workloads.is_empty());
        let again = subject(review.clone(), "elsewhere").unwrap();
        assert_eq!((again.review, again.workloads), (review, Vec::new()));
    }

    #[test]
    fn what_a_file_leaves_out_is_filled_in() {
        for metadata in [json!(null), json!("text"), json!({}), json!({"uid": "", "name": ""})] {
            let Subject { review, workloads, .. } =
                subject_of("Job", &json!({"template": {"metadata": null}}), &metadata);
            let expected = ["batch/v1", "Job", "(no name)", WORKLOAD_UID];
            assert_eq!(owners(&review["request"]["object"]), [expected], "{metadata}");
            assert_eq!(workloads[0]["metadata"], json!({"namespace": "ns", "name": "(no name)", "uid": WORKLOAD_UID}));
        }
    }
}
