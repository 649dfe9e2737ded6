//! The webhook configuration that is about pods: which pods are asked about, where its authority comes from, and what older versions lack.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use rook_multihome::storage::{BUILT_IN, Catalogue, Treatment};
use serde_json::{Map, Value, json};

use crate::rendered::{Feature, Objects, list, text, texts, try_render};
use crate::support::fixtures;
use crate::systems::catalogue;
use crate::{NAMESPACE, RELEASE};

const DAEMONS: &str = "daemons.multihome.rook.io";
const OTHERS: &str = "others.multihome.rook.io";
const CLIENTS: &str = "clients.multihome.rook.io";

/// Whether an object with these labels is selected. No selector selects everything.
pub(crate) fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    let equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let expressions = selector.get("matchExpressions").map(list).into_iter().flatten();
    equal.clone().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.clone().all(|expression| {
            let value = labels.get(text(&expression["key"]));
            let is_listed = || list(&expression["values"]).iter().any(|one| Some(one) == value);
            match text(&expression["operator"]) {
                "In" => is_listed(),
                "NotIn" => !is_listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                other => panic!("no operator: {other}"),
            }
        })
}

pub(crate) fn selects_namespace(webhook: &Value, name: &str) -> bool {
    let labels = Map::from_iter([("kubernetes.io/metadata.name".to_owned(), Value::from(name))]);
    selects(&webhook["namespaceSelector"], &labels)
}

#[test]
fn each_pod_is_asked_about_once() {
    let objects = Feature::named("self-managed").render();
    let webhooks = objects.webhooks();
    assert_eq!(webhooks.len(), 2);
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    for fixture in fixtures::all() {
        let review: Value = serde_json::from_str(&fixture.review).unwrap();
        let request = &review["request"];
        if request["kind"]["kind"] != "Pod" || request["operation"] != "CREATE" {
            continue;
        }
        let none = Map::new();
        let labels = request["object"]["metadata"].get("labels").and_then(Value::as_object).unwrap_or(&none);
        let matching: Vec<&str> = webhooks
            .iter()
            .filter(|webhook| selects(&webhook["objectSelector"], labels))
            .map(|webhook| text(&webhook["name"]))
            .collect();
        assert_eq!(matching.len(), 1, "{}: {matching:?}", fixture.name());
        *asked.entry(matching[0]).or_default() += 1;
    }
    assert!(asked[DAEMONS] > 50 && asked[OTHERS] > 20, "{asked:?}");
}

/// The labels are those of the catalogue, as far as a selector can say them.
#[test]
fn the_daemons_are_those_of_the_catalogue() {
    let mut features: Vec<Objects> = Vec::new();
    let mut catalogues = Vec::new();
    for feature in Feature::all() {
        catalogues.push(catalogue(&feature));
        features.push(feature.render());
    }
    for (name, text) in BUILT_IN {
        catalogues.push(Catalogue::read([(name, text)]).unwrap());
        features.push(Feature::named("minimal").render_with(&["--set", &format!("builtInSystems={{{name}}}")]));
    }
    for (objects, catalogue) in features.iter().zip(catalogues) {
        let roles = catalogue.systems().iter().flat_map(|system| &system.roles);
        let with_networks = roles.filter(|role| matches!(role.treatment, Treatment::Networks(_)));
        let rules = with_networks.flat_map(|role| &role.rules);
        let expected: BTreeSet<&str> = rules.filter_map(|rule| rule.only_value("app")).collect();
        let storage = objects.about_pods().into_iter().filter(|webhook| webhook["name"] != CLIENTS);
        let listed = |webhook: &Value| -> BTreeSet<String> {
            let values = &webhook["objectSelector"]["matchExpressions"][0]["values"];
            texts(values).into_iter().map(str::to_owned).collect()
        };
        let found: Vec<(&str, BTreeSet<String>)> = storage
            .map(|webhook| {
                let has_selector = webhook.get("objectSelector").is_some();
                (text(&webhook["name"]), if has_selector { listed(webhook) } else { BTreeSet::new() })
            })
            .collect();
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        // A list of nothing is no selector: where no label tells enough, everything is among the others.
        let entries = if expected.is_empty() { &[OTHERS][..] } else { &[DAEMONS, OTHERS] };
        let entries: Vec<(&str, BTreeSet<String>)> = entries.iter().map(|entry| (*entry, expected.clone())).collect();
        assert_eq!(found, entries);
    }
    let alone = |name: &str| {
        let objects = Feature::named("minimal").render_with(&["--set", &format!("builtInSystems={{{name}}}")]);
        objects.webhooks().len()
    };
    assert_eq!((alone("ceph"), alone("nfs")), (2, 1));
}

