//! Arguments of a call that Vertex AI streams value by value, each with its JSON path:
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-function-call-arguments>.
//!
//! Values come in the order in which the model writes the object, so the object's text grows at its end
//! and each piece of it leaves at once.

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Raw, Writer};

use crate::FrameError;

/// How much of names is kept while their objects are open, in bytes.
const NAMES_MAX: usize = 1 << 20;

/// Like JSON documents.
const DEPTH_MAX: usize = 128;

/// How many places of an array may be left out before one that has a value.
const GAP_MAX: usize = 1_024;

const OUT_OF_ORDER: FrameError =
    FrameError::OutOfOrder("the arguments of a call did not come in the order of their object");

/// The text of an object, written from its values.
#[derive(Debug, Default)]
pub(super) struct PartialArgs {
    /// The containers that are open, from the object itself.
    open: Vec<Container>,
    /// The path of the last value.
    path: Vec<Step>,
    /// Whether that value is a text that goes on.
    in_text: bool,
    names_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug)]
enum Container {
    Object { names: Vec<String> },
    Array { length: usize },
}

impl PartialArgs {
    /// Takes one piece: a path, a value, and whether more of the value follows. Returns what it adds to
    /// the text of the object.
    pub(super) fn push(&mut self, piece: Raw<'_>) -> Result<String, FrameError> {
        let mut fields = Fields::read(piece)?;
        let path: Cow<'_, str> = fields.require("jsonPath")?;
        let path =
            steps(&path).ok_or_else(|| FrameError::Malformed("a JSON path of no known form".into()))?;
        let goes_on = fields.take("willContinue")?.value().unwrap_or(false);
        let mut out = String::new();
        let text: Option<Cow<'_, str>> = fields.take("stringValue")?.value();
        if self.in_text {
            if path == self.path {
                out.push_str(&escaped(&text.unwrap_or_default()));
                self.end_text(goes_on, &mut out);
                return Ok(out);
            }
            self.end_text(false, &mut out);
        }
        self.go_to(path, &mut out)?;
        match text {
            Some(text) => {
                out.push('"');
                out.push_str(&escaped(&text));
                self.end_text(goes_on, &mut out);
            }
            None => out.push_str(other_value(&mut fields)),
        }
        Ok(out)
    }

    /// Nothing follows: returns what closes the object.
    pub(super) fn finish(mut self) -> String {
        let mut out = String::new();
        if self.in_text {
            out.push('"');
        }
        if self.open.is_empty() {
            return "{}".to_owned();
        }
        while let Some(container) = self.open.pop() {
            out.push(container.end());
        }
        out
    }

    fn end_text(&mut self, goes_on: bool, out: &mut String) {
        self.in_text = goes_on;
        if !goes_on {
            out.push('"');
        }
    }

    /// Closes what the path has left, and opens what it enters.
    fn go_to(&mut self, path: Vec<Step>, out: &mut String) -> Result<(), FrameError> {
        if path.is_empty() || path.len() > DEPTH_MAX {
            return Err(OUT_OF_ORDER);
        }
        if self.open.is_empty() {
            self.enter(&path[0], out);
        }
        let shared = self.path.iter().zip(&path).take_while(|(before, now)| before == now).count();
        // The last step of either names a value, which is no container.
        if shared == path.len() || (shared == self.path.len() && shared > 0) {
            return Err(OUT_OF_ORDER);
        }
        while self.open.len() > shared + 1 {
            if let Some(container) = self.open.pop() {
                out.push(container.end());
            }
        }
        for (index, step) in path.iter().enumerate().skip(shared) {
            if index > shared {
                self.enter(step, out);
            }
            self.place(step, out)?;
        }
        self.path = path;
        Ok(())
    }

    /// Opens the container that a step is in.
    fn enter(&mut self, step: &Step, out: &mut String) {
        let (container, start) = match step {
            Step::Name(_) => (Container::Object { names: Vec::new() }, '{'),
            Step::Index(_) => (Container::Array { length: 0 }, '['),
        };
        out.push(start);
        self.open.push(container);
    }

    /// Writes what stands before a value of the innermost container.
    fn place(&mut self, step: &Step, out: &mut String) -> Result<(), FrameError> {
        match (self.open.last_mut(), step) {
            (Some(Container::Object { names }), Step::Name(name)) if !names.contains(name) => {
                self.names_bytes += name.len() + std::mem::size_of::<String>();
                if self.names_bytes > NAMES_MAX {
                    return Err(FrameError::TooMuch("the names of a call's arguments are over 1 MiB"));
                }
                if !names.is_empty() {
                    out.push(',');
                }
                names.push(name.clone());
                out.push('"');
                out.push_str(&escaped(name));
                out.push_str("\":");
            }
            (Some(Container::Array { length }), Step::Index(index))
                if *index >= *length && *index - *length <= GAP_MAX =>
            {
                for place in *length..=*index {
                    if place > 0 {
                        out.push(',');
                    }
                    if place < *index {
                        out.push_str("null");
                    }
                }
                *length = *index + 1;
            }
            _ => return Err(OUT_OF_ORDER),
        }
        Ok(())
    }
}

