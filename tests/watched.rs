//! What is asked of a real API server, and when: storage systems that are not installed, one that is installed later, its
//! workloads, and nodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::time::Duration;

use serde_json::Value;
use support::control_plane::{CASSANDRA_DEFINITION, ControlPlane, in_own_network, say};
use support::program;
use support::server::Running;

const ACCOUNT: &str = "system:serviceaccount:watcher:watcher";

/// May watch everything but what there is not.
const ACCOUNT_AND_ROLE: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: watcher, namespace: watcher }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: watcher }
rules:
  - { apiGroups: [''], resources: [namespaces, nodes], verbs: [list, watch] }
  - { apiGroups: [apps], resources: [statefulsets], verbs: [list, watch] }
  - { apiGroups: [cassandra.rook.io], resources: [clusters], verbs: [list, watch] }
  - { apiGroups: [multihome.rook.io], resources: [storagenetworks], verbs: [list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: watcher }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: watcher }
subjects: [{ kind: ServiceAccount, name: watcher, namespace: watcher }]
";

const CASSANDRA: &str = "
apiVersion: cassandra.rook.io/v1alpha1
kind: Cluster
metadata: { name: rook-cassandra, namespace: rook-cassandra }
spec: {}
";

/// Without pods at first; there are no nodes for them either.
const STATEFUL_SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: rack, namespace: rook-cassandra }
spec:
  replicas: 0
  selector: { matchLabels: { app: rook-cassandra } }
  serviceName: rack
  template:
    metadata: { labels: { app: rook-cassandra } }
    spec: { containers: [{ name: cassandra, image: none }] }
";

fn check(server: &Running, watch: &str) -> String {
    let (_, text) = server.admin("/readyz?verbose");
    text.lines().find(|line| line.contains(&format!(" watch {watch}: "))).unwrap_or_default().to_owned()
}

fn shown(request: &Value) -> String {
    format!("{} {}", request["verb"].as_str().unwrap(), request["requestURI"].as_str().unwrap())
}

#[test]
fn watches_come_and_go_with_what_is_installed() {
    in_own_network("watches_come_and_go_with_what_is_installed", || {
        let plane = ControlPlane::start();
        plane.namespace("watcher");
        plane.namespace("rook-cassandra");
        plane.apply(ACCOUNT_AND_ROLE);
        plane.wait_for("the rights to count", |plane| plane.may(ACCOUNT, &["watch", "namespaces"]));
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("certs");
        support::stdout(program().args(["certs", "make", "--name", "localhost", "--cert-dir"]).arg(&certs));
        let token = plane.kubectl(&["create", "token", "watcher", "--namespace", "watcher"]);
        let mut command = program();
        command.arg("serve").env("KUBECONFIG", plane.kubeconfig("watcher.kubeconfig", token.trim()));
        let server = Running::start_command(command, &certs);
        server.wait_until_ready();

        say("nothing is installed, and half a minute passes");
        std::thread::sleep(Duration::from_secs(30));
        let idle = plane.requests_of(ACCOUNT);
        let apis = idle.iter().filter(|request| request["requestURI"] == "/apis").count();
        say(&format!("{apis} of {} requests were for the APIs", idle.len()));
        assert!(apis <= 9, "{apis}");
        let others: Vec<String> = idle.iter().filter(|request| request["requestURI"] != "/apis").map(shown).collect();
        assert!(others.len() <= 3 && others.iter().all(|other| other.contains("/api/v1/namespaces?")), "{others:#?}");

        say("a storage system is installed, and a cluster made");
        plane.apply(CASSANDRA_DEFINITION);
        plane.wait_for("its API", |_| {
            check(&server, "clusters.cassandra.rook.io") == "[+] watch clusters.cassandra.rook.io: synced"
        });
        let workloads = "statefulsets.apps in rook-cassandra";
        assert_eq!(check(&server, workloads), "");
        plane.apply(CASSANDRA);
        plane.apply(STATEFUL_SET);
        plane.wait_for("its workloads", |_| check(&server, workloads) == format!("[+] watch {workloads}: synced"));
        plane.kubectl(&["scale", "statefulset", "rack", "-n", "rook-cassandra", "--replicas=1"]);
        assert_eq!(server.admin("/readyz").0, 200);

        say("the cluster is deleted, and then its definition");
        plane.kubectl(&["delete", "clusters.cassandra.rook.io", "rook-cassandra", "-n", "rook-cassandra"]);
        plane.wait_for("the end of the watch", |_| check(&server, workloads).is_empty());
        plane.kubectl(&["delete", "crd", "clusters.cassandra.rook.io"]);
        let absent = "[+] watch clusters.cassandra.rook.io: the API is not installed; asking again until it is";
        plane.wait_for("the end of the API", |_| check(&server, "clusters.cassandra.rook.io") == absent);
        assert_eq!(server.admin("/readyz").0, 200);
        assert!(server.metric("rook_multihome_watch_malformed_objects_total") < 0.5);
        let requests = plane.requests_of(ACCOUNT);
        let forbidden = |request: &&Value| request["annotations"]["authorization.k8s.io/decision"] == "forbid";
        let forbidden: Vec<String> = requests.iter().filter(forbidden).map(shown).collect();
        assert!(forbidden.is_empty(), "{forbidden:#?}");
    });
}
