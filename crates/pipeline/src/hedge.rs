//! Hedging: where the first content of an attempt is late, another target is asked beside it. Whoever has content
//! first answers; the others are cancelled and booked as lost.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::time::{Instant, Sleep, sleep_until};
use weighbridge_routing::{FirstContent, Plan, Verdict, verdict};
use weighbridge_stream::Facts;
use weighbridge_transport::Transport;

use crate::answer::AnswerBody;
use crate::aside::Race;
use crate::attempt::{Attempted, Failed, dispatch, keep_decision};
use crate::compiled::{Compiled, ModelRoute};
use crate::exchange::Exchange;
use crate::in_flight::InFlight;
use crate::own_keys::Lent;
use crate::reserve::{Prepared, Reserved, Unfit, prepare_on};
use crate::settings::{HedgeAfter, HedgeSettings};
use crate::{respond, streamed, whole};

/// How a route hedges, and what it knows of its answers.
pub(crate) struct Hedging {
    pub(crate) settings: HedgeSettings,
    /// Of whole answers and of streams.
    times: [FirstContent; 2],
}

impl Hedging {
    pub(crate) fn new(settings: HedgeSettings) -> Self {
        Self { settings, times: std::array::from_fn(|_| FirstContent::new()) }
    }

    fn times(&self, streamed: bool) -> &FirstContent {
        &self.times[usize::from(streamed)]
    }

    /// How long the first content may take; `None` while nobody knows.
    fn delay(&self, streamed: bool) -> Option<Duration> {
        match self.settings.after {
            HedgeAfter::Time(time) => Some(time),
            HedgeAfter::Percentile(percent) => self.times(streamed).percentile(percent),
        }
    }
}

/// An attempt that has content for the client, and has told nobody yet.
pub(crate) struct Ready {
    in_flight: InFlight,
    content: Content,
}

/// What is at hand of an answer.
pub(crate) enum Content {
    Stream(Box<streamed::Held>),
    Whole(Bytes, Box<Facts>),
}

impl Ready {
    pub(crate) fn new(in_flight: InFlight, content: Content) -> Box<Self> {
        Box::new(Self { in_flight, content })
    }

    /// Answers `request` with it.
    fn answer(self, request: Box<Exchange>, settings: &Compiled) -> Response<AnswerBody> {
        let Self { mut in_flight, content } = self;
        in_flight.answers(request);
        match content {
            Content::Stream(held) => held.hand_over(in_flight, settings),
            Content::Whole(answer, facts) => whole::hand_over(in_flight, answer, &facts),
        }
    }
}

/// What the attempts of a request have in common.
pub(crate) struct Track<'a> {
    pub(crate) settings: &'a Compiled,
    pub(crate) route: &'a ModelRoute,
    pub(crate) lent: Option<&'a Lent>,
    pub(crate) transport: &'a dyn Transport,
}

struct Racer<'a> {
    attempt: Pin<Box<dyn Future<Output = Attempted> + Send + 'a>>,
    lost: Arc<AtomicBool>,
    started: Instant,
}

impl<'a> Racer<'a> {
    /// `lost` holds until it has won, or is the only one left: of a client that leaves, only one attempt is paid for.
    fn new(reserved: Reserved, lost: Arc<AtomicBool>, track: &Track<'a>) -> Self {
        let (settings, transport) = (track.settings, track.transport);
        let attempt = Box::pin(async move { dispatch(reserved, settings, transport).await });
        Self { attempt, lost, started: Instant::now() }
    }
}

