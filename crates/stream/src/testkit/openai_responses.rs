use serde_json::Value;

use super::{Grammar, Verdict, ensure, is_string_or_null, need, parse};

/// <https://platform.openai.com/docs/api-reference/responses-streaming>:
/// `created [queued] in_progress item* (completed | incomplete | failed)`, with `error` as an end
/// anywhere, which `failed` may follow. An item is added, grows by its parts, and is done; items have
/// places, so that several may be open at once. Whatever came in pieces is repeated whole: by the part,
/// by the item, and by the answer.
#[derive(Debug, Default)]
pub(super) struct ResponsesGrammar {
    state: State,
    sequence: u64,
    id: Value,
    items: Vec<Item>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Created,
    Running,
    Error,
}

#[derive(Debug, Default)]
struct Item {
    kind: String,
    id: String,
    /// The parts of a message, or of reasoning's own text.
    parts: Vec<Part>,
    /// The pieces of a summary.
    pieces: Vec<Part>,
    /// What a call is called with.
    arguments: Part,
    done: Option<Value>,
}

/// Text that comes in pieces.
#[derive(Debug, Default)]
struct Part {
    kind: String,
    text: String,
    annotations: Vec<Value>,
    text_done: bool,
    done: bool,
}

impl Grammar for ResponsesGrammar {
    fn step(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String> {
        let event = parse(data)?;
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        ensure(name == Some(kind.as_bytes()), "its name is not its type")?;
        let sequence = event.get("sequence_number").and_then(Value::as_u64);
        ensure(sequence == Some(self.sequence), "its sequence number is not the next one")?;
        self.sequence += 1;
        match kind {
            "error" => {
                need(&event, "message", Value::is_string)?;
                need(&event, "code", is_string_or_null)?;
                need(&event, "param", is_string_or_null)?;
                self.state = State::Error;
                return Ok(Verdict::EndedWithError);
            }
            "response.created" => {
                ensure(self.state == State::Before, "a second beginning")?;
                self.response(&event, &["in_progress", "queued"])?;
                self.state = State::Created;
            }
            _ if self.state == State::Before => return Err(format!("`{kind}` before the beginning")),
            "response.queued" => {
                ensure(self.state == State::Created, "it waits when it has begun")?;
                self.response(&event, &["queued"])?;
            }
            "response.in_progress" => {
                ensure(self.state == State::Created, "it is in progress twice")?;
                self.response(&event, &["in_progress"])?;
                self.state = State::Running;
            }
            "response.failed" => return self.failed(&event),
            "keepalive" => {}
            _ if self.state != State::Running => return Err(format!("`{kind}` before it is in progress")),
            "response.completed" => return self.ended(&event, "completed"),
            "response.incomplete" => return self.ended(&event, "incomplete"),
            "response.output_item.added" => self.item_added(&event)?,
            "response.output_item.done" => self.item_done(&event)?,
            own => self.grows(own, &event)?,
        }
        Ok(Verdict::Unfinished)
    }

    fn after_error(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String> {
        match self.step(name, data)? {
            Verdict::EndedWithError if self.state != State::Error => Ok(Verdict::EndedWithError),
            _ => Err("an event follows the error, and it does not say that the answer failed".into()),
        }
    }
}

impl ResponsesGrammar {
    fn response<'e>(&mut self, event: &'e Value, statuses: &[&str]) -> Result<&'e Value, String> {
        let response = event.get("response").unwrap_or(&Value::Null);
        for field in ["id", "model"] {
            need(response, field, Value::is_string)?;
        }
        need(response, "object", |object| object == "response")?;
        need(response, "created_at", Value::is_number)?;
        need(response, "output", Value::is_array)?;
        need(response, "tools", Value::is_array)?;
        need(response, "parallel_tool_calls", Value::is_boolean)?;
        need(response, "tool_choice", |choice| choice.is_string() || choice.is_object())?;
        need(response, "error", |error| error.is_null() || error.is_object())?;
        need(response, "incomplete_details", |details| details.is_null() || details.is_object())?;
        let status = response.get("status").and_then(Value::as_str).unwrap_or_default();
        ensure(statuses.contains(&status), "its status does not fit")?;
        let id = response.get("id").unwrap_or(&Value::Null);
        ensure(self.id.is_null() || self.id == *id, "the answer's id has changed")?;
        self.id = id.clone();
        Ok(response)
    }

