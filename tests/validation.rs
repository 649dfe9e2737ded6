//! What kubectl prints when networks are written, changed and deleted, with the chart on a real control plane: warnings, refusals,
//! and address ranges that are written into clusters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use serde_json::{Value, json};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::release::Release;

const VALUES: [&str; 4] = ["--set", "replicas=1", "--set", "tls.selfManaged.settle=5s"];
const CLUSTERS: &str = "clusters.validation.multihome.rook.io";
const NETWORKS: &str = "networks.validation.multihome.rook.io";
const MACVLAN: &str = r#"{"type": "macvlan", "master": "eth3", "ipam": {"type": "whereabouts", "range": "10.9.0.0/16", "routes": [{"dst": "192.168.252.0/22"}]}}"#;
const IN_USE: &str = "whose pods cannot start again without it; take it out of use first: let them name another network, and wait until their pods have restarted (attachment-in-use)";

#[test]
fn kubectl_prints_what_is_found() {
    in_own_network("kubectl_prints_what_is_found", || {
        let plane = ControlPlane::with_storage();
        let status = r#"[{"op": "add", "path": "/spec/versions/0/subresources", "value": {"status": {}}}]"#;
        plane.kubectl(&["patch", "crd", "cephclusters.ceph.rook.io", "--type=json", "-p", status]);
        let mut release = Release::install(&plane, &VALUES);
        release.start(1);
        wait_for_trust(&plane, &release);
        let test = Test { plane: &plane };
        test.by_default_everything_is_said();
        test.a_definition_in_use_is_said();
        test.a_storage_network_says_what_is_found();
        // With a warning, from a time when nothing was refused.
        plane.apply(&definition("rook-ceph", "old-net", &routeless()).to_string());
        plane.apply(&cluster("old", "old-net", Some("10.11.0.0/16")).to_string());
        for deny in ["error", "warning", "advice"] {
            upgrade(&mut release, &["--set", &format!("validation.deny={deny}")]);
            test.findings_are_refused_from(deny);
        }
        test.what_changes_no_spec_is_silent();
        upgrade(&mut release, &["--set", "validation.definitionsInUse=deny"]);
        test.a_definition_in_use_is_kept();
        test.a_namespace_waits_for_a_definition_in_use();
        upgrade(&mut release, &["--set", "addressRanges.write=true"]);
        wait_for_trust(&plane, &release);
        test.address_ranges_are_written();
    });
}

fn upgrade(release: &mut Release<'_>, values: &[&str]) {
    say(&format!("upgrading with {}", values.join(" ")));
    release.upgrade(&[&VALUES[..], values].concat());
    release.follow_rollout();
}

fn wait_for_trust(plane: &ControlPlane, release: &Release<'_>) {
    plane.wait_for("trust in every entry", |_| release.bundles().iter().all(|bundle| bundle.contains("CERTIFICATE")));
}

/// A cluster with a network; with ranges of its own, where they are given.
fn cluster(name: &str, public: &str, ranges: Option<&str>) -> Value {
    let mut network = json!({"provider": "multus", "selectors": {"public": public}});
    if let Some(ranges) = ranges {
        network["addressRanges"] = json!({"public": [ranges]});
    }
    let metadata = json!({"name": name, "namespace": "rook-ceph"});
    json!({"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "metadata": metadata, "spec": {"network": network}})
}

/// A cluster with one finding of this severity, and what is said about it.
fn with(severity: &str) -> (Value, String) {
    let name = format!("with-{severity}");
    let (cluster, said) = match severity {
        "error" => (
            cluster(&name, "lost", Some("10.0.0.0/8")),
            "CephCluster rook-ceph/with-error, spec.network.selectors.public: there is no attachment definition rook-ceph/lost; create it, or mend the name (attachment-missing)",
        ),
        "warning" => (
            cluster(&name, "cluster-net", Some("192.168.64.0/18")),
            "NetworkAttachmentDefinition rook-ceph/cluster-net, spec.config: ipam: pods get no route but that to their own network, and every address of it may be handed out, so that hosts can have none there, and the CSI driver of CephCluster rook-ceph/with-warning runs there; add the addresses of the hosts to the routes of ipam, and name them by --host-cidr to have this checked exactly (no-route-to-hosts)",
        ),
        _ => (
            cluster(&name, "public-net", None),
            "CephCluster rook-ceph/with-advice, spec.network.addressRanges: no ranges are declared for public, so Rook runs a pod on each such network to find them out, at every reconciliation; add public: [192.168.0.0/18] (ranges-offered)",
        ),
    };
    (cluster, said.to_owned())
}

fn definition(namespace: &str, name: &str, config: &str) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": metadata, "spec": {"config": config}})
}

/// Without a route to hosts, and with a range of its own.
fn routeless() -> String {
    MACVLAN.replace(r#", "routes": [{"dst": "192.168.252.0/22"}]"#, "").replace("10.9.", "10.11.")
}

fn patch_of_old<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["patch", "cephcluster", "old", "-n", "rook-ceph", "--type=merge", "-p"], more].concat()
}

