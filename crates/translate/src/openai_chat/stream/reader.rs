use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Field, Fields, Raw, ScanLimits};
use weighbridge_protocol::openai_chat::usage;
use weighbridge_units::{Protocol, Usage};

use super::candidate::Candidate;
use crate::event::{extras, says_nothing, usage_extras};
use crate::openai_chat::{finish, logprobs};
use crate::{Event, EventSink, Frame, FrameError, FrameRole, FrameScope, StreamReader, adapter};

const PROTOCOL: Protocol = Protocol::OpenAiChat;

/// `n` is at most 128: <https://platform.openai.com/docs/api-reference/chat/create#chat-create-n>.
const CANDIDATES_MAX: usize = 128;

/// Interprets the chunks of a Chat Completions stream.
///
/// The wire says neither when a part begins nor when it ends: both are derived. Text, reasoning and
/// refusal of a candidate end when a part of another kind begins; a tool call ends when its arguments
/// are a complete JSON value and another part begins; the rest ends with the stream.
#[derive(Debug, Default)]
pub struct ChatReader {
    started: bool,
    usage: Usage,
    candidates: Vec<Candidate>,
    parts: PartNumbers,
}

/// Hands out the numbers of parts.
#[derive(Debug, Default)]
pub(super) struct PartNumbers(u32);

impl PartNumbers {
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        self.0.wrapping_sub(1)
    }
}

impl StreamReader for ChatReader {
    fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError> {
        if frame.data.trim_ascii() == "[DONE]" {
            if !self.started {
                return Err(FrameError::OutOfOrder("the end came before any chunk"));
            }
            self.close_all(sink)?;
            return Ok(FrameRole::Terminal);
        }
        let raw = Raw::parse(frame.data, &ScanLimits::default())
            .map_err(|error| FrameError::Malformed(error.to_string()))?;
        let mut chunk = Fields::read(raw)?;
        let usage = chunk.take::<Raw<'_>>("usage")?.value().or_else(|| groqs_usage(&chunk));
        if let Some(raw) = usage {
            usage::update(&mut self.usage, raw);
            if !self.usage.is_untold() {
                sink(Event::Usage(self.usage));
            }
            if scope == FrameScope::Whole {
                usage_extras(PROTOCOL, raw, &usage::FIELDS, sink);
            }
        }
        let choices: Field<Vec<Raw<'_>>> = chunk.take("choices")?;
        let has_choices = !matches!(choices, Field::Absent);
        let has_error = chunk.take::<Raw<'_>>("error")?.value().is_some();
        if has_error || frame.name == Some("error") {
            sink(Event::Failed(crate::decode_error(PROTOCOL, 200, frame.data.as_bytes())));
            return Ok(FrameRole::Part);
        }
        if !has_choices && usage.is_none() {
            sink(match adapter(PROTOCOL).decode_error(200, raw) {
                Some(error) => Event::Failed(error),
                None => Event::Raw { name: chunk.offer("object").unwrap_or_default(), text: frame.data },
            });
            return Ok(FrameRole::Part);
        }
        let choices = choices.value().unwrap_or_default();
        self.start(&mut chunk, !choices.is_empty(), sink);
        for choice in &choices {
            self.choice(*choice, scope, sink)?;
        }
        if scope == FrameScope::Whole {
            if let Some(print) =
                chunk.offer::<Raw<'_>>("system_fingerprint").filter(|raw| !says_nothing(*raw))
            {
                // On every chunk of OpenAI's: named here so that it costs no allocation.
                sink(Event::Extra { under: "", name: "system_fingerprint".into(), text: print.text() });
            }
            extras(PROTOCOL, "", chunk, sink);
        }
        let is_usage_only = usage.is_some() && choices.is_empty();
        Ok(if is_usage_only { FrameRole::UsageOnly } else { FrameRole::Part })
    }

    /// Some providers send no `[DONE]` (Perplexity). Their body's clean end counts where nothing can
    /// be missing: every candidate has finished, and usage was told.
    fn end_of_body(&mut self, sink: &mut EventSink<'_>) -> bool {
        let nothing_missing = !self.usage.is_untold()
            && !self.candidates.is_empty()
            && self.candidates.iter().all(|candidate| candidate.finished);
        nothing_missing && self.close_all(sink).is_ok()
    }
}

/// Groq may tell usage in an object of its own only.
fn groqs_usage<'f>(chunk: &Fields<'f>) -> Option<Raw<'f>> {
    chunk.peek("x_groq")?.get("usage").filter(|usage| !usage.is_null())
}

impl ChatReader {
    /// Announces the answer, once: Azure's first chunk has neither id nor model nor choices.
    fn start(&mut self, chunk: &mut Fields<'_>, has_choices: bool, sink: &mut EventSink<'_>) {
        let id = chunk.offer::<Cow<'_, str>>("id").filter(|id| !id.is_empty());
        let model = chunk.offer::<Cow<'_, str>>("model").filter(|model| !model.is_empty());
        let created = chunk.offer("created");
        let _known = (chunk.offer::<Raw<'_>>("object"), chunk.offer::<Raw<'_>>("obfuscation"));
        if !self.started && (id.is_some() || has_choices) {
            self.started = true;
            sink(Event::Start { id, model, created });
        }
        if let Some(tier) = chunk.offer::<Cow<'_, str>>("service_tier").filter(|tier| !tier.is_empty()) {
            sink(Event::ServiceTier(tier));
        }
    }

    fn choice(
        &mut self,
        raw: Raw<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let mut choice = Fields::read(raw)?;
        let index = choice.take::<u64>("index")?.value().unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let reason = choice.take::<Cow<'_, str>>("finish_reason")?.value().filter(|name| !name.is_empty());
        let delta = choice.take::<Fields<'_>>("delta")?.value();
        let (candidate, parts) = self.candidate(index)?;
        if scope == FrameScope::Whole {
            if let Some(delta) = delta {
                candidate.delta(delta, parts, sink)?;
            }
            let mut bag = Bag::EMPTY;
            let tokens = logprobs::take(&mut choice, &mut bag);
            if !tokens.is_empty() {
                sink(Event::Logprobs { candidate: index, tokens });
            }
            for (name, value) in bag.iter().filter(|(_, value)| !says_nothing(*value)) {
                let name = Cow::Owned(name.to_owned());
                sink(Event::Extra { under: "/choices/0/logprobs", name, text: value.text() });
            }
            extras(PROTOCOL, "/choices/0", choice, sink);
        }
        if let Some(name) = reason {
            candidate.finished = true;
            sink(Event::Finish { candidate: index, reason: finish::read(&name) });
        }
        Ok(())
    }

    fn candidate(&mut self, index: u32) -> Result<(&mut Candidate, &mut PartNumbers), FrameError> {
        let place = match self.candidates.iter().position(|candidate| candidate.index == index) {
            Some(place) => place,
            None if self.candidates.len() == CANDIDATES_MAX => {
                return Err(FrameError::TooMuch("more candidates than a request can ask for"));
            }
            None => {
                self.candidates.push(Candidate::new(index));
                self.candidates.len() - 1
            }
        };
        match self.candidates.get_mut(place) {
            Some(candidate) => Ok((candidate, &mut self.parts)),
            None => Err(FrameError::OutOfOrder("a candidate is missing")),
        }
    }

    fn close_all(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        for candidate in &mut self.candidates {
            candidate.close(sink)?;
        }
        Ok(())
    }
}
