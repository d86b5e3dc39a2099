//! Requests under an idempotency key: of all that ask for the same within a window, one is carried out, and the
//! others get its answer.
//!
//! Three things know of a key, and each is asked in turn. The request that is running here is joined
//! ([`Running`]). An answer that was kept is replayed ([`Keeper::replay`]). The ledger has the last word: the claim
//! is committed with the first intent, so that of two instances one dispatches, and the other waits for what is
//! kept of it ([`elsewhere`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, header};
use weighbridge_cache::{KeptId, KeptReplay, Tenant};
use weighbridge_ledger::{AttemptEntry, Claim, ClaimId, PayloadHash};
use weighbridge_protocol::Body;
use weighbridge_protocol::anthropic_messages::header::{BETA, VERSION};
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, Monotonic, Timestamp};

use crate::answer::AnswerBody;
use crate::compiled::Compiled;
use crate::draft::Draft;
use crate::endpoint::Inference;
use crate::exchange::{Exchange, Place};
use crate::pipeline::Core;
use crate::receive::Authenticated;
use crate::refusal::Refusal;
use crate::respond;
use crate::tape::{Ended, Follower, Head, Tape};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_LENGTH: usize = 255;
/// Headers that change what is asked for.
const ASKING: [&str; 3] = [VERSION, BETA, "x-gateway-loss-policy"];
/// Bytes of all answers that may be followed at once.
const TAPED_MOST: usize = 256 << 20;

/// How long a request waits for the one that another instance carries out; then the client is to ask again.
const WAITS: Duration = Duration::from_secs(30);
/// How long it waits for an answer to be kept, once its attempt has succeeded.
const WAITS_FOR_KEPT: Duration = Duration::from_secs(3);
const LOOKS_FIRST: Duration = Duration::from_millis(25);
const LOOKS_LAST: Duration = Duration::from_millis(500);

/// What a request under an idempotency key asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    claim: ClaimId,
    payload: PayloadHash,
    tenant: Tenant,
    key: KeyId,
    until: Timestamp,
    body_most: usize,
}

impl Asked {
    /// Reads the key of a request, if it has one.
    pub(crate) fn read(
        caller: &Authenticated,
        inference: &Inference,
        body: &Body,
        settings: &Compiled,
        draft: &Draft,
    ) -> Result<Option<Self>, Refusal> {
        let headers = &caller.head.headers;
        let mut keys = headers.get_all(&IDEMPOTENCY_KEY).iter();
        let Some(key) = keys.next() else { return Ok(None) };
        if !settings.idempotency.enabled {
            return Ok(None);
        }
        let text = key.to_str().unwrap_or_default();
        if keys.next().is_some() || !(1..=KEY_LENGTH).contains(&text.len()) {
            let expected = "one key of 1 to 255 visible characters";
            return Err(Refusal::BadHeader { name: "idempotency-key", expected });
        }
        let principal = caller.principal.key();
        let tenant = crate::conversation::tenant_of(&caller.principal)?;
        let claim =
            ClaimId::of(&[tenant.as_str().as_bytes(), &principal.id.get().to_be_bytes(), text.as_bytes()]);
        let asking = ASKING.map(|name| values(headers, name));
        let form = format!("{:?}", inference.form);
        let [version, beta, losses] = &asking;
        let path = caller.head.uri.path().as_bytes();
        let payload = PayloadHash::of(&[path, form.as_bytes(), version, beta, losses, body.bytes()]);
        let until = draft.record.at + settings.idempotency.window;
        let body_most = settings.idempotency.max_body;
        Ok(Some(Self { claim, payload, tenant, key: principal.id, until, body_most }))
    }

    fn id(&self) -> KeptId {
        KeptId::of_claim(self.claim.get())
    }
}

/// All values of a header, one after the other.
fn values(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    values.join(&b',')
}

/// The requests under idempotency keys that are running here.
#[derive(Default)]
pub(crate) struct Running {
    carried_out: Mutex<HashMap<ClaimId, Arc<CarriedOut>>>,
    taped: Arc<AtomicUsize>,
}

/// One of them.
pub(crate) struct CarriedOut {
    asked: Asked,
    tape: Arc<Tape>,
    succeeded: AtomicBool,
}

