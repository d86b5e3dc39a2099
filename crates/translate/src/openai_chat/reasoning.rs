//! Reasoning in messages. OpenAI has no place for it here; two have established themselves:
//! `reasoning_content` (DeepSeek, xAI, Z.ai, vLLM; `reasoning` at Groq, OpenRouter, Ollama) is for
//! reading, and `reasoning_details` is what a client sends back, with all that its provider needs to
//! accept the next turn: <https://openrouter.ai/docs/use-cases/reasoning-tokens>.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Bag, Fields, Kind, Object, Raw};
use weighbridge_units::LossKind;

use super::pieces::{Next, SoFar, UNPROVEN};
use crate::conversation::{Proof, ProofKind, Reasoning, ToolCall};
use crate::{Content, Losses, Part, Placed};

/// What stands between pieces of reasoning where they are one text.
pub(crate) const BETWEEN: &str = "\n\n";

/// The reasoning of a message, in order.
#[derive(Debug, Default)]
pub(super) struct Read<'a> {
    /// Stands before all that the model said.
    pub(super) leading: Vec<Part<'a>>,
    /// Stands between its calls.
    pub(super) between: Vec<Between<'a>>,
}

/// Reasoning that belongs to a call.
#[derive(Debug)]
pub(super) struct Between<'a> {
    /// The id of the call.
    pub(super) call: Cow<'a, str>,
    pub(super) before: Part<'a>,
    /// What was thought next, but before no other call.
    pub(super) after: Vec<Part<'a>>,
}

impl<'a> Read<'a> {
    /// Takes all fields that hold reasoning. `calls` are the ids of the message's calls.
    pub(super) fn take(message: &mut Fields<'a>, calls: &[Cow<'a, str>]) -> Self {
        let texts =
            ["reasoning_content", "reasoning"].map(|name| message.offer::<Placed<'a, Cow<'a, str>>>(name));
        // Where one provider sends both names, they say the same.
        let text = texts.into_iter().flatten().find(|text| !text.value.is_empty());
        let groups = message
            .peek("reasoning_details")
            .filter(|raw| raw.kind() == Kind::Array)
            .and_then(|raw| raw.items().ok()?.map(Detail::read).collect::<Option<Vec<_>>>())
            .map(|details| {
                let _taken: Option<Raw<'a>> = message.offer("reasoning_details");
                grouped(details)
            });
        Self::of(text, groups.unwrap_or_default(), calls)
    }

    fn of(
        text: Option<Placed<'a, Cow<'a, str>>>,
        mut groups: Vec<Group<'a>>,
        calls: &[Cow<'a, str>],
    ) -> Self {
        let mut read = Self::default();
        let is_told = groups.iter().any(|group| !group.reasoning.visible().is_empty());
        if let Some(text) = text.filter(|_| !is_told) {
            let is_bound =
                |group: &Group<'a>| group.reasoning.id.as_ref().is_some_and(|id| calls.contains(id));
            match groups.first_mut().filter(|group| group.is_signature() && !is_bound(group)) {
                Some(first) => first.reasoning.text = text.value,
                None => {
                    read.leading.push(Part::new(text.place, Content::Reasoning(Reasoning::text(text.value))))
                }
            }
        }
        let names = |group: &Group<'a>| group.reasoning.id.as_ref().is_some_and(|id| calls.contains(id));
        let names_calls = groups.iter().any(names);
        let last = groups.len().saturating_sub(1);
        for (index, Group { place, mut reasoning, bag, .. }) in groups.into_iter().enumerate() {
            let mut call = reasoning.id.take_if(|id| calls.contains(id));
            let signs = reasoning.visible().is_empty()
                && reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::GEMINI));
            // Who does not say which call a signature belongs to has signed the first.
            if signs && index == last && !names_calls {
                call = calls.first().cloned();
            }
            let part = Part { bag, ..Part::new(place, Content::Reasoning(reasoning)) };
            match (call, read.between.last_mut()) {
                (Some(call), _) => read.between.push(Between { call, before: part, after: Vec::new() }),
                (None, Some(last)) => last.after.push(part),
                (None, None) => read.leading.push(part),
            }
        }
        read
    }
}

