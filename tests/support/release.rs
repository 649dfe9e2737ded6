//! The chart, installed on a control plane, with the program run as the chart's pods would run it: by their own arguments,
//! variables, service account and Secrets, at addresses of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::control_plane::{ControlPlane, give_address};
use super::program;
use super::server::Running;

/// Where the release is installed.
pub const NAMESPACE: &str = "rook-multihome";
/// The name of the release, and so of its objects.
pub const RELEASE: &str = "rook-multihome";

/// The chart.
pub const CHART: &str = "charts/rook-multihome";

pub struct Release<'p> {
    plane: &'p ControlPlane,
    pub replicas: Vec<Replica>,
    started: u8,
}

pub struct Replica {
    pub pod: String,
    pub address: String,
    pub running: Running,
}

impl<'p> Release<'p> {
    /// Makes the namespaces, and installs the chart for the one of a storage cluster.
    pub fn install(plane: &'p ControlPlane, values: &[&str]) -> Self {
        Self::install_chart(plane, CHART, values)
    }

    /// The same with another chart.
    pub fn install_chart(plane: &'p ControlPlane, chart: &str, values: &[&str]) -> Self {
        let release = Self::to_be_installed(plane);
        let install = ["install", RELEASE, chart, "--namespace", NAMESPACE];
        plane.helm(&[&install[..], &["--set", "namespaces={rook-ceph}"], values].concat());
        release
    }

    /// Makes the namespaces, and leaves it to somebody else to install the chart.
    pub fn to_be_installed(plane: &'p ControlPlane) -> Self {
        for namespace in ["rook-ceph", NAMESPACE] {
            plane.namespace(namespace);
        }
        Self { plane, replicas: Vec::new(), started: 0 }
    }

    pub fn upgrade(&self, values: &[&str]) {
        let upgrade = ["upgrade", RELEASE, CHART, "--namespace", NAMESPACE];
        self.plane.helm(&[&upgrade[..], &["--set", "namespaces={rook-ceph}"], values].concat());
    }

