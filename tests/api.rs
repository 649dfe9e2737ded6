//! The API of our own: the document that the chart installs, and what a real API server makes of it.
//!
//! `BLESS=1` writes the document into the chart, and the schema of the catalogue into docs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::fs;
use std::path::PathBuf;

use rook_multihome::admit::{CLIENT_ROLE, CUSTOM_SYSTEM};
use rook_multihome::api::{Cel, KIND, StorageNetwork, storage_network_crd, to_yaml};
use rook_multihome::storage::{BUILT_IN, Catalogue};
use rook_multihome::world::manifests::parse_documents;
use serde_json::{Value, json};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::{expect_file, program, project, stdout};

const FILES: [(Cel, &str, &[&str]); 2] = [
    (Cel::With, "charts/rook-multihome/files/storagenetwork-crd.yaml", &[]),
    (Cel::Without, "charts/rook-multihome/files/storagenetwork-crd-without-cel.yaml", &["--without-cel"]),
];
const HEAD: &str = "# Written by tests/api.rs from the types in src/api: BLESS=1 cargo test --test api the_chart\n";

#[test]
fn the_chart_has_what_is_printed() {
    for (cel, file, flags) in FILES {
        let document = storage_network_crd(cel);
        let text = to_yaml(&document).unwrap();
        assert_eq!(parse_documents(&text).unwrap(), [document], "{file} means the same when it is read again");
        assert_eq!(stdout(program().args(["print", "crd"]).args(flags)), text);
        expect_file(&project().join(file), &format!("{HEAD}{text}"));
    }
}

/// For editors, which name it in the first line of a file: `# yaml-language-server: $schema=...`.
#[test]
fn the_schema_of_the_catalogue_is_what_is_printed() {
    let printed = stdout(program().args(["print", "catalogue-schema"]));
    let schema: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema, serde_json::to_value(Catalogue::schema()).unwrap());
    expect_file(&project().join("docs/storage-system.schema.json"), &printed);
}

/// Decisions use one name of a system and one of a role themselves, and a system that had them could not be told from that.
#[test]
fn the_names_of_decisions_are_no_names_of_the_catalogue() {
    for (name, own) in [("nfs", CUSTOM_SYSTEM), ("server", CLIENT_ROLE)] {
        let (_, text) = BUILT_IN.into_iter().find(|(system, _)| *system == "nfs").unwrap();
        let text = text.replace(&format!("system: {name}"), &format!("system: {own}"));
        let text = text.replace(&format!("- name: {name}"), &format!("- name: {own}"));
        let error = Catalogue::read([("nfs.yaml", text.as_str())]).expect_err(own).to_string();
        assert!(error.contains(own) && error.contains("another name"), "{error}");
    }
}

/// Every StorageNetwork among the examples, with the file it is in.
fn examples() -> Vec<(PathBuf, Value)> {
    let mut folders = support::folders(&project().join("examples"));
    folders.push(project().join("tests/api"));
    let mut examples = Vec::new();
    for path in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|end| end == "yaml") {
            let documents = parse_documents(&fs::read_to_string(&path).unwrap()).unwrap();
            let own = documents.into_iter().filter(|document| document["kind"] == KIND);
            examples.extend(own.map(|document| (path.clone(), document)));
        }
    }
    examples
}

#[test]
fn the_examples_can_be_read() {
    let examples = examples();
    assert!(examples.len() >= 4);
    for (path, example) in examples {
        let read = StorageNetwork::read(&example).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut written = serde_json::to_value(&read).unwrap();
        // What is filled in, as the API server does it.
        if example["spec"].get("provider").is_none() {
            assert_eq!(written["spec"].as_object_mut().unwrap().remove("provider").unwrap(), "multus");
        }
        assert_eq!(written["spec"], example["spec"], "{}: nothing is lost", path.display());
        assert_eq!(written.get("status"), example.get("status"), "{}: nothing is lost", path.display());
    }
}

/// What a structural schema may hold, as far as this one needs it.
const KEYWORDS: [&str; 19] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minLength",
    "minProperties",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];

