//! Names of tools in protocols that restrict their alphabet or know only functions.
//!
//! A name that is legal passes unchanged; others are escaped like ids ([`crate::tool_id`]). Two kinds
//! of names are made here and recognised in the answer, so that nothing has to be remembered: a custom
//! tool that stands as a function, and a function that stands for a structured answer.

use std::borrow::Cow;

use weighbridge_protocol::json::{Kind, Object, Writer};

use crate::conversation::{CallKind, JsonText, ToolCall};
use crate::tool_id;

/// How the name of a function begins that stands for a custom tool.
const CUSTOM: &str = "wb_custom__";

/// The field that holds what a custom tool is called with.
const INPUT: &str = "input";

/// The function whose arguments are the answer, where a protocol gives structured answers only so.
pub(crate) const ANSWER: &str = "wb_structured_answer";

/// What the model is told about [`ANSWER`].
pub(crate) const ANSWER_DESCRIPTION: &str =
    "Gives the final answer. Call it exactly once, with the whole answer as its arguments.";

/// The name of a tool where only letters, digits, `_` and `-` are legal.
pub(crate) fn legal(name: &str, kind: CallKind) -> Cow<'_, str> {
    match (tool_id::legal(name), kind) {
        (name, CallKind::Function) => name,
        (name, CallKind::Custom) => Cow::Owned(marked(&name, kind).into_owned()),
    }
}

/// A legal name with the mark of its kind.
pub(crate) fn marked(name: &str, kind: CallKind) -> Cow<'_, str> {
    match kind {
        CallKind::Function => Cow::Borrowed(name),
        CallKind::Custom => Cow::Owned(format!("{CUSTOM}{name}")),
    }
}

/// The name that [`legal`] was given, and the kind of tool.
pub(crate) fn original(name: &str) -> (Cow<'_, str>, CallKind) {
    match name.strip_prefix(CUSTOM) {
        Some(custom) => (tool_id::original(custom), CallKind::Custom),
        None => (tool_id::original(name), CallKind::Function),
    }
}

/// Writes the schema of a function that stands for a custom tool.
pub(crate) fn custom_schema() -> JsonText<'static> {
    JsonText::made(|writer| {
        let mut schema = writer.object();
        schema.key("type").string("object");
        schema.key("properties").object().key(INPUT).object().key("type").string("string");
        schema.key("required").array().item().string(INPUT);
    })
}

/// Writes what a custom tool is called with as the arguments of a function.
pub(crate) fn write_custom(text: &str, object: &mut Object<'_>) {
    object.key(INPUT).string(text);
}

/// What a custom tool is called with, as the arguments of a function, while it is still coming.
#[derive(Debug, Default)]
pub(crate) struct CustomInput {
    has_begun: bool,
}

impl CustomInput {
    /// The next fragment of the arguments.
    pub(crate) fn piece(&mut self, text: &str) -> String {
        let mut quoted = Vec::new();
        Writer::new(&mut quoted).string(text);
        let quoted = String::from_utf8(quoted).unwrap_or_default();
        let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        format!("{}{escaped}", self.begin())
    }

    /// The last fragment.
    pub(crate) fn end(&mut self) -> String {
        format!("{}\"}}", self.begin())
    }

    fn begin(&mut self) -> String {
        match std::mem::replace(&mut self.has_begun, true) {
            true => String::new(),
            false => format!("{{\"{INPUT}\":\""),
        }
    }
}

/// What a custom tool is called with, out of the arguments of the function that stands for it; the
/// arguments themselves where they are anything else.
pub(crate) fn custom_input(arguments: Cow<'_, str>) -> Cow<'_, str> {
    let json = JsonText::parse(Cow::Borrowed(&arguments)).filter(|json| json.kind() == Kind::Object);
    let input = json.and_then(|json| Some(json.raw()?.get(INPUT)?.str().ok()?.into_owned()));
    input.map_or(arguments, Cow::Owned)
}

/// As [`original`], of a name that is not needed any more.
pub(crate) fn into_original(name: Cow<'_, str>) -> (Cow<'_, str>, CallKind) {
    let (original, kind) = original(&name);
    match original {
        Cow::Borrowed(same) if same.len() == name.len() => (name, kind),
        other => (Cow::Owned(other.into_owned()), kind),
    }
}

/// A call as it was meant: of a custom tool where its name says so.
pub(crate) fn original_call<'a>(
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
) -> ToolCall<'a> {
    let (name, kind) = into_original(name);
    let arguments = if kind == CallKind::Custom { custom_input(arguments) } else { arguments };
    ToolCall { id, name, arguments, kind }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_comes_back(name in "(wb-|wb_)?[a-z._:-]{1,12}", is_custom in any::<bool>()) {
            prop_assume!(!name.starts_with(CUSTOM));
            let kind = if is_custom { CallKind::Custom } else { CallKind::Function };
            let legal = legal(&name, kind);
            prop_assert!(legal.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(original(&legal), (Cow::Borrowed(name.as_str()), kind));
        }
    }

    #[test]
    fn what_a_custom_tool_is_called_with_comes_back() {
        let mut out = Vec::new();
        write_custom("two\n\"lines\"", &mut weighbridge_protocol::json::Writer::new(&mut out).object());
        let arguments = String::from_utf8(out).unwrap();
        assert_eq!(custom_input(arguments.into()), "two\n\"lines\"");
        assert_eq!(custom_input("cut {".into()), "cut {");
    }

    #[test]
    fn in_pieces_it_is_the_same() {
        for pieces in [&[][..], &[""], &["two\n", "\"lines", "\"\\"]] {
            let mut input = CustomInput::default();
            let mut told: String = pieces.iter().map(|piece| input.piece(piece)).collect();
            told.push_str(&input.end());
            let mut whole = Vec::new();
            write_custom(&pieces.concat(), &mut Writer::new(&mut whole).object());
            assert_eq!(told.as_bytes(), whole);
        }
    }
}