/// One entry of `reasoning_details`. Clients that merge the pieces of a stream may have put several
/// into one, so its type is not asked.
struct Detail<'a> {
    raw: Raw<'a>,
    text: Option<Cow<'a, str>>,
    summary: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    format: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    index: Option<u64>,
    rest: Bag<'a>,
}

impl<'a> Detail<'a> {
    fn read(raw: Raw<'a>) -> Option<Self> {
        let mut fields = Fields::read(raw).ok()?;
        fields.variant("type").filter(|kind| kind.starts_with("reasoning."))?;
        let mut text = |name| fields.offer::<Cow<'a, str>>(name).filter(|text| !text.is_empty());
        Some(Self {
            raw,
            text: text("text"),
            summary: text("summary"),
            signature: text("signature"),
            data: text("data"),
            format: text("format"),
            id: text("id"),
            index: fields.offer("index"),
            rest: fields.rest(),
        })
    }
}

impl<'a> Detail<'a> {
    fn next(&self) -> Next<'_> {
        Next {
            id: self.id.as_deref(),
            format: self.format.as_deref(),
            index: self.index,
            has_text: self.text.is_some(),
            has_signature: self.signature.is_some(),
            has_data: self.data.is_some(),
        }
    }
}

/// Entries that are one piece of reasoning.
struct Group<'a> {
    place: Raw<'a>,
    reasoning: Reasoning<'a>,
    so_far: SoFar,
    summary_index: Option<u64>,
    bag: Bag<'a>,
}

impl<'a> Group<'a> {
    fn is_signature(&self) -> bool {
        self.reasoning.proof.as_ref().is_some_and(|proof| proof.kind == ProofKind::Signature)
    }

    fn add(&mut self, detail: Detail<'a>) {
        self.so_far.note(detail.next());
        let Self { reasoning, .. } = self;
        reasoning.id = reasoning.id.take().or(detail.id);
        if let Some(text) = detail.text {
            match reasoning.text.is_empty() {
                true => reasoning.text = text,
                false => reasoning.text.to_mut().push_str(&text),
            }
        }
        if let Some(piece) = detail.summary {
            let last = reasoning.summary.last_mut();
            match last.filter(|_| detail.index.is_some() && self.summary_index == detail.index) {
                Some(last) => last.to_mut().push_str(&piece),
                None => reasoning.summary.push(piece),
            }
            self.summary_index = detail.index;
        }
        let format = Cow::Owned(self.so_far.format.clone().unwrap_or_else(|| UNPROVEN.to_owned()));
        let signature = detail.signature.map(|data| (ProofKind::Signature, data));
        let sealed = detail.data.map(|data| {
            // Google's data signs the part that follows it.
            (if format == Proof::GEMINI { ProofKind::Signature } else { ProofKind::Sealed }, data)
        });
        if let Some((kind, data)) = signature.or(sealed) {
            reasoning.proof = Some(Proof { format, kind, data });
        }
        crate::bags::append(&mut self.bag, detail.rest);
    }
}

fn grouped(details: Vec<Detail<'_>>) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for detail in details {
        if groups.last().is_none_or(|group| !group.so_far.goes_on(detail.next())) {
            groups.push(Group {
                place: detail.raw,
                reasoning: Reasoning::default(),
                so_far: SoFar::default(),
                summary_index: None,
                bag: Bag::EMPTY,
            });
        }
        if let Some(group) = groups.last_mut() {
            group.add(detail);
        }
    }
    groups.retain(|group| group.reasoning != Reasoning::default() || !group.bag.is_empty());
    groups
}

