//! Leftovers of inner objects, kept so that they find back to where they stood.
//!
//! A bag is flat, and reports an entry at its own place. An inner object that leaves something over
//! therefore goes to the bag together with its leftovers: for another protocol it says nothing itself,
//! and on the way back to this one every entry that lies within its text belongs inside it.

use weighbridge_protocol::json::{Bag, Object, Raw};

use crate::Losses;
use crate::bags::append;

/// The inner objects that may leave something over.
pub(super) const CONTAINERS: [&str; 13] = [
    "generationConfig",
    "thinkingConfig",
    "toolConfig",
    "functionCallingConfig",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "content",
    "groundingMetadata",
    "citationMetadata",
    "logprobsResult",
    "promptFeedback",
];

/// Adds what the inner object `object` leaves over, if anything.
pub(super) fn nest<'a>(bag: &mut Bag<'a>, name: &'static str, object: Raw<'a>, rest: Bag<'a>) {
    if !rest.is_empty() {
        bag.push(name, object);
        append(bag, rest);
    }
}

/// The entries of a bag, on their way back.
pub(super) struct Leftovers<'b, 'a> {
    /// Each entry, and the container that it lies in. Empty for another protocol.
    entries: Vec<(&'b str, Raw<'a>, Option<&'b str>)>,
}

impl<'b, 'a> Leftovers<'b, 'a> {
    /// Takes the entries of a bag; another protocol's target gets none, and they are reported.
    pub(super) fn new(bag: &'b Bag<'a>, losses: &mut Losses<'a>) -> Self {
        if !losses.is_same_protocol() {
            losses.bag(bag);
            return Self { entries: Vec::new() };
        }
        losses.superseded(bag);
        let containers: Vec<(&str, Raw<'a>)> =
            bag.iter().filter(|(name, _)| CONTAINERS.contains(name)).collect();
        let entries = bag.iter().map(|(name, value)| {
            let around = containers.iter().filter(|(_, container)| is_within(value, *container));
            let innermost = around.min_by_key(|(_, container)| container.text().len());
            (name, value, innermost.map(|(name, _)| *name))
        });
        Self { entries: entries.collect() }
    }

    /// Whether the object `container` is to hold an entry, be it further inside.
    pub(super) fn is_needed(&self, container: &str) -> bool {
        self.entries.iter().any(|(_, _, within)| *within == Some(container))
    }

    /// The value of a field, in `container` or outside of any.
    pub(super) fn get(&self, container: Option<&str>, name: &str) -> Option<Raw<'a>> {
        let mut found = self.entries.iter().filter(|(of, _, within)| *of == name && *within == container);
        found.next().map(|(_, value, _)| *value)
    }

    /// Writes what belongs inside the object `container`.
    pub(super) fn write_inside(&self, container: &str, object: &mut Object<'_>) {
        self.write(Some(container), object);
    }

    /// Writes what belongs inside no other object.
    pub(super) fn write_outside(&self, object: &mut Object<'_>) {
        self.write(None, object);
    }

    fn write(&self, container: Option<&str>, object: &mut Object<'_>) {
        for (name, value, within) in &self.entries {
            if *within == container && !CONTAINERS.contains(name) {
                object.key(name).raw(value.text());
            }
        }
    }
}

/// Whether a value is a part of another's text.
fn is_within(inner: Raw<'_>, outer: Raw<'_>) -> bool {
    let bounds = |raw: Raw<'_>| {
        let start = raw.text().as_ptr().addr();
        (start, start + raw.text().len())
    };
    let ((inner_start, inner_end), (start, end)) = (bounds(inner), bounds(outer));
    start < inner_start && inner_end < end
}

#[cfg(test)]
mod tests {
    use weighbridge_protocol::json::{Fields, ScanLimits, Writer};
    use weighbridge_units::Protocol::{GeminiGenerateContent, OpenAiChat};

    use super::*;

    #[test]
    fn leftovers_find_back_to_where_they_stood() {
        let text = r#"{"a":1,"toolConfig":{"b":2,"functionCallingConfig":{"c":{"d":3}}}}"#;
        let root = Raw::parse(text, &ScanLimits::default()).unwrap();
        let mut fields = Fields::read(root).unwrap();
        let mut config: Fields<'_> = fields.require("toolConfig").unwrap();
        let inner: Fields<'_> = config.require("functionCallingConfig").unwrap();
        let mut bag = Bag::EMPTY;
        nest(&mut bag, "toolConfig", config.raw(), config.clone().rest());
        nest(&mut bag, "functionCallingConfig", inner.raw(), inner.clone().rest());
        append(&mut bag, fields.rest());

        let mut losses = Losses::new(GeminiGenerateContent, GeminiGenerateContent);
        let left = Leftovers::new(&bag, &mut losses);
        assert!(left.is_needed("toolConfig") && left.is_needed("functionCallingConfig"));
        let mut out = Vec::new();
        let mut object = Writer::new(&mut out).object();
        left.write_outside(&mut object);
        let mut config = object.key("toolConfig").object();
        left.write_inside("toolConfig", &mut config);
        left.write_inside("functionCallingConfig", &mut config.key("functionCallingConfig").object());
        drop(config);
        drop(object);
        assert_eq!(String::from_utf8(out).unwrap(), text);
        assert!(losses.is_empty());

        let mut losses = Losses::new(GeminiGenerateContent, OpenAiChat);
        assert!(!Leftovers::new(&bag, &mut losses).is_needed("toolConfig"));
        let pointers: Vec<String> = losses.into_list(text).into_iter().map(|loss| loss.pointer).collect();
        assert_eq!(pointers, ["/toolConfig/b", "/toolConfig/functionCallingConfig/c", "/a"]);
    }
}
