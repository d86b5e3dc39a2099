//! A request that goes on from earlier answers, as one that says everything itself.

use thiserror::Error;
use weighbridge_protocol::json::{Array, Fields, Kind, Raw, ReadError, ScanError, ScanLimits, Writer};
use weighbridge_protocol::{Body, Edits};

use super::cited::CitedItems;
use super::told::string;

/// A request that was answered, and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// What the request said, as [`input_as_items`] gave it.
    pub input: &'a str,
    /// The answer, as its client had it.
    pub answer: &'a str,
    /// What the provider that is asked now can read of it.
    pub reads: Reads,
}

/// What of an answer a provider can read beside what everybody can: reasoning is its maker's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reads {
    /// Nothing: another one gave the answer.
    Nothing,
    /// What it has encrypted in it.
    Encrypted,
    /// All of it: it holds the answer, and finds its items by their ids.
    Held,
}

/// Who reads a request that is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplayTo {
    /// A provider of Responses, which refuses reasoning that it does not know and what came of it.
    Responses,
    /// A translation to another protocol, which takes what it can from the items as they stand.
    Translation,
}

/// Why a conversation cannot be sent once more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The request's own input is neither text nor a list.
    #[error("/input: {0}")]
    Input(ReadError),
    /// What was kept of a turn is no JSON.
    #[error("turn {turn} of the conversation was not kept as JSON")]
    Scan {
        /// Which one, from 0.
        turn: usize,
        /// What is wrong with it.
        source: ScanError,
    },
    /// What was kept of a turn is JSON, but no items.
    #[error("turn {turn} of the conversation was not kept as items")]
    Read {
        /// Which one, from 0.
        turn: usize,
        /// What is wrong with it.
        source: ReadError,
    },
    /// An item is named that is not there any more, or never was.
    #[error("there is no item `{id}`")]
    NoSuchItem {
        /// Its id.
        id: String,
    },
    /// The whole is larger than a request may be.
    #[error("the conversation so far has more than {limit} bytes: send the items that matter as input")]
    TooLarge {
        /// What it may have.
        limit: usize,
    },
}

/// What a request itself says, as the text of a JSON array of items: to be kept with its answer.
///
/// # Errors
/// [`ReadError`] where `input` is neither text nor a list.
pub fn input_as_items(body: &Body) -> Result<String, ReadError> {
    let Some(input) = own_input(body) else { return Ok("[]".to_owned()) };
    match input.kind() {
        Kind::Array => Ok(input.text().to_owned()),
        Kind::String => Ok(format!(r#"[{{"role":"user","content":{}}}]"#, input.text())),
        _ => Err(ReadError::new(input, "a string or an array")),
    }
}

pub(super) fn own_input(body: &Body) -> Option<Raw<'_>> {
    body.get("input").filter(|input| !input.is_null())
}

/// The request with the id under which the provider holds the conversation. Nothing changes where the
/// client knows it by the same.
pub fn passed_on(body: &Body, provider_id: &str) -> Edits {
    let mut edits = body.edit();
    let said = body.get("previous_response_id").and_then(|id| id.str().ok());
    if said.as_deref() != Some(provider_id) {
        edits.set("previous_response_id", string(provider_id));
    }
    edits
}

/// The request with the conversation of `turns`, the oldest first, before its own input, and with no word of
/// the answer that it goes on from. Items that are named stand in full.
///
/// # Errors
/// [`ReplayError`]. `limit` is how many bytes the input may have in the end.
pub fn replayed(
    body: &Body,
    turns: &[Turn<'_>],
    cited: &CitedItems<'_>,
    to: ReplayTo,
    limit: usize,
) -> Result<Edits, ReplayError> {
    let mut input = Vec::new();
    let mut items = Writer::new(&mut input).array();
    let mut bytes = 0;
    let mut made = MadeIds::default();
    for (number, turn) in turns.iter().enumerate() {
        bytes += turn.input.len() + turn.answer.len();
        // Before anything is read: an answer repeats more of its request than its items.
        if bytes > limit.saturating_mul(2) {
            return Err(ReplayError::TooLarge { limit });
        }
        for item in said_items(turn.input, number)? {
            cited.write(item, to, &mut made, &mut items).map_err(|error| error.in_turn(number))?;
        }
        answer(&output_items(turn.answer, number)?, turn, to, &mut made, &mut items)
            .map_err(|source| ReplayError::Read { turn: number, source })?;
    }
    match own_input(body) {
        Some(text) if text.kind() == Kind::String => {
            let mut message = items.item().object();
            message.key("role").string("user");
            message.key("content").raw(text.text());
        }
        Some(list) => {
            let list = list.items().map_err(|_| ReadError::new(list, "a string or an array"));
            for item in list.map_err(ReplayError::Input)? {
                cited.write(item, to, &mut made, &mut items).map_err(|error| error.in_turn(turns.len()))?;
            }
        }
        None => {}
    }
    drop(items);
    if input.len() > limit {
        return Err(ReplayError::TooLarge { limit });
    }
    let mut edits = body.edit();
    edits.set("input", input);
    edits.set("previous_response_id", &b"null"[..]);
    Ok(edits)
}

/// The items that a turn's request said.
pub(super) fn said_items(input: &str, turn: usize) -> Result<Vec<Raw<'_>>, ReplayError> {
    let list = parse(input, turn)?.items().map_err(|source| ReplayError::Read { turn, source })?;
    Ok(list.collect())
}

/// The items that a turn's answer is made of.
pub(super) fn output_items(answer: &str, turn: usize) -> Result<Vec<Raw<'_>>, ReplayError> {
    let output = parse(answer, turn)?.get("output").filter(|output| !output.is_null());
    let Some(output) = output else { return Ok(Vec::new()) };
    let list = output.items().map_err(|source| ReplayError::Read { turn, source })?;
    Ok(list.collect())
}