/// Looks at every node of a schema; the number of rules in CEL below it.
fn look_at(path: &str, node: &Value) -> usize {
    let fields = node.as_object().unwrap();
    for keyword in fields.keys() {
        let known = KEYWORDS.contains(&keyword.as_str()) || keyword == "x-kubernetes-validations";
        assert!(known, "{path} has {keyword}");
    }
    let description = node["description"].as_str().unwrap_or_else(|| panic!("{path} has no description"));
    assert!(description.ends_with('.') && !description.contains("  "), "{path}: {description}");
    // Links and code marks are for the documentation of the program.
    assert!(!description.contains('`') && !description.contains("]("), "{path}: {description}");
    let in_spec = path.starts_with(".spec");
    let below = match node["type"].as_str().unwrap_or_else(|| panic!("{path} has no type")) {
        "object" => {
            let map = fields.get("additionalProperties");
            assert!(map.is_some() != fields.contains_key("properties"), "{path}: a map or named fields");
            assert!(map.is_none() || fields.contains_key("maxProperties"), "{path} has no bound");
            let named = fields.get("properties").and_then(Value::as_object).into_iter().flatten();
            let named = named.map(|(name, node)| (format!("{path}.{name}"), node));
            named.chain(map.map(|node| (format!("{path}[key]"), node))).collect()
        }
        "array" => {
            assert!(!in_spec || fields.contains_key("maxItems"), "{path} has no bound");
            assert!(fields.contains_key("x-kubernetes-list-type"), "{path}: how it is merged");
            vec![(format!("{path}[]"), &fields["items"])]
        }
        "string" => {
            let bound = fields.contains_key("maxLength") || fields.contains_key("enum");
            assert!(!in_spec || bound, "{path} has no bound");
            Vec::new()
        }
        "integer" => Vec::new(),
        other => panic!("{path} is {other}"),
    };
    let mut rules = 0;
    for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
        let message = rule["message"].as_str().unwrap();
        assert!(message.contains("give ") || message.contains("add "), "the mend: {message}");
        assert!(rule["rule"].is_string() && rule.as_object().unwrap().len() == 2, "{rule}");
        rules += 1;
    }
    rules + below.iter().map(|(path, node)| look_at(path, node)).sum::<usize>()
}

