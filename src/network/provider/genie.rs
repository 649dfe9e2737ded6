//! CNI-Genie: the annotation `cni`, a list of plugins that are configured on the nodes, as `name` or `name@interface`.
//!
//! Read from cni-genie/CNI-Genie (formerly Huawei-PaaS/CNI-Genie): the form from `sampleyamls/pod-plugin-with-ifname.yaml` and
//! `docs/multiple-cni-plugins/README.md`; what becomes of it from `genie/genie-controller.go` at commit 61742be
//! (`parseCNIAnnotations`, `getPluginInfo`, `getReservedIfnames`, `getIntfName`). Nothing was run.
//! A name is that of a configuration file on the node, without a namespace, and a pod with the annotation gets the listed
//! plugins and nothing else.
//!
//! Genie reads attachment definitions too, from the annotation that Multus reads and in the same form, and then does not look
//! at `cni`. Who wants that names the provider Multus; the two must never be mixed on one pod, hence [`MetaPlugin::rivals`].

use std::collections::HashSet;

use super::{MetaPlugin, Names, PodNetwork, further_fields, other_namespace};
use crate::network::NETWORKS_ANNOTATION;
use crate::network::foreign::shorten;
use crate::network::name::AttachmentRef;
use crate::network::selection::{AnnotationError, NetworkSelection, short_items};

/// What Genie numbers interfaces with, from 0.
const INTERFACE_PREFIX: &str = "eth";

/// cni-genie/CNI-Genie.
#[derive(Clone, Copy, Debug)]
pub struct Genie;

impl MetaPlugin for Genie {
    fn name(&self) -> &'static str {
        "genie"
    }

    fn title(&self) -> &'static str {
        "Genie"
    }

    fn annotation(&self) -> &'static str {
        "cni"
    }

    fn names(&self) -> Names {
        Names::ItsOwnNetworks
    }

    fn pod_network(&self) -> PodNetwork {
        PodNetwork::Listed
    }

    /// Attachment definitions, for which Genie forgets `cni`, and its logical networks, which it forgets for a `cni` that is
    /// not blank.
    fn rivals(&self) -> &'static [&'static str] {
        &[NETWORKS_ANNOTATION, "networks"]
    }

    fn parse(&self, value: &str, namespace: &str) -> Result<Vec<NetworkSelection>, AnnotationError> {
        if value.trim().is_empty() {
            return Ok(Vec::new());
        }
        let items = short_items(value)?.map(|item| selection(item, namespace)).enumerate();
        items.map(|(index, item)| item.map_err(|fault| AnnotationError::Item { position: index + 1, fault })).collect()
    }

    fn unsupported(&self, selection: &NetworkSelection, namespace: &str) -> Option<String> {
        let texts = [Some(&*selection.attachment.name), selection.interface.as_deref()];
        let odd =
            texts.into_iter().flatten().find(|text| text.contains([',', '@']) || text.contains(char::is_whitespace));
        let odd = odd.map(|odd| format!("\"{}\" has a character that divides its list", shorten(odd)));
        other_namespace("Genie", selection, namespace).or(odd).or_else(|| further_fields("Genie", selection))
    }

    fn write(&self, existing: &str, namespace: &str, added: &[&NetworkSelection]) -> Result<String, AnnotationError> {
        let standing = if self.read(existing, namespace)?.is_empty() { None } else { Some(existing) };
        let added = added.iter().map(|selection| match &selection.interface {
            Some(interface) => format!("{}@{interface}", selection.attachment.name),
            None => selection.attachment.name.to_string(),
        });
        let items: Vec<String> = standing.map(str::to_owned).into_iter().chain(added).collect();
        Ok(items.join(","))
    }

    /// What is asked for, else `eth` and the next number that nobody asks for.
    fn interface_names(&self, selections: &[&NetworkSelection]) -> Vec<String> {
        let asked_for = selections.iter().filter_map(|selection| selection.interface.as_deref());
        // A set, because whoever makes a pod chooses how long the list is.
        let taken: HashSet<u64> =
            asked_for.filter_map(|name| name.strip_prefix(INTERFACE_PREFIX)?.parse().ok()).collect();
        let mut free = (0..).filter(|number| !taken.contains(number));
        let name = |selection: &&NetworkSelection| match &selection.interface {
            Some(interface) => interface.clone(),
            None => format!("{INTERFACE_PREFIX}{}", free.next().unwrap_or_default()),
        };
        selections.iter().map(name).collect()
    }
}

