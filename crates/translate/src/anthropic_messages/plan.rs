//! What a request becomes, where its wishes depend on each other and on the model: thinking, the form
//! of the answer, and the choice of tools.

use weighbridge_protocol::anthropic_messages::models::{Claude, Thinking};
use weighbridge_units::LossKind;

use crate::conversation::{
    AllowedMode, Effort, Format, JsonText, Proof, ReasoningExtent, Shown, ToolChoice, ToolKind,
};
use crate::{Content, Conversation, Losses, Message, Part, Place, Placed, RequestTarget, Role};

/// The least budget for thinking.
const BUDGET_MIN: u64 = 1_024;

/// The decisions for one request.
#[derive(Debug)]
pub(super) struct Plan<'c> {
    /// The model, where its name tells, and the request comes from another protocol.
    pub(super) claude: Option<Claude>,
    pub(super) max_tokens: u64,
    pub(super) thinking: Option<Planned>,
    /// `display` of thinking.
    pub(super) display: Option<&'static str>,
    pub(super) effort: Option<&'static str>,
    pub(super) form: Form<'c>,
    pub(super) choice: Choice<'c>,
}

/// `thinking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planned {
    Disabled,
    Adaptive,
    Budget(u64),
}

/// How the form of the answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'c> {
    /// Not at all.
    Free,
    /// `output_config.format`.
    Schema(&'c JsonText<'c>),
    /// As the arguments of a function of ours.
    Tool { schema: Option<&'c JsonText<'c>>, description: Option<&'c str> },
}

/// `tool_choice`, and which tools there are to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice<'c> {
    pub(super) kind: Option<&'static str>,
    pub(super) name: Option<&'c str>,
    /// The only tools that are sent, where not all are.
    pub(super) only: Option<&'c [std::borrow::Cow<'c, str>]>,
}

