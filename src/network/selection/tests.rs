//! Selections as they are read, and written again.

use super::*;

#[test]
fn no_network_has_the_name_of_the_loopback() {
    for selector in ["a@lo", r#"{"name":"a","interface":"lo"}"#, r#"[{"name":"a","interfaceRequest":"lo"}]"#] {
        let error = NetworkSelection::from_selector(selector, "ns").unwrap_err().to_string();
        assert_eq!(error, "it asks for the interface \"lo\", which every pod has already", "{selector}");
    }
    let error = read_annotation("a,b@lo", "ns").unwrap_err().to_string();
    assert_eq!(error, "item 2 asks for the interface \"lo\", which every pod has already");
    assert!(NetworkSelection::from_selector("a@lo0", "ns").is_ok());
}

#[test]
fn an_interface_name_is_filled_in_beside_every_other_field() {
    for (value, expected) in [
        ("a", r#"{"name":"a","namespace":"ns","interface":"x0"}"#),
        (
            r#"[{"mac":"02:00:00:00:00:01","name":"a","new":{"b":[1.50]}}]"#,
            r#"{"mac":"02:00:00:00:00:01","name":"a","namespace":"ns","new":{"b":[1.50]},"interface":"x0"}"#,
        ),
        (
            r#"[{"name":"a","Interface":"","interfaceRequest":null,"interface":null}]"#,
            r#"{"name":"a","namespace":"ns","interface":"x0"}"#,
        ),
    ] {
        let read = read_annotation(value, "ns").unwrap().remove(0);
        let named = read.with_interface("x0").unwrap();
        assert_eq!(named.as_json(), expected);
        assert_eq!(read_annotation(&write_annotation([&named]), "other").unwrap(), [named]);
    }
    let full = format!(r#"[{{"name":"a","namespace":"ns"{}}}]"#, r#","x":0"#.repeat(98));
    assert_eq!(read_annotation(&full, "ns").unwrap().remove(0).with_interface("x0"), None);
}

#[test]
fn a_selector_selects_one_network() {
    for (selector, count) in [("a,b", 2), (",", 2), ("[]", 0), (r#"[{"name":"a"},{"name":"b"}]"#, 2)] {
        let error = NetworkSelection::from_selector(selector, "ns").unwrap_err();
        assert_eq!(error, SelectorError::NotOne(count), "{selector}");
    }
}
