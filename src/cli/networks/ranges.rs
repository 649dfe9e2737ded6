//! What to add to clusters so that they declare address ranges, as YAML: the ranges and nothing else, so that merging it changes
//! nothing else.
//!
//! Ranges that are not certain never stand there: Ceph would look for its addresses in the wrong place.

use serde_json::{Map, Value, json};

use super::view::why_unknown;
use crate::api::to_yaml;
use crate::cli::words::{WIDTH, plain, wrap};
use crate::lint::address_ranges::{LeftOut, Ranges};
use crate::lint::networks::Offer;
use crate::storage::ClusterKind;

/// The file that comments speak of.
const FILE: &str = "ranges.yaml";

pub(super) fn render(offers: &[Offer<'_>]) -> anyhow::Result<String> {
    let patches = offers.iter().filter(|offer| !offer.ranges.is_empty()).count();
    let mut text = String::new();
    if patches > 1 {
        comment(&mut text, "kubectl patch takes one document at a time: put each into a file of its own.");
    }
    let mut is_first = true;
    for offer in offers {
        let Some(kind) = offer.declaration.kind() else { continue };
        // A document without anything in it would be one that kubectl stumbles over.
        if !offer.ranges.is_empty() && !std::mem::take(&mut is_first) {
            text.push_str("---\n");
        }
        document(&mut text, offer, kind)?;
    }
    Ok(text)
}

fn document(text: &mut String, offer: &Offer<'_>, kind: &ClusterKind) -> anyhow::Result<()> {
    let Offer { declaration, ranges, left_out } = offer;
    let subject = declaration.subject();
    let (namespace, name) = (&subject.id.namespace, &subject.id.name);
    if !ranges.is_empty() {
        comment(text, &format!("{subject}:"));
        let resource = kind.resource.full_name();
        // In one line, however long, to be copied.
        let command = format!(
            "kubectl patch {resource} {} --namespace {} --type merge --patch-file {FILE}",
            quoted(name),
            quoted(namespace)
        );
        text.push_str(&format!("#   {}\n", plain(&command)));
    }
    for (key, why) in left_out {
        comment(text, &format!("{subject}: {key} is left out, because {}.", in_words(why)));
    }
    let version = kind.resource.versions.first().map(String::as_str).unwrap_or_default();
    let Some(path) = kind.address_ranges.as_ref().filter(|_| !ranges.is_empty()) else { return Ok(()) };
    let mut document = json!({
        "apiVersion": format!("{}/{version}", kind.resource.group),
        "kind": kind.resource.kind,
        "metadata": {"name": name, "namespace": namespace},
    });
    put(&mut document, path.as_str(), as_value(ranges));
    text.push_str(&to_yaml(&document)?);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(())
}

/// Puts a value where a path leads, and makes what lies on the way.
fn put(document: &mut Value, path: &str, value: Value) {
    let below = path.rsplit('.').fold(value, |value, name| json!({ name: value }));
    if let (Value::Object(document), Value::Object(below)) = (document, below) {
        document.extend(below);
    }
}

fn as_value(ranges: &Ranges) -> Value {
    let entry = |(key, ranges): (&crate::network::NetworkKey, &Vec<ipnet::IpNet>)| {
        let ranges: Vec<Value> = ranges.iter().map(|range| range.to_string().into()).collect();
        (key.to_string(), Value::Array(ranges))
    };
    Value::Object(ranges.iter().map(entry).collect::<Map<_, _>>())
}

/// A word for a shell: as it is where that means nothing to one, and else between quotes.
fn quoted(word: &str) -> String {
    let is_harmless = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_harmless) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn in_words(why: &LeftOut<'_>) -> String {
    match why {
        LeftOut::Missing(name) => format!("there is no attachment definition {name}"),
        LeftOut::NotKnown(name) => format!("the attachment definition {name} could not be looked at"),
        LeftOut::Broken(name) => format!("no pod can be attached by {name}"),
        LeftOut::Unknown(name, unknown) => {
            format!("the addresses of {name} cannot be known for certain: {}", why_unknown(*unknown))
        }
        LeftOut::AskedFor => "its selector asks for addresses, which may lie anywhere".to_owned(),
        LeftOut::OnHosts => "all pods are put on the host network, and have the addresses of hosts".to_owned(),
    }
}

fn comment(text: &mut String, about: &str) {
    for line in wrap(&plain(about), WIDTH - 2) {
        text.push_str(&format!("# {line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_where_the_path_leads() {
        let mut document = json!({"kind": "K"});
        put(&mut document, "spec.network.addressRanges", json!({"public": []}));
        assert_eq!(document, json!({"kind": "K", "spec": {"network": {"addressRanges": {"public": []}}}}));
    }

    #[test]
    fn names_mean_nothing_to_a_shell() {
        for (word, expected) in [
            ("my-cluster", "my-cluster"),
            ("a b", "'a b'"),
            ("$(x)", "'$(x)'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("-x", "'-x'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
