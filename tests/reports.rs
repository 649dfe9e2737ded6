//! The reports of `lint` and `networks`, as people, pipelines and machines meet them: each folder of `tests/reports` is looked at
//! in every format, and what has to come out lies beside it (`BLESS=1` writes it).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::fake_api::{CEPH_CLUSTERS, FakeApi, Mood, NETWORKS};
use support::{expect_file, folders, program, project};

/// Exit code, standard output and standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn fixtures() -> Vec<PathBuf> {
    let folders = folders(&project().join("tests/reports"));
    assert!(folders.len() >= 4);
    folders
}

/// A command about a folder, as it is named from the root of the project.
fn about(name: &str, folder: &Path) -> Command {
    let mut command = program();
    command.args([name, "--manifests"]).arg(folder.strip_prefix(project()).unwrap());
    command
}

fn named(name: &str) -> PathBuf {
    project().join("tests/reports").join(name)
}

fn lint(folder: &Path, output: &str) -> (Option<i32>, String, String) {
    run(about("lint", folder).args(["--output", output]))
}

/// What has come out has other endings than manifests, as it lies beside them.
#[test]
fn every_format_comes_out_as_it_should() {
    for folder in fixtures() {
        let mut said = Vec::new();
        for (output, file) in
            [("text", "lint.txt"), ("json", "lint.out"), ("sarif", "lint.sarif"), ("junit", "lint.xml")]
        {
            let (code, out, err) = lint(&folder, output);
            assert!(code == Some(0) || code == Some(1), "{err}");
            let out = if output == "sarif" { without_rules(&out) } else { out };
            expect_file(&folder.join(file), &out);
            said.push((code, err));
        }
        assert!(said.windows(2).all(|two| two[0] == two[1]), "{said:?}");
        let networks = |arguments: &[&str]| {
            let (code, out, err) = run(about("networks", &folder).args(arguments));
            assert_eq!(code, Some(0), "{err}");
            out
        };
        expect_file(&folder.join("networks.txt"), &networks(&["--all"]));
        expect_file(&folder.join("networks.out"), &networks(&["--output", "json"]));
        expect_file(&folder.join("ranges.out"), &networks(&["--address-ranges"]));
    }
}

/// A report as SARIF, without what changes with every release; the test of its schema looks at that.
fn without_rules(sarif: &str) -> String {
    let mut sarif: Value = serde_json::from_str(sarif).unwrap();
    let run = &mut sarif["runs"][0];
    run["tool"]["driver"].as_object_mut().unwrap().retain(|field, _| field == "name");
    for result in run["results"].as_array_mut().unwrap() {
        result.as_object_mut().unwrap().remove("ruleIndex");
    }
    support::fixtures::pretty(&sarif)
}

/// The findings of all formats are the same, of each object and in each number.
#[test]
fn the_formats_agree() {
    for folder in fixtures() {
        let parsed = |output| serde_json::from_str::<Value>(&lint(&folder, output).1).unwrap();
        let (json, sarif, xml) = (parsed("json"), parsed("sarif"), lint(&folder, "junit").1);
        let findings = json["findings"].as_array().unwrap();
        let count = |severity: &str| findings.iter().filter(|finding| finding["severity"] == severity).count();
        let summary = &json["summary"];
        assert_eq!(summary["errors"], count("error"));
        assert_eq!(summary["warnings"], count("warning"));
        assert_eq!(summary["advice"], count("advice"));
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), findings.len());
        for (result, finding) in results.iter().zip(findings) {
            assert_eq!(result["ruleId"], finding["rule"]);
            let region = &result["locations"][0]["physicalLocation"]["region"];
            assert_eq!(region["startLine"], finding["line"]);
        }
        let xml = roxmltree::Document::parse(&xml).unwrap();
        let cases = xml.descendants().filter(|node| node.has_tag_name("testcase"));
        assert_eq!(summary["objects"], cases.count());
        let of_lines = |finding: &Value| format!("({})", finding["rule"].as_str().unwrap());
        let text: String = xml.descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text()).collect();
        for finding in findings {
            let alike = findings.iter().filter(|other| other["rule"] == finding["rule"]).count();
            assert_eq!(text.matches(&of_lines(finding)).count(), alike, "{finding}");
        }
    }
}

