//! Names, as Kubernetes takes them: keys and values of labels, groups, kinds and resources, and what is named after the same rules.

use crate::network::shorten;

/// The most characters of the name in a key, and of a value (`k8s.io/apimachinery/pkg/util/validation`),
pub(super) const NAME_LENGTH: usize = 63;
/// and of the domain before the name.
pub(super) const DOMAIN_LENGTH: usize = 253;

/// What is checked of a value that is not whole: characters that any value may have within.
pub(super) fn is_within_label_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// A name, or a domain and a name with a slash between them (`IsQualifiedName`).
pub(super) fn check_label_key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("a key is empty".to_owned());
    }
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    if !name.is_empty() && is_name(name) && domain.is_none_or(is_domain) {
        Ok(())
    } else {
        Err(format!("\"{}\" is no key of a label", shorten(key)))
    }
}

pub(super) fn check_label_value(key: &str, value: &str) -> Result<(), String> {
    if is_label_value(value) {
        Ok(())
    } else {
        Err(format!("\"{}\" is no value that the label {key} can have", shorten(value)))
    }
}

pub(super) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

/// A lower-case DNS name (`IsDNS1123Subdomain`).
pub(super) fn is_domain(text: &str) -> bool {
    text.len() <= DOMAIN_LENGTH && text.split('.').all(is_plain)
}

/// One part of such a name (`IsDNS1123Label`).
pub(super) fn is_plain_name(text: &str) -> bool {
    text.len() <= NAME_LENGTH && is_plain(text)
}

/// A kind of object, such as `StatefulSet`.
pub(super) fn is_kind(text: &str) -> bool {
    text.len() <= NAME_LENGTH
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    text.len() <= NAME_LENGTH && has_ends(text, |byte| byte.is_ascii_alphanumeric()) && is_within_label_value(text)
}

/// Lower-case letters, digits and `-`, with a letter or digit at both ends.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    has_ends(text, is_plain) && text.bytes().all(|byte| is_plain(byte) || byte == b'-')
}

fn has_ends(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.into_iter().all(|end| end.is_some_and(&allowed))
}
