//! How the next message is to be made, written as fields of a request.

use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Object, Raw};
use weighbridge_protocol::openai_chat::models::ModelFacts;
use weighbridge_units::LossKind;

use crate::conversation::{AudioWish, Format, ReasoningExtent, ReasoningWish, ServiceTier, Shown, Wish};
use crate::{Conversation, Losses, Placed, RequestTarget, openai_effort};

/// What a request of this protocol can wish.
const HEARD: [Wish; 20] = [
    Wish::ToolChoice,
    Wish::ParallelToolCalls,
    Wish::Temperature,
    Wish::TopP,
    Wish::Seed,
    Wish::FrequencyPenalty,
    Wish::PresencePenalty,
    Wish::Stop,
    Wish::MaxOutput,
    Wish::Candidates,
    Wish::Format,
    Wish::Audio,
    Wish::Logprobs,
    Wish::Reasoning,
    Wish::EndUser,
    Wish::Verbosity,
    Wish::ServiceTier,
    Wish::Metadata,
    Wish::Store,
    Wish::CacheKey,
];

/// How many of [`HEARD`] others understand who copied the format years ago.
const HEARD_BY_OTHERS: usize = 15;

/// A name for a schema that has none: the format demands one.
pub(crate) const SCHEMA_NAME: &str = "answer";

pub(super) fn write<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    facts: Option<ModelFacts>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let same = losses.is_same_protocol();
    let compatible = target.dialect == Dialect::Compatible && !same;
    let facts = facts.filter(|_| !same);
    let effort = reasoning(conversation, facts, object, losses);
    sampling(conversation, facts, effort, object, losses);
    if let Some(count) = &conversation.candidates {
        object.key("n").number(count.value);
    }
    if let Some(top) = &conversation.logprobs {
        object.key("logprobs").bool(true);
        if top.value > 0 {
            object.key("top_logprobs").number(top.value);
        }
    }
    if let Some(format) = &conversation.format {
        self::format(format, object, losses);
    }
    if let Some(wish) = &conversation.audio {
        audio(wish, object, losses);
    }
    if let Some(user) = &conversation.end_user {
        object.key("user").string(&user.value);
    }
    let mut heard = HEARD.to_vec();
    if compatible {
        heard.truncate(HEARD_BY_OTHERS);
    } else {
        platform(conversation, object, losses);
    }
    if compatible || same {
        if let Some(top_k) = conversation.sampling.top_k {
            object.key("top_k").raw(top_k.text());
        }
        heard.push(Wish::TopK);
    }
    losses.unheard(conversation, &heard);
}

/// What OpenAI's platform knows and others do not.
fn platform<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if let Some(verbosity) = &conversation.verbosity {
        object.key("verbosity").string(&verbosity.value);
    }
    if let Some(tier) = &conversation.service_tier {
        let name = match &tier.value {
            ServiceTier::Auto => Some("auto"),
            ServiceTier::Standard => Some("default"),
            ServiceTier::Flex => Some("flex"),
            ServiceTier::Priority => Some("priority"),
            ServiceTier::Other(name) => Some(name.as_ref()).filter(|_| losses.is_same_protocol()),
        };
        match name {
            Some(name) => object.key("service_tier").string(name),
            None => losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier"),
        }
    }
    if let Some(metadata) = conversation.metadata {
        // Refused otherwise, even where there is nothing in it.
        let is_kept = conversation.store.is_some_and(|store| store.value);
        if is_kept || losses.is_same_protocol() {
            object.key("metadata").raw(metadata.text());
        } else if metadata.text().len() > 2 {
            losses.dropped(
                metadata,
                "metadata are taken with an answer that is stored",
                "metadata of answers that are not stored",
            );
        }
    }
    if let Some(store) = conversation.store {
        object.key("store").bool(store.value);
    }
    if let Some(key) = &conversation.cache_key {
        object.key("prompt_cache_key").string(&key.value);
    }
}

