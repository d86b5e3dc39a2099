//! What one vendor takes otherwise than OpenAI: as data, so that a vendor is an entry in a table and no code.

use std::borrow::Cow;

use weighbridge_units::{Loss, LossKind};

use crate::Edits;
use crate::json::{Raw, Writer};

/// Where a vendor's requests differ from OpenAI's. Answers need no such table: the readers take what any
/// of them writes (`reasoning_content` or `reasoning`, usage in `x_groq`, reasons of their own, errors of
/// other shapes).
///
/// A field is renamed where the vendor knows it by another name, and left out where the vendor refuses
/// requests that have it, whatever its value. What is left out is a loss, unless it says what the
/// vendor does anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// Fields by OpenAI's name and the vendor's.
    pub renamed: &'static [(&'static str, &'static str)],
    /// Fields that are refused.
    pub refused: &'static [&'static str],
    /// Fields of messages that are refused, those of tools' results apart.
    pub refused_in_messages: &'static [&'static str],
    /// Whether the role `developer` is not known: it is called `system`.
    pub no_developer: bool,
}

impl Quirks {
    /// None: requests are taken as OpenAI takes them.
    pub const NONE: Self = Self { renamed: &[], refused: &[], refused_in_messages: &[], no_developer: false };

    /// Whether requests go out as they are.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Changes a request so that the vendor takes it, and says what was lost. To be called before text is
    /// put into fields ([`Edits::insert`]).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use weighbridge_protocol::{Body, json::ScanLimits, openai_chat::Quirks};
    ///
    /// let quirks = Quirks { renamed: &[("seed", "random_seed")], refused: &["store"], ..Quirks::NONE };
    /// let body = Body::scan(Bytes::from_static(br#"{"seed":7,"store":true}"#), &ScanLimits::default())?;
    /// let mut edits = body.edit();
    /// let losses = quirks.edit(&mut edits);
    /// assert_eq!(edits.rope().concat(), br#"{"random_seed":7}"#);
    /// assert_eq!(losses[0].pointer, "/store");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn edit(&self, edits: &mut Edits) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (ours, theirs) in self.renamed {
            let Some(value) = edits.get(ours).map(|value| value.text().to_owned()) else { continue };
            edits.remove(ours);
            // Who names both means the vendor's own.
            if edits.get(theirs).is_none() {
                edits.set(theirs, value);
            }
        }
        for name in self.refused {
            let Some(value) = edits.get(name) else { continue };
            if !says_nothing(name, value) {
                losses.push(refused(format!("/{name}")));
            }
            edits.remove(name);
        }
        if let Some(written) = self.messages(edits, &mut losses) {
            edits.set("messages", written);
        }
        losses
    }

    /// The messages written anew, where one of them has what is refused.
    fn messages(&self, edits: &Edits, losses: &mut Vec<Loss>) -> Option<Vec<u8>> {
        let messages = edits.get("messages")?;
        let concerned = |text: &str| {
            self.no_developer && text.contains("developer")
                || self.refused_in_messages.iter().any(|name| text.contains(name))
        };
        if self.no_developer || !self.refused_in_messages.is_empty() {
            concerned(messages.text()).then_some(())?;
        } else {
            return None;
        }
        let (mut written, mut is_changed) = (Vec::new(), false);
        let mut list = Writer::new(&mut written).array();
        for (place, message) in messages.items().ok()?.enumerate() {
            let role = message.get("role").and_then(|role| role.str().ok());
            let is_of_tool = role.as_deref() == Some("tool");
            let is_renamed = self.no_developer && role.as_deref() == Some("developer");
            let is_refused = |name: &str| !is_of_tool && self.refused_in_messages.contains(&name);
            if !is_renamed && !message.members().any(|(name, _)| is_refused(&name)) {
                list.item().raw(message.text());
                continue;
            }
            is_changed = true;
            let mut object = list.item().object();
            for (name, value) in message.members() {
                if is_refused(&name) {
                    if !says_nothing(&name, value) {
                        losses.push(refused(format!("/messages/{place}/{name}")));
                    }
                } else if is_renamed && name == "role" {
                    object.key("role").string("system");
                } else {
                    object.key(&name).raw(value.text());
                }
            }
        }
        drop(list);
        is_changed.then_some(written)
    }
}

/// Whether a value asks for what happens without it.
fn says_nothing(name: &str, value: Raw<'_>) -> bool {
    match (name, value.text()) {
        (_, "null" | "[]" | "{}") => true,
        ("parallel_tool_calls", text) => text == "true",
        ("n", text) => text == "1",
        ("service_tier", text) => matches!(text, "\"auto\"" | "\"default\""),
        ("frequency_penalty" | "presence_penalty", text) => matches!(text, "0" | "0.0"),
        (_, text) => text == "false",
    }
}

