//! A real control plane: etcd, kube-apiserver and kube-controller-manager, without nodes, driven by the real kubectl and helm.
//!
//! It lives in a network namespace of its own, whose loopback carries the addresses of the API server and of the webhook's
//! pods. There is no kubelet: pods stay pending, and where one has to be running, the test says so in its place.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rook_multihome::tls::{authority, files};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::client::{Client, Roots};

/// Where the API server listens. Neither this nor the pods' may be a loopback address: the API server refuses those.
const SERVER: &str = "10.77.0.1";
/// Set in the process that runs inside the namespace.
const INSIDE: &str = "ROOK_MULTIHOME_TEST_NAMESPACE";
const ADMIN_TOKEN: &str = "admin";
const API_SERVER: &str = "kube-apiserver";

/// The API server, asked directly: faster than kubectl, and on a connection that stays.
#[derive(Clone)]
pub struct Api {
    roots: Roots,
    authorization: String,
}

pub struct ControlPlane {
    assets: PathBuf,
    folder: tempfile::TempDir,
    /// By the names of their programs, in the order in which they were started.
    processes: RefCell<Vec<(String, Child)>>,
}

/// Runs a test in a network namespace of its own: outside, starts the test binary again inside one and waits for it.
pub fn in_own_network(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        body();
        return;
    }
    let mut unshare = Command::new("unshare");
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) != 0) {
        unshare.args(["--user", "--map-root-user"]);
    }
    let status = unshare
        .args(["--net", "--kill-child", "--fork", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        // Its summary would be counted beside ours; what it has to say goes to standard error.
        .stdout(Stdio::null())
        .status()
        .expect("unshare, from the package util-linux");
    assert!(status.success(), "the test failed in its own network namespace; what it printed is above");
}

/// Says what is going on: starting and waiting take a while.
pub fn say(what: &str) {
    eprintln!("control plane: {what}");
}

/// Another kind of cluster than [`ControlPlane::with_storage`] has: one that cannot declare networks itself.
pub const CASSANDRA_DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: clusters.cassandra.rook.io }
spec:
  group: cassandra.rook.io
  scope: Namespaced
  names: { kind: Cluster, listKind: ClusterList, plural: clusters, singular: cluster }
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

