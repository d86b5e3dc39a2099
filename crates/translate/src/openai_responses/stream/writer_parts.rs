use weighbridge_protocol::openai_responses::event;
use weighbridge_units::{Loss, LossKind};

use super::writer::ResponsesWriter;
use super::writer_items::{Body, list, reasoning_part, refusal_part, summary_part, text_part};
use crate::conversation::{Citation, CitationSource, Proof, Span};
use crate::event::{pointer, report_once};
use crate::openai_responses::citations;
use crate::{Delta, FrameError};

/// A part that is open.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text(Text),
    Refusal {
        item: usize,
        place: usize,
        text: String,
    },
    Call {
        item: usize,
    },
    Reasoning {
        item: usize,
        /// Which piece of the summary is open.
        piece: Option<u32>,
    },
    Image {
        item: usize,
    },
    /// What is said in it becomes a text once something is.
    Audio(Option<Text>),
    /// The protocol has no place for it: reported when it opened.
    Nowhere,
}

/// A text of a message.
#[derive(Debug)]
pub(super) struct Text {
    item: usize,
    place: usize,
    text: String,
    annotations: Vec<String>,
    /// Sources of the whole text, whose length is not known yet, and those that come after one.
    waiting: Vec<Source>,
    logprobs: Vec<String>,
}

#[derive(Debug)]
struct Source {
    url: String,
    title: Option<String>,
    span: Option<Span>,
}

impl Kind {
    /// The message that the part stands in.
    pub(super) fn message(&self) -> Option<usize> {
        match self {
            Self::Text(text) | Self::Audio(Some(text)) => Some(text.item),
            Self::Refusal { item, .. } => Some(*item),
            _ => None,
        }
    }
}