#[test]
fn the_webhook_never_stands_in_its_own_way() {
    for feature in Feature::all() {
        let objects = feature.render();
        let namespaces = feature.values()["namespaces"].clone();
        for webhook in objects.about_pods() {
            let name = format!("{}: {}", feature.name, webhook["name"]);
            for namespace in texts(&namespaces) {
                // Every pod is asked about once.
                assert_eq!(selects_namespace(webhook, namespace), webhook["name"] != CLIENTS, "{name}");
            }
            for namespace in [NAMESPACE, "kube-system", "default"] {
                assert!(!selects_namespace(webhook, namespace), "{name}");
            }
            // Also where somebody has put them on the list.
            let expressions = list(&webhook["namespaceSelector"]["matchExpressions"]);
            let mut by_name = expressions.iter().filter(|one| one["key"] == "kubernetes.io/metadata.name");
            let never = by_name.find(|one| one["operator"] == "NotIn").unwrap();
            assert_eq!(texts(&never["values"]), [NAMESPACE, "kube-system"], "{name}");

            assert_eq!(
                webhook["rules"],
                json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}])
            );
            for (field, value) in
                [("matchPolicy", "Equivalent"), ("reinvocationPolicy", "IfNeeded"), ("sideEffects", "None")]
            {
                assert_eq!(webhook[field], value, "{name}");
            }
            assert_eq!(
                webhook["clientConfig"]["service"],
                json!({"name": RELEASE, "namespace": NAMESPACE, "path": "/mutate", "port": 443})
            );
            let failing = [("fail-daemons", DAEMONS), ("clients-by-label", CLIENTS)]
                .contains(&(feature.name.as_str(), text(&webhook["name"])));
            assert_eq!(webhook["failurePolicy"], if failing { "Fail" } else { "Ignore" }, "{name}");
            assert_eq!(webhook["timeoutSeconds"], if feature.name == "fail-daemons" { 10 } else { 5 }, "{name}");
        }
    }
}

#[test]
fn clients_are_asked_about_where_it_is_said() {
    let clients = |name: &str| {
        let objects = Feature::named(name).render();
        let webhook = objects.webhooks().iter().find(|webhook| webhook["name"] == CLIENTS).cloned();
        webhook.unwrap_or_else(|| panic!("{name} has no clients"))
    };
    assert!(Feature::named("minimal").render().webhooks().iter().all(|webhook| webhook["name"] != CLIENTS));
    let listed = clients("clients");
    for (namespace, asked) in [("shop", true), ("reports", true), ("rook-ceph", false), ("default", false)] {
        assert_eq!(selects_namespace(&listed, namespace), asked, "{namespace}");
    }
    assert!(listed.get("objectSelector").is_none(), "a namespace asks for all of its pods");

    let selected = clients("clients-by-label");
    let selects = |labels: Value| selects(&selected["namespaceSelector"], labels.as_object().unwrap());
    let name = "kubernetes.io/metadata.name";
    assert!(selects(json!({name: "shop", "storage-clients": "yes"})));
    assert!(!selects(json!({name: "shop"})));
    assert!(!selects(json!({name: "shop", "storage-clients": "yes", "environment": "test"})));
    for never in [NAMESPACE, "kube-system", "rook-ceph"] {
        assert!(!selects(json!({name: never, "storage-clients": "yes"})), "{never}");
    }
}

