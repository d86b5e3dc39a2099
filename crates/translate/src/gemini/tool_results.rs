//! `functionResponse`, to and from the canonical model.
//! <https://ai.google.dev/api/caching#FunctionResponse>
//!
//! The result is always an object. Google documents two of its fields: `output` for what the tool gave
//! back and `error` for why it failed; an object with neither is the result itself.
//!
//! | the tool gave back | `response` |
//! |---|---|
//! | nothing | `{}`, or `{"output": ""}` |
//! | a text | `{"output": "text"}` |
//! | several texts | `{"output": ["text", "text"]}` |
//! | a JSON object without these fields | the object |
//! | any other JSON | `{"output": …}` |
//! | the same, having failed | `{"error": …}` |
//!
//! Images and documents stand beside it, in `parts`.

use std::borrow::Cow;

use weighbridge_protocol::gemini::names;
use weighbridge_protocol::json::{Bag, Fields, Kind, Object, Raw, ReadError};
use weighbridge_units::LossKind;

use super::call_ids::CallIds;
use super::content_decode::result_part;
use super::content_encode;
use super::nested::{Leftovers, nest};
use crate::conversation::{DocumentSource, JsonText, ToolResult};
use crate::{Content, Losses, Part};

pub(super) fn decode<'a>(
    fields: &mut Fields<'a>,
    ids: Option<&mut CallIds<'a>>,
    bag: &mut Bag<'a>,
) -> Result<Content<'a>, ReadError> {
    let object = fields.raw();
    let response: Option<Fields<'a>> = names::take(fields, "functionResponse", "function_response")?;
    let mut response = response.ok_or_else(|| ReadError::missing(object, "functionResponse"))?;
    let object = response.raw();
    let name: Option<Cow<'a, str>> =
        response.take("name")?.value().filter(|name: &Cow<'a, str>| !name.is_empty());
    let id: Option<Cow<'a, str>> = response.take("id")?.value();
    let call_id = match ids {
        Some(ids) => ids.of_result(id, name.as_deref()),
        None => id.unwrap_or_default(),
    };
    let said = response.take::<Raw<'a>>("response")?.value();
    let (mut parts, is_error) = said.map_or((Vec::new(), false), read);
    for item in response.take::<Vec<Raw<'a>>>("parts")?.value().unwrap_or_default() {
        parts.push(result_part(item)?);
    }
    let result = ToolResult { call_id, name, parts, is_error };
    nest(bag, "functionResponse", object, response.rest());
    Ok(Content::ToolResult(result))
}

/// What a `response` says, and whether the tool failed.
fn read(response: Raw<'_>) -> (Vec<Part<'_>>, bool) {
    let Ok(fields) = Fields::read(response) else { return (value(response), false) };
    let fields = fields.rest();
    if fields.superseded().next().is_some() {
        return (vec![json(response)], false);
    }
    let mut entries = fields.iter();
    match (entries.next(), entries.next()) {
        (None, _) => (Vec::new(), false),
        (Some(("output", output)), None) => (value(output), false),
        (Some(("error", error)), None) if !error.is_null() => (value(error), true),
        _ => (vec![json(response)], false),
    }
}

