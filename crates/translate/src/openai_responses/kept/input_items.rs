//! The items that an answer was made from, a page at a time.
//! <https://platform.openai.com/docs/api-reference/responses/input-items>

use std::borrow::Cow;

use thiserror::Error;
use weighbridge_protocol::json::{Fields, Kind, Object, Raw, ReadError, Writer};

use super::cited::{CitedItems, answer_id, cited_id};
use super::replay::{ReplayError, Turn, output_items, said_items};

/// The most items of a page.
const LIMIT_MAX: usize = 100;

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// What was said last.
    #[default]
    Newest,
    /// What was said first.
    Oldest,
}

/// Which items are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputItemsQuery {
    /// The most items, 1 to 100.
    pub limit: usize,
    /// Which end comes first.
    pub order: Order,
    /// The id of the last item that the client has seen.
    pub after: Option<String>,
}

impl Default for InputItemsQuery {
    fn default() -> Self {
        Self { limit: 20, order: Order::default(), after: None }
    }
}

/// Why a page cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidQuery {
    /// The limit is none of 1 to 100.
    #[error("`limit` is a number from 1 to {LIMIT_MAX}")]
    Limit,
    /// The order is none.
    #[error("`order` is `asc` or `desc`")]
    Order,
}

impl InputItemsQuery {
    /// Reads a query by its decoded names and values. What is not known is passed over: `include` asks for
    /// what is there in any case.
    ///
    /// # Errors
    /// [`InvalidQuery`].
    pub fn read<'q>(pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Self, InvalidQuery> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name {
                "limit" => {
                    let limit = value.parse().map_err(|_| InvalidQuery::Limit)?;
                    query.limit =
                        (1..=LIMIT_MAX).contains(&limit).then_some(limit).ok_or(InvalidQuery::Limit)?;
                }
                "order" => {
                    query.order = match value {
                        "asc" => Order::Oldest,
                        "desc" => Order::Newest,
                        _ => return Err(InvalidQuery::Order),
                    };
                }
                "after" => query.after = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(query)
    }
}

/// The page of items that the answer `id` was made from: what was said before it (`turns`, the oldest first),
/// and its own request's input.
///
/// Clients demand an id and a status of each item, and the contents of a message as a list. What the request
/// left out is made up, the same each time and in each list that has the item. Items that were named by their
/// ids stand in full, unless they are among `cited` no more. An `after` that names no item is taken for the
/// list's end.
///
/// # Errors
/// [`ReplayError`] where something was not kept as items.
pub fn input_items(
    id: &str,
    turns: &[Turn<'_>],
    input: &str,
    cited: &CitedItems<'_>,
    query: &InputItemsQuery,
) -> Result<Vec<u8>, ReplayError> {
    let mut named: Vec<(Cow<'_, str>, Raw<'_>)> = Vec::new();
    for (number, turn) in turns.iter().enumerate() {
        let (said, output) = (said_items(turn.input, number)?, output_items(turn.answer, number)?);
        list(&answer_id(turn, number)?, said.into_iter().chain(output), cited, &mut named);
    }
    list(id, said_items(input, turns.len())?, cited, &mut named);
    if query.order == Order::Newest {
        named.reverse();
    }
    let from = match &query.after {
        Some(after) => named.iter().position(|(id, _)| id == after).map_or(named.len(), |place| place + 1),
        None => 0,
    };
    let rest = named.get(from..).unwrap_or_default();
    let page = rest.get(..query.limit).unwrap_or(rest);
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    object.key("object").string("list");
    let mut data = object.key("data").array();
    for (id, item) in page {
        write(id, *item, &mut data.item().object())
            .map_err(|source| ReplayError::Read { turn: turns.len(), source })?;
    }
    drop(data);
    for (name, item) in [("first_id", page.first()), ("last_id", page.last())] {
        // SDKs want a text, also of an empty page.
        object.key(name).string(item.map_or("", |(id, _)| id.as_ref()));
    }
    object.key("has_more").bool(rest.len() > page.len());
    drop(object);
    Ok(out)
}

/// Lists the items of one answer with their ids.
fn list<'a>(
    answer_id: &str,
    items: impl IntoIterator<Item = Raw<'a>>,
    cited: &CitedItems<'a>,
    named: &mut Vec<(Cow<'a, str>, Raw<'a>)>,
) {
    for (place, item) in items.into_iter().enumerate() {
        match cited_id(item) {
            // It is known by the same id here.
            Some(id) => named.extend(cited.resolved(item).map(|item| (id, item))),
            None => named.push((id_of(item, answer_id, place), item)),
        }
    }
}

