//! Clients that leave before their answer has ended.
//!
//! Whatever is dropped cancels its attempt, so that a client which leaves costs no more than it has read.
//! Where the configuration says [`OnDisconnect::Drain`], what was sent to a provider is instead taken over by
//! a job, which reads on until the usage is told: bounded in time and in number, counted as an open request,
//! and cancelled like any other when its runtime ends.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::Response;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use weighbridge_transport::BoxFuture;

use crate::answer::AnswerBody;
use crate::exchange::Place;
use crate::idempotency::CarriedOut;
use crate::pipeline::Core;
use crate::settings::{DrainLimits, OnDisconnect};

/// Nothing is at a provider.
const IDLE: u8 = 0;
/// An attempt may be costing money.
const SENT: u8 = 1;
/// The client has left, and a job reads on.
const LEFT: u8 = 2;

/// What is known of a client's presence, where anything hangs on it: only where attempts are drained.
#[derive(Clone, Default)]
pub(crate) struct Presence(Option<Arc<Watched>>);

struct Watched {
    state: AtomicU8,
    limits: DrainLimits,
    /// What the request's idempotency key stands for.
    carried_out: Option<Arc<CarriedOut>>,
}

/// What a job needs that reads on.
pub(crate) struct Rest {
    limits: DrainLimits,
    carried_out: Option<Arc<CarriedOut>>,
}

impl Presence {
    /// Under an idempotency key an answer is read to its end in any case, for whoever asks once more.
    pub(crate) fn new(
        on_disconnect: OnDisconnect,
        limits: DrainLimits,
        carried_out: Option<&Arc<CarriedOut>>,
    ) -> Self {
        let carried_out = carried_out.cloned();
        match (on_disconnect, &carried_out) {
            (OnDisconnect::Cancel, None) => Self(None),
            _ => Self(Some(Arc::new(Watched { state: AtomicU8::new(IDLE), limits, carried_out }))),
        }
    }

    /// Notes that an attempt was sent, or has ended.
    pub(crate) fn at_provider(&self, sent: bool) {
        let Some(watched) = &self.0 else { return };
        let (from, to) = if sent { (IDLE, SENT) } else { (SENT, IDLE) };
        // A client that has left does not come back.
        let _ = watched.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the client has left, and only the usage of what it asked for still matters.
    pub(crate) fn has_left(&self) -> bool {
        self.0.as_ref().is_some_and(|watched| watched.state.load(Ordering::Acquire) == LEFT)
    }

    /// The client has left. Gives, once, what the job needs that is to read on, if anything is to be read.
    pub(crate) fn leave(&self) -> Option<Rest> {
        let watched = self.0.as_ref()?;
        let left = watched.state.compare_exchange(SENT, LEFT, Ordering::AcqRel, Ordering::Acquire);
        let carried_out = watched.carried_out.clone();
        left.is_ok().then_some(Rest { limits: watched.limits, carried_out })
    }
}

/// The way of a request from its plan to the head of its answer, which goes on where the client leaves.
pub(crate) struct Attended {
    work: Option<BoxFuture<'static, Response<AnswerBody>>>,
    presence: Presence,
    core: Arc<Core>,
}

impl Attended {
    pub(crate) fn new(
        work: BoxFuture<'static, Response<AnswerBody>>,
        presence: Presence,
        core: Arc<Core>,
    ) -> Self {
        Self { work: Some(work), presence, core }
    }
}

impl Future for Attended {
    type Output = Response<AnswerBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<AnswerBody>> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let response = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(response)
    }
}

impl Drop for Attended {
    /// The client has left before the head of its answer.
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let Some(rest) = self.presence.leave() else { return };
        read_on(&self.core, rest, async { read_out(work.await.into_body()).await });
    }
}

/// The client has left: lets `reading` run as a job, within its limits, and for as long as somebody reads along
/// under its idempotency key. Where it is dropped instead, the attempt is cancelled.
pub(crate) fn read_on(core: &Arc<Core>, rest: Rest, reading: impl Future<Output = ()> + Send + 'static) {
    let Rest { limits, carried_out } = rest;
    let Ok(runtime) = Handle::try_current() else { return };
    let Some(place) = Place::take(&core.drains, limits.most) else { return };
    runtime.spawn(async move {
        let _place = place;
        let mut reading = pin!(reading);
        while tokio::time::timeout(limits.time, reading.as_mut()).await.is_err() {
            if !carried_out.as_ref().is_some_and(|carried_out| carried_out.is_followed()) {
                tracing::debug!("an attempt whose client had left was cancelled: it took too long");
                return;
            }
        }
    });
}

/// Reads a body to its end, for nobody.
pub(crate) async fn read_out(mut body: AnswerBody) {
    while body.frame().await.is_some() {}
}
