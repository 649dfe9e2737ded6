//! A JSON object, read as Go reads it into a struct: keys without regard to case, `null` as if it were not there.
//!
//! Go refuses the whole object where one field has another type than the struct's. That is a decision for whoever knows what
//! the program does then, so it is returned, and never made here.

use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// A field that has another type than the program that reads it expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistyped {
    /// The field.
    pub field: &'static str,
    /// What it must be, with its article.
    pub expected: &'static str,
}

/// A field by its name; one that is written in exactly this case wins.
pub(super) fn field<'c>(object: &'c Object, name: &str) -> Option<&'c Value> {
    let any_case = || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(any_case).filter(|value| !value.is_null())
}

/// A text.
pub(super) fn text<'c>(object: &'c Object, name: &'static str) -> Result<Option<&'c str>, Mistyped> {
    typed(object, name, "a text", Value::as_str)
}

/// A text, an empty one as if it were not there: what an empty text means to nearly every plugin.
pub(super) fn filled<'c>(object: &'c Object, name: &'static str) -> Result<Option<&'c str>, Mistyped> {
    Ok(text(object, name)?.filter(|text| !text.is_empty()))
}

/// A whole number.
pub(super) fn whole(object: &Object, name: &'static str) -> Result<Option<i64>, Mistyped> {
    typed(object, name, "a whole number", Value::as_i64)
}

/// A list.
pub(super) fn list<'c>(object: &'c Object, name: &'static str) -> Result<&'c [Value], Mistyped> {
    Ok(typed(object, name, "a list", Value::as_array)?.map_or(&[], Vec::as_slice))
}

/// A list of texts. (Go reads a `null` among them as an empty text.)
pub(super) fn texts<'c>(object: &'c Object, name: &'static str) -> Result<Vec<&'c str>, Mistyped> {
    let mistyped = Mistyped { field: name, expected: "a list of texts" };
    let as_text = |value: &'c Value| if value.is_null() { Some("") } else { value.as_str() };
    list(object, name).map_err(|_| mistyped)?.iter().map(|value| as_text(value).ok_or(mistyped)).collect()
}

fn typed<'c, T>(
    object: &'c Object,
    name: &'static str,
    expected: &'static str,
    read: impl Fn(&'c Value) -> Option<T>,
) -> Result<Option<T>, Mistyped> {
    field(object, name).map(|value| read(value).ok_or(Mistyped { field: name, expected })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn fields_are_read_as_go_reads_them() {
        let read = object(r#"{"A":"x","b":null,"c":5,"d":["y",null],"e":[1],"TYPE":"u","type":"l","f":1.5}"#);
        assert_eq!(text(&read, "a"), Ok(Some("x")));
        assert_eq!(text(&read, "b"), Ok(None));
        assert_eq!(text(&read, "c"), Err(Mistyped { field: "c", expected: "a text" }));
        assert_eq!(text(&read, "type"), Ok(Some("l")));
        assert_eq!(whole(&read, "C"), Ok(Some(5)));
        assert!(whole(&read, "f").is_err());
        assert_eq!(texts(&read, "d"), Ok(vec!["y", ""]));
        assert_eq!(texts(&read, "b"), Ok(Vec::new()));
        assert!(texts(&read, "e").is_err() && list(&read, "a").is_err());
        assert_eq!(filled(&object(r#"{"a":""}"#), "a"), Ok(None));
    }
}