fn kind_of<'a>(item: Raw<'a>) -> Cow<'a, str> {
    item.get("type").and_then(|kind| kind.str().ok()).unwrap_or(Cow::Borrowed("message"))
}

/// The item's own id, or one that is made of the answer's and the item's place: among what was said to get the
/// answer, then the answer itself.
pub(super) fn id_of<'a>(item: Raw<'a>, answer_id: &str, place: usize) -> Cow<'a, str> {
    let own = item.get("id").and_then(|id| id.str().ok()).filter(|id| !id.is_empty());
    own.unwrap_or_else(|| {
        let kind = match kind_of(item).as_ref() {
            "message" => "msg",
            "function_call" => "fc",
            "function_call_output" => "fco",
            "custom_tool_call" => "ctc",
            "custom_tool_call_output" => "ctco",
            "reasoning" => "rs",
            _ => "item",
        };
        let own = answer_id.split_once('_').map_or(answer_id, |(_, own)| own);
        // Ids that were made for an answer have no letter there.
        Cow::Owned(format!("{kind}_{own}_i{place}"))
    })
}

/// Writes an item with all that clients demand.
fn write(id: &str, item: Raw<'_>, object: &mut Object<'_>) -> Result<(), ReadError> {
    let mut fields = Fields::read(item)?;
    let kind = kind_of(item);
    let _: Option<Raw<'_>> = fields.offer("id");
    let _: Option<Cow<'_, str>> = fields.offer("type");
    object.key("id").string(id);
    object.key("type").string(&kind);
    let has_status = kind == "message" || kind.ends_with("_call") || kind.ends_with("_call_output");
    if has_status && fields.peek("status").is_none_or(Raw::is_null) {
        let _: Option<Raw<'_>> = fields.offer("status");
        object.key("status").string("completed");
    }
    let is_models = fields.says("role", "assistant");
    for (name, value) in fields.rest().iter() {
        let place = object.key(name);
        match (name, value.kind()) {
            ("content", Kind::String) if kind == "message" => text_part(value, is_models, place),
            ("content" | "output", Kind::Array) => parts(value, place)?,
            _ => place.raw(value.text()),
        }
    }
    Ok(())
}

/// A message's text as the list that answers have it as.
fn text_part(text: Raw<'_>, is_models: bool, place: Writer<'_>) {
    let mut list = place.array();
    let mut part = list.item().object();
    part.key("type").string(if is_models { "output_text" } else { "input_text" });
    part.key("text").raw(text.text());
    if is_models {
        part.key("annotations").raw("[]");
    }
}

