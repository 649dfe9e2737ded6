//! Reading a StorageNetwork from a file or from the API server, with the place of what is wrong.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use super::selector::LabelSelector;
use super::storage_network::StorageNetwork;

/// What to do about a [`ReadError`], as a clause.
pub const READ_MEND: &str = "mend the field (kubectl explain storagenetwork.spec says what each may hold)";

/// Why a StorageNetwork cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {fault}; {READ_MEND}")]
pub struct ReadError {
    /// Path of the field, such as `spec.roles[0].provider`.
    pub field: String,
    /// What is wrong there, as a clause.
    pub fault: String,
}

impl StorageNetwork {
    /// Reads spec and status of an object. As the API server does, it takes `null` for a field that is not there.
    ///
    /// # Errors
    /// Where a field is unknown, missing or of another type. What the fields hold together is not checked.
    pub fn read(object: &Value) -> Result<Self, ReadError> {
        read(object)
    }
}

impl LabelSelector {
    /// Reads a selector by itself, where the object around it may not be readable.
    ///
    /// # Errors
    /// Where it is none, as for [`StorageNetwork::read`].
    pub fn read(written: &Value) -> Result<Self, ReadError> {
        read(written)
    }
}

fn read<T: DeserializeOwned>(written: &Value) -> Result<T, ReadError> {
    let mut track = serde_path_to_error::Track::new();
    let object = without_nulls(written);
    let reader = serde_path_to_error::Deserializer::new(&object, &mut track);
    T::deserialize(reader).map_err(|error| {
        let path = track.path().to_string();
        let field = if path == "." { "the object".to_owned() } else { path };
        ReadError { field, fault: error.to_string() }
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(key, value)| (key.clone(), without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking

    use serde_json::json;

    use super::super::storage_network::Provider;
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let read = StorageNetwork::read(&json!({"spec": {"podSelector": {}, "interfaces": null}})).unwrap();
        assert_eq!(read.spec.provider, Provider::Multus);
        assert!(read.spec.interfaces.is_empty());
        assert!(read.spec.pod_selector.is_some() && read.spec.cluster_ref.is_none() && read.status.is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (object, said) in [
            (json!({}), "the object: missing field `spec`; mend the field"),
            (json!({"spec": {"podSelektor": {}}}), "spec.podSelektor: unknown field `podSelektor`, expected one of"),
            (
                json!({"spec": {"roles": [{"name": "a", "provider": "hosts"}]}}),
                "spec.roles[0].provider: unknown variant",
            ),
            (json!({"spec": {"interfaces": {"client": 7}}}), "spec.interfaces.client: invalid type: integer `7`"),
        ] {
            let error = StorageNetwork::read(&object).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
