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
