//! Vendors that copied OpenAI's Chat Completions, each in its own way.
//!
//! What they refuse, and in which words; where they put usage and thoughts; how they call things. The table is
//! in `table.rs`; it shares nothing with the gateway's own, and judges it. What a vendor's documentation calls
//! unsupported is refused here, also where the vendor may only ignore it: whoever passes here passes there.

mod answer;
mod table;

use http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use crate::Vendor;
use crate::refusal::Refusal;
use crate::route::Route;

pub(crate) use answer::{frames, whole};
pub use table::COPYISTS;

/// A vendor that speaks Chat Completions, or Responses, as it understands them.
#[derive(Debug, PartialEq, Eq)]
pub struct Copyist {
    /// What people call it, in one word.
    pub name: &'static str,
    /// Where it is: a host, with a port where that is not the usual one.
    pub host: &'static str,
    /// Where its Chat Completions are, if it has them.
    pub chat: Option<&'static str>,
    /// Where its Responses are, if it has them.
    pub responses: Option<&'static str>,
    /// Fields that it refuses.
    pub refused: &'static [&'static str],
    /// Whether it refuses, at the top, all that the API's documentation does not name.
    pub only: Option<&'static [&'static str]>,
    /// Fields of messages that it refuses, those with the role `tool` apart.
    pub refused_in_messages: &'static [&'static str],
    /// What it calls fields of OpenAI's: its name, and OpenAI's.
    pub called: &'static [(&'static str, &'static str)],
    /// Whether it knows the role `developer`.
    pub knows_developer: bool,
    /// The status of its refusals.
    pub refuses_with: u16,
    /// The shape of its errors.
    pub errors: Errors,
    /// Where it tells what the model thought.
    pub thoughts: Option<&'static str>,
    /// Where a stream tells its usage.
    pub usage: UsageAt,
    /// What it calls reasons to end: OpenAI's name, and its own.
    pub ends: &'static [(&'static str, &'static str)],
    /// Whether streams begin with a comment.
    pub comments: bool,
    /// Whether it wants a key.
    pub wants_key: bool,
}

/// The shape of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// As OpenAI writes them.
    OpenAi,
    /// What pydantic says: `{"detail": [{"type", "loc", "msg"}]}`.
    Pydantic,
    /// `{"code": "text", "error": "text"}`.
    Text,
    /// As OpenAI writes them, with a number for a code.
    NumberedCode,
    /// `{"message": "text"}`.
    Message,
}

/// Where a stream tells its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageAt {
    /// In a chunk of its own, where that is asked for.
    Asked,
    /// In the last chunk, unasked.
    Unasked,
    /// In `x_groq` of a chunk of its own.
    XGroq,
}

impl Copyist {
    /// The vendor of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        COPYISTS.iter().find(|copyist| copyist.name == name)
    }

    /// Where a request leads.
    pub(crate) fn route(&self, method: &Method, target: &str, headers: &HeaderMap) -> Option<Route> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = Some(target.split('?').next().unwrap_or_default());
        if method != Method::POST || host != Some(self.host) {
            return None;
        }
        if path == self.chat {
            return Some(Route::Chat);
        }
        (path == self.responses).then_some(Route::Responses)
    }

    /// The body as OpenAI would understand it, if this vendor takes it.
    pub(crate) fn read(&self, mut body: Value) -> Result<Value, Refusal> {
        let Some(fields) = body.as_object_mut() else { return Ok(body) };
        for name in fields.keys() {
            let is_unknown = self.only.is_some_and(|only| !only.contains(&name.as_str()));
            if is_unknown || self.refused.contains(&name.as_str()) {
                return Err(self.refusal(&["body", name], name));
            }
        }
        for (place, message) in
            fields.get("messages").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            let role = message["role"].as_str().unwrap_or_default();
            let at = place.to_string();
            if role == "developer" && !self.knows_developer {
                return Err(self.refusal(&["body", "messages", &at, "role"], "role"));
            }
            let names = message.as_object().into_iter().flat_map(|message| message.keys());
            if let Some(name) = names
                .filter(|_| role != "tool")
                .find(|name| self.refused_in_messages.contains(&name.as_str()))
            {
                return Err(self.refusal(&["body", "messages", &at, role, name], name));
            }
        }
        for (theirs, openais) in self.called {
            if let Some(value) = fields.remove(*theirs) {
                fields.insert((*openais).to_owned(), value);
            }
        }
        // What OpenAI does not know: these vendors take it, or ignore it.
        for message in fields.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(message) = message.as_object_mut() else { continue };
            ["reasoning_content", "reasoning", "reasoning_details", "prefix"].iter().for_each(|name| {
                message.remove(*name);
            });
        }
        fields.remove("top_k");
        fields.remove("safe_prompt");
        Ok(body)
    }

    fn refusal(&self, place: &[&str], name: &str) -> Refusal {
        let message = match self.errors {
            Errors::Pydantic => "Extra inputs are not permitted".to_owned(),
            _ => format!("property '{name}' is unsupported"),
        };
        let detail = json!({"type": "extra_forbidden", "loc": place, "msg": message, "input": null});
        let refusal = Refusal {
            param: Some(name.to_owned()),
            ..Refusal::new(self.refuses_with, "invalid_request_error", message)
        };
        Refusal { details: vec![detail], ..refusal }
    }

    /// An error in this vendor's shape.
    pub(crate) fn error(&self, refusal: &Refusal) -> Value {
        let Refusal { status, kind, message, param, .. } = refusal;
        match self.errors {
            Errors::OpenAi => crate::openai::refusal::body(refusal),
            Errors::Pydantic if refusal.details.is_empty() => {
                json!({"object": "error", "message": message, "type": kind, "param": null, "code": "1000"})
            }
            Errors::Pydantic => json!({
                "object": "error", "message": {"detail": refusal.details}, "type": kind, "param": null, "code": null,
            }),
            Errors::Text => json!({"code": "Client specified an invalid argument", "error": message}),
            Errors::NumberedCode => {
                json!({"error": {"message": message, "code": status, "type": kind, "param": param}})
            }
            Errors::Message => json!({"id": "weighed", "message": message}),
        }
    }

    /// Whether credentials are as this vendor wants them.
    pub(crate) fn authorised(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let bearer =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match bearer {
            None if !self.wants_key => Ok(()),
            Some(key) if !key.is_empty() && !key.contains("invalid") => Ok(()),
            _ => Err(Refusal::of_status(Vendor::OpenAi, 401, None)),
        }
    }
}
