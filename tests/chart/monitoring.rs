//! Metrics, alerts and the dashboard.

use std::collections::BTreeSet;

use rook_multihome::world::Concern;
use serde_json::Value;

use crate::rendered::{Feature, chart, list, read, text};
use crate::support::project;

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
