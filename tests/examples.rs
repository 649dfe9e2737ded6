//! Every example through a real API server: what comes out there is what `review` says.
//!
//! The objects of an example are created with kubectl, and the pods of its `pods.yaml` after them, each with the owner that
//! its workload has become. Kubernetes gives uids of its own, and its garbage collector removes what names others, so owner
//! references are rewritten on the way. All examples share one control plane, one after the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rook_multihome::storage::{Catalogue, Resource};
use rook_multihome::world::manifests::read_documents;
use serde_json::{Value, json};
use support::control_plane::{ControlPlane, give_address, in_own_network, say};
use support::server::Running;
use support::{fixtures, folders, program, project, stdout};

const ADDRESS: &str = "10.77.0.10";
const WEBHOOK: &str = "pods.multihome.rook.io";
/// How long the webhook may take to see what was just created.
const SEEN_AFTER: Duration = Duration::from_secs(20);

#[test]
fn the_examples_come_out_of_an_api_server_as_they_say() {
    in_own_network("the_examples_come_out_of_an_api_server_as_they_say", || {
        let plane = ControlPlane::start();
        let folders = folders(&project().join("examples"));
        install_resources(&plane, &folders);
        let webhook = start_webhook(&plane, &folders);
        let mut wrong = Vec::new();
        for folder in &folders {
            say(&format!("example {}", name_of(folder)));
            let example = Example::create(&plane, folder);
            wrong.extend(example.pods_that_come_out_otherwise());
            example.delete();
        }
        assert!(wrong.is_empty(), "{} pods came out otherwise:\n{}", wrong.len(), wrong.join("\n"));
        drop(webhook);
    });
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// The files in which examples describe systems of their own.
fn catalogues(folders: &[PathBuf]) -> Vec<String> {
    let flags = folders.iter().map(|folder| fixtures::flags(folder));
    let files = flags.filter_map(|flags| {
        let at = flags.iter().position(|flag| flag == "--catalogue")?;
        flags.get(at + 1).cloned()
    });
    files.collect()
}

/// The custom resources of every system: with schemas that take anything, as operators' own are not at hand.
fn install_resources(plane: &ControlPlane, folders: &[PathBuf]) {
    say("installing the custom resources of all storage systems");
    let mut catalogues_read = vec![Catalogue::built_in().unwrap()];
    for file in catalogues(folders) {
        let text = std::fs::read_to_string(project().join(&file)).unwrap();
        catalogues_read.push(Catalogue::read([(file.as_str(), text.as_str())]).unwrap());
    }
    let mut resources: Vec<Resource> = Vec::new();
    for catalogue in &catalogues_read {
        let clusters = catalogue.systems().iter().flat_map(|system| &system.clusters);
        resources.extend(clusters.map(|kind| kind.resource.clone()));
        resources.extend(catalogue.override_resources().into_iter().cloned());
    }
    resources.push(Resource {
        group: "k8s.cni.cncf.io".to_owned(),
        versions: vec!["v1".to_owned()],
        kind: "NetworkAttachmentDefinition".to_owned(),
        plural: "network-attachment-definitions".to_owned(),
    });
    let definitions: Vec<Value> = resources.iter().map(definition_of).collect();
    plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": definitions}).to_string());
    plane.apply_file("charts/rook-multihome/files/storagenetwork-crd-without-cel.yaml");
    plane.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
}

fn definition_of(resource: &Resource) -> Value {
    let Resource { group, versions, kind, plural } = resource;
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(at, name)| json!({"name": name, "served": true, "storage": at == 0, "schema": schema}))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": versions,
        },
    })
}

