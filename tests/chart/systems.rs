//! What the chart knows of storage systems: what the catalogue says, and what is given to the program.

use rook_multihome::api;
use rook_multihome::storage::{BUILT_IN, Catalogue};
use rook_multihome::world::manifests::parse_documents;
use serde_json::{Map, Value, json};

use crate::rendered::{Feature, chart, list, read, text, try_render};
use crate::support;

/// The built-in systems that a feature goes by.
pub(crate) fn chosen(feature: &Feature) -> Vec<String> {
    match feature.values().get("builtInSystems") {
        None => BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect(),
        Some(chosen) => list(chosen).iter().map(|name| text(name).to_owned()).collect(),
    }
}

/// The catalogue that the program reads with the values of a feature, its own systems as they are mounted.
pub(crate) fn catalogue(feature: &Feature) -> Catalogue {
    let chosen = chosen(feature);
    let mut files: Vec<(String, String)> = BUILT_IN
        .iter()
        .filter(|(name, _)| chosen.iter().any(|chosen| chosen == name))
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    if feature.values().get("systems").is_some() {
        let objects = feature.render();
        let mounted = objects.only("ConfigMap")["data"].as_object().unwrap();
        files.extend(mounted.iter().map(|(name, file)| (name.clone(), text(file).to_owned())));
    }
    Catalogue::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap()
}

/// Of a document of the catalogue, what templates read.
fn essence(document: &Value) -> Value {
    let only = |value: &Value, keys: &[&str]| -> Value {
        let fields = keys.iter().filter_map(|key| Some(((*key).to_owned(), value.get(key)?.clone())));
        fields.collect::<Map<_, _>>().into()
    };
    let by_app = |rule: &Value| rule.as_object().unwrap().len() == 1 && rule.get("app").is_some();
    let roles = list(&document["roles"]).iter().filter_map(|role| {
        let mut essence = only(role, &["networksAtRisk"]);
        let rules: Vec<&Value> = list(&role["match"]).iter().filter(|rule| by_app(rule)).collect();
        if role["networks"].as_array().is_some_and(|keys| !keys.is_empty()) && !rules.is_empty() {
            essence["networks"] = role["networks"].clone();
            essence["match"] = json!(rules);
        }
        if let Some(resource) = role.pointer("/hostOverride/resource") {
            essence["hostOverride"] = json!({"resource": resource});
        }
        (!essence.as_object().unwrap().is_empty()).then_some(essence)
    });
    let roles: Vec<Value> = roles.collect();
    let clusters: Vec<Value> =
        list(&document["clusters"]).iter().map(|kind| only(kind, &["resource", "network"])).collect();
    let keys: Vec<Value> = list(&document["keys"]).iter().map(|key| only(key, &["name"])).collect();
    let mut essence = only(document, &["system", "owners"]);
    essence["keys"] = json!(keys);
    essence["clusters"] = json!(clusters);
    essence["roles"] = json!(roles);
    essence
}

#[test]
fn the_chart_knows_the_catalogue() {
    const HEAD: &str = "# Written by tests/chart from src/storage/catalogue, as far as templates read it: BLESS=1 cargo test --test chart the_chart_knows\n";
    let documents = BUILT_IN.map(|(_, text)| essence(&parse_documents(text).unwrap().remove(0)));
    let written = api::to_yaml(&json!(documents)).unwrap();
    support::expect_file(&chart().join("files/systems.yaml"), &format!("{HEAD}{written}"));

    let schema: Value = serde_json::from_str(&read(chart().join("values.schema.json"))).unwrap();
    let names = BUILT_IN.map(|(name, _)| name);
    assert_eq!(schema["properties"]["builtInSystems"]["items"]["enum"], json!(names));
    let defaults = parse_documents(&read(chart().join("values.yaml"))).unwrap().remove(0);
    assert_eq!(defaults["builtInSystems"], json!(names));
}

/// The schema of the values has that of the catalogue, as one of its definitions.
#[test]
fn the_schema_knows_the_catalogue() {
    const BEGIN: &str = "    \"storageSystem\": {";
    const END: &str = "\n    }\n";
    let mut schema = serde_json::to_value(Catalogue::schema()).unwrap();
    schema.as_object_mut().unwrap().remove("$schema");
    let text = serde_json::to_string_pretty(&schema).unwrap();
    let text = text.replace("#/definitions/", "#/definitions/storageSystem/definitions/").replace('\n', "\n    ");

    let path = chart().join("values.schema.json");
    let whole = read(&path);
    let (head, rest) = whole.split_once(BEGIN).expect("the line with which the definition begins");
    let (_, tail) = rest.split_once(END).expect("the line with which it ends");
    support::expect_file(&path, &format!("{head}    \"storageSystem\": {text}\n{tail}"));
}

#[test]
fn own_systems_are_files_of_the_catalogue() {
    let feature = Feature::named("own-system");
    let objects = feature.render();
    let files = objects.only("ConfigMap");
    assert_eq!(files["metadata"]["name"], "rook-multihome-systems");
    let mounted = &files["data"];
    let document = parse_documents(text(&mounted["000-garage.yaml"])).unwrap().remove(0);
    assert_eq!(document, feature.values()["systems"][0]);

    assert!(objects.arguments().contains(&"--catalogue=/catalogue"));
    let pod = objects.pod();
    assert_eq!(pod["volumes"][0]["configMap"]["name"], files["metadata"]["name"]);
    assert_eq!(
        pod["containers"][0]["volumeMounts"],
        json!([{"name": "catalogue", "mountPath": "/catalogue", "readOnly": true}])
    );

    // Replicas read the files when they start, so that others replace the replicas, and nothing else does.
    let template = |more: &[&str]| {
        let objects = feature.render_with(more);
        objects.only("Deployment")["spec"]["template"].clone()
    };
    assert_eq!(template(&["--set", "webhook.timeoutSeconds=7"]), template(&[]));
    assert_ne!(template(&["--set", "systems[0].keys[0].about=others"]), template(&[]));

    // What is wrong is said before it is installed.
    for (value, said) in [("systems[0].keys=null", "keys"), ("systems[0].colour=red", "colour")] {
        let error = try_render(&["--values", &feature.path, "--set", value]).expect_err(value);
        assert!(error.contains(said), "{value}: {error}");
    }
}
