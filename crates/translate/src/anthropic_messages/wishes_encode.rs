//! How the next message is to be made, written as fields of a request.

use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Object, Raw};
use weighbridge_units::LossKind;

use super::plan::{Form, Plan, Planned};
use crate::conversation::{Format, ServiceTier, Wish};
use crate::{Conversation, Losses, RequestTarget};

/// What a request of this protocol can wish.
const HEARD: [Wish; 11] = [
    Wish::ToolChoice,
    Wish::ParallelToolCalls,
    Wish::Temperature,
    Wish::TopP,
    Wish::TopK,
    Wish::Stop,
    Wish::MaxOutput,
    Wish::Format,
    Wish::Reasoning,
    Wish::EndUser,
    Wish::ServiceTier,
];

pub(super) fn write<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    plan: &Plan<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    sampling(conversation, plan, object, losses);
    stop_sequences(conversation, object, losses);
    thinking(plan, object);
    output_config(conversation, plan, object, losses);
    let on_bedrock = target.dialect == Dialect::Bedrock;
    if let Some(user) = &conversation.end_user {
        object.key("metadata").object().key("user_id").string(&user.value);
    }
    if let Some(tier) = &conversation.service_tier {
        let name = match &tier.value {
            _ if on_bedrock => None,
            ServiceTier::Auto => Some("auto"),
            ServiceTier::Standard => Some("standard_only"),
            ServiceTier::Priority => {
                losses.report(
                    tier.place,
                    LossKind::Approximated,
                    "the priority tier is used where the account has it",
                    "asking for the priority tier",
                );
                Some("auto")
            }
            ServiceTier::Other(name) if losses.is_same_protocol() => Some(name.as_ref()),
            ServiceTier::Flex | ServiceTier::Other(_) => None,
        };
        match name {
            Some(name) => object.key("service_tier").string(name),
            // Neither asks for more than a request gets anyhow.
            None if matches!(tier.value, ServiceTier::Auto | ServiceTier::Standard) => {}
            None => losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier"),
        }
    }
    losses.unheard(conversation, &HEARD);
}

/// Newer models take none of it, older ones one of the first two; beside thinking with a budget there
/// is little to say.
fn sampling<'a>(
    conversation: &Conversation<'a>,
    plan: &Plan<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let sampling = &conversation.sampling;
    let same = losses.is_same_protocol();
    let refuses = plan.claude.is_some_and(|claude| !claude.takes_sampling());
    let thinks = !same && matches!(plan.thinking, Some(Planned::Budget(_) | Planned::Adaptive));
    let drop = |name: &str, number: Raw<'a>, losses: &mut Losses<'a>| {
        let reason = match refuses {
            true => format!("the model takes no `{name}`"),
            false => format!("a model that thinks takes no such `{name}`"),
        };
        losses.dropped(number, reason, format!("a model that takes `{name}`"));
    };
    let value = |number: Raw<'_>| number.text().parse::<f64>().unwrap_or(1.0);
    let is_one = |number: Raw<'_>| (value(number) - 1.0).abs() < f64::EPSILON;
    let mut has_temperature = false;
    if let Some(temperature) = sampling.temperature {
        if refuses || thinks {
            if !is_one(temperature) {
                drop("temperature", temperature, losses);
            }
        } else if !same && value(temperature) > 1.0 {
            // The range ends at 1 here and at 2 elsewhere.
            losses.report(
                temperature,
                LossKind::Approximated,
                "the highest temperature is 1",
                "temperatures above 1",
            );
            object.key("temperature").number(1);
            has_temperature = true;
        } else {
            object.key("temperature").raw(temperature.text());
            has_temperature = true;
        }
    }
    if let Some(top_p) = sampling.top_p {
        let one_of_both = has_temperature && plan.claude.is_some_and(|claude| !claude.takes_both_samplings());
        if refuses || (thinks && value(top_p) < 0.95) {
            if !is_one(top_p) {
                drop("top_p", top_p, losses);
            }
        } else if one_of_both {
            if !is_one(top_p) {
                losses.dropped(top_p, "the model takes it or a temperature, not both", "both in one request");
            }
        } else {
            object.key("top_p").raw(top_p.text());
        }
    }
    if let Some(top_k) = sampling.top_k {
        if refuses || thinks {
            drop("top_k", top_k, losses);
        } else {
            object.key("top_k").raw(top_k.text());
        }
    }
}

fn stop_sequences<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut kept = Vec::with_capacity(conversation.stop.len());
    for sequence in &conversation.stop {
        if losses.is_same_protocol() || !sequence.value.trim().is_empty() {
            kept.push(&sequence.value);
        } else {
            losses.dropped(
                sequence.place,
                "a stop sequence of nothing but white space is refused",
                "stop sequences of white space",
            );
        }
    }
    if !kept.is_empty() {
        let mut list = object.key("stop_sequences").array();
        kept.into_iter().for_each(|sequence| list.item().string(sequence));
    }
}

fn thinking(plan: &Plan<'_>, object: &mut Object<'_>) {
    let Some(thinking) = plan.thinking else { return };
    let mut object = object.key("thinking").object();
    match thinking {
        Planned::Disabled => return object.key("type").string("disabled"),
        Planned::Adaptive => object.key("type").string("adaptive"),
        Planned::Budget(tokens) => {
            object.key("type").string("enabled");
            object.key("budget_tokens").number(tokens);
        }
    }
    if let Some(display) = plan.display {
        object.key("display").string(display);
    }
}

fn output_config<'a>(
    conversation: &Conversation<'a>,
    plan: &Plan<'_>,
    object: &mut Object<'_>,
    losses: &Losses<'a>,
) {
    let unknown = match conversation.format.as_ref().map(|format| &format.value) {
        Some(Format::Unknown(raw)) if losses.is_same_protocol() => Some(raw),
        _ => None,
    };
    if plan.effort.is_none() && !matches!(plan.form, Form::Schema(_)) && unknown.is_none() {
        return;
    }
    let mut config = object.key("output_config").object();
    if let Some(effort) = plan.effort {
        config.key("effort").string(effort);
    }
    if let Some(raw) = unknown {
        config.key("format").raw(raw.text());
    }
    if let Form::Schema(schema) = plan.form {
        let mut format = config.key("format").object();
        format.key("type").string("json_schema");
        format.key("schema").raw(schema.text());
    }
}
