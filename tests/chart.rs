//! The chart, rendered by the real helm with every file of values in `charts/rook-multihome/ci`, and held to what it promises:
//! the least rights, pods that hold to the strictest rules, nothing that differs from one rendering to the next.
//!
//! `BLESS=1` writes the tables of the chart's README anew, from the comments in `values.yaml`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use rook_multihome::world::Concern;
use rook_multihome::world::manifests::parse_documents;
use serde_json::{Map, Value, json};
use support::control_plane::{ControlPlane, in_own_network, say};
use support::{fixtures, project};

const RELEASE: &str = "rook-multihome";
const NAMESPACE: &str = "webhooks";
/// Kinds of the chart that belong to no namespace.
const CLUSTER_WIDE: [&str; 3] = ["ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration"];

fn chart() -> PathBuf {
    project().join("charts/rook-multihome")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What helm says, or why it refused.
fn helm(arguments: &[&str]) -> Result<String, String> {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let helm = HELM.get_or_init(|| {
        let mut assets = Command::new(project().join("tests/control-plane/assets"));
        PathBuf::from(support::stdout(assets.stderr(Stdio::inherit())).trim()).join("helm")
    });
    let output = Command::new(helm).args(arguments).env_remove("KUBECONFIG").current_dir(project()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if output.status.success() { Ok(stdout) } else { Err(format!("{stderr}{stdout}")) }
}

fn try_render(arguments: &[&str]) -> Result<String, String> {
    helm(&[&["template", RELEASE, "charts/rook-multihome", "--namespace", NAMESPACE], arguments].concat())
}

/// The file of values for one feature.
struct Feature {
    name: String,
    path: String,
}

impl Feature {
    fn all() -> Vec<Self> {
        let mut features = Vec::new();
        for entry in fs::read_dir(chart().join("ci")).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let name = file.strip_suffix("-values.yaml").unwrap_or_else(|| panic!("ci/{file} is no *-values.yaml"));
            features.push(Self { name: name.to_owned(), path: path.display().to_string() });
        }
        features.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(features.len() > 15, "the values were not found");
        features
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|feature| feature.name == name).unwrap_or_else(|| panic!("no ci file {name}"))
    }

    /// What was chosen; nothing where the default was left.
    fn values(&self) -> Value {
        parse_documents(&read(&self.path)).unwrap().remove(0)
    }

    fn is_self_managed(&self) -> bool {
        matches!(self.values()["tls"]["mode"].as_str(), None | Some("self-managed"))
    }

    fn render(&self) -> Objects {
        self.render_with(&[])
    }

    fn render_with(&self, arguments: &[&str]) -> Objects {
        let text = try_render(&[&["--values", &self.path], arguments].concat());
        Objects(parse_documents(&text.unwrap_or_else(|error| panic!("{}: {error}", self.name))).unwrap())
    }
}

/// What the chart renders.
struct Objects(Vec<Value>);

