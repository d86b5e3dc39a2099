//! Media that a request names by address and a target takes as bytes only.
//!
//! Fetching is I/O and happens elsewhere, behind a guard: here is said what is to be fetched
//! ([`media_to_fetch`]), and what was fetched takes the place of its address
//! ([`RequestTarget::media`](crate::RequestTarget::media)).

use std::borrow::Cow;

use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_units::Protocol;

use crate::TranslateError;
use crate::adapter::adapter;
use crate::conversation::{Content, Conversation, DocumentSource, MediaSource, Part};
use crate::gemini::base64;

/// What a medium is for a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediumKind {
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A film.
    Video,
    /// A document that is a file.
    Document,
}

/// A medium that was fetched from its address.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchedMedia {
    url: String,
    media_type: String,
    data: String,
}

impl FetchedMedia {
    /// What was at an address, and what kind of file it is.
    pub fn new(url: impl Into<String>, media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self { url: url.into(), media_type: media_type.into(), data: base64::encode(bytes) }
    }

    /// The address, as the request names it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl std::fmt::Debug for FetchedMedia {
    /// Without the address, which may hold a signature, and without the bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FetchedMedia({}, {} characters)", self.media_type, self.data.len())
    }
}

/// The addresses in a request that a provider does not open itself, each once, in the order of the request.
///
/// ```
/// use weighbridge_translate::{Dialect, FetchedMedia, RequestTarget, media_to_fetch, request};
/// use weighbridge_units::Protocol::{BedrockConverse, OpenAiChat};
///
/// let body = r#"{"model": "m", "messages": [{"role": "user", "content": [
///     {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]}"#;
/// let urls = media_to_fetch(OpenAiChat, BedrockConverse, Dialect::Native, body)?;
/// assert_eq!(urls, ["https://example.com/a.png"]);
///
/// let media = [FetchedMedia::new(&urls[0], "image/png", b"\x89PNG")];
/// let target = RequestTarget { media: &media, ..RequestTarget::new("amazon.nova-lite-v1:0") };
/// let sent = request(OpenAiChat, BedrockConverse, body, &target)?;
/// assert!(sent.losses.is_empty());
/// assert!(std::str::from_utf8(&sent.value)?.contains(r#""source":{"bytes":"iVBORw=="}"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TranslateError`] where the body is not JSON, or a field that is understood is wrongly typed.
pub fn media_to_fetch(
    from: Protocol,
    to: Protocol,
    dialect: Dialect,
    body: &str,
) -> Result<Vec<String>, TranslateError> {
    let root = Raw::parse(body, &ScanLimits::default())?;
    let mut conversation =
        adapter(from).decode_request(root).map_err(|error| TranslateError::read(body, error))?;
    let mut urls: Vec<String> = Vec::new();
    each_source(&mut conversation, &mut |kind, source| {
        let MediaSource::Url { url, .. } = source else { return };
        let fetchable = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        let known = urls.iter().any(|other| other == url.as_ref());
        if fetchable && !known && !adapter(to).opens(kind, url, dialect) {
            urls.push(url.as_ref().to_owned());
        }
    });
    Ok(urls)
}

/// Puts what was fetched where its address was.
pub(crate) fn inline<'a>(conversation: &mut Conversation<'a>, media: &'a [FetchedMedia]) {
    if media.is_empty() {
        return;
    }
    each_source(conversation, &mut |_, source| {
        let MediaSource::Url { url, .. } = source else { return };
        if let Some(fetched) = media.iter().find(|fetched| fetched.url == url.as_ref()) {
            let (media_type, data) = (Cow::from(&*fetched.media_type), Cow::from(&*fetched.data));
            *source = MediaSource::Base64 { media_type, data };
        }
    });
}

fn each_source<'a>(
    conversation: &mut Conversation<'a>,
    visit: &mut dyn FnMut(MediumKind, &mut MediaSource<'a>),
) {
    for message in &mut conversation.messages {
        each_of(&mut message.parts, visit);
    }
}

fn each_of<'a>(parts: &mut [Part<'a>], visit: &mut dyn FnMut(MediumKind, &mut MediaSource<'a>)) {
    for part in parts {
        match &mut part.content {
            Content::Image(image) => visit(MediumKind::Image, &mut image.source),
            Content::Audio(audio) => visit(MediumKind::Audio, &mut audio.source),
            Content::Video(video) => visit(MediumKind::Video, &mut video.source),
            Content::Document(document) => match &mut document.source {
                DocumentSource::Media(source) => visit(MediumKind::Document, source),
                DocumentSource::Parts(parts) => each_of(parts, visit),
                DocumentSource::Text(_) => {}
            },
            Content::ToolResult(result) => each_of(&mut result.parts, visit),
            _ => {}
        }
    }
}
