//! A stand-in for the API server, which can misbehave in every way, and remembers what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use super::server::Running;

/// How the API server answers everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Fine,
    NotFound,
    Forbidden,
    Gone,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub path: String,
    pub is_watch: bool,
    pub accept: String,
}

#[derive(Clone)]
pub struct FakeApi {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    /// Groups with the one version of them that is served, as `apps/v1`; the core is always there.
    groups: BTreeSet<String>,
    /// Resources that are refused, by their plural names; `apis` are the groups.
    refused: BTreeSet<String>,
    /// Objects by the path of their list and by name; those in a list for one namespace are in no other.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Connections of watches by their paths; they are cut when the mood changes.
    watches: Vec<(String, TcpStream)>,
    asked: Vec<Asked>,
}

pub const CEPH_CLUSTERS: &str = "/apis/ceph.rook.io/v1/cephclusters";
pub const NETWORKS: &str = "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions";

impl FakeApi {
    /// With these groups and no objects.
    pub fn empty(mood: Mood, groups: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State {
            mood,
            groups: groups.iter().map(ToString::to_string).collect(),
            refused: BTreeSet::new(),
            objects: BTreeMap::new(),
            watches: Vec::new(),
            asked: Vec::new(),
        };
        let api = Self { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let serving = api.clone();
        super::answer_each(listener, move |stream| serving.answer(stream));
        api
    }

    /// With one CephCluster and its two networks.
    pub fn with_ceph(mood: Mood) -> Self {
        let api = Self::empty(mood, &["ceph.rook.io/v1", "k8s.cni.cncf.io/v1", "apps/v1", "batch/v1"]);
        let network = json!({"provider": "multus", "selectors": {"public": "public-net", "cluster": "cluster-net"}});
        let spec = json!({"network": network});
        api.put(CEPH_CLUSTERS, json!({"metadata": {"namespace": "rook-ceph", "name": "my-cluster"}, "spec": spec}));
        for name in ["public-net", "cluster-net"] {
            api.put(NETWORKS, json!({"metadata": {"namespace": "rook-ceph", "name": name}, "spec": {"config": ""}}));
        }
        api
    }

    pub fn turn(&self, mood: Mood) {
        let mut state = self.state.lock().unwrap();
        state.mood = mood;
        for (_, watch) in state.watches.drain(..) {
            _ = watch.shutdown(Shutdown::Both);
        }
    }

    /// Serves another group, as `apps/v1`.
    pub fn install(&self, group: &str) {
        self.state.lock().unwrap().groups.insert(group.to_owned());
    }

    /// Refuses to list and watch a resource, by its plural name.
    pub fn refuse(&self, resource: &str) {
        self.state.lock().unwrap().refused.insert(resource.to_owned());
    }

    pub fn allow(&self, resource: &str) {
        self.state.lock().unwrap().refused.remove(resource);
    }

    /// Adds an object to a list or replaces the one of its name, and tells those who watch it.
    pub fn put(&self, path: &str, mut object: Value) {
        object["metadata"]["resourceVersion"] = "1".into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let mut state = self.state.lock().unwrap();
        let replaced = state.objects.entry(path.to_owned()).or_default().insert(name, object.clone());
        state.tell(path, if replaced.is_some() { "MODIFIED" } else { "ADDED" }, &object);
    }

    pub fn delete(&self, path: &str, name: &str) {
        let mut state = self.state.lock().unwrap();
        let object = state.objects.get_mut(path).unwrap().remove(name).unwrap();
        state.tell(path, "DELETED", &object);
    }

    /// Changes an object's annotations.
    pub fn annotate(&self, path: &str, name: &str, annotations: &Value) {
        let mut object = self.state.lock().unwrap().objects[path][name].clone();
        object["metadata"]["annotations"] = annotations.clone();
        self.put(path, object);
    }

    pub fn is_watched(&self, path: &str) -> bool {
        self.state.lock().unwrap().watches.iter().any(|(watched, _)| watched == path)
    }

    /// The requests so far, in their order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Those for one list.
    pub fn asked_for(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path == path).collect()
    }

    /// A configuration that leads here.
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        });
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        kubeconfig
    }

    /// The program, watching this.
    pub fn start_server(&self, folder: &Path) -> Running {
        let kubeconfig = self.kubeconfig(folder);
        let certs = folder.join("certs");
        super::stdout(super::program().args(["certs", "make", "--name", "localhost", "--cert-dir"]).arg(&certs));
        let mut command = super::program();
        command.arg("serve").env("KUBECONFIG", kubeconfig);
        Running::start_command(command, &certs)
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(request) = lines.next() else { return };
        let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let accept =
            headers.iter().find_map(|header| header.to_ascii_lowercase().strip_prefix("accept: ").map(str::to_owned));
        let target = request.split(' ').nth(1).unwrap().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let asked = Asked {
            at: Instant::now(),
            path: path.to_owned(),
            is_watch: query.contains("watch=true"),
            accept: accept.unwrap_or_default(),
        };
        let mut state = self.state.lock().unwrap();
        state.asked.push(asked.clone());
        let code = state.code(&asked);
        if code == 200 && asked.is_watch {
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
            state.watches.push((asked.path, stream));
            return;
        }
        let body = if code == 200 { state.body(&asked) } else { failure(code) }.to_string();
        drop(state);
        let head = "content-type: application/json\r\nconnection: close";
        _ = write!(stream, "HTTP/1.1 {code} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
}

impl State {
    fn code(&self, asked: &Asked) -> u16 {
        let resource = asked.path.rsplit('/').next().unwrap_or_default();
        match self.mood {
            Mood::Forbidden => 403,
            Mood::Gone if asked.is_watch => 410,
            Mood::Gone => 503,
            // Before anybody looks whether there is such a resource.
            Mood::Fine if self.refused.contains(resource) => 403,
            Mood::Fine if self.serves(&asked.path) => 200,
            Mood::Fine | Mood::NotFound => 404,
        }
    }

    fn serves(&self, path: &str) -> bool {
        let group_of = |rest: &str| rest.split('/').take(2).collect::<Vec<_>>().join("/");
        path.starts_with("/api/v1/")
            || path == "/apis"
            || path.strip_prefix("/apis/").is_some_and(|rest| self.groups.contains(&group_of(rest)))
    }

    fn body(&self, asked: &Asked) -> Value {
        if asked.path == "/apis" {
            let groups = self.groups.iter().map(|group| {
                let (name, version) = group.split_once('/').unwrap();
                json!({"name": name, "versions": [{"groupVersion": group, "version": version}]})
            });
            return json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Vec<_>>()});
        }
        let objects = self.objects.get(&asked.path).into_iter().flat_map(BTreeMap::values);
        let items: Vec<Value> = objects
            .map(|object| {
                if asked.accept.contains("as=partialobjectmetadata") {
                    json!({"metadata": object["metadata"]})
                } else {
                    object.clone()
                }
            })
            .collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
    }

    fn tell(&mut self, path: &str, what: &str, object: &Value) {
        // In the order of the API server, whose events are parsed as they come.
        let event = format!(r#"{{"type":"{what}","object":{object}}}"#);
        for (_, watch) in self.watches.iter_mut().filter(|(watched, _)| watched == path) {
            // Who does not watch any more has missed nothing.
            _ = watch.write_all(format!("{event}\n").as_bytes());
        }
    }
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "X", "message": "no"})
}
