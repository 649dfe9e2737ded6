//! The commands as a user meets them: what they print, where, and with which exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{expect_file, folders, program, project, stdout};

/// Exit code, standard output and standard error.
fn run(command: &mut Command, input: &str) -> (Option<i32>, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const MULTUS: &str = "examples/ceph-multus";

/// What comes out of every example lies beside it. `BLESS=1` writes it.
#[test]
fn the_examples_come_out_as_they_say() {
    let examples = folders(&project().join("examples"));
    assert!(examples.len() >= 15);
    for folder in examples {
        let mut command = about_example("explain", &folder);
        expect_file(&folder.join("explained.txt"), &stdout(&mut command));
        expect_file(&folder.join("lint.txt"), &linted(&folder));
        the_readme_of_the_example_tells_how(&folder);
        the_patches_of_the_example_apply(&folder);
    }
}

/// A command with an example's manifests, flags and pods.
fn about_example(name: &str, folder: &Path) -> Command {
    let mut command = program();
    command.arg(name).arg("--manifests").arg(folder);
    command.args(support::fixtures::flags(folder)).arg(folder.join("pods.yaml"));
    command
}

/// What `lint` says of an example. None of them has errors, but for the one that shows what a provider cannot do.
fn linted(folder: &Path) -> String {
    let name = folder.strip_prefix(project()).unwrap();
    let mut command = program();
    command.arg("lint").arg("--manifests").arg(name).args(support::fixtures::flags(folder));
    let (code, out, err) = run(command.args(["--fail-on", "error"]), "");
    let has_errors = name.ends_with("other-meta-plugins");
    assert_eq!((code, err.as_str()), (Some(i32::from(has_errors)), ""), "{out}");
    out
}

/// The command that the README of an example shows is the one that its `explained.txt` comes from.
fn the_readme_of_the_example_tells_how(folder: &Path) {
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let shown = readme.split("$ rook-multihome").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let shown: Vec<&str> = shown.split_whitespace().filter(|word| *word != "\\").collect();
    let name = format!("examples/{}", folder.file_name().unwrap().to_string_lossy());
    let (flags, pods) = (support::fixtures::flags(folder), format!("{name}/pods.yaml"));
    let flags = flags.iter().map(String::as_str);
    let command: Vec<&str> = ["explain", "--manifests", &name].into_iter().chain(flags).chain([&*pods]).collect();
    assert_eq!(shown, command, "{name}/README.md");
}

/// Every pod of the example goes through `review`, whose patch makes of the pod that is asked about the one that is shown.
fn the_patches_of_the_example_apply(folder: &Path) {
    let printed = |output: &str| {
        let printed = stdout(about_example("review", folder).args(["--output", output]));
        let printed = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
        printed.collect::<Result<Vec<Value>, _>>().unwrap()
    };
    let (requests, patches, patched) = (printed("request"), printed("patch"), printed("patched"));
    assert!(!requests.is_empty() && requests.len() == patches.len() && requests.len() == patched.len());
    for ((request, patch), expected) in requests.iter().zip(patches).zip(patched) {
        let mut pod = request["request"]["object"].clone();
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
        assert_eq!(pod, expected, "{}", folder.display());
    }
}

/// The walk through `explain` and `lint` in the README, walked.
#[test]
fn the_readme_shows_what_is_printed() {
    let mine = tempfile::tempdir().unwrap();
    for file in ["cluster.yaml", "networks.yaml", "pods.yaml"] {
        let text = std::fs::read_to_string(project().join(MULTUS).join(file)).unwrap();
        let text = text.lines().map(|line| match line.strip_suffix("cluster-net") {
            Some(start) if file == "cluster.yaml" => format!("{start}clutser-net\n"),
            _ => format!("{line}\n"),
        });
        std::fs::write(mine.path().join(file), text.collect::<String>()).unwrap();
    }
    let explain = |folder: &std::path::Path| {
        stdout(program().arg("explain").arg("--manifests").arg(folder).arg(folder.join("pods.yaml")))
    };
    let lint = program().arg("lint").arg("--manifests").arg(mine.path()).output().unwrap();
    let lint = String::from_utf8(lint.stdout).unwrap().replace(mine.path().to_str().unwrap(), "/tmp/mine");
    let printed = explain(&project().join(MULTUS)) + &explain(mine.path()) + &lint;
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 4);
    for line in blocks.iter().flat_map(|block| block.lines()).filter(|line| line.trim() != "...") {
        assert!(printed.lines().any(|other| other == line), "the README shows a line that is not printed: {line}");
    }
}

