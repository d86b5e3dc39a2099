//! Parts into the canonical model: of messages, of instructions, and of answers.
//! <https://ai.google.dev/api/caching#Part>

use std::borrow::Cow;

use weighbridge_protocol::gemini::names;
use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::call_ids::CallIds;
use super::media_encode::{self, is_film, type_of_name};
use super::nested::nest;
use super::{base64, signature, tool_results};
use crate::bags::append;
use crate::conversation::{
    Audio, CallKind, Document, DocumentSource, Image, MediaSource, Proof, Reasoning, Text, ToolCall, Video,
};
use crate::{Content, Part};

/// What a part can hold, of which it has one.
const DATA: [(&str, &str, Holds); 9] = [
    ("text", "text", Holds::Text),
    ("inlineData", "inline_data", Holds::Bytes),
    ("fileData", "file_data", Holds::File),
    ("functionCall", "function_call", Holds::Call),
    ("functionResponse", "function_response", Holds::Result),
    ("executableCode", "executable_code", Holds::ServerTool),
    ("codeExecutionResult", "code_execution_result", Holds::ServerTool),
    ("toolCall", "tool_call", Holds::ServerTool),
    ("toolResponse", "tool_response", Holds::ServerTool),
];

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Bytes,
    File,
    Call,
    Result,
    /// A call of a tool that Google runs, or what came of it.
    ServerTool,
}

/// `parts`: a list, or one part alone. `ids` is for a request, whose calls need ids.
///
/// # Errors
/// [`ReadError`] where a field that is understood is missing or wrongly typed.
pub(super) fn parts<'a>(raw: Raw<'a>, mut ids: Option<&mut CallIds<'a>>) -> Result<Vec<Part<'a>>, ReadError> {
    let items: Vec<Raw<'a>> = match raw.kind() {
        Kind::Object => vec![raw],
        _ => raw.items()?.collect(),
    };
    let mut parts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let before = Before { next: items.get(index + 1).copied() };
        part(*item, &before, ids.as_deref_mut(), &mut parts)?;
    }
    Ok(parts)
}

/// The parts of an answer: what is odd is kept as it is, because an answer was paid for.
pub(super) fn of_answer(raw: Raw<'_>) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let items: Vec<Raw<'_>> = raw.items().map(Iterator::collect).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        let before = Before { next: items.get(index + 1).copied() };
        let known = parts.len();
        if part(*item, &before, None, &mut parts).is_err() {
            parts.truncate(known);
            parts.push(unknown(*item, Cow::Borrowed("part")));
        }
    }
    parts
}

/// A part of a chunk, which is no call: it stands before nothing that is known.
pub(super) fn in_stream(raw: Raw<'_>) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    if part(raw, &Before { next: None }, None, &mut parts).is_err() {
        return vec![unknown(raw, Cow::Borrowed("part"))];
    }
    parts
}

/// The signature of a part that holds a call or a piece of one.
pub(super) fn signature_of_call(raw: Raw<'_>) -> Vec<Part<'_>> {
    let signed = raw.get("thoughtSignature").or_else(|| raw.get("thought_signature"));
    let read = signed.and_then(|signed| Some((signed, signature::read(signed.str().ok()?)?)));
    read.map(|(place, (proof, id))| signature_part(place, proof, id)).into_iter().collect()
}

/// What a part stands before.
struct Before<'a> {
    next: Option<Raw<'a>>,
}

impl Before<'_> {
    fn nothing(&self) -> bool {
        self.next.is_none()
    }

    fn a_thought(&self) -> bool {
        self.next.and_then(|next| next.get("thought")).is_some_and(|thought| thought.text() == "true")
    }
}

fn unknown<'a>(raw: Raw<'a>, name: Cow<'a, str>) -> Part<'a> {
    Part::new(raw, Content::Unknown { name, raw })
}