/// Parts of a content. An image has a detail, which requests may leave out.
fn parts(list: Raw<'_>, place: Writer<'_>) -> Result<(), ReadError> {
    let mut out = place.array();
    for part in list.items()? {
        let is_image = part.get("type").map(Raw::text) == Some("\"input_image\"");
        if !is_image || part.get("detail").is_some_and(|detail| !detail.is_null()) {
            out.item().raw(part.text());
            continue;
        }
        let fields = Fields::read(part)?.rest();
        let mut object = out.item().object();
        for (name, value) in fields.iter().filter(|(name, _)| *name != "detail") {
            object.key(name).raw(value.text());
        }
        object.key("detail").string("auto");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::openai_responses::kept::Reads;

    const ANSWER: &str = r#"{"id":"resp_0","output":[{"type":"function_call","id":"fc_a","call_id":"c","name":"f","arguments":"{}","status":"completed"}]}"#;

    fn page(turns: &[Turn<'_>], input: &str, query: &InputItemsQuery) -> Value {
        let cited = CitedItems::default();
        serde_json::from_slice(&input_items("resp_1", turns, input, &cited, query).unwrap()).unwrap()
    }

    #[test]
    fn items_have_what_clients_demand() {
        let input = r#"[{"role":"user","content":"Hi"},
            {"role":"user","content":[{"type":"input_image","image_url":"https://a.example/b.png"}],"status":null},
            {"role":"assistant","content":"Ho"},
            {"type":"function_call_output","call_id":"c","output":"1"}]"#;
        let found = page(&[], input, &InputItemsQuery { order: Order::Oldest, ..InputItemsQuery::default() });
        assert_eq!(
            found,
            json!({
                "object": "list",
                "data": [
                    {"id": "msg_1_i0", "type": "message", "status": "completed", "role": "user",
                     "content": [{"type": "input_text", "text": "Hi"}]},
                    {"id": "msg_1_i1", "type": "message", "status": "completed", "role": "user", "content":
                     [{"type": "input_image", "image_url": "https://a.example/b.png", "detail": "auto"}]},
                    {"id": "msg_1_i2", "type": "message", "status": "completed", "role": "assistant",
                     "content": [{"type": "output_text", "text": "Ho", "annotations": []}]},
                    {"id": "fco_1_i3", "type": "function_call_output", "status": "completed", "call_id": "c", "output": "1"},
                ],
                "first_id": "msg_1_i0",
                "last_id": "fco_1_i3",
                "has_more": false,
            })
        );
    }

    #[test]
    fn what_was_said_before_is_part_of_it() {
        let turns =
            [Turn { input: r#"[{"role":"user","content":"Hi"}]"#, answer: ANSWER, reads: Reads::Nothing }];
        let input = r#"[{"type":"function_call_output","call_id":"c","output":"1"}]"#;
        let found = page(&turns, input, &InputItemsQuery::default());
        let ids: Vec<&str> =
            found["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(
            ids,
            ["fco_1_i0", "fc_a", "msg_0_i0"],
            "the newest first, each by the answer that it is of"
        );
    }

    #[test]
    fn pages_follow_each_other() {
        let input: Vec<Value> = (0..7).map(|n| json!({"role": "user", "content": n.to_string()})).collect();
        let input = Value::from(input).to_string();
        for order in [Order::Oldest, Order::Newest] {
            let mut query = InputItemsQuery { limit: 3, order, after: None };
            let mut seen = Vec::new();
            loop {
                let found = page(&[], &input, &query);
                let data = found["data"].as_array().unwrap();
                seen.extend(data.iter().map(|item| item["content"][0]["text"].as_str().unwrap().to_owned()));
                if found["has_more"] == false {
                    break;
                }
                assert_eq!(data.len(), 3);
                query.after = Some(found["last_id"].as_str().unwrap().to_owned());
            }
            if order == Order::Newest {
                seen.reverse();
            }
            assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6"]);
        }
        let after = Some("nothing".to_owned());
        let found = page(&[], &input, &InputItemsQuery { after, ..InputItemsQuery::default() });
        assert_eq!((&found["data"], &found["first_id"]), (&json!([]), &json!("")));
    }

    #[test]
    fn queries_are_read() {
        let query =
            InputItemsQuery::read([("limit", "7"), ("order", "asc"), ("after", "msg_1"), ("include", "x")]);
        assert_eq!(
            query,
            Ok(InputItemsQuery { limit: 7, order: Order::Oldest, after: Some("msg_1".into()) })
        );
        assert_eq!(InputItemsQuery::read([]), Ok(InputItemsQuery::default()));
        for wrong in ["0", "101", "-1", "x"] {
            assert_eq!(InputItemsQuery::read([("limit", wrong)]), Err(InvalidQuery::Limit), "{wrong}");
        }
        assert_eq!(InputItemsQuery::read([("order", "up")]), Err(InvalidQuery::Order));
    }
}
