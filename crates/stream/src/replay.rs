use std::borrow::Cow;

use weighbridge_translate::conversation::MediaSource;
use weighbridge_translate::{Answer, Candidate, Content, Delta, Event, EventSink, Part, PartKind};

/// Tells a whole answer as the events of a stream: for clients that want a stream of an answer that
/// came whole, from a cache for instance. Folding the events gives the answer back.
///
/// ```
/// use weighbridge_stream::{Folder, replay};
/// use weighbridge_translate::{Answer, Candidate, Part, Place};
/// use weighbridge_units::Protocol;
///
/// let mut answer = Answer::new(Protocol::OpenAiChat);
/// answer.candidates = vec![Candidate { parts: vec![Part::text("Hello")], ..Candidate::new(Place::NOWHERE) }];
/// let mut folder = Folder::new(Protocol::OpenAiChat, 1 << 20);
/// let mut too_large = Ok(());
/// replay(&answer, &mut |event| too_large = too_large.and_then(|()| folder.push(&event)));
/// assert_eq!(folder.answer(), answer);
/// ```
pub fn replay(answer: &Answer<'_>, sink: &mut EventSink<'_>) {
    sink(Event::Start { id: borrowed(&answer.id), model: borrowed(&answer.model), created: answer.created });
    if let Some(tier) = &answer.service_tier {
        sink(Event::ServiceTier(Cow::Borrowed(&tier.value)));
    }
    let mut number = 0;
    for (index, candidate) in (0_u32..).zip(&answer.candidates) {
        // With the text that they spell: some protocols have no place for them behind it.
        let spelled = candidate.parts.iter().position(has_words);
        for (place, part) in candidate.parts.iter().enumerate() {
            if spelled == Some(place) {
                tokens(candidate, index, sink);
            }
            if let Some(kind) = kind(part) {
                sink(Event::Open { part: number, group: index, candidate: index, kind });
                content(part, number, sink);
                sink(Event::Close { part: number });
                number = number.wrapping_add(1);
            }
        }
        if spelled.is_none() {
            tokens(candidate, index, sink);
        }
        end(candidate, index, sink);
    }
    if let Some(usage) = answer.usage {
        sink(Event::Usage(usage));
    }
}

fn borrowed<'t>(text: &'t Option<Cow<'_, str>>) -> Option<Cow<'t, str>> {
    text.as_deref().map(Cow::Borrowed)
}

/// Whether the tokens whose probabilities are told may be those of a part: of a text, or of what is
/// spoken, which stands as text in protocols without sound.
fn has_words(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(_) | Content::Json(_) => true,
        Content::Audio(audio) => audio.transcript.is_some(),
        _ => false,
    }
}

fn tokens(candidate: &Candidate<'_>, index: u32, sink: &mut EventSink<'_>) {
    if !candidate.logprobs.is_empty() {
        sink(Event::Logprobs { candidate: index, tokens: candidate.logprobs.clone() });
    }
}

fn end(candidate: &Candidate<'_>, index: u32, sink: &mut EventSink<'_>) {
    if let Some(reason) = &candidate.finish {
        sink(Event::Finish { candidate: index, reason: reason.clone() });
    }
    if let Some(details) = &candidate.stop_details {
        sink(Event::StopDetails { candidate: index, details: details.clone() });
    }
}

/// What a part is in a stream; `None` for what no answer consists of.
fn kind<'p>(part: &'p Part<'_>) -> Option<PartKind<'p>> {
    Some(match &part.content {
        Content::Text(_) | Content::Json(_) => PartKind::Text,
        Content::Refusal(_) => PartKind::Refusal,
        Content::Reasoning(reasoning) => PartKind::Reasoning { id: borrowed(&reasoning.id) },
        Content::ToolCall(call) => PartKind::ToolCall {
            id: Cow::Borrowed(&call.id),
            name: Cow::Borrowed(&call.name),
            kind: call.kind,
        },
        Content::Image(image) => PartKind::Image { media_type: media_type(&image.source)? },
        Content::Audio(audio) => {
            PartKind::Audio { id: borrowed(&audio.id), media_type: media_type(&audio.source)? }
        }
        Content::Unknown { name, raw } => PartKind::Unknown { name: Cow::Borrowed(name), text: raw.text() },
        Content::Video(_) | Content::Document(_) | Content::ToolResult(_) => return None,
    })
}

/// The media type of what is given in bytes.
fn media_type<'p>(source: &'p MediaSource<'_>) -> Option<Cow<'p, str>> {
    match source {
        MediaSource::Base64 { media_type, .. } => Some(Cow::Borrowed(media_type)),
        MediaSource::Url { .. } | MediaSource::File { .. } => None,
    }
}

fn content(part: &Part<'_>, number: u32, sink: &mut EventSink<'_>) {
    let mut tell = |delta| sink(Event::Delta { part: number, delta });
    match &part.content {
        Content::Text(text) => {
            tell(Delta::Text(Cow::Borrowed(&text.text)));
            for citation in &text.citations {
                tell(Delta::Citation(citation.clone()));
            }
        }
        Content::Json(json) => tell(Delta::Text(Cow::Borrowed(json.text()))),
        Content::Refusal(text) => tell(Delta::Text(Cow::Borrowed(text))),
        Content::Reasoning(reasoning) => {
            for (piece, text) in (0_u32..).zip(&reasoning.summary) {
                tell(Delta::Summary { piece, text: Cow::Borrowed(text) });
            }
            if !reasoning.text.is_empty() {
                tell(Delta::Text(Cow::Borrowed(&reasoning.text)));
            }
            if let Some(proof) = &reasoning.proof {
                tell(Delta::Proof(proof.clone()));
            }
        }
        Content::ToolCall(call) => tell(Delta::Arguments(Cow::Borrowed(&call.arguments))),
        Content::Image(image) => data(&image.source, &mut tell),
        Content::Audio(audio) => {
            if let Some(words) = &audio.transcript {
                tell(Delta::Text(Cow::Borrowed(words)));
            }
            data(&audio.source, &mut tell);
        }
        Content::Video(_) | Content::Document(_) | Content::ToolResult(_) | Content::Unknown { .. } => {}
    }
}

fn data<'p>(source: &'p MediaSource<'_>, tell: &mut dyn FnMut(Delta<'p>)) {
    if let MediaSource::Base64 { data, .. } = source {
        tell(Delta::Data(Cow::Borrowed(data)));
    }
}
