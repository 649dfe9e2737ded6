//! What is checked of a storage system as a whole: that its names are names, and that its parts fit together.
//!
//! Whatever is accepted here and could never count, such as a kind that nothing has or a key that nobody declares, is said
//! instead: the file is read once, and nobody would look for the fault there later.

use super::names::{NAME_LENGTH, check_label_key, is_domain, is_kind, is_plain_name};
use super::resource::Resource;
use super::role::{Evidence, OverrideSource, Role, RoleOwner, Treatment};
use super::system::System;
use super::workload::WorkloadKind;
use crate::api;
use crate::network::{NetworkKey, attachment, shorten};

/// What the pods of a `podSelector` belong to, in decisions and metrics.
const RESERVED_SYSTEM: &str = "custom";
/// The role of pods that ask for the network of a cluster's clients.
const RESERVED_ROLE: &str = "client";

/// What is wrong with `system`, as a sentence.
pub(super) fn check(system: &System) -> Result<(), String> {
    check_name("system", system.name.as_str())?;
    if system.name.as_str() == RESERVED_SYSTEM {
        return Err(format!(
            "system: {RESERVED_SYSTEM} is what pods that a StorageNetwork selects belong to; give the system another name"
        ));
    }
    check_clusters(system)?;
    check_keys(system)?;
    if system.marks.iter().any(|mark| mark.is_empty() || mark.names_cluster()) {
        return Err("marks: every entry needs a label, and none may ask for {cluster}".to_owned());
    }
    for (position, role) in system.roles.iter().enumerate() {
        if system.roles[..position].iter().any(|other| other.name == role.name) {
            return Err(format!("role {}: the name is given twice", role.name));
        }
        check_name("the name of a role", role.name.as_str())?;
        check_role(role, system).map_err(|fault| format!("role {}: {fault}", role.name))?;
    }
    Ok(())
}

fn check_clusters(system: &System) -> Result<(), String> {
    if system.clusters.is_empty() {
        return Err("clusters: name at least one custom resource that stands for a cluster".to_owned());
    }
    for (position, cluster) in system.clusters.iter().enumerate() {
        let resource = &cluster.resource;
        check_resource(resource).map_err(|fault| format!("clusters[{position}].resource: {fault}"))?;
        let is_same = |other: &Resource| (&other.group, &other.kind) == (&resource.group, &resource.kind);
        if system.clusters[..position].iter().any(|other| is_same(&other.resource)) {
            return Err(format!(
                "clusters[{position}].resource: {} of {} is given twice; keep one of them",
                resource.kind, resource.group
            ));
        }
        if let Some(role) = cluster.size.roles.keys().find(|name| !system.roles.iter().any(|role| role.name == **name))
        {
            return Err(format!("clusters[{position}].size.roles: {role} is not among the roles"));
        }
        let named_by = cluster.named_by.as_deref().map_or(Ok(()), check_label_key);
        named_by
            .map_err(|fault| format!("clusters[{position}].namedBy: {fault}; write the key of a label of the pods"))?;
    }
    Ok(())
}

fn check_keys(system: &System) -> Result<(), String> {
    for (position, key) in system.keys.iter().enumerate() {
        check_name("the name of a key", key.name.as_str())?;
        if system.keys[..position].iter().any(|other| other.name == key.name) {
            return Err(format!("key {}: the name is given twice", key.name));
        }
        if let Some(fallback) = key.fallback.as_ref().filter(|fallback| !is_declared(system, fallback)) {
            return Err(format!("key {}: its fallback {fallback} is not among the keys", key.name));
        }
    }
    match system.client.as_ref().filter(|client| !is_declared(system, client)) {
        Some(client) => Err(format!("client: {client} is not among the keys")),
        None => Ok(()),
    }
}

fn is_declared(system: &System, key: &NetworkKey) -> bool {
    system.keys.iter().any(|known| known.name == *key)
}

fn check_role(role: &Role, system: &System) -> Result<(), String> {
    if role.name.as_str() == RESERVED_ROLE {
        return Err(
            "it is the role of pods that ask for the network of a cluster's clients; give this one another name"
                .to_owned(),
        );
    }
    role.owner_kinds.iter().try_for_each(|kind| check_owner_kind(kind))?;
    if role.owner == RoleOwner::Any && system.owners.is_empty() {
        return Err(
            "anyOwner goes with owners of the system, and there are none: nothing is asked of owners; remove it"
                .to_owned(),
        );
    }
    if let Treatment::Networks(keys) | Treatment::NeverTouch { at_risk: keys, .. } = &role.treatment {
        for (position, key) in keys.iter().enumerate() {
            if !is_declared(system, key) {
                return Err(format!("its network {key} is not among the keys"));
            }
            if keys[..position].contains(key) {
                return Err(format!("its network {key} is given twice; keep one of them"));
            }
        }
    }
    if let Some(OverrideSource::Named { resource, label }) = role.host_override.as_ref().map(|host| &host.source) {
        check_resource(resource).map_err(|fault| format!("hostOverride.resource: {fault}"))?;
        check_label_key(label)
            .map_err(|fault| format!("hostOverride.nameFromLabel: {fault}; write the key of a label of the pods"))?;
    }
    role.host_evidence.iter().try_for_each(check_evidence)
}

