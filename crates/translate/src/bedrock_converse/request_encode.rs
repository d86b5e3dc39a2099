//! The canonical conversation, written as a request.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use weighbridge_protocol::bedrock_converse::finish::STOP_SEQUENCE_PATHS;
use weighbridge_protocol::json::{Array, Kind, Object, Raw, Writer};
use weighbridge_units::LossKind;

use super::blocks_encode::Pen;
use super::family::Family;
use super::leftovers;
use super::model_fields::{PATH, THINKING_PATH};
use super::reasoning::For;
use super::reasoning_wish::Plan;
use super::tools_encode::ToolPlan;
use super::turns::{self, Turn, Turns};
use crate::conversation::{Format, ServiceTier, Wish};
use crate::{Content, Conversation, Losses, Placed, RequestTarget, Role};

/// What a request of this protocol can wish of every model.
const HEARD: [Wish; 8] = [
    Wish::ToolChoice,
    Wish::Temperature,
    Wish::TopP,
    Wish::Stop,
    Wish::MaxOutput,
    Wish::Format,
    Wish::ServiceTier,
    Wish::Metadata,
];

pub(super) fn encode<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(conversation, target, Writer::new(&mut out).object(), losses);
    out
}

fn write<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    mut object: Object<'_>,
    losses: &mut Losses<'a>,
) {
    let family = Family::of(target.model);
    let plan = Plan::of(conversation, family, losses);
    let mut pen = Pen::new(losses, family, For::Provider);
    let tools = ToolPlan::of(conversation, plan.thinks_as_claude(), &mut pen);
    let arranged = turns::arrange(conversation, &mut pen);
    messages(&arranged, &mut object, &mut pen);
    report_prefill(conversation, &mut pen);
    let mut request = Request { conversation, plan, tools, object, pen };
    request.inference_config();
    request.tool_config();
    request.output_config();
    request.model_fields();
    request.labels_and_tier();
    let heard = request.heard();
    let Request { mut object, pen, .. } = request;
    pen.losses.unheard(conversation, &heard);
    leftovers::write(&conversation.bag, "", &mut object, pen.losses);
    leftovers::report(&conversation.bag, pen.losses);
}

fn messages<'a>(arranged: &Turns<'_, 'a>, object: &mut Object<'_>, pen: &mut Pen<'_, 'a>) {
    if !arranged.instructions.is_empty() {
        let mut list = object.key("system").array();
        for part in &arranged.instructions {
            pen.block(part, &mut list);
        }
    }
    let mut list = object.key("messages").array();
    for turn in &arranged.turns {
        message(turn, &mut list, pen);
    }
}

fn message<'a>(turn: &Turn<'_, 'a>, list: &mut Array<'_>, pen: &mut Pen<'_, 'a>) {
    if let ("", [part]) = (turn.role, turn.parts.as_slice())
        && let Content::Unknown { raw, .. } = &part.content
    {
        return list.item().raw(raw.text());
    }
    let mut object = list.item().object();
    object.key("role").string(turn.role);
    let mut content = object.key("content").array();
    pen.has_filled = false;
    for part in &turn.parts {
        pen.block(part, &mut content);
    }
    complete(turn, &mut content, pen);
    drop(content);
    for message in &turn.messages {
        leftovers::write(&message.bag, "", &mut object, pen.losses);
        leftovers::report(&message.bag, pen.losses);
    }
}

/// A message must not be empty, and one with a document must have a text.
fn complete<'a>(turn: &Turn<'_, 'a>, content: &mut Array<'_>, pen: &mut Pen<'_, 'a>) {
    if pen.losses.is_same_protocol() || pen.has_filled {
        return;
    }
    if turn.parts.is_empty() {
        return pen.filler(content);
    }
    let is_text = |content: &Content<'_>| {
        matches!(content, Content::Text(text) if text.citations.is_empty())
            || matches!(content, Content::Refusal(_) | Content::Json(_))
    };
    let document = turn.parts.iter().find(|part| matches!(part.content, Content::Document(_)));
    if let Some(document) = document.filter(|_| !turn.parts.iter().any(|part| is_text(&part.content))) {
        pen.losses.report(
            document.place,
            LossKind::Defaulted,
            "a document must have a text beside it, and there is none: a full stop stands there",
            "documents without a text",
        );
        pen.filler(content);
    }
}

