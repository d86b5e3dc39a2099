//! Items that a request names by their ids, instead of saying what they say.
//! <https://platform.openai.com/docs/api-reference/responses/create#responses-create-input>

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use weighbridge_protocol::Body;
use weighbridge_protocol::json::{Array, Kind, Raw, ReadError, Writer};

use super::input_items::id_of;
use super::replay::{
    MadeIds, ReplayError, ReplayTo, Turn, is_reasoning, is_whole, output_items, own_input, parse, said_items,
    without_id,
};

/// The id of the item that another one stands for; `None` where it says something itself.
///
/// What names an id and says nothing is looked up, whatever type it gives: a reference need not say that it is
/// one, and an image is gone on from by the id of the call that made it.
pub fn cited_id(item: Raw<'_>) -> Option<Cow<'_, str>> {
    let is_nothing = |name: &str| item.get(name).is_none_or(Raw::is_null);
    let kind = item.get("type").filter(|kind| !kind.is_null());
    let stands_for_another = match kind.map(|kind| kind.str()) {
        None => is_nothing("role") && is_nothing("content"),
        Some(Ok(kind)) if kind == "item_reference" => true,
        Some(Ok(kind)) if kind == "image_generation_call" => is_nothing("result"),
        Some(_) => false,
    };
    let id = item.get("id").filter(|_| stands_for_another)?;
    id.str().ok().filter(|id| !id.is_empty())
}

/// The ids of the items that a request names, and that the requests before it named, each of them once.
///
/// # Errors
/// [`ReplayError`] where the input of a turn was not kept as items.
pub fn cited_ids(body: &Body, turns: &[Turn<'_>]) -> Result<Vec<String>, ReplayError> {
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    let mut note = |item: Raw<'_>| {
        if let Some(id) = cited_id(item)
            && seen.insert(id.as_ref().to_owned())
        {
            ids.push(id.into_owned());
        }
    };
    for (number, turn) in turns.iter().enumerate() {
        said_items(turn.input, number)?.into_iter().for_each(&mut note);
    }
    let own = own_input(body).filter(|input| input.kind() == Kind::Array);
    own.and_then(|input| input.items().ok()).into_iter().flatten().for_each(note);
    Ok(ids)
}

/// The ids that the items of an answer and of its own input are known by: all that a later request may name.
///
/// # Errors
/// [`ReplayError`] where one of them does not consist of items.
pub fn item_ids(turn: &Turn<'_>) -> Result<Vec<String>, ReplayError> {
    Ok(items_of(turn, 0)?.into_iter().map(|(id, _)| id.into_owned()).collect())
}

/// The items of a turn that say something, with their ids: the answer's last.
fn items_of<'a>(turn: &Turn<'a>, number: usize) -> Result<Vec<(Cow<'a, str>, Raw<'a>)>, ReplayError> {
    let answer_id = answer_id(turn, number)?;
    let said = said_items(turn.input, number)?;
    let output = output_items(turn.answer, number)?;
    let all = said.into_iter().chain(output).enumerate();
    let all = all.filter(|(_, item)| cited_id(*item).is_none());
    Ok(all.map(|(place, item)| (id_of(item, &answer_id, place), item)).collect())
}

/// The id of a turn's answer; empty where it has none.
pub(super) fn answer_id<'a>(turn: &Turn<'a>, number: usize) -> Result<Cow<'a, str>, ReplayError> {
    let id = parse(turn.answer, number)?.get("id").and_then(|id| id.str().ok());
    Ok(id.unwrap_or_default())
}

/// What stands for items that a conversation names.
#[derive(Debug, Default)]
pub struct CitedItems<'a> {
    by_id: HashMap<Cow<'a, str>, CitedItem<'a>>,
}

/// An item that is named.
#[derive(Debug, Clone, Copy)]
struct CitedItem<'a> {
    item: Raw<'a>,
    /// Who is asked now can read its answer.
    is_whole: bool,
}