    fn failed(&mut self, event: &Value) -> Result<Verdict, String> {
        let response = self.response(event, &["failed"])?;
        let error = response.get("error").unwrap_or(&Value::Null);
        need(error, "code", Value::is_string)?;
        need(error, "message", Value::is_string)?;
        self.state = State::Running;
        Ok(Verdict::EndedWithError)
    }

    fn ended(&mut self, event: &Value, status: &str) -> Result<Verdict, String> {
        let response = self.response(event, &[status])?;
        let reason = response.get("incomplete_details").and_then(|details| details.get("reason"));
        ensure(reason.is_some() == (status == "incomplete"), "its status and its reason do not fit")?;
        let usage = response.get("usage").unwrap_or(&Value::Null);
        if !usage.is_null() {
            for field in ["input_tokens", "output_tokens", "total_tokens"] {
                need(usage, field, Value::is_u64)?;
            }
            let inner = |field: &str| usage.get(field).unwrap_or(&Value::Null);
            need(inner("input_tokens_details"), "cached_tokens", Value::is_u64)?;
            need(inner("output_tokens_details"), "reasoning_tokens", Value::is_u64)?;
        }
        ensure(self.items.iter().all(|item| item.done.is_some()), "an item is not done")?;
        let items = self.items.iter().filter_map(|item| item.done.as_ref()).map(as_repeated);
        let output = response.get("output").and_then(Value::as_array);
        let repeated = output.is_some_and(|output| output.iter().map(as_repeated).eq(items));
        ensure(repeated, "the answer does not repeat its items")?;
        Ok(Verdict::EndedWell)
    }

    fn item_added(&mut self, event: &Value) -> Result<(), String> {
        let index = event.get("output_index").and_then(Value::as_u64);
        ensure(index == Some(self.items.len() as u64), "its place is not the next one")?;
        let item = event.get("item").unwrap_or(&Value::Null);
        need(item, "type", Value::is_string)?;
        let text = |field: &str| item.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let added = Item { kind: text("type"), id: text("id"), ..Item::default() };
        ensure(!added.id.is_empty(), "its item has no id")?;
        added.has_its_fields(item)?;
        let is_empty =
            |field: &str| item.get(field).is_none_or(|value| value == "" || value == &Value::Array(vec![]));
        let empty: &[&str] = match added.kind.as_str() {
            "message" | "reasoning" => &["content", "summary"],
            "function_call" => &["arguments"],
            "custom_tool_call" => &["input"],
            _ => &[],
        };
        ensure(empty.iter().all(|field| is_empty(field)), "its item is not empty")?;
        self.items.push(added);
        Ok(())
    }

    fn item_done(&mut self, event: &Value) -> Result<(), String> {
        let done = event.get("item").unwrap_or(&Value::Null);
        let item = self.open(event)?;
        ensure(done.get("id").and_then(Value::as_str) == Some(&item.id), "the item's id has changed")?;
        ensure(done.get("type").and_then(Value::as_str) == Some(&item.kind), "the item's type has changed")?;
        item.has_its_fields(done)?;
        item.repeats(done)?;
        item.done = Some(done.clone());
        Ok(())
    }

    /// The open item that an event is about.
    fn open(&mut self, event: &Value) -> Result<&mut Item, String> {
        let index = event.get("output_index").and_then(Value::as_u64);
        let item = index.and_then(|index| self.items.get_mut(usize::try_from(index).ok()?));
        item.filter(|item| item.done.is_none()).ok_or_else(|| "its item is not open".to_owned())
    }

