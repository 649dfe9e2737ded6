//! On which lines of a file its objects begin.
//!
//! Only for people, who look there: where a line cannot be told, that of what is around it does.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_saphyr::{Location, Spanned};

use super::{Document, without_bounds};

/// The line of a place in a YAML text.
pub(super) fn of(place: Location) -> usize {
    usize::try_from(place.line()).unwrap_or(1).max(1)
}

/// The line of a place in a text, given as an offset in bytes.
pub(super) fn at(text: &str, offset: usize) -> usize {
    1 + newlines(text, 0, offset)
}

/// The objects of all documents, each with its own line: items of lists too, which takes another look at the text.
pub(super) fn of_items(text: &str, documents: Vec<Document>) -> Vec<Document> {
    let lists = if documents.iter().any(Document::is_list) { lists(text) } else { Vec::new() };
    // Where there are as many of both, they are the same documents.
    let are_known = lists.len() == documents.len();
    let mut objects = Vec::with_capacity(documents.len());
    for (index, document) in documents.into_iter().enumerate() {
        let lines = lists.get(index).filter(|_| are_known && document.is_list());
        let begins = objects.len();
        objects.extend(document.objects());
        for (object, line) in objects[begins..].iter_mut().zip(lines.into_iter().flatten()) {
            object.line = *line;
        }
    }
    objects
}

#[derive(Deserialize)]
struct JsonList<'t> {
    #[serde(borrow)]
    items: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
struct YamlList {
    #[serde(default)]
    items: Vec<Spanned<IgnoredAny>>,
}

/// For each document the lines of its items; nothing where they cannot be told.
fn lists(text: &str) -> Vec<Vec<usize>> {
    if let Ok(JsonList { items }) = serde_json::from_str(text) {
        let (mut line, mut seen) = (1, 0);
        let lines = items.into_iter().map(|item| {
            let offset = item.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
            line += newlines(text, seen, offset);
            seen = offset;
            line
        });
        return vec![lines.collect()];
    }
    let lists: Vec<YamlList> = serde_saphyr::from_multiple_with_options(text, without_bounds()).unwrap_or_default();
    lists.into_iter().map(|list| list.items.into_iter().map(|item| of(item.referenced)).collect()).collect()
}

fn newlines(text: &str, from: usize, to: usize) -> usize {
    text.get(from..to).unwrap_or_default().matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::manifests::documents;

    fn lines(text: &str) -> Vec<(String, usize)> {
        let objects = of_items(text, documents(text).unwrap());
        objects.into_iter().map(|Document { object, line }| (object["n"].to_string(), line)).collect()
    }

    fn expected(lines: &[usize]) -> Vec<(String, usize)> {
        lines.iter().enumerate().map(|(index, line)| ((index + 1).to_string(), *line)).collect()
    }

    #[test]
    fn documents_begin_where_their_first_line_is() {
        assert_eq!(lines("n: 1\n"), expected(&[1]));
        assert_eq!(lines("# about it\n\n---\n# more\nn: 1\n---\nn: 2\n"), expected(&[5, 7]));
        assert_eq!(lines("---\n---\n\nn: 1\n--- {n: 2}\n"), expected(&[4, 5]));
        assert_eq!(lines("\n\n{\"n\": 1}"), expected(&[3]));
        assert_eq!(lines("{n: 1}\n---\n{n: 2}"), expected(&[1, 3]), "YAML that begins as JSON does");
    }

    #[test]
    fn items_of_lists_have_lines_of_their_own() {
        let json = "{\n\"kind\": \"List\",\n\"items\": [\n{\"n\": 1},\n\n{\n\"n\": 2}, {\"n\": 3}]}";
        assert_eq!(lines(json), expected(&[4, 6, 7]));
        let yaml = "kind: List\nitems:\n- n: 1\n-\n  n: 2\n---\nn: 3\n---\nkind: XList\nitems: [{n: 4},\n {n: 5}]\n";
        assert_eq!(lines(yaml), expected(&[3, 5, 7, 10, 11]));
    }

    #[test]
    fn what_cannot_be_told_is_the_line_of_the_list() {
        assert_eq!(lines("kind: List\nitems:\n- n: 1\n---\nitems: 3\nn: 2"), expected(&[1, 5]));
        assert_eq!(lines("kind: List\nitems: 1\n"), expected(&[]));
        assert_eq!(lines(""), expected(&[]));
    }
}
