//! The canonical conversation, written as a request.
//! <https://platform.openai.com/docs/api-reference/responses/create>

use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Object, Writer};
use weighbridge_protocol::openai_chat::models::{self, ModelFacts};
use weighbridge_protocol::openai_responses::{INCLUDE_LOGPROBS, INCLUDE_REASONING, MAX_OUTPUT_LEAST};
use weighbridge_units::{LossKind, Protocol};

use super::items_encode::Items;
use super::{bag_names, tools_encode};
use crate::conversation::{Format, ReasoningExtent, ServiceTier, Shown, Wish};
use crate::{Content, Conversation, Losses, Message, Part, RequestTarget, Role, openai_effort};

/// What a request of this protocol can wish.
const HEARD: [Wish; 14] = [
    Wish::ToolChoice,
    Wish::ParallelToolCalls,
    Wish::Temperature,
    Wish::TopP,
    Wish::MaxOutput,
    Wish::Format,
    Wish::Verbosity,
    Wish::Logprobs,
    Wish::Reasoning,
    Wish::ServiceTier,
    Wish::EndUser,
    Wish::Metadata,
    Wish::Store,
    Wish::CacheKey,
];

/// A name for a schema that has none: the format demands one.
pub(super) const SCHEMA_NAME: &str = "answer";

pub(super) fn encode<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Vec<u8> {
    // The same protocol's client knows what it asks for.
    let facts = models::facts(target.model).filter(|_| !losses.is_same_protocol());
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("model").string(target.model);
    input(conversation, facts, &mut object, losses);
    report_prefill(conversation, losses);
    max_output(conversation, &mut object, losses);
    tools_encode::tools(conversation, &mut object, losses);
    text(conversation, &mut object, losses);
    let effort = reasoning(conversation, facts, &mut object, losses);
    sampling(conversation, facts, effort, &mut object, losses);
    // Others may refuse what they are not asked for by the client itself.
    let is_strict = target.dialect == Dialect::Compatible;
    include(conversation, facts, is_strict, &mut object, losses);
    service_tier(conversation, &mut object, losses);
    if let Some(user) = &conversation.end_user {
        object.key("user").string(&user.value);
    }
    if let Some(metadata) = conversation.metadata {
        object.key("metadata").raw(metadata.text());
    }
    // Nobody else keeps an answer unless asked to; this protocol's providers do unless told not to.
    match conversation.store {
        Some(store) => object.key("store").bool(store.value),
        None if losses.is_same_protocol() || is_strict => {}
        None => object.key("store").bool(false),
    }
    if let Some(key) = &conversation.cache_key {
        object.key("prompt_cache_key").string(&key.value);
    }
    if conversation.stream {
        object.key("stream").bool(true);
    }
    if losses.is_same_protocol()
        && bag_names::kept(&conversation.bag, bag_names::STREAM_OPTIONS).next().is_some()
    {
        let mut options = object.key("stream_options").object();
        bag_names::write_kept(&conversation.bag, bag_names::STREAM_OPTIONS, &mut options, losses);
    }
    losses.unheard(conversation, &HEARD);
    bag_names::write_request(&conversation.bag, &mut object, losses);
    drop(object);
    out
}

/// The items. What a client of this protocol said in `instructions` goes back there; others' leading
/// instructions are items, which every server of this protocol has.
fn input<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut messages = conversation.messages.as_slice();
    if losses.is_same_protocol()
        && let [Message { role: Role::System, parts, bag, .. }, rest @ ..] = messages
        && let [Part { content: Content::Text(text), cache: None, bag: part_bag, .. }] = parts.as_slice()
        && bag.is_empty()
        && part_bag.is_empty()
    {
        object.key("instructions").string(&text.text);
        messages = rest;
    }
    let mut list = object.key("input").array();
    let mut items = Items::new(facts.is_some_and(|facts| facts.cache_marks));
    for message in messages {
        items.message(message, &mut list, losses);
    }
}

