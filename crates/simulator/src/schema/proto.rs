//! JSON as Protocol Buffers have it: <https://protobuf.dev/programming-guides/json>.
//!
//! Field names come in camel or in snake case, `null` is the same as absence, numbers may be texts,
//! bytes are base64 of either alphabet, and Google reads names of enumerations in any case. [`Schema::canonical`] takes all that away.

use serde_json::{Map, Value, json};

use super::{Node, Others, Schema};

/// A type that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Int32,
    Int64,
    Float,
    Text,
    Bytes,
    Duration,
    Timestamp,
    Enum { name: String, allowed: Vec<String> },
}

impl Scalar {
    /// The type of that name in a schema.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "proto-bool" => Self::Bool,
            "proto-int32" => Self::Int32,
            "proto-int64" => Self::Int64,
            "proto-float" => Self::Float,
            "proto-string" => Self::Text,
            "proto-bytes" => Self::Bytes,
            "proto-duration" => Self::Duration,
            "proto-timestamp" => Self::Timestamp,
            _ => return None,
        })
    }

    /// The name in errors.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Bool => "TYPE_BOOL".to_owned(),
            Self::Int32 => "TYPE_INT32".to_owned(),
            Self::Int64 => "TYPE_INT64".to_owned(),
            Self::Float => "TYPE_FLOAT".to_owned(),
            Self::Text => "TYPE_STRING".to_owned(),
            Self::Bytes => "TYPE_BYTES".to_owned(),
            Self::Duration => "type.googleapis.com/google.protobuf.Duration".to_owned(),
            Self::Timestamp => "type.googleapis.com/google.protobuf.Timestamp".to_owned(),
            Self::Enum { name, .. } => format!("type.googleapis.com/{name}"),
        }
    }

    /// Whether the value is of the type.
    pub(super) fn fits(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Bool => value.is_boolean(),
            Self::Int32 => whole(value).is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Int64 => whole(value).is_some(),
            Self::Float => value.is_number() || text.is_some_and(is_float),
            Self::Text => value.is_string(),
            Self::Bytes => text.is_some_and(is_base64),
            Self::Duration => {
                text.and_then(|text| text.strip_suffix('s')).is_some_and(|s| s.parse::<f64>().is_ok())
            }
            Self::Timestamp => text.is_some_and(|text| text.len() >= 20 && text.contains('T')),
            Self::Enum { allowed, .. } => match text {
                Some(text) => allowed.iter().any(|name| name.eq_ignore_ascii_case(text)),
                None => whole(value).is_some_and(|number| i32::try_from(number).is_ok()),
            },
        }
    }

    /// The value in its usual form.
    fn canonical(&self, value: &Value) -> Value {
        match self {
            Self::Int32 | Self::Int64 => whole(value).map_or_else(|| value.clone(), |number| json!(number)),
            Self::Float => match value.as_str().and_then(|text| text.parse::<f64>().ok()) {
                Some(number) => json!(number),
                None => value.clone(),
            },
            Self::Enum { allowed, .. } => {
                let named = match value.as_str() {
                    Some(text) => allowed.iter().find(|name| name.eq_ignore_ascii_case(text)),
                    None => value.as_u64().and_then(|number| allowed.get(usize::try_from(number).ok()?)),
                };
                named.map_or_else(|| value.clone(), |name| json!(name))
            }
            _ => value.clone(),
        }
    }
}

/// A whole number, written as a number or as a text.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_i64().or_else(|| {
            let number = value.as_f64().filter(|number| number.fract().abs() < f64::EPSILON)?;
            // Within 2^53 a float is exact.
            (number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
        }),
    }
}

fn is_float(text: &str) -> bool {
    match text {
        "NaN" | "Infinity" | "-Infinity" => true,
        _ => text.parse::<f64>().is_ok_and(f64::is_finite),
    }
}

/// Base64 of either alphabet, padded or not.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    let for_urls = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (plain || for_urls)
        && digits.len() % 4 != 1
        && (padding == 0 || text.len().is_multiple_of(4) && padding <= 2)
}

/// A field's name in camel case.
pub(super) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.extend(c.to_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

impl Schema {
    /// A body that satisfies the definition of that name, without the freedoms of this format.
    pub(crate) fn canonical(&self, name: &str, body: &Value) -> Value {
        self.named
            .get(name)
            .and_then(|place| self.definitions.get(*place))
            .map_or_else(|| body.clone(), |node| self.canonical_of(node, body))
    }

    fn canonical_of(&self, node: &Node, value: &Value) -> Value {
        match (node, value) {
            (Node::Definition(place), _) => match self.definitions.get(*place) {
                Some(node) => self.canonical_of(node, value),
                None => value.clone(),
            },
            (Node::Proto(scalar), _) => scalar.canonical(value),
            (Node::List(item), Value::Array(items)) => {
                items.iter().map(|value| self.canonical_of(item, value)).collect()
            }
            // The only item of a list may stand for the list.
            (Node::List(item), _) => json!([self.canonical_of(item, value)]),
            (Node::Object(object), Value::Object(fields)) => {
                let mut canonical = Map::new();
                for (name, value) in fields {
                    let known = camel(name);
                    match (object.fields.get(&known), &object.others) {
                        (Some(_), _) if value.is_null() => {}
                        (Some(node), _) => {
                            canonical.insert(known, self.canonical_of(node, value));
                        }
                        (None, Others::Like(node)) => {
                            canonical.insert(name.clone(), self.canonical_of(node, value));
                        }
                        (None, Others::Refused) => {}
                    }
                }
                Value::Object(canonical)
            }
            _ => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_as_free_as_the_format() {
        let color = Scalar::Enum { name: "x.Color".into(), allowed: vec!["RED".into(), "BLUE".into()] };
        for (scalar, fits, does_not) in [
            (Scalar::Bool, vec![json!(true)], vec![json!("true"), json!(1)]),
            (
                Scalar::Int32,
                vec![json!(7), json!("7"), json!(7.0), json!(-1)],
                vec![json!(7.5), json!("7.5"), json!(1_u64 << 31), json!(true)],
            ),
            (Scalar::Int64, vec![json!("9007199254740993"), json!(1)], vec![json!("x"), json!([])]),
            (
                Scalar::Float,
                vec![json!(1), json!(0.5), json!("0.5"), json!("NaN")],
                vec![json!("nan"), json!(""), json!(true)],
            ),
            (
                Scalar::Bytes,
                vec![json!(""), json!("aGk="), json!("aGk"), json!("_-8=")],
                vec![json!("a"), json!("!"), json!("+_8=")],
            ),
            (Scalar::Duration, vec![json!("3.5s")], vec![json!("3.5"), json!(3)]),
            (color.clone(), vec![json!("RED"), json!(1), json!(99)], vec![json!("GREEN"), json!(true)]),
        ] {
            fits.iter().for_each(|value| assert!(scalar.fits(value), "{scalar:?} {value}"));
            does_not.iter().for_each(|value| assert!(!scalar.fits(value), "{scalar:?} {value}"));
        }
        for spelling in [json!("blue"), json!("BLUE"), json!(1)] {
            assert!(color.fits(&spelling));
            assert_eq!(color.canonical(&spelling), json!("BLUE"));
        }
        assert_eq!(Scalar::Int64.canonical(&json!("12")), json!(12));
    }

    #[test]
    fn names_become_camel_case() {
        assert_eq!(
            ["inline_data", "inlineData", "top_k", "x"].map(camel),
            ["inlineData", "inlineData", "topK", "x"]
        );
    }
}
