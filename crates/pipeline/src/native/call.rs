//! One native call: reserved, sent, and ended once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use weighbridge_access::{Admission, AttemptClaim, AttemptMoney};
use weighbridge_ledger::{
    Billing, EndFacts, LedgerError, Name, Refusal as LedgerRefusal, Reservation, Reserve,
};
use weighbridge_records::{AttemptRecord, SessionBytes};
use weighbridge_routing::{FailureCause, Pick, Plan, Sent, TimeLimit};
use weighbridge_translate::decode_error;
use weighbridge_transport::{Consumed, Phase, Rope, Transport, TransportError, Upgraded};
use weighbridge_units::{AttemptId, AttemptOutcome, ErrorClass, Provenance};

use super::bedrock::{Finish, Weighed};
use super::body::NativeBody;
use super::session::{self, Session};
use super::{MODEL, What, Why, headers, upload};
use crate::attempt::{error, error_body, for_client, no_credential, retry_after, said_by, upstream_error};
use crate::attempt_timer::AttemptTimer;
use crate::budgets::Counting;
use crate::compiled::{Compiled, Deployment, Proof, Provider};
use crate::draft::Draft;
use crate::exchange::Place;
use crate::issued;
use crate::jobs::settle_soon;
use crate::metering::Worst;
use crate::outbound::{self, ATTEMPT_ID};
use crate::own_keys::{Lent, OwnKey, Used};
use crate::pipeline::{Core, Served};
use crate::read_body::read_body;
use crate::receive::Authenticated;
use crate::refusal::Refusal;
use crate::respond;
use crate::settings::NativeCalls;
use crate::upstream::{StreamFailure, Upstream};