/// Starts the webhook as an administrator, and has the API server ask it about every pod. A pod that it cannot be asked about
/// is not created: nothing may come out as expected only because nobody looked.
fn start_webhook(plane: &ControlPlane, folders: &[PathBuf]) -> Running {
    say("starting the webhook");
    let certs = plane.path("certs");
    let mut make = program();
    make.args(["certs", "make", "--name", ADDRESS, "--name", "localhost", "--cert-dir"]).arg(&certs);
    stdout(&mut make);
    give_address(ADDRESS);
    let mut command = program();
    command.arg("serve").env("KUBECONFIG", plane.path("admin.kubeconfig")).env("ROOK_MULTIHOME_DRAIN_DELAY", "0");
    for file in catalogues(folders) {
        command.args(["--catalogue", &file]);
    }
    let webhook = Running::start_listening(command, &certs, &format!("{ADDRESS}:8443"));
    webhook.wait_until_ready();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "rook-multihome"},
        "webhooks": [{
            "name": WEBHOOK,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "clientConfig": {
                "url": format!("https://{ADDRESS}:8443/mutate"),
                "caBundle": BASE64.encode(std::fs::read(certs.join("ca.crt")).unwrap()),
            },
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    });
    plane.apply(&configuration.to_string());
    webhook
}

/// One example, created.
struct Example<'p> {
    plane: &'p ControlPlane,
    folder: &'p Path,
    /// In the order of their creation.
    objects: Vec<Value>,
}

/// What becomes of a pod, as far as a webhook has a hand in it, and what the audit log says of it. A pod that is left alone is
/// also left alone as long as the webhook has seen nothing yet, but not for the same reason.
#[derive(Debug, PartialEq)]
struct Outcome {
    becomes: Becomes,
    audited: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq)]
enum Becomes {
    Refused(String),
    Created { annotations: BTreeMap<String, String>, on_host_network: bool, warnings: Vec<String> },
}