impl Objects {
    fn of(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    fn only(&self, kind: &str) -> &Value {
        let found = self.of(kind);
        assert_eq!(found.len(), 1, "one {kind}");
        found[0]
    }

    fn kinds(&self) -> BTreeSet<&str> {
        self.0.iter().map(|object| text(&object["kind"])).collect()
    }

    fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]["spec"]
    }

    fn arguments(&self) -> Vec<&str> {
        list(&self.pod()["containers"][0]["args"]).iter().map(text).collect()
    }

    fn webhooks(&self) -> &Vec<Value> {
        list(&self.only("MutatingWebhookConfiguration")["webhooks"])
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

#[test]
fn it_renders_the_same_bytes_each_time() {
    for Feature { name, path } in Feature::all() {
        let lint = ["lint", "--strict", "charts/rook-multihome", "--namespace", NAMESPACE, "--values", &path];
        helm(&lint).unwrap_or_else(|error| panic!("{name}: {error}"));
        let render = || try_render(&["--values", &path]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(render(), render(), "{name}");
    }
    // What would differ each time, or from one cluster to the next.
    for entry in fs::read_dir(chart().join("templates")).unwrap() {
        let path = entry.unwrap().path();
        for word in
            ["genCA", "genSelfSigned", "genSigned", "genPrivateKey", "lookup", "rand", "uuidv4", "{{ now", "now |"]
        {
            assert!(!read(&path).contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_object_says_where_it_belongs_and_whose_it_is() {
    for feature in Feature::all() {
        let objects = feature.render();
        let mut seen = BTreeSet::new();
        for object in &objects.0 {
            let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
            let what = format!("{}: {kind} {}", feature.name, metadata["name"]);
            // Also where what is rendered goes to kubectl apply, which would otherwise take the user's own namespace.
            let namespace = if CLUSTER_WIDE.contains(&kind) { Value::Null } else { NAMESPACE.into() };
            assert_eq!(metadata["namespace"], namespace, "{what}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], RELEASE, "{what}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm", "{what}");
            assert!(seen.insert((kind, text(&metadata["name"]))), "{what} is there twice");
        }
        assert!(objects.pod().get("volumes").is_none() || !feature.is_self_managed() || feature.name == "client-auth");
    }
}

/// What the service account may do, one line for each verb.
fn rights(objects: &Objects) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for kind in ["ClusterRole", "Role"] {
        for role in objects.of(kind) {
            let bindings = objects.of(&format!("{kind}Binding"));
            let bound: Vec<_> =
                bindings.iter().filter(|one| one["roleRef"]["name"] == role["metadata"]["name"]).collect();
            assert_eq!(bound.len(), 1, "{kind} {} is bound once", role["metadata"]["name"]);
            assert_eq!(bound[0]["roleRef"]["kind"], kind);
            let account = &objects.only("ServiceAccount")["metadata"]["name"];
            assert_eq!(
                bound[0]["subjects"],
                json!([{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}])
            );
            for rule in list(&role["rules"]) {
                let names = rule.get("resourceNames").map_or(vec!["*"], texts);
                for resource in texts(&rule["resources"]) {
                    for (verb, name) in
                        texts(&rule["verbs"]).iter().flat_map(|verb| names.iter().map(move |name| (verb, name)))
                    {
                        rights.insert(format!("{kind}: {verb} {resource} {name}"));
                    }
                }
            }
        }
    }
    rights
}

#[test]
fn rights_are_the_least() {
    let watched =
        ["cephclusters", "cephobjectstores", "cephnfses", "cephnvmeofgateways", "network-attachment-definitions"];
    let watches =
        watched.iter().flat_map(|resource| ["list", "watch"].map(|verb| format!("ClusterRole: {verb} {resource} *")));
    let watches: BTreeSet<String> = watches.collect();
    let mut with_certificates = watches.clone();
    for verb in ["get", "list", "watch", "patch"] {
        with_certificates.insert(format!("ClusterRole: {verb} mutatingwebhookconfigurations rook-multihome"));
    }
    for verb in ["get", "list", "watch", "update"] {
        with_certificates.insert(format!("Role: {verb} secrets rook-multihome-ca"));
    }
    with_certificates.insert("Role: create secrets *".to_owned());
    for feature in Feature::all() {
        let expected = if feature.is_self_managed() { &with_certificates } else { &watches };
        assert_eq!(&rights(&feature.render()), expected, "{}", feature.name);
    }
}

#[test]
fn a_feature_that_is_off_leaves_nothing_behind() {
    let always = [
        "ClusterRole",
        "ClusterRoleBinding",
        "Deployment",
        "MutatingWebhookConfiguration",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ];
    let self_managed = ["Role", "RoleBinding", "Secret"];
    let and = |more: &[&'static str]| -> BTreeSet<&str> { always.iter().chain(more).copied().collect() };
    for (name, expected) in [
        ("minimal", and(&self_managed)),
        ("provided-secret", and(&[])),
        ("provided-inline", and(&["Secret"])),
        ("cert-manager", and(&["Certificate", "Issuer"])),
        ("cert-manager-issuer", and(&["Certificate"])),
        ("network-policy", and(&[&self_managed[..], &["NetworkPolicy"]].concat())),
        ("monitoring", and(&[&self_managed[..], &["ServiceMonitor", "PrometheusRule", "ConfigMap"]].concat())),
        ("gke-private", and(&[&self_managed[..], &["ResourceQuota"]].concat())),
    ] {
        assert_eq!(Feature::named(name).render().kinds(), expected, "{name}");
    }
    let single = Feature::named("single-replica").render();
    assert!(!single.kinds().contains("PodDisruptionBudget"), "one replica can always be evicted");
}

#[test]
fn pods_hold_to_the_strictest_rules() {
    for feature in Feature::all() {
        let (name, objects) = (&feature.name, feature.render());
        let deployment = objects.only("Deployment");
        let pod = objects.pod();
        let container = &pod["containers"][0];
        assert_eq!(list(&pod["containers"]).len(), 1, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        let user = if name == "openshift" { Value::Null } else { json!(65532) };
        assert_eq!(pod["securityContext"]["runAsUser"], user, "{name}");
        let security = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], security, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], true, "{name}");
        assert_eq!(pod["enableServiceLinks"], false, "{name}");

        let resources = &container["resources"];
        assert!(resources["limits"].get("cpu").is_none(), "{name}: throttling is the worst delay there is");
        assert!(resources["limits"]["memory"].is_string() && resources["requests"]["cpu"].is_string(), "{name}");
        for volume in pod.get("volumes").map(list).into_iter().flatten() {
            assert!(
                volume.get("secret").is_some(),
                "{name}: nothing on storage that it may have to bring up: {volume}"
            );
        }

        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "admin", "{name}");
        }
        let seconds = |flag: &str| -> u64 {
            let arguments = objects.arguments();
            arguments.iter().find_map(|argument| argument.strip_prefix(flag)).unwrap().parse().unwrap()
        };
        let drain = seconds("--drain-delay=") + seconds("--drain-deadline=");
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > drain, "{name}");

        let spread = list(&pod["topologySpreadConstraints"]);
        let keys: Vec<&str> = spread.iter().map(|one| text(&one["topologyKey"])).collect();
        assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"], "{name}");
        let selected = &deployment["spec"]["selector"]["matchLabels"];
        for selector in spread
            .iter()
            .map(|one| &one["labelSelector"])
            .chain(objects.of("PodDisruptionBudget").iter().map(|one| &one["spec"]["selector"]))
        {
            assert_eq!(&selector["matchLabels"], selected, "{name}");
        }
    }
    let minimal = Feature::named("minimal").render();
    assert_eq!(minimal.only("Deployment")["spec"]["replicas"], 2);
    assert_eq!(minimal.pod()["priorityClassName"], "system-cluster-critical");
    assert_eq!(minimal.only("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
}

#[test]
fn on_the_host_network_replicas_do_not_share_a_node() {
    let objects = Feature::named("eks-custom-cni").render();
    let pod = objects.pod();
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&json!(true), &json!("ClusterFirstWithHostNet")));
    let apart = &pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(apart["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(apart["labelSelector"], objects.only("Deployment")["spec"]["selector"]);
    // With as many nodes as replicas, a new one would find no place before an old one goes.
    assert_eq!(
        objects.only("Deployment")["spec"]["strategy"]["rollingUpdate"],
        json!({"maxUnavailable": 1, "maxSurge": 0})
    );
    let minimal = Feature::named("minimal").render();
    assert!(minimal.pod().get("hostNetwork").is_none() && minimal.pod().get("affinity").is_none());
}

/// Whether an object with these labels is selected.
fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    assert!(selector.get("matchLabels").is_none());
    list(&selector["matchExpressions"]).iter().all(|expression| {
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

fn selects_namespace(webhook: &Value, name: &str) -> bool {
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
    assert!(asked["daemons.multihome.rook.io"] > 50 && asked["others.multihome.rook.io"] > 20, "{asked:?}");
}

/// The labels are those of the catalogue, as far as a selector can say them.
#[test]
fn the_daemons_are_those_of_the_catalogue() {
    let catalogue = parse_documents(&read(project().join("src/storage/catalogue/ceph.yaml"))).unwrap().remove(0);
    let with_networks = list(&catalogue["roles"])
        .iter()
        .filter(|role| role["networks"].as_array().is_some_and(|keys| !keys.is_empty()));
    let rules = with_networks.flat_map(|role| list(&role["match"]));
    let mut expected: Vec<&str> = rules
        .filter_map(|rule| {
            let rule = rule.as_object().unwrap();
            assert!(
                rule.len() == 1 && rule.contains_key("app"),
                "a role of another kind; the selectors do not know it: {rule:?}"
            );
            let app = text(&rule["app"]);
            (!app.starts_with('*')).then_some(app)
        })
        .collect();
    expected.sort_unstable();
    for feature in Feature::all() {
        let objects = feature.render();
        for webhook in objects.webhooks() {
            let mut listed = texts(&webhook["objectSelector"]["matchExpressions"][0]["values"]);
            listed.sort_unstable();
            assert_eq!(listed, expected, "{}", feature.name);
        }
    }
}

#[test]
fn the_webhook_never_stands_in_its_own_way() {
    for feature in Feature::all() {
        let objects = feature.render();
        let namespaces = feature.values()["namespaces"].clone();
        for webhook in objects.webhooks() {
            let name = format!("{}: {}", feature.name, webhook["name"]);
            for namespace in texts(&namespaces) {
                assert!(selects_namespace(webhook, namespace), "{name}");
            }
            for namespace in [NAMESPACE, "kube-system", "default"] {
                assert!(!selects_namespace(webhook, namespace), "{name}");
            }
            // Also where somebody has put them on the list.
            let expressions = list(&webhook["namespaceSelector"]["matchExpressions"]);
            let never = expressions.iter().find(|one| one["operator"] == "NotIn").unwrap();
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
            let failing = feature.name == "fail-daemons" && webhook["name"] == "daemons.multihome.rook.io";
            assert_eq!(webhook["failurePolicy"], if failing { "Fail" } else { "Ignore" }, "{name}");
            assert_eq!(webhook["timeoutSeconds"], if feature.name == "fail-daemons" { 10 } else { 5 }, "{name}");
        }
    }
}

#[test]
fn an_authority_comes_from_where_the_mode_says() {
    for feature in Feature::all() {
        let objects = feature.render();
        let provided = feature.values()["tls"]["mode"] == "provided";
        for webhook in objects.webhooks() {
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
    let from =
        &objects.only("MutatingWebhookConfiguration")["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
    assert_eq!(from, "webhooks/rook-multihome-tls");
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
        for webhook in objects.webhooks() {
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

#[test]
fn what_is_wrong_is_said() {
    let pem = "tls.provided.ca=-----BEGIN CERTIFICATE-----";
    for (values, said) in [
        (&[][..], "namespaces is empty: name the namespaces of your storage clusters"),
        (&["namespaces={rook-ceph,webhooks}"], "namespaces has webhooks, where this release is installed"),
        (&["namespaces={kube-system}"], "namespaces has kube-system"),
        (&["namespaces={a}", "colour=red"], "colour"),
        (&["namespaces={a}", "tls.selfManaged.colour=red"], "colour"),
        (&["namespaces={a}", "tls.selfManaged.caLifetime=1y"], "caLifetime"),
        (&["namespaces={a}", "settings.outcomes.tired=warn"], "tired"),
        (&["namespaces={a}", "webhook.daemons.failurePolicy=Maybe"], "failurePolicy"),
        (&["namespaces={a}", "webhookPort=443"], "webhookPort"),
        (&["namespaces={a}", "webhookPort=8080"], "webhookPort and adminPort are both 8080"),
        (&["namespaces={a}", "tls.mode=provided"], "tls.provided.ca is empty: give the PEM text"),
        (&["namespaces={a}", "tls.mode=provided", "tls.provided.ca=ca.crt"], "tls.provided.ca is no PEM text"),
        (&["namespaces={a}", "tls.mode=provided", pem, "tls.provided.key=k"], "set both"),
        (&["namespaces={a}", pem], "tls.provided is given, but tls.mode is self-managed"),
        (&["namespaces={a}", "tls.clientAuth.names={b}"], "without tls.clientAuth.caSecretName"),
        (&["namespaces={a}", "hostNetwork=true", "networkPolicy.enabled=true"], "no effect on the host network"),
        (&["namespaces={a}", "criticalPodsQuota=true", "priorityClassName="], "there is nothing to allow"),
        // As 0.1.0 had them.
        (
            &["namespaces={a}", "tls.ca=c", "tls.key=k"],
            "tls.ca is now tls.provided.ca, tls.key is now tls.provided.key",
        ),
        (
            &["namespaces={a}", "webhook.failurePolicy=Fail"],
            "webhook.failurePolicy is now webhook.daemons.failurePolicy",
        ),
    ] {
        let arguments: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
        let error = try_render(&arguments).expect_err(said);
        assert!(error.contains(said), "{values:?}: {error}");
    }
}

#[test]
fn the_notes_say_what_to_do_next() {
    for (name, said) in [
        ("minimal", "kubectl --namespace webhooks exec deployment/rook-multihome -- rook-multihome certs status"),
        ("cert-manager", "kubectl --namespace webhooks describe certificate rook-multihome-tls"),
        ("provided-secret", "kubectl --namespace webhooks get secret webhook-certificate"),
        ("provided-inline", "The certificate is yours to renew"),
        ("fail-daemons", "pods of Ceph that belong on a network are refused"),
        ("audit-mode", "It changes none of them"),
        ("self-managed", "looks at pods that are created in: rook-ceph, rook-ceph-external."),
    ] {
        let path = Feature::named(name).path;
        let install = [
            "install",
            RELEASE,
            "charts/rook-multihome",
            "--namespace",
            NAMESPACE,
            "--dry-run=client",
            "--values",
            &path,
        ];
        let printed = helm(&install).unwrap();
        assert!(printed.contains(said), "{name}: {printed}");
        assert!(printed.contains("rollout status deployment/rook-multihome"), "{name}");
    }
}

#[test]
fn the_network_policy_lets_in_reviews_and_out_to_the_api_server() {
    let objects = Feature::named("network-policy").render();
    let policy = &objects.only("NetworkPolicy")["spec"];
    assert_eq!(policy["podSelector"], objects.only("Deployment")["spec"]["selector"]);
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let reviews = json!({"ports": [{"port": 8443, "protocol": "TCP"}]});
    let metrics = json!({
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    });
    assert_eq!(policy["ingress"], json!([reviews, metrics]));
    let api_server =
        json!({"ports": [{"port": 6443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]});
    assert_eq!(policy["egress"], json!([api_server]));

    // Without peers, nobody: an empty list of them would mean everybody.
    let objects = Feature::named("minimal").render_with(&["--set", "networkPolicy.enabled=true"]);
    let policy = &objects.only("NetworkPolicy")["spec"];
    assert_eq!(policy["ingress"], json!([reviews]));
    let ports = json!([{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]);
    assert_eq!(policy["egress"], json!([{"ports": ports}]));
}

#[test]
fn metrics_have_a_service_of_their_own() {
    let objects = Feature::named("monitoring").render();
    let monitor = &objects.only("ServiceMonitor")["spec"];
    let wanted = monitor["selector"]["matchLabels"].as_object().unwrap();
    let services = objects.of("Service");
    let selected: Vec<_> = services
        .iter()
        .filter(|service| wanted.iter().all(|(label, value)| &service["metadata"]["labels"][label] == value))
        .collect();
    assert_eq!(selected.len(), 1, "not the Service of the webhook as well");
    assert_eq!(selected[0]["metadata"]["name"], "rook-multihome-metrics");
    assert_eq!(selected[0]["spec"]["ports"][0]["name"], monitor["endpoints"][0]["port"]);
    assert_eq!(monitor["endpoints"][0]["interval"], "15s");
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(objects.only(kind)["metadata"]["labels"]["release"], "prometheus");
    }
}

#[test]
fn the_dashboard_loads() {
    let file = read(chart().join("dashboards/rook-multihome.json"));
    let objects = Feature::named("monitoring").render();
    let config_map = objects.only("ConfigMap");
    assert_eq!(text(&config_map["data"]["rook-multihome.json"]), file.trim_end(), "as it is in the file");
    assert_eq!(config_map["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard: Value = serde_json::from_str(&file).unwrap();
    let variables: Vec<&str> = list(&dashboard["templating"]["list"]).iter().map(|one| text(&one["name"])).collect();
    assert_eq!(variables, ["datasource", "namespace"]);

    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its number is another's");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is too wide");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies over another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!text(&panel["description"]).is_empty(), "{title} does not say what it shows");
        for target in list(&panel["targets"]) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let query = text(&target["expr"]);
            assert!(
                !query.contains("rook_multihome_") || query.contains("namespace=\"$namespace\""),
                "{title}: {query}"
            );
        }
    }
}

#[test]
fn every_alert_says_what_to_do() {
    for (name, with_authority) in [("monitoring", true), ("monitoring-cert-manager", false)] {
        let objects = Feature::named(name).render();
        let rule = objects.only("PrometheusRule");
        let mut alerts = BTreeSet::new();
        for group in list(&rule["spec"]["groups"]) {
            for rule in list(&group["rules"]) {
                let alert = text(&rule["alert"]);
                assert!(alert.starts_with("RookMultihome") && alerts.insert(alert), "{alert}");
                assert!(["warning", "critical"].contains(&text(&rule["labels"]["severity"])), "{alert}");
                let (summary, description) =
                    (text(&rule["annotations"]["summary"]), text(&rule["annotations"]["description"]));
                assert!(summary.ends_with('.') && description.ends_with('.'), "{alert}: {summary} {description}");
                assert!(description.contains("kubectl ") || description.contains("Renew "), "{alert}: {description}");
                assert!(!description.contains("  "), "{alert}: {description}");
                let reasons =
                    text(&rule["expr"]).split_once("reason=~\"").map(|(_, after)| after.split('"').next().unwrap());
                for reason in reasons.into_iter().flat_map(|reasons| reasons.split('|')) {
                    assert!(Concern::ALL.iter().any(|concern| concern.name() == reason), "{alert}: {reason}");
                }
            }
        }
        assert!(alerts.len() > 10, "{alerts:?}");
        // What is about an authority of the replicas' own would be false or silent where there is none.
        let about_authority =
            alerts.iter().filter(|alert| alert.contains("MultihomeCa") || alert.contains("CaBundle")).count();
        assert_eq!(about_authority, if with_authority { 3 } else { 0 }, "{alerts:?}");
    }
    // A tenth of seven days; half of the thirty days before the end at which cert-manager should have renewed.
    for (name, seconds) in [("monitoring", "60480"), ("monitoring-cert-manager", "1296000")] {
        let objects = Feature::named(name).render();
        assert!(objects.only("PrometheusRule").to_string().contains(&format!("time() < {seconds}\\n")), "{name}");
    }
}

/// The names of our metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| word.starts_with("rook_multihome_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_are_about_metrics_that_there_are() {
    let documented = metrics_in(&read(project().join("docs/metrics.md")));
    let objects = Feature::named("monitoring").render();
    for kind in ["PrometheusRule", "ConfigMap"] {
        let used = metrics_in(&objects.only(kind).to_string().replace("\\n", " "));
        assert!(used.len() > 8, "{kind}: {used:?}");
        let unknown: Vec<&String> = used
            .iter()
            .filter(|metric| {
                let base = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
                !documented.contains(*metric) && !base.is_some_and(|base| documented.contains(base))
            })
            .collect();
        assert!(unknown.is_empty(), "{kind} has metrics that docs/metrics.md does not describe: {unknown:?}");
    }
}

#[test]
fn flags_and_variables_are_those_of_the_program() {
    let help = |command: &[&str]| support::stdout(support::program().args(command).arg("--help"));
    // What only people run in the container is for them.
    let help = help(&["serve"]) + &help(&["certs", "status"]);
    let mut unknown = BTreeSet::new();
    for feature in Feature::all() {
        let objects = feature.render();
        for argument in objects.arguments().into_iter().filter(|argument| argument.starts_with("--")) {
            let flag = argument.split('=').next().unwrap();
            if !help.contains(&format!("{flag} ")) && !help.contains(&format!("{flag}\n")) {
                unknown.insert(flag.to_owned());
            }
        }
        for variable in list(&objects.pod()["containers"][0]["env"]) {
            let name = text(&variable["name"]);
            if name.starts_with("ROOK_MULTIHOME_") && !help.contains(&format!("[env: {name}=")) {
                unknown.insert(name.to_owned());
            }
        }
    }
    assert!(unknown.is_empty(), "the chart uses what the program does not know: {unknown:?}");
}

/// The paths of all values below an object, down to what is no object or an empty one.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(object) if !object.is_empty() => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Compares objects whose keys the chart decides; what belongs to Kubernetes or to the user is not looked into.
fn compare_keys(path: &str, schema: &Value, defaults: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
    let defaults = defaults.as_object().unwrap();
    if defaults.is_empty() {
        return;
    }
    let moved = json!({"$ref": "#/definitions/moved"});
    let known: BTreeSet<&String> =
        properties.iter().filter(|(key, schema)| **schema != moved && *key != "global").map(|(key, _)| key).collect();
    assert_eq!(known, defaults.keys().collect(), "{path}");
    for key in known {
        compare_keys(&format!("{path}/{key}"), &properties[key], &defaults[key]);
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&read(chart().join("values.schema.json"))).unwrap();
    let defaults = parse_documents(&read(chart().join("values.yaml"))).unwrap().remove(0);
    compare_keys("", &schema, &defaults);

    let outcomes = schema["properties"]["settings"]["properties"]["outcomes"]["patternProperties"].as_object().unwrap();
    let pattern = outcomes.keys().next().unwrap().trim_start_matches("^(").trim_end_matches(")$");
    let mut known: Vec<&str> = pattern.split('|').collect();
    known.sort_unstable();
    let mut concerns: Vec<&str> = Concern::ALL.iter().map(|concern| concern.name()).collect();
    concerns.sort_unstable();
    assert_eq!(known, concerns);
}

/// One value with what the comment above it says.
struct Described {
    section: String,
    path: String,
    about: String,
}

/// Reads the comments of `values.yaml`: `## ` begins a section, `# -- ` describes the value below.
fn described(values: &str) -> Vec<Described> {
    let mut described = Vec::new();
    let mut section = String::new();
    let mut about: Option<String> = None;
    let mut keys: Vec<(usize, String)> = Vec::new();
    for line in values.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        } else if let Some(begin) = content.strip_prefix("# -- ") {
            about = Some(begin.to_owned());
        } else if let Some(more) = content.strip_prefix("# ") {
            if let Some(about) = &mut about {
                about.push(' ');
                about.push_str(more);
            }
        } else if let Some((key, _)) = content.split_once(':') {
            keys.retain(|(of, _)| *of < indent);
            keys.push((indent, key.to_owned()));
            if let Some(about) = about.take() {
                let path: Vec<&str> = keys.iter().map(|(_, key)| key.as_str()).collect();
                described.push(Described { section: section.clone(), path: path.join("."), about });
            }
        }
    }
    described
}

#[test]
fn the_readme_has_every_value() {
    const BEGIN: &str =
        "<!-- Written by tests/chart.rs from the comments in values.yaml: BLESS=1 cargo test --test chart -->\n";
    const END: &str = "<!-- The end of what is written by tests/chart.rs -->";
    let text = read(chart().join("values.yaml"));
    let defaults = parse_documents(&text).unwrap().remove(0);
    let described = described(&text);

    let mut all = Vec::new();
    leaves(&defaults, "", &mut all);
    for leaf in all {
        let has_words = |one: &Described| leaf == one.path || leaf.starts_with(&format!("{}.", one.path));
        assert!(described.iter().any(has_words), "values.yaml has {leaf}, and no comment with `# -- ` describes it");
    }

    let mut tables = String::new();
    let mut section = "";
    for one in &described {
        if one.section != section {
            section = &one.section;
            tables.push_str(&format!("\n### {section}\n\n| value | default | what it is for |\n|---|---|---|\n"));
        }
        let default = defaults.pointer(&format!("/{}", one.path.replace('.', "/"))).unwrap();
        assert!(one.about.ends_with('.'), "{}: {}", one.path, one.about);
        tables.push_str(&format!("| `{}` | `{default}` | {} |\n", one.path, one.about.replace('|', "\\|")));
    }
    tables.push('\n');

    let path = chart().join("README.md");
    let readme = read(&path);
    let (head, rest) = readme.split_once(BEGIN).expect("the line after which the tables begin");
    let (_, tail) = rest.split_once(END).expect("the line before which they end");
    support::expect_file(&path, &format!("{head}{BEGIN}{tables}{END}{tail}"));
}

/// A real API server takes everything, and an upgrade takes nothing away that others have written.
#[test]
fn a_cluster_takes_it() {
    in_own_network("a_cluster_takes_it", || {
        let plane = ControlPlane::start();
        plane.kubectl(&["create", "namespace", NAMESPACE]);
        let version: Value = serde_json::from_str(&plane.kubectl(&["get", "--raw", "/version"])).unwrap();
        every_object_is_valid(&plane, text(&version["gitVersion"]));
        an_upgrade_takes_nothing_away(&plane);
    });
}

fn every_object_is_valid(plane: &ControlPlane, version: &str) {
    for feature in Feature::all() {
        say(&format!("applying {} for {version}", feature.name));
        let Objects(mut objects) = feature.render_with(&["--kube-version", version]);
        // Custom resources of others, which are not installed here.
        let foreign = ["cert-manager.io/v1", "monitoring.coreos.com/v1"];
        objects.retain(|object| !foreign.contains(&text(&object["apiVersion"])));
        let all = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        // As Helm does it: a field that the server does not know is an error.
        let apply = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        plane.try_kubectl(&apply, &all.to_string()).unwrap_or_else(|error| panic!("{}: {error}", feature.name));
    }
}

fn an_upgrade_takes_nothing_away(plane: &ControlPlane) {
    let release = |command: &str, more: &[&str]| {
        let common =
            [command, RELEASE, "charts/rook-multihome", "--namespace", NAMESPACE, "--set", "namespaces={rook-ceph}"];
        plane.helm(&[&common[..], more].concat());
    };
    let secret = || plane.get(&["secret", "rook-multihome-ca", "-n", NAMESPACE])["data"].clone();
    let bundles = || -> Vec<Value> {
        let configuration = plane.get(&["mutatingwebhookconfiguration", RELEASE]);
        list(&configuration["webhooks"]).iter().map(|webhook| webhook["clientConfig"]["caBundle"].clone()).collect()
    };
    let authority = read(plane.path("pki/ca.crt"));
    let bundle = base64::engine::general_purpose::STANDARD.encode(&authority);

    say("installing, and writing what the replicas write");
    release("install", &[]);
    assert_eq!((secret(), bundles()), (Value::Null, vec![Value::Null, Value::Null]));
    let token = plane.kubectl(&["create", "token", RELEASE, "-n", NAMESPACE]);
    let replica = plane.kubeconfig("replica.kubeconfig", token.trim()).display().to_string();
    let write = |arguments: &[&str]| plane.kubectl(&[&["--kubeconfig", &replica], arguments].concat());
    let mut written = plane.get(&["secret", "rook-multihome-ca", "-n", NAMESPACE]);
    written["data"] = json!({"ca.crt": bundle});
    plane.try_kubectl(&["--kubeconfig", &replica, "replace", "-f", "-"], &written.to_string()).unwrap();
    let patches = ["daemons", "others"]
        .map(|name| json!({"name": format!("{name}.multihome.rook.io"), "clientConfig": {"caBundle": bundle}}));
    let patch = json!({"webhooks": patches});
    write(&["patch", "mutatingwebhookconfiguration", RELEASE, "--type=strategic", "--patch", &patch.to_string()]);
    let unchanged = || {
        assert_eq!(secret(), json!({"ca.crt": bundle}));
        assert_eq!(bundles(), [bundle.as_str(); 2]);
    };
    unchanged();

    say("upgrading");
    release("upgrade", &["--set", "webhook.timeoutSeconds=7"]);
    assert_eq!(plane.get(&["mutatingwebhookconfiguration", RELEASE])["webhooks"][1]["timeoutSeconds"], 7);
    unchanged();
    // Helm 3 knows no other way than this.
    let on_the_client =
        if plane.helm(&["version", "--short"]).starts_with("v3") { &[][..] } else { &["--server-side=false"] };
    release("upgrade", &[on_the_client, &["--set", "webhook.timeoutSeconds=8"]].concat());
    assert_eq!(plane.get(&["mutatingwebhookconfiguration", RELEASE])["webhooks"][1]["timeoutSeconds"], 8);
    unchanged();

    say("making the Secret again, as a replica does when it is gone, and upgrading over it");
    plane.kubectl(&["delete", "secret", "rook-multihome-ca", "-n", NAMESPACE]);
    let again = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rook-multihome-ca", "namespace": NAMESPACE}, "type": "Opaque", "data": {"ca.crt": bundle}});
    plane.try_kubectl(&["--kubeconfig", &replica, "create", "-f", "-"], &again.to_string()).unwrap();
    release("upgrade", &[]);
    unchanged();

    say("the replicas may do no more than that");
    plane.apply_file("tests/control-plane/crds.yaml");
    let may = |arguments: &[&str]| {
        let account = format!("system:serviceaccount:{NAMESPACE}:{RELEASE}");
        plane.try_kubectl(&[&["auth", "can-i", "--quiet", "--as", &account], arguments].concat(), "").is_ok()
    };
    assert!(may(&["watch", "cephclusters.ceph.rook.io", "--all-namespaces"]));
    for beyond in [
        &["get", "secret/another", "-n", NAMESPACE][..],
        &["list", "secrets", "-n", NAMESPACE],
        &["delete", "secret/rook-multihome-ca", "-n", NAMESPACE],
        &["create", "secrets", "-n", "default"],
        &["patch", "mutatingwebhookconfiguration/another"],
        &["delete", "mutatingwebhookconfiguration/rook-multihome"],
        &["create", "pods", "-n", NAMESPACE],
    ] {
        assert!(!may(beyond), "{beyond:?}");
    }

    say("uninstalling");
    plane.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE]);
    for kind in ["mutatingwebhookconfiguration", "clusterrole", "clusterrolebinding", "secret", "role"] {
        let left =
            plane.kubectl(&["get", kind, "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/managed-by=Helm"]);
        assert_eq!(left.trim(), "", "{kind}");
    }
    let left = plane.try_kubectl(&["get", "secret", "rook-multihome-ca", "-n", NAMESPACE], "");
    assert!(left.is_err(), "the authority's key goes with the release");
}
