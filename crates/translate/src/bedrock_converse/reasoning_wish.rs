//! A wish for reasoning, in the fields that the model's maker gave it.

use weighbridge_protocol::json::Object;
use weighbridge_units::{LossKind, Protocol};

use super::family::{Family, Version};
use crate::conversation::{Effort, ReasoningExtent, ReasoningWish, Shown};
use crate::{Conversation, Losses, Place, Placed};

/// From here on thinking has a budget of tokens.
const THINKS: Version = Version(3, 7);
/// From here on the model can decide itself how much it thinks, and knows words for how hard.
const ADAPTS: Version = Version(4, 6);
/// From here on it takes no budget.
const TAKES_NO_BUDGET: Version = Version(4, 7);
/// The least budget that is accepted.
const BUDGET_MIN: u64 = 1_024;

/// How a wish for reasoning is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// `thinking` of Claude, and what is shown of it.
    pub(super) thinking: Option<(ReasoningExtent, Option<Shown>)>,
    /// `outputConfig.effort` of Claude.
    pub(super) effort: Option<&'static str>,
    /// `reasoningConfig` of Nova 2: the effort, or nothing for no reasoning.
    nova: Option<Option<&'static str>>,
    /// `reasoning_effort` of OpenAI's models.
    openai: Option<&'static str>,
    /// The model has no word for it.
    pub(super) is_unheard: bool,
}

impl Plan {
    /// How the wish of a request is written for a model; what is not quite what was wished is reported.
    pub(super) fn of<'a>(conversation: &Conversation<'a>, family: Family, losses: &mut Losses<'a>) -> Self {
        let wish = &conversation.reasoning;
        if losses.is_same_protocol() {
            let shown = shown(wish, losses);
            return Self {
                thinking: wish.extent.map(|extent| (extent.value, shown)),
                effort: wish.effort.map(|effort| effort.value.as_str()),
                ..Self::default()
            };
        }
        if wish.extent.is_none() && wish.effort.is_none() {
            if let Some(shown) = wish.shown.filter(|shown| shown.value != Shown::Hidden) {
                losses.dropped(
                    shown.place,
                    "the model does not reason unless asked to, so that there is nothing to show",
                    "showing reasoning that was not asked for",
                );
            }
            return Self::default();
        }
        match family {
            Family::Claude(version) if version >= THINKS => claude(conversation, version, losses),
            // It does not think, as was wished.
            Family::Claude(_) | Family::Nova if is_off(wish.extent) => Self::default(),
            Family::Nova2 => nova(conversation, losses),
            Family::Gpt | Family::GptOss if !is_off(wish.extent) => openai(conversation, family, losses),
            _ => Self { is_unheard: true, ..Self::default() },
        }
    }

    /// Whether the model is to think, under rules that bind other wishes.
    pub(super) fn thinks_as_claude(&self) -> bool {
        self.thinking.is_some_and(|(extent, _)| extent != ReasoningExtent::Off)
    }

    /// Whether something stands in `additionalModelRequestFields`.
    pub(super) const fn has_fields(&self) -> bool {
        self.thinking.is_some() || self.nova.is_some() || self.openai.is_some()
    }

    /// Writes the fields of `additionalModelRequestFields`; `leftovers` adds to those of `thinking`.
    pub(super) fn write(&self, object: &mut Object<'_>, leftovers: impl FnOnce(&mut Object<'_>)) {
        if let Some((extent, shown)) = self.thinking {
            let mut thinking = object.key("thinking").object();
            match extent {
                ReasoningExtent::Off => thinking.key("type").string("disabled"),
                ReasoningExtent::Dynamic => thinking.key("type").string("adaptive"),
                ReasoningExtent::Budget(tokens) => {
                    thinking.key("type").string("enabled");
                    thinking.key("budget_tokens").number(tokens);
                }
            }
            if let Some(shown) = shown {
                let display = if shown == Shown::Hidden { "omitted" } else { "summarized" };
                thinking.key("display").string(display);
            }
            leftovers(&mut thinking);
        }
        if let Some(effort) = self.nova {
            let mut config = object.key("reasoningConfig").object();
            config.key("type").string(if effort.is_some() { "enabled" } else { "disabled" });
            if let Some(effort) = effort {
                config.key("maxReasoningEffort").string(effort);
            }
        }
        if let Some(effort) = self.openai {
            object.key("reasoning_effort").string(effort);
        }
    }
}

