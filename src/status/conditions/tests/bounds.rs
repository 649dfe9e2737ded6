//! Long specs, and many of them.

use super::*;

#[test]
fn the_status_of_a_spec_at_its_bounds_is_small() {
    let name = |at: usize| format!("'{{\"name\": \"{}\", \"namespace\": \"{at}\"}}'", "n".repeat(4000));
    let networks: Vec<String> = (0..16).map(|at| format!("k{at}: {}", name(at))).collect();
    let networks = networks.join(", ");
    let nodes: Vec<String> = (0..64)
        .map(|at| format!("{{ nodeSelector: {{ matchLabels: {{ rack: r{at} }} }}, interfaces: {{ {networks} }} }}"))
        .collect();
    let spec = format!("{PODS}, interfaces: {{ {networks} }}, nodeInterfaces: [{}]", nodes.join(", "));
    let status = status(&[("x", &spec)]);
    let bytes = serde_json::to_string(&dated(status.clone(), None, "2026-01-31T12:00:00Z")).unwrap().len();
    assert!(bytes < 32 * 1024, "{bytes}");
    assert_eq!(status.interfaces.len(), 16);
    let last = &status.nodes.last().unwrap().nodes;
    assert_eq!(*last, format!("... and {} more entries of spec.nodeInterfaces", 65 - status.nodes.len()));
}

/// Thousands in one namespace are not compared each with each, and what is found is the same.
#[test]
fn the_rival_is_the_oldest_there_is() {
    let mut seed = 7_u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12345);
        (seed >> 16) as usize % below
    };
    for _ in 0..20 {
        let specs: Vec<String> = (0..9)
            .map(|_| {
                let target = ["podSelector: {}", PODS, "podSelector: { matchLabels: { app: web } }"][random(3)];
                let rest = [
                    "interfaces: { client: a }",
                    "provider: host",
                    "provider: none",
                    "defaultNetwork: a",
                    "defaultNetwork: t/a",
                    "defaultNetwork: t/b",
                    "interfaces: { client: '@' }",
                    "provider: host, mode: 'off'",
                ][random(8)];
                format!("{target}, {rest}")
            })
            .collect();
        let names: Vec<String> = (1..=specs.len()).map(|at| "x".repeat(at)).collect();
        let networks: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(specs.iter().map(String::as_str)).collect();
        let all = snapshot_with(&networks, Settings::default());
        for (name, _) in &networks {
            // Against each other one alone, the oldest first.
            let alone = networks.iter().filter(|(other, _)| other != name).find_map(|other| {
                let own = networks.iter().find(|(own, _)| own == name)?;
                let two = snapshot_with(&[*other, *own], Settings::default());
                Some(condition(&status_in(&two, name), CONFLICTED).clone()).filter(|found| found.reason != "NoConflict")
            });
            let found = status_in(&all, name);
            let found = condition(&found, CONFLICTED);
            let (reason, message) =
                alone.map_or(("NoConflict".to_owned(), None), |alone| (alone.reason, Some(alone.message)));
            assert_eq!(found.reason, reason, "{name} of {networks:#?}");
            assert!(message.is_none_or(|message| message == found.message), "{}", found.message);
        }
    }
}
