//! The simulated model: what it says is a function of what it is asked.
//!
//! | the last user text | the answer |
//! |---|---|
//! | contains `echo:` | exactly what follows |
//! | contains `words:N` | N words |
//! | contains `refuse` as a word | a refusal |
//! | contains `forbidden` as a word | the beginning of an answer, stopped by the vendor's filter |
//! | contains `call:NAME JSON`, where a tool of that name may be called | a call of it, with exactly this object |
//! | contains "tool", where tools may be called | a call of the first tool; with "parallel" two calls at once; with "preface" text before them |
//! | follows tool results | a text that repeats them |
//! | anything else | a text that repeats it and counts the images |
//!
//! `pace:N` pauses N milliseconds before each frame; `cached:N` lets N prompt tokens come from the
//! cache (OpenAI, Google). A forced tool is always called. Where JSON is asked for, the answer is an example
//! of the schema. Models that reason spend a quarter of the answer's tokens on it, at least eight.

use serde_json::{Map, Value, json};

use crate::api;
use crate::ask::{Ask, Choice, Reasoning, Tool};
use crate::scatter::Scatter;
use crate::tokens;

/// One answer of the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// Visible thinking.
    pub(crate) thinking: Option<String>,
    /// Tokens spent on reasoning, visible or not.
    pub(crate) reasoning_tokens: u64,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON text, or any; cut short where the output limit hit.
    pub(crate) arguments: String,
    /// Whether it is any text.
    pub(crate) free_text: bool,
}

/// Why a candidate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    ToolCalls,
    Refusal,
    /// The vendor's filter stopped it.
    Filtered,
}

impl Candidate {
    /// Answer tokens without reasoning.
    pub(crate) fn output_tokens(&self) -> u64 {
        let calls = self.calls.iter().map(|call| tokens::count(&call.name) + tokens::count(&call.arguments));
        tokens::count(&self.text) + calls.sum::<u64>()
    }
}

/// All candidates of an answer. `ids` makes the ids of tool calls.
pub(crate) fn candidates(ask: &Ask, ids: &mut Scatter) -> Vec<Candidate> {
    (0..ask.candidates).map(|number| candidate(ask, number, ids)).collect()
}

fn candidate(ask: &Ask, number: usize, ids: &mut Scatter) -> Candidate {
    let mut calls = calls(ask, ids);
    let (mut text, mut finish) = match calls.is_empty() {
        true => said(ask, number),
        false if ask.last_text.contains("preface") => {
            ("Let me look that up. ⚖".to_owned(), Finish::ToolCalls)
        }
        false => (String::new(), Finish::ToolCalls),
    };
    if let Some((place, stop)) = first_stop(&text, &ask.stops) {
        text.truncate(place);
        calls.clear();
        finish = Finish::StopSequence(stop);
    }
    let wanted = tokens::count(&text) + calls.iter().map(|call| tokens::count(&call.arguments)).sum::<u64>();
    let thinking = match ask.reasoning {
        Reasoning::Visible(budget) => Some(tokens::first(THOUGHT, budget.min(ask.max_output)).to_owned()),
        Reasoning::Hidden | Reasoning::Off => None,
    };
    let reasoning_tokens = match (&thinking, ask.reasoning) {
        (Some(thought), _) => tokens::count(thought),
        (None, Reasoning::Hidden) => (wanted / 4).max(8).min(ask.max_output),
        (None, _) => 0,
    };
    let mut candidate = Candidate { thinking, reasoning_tokens, text, calls, finish };
    shorten(&mut candidate, ask.max_output.saturating_sub(reasoning_tokens), ask.api().cuts_calls());
    candidate
}

/// What a tool is told that takes text.
const FREE_TEXT: &str = "weigh \"it\" \\ é ⚖ 🚚\n\twell";

const THOUGHT: &str = "The user wants something weighed. I put it on one side, the tokens on the other. ⚖";

/// Cuts a candidate to so many tokens. Most APIs' calls are whole or left out; OpenAI's may end in
/// half a JSON text, as its documentation says.
fn shorten(candidate: &mut Candidate, limit: u64, cuts_calls: bool) {
    let mut left = limit;
    let mut fits = keep(&mut candidate.text, &mut left);
    let mut kept = Vec::new();
    for mut call in std::mem::take(&mut candidate.calls) {
        let room = left.checked_sub(tokens::count(&call.name)).filter(|_| fits);
        let Some(mut room) = room else {
            fits = false;
            break;
        };
        fits = keep(&mut call.arguments, &mut room);
        if fits || cuts_calls {
            left = room;
            kept.push(call);
        }
    }
    candidate.calls = kept;
    if !fits {
        candidate.finish = Finish::Length;
    }
}