fn is_off(extent: Option<Placed<'_, ReasoningExtent>>) -> bool {
    extent.is_some_and(|extent| extent.value == ReasoningExtent::Off)
}

fn approximated<'a>(place: Place<'a>, reason: &'static str, needed: &'static str, losses: &mut Losses<'a>) {
    losses.report(place, LossKind::Approximated, reason, needed);
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>
fn claude<'a>(conversation: &Conversation<'a>, version: Version, losses: &mut Losses<'a>) -> Plan {
    let wish = &conversation.reasoning;
    let adapts = version >= ADAPTS;
    let word = wish.effort.filter(|_| adapts).map(|effort| word(effort, version, losses));
    // Anthropic's own clients say both; to others an effort means that the model thinks.
    let is_told = conversation.source == Protocol::AnthropicMessages;
    let extent = match (wish.extent, wish.effort) {
        (Some(extent), _) => Some(extent),
        (None, Some(effort)) if !is_told => {
            Some(Placed { value: ReasoningExtent::Dynamic, place: effort.place })
        }
        _ => None,
    };
    let extent = extent.and_then(|extent| match extent.value {
        ReasoningExtent::Off => Some(ReasoningExtent::Off),
        ReasoningExtent::Dynamic if adapts => Some(ReasoningExtent::Dynamic),
        ReasoningExtent::Budget(_) if version >= TAKES_NO_BUDGET => {
            approximated(
                extent.place,
                "the model takes no budget: it decides itself how much it thinks",
                "a budget of tokens",
                losses,
            );
            Some(ReasoningExtent::Dynamic)
        }
        ReasoningExtent::Budget(tokens) => budget(tokens, extent.place, conversation, losses),
        ReasoningExtent::Dynamic => {
            approximated(
                extent.place,
                "the model takes only a budget: one that is usual for the effort was given",
                "efforts in words",
                losses,
            );
            let effort = wish.effort.map_or(Effort::Medium, |effort| effort.value);
            budget(effort.budget(), extent.place, conversation, losses)
        }
    });
    let is_used = match wish.extent.map(|extent| extent.value) {
        None => !is_told,
        Some(ReasoningExtent::Dynamic) => true,
        Some(ReasoningExtent::Off | ReasoningExtent::Budget(_)) => false,
    };
    if let Some(effort) = wish.effort.filter(|_| !adapts && !is_used) {
        losses.dropped(effort.place, "the model takes only a budget", "efforts in words");
    }
    let shown = match extent {
        None | Some(ReasoningExtent::Off) => None,
        Some(_) => shown(wish, losses),
    };
    let thinking = extent.map(|extent| (extent, shown));
    Plan { thinking, effort: word, ..Plan::default() }
}

/// How much is to be shown, as far as that can be said.
fn shown<'a>(wish: &ReasoningWish<'a>, losses: &mut Losses<'a>) -> Option<Shown> {
    let shown = wish.shown?;
    if matches!(shown.value, Shown::Concise | Shown::Detailed) {
        approximated(shown.place, "how long a summary is cannot be said", "lengths of summaries", losses);
    }
    Some(shown.value)
}