impl ControlPlane {
    /// Starts everything and waits until it is ready.
    pub fn start() -> Self {
        let printed =
            super::stdout(Command::new(super::project().join("tests/control-plane/assets")).stderr(Stdio::inherit()));
        let assets = PathBuf::from(printed.trim());
        for arguments in [&["link", "set", "lo", "up"][..], &["addr", "add", "10.77.0.1/32", "dev", "lo"]] {
            ip(arguments);
        }
        let plane = Self { assets, folder: tempfile::tempdir().unwrap(), processes: RefCell::default() };
        plane.write_files();
        plane.start_etcd();
        plane.start_api_server();
        plane.start_controllers();
        plane
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Starts everything, with the custom resources, a storage cluster and its networks.
    pub fn with_storage() -> Self {
        let plane = Self::start();
        plane.namespace("rook-ceph");
        plane.apply_file("tests/control-plane/crds.yaml");
        plane.wait_for("the custom resources", |plane| {
            ["ceph.rook.io/v1", "k8s.cni.cncf.io/v1"].iter().all(|api| plane.has_api(api))
        });
        for file in ["cluster", "networks"] {
            let yaml = fs::read_to_string(super::project().join(format!("examples/ceph-multus/{file}.yaml"))).unwrap();
            // An API that has just appeared may take a moment longer to be served.
            plane.wait_for("the storage cluster", |plane| plane.try_kubectl(&["apply", "-f", "-"], &yaml).is_ok());
        }
        plane
    }

    /// Waits until an OSD gets its networks, and says how long that took. A replica is ready as soon as it has asked once which
    /// clusters there are, and a cluster may come later.
    pub fn wait_for_networks(&self) -> Duration {
        let since = Instant::now();
        let pod = super::load::osd("any").to_string();
        self.wait_for("an OSD that gets its networks", |plane| {
            let created = plane.try_kubectl(&["apply", "--dry-run=server", "-o", "json", "-f", "-"], &pod);
            created.is_ok_and(|(pod, _)| pod.contains("public-net"))
        });
        since.elapsed()
    }

    /// Ends the API server at once. What it knows stays in etcd.
    pub fn kill_api_server(&self) {
        let mut processes = self.processes.borrow_mut();
        let at = processes.iter().position(|(program, _)| program == API_SERVER).unwrap();
        let (_, mut child) = processes.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// From now on the API server does nothing, and does not close its connections either.
    pub fn freeze_api_server(&self) {
        let processes = self.processes.borrow();
        let (_, child) = processes.iter().find(|(program, _)| program == API_SERVER).unwrap();
        super::stdout(Command::new("kill").arg("-STOP").arg(child.id().to_string()));
    }

    /// Runs kubectl as an administrator; standard output and standard error where it succeeds.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<(String, String), String> {
        self.try_tool("kubectl", arguments, input)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, "").unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" "))).0
    }

    pub fn apply(&self, yaml: &str) -> (String, String) {
        self.try_kubectl(&["apply", "-f", "-"], yaml).unwrap_or_else(|error| panic!("kubectl apply: {error}\n{yaml}"))
    }

    pub fn apply_file(&self, file: &str) -> (String, String) {
        self.apply(&fs::read_to_string(super::project().join(file)).unwrap())
    }

    pub fn helm(&self, arguments: &[&str]) -> String {
        self.try_helm(arguments).unwrap_or_else(|error| panic!("helm {}: {error}", arguments.join(" ")))
    }

    pub fn try_helm(&self, arguments: &[&str]) -> Result<String, String> {
        self.try_tool("helm", arguments, "").map(|(stdout, _)| stdout)
    }

    /// Whether helm is of the kind that applies on the client, and knows no flag about it.
    pub fn is_helm_3(&self) -> bool {
        self.helm(&["version", "--short"]).starts_with("v3")
    }

    /// The version of the API server, such as `v1.20.2`.
    pub fn version(&self) -> String {
        let version: Value = serde_json::from_str(&self.kubectl(&["get", "--raw", "/version"])).unwrap();
        version["gitVersion"].as_str().unwrap().to_owned()
    }

    pub fn get(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["get", "-o", "json"];
        all.extend(arguments);
        serde_json::from_str(&self.kubectl(&all)).unwrap()
    }

    /// Makes a namespace, with the label that Kubernetes puts there itself since 1.21.
    pub fn namespace(&self, name: &str) {
        self.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {name}, labels: {{ kubernetes.io/metadata.name: {name} }} }}"));
    }

    /// The API server, asked directly.
    pub fn api(&self) -> Api {
        let roots = vec![CertificateDer::from_pem_file(self.path("pki/ca.crt")).unwrap()];
        Api { roots, authorization: format!("Bearer {ADMIN_TOKEN}") }
    }

    pub fn has_api(&self, group_version: &str) -> bool {
        self.kubectl(&["api-versions"]).lines().any(|line| line == group_version)
    }

    /// Whether a user has a right, as the API server sees it now: rights count a moment after they were given or taken. `right` is
    /// as `kubectl auth can-i` has it.
    pub fn may(&self, user: &str, right: &[&str]) -> bool {
        self.try_kubectl(&[&["auth", "can-i", "--quiet", "--as", user], right].concat(), "").is_ok()
    }

    /// The requests of a user so far, from the audit log.
    pub fn requests_of(&self, user: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|event| event["user"]["username"] == user).collect()
    }

    pub fn audit(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path("audit.log")).unwrap();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// A kubeconfig with a bearer token, as a service account has it.
    pub fn kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        let path = self.path(name);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("https://{SERVER}:6443"), "certificate-authority": self.path("pki/ca.crt")}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// In place of scheduler and kubelet: the pod runs, is ready, and has this address.
    pub fn run_pod(&self, namespace: &str, name: &str, address: &str) {
        self.apply("apiVersion: v1\nkind: Node\nmetadata: { name: node-1 }");
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "node-1"}});
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/binding");
        self.try_kubectl(&["create", "--raw", &path, "-f", "-"], &binding.to_string()).unwrap();
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let status = status.to_string();
        self.kubectl(&["patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", &status]);
    }

    fn try_tool(&self, tool: &str, arguments: &[&str], input: &str) -> Result<(String, String), String> {
        let mut child = Command::new(self.assets.join(tool))
            .args(arguments)
            .env("KUBECONFIG", self.path("admin.kubeconfig"))
            .env("HOME", self.folder.path())
            .current_dir(super::project())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who ends without reading it has an exit code that says more.
        _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        if output.status.success() { Ok((stdout, stderr)) } else { Err(format!("{stderr}{stdout}")) }
    }

    fn write_files(&self) {
        let names =
            [SERVER.to_owned(), "127.0.0.1".to_owned(), "10.96.0.1".to_owned(), "kubernetes.default.svc".to_owned()];
        let issued = authority::issue(&names, SystemTime::now(), Duration::from_secs(86_400)).unwrap();
        files::write(&self.path("pki"), &issued).unwrap();
        fs::write(self.path("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,system:masters\n")).unwrap();
        self.kubeconfig("admin.kubeconfig", ADMIN_TOKEN);
    }

    fn start_etcd(&self) {
        say("starting etcd");
        let data = self.path("etcd");
        self.spawn(
            "etcd",
            &[
                format!("--data-dir={}", data.display()),
                "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
                "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
                "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
                // Nothing here outlives the test.
                "--unsafe-no-fsync".to_owned(),
            ],
        );
    }

    /// Starts the API server, and waits until it is ready.
    pub fn start_api_server(&self) {
        say("starting kube-apiserver");
        let file = |name: &str| self.path(name).display().to_string();
        let policy = super::project().join("tests/control-plane/audit-policy.yaml");
        let arguments = [
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            format!("--advertise-address={SERVER}"),
            "--secure-port=6443".to_owned(),
            format!("--cert-dir={}", file("apiserver")),
            format!("--tls-cert-file={}", file("pki/tls.crt")),
            format!("--tls-private-key-file={}", file("pki/tls.key")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            // The same pair also signs the tokens of service accounts.
            format!("--service-account-key-file={}", file("pki/tls.crt")),
            format!("--service-account-signing-key-file={}", file("pki/tls.key")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            // Without kube-proxy, the API server finds the webhook's pods itself.
            "--enable-aggregator-routing=true".to_owned(),
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", file("audit.log")),
        ];
        self.spawn(API_SERVER, &arguments);
        self.wait_for("the API server", |plane| plane.try_kubectl(&["get", "--raw", "/readyz"], "").is_ok());
    }

    fn start_controllers(&self) {
        say("starting kube-controller-manager");
        let kubeconfig = self.path("admin.kubeconfig").display().to_string();
        let arguments = [
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--service-account-private-key-file={}", self.path("pki/tls.key").display()),
            format!("--root-ca-file={}", self.path("pki/ca.crt").display()),
            format!("--cert-dir={}", self.path("controllers").display()),
            "--leader-elect=false".to_owned(),
            // The node of `run_pod` has no kubelet, and is not to be given up for that.
            "--controllers=*,-nodelifecycle".to_owned(),
        ];
        self.spawn("kube-controller-manager", &arguments);
        self.wait_for("service accounts", |plane| plane.try_kubectl(&["get", "serviceaccount", "default"], "").is_ok());
    }

    fn spawn(&self, program: &str, arguments: &[String]) {
        let log = File::create(self.path(&format!("{program}.log"))).unwrap();
        let child = Command::new(self.assets.join(program))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        self.processes.borrow_mut().push((program.to_owned(), child));
    }

    /// Waits for something that takes a moment; in vain, it says what the processes said last.
    pub fn wait_for(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !done(self) {
            if Instant::now() > deadline {
                for program in ["etcd", API_SERVER, "kube-controller-manager"] {
                    eprintln!("--- {program}\n{}", tail(&self.path(&format!("{program}.log"))));
                }
                panic!("waited in vain for {what}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Api {
    pub fn connect(&self) -> Client {
        Client::try_connect(format!("{SERVER}:6443").parse().unwrap(), &self.roots, SERVER).unwrap()
    }

    /// Asks as an administrator. What is not a success is an error.
    pub fn request(&self, client: &mut Client, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let headers = [("content-type", "application/json"), ("authorization", self.authorization.as_str())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = client.try_request(method, path, &headers, body.as_bytes())?;
        if response.status / 100 == 2 {
            Ok(response.json())
        } else {
            Err(format!("{} {}", response.status, response.text()))
        }
    }

    /// What each entry of the chart's webhook configuration trusts.
    pub fn bundles(&self) -> Result<Vec<Roots>, String> {
        let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/rook-multihome";
        let configuration = self.request(&mut self.connect(), "GET", path, &Value::Null)?;
        let bundle = |webhook: &Value| {
            let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            CertificateDer::pem_slice_iter(&BASE64.decode(bundle).unwrap()).map(Result::unwrap).collect()
        };
        Ok(configuration["webhooks"].as_array().unwrap().iter().map(bundle).collect())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for (_, child) in self.processes.borrow_mut().iter_mut().rev() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Takes away all that etcd knows of the past.
pub fn compact_etcd() {
    let ask = |path: &str, body: &Value| {
        let mut etcd = Client::connect_plain("127.0.0.1:2379".parse().unwrap());
        let response = etcd.request("POST", path, &[], body.to_string().as_bytes());
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()
    };
    let revision = ask("/v3/kv/range", &json!({"key": BASE64.encode([0])}))["header"]["revision"].clone();
    ask("/v3/kv/compaction", &json!({"revision": revision, "physical": true}));
}

/// Gives the network namespace of the test an address, for a pod.
pub fn give_address(address: &str) {
    ip(&["addr", "replace", &format!("{address}/32"), "dev", "lo"]);
}

fn ip(arguments: &[&str]) {
    super::stdout(Command::new("ip").args(arguments));
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