#[test]
fn an_authority_comes_from_where_the_mode_says() {
    for feature in Feature::all() {
        let objects = feature.render();
        let provided = feature.values()["tls"]["mode"] == "provided";
        for webhook in objects.webhooks().iter().chain(objects.validating()) {
            let bundle = webhook["clientConfig"].get("caBundle").map(|bundle| {
                String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text(bundle)).unwrap()).unwrap()
            });
            let expected = provided.then(|| text(&feature.values()["tls"]["provided"]["ca"]).to_owned());
            assert_eq!(bundle, expected, "{}", feature.name);
        }
        if feature.is_self_managed() {
            let secret = objects.only("Secret");
            assert_eq!(secret["metadata"]["name"], "rook-multihome-ca");
            for field in ["data", "stringData", "immutable"] {
                assert!(secret.get(field).is_none(), "{}: what is named here would be taken back", feature.name);
            }
        }
        let environment = list(&objects.pod()["containers"][0]["env"]);
        let mode = environment.iter().find(|variable| variable["name"] == "ROOK_MULTIHOME_TLS_MODE").unwrap();
        assert_eq!(mode["value"], if feature.is_self_managed() { "self-managed" } else { "files" }, "{}", feature.name);
        assert_eq!(objects.arguments().contains(&"--cert-dir=/certs"), !feature.is_self_managed(), "{}", feature.name);
    }

    let objects = Feature::named("cert-manager").render();
    let certificate =
        *objects.of("Certificate").iter().find(|one| one["metadata"]["name"] == "rook-multihome-tls").unwrap();
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let from = &objects.only(kind)["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
        assert_eq!(from, "webhooks/rook-multihome-tls");
    }
    assert_eq!(certificate["spec"]["dnsNames"], json!(["rook-multihome.webhooks.svc"]));
    assert_eq!(certificate["spec"]["secretName"], objects.pod()["volumes"][0]["secret"]["secretName"]);
    assert_eq!(certificate["spec"]["privateKey"]["rotationPolicy"], "Always");
    let issuer = &certificate["spec"]["issuerRef"]["name"];
    assert!(
        objects.of("Issuer").iter().any(|one| &one["metadata"]["name"] == issuer && one["spec"].get("ca").is_some())
    );

    let objects = Feature::named("client-auth").render();
    for argument in ["--client-ca=/client-ca/ca.crt", "--client-name=kube-apiserver", "--client-name=CN: with a colon"]
    {
        assert!(objects.arguments().contains(&argument), "{argument}");
    }
    assert_eq!(objects.pod()["volumes"][0]["secret"]["secretName"], "front-proxy-ca");
}

#[test]
fn what_an_older_kubernetes_lacks_is_left_out() {
    for (version, budget, evicts, conditions) in [
        ("1.20", "policy/v1beta1", false, false),
        ("1.21", "policy/v1", false, false),
        ("1.26", "policy/v1", false, false),
        ("1.27", "policy/v1", true, false),
        ("1.28", "policy/v1", true, true),
        ("v1.30.3-gke.100", "policy/v1", true, true),
        ("1.36", "policy/v1", true, true),
    ] {
        let objects = Feature::named("minimal").render_with(&["--kube-version", version]);
        let disruption = objects.only("PodDisruptionBudget");
        assert_eq!(disruption["apiVersion"], budget, "{version}");
        assert_eq!(disruption["spec"].get("unhealthyPodEvictionPolicy").is_some(), evicts, "{version}");
        for webhook in objects.about_pods() {
            assert_eq!(webhook.get("matchConditions").is_some(), conditions, "{version}");
            for condition in webhook.get("matchConditions").map(list).into_iter().flatten() {
                // Total: a field is looked at only after it is known to be there.
                let expression = text(&condition["expression"]);
                assert!(expression.starts_with("!has(object.metadata.annotations) || !('"), "{expression}");
            }
        }
    }
    try_render(&["--set", "namespaces={rook-ceph}", "--kube-version", "1.19"]).unwrap_err();
}