impl Text {
    pub(super) fn new(item: usize, place: usize) -> Self {
        Self {
            item,
            place,
            text: String::new(),
            annotations: Vec::new(),
            waiting: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

impl ResponsesWriter {
    /// More of an open part.
    pub(super) fn delta(
        &mut self,
        number: u32,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let Some(at) = self.parts.iter().position(|part| part.number == number) else { return Ok(()) };
        // Taken out while it grows, since its message does as well.
        let mut part = self.parts.remove(at);
        let result = self.grow(&mut part, delta, out, losses);
        self.parts.insert(at, part);
        result
    }

    fn grow(
        &mut self,
        part: &mut Part,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match (&mut part.kind, delta) {
            (Kind::Text(text), Delta::Text(more)) => self.text_delta(text, more, out),
            (Kind::Text(text), Delta::Citation(citation)) => self.cite(text, citation, out, losses),
            (Kind::Audio(text), Delta::Text(more)) => {
                let text = match text {
                    Some(text) => text,
                    None => text.insert(self.begin_text(out)?),
                };
                self.text_delta(text, more, out)
            }
            (Kind::Refusal { item, place, text }, Delta::Text(more)) => {
                self.keep(more.len())?;
                text.push_str(more);
                let (item, place) = (*item, *place);
                self.at(item, event::REFUSAL_DELTA, out, |object| {
                    object.key("content_index").number(place as u64);
                    object.key("delta").string(more);
                });
                Ok(())
            }
            (Kind::Call { item }, Delta::Arguments(more)) => self.arguments(*item, more, out),
            (Kind::Reasoning { item, .. }, Delta::Text(more)) => self.reason(*item, more, out),
            (Kind::Reasoning { item, piece }, Delta::Summary { piece: number, text }) => {
                if *piece != Some(*number) {
                    self.end_piece(*item, piece, out);
                    self.begin_piece(*item, out)?;
                    *piece = Some(*number);
                }
                self.summarise(*item, text, out)
            }
            (Kind::Reasoning { item, .. }, Delta::Proof(proof)) => self.prove(*item, proof),
            (Kind::Reasoning { item, .. }, Delta::Id(id)) => {
                self.keep(id.len())?;
                // The item's own stands already; this one goes with the proof.
                if let Some(Body::Reasoning(thought)) = self.body(*item) {
                    thought.id = Some(id.as_ref().to_owned());
                }
                Ok(())
            }
            (Kind::Image { item }, Delta::Data(more)) => {
                self.keep(more.len())?;
                if let Some(Body::Image { data, .. }) = self.body(*item) {
                    data.push_str(more);
                }
                Ok(())
            }
            (Kind::Nowhere, _) => Ok(()),
            (_, Delta::Raw { name, .. }) => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    pointer(&format!("/content/{}", part.number), name),
                    "a part has something of the provider's own that OpenAI Responses cannot carry",
                    "a field of the same meaning",
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn text_delta(&mut self, text: &mut Text, more: &str, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let tokens = std::mem::take(&mut self.tokens);
        if more.is_empty() && tokens.is_empty() {
            return Ok(());
        }
        // Tokens are repeated as often as the text.
        self.keep(more.len() + tokens.iter().map(String::len).sum::<usize>())?;
        text.text.push_str(more);
        let place = text.place;
        self.at(text.item, event::TEXT_DELTA, out, |object| {
            object.key("content_index").number(place as u64);
            object.key("delta").string(more);
            list("logprobs", &tokens, object);
        });
        text.logprobs.extend(tokens);
        Ok(())
    }

    fn cite(
        &mut self,
        text: &mut Text,
        citation: &Citation<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let under = "/content/citations";
        let CitationSource::Url(url) = &citation.source else {
            let reason = "the source of a text cannot be named";
            report_once(losses, LossKind::Dropped, under, reason, "citations");
            return Ok(());
        };
        if citation.quoted.is_some() {
            let needed = "quotations in citations";
            report_once(losses, LossKind::Dropped, pointer(under, "quoted"), citations::QUOTED, needed);
        }
        for (name, _) in citation.bag.iter() {
            report_once(
                losses,
                LossKind::Dropped,
                pointer(under, name),
                "the field has no counterpart in OpenAI Responses",
                "a field of the same meaning",
            );
        }
        self.keep(url.len() + citation.title.as_deref().map_or(0, str::len))?;
        if citation.span.is_some() && text.waiting.is_empty() {
            if let Some(annotation) = citations::annotation_text(citation, 0, false) {
                self.annotate(text, annotation, out);
            }
        } else {
            self.held_events += 1;
            let title = citation.title.as_deref().map(str::to_owned);
            text.waiting.push(Source { url: url.as_ref().to_owned(), title, span: citation.span });
        }
        Ok(())
    }

    fn annotate(&mut self, text: &mut Text, annotation: String, out: &mut Vec<u8>) {
        let (place, number) = (text.place, text.annotations.len());
        self.at(text.item, event::ANNOTATION_ADDED, out, |object| {
            object.key("content_index").number(place as u64);
            object.key("annotation_index").number(number as u64);
            object.key("annotation").raw(&annotation);
        });
        text.annotations.push(annotation);
    }

    fn arguments(&mut self, item: usize, more: &str, out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.keep(more.len())?;
        let Some(Body::Call(call)) = self.body(item) else { return Ok(()) };
        call.arguments.push_str(more);
        let (name, ..) = call.events();
        self.at(item, name, out, |object| object.key("delta").string(more));
        Ok(())
    }

    fn reason(&mut self, item: usize, more: &str, out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.keep(more.len())?;
        let Some(Body::Reasoning(thought)) = self.body(item) else { return Ok(()) };
        let begins = thought.text.is_empty();
        thought.text.push_str(more);
        if more.is_empty() {
            return Ok(());
        }
        if begins {
            self.part_added(item, 0, &reasoning_part(""), out);
        }
        self.at(item, event::REASONING_DELTA, out, |object| {
            object.key("content_index").number(0_u64);
            object.key("delta").string(more);
        });
        Ok(())
    }

    fn begin_piece(&mut self, item: usize, out: &mut Vec<u8>) -> Result<(), FrameError> {
        // A piece costs memory even while it is empty.
        self.keep(std::mem::size_of::<String>())?;
        let Some(Body::Reasoning(thought)) = self.body(item) else { return Ok(()) };
        thought.summary.push(String::new());
        let number = thought.summary.len() - 1;
        self.at(item, event::SUMMARY_ADDED, out, |object| {
            object.key("summary_index").number(number as u64);
            object.key("part").raw(&summary_part(""));
        });
        Ok(())
    }

    fn summarise(&mut self, item: usize, more: &str, out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.keep(more.len())?;
        let Some(Body::Reasoning(thought)) = self.body(item) else { return Ok(()) };
        let number = thought.summary.len().saturating_sub(1);
        if let Some(piece) = thought.summary.last_mut() {
            piece.push_str(more);
        }
        self.at(item, event::SUMMARY_DELTA, out, |object| {
            object.key("summary_index").number(number as u64);
            object.key("delta").string(more);
        });
        Ok(())
    }

    fn end_piece(&mut self, item: usize, piece: &mut Option<u32>, out: &mut Vec<u8>) {
        if piece.take().is_none() {
            return;
        }
        let Some(Body::Reasoning(thought)) = self.body(item) else { return };
        let number = thought.summary.len().saturating_sub(1);
        let text = thought.summary.last().cloned().unwrap_or_default();
        self.at(item, event::SUMMARY_TEXT_DONE, out, |object| {
            object.key("summary_index").number(number as u64);
            object.key("text").string(&text);
        });
        self.at(item, event::SUMMARY_DONE, out, |object| {
            object.key("summary_index").number(number as u64);
            object.key("part").raw(&summary_part(&text));
        });
    }

    fn prove(&mut self, item: usize, proof: &Proof<'_>) -> Result<(), FrameError> {
        self.keep(proof.data.len())?;
        if let Some(Body::Reasoning(thought)) = self.body(item) {
            let empty = || (proof.format.as_ref().to_owned(), proof.kind, String::new());
            thought.proof.get_or_insert_with(empty).2.push_str(&proof.data);
        }
        Ok(())
    }

    /// A part is whole, and with it its item, but for messages: more may follow in them.
    pub(super) fn close(&mut self, number: u32, status: &str, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().position(|part| part.number == number) else { return };
        let Part { kind, .. } = self.parts.remove(at);
        match kind {
            Kind::Text(text) | Kind::Audio(Some(text)) => self.end_text(text, status, out),
            Kind::Refusal { item, place, text } => {
                self.at(item, event::REFUSAL_DONE, out, |object| {
                    object.key("content_index").number(place as u64);
                    object.key("refusal").string(&text);
                });
                self.end_part(item, place, refusal_part(&text), status, out);
            }
            Kind::Call { item } => {
                self.end_call(item, out);
                self.end_item(item, status, out);
            }
            Kind::Reasoning { item, mut piece } => {
                self.end_piece(item, &mut piece, out);
                self.end_reasoning(item, out);
                self.end_item(item, status, out);
            }
            Kind::Image { item } => {
                self.at(item, event::IMAGE_COMPLETED, out, |_| {});
                self.end_item(item, status, out);
            }
            Kind::Audio(None) | Kind::Nowhere => {}
        }
    }

    fn end_text(&mut self, mut text: Text, status: &str, out: &mut Vec<u8>) {
        if !self.tokens.is_empty() {
            // It adds no text, so it exceeds no bound but by the tokens, which are kept already.
            let _within_bounds = self.text_delta(&mut text, "", out);
        }
        let length = text.text.chars().count() as u64;
        for source in std::mem::take(&mut text.waiting) {
            let citation = Citation {
                place: crate::Place::NOWHERE,
                span: source.span,
                title: source.title.map(Into::into),
                quoted: None,
                source: CitationSource::Url(source.url.into()),
                bag: weighbridge_protocol::json::Bag::EMPTY,
            };
            if let Some(annotation) = citations::annotation_text(&citation, length, false) {
                self.annotate(&mut text, annotation, out);
            }
        }
        let Text { item, place, text, annotations, logprobs, .. } = text;
        self.at(item, event::TEXT_DONE, out, |object| {
            object.key("content_index").number(place as u64);
            object.key("text").string(&text);
            list("logprobs", &logprobs, object);
        });
        self.end_part(item, place, text_part(&text, &annotations, &logprobs), status, out);
    }

    fn end_part(&mut self, item: usize, place: usize, part: String, status: &str, out: &mut Vec<u8>) {
        self.at(item, event::PART_DONE, out, |object| {
            object.key("content_index").number(place as u64);
            object.key("part").raw(&part);
        });
        if let Some(Body::Message { parts }) = self.body(item)
            && let Some(whole) = parts.get_mut(place)
        {
            *whole = Some(part);
        }
        if self.message != Some(item) && !self.is_written(item) {
            self.end_item(item, status, out);
        }
    }

    fn end_call(&mut self, item: usize, out: &mut Vec<u8>) {
        let Some(Body::Call(call)) = self.body(item) else { return };
        let is_bare = call.arguments.is_empty() && call.kind == crate::conversation::CallKind::Function;
        if is_bare {
            // Nothing at all is not JSON, and clients parse this.
            let _two_bytes = self.arguments(item, "{}", out);
        }
        let Some(Body::Call(call)) = self.body(item) else { return };
        let (_, name, field) = call.events();
        let arguments = call.arguments.clone();
        self.at(item, name, out, |object| object.key(field).string(&arguments));
    }

    fn end_reasoning(&mut self, item: usize, out: &mut Vec<u8>) {
        let Some(Body::Reasoning(thought)) = self.body(item) else { return };
        let text = thought.text.clone();
        if text.is_empty() {
            return;
        }
        self.at(item, event::REASONING_DONE, out, |object| {
            object.key("content_index").number(0_u64);
            object.key("text").string(&text);
        });
        self.at(item, event::PART_DONE, out, |object| {
            object.key("content_index").number(0_u64);
            object.key("part").raw(&reasoning_part(&text));
        });
    }
}
