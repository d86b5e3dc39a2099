use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_translate::openai_responses::kept::KeptAs;
use weighbridge_translate::{ApiError, StreamForm};
use weighbridge_units::Protocol;

use crate::bridge::Bridge;
use crate::decoder::Framing;
use crate::facts::{End, Facts, RelayState};
use crate::reframe::Reframe;
use crate::tee::Tee;

/// What a [`Relay`] is made for.
#[derive(Debug, Clone, Copy)]
pub struct RelayOptions<'a> {
    /// What the provider speaks.
    pub provider: Protocol,
    /// How the provider divides its stream: [`Framing::of`] its content type.
    pub framing: Framing,
    /// What the client speaks. The same protocol, in server-sent events on either side, means
    /// pass-through.
    pub client: Protocol,
    /// Pass-through only: usage was asked for on the client's behalf, and is hidden from it.
    pub hide_usage: bool,
    /// Bridges only: the client asked for usage in the stream, where its protocol has such a choice.
    pub show_usage: bool,
    /// How the client wants its stream framed, where its protocol has two forms (Gemini).
    pub form: StreamForm,
    /// The answer's id where the provider gives none.
    pub id_fallback: &'a str,
    /// Bridges only: as in [`AnswerTarget`](weighbridge_translate::AnswerTarget).
    pub model_fallback: &'a str,
    /// When the answer was made where the provider does not say, in seconds since the epoch.
    pub created: i64,
    /// The id of the request, which an error event names.
    pub request_id: &'a str,
    /// Bridges only: as in [`AnswerTarget`](weighbridge_translate::AnswerTarget).
    pub legacy_functions: bool,
}

/// What is known of a stream that broke off and may be continued.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokenOff {
    /// Why it did.
    pub error: ApiError,
    /// What is known of it.
    pub facts: Facts,
    /// The text that the client was given: all of the answer so far.
    pub text: String,
}

/// One provider's stream on its way to one client.
///
/// ```
/// use std::collections::VecDeque;
/// use bytes::Bytes;
/// use weighbridge_stream::{End, Framing, Relay, RelayOptions, RelayState, StreamForm};
/// use weighbridge_units::Protocol;
///
/// let mut relay = Relay::new(&RelayOptions {
///     provider: Protocol::OpenAiChat,
///     framing: Framing::Sse,
///     client: Protocol::OpenAiChat,
///     hide_usage: false,
///     show_usage: false,
///     form: StreamForm::Events,
///     id_fallback: "chatcmpl-1",
///     model_fallback: "gpt-4o",
///     created: 1_700_000_000,
///     request_id: "req_1",
///     legacy_functions: false,
/// });
/// let mut out = VecDeque::new();
/// relay.push(Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n"), &mut out);
/// assert!(relay.committed());
/// relay.push(Bytes::from_static(b"data: [DONE]\n\n"), &mut out);
/// assert_eq!(relay.state(), RelayState::Ended);
/// let End::Complete(facts) = relay.finish(None, &mut out) else { panic!("it ended well") };
/// assert!(facts.usage.is_none());
/// assert_eq!(out.len(), 2); // the two pieces, untouched
/// ```
pub struct Relay(Kind);

enum Kind {
    Tee(Box<Tee>),
    Reframe(Box<Reframe>),
    Bridge(Box<Bridge>),
}

impl Relay {
    /// A relay between two protocols, or within one.
    pub fn new(options: &RelayOptions<'_>) -> Self {
        Self(match (options.framing, options.form) {
            _ if options.provider != options.client => Kind::Bridge(Box::new(Bridge::new(options))),
            (Framing::Sse, StreamForm::Events) => Kind::Tee(Box::new(Tee::new(options))),
            _ => Kind::Reframe(Box::new(Reframe::new(options))),
        })
    }

    /// A relay that another provider's stream may follow, where the first's breaks off: to a client that takes events.
    /// Within one protocol frames pass one by one, each as it came, and not the bytes of a frame as they come.
    ///
    /// Within OpenAI Responses it is as [`Self::new`] makes it: each event has a number there, and the last ones repeat
    /// the whole answer with everything that the provider says of it, which no other could go on with.
    pub fn resumable(options: &RelayOptions<'_>) -> Self {
        match (options.provider, options.client) {
            (Protocol::OpenAiResponses, Protocol::OpenAiResponses) => Self::new(options),
            _ => Self(Kind::Bridge(Box::new(Bridge::resumable(options)))),
        }
    }

    /// Whether another provider's stream may follow, as long as the answer is one text.
    pub fn is_resumable(&self) -> bool {
        matches!(&self.0, Kind::Bridge(bridge) if bridge.is_resumable())
    }