/// Whoever copies a line gets the image of this version.
#[test]
fn documents_name_images_of_this_version() {
    let docs = std::fs::read_dir(project().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut named = 0;
    for path in docs.filter(|path| path.is_file()).chain([project().join("README.md")]) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (_, tag) in text.match_indices("/rook-multihome:").map(|(at, begins)| text[at..].split_at(begins.len())) {
            let number = |character: char| character.is_ascii_digit() || character == '.';
            let version = tag.split(|character| !number(character)).next().unwrap().trim_end_matches('.');
            assert!(version.is_empty() || version == env!("CARGO_PKG_VERSION"), "{}: {version}", path.display());
            named += usize::from(!version.is_empty());
        }
    }
    assert!(named >= 2, "the documents name no image");
}

#[test]
fn explain_speaks_to_machines_too() {
    let printed = stdout(program().args([
        "explain",
        "--output",
        "json",
        "--manifests",
        MULTUS,
        "examples/ceph-multus/pods.yaml",
    ]));
    let pods: Value = serde_json::from_str(&printed).unwrap();
    let osd = &pods[1];
    assert_eq!(osd["role"], "osd");
    assert_eq!(osd["cluster"], "rook-ceph/my-cluster");
    assert_eq!(osd["networks"], json!(["rook-ceph/public-net", "rook-ceph/cluster-net"]));
    assert_eq!(osd["patch"][0]["op"], "add");
    assert_eq!(pods[0]["reason"], "agrees");
}

#[test]
fn audit_mode_says_what_would_be_done() {
    let pods = "examples/ceph-multus/pods.yaml";
    let mut explain = program();
    explain.args(["explain", "--mode", "audit", "--manifests", MULTUS, pods]);
    let text = stdout(&mut explain);
    assert!(text.contains("Pod rook-ceph/rook-ceph-osd-1-6b8f7d9c4-m8k2z would get rook-ceph/public-net"), "{text}");
    assert!(text.contains("\n  mode      audit: what follows is said, and not done (the setting mode)\n"), "{text}");
    assert!(!text.contains(" gets "), "{text}");
    let pods: Value = serde_json::from_str(&stdout(explain.args(["--output", "json"]))).unwrap();
    let osd = &pods[1];
    assert_eq!((&osd["mode"], &osd["allowed"], &osd["patch"]), (&json!("audit"), &json!(true), &json!([])));
    assert_eq!(osd["networks"], json!(["rook-ceph/public-net", "rook-ceph/cluster-net"]));

    let fixture = support::fixtures::named("audit-denied");
    let mut review = program();
    review.args(["review", "--output", "patch", "--manifests"]).arg(fixture.world()).args(&fixture.flags);
    let (code, out, err) = run(&mut review, &fixture.review);
    assert_eq!((code, out.trim()), (Some(0), "[]"));
    assert!(err.contains("in audit mode for CephCluster rook-ceph/my-cluster: pod rook-ceph-osd- would be"), "{err}");
    assert!(!err.contains("refuses"), "{err}");
}

#[test]
fn a_mode_can_be_off() {
    let fixture = support::fixtures::named("mode-off");
    let mut explain = program();
    explain.arg("explain").arg("--manifests").arg(fixture.world());
    let (code, out, err) = run(&mut explain, &fixture.review);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(" is left as it is (mode-off)\n"), "{out}");
    let mode =
        "mode      off: nothing is done (the annotation multihome.rook.io/mode of CephCluster rook-ceph/my-cluster)";
    assert!(out.contains(mode), "{out}");
}

#[test]
fn review_takes_workloads_and_prints_what_is_asked_for() {
    let toolbox = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: tools, namespace: rook-ceph }
spec:
  template:
    metadata: { labels: { app: rook-ceph-tools } }
    spec: { containers: [] }