#[test]
fn the_schema_is_structural() {
    for (cel, file, _) in FILES {
        let document = storage_network_crd(cel);
        let schema = &document["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let rules = look_at("", schema);
        // Five about the spec, one about each of the three label selectors.
        assert_eq!(rules, if cel == Cel::With { 8 } else { 0 }, "{file}");
    }
}

#[test]
fn a_real_api_server_takes_it() {
    in_own_network("a_real_api_server_takes_it", || {
        let plane = ControlPlane::start();
        let version = plane.version();
        let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
        let (cel, file, _) = FILES[usize::from(minor < 25)];
        say(&format!("installing {file} for {version}"));
        plane.apply_file(file);
        plane.wait_for("the resource", |plane| plane.has_api("multihome.rook.io/v1alpha1"));
        for condition in ["NamesAccepted", "Established"] {
            let condition = format!("--for=condition={condition}");
            plane.kubectl(&["wait", &condition, "--timeout=60s", "crd/storagenetworks.multihome.rook.io"]);
        }
        let crd = plane.get(&["crd", "storagenetworks.multihome.rook.io"]);
        let conditions = crd["status"]["conditions"].as_array().unwrap();
        assert!(conditions.iter().all(|one| one["type"] != "NonStructuralSchema"), "{conditions:?}");
        explain_explains(&plane);
        examples_are_taken(&plane);
        columns_show(&plane);
        what_is_wrong_is_said(&plane, cel);
    });
}

fn explain_explains(plane: &ControlPlane) {
    say("asking kubectl explain");
    let explain = |field: &str| {
        let mut text = String::new();
        plane.wait_for("kubectl explain", |plane| match plane.try_kubectl(&["explain", field], "") {
            Ok((printed, _)) => {
                text = printed.split_whitespace().collect::<Vec<_>>().join(" ");
                true
            }
            Err(_) => false,
        });
        text
    };
    let rack = explain("storagenetwork.spec.nodeInterfaces");
    assert!(rack.contains("each rack has a replication network of its own"), "{rack}");
    assert!(rack.contains("nodeSelector") && rack.contains("-required-"), "{rack}");
    let mode = explain("stnet.spec.mode");
    assert!(mode.contains("audit: Nothing is changed or refused"), "{mode}");
    let key = explain("storagenetwork.spec.podSelector.matchExpressions.operator");
    assert!(key.contains("DoesNotExist: The object does not have the label."), "{key}");
}

fn examples_are_taken(plane: &ControlPlane) {
    say("creating the examples");
    for (path, example) in examples() {
        let (namespace, name) = (&example["metadata"]["namespace"], &example["metadata"]["name"]);
        let (namespace, name) = (namespace.as_str().unwrap(), name.as_str().unwrap());
        plane.namespace(namespace);
        // The kind has just appeared; the API server may take a moment longer.
        plane.wait_for("the example", |plane| plane.try_kubectl(&["apply", "-f", "-"], &example.to_string()).is_ok());
        let kept = plane.get(&["stnet", name, "-n", namespace]);
        let mut expected = example["spec"].clone();
        if expected.get("provider").is_none() {
            expected["provider"] = json!("multus");
        }
        assert_eq!(kept["spec"], expected, "{}: no field is dropped", path.display());
        assert_eq!(kept.get("status"), None, "{}: the status is not the user's to write", path.display());
        assert!(StorageNetwork::read(&kept).is_ok());
    }
}

fn columns_show(plane: &ControlPlane) {
    say("looking at the columns");
    let (_, example) = examples().into_iter().find(|(_, example)| example.get("status").is_some()).unwrap();
    let status = json!({"status": example["status"]}).to_string();
    let patch = ["patch", "stnet", "cassandra", "-n", "rook-cassandra", "--subresource=status", "--type=merge", "-p"];
    plane.kubectl(&[&patch[..], &[&status]].concat());
    assert_eq!(plane.get(&["stnet", "cassandra", "-n", "rook-cassandra"])["status"], example["status"]);
    let table = plane.kubectl(&["get", "rook", "--all-namespaces"]);
    let mut lines = table.lines();
    let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(words, ["NAMESPACE", "NAME", "SYSTEM", "CLUSTER", "PROVIDER", "NETWORKS", "READY", "AGE"]);
    let is_meant = |line: &&str| line.split_whitespace().take(2).eq(["rook-cassandra", "cassandra"]);
    let row = lines.find(is_meant).unwrap();
    for shown in
        ["Cluster/rook-cassandra", "client=storage/client-net, replication=storage/replication-net@repl0", "False"]
    {
        assert!(row.contains(shown), "{table}");
    }
}

fn what_is_wrong_is_said(plane: &ControlPlane, cel: Cel) {
    say("creating what is wrong");
    let create = |spec: &Value, validation: &str| {
        let object = json!({
            "apiVersion": "multihome.rook.io/v1alpha1", "kind": KIND, "metadata": {"name": "wrong"}, "spec": spec,
        });
        plane.try_kubectl(&["create", validation, "-f", "-"], &object.to_string())
    };
    let unknown = create(&json!({"podSelektor": {}}), "--validate=true").unwrap_err();
    assert!(unknown.contains("unknown field") && unknown.contains("podSelektor"), "{unknown}");

    let (cluster, networks) =
        (json!({"group": "a.io", "kind": "A", "name": "a"}), json!({"client": "storage/client-net"}));
    let by_schema = [
        (json!({"podSelector": {}, "provider": "multis"}), r#"spec.provider: Unsupported value: "multis""#),
        (json!({"podSelector": {}, "mode": false}), "spec.mode: Invalid value: \"boolean\""),
        (
            json!({"podSelector": {}, "system": "ceph"}),
            r#"spec.system: Unsupported value: "ceph": supported values: "custom""#,
        ),
        (json!({"podSelector": {}, "roles": [{"name": "x".repeat(64)}]}), "spec.roles"),
        (json!({"podSelector": {}, "roles": [{"name": "a"}, {"name": "a"}]}), "spec.roles[1]: Duplicate value"),
        (json!({"podSelector": {}, "roles": [{"name": "A b"}]}), "name in body should match"),
        (json!({"podSelector": {}, "interfaces": {"client": ""}}), "client in body should be at least 1"),
        (
            json!({"clusterRef": {"group": "cassandra.rook.io", "kind": "Cluster"}}),
            "spec.clusterRef.name: Required value",
        ),
    ];
    let by_rule = [
        (json!({"clusterRef": cluster, "podSelector": {}, "interfaces": networks}), "give exactly one of clusterRef"),
        (json!({"clusterRef": cluster, "system": "custom", "interfaces": networks}), "system goes with podSelector"),
        (
            json!({"podSelector": {}, "allowedNamespaces": ["a"], "interfaces": networks}),
            "allowedNamespaces goes with clusterRef",
        ),
        (json!({"podSelector": {}}), "there is no network to attach"),
        (
            json!({"podSelector": {}, "interfaces": networks, "roles": [{"name": "a", "interfaces": ["replication"]}]}),
            "a role names a network that is not declared",
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]}, "interfaces": networks}),
            "give at least one of values with In",
        ),
    ];
    let by_rule: &[_] = if cel == Cel::With { &by_rule } else { &[] };
    for (spec, said) in by_schema.iter().chain(by_rule) {
        // The server's own words; kubectl would see some of it first.
        let error = create(spec, "--validate=false").expect_err(said);
        assert!(error.contains(said), "{spec}: {error}");
    }
}
