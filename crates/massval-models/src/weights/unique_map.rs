//! A JSON object that must not name a key twice: what parsers disagree on is where a hostile
//! file hides.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// A value of a JSON object whose type may depend on its key.
pub(super) trait KeyedValue<'de>: Sized {
    /// Reads the value that stands at `key`.
    fn read<A: MapAccess<'de>>(key: &str, map: &mut A) -> Result<Self, A::Error>;
}

impl<'de> KeyedValue<'de> for String {
    fn read<A: MapAccess<'de>>(_key: &str, map: &mut A) -> Result<Self, A::Error> {
        map.next_value()
    }
}

/// The entries of a JSON object in file order, all keys different.
#[derive(Debug)]
pub(super) struct UniqueMap<V>(pub(super) Vec<(String, V)>);

impl<'de, V: KeyedValue<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: KeyedValue<'de>> Visitor<'de> for Entries<V> {
            type Value = UniqueMap<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = HashSet::new();
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("`{key}` is named twice")));
                    }
                    let value = V::read(&key, &mut map)
                        .map_err(|e| A::Error::custom(format!("`{key}`: {e}")))?;
                    entries.push((key, value));
                }
                Ok(UniqueMap(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_named_twice_is_an_error_that_names_it() {
        let json = r#"{"a":"1","b":"2","a":"1"}"#;
        let error = serde_json::from_str::<UniqueMap<String>>(json).unwrap_err();
        assert!(error.to_string().contains("`a` is named twice"), "{error}");
    }

    #[test]
    fn a_bad_value_names_its_key() {
        let error = serde_json::from_str::<UniqueMap<String>>(r#"{"a":"1","b":2}"#).unwrap_err();
        assert!(error.to_string().contains("`b`"), "{error}");
    }
}