impl<'c> Plan<'c> {
    pub(super) fn of<'a>(
        conversation: &'c Conversation<'a>,
        target: &RequestTarget<'_>,
        losses: &mut Losses<'a>,
    ) -> Self
    where
        'a: 'c,
    {
        let same = losses.is_same_protocol();
        let claude = Claude::named(target.model).filter(|_| !same);
        let max_tokens = max_tokens(conversation, target, losses);
        let mut plan = Self {
            claude,
            max_tokens,
            thinking: None,
            display: None,
            effort: None,
            form: Form::Free,
            choice: Choice { kind: None, name: None, only: None },
        };
        if same {
            plan.as_it_was(conversation, losses);
        } else {
            plan.think(conversation, losses);
        }
        plan.form = form(conversation, claude, losses);
        plan.choose(conversation, losses);
        plan
    }

    /// Back in its own protocol every wish has its field.
    fn as_it_was<'a>(&mut self, conversation: &Conversation<'a>, losses: &mut Losses<'a>) {
        let wish = &conversation.reasoning;
        self.thinking = wish.extent.map(|extent| match extent.value {
            ReasoningExtent::Off => Planned::Disabled,
            ReasoningExtent::Dynamic => Planned::Adaptive,
            ReasoningExtent::Budget(tokens) => Planned::Budget(tokens),
        });
        self.display = wish.shown.map(|shown| display(shown.value));
        if let Some(shown) = wish.shown {
            self.report_length(shown, losses);
        }
        self.effort = wish.effort.map(|effort| effort.value.as_str());
    }

    /// | wish | 4.5 and older, and other names | 4.6 | newer |
    /// |---|---|---|---|
    /// | off | disabled | disabled | left out: it is off unless asked for, or cannot be |
    /// | as the model sees fit | budget of a medium effort | adaptive | adaptive |
    /// | budget | budget, 1,024 to 4/5 of the output cap | the same | adaptive with an effort |
    /// | effort | budget of the effort | adaptive with the effort | adaptive with the effort |
    fn think<'a>(&mut self, conversation: &Conversation<'a>, losses: &mut Losses<'a>) {
        let wish = &conversation.reasoning;
        let form = self.claude.map_or(Thinking::Budget, Claude::thinking);
        let adaptive = form != Thinking::Budget;
        if self.would_budget(conversation) && has_unproven_calls(&conversation.messages) {
            let place = wish.extent.map(|extent| extent.place).or(wish.effort.map(|effort| effort.place));
            return report_unproven_calls(place.unwrap_or_default(), losses);
        }
        match (wish.extent.map(|extent| (extent.value, extent.place)), wish.effort) {
            (None, None) => {}
            (Some((ReasoningExtent::Off, place)), _) => self.off(form, place, losses),
            (Some((ReasoningExtent::Budget(tokens), place)), effort) => {
                if matches!(form, Thinking::Budget | Thinking::Both) {
                    self.budget(tokens, None, place, losses);
                    if let Some(effort) = effort {
                        self.say_effort(effort, adaptive, losses);
                    }
                } else {
                    let effort = effort.unwrap_or(Placed { value: Effort::of_budget(tokens), place });
                    losses.report(
                        place,
                        LossKind::Approximated,
                        format!(
                            "a budget of {tokens} tokens stands as the effort `{}`",
                            effort.value.as_str()
                        ),
                        "a budget for thinking",
                    );
                    self.thinking = Some(Planned::Adaptive);
                    self.say_effort(effort, true, losses);
                }
            }
            (Some((ReasoningExtent::Dynamic, _)) | None, Some(effort)) if adaptive => {
                self.thinking = Some(Planned::Adaptive);
                self.say_effort(effort, true, losses);
            }
            (Some((ReasoningExtent::Dynamic, _)), None) if adaptive => {
                self.thinking = Some(Planned::Adaptive)
            }
            (extent, effort) => {
                let place = effort.map(|e| e.place).or(extent.map(|(_, place)| place)).unwrap_or_default();
                let effort = effort.map_or(Effort::Medium, |effort| effort.value);
                self.budget(effort.budget(), Some(effort), place, losses);
            }
        }
        if let Some(shown) = wish.shown {
            let is_asked_for = wish.extent.is_some() || wish.effort.is_some();
            self.show(shown, adaptive, is_asked_for, losses);
        }
    }

    /// Whether the wish becomes a budget.
    fn would_budget(&self, conversation: &Conversation<'_>) -> bool {
        let wish = &conversation.reasoning;
        let form = self.claude.map_or(Thinking::Budget, Claude::thinking);
        match (wish.extent.map(|extent| extent.value), wish.effort) {
            (None, None) | (Some(ReasoningExtent::Off), _) => false,
            (Some(ReasoningExtent::Budget(_)), _) => matches!(form, Thinking::Budget | Thinking::Both),
            _ => form == Thinking::Budget,
        }
    }

    fn off<'a>(&mut self, form: Thinking, place: Place<'a>, losses: &mut Losses<'a>) {
        match form {
            Thinking::Budget | Thinking::Both => self.thinking = Some(Planned::Disabled),
            Thinking::Adaptive => {}
            Thinking::Always => losses.dropped(place, "the model always thinks", "switching thinking off"),
        }
    }

    /// The budget is part of the output cap: something must be left for the answer.
    fn budget<'a>(&mut self, tokens: u64, of: Option<Effort>, place: Place<'a>, losses: &mut Losses<'a>) {
        let most = self.max_tokens / 5 * 4;
        if self.max_tokens <= BUDGET_MIN {
            return losses.dropped(
                place,
                "the output cap leaves no room for thinking, which takes 1,024 tokens at least",
                "thinking within a small output cap",
            );
        }
        let budget = tokens.clamp(BUDGET_MIN, most.max(BUDGET_MIN));
        if let Some(effort) = of {
            losses.report(
                place,
                LossKind::Approximated,
                format!("the effort `{}` stands as a budget of {budget} tokens", effort.as_str()),
                "an effort of thinking",
            );
        } else if budget != tokens {
            losses.report(
                place,
                LossKind::Approximated,
                format!(
                    "the budget for thinking is {budget} tokens: from 1,024, and less than the output cap"
                ),
                "any budget for thinking",
            );
        }
        self.thinking = Some(Planned::Budget(budget));
    }

    fn say_effort<'a>(&mut self, effort: Placed<'a, Effort>, known: bool, losses: &mut Losses<'a>) {
        if !known {
            return losses.dropped(
                effort.place,
                "a budget is said in its place",
                "an effort beside a budget",
            );
        }
        let said = match effort.value {
            Effort::Minimal => Effort::Low,
            Effort::XHigh if !self.claude.is_some_and(Claude::knows_xhigh) => Effort::Max,
            effort => effort,
        };
        if said != effort.value {
            losses.report(
                effort.place,
                LossKind::Approximated,
                format!("the effort is `{}`", said.as_str()),
                format!("the effort `{}`", effort.value.as_str()),
            );
        }
        self.effort = Some(said.as_str());
    }

    /// Models with budgets always show a summary.
    fn show<'a>(
        &mut self,
        shown: Placed<'a, Shown>,
        adaptive: bool,
        is_asked_for: bool,
        losses: &mut Losses<'a>,
    ) {
        if !is_asked_for && shown.value != Shown::Hidden {
            return losses.dropped(
                shown.place,
                "the model does not think unless asked to, so that there is nothing to show",
                "showing thinking that was not asked for",
            );
        }
        let thinks = matches!(self.thinking, Some(Planned::Adaptive | Planned::Budget(_)));
        if thinks && adaptive {
            self.display = Some(display(shown.value));
        } else if shown.value == Shown::Hidden && thinks {
            losses.dropped(shown.place, "the thinking of this model is always shown", "hiding thinking");
        }
        self.report_length(shown, losses);
    }

    fn report_length<'a>(&self, shown: Placed<'a, Shown>, losses: &mut Losses<'a>) {
        let thinks = matches!(self.thinking, Some(Planned::Adaptive | Planned::Budget(_)));
        if matches!(shown.value, Shown::Concise | Shown::Detailed) && thinks {
            losses.report(
                shown.place,
                LossKind::Approximated,
                "how long a summary is cannot be said",
                "the length of a summary",
            );
        }
    }

    /// Thinking is refused beside a choice that forces a call:
    /// <https://platform.claude.com/docs/en/build-with-claude/thinking-tool-workflows>.
    fn choose<'a>(&mut self, conversation: &'c Conversation<'a>, losses: &mut Losses<'a>)
    where
        'a: 'c,
    {
        let has_tools = conversation
            .tools
            .iter()
            .any(|tool| !matches!(tool.kind, ToolKind::Unknown { .. }) || losses.is_same_protocol());
        let mut place = Place::NOWHERE;
        if let Some(choice) = conversation.tool_choice.as_ref().filter(|_| has_tools) {
            place = choice.place;
            match &choice.value {
                ToolChoice::Auto | ToolChoice::Unknown(_) => self.choice.kind = Some("auto"),
                ToolChoice::None => self.choice.kind = Some("none"),
                ToolChoice::Required => self.choice.kind = Some("any"),
                ToolChoice::Named(name) => {
                    (self.choice.kind, self.choice.name) = (Some("tool"), Some(name.as_ref()));
                }
                ToolChoice::Allowed { mode, names } => {
                    losses.report(
                        place,
                        LossKind::Approximated,
                        "the tools that are not allowed are left out",
                        "a list of allowed tools",
                    );
                    self.choice.kind = Some(if *mode == AllowedMode::Auto { "auto" } else { "any" });
                    self.choice.only = Some(names);
                }
            }
        }
        if let Form::Tool { .. } = self.form {
            // The answer is a call too: with others to choose from, one of them is made. Where the one
            // to be made is named, this turn has no answer yet.
            let free = matches!(self.choice.kind, None | Some("auto" | "any")) && has_tools;
            if self.choice.name.is_none() {
                self.choice.kind = Some(if free { "any" } else { "tool" });
                self.choice.name = if free { None } else { Some(crate::tool_name::ANSWER) };
                place = conversation.format.as_ref().map_or(place, |format| format.place);
            }
        }
        if matches!(self.thinking, Some(Planned::Budget(_) | Planned::Adaptive))
            && matches!(self.choice.kind, Some("any" | "tool"))
            && !losses.is_same_protocol()
        {
            losses.report(
                place,
                LossKind::Approximated,
                "beside thinking the model decides whether a tool is called",
                "forcing a call beside thinking",
            );
            (self.choice.kind, self.choice.name) = (Some("auto"), None);
        }
        if self.choice.kind.is_none() && has_tools && conversation.parallel_tool_calls.is_some() {
            self.choice.kind = Some("auto");
        }
    }
}