";
    let review = |output: &str| {
        let (code, out, err) = run(program().args(["review", "--manifests", MULTUS, "--output", output, "-"]), toolbox);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        serde_json::from_str::<Value>(&out).unwrap()
    };
    assert_eq!(review("response")["response"]["allowed"], true);
    assert_eq!(review("patch")[0]["path"], "/metadata/annotations");
    let patched = review("patched");
    assert_eq!(patched["kind"], "Pod");
    assert_eq!(patched["metadata"]["generateName"], "tools-");
    assert_eq!(
        patched["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"],
        r#"[{"name":"public-net","namespace":"rook-ceph"}]"#
    );
    assert_eq!(review("request")["request"]["operation"], "CREATE");
}

#[test]
fn every_kind_of_workload_has_its_pod_found() {
    let pod = json!({"metadata": {"labels": {"app": "rook-ceph-tools"}}, "spec": {"containers": []}});
    let template = json!({"template": pod});
    for (kind, spec) in [
        ("Pod", pod["spec"].clone()),
        ("Deployment", template.clone()),
        ("StatefulSet", template.clone()),
        ("DaemonSet", template.clone()),
        ("ReplicaSet", template.clone()),
        ("Job", template.clone()),
        ("CronJob", json!({"jobTemplate": {"spec": template}})),
    ] {
        let labels = json!({"app": "rook-ceph-tools"});
        let workload = json!({"kind": kind, "metadata": {"name": "x", "labels": labels}, "spec": spec}).to_string();
        let mut command = program();
        command.args(["review", "--manifests", MULTUS, "--output", "patch", "--namespace", "rook-ceph"]);
        let (code, out, err) = run(&mut command, &workload);
        assert_eq!(code, Some(0), "{kind}: {err}");
        assert!(out.contains("public-net"), "{kind}: {out}");
    }
}

#[test]
fn warnings_and_refusals_are_answers_and_go_to_stderr() {
    let fixture = support::fixtures::named("missing-attachment");
    let mut command = program();
    command.args(["review", "--output", "patch", "--manifests"]).arg(fixture.world());
    let (code, out, err) = run(&mut command, &fixture.review);
    assert_eq!((code, out.trim()), (Some(0), "[]"));
    assert!(err.starts_with("warning: rook-multihome left pod rook-ceph-osd- alone"), "{err}");
    let (code, _, err) = run(command.args(["--outcome", "missing-attachment=deny"]), &fixture.review);
    assert_eq!(code, Some(0));
    assert!(err.starts_with("rook-multihome refuses this pod (missing-attachment)"), "{err}");
}

#[test]
fn bad_input_is_told_what_where_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yaml");
    std::fs::write(&broken, "a: [1\nb: 2\n").unwrap();
    let nameless = folder.path().join("nameless.yaml");
    std::fs::write(&nameless, "apiVersion: ceph.rook.io/v1\nkind: CephCluster\n").unwrap();
    let (broken, nameless) = (broken.to_str().unwrap(), nameless.to_str().unwrap());
    for (arguments, input, code, parts) in [
        (&["review", "--manifests", "nowhere"][..], "kind: Pod", 1, &["cannot read nowhere", "No such file"][..]),
        (&["review", "--manifests", MULTUS, MULTUS], "", 1, &["examples/ceph-multus is a folder; name one file in it"]),
        (&["review", "--manifests", broken], "kind: Pod", 1, &["broken.yaml cannot be parsed", "line"]),
        (&["review", "--manifests", nameless], "kind: Pod", 1, &["nameless.yaml", "no metadata.name"]),
        (
            &["review", "--manifests", MULTUS],
            "",
            1,
            &["stdin holds no pod: found nothing", "expected an AdmissionReview"],
        ),
        (&["review", "--manifests", MULTUS], "kind: Service", 1, &["found Service"]),
        (&["review", "--manifests", MULTUS], "{", 1, &["stdin cannot be parsed"]),
        (&["review", "--manifests", MULTUS], r#"{"kind": "AdmissionReview"}"#, 1, &["apiVersion"]),
        (&["review"], "", 2, &["--manifests <PATH>"]),
        (
            &["review", "--manifests", MULTUS, "--outcome", "missing=deny"],
            "",
            2,
            &["\"missing\" is not one of", "missing-attachment"],
        ),
        (&["review", "--manifests", MULTUS, "--mode", "on"], "", 2, &["\"on\" is not one of enforce, audit, off"]),
        (&["serve", "--listen", "localhost"], "", 2, &["invalid value 'localhost'", "such as 127.0.0.1:8443"]),
        (&["serve", "--manifests", MULTUS, "--max-connections", "0"], "", 2, &["1..=100000"]),
        (&["certs", "make"], "", 2, &["--name <NAME>"]),
    ] {
        let (found, out, err) = run(program().args(arguments), input);
        assert_eq!((found, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        for part in parts {
            assert!(err.contains(part), "{arguments:?} does not say {part:?}: {err}");
            assert!(code != 1 || err.matches(part).count() == 1, "{arguments:?} says {part:?} twice: {err}");
        }
    }
}

#[test]
fn problems_of_manifests_are_told_with_their_file() {
    let fixture = support::fixtures::named("invalid-selector");
    let mut command = program();
    command.args(["explain", "--manifests"]).arg(fixture.world()).arg(fixture.folder.join("review.json"));
    let (code, out, err) = run(&mut command, "");
    assert_eq!(code, Some(0));
    assert!(out.contains("is left as it is (invalid-spec)"), "{out}");
    assert!(err.contains("world.yaml: CephCluster rook-ceph/my-cluster: spec.network.selectors.public: "), "{err}");
}

#[test]
fn a_port_that_is_taken_and_a_missing_cluster_are_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let certs = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["serve", "--manifests", MULTUS, "--listen", &address, "--cert-dir"]).arg(certs.path());
    let (code, _, err) = run(&mut command, "");
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("cannot listen on {address}")), "{err}");
    let home = certs.path().join("empty");
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).env("HOME", home);
    let (code, _, err) = run(command.env_remove("KUBERNETES_SERVICE_HOST"), "");
    assert_eq!(code, Some(1));
    assert!(err.contains("no Kubernetes cluster to watch; set KUBECONFIG"), "{err}");
}