/// Evidence keeps a pod off the host network, so what can never match would let through what it was written against, and
/// what always matches would keep every pod off it.
fn check_evidence(evidence: &Evidence) -> Result<(), String> {
    let fault = match evidence {
        Evidence::Argument(argument) if argument.starts_with.is_empty() => {
            "startsWith is empty, which every argument does; write how the argument begins"
        }
        Evidence::Labels(rule) if rule.is_empty() => {
            "labels is empty, which every pod has; name a label, or remove the entry"
        }
        Evidence::Labels(rule) if rule.names_cluster() => {
            "labels asks for {cluster}, which is only put in under match; write the whole value, or a * and the end of it"
        }
        Evidence::Argument(_) | Evidence::Labels(_) => return Ok(()),
    };
    Err(format!("hostEvidence: {fault}"))
}

fn check_owner_kind(kind: &str) -> Result<(), String> {
    let meant = WorkloadKind::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(kind));
    if let Some(meant) = meant.filter(|meant| meant.name() != kind) {
        return Err(format!("ownerKinds: nothing is of the kind {kind}; did you mean {meant}?"));
    }
    if is_kind(kind) {
        return Ok(());
    }
    Err(format!(
        "ownerKinds: \"{}\" is no kind; write it as in a manifest, with a capital letter first, such as StatefulSet",
        shorten(kind)
    ))
}

fn check_resource(resource: &Resource) -> Result<(), String> {
    let Resource { group, versions, kind, plural } = resource;
    if !is_domain(group) {
        return Err(format!("group \"{}\" is no API group; write one such as ceph.rook.io", shorten(group)));
    }
    if !is_kind(kind) {
        return Err(format!("kind \"{}\" is no kind; write it as in a manifest, such as CephCluster", shorten(kind)));
    }
    if !is_plain_name(plural) {
        return Err(format!(
            "plural \"{}\" is no resource; write it as in a URL, such as cephclusters",
            shorten(plural)
        ));
    }
    if versions.is_empty() {
        return Err("versions is empty; name at least one, such as v1".to_owned());
    }
    if let Some(version) = versions.iter().find(|version| !is_plain_name(version)) {
        return Err(format!("versions: \"{}\" is no version; write one such as v1", shorten(version)));
    }
    // Each is watched already, for what it says otherwise, and one object cannot be read as two things.
    let is_workload = |known: WorkloadKind| known.resource().group == *group && known.name() == kind;
    if group == api::GROUP
        || (group == attachment::GROUP && kind == attachment::KIND)
        || WorkloadKind::ALL.into_iter().any(is_workload)
    {
        return Err(format!(
            "{kind} of {group} is read for other purposes, and can stand for no part of a storage system; name the custom resource of the system's operator"
        ));
    }
    Ok(())
}