impl CarriedOut {
    /// What its attempts claim.
    pub(crate) fn claim(&self) -> Claim {
        Claim { id: self.asked.claim, payload: self.asked.payload, until: self.asked.until }
    }

    /// An attempt has succeeded: the answer is worth keeping.
    pub(crate) fn succeeded(&self) {
        self.succeeded.store(true, Ordering::Release);
    }

    /// Whether somebody waits for the answer beside the client that asked first.
    pub(crate) fn is_followed(&self) -> bool {
        self.tape.is_followed()
    }
}

enum Entered {
    /// Nobody else asks for it here.
    Leads(Leading),
    /// It is being carried out.
    Follows(Arc<CarriedOut>),
}

impl Running {
    fn enter(&self, core: &Arc<Core>, asked: Asked) -> Entered {
        let mut carried_out = self.carried_out();
        if let Some(known) = carried_out.get(&asked.claim) {
            return Entered::Follows(Arc::clone(known));
        }
        let tape = Arc::new(Tape::new(asked.body_most, &self.taped, TAPED_MOST));
        let new = Arc::new(CarriedOut { asked, tape, succeeded: AtomicBool::new(false) });
        carried_out.insert(new.asked.claim, Arc::clone(&new));
        Entered::Leads(Leading { carried_out: new, core: Arc::clone(core) })
    }

    fn leave(&self, gone: &Arc<CarriedOut>) {
        let mut carried_out = self.carried_out();
        if carried_out.get(&gone.asked.claim).is_some_and(|known| Arc::ptr_eq(known, gone)) {
            carried_out.remove(&gone.asked.claim);
        }
    }

    fn carried_out(&self) -> MutexGuard<'_, HashMap<ClaimId, Arc<CarriedOut>>> {
        self.carried_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request that is carried out: whoever asks for the same follows it until this is dropped, which is once its
/// answer is kept.
pub(crate) struct Leading {
    carried_out: Arc<CarriedOut>,
    core: Arc<Core>,
}

/// What becomes of a request under an idempotency key.
pub(crate) enum Joined {
    /// It is carried out, at its place.
    Leads(Leading, Place),
    /// It gets the answer of another.
    Answered(Response<AnswerBody>),
}

/// Joins the request that is running here, or finds what it was answered with.
pub(crate) async fn join(
    asked: Asked,
    client: weighbridge_units::Protocol,
    draft: &mut Draft,
    place: Place,
) -> Result<Joined, Refusal> {
    let core = Arc::clone(&draft.core);
    loop {
        let known = match core.running.enter(&core, asked.clone()) {
            Entered::Follows(known) => known,
            Entered::Leads(leading) => {
                return match kept(&core, &asked).await {
                    Ok(Some(replay)) if replay.payload != asked.payload.0 => {
                        Err(Refusal::IdempotencyConflict)
                    }
                    Ok(Some(replay)) => Ok(Joined::Answered(respond::replayed(replay, draft))),
                    // Where the store cannot be read the ledger still knows what was carried out.
                    Ok(None) | Err(()) => Ok(Joined::Leads(leading, place)),
                };
            }
        };
        if known.asked.payload != asked.payload {
            return Err(Refusal::IdempotencyConflict);
        }
        let follower = Follower::new(Arc::clone(&known.tape));
        drop(known);
        match follower.head().await {
            Ok(head) => {
                let body = AnswerBody::following(follower, client, draft.record.id.clone(), place);
                return Ok(Joined::Answered(respond::followed(head, body, draft)));
            }
            Err(Ended::TooLarge) => return Err(Refusal::IdempotencyBusy),
            // It was given up: this one may carry it out itself.
            Err(Ended::Broken | Ended::Whole) => tokio::task::yield_now().await,
        }
    }
}

/// What is kept under a key; an error where that cannot be known.
async fn kept(core: &Core, asked: &Asked) -> Result<Option<KeptReplay>, ()> {
    let Some(keeper) = &core.keeper else { return Ok(None) };
    keeper.replay(&asked.tenant, &asked.id(), core.env.now()).await.map_err(|error| {
        tracing::error!(%error, "what an idempotency key was answered with cannot be read");
    })
}

impl Leading {
    pub(crate) fn carried_out(&self) -> Arc<CarriedOut> {
        Arc::clone(&self.carried_out)
    }