/// Anthropic continues a message of the model that stands last; here it is history.
fn report_prefill<'a>(conversation: &Conversation<'a>, losses: &mut Losses<'a>) {
    let continues = matches!(conversation.source, Protocol::AnthropicMessages | Protocol::BedrockConverse);
    let Some(last) = conversation.messages.last().filter(|last| last.role == Role::Assistant) else { return };
    let is_call = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    if continues && !is_call {
        losses.report(
            last.place,
            LossKind::Approximated,
            "the model may answer the last message instead of continuing it",
            "continuing a message of the model",
        );
    }
}

fn max_output<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let Some(cap) = conversation.max_output else { return };
    let mut value = cap.value;
    if value < MAX_OUTPUT_LEAST && !losses.is_same_protocol() {
        losses.report(
            cap.place,
            LossKind::Approximated,
            format!("the least output cap is {MAX_OUTPUT_LEAST}"),
            "smaller output caps",
        );
        value = MAX_OUTPUT_LEAST;
    }
    object.key("max_output_tokens").number(value);
}

fn text<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let verbosity = conversation.verbosity.as_ref().filter(|verbosity| {
        let is_known = matches!(verbosity.value.as_ref(), "low" | "medium" | "high");
        if !is_known && !losses.is_same_protocol() {
            losses.dropped(verbosity.place, "the level of wordiness is not known here", "such a level");
        }
        is_known || losses.is_same_protocol()
    });
    let format = conversation.format.as_ref().map(|format| &format.value).filter(|format| {
        if let Format::Unknown(raw) = format
            && !losses.is_same_protocol()
        {
            losses.unknown(*raw, "field", "format");
            return false;
        }
        true
    });
    let bag = &conversation.bag;
    let has_more = losses.is_same_protocol() && bag_names::kept(bag, bag_names::TEXT).next().is_some();
    if format.is_none() && verbosity.is_none() && !has_more {
        return;
    }
    let mut text = object.key("text").object();
    if let Some(format) = format {
        self::format(format, conversation, &mut text, losses);
    }
    if let Some(verbosity) = verbosity {
        text.key("verbosity").string(&verbosity.value);
    }
    bag_names::write_kept(bag, bag_names::TEXT, &mut text, losses);
}

fn format<'a>(
    format: &Format<'a>,
    conversation: &Conversation<'a>,
    text: &mut Object<'_>,
    losses: &Losses<'a>,
) {
    if let Format::Unknown(raw) = format {
        return text.key("format").raw(raw.text());
    }
    let mut object = text.key("format").object();
    match format {
        Format::Text => object.key("type").string("text"),
        Format::JsonObject => object.key("type").string("json_object"),
        Format::JsonSchema { name, description, schema, strict } => {
            object.key("type").string("json_schema");
            object.key("name").string(name.as_deref().unwrap_or(SCHEMA_NAME));
            if let Some(description) = description {
                object.key("description").string(description);
            }
            object.key("schema").raw(schema.text());
            if let Some(strict) = strict {
                object.key("strict").bool(*strict);
            }
        }
        Format::Unknown(_) => {}
    }
    bag_names::write_kept(&conversation.bag, bag_names::FORMAT, &mut object, losses);
}

/// Effort in words, and a summary; gives the word that was written. A budget in tokens becomes the word
/// that stands for it.
fn reasoning<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) -> Option<&'static str> {
    let effort = effort(conversation, facts, losses);
    let shown = conversation.reasoning.shown;
    let mut summary = match shown.map(|shown| shown.value) {
        Some(Shown::Auto) => Some("auto"),
        Some(Shown::Concise) => Some("concise"),
        Some(Shown::Detailed) => Some("detailed"),
        // Nothing is shown unless asked for.
        Some(Shown::Hidden) | None => None,
    };
    if facts.is_some_and(|facts| !facts.reasons()) {
        summary = None;
    }
    let bag = &conversation.bag;
    let has_more = losses.is_same_protocol() && bag_names::kept(bag, bag_names::REASONING).next().is_some();
    if effort.is_none() && summary.is_none() && !has_more {
        return None;
    }
    let mut reasoning = object.key("reasoning").object();
    if let Some(effort) = effort {
        reasoning.key("effort").string(effort);
    }
    if let Some(summary) = summary {
        reasoning.key("summary").string(summary);
    }
    bag_names::write_kept(bag, bag_names::REASONING, &mut reasoning, losses);
    effort
}

