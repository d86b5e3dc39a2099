//! The wishes of the canonical conversation, written as `generationConfig`.

use std::borrow::Cow;

use weighbridge_protocol::gemini::models::thinks_in_levels;
use weighbridge_protocol::json::{Object, Raw, Writer};
use weighbridge_units::LossKind;

use super::nested::Leftovers;
use super::schema::json_schema;
use super::wishes_decode::JSON;
use crate::conversation::{AudioWish, Effort, Format, JsonText, ReasoningExtent, Shown};
use crate::{Conversation, Losses, Place, Placed, RequestTarget};

/// `stopSequences` takes at most this many.
const STOP_MAX: usize = 5;

/// Writes the object, if there is anything to be said in it.
pub(super) fn generation_config<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    left: &Leftovers<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut out = Vec::new();
    let mut config = Writer::new(&mut out).object();
    sampling(conversation, &mut config, losses);
    stop(conversation, &mut config, losses);
    if let Some(cap) = &conversation.max_output {
        config.key("maxOutputTokens").number(cap.value);
    }
    if let Some(count) = &conversation.candidates {
        config.key("candidateCount").number(count.value);
    }
    if let Some(top) = &conversation.logprobs {
        config.key("responseLogprobs").bool(true);
        if top.value > 0 {
            config.key("logprobs").number(top.value);
        }
    }
    if let Some(format) = &conversation.format {
        self::format(format, left, &mut config, losses);
    }
    if let Some(audio) = &conversation.audio {
        self::audio(audio, &mut config, losses);
    }
    thinking(conversation, target, left, &mut config, losses);
    left.write_inside("generationConfig", &mut config);
    drop(config);
    if out != b"{}" {
        object.key("generationConfig").raw(&String::from_utf8(out).unwrap_or_default());
    }
}

fn sampling<'a>(conversation: &Conversation<'a>, config: &mut Object<'_>, losses: &mut Losses<'a>) {
    let sampling = &conversation.sampling;
    let numbers = [
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("topK", sampling.top_k),
        ("presencePenalty", sampling.presence_penalty),
        ("frequencyPenalty", sampling.frequency_penalty),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            config.key(name).raw(number.text());
        }
    }
    if let Some(seed) = sampling.seed {
        if losses.is_same_protocol() || seed.text().parse::<i32>().is_ok() {
            config.key("seed").raw(seed.text());
        } else {
            losses.dropped(seed, "a seed is a whole number of 32 bits", "larger seeds");
        }
    }
}

fn stop<'a>(conversation: &Conversation<'a>, config: &mut Object<'_>, losses: &mut Losses<'a>) {
    if conversation.stop.is_empty() {
        return;
    }
    let mut list = config.key("stopSequences").array();
    for (index, sequence) in conversation.stop.iter().enumerate() {
        if index < STOP_MAX || losses.is_same_protocol() {
            list.item().string(&sequence.value);
        } else {
            losses.dropped(sequence.place, "at most five stop sequences are taken", "more stop sequences");
        }
    }
}

/// A schema goes back in the form in which it came, and is JSON Schema otherwise. Strict is what Gemini
/// always is.
fn format<'a>(
    format: &Placed<'a, Format<'a>>,
    left: &Leftovers<'_, 'a>,
    config: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    match &format.value {
        Format::Text => config.key("responseMimeType").string("text/plain"),
        Format::JsonObject => config.key("responseMimeType").string(JSON),
        Format::JsonSchema { name, description, schema, .. } => {
            if description.as_ref().is_some_and(|text| !text.is_empty()) {
                losses.dropped(
                    format.place,
                    "a schema has neither name nor description here",
                    "names and descriptions of schemas",
                );
            } else if name.is_some() {
                losses.dropped(format.place, "a schema has no name here", "names of schemas");
            }
            config.key("responseMimeType").string(JSON);
            let own = left.get(Some("generationConfig"), "responseSchema");
            if own.is_none_or(|own| json_schema(own) != *schema) {
                config.key("responseJsonSchema").raw(schema.text());
            }
        }
        Format::Unknown(raw) if losses.is_same_protocol() => config.key("responseMimeType").raw(raw.text()),
        Format::Unknown(raw) => losses.unknown(*raw, "format", raw.text()),
    }
}

/// Voices of OpenAI's: there are none of their names here.
const FOREIGN_VOICES: [&str; 13] = [
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer",
    "verse",
];

