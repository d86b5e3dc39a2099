//! Clients that leave before their answer has ended.
//!
//! Whatever is dropped cancels its attempt, so that a client which leaves costs no more than it has read.
//! Where the configuration says [`OnDisconnect::Drain`], what was sent to a provider is instead taken over by
//! a job, which reads on until the usage is told: bounded in time and in number, counted as an open request,
//! and cancelled like any other when its runtime ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::Response;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use weighbridge_transport::BoxFuture;

use crate::answer::AnswerBody;
use crate::exchange::Place;
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
}

impl Presence {
    pub(crate) fn new(on_disconnect: OnDisconnect, limits: DrainLimits) -> Self {
        match on_disconnect {
            OnDisconnect::Cancel => Self(None),
            OnDisconnect::Drain => Self(Some(Arc::new(Watched { state: AtomicU8::new(IDLE), limits }))),
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

    /// The client has left. Gives, once, the bounds of the job that is to read on, if anything is to be read.
    pub(crate) fn leave(&self) -> Option<DrainLimits> {
        let watched = self.0.as_ref()?;
        let left = watched.state.compare_exchange(SENT, LEFT, Ordering::AcqRel, Ordering::Acquire);
        left.is_ok().then_some(watched.limits)
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
        let Some(limits) = self.presence.leave() else { return };
        read_on(&self.core, limits, async { read_out(work.await.into_body()).await });
    }
}

/// The client has left: lets `rest` run as a job, within `limits`. Where it is dropped instead, the attempt is
/// cancelled.
pub(crate) fn read_on(
    core: &Arc<Core>,
    limits: DrainLimits,
    rest: impl Future<Output = ()> + Send + 'static,
) {
    let Ok(runtime) = Handle::try_current() else { return };
    let Some(place) = Place::take(&core.drains, limits.most) else { return };
    runtime.spawn(async move {
        let _place = place;
        if tokio::time::timeout(limits.time, rest).await.is_err() {
            tracing::debug!("an attempt whose client had left was cancelled: it took too long");
        }
    });
}

/// Reads a body to its end, for nobody.
pub(crate) async fn read_out(mut body: AnswerBody) {
    while body.frame().await.is_some() {}
}
