//! Text that somebody else wrote, in messages of ours.

use std::borrow::Cow;

/// The most characters of a foreign text that a message repeats.
const SHOWN: usize = 120;

/// The beginning of `text`, and an ellipsis where there is more: enough to recognise it, too little to flood a log.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
    }
}

/// What is wrong with a YAML text, with its place there. The parser would also print the lines around it, which is more than fits
/// into a sentence.
#[must_use]
pub fn yaml_fault(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string()
}
