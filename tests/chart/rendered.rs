//! What helm renders, and how to ask it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rook_multihome::world::manifests::parse_documents;
use serde_json::Value;

use crate::support::project;
use crate::{NAMESPACE, RELEASE, support};

pub(crate) fn chart() -> PathBuf {
    project().join("charts/rook-multihome")
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What helm says, or why it refused.
pub(crate) fn helm(arguments: &[&str]) -> Result<String, String> {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let helm = HELM.get_or_init(|| {
        let mut assets = Command::new(project().join("tests/control-plane/assets"));
        PathBuf::from(support::stdout(assets.stderr(Stdio::inherit())).trim()).join("helm")
    });
    let output = Command::new(helm).args(arguments).env_remove("KUBECONFIG").current_dir(project()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if output.status.success() { Ok(stdout) } else { Err(format!("{stderr}{stdout}")) }
}

pub(crate) fn try_render(arguments: &[&str]) -> Result<String, String> {
    helm(&[&["template", RELEASE, "charts/rook-multihome", "--namespace", NAMESPACE], arguments].concat())
}

/// The file of values for one feature.
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) path: String,
}

impl Feature {
    pub(crate) fn all() -> Vec<Self> {
        let mut features = Vec::new();
        for entry in fs::read_dir(chart().join("ci")).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let name = file.strip_suffix("-values.yaml").unwrap_or_else(|| panic!("ci/{file} is no *-values.yaml"));
            features.push(Self { name: name.to_owned(), path: path.display().to_string() });
        }
        features.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(features.len() > 15, "the values were not found");
        features
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::all().into_iter().find(|feature| feature.name == name).unwrap_or_else(|| panic!("no ci file {name}"))
    }

    /// What was chosen; nothing where the default was left.
    pub(crate) fn values(&self) -> Value {
        parse_documents(&read(&self.path)).unwrap().remove(0)
    }

    pub(crate) fn is_self_managed(&self) -> bool {
        matches!(self.values()["tls"]["mode"].as_str(), None | Some("self-managed"))
    }

    pub(crate) fn render(&self) -> Objects {
        self.render_with(&[])
    }

    pub(crate) fn render_with(&self, arguments: &[&str]) -> Objects {
        let text = try_render(&[&["--values", &self.path], arguments].concat());
        Objects(parse_documents(&text.unwrap_or_else(|error| panic!("{}: {error}", self.name))).unwrap())
    }
}

/// What the chart renders.
pub(crate) struct Objects(pub(crate) Vec<Value>);

impl Objects {
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    pub(crate) fn only(&self, kind: &str) -> &Value {
        let found = self.of(kind);
        assert_eq!(found.len(), 1, "one {kind}");
        found[0]
    }

    pub(crate) fn kinds(&self) -> BTreeSet<&str> {
        self.0.iter().map(|object| text(&object["kind"])).collect()
    }

    pub(crate) fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]["spec"]
    }

    pub(crate) fn arguments(&self) -> Vec<&str> {
        list(&self.pod()["containers"][0]["args"]).iter().map(text).collect()
    }

    /// The entries that change something, the pods' and others.
    pub(crate) fn webhooks(&self) -> &Vec<Value> {
        list(&self.only("MutatingWebhookConfiguration")["webhooks"])
    }

    /// The entries that are asked about pods.
    pub(crate) fn about_pods(&self) -> Vec<&Value> {
        self.webhooks().iter().filter(|webhook| webhook["rules"][0]["resources"][0] == "pods").collect()
    }

    /// The entries that refuse or warn, and change nothing; none where there is no such configuration.
    pub(crate) fn validating(&self) -> Vec<&Value> {
        self.of("ValidatingWebhookConfiguration").into_iter().flat_map(|found| list(&found["webhooks"])).collect()
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}