fn sampling<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    effort: Option<&'static str>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let sampling = &conversation.sampling;
    let refuses = facts.is_some_and(|facts| facts.refuses_sampling(effort));
    let fields: [(&str, Option<Raw<'a>>, f64); 4] = [
        ("temperature", sampling.temperature, 1.0),
        ("top_p", sampling.top_p, 1.0),
        ("frequency_penalty", sampling.frequency_penalty, 0.0),
        ("presence_penalty", sampling.presence_penalty, 0.0),
    ];
    for (name, number, default) in fields {
        let Some(number) = number else { continue };
        let value: f64 = number.text().parse().unwrap_or(default);
        if refuses {
            if (value - default).abs() > f64::EPSILON {
                losses.dropped(
                    number,
                    format!("a model that reasons takes no `{name}`"),
                    format!("a model that takes `{name}`"),
                );
            }
            continue;
        }
        object.key(name).raw(number.text());
    }
    if let Some(seed) = sampling.seed {
        object.key("seed").raw(seed.text());
    }
}

/// Voice and format are required, but a voice that is no name stands in the bag.
fn audio<'a>(wish: &Placed<'a, AudioWish<'a>>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let AudioWish { voice, format, with_text } = &wish.value;
    let mut modalities = object.key("modalities").array();
    if *with_text {
        modalities.item().string("text");
    }
    modalities.item().string("audio");
    drop(modalities);
    if losses.is_same_protocol() && voice.is_none() && format.is_none() {
        return;
    }
    let mut audio = object.key("audio").object();
    for (name, value, default) in [("voice", voice, "alloy"), ("format", format, "wav")] {
        if let Some(value) = value {
            audio.key(name).string(value);
        } else if !losses.is_same_protocol() {
            losses.report(
                wish.place,
                LossKind::Defaulted,
                format!("sound demands a {name}, and the request has none"),
                format!("sound without a {name}"),
            );
            audio.key(name).string(default);
        }
    }
}

fn format<'a>(format: &Placed<'a, Format<'a>>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    match &format.value {
        Format::Text => object.key("response_format").object().key("type").string("text"),
        Format::JsonObject => object.key("response_format").object().key("type").string("json_object"),
        Format::JsonSchema { name, description, schema, strict } => {
            let mut object = object.key("response_format").object();
            object.key("type").string("json_schema");
            let mut inner = object.key("json_schema").object();
            inner.key("name").string(name.as_deref().unwrap_or(SCHEMA_NAME));
            if let Some(description) = description {
                inner.key("description").string(description);
            }
            inner.key("schema").raw(schema.text());
            if let Some(strict) = strict {
                inner.key("strict").bool(*strict);
            }
        }
        Format::Unknown(raw) if losses.is_same_protocol() => object.key("response_format").raw(raw.text()),
        Format::Unknown(raw) => losses.unknown(*raw, "field", "response_format"),
    }
}

/// Writes `reasoning_effort`, and gives the word that was written.
fn reasoning<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) -> Option<&'static str> {
    let wish = &conversation.reasoning;
    if losses.is_same_protocol() {
        own_reasoning(wish, object, losses);
        return None;
    }
    // OpenAI shows none.
    if let Some(shown) = wish.shown.filter(|shown| shown.value != Shown::Hidden) {
        losses.dropped(shown.place, "whether reasoning is shown cannot be said", "showing reasoning");
    }
    let word = openai_effort::effort(wish, facts, losses)?;
    object.key("reasoning_effort").string(word);
    Some(word)
}

/// Back in its own protocol: in OpenAI's word where that says it, else in OpenRouter's object.
fn own_reasoning<'a>(wish: &ReasoningWish<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let effort = wish.effort.map(|effort| effort.value.as_str());
    let extent = wish.extent.map(|extent| extent.value);
    match (effort, extent, wish.shown) {
        (None, None, None) => return,
        (Some(effort), None, None) => return object.key("reasoning_effort").string(effort),
        (None, Some(ReasoningExtent::Off), None) => return object.key("reasoning_effort").string("none"),
        _ => {}
    }
    let mut object = object.key("reasoning").object();
    if let Some(effort) = effort {
        object.key("effort").string(effort);
    }
    match extent {
        Some(ReasoningExtent::Budget(tokens)) => object.key("max_tokens").number(tokens),
        Some(extent) => object.key("enabled").bool(extent == ReasoningExtent::Dynamic),
        None => {}
    }
    match wish.shown.map(|shown| (shown.value, shown.place)) {
        None => {}
        Some((Shown::Hidden, _)) => object.key("exclude").bool(true),
        Some((Shown::Auto, _)) => object.key("exclude").bool(false),
        Some((Shown::Concise | Shown::Detailed, place)) => {
            losses.dropped(place, "how long a summary is cannot be said", "the length of a summary");
        }
    }
}