    /// Takes note that nothing more comes, where `cut` has stopped it or the body has ended. Gives what is needed to
    /// continue a stream that broke off through no fault of the request, after text and nothing else.
    ///
    /// Where nobody continues it, [`Self::finish`] tells the client.
    pub fn broken_off(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> Option<BrokenOff> {
        match &mut self.0 {
            Kind::Bridge(bridge) => bridge.broken_off(cut, out),
            Kind::Tee(_) | Kind::Reframe(_) => None,
        }
    }

    /// Continues a stream that has [broken off](Self::broken_off) with that of a provider that was given its text up to
    /// the final white space. `repeats` where that provider repeats what it was given. The facts are those of
    /// the new stream from here on.
    pub fn resume(&mut self, provider: Protocol, framing: Framing, repeats: bool, out: &mut VecDeque<Bytes>) {
        if let Kind::Bridge(bridge) = &mut self.0 {
            bridge.resume(provider, framing, repeats, out);
        }
    }

    /// Makes the answer tell of keeping, before the first piece: a bridge to OpenAI Responses does. Where the
    /// provider speaks the client's protocol, it tells itself.
    pub fn keep_as(&mut self, kept: KeptAs) {
        if let Kind::Bridge(bridge) = &mut self.0 {
            bridge.keep_as(kept);
        }
    }

    /// Makes every event that repeats an answer of OpenAI Responses name the answer that its client went on from,
    /// before the first piece, where the provider speaks the client's protocol. A bridge is told by
    /// [`Self::keep_as`].
    pub fn goes_on_from(&mut self, previous: String) {
        if let Kind::Tee(tee) = &mut self.0 {
            tee.goes_on_from(previous);
        }
    }

    /// Takes the next piece of the provider's stream; what the client may have by now goes to `out`.
    ///
    /// Nothing is kept longer than the client's grammar demands. After the end or a failure, what
    /// follows is ignored (a pass-through still passes on what follows the end).
    pub fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        match &mut self.0 {
            Kind::Tee(tee) => tee.push(chunk, out),
            Kind::Reframe(reframe) => reframe.push(&chunk, out),
            Kind::Bridge(bridge) => bridge.push(&chunk, out),
        }
    }

    /// The provider is silent: writes what keeps the client's connection alive (a comment, a ping, white space)
    /// to `out`, in the client's own protocol. Nothing where the client has the beginning of a frame, which
    /// must not be torn, nor once the stream has ended or failed.
    ///
    /// Whoever calls it has sent the head: call it only behind the commit point.
    pub fn keep_alive(&mut self, out: &mut VecDeque<Bytes>) {
        match &mut self.0 {
            Kind::Tee(tee) => tee.keep_alive(out),
            Kind::Reframe(reframe) => reframe.keep_alive(out),
            Kind::Bridge(bridge) => bridge.keep_alive(out),
        }
    }

    /// Whether the first content of an answer was seen (an open part with content, or a finish): the commit point.
    pub fn committed(&self) -> bool {
        match &self.0 {
            Kind::Tee(tee) => tee.committed(),
            Kind::Reframe(reframe) => reframe.committed(),
            Kind::Bridge(bridge) => bridge.committed(),
        }
    }

    /// How far the stream is.
    pub fn state(&self) -> RelayState {
        match &self.0 {
            Kind::Tee(tee) => tee.state(),
            Kind::Reframe(reframe) => reframe.state(),
            Kind::Bridge(bridge) => bridge.state(),
        }
    }

    /// Why the stream failed, where [`Relay::state`] says so.
    pub fn failure(&self) -> Option<&ApiError> {
        match &self.0 {
            Kind::Tee(tee) => tee.failure(),
            Kind::Reframe(reframe) => reframe.failure(),
            Kind::Bridge(bridge) => bridge.failure(),
        }
    }

    /// Ends the stream, once: at the end of the provider's body (`None`), or when it broke or timed
    /// out (`Some`). Writes the client's terminal events, or its error event, to `out`.
    ///
    /// Where the provider's own end was seen before, a `cut` changes nothing.
    pub fn finish(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> End {
        match &mut self.0 {
            Kind::Tee(tee) => tee.finish(cut, out),
            Kind::Reframe(reframe) => reframe.finish(cut, out),
            Kind::Bridge(bridge) => bridge.finish(cut, out),
        }
    }

    /// What is known so far; right at any time, for a client that leaves.
    pub fn facts(&self) -> &Facts {
        match &self.0 {
            Kind::Tee(tee) => tee.facts(),
            Kind::Reframe(reframe) => reframe.facts(),
            Kind::Bridge(bridge) => bridge.facts(),
        }
    }
}