/// One item that stands on a pod. Whatever follows a second `@` is not looked at, there as here.
fn selection(item: &str, namespace: &str) -> Result<NetworkSelection, String> {
    let mut parts = item.split('@').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty()).ok_or("names no plugin")?;
    let interface = parts.next().filter(|interface| !interface.is_empty()).map(str::to_owned);
    Ok(NetworkSelection::plain(AttachmentRef::new(namespace, name), interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(text: &str) -> NetworkSelection {
        NetworkSelection::from_selector(text, "ns").unwrap().unwrap()
    }

    fn read(value: &str) -> Result<Vec<String>, AnnotationError> {
        let read = Genie.read(value, "ns")?;
        let names = Genie.interface_names(&read.iter().collect::<Vec<_>>());
        Ok(read.iter().zip(names).map(|(selection, name)| format!("{}@{name}", selection.attachment)).collect())
    }

    #[test]
    fn what_genie_reads() {
        for (value, expected) in [
            ("", &[] as &[&str]),
            (" \n", &[]),
            ("canal", &["ns/canal@eth0"]),
            ("canal,flannel , weave", &["ns/canal@eth0", "ns/flannel@eth1", "ns/weave@eth2"]),
            // Genie's own sample.
            ("flannel,weave@eth4,flannel@eth3", &["ns/flannel@eth0", "ns/weave@eth4", "ns/flannel@eth3"]),
            ("a,b@eth1,c", &["ns/a@eth0", "ns/b@eth1", "ns/c@eth2"]),
            ("a@eth0,b", &["ns/a@eth0", "ns/b@eth1"]),
            ("a@,b@net1@x", &["ns/a@eth0", "ns/b@net1"]),
        ] {
            assert_eq!(read(value).unwrap(), expected, "{value}");
        }
    }

    /// Not timed, but with a search through all names for each name this would take more than a minute.
    #[test]
    fn a_long_list_is_named_as_a_short_one() {
        let count = 200_000;
        let asked_for = |number: usize| number.is_multiple_of(2).then(|| format!("eth{}", number / 2));
        let attachment = AttachmentRef::new("ns", "a");
        let selections: Vec<_> =
            (0..count).map(|number| NetworkSelection::plain(attachment.clone(), asked_for(number))).collect();
        let names = Genie.interface_names(&selections.iter().collect::<Vec<_>>());
        assert_eq!(names[..4], ["eth0", "eth100000", "eth1", "eth100001"]);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), count);
    }

    #[test]
    fn what_genie_refuses() {
        for value in [",", "a,", "a,,b", "@eth1"] {
            assert!(read(value).is_err(), "{value}");
            assert!(Genie.write(value, "ns", &[&selection("b")]).is_err(), "{value}");
        }
    }

    #[test]
    fn nothing_that_stands_on_a_pod_is_lost() {
        for (existing, expected) in
            [("", "b,c@net1"), ("  ", "b,c@net1"), ("a", "a,b,c@net1"), (" a , x@eth3@y", " a , x@eth3@y,b,c@net1")]
        {
            let written = Genie.write(existing, "ns", &[&selection("b"), &selection("c@net1")]).unwrap();
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn what_genie_cannot_express() {
        for (text, because) in [
            ("a", None),
            ("a@net1", None),
            (r#"{"name":"a.b"}"#, None),
            ("other/a", Some("without a namespace")),
            (r#"{"name":"a,b"}"#, Some("divides its list")),
            (r#"{"name":"a","interface":"x@y"}"#, Some("divides its list")),
            (r#"{"name":"a","mac":"02:00:00:00:00:01"}"#, Some("no place for mac")),
        ] {
            let unsupported = Genie.unsupported(&selection(text), "ns");
            match because {
                None => assert_eq!(unsupported, None, "{text}"),
                Some(because) => assert!(unsupported.unwrap().contains(because), "{text}"),
            }
        }
    }
}
