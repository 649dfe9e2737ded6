//! The objects that a pod belongs to, as its metadata names them.
//!
//! A controller writes itself into the pods that it creates, so they are there at admission already, uid and all. They are
//! what the sender of the pod says: nothing here looks whether the objects exist.

use super::object::read_object;
use super::pod::{List, PodView, Text, UnreadablePart, read_raw};

/// One object that a pod belongs to (`OwnerReference` of `k8s.io/apimachinery/pkg/apis/meta/v1`). It is in the pod's own
/// namespace, or in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    /// The API group and version, such as `apps/v1`.
    pub api_version: Text<'a>,
    /// The kind.
    pub kind: Text<'a>,
    /// The name.
    pub name: Text<'a>,
    /// The uid, by which the object is told from an earlier one of its name.
    pub uid: Text<'a>,
    /// Whether this is the controller that manages the pod; Kubernetes lets a pod have one at most.
    pub controller: bool,
}

read_object!(OwnerReference {
    "apiVersion" => api_version,
    "kind" => kind,
    "name" => name,
    "uid" => uid,
    "controller" => controller,
});

impl<'a> PodView<'a> {
    /// The objects that the pod belongs to, its controller first and the others in the order of the request.
    ///
    /// # Errors
    /// Where `ownerReferences` is no list of owner references, or too long a list.
    pub fn owners(&self) -> Result<Vec<OwnerReference<'a>>, UnreadablePart> {
        let owners = self.metadata.as_ref().and_then(|metadata| metadata.owner_references);
        let owners: Option<List<OwnerReference<'a>>> = owners.map(read_raw).transpose()?;
        let mut owners = owners.unwrap_or_default().0;
        owners.sort_by_key(|owner| !owner.controller);
        Ok(owners)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pod::LIST_LENGTH;
    use super::*;

    fn owners(metadata: &str) -> Result<Vec<String>, UnreadablePart> {
        let text = format!(r#"{{"metadata":{metadata}}}"#);
        let pod: PodView<'_> = serde_json::from_str(&text).unwrap();
        let describe = |owner: &OwnerReference<'_>| {
            let OwnerReference { api_version, kind, name, uid, controller } = owner;
            format!("{api_version} {kind} {name} {uid}{}", if *controller { " controls" } else { "" })
        };
        Ok(pod.owners()?.iter().map(describe).collect())
    }

    #[test]
    fn owners_are_read_as_go_reads_them() {
        for (metadata, expected) in [
            ("{}", &[][..]),
            ("null", &[]),
            (r#"{"ownerReferences":null}"#, &[]),
            (r#"{"ownerReferences":[]}"#, &[]),
            (r#"{"ownerReferences":[null]}"#, &["   "]),
            (
                r#"{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"a-1","uid":"u","controller":true,"blockOwnerDeletion":true}]}"#,
                &["apps/v1 ReplicaSet a-1 u controls"],
            ),
            // Repeated keys, here and in the metadata; escapes; fields that nobody has heard of.
            (
                r#"{"ownerReferences":5,"ownerReferences":[{"name":"\u0061","name":"b\t","kind":null,"x":[{}]}]}"#,
                &["  b\t "],
            ),
            // The controller comes first; the others stay in order, as do controllers where there are too many.
            (
                r#"{"ownerReferences":[{"name":"a"},{"name":"b","controller":null},{"name":"c","controller":true},{"name":"d","controller":true}]}"#,
                &["  c  controls", "  d  controls", "  a ", "  b "],
            ),
        ] {
            assert_eq!(owners(metadata).unwrap(), expected, "{metadata}");
        }
    }

    #[test]
    fn what_is_no_list_of_owners_is_said_to_be_none() {
        let list = |length: usize| format!("[{}]", vec!["{}"; length].join(","));
        assert_eq!(owners(&format!(r#"{{"ownerReferences":{}}}"#, list(LIST_LENGTH))).unwrap().len(), LIST_LENGTH);
        let long = list(LIST_LENGTH + 1);
        for value in ["{}", "5", r#""a""#, "[5]", "[[]]", r#"[{"name":5}]"#, r#"[{"controller":"yes"}]"#, &long] {
            assert_eq!(owners(&format!(r#"{{"ownerReferences":{value}}}"#)), Err(UnreadablePart), "{value}");
        }
    }
}
