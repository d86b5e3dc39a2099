//! `toolConfig`, written.

use weighbridge_protocol::json::{Array, Object};
use weighbridge_units::LossKind;

use super::blocks_encode::{Pen, cache_point};
use super::call_ids;
use super::family::Family;
use super::leftovers;
use crate::conversation::{
    AllowedMode, CallKind, CustomFormat, JsonText, Tool, ToolChoice, ToolKind, schema_or_empty,
};
use crate::{Content, Conversation, Place, Placed, tool_name};

/// Which tools are sent, and what is to be called of them.
pub(super) struct ToolPlan<'p, 'a> {
    tools: Vec<&'p Tool<'a>>,
    /// Names that only the history tells: the service demands that the tools of each call are known.
    named: Vec<Called<'p>>,
    choice: Choice<'p, 'a>,
    /// Only one tool is to be called, which Claude's own field alone can say.
    pub(super) is_single: bool,
}

/// The name of a tool, and its kind.
type Called<'p> = (&'p str, CallKind);

#[derive(Debug, Clone, Copy)]
enum Choice<'p, 'a> {
    /// Left to the provider.
    Open,
    Auto,
    Any,
    Named(Called<'p>),
    /// In the words of its own protocol.
    Own(weighbridge_protocol::json::Raw<'a>),
}

impl<'p, 'a> ToolPlan<'p, 'a> {
    /// Decides; what cannot be said is reported. `thinks` tells whether the model is to think, which
    /// forbids to force a call.
    pub(super) fn of(conversation: &'p Conversation<'a>, thinks: bool, pen: &mut Pen<'_, 'a>) -> Self {
        let mut plan = Self { tools: Vec::new(), named: Vec::new(), choice: Choice::Open, is_single: false };
        for tool in &conversation.tools {
            match &tool.kind {
                ToolKind::Unknown { name, raw } if !pen.losses.is_same_protocol() => {
                    pen.losses.unknown(*raw, "tool", name);
                }
                _ => plan.tools.push(tool),
            }
        }
        let calls = calls(conversation);
        plan.choose(conversation, &calls, pen);
        if plan.tools.is_empty() && !calls.is_empty() && !pen.losses.is_same_protocol() {
            pen.losses.report(
                Place::NOWHERE,
                LossKind::Defaulted,
                "calls of tools demand that tools are declared: those that were called are, by their names alone",
                "calls of tools that are not declared",
            );
            plan.named = calls;
        }
        if thinks && !pen.losses.is_same_protocol() && matches!(plan.choice, Choice::Any | Choice::Named(_)) {
            pen.approximated(
                conversation.tool_choice.as_ref().map(|choice| choice.place).unwrap_or_default(),
                "a call cannot be forced while the model reasons: it decides itself",
                "forced calls beside reasoning",
            );
            plan.choice = Choice::Auto;
        }
        let is_single = conversation.parallel_tool_calls.is_some_and(|parallel| !parallel.value);
        let is_said = matches!(pen.family, Family::Claude(_)) || pen.losses.is_same_protocol();
        plan.is_single = is_single && is_said && !plan.tools.is_empty();
        plan
    }

    fn choose(&mut self, conversation: &'p Conversation<'a>, calls: &[Called<'_>], pen: &mut Pen<'_, 'a>) {
        let Some(Placed { value: wanted, place }) = conversation.tool_choice.as_ref() else { return };
        // Without tools there is nothing to choose, and the service refuses a choice.
        if self.tools.is_empty() && !pen.losses.is_same_protocol() {
            return;
        }
        self.choice = match wanted {
            ToolChoice::Auto => Choice::Auto,
            ToolChoice::Required => Choice::Any,
            ToolChoice::Named(name) => Choice::Named((name, self.kind_of(name))),
            ToolChoice::Unknown(raw) if pen.losses.is_same_protocol() => Choice::Own(*raw),
            ToolChoice::Unknown(raw) => {
                pen.losses.unknown(*raw, "field", "tool_choice");
                Choice::Open
            }
            ToolChoice::None if calls.is_empty() => {
                pen.approximated(
                    *place,
                    "no choice says that no tool may be called: the tools are left out",
                    "a choice of no tool",
                );
                self.tools.clear();
                Choice::Open
            }
            ToolChoice::None => {
                pen.losses.dropped(
                    *place,
                    "no choice says that no tool may be called, and calls demand that tools are declared",
                    "a choice of no tool",
                );
                Choice::Open
            }
            ToolChoice::Allowed { mode, names } => {
                pen.approximated(
                    *place,
                    "a choice among some of the tools cannot be said: the others are left out",
                    "a list of allowed tools",
                );
                let is_allowed = |tool: &&Tool<'a>| match &tool.kind {
                    ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => names.contains(name),
                    ToolKind::Unknown { .. } => false,
                };
                self.tools.retain(is_allowed);
                match mode {
                    _ if self.tools.is_empty() => Choice::Open,
                    AllowedMode::Auto => Choice::Auto,
                    AllowedMode::Required => Choice::Any,
                }
            }
        };
    }

    fn kind_of(&self, wanted: &str) -> CallKind {
        let is_custom =
            |tool: &&Tool<'a>| matches!(&tool.kind, ToolKind::Custom { name, .. } if name == wanted);
        if self.tools.iter().any(is_custom) { CallKind::Custom } else { CallKind::Function }
    }

    /// Writes `toolConfig`, if there is something to say.
    pub(super) fn write(
        &self,
        conversation: &Conversation<'a>,
        object: &mut Object<'_>,
        pen: &mut Pen<'_, 'a>,
    ) {
        let is_own = leftovers::any_at(&conversation.bag, "toolConfig", pen.losses);
        if self.tools.is_empty() && self.named.is_empty() && !is_own && matches!(self.choice, Choice::Open) {
            return;
        }
        let mut config = object.key("toolConfig").object();
        let mut list = config.key("tools").array();
        self.tools.iter().for_each(|tool| self::tool(tool, &mut list, pen));
        for (name, kind) in &self.named {
            let mut item = list.item().object();
            let mut spec = item.key("toolSpec").object();
            spec.key("name").string(&call_ids::legal_name(name, *kind));
            let custom = (*kind == CallKind::Custom).then(tool_name::custom_schema);
            spec.key("inputSchema").object().key("json").raw(schema_or_empty(custom.as_ref()));
        }
        drop(list);
        // The same said twice, here and in Claude's own field, is refused.
        if !self.is_single {
            self.write_choice(conversation, &mut config, pen);
        }
        leftovers::write(&conversation.bag, "toolConfig", &mut config, pen.losses);
    }

    fn write_choice(&self, conversation: &Conversation<'a>, config: &mut Object<'_>, pen: &mut Pen<'_, 'a>) {
        let (name, tool) = match self.choice {
            Choice::Open => return,
            Choice::Own(raw) => return config.key("toolChoice").raw(raw.text()),
            Choice::Auto => ("auto", None),
            Choice::Any => ("any", None),
            Choice::Named(tool) => ("tool", Some(tool)),
        };
        let mut choice = config.key("toolChoice").object();
        let mut inner = choice.key(name).object();
        if let Some((name, kind)) = tool {
            inner.key("name").string(&call_ids::legal_name(name, kind));
        }
        leftovers::write(&conversation.bag, &format!("toolConfig/toolChoice/{name}"), &mut inner, pen.losses);
        drop(inner);
        leftovers::write(&conversation.bag, "toolConfig/toolChoice", &mut choice, pen.losses);
    }

    /// Writes Claude's own `tool_choice`: one tool is to be called, not several.
    pub(super) fn write_single(&self, object: &mut Object<'_>) {
        let mut choice = object.key("tool_choice").object();
        let (word, tool) = match self.choice {
            Choice::Open | Choice::Auto | Choice::Own(_) => ("auto", None),
            Choice::Any => ("any", None),
            Choice::Named(tool) => ("tool", Some(tool)),
        };
        choice.key("type").string(word);
        if let Some((name, kind)) = tool {
            choice.key("name").string(&call_ids::legal_name(name, kind));
        }
        choice.key("disable_parallel_tool_use").bool(true);
    }
}

/// The tools that were called so far, each once. A result alone counts as a call.
fn calls<'p>(conversation: &'p Conversation<'_>) -> Vec<Called<'p>> {
    let mut names: Vec<Called<'p>> = Vec::new();
    let mut has_results = false;
    for part in conversation.messages.iter().flat_map(|message| &message.parts) {
        match &part.content {
            Content::ToolCall(call) if !names.contains(&(call.name.as_ref(), call.kind)) => {
                names.push((&call.name, call.kind));
            }
            Content::ToolResult(_) => has_results = true,
            _ => {}
        }
    }
    if names.is_empty() && has_results {
        names.push(("tool", CallKind::Function));
    }
    names
}

fn tool<'a>(tool: &Tool<'a>, list: &mut Array<'_>, pen: &mut Pen<'_, 'a>) {
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let spec = Spec {
                description: description.as_deref(),
                parameters: parameters.as_ref(),
                strict: *strict,
            };
            self::spec(tool, (name, CallKind::Function), &spec, list, pen);
        }
        ToolKind::Custom { name, description, format } => {
            if let Some(CustomFormat::Grammar { .. }) = format {
                pen.losses.dropped(
                    tool.place,
                    "the texts that the tool takes are not held to its grammar",
                    "grammars of tools that take free text",
                );
            }
            let schema = tool_name::custom_schema();
            let spec = Spec { description: description.as_deref(), parameters: Some(&schema), strict: None };
            self::spec(tool, (name, CallKind::Custom), &spec, list, pen);
        }
        ToolKind::Unknown { raw, .. } => list.item().raw(raw.text()),
    }
    if let Some(mark) = &tool.cache {
        if matches!(pen.family, Family::Nova | Family::Nova2) && !pen.losses.is_same_protocol() {
            pen.losses.dropped(
                mark.place,
                "the model does not cache tools",
                "marks for the prompt cache on tools",
            );
        } else {
            cache_point(mark, list.item().object(), pen.losses);
        }
    }
}

