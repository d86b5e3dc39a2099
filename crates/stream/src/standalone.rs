use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_translate::{ApiError, StreamForm, encode_stream_error};
use weighbridge_units::Protocol;

use crate::aws::AwsWrapper;
use crate::decoder::Framing;
use crate::driver::broken;
use crate::facts::{End, RelayState};
use crate::relay::{Relay, RelayOptions};

/// What a [`Standalone`] is made for.
#[derive(Debug, Clone, Copy)]
pub struct StandaloneOptions<'a> {
    /// What is read.
    pub from: Protocol,
    /// What is written.
    pub to: Protocol,
    /// How the target frames its stream, where it has two forms (Gemini).
    pub form: StreamForm,
    /// The answer's id where the source gives none.
    pub id_fallback: &'a str,
    /// The model's name where the source gives none, as Converse does not.
    pub model_fallback: &'a str,
    /// When the answer was made where the source does not say, in seconds since the epoch.
    pub created: i64,
    /// The id of the request, which an error event names.
    pub request_id: &'a str,
}

/// A stream alone, without the HTTP around it: a file, a pipe.
///
/// It is a [`Relay`] that learns the framing from the first bytes ([`Framing::told_by`]), since no header
/// tells it, and writes the framing of the target: binary frames of AWS too.
///
/// ```
/// use std::collections::VecDeque;
/// use bytes::Bytes;
/// use weighbridge_stream::{Standalone, StandaloneOptions, StreamForm};
/// use weighbridge_units::Protocol::{GeminiGenerateContent, OpenAiChat};
///
/// let mut stream = Standalone::new(StandaloneOptions {
///     from: GeminiGenerateContent,
///     to: OpenAiChat,
///     form: StreamForm::Events,
///     id_fallback: "chatcmpl-1",
///     model_fallback: "a-model",
///     created: 1_700_000_000,
///     request_id: "req_1",
/// });
/// let mut out = VecDeque::new();
/// let array = br#"[{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}]"#;
/// stream.push(Bytes::from_static(array), &mut out);
/// assert!(stream.finish(&mut out).is_complete());
/// let events: Vec<u8> = out.into_iter().flatten().collect();
/// assert!(events.ends_with(b"data: [DONE]\n\n"));
/// ```
pub struct Standalone<'a> {
    options: StandaloneOptions<'a>,
    state: State,
    /// What the relay has just written.
    pieces: VecDeque<Bytes>,
}

enum State {
    /// Nothing but blanks came yet.
    Blank(Vec<u8>),
    Running(Relay, Output),
}

/// How what the relay writes is framed.
enum Output {
    AsWritten,
    Aws {
        wrapper: Box<AwsWrapper>,
        /// A frame could not be wrapped: nothing of what follows is written.
        failed: Option<ApiError>,
    },
}

/// How many blanks may stand before a stream whose framing they leave open, in bytes.
const BLANKS_MAX: usize = 1024;

impl<'a> Standalone<'a> {
    /// A translation of one stream.
    pub const fn new(options: StandaloneOptions<'a>) -> Self {
        Self { options, state: State::Blank(Vec::new()), pieces: VecDeque::new() }
    }

    /// Takes the next piece; what is complete by now goes to `out`.
    pub fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        let chunk = match &mut self.state {
            State::Running(..) => chunk,
            State::Blank(blanks) => {
                blanks.extend_from_slice(&chunk);
                let first = blanks.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
                if first.is_none() && blanks.len() < BLANKS_MAX {
                    return;
                }
                let chunk = Bytes::from(std::mem::take(blanks));
                let (relay, output) = begin(&self.options, first.unwrap_or(b' '));
                self.state = State::Running(relay, output);
                chunk
            }
        };
        if let State::Running(relay, output) = &mut self.state {
            relay.push(chunk, &mut self.pieces);
            output.hand_over(&mut self.pieces, out);
        }
    }

    /// Whether more is to be read: neither the stream's own end nor a failure was met.
    pub fn is_running(&self) -> bool {
        match &self.state {
            State::Blank(_) => true,
            State::Running(_, Output::Aws { failed: Some(_), .. }) => false,
            State::Running(relay, _) => relay.state() == RelayState::Running,
        }
    }

    /// Nothing more comes. Writes the target's terminal events, or its error event, to `out`.
    pub fn finish(mut self, out: &mut VecDeque<Bytes>) -> End {
        let (mut relay, mut output) = match self.state {
            State::Running(relay, output) => (relay, output),
            State::Blank(_) => begin(&self.options, b' '),
        };
        let end = relay.finish(None, &mut self.pieces);
        output.hand_over(&mut self.pieces, out);
        let Output::Aws { failed: Some(error), .. } = output else { return end };
        let event = encode_stream_error(self.options.to, &error, self.options.request_id);
        let mut frames = Vec::new();
        if AwsWrapper::new().push(&event, &mut frames).is_ok() {
            out.push_back(frames.into());
        }
        End::Broken(error, end.facts().clone())
    }
}

fn begin(options: &StandaloneOptions<'_>, first: u8) -> (Relay, Output) {
    let StandaloneOptions { from, to, form, id_fallback, model_fallback, created, request_id } = *options;
    let relay = Relay::new(&RelayOptions {
        provider: from,
        framing: Framing::told_by(first, from),
        client: to,
        hide_usage: false,
        show_usage: true,
        form: if to == Protocol::GeminiGenerateContent { form } else { StreamForm::Events },
        id_fallback,
        model_fallback,
        created,
        request_id,
        legacy_functions: false,
    });
    let output = match to {
        Protocol::BedrockConverse => Output::Aws { wrapper: Box::default(), failed: None },
        _ => Output::AsWritten,
    };
    (relay, output)
}

impl Output {
    fn hand_over(&mut self, pieces: &mut VecDeque<Bytes>, out: &mut VecDeque<Bytes>) {
        match self {
            Self::AsWritten => out.append(pieces),
            Self::Aws { wrapper, failed } => {
                let mut frames = Vec::new();
                for piece in pieces.drain(..) {
                    if failed.is_none()
                        && let Err(error) = wrapper.push(&piece, &mut frames)
                    {
                        *failed = Some(broken(error.to_string()));
                    }
                }
                if !frames.is_empty() {
                    out.push_back(frames.into());
                }
            }
        }
    }
}