impl Container {
    const fn end(&self) -> char {
        match self {
            Self::Object { .. } => '}',
            Self::Array { .. } => ']',
        }
    }
}

fn other_value<'a>(fields: &mut Fields<'a>) -> &'a str {
    let number: Option<Raw<'a>> = fields.offer("numberValue");
    let of_kind = |kind| move |raw: &Raw<'a>| raw.kind() == kind;
    let number = number.filter(of_kind(Kind::Number));
    let truth = fields.offer::<Raw<'a>>("boolValue").filter(of_kind(Kind::Bool));
    number.or(truth).map_or("null", Raw::text)
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    Writer::new(&mut out).string(text);
    let quoted = String::from_utf8(out).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// The steps of a path (RFC 9535) such as `$.a.b[0]['c d']`; `None` where it has any other form.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at_checked(end)?;
            if name.is_empty() {
                return None;
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        } else {
            let inner = rest.strip_prefix('[')?;
            let (step, after) = match inner.chars().next()? {
                quote @ ('\'' | '"') => quoted(inner.get(1..)?, quote)?,
                _ => {
                    let (index, after) = inner.split_once(']')?;
                    rest = after;
                    steps.push(Step::Index(index.parse().ok()?));
                    continue;
                }
            };
            steps.push(Step::Name(step));
            rest = after.strip_prefix(']')?;
        }
    }
    Some(steps)
}

/// A name up to its closing quote, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => name.push(chars.next()?.1),
            end if end == quote => return Some((name, text.get(at + end.len_utf8()..)?)),
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use weighbridge_protocol::json::ScanLimits;

    use super::*;

    fn written(pieces: &[&str]) -> Result<String, FrameError> {
        let mut arguments = PartialArgs::default();
        let mut text = String::new();
        for piece in pieces {
            text.push_str(&arguments.push(Raw::parse(piece, &ScanLimits::default()).unwrap())?);
        }
        text.push_str(&arguments.finish());
        Ok(text)
    }

    #[test]
    fn values_grow_into_their_object() {
        let text = written(&[
            r#"{"jsonPath":"$.recipe.ingredients[0].amount","stringValue":"1\n","willContinue":true}"#,
            r#"{"jsonPath":"$.recipe.ingredients[0].amount","stringValue":"kg","willContinue":true}"#,
            r#"{"jsonPath":"$.recipe.ingredients[0].amount","stringValue":""}"#,
            r#"{"jsonPath":"$.recipe.ingredients[0].name","stringValue":"x","willContinue":true}"#,
            r#"{"jsonPath":"$.recipe.ingredients[2].name","nullValue":"NULL_VALUE"}"#,
            r#"{"jsonPath":"$.recipe['a \\' b'][0][0]","numberValue":1.50}"#,
            r#"{"jsonPath":"$.recipe['a \\' b'][0][1]","boolValue":true}"#,
            r#"{"jsonPath":"$.done","stringValue":"\"yes\""}"#,
        ]);
        assert_eq!(
            text.unwrap(),
            r#"{"recipe":{"ingredients":[{"amount":"1\nkg","name":"x"},null,{"name":null}],"a ' b":[[1.50,true]]},"done":"\"yes\""}"#
        );
    }

    #[test]
    fn nothing_is_an_empty_object_and_a_cut_text_is_closed() {
        assert_eq!(written(&[]).unwrap(), "{}");
        let cut = r#"{"jsonPath":"$.a","stringValue":"x","willContinue":true}"#;
        assert_eq!(written(&[cut]).unwrap(), r#"{"a":"x"}"#);
    }

    #[test]
    fn another_order_or_form_is_an_error() {
        let value = |path: &str| format!(r#"{{"jsonPath":"{path}","numberValue":1}}"#);
        for paths in [
            ["$.a.b", "$.a"],
            ["$.a", "$.a.b"],
            ["$.a", "$.a"],
            ["$.a[1]", "$.a[0]"],
            ["$.a.b", "$.a[0]"],
            ["$.a", "$"],
            ["$.a", "$[0]"],
            ["$.a", "$.b[9999999]"],
        ] {
            let pieces = paths.map(value);
            assert!(written(&[&pieces[0], &pieces[1]]).is_err(), "{paths:?}");
        }
        let again = ["$.a.b", "$.c", "$.a.d"].map(value);
        assert!(written(&[&again[0], &again[1], &again[2]]).is_err());
        for path in ["", "a", "$a", "$.", "$..a", "$[", "$[x]", "$['a", "$['a'", "$[-1]", "$.a[*]"] {
            assert!(written(&[&value(path)]).is_err(), "{path}");
        }
    }
}