/// Writes the reasoning among the parts of a message, if there is any. `id_of` gives the id of a
/// message's call, by its place among them.
pub(super) fn write<'a>(
    parts: &[Part<'a>],
    id_of: &dyn Fn(&ToolCall<'a>, usize) -> String,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut visible = String::new();
    let mut found = Vec::new();
    let mut leads = true;
    let mut calls = 0;
    for (place, part) in parts.iter().enumerate() {
        let Content::Reasoning(reasoning) = &part.content else {
            leads = false;
            calls += usize::from(matches!(part.content, Content::ToolCall(_)));
            continue;
        };
        // What another protocol thought and does not tell is no entry here: its id helps nobody.
        if says_nothing(reasoning) && !losses.is_same_protocol() {
            losses.bag(&part.bag);
            continue;
        }
        let call = match parts.get(place + 1).map(|next| &next.content) {
            Some(Content::ToolCall(call)) if binds(reasoning, leads) => {
                Some(id_of(call, calls)).filter(|id| !id.is_empty())
            }
            _ => None,
        };
        if !leads && call.is_none() {
            losses.report(
                part.place,
                LossKind::Moved,
                "reasoning stands before all that the model said",
                "an order between reasoning and the rest of a message",
            );
        }
        let text = Some(&reasoning.text).filter(|text| !text.is_empty());
        for piece in reasoning.summary.iter().chain(text) {
            if !visible.is_empty() {
                visible.push_str(BETWEEN);
            }
            visible.push_str(piece);
        }
        found.push((part, reasoning, call));
    }
    if !visible.is_empty() {
        object.key("reasoning_content").string(&visible);
    }
    if found.is_empty() {
        return;
    }
    let mut list = object.key("reasoning_details").array();
    let mut index = 0;
    for (part, reasoning, call) in found {
        details(part, reasoning, call.as_deref(), &mut index, &mut list, losses);
    }
}

/// Whether a piece of reasoning is tied to the call behind it: it would lose its place otherwise, or
/// it is the signature of that call.
fn binds(reasoning: &Reasoning<'_>, leads: bool) -> bool {
    let signs = reasoning.visible().is_empty();
    reasoning.id.is_none()
        && reasoning.proof.as_ref().is_some_and(|p| !leads || (signs && p.is(Proof::GEMINI)))
}

fn details<'a>(
    part: &Part<'a>,
    reasoning: &Reasoning<'a>,
    call: Option<&str>,
    index: &mut u64,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    let mut bag = Some(&part.bag);
    let mut left = reasoning.summary.len() + usize::from(!reasoning.text.is_empty());
    let mut entry = |kind: &str, fill: &dyn Fn(&mut Object<'_>)| {
        let mut object = list.item().object();
        object.key("type").string(kind);
        fill(&mut object);
        if let Some(id) = call.or(reasoning.id.as_deref()) {
            object.key("id").string(id);
        }
        left = left.saturating_sub(1);
        match &reasoning.proof {
            Some(proof) => object.key("format").string(&proof.format),
            None if left == 0 => object.key("format").string(UNPROVEN),
            None => {}
        }
        object.key("index").number(*index);
        *index += 1;
        if let Some(bag) = bag.take() {
            losses.write_bag(bag, &mut object);
        }
    };
    for piece in &reasoning.summary {
        entry(SUMMARY, &|object| object.key("summary").string(piece));
    }
    let proof = reasoning.proof.as_ref();
    let signature = proof.filter(|proof| !is_data(proof, !reasoning.text.is_empty()));
    if !reasoning.text.is_empty() || signature.is_some() || says_nothing(reasoning) {
        entry(TEXT, &|object| {
            object.key("text").string(&reasoning.text);
            if let Some(proof) = signature {
                object.key("signature").string(&proof.data);
            }
        });
    }
    if let Some(proof) = proof.filter(|_| signature.is_none()) {
        entry(ENCRYPTED, &|object| object.key("data").string(&proof.data));
    }
}

/// Whether nothing of a piece of reasoning is understood, but for its id.
fn says_nothing(reasoning: &Reasoning<'_>) -> bool {
    reasoning.visible().is_empty() && reasoning.summary.is_empty() && reasoning.proof.is_none()
}

/// Whether a proof goes into `data`: what is encrypted, and Google's signatures of what follows them.
pub(super) fn is_data(proof: &Proof<'_>, has_text: bool) -> bool {
    proof.kind == ProofKind::Sealed || (proof.is(Proof::GEMINI) && !has_text)
}

/// `type` of an entry with text, and perhaps its signature.
pub(super) const TEXT: &str = "reasoning.text";
/// `type` of an entry with a piece of a summary.
pub(super) const SUMMARY: &str = "reasoning.summary";
/// `type` of an entry with opaque data.
pub(super) const ENCRYPTED: &str = "reasoning.encrypted";