struct Test<'p> {
    plane: &'p ControlPlane,
}

impl Test<'_> {
    /// What kubectl prints on standard error. What has been created a moment ago is known to the replicas a little later, so that
    /// they are asked without storing anything until they say what is expected.
    fn says(&self, arguments: &[&str], input: &str, expected: &str) -> Result<(), ()> {
        let dry = [arguments, &["--dry-run=server"]].concat();
        let run = |arguments: &[&str]| match self.plane.try_kubectl(arguments, input) {
            Ok((_, said)) => (said, Ok(())),
            Err(said) => (said, Err(())),
        };
        let mut last = String::new();
        self.plane.wait_for(&format!("kubectl {} to say {expected}", arguments.join(" ")), |_| {
            let (said, _) = run(&dry);
            if said != last {
                eprintln!("{said}");
            }
            last = said;
            last == expected
        });
        let (said, done) = run(arguments);
        eprintln!("$ kubectl {}\n{said}", arguments.join(" "));
        assert_eq!(said, expected);
        done
    }

    fn creates(&self, object: &Value, said: &str) {
        self.says(&["create", "-f", "-"], &object.to_string(), said).unwrap();
        self.plane.try_kubectl(&["get", "-f", "-"], &object.to_string()).unwrap();
    }

    /// Whether `kubectl create` is refused by an entry, with a sentence.
    fn refuses(&self, arguments: &[&str], object: &Value, whose: &str, said: &str, before: &str) {
        let done = match arguments[0] {
            "create" => "error when creating \"STDIN\": ",
            _ => "",
        };
        let refused = format!(
            "{before}Error from server (Forbidden): {done}admission webhook \"{whose}\" denied the request: rook-multihome refuses this: {said}\n"
        );
        self.says(arguments, &object.to_string(), &refused).unwrap_err();
    }

    fn silently(&self, arguments: &[&str]) {
        let (_, said) = self.plane.try_kubectl(arguments, "").unwrap();
        assert_eq!(said, "", "kubectl {}", arguments.join(" "));
    }

    fn delete_cluster(&self, name: &str) {
        self.silently(&["delete", "cephcluster", name, "-n", "rook-ceph"]);
    }

    fn by_default_everything_is_said(&self) {
        say("by default, everything is said and stored");
        for severity in ["error", "warning", "advice"] {
            let (cluster, said) = with(severity);
            self.creates(&cluster, &format!("Warning: rook-multihome: {said}\n"));
        }
        for severity in ["error", "warning", "advice"] {
            self.delete_cluster(&format!("with-{severity}"));
        }
        self.creates(&cluster("sound", "public-net", Some("192.168.0.0/18")), "");
        self.creates(
            &definition("rook-ceph", "unreadable", "{"),
            "Warning: rook-multihome: NetworkAttachmentDefinition rook-ceph/unreadable, spec.config: Multus cannot load it: spec.config is not a JSON object: EOF while parsing an object at line 1 column 1; mend the configuration (config-unreadable)\n",
        );
        self.silently(&["delete", "net-attach-def", "unreadable", "-n", "rook-ceph"]);
        let mut host = cluster("from-host", "", None);
        host["spec"]["network"] = json!({"provider": "host"});
        self.plane.apply(&host.to_string());
        let multus = r#"{"spec":{"network":{"provider":"multus","selectors":{"public":"public-net"},"addressRanges":{"public":["192.168.0.0/18"]}}}}"#;
        self.says(
            &["patch", "cephcluster", "from-host", "-n", "rook-ceph", "--type=merge", "-p", multus],
            "",
            "Warning: rook-multihome: CephCluster rook-ceph/from-host, spec.network.provider: the provider is changed from host to multus directly, which Rook forbids; set it to \"\" first, wait until the daemons have restarted, and set it to multus then (provider-change)\n",
        )
        .unwrap();
        self.delete_cluster("from-host");
    }

    fn a_definition_in_use_is_said(&self) {
        say("by default, a definition in use can be broken and deleted, and that is said");
        self.creates(&definition("rook-ceph", "used", MACVLAN), "");
        self.creates(&definition("rook-ceph", "unused", MACVLAN), "");
        self.creates(&cluster("user", "used", Some("10.9.0.0/16")), "");
        let user = "NetworkAttachmentDefinition rook-ceph/used, spec.config: ";
        let moved = definition("rook-ceph", "used", &MACVLAN.replace("eth3", "eth4"));
        let warned = format!(
            "Warning: rook-multihome: {user}the master changes, and it is used by CephCluster rook-ceph/user (public): running pods stay on the old network until they restart; see that the old and the new network reach each other until the last pod has restarted (attachment-changed)\n"
        );
        self.says(&["replace", "-f", "-"], &moved.to_string(), &warned).unwrap();
        let warned = "Warning: rook-multihome: NetworkAttachmentDefinition rook-ceph/used, metadata.annotations[k8s.v1.cni.cncf.io/resourceName]: the resource of its devices changes, and it is used by CephCluster rook-ceph/user (public): running pods stay on the old network until they restart; see that the old and the new network reach each other until the last pod has restarted (attachment-changed)\n";
        let annotate = ["annotate", "net-attach-def", "used", "-n", "rook-ceph"];
        let resource = "k8s.v1.cni.cncf.io/resourceName=vendor.com/nic";
        self.says(&[&annotate[..], &[resource]].concat(), "", warned).unwrap();
        self.silently(&[&annotate[..], &["note=ours"]].concat());
        let broken = definition("rook-ceph", "used", "{}");
        let (_, said) =
            self.plane.try_kubectl(&["replace", "--dry-run=server", "-f", "-"], &broken.to_string()).unwrap();
        eprintln!("{said}");
        assert!(said.contains("with this change no pod can be attached to it any more"), "{said}");
        let used = format!(
            "Warning: rook-multihome: NetworkAttachmentDefinition rook-ceph/used: it is used by CephCluster rook-ceph/user (public), {IN_USE}\n"
        );
        self.says(&["delete", "net-attach-def", "used", "-n", "rook-ceph"], "", &used).unwrap();
        self.silently(&["delete", "net-attach-def", "unused", "-n", "rook-ceph"]);
        self.delete_cluster("user");
    }

    fn a_storage_network_says_what_is_found(&self) {
        say("a StorageNetwork says what is found in its networks");
        let small = MACVLAN.replace("10.9.0.0/16", "10.10.0.1/16");
        let said = "NetworkAttachmentDefinition rook-ceph/odd, spec.config: ipam: ";
        // Nobody uses it yet, and not every network is for storage.
        self.creates(&definition("rook-ceph", "odd", &small), "");
        let network = json!({
            "apiVersion": "multihome.rook.io/v1alpha1", "kind": "StorageNetwork",
            "metadata": {"name": "faulty", "namespace": "rook-ceph"},
            "spec": {"podSelector": {"matchLabels": {"app": "backup"}}, "interfaces": {"data": "odd"}},
        });
        self.plane.wait_for("the definition to be known", |plane| {
            let tried = plane.try_kubectl(&["apply", "--dry-run=server", "-f", "-"], &network.to_string());
            tried.is_ok_and(|(_, warned)| warned.contains("(host-bits)"))
        });
        let (_, warned) = self.plane.apply(&network.to_string());
        eprintln!("{warned}");
        assert!(
            warned.starts_with(&format!("Warning: rook-multihome: {said}")) && warned.contains("(host-bits)"),
            "{warned}"
        );
        let condition = |field: &str| {
            let path = format!("-o=jsonpath={{.status.conditions[?(@.type==\"NetworksSound\")].{field}}}");
            self.plane.kubectl(&["get", "storagenetwork", "faulty", "-n", "rook-ceph", &path])
        };
        self.plane.wait_for("the condition NetworksSound", |_| condition("status") == "False");
        assert_eq!(condition("reason"), "HostBits");
        let message = condition("message");
        eprintln!("{message}");
        assert!(message.starts_with(&format!("warning: {said}")), "{message}");
        self.plane.apply(&definition("rook-ceph", "odd", MACVLAN).to_string());
        self.plane.wait_for("the condition to be mended", |_| condition("reason") == "NothingFound");
        self.silently(&["delete", "storagenetwork", "faulty", "-n", "rook-ceph"]);
    }

    fn findings_are_refused_from(&self, deny: &str) {
        let severities = ["error", "warning", "advice"];
        let least = severities.iter().position(|severity| *severity == deny).unwrap();
        for (index, severity) in severities.into_iter().enumerate() {
            let (cluster, said) = with(severity);
            if index <= least {
                self.refuses(&["create", "-f", "-"], &cluster, CLUSTERS, &said, "");
                let name = format!("with-{severity}");
                let missing =
                    self.plane.try_kubectl(&["get", "cephcluster", &name, "-n", "rook-ceph"], "").unwrap_err();
                assert!(missing.contains("NotFound"), "{missing}");
            } else {
                self.creates(&cluster, &format!("Warning: rook-multihome: {said}\n"));
            }
        }
        let sound = cluster(&format!("sound-{deny}"), "public-net", Some("192.168.0.0/18"));
        self.creates(&sound, "");
        for severity in severities.into_iter().skip(least + 1) {
            self.delete_cluster(&format!("with-{severity}"));
        }
    }

    fn what_changes_no_spec_is_silent(&self) {
        say("what changes no spec is silent, also of an object with an old fault, while everything is refused");
        self.silently(&patch_of_old(&[r#"{"status":{"phase":"Ready"}}"#, "--subresource=status"]));
        assert_eq!(self.plane.get(&["cephcluster", "old", "-n", "rook-ceph"])["status"]["phase"], "Ready");
        self.silently(&["label", "cephcluster", "old", "-n", "rook-ceph", "a=b"]);
        self.silently(&patch_of_old(&[r#"{"metadata":{"finalizers":["example.com/kept"]}}"#]));
        let (_, said) = self.plane.try_kubectl(&patch_of_old(&[r#"{"spec":{"mon":{"count":3}}}"#]), "").unwrap();
        let (_, fault) = with("warning");
        assert_eq!(
            said,
            format!(
                "Warning: rook-multihome: {}\n",
                fault.replace("with-warning", "old").replace("cluster-net", "old-net")
            )
        );
        self.silently(&["delete", "cephcluster", "old", "-n", "rook-ceph", "--wait=false"]);
        self.silently(&patch_of_old(&[r#"{"metadata":{"finalizers":null}}"#]));
        let gone = self.plane.try_kubectl(&["get", "cephcluster", "old", "-n", "rook-ceph"], "").unwrap_err();
        assert!(gone.contains("NotFound"), "{gone}");
    }

    fn a_definition_in_use_is_kept(&self) {
        say("a definition in use is kept where that is asked for");
        self.creates(&definition("rook-ceph", "used", MACVLAN), "");
        self.creates(&definition("rook-ceph", "unused", MACVLAN), "");
        self.creates(&cluster("user", "used", Some("10.9.0.0/16")), "");
        let used = format!(
            "NetworkAttachmentDefinition rook-ceph/used: it is used by CephCluster rook-ceph/user (public), {IN_USE}"
        );
        self.refuses(&["delete", "net-attach-def", "used", "-n", "rook-ceph"], &Value::Null, NETWORKS, &used, "");
        self.silently(&["delete", "net-attach-def", "unused", "-n", "rook-ceph"]);
        let broken = definition("rook-ceph", "used", "{");
        let refused = self.plane.try_kubectl(&["apply", "-f", "-"], &broken.to_string()).unwrap_err();
        eprintln!("{refused}");
        assert!(refused.contains("rook-multihome refuses this: NetworkAttachmentDefinition rook-ceph/used, spec.config: it is used by CephCluster rook-ceph/user (public), and with this change no pod can be attached to it any more; mend what the other findings say, or leave it as it was (attachment-in-use)"), "{refused}");
        assert!(refused.contains("Warning: rook-multihome: NetworkAttachmentDefinition rook-ceph/used, spec.config: Multus cannot load it"), "what is said besides is said with the refusal: {refused}");
        let kept = self.plane.get(&["net-attach-def", "used", "-n", "rook-ceph"]);
        assert_eq!(kept["spec"]["config"], MACVLAN);
        self.delete_cluster("user");
        self.says(&["delete", "net-attach-def", "used", "-n", "rook-ceph"], "", "").unwrap();
    }

    fn a_namespace_waits_for_a_definition_in_use(&self) {
        say("a namespace with a definition in use goes when nobody uses it any more");
        self.plane.namespace("doomed");
        self.creates(&definition("doomed", "net", MACVLAN), "");
        let (_, said) = self.plane.apply(&cluster("user", "doomed/net", Some("10.9.0.0/16")).to_string());
        eprintln!("{said}");
        let failure = || {
            let namespace = self.plane.get(&["namespace", "doomed"]);
            let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let failed = conditions.iter().find(|found| found["type"] == "NamespaceDeletionContentFailure");
            failed.and_then(|found| found["message"].as_str().map(ToOwned::to_owned)).unwrap_or_default()
        };
        let delete = ["delete", "net-attach-def", "net", "-n", "doomed", "--dry-run=server"];
        self.plane.wait_for("its use to be known", |plane| plane.try_kubectl(&delete, "").is_err());
        self.silently(&["delete", "namespace", "doomed", "--wait=false"]);
        self.plane.wait_for("the namespace to say why it stays", |_| failure().contains("rook-multihome refuses this"));
        eprintln!("{}", failure());
        self.delete_cluster("user");
        self.plane.wait_for("the end of the namespace", |plane| {
            plane.try_kubectl(&["get", "namespace", "doomed"], "").is_err()
        });
    }

    fn address_ranges_are_written(&self) {
        say("address ranges are written where nobody has declared any");
        let wrote = "Warning: rook-multihome wrote spec.network.addressRanges, so that Rook need not run pods to find them: public: ";
        self.creates(&cluster("plain", "public-net", None), &format!("{wrote}[192.168.0.0/18]\n"));
        let yaml = |name: &str| self.plane.kubectl(&["get", "cephcluster", name, "-n", "rook-ceph", "-o", "yaml"]);
        let found = yaml("plain");
        eprintln!("{found}");
        assert!(found.contains("    addressRanges:\n      public:\n      - 192.168.0.0/18\n"), "{found}");
        assert!(found.contains(r#"multihome.rook.io/address-ranges: '{"public":["192.168.0.0/18"]}'"#), "{found}");
        let select = |name: &'static str, network: &str| {
            let patch = json!({"spec": {"network": {"selectors": {"public": network}}}}).to_string();
            let arguments = ["patch", "cephcluster", name, "-n", "rook-ceph", "--type=merge", "-p", &patch];
            let (_, said) = self.plane.try_kubectl(&arguments, "").unwrap();
            eprintln!("{said}");
            said
        };
        assert!(select("plain", "cluster-net").contains(&format!("{wrote}[192.168.64.0/18]\n")));
        assert!(yaml("plain").contains("    addressRanges:\n      public:\n      - 192.168.64.0/18\n"));
        // Who applies the manifest again does not take them away, and does not notice.
        let (applied, said) = self.plane.apply(&cluster("applied", "public-net", None).to_string());
        assert!(applied.contains("created") && said == format!("{wrote}[192.168.0.0/18]\n"), "{applied} {said}");
        let (applied, said) = self.plane.apply(&cluster("applied", "public-net", None).to_string());
        assert!(applied.contains("unchanged") && said.is_empty(), "{applied} {said}");
        let difference =
            self.plane.try_kubectl(&["diff", "-f", "-"], &cluster("applied", "public-net", None).to_string());
        assert_eq!(difference, Ok((String::new(), String::new())));
        let server_side = ["apply", "--server-side", "--field-manager=gitops", "--force-conflicts", "-f", "-"];
        for _ in 0..2 {
            let object = cluster("server-side", "public-net", None).to_string();
            let (_, said) = self.plane.try_kubectl(&server_side, &object).unwrap();
            eprintln!("server-side: {said}");
            let found = self.plane.get(&["cephcluster", "server-side", "-n", "rook-ceph", "--show-managed-fields"]);
            eprintln!("{}", found["metadata"]["managedFields"]);
            assert_eq!(found["spec"]["network"]["addressRanges"], json!({"public": ["192.168.0.0/18"]}));
        }
        self.creates(&cluster("theirs", "public-net", Some("192.168.0.0/16")), "");
        select("theirs", "cluster-net");
        assert!(yaml("theirs").contains("    addressRanges:\n      public:\n      - 192.168.0.0/16\n"));
        assert!(!yaml("theirs").contains("multihome.rook.io/address-ranges"));
    }
}