/// A text, several texts, or any other JSON.
fn value(raw: Raw<'_>) -> Vec<Part<'_>> {
    if let Ok(text) = raw.str() {
        return if text.is_empty() { Vec::new() } else { vec![text_part(raw, text)] };
    }
    if raw.kind() == Kind::Array {
        let items: Vec<Raw<'_>> = raw.items().map(Iterator::collect).unwrap_or_default();
        let texts: Result<Vec<_>, _> = items.iter().map(|item| Ok(text_part(*item, item.str()?))).collect();
        if let (2.., Ok::<_, ReadError>(texts)) = (items.len(), texts) {
            return texts;
        }
    }
    vec![json(raw)]
}

fn text_part<'a>(raw: Raw<'a>, text: Cow<'a, str>) -> Part<'a> {
    Part::new(raw, Content::Text(text.into()))
}

fn json(raw: Raw<'_>) -> Part<'_> {
    Part::new(raw, Content::Json(JsonText::from(raw)))
}

/// Writes a result; `name` is that of the tool.
pub(super) fn write<'a>(
    part: &Part<'a>,
    result: &ToolResult<'a>,
    name: &str,
    left: &Leftovers<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut response = object.key("functionResponse").object();
    content_encode::id(&result.call_id, &mut response);
    if !name.is_empty() {
        response.key("name").string(name);
    }
    let (said, media): (Vec<&Part<'a>>, Vec<&Part<'a>>) =
        result.parts.iter().partition(|part| is_said(&part.content));
    if same_as_read(part, result, &said, losses) {
        if let Some(raw) = part.place.raw().and_then(|raw| response_of(raw)) {
            response.key("response").raw(raw.text());
        }
    } else {
        said_in(&said, result.is_error, &mut response, losses);
    }
    report_moved(&result.parts, losses);
    let media = content_encode::expressible(media, losses);
    if !media.is_empty() {
        let mut list = response.key("parts").array();
        for part in media {
            content_encode::medium(part, &mut list.item().object(), losses);
        }
    }
    left.write_inside("functionResponse", &mut response);
}

/// What stands in `response` rather than beside it.
fn is_said(content: &Content<'_>) -> bool {
    match content {
        Content::Text(_) | Content::Json(_) | Content::Refusal(_) => true,
        Content::Document(document) => matches!(document.source, DocumentSource::Parts(_)),
        _ => false,
    }
}

fn response_of(part: Raw<'_>) -> Option<Raw<'_>> {
    part.get("functionResponse").or_else(|| part.get("function_response"))?.get("response")
}

/// Whether the result still says what it was read from, in whatever form that was.
fn same_as_read<'a>(
    part: &Part<'a>,
    result: &ToolResult<'a>,
    said: &[&Part<'a>],
    losses: &Losses<'a>,
) -> bool {
    let Some(raw) = part.place.raw().filter(|_| losses.is_same_protocol()) else { return false };
    let (parts, is_error) = response_of(raw).map_or((Vec::new(), false), read);
    is_error == result.is_error && parts.iter().eq(said.iter().copied())
}

fn said_in<'a>(said: &[&Part<'a>], is_error: bool, response: &mut Object<'_>, losses: &mut Losses<'a>) {
    for part in said {
        losses.uncached(part.cache.as_ref());
        losses.bag(&part.bag);
        if let Content::Text(text) = &part.content {
            losses.uncited(&text.citations);
        }
    }
    let name = if is_error { "error" } else { "output" };
    let mut texts = Vec::with_capacity(said.len());
    for part in said {
        match &part.content {
            Content::Json(json) => texts.push((*part, json.text(), true)),
            Content::Text(text) => texts.push((*part, text.text.as_ref(), false)),
            Content::Refusal(text) => texts.push((*part, text.as_ref(), false)),
            Content::Document(document) => {
                if let DocumentSource::Parts(parts) = &document.source {
                    losses.report(
                        part.place,
                        LossKind::Approximated,
                        "a document in pieces stands as its texts",
                        "documents in pieces",
                    );
                    for part in parts {
                        if let Content::Text(text) = &part.content {
                            texts.push((part, text.text.as_ref(), false));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    match texts.as_slice() {
        [] if !is_error => drop(response.key("response").object()),
        [] => response.key("response").object().key(name).string(""),
        [(part, json, true)] => {
            let parsed = JsonText::parse(Cow::Borrowed(*json));
            let is_plain = !is_error && parsed.as_ref().and_then(JsonText::raw).is_some_and(is_whole_result);
            if is_plain {
                return response.key("response").raw(json);
            }
            let mut outer = response.key("response").object();
            if parsed.as_ref().and_then(JsonText::raw).is_some_and(is_json_inside) {
                outer.key(name).raw(json);
            } else {
                as_text(part, losses);
                outer.key(name).string(json);
            }
        }
        [(_, text, false)] => response.key("response").object().key(name).string(text),
        several => {
            let mut outer = response.key("response").object();
            let mut list = outer.key(name).array();
            for (part, text, is_json) in several {
                if *is_json {
                    as_text(part, losses);
                }
                list.item().string(text);
            }
        }
    }
}

fn as_text<'a>(part: &Part<'a>, losses: &mut Losses<'a>) {
    losses.report(
        part.place,
        LossKind::Approximated,
        "JSON that would not be told from texts stands as a text",
        "results of several pieces, each of its own kind",
    );
}

/// Whether an object is read as the result itself.
fn is_whole_result(raw: Raw<'_>) -> bool {
    raw.kind() == Kind::Object
        && matches!(read(raw).0.as_slice(), [Part { content: Content::Json(whole), .. }] if whole.text() == raw.text())
}

/// Whether a value within `output` or `error` is read as JSON again.
fn is_json_inside(raw: Raw<'_>) -> bool {
    matches!(value(raw).as_slice(), [Part { content: Content::Json(_), .. }])
}

/// A text behind an image will stand before it.
fn report_moved<'a>(parts: &[Part<'a>], losses: &mut Losses<'a>) {
    for part in parts.iter().skip_while(|part| is_said(&part.content)).filter(|part| is_said(&part.content)) {
        losses.report(
            part.place,
            LossKind::Moved,
            "it stands before the images and documents of the result",
            "an order between texts and images of a result",
        );
    }
}