fn effort<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    losses: &mut Losses<'a>,
) -> Option<&'static str> {
    let wish = &conversation.reasoning;
    match wish.extent.map(|extent| extent.value) {
        Some(ReasoningExtent::Off) if losses.is_same_protocol() => Some("none"),
        // The client's own word, which the model may know better than we do.
        None | Some(ReasoningExtent::Dynamic) if losses.is_same_protocol() => {
            wish.effort.map(|effort| effort.value.as_str())
        }
        _ => openai_effort::effort(wish, facts, losses),
    }
}

/// Models that reason refuse what steers sampling.
fn sampling<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    effort: Option<&'static str>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let refuses = facts.is_some_and(|facts| facts.refuses_sampling(effort));
    let fields = [("temperature", conversation.sampling.temperature), ("top_p", conversation.sampling.top_p)];
    for (name, number) in fields {
        let Some(number) = number else { continue };
        if !refuses {
            object.key(name).raw(number.text());
        } else if number.text().parse::<f64>().is_ok_and(|value| (value - 1.0).abs() > f64::EPSILON) {
            losses.dropped(
                number,
                format!("a model that reasons takes no `{name}`"),
                format!("a model that takes `{name}`"),
            );
        }
    }
}

/// Probabilities; and, for clients of other protocols, reasoning in the form in which they can bring
/// it back, where there is any: some models refuse to be asked for it.
fn include<'a>(
    conversation: &Conversation<'a>,
    facts: Option<ModelFacts>,
    is_strict: bool,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut wanted: Vec<&str> = Vec::new();
    if conversation.logprobs.is_some() {
        wanted.push(INCLUDE_LOGPROBS);
    }
    let is_ours = !losses.is_same_protocol() && !is_strict;
    if is_ours && facts.map_or_else(|| reasons(conversation), |facts| facts.reasons()) {
        wanted.push(INCLUDE_REASONING);
    }
    let kept: Vec<&str> = match losses.is_same_protocol() {
        true => conversation
            .bag
            .iter()
            .filter(|(name, _)| *name == bag_names::INCLUDE)
            .map(|(_, raw)| raw.text())
            .collect(),
        false => Vec::new(),
    };
    if !wanted.is_empty() || !kept.is_empty() {
        let mut list = object.key("include").array();
        wanted.iter().for_each(|name| list.item().string(name));
        kept.iter().for_each(|raw| list.item().raw(raw));
    }
    if let Some(top) = conversation.logprobs.filter(|top| top.value > 0) {
        object.key("top_logprobs").number(top.value);
    }
}

/// Whether the model reasons, as far as the request tells.
fn reasons(conversation: &Conversation<'_>) -> bool {
    let wish = &conversation.reasoning;
    let is_off = wish.extent.is_some_and(|extent| extent.value == ReasoningExtent::Off);
    let is_asked_for = wish.extent.is_some() || wish.effort.is_some() || wish.shown.is_some();
    let mut parts = conversation.messages.iter().flat_map(|message| &message.parts);
    !is_off && (is_asked_for || parts.any(|part| matches!(part.content, Content::Reasoning(_))))
}

fn service_tier<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let Some(tier) = &conversation.service_tier else { return };
    let name = match &tier.value {
        ServiceTier::Auto => "auto",
        ServiceTier::Standard => "default",
        ServiceTier::Flex => "flex",
        ServiceTier::Priority => "priority",
        ServiceTier::Other(name) if losses.is_same_protocol() => name,
        ServiceTier::Other(_) => {
            return losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier");
        }
    };
    object.key("service_tier").string(name);
}
