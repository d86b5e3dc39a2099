//! How long, large or patterned a value may be, as AWS's service models say.

use serde_json::Value;

use super::{Defect, SchemaError};
use crate::base64;

/// What a value must keep to besides its type.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Limits {
    /// Least and most characters of a text, items of a list, or entries of a map.
    length: (Option<u64>, Option<u64>),
    /// Least and most of a number.
    range: (Option<f64>, Option<f64>),
    pattern: Option<Pattern>,
    /// Whether a text is base64.
    blob: bool,
}

/// A pattern of one set of characters, repeated: `[a-z0-9_-]+`, `[0-9]{12}`. Other patterns are not
/// checked.
#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    text: String,
    /// Ranges of characters, both ends included.
    ranges: Vec<(char, char)>,
    least: usize,
    most: usize,
}

impl Limits {
    /// The limits of a node, if it has any.
    pub(super) fn read(node: &Value) -> Result<Option<Self>, SchemaError> {
        let whole = |names: [&str; 3]| names.iter().find_map(|name| node.get(*name)).and_then(Value::as_u64);
        let number = |name: &str| node.get(name).and_then(Value::as_f64);
        let pattern = match node.get("pattern").and_then(Value::as_str) {
            Some(text) => Some(
                Pattern::read(text).ok_or_else(|| SchemaError(format!("cannot read the pattern {text}")))?,
            ),
            None => None,
        };
        let limits = Self {
            length: (
                whole(["minLength", "minItems", "minProperties"]),
                whole(["maxLength", "maxItems", "maxProperties"]),
            ),
            range: (number("minimum"), number("maximum")),
            pattern,
            blob: node.get("format").is_some_and(|format| format == "blob"),
        };
        Ok((limits != Self::default()).then_some(limits))
    }

    /// What of them a value breaks.
    pub(super) fn check(&self, value: &Value) -> Option<Defect> {
        let constraint = |text: String| Defect::Constraint { found: shown(value), constraint: text };
        let length = match value {
            Value::String(text) if self.blob => text.len() as u64,
            Value::String(text) => text.chars().count() as u64,
            Value::Array(items) => items.len() as u64,
            Value::Object(fields) => fields.len() as u64,
            _ => 0,
        };
        if !value.is_number() {
            if let Some(least) = self.length.0.filter(|least| length < *least) {
                return Some(constraint(format!("Member must have length greater than or equal to {least}")));
            }
            if let Some(most) = self.length.1.filter(|most| length > *most) {
                return Some(constraint(format!("Member must have length less than or equal to {most}")));
            }
        }
        if let Some(number) = value.as_f64() {
            if let Some(least) = self.range.0.filter(|least| number < *least) {
                return Some(constraint(format!("Member must have value greater than or equal to {least}")));
            }
            if let Some(most) = self.range.1.filter(|most| number > *most) {
                return Some(constraint(format!("Member must have value less than or equal to {most}")));
            }
        }
        match (&self.pattern, value.as_str()) {
            (Some(pattern), Some(text)) if !pattern.fits(text) => {
                Some(constraint(format!("Member must satisfy regular expression pattern: {}", pattern.text)))
            }
            (_, Some(text)) if self.blob && !base64::is_valid(text) => {
                Some(constraint("Member must be base64".to_owned()))
            }
            _ => None,
        }
    }
}

/// A value in an error, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(80).collect()
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let (set, repeated) = text.strip_prefix('[')?.rsplit_once(']')?;
        let (least, most) = match repeated {
            "+" => (1, usize::MAX),
            "*" => (0, usize::MAX),
            counted => {
                let counts = counted.strip_prefix('{')?.strip_suffix('}')?;
                match counts.split_once(',') {
                    Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
                    None => (counts.parse().ok()?, counts.parse().ok()?),
                }
            }
        };
        let mut ranges = Vec::new();
        let mut rest = set.chars().peekable();
        while let Some(first) = rest.next() {
            let first = match first {
                '\\' => match rest.next()? {
                    's' => {
                        ranges.extend([(' ', ' '), ('\t', '\r')]);
                        continue;
                    }
                    escaped => escaped,
                },
                plain => plain,
            };
            // A hyphen at the end stands for itself.
            let mut ahead = rest.clone();
            match (ahead.next(), ahead.next()) {
                (Some('-'), Some(last)) => {
                    rest = ahead;
                    ranges.push((first, last));
                }
                _ => ranges.push((first, first)),
            }
        }
        Some(Self { text: text.to_owned(), ranges, least, most })
    }

    fn fits(&self, text: &str) -> bool {
        let known = |c: char| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
        (self.least..=self.most).contains(&text.chars().count()) && text.chars().all(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_of_one_set_are_read() {
        for (pattern, fits, does_not) in [
            ("[a-zA-Z0-9_-]+", "a_B-9", "a b"),
            ("[a-zA-Z0-9_.:-]+", "a.b:c", ""),
            ("[0-9]{12}", "012345678901", "0123"),
            (r"[a-zA-Z0-9\s:_@$#=/+,-.]{0,256}", "a = b\t$,", "a;b"),
        ] {
            let read = Pattern::read(pattern).expect("readable");
            assert!(read.fits(fits), "{pattern} {fits:?}");
            assert!(!read.fits(does_not), "{pattern} {does_not:?}");
        }
        assert_eq!(Pattern::read("(a|b)"), None);
    }

    #[test]
    fn what_is_broken_is_named() {
        let limits = |node: Value| Limits::read(&node).expect("readable").expect("some");
        let broken = |limits: &Limits, value: Value| match limits.check(&value) {
            Some(Defect::Constraint { constraint, .. }) => constraint,
            other => panic!("{other:?}"),
        };
        let text = limits(json!({"minLength": 1, "maxLength": 3}));
        assert_eq!(text.check(&json!("éé")), None);
        assert!(broken(&text, json!("")).contains("greater than or equal to 1"));
        assert!(broken(&text, json!("abcd")).contains("less than or equal to 3"));
        assert!(broken(&text, json!([])).contains("length"));
        let number = limits(json!({"minimum": 0, "maximum": 1}));
        assert_eq!(number.check(&json!(0.5)), None);
        assert!(broken(&number, json!(1.5)).contains("value less than or equal to 1"));
        let blob = limits(json!({"format": "blob"}));
        assert_eq!(blob.check(&json!("aGk=")), None);
        assert!(broken(&blob, json!("aGk")).contains("base64"));
        assert_eq!(Limits::read(&json!({"type": "string"})).expect("readable"), None);
    }
}
