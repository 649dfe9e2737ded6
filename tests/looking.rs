//! `lint` and `networks` on a real API server: they say of a live cluster what they say of its files, what they must not look at
//! is said, and the address ranges that they print are what kubectl takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::program;

const EXAMPLE: &str = "examples/ceph-multus";
const NETWORKS: &str = "network-attachment-definitions.k8s.cni.cncf.io";
/// May list clusters, and nothing else.
const ACCOUNT_AND_ROLE: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: looker, namespace: rook-ceph }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: looker }
rules:
  - { apiGroups: [ceph.rook.io], resources: [cephclusters], verbs: [list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: looker }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: looker }
subjects: [{ kind: ServiceAccount, name: looker, namespace: rook-ceph }]
";

/// Exit code, standard output and standard error.
fn run(kubeconfig: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program().args(arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What is printed as JSON, without what only files have.
fn printed(kubeconfig: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = run(kubeconfig, &[arguments, &["--output", "json"]].concat());
    assert!(code.is_some_and(|code| code < 2) && err.is_empty(), "{arguments:?}: {err}");
    let mut printed: Value = serde_json::from_str(&out).unwrap();
    for finding in printed.get_mut("findings").and_then(Value::as_array_mut).into_iter().flatten() {
        (finding["file"], finding["line"]) = (Value::Null, Value::Null);
    }
    printed
}

#[test]
fn a_live_cluster_is_looked_at_as_its_files_are() {
    in_own_network("a_live_cluster_is_looked_at_as_its_files_are", || {
        let plane = ControlPlane::with_storage();
        let admin = plane.path("admin.kubeconfig");
        say("the same objects, live and in files");
        for command in [&["lint"][..], &["networks"], &["networks", "--all"]] {
            let of_files = printed(&admin, &[command, &["--manifests", EXAMPLE]].concat());
            assert_eq!(printed(&admin, command), of_files, "{command:?}");
        }

        say("address ranges, by the command that stands beside them");
        let (_, ranges, err) = run(&admin, &["networks", "--address-ranges"]);
        assert_eq!(err, "");
        let cluster = || plane.get(&["cephcluster", "my-cluster", "-n", "rook-ceph"])["spec"].clone();
        let mut expected = cluster();
        expected["network"]["addressRanges"] = json!({"public": ["192.168.0.0/18"], "cluster": ["192.168.64.0/18"]});
        let file = plane.path("ranges.yaml");
        std::fs::write(&file, &ranges).unwrap();
        let command = ranges.lines().find_map(|line| line.strip_prefix("#   kubectl ")).unwrap();
        let command = command.replace("ranges.yaml", &file.display().to_string());
        plane.kubectl(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(cluster(), expected, "and nothing else is changed");
        let (_, ranges, err) = run(&admin, &["networks", "--address-ranges"]);
        assert!(ranges.is_empty() && err.starts_with("no cluster could declare address ranges"), "{ranges}{err}");
        let (code, out, _) = run(&admin, &["lint", "--fail-on", "advice"]);
        assert_eq!((code, out.as_str()), (Some(0), "nothing found in 3 objects\n"));

        say("a network is deleted, and who may not see that says so");
        plane.kubectl(&["delete", "network-attachment-definitions", "cluster-net", "-n", "rook-ceph"]);
        let (code, out, err) = run(&admin, &["lint"]);
        assert_eq!((code, err.as_str()), (Some(1), ""));
        assert!(out.contains("there is no attachment definition rook-ceph/cluster-net"), "{out}");
        plane.apply(ACCOUNT_AND_ROLE);
        let token = plane.kubectl(&["create", "token", "looker", "--namespace", "rook-ceph"]);
        let looker = plane.kubeconfig("looker.kubeconfig", token.trim());
        let (code, out, err) = run(&looker, &["lint"]);
        assert_eq!((code, out.as_str()), (Some(0), "nothing found in 1 object\n"), "{err}");
        assert!(err.starts_with(&format!("warning: {NETWORKS} are not known")), "{err}");
        assert!(err.contains("forbidden") && err.contains("looker") && err.lines().count() == 1, "{err}");
        let (_, out, _) = run(&looker, &["networks"]);
        assert!(out.contains("rook-ceph/cluster-net  UNKNOWN"), "{out}");

        say("who may see nothing is told");
        plane.kubectl(&["delete", "clusterrolebinding", "looker"]);
        plane.wait_for("the right to be gone", |_| run(&looker, &["lint"]).0 == Some(2));
        let (code, out, err) = run(&looker, &["lint"]);
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert!(err.starts_with("error: not listed after "), "{err}");
    });
}
