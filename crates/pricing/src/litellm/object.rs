use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object whose values keep their text, in the order in which they stand.
#[derive(Debug)]
pub(super) struct Object<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

impl<'j> Object<'j> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'j RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// A field; the last, where there are several of the name.
    pub(super) fn get(&self, name: &str) -> Option<&'j RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// A field that is a string.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'j, str>> {
        serde_json::from_str(self.get(name)?.get()).ok().map(Cow::Owned)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    fields.push((Cow::Owned(key), map.next_value::<&RawValue>()?));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
