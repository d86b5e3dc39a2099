//! `generationConfig` into the wishes of the canonical conversation.
//! <https://ai.google.dev/api/generate-content#generationconfig>

use std::borrow::Cow;

use weighbridge_protocol::gemini::names::{self, Whole};
use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};

use super::nested::nest;
use super::schema::json_schema;
use crate::bags::append;
use crate::conversation::{
    AudioWish, Effort, Format, JsonText, ReasoningExtent, ReasoningWish, Sampling, Shown,
};
use crate::{Conversation, Placed};

/// The media type of answers in JSON.
pub(super) const JSON: &str = "application/json";

/// Reads the object and moves what it leaves over to the bag.
pub(super) fn generation_config<'a>(
    mut config: Fields<'a>,
    conversation: &mut Conversation<'a>,
) -> Result<(), ReadError> {
    let object = config.raw();
    let mut rest = Bag::EMPTY;
    conversation.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: names::number(&mut config, "topP", "top_p")?,
        top_k: names::number(&mut config, "topK", "top_k")?,
        seed: config.number("seed")?,
        frequency_penalty: names::number(&mut config, "frequencyPenalty", "frequency_penalty")?,
        presence_penalty: names::number(&mut config, "presencePenalty", "presence_penalty")?,
    };
    conversation.stop = names::take(&mut config, "stopSequences", "stop_sequences")?.unwrap_or_default();
    conversation.max_output = whole(&mut config, "maxOutputTokens", "max_output_tokens")?;
    conversation.candidates = whole(&mut config, "candidateCount", "candidate_count")?;
    conversation.logprobs = logprobs(&mut config)?;
    conversation.format = format(&mut config, &mut rest)?;
    conversation.audio = audio(&mut config, &mut rest)?;
    if let Some(thinking) = names::take::<Fields<'a>>(&mut config, "thinkingConfig", "thinking_config")? {
        conversation.reasoning = thinking_config(thinking, &mut rest)?;
    }
    append(&mut rest, config.rest());
    nest(&mut conversation.bag, "generationConfig", object, rest);
    Ok(())
}

fn whole<'a>(
    config: &mut Fields<'a>,
    camel: &'static str,
    snake: &'static str,
) -> Result<Option<Placed<'a, u64>>, ReadError> {
    let number: Option<Placed<'a, Whole>> = names::take(config, camel, snake)?;
    Ok(number.map(|number| Placed { value: number.value.0, place: number.place }))
}

/// `responseLogprobs` asks for the chosen tokens, `logprobs` for so many others beside each.
fn logprobs<'a>(config: &mut Fields<'a>) -> Result<Option<Placed<'a, u64>>, ReadError> {
    let wanted: Option<Placed<'a, bool>> = names::take(config, "responseLogprobs", "response_logprobs")?;
    let top = whole(config, "logprobs", "logprobs")?;
    let chosen = wanted.filter(|wanted| wanted.value).map(|wanted| Placed { value: 0, place: wanted.place });
    Ok(chosen.map(|chosen| top.unwrap_or(chosen)))
}

fn format<'a>(
    config: &mut Fields<'a>,
    rest: &mut Bag<'a>,
) -> Result<Option<Placed<'a, Format<'a>>>, ReadError> {
    let Some(media_type) = names::take::<Raw<'a>>(config, "responseMimeType", "response_mime_type")? else {
        return Ok(None);
    };
    let wish = |value| Some(Placed { value, place: media_type.into() });
    match media_type.str()?.as_ref() {
        "text/plain" => Ok(wish(Format::Text)),
        JSON => {
            let json: Option<Raw<'a>> = names::take(config, "responseJsonSchema", "response_json_schema")?;
            let own: Option<Raw<'a>> = names::take(config, "responseSchema", "response_schema")?;
            let Some(place) = json.or(own) else { return Ok(wish(Format::JsonObject)) };
            if let Some(own) = own {
                // Goes back in the form in which it came.
                rest.push("responseSchema", own);
            }
            let schema = if json.is_some() { JsonText::from(place) } else { json_schema(place) };
            let value = Format::JsonSchema { name: None, description: None, schema, strict: None };
            Ok(Some(Placed { value, place: place.into() }))
        }
        _ => Ok(wish(Format::Unknown(media_type))),
    }
}

/// An answer in sound. Images, and sound in several voices, are Gemini's own.
fn audio<'a>(
    config: &mut Fields<'a>,
    rest: &mut Bag<'a>,
) -> Result<Option<Placed<'a, AudioWish<'a>>>, ReadError> {
    let Some(raw) = names::take::<Raw<'a>>(config, "responseModalities", "response_modalities")? else {
        return Ok(None);
    };
    let kinds: Vec<Cow<'a, str>> = raw.read()?;
    let wants = |kind: &str| kinds.iter().any(|name| name.eq_ignore_ascii_case(kind));
    if !wants("AUDIO")
        || kinds.iter().any(|name| !["AUDIO", "TEXT"].iter().any(|known| name.eq_ignore_ascii_case(known)))
    {
        rest.push("responseModalities", raw);
        return Ok(None);
    }
    let voice = names::peek(config, "speechConfig", "speech_config").and_then(voice);
    if voice.is_some() {
        let _read: Option<Raw<'a>> = names::take(config, "speechConfig", "speech_config")?;
    }
    let value = AudioWish { voice, format: None, with_text: wants("TEXT") };
    Ok(Some(Placed { value, place: raw.into() }))
}

/// The voice of a `speechConfig` that says nothing else.
fn voice(speech: Raw<'_>) -> Option<Cow<'_, str>> {
    let only = |raw, camel, snake| {
        let mut fields = Fields::read(raw).ok()?;
        let value: Raw<'_> = names::offer(&mut fields, camel, snake)?;
        fields.rest().is_empty().then_some(value)
    };
    let voice = only(speech, "voiceConfig", "voice_config")?;
    let prebuilt = only(voice, "prebuiltVoiceConfig", "prebuilt_voice_config")?;
    only(prebuilt, "voiceName", "voice_name")?.str().ok()
}

/// <https://ai.google.dev/gemini-api/docs/thinking>: 0 is off, -1 as the model sees fit.
fn thinking_config<'a>(mut config: Fields<'a>, rest: &mut Bag<'a>) -> Result<ReasoningWish<'a>, ReadError> {
    let object = config.raw();
    let mut left = Bag::EMPTY;
    let budget: Option<Placed<'a, i64>> = names::take(&mut config, "thinkingBudget", "thinking_budget")?;
    let extent = budget.map(|budget| Placed {
        value: match u64::try_from(budget.value) {
            Ok(0) => ReasoningExtent::Off,
            Ok(tokens) => ReasoningExtent::Budget(tokens),
            Err(_) => ReasoningExtent::Dynamic,
        },
        place: budget.place,
    });
    let level: Option<Raw<'a>> = names::take(&mut config, "thinkingLevel", "thinking_level")?;
    let mut effort = None;
    if let Some(level) = level {
        match Effort::from_name(&level.str()?.to_ascii_lowercase()) {
            Some(value) => effort = Some(Placed { value, place: level.into() }),
            None => left.push("thinkingLevel", level),
        }
    }
    let shown: Option<Placed<'a, bool>> = names::take(&mut config, "includeThoughts", "include_thoughts")?;
    let shown = shown.map(|shown| Placed {
        value: if shown.value { Shown::Auto } else { Shown::Hidden },
        place: shown.place,
    });
    append(&mut left, config.rest());
    nest(rest, "thinkingConfig", object, left);
    Ok(ReasoningWish { extent, effort, shown })
}