    fn grows(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        let item = self.open(event)?;
        // Only a few events about shells leave it out.
        let named = event.get("item_id").is_none_or(|id| id == item.id.as_str());
        ensure(named || kind.contains("shell_call"), "it names another item")?;
        let kind = kind.strip_prefix("response.").ok_or_else(|| format!("there is no event `{kind}`"))?;
        match kind {
            "content_part.added" => item.part_added(event),
            "content_part.done" => item.part_done(event),
            "output_text.delta" => {
                need(event, "logprobs", Value::is_array)?;
                item.part(event, "output_text")?.delta(event)
            }
            "output_text.annotation.added" => item.part(event, "output_text")?.annotated(event),
            "output_text.done" => {
                need(event, "logprobs", Value::is_array)?;
                item.part(event, "output_text")?.text_done(event, "text")
            }
            "refusal.delta" => item.part(event, "refusal")?.delta(event),
            "refusal.done" => item.part(event, "refusal")?.text_done(event, "refusal"),
            "reasoning_text.delta" => item.part(event, "reasoning_text")?.delta(event),
            "reasoning_text.done" => item.part(event, "reasoning_text")?.text_done(event, "text"),
            "reasoning_summary_part.added" => item.piece_added(event),
            "reasoning_summary_text.delta" => item.piece(event)?.delta(event),
            "reasoning_summary_text.done" => item.piece(event)?.text_done(event, "text"),
            "reasoning_summary_part.done" => item.piece(event)?.part_done(event),
            "function_call_arguments.delta" => item.call("function_call")?.delta(event),
            "function_call_arguments.done" => item.call("function_call")?.text_done(event, "arguments"),
            "custom_tool_call_input.delta" => item.call("custom_tool_call")?.delta(event),
            "custom_tool_call_input.done" => item.call("custom_tool_call")?.text_done(event, "input"),
            // Of the tools that the provider has: `web_search_call.searching` and its like.
            own if own.contains("_call") || own.starts_with("mcp_list_tools.") => Ok(()),
            _ => Err(format!("there is no event `response.{kind}`")),
        }
    }
}

impl Item {
    /// The fields that the SDKs' models demand of an item, added or done.
    fn has_its_fields(&self, item: &Value) -> Result<(), String> {
        match self.kind.as_str() {
            "message" => {
                need(item, "role", |role| role == "assistant")?;
                need(item, "status", Value::is_string)?;
                need(item, "content", Value::is_array)
            }
            "reasoning" => need(item, "summary", Value::is_array),
            "function_call" | "custom_tool_call" => {
                need(item, "call_id", |id| id.as_str().is_some_and(|id| !id.is_empty()))?;
                need(item, "name", Value::is_string)?;
                need(item, if self.kind == "function_call" { "arguments" } else { "input" }, Value::is_string)
            }
            "image_generation_call" => need(item, "status", Value::is_string),
            _ => Ok(()),
        }
    }

    /// Whether the whole item says what its pieces said.
    fn repeats(&self, done: &Value) -> Result<(), String> {
        let closed = |parts: &[Part]| parts.iter().all(|part| part.done);
        ensure(closed(&self.parts) && closed(&self.pieces), "a part of the item is not done")?;
        match self.kind.as_str() {
            "message" => repeated(&self.parts, done.get("content")),
            "reasoning" => {
                repeated(&self.pieces, done.get("summary"))?;
                // Not every server streams it.
                if self.parts.is_empty() { Ok(()) } else { repeated(&self.parts, done.get("content")) }
            }
            "function_call" | "custom_tool_call" => {
                let field = if self.kind == "function_call" { "arguments" } else { "input" };
                let whole = done.get(field).and_then(Value::as_str);
                ensure(self.arguments.text_done, "the arguments are not done")?;
                ensure(whole == Some(&self.arguments.text), "the arguments are not those of the pieces")
            }
            _ => Ok(()),
        }
    }

    fn part_added(&mut self, event: &Value) -> Result<(), String> {
        let index = event.get("content_index").and_then(Value::as_u64);
        ensure(index == Some(self.parts.len() as u64), "its part's place is not the next one")?;
        let part = event.get("part").unwrap_or(&Value::Null);
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let fits = match self.kind.as_str() {
            "message" => matches!(kind.as_str(), "output_text" | "refusal"),
            "reasoning" => kind == "reasoning_text",
            _ => false,
        };
        ensure(fits, "such a part cannot stand in such an item")?;
        if kind == "output_text" {
            need(part, "annotations", Value::is_array)?;
        }
        need(part, if kind == "refusal" { "refusal" } else { "text" }, |text| text == "")?;
        self.parts.push(Part { kind, ..Part::default() });
        Ok(())
    }

    fn part_done(&mut self, event: &Value) -> Result<(), String> {
        let index = event.get("content_index").and_then(Value::as_u64);
        let part = index.and_then(|index| self.parts.get_mut(usize::try_from(index).ok()?));
        part.ok_or_else(|| "its part did not begin".to_owned())?.part_done(event)
    }