/// What stands last is history to others; here the model continues it.
fn report_prefill<'a>(conversation: &Conversation<'a>, pen: &mut Pen<'_, 'a>) {
    let Some(last) = conversation.messages.last().filter(|last| last.role == Role::Assistant) else { return };
    let is_call = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    if !pen.losses.is_same_protocol() && !is_call {
        pen.approximated(
            last.place,
            "the model continues the last message instead of answering it",
            "a message of the model that stands last and is not continued",
        );
    }
}

/// A request half written.
struct Request<'r, 'w, 'l, 'a> {
    conversation: &'r Conversation<'a>,
    plan: Plan,
    tools: ToolPlan<'r, 'a>,
    object: Object<'w>,
    pen: Pen<'l, 'a>,
}

impl<'r, 'a> Request<'r, '_, '_, 'a> {
    /// Whether an object must be written for what was kept of it.
    fn has_own(&self, path: &str) -> bool {
        leftovers::any_at(&self.conversation.bag, path, self.pen.losses)
    }

    fn inference_config(&mut self) {
        let temperature = self.temperature();
        let top_p = self.top_p(temperature.is_some());
        let stop = self.stop_sequences();
        let max_output = self.conversation.max_output.map(|cap| cap.value);
        let is_empty = temperature.is_none() && top_p.is_none() && stop.is_empty() && max_output.is_none();
        if is_empty && !self.has_own("inferenceConfig") {
            return;
        }
        let mut config = self.object.key("inferenceConfig").object();
        if let Some(cap) = max_output {
            config.key("maxTokens").number(cap);
        }
        if let Some(temperature) = temperature {
            config.key("temperature").raw(temperature);
        }
        if let Some(top_p) = top_p {
            config.key("topP").raw(top_p);
        }
        if !stop.is_empty() {
            let mut list = config.key("stopSequences").array();
            stop.into_iter().for_each(|sequence| list.item().string(sequence));
        }
        leftovers::write(&self.conversation.bag, "inferenceConfig", &mut config, self.pen.losses);
    }