/// What SARIF 2.1.0 requires of each object that is written, and what GitHub requires besides.
#[test]
fn sarif_is_as_the_schema_has_it() {
    for folder in fixtures() {
        let sarif: Value = serde_json::from_str(&lint(&folder, "sarif").1).unwrap();
        assert_eq!(sarif["version"], "2.1.0");
        assert!(sarif["$schema"].as_str().unwrap().ends_with("sarif-2.1.0.json"));
        let [run] = sarif["runs"].as_array().unwrap().as_slice() else { panic!("one run") };
        let driver = &run["tool"]["driver"];
        assert_eq!(driver["name"], "rook-multihome");
        let rules = driver["rules"].as_array().unwrap();
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let levels = ["error", "warning", "note"];
        for rule in rules {
            assert!(text(&rule["id"]) && text(&rule["shortDescription"]["text"]) && text(&rule["help"]["text"]));
            assert!(levels.contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
        }
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
        let mut fingerprints = Vec::new();
        for result in run["results"].as_array().unwrap() {
            assert!(text(&result["message"]["text"]) && levels.contains(&result["level"].as_str().unwrap()));
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let location = &result["locations"][0];
            let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
            assert!(project().join(uri).is_file(), "{uri}");
            assert!(location["physicalLocation"]["region"]["startLine"].as_u64().unwrap() >= 1);
            assert!(text(&location["logicalLocations"][0]["fullyQualifiedName"]));
            fingerprints.push(result["partialFingerprints"].as_object().unwrap().values().next().unwrap().clone());
        }
        let all = fingerprints.len();
        fingerprints.sort_by_key(ToString::to_string);
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), all, "each finding is known again");
    }
}

/// A finding keeps its fingerprint when lines move and numbers change.
#[test]
fn fingerprints_outlive_what_changes() {
    let fingerprints = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("world.yaml"), text).unwrap();
        let (_, out, err) = run(program().args(["lint", "--output", "sarif", "--manifests"]).arg(folder.path()));
        let sarif: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let results = sarif["runs"][0]["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["partialFingerprints"].clone()).collect::<Vec<_>>()
    };
    let world = std::fs::read_to_string(named("clean").join("world.yaml")).unwrap();
    let small = world.replace("192.168.20.0/22", "192.168.20.0/29");
    let other = format!("# moved\n\n{}", world.replace("192.168.20.0/22", "192.168.40.0/29"));
    assert!(fingerprints(&world).is_empty());
    assert!(!fingerprints(&small.replace("[192.168.20.0/29]", "[10.0.0.0/8]")).is_empty());
    assert_eq!(
        fingerprints(&small.replace("[192.168.20.0/29]", "[10.0.0.0/8]")),
        fingerprints(&other.replace("[192.168.40.0/29]", "[11.0.0.0/8]"))
    );
}

#[test]
fn the_exit_code_goes_by_the_worst_finding() {
    let lint = |folder: &str, arguments: &[&str]| run(about("lint", &named(folder)).args(arguments)).0;
    let only = |rule: &str, fail_on: &str| lint("mixed", &["--rule", rule, "--fail-on", fail_on]);
    for (rule, codes) in [
        ("attachment-missing", [1, 1, 1, 0]),
        ("addresses-per-node", [0, 1, 1, 0]),
        ("ranges-offered", [0, 0, 1, 0]),
        ("ranges-overlap", [0, 0, 0, 0]),
    ] {
        for (fail_on, code) in ["error", "warning", "advice", "never"].into_iter().zip(codes) {
            assert_eq!(only(rule, fail_on), Some(code), "{rule} {fail_on}");
        }
    }
    assert_eq!((lint("mixed", &[]), lint("clean", &[])), (Some(1), Some(0)));
    let never = lint("mixed", &["--fail-on", "never", "--output", "junit"]);
    assert_eq!(never, Some(0));
    for wrong in [
        &["lint", "--manifests", "nowhere"][..],
        &["lint", "--manifests", "tests/reports/clean", "--fail-on", "always"],
        &["lint", "--manifests", "tests/reports/clean", "--rule", "attachment"],
    ] {
        let (code, out, err) = run(program().args(wrong));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}: {err}");
    }
}