    fn part(&mut self, event: &Value, kind: &str) -> Result<&mut Part, String> {
        let index = event.get("content_index").and_then(Value::as_u64);
        let part = index.and_then(|index| self.parts.get_mut(usize::try_from(index).ok()?));
        part.filter(|part| part.kind == kind && !part.done).ok_or_else(|| "its part is not open".to_owned())
    }

    fn piece_added(&mut self, event: &Value) -> Result<(), String> {
        ensure(self.kind == "reasoning", "a summary of something else than reasoning")?;
        let index = event.get("summary_index").and_then(Value::as_u64);
        ensure(index == Some(self.pieces.len() as u64), "its piece's place is not the next one")?;
        ensure(self.pieces.last().is_none_or(|piece| piece.done), "the piece before it is open")?;
        let part = event.get("part").unwrap_or(&Value::Null);
        need(part, "type", |kind| kind == "summary_text")?;
        need(part, "text", |text| text == "")?;
        self.pieces.push(Part { kind: "summary_text".into(), ..Part::default() });
        Ok(())
    }

    fn piece(&mut self, event: &Value) -> Result<&mut Part, String> {
        let index = event.get("summary_index").and_then(Value::as_u64);
        let piece = index.and_then(|index| self.pieces.get_mut(usize::try_from(index).ok()?));
        piece.filter(|piece| !piece.done).ok_or_else(|| "its piece is not open".to_owned())
    }

    fn call(&mut self, kind: &str) -> Result<&mut Part, String> {
        ensure(self.kind == kind, "arguments of something else")?;
        Ok(&mut self.arguments)
    }
}

impl Part {
    fn delta(&mut self, event: &Value) -> Result<(), String> {
        ensure(!self.text_done, "more of a text that is done")?;
        need(event, "delta", Value::is_string)?;
        self.text.push_str(event.get("delta").and_then(Value::as_str).unwrap_or_default());
        Ok(())
    }

    fn annotated(&mut self, event: &Value) -> Result<(), String> {
        let index = event.get("annotation_index").and_then(Value::as_u64);
        ensure(index == Some(self.annotations.len() as u64), "its annotation's place is not the next one")?;
        need(event, "annotation", Value::is_object)?;
        self.annotations.extend(event.get("annotation").cloned());
        Ok(())
    }

    fn text_done(&mut self, event: &Value, field: &str) -> Result<(), String> {
        ensure(!std::mem::replace(&mut self.text_done, true), "a text is done twice")?;
        let whole = event.get(field).and_then(Value::as_str);
        ensure(whole == Some(&self.text), "the text is not that of its pieces")
    }

    fn part_done(&mut self, event: &Value) -> Result<(), String> {
        ensure(self.text_done, "its text is not done")?;
        ensure(!std::mem::replace(&mut self.done, true), "a part is done twice")?;
        self.is(event.get("part").unwrap_or(&Value::Null))
    }

    /// Whether a whole part says what its pieces said.
    fn is(&self, part: &Value) -> Result<(), String> {
        need(part, "type", Value::is_string)?;
        ensure(part.get("type").and_then(Value::as_str) == Some(&self.kind), "a part's type has changed")?;
        let field = if self.kind == "refusal" { "refusal" } else { "text" };
        let whole = part.get(field).and_then(Value::as_str);
        ensure(whole == Some(&self.text), "the part is not that of its pieces")?;
        if self.kind != "output_text" {
            return Ok(());
        }
        need(part, "annotations", Value::is_array)?;
        let annotations = part.get("annotations").and_then(Value::as_array);
        ensure(annotations == Some(&self.annotations), "the part has not the annotations that were added")
    }
}

/// An item as the answer repeats it: OpenAI encrypts reasoning anew.
fn as_repeated(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(item) = item.as_object_mut() {
        item.remove("encrypted_content");
    }
    item
}

fn repeated(parts: &[Part], whole: Option<&Value>) -> Result<(), String> {
    let whole = whole.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    ensure(whole.len() == parts.len(), "the item has not the parts that were added")?;
    parts.iter().zip(whole).try_for_each(|(part, whole)| part.is(whole))
}