fn audio<'a>(audio: &Placed<'a, AudioWish<'a>>, config: &mut Object<'_>, losses: &mut Losses<'a>) {
    let wish = &audio.value;
    let mut kinds = config.key("responseModalities").array();
    if wish.with_text {
        kinds.item().string("TEXT");
    }
    kinds.item().string("AUDIO");
    drop(kinds);
    if wish.format.as_ref().is_some_and(|format| format != "pcm16" && format != "pcm") {
        losses.report(audio.place, LossKind::Approximated, "sound comes as PCM only", "a format of sound");
    }
    match &wish.voice {
        Some(voice) if FOREIGN_VOICES.contains(&voice.as_ref()) => {
            losses.dropped(audio.place, "there is no voice of that name", "such a voice");
        }
        Some(voice) => {
            let mut speech = config.key("speechConfig").object();
            let mut outer = speech.key("voiceConfig").object();
            let mut inner = outer.key("prebuiltVoiceConfig").object();
            inner.key("voiceName").string(voice);
        }
        None => {}
    }
}

fn thinking<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    left: &Leftovers<'_, 'a>,
    config: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let wish = conversation.reasoning;
    let has_wish = wish.extent.is_some() || wish.effort.is_some() || wish.shown.is_some();
    if !has_wish && !left.is_needed("thinkingConfig") {
        return;
    }
    let mut thinking = config.key("thinkingConfig").object();
    if let Some(shown) = wish.shown {
        thinking.key("includeThoughts").bool(shown.value != Shown::Hidden);
        if matches!(shown.value, Shown::Concise | Shown::Detailed) {
            losses.report(
                shown.place,
                LossKind::Approximated,
                "thoughts are shown or not, at one length",
                "lengths of summaries",
            );
        }
    }
    // Google refuses a level beside a budget. To think as the model sees fit is no budget.
    match (wish.extent, wish.effort) {
        (Some(extent), Some(effort)) if losses.is_same_protocol() => {
            thinking.key("thinkingBudget").number(budget(extent.value));
            thinking.key("thinkingLevel").string(&effort.value.as_str().to_ascii_uppercase());
        }
        (Some(Placed { value: ReasoningExtent::Dynamic, .. }) | None, Some(effort)) => {
            level(effort, target, &mut thinking, losses);
        }
        (Some(extent), effort) => {
            thinking.key("thinkingBudget").number(budget(extent.value));
            if let Some(effort) = effort {
                losses.dropped(
                    effort.place,
                    "a budget stands in place of an effort",
                    "an effort beside a budget",
                );
            }
        }
        (None, None) => {}
    }
    left.write_inside("thinkingConfig", &mut thinking);
}

fn budget(extent: ReasoningExtent) -> i128 {
    match extent {
        ReasoningExtent::Off => 0,
        ReasoningExtent::Dynamic => -1,
        ReasoningExtent::Budget(tokens) => i128::from(tokens),
    }
}

/// An effort, as a level or, for models before Gemini 3, as the budget that stands for it.
fn level<'a>(
    effort: Placed<'a, Effort>,
    target: &RequestTarget<'_>,
    thinking: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut approximated = |place: Place<'a>, reason: Cow<'static, str>| {
        losses.report(place, LossKind::Approximated, reason, "such an effort");
    };
    if !thinks_in_levels(target.model) {
        let tokens = effort.value.budget();
        approximated(effort.place, format!("the model takes no effort but a budget: {tokens} tokens").into());
        return thinking.key("thinkingBudget").number(tokens);
    }
    let name = match effort.value {
        Effort::Minimal | Effort::Low | Effort::Medium | Effort::High => effort.value.as_str(),
        Effort::XHigh if losses.is_same_protocol() => "xhigh",
        Effort::XHigh | Effort::Max => {
            losses.report(
                effort.place,
                LossKind::Approximated,
                "the highest level is `HIGH`",
                "such an effort",
            );
            "high"
        }
    };
    thinking.key("thinkingLevel").string(&name.to_ascii_uppercase());
}

/// The text of `labels` that Vertex AI accepts: those that break its rules are left out and reported.
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/add-labels>
pub(super) fn labels<'a>(metadata: Raw<'a>, losses: &mut Losses<'a>) -> Option<JsonText<'a>> {
    let fields = weighbridge_protocol::json::Fields::read(metadata).ok()?.rest();
    let fits = |name: &str, value: Raw<'_>| {
        value.str().is_ok_and(|value| is_label(&value)) && is_label(name) && starts_with_letter(name)
    };
    for (_, value) in fields.iter().filter(|(name, value)| !fits(name, *value)) {
        losses.dropped(
            value,
            "a label has at most 63 small letters, digits, `-` and `_`",
            "labels of any text",
        );
    }
    let kept: Vec<_> = fields.iter().filter(|(name, value)| fits(name, *value)).collect();
    (!kept.is_empty()).then(|| {
        JsonText::made(|writer| {
            let mut object = writer.object();
            kept.iter().for_each(|(name, value)| object.key(name).raw(value.text()));
        })
    })
}

fn is_label(text: &str) -> bool {
    let fits = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_');
    text.chars().count() <= 63 && text.chars().all(fits)
}

fn starts_with_letter(text: &str) -> bool {
    text.chars().next().is_some_and(char::is_alphabetic)
}
