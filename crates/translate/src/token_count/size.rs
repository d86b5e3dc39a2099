//! How much there is to count, for whoever must estimate.

use crate::conversation::{
    Content, Conversation, CustomFormat, DocumentSource, Format, Part, Tool, ToolKind,
};

/// What a prompt consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PromptSize {
    /// Bytes of all texts, in UTF-8: messages, tools with their schemas, calls, results.
    pub text_bytes: u64,
    /// Messages, each of which is framed by a few tokens.
    pub messages: u64,
    /// Images.
    pub images: u64,
    /// Sounds, videos and documents whose bytes say nothing about their tokens, and whatever is not
    /// understood.
    pub unseen: u64,
}

impl PromptSize {
    /// The size of a conversation.
    ///
    /// ```
    /// use weighbridge_protocol::json::{Raw, ScanLimits};
    /// use weighbridge_translate::token_count::{self, PromptSize};
    /// use weighbridge_units::Protocol;
    ///
    /// let body = r#"{"model": "m", "system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}"#;
    /// let question = Raw::parse(body, &ScanLimits::default())?;
    /// let size = PromptSize::of(&token_count::decode(Protocol::AnthropicMessages, question)?);
    /// assert_eq!(size, PromptSize { text_bytes: 11, messages: 2, ..PromptSize::default() });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(conversation: &Conversation<'_>) -> Self {
        let mut size = Self { messages: conversation.messages.len() as u64, ..Self::default() };
        conversation.messages.iter().for_each(|message| size.parts(&message.parts));
        conversation.tools.iter().for_each(|tool| size.tool(tool));
        if let Some(Format::JsonSchema { schema, description, .. }) =
            conversation.format.as_ref().map(|format| &format.value)
        {
            size.text(schema.text());
            size.text(description.as_deref().unwrap_or_default());
        }
        size
    }

    fn text(&mut self, text: &str) {
        self.text_bytes = self.text_bytes.saturating_add(text.len() as u64);
    }

    fn parts(&mut self, parts: &[Part<'_>]) {
        parts.iter().for_each(|part| self.part(part));
    }

    pub(crate) fn part(&mut self, part: &Part<'_>) {
        match &part.content {
            Content::Text(text) => self.text(&text.text),
            Content::Json(json) => self.text(json.text()),
            Content::ToolCall(call) => {
                self.text(&call.name);
                self.text(&call.arguments);
            }
            Content::ToolResult(result) => self.parts(&result.parts),
            Content::Reasoning(reasoning) => self.text(&reasoning.visible()),
            Content::Refusal(text) => self.text(text),
            Content::Image(_) => self.images += 1,
            Content::Document(document) => {
                self.text(document.title.as_deref().unwrap_or_default());
                match &document.source {
                    DocumentSource::Text(text) => self.text(text),
                    DocumentSource::Parts(parts) => self.parts(parts),
                    DocumentSource::Media(_) => self.unseen += 1,
                }
            }
            Content::Audio(_) | Content::Video(_) | Content::Unknown { .. } => self.unseen += 1,
        }
    }

    pub(crate) fn tool(&mut self, tool: &Tool<'_>) {
        match &tool.kind {
            ToolKind::Function { name, description, parameters, .. } => {
                self.text(name);
                self.text(description.as_deref().unwrap_or_default());
                self.text(parameters.as_ref().map_or("", |schema| schema.text()));
            }
            ToolKind::Custom { name, description, format } => {
                self.text(name);
                self.text(description.as_deref().unwrap_or_default());
                if let Some(CustomFormat::Grammar { definition, .. }) = format {
                    self.text(definition);
                }
            }
            ToolKind::Unknown { raw, .. } => self.text(raw.text()),
        }
    }
}
