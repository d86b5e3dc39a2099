use weighbridge_translate::openai_responses::kept::answer_in_event;

use crate::decoder::{Decoded, Decoder, Framing};

/// Reads the whole answer off a stream of OpenAI Responses on its way to the client, so that it can be kept.
///
/// The last event of a stream that ends well repeats the answer: whether the stream passed through or was
/// translated, it is what the client has. What is held is bounded as a decoder's frames are.
///
/// ```
/// use weighbridge_stream::AnswerTap;
///
/// let mut tap = AnswerTap::new();
/// tap.push(b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"}\n\n");
/// tap.push(b"event: response.completed\ndata: {\"type\":\"response.completed\",");
/// tap.push(b"\"response\":{\"id\":\"resp_1\"}}\n\n");
/// assert_eq!(tap.into_answer().as_deref(), Some(r#"{"id":"resp_1"}"#));
/// ```
#[derive(Debug)]
pub struct AnswerTap {
    /// `None` once the stream cannot be read any further.
    decoder: Option<Decoder>,
    answer: Option<String>,
}

impl AnswerTap {
    /// A tap on one stream.
    pub fn new() -> Self {
        Self { decoder: Some(Decoder::new(Framing::Sse)), answer: None }
    }

    /// Looks at the next piece that the client gets.
    pub fn push(&mut self, piece: &[u8]) {
        let Self { decoder, answer } = self;
        let pushed = decoder.as_mut().map(|open| open.push(piece, &mut |decoded| look(&decoded, answer)));
        if matches!(pushed, Some(Err(_))) {
            *decoder = None;
        }
    }

    /// The text of the answer; `None` where the stream has not ended well, or was more than can be held.
    pub fn into_answer(self) -> Option<String> {
        let Self { decoder, mut answer } = self;
        if let Some(mut open) = decoder {
            // The last event may lack its blank line. What cannot be read after the answer is none of it.
            let _ = open.finish(&mut |decoded| look(&decoded, &mut answer));
        }
        answer
    }
}

fn look(decoded: &Decoded<'_>, answer: &mut Option<String>) {
    if let Decoded::Frame(frame) = decoded
        && let Some(whole) = answer_in_event(frame.data)
    {
        *answer = Some(whole.to_owned());
    }
}

impl Default for AnswerTap {
    fn default() -> Self {
        Self::new()
    }
}
