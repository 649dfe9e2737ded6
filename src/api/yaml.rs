//! Documents as YAML text: the same text for the same document, readable, and the same document when it is read again.

use serde_json::Value;
use thiserror::Error;

/// Why a document could not be written.
#[derive(Debug, Error)]
#[error("the document cannot be written as YAML ({0}); this is a fault of rook-multihome, please report it")]
pub struct YamlError(#[from] serde_saphyr::SerializeError);

/// Writes a document as YAML, with its fields in alphabetical order.
///
/// # Errors
/// Where the writer cannot express the document, which would be a fault of this program.
pub fn to_yaml(document: &Value) -> Result<String, YamlError> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 120, compact_list_indent: false };
    Ok(serde_saphyr::to_string_with_options(document, options)?)
}