impl<'p> Example<'p> {
    /// Creates namespaces, clusters, networks, nodes and, after them, workloads: what owns before what is owned.
    fn create(plane: &'p ControlPlane, folder: &'p Path) -> Self {
        let documents = |file: &Path| {
            let documents = read_documents(file).unwrap().into_iter();
            documents.filter(|document| document.get("kind").is_some()).collect::<Vec<_>>()
        };
        let pods = folder.join("pods.yaml");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| *file != pods && file.extension().is_some_and(|end| end == "yaml"));
        files.sort();
        let mut objects: Vec<Value> = files.iter().flat_map(|file| documents(file)).collect();
        objects.sort_by_key(|object| object["kind"] != "Namespace");
        let workloads = documents(&pods).into_iter().filter(|workload| is_created(&workload["kind"]));
        objects.extend(workloads.map(without_pods));
        let mut example = Self { plane, folder, objects: Vec::new() };
        example.make_namespaces(&objects, &documents(&pods));
        let mut uids: BTreeMap<String, Value> = BTreeMap::new();
        for mut object in objects {
            let own = object["metadata"].as_object_mut().unwrap().remove("uid");
            for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
                let uid = owner["uid"].as_str().unwrap();
                owner["uid"] = uids.get(uid).unwrap_or_else(|| panic!("nothing has the uid {uid}")).clone();
            }
            let created = example.apply(&object);
            uids.extend(own.map(|own| (own.as_str().unwrap().to_owned(), created["metadata"]["uid"].clone())));
            example.objects.push(created);
        }
        example
    }

    fn make_namespaces(&self, objects: &[Value], pods: &[Value]) {
        let all = objects.iter().chain(pods);
        let named: BTreeSet<&str> = all.filter_map(|object| object["metadata"]["namespace"].as_str()).collect();
        for namespace in named {
            self.plane.namespace(namespace);
            self.plane.wait_for("its service account", |plane| {
                plane.try_kubectl(&["get", "serviceaccount", "default", "-n", namespace], "").is_ok()
            });
        }
    }

    fn apply(&self, object: &Value) -> Value {
        let mut created = Value::Null;
        // A kind that has just appeared may take a moment longer to be served.
        self.plane.wait_for(&format!("{} {}", object["kind"], object["metadata"]["name"]), |plane| {
            match plane.try_kubectl(&["apply", "-o", "json", "-f", "-"], &object.to_string()) {
                Ok((printed, _)) => created = serde_json::from_str(&printed).unwrap(),
                Err(error) => say(&error),
            }
            !created.is_null()
        });
        created
    }

    /// Asks the command `review` about the example.
    fn review(&self, output: &str) -> Vec<Value> {
        let mut command = program();
        command.args(["review", "--output", output, "--manifests"]).arg(self.folder);
        command.args(fixtures::flags(self.folder)).arg(self.folder.join("pods.yaml"));
        let printed = stdout(&mut command);
        serde_json::Deserializer::from_str(&printed).into_iter().collect::<Result<Vec<Value>, _>>().unwrap()
    }

    /// Creates every pod of the example, and says which came out otherwise than `review` says.
    fn pods_that_come_out_otherwise(&self) -> Vec<String> {
        let reviews = self.review("request").into_iter().zip(self.review("response")).zip(self.review("patched"));
        let mut wrong = Vec::new();
        for ((request, response), patched) in reviews {
            let expected = Outcome::expected(&response["response"], &patched);
            let pod = self.with_real_owner(&request["request"]["object"], &request["request"]["namespace"]);
            // What was just created takes a moment until the webhook has seen it.
            let since = Instant::now();
            while self.submit(&pod, &["--dry-run=server"]) != expected && since.elapsed() < SEEN_AFTER {
                std::thread::sleep(Duration::from_millis(200));
            }
            let found = self.submit(&pod, &[]);
            if found != expected {
                let metadata = &pod["metadata"];
                let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap();
                let (example, namespace) = (name_of(self.folder), &metadata["namespace"]);
                say(&format!("{example}: {name} came out otherwise"));
                wrong.push(format!("{example}: {name} in {namespace}\n  expected {expected:?}\n  found    {found:?}"));
            }
        }
        wrong
    }

    /// The pod as the workload's controller would create it here: owned by what really exists.
    fn with_real_owner(&self, pod: &Value, namespace: &Value) -> Value {
        let mut pod = pod.clone();
        let metadata = pod["metadata"].as_object_mut().unwrap();
        metadata.insert("namespace".to_owned(), namespace.clone());
        let Some(owner) = metadata.remove("ownerReferences").and_then(|owners| owners.get(0).cloned()) else {
            return pod;
        };
        let (kind, name) = (owner["kind"].as_str().unwrap(), owner["name"].as_str().unwrap());
        let namespace = namespace.as_str().unwrap();
        // `review` cannot know what the ReplicaSet will be called.
        let real = if kind == "ReplicaSet" {
            Some(self.replica_set(namespace, name.rsplit_once('-').unwrap().0))
        } else {
            let mut objects = self.objects.iter().filter(|object| object["kind"] == kind);
            let is_meant = |metadata: &Value| metadata["name"] == name && metadata["namespace"] == namespace;
            objects.find(|object| is_meant(&object["metadata"])).cloned()
        };
        // One that a CronJob would own is not there.
        let Some(real) = real else { return pod };
        let mut owner = owner;
        owner["name"] = real["metadata"]["name"].clone();
        owner["uid"] = real["metadata"]["uid"].clone();
        pod["metadata"]["ownerReferences"] = json!([owner]);
        pod
    }

    /// The ReplicaSet that the Deployment's controller has made.
    fn replica_set(&self, namespace: &str, deployment: &str) -> Value {
        let mut found = None;
        self.plane.wait_for("the ReplicaSet", |plane| {
            let sets = plane.get(&["replicasets", "-n", namespace]);
            let mut sets = sets["items"].as_array().unwrap().iter();
            found = sets.find(|set| set["metadata"]["ownerReferences"][0]["name"] == deployment).cloned();
            found.is_some()
        });
        found.unwrap()
    }

    fn submit(&self, pod: &Value, flags: &[&str]) -> Outcome {
        let create = [&["create", "-o", "json", "-f", "-"], flags].concat();
        let becomes = match self.plane.try_kubectl(&create, &pod.to_string()) {
            Ok((created, said)) => {
                let warnings = said.lines().filter_map(|line| line.strip_prefix("Warning: rook-multihome"));
                Becomes::of(&serde_json::from_str(&created).unwrap(), warnings.map(str::to_owned).collect())
            }
            Err(error) => match error.split_once("rook-multihome refuses") {
                Some((_, why)) => Becomes::Refused(why.trim().to_owned()),
                None => Becomes::Refused(error),
            },
        };
        Outcome { becomes, audited: self.last_audited() }
    }

    /// What the audit log has of the webhook about the last pod that kubectl asked for.
    fn last_audited(&self) -> BTreeMap<String, String> {
        let mut events = self.plane.audit().into_iter().rev();
        let by_kubectl = |event: &Value| event["userAgent"].as_str().is_some_and(|agent| agent.starts_with("kubectl"));
        let last = events
            .find(|event| event["verb"] == "create" && event["objectRef"]["resource"] == "pods" && by_kubectl(event));
        let annotations = last.map(|event| event["annotations"].clone()).unwrap_or_default();
        let annotations = annotations.as_object().cloned().unwrap_or_default();
        let own = annotations.iter().filter_map(|(key, value)| {
            Some((key.strip_prefix(WEBHOOK)?.strip_prefix('/')?.to_owned(), value.as_str()?.to_owned()))
        });
        own.collect()
    }

    /// Takes everything away again but the namespaces, which others use too.
    fn delete(self) {
        let mut namespaces: BTreeSet<&str> = BTreeSet::new();
        for object in &self.objects {
            namespaces.extend(object["metadata"]["namespace"].as_str());
        }
        let objects: Vec<&Value> = self.objects.iter().filter(|object| object["kind"] != "Namespace").collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.plane.try_kubectl(&["delete", "--ignore-not-found", "-f", "-"], &list).unwrap();
        for namespace in namespaces {
            // There is no kubelet to end them.
            self.plane.kubectl(&["delete", "pods", "--all", "--force", "--grace-period=0", "-n", namespace]);
        }
    }
}