#[test]
fn certificates_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut make = program();
    make.args(["certs", "make", "--name", "rook-multihome.system.svc", "--days", "30", "--cert-dir"])
        .arg(folder.path());
    let (code, out, _) = run(&mut make, "");
    assert_eq!(code, Some(0));
    assert!(out.starts_with("made ca.crt, tls.crt and tls.key in "), "{out}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.path().join("tls.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, err) = run(&mut make, "");
    assert_eq!(code, Some(1));
    assert!(err.contains("keys are never overwritten"), "{err}");
}

/// The help of every command says what it is for, and every flag has an environment variable or is about one call.
#[test]
fn help_reads_well() {
    for command in [
        &["--help"][..],
        &["serve", "--help"],
        &["review", "--help"],
        &["explain", "--help"],
        &["lint", "--help"],
        &["networks", "--help"],
        &["certs", "make", "--help"],
    ] {
        let help = stdout(program().args(command));
        assert!(help.contains("Usage: "), "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{command:?}: too long: {line}");
        }
    }
    let serve = stdout(program().args(["serve", "--help"]));
    for flag in ["--manifests", "--listen", "--admin-listen", "--cert-dir", "--mode", "--outcome", "--drain-delay"] {
        assert!(serve.contains(flag), "{flag}");
        let variable = format!("ROOK_MULTIHOME_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        assert!(serve.contains(&variable), "{variable}");
    }
}

/// What is wrong with a flag is said with what to write instead.
#[test]
fn flags_about_certificates_have_to_fit_together() {
    for (flags, said) in [
        (&["--ca-lifetime", "90"][..], "write a whole number and a unit, as in 365d, 12h, 30m or 90s"),
        (&["--leaf-lifetime", "400d"], "--leaf-lifetime must be shorter than --ca-lifetime"),
        (&["--ca-lifetime", "10d", "--ca-settle", "4d"], "--ca-settle must be shorter than a third of --ca-lifetime"),
        (&["--tls-mode", "self-managed", "--manifests", MULTUS], "--tls-mode=self-managed needs a cluster"),
    ] {
        let (code, stdout, stderr) = run(program().arg("serve").args(flags), "");
        assert_ne!(code, Some(0), "{flags:?}");
        assert!(stdout.is_empty() && stderr.contains(said), "{flags:?}: {stderr}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    for command in ["status", "rotate"] {
        let (code, stdout, stderr) = run(program().args(["certs", command]).env("HOME", nowhere.path()), "");
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.starts_with("error: no Kubernetes cluster to ask; set KUBECONFIG, or run in a pod"), "{stderr}");
    }
}