    /// The range ends at 1 here and at 2 elsewhere. While Claude thinks, only 1 is accepted.
    fn temperature(&mut self) -> Option<&'a str> {
        let raw = self.conversation.sampling.temperature?;
        let number = raw.text().parse::<f64>().unwrap_or(0.0);
        if self.is_bound() && (number - 1.0).abs() > f64::EPSILON {
            self.unsampled(raw);
            return None;
        }
        if number > 1.0 && !self.pen.losses.is_same_protocol() {
            self.pen.approximated(raw.into(), "the highest temperature is 1", "temperatures above 1");
            return Some("1");
        }
        Some(raw.text())
    }

    /// Claude from 4.1 on refuses both in one request. 1 is what counts without it.
    fn top_p(&mut self, has_temperature: bool) -> Option<&'a str> {
        let raw = self.conversation.sampling.top_p?;
        let is_one = || raw.text().parse::<f64>().is_ok_and(|number| (number - 1.0).abs() < f64::EPSILON);
        if has_temperature && self.takes_one_sampling() && !self.pen.losses.is_same_protocol() {
            if !is_one() {
                let reason = "the model takes it or a temperature, not both";
                self.pen.losses.dropped(raw, reason, "both in one request");
            }
            return None;
        }
        if self.is_bound() && raw.text().parse::<f64>().is_ok_and(|number| number < 0.95) {
            self.unsampled(raw);
            return None;
        }
        Some(raw.text())
    }

    /// Whether the model thinks, and so takes hardly any wish for how it draws its tokens.
    fn is_bound(&self) -> bool {
        self.plan.thinks_as_claude() && !self.pen.losses.is_same_protocol()
    }

    fn takes_one_sampling(&self) -> bool {
        !self.pen.family.takes_both_samplings()
    }

    fn unsampled(&mut self, raw: Raw<'a>) {
        self.pen.losses.dropped(raw, "it is refused while the model reasons", "sampling beside reasoning");
    }

    fn stop_sequences(&mut self) -> Vec<&'r str> {
        let mut kept = Vec::with_capacity(self.conversation.stop.len());
        for sequence in &self.conversation.stop {
            if self.pen.losses.is_same_protocol() || !sequence.value.trim().is_empty() {
                kept.push(sequence.value.as_ref());
            } else {
                self.pen.losses.dropped(
                    sequence.place,
                    "a stop sequence of nothing but white space is refused",
                    "stop sequences of white space",
                );
            }
        }
        kept
    }

    fn tool_config(&mut self) {
        self.tools.write(self.conversation, &mut self.object, &mut self.pen);
    }

    fn output_config(&mut self) {
        let format = self.conversation.format.as_ref();
        let format = format.filter(|format| self.is_said(format));
        if format.is_none() && self.plan.effort.is_none() && !self.has_own("outputConfig") {
            return;
        }
        let mut config = self.object.key("outputConfig").object();
        match format.map(|format| &format.value) {
            Some(Format::JsonSchema { name, description, schema, .. }) => {
                let bag = &self.conversation.bag;
                let mut format = config.key("textFormat").object();
                format.key("type").string("json_schema");
                let mut structure = format.key("structure").object();
                let mut json = structure.key("jsonSchema").object();
                json.key("schema").string(schema.text());
                if let Some(name) = name {
                    json.key("name").string(name);
                }
                if let Some(description) = description {
                    json.key("description").string(description);
                }
                leftovers::write(
                    bag,
                    "outputConfig/textFormat/structure/jsonSchema",
                    &mut json,
                    self.pen.losses,
                );
                drop(json);
                leftovers::write(bag, "outputConfig/textFormat/structure", &mut structure, self.pen.losses);
                drop(structure);
                leftovers::write(bag, "outputConfig/textFormat", &mut format, self.pen.losses);
            }
            Some(Format::Unknown(raw)) => config.key("textFormat").raw(raw.text()),
            Some(Format::Text | Format::JsonObject) | None => {}
        }
        if let Some(effort) = self.plan.effort {
            config.key("effort").string(effort);
        }
        leftovers::write(&self.conversation.bag, "outputConfig", &mut config, self.pen.losses);
    }

    /// Whether a form of the answer can be said; if not, that is reported.
    fn is_said(&mut self, format: &Placed<'a, Format<'a>>) -> bool {
        match &format.value {
            Format::Text => false,
            Format::JsonObject => {
                self.pen.losses.dropped(
                    format.place,
                    "JSON can be demanded only together with its schema",
                    "JSON of any schema",
                );
                false
            }
            Format::JsonSchema { strict, .. } => {
                if *strict == Some(false) {
                    self.pen.approximated(
                        format.place,
                        "the schema binds in any case",
                        "schemas that do not bind",
                    );
                }
                true
            }
            Format::Unknown(raw) => {
                let is_own = self.pen.losses.is_same_protocol();
                if !is_own {
                    self.pen.losses.unknown(*raw, "form of the answer", "format");
                }
                is_own
            }
        }
    }

    fn model_fields(&mut self) {
        let top_k = self.top_k();
        let is_empty = top_k.is_none() && !self.plan.has_fields() && !self.tools.is_single;
        if is_empty && !self.has_own(PATH) {
            return self.stop_sequence_paths();
        }
        let bag = &self.conversation.bag;
        let mut fields = self.object.key(PATH).object();
        match (top_k, self.pen.family) {
            (Some(top_k), Family::Nova | Family::Nova2) => {
                fields.key("inferenceConfig").object().key("topK").raw(top_k);
            }
            (Some(top_k), _) => fields.key("top_k").raw(top_k),
            (None, _) => {}
        }
        let losses = &*self.pen.losses;
        self.plan.write(&mut fields, |thinking| leftovers::write(bag, THINKING_PATH, thinking, losses));
        if self.tools.is_single {
            self.tools.write_single(&mut fields);
        }
        leftovers::write(bag, PATH, &mut fields, losses);
        drop(fields);
        self.stop_sequence_paths();
    }

    fn top_k(&mut self) -> Option<&'a str> {
        let raw = self.conversation.sampling.top_k.filter(|_| self.hears_top_k())?;
        if self.is_bound() {
            self.unsampled(raw);
            return None;
        }
        Some(raw.text())
    }

    fn hears_top_k(&self) -> bool {
        let families =
            matches!(self.pen.family, Family::Claude(_) | Family::Nova | Family::Nova2 | Family::Mistral);
        families || self.pen.losses.is_same_protocol()
    }

    /// Asks Claude to tell which stop sequence was hit, as other protocols do by themselves.
    fn stop_sequence_paths(&mut self) {
        let is_claude = matches!(self.pen.family, Family::Claude(_));
        if is_claude && !self.conversation.stop.is_empty() && !self.pen.losses.is_same_protocol() {
            let mut list = self.object.key("additionalModelResponseFieldPaths").array();
            STOP_SEQUENCE_PATHS.into_iter().for_each(|path| list.item().string(path));
        }
    }

    fn labels_and_tier(&mut self) {
        self.request_metadata();
        let tier = self.conversation.service_tier.as_ref();
        let named = tier.and_then(|tier| match &tier.value {
            ServiceTier::Auto => None,
            ServiceTier::Standard => Some("default"),
            ServiceTier::Flex => Some("flex"),
            ServiceTier::Priority => Some("priority"),
            ServiceTier::Other(name) if self.pen.losses.is_same_protocol() => Some(name.as_ref()),
            ServiceTier::Other(_) => {
                self.pen.losses.dropped(tier.place, "there is no such service tier", "that service tier");
                None
            }
        });
        if named.is_none() && !self.has_own("serviceTier") {
            return;
        }
        let mut object = self.object.key("serviceTier").object();
        if let Some(named) = named {
            object.key("type").string(named);
        }
        leftovers::write(&self.conversation.bag, "serviceTier", &mut object, self.pen.losses);
    }

    /// At most 16 labels, of few kinds of characters.
    fn request_metadata(&mut self) {
        let Some(raw) = self.conversation.metadata else { return };
        if self.pen.losses.is_same_protocol() {
            return self.object.key("requestMetadata").raw(raw.text());
        }
        let labels =
            weighbridge_protocol::json::Fields::read(raw).map(|fields| fields.rest()).unwrap_or_default();
        let (kept, lost): (Vec<_>, Vec<_>) = labels.iter().partition(|(name, value)| {
            (1..=LABEL_MAX).contains(&name.len())
                && is_label(name)
                && value.kind() == Kind::String
                && value.str().is_ok_and(|value| value.len() <= LABEL_MAX && is_label(&value))
        });
        let (kept, more) = kept.split_at(kept.len().min(LABELS_MAX));
        for (_, value) in lost.into_iter().chain(more.iter().copied()).chain(labels.superseded()) {
            self.pen.losses.dropped(
                value,
                "there are at most 16 labels, each of at most 256 of a few characters",
                "labels of any kind",
            );
        }
        if !kept.is_empty() {
            let mut object = self.object.key("requestMetadata").object();
            for (name, value) in kept {
                object.key(name).raw(value.text());
            }
        }
    }

    /// What was heard, or is reported in detail.
    fn heard(&self) -> Vec<Wish> {
        let mut heard = HEARD.to_vec();
        if !self.plan.is_unheard {
            heard.push(Wish::Reasoning);
        }
        if self.hears_top_k() {
            heard.push(Wish::TopK);
        }
        // Several calls in one turn are what is the case anyway.
        let parallel = self.conversation.parallel_tool_calls;
        if self.tools.is_single || parallel.is_some_and(|parallel| parallel.value) {
            heard.push(Wish::ParallelToolCalls);
        }
        heard
    }
}

/// How many labels a request may have, and how many characters each name and value.
const LABELS_MAX: usize = 16;
const LABEL_MAX: usize = 256;

fn is_label(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c))
}
