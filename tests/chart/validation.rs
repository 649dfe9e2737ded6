//! What is asked about when networks are written: which objects, where, and with which consequences.

use std::collections::BTreeSet;

use rook_multihome::api;
use serde_json::{Value, json};

use crate::rendered::{Feature, Objects, list, text, texts};
use crate::systems::catalogue;
use crate::webhook::{selects, selects_namespace};
use crate::{NAMESPACE, RELEASE};

const CLUSTERS: &str = "clusters.validation.multihome.rook.io";
const CLIENTS: &str = "clients.validation.multihome.rook.io";
const NETWORKS: &str = "networks.validation.multihome.rook.io";
const ADDRESS_RANGES: &str = "address-ranges.multihome.rook.io";
const DEFINITIONS: &str = "network-attachment-definitions.k8s.cni.cncf.io v1";
/// It holds where there is another spec than before, and whenever something is made or deleted.
const WHERE_SPEC_IS_NEW: &str = "request.operation != 'UPDATE' || has(object.spec) != has(oldObject.spec) || (has(object.spec) && object.spec != oldObject.spec)";
/// The same for what names the resource of its devices beside its spec.
const WHERE_NETWORK_IS_NEW: &str = "request.operation != 'UPDATE' || has(object.spec) != has(oldObject.spec) || (has(object.spec) && object.spec != oldObject.spec) || (has(object.metadata.annotations) && 'k8s.v1.cni.cncf.io/resourceName' in object.metadata.annotations ? object.metadata.annotations['k8s.v1.cni.cncf.io/resourceName'] : '') != (has(oldObject.metadata.annotations) && 'k8s.v1.cni.cncf.io/resourceName' in oldObject.metadata.annotations ? oldObject.metadata.annotations['k8s.v1.cni.cncf.io/resourceName'] : '')";