    /// Starts the new pods of a rollout and stops the old ones, as they come and go, until it is over.
    pub fn follow_rollout(&mut self) {
        loop {
            // Asked before the pods are: one that is deleted in between would count as a replica for good.
            let is_rolled_out = self.is_rolled_out();
            let pods = self.plane.get(&["pods", "-n", NAMESPACE]);
            let is_there = |name: &str| {
                let mut pods = pods["items"].as_array().unwrap().iter();
                pods.any(|pod| pod["metadata"]["name"] == name && pod["metadata"]["deletionTimestamp"].is_null())
            };
            if let Some(index) = self.replicas.iter().position(|replica| !is_there(&replica.pod)) {
                self.stop(index);
            } else if self.pod_to_run(self.plane).is_some() {
                self.start(self.replicas.len() + 1);
            } else if is_rolled_out {
                self.wait_for_endpoints();
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn is_rolled_out(&self) -> bool {
        let deployment = self.plane.get(&["deployment", RELEASE, "-n", NAMESPACE]);
        let (status, wanted) = (&deployment["status"], &deployment["spec"]["replicas"]);
        status["observedGeneration"] == deployment["metadata"]["generation"]
            && ["replicas", "updatedReplicas", "readyReplicas"].iter().all(|count| status[*count] == *wanted)
    }

    /// Runs the program in place of every pod that is not run yet, and waits until all answer.
    pub fn start(&mut self, count: usize) {
        while self.replicas.len() < count {
            let replica = self.start_one();
            self.plane.wait_for("readiness", |_| replica.running.admin("/readyz").0 == 200);
            self.plane.run_pod(NAMESPACE, &replica.pod, &replica.address);
            // Of the others some may be about to go.
            self.plane.wait_for("the Service to know the replica", |_| self.endpoints().contains(&replica.address));
            self.replicas.push(replica);
        }
    }

    /// Runs the program in place of one pod, without saying that it is ready.
    pub fn start_one(&mut self) -> Replica {
        let (pod, address, command) = self.prepare_one();
        Replica { pod, running: Running::start_exactly(command), address }
    }

    /// All that it takes to run the program in place of one pod, even where the API server is not there then: the pod, its
    /// address, and the command.
    pub fn prepare_one(&mut self) -> (String, String, std::process::Command) {
        self.plane.wait_for("a pod to run", |plane| self.pod_to_run(plane).is_some());
        let pod = self.pod_to_run(self.plane).unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        self.started += 1;
        let address = format!("10.77.0.{}", 10 + self.started);
        give_address(&address);
        let command = self.command(&pod, &address);
        (name, address, command)
    }

    fn pod_to_run(&self, plane: &ControlPlane) -> Option<Value> {
        let pods = plane.get(&["pods", "-n", NAMESPACE]);
        let runs = |name: &Value| self.replicas.iter().any(|replica| *name == *replica.pod);
        let mut pods = pods["items"].as_array().unwrap().iter();
        let pod = pods.find(|pod| pod["metadata"]["deletionTimestamp"].is_null() && !runs(&pod["metadata"]["name"]));
        pod.cloned()
    }

    /// What the container would run.
    fn command(&self, pod: &Value, address: &str) -> std::process::Command {
        let container = &pod["spec"]["containers"][0];
        let mut command = program();
        for argument in container["args"].as_array().unwrap() {
            let argument = argument.as_str().unwrap().replace("0.0.0.0", address);
            command.arg(match argument.strip_prefix("--cert-dir=") {
                Some(mount) => format!("--cert-dir={}", self.mounted(mount).display()),
                None => argument,
            });
        }
        for variable in container["env"].as_array().unwrap() {
            let value = match &variable["valueFrom"] {
                Value::Null => variable["value"].as_str().unwrap_or_default(),
                from => {
                    assert_eq!(from["fieldRef"]["fieldPath"], "metadata.namespace");
                    NAMESPACE
                }
            };
            command.env(variable["name"].as_str().unwrap(), value);
        }
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
        let token = self.plane.kubectl(&["create", "token", account, "--namespace", NAMESPACE]);
        let name = pod["metadata"]["name"].as_str().unwrap();
        command.env("KUBECONFIG", self.plane.kubeconfig(&format!("{name}.kubeconfig"), token.trim()));
        command
    }

    /// Where a Secret is mounted. All replicas see the same folder.
    pub fn mounted(&self, mount: &str) -> PathBuf {
        let folder = self.plane.path("mounts").join(mount.trim_start_matches('/'));
        if !folder.exists() {
            self.mount(&format!("{RELEASE}-tls"), &folder);
        }
        folder
    }

    /// Brings the content of a Secret into a folder as the kubelet does: a new folder, and a symbolic link that is switched.
    pub fn mount(&self, secret: &str, folder: &Path) {
        let data = self.plane.get(&["secret", secret, "-n", NAMESPACE])["data"].clone();
        let version = format!("..{}", fs::read_dir(folder).map_or(0, Iterator::count));
        fs::create_dir_all(folder.join(&version)).unwrap();
        for (key, value) in data.as_object().unwrap() {
            let value = BASE64.decode(value.as_str().unwrap()).unwrap();
            fs::write(folder.join(&version).join(key), value).unwrap();
            if !folder.join(key).exists() {
                _ = fs::remove_file(folder.join(key));
                symlink(Path::new("..data").join(key), folder.join(key)).unwrap();
            }
        }
        symlink(&version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    /// Waits until the Service has the address of every replica, and of nobody else.
    pub fn wait_for_endpoints(&self) {
        let mut wanted: Vec<&str> = self.replicas.iter().map(|replica| replica.address.as_str()).collect();
        wanted.sort_unstable();
        self.plane.wait_for("the Service's endpoints", |_| self.endpoints() == wanted);
    }

    fn endpoints(&self) -> Vec<String> {
        let endpoints = self.plane.get(&["endpoints", RELEASE, "-n", NAMESPACE]);
        let addresses = endpoints["subsets"][0]["addresses"].as_array().cloned().unwrap_or_default();
        let mut found: Vec<String> =
            addresses.iter().filter_map(|address| address["ip"].as_str().map(ToOwned::to_owned)).collect();
        found.sort_unstable();
        found
    }

    /// Ends a replica as Kubernetes does: the pod is being deleted, and the process is asked to stop.
    pub fn stop(&mut self, index: usize) {
        let mut replica = self.replicas.remove(index);
        self.plane.kubectl(&["delete", "pod", &replica.pod, "-n", NAMESPACE, "--wait=false"]);
        replica.running.signal("-TERM");
        assert!(replica.running.wait_for_exit().success());
        self.forget(&replica.pod);
    }

    /// Ends the process of a replica whose pod is gone already.
    pub fn end(&self, mut replica: Replica) {
        replica.running.signal("-TERM");
        assert!(replica.running.wait_for_exit().success());
        self.forget(&replica.pod);
    }

    /// Rolls the Deployment over: its controller makes new pods and deletes old ones, and they are run and stopped.
    pub fn roll(&mut self) {
        self.plane.kubectl(&["rollout", "restart", "deployment", RELEASE, "-n", NAMESPACE]);
        self.follow_rollout();
    }

    /// Ends a replica as a power failure does.
    pub fn kill(&mut self, index: usize) {
        let mut replica = self.replicas.remove(index);
        replica.running.signal("-KILL");
        replica.running.wait_for_exit();
        self.forget(&replica.pod);
    }

    /// Takes a pod away, as is done when its node is known to be gone.
    pub fn forget(&self, pod: &str) {
        let force = ["--force", "--grace-period=0", "--wait=false"];
        self.plane.kubectl(&[&["delete", "pod", pod, "-n", NAMESPACE, "--ignore-not-found"], &force[..]].concat());
    }

    /// The `caBundle` of every entry of both webhook configurations, as PEM texts; the pods' first.
    pub fn bundles(&self) -> Vec<String> {
        let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
        let configurations = self.plane.get(&[kinds, "--selector", "app.kubernetes.io/instance=rook-multihome"]);
        let configurations = configurations["items"].as_array().unwrap();
        let webhooks = configurations.iter().flat_map(|found| found["webhooks"].as_array().unwrap());
        let bundle = |webhook: &Value| webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned();
        webhooks.map(|webhook| String::from_utf8(BASE64.decode(bundle(webhook)).unwrap()).unwrap()).collect()
    }

    /// `certs status` as an administrator runs it.
    pub fn status(&self, more: &[&str]) -> String {
        let mut command = program();
        command
            .args(["certs", "status", "--validating-webhook-configuration", RELEASE])
            .args(more)
            .env("KUBECONFIG", self.plane.path("admin.kubeconfig"));
        super::stdout(&mut command)
    }

    /// Where the rotation stands.
    pub fn stage(&self) -> String {
        let status: Value = serde_json::from_str(&self.status(&["--output", "json"])).unwrap();
        status["stage"].as_str().unwrap().to_owned()
    }

    /// Waits until every replica's metric has at least this value.
    pub fn wait_for_metric(&self, metric: &str, value: f64) {
        self.plane.wait_for(metric, |_| self.replicas.iter().all(|replica| replica.running.metric(metric) >= value));
    }
}