/// The word for an effort: `minimal` is none, and 4.6 lacks `xhigh`.
fn word<'a>(effort: Placed<'a, Effort>, version: Version, losses: &mut Losses<'a>) -> &'static str {
    let known = match effort.value {
        Effort::Minimal => Effort::Low,
        Effort::XHigh if version < TAKES_NO_BUDGET => Effort::High,
        known => known,
    };
    if known != effort.value {
        approximated(effort.place, "the model has no such effort: the next was given", "that effort", losses);
    }
    known.as_str()
}

/// A budget within its bounds: at least 1,024 tokens, and less than the output cap.
fn budget<'a>(
    tokens: u64,
    place: Place<'a>,
    conversation: &Conversation<'a>,
    losses: &mut Losses<'a>,
) -> Option<ReasoningExtent> {
    let cap = conversation.max_output.map_or(u64::MAX, |cap| cap.value);
    if cap <= BUDGET_MIN {
        losses.dropped(place, "the output cap leaves no room for reasoning", "a higher output cap");
        return None;
    }
    let fitting = tokens.clamp(BUDGET_MIN, cap - 1);
    if fitting != tokens {
        approximated(
            place,
            "a budget has at least 1024 tokens, and fewer than the output cap",
            "budgets of any size",
            losses,
        );
    }
    Some(ReasoningExtent::Budget(fitting))
}

/// The effort that a wish amounts to, in words.
fn in_words<'a>(conversation: &Conversation<'a>, losses: &mut Losses<'a>) -> Option<(Effort, Place<'a>)> {
    let wish = &conversation.reasoning;
    if let Some(shown) = wish.shown.filter(|shown| shown.value != Shown::Auto) {
        losses.dropped(
            shown.place,
            "how much reasoning is shown cannot be said",
            "levels of showing reasoning",
        );
    }
    match (wish.effort, wish.extent) {
        (Some(effort), extent) => {
            if let Some(Placed { value: ReasoningExtent::Budget(_), place }) = extent {
                losses.dropped(place, "the model takes efforts in words, not budgets", "a budget of tokens");
            }
            Some((effort.value, effort.place))
        }
        (None, Some(Placed { value: ReasoningExtent::Budget(tokens), place })) => {
            approximated(
                place,
                "the model takes efforts in words, not budgets",
                "a budget of tokens",
                losses,
            );
            Some((Effort::of_budget(tokens), place))
        }
        _ => None,
    }
}

/// <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>
fn nova<'a>(conversation: &Conversation<'a>, losses: &mut Losses<'a>) -> Plan {
    if is_off(conversation.reasoning.extent) {
        return Plan { nova: Some(None), ..Plan::default() };
    }
    let Some((effort, place)) = in_words(conversation, losses) else {
        return Plan { nova: Some(Some(Effort::Medium.as_str())), ..Plan::default() };
    };
    // The highest effort is refused together with any of these.
    let sampling = &conversation.sampling;
    let is_bound =
        conversation.max_output.is_some() || sampling.temperature.is_some() || sampling.top_p.is_some();
    let known = match effort {
        Effort::Minimal | Effort::Low => Effort::Low,
        Effort::Medium => Effort::Medium,
        _ if is_bound => Effort::Medium,
        _ => Effort::High,
    };
    if known != effort {
        approximated(
            place,
            "the model knows low, medium and high, and high only without an output cap and sampling",
            "that effort",
            losses,
        );
    }
    Plan { nova: Some(Some(known.as_str())), ..Plan::default() }
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html>
fn openai<'a>(conversation: &Conversation<'a>, family: Family, losses: &mut Losses<'a>) -> Plan {
    let Some((effort, place)) = in_words(conversation, losses) else { return Plan::default() };
    let known = match effort {
        Effort::Minimal if family == Family::GptOss => Effort::Low,
        Effort::XHigh | Effort::Max if family == Family::GptOss => Effort::High,
        known => known,
    };
    if known != effort {
        approximated(place, "the model knows low, medium and high", "that effort", losses);
    }
    Plan { openai: Some(known.as_str()), ..Plan::default() }
}