/// Cuts a text to the tokens left, and takes them; whether it fitted.
fn keep(text: &mut String, left: &mut u64) -> bool {
    let kept = tokens::first(text, *left).len();
    let fits = kept == text.len();
    text.truncate(kept);
    *left -= tokens::count(text);
    fits
}

/// Where the first stop sequence begins, and which it is.
fn first_stop(text: &str, stops: &[String]) -> Option<(usize, String)> {
    let found = stops.iter().filter(|stop| !stop.is_empty());
    found.filter_map(|stop| text.find(stop.as_str()).map(|place| (place, stop.clone()))).min()
}

/// The text of a candidate that calls no tool, and why it ends.
fn said(ask: &Ask, number: usize) -> (String, Finish) {
    if let Some(schema) = &ask.json {
        return (example(schema, "answer", 0).to_string(), Finish::Stop);
    }
    if !ask.results.is_empty() {
        return (format!("The tools answered: {}", ask.results.join(" | ")), Finish::Stop);
    }
    if ask.last_text.split_whitespace().any(|word| word == "refuse") {
        return ("I cannot help with that.".to_owned(), Finish::Refusal);
    }
    if ask.last_text.split_whitespace().any(|word| word == "forbidden") {
        return ("I was going to say".to_owned(), Finish::Filtered);
    }
    let mut text = match ask.last_text.split_once("echo:") {
        Some((_, rest)) => rest.to_owned(),
        None => match ask.directive("words") {
            Some(words) => numbered_words(words.min(100_000)),
            None => format!("You said: {} ⚖", ask.last_text),
        },
    };
    if ask.images > 0 {
        text.push_str(&format!(" [images: {}]", ask.images));
    }
    if number > 0 {
        text.push_str(&format!(" (candidate {number})"));
    }
    (text, Finish::Stop)
}

fn numbered_words(words: u64) -> String {
    (0..words).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ")
}

/// The tool and the arguments that the prompt dictates, if the tool is there.
fn dictated(ask: &Ask) -> Option<(&Tool, String)> {
    let (name, rest) = ask.last_text.split_once("call:")?.1.split_once(' ')?;
    let tool = ask.tools.iter().find(|tool| tool.name == name)?;
    let arguments =
        serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>().next()?.ok()?;
    Some((tool, Value::Object(arguments).to_string()))
}

/// The tools that the model calls, none if it answers with text.
fn calls(ask: &Ask, ids: &mut Scatter) -> Vec<Call> {
    let may_call = ask.results.is_empty() && ask.choice != Choice::None;
    if let Some((tool, arguments)) = dictated(ask).filter(|_| may_call) {
        let (name, free_text) = (tool.name.clone(), tool.free_text);
        return vec![Call { id: api::call_id(ask, ids), name, arguments, free_text }];
    }
    let mentioned = ask.results.is_empty() && ask.last_text.to_lowercase().contains("tool");
    let first = match &ask.choice {
        Choice::None => None,
        Choice::Auto => ask.tools.first().filter(|_| mentioned),
        Choice::Required => ask.tools.first(),
        Choice::Named(name) => ask.tools.iter().find(|tool| tool.name == *name),
    };
    let Some(first) = first else { return Vec::new() };
    let mut called = vec![first];
    if ask.parallel && ask.last_text.contains("parallel") {
        called.push(ask.tools.iter().find(|tool| tool.name != first.name).unwrap_or(first));
    }
    let call = |tool: &Tool| Call {
        id: api::call_id(ask, ids),
        name: tool.name.clone(),
        arguments: match tool.free_text {
            true => FREE_TEXT.to_owned(),
            false => example(&tool.schema, "arguments", 0).to_string(),
        },
        free_text: tool.free_text,
    };
    called.into_iter().map(call).collect()
}