pub(super) fn parse(text: &str, turn: usize) -> Result<Raw<'_>, ReplayError> {
    Raw::parse(text, &ScanLimits::default()).map_err(|source| ReplayError::Scan { turn, source })
}

/// Writes an answer's items.
///
/// A provider knows its own items by their ids. Reasoning that it cannot read it refuses, and what came of
/// reasoning it refuses without. So an answer goes back whole, or without its reasoning and its ids.
fn answer(
    output: &[Raw<'_>],
    turn: &Turn<'_>,
    to: ReplayTo,
    made: &mut MadeIds,
    items: &mut Array<'_>,
) -> Result<(), ReadError> {
    if to == ReplayTo::Translation || is_whole(output, turn.reads) {
        output.iter().for_each(|item| items.item().raw(item.text()));
        return Ok(());
    }
    output.iter().filter(|item| !is_reasoning(**item)).try_for_each(|item| without_id(*item, made, items))
}

/// Whether an answer can be read whole by whom it is sent to.
pub(super) fn is_whole(output: &[Raw<'_>], reads: Reads) -> bool {
    match reads {
        Reads::Nothing => false,
        Reads::Encrypted => output.iter().all(|item| !is_reasoning(*item) || is_sealed(*item)),
        Reads::Held => true,
    }
}

pub(super) fn is_reasoning(item: Raw<'_>) -> bool {
    kind_of(item) == Some("\"reasoning\"")
}

fn kind_of(item: Raw<'_>) -> Option<&str> {
    item.get("type").map(Raw::text)
}

fn is_sealed(item: Raw<'_>) -> bool {
    item.get("encrypted_content").is_some_and(|sealed| sealed.str().is_ok_and(|text| !text.is_empty()))
}

/// Ids for messages, which must have one.
#[derive(Debug, Default)]
pub(super) struct MadeIds(usize);

/// Writes an item without the id that only its maker knows. Calls need none. Items of a provider's own tools
/// stay as they are: what stands for them elsewhere is for that provider to say.
pub(super) fn without_id(item: Raw<'_>, made: &mut MadeIds, items: &mut Array<'_>) -> Result<(), ReadError> {
    let kind = kind_of(item);
    // What a client said needs no id.
    let is_message = kind == Some("\"message\"") && item.get("role").map(Raw::text) == Some("\"assistant\"");
    if !is_message && !matches!(kind, Some("\"function_call\"" | "\"custom_tool_call\"")) {
        items.item().raw(item.text());
        return Ok(());
    }
    let fields = Fields::read(item)?.rest();
    let mut object = items.item().object();
    if is_message {
        made.0 += 1;
        object.key("id").string(&format!("msg_{}", made.0));
    }
    for (name, value) in fields.iter().filter(|(name, _)| *name != "id") {
        object.key(name).raw(value.text());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use weighbridge_units::Protocol;

    use super::*;
    use crate::RequestTarget;

    const LIMIT: usize = 1 << 20;

    fn body(text: &str) -> Body {
        Body::scan(text.to_owned().into(), &ScanLimits::default()).unwrap()
    }

    fn sent(edits: &Edits) -> Value {
        serde_json::from_slice(&edits.rope().concat()).unwrap()
    }

    fn replay(body: &Body, turns: &[Turn<'_>], to: ReplayTo, limit: usize) -> Result<Edits, ReplayError> {
        replayed(body, turns, &CitedItems::default(), to, limit)
    }

    fn turn<'a>(input: &'a str, answer: &'a str) -> Turn<'a> {
        Turn { input, answer, reads: Reads::Nothing }
    }

    #[test]
    fn what_a_request_says_is_kept_as_items() {
        let items = |text: &str| input_as_items(&body(text));
        assert_eq!(items(r#"{"input":"a \"b\""}"#).unwrap(), r#"[{"role":"user","content":"a \"b\""}]"#);
        assert_eq!(items(r#"{"input": [ {"role":"user"} ]}"#).unwrap(), r#"[ {"role":"user"} ]"#);
        assert_eq!(items(r#"{"input":null}"#).unwrap(), "[]");
        assert_eq!(items("{}").unwrap(), "[]");
        assert!(items(r#"{"input":{}}"#).is_err() && items(r#"{"input":7}"#).is_err());
    }

    #[test]
    fn a_conversation_stands_before_the_input_and_instructions_do_not() {
        let first = r#"[{"role":"user","content":"Hi"}]"#;
        let answer = r#"{"id":"resp_1","instructions":"be rude","output":[{"type":"message","id":"msg_x","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Ho","annotations":[]}]}]}"#;
        let request =
            body(r#"{"model":"m","instructions":"be kind","previous_response_id":"resp_1","input":"And?"}"#);
        let edits = replay(&request, &[turn(first, answer)], ReplayTo::Translation, LIMIT).unwrap();
        assert_eq!(
            sent(&edits),
            json!({
                "model": "m", "instructions": "be kind", "previous_response_id": null,
                "input": [
                    {"role": "user", "content": "Hi"},
                    {"type": "message", "id": "msg_x", "role": "assistant", "status": "completed",
                     "content": [{"type": "output_text", "text": "Ho", "annotations": []}]},
                    {"role": "user", "content": "And?"},
                ],
            })
        );
        let text = String::from_utf8(edits.rope().concat()).unwrap();
        let target = RequestTarget::new("claude");
        let translated =
            crate::request(Protocol::OpenAiResponses, Protocol::AnthropicMessages, &text, &target).unwrap();
        let said: Value = serde_json::from_slice(&translated.value).unwrap();
        assert_eq!(said["system"], "be kind");
        assert_eq!(said["messages"].as_array().unwrap().len(), 3);
        assert_eq!(said["messages"][1]["content"], "Ho");
        let lost: Vec<_> = translated.losses.iter().map(|loss| loss.pointer.as_str()).collect();
        assert_eq!(lost, [""], "nothing but the output cap that the target demands");
    }

    const REASONED: &str = r#"{"output":[
        {"type":"reasoning","id":"rs_a","summary":[],"encrypted_content":"SEALED"},
        {"type":"function_call","id":"fc_a","call_id":"call_1","name":"f","arguments":"{}","status":"completed"},
        {"type":"message","id":"msg_a","role":"assistant","status":"completed","content":[]},
        {"type":"web_search_call","id":"ws_a","status":"completed"}]}"#;

    fn replayed_items(answer: &str, reads: Reads, to: ReplayTo) -> Value {
        let turn = Turn { reads, ..turn("[]", answer) };
        sent(&replay(&body("{}"), &[turn], to, LIMIT).unwrap())["input"].clone()
    }

    #[test]
    fn a_provider_gets_its_own_answer_back_whole() {
        let whole = serde_json::from_str::<Value>(REASONED).unwrap()["output"].clone();
        for reads in [Reads::Encrypted, Reads::Held] {
            assert_eq!(replayed_items(REASONED, reads, ReplayTo::Responses), whole);
            assert_eq!(replayed_items(REASONED, reads, ReplayTo::Translation), whole);
        }
        assert_eq!(replayed_items(REASONED, Reads::Nothing, ReplayTo::Translation), whole);
    }

    #[test]
    fn another_provider_gets_neither_reasoning_nor_ids() {
        let expected = json!([
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "completed"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []},
            {"type": "web_search_call", "id": "ws_a", "status": "completed"},
        ]);
        assert_eq!(replayed_items(REASONED, Reads::Nothing, ReplayTo::Responses), expected);
        // Reasoning that was not encrypted is nothing that can be brought back, also where it came from, unless
        // it is still there.
        let unsealed = REASONED.replace("SEALED", "");
        assert_eq!(replayed_items(&unsealed, Reads::Encrypted, ReplayTo::Responses), expected);
        let whole = serde_json::from_str::<Value>(&unsealed).unwrap()["output"].clone();
        assert_eq!(replayed_items(&unsealed, Reads::Held, ReplayTo::Responses), whole);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let long = format!(r#"[{{"role":"user","content":"{}"}}]"#, "x".repeat(500));
        let many = vec![turn(&long, r#"{"output":[]}"#); 10];
        let refused =
            |limit| replay(&body(r#"{"input":"?"}"#), &many, ReplayTo::Responses, limit).unwrap_err();
        assert_eq!(refused(1_000), ReplayError::TooLarge { limit: 1_000 });
        assert_eq!(refused(5_000), ReplayError::TooLarge { limit: 5_000 });
        assert!(replay(&body("{}"), &many, ReplayTo::Responses, 6_000).is_ok());
    }

    #[test]
    fn what_was_kept_wrongly_is_named() {
        let good = turn("[]", "{}");
        let refused =
            |turns: &[Turn<'_>]| replay(&body("{}"), turns, ReplayTo::Responses, LIMIT).unwrap_err();
        assert!(matches!(refused(&[good, turn("[", "{}")]), ReplayError::Scan { turn: 1, .. }));
        assert!(matches!(refused(&[turn("{}", "{}")]), ReplayError::Read { turn: 0, .. }));
        assert!(matches!(refused(&[turn("[]", r#"{"output":7}"#)]), ReplayError::Read { turn: 0, .. }));
        let wrong = replay(&body(r#"{"input":7}"#), &[good], ReplayTo::Responses, LIMIT);
        assert!(matches!(wrong, Err(ReplayError::Input(_))));
    }

    #[test]
    fn an_id_that_the_provider_holds_is_passed_on() {
        let request = body(r#"{"previous_response_id":"resp_1","input":"And?"}"#);
        assert!(passed_on(&request, "resp_1").is_empty());
        assert_eq!(sent(&passed_on(&request, "resp_there"))["previous_response_id"], "resp_there");
    }

    proptest! {
        /// However a conversation is cut into requests, the items are the same.
        #[test]
        fn a_conversation_in_turns_is_the_conversation_at_once(
            said in prop::collection::vec((".{0,12}", ".{0,12}"), 0..6),
            last in ".{0,12}",
        ) {
            let user = |text: &str| json!({"role": "user", "content": text});
            let model = |text: &str| json!({"type": "message", "id": "msg_1", "role": "assistant",
                "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]});
            let kept: Vec<(String, String)> = said
                .iter()
                .map(|(asked, answered)| {
                    let request = body(&json!({"input": asked}).to_string());
                    (input_as_items(&request).unwrap(), json!({"output": [model(answered)]}).to_string())
                })
                .collect();
            let turns: Vec<Turn<'_>> = kept.iter().map(|(input, answer)| turn(input, answer)).collect();
            let request = body(&json!({"input": last}).to_string());
            let mut expected: Vec<Value> = Vec::new();
            for (asked, answered) in &said {
                expected.extend([user(asked), model(answered)]);
            }
            expected.push(user(&last));
            let edits = replay(&request, &turns, ReplayTo::Translation, LIMIT).unwrap();
            prop_assert_eq!(&sent(&edits)["input"], &Value::from(expected));
        }
    }
}