const fn display(shown: Shown) -> &'static str {
    match shown {
        Shown::Hidden => "omitted",
        Shown::Auto | Shown::Concise | Shown::Detailed => "summarized",
    }
}

fn max_tokens<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> u64 {
    conversation.max_output.map_or_else(
        || {
            losses.report(
                Place::NOWHERE,
                LossKind::Defaulted,
                "anthropic-messages demands an output cap, and the request has none",
                "a request without an output cap",
            );
            target.max_output_default
        },
        |cap| cap.value,
    )
}

/// A schema that must be matched is asked for as such, where the model can; anything looser is refused
/// there, and asked for as the arguments of a function.
fn form<'c, 'a: 'c>(
    conversation: &'c Conversation<'a>,
    claude: Option<Claude>,
    losses: &mut Losses<'a>,
) -> Form<'c> {
    let Some(format) = &conversation.format else { return Form::Free };
    let same = losses.is_same_protocol();
    match &format.value {
        Format::Text => Form::Free,
        Format::Unknown(raw) => {
            if !same {
                losses.unknown(*raw, "field", "response_format");
            }
            Form::Free
        }
        Format::JsonObject => {
            as_tool(format.place, losses);
            Form::Tool { schema: None, description: None }
        }
        Format::JsonSchema { name, description, schema, strict } => {
            let native =
                same || (*strict == Some(true) && claude.is_some_and(Claude::gives_structured_answers));
            if native && description.is_some() {
                losses.dropped(
                    format.place,
                    "a schema has neither name nor description here",
                    "names and descriptions of schemas",
                );
            } else if name.is_some() {
                losses.dropped(format.place, "a schema has no name here", "names of schemas");
            }
            if native {
                return Form::Schema(schema);
            }
            as_tool(format.place, losses);
            Form::Tool { schema: Some(schema), description: description.as_deref() }
        }
    }
}

fn as_tool<'a>(place: Place<'a>, losses: &mut Losses<'a>) {
    losses.report(
        place,
        LossKind::Approximated,
        "the answer is asked for as the arguments of a function",
        "answers of this form",
    );
}

/// Reports that a wish for thinking is left out.
pub(super) fn report_unproven_calls<'a>(place: Place<'a>, losses: &mut Losses<'a>) {
    losses.dropped(
        place,
        "thinking is refused where the calls of the last turn came without theirs",
        "calls without the thinking that led to them",
    );
}

/// Whether the thinking is missing that led to the last turn's calls.
pub(super) fn has_unproven_calls(messages: &[Message<'_>]) -> bool {
    let is_result =
        |message: &Message<'_>| message.parts.iter().any(|p| matches!(p.content, Content::ToolResult(_)));
    if !messages.last().is_some_and(|last| last.role == Role::User && is_result(last)) {
        return false;
    }
    let is_proof = |part: &Part<'_>| match &part.content {
        Content::Reasoning(reasoning) => {
            reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::ANTHROPIC))
        }
        _ => false,
    };
    let calls = messages.iter().rev().find(|message| message.role == Role::Assistant);
    calls.is_some_and(|calls| !calls.parts.first().is_some_and(is_proof))
}