/// Names stand in metrics, in StorageNetworks and in the names of files.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    if is_plain_name(name) {
        return Ok(());
    }
    Err(format!(
        "{what}: \"{}\" is no name; write at most {NAME_LENGTH} lower-case letters, digits and hyphens, with a letter or digit at both ends",
        shorten(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;

    const GOOD: &str = "
system: shelf
clusters: [{ resource: { group: a.b, versions: [v1], kind: Shelf, plural: shelves }, namedBy: shelf/name }]
owners: [StatefulSet]
client: front
keys: [{ name: front, about: '' }, { name: back, about: x, fallback: front }]
roles:
  - name: store
    match: [{ app: store }, { app: '{cluster}' }, { app: '*-x', tier: '*' }, { tier: 'a{cluster}b' }, { tier: '' }]
    ownerKinds: [StatefulSet, Book]
    anyOwner: true
    networks: [front, back]
    hostEvidence: [{ argument: { startsWith: --listen } }, { labels: { canary: '*true' } }]
    hostOverride: { resource: { group: a.b, versions: [v1], kind: Room, plural: rooms }, field: spec.h, nameFromLabel: room }
";

    #[test]
    fn what_could_never_count_is_refused() {
        assert!(Catalogue::read([("s.yaml", GOOD)]).is_ok());
        let long = "a".repeat(64);
        let long_key = format!("name: {long}, about: ''");
        let shelf = "group: a.b, versions: [v1], kind: Shelf, plural: shelves";
        for (good_part, bad, said) in [
            ("system: shelf", "system: ''", "system: \"\" is no name"),
            ("system: shelf", "system: My_Shelf", "system: \"My_Shelf\" is no name"),
            ("system: shelf", "system: custom", "give the system another name"),
            ("name: front, about: ''", "name: '', about: ''", "the name of a key: \"\" is no name"),
            ("name: front, about: ''", &long_key, "at most 63 lower-case letters"),
            ("name: store", "name: ''", "the name of a role: \"\" is no name"),
            ("name: store", "name: -store", "the name of a role: \"-store\" is no name"),
            ("name: store", "name: client", "role client: it is the role of pods that ask"),
            ("[front, back]", "[front, front]", "role store: its network front is given twice"),
            (
                "networks: [front, back]",
                "neverTouch: x\n    networksAtRisk: [back, back]",
                "its network back is given twice",
            ),
            (
                "[StatefulSet, Book]",
                "[Statefulset]",
                "role store: ownerKinds: nothing is of the kind Statefulset; did you mean StatefulSet?",
            ),
            ("[StatefulSet, Book]", "[book]", "\"book\" is no kind; write it as in a manifest"),
            ("[StatefulSet, Book]", "['']", "\"\" is no kind"),
            ("owners: [StatefulSet]", "owners: []", "role store: anyOwner goes with owners"),
            (
                "group: a.b, versions: [v1], kind: Shelf",
                "group: a.b, versions: [], kind: Shelf",
                "clusters[0].resource: versions is empty",
            ),
            (
                "group: a.b, versions: [v1], kind: Shelf",
                "group: a.b, versions: ['v/1'], kind: Shelf",
                "\"v/1\" is no version",
            ),
            (
                "group: a.b, versions: [v1], kind: Shelf",
                "group: '', versions: [v1], kind: Shelf",
                "group \"\" is no API group",
            ),
            ("kind: Shelf", "kind: ''", "kind \"\" is no kind"),
            ("plural: shelves", "plural: ''", "plural \"\" is no resource"),
            ("kind: Room", "kind: ''", "role store: hostOverride.resource: kind \"\""),
            (
                shelf,
                "group: multihome.rook.io, versions: [v1alpha1], kind: StorageNetwork, plural: storagenetworks",
                "is read for other purposes",
            ),
            (
                shelf,
                "group: k8s.cni.cncf.io, versions: [v1], kind: NetworkAttachmentDefinition, plural: nads",
                "is read for other purposes",
            ),
            (
                shelf,
                "group: apps, versions: [v1], kind: StatefulSet, plural: statefulsets",
                "StatefulSet of apps is read for other purposes",
            ),
            (shelf, "group: '', versions: [v1], kind: Node, plural: nodes", "is no API group"),
            (
                "namedBy: shelf/name }",
                "namedBy: shelf/name }, { resource: { group: a.b, versions: [v1], kind: Shelf, plural: shelfs } }",
                "Shelf of a.b is given twice",
            ),
            ("namedBy: shelf/name", "namedBy: 'no label'", "clusters[0].namedBy: \"no label\" is no key of a label"),
            (
                "namedBy: shelf/name",
                "size: { roles: { book: [spec.books] } }",
                "clusters[0].size.roles: book is not among the roles",
            ),
            ("nameFromLabel: room", "nameFromLabel: ''", "hostOverride.nameFromLabel: a key is empty"),
            ("{ app: store }", "{ a p p: store }", "\"a p p\" is no key of a label"),
            ("{ app: store }", "{ app: 'not a label!' }", "the label pattern \"not a label!\" matches no value"),
            ("{ app: store }", "{ app: '*x-' }", "the label pattern \"*x-\" matches no value"),
            ("{ app: store }", "{ app: '-{cluster}' }", "matches no value"),
            ("{ app: store }", "{ app: '{cluster}/x' }", "matches no value"),
            ("{ canary: '*true' }", "{ canary: '{cluster}' }", "role store: hostEvidence: labels asks for {cluster}"),
            ("{ canary: '*true' }", "{}", "role store: hostEvidence: labels is empty"),
            ("startsWith: --listen", "startsWith: ''", "role store: hostEvidence: startsWith is empty"),
        ] {
            assert!(GOOD.contains(good_part), "{good_part}");
            let text = GOOD.replacen(good_part, bad, 1);
            let error = Catalogue::read([("s.yaml", text.as_str())]).expect_err(said).to_string();
            assert!(error.starts_with("storage system file s.yaml: ") && error.contains(said), "{bad}: {error}");
        }
    }
}