fn part<'a>(
    raw: Raw<'a>,
    before: &Before<'a>,
    ids: Option<&mut CallIds<'a>>,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), ReadError> {
    let mut fields = Fields::read(raw)?;
    let is_thought = fields.take("thought")?.value().unwrap_or(false);
    let holds = match held(&fields, is_thought) {
        Ok(holds) => holds,
        Err(name) => {
            parts.push(unknown(raw, name));
            return Ok(());
        }
    };
    let mut bag = Bag::EMPTY;
    let signed: Option<Raw<'a>> = names::take(&mut fields, "thoughtSignature", "thought_signature")?;
    let mut proof = None;
    if let Some(signed) = signed {
        proof = signature::read(signed.str()?).map(|(proof, id)| (signed, proof, id));
        if proof.is_none() {
            bag.push("thoughtSignature", signed);
        }
    }
    if is_thought {
        let text: Cow<'a, str> = fields.take("text")?.value().unwrap_or_default();
        if text.is_empty() && !before.a_thought() {
            // Otherwise it would come back as the signature of the next part.
            bag.push("thought", raw.get("thought").unwrap_or(raw));
        }
        let (proof, id) = proof.map_or((None, None), |(_, proof, id)| (Some(proof), id));
        let content = Content::Reasoning(Reasoning { id, text, proof, ..Reasoning::default() });
        append(&mut bag, fields.rest());
        parts.push(Part { bag, ..Part::new(raw, content) });
        return Ok(());
    }
    let is_signed = proof.is_some();
    if let Some((place, proof, id)) = proof {
        parts.push(signature_part(place, proof, id));
    }
    let content = match holds {
        Holds::Text => {
            let text: Cow<'a, str> = fields.take("text")?.value().unwrap_or_default();
            if text.is_empty() && is_signed && before.nothing() {
                // Nothing but a place for the signature: it is written so again.
                let rest = fields.rest();
                if let Some(last) = parts.last_mut() {
                    append(&mut last.bag, rest);
                }
                return Ok(());
            }
            Content::Text(Text::from(text))
        }
        Holds::Bytes => inline(&mut fields, &mut bag)?,
        Holds::File => file(&mut fields, &mut bag)?,
        Holds::Call => call(&mut fields, ids, &mut bag)?,
        Holds::Result | Holds::ServerTool => tool_results::decode(&mut fields, ids, &mut bag)?,
    };
    append(&mut bag, fields.rest());
    parts.push(Part { bag, ..Part::new(raw, content) });
    Ok(())
}

fn signature_part<'a>(place: Raw<'a>, proof: Proof<'a>, id: Option<Cow<'a, str>>) -> Part<'a> {
    Part::new(place, Content::Reasoning(Reasoning { id, proof: Some(proof), ..Reasoning::default() }))
}

/// What a part holds that can be read; else the name of what it holds. A part with nothing is an empty
/// text, and one with several things is none that is known.
fn held<'a>(fields: &Fields<'a>, is_thought: bool) -> Result<Holds, Cow<'a, str>> {
    let mut held = DATA
        .iter()
        .filter(|(camel, snake, _)| names::peek(fields, camel, snake).is_some_and(|value| !value.is_null()));
    match (held.next(), held.next()) {
        (None, _) => of_no_known_kind(fields).map_or(Ok(Holds::Text), Err),
        (Some((name, _, _)), Some(_)) | (Some((name, _, Holds::ServerTool)), None) => {
            Err(Cow::Borrowed(*name))
        }
        (Some((_, _, holds)), None) if is_thought && *holds != Holds::Text => Err(Cow::Borrowed("thought")),
        (Some((_, _, holds)), None) => Ok(*holds),
    }
}

/// The name of what a part holds that is of no known kind; `None` where it holds nothing.
fn of_no_known_kind<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    const BESIDE: [&str; 6] =
        ["thought", "thoughtSignature", "thought_signature", "partMetadata", "mediaResolution", "text"];
    let rest = fields.clone().rest();
    let name = rest.iter().find(|(name, value)| !BESIDE.contains(name) && !value.is_null())?.0;
    Some(Cow::Owned(name.to_owned()))
}

/// Bytes in the part itself.
fn inline<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Content<'a>, ReadError> {
    let mut blob: Fields<'a> = inner(fields, "inlineData", "inline_data")?;
    let object = blob.raw();
    let media_type: Cow<'a, str> = names::take(&mut blob, "mimeType", "mime_type")?.unwrap_or_default();
    let data = base64::standard(blob.require("data")?);
    let content = if media_type == "text/plain"
        && let Some(text) = base64::decode(&data).and_then(|bytes| String::from_utf8(bytes).ok())
    {
        document(DocumentSource::Text(Cow::Owned(text)), &mut blob)?
    } else {
        let kind = Medium::of(&media_type);
        medium(kind, MediaSource::Base64 { media_type, data }, &mut blob)?
    };
    nest(bag, "inlineData", object, blob.rest());
    Ok(content)
}

