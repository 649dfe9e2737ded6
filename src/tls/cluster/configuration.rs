//! Webhook configurations of either kind, as far as certificates are concerned: by which entries they call whom, and what these
//! trust. Nothing else of them is read, so that nothing else of them can ever be written.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::Resource;
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::tls::certificate::Certificate;

/// The kinds of webhook configurations. Their entries differ, but not in how they name whom they call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationKind {
    /// What may change objects.
    Mutating,
    /// What may only refuse them.
    Validating,
}

/// Which webhook configuration is meant. One of each kind may have the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationName {
    /// The kind.
    pub kind: ConfigurationKind,
    /// The name.
    pub name: String,
}

/// A webhook configuration. Which kind it is of, only who has asked for it knows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Configuration {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    webhooks: Option<Vec<Entry>>,
}

/// An entry of it: `MutatingWebhook` or `ValidatingWebhook` of `admissionregistration.k8s.io/v1`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) client_config: WebhookClientConfig,
}

impl ConfigurationKind {
    /// The name of the kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mutating => <MutatingWebhookConfiguration as k8s_openapi::Resource>::KIND,
            Self::Validating => <ValidatingWebhookConfiguration as k8s_openapi::Resource>::KIND,
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Mutating => "mutatingwebhookconfigurations",
            Self::Validating => "validatingwebhookconfigurations",
        }
    }
}

impl fmt::Display for ConfigurationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name } = self;
        write!(formatter, "{} {name}", kind.name())
    }
}

impl Configuration {
    /// The entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.webhooks.iter().flatten()
    }
}

impl Entry {
    /// What it trusts; nothing where that cannot be read.
    pub(super) fn trusted(&self) -> Vec<Certificate> {
        let bundle = self.client_config.ca_bundle.as_ref();
        bundle.and_then(|bundle| Certificate::all_in(&bundle.0).ok()).unwrap_or_default()
    }
}

impl Resource for Configuration {
    type DynamicType = ConfigurationKind;
    type Scope = ClusterResourceScope;

    fn kind(kind: &ConfigurationKind) -> Cow<'_, str> {
        kind.name().into()
    }

    fn group(_: &ConfigurationKind) -> Cow<'_, str> {
        "admissionregistration.k8s.io".into()
    }

    fn version(_: &ConfigurationKind) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(kind: &ConfigurationKind) -> Cow<'_, str> {
        kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_has_its_own_place() {
        for (kind, path) in [
            (ConfigurationKind::Mutating, "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"),
            (ConfigurationKind::Validating, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"),
        ] {
            assert_eq!(Configuration::url_path(&kind, None), path);
            assert_eq!(Configuration::api_version(&kind), "admissionregistration.k8s.io/v1");
        }
    }

    #[test]
    fn a_configuration_without_entries_has_none() {
        for webhooks in [json!({}), json!({"webhooks": null}), json!({"webhooks": []})] {
            let mut object = json!({"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "a"}});
            object.as_object_mut().unwrap().extend(webhooks.as_object().unwrap().clone());
            let read: Configuration = serde_json::from_value(object).unwrap();
            assert_eq!(read.entries().count(), 0);
        }
    }
}