    /// Takes the answer down, as it leaves from now on.
    pub(crate) fn tape(self, response: Response<AnswerBody>) -> Response<AnswerBody> {
        let (head, mut body) = response.into_parts();
        let tape = &self.carried_out.tape;
        if let Some(bytes) = body.whole_bytes() {
            // All of it at once, so that nobody gets a head to which no body belongs.
            tape.push(bytes);
        }
        let request = head.headers.get(crate::receive::REQUEST_ID).and_then(|id| id.to_str().ok());
        let request = request.and_then(|id| weighbridge_units::RequestId::new(id).ok());
        if let Some(request) = request {
            let headers = respond::kept_headers(&head.headers);
            tape.begin(Head { request, status: head.status, headers });
        }
        if body.whole_bytes().is_some() || body.is_empty() {
            self.ended();
        } else {
            body.record(self);
        }
        Response::from_parts(head, body)
    }

    /// A piece of the answer leaves.
    pub(crate) fn push(&self, piece: &[u8]) {
        self.carried_out.tape.push(piece);
    }

    /// The answer has ended: it is kept, where it is one.
    pub(crate) fn ended(self) {
        let CarriedOut { asked, tape, succeeded } = &*self.carried_out;
        tape.end(Ended::Whole);
        if !succeeded.load(Ordering::Acquire) {
            return;
        }
        let Some(keeper) = &self.core.keeper else { return };
        let Some((head, body)) = tape.whole() else {
            tracing::info!(
                limit = asked.body_most,
                "an answer is too large to be kept for its idempotency key"
            );
            return;
        };
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec().into()));
        let replay = KeptReplay {
            id: asked.id(),
            tenant: asked.tenant.clone(),
            key: asked.key,
            created: self.core.env.now(),
            payload: asked.payload.0,
            request: head.request.as_str().to_owned(),
            status: head.status.as_u16(),
            headers: headers.collect(),
            body,
        };
        let (keeper, until) = (Arc::clone(keeper), asked.until);
        keeper.keep_replay(replay, until, self);
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.carried_out.tape.end(Ended::Broken);
        self.core.running.leave(&self.carried_out);
    }
}

/// What follows from the ledger's word that another attempt has the claim.
pub(crate) enum Elsewhere {
    /// It may be tried again.
    Again,
    /// This is what was answered.
    Replayed(KeptReplay),
    /// Nothing can be answered now.
    Refused(Refusal),
}

/// Waits for what another instance carries out, `since` when this request has begun to.
pub(crate) async fn elsewhere(exchange: &Exchange, attempt: AttemptId, since: Monotonic) -> Elsewhere {
    let (core, Some(carried_out)) = (exchange.core(), &exchange.carried_out) else {
        return Elsewhere::Refused(Refusal::Internal);
    };
    let asked = &carried_out.asked;
    let (mut look, mut done_since) = (LOOKS_FIRST, None);
    loop {
        if let Ok(Some(replay)) = kept(core, asked).await {
            return match replay.payload == asked.payload.0 {
                true => Elsewhere::Replayed(replay),
                false => Elsewhere::Refused(Refusal::IdempotencyConflict),
            };
        }
        let now = exchange.now();
        match core.ledger.store().attempt(attempt).await {
            Ok(Some(AttemptEntry::Open(_))) => {}
            Ok(Some(AttemptEntry::Ended(ended))) if ended.settlement.outcome == AttemptOutcome::Success => {
                if now.since(*done_since.get_or_insert(now)) >= WAITS_FOR_KEPT {
                    return Elsewhere::Refused(Refusal::IdempotencyGone);
                }
            }
            Ok(_) => return Elsewhere::Again,
            Err(error) => {
                tracing::error!(%error, "the ledger cannot be asked who has an idempotency key");
                return Elsewhere::Refused(Refusal::LedgerUnavailable);
            }
        }
        if now.since(since) >= WAITS {
            return Elsewhere::Refused(Refusal::IdempotencyBusy);
        }
        tokio::time::sleep(look).await;
        look = (look * 2).min(LOOKS_LAST);
    }
}

/// The headers of an answer that whoever asks once more gets too; of a refusal, whoever waited for it.
pub(crate) static KEPT_HEADERS: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("x-gateway-provider"),
    HeaderName::from_static("x-gateway-model"),
    HeaderName::from_static("x-gateway-loss"),
    header::RETRY_AFTER,
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-gateway-limit-kind"),
];
