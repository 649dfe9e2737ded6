//! How JSON objects are read: as Go's `encoding/json` reads them, in one pass, and nothing but objects.
//!
//! serde's derive refuses repeated keys and takes lists for structs; neither is what the API server means. The macro here skips
//! unknown fields, lets the last of repeated ones count, and takes `null` for absent.

/// Implements `Deserialize` for a struct that borrows from the text: JSON key to field, or to a field of a field.
macro_rules! read_object {
    ($name:ident { $($key:literal => $($field:ident).+),+ $(,)? }) => {
        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name<'de>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key::<$crate::admit::Text<'de>>()? {
                            match &*key {
                                $($key => object.$($field).+ = map.next_value::<Option<_>>()?.unwrap_or_default(),)+
                                _ => _ = map.next_value::<serde::de::IgnoredAny>()?,
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    };
}

pub(crate) use read_object;