fn refused(pointer: String) -> Loss {
    Loss {
        pointer,
        kind: LossKind::Dropped,
        reason: Cow::Borrowed("the provider refuses requests with this field"),
        needed: Cow::Borrowed("a provider that takes it"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::Body;
    use crate::json::ScanLimits;

    const STRICT: Quirks = Quirks {
        renamed: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
        refused: &["store", "n", "parallel_tool_calls", "service_tier", "presence_penalty"],
        refused_in_messages: &["name", "refusal"],
        no_developer: true,
    };

    fn sent(body: &str) -> (String, Vec<String>) {
        let body = Body::scan(Bytes::copy_from_slice(body.as_bytes()), &ScanLimits::default()).unwrap();
        let mut edits = body.edit();
        let losses = STRICT.edit(&mut edits).into_iter().map(|loss| loss.pointer).collect();
        (String::from_utf8(edits.rope().concat()).unwrap(), losses)
    }

    #[test]
    fn fields_are_renamed_once() {
        assert_eq!(sent(r#"{"seed":1,"max_completion_tokens":5}"#).0, r#"{"max_tokens":5,"random_seed":1}"#);
        assert_eq!(sent(r#"{"seed":1,"random_seed":2}"#), (r#"{"random_seed":2}"#.into(), vec![]));
    }

    #[test]
    fn what_is_refused_is_a_loss_unless_it_says_nothing() {
        for nothing in [
            r#""store":false"#,
            r#""store":null"#,
            r#""n":1"#,
            r#""parallel_tool_calls":true"#,
            r#""service_tier":"auto""#,
            r#""presence_penalty":0"#,
        ] {
            assert_eq!(sent(&format!("{{{nothing}}}")), ("{}".into(), vec![]), "{nothing}");
        }
        for said in [
            r#""store":true"#,
            r#""n":2"#,
            r#""parallel_tool_calls":false"#,
            r#""service_tier":"flex""#,
            r#""presence_penalty":0.5"#,
        ] {
            let name = said.split('"').nth(1).unwrap();
            assert_eq!(sent(&format!("{{{said}}}")), ("{}".into(), vec![format!("/{name}")]), "{said}");
        }
    }

    #[test]
    fn messages_are_changed_one_by_one() {
        let body = r#"{"messages":[{"role":"developer","content":"a \u00e9"},{"role":"user", "name":"x","content":1e0},{"role":"assistant","refusal":null},{"role":"tool","name":"f"}]}"#;
        let (sent, losses) = sent(body);
        assert_eq!(
            sent,
            r#"{"messages":[{"role":"system","content":"a \u00e9"},{"role":"user","content":1e0},{"role":"assistant"},{"role":"tool","name":"f"}]}"#
        );
        assert_eq!(losses, ["/messages/1/name"]);
        let untouched = r#"{"messages":[ {"role":"user","content":"developer name"} ]}"#;
        assert_eq!(self::sent(untouched), (untouched.into(), vec![]));
        for odd in [r#"{"messages":"developer"}"#, r#"{"messages":[1,"developer"]}"#] {
            assert_eq!(self::sent(odd).0, odd);
        }
    }

    proptest! {
        #[test]
        fn what_goes_out_is_json_without_what_is_refused(
            names in proptest::collection::btree_set("(store|n|seed|max_tokens|max_completion_tokens|x|user)", 0..6),
            role in "(developer|system|tool|user)",
        ) {
            let fields: String = names.iter().map(|name| format!("{name:?}:3,")).collect();
            let (sent, _) = sent(&format!(r#"{{{fields}"messages":[{{"role":"{role}","name":"n"}}]}}"#));
            let sent = Body::scan(Bytes::from(sent), &ScanLimits::default()).unwrap();
            for name in STRICT.refused.iter().chain(STRICT.renamed.iter().map(|(ours, _)| ours)) {
                prop_assert!(sent.get(name).is_none());
            }
            prop_assert_eq!(sent.get("x").is_some(), names.contains("x"));
            let message = sent.get("messages").unwrap().items().unwrap().next().unwrap();
            prop_assert_eq!(message.get("role").unwrap().str().unwrap() == "system", matches!(&*role, "developer" | "system"));
            prop_assert_eq!(message.get("name").is_some(), role == "tool");
        }
    }
}
