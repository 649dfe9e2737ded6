//! The folders of `tests/admission`: a review, the world it falls into, the flags of the process if there are any, and the
//! answer that is expected.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use rook_multihome::storage::Catalogue;
use rook_multihome::world::{Isolation, Settings, Snapshot, manifests};
use serde_json::{Value, json};

pub struct Fixture {
    pub folder: PathBuf,
    pub review: String,
    pub flags: Vec<String>,
}

pub fn all() -> Vec<Fixture> {
    super::folders(&super::project().join("tests/admission")).into_iter().map(Fixture::read).collect()
}

pub fn named(name: &str) -> Fixture {
    Fixture::read(super::project().join("tests/admission").join(name))
}

/// The flags of the process, where a folder of fixtures or of an example has any.
pub fn flags(folder: &Path) -> Vec<String> {
    let flags = std::fs::read_to_string(folder.join("flags")).unwrap_or_default();
    flags.split_whitespace().map(str::to_owned).collect()
}

/// What the flags of a folder mean.
pub fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::default();
    let mut global = Vec::new();
    let flags = flags(folder);
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        let mut value = || flags.next().unwrap().as_str();
        let checks = &mut settings.checks;
        match flag.as_str() {
            "--enforce-host-network" => settings.enforce_host_network = true,
            "--attach-csi-node-plugins-and-risk-hung-mounts" => {
                settings.attach_csi_node_plugins_and_risk_hung_mounts = true;
            }
            "--mode" => settings.mode = value().parse().unwrap(),
            "--outcome" => settings.outcomes.push(value().parse().unwrap()),
            "--pod-cidr" => checks.surroundings.pods.push(value().parse().unwrap()),
            "--service-cidr" => checks.surroundings.services.push(value().parse().unwrap()),
            "--host-cidr" => checks.surroundings.hosts.push(value().parse().unwrap()),
            "--namespace-isolation" => checks.isolation = Isolation::On(vec!["default".to_owned()]),
            "--global-namespace" => {
                global.push(value().to_owned());
                checks.isolation = Isolation::On(global.clone());
            }
            "--device-resources" => settings.device_resources = value().parse().unwrap(),
            "--interface-names" => settings.interface_names = Some(value().parse().unwrap()),
            other => panic!("{}: unknown flag {other}", folder.display()),
        }
    }
    settings
}

impl Fixture {
    fn read(folder: PathBuf) -> Self {
        let review = std::fs::read_to_string(folder.join("review.json")).unwrap();
        let flags = flags(&folder);
        Self { folder, review, flags }
    }

    pub fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into_owned()
    }

    pub fn world(&self) -> PathBuf {
        self.folder.join("world.yaml")
    }

    pub fn expected(&self) -> PathBuf {
        self.folder.join("expected.json")
    }

    /// The review without white space, as it comes over the wire.
    pub fn compact_review(&self) -> String {
        serde_json::from_str::<Value>(&self.review).unwrap().to_string()
    }

    pub fn object(&self) -> Value {
        let review: Value = serde_json::from_str(&self.review).unwrap();
        review["request"]["object"].clone()
    }

    pub fn settings(&self) -> Settings {
        settings(&self.folder)
    }

    pub fn snapshot(&self) -> Snapshot {
        snapshot(&self.world(), self.settings())
    }
}

pub fn snapshot(manifests: &Path, settings: Settings) -> Snapshot {
    let catalogue = Arc::new(Catalogue::built_in().unwrap());
    manifests::load(&[manifests.to_owned()], catalogue, settings).unwrap().0.snapshot()
}

/// An answer as people can read it: the patch decoded, and what it leaves of the fields that it may touch.
pub fn readable(answer: &Value, object: &Value) -> Value {
    let mut response = answer["response"].clone();
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002", "the answer's uid is the request's");
    response.as_object_mut().unwrap().remove("uid");
    let patch = response.as_object_mut().unwrap().remove("patch");
    let patch_type = response.as_object_mut().unwrap().remove("patchType");
    assert_eq!(patch.is_some(), patch_type.is_some(), "patch and patchType go together");
    if let Some(patch) = patch {
        assert_eq!(patch_type.unwrap(), "JSONPatch");
        let patch = base64::engine::general_purpose::STANDARD.decode(patch.as_str().unwrap()).unwrap();
        let operations: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        let mut patched = object.clone();
        json_patch::patch(&mut patched, &operations).unwrap();
        response["patch"] = serde_json::to_value(operations).unwrap();
        response["patched"] = json!({
            "networks": patched["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"],
            "hostNetwork": patched["spec"]["hostNetwork"],
            "dnsPolicy": patched["spec"]["dnsPolicy"],
        });
    }
    response
}

/// JSON text with an indent, and a newline at the end as files have it.
pub fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}