/// Sends an attempt, and others beside it where it is slow. Gives what one attempt would have given.
pub(crate) async fn race(
    reserved: Reserved,
    plan: &mut Plan,
    hedging: &Hedging,
    track: &Track<'_>,
) -> Attempted {
    let Reserved { mut intent, body } = reserved;
    let (race, lost) = (Arc::new(Race::default()), Arc::new(AtomicBool::new(false)));
    let first = intent.exchange.racer(&race, &lost);
    let mut request = std::mem::replace(&mut intent.exchange, first);
    request.draft.race = Some(Arc::clone(&race));
    request.draft.presence.at_provider(true);
    let streamed = request.envelope.stream;
    let (began, delay) = (request.now(), hedging.delay(streamed));
    let mut racers = vec![Racer::new(Reserved { intent, body }, lost, track)];
    let left = track.settings.limits.attempts.saturating_sub(plan.tries());
    let mut more = if delay.is_some() { hedging.settings.most.min(left) } else { 0 };
    let delay = delay.unwrap_or_default();
    let mut slow = pin!(sleep_until(Instant::now() + delay));
    loop {
        let timer = (more > 0).then_some(slow.as_mut());
        let ended = match ended(&mut racers, timer).await {
            Some(ended) => ended,
            None => {
                more -= 1;
                slow.as_mut().reset(Instant::now() + delay);
                match start(&mut request, &race, plan, &mut racers, track).await {
                    Started::Ended(ended) => ended,
                    Started::Yes => continue,
                    Started::No => {
                        more = 0;
                        continue;
                    }
                }
            }
        };
        let (racer, attempted) = ended;
        if let (Attempted::Failed(failed), Some(next)) = (&attempted, racers.first())
            && verdict(&failed.cause, track.route.route.rules()) != Verdict::Stop
        {
            // The others may still answer. Where the client leaves, one of them is what it has left.
            next.lost.store(false, Ordering::Release);
            let Attempted::Failed(failed) = attempted else { continue };
            let Failed { pick, cause, .. } = *failed;
            plan.failed(pick, &cause, request.now());
            continue;
        }
        if matches!(attempted, Attempted::Ready(_)) {
            // Of who was given up it is known that it would have taken longer.
            let known = racers.iter().map(|other| other.started).chain([racer.started]).min();
            hedging.times(streamed).note(known.map_or(Duration::ZERO, |since| since.elapsed()));
        }
        racer.lost.store(false, Ordering::Release);
        racers.iter().for_each(|other| other.lost.store(true, Ordering::Release));
        drop(racers);
        request.draft.waited += request.now().since(began);
        keep_decision(&mut request, plan, track.route);
        return match attempted {
            Attempted::Ready(ready) => Attempted::Answered(ready.answer(request, track.settings)),
            Attempted::Failed(failed) => {
                let Failed { exchange, pick, cause, refusal, renewed } = *failed;
                drop(exchange);
                request.gather();
                request.draft.presence.at_provider(false);
                Attempted::Failed(Box::new(Failed { exchange: request, pick, cause, refusal, renewed }))
            }
            Attempted::Answered(_) | Attempted::GoesOn(_) => Attempted::Answered(respond::internal()),
        };
    }
}

type Ended<'a> = (Racer<'a>, Attempted);

/// The next attempt that ends; `None` where the timer is first.
async fn ended<'a>(racers: &mut Vec<Racer<'a>>, mut timer: Option<Pin<&mut Sleep>>) -> Option<Ended<'a>> {
    std::future::poll_fn(|cx| match poll_ended(racers, cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => match &mut timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        },
    })
    .await
}

fn poll_ended<'a>(racers: &mut Vec<Racer<'a>>, cx: &mut Context<'_>) -> Poll<Ended<'a>> {
    for at in 0..racers.len() {
        let Some(racer) = racers.get_mut(at) else { break };
        if let Poll::Ready(attempted) = racer.attempt.as_mut().poll(cx) {
            return Poll::Ready((racers.remove(at), attempted));
        }
    }
    Poll::Pending
}

enum Started<'a> {
    /// A further attempt runs.
    Yes,
    /// There is no other target, or none that may be asked.
    No,
    /// Another has ended meanwhile.
    Ended(Ended<'a>),
}

/// Asks another target as well. While its attempt is reserved, the others go on.
async fn start<'a>(
    request: &mut Exchange,
    race: &Arc<Race>,
    plan: &mut Plan,
    racers: &mut Vec<Racer<'a>>,
    track: &Track<'a>,
) -> Started<'a> {
    if !request.has_time() {
        return Started::No;
    }
    let Some(pick) = plan.hedge(request.now(), request.core().env.random()) else { return Started::No };
    let Some(deployment) = track.route.deployments.get(pick.target().get()) else { return Started::No };
    let prepared: Result<Result<Prepared, Unfit>, Ended<'a>> = {
        let prepare = prepare_on(request, track.settings, track.route, deployment, &pick, track.lent);
        let mut prepare = pin!(prepare);
        std::future::poll_fn(|cx| match poll_ended(racers, cx) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending => prepare.as_mut().poll(cx).map(Ok),
        })
        .await
    };
    match prepared {
        Ok(Ok(prepared)) => {
            let lost = Arc::new(AtomicBool::new(true));
            let exchange = request.racer(race, &lost);
            let reserved = prepared.into_reserved(exchange, Arc::clone(deployment), pick);
            racers.push(Racer::new(reserved, lost, track));
            Started::Yes
        }
        Ok(Err(unfit)) => {
            plan.reject(pick, unfit.why, request.now());
            Started::No
        }
        Err(ended) => {
            plan.put_back(pick, request.now());
            Started::Ended(ended)
        }
    }
}