#[test]
fn rules_are_chosen_and_left_out() {
    let found = |arguments: &[&str]| {
        let (_, out, err) = run(about("lint", &named("mixed")).args(["--output", "json"]).args(arguments));
        let json: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let findings = json["findings"].as_array().unwrap().clone();
        (findings.into_iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), err)
    };
    let (all, err) = found(&[]);
    let wanted = |rule: &String| rule == "attachment-missing" || rule == "config-unreadable";
    let (some, _) = found(&["--rule", "attachment-missing,config-unreadable"]);
    assert!(some.len() >= 3 && some.iter().all(wanted), "{some:?}");
    let (others, of_others) = found(&["--ignore", "attachment-missing", "--ignore", "config-unreadable"]);
    assert_eq!(others, all.iter().filter(|rule| !wanted(rule)).cloned().collect::<Vec<_>>());
    assert_eq!(err, of_others, "what is left out is not said elsewhere");
    let (code, _, err) = run(about("lint", &named("clean")).args(["--ignore", "keys-overlaps"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("there is no such rule; near it are keys-overlap"), "{err}");
}

/// A fault of an object is a finding or a warning, and not both.
#[test]
fn nothing_is_said_twice() {
    let (_, out, err) = lint(&named("mixed"), "text");
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    assert!(lines.iter().all(|line| line.starts_with("warning: tests/reports/mixed/cluster.yaml: ")), "{err}");
    assert!(err.contains("CephObjectStore rook-ceph/store: spec.gateway.hostNetwork"), "{err}");
    assert!(err.contains("Namespace twice: it is given twice"), "{err}");
    assert!(out.contains("(invalid-spec)") && out.contains("(config-unreadable)"), "{out}");
}

/// Whatever stands in a file, it drives no terminal, and gets out of no format.
#[test]
fn hostile_texts_stay_texts() {
    let folder = named("hostile");
    let (_, text, err) = lint(&folder, "text");
    let (_, table, _) = run(&mut about("networks", &folder));
    let (_, ranges, _) = run(about("networks", &folder).arg("--address-ranges"));
    let harmless =
        |text: &str| text.chars().all(|letter| letter == '\n' || !letter.is_control() && letter != '\u{202e}');
    for shown in [&text, &table, &ranges, &err] {
        assert!(harmless(shown), "{shown:?}");
    }
    for line in text.lines().chain(table.lines()) {
        assert!(line.chars().count() <= 120 || line.contains("CephCluster"), "{line}");
    }
    let patch = rook_multihome::world::manifests::parse_documents(&ranges).unwrap();
    assert_eq!(patch.len(), 1, "{ranges}");
    assert_eq!(patch[0]["metadata"]["name"], "it's\n# another: line");
    assert_eq!(patch[0].as_object().unwrap().len(), 4, "{ranges}");

    let (_, xml, _) = lint(&folder, "junit");
    let xml = roxmltree::Document::parse(&xml).unwrap();
    let known = ["testsuites", "testsuite", "testcase", "failure", "system-out"];
    let names: Vec<&str> =
        xml.descendants().filter(roxmltree::Node::is_element).map(|node| node.tag_name().name()).collect();
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    let names: Vec<&str> = xml.descendants().filter_map(|node| node.attribute("name")).collect();
    assert!(names.contains(&"rook-ceph/it's\n# another: line"), "{names:?}");
}

#[test]
fn colours_are_for_terminals() {
    for variable in [("NO_COLOR", "1"), ("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1")] {
        let (_, out, _) = run(about("lint", &named("mixed")).env(variable.0, variable.1));
        assert!(!out.contains('\u{1b}'), "{out}");
    }
}

#[test]
fn an_empty_list_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&[][..], "no storage uses an attachment definition, in 0 objects\n"),
        (&["--all"], "there is no attachment definition, in 0 objects\n"),
        (&["--address-ranges"], "no cluster could declare address ranges that it does not declare, in 0 objects\n"),
    ] {
        let (code, out, err) = run(program().args(["networks", "--manifests"]).arg(folder.path()).args(arguments));
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", said), "{arguments:?}");
    }
    let (code, out, _) = run(program().args(["networks", "--output", "json", "--manifests"]).arg(folder.path()));
    assert_eq!((code, out.as_str()), (Some(0), "[]\n"));
    let (code, out, err) = run(program().args(["lint", "--manifests"]).arg(folder.path()));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "nothing found in 0 objects\n", ""));
}

/// Ceph must not look for the addresses of hosts where those of pods would have been.
#[test]
fn no_ranges_are_offered_to_clusters_on_the_host_network() {
    let example = project().join("examples/ceph-multus");
    let (code, ranges, _) = run(about("networks", &example).args(["--address-ranges", "--enforce-host-network"]));
    assert_eq!(code, Some(0));
    let said = ranges.replace("\n# ", " ");
    for key in ["public", "cluster"] {
        let left_out = format!("my-cluster: {key} is left out, because all pods are put on the host network");
        assert!(said.contains(&left_out), "{ranges}");
    }
    assert!(!ranges.contains("addressRanges"), "{ranges}");
}