/// How far beyond the call's own time limit its intent is left open.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// Reserves and sends a call; gives the answer's head, with its body to come.
pub(super) async fn send<B>(
    caller: Authenticated,
    settings: &Compiled,
    asked: What,
    place: Place,
    body: B,
    draft: &mut Draft,
    transport: &dyn Transport,
) -> Result<Served, Refusal>
where
    B: Body<Data = Bytes>,
{
    let core = Arc::clone(&draft.core);
    let What { target, path, invocation } = asked;
    let route = settings.route(&target).ok_or(Refusal::Internal)?;
    let deployment = route.deployments.first().ok_or(Refusal::Internal)?;
    let provider = &deployment.provider;
    let mut admission = caller.admission(&route, 0, draft)?;
    let lent = Lent::of(&core.shelf.load(), &caller.principal, &route);
    let mut plan = Plan::new(Arc::clone(&route.route));
    if let Some(lent) = &lent {
        plan = plan.with_own_keys(lent.pools());
    }
    let pick = plan.next(core.env.monotonic(), core.env.random()).ok_or_else(|| {
        upstream_error(error(ErrorClass::Overloaded, 503, "The provider is not available at the moment."))
    })?;
    let used = Used::picked(lent.as_ref(), &pick, provider)?;
    let model = draft.record.model.clone();
    let question = super::question(&caller, draft, &model);
    let counting = super::counting(&question, &caller, settings, provider, used.billing().book());
    let is_upgrade = caller.head.headers.contains_key(header::UPGRADE);
    let is_free = !is_upgrade && super::makes_nothing(&caller.head.method);
    let must_be_priced =
        provider.native != NativeCalls::Unmetered && super::must_be_priced(&counting, &caller);
    let unpriced = || super::refuse(Why::Unpriced { provider: provider.name.clone() });
    if !is_free && must_be_priced && invocation.is_none() {
        return unpriced();
    }

    let most = settings.limits.native_bytes;
    if body.size_hint().lower() > most {
        return Err(upload::too_large(most));
    }
    let mut pumped = None;
    let mut weighed = None;
    let rope = if body.is_end_stream() {
        Rope::new()
    } else if invocation.is_some() || is_signed(provider, &used) {
        // A signature is over the whole body, and what an invocation may cost stands in it.
        let bytes = read_body(body, settings.limits.body_bytes, settings.limits.body_time).await?;
        let billing = used.billing();
        weighed = invocation.and_then(|it| it.weigh(&caller, settings, &core, deployment, billing, &bytes));
        Rope::from(bytes)
    } else {
        let length = body.size_hint().exact();
        let (pump, reading) = upload::pair();
        pumped = Some((pump, body));
        Rope::streamed(reading, length)
    };
    let worst = weighed.as_ref().and_then(|weighed| weighed.worst);
    if !is_free && must_be_priced && worst.is_none() {
        return unpriced();
    }
    let worst = worst.unwrap_or(Worst::NOTHING);

    let target = (used.billing() == Billing::Platform).then_some(&deployment.limits);
    let now = core.env.monotonic();
    let money = AttemptMoney { cost: worst.cost, price: worst.price };
    let claimed = match core.fleet.as_ref().filter(|_| admission.is_limited(target)) {
        Some(fleet) => Box::pin(admission.attempt_among(fleet, target, money, now)).await,
        None => admission.attempt(target, money, now),
    };
    let mut claim = claimed.map_err(Refusal::Limit)?;
    admission.adopt(&mut claim);
    let attempt = AttemptId::new(core.env.now(), core.env.random_wide());
    // What weighs the call may not be looked at by several threads, as a future that waits may be.
    let priced = (worst, weighed.as_ref().map(Weighed::price_version));
    let reservation = match is_free {
        true => None,
        false => Some(reserve(&core, &caller, deployment, used.billing(), priced, attempt, &counting).await?),
    };
    drop(counting);

    let uri = path.uri(provider.base_url()).ok_or(Refusal::Internal)?;
    let is_head = caller.head.method == Method::HEAD;
    let mut request = request(&caller, provider, &used, uri, attempt, rope);
    if weighed.is_some() {
        // What is to be read must not be compressed.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    let about = format!("{} {}", caller.head.method, path.path().chars().take(200).collect::<String>());
    tracing::debug!(provider = &*provider.name, about, "a native call");
    draft.record.tags = caller.attributes.tags.into_pairs();
    draft.record.tags.push((MODEL.into(), about.into()));
    draft.record.end_user = caller.attributes.user;
    let protocol = deployment.addresses().first().map_or(draft.record.client_protocol, |it| it.protocol);
    let started = draft.offset(core.env.monotonic());
    let model = deployment.model.clone();
    let mut record = AttemptRecord::new(attempt, provider.name.clone(), model, protocol, started);
    record.own_key = used.own().and_then(OwnKey::id).map(|id| id.to_string().into());
    let flight = Flight {
        record,
        reservation,
        weighed,
        claim,
        admission,
        pick: Some(pick),
        core: Arc::clone(&core),
        _place: place,
    };
    let mut waiting = Waiting { flight: Some(flight), draft };

    let shown = match issued::put(&mut request, core.env.now()).await {
        Ok(shown) => shown,
        Err(failure) => return Err(waiting.not_sent(&failure, provider)),
    };
    let timeouts = provider.timeouts;
    let within = settings.limits.body_time;
    let sent = tokio::time::timeout(timeouts.total, async {
        if is_upgrade {
            let sending = transport.upgrade(request, timeouts.connect);
            return upload::exchange(sending, pumped, most, within, timeouts.first_byte).await;
        }
        let sending = transport.send(request, timeouts.connect);
        let sent = upload::exchange(sending, pumped, most, within, timeouts.first_byte).await;
        sent.map(|sent| sent.map(Upgraded::Declined))
    });
    let response = match sent.await {
        Ok(Ok(Ok(Upgraded::Declined(response)))) => response,
        Ok(Ok(Ok(Upgraded::Switched(head, tunnel)))) => {
            waiting.head_came(head.status().as_u16());
            let flight = waiting.flight.take().ok_or(Refusal::Internal)?;
            let mut response = session::answer(&head, Session::new(tunnel, flight, timeouts));
            respond::write_provider(response.headers_mut(), provider.shown.clone());
            return Ok(Served::Switched(response));
        }
        Ok(Ok(Err(failure))) => return Err(waiting.not_sent(&failure, provider)),
        Ok(Err(upload::Unanswered::Refused(refusal))) => {
            waiting.end(AttemptOutcome::FailedBeforeOutput, None, None);
            return Err(refusal);
        }
        Ok(Err(upload::Unanswered::Late)) => return Err(waiting.timed_out(TimeLimit::FirstByte)),
        Err(_) => return Err(waiting.timed_out(TimeLimit::Total)),
    };
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    waiting.head_came(status);
    let mut timer = AttemptTimer::start(timeouts, false);
    timer.piece_came();
    let mut upstream = Upstream::new(body, timer);
    if matches!(status, 401 | 403) {
        let class = said_by(protocol, &head, &error_body(&mut upstream).await).class;
        let cause = FailureCause::Status { class, retry_after: None };
        if shown.is_some_and(|shown| shown.is_replaced(&cause, core.env.now())) {
            // The next call has another one: nobody is benched for what an issuer does.
            waiting.end(AttemptOutcome::FailedBeforeOutput, Some(class), None);
        } else {
            waiting.failed(&cause, class);
        }
        let own = used.own().and_then(|own| own.refused(provider, class, status));
        return Err(own.unwrap_or_else(|| upstream_error(for_client(error(class, status, "")))));
    }
    if head.status.is_client_error() || head.status.is_server_error() {
        let class = decode_error(protocol, status, b"").class;
        waiting.judge(&FailureCause::Status { class, retry_after: retry_after(&head.headers) }, class);
    }
    let mut flight = waiting.flight.take().ok_or(Refusal::Internal)?;
    if let Some(weighed) = &mut flight.weighed {
        weighed.head_came(status, &head.headers, settings.limits.answer_bytes);
    }
    let length = length(&head, is_head);
    let mut response = Response::new(Box::new(NativeBody::new(upstream, flight, length)));
    *response.status_mut() = head.status;
    *response.headers_mut() = headers::down(&head.headers);
    respond::write_provider(response.headers_mut(), provider.shown.clone());
    Ok(Served::Native(response))
}

fn is_signed(provider: &Provider, used: &Used) -> bool {
    let Used::Platform(at) = used else { return false };
    match provider.credentials.get(*at).map(|credential| &credential.proof) {
        Some(Proof::Signature(_)) => true,
        Some(Proof::Issued(issued)) => issued.0.signs(),
        Some(Proof::Header(..)) | None => false,
    }
}

/// How many bytes of a body follow a head, where it says so.
fn length(head: &http::response::Parts, is_head: bool) -> Option<u64> {
    if is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(0);
    }
    head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// The request: what the gateway sends to the provider anyway, and what passes of the client's.
fn request(
    caller: &Authenticated,
    provider: &Provider,
    used: &Used,
    uri: http::Uri,
    attempt: AttemptId,
    rope: Rope,
) -> Request<Rope> {
    let mut request = outbound::call(provider, used, uri, None, rope);
    *request.method_mut() = caller.head.method.clone();
    let onto = request.headers_mut();
    // It is the client's to say what it sends.
    onto.remove(header::CONTENT_TYPE);
    headers::up(&caller.head.headers, onto);
    if caller.head.headers.contains_key(header::UPGRADE) {
        headers::up_websocket(&caller.head.headers, onto);
    }
    if let Ok(id) = HeaderValue::try_from(attempt.to_string()) {
        onto.insert(ATTEMPT_ID, id);
    }
    request
}

/// The intent: nothing is dispatched that the ledger does not know of.
async fn reserve(
    core: &Core,
    caller: &Authenticated,
    deployment: &Deployment,
    billing: Billing,
    (worst, version): (Worst, Option<Name>),
    attempt: AttemptId,
    counting: &[Counting<'_>],
) -> Result<Reservation, Refusal> {
    let at = core.env.now();
    let (payer, credit_limit) = caller.principal.payer();
    let command = Reserve {
        attempt,
        at,
        expires: at + deployment.provider.timeouts.total + EXPIRY_MARGIN,
        key: caller.principal.key().id,
        tenant: Name::new(payer.shared()),
        provider: deployment.provider.ledger_name.clone(),
        model: deployment.ledger_name.clone(),
        price_version: version.unwrap_or_else(|| core.prices.load().version.clone()),
        billing,
        amount: worst.price,
        tokens: worst.tokens,
        credit_limit,
        claim: None,
        holds: counting.iter().map(Counting::hold).collect(),
        estimate: worst.cost,
    };
    core.ledger.reserve(command).await.map_err(|refused| match refused {
        LedgerError::Refused(LedgerRefusal::Budget { account, available, .. }) => {
            let full = counting.iter().find(|counting| counting.account == account);
            let reset = full.and_then(|full| full.window.end).map(|end| at.until(end));
            Refusal::Budget { measure: account.measure(), available, reset }
        }
        LedgerError::Refused(LedgerRefusal::Wallet { available, .. }) => Refusal::Wallet { available },
        LedgerError::Full { .. } => Refusal::Overloaded,
        error => {
            tracing::error!(%error, "a reservation failed, so nothing was sent");
            Refusal::LedgerUnavailable
        }
    })
}

/// A call that may be under way. It is ended once, also when it is dropped.
pub(super) struct Flight {
    record: AttemptRecord,
    /// `None` for calls that make nothing.
    reservation: Option<Reservation>,
    /// What reads the usage of a call whose answer tells it.
    weighed: Option<Weighed>,
    claim: AttemptClaim,
    admission: Admission,
    /// Until health knows how it went.
    pick: Option<Pick>,
    core: Arc<Core>,
    _place: Place,
}

impl Flight {
    /// The provider has left HTTP, which is its answer as far as its health goes: how long people talk says nothing.
    pub(super) fn switched(&mut self) {
        if let Some(pick) = self.pick.take() {
            pick.succeeded(self.core.env.monotonic());
        }
    }

    /// A piece of the answer passes.
    pub(super) fn passes(&mut self, piece: &Bytes) {
        if let Some(weighed) = &mut self.weighed {
            weighed.push(piece);
        }
    }

    /// The answer has ended, as far as HTTP goes.
    pub(super) fn finish(&mut self) -> Finish {
        self.weighed.as_mut().map_or(Finish::Whole, Weighed::finish)
    }

    /// What has passed since the provider left HTTP.
    pub(super) fn passed(&mut self, bytes: SessionBytes) {
        self.record.session = Some(bytes);
    }

    /// Ends it, and notes it in the record of its request.
    pub(super) fn end(
        self,
        outcome: AttemptOutcome,
        class: Option<ErrorClass>,
        cause: Option<&FailureCause>,
        draft: Option<&mut Draft>,
    ) {
        let Self { mut record, reservation, weighed, claim, admission, pick, core, .. } = self;
        let now = core.env.monotonic();
        if let Some(pick) = pick {
            match (cause, outcome) {
                (Some(cause), _) => pick.failed(cause, now),
                (None, AttemptOutcome::Success) => pick.succeeded(now),
                (None, _) => drop(pick),
            }
        }
        // An answer with an error status was passed on whole, and is a failure all the same.
        let has_failed = record.error.is_some() && outcome == AttemptOutcome::Success;
        record.outcome = if has_failed { AttemptOutcome::FailedBeforeOutput } else { outcome };
        record.error = class.or(record.error);
        let facts = match &weighed {
            Some(weighed) => weighed.enter(core.env.now(), &mut record),
            None => None,
        };
        let facts = facts.unwrap_or_else(|| EndFacts {
            outcome: record.outcome,
            provenance: Provenance::Estimated,
            reason: Name::new("unmetered"),
            ..EndFacts::not_dispatched(core.env.now())
        });
        claim.settle(facts.usage.total(), facts.cost, record.charged, now);
        admission.true_up(facts.usage.total(), now);
        let Some(reservation) = reservation else { return };
        reservation.end(facts);
        if core.ledger.wants_flush() {
            settle_soon(&core);
        }
        if let Some(draft) = draft {
            record.ended_us = draft.offset(now);
            draft.record.attempts.push(record);
        }
    }
}

/// A call whose answer has not begun.
struct Waiting<'a> {
    flight: Option<Flight>,
    draft: &'a mut Draft,
}

impl Waiting<'_> {
    fn head_came(&mut self, status: u16) {
        if let Some(flight) = &mut self.flight {
            let now = self.draft.offset(flight.core.env.monotonic());
            flight.record.status = Some(status);
            flight.record.first_byte_us = Some(now);
            self.draft.waited += Duration::from_micros(now.saturating_sub(flight.record.started_us));
        }
    }

    /// The provider answered with an error, which is passed on.
    fn judge(&mut self, cause: &FailureCause, class: ErrorClass) {
        if let Some(flight) = &mut self.flight {
            flight.record.error = Some(class);
            if let Some(pick) = flight.pick.take() {
                pick.failed(cause, flight.core.env.monotonic());
            }
        }
    }

    fn end(&mut self, outcome: AttemptOutcome, class: Option<ErrorClass>, cause: Option<&FailureCause>) {
        if let Some(flight) = self.flight.take() {
            flight.end(outcome, class, cause, Some(self.draft));
        }
    }

    fn failed(&mut self, cause: &FailureCause, class: ErrorClass) {
        self.end(AttemptOutcome::FailedBeforeOutput, Some(class), Some(cause));
    }

    fn not_sent(&mut self, failure: &TransportError, provider: &Provider) -> Refusal {
        tracing::debug!(%failure, "a native call did not reach an answer");
        if failure.phase == Phase::Credential {
            self.failed(&FailureCause::NoCredential, ErrorClass::Server);
            return no_credential(&provider.name);
        }
        let sent = if failure.consumed == Consumed::No { Sent::No } else { Sent::Maybe };
        self.failed(&FailureCause::Transport { sent }, ErrorClass::Server);
        upstream_error(error(
            ErrorClass::Server,
            502,
            "The provider cannot be reached, or closed the connection.",
        ))
    }

    fn timed_out(&mut self, limit: TimeLimit) -> Refusal {
        self.end(AttemptOutcome::TimedOut, Some(ErrorClass::Timeout), Some(&FailureCause::TimedOut(limit)));
        upstream_error(StreamFailure::TimedOut(limit).to_api_error())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let panics = std::thread::panicking();
        let outcome = if panics { AttemptOutcome::Crashed } else { AttemptOutcome::ClientLeft };
        self.end(outcome, None, None);
    }
}
