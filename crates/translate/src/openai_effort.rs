//! How much a model of OpenAI's shall reason, in the words that it knows: Chat Completions and
//! Responses have the same ones. <https://platform.openai.com/docs/guides/reasoning>

use weighbridge_protocol::openai_chat::models::{EFFORTS_COMMON, ModelFacts};
use weighbridge_units::LossKind;

use crate::conversation::{Effort, ReasoningExtent, ReasoningWish};
use crate::{Losses, Place, Placed};

/// The word for a wish that comes from another protocol. Budgets become words ([`Effort::of_budget`]),
/// and words that the model does not know the nearest that it knows.
pub(crate) fn effort<'a>(
    wish: &ReasoningWish<'a>,
    facts: Option<ModelFacts>,
    losses: &mut Losses<'a>,
) -> Option<&'static str> {
    let (effort, budget, place) = match (wish.effort, wish.extent) {
        (_, Some(Placed { value: ReasoningExtent::Off, place })) => return off(place, facts, losses),
        (Some(effort), extent) => {
            if let Some(Placed { value: ReasoningExtent::Budget(_), place }) = extent {
                losses.dropped(place, "an effort is said in its place", "a budget beside an effort");
            }
            (effort.value, None, effort.place)
        }
        (None, Some(Placed { value: ReasoningExtent::Budget(tokens), place })) => {
            (Effort::of_budget(tokens), Some(tokens), place)
        }
        // Left to itself, a model that reasons does so as it sees fit.
        (None, Some(Placed { value: ReasoningExtent::Dynamic, .. }) | None) => return None,
    };
    let words = facts.map_or(EFFORTS_COMMON, |facts| facts.efforts);
    let Some(said) = effort.nearest(words) else {
        losses.dropped(place, "the model does not reason", "a model that reasons");
        return None;
    };
    if let Some(tokens) = budget {
        losses.report(
            place,
            LossKind::Approximated,
            format!("a budget of {tokens} tokens stands as the effort `{}`", said.as_str()),
            "a budget for reasoning",
        );
    } else if said != effort {
        losses.report(
            place,
            LossKind::Approximated,
            format!("the effort is `{}`", said.as_str()),
            format!("the effort `{}`", effort.as_str()),
        );
    }
    Some(said.as_str())
}

/// `none` is refused by models that always reason, and by those that never do.
fn off<'a>(place: Place<'a>, facts: Option<ModelFacts>, losses: &mut Losses<'a>) -> Option<&'static str> {
    let Some(facts) = facts else {
        losses.dropped(place, "whether the model reasons is left to it", "switching reasoning off");
        return None;
    };
    let word = *facts.efforts.first()?;
    if word != "none" {
        losses.report(
            place,
            LossKind::Approximated,
            format!("the model always reasons: its effort is `{word}`"),
            "switching reasoning off",
        );
    }
    Some(word)
}
