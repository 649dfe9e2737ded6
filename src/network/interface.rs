//! Interface names that follow from the key under which a network is declared: `{key}0` makes `public0` of `public`.
//!
//! Multus counts interfaces without a name by their place in the list, so that a script or a policy has to guess which `net1` is.
//! A name that is made here is valid to every reader in the field, and never one that a pod has anyhow.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::foreign::shorten;
use super::name::NetworkKey;
use super::selection::{INTERFACE_NAME_MAX, LOOPBACK, is_dns_label};

/// What stands for the key in a template.
const KEY: &str = "{key}";

/// The names that no template may make: every pod has these interfaces already.
const TAKEN: [&str; 2] = [LOOPBACK, "eth0"];

/// How interfaces are named: a text with `{key}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceTemplate {
    before: Box<str>,
    after: Box<str>,
}

/// Why a template makes no interface name of a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnfitName {
    /// It has more bytes than Linux takes.
    #[error("\"{}\" is longer than the {INTERFACE_NAME_MAX} bytes that Linux allows", shorten(.0))]
    Long(String),
    /// It has characters that not every reader takes.
    #[error("\"{}\" has other characters than lower case letters, digits and - between them", shorten(.0))]
    Odd(String),
    /// Every pod has an interface of that name.
    #[error("every pod has an interface \"{0}\" already")]
    Taken(String),
}

impl InterfaceTemplate {
    /// The interface name for the network that is declared under `key`.
    ///
    /// # Errors
    /// Where that would be no name that Linux and every reader of the annotation take.
    pub fn name(&self, key: &NetworkKey) -> Result<String, UnfitName> {
        let name = format!("{}{key}{}", self.before, self.after);
        if !is_dns_label(&name) {
            return Err(UnfitName::Odd(name));
        }
        if name.len() > INTERFACE_NAME_MAX {
            return Err(UnfitName::Long(name));
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(UnfitName::Taken(name));
        }
        Ok(name)
    }
}

impl FromStr for InterfaceTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it like {key}0, which makes public0 of public";
        let Some((before, after)) = text.split_once(KEY) else {
            return Err(format!("\"{}\" has no {KEY} in it; {example}", shorten(text)));
        };
        if after.contains(KEY) {
            return Err(format!("\"{}\" has {KEY} more than once; {example}", shorten(text)));
        }
        // Any key will do to see whether what stands around it fits.
        if !is_dns_label(&format!("{before}k{after}")) {
            return Err(format!(
                "around {KEY}, \"{}\" may have lower case letters, digits and - between them only; {example}",
                shorten(text)
            ));
        }
        if before.len() + after.len() >= INTERFACE_NAME_MAX {
            return Err(format!(
                "\"{}\" leaves no place for a key: Linux allows {INTERFACE_NAME_MAX} bytes; {example}",
                shorten(text)
            ));
        }
        Ok(Self { before: before.into(), after: after.into() })
    }
}

impl fmt::Display for InterfaceTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{KEY}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_back_as_written() {
        for text in ["{key}0", "{key}", "rook-{key}", "x{key}-0"] {
            assert_eq!(text.parse::<InterfaceTemplate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_template_is_said() {
        for (text, said) in [
            ("", "\"\" has no {key} in it"),
            ("net0", "\"net0\" has no {key} in it"),
            ("{key}{key}", "{key} more than once"),
            ("{Key}0", "no {key} in it"),
            ("Rook{key}", "lower case letters, digits and -"),
            ("-{key}", "lower case letters, digits and -"),
            ("{key}-", "lower case letters, digits and -"),
            ("{key}.0", "lower case letters, digits and -"),
            ("{key} ", "lower case letters, digits and -"),
            ("{key}@0", "lower case letters, digits and -"),
            ("{key}012345678901234", "leaves no place for a key"),
        ] {
            let error = text.parse::<InterfaceTemplate>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
            assert!(error.ends_with("write it like {key}0, which makes public0 of public"), "{error}");
        }
    }

    #[test]
    fn names_are_valid_to_every_reader_or_none() {
        let name = |template: &str, key: &str| {
            template
                .parse::<InterfaceTemplate>()
                .unwrap()
                .name(&NetworkKey::from(key))
                .map_err(|unfit| unfit.to_string())
        };
        assert_eq!(name("{key}0", "public"), Ok("public0".to_owned()));
        assert_eq!(name("st-{key}", "a-b"), Ok("st-a-b".to_owned()));
        assert_eq!(name("{key}", "fifteen-bytes-x"), Ok("fifteen-bytes-x".to_owned()));
        for (template, key, said) in [
            ("{key}0", "fifteen-bytes-x", "longer than the 15 bytes"),
            ("{key}0", "Public", "other characters"),
            ("{key}", "a.b", "other characters"),
            ("{key}", "-a", "other characters"),
            ("{key}", "", "other characters"),
            ("{key}", "lo", "every pod has an interface \"lo\" already"),
            ("{key}0", "eth", "every pod has an interface \"eth0\" already"),
        ] {
            let error = name(template, key).unwrap_err();
            assert!(error.contains(said), "{template} of {key}: {error}");
        }
    }
}