/// Whether objects of a kind that makes pods are created. The API of CronJobs differs between versions of Kubernetes, and no
/// cluster here owns any.
fn is_created(kind: &Value) -> bool {
    ["Deployment", "StatefulSet", "DaemonSet", "Job"].iter().any(|known| kind == known)
}

/// The workload, as far as can be without pods of its own: they are created here, in the place of its controller.
fn without_pods(mut workload: Value) -> Value {
    match workload["kind"].as_str().unwrap_or_default() {
        "Deployment" | "StatefulSet" => workload["spec"]["replicas"] = json!(0),
        "Job" => workload["spec"]["parallelism"] = json!(0),
        _ => {}
    }
    workload
}

impl Outcome {
    fn expected(response: &Value, patched: &Value) -> Self {
        let audited = response["auditAnnotations"].clone();
        let audited = serde_json::from_value(audited).unwrap();
        if response["allowed"] == false {
            let why = response["status"]["message"].as_str().unwrap();
            let why = why.trim_start_matches("rook-multihome refuses").trim().to_owned();
            return Self { becomes: Becomes::Refused(why), audited };
        }
        let warnings = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let warnings = warnings.filter_map(|warning| warning.strip_prefix("rook-multihome"));
        Self { becomes: Becomes::of(patched, warnings.map(str::to_owned).collect()), audited }
    }
}

impl Becomes {
    fn of(pod: &Value, warnings: Vec<String>) -> Self {
        let annotations = pod["metadata"].get("annotations").cloned();
        Self::Created {
            annotations: annotations.map(|found| serde_json::from_value(found).unwrap()).unwrap_or_default(),
            on_host_network: pod["spec"]["hostNetwork"] == true,
            warnings,
        }
    }
}