/// What is said of a tool beside its name.
struct Spec<'s, 'a> {
    description: Option<&'s str>,
    parameters: Option<&'s JsonText<'a>>,
    strict: Option<bool>,
}

fn spec<'a>(
    tool: &Tool<'a>,
    (name, kind): Called<'_>,
    said: &Spec<'_, '_>,
    list: &mut Array<'_>,
    pen: &mut Pen<'_, 'a>,
) {
    if call_ids::is_cut_name(name, kind) {
        pen.cut(tool.place);
    }
    let mut item = list.item().object();
    let mut spec = item.key("toolSpec").object();
    spec.key("name").string(&call_ids::legal_name(name, kind));
    if let Some(text) = said.description.filter(|text| !text.trim().is_empty()) {
        spec.key("description").string(text);
    }
    let mut schema = spec.key("inputSchema").object();
    schema.key("json").raw(schema_or_empty(said.parameters));
    leftovers::write(&tool.bag, "toolSpec/inputSchema", &mut schema, pen.losses);
    drop(schema);
    // Not every model knows the field, so what is usual is not said.
    if said.strict == Some(true) {
        spec.key("strict").bool(true);
    }
    leftovers::write(&tool.bag, "toolSpec", &mut spec, pen.losses);
    drop(spec);
    leftovers::write(&tool.bag, "", &mut item, pen.losses);
    leftovers::report(&tool.bag, pen.losses);
}
