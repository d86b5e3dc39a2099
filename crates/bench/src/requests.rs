//! What is asked: the bytes of each kind of request.

use crate::wire;

/// Which protocol the client speaks, and which the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pair {
    /// OpenAI Chat Completions on both sides.
    OpenAi,
    /// A client of OpenAI's, a provider of Anthropic's.
    OpenAiToAnthropic,
    /// A client of Anthropic's, a provider of OpenAI's.
    AnthropicToOpenAi,
}

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) pair: Pair,
    /// Size of the prompt, in bytes.
    pub(crate) prompt_bytes: usize,
    /// How the answer is streamed; whole if `None`.
    pub(crate) stream: Option<Stream>,
}

/// How the provider streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) chunks: u64,
    /// Microseconds between two chunks.
    pub(crate) pace_us: u64,
}

impl Ask {
    /// A whole answer to a short prompt.
    pub(crate) const WHOLE: Self = Self { pair: Pair::OpenAi, prompt_bytes: 1024, stream: None };

    /// A stream, as fast as it gets or paced.
    pub(crate) const fn stream(chunks: u64, pace_us: u64) -> Self {
        Self { stream: Some(Stream { chunks, pace_us }), ..Self::WHOLE }
    }

    /// The same between two protocols.
    pub(crate) const fn between(self, pair: Pair) -> Self {
        Self { pair, ..self }
    }

    /// The request as a gateway gets it, from the client of the pair.
    pub(crate) fn to_gateway(self, key: &str) -> Vec<u8> {
        match self.pair {
            Pair::OpenAi => self.openai("openai/gpt-4o-mini", key),
            Pair::OpenAiToAnthropic => self.openai("anthropic/claude-haiku-4-5", key),
            Pair::AnthropicToOpenAi => self.anthropic("openai/gpt-4o-mini", key),
        }
    }

    /// The request as the provider of the pair gets it, from whoever translates nothing.
    pub(crate) fn to_provider(self, key: &str) -> Vec<u8> {
        match self.pair {
            Pair::OpenAi | Pair::AnthropicToOpenAi => self.openai("gpt-4o-mini", key),
            Pair::OpenAiToAnthropic => self.anthropic("claude-haiku-4-5", key),
        }
    }

    fn openai(self, model: &str, key: &str) -> Vec<u8> {
        let stream = match self.stream {
            Some(_) => r#""stream":true,"stream_options":{"include_usage":true},"#,
            None => "",
        };
        let prompt = self.prompt();
        let body = format!(
            r#"{{"model":"{model}",{stream}"max_tokens":200,"temperature":0.7,"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{prompt}"}}]}}"#
        );
        wire::post("/v1/chat/completions", key, &body)
    }

    fn anthropic(self, model: &str, key: &str) -> Vec<u8> {
        let stream = if self.stream.is_some() { r#""stream":true,"# } else { "" };
        let prompt = self.prompt();
        let body = format!(
            r#"{{"model":"{model}",{stream}"max_tokens":200,"temperature":0.7,"system":"You are a helpful assistant.","messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        wire::post("/v1/messages", key, &body)
    }

    /// Tells the provider how to answer, then fills up.
    fn prompt(self) -> String {
        let Stream { chunks, pace_us } = self.stream.unwrap_or(Stream { chunks: 0, pace_us: 0 });
        let mut prompt = format!("chunks={chunks} pace-us={pace_us} ");
        while prompt.len() < self.prompt_bytes {
            prompt.push_str("What does a weighbridge weigh, and how exactly? ");
        }
        prompt.truncate(self.prompt_bytes);
        prompt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_of_the_size_that_they_claim() {
        for pair in [Pair::OpenAi, Pair::OpenAiToAnthropic, Pair::AnthropicToOpenAi] {
            let ask = Ask { prompt_bytes: 32 * 1024, ..Ask::stream(7, 9).between(pair) };
            for request in [ask.to_gateway("k"), ask.to_provider("k")] {
                let request = String::from_utf8(request).unwrap();
                let (head, body) = request.split_once("\r\n\r\n").unwrap();
                assert_eq!(wire::header(head, "content-length"), Some(body.len().to_string().as_str()));
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                let prompt = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str();
                assert_eq!(prompt.unwrap().len(), 32 * 1024);
                assert!(prompt.unwrap().starts_with("chunks=7 pace-us=9 "));
            }
        }
    }
}