fn entry<'o>(objects: &'o Objects, name: &str) -> &'o Value {
    let found = objects.validating().into_iter().chain(objects.webhooks()).find(|webhook| webhook["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// What an entry is asked about: operation, resource and version.
fn asked(webhook: &Value) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for rule in list(&webhook["rules"]) {
        assert_eq!(rule["scope"], "Namespaced");
        for resource in texts(&rule["resources"]) {
            for (group, version) in texts(&rule["apiGroups"])
                .iter()
                .flat_map(|group| texts(&rule["apiVersions"]).into_iter().map(move |version| (group, version)))
            {
                for operation in texts(&rule["operations"]) {
                    assert!(asked.insert(format!("{operation} {resource}.{group} {version}")), "{rule}");
                }
            }
        }
    }
    asked
}

fn operations(operations: &[&str], resources: &BTreeSet<String>) -> BTreeSet<String> {
    operations.iter().flat_map(|operation| resources.iter().map(move |one| format!("{operation} {one}"))).collect()
}

fn storage_networks() -> String {
    format!("storagenetworks.{} {}", api::GROUP, api::VERSION)
}

/// The clusters are those of the catalogue that can name networks themselves, in the versions that can be read.
#[test]
fn what_declares_networks_is_asked_about() {
    for feature in Feature::all().iter().filter(|feature| feature.name != "validation-off") {
        let objects = feature.render();
        let catalogue = catalogue(feature);
        let kinds = catalogue.systems().iter().flat_map(|system| &system.clusters);
        let declaring = kinds.filter(|kind| kind.network.is_some()).map(|kind| &kind.resource);
        let mut expected: BTreeSet<String> = declaring
            .flat_map(|resource| resource.versions.iter().map(|version| format!("{} {version}", resource.full_name())))
            .collect();
        expected.insert(storage_networks());
        let clusters = entry(&objects, CLUSTERS);
        assert_eq!(asked(clusters), operations(&["CREATE", "UPDATE"], &expected), "{}", feature.name);
        let networks = entry(&objects, NETWORKS);
        let definitions = BTreeSet::from([DEFINITIONS.to_owned()]);
        assert_eq!(asked(networks), operations(&["CREATE", "UPDATE", "DELETE"], &definitions), "{}", feature.name);
    }
    let minimal = asked(entry(&Feature::named("minimal").render(), CLUSTERS));
    assert!(minimal.contains("CREATE cephclusters.ceph.rook.io v1") && minimal.len() > 8, "{minimal:?}");
}

#[test]
fn it_is_asked_in_the_namespaces_of_storage_and_of_its_networks() {
    for feature in Feature::all().iter().filter(|feature| feature.name != "validation-off") {
        let objects = feature.render();
        for webhook in objects.validating() {
            let name = format!("{}: {}", feature.name, webhook["name"]);
            for never in [NAMESPACE, "kube-system"] {
                assert!(!selects_namespace(webhook, never), "{name}");
            }
            for (field, value) in [("matchPolicy", "Equivalent"), ("sideEffects", "None")] {
                assert_eq!(webhook[field], value, "{name}");
            }
            assert_eq!(webhook["admissionReviewVersions"], json!(["v1"]), "{name}");
            let service = json!({"name": RELEASE, "namespace": NAMESPACE, "path": "/validate", "port": 443});
            assert_eq!(webhook["clientConfig"]["service"], service, "{name}");
            let policy = if feature.name == "validation-deny" { "Fail" } else { "Ignore" };
            assert_eq!(webhook["failurePolicy"], policy, "{name}");
            assert_eq!(webhook["timeoutSeconds"], if feature.name == "fail-daemons" { 10 } else { 5 }, "{name}");
        }
        let values = feature.values();
        let clusters = entry(&objects, CLUSTERS);
        let clients = values["clients"].get("namespaces").map(texts).unwrap_or_default();
        for namespace in texts(&values["namespaces"]).into_iter().chain(clients) {
            assert!(selects_namespace(clusters, namespace), "{}: {namespace}", feature.name);
        }
        assert!(!selects_namespace(clusters, "default"), "{}", feature.name);
        // A definition that storage uses may lie anywhere.
        let is_everywhere = feature.name != "validation-deny";
        let selects = |namespace: &str| selects_namespace(entry(&objects, NETWORKS), namespace);
        // On AKS, some namespaces are left out by other labels, which these have not.
        assert_eq!(selects("default"), is_everywhere, "{}", feature.name);
        assert!(selects("rook-ceph") || !texts(&values["namespaces"]).contains(&"rook-ceph"), "{}", feature.name);
    }
}

/// No selector says "these by name, or those by label".
#[test]
fn storage_networks_of_clients_that_a_label_selects_have_their_own_entry() {
    let objects = Feature::named("clients-by-label").render();
    let clients = entry(&objects, CLIENTS);
    assert_eq!(asked(clients), operations(&["CREATE", "UPDATE"], &BTreeSet::from([storage_networks()])));
    let selects = |labels: Value| selects(&clients["namespaceSelector"], labels.as_object().unwrap());
    let name = "kubernetes.io/metadata.name";
    assert!(selects(json!({name: "shop", "storage-clients": "yes"})));
    assert!(!selects(json!({name: "shop"})));
    for never in [NAMESPACE, "kube-system", "rook-ceph"] {
        assert!(!selects(json!({name: never, "storage-clients": "yes"})), "{never}");
    }
    for other in ["minimal", "clients"] {
        let objects = Feature::named(other).render();
        let names: Vec<&str> = objects.validating().iter().map(|webhook| text(&webhook["name"])).collect();
        assert_eq!(names, [CLUSTERS, NETWORKS], "{other}");
    }
}

#[test]
fn both_configurations_belong_together() {
    for feature in Feature::all().iter().filter(|feature| feature.name != "validation-off") {
        let objects = feature.render();
        let metadata = |kind: &str| &objects.only(kind)["metadata"];
        assert_eq!(
            metadata("ValidatingWebhookConfiguration"),
            metadata("MutatingWebhookConfiguration"),
            "{}",
            feature.name
        );
    }
}

#[test]
fn what_is_off_leaves_nothing_behind() {
    let objects = Feature::named("validation-off").render();
    assert!(objects.validating().is_empty());
    let said = objects.0.iter().map(Value::to_string).collect::<String>();
    for word in ["validating", "VALIDATING", "/validate", "--deny-findings", "--definition-in-use"] {
        assert!(!said.contains(word), "{word}");
    }
}

#[test]
fn the_program_is_told_what_is_refused_and_what_surrounds_the_networks() {
    let about = |name: &str| -> Vec<String> {
        let objects = Feature::named(name).render();
        let words = ["--deny", "--definition", "--pod", "--service", "--host", "--namespace", "--global", "--write"];
        let arguments = objects.arguments().into_iter();
        arguments.filter(|one| words.iter().any(|word| one.starts_with(word))).map(str::to_owned).collect()
    };
    let off = ["--deny-findings=never", "--definition-in-use=warn"];
    assert_eq!(about("minimal"), off);
    assert_eq!(about("validation-off"), Vec::<String>::new());
    assert_eq!(about("address-ranges"), [&off[..], &["--write-address-ranges"]].concat());
    assert_eq!(
        about("validation-deny"),
        [
            "--pod-cidr=10.244.0.0/16",
            "--pod-cidr=fd00:10:244::/56",
            "--service-cidr=10.96.0.0/12",
            "--host-cidr=192.168.0.0/24",
            "--namespace-isolation",
            "--global-namespace=default",
            "--global-namespace=networks",
            "--deny-findings=error",
            "--definition-in-use=deny",
        ]
    );
    let objects = Feature::named("minimal").render();
    let environment = list(&objects.pod()["containers"][0]["env"]);
    let variable = "ROOK_MULTIHOME_VALIDATING_WEBHOOK_CONFIGURATION";
    assert!(environment.contains(&json!({"name": variable, "value": RELEASE})));
}

#[test]
fn address_ranges_are_asked_for_where_it_is_said() {
    for feature in Feature::all() {
        let objects = feature.render();
        let is_there = objects.webhooks().iter().any(|webhook| webhook["name"] == ADDRESS_RANGES);
        assert_eq!(is_there, feature.name == "address-ranges", "{}", feature.name);
    }
    let feature = Feature::named("address-ranges");
    for more in [&[][..], &["--set", "webhook.daemons.failurePolicy=Fail"]] {
        let objects = feature.render_with(more);
        let webhook = entry(&objects, ADDRESS_RANGES);
        let clusters = BTreeSet::from(["cephclusters.ceph.rook.io v1".to_owned()]);
        assert_eq!(asked(webhook), operations(&["CREATE", "UPDATE"], &clusters));
        let service = json!({"name": RELEASE, "namespace": NAMESPACE, "path": "/address-ranges", "port": 443});
        assert_eq!(webhook["clientConfig"]["service"], service);
        // Without an answer, Rook finds them itself.
        assert_eq!((&webhook["failurePolicy"], &webhook["reinvocationPolicy"]), (&json!("Ignore"), &json!("Never")));
        assert!(selects_namespace(webhook, "rook-ceph") && !selects_namespace(webhook, "default"));
        assert!(webhook.get("objectSelector").is_none());
    }
}

/// What is asked by this condition cannot fail, and so refuses nothing under `Fail`.
#[test]
fn a_spec_that_is_as_it_was_is_not_asked_about() {
    for (version, conditions) in [("1.20", false), ("1.27", false), ("1.28", true), ("v1.30.3-gke.100", true)] {
        let objects = Feature::named("address-ranges").render_with(&["--kube-version", version]);
        let ranges = entry(&objects, ADDRESS_RANGES);
        for webhook in objects.validating().into_iter().chain([ranges]) {
            let expected = match text(&webhook["name"]) {
                NETWORKS => json!([{"name": "network-is-new", "expression": WHERE_NETWORK_IS_NEW}]),
                _ => json!([{"name": "spec-is-new", "expression": WHERE_SPEC_IS_NEW}]),
            };
            let found = webhook.get("matchConditions");
            assert_eq!(found, conditions.then_some(&expected), "{version}: {}", webhook["name"]);
        }
    }
}