/// A file at an address, or in Google's own store.
fn file<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Content<'a>, ReadError> {
    let mut file: Fields<'a> = inner(fields, "fileData", "file_data")?;
    let object = file.raw();
    let uri: Option<Cow<'a, str>> = names::take(&mut file, "fileUri", "file_uri")?;
    let url = uri.ok_or_else(|| ReadError::missing(object, "fileUri"))?;
    let media_type: Option<Raw<'a>> = names::take(&mut file, "mimeType", "mime_type")?;
    let media_type = media_type.map(|raw| raw.str().map(|text| (raw, text))).transpose()?;
    let kind = match &media_type {
        Some((_, media_type)) => Medium::of(media_type),
        None if is_film(&url) => Medium::Video,
        None => Medium::Document,
    };
    let mut rest = Bag::EMPTY;
    let source = if url.starts_with(FILE_STORE) || !url.contains("://") {
        // There is no place for the type beside an id.
        media_type.into_iter().for_each(|(raw, _)| rest.push("mimeType", raw));
        MediaSource::File { id: url }
    } else {
        // What the name tells anyway is written again.
        let told = type_of_name(&url, kind.usual());
        let media_type = media_type.map(|(_, text)| text).filter(|text| Some(text.as_ref()) != told);
        MediaSource::Url { url, media_type }
    };
    let content = medium(kind, source, &mut file)?;
    append(&mut rest, file.rest());
    nest(bag, "fileData", object, rest);
    Ok(content)
}

/// Where the Gemini API keeps files; nobody else can reach them there.
const FILE_STORE: &str = "https://generativelanguage.googleapis.com/";

fn inner<'a>(
    fields: &mut Fields<'a>,
    camel: &'static str,
    snake: &'static str,
) -> Result<Fields<'a>, ReadError> {
    let object = fields.raw();
    names::take(fields, camel, snake)?.ok_or_else(|| ReadError::missing(object, camel))
}

#[derive(Clone, Copy)]
enum Medium {
    Image,
    Audio,
    Video,
    Document,
}

impl Medium {
    fn of(media_type: &str) -> Self {
        match media_type.split('/').next().unwrap_or_default() {
            "image" => Self::Image,
            "audio" => Self::Audio,
            "video" => Self::Video,
            _ => Self::Document,
        }
    }

    /// The media type that is assumed where nobody says one.
    const fn usual(self) -> Option<&'static str> {
        match self {
            Self::Image => Some(media_encode::USUAL_IMAGE),
            Self::Audio => Some(media_encode::USUAL_AUDIO),
            Self::Video => Some("video/mp4"),
            Self::Document => None,
        }
    }
}

fn medium<'a>(
    kind: Medium,
    source: MediaSource<'a>,
    fields: &mut Fields<'a>,
) -> Result<Content<'a>, ReadError> {
    Ok(match kind {
        Medium::Image => Content::Image(Image { source, detail: None }),
        Medium::Audio => Content::Audio(Audio::new(source)),
        Medium::Video => Content::Video(Video { source }),
        Medium::Document => document(DocumentSource::Media(source), fields)?,
    })
}

fn document<'a>(source: DocumentSource<'a>, fields: &mut Fields<'a>) -> Result<Content<'a>, ReadError> {
    let title = names::take(fields, "displayName", "display_name")?;
    Ok(Content::Document(Document { source, title, context: None, citations: None }))
}

fn call<'a>(
    fields: &mut Fields<'a>,
    ids: Option<&mut CallIds<'a>>,
    bag: &mut Bag<'a>,
) -> Result<Content<'a>, ReadError> {
    let mut call: Fields<'a> = inner(fields, "functionCall", "function_call")?;
    let object = call.raw();
    let name: Cow<'a, str> = call.require("name")?;
    let id: Option<Cow<'a, str>> = call.take("id")?.value();
    let id = match ids {
        Some(ids) => ids.of_call(id, &name),
        None => id.unwrap_or_default(),
    };
    let arguments = call.take::<Raw<'a>>("args")?.value().map_or("", Raw::text);
    nest(bag, "functionCall", object, call.rest());
    Ok(Content::ToolCall(ToolCall {
        id,
        name,
        arguments: Cow::Borrowed(arguments),
        kind: CallKind::Function,
    }))
}

/// A part of a tool's result: bytes or a file.
pub(super) fn result_part(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let mut bag = Bag::EMPTY;
    let content = if names::peek(&fields, "inlineData", "inline_data").is_some() {
        inline(&mut fields, &mut bag)?
    } else if names::peek(&fields, "fileData", "file_data").is_some() {
        file(&mut fields, &mut bag)?
    } else {
        return Ok(unknown(raw, Cow::Borrowed("part")));
    };
    append(&mut bag, fields.rest());
    Ok(Part { bag, ..Part::new(raw, content) })
}