impl<'a> CitedItems<'a> {
    /// The items of these turns, the oldest first. Of the same id the last one counts.
    ///
    /// # Errors
    /// [`ReplayError`] where a turn was not kept as items.
    pub fn of(turns: &[Turn<'a>]) -> Result<Self, ReplayError> {
        let mut by_id = HashMap::new();
        for (number, turn) in turns.iter().enumerate() {
            let is_whole = is_whole(&output_items(turn.answer, number)?, turn.reads);
            for (id, item) in items_of(turn, number)? {
                by_id.insert(id, CitedItem { item, is_whole });
            }
        }
        Ok(Self { by_id })
    }

    /// The item that stands for this one, or this one.
    pub(super) fn resolved(&self, item: Raw<'a>) -> Option<Raw<'a>> {
        match cited_id(item) {
            Some(id) => self.by_id.get(&id).map(|cited| cited.item),
            None => Some(item),
        }
    }

    /// Writes an item, or what stands for it, for whoever reads it.
    pub(super) fn write(
        &self,
        item: Raw<'_>,
        to: ReplayTo,
        made: &mut MadeIds,
        items: &mut Array<'_>,
    ) -> Result<(), CiteError> {
        let Some(id) = cited_id(item) else {
            items.item().raw(item.text());
            return Ok(());
        };
        let CitedItem { item, is_whole } =
            *self.by_id.get(&id).ok_or_else(|| CiteError::Unknown(id.into_owned()))?;
        if to == ReplayTo::Translation || is_whole {
            items.item().raw(item.text());
        } else if !is_reasoning(item) {
            without_id(item, made, items).map_err(CiteError::Read)?;
        }
        Ok(())
    }
}

/// Why an item cannot be written.
pub(super) enum CiteError {
    Unknown(String),
    Read(ReadError),
}

impl CiteError {
    pub(super) fn in_turn(self, turn: usize) -> ReplayError {
        match self {
            Self::Unknown(id) => ReplayError::NoSuchItem { id },
            Self::Read(source) => ReplayError::Read { turn, source },
        }
    }
}

/// The input of a request with the items that it names in full; `None` where it names none.
///
/// # Errors
/// [`ReplayError`]; [`ReplayError::NoSuchItem`] where one is not among `cited`. `limit` is how many bytes the
/// input may have in the end.
pub fn spelled_out(
    body: &Body,
    cited: &CitedItems<'_>,
    to: ReplayTo,
    limit: usize,
) -> Result<Option<Vec<u8>>, ReplayError> {
    let Some(list) = own_input(body).filter(|input| input.kind() == Kind::Array) else { return Ok(None) };
    let list = list.items().map_err(ReplayError::Input)?;
    if !list.clone().any(|item| cited_id(item).is_some()) {
        return Ok(None);
    }
    let mut input = Vec::new();
    let mut items = Writer::new(&mut input).array();
    let mut made = MadeIds::default();
    for item in list {
        cited.write(item, to, &mut made, &mut items).map_err(|error| error.in_turn(0))?;
    }
    drop(items);
    // What is named often is said as often.
    if input.len() > limit { Err(ReplayError::TooLarge { limit }) } else { Ok(Some(input)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use weighbridge_protocol::json::ScanLimits;

    use super::*;
    use crate::openai_responses::kept::Reads;

    fn body(value: &Value) -> Body {
        Body::scan(value.to_string().into(), &ScanLimits::default()).unwrap()
    }

    fn turn<'a>(input: &'a str, answer: &'a str, reads: Reads) -> Turn<'a> {
        Turn { input, answer, reads }
    }

    #[test]
    fn what_names_an_id_and_says_nothing_stands_for_another() {
        let cited = |item: &str| {
            let raw = Raw::parse(item, &ScanLimits::default()).unwrap();
            cited_id(raw).map(Cow::into_owned)
        };
        for reference in [
            r#"{"type":"item_reference","id":"x"}"#,
            r#"{"type":"item_reference","id":"\u0078","role":"user"}"#,
            r#"{"id":"x"}"#,
            r#"{"type":null,"id":"x","role":null}"#,
            r#"{"type":"image_generation_call","id":"x"}"#,
            r#"{"type":"image_generation_call","id":"x","result":null,"status":"completed"}"#,
        ] {
            assert_eq!(cited(reference).as_deref(), Some("x"), "{reference}");
        }
        for other in [
            r#"{"role":"user","content":"item_reference","id":"x"}"#,
            r#"{"type":"message","id":"x"}"#,
            r#"{"type":"reasoning","id":"x","summary":[]}"#,
            r#"{"type":"image_generation_call","id":"x","result":"aGk="}"#,
            r#"{"type":"item_reference"}"#,
            r#"{"type":"item_reference","id":7}"#,
            r#"{"type":"item_reference","id":""}"#,
            r#"{"type":7,"id":"x"}"#,
            "7",
        ] {
            assert_eq!(cited(other), None, "{other}");
        }
    }

    const INPUT: &str = r#"[{"role":"user","content":"Hi"},{"type":"item_reference","id":"msg_0"}]"#;
    const ANSWER: &str = r#"{"id":"resp_1","output":[
        {"type":"reasoning","id":"rs_1","summary":[]},
        {"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[]}]}"#;

    #[test]
    fn items_are_known_by_their_ids_or_their_places() {
        let ids = item_ids(&turn(INPUT, ANSWER, Reads::Nothing)).unwrap();
        assert_eq!(ids, ["msg_1_i0", "rs_1", "msg_1"]);
        let request = body(&json!({"input": [{"id": "msg_1"}, {"id": "rs_1"}, {"id": "msg_1"}]}));
        let ids = cited_ids(&request, &[turn(INPUT, ANSWER, Reads::Nothing)]).unwrap();
        assert_eq!(ids, ["msg_0", "msg_1", "rs_1"], "those before it too, and each once");
        assert!(cited_ids(&body(&json!({"input": "msg_1"})), &[]).unwrap().is_empty());
    }

    fn written(input: &Value, reads: Reads, to: ReplayTo) -> Result<Option<Value>, ReplayError> {
        let cited = CitedItems::of(&[turn(INPUT, ANSWER, reads)]).unwrap();
        let written = spelled_out(&body(&json!({"input": input})), &cited, to, 1_000)?;
        Ok(written.map(|input| serde_json::from_slice(&input).unwrap()))
    }

    #[test]
    fn what_is_named_stands_as_whoever_reads_it_can_take_it() {
        let named =
            json!([{"id": "msg_1_i0"}, {"id": "rs_1"}, {"id": "msg_1"}, {"role": "user", "content": "?"}]);
        let answer: Value = serde_json::from_str(ANSWER).unwrap();
        let said = json!({"role": "user", "content": "Hi"});
        let whole = json!([said, answer["output"][0], answer["output"][1], named[3]]);
        let bare = json!([said, answer["output"][1], named[3]]);
        for (reads, to, expected) in [
            (Reads::Held, ReplayTo::Responses, &whole),
            (Reads::Nothing, ReplayTo::Translation, &whole),
            (Reads::Nothing, ReplayTo::Responses, &bare),
            // It has not encrypted its reasoning.
            (Reads::Encrypted, ReplayTo::Responses, &bare),
        ] {
            assert_eq!(written(&named, reads, to).unwrap().as_ref(), Some(expected), "{reads:?} {to:?}");
        }
        assert_eq!(written(&json!([named[3]]), Reads::Nothing, ReplayTo::Responses), Ok(None));
        assert_eq!(written(&json!("msg_1"), Reads::Nothing, ReplayTo::Responses), Ok(None));
    }

    #[test]
    fn what_is_not_there_or_too_much_is_refused() {
        let unknown = written(&json!([{"id": "msg_1"}, {"id": "msg_9"}]), Reads::Held, ReplayTo::Responses);
        assert_eq!(unknown, Err(ReplayError::NoSuchItem { id: "msg_9".to_owned() }));
        let often = Value::from(vec![json!({"id": "msg_1"}); 20]);
        assert_eq!(
            written(&often, Reads::Held, ReplayTo::Responses),
            Err(ReplayError::TooLarge { limit: 1_000 })
        );
    }

    proptest! {
        /// Items that are named, one by one or all of them, are those that were kept.
        #[test]
        fn naming_is_saying(texts in prop::collection::vec(".{0,9}", 1..6), picked in any::<Vec<prop::sample::Index>>()) {
            let said: Vec<Value> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
            let input = Value::from(said.clone()).to_string();
            let turns = [turn(&input, r#"{"id":"resp_7"}"#, Reads::Nothing)];
            let ids = item_ids(&turns[0]).unwrap();
            let cited = CitedItems::of(&turns).unwrap();
            let picked: Vec<usize> = picked.iter().map(|index| index.index(ids.len())).collect();
            let named: Vec<Value> = picked.iter().map(|at| json!({"id": ids[*at]})).collect();
            let expected: Vec<Value> = picked.iter().map(|at| said[*at].clone()).collect();
            let request = body(&json!({"input": named}));
            let written = spelled_out(&request, &cited, ReplayTo::Responses, 1 << 20).unwrap();
            let written = written.map(|input| serde_json::from_slice::<Value>(&input).unwrap());
            prop_assert_eq!(written, (!picked.is_empty()).then(|| Value::from(expected)));
        }
    }
}
