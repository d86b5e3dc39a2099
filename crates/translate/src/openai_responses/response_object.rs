//! The object that a whole answer is, and that the first and last events of a stream repeat.

use weighbridge_protocol::json::{Bag, Object, Raw};
use weighbridge_protocol::openai_responses::{OBJECT, finish, usage};
use weighbridge_units::Usage;

use super::bag_names;
use super::finish::Ending;
use super::kept::KeptAs;
use crate::conversation::ServiceTier;

/// What such an object says.
#[derive(Debug)]
pub(super) struct Response<'r> {
    pub(super) id: &'r str,
    pub(super) model: &'r str,
    /// In seconds since the epoch.
    pub(super) created: i64,
    pub(super) ending: &'r Ending,
    /// What stands instead of `ending`.
    pub(super) as_told: Option<&'r AsTold<'r>>,
    /// Code and message, where it failed.
    pub(super) error: Option<(&'r str, &'r str)>,
    pub(super) usage: Option<Counts<'r>>,
    pub(super) service_tier: Option<&'r str>,
    /// The bag of an answer of the same protocol, in which it repeats its request.
    pub(super) own: Option<&'r Bag<'r>>,
    /// What is said of keeping in place of the defaults.
    pub(super) kept: Option<&'r KeptAs>,
}

/// How an answer of the same protocol ended, as it stood.
#[derive(Debug)]
pub(super) struct AsTold<'r> {
    pub(super) status: Raw<'r>,
    pub(super) details: Option<Raw<'r>>,
}

/// What was used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counts<'r> {
    Of(&'r Usage),
    /// As an answer of the same protocol said it.
    AsTold(Raw<'r>),
}

/// How an answer that is being made stands.
pub(super) const IN_PROGRESS: Ending = Ending { status: finish::IN_PROGRESS, reason: None, lost: None };

/// How an answer that failed stands.
pub(super) const FAILED: Ending = Ending { status: finish::FAILED, reason: None, lost: None };

/// What an answer repeats of its request. The request is not known here: what it left open, or may
/// have, stands for it. The first three are demanded by every SDK.
const DEFAULTS: [(&str, &str); 16] = [
    ("parallel_tool_calls", "true"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// How many of [`DEFAULTS`] are demanded.
const DEMANDED: usize = 3;

impl Response<'_> {
    /// Writes the object's fields; `output` is the text of the list of items.
    pub(super) fn write(&self, output: &str, object: &mut Object<'_>) {
        object.key("id").string(self.id);
        object.key("object").string(OBJECT);
        object.key("created_at").number(self.created);
        match self.as_told {
            Some(told) => object.key("status").raw(told.status.text()),
            None => object.key("status").string(self.ending.status),
        }
        match self.error {
            Some((code, message)) => {
                let mut error = object.key("error").object();
                error.key("code").string(code);
                error.key("message").string(message);
            }
            None => object.key("error").null(),
        }
        match (self.as_told.and_then(|told| told.details), self.ending.reason) {
            (Some(told), _) => object.key("incomplete_details").raw(told.text()),
            (None, Some(reason)) => object.key("incomplete_details").object().key("reason").string(reason),
            (None, None) => object.key("incomplete_details").null(),
        }
        object.key("model").string(self.model);
        object.key("output").raw(output);
        self.repeat_request(object);
        match self.usage {
            Some(Counts::AsTold(raw)) => object.key("usage").raw(raw.text()),
            Some(Counts::Of(told)) => {
                usage::write(told, object.key("usage"));
                if self.own.is_none_or(|bag| bag_names::entry(bag, "tool_usage").is_none()) {
                    usage::write_tool_usage(told, object);
                }
            }
            None => object.key("usage").null(),
        }
        if let Some(tier) = self.service_tier {
            object.key("service_tier").string(tier);
        }
    }

    fn repeat_request(&self, object: &mut Object<'_>) {
        let Some(own) = self.own else {
            let kept = self.kept.map(KeptAs::fields);
            let kept = kept.as_ref().map_or(&[][..], |fields| fields);
            for (name, default) in DEFAULTS {
                let said = kept.iter().find(|(field, _)| *field == name);
                let said = said.and_then(|(_, value)| std::str::from_utf8(value).ok());
                object.key(name).raw(said.unwrap_or(default));
            }
            return;
        };
        for (name, value) in DEFAULTS.iter().take(DEMANDED) {
            if bag_names::echoed(own, name).is_none() {
                object.key(name).raw(value);
            }
        }
        // Where it ended otherwise than it says, this is not true any more.
        let is_said = |name: &str| !name.starts_with(bag_names::INCOMPLETE);
        for (name, value) in own.iter().filter(|(name, _)| is_said(name)) {
            object.key(name.strip_prefix("request.").unwrap_or(name)).raw(value.text());
        }
    }
}

/// The name of an answer's service tier here; `None` where there is none.
pub(super) fn tier_name(tier: &str, is_same_protocol: bool) -> Option<&str> {
    match ServiceTier::named(tier.into()) {
        ServiceTier::Auto => Some("auto"),
        ServiceTier::Standard => Some("default"),
        ServiceTier::Flex => Some("flex"),
        ServiceTier::Priority => Some("priority"),
        ServiceTier::Other(_) => {
            (is_same_protocol || matches!(tier, "scale" | "fast" | "ultrafast")).then_some(tier)
        }
    }
}