/// A value that satisfies a JSON schema of the usual keywords, with texts that are hard to cut:
/// quotes, escapes, line ends, and characters of two, three and four bytes.
fn example(schema: &Value, name: &str, depth: usize) -> Value {
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|values| values.first());
    if let Some(fixed) = schema.get("const").or_else(|| first("enum")) {
        return fixed.clone();
    }
    if let Some(branch) = first("anyOf").or_else(|| first("oneOf")) {
        return example(branch, name, depth);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("integer") => schema.get("minimum").filter(|n| n.is_i64()).cloned().unwrap_or(json!(7)),
        Some("number") => schema.get("minimum").filter(|n| n.is_number()).cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") if depth < 8 => {
            schema.get("items").map_or(json!([]), |item| json!([example(item, name, depth + 1)]))
        }
        Some("object") if depth < 8 => {
            let fields = schema.get("properties").and_then(Value::as_object);
            let fields = fields.into_iter().flatten();
            Value::Object(fields.map(|(key, node)| (key.clone(), example(node, key, depth + 1))).collect())
        }
        Some("string") => json!(format!("\"{name}\" \\ é ⚖ 🚚\n\ttab")),
        _ => Value::Object(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vendor;
    use crate::ask::{Form, House, Own, Prompt};

    fn ask(text: &str) -> Ask {
        let model = crate::price::model(Vendor::OpenAi, "gpt-4o-mini").expect("served");
        Ask {
            own: Own::Chat,
            house: House::Maker,
            model,
            form: Form::Whole,
            include_usage: false,
            candidates: 1,
            max_output: 1_000,
            stops: Vec::new(),
            last_text: text.to_owned(),
            images: 0,
            results: Vec::new(),
            tools: ["weigh", "price"]
                .map(|name| Tool {
                    name: name.to_owned(),
                    schema: json!({"type": "object", "properties": {"what": {"type": "string"}}}),
                    free_text: false,
                })
                .to_vec(),
            choice: Choice::Auto,
            parallel: true,
            json: None,
            logprobs: false,
            reasoning: Reasoning::Off,
            blocked: false,
            prompt: Prompt::default(),
        }
    }

    fn answer(ask: &Ask) -> Candidate {
        candidates(ask, &mut Scatter::new(0, 0)).remove(0)
    }

    #[test]
    fn text_tools_stops_and_limits() {
        assert_eq!(answer(&ask("echo:abc")).text, "abc");
        assert_eq!(answer(&ask("words:2")).text, "word0 word1");
        assert_eq!(answer(&ask("a tool")).calls.len(), 1);
        assert_eq!(answer(&ask("a tool, parallel")).calls[1].name, "price");

        let mut stopped = ask("echo:one STOP two");
        stopped.stops = vec!["STOP".to_owned()];
        assert_eq!(answer(&stopped).text, "one ");
        assert_eq!(answer(&stopped).finish, Finish::StopSequence("STOP".to_owned()));

        let mut forbidden = ask("a tool");
        forbidden.choice = Choice::None;
        assert!(answer(&forbidden).calls.is_empty());
    }

    #[test]
    fn a_prompt_may_dictate_a_call() {
        let called = answer(&ask(r#"Please call:price {"what": "a } brace"} now, no other tool."#)).calls;
        assert_eq!((called[0].name.as_str(), called.len()), ("price", 1));
        assert_eq!(called[0].arguments, r#"{"what":"a } brace"}"#);
        for text in ["call:nothing {}", "call:price", "call:price [1]", "call:price {"] {
            assert!(answer(&ask(text)).calls.is_empty(), "{text}");
        }
        let mut answered = ask("call:price {}");
        answered.results = vec!["7".to_owned()];
        assert!(answer(&answered).calls.is_empty());
    }

    #[test]
    fn no_candidate_exceeds_its_limit() {
        for text in ["echo:a long enough text to cut somewhere", "two tools, parallel, preface"] {
            for limit in 0..40 {
                let mut ask = ask(text);
                ask.max_output = limit;
                let whole = answer(&self::ask(text));
                let cut = answer(&ask);
                assert!(cut.output_tokens() <= limit, "{text} {limit}");
                assert_eq!(cut.finish == Finish::Length, whole.output_tokens() > limit, "{text} {limit}");
            }
        }
    }

    #[test]
    fn arguments_satisfy_their_schema() {
        let schema = json!({"type": "object", "properties": {
            "unit": {"enum": ["kg", "t"]}, "load": {"type": "array", "items": {"type": "integer", "minimum": 9}},
            "deep": {"type": "object", "properties": {"flag": {"type": ["boolean", "null"]}}}}});
        assert_eq!(example(&schema, "x", 0), json!({"unit": "kg", "load": [9], "deep": {"flag": true}}));
    }
}
