//! The values: what is wrong with them is said, and each is in the schema, in the README and in the program's help.

use std::collections::BTreeSet;

use rook_multihome::world::Concern;
use rook_multihome::world::manifests::parse_documents;
use serde_json::{Value, json};

use crate::rendered::{Feature, chart, helm, list, read, text, try_render};
use crate::support;
use crate::{NAMESPACE, RELEASE};

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
        (&["namespaces={a}", "settings.deviceResources=never"], "deviceResources"),
        (&["namespaces={a}", "settings.interfaceNames=net0"], "interfaceNames"),
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
        (&["namespaces={a}", "builtInSystems={ceph,glusterfs}"], "builtInSystems"),
        (&["namespaces={a}", "builtInSystems={}"], "builtInSystems"),
        (
            &["namespaces={a}", "builtInSystems={nfs}", "settings.attachCsiNodePluginsAndRiskHungMounts=true"],
            "no system has CSI node plugins",
        ),
        (&["namespaces={a}", "clients.namespaces={b,kube-system}"], "clients.namespaces has kube-system"),
        (&["namespaces={a}", "clients.namespaces={webhooks}"], "clients.namespaces has webhooks, where this release"),
        (&["namespaces={a,b}", "clients.namespaces={b}"], "its pods are asked about already"),
        (
            &["namespaces={a}", "clients.namespaces={b}", "clients.namespaceSelector.matchLabels.c=d"],
            "keep one of the two",
        ),
        (&["namespaces={a}", "validation.enabled=false", "validation.deny=error"], "nobody asks about it"),
        (&["namespaces={a}", "validation.enabled=false", "validation.definitionsInUse=deny"], "nobody asks about it"),
        (&["namespaces={a}", "validation.failurePolicy=Fail"], "wait for an answer that cannot say no"),
        (&["namespaces={a}", "validation.deny=all"], "deny"),
        (&["namespaces={a}", "validation.networkNamespaces={kube-system}"], "networkNamespaces has kube-system"),
        (&["namespaces={a}", "validation.networkNamespaces={webhooks}"], "networkNamespaces has webhooks, where this"),
        (&["namespaces={a}", "networks.podCidrs={10.244.0.0}"], "podCidrs"),
        (&["namespaces={a}", "networks.hostCidrs={none}"], "hostCidrs"),
        (&["namespaces={a}", "networks.globalNamespaces={b}"], "without isolation, every namespace is global"),
        (&["namespaces={a}", "builtInSystems={nfs}", "addressRanges.write=true"], "no system has CephClusters"),
        // As --reuse-values leaves them.
        (&["namespaces={a}", "builtInSystems=null"], "upgrade with --reset-then-reuse-values"),
        (&["namespaces={a}", "systems=null"], "systems has no value: leave it out for its default"),
        (&["namespaces={a}", "clients=null"], "clients has no value: leave it out for its default"),
        (&["namespaces={a}", "validation=null"], "validation has no value: leave it out for its default"),
        (&["namespaces={a}", "networks=null"], "networks has no value: leave it out for its default"),
        (&["namespaces={a}", "addressRanges=null"], "addressRanges has no value: leave it out for its default"),
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
fn systems_that_contradict_each_other_are_told_apart() {
    let own = Feature::named("own-system");
    for (values, said) in [
        (&["systems[0].system=ceph"][..], "systems describes ceph, and a system of this name is built in"),
        (
            &[
                "systems[0].clusters[0].resource.plural=cephclusters",
                "systems[0].clusters[0].resource.group=ceph.rook.io",
            ],
            "cephclusters.ceph.rook.io: clusters of ceph and of garage: leave one of the two systems out",
        ),
        (
            &["systems[0].clusters[0].resource.kind=CephCluster", "systems[0].clusters[0].resource.group=ceph.rook.io"],
            "the kind CephCluster of ceph.rook.io: clusters of ceph and of garage",
        ),
        (&["systems[0].system=custom"], "give the system another name"),
        (&["systems[0].roles[0].name=client"], "garage has a role client"),
        (
            &["systems[0].roles[0].networks[1]=back"],
            "garage names the network back for its role node, and has no such key",
        ),
        (&["systems[0].client=front"], "garage names the network front for client"),
        (&["systems[0].keys[1].fallback=front"], "garage names the network front for a fallback"),
        (&["systems[0].roles[0].match[0].app=not a label!"], "systems/0/roles/0/match/0/app"),
        (&["systems[0].roles[0].match[0].not\\ a\\ key=x"], "not a key"),
        (&["systems[0].system=My_System"], "systems/0/system"),
        (&["systems[0].roles[0].ownerKinds={statefulset}"], "ownerKinds"),
    ] {
        let arguments: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
        let error = try_render(&[&["--values", &own.path], &arguments[..]].concat()).expect_err(said);
        assert!(error.contains(said), "{values:?}: {error}");
    }
    let system = own.values()["systems"][0].to_string();
    let twice = format!("systems=[{system},{system}]");
    let error = try_render(&["--values", &own.path, "--set-json", &twice]).unwrap_err();
    assert!(error.contains("systems describes garage twice"), "{error}");
    // The one that is built in may be replaced.
    let replaced = ["--set", "systems[0].system=nfs"];
    assert!(try_render(&[&["--values", &own.path], &replaced[..]].concat()).is_ok());
}

#[test]
fn the_notes_say_what_to_do_next() {
    for (name, said) in [
        ("minimal", "kubectl --namespace webhooks exec deployment/rook-multihome -- rook-multihome certs status"),
        ("cert-manager", "kubectl --namespace webhooks describe certificate rook-multihome-tls"),
        ("provided-secret", "kubectl --namespace webhooks get secret webhook-certificate"),
        ("provided-inline", "The certificate is yours to renew"),
        ("fail-daemons", "pods that belong on a network are refused"),
        ("audit-mode", "It changes none of them"),
        (
            "minimal",
            "It knows clusters of ceph, edgefs, cassandra, cockroachdb, minio, nfs, yugabytedb, and watches these",
        ),
        ("minimal", "clusterRef: { group: cassandra.rook.io, kind: Cluster, name: NAME }"),
        ("own-system", "interfaces: { client: client-net, replication: replication-net }"),
        ("crds-elsewhere", "rook-multihome print crd | kubectl apply -f -"),
        ("clients", "Pods of shop, reports may ask for the network of a cluster's clients."),
        ("clients-by-label", "of a cluster's clients; none is created there while no answer comes."),
        (
            "minimal",
            "Networks are checked when they are written: what clusters, StorageNetworks and attachment definitions declare. kubectl prints what is found as warnings.",
        ),
        (
            "validation-deny",
            "as warnings; with findings of severity error, they are refused. A definition that storage uses cannot be taken away.",
        ),
        ("address-ranges", "It writes address ranges into CephClusters that declare none."),
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
        "<!-- Written by tests/chart from the comments in values.yaml: BLESS=1 cargo test --test chart -->\n";
    const END: &str = "<!-- The end of what is written by tests/chart -->";
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