/// The walk through docs/checks.md, walked.
#[test]
fn the_documentation_shows_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["cluster.yaml", "networks.yaml", "pods.yaml"] {
        let text = std::fs::read_to_string(project().join("examples/ceph-multus").join(file)).unwrap();
        let text = if file == "cluster.yaml" { text.replace("cluster-net\n", "clutser-net\n") } else { text };
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let (_, lint, _) = run(program().args(["lint", "--manifests"]).arg(folder.path()));
    let lint = lint.replace(folder.path().to_str().unwrap(), "/tmp/mine");
    let example = project().join("examples/ceph-multus");
    let (_, networks, _) = run(&mut about("networks", &example));
    let (_, ranges, _) = run(about("networks", &example).arg("--address-ranges"));
    let docs = std::fs::read_to_string(project().join("docs/checks.md")).unwrap();
    let blocks: Vec<&str> = docs.split("```").skip(1).step_by(2).collect();
    let shown = |language: &str, begins: &str| {
        let block =
            blocks.iter().find(|block| block.strip_prefix(language).is_some_and(|block| block.starts_with(begins)));
        block.unwrap_or_else(|| panic!("{begins}")).split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(shown("text\n", "CephCluster"), lint);
    assert!(networks.starts_with(&shown("text\n", "NETWORK")), "{networks}");
    assert_eq!(shown("yaml\n", "# CephCluster"), ranges);
}

fn live(api: &FakeApi, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    run(program().args(arguments).env("KUBECONFIG", api.kubeconfig(folder)))
}

/// A cluster with one network that is there and one that is not.
fn half_a_cluster() -> FakeApi {
    let api = FakeApi::with_ceph(Mood::Fine);
    api.delete(NETWORKS, "cluster-net");
    api
}

#[test]
fn a_live_cluster_is_looked_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let api = half_a_cluster();
    let (code, out, err) = live(&api, folder.path(), &["lint", "--rule", "attachment-missing"]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert!(out.starts_with("CephCluster rook-ceph/my-cluster\n"), "no file is named: {out}");
    assert!(out.ends_with("1 error in 2 objects\n"), "{out}");
    let (code, out, _) = live(&api, folder.path(), &["networks"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("rook-ceph/cluster-net  MISSING"), "{out}");
}

#[test]
fn what_is_forbidden_is_said_and_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let api = half_a_cluster();
    // The last two matter to pods and not to networks.
    for resource in ["network-attachment-definitions", "namespaces", "nodes"] {
        api.refuse(resource);
    }
    let (code, out, err) = live(&api, folder.path(), &["lint", "--output", "json", "--fail-on", "error"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let json: Value = serde_json::from_str(&out).unwrap();
    let name = "network-attachment-definitions.k8s.cni.cncf.io";
    assert_eq!(json["notListed"][0]["resource"], name);
    assert_eq!(json["notListed"].as_array().unwrap().len(), 1);
    assert!(!out.contains("attachment-missing"), "{out}");
    assert!(err.starts_with(&format!("warning: {name} are not known")) && err.lines().count() == 1, "{err}");
    assert!(err.contains("give this service account the verbs list and watch"), "{err}");
    let (_, out, _) = live(&api, folder.path(), &["networks"]);
    assert!(out.contains("rook-ceph/cluster-net  UNKNOWN") && !out.contains("MISSING"), "{out}");
}

#[test]
fn where_nobody_can_look_nothing_is_called_clean() {
    let folder = tempfile::tempdir().unwrap();
    let api = FakeApi::with_ceph(Mood::Fine);
    api.put(CEPH_CLUSTERS, json!({"metadata": {"namespace": "n", "name": "n"}}));
    for (mood, said) in [(Mood::Forbidden, "give this service account the verbs"), (Mood::Gone, "not listed after 1")] {
        api.turn(mood);
        let (code, out, err) = live(&api, folder.path(), &["lint"]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.starts_with("error: not listed after ") && err.contains(said), "{err}");
        assert!(err.contains("cephclusters.ceph.rook.io"), "{err}");
    }
    let (code, out, err) = run(program().arg("lint").env("HOME", folder.path()).env_remove("KUBERNETES_SERVICE_HOST"));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.starts_with("error: no Kubernetes cluster to look at; set KUBECONFIG"), "{err}");
}
