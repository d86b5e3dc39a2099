use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use weighbridge_transport::{BoxFuture, ByteStream, Phase, Rope, Transport, TransportError};
use weighbridge_units::AttemptId;

use crate::account::{Account, ReceivedRequest, locked};
use crate::ask::Ask;
use crate::body::{AnswerBody, Meter};
use crate::delivery::{self, Chunking, Cutting};
use crate::fault_queue::FaultQueue;
use crate::frame::{Frame, Progress, Telling};
use crate::headers::{self, EVENTS, JSON};
use crate::prefix_cache::PrefixCache;
use crate::refusal::Refusal;
use crate::scatter::Scatter;
use crate::script::{self, Candidate};
use crate::{AnswerEnd, BilledUsage, Fault, FaultMix, InvoiceLine, Vendor, anthropic, openai, price};

/// Decides a request's fault from the request; see [`SimulatorBuilder::fault_of`].
type FaultOf = Box<dyn Fn(&ReceivedRequest) -> Option<Fault> + Send + Sync>;

/// One simulated provider. Clones are the same provider.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

struct Shared {
    vendor: Vendor,
    settings: Settings,
    account: Arc<Account>,
    faults: Mutex<FaultQueue>,
    cache: PrefixCache,
    requests: AtomicU64,
}

struct Settings {
    keys: Vec<String>,
    chunking: Chunking,
    latency: Duration,
    crlf: bool,
    keep_requests: usize,
    fault_of: Option<FaultOf>,
}

/// Settings of a [`Simulator`].
pub struct SimulatorBuilder {
    vendor: Vendor,
    settings: Settings,
}

impl SimulatorBuilder {
    /// Accepts this credential, and from then on only those named. Without any, every credential is
    /// accepted that is not empty and does not contain `invalid`.
    #[must_use]
    pub fn api_key(mut self, key: &str) -> Self {
        self.settings.keys.push(key.to_owned());
        self
    }

    /// How streams are cut into chunks.
    #[must_use]
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.settings.chunking = chunking;
        self
    }

    /// The time from a request to the head of its answer; zero by default.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// Ends the lines of streams with CR LF, as some providers do.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.settings.crlf = true;
        self
    }

    /// How many received requests are kept; 1,000 by default.
    #[must_use]
    pub fn keep_requests(mut self, requests: usize) -> Self {
        self.settings.keep_requests = requests;
        self
    }

    /// Decides from each request whether and how it fails; queued faults come first.
    #[must_use]
    pub fn fault_of(
        mut self,
        decide: impl Fn(&ReceivedRequest) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        self.settings.fault_of = Some(Box::new(decide));
        self
    }

    /// The provider.
    pub fn build(self) -> Simulator {
        let account = Arc::new(Account::new(self.settings.keep_requests));
        Simulator {
            shared: Arc::new(Shared {
                vendor: self.vendor,
                settings: self.settings,
                account,
                faults: Mutex::default(),
                cache: PrefixCache::default(),
                requests: AtomicU64::new(0),
            }),
        }
    }
}

impl Simulator {
    /// A provider with default settings.
    pub fn new(vendor: Vendor) -> Self {
        Self::builder(vendor).build()
    }

    /// A provider with settings.
    pub fn builder(vendor: Vendor) -> SimulatorBuilder {
        let settings = Settings {
            keys: Vec::new(),
            chunking: Chunking::default(),
            latency: Duration::ZERO,
            crlf: false,
            keep_requests: 1_000,
            fault_of: None,
        };
        SimulatorBuilder { vendor, settings }
    }

    /// Whose API it speaks.
    pub fn vendor(&self) -> Vendor {
        self.shared.vendor
    }

    /// Lets the next request fail; several faults hit one request each, in order.
    pub fn push_fault(&self, fault: Fault) {
        locked(&self.shared.faults).push(None, fault);
    }

    /// Lets the next request whose body contains `text` fail.
    pub fn push_fault_when(&self, text: &str, fault: Fault) {
        locked(&self.shared.faults).push(Some(text.to_owned()), fault);
    }

    /// Lets requests fail at random from now on; queued faults come first.
    pub fn set_fault_mix(&self, mix: FaultMix) {
        locked(&self.shared.faults).mix = mix;
    }

    /// Forgets all faults that have not hit.
    pub fn clear_faults(&self) {
        *locked(&self.shared.faults) = FaultQueue::default();
    }

    /// Everything billed so far, in the order in which answers ended.
    pub fn invoice(&self) -> Vec<InvoiceLine> {
        self.shared.account.lines()
    }

    /// The last requests received, oldest first.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.account.received()
    }

    /// Requests received so far, also those no longer kept.
    pub fn request_count(&self) -> u64 {
        self.shared.requests.load(Ordering::Acquire)
    }

    /// Answers under way: neither ended nor left by their caller.
    pub fn open_answers(&self) -> usize {
        self.shared.account.open()
    }

    /// Forgets invoice and requests; answers under way are billed to the new invoice.
    pub fn forget(&self) {
        self.shared.account.forget();
    }

    /// Answers one request.
    ///
    /// # Errors
    /// A [`TransportError`] where a fault breaks the connection before the head of an answer.
    pub async fn answer(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, TransportError> {
        let (head, body) = request.into_parts();
        let received = ReceivedRequest {
            method: head.method,
            target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: head.headers,
            body,
        };
        let number = self.shared.requests.fetch_add(1, Ordering::AcqRel);
        self.shared.account.receive(received.clone());
        let fault = self.fault(&received, number);
        let mut ids = Scatter::of_bytes(&received.body);
        if let Some(id) = received.headers.get("x-client-request-id") {
            ids.mix(id.as_bytes());
        }
        let request_id = headers::request_id(&mut ids);
        let vendor = self.shared.vendor;
        if let Some(fault) = &fault
            && let Some(reply) = fails_at_once(fault, vendor, &request_id)
        {
            return reply;
        }
        match self.read(&received) {
            Ok(Route::Models) => Ok(response(200, JSON, models(vendor).to_string(), vendor, &request_id)),
            Ok(Route::Ask(ask)) if !ask.stream && matches!(fault, Some(Fault::ErrorMidStream { .. })) => {
                let refusal = Refusal { status: 200, ..Refusal::of_status(vendor, 500, None) };
                Ok(refusal_response(&refusal, vendor, &request_id))
            }
            Ok(Route::Ask(ask)) => self.generate(*ask, fault, &received, ids, &request_id).await,
            Err(refusal) => Ok(refusal_response(&refusal, vendor, &request_id)),
        }
    }

    fn fault(&self, request: &ReceivedRequest, number: u64) -> Option<Fault> {
        // No lock is held while a caller's closure decides: it may queue faults itself.
        let queued = locked(&self.shared.faults).take(&request.body);
        queued
            .or_else(|| self.shared.settings.fault_of.as_ref().and_then(|decide| decide(request)))
            .or_else(|| locked(&self.shared.faults).mix.draw(number))
    }

    /// Checks credentials, path and body.
    fn read(&self, request: &ReceivedRequest) -> Result<Route, Refusal> {
        let vendor = self.shared.vendor;
        headers::authorised(vendor, &request.headers, &self.shared.settings.keys)?;
        let path = request.target.split('?').next().unwrap_or_default();
        match (vendor, &request.method, path) {
            (_, &Method::GET, "/v1/models") => Ok(Route::Models),
            (Vendor::OpenAi, &Method::POST, "/v1/chat/completions")
            | (Vendor::Anthropic, &Method::POST, "/v1/messages") => {
                let body: Value = serde_json::from_slice(&request.body).map_err(|_| not_json(vendor))?;
                let ask = match vendor {
                    Vendor::OpenAi => openai::read(&body, &self.shared.cache),
                    Vendor::Anthropic => {
                        let version = headers::anthropic_version(&request.headers)?;
                        anthropic::read(&body, version, &self.shared.cache)
                    }
                };
                ask.map(|ask| Route::Ask(Box::new(ask)))
            }
            _ => Err(Refusal::of_status(vendor, 404, None)),
        }
    }

    /// Answers a request that may be answered.
    async fn generate(
        &self,
        ask: Ask,
        fault: Option<Fault>,
        request: &ReceivedRequest,
        mut ids: Scatter,
        request_id: &str,
    ) -> Result<Response<AnswerBody>, TransportError> {
        let vendor = self.shared.vendor;
        let line = line(vendor, &ask, &request.headers);
        let mut meter = Meter::start(self.shared.account.clone(), ask.model, line);
        if fault.as_ref().is_some_and(Fault::ends_badly) {
            meter.will_fail();
        }
        if fault == Some(Fault::StallBeforeHead) {
            meter.finished();
            return std::future::pending().await;
        }
        let pause = match fault {
            Some(Fault::SlowFrames(pause)) => pause,
            _ => Duration::from_millis(ask.directive("pace").unwrap_or(0)),
        };
        let candidates =
            script::candidates(&ask, &mut ids, if vendor == Vendor::OpenAi { "call_" } else { "toolu_01" });
        let mut latency = self.shared.settings.latency;
        if let Some(Fault::SlowHead(late)) = fault {
            latency += late;
        }
        if !ask.stream {
            // A whole answer takes about the time that its stream would take.
            let frames = Progress::total(&candidates).output / 2;
            latency += pause.saturating_mul(u32::try_from(frames).unwrap_or(u32::MAX));
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let delivery = match ask.stream {
            true => {
                let frames = stream_frames(&ask, &candidates, &mut ids, telling(fault.as_ref()));
                let Settings { chunking, crlf, .. } = self.shared.settings;
                delivery::stream(frames, fault.as_ref(), vendor, Cutting { chunking, pause, crlf }, &mut ids)
            }
            false => {
                delivery::whole(whole_frame(&ask, &candidates, &mut ids, fault.as_ref()), fault.as_ref())
            }
        };
        let mut response = Response::new(AnswerBody::metered(delivery, meter));
        headers::write(response.headers_mut(), vendor, request_id, if ask.stream { EVENTS } else { JSON });
        Ok(response)
    }
}

/// Where a request leads.
enum Route {
    Models,
    Ask(Box<Ask>),
}

fn telling(fault: Option<&Fault>) -> Telling {
    match fault {
        Some(Fault::NoUsage) => Telling::Never,
        Some(Fault::RunningUsage) => Telling::Running,
        _ => Telling::Documented,
    }
}

fn stream_frames(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, telling: Telling) -> Vec<Frame> {
    match (ask.model.vendor, candidates) {
        (Vendor::Anthropic, [candidate, ..]) => anthropic::frames(ask, candidate, ids, telling),
        _ => openai::frames(ask, candidates, ids, telling),
    }
}

fn whole_frame(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, fault: Option<&Fault>) -> Frame {
    let tells_usage = fault != Some(&Fault::NoUsage);
    let body = match (ask.model.vendor, candidates) {
        (Vendor::Anthropic, [candidate, ..]) => anthropic::whole(ask, candidate, ids, tells_usage),
        _ => openai::whole(ask, candidates, ids, tells_usage),
    };
    Frame { text: body.to_string(), progress: Progress::total(candidates), tells_usage }
}

/// The invoice line of a request of which nothing has been generated yet.
fn line(vendor: Vendor, ask: &Ask, headers: &HeaderMap) -> InvoiceLine {
    let attempt = headers.get("x-client-request-id").and_then(|id| id.to_str().ok());
    InvoiceLine {
        attempt: attempt.and_then(|id| id.parse::<AttemptId>().ok()),
        vendor,
        model: ask.model.family.to_owned(),
        stream: ask.stream,
        usage: BilledUsage {
            input: ask.prompt.input,
            cache_read: ask.prompt.cache_read,
            cache_write_5m: ask.prompt.cache_write_5m,
            cache_write_1h: ask.prompt.cache_write_1h,
            ..BilledUsage::default()
        },
        nano_usd: 0,
        end: AnswerEnd::CallerLeft,
        told: false,
    }
}

/// What a fault does before the request is looked at.
fn fails_at_once(
    fault: &Fault,
    vendor: Vendor,
    request_id: &str,
) -> Option<Result<Response<AnswerBody>, TransportError>> {
    let refused = |refusal: Refusal| Some(Ok(refusal_response(&refusal, vendor, request_id)));
    match fault {
        Fault::RefuseConnection => Some(Err(TransportError::new(Phase::Connect, "connection refused"))),
        Fault::Reset => Some(Err(TransportError::new(Phase::Head, "connection reset"))),
        Fault::Status { code, retry_after } => refused(Refusal::of_status(vendor, *code, *retry_after)),
        Fault::NoCredit => refused(Refusal::no_credit(vendor)),
        Fault::ContextTooLong => refused(Refusal::context_too_long(vendor, 300_000, 200_000)),
        Fault::ContentPolicy => refused(Refusal::content_policy(vendor)),
        Fault::ErrorUnder200 => refused(Refusal { status: 200, ..Refusal::of_status(vendor, 500, None) }),
        Fault::Html { code } => {
            let page = "<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>";
            Some(Ok(response(*code, "text/html; charset=utf-8", page, vendor, request_id)))
        }
        Fault::Empty => Some(Ok(response(200, JSON, "", vendor, request_id))),
        _ => None,
    }
}

fn refusal_response(refusal: &Refusal, vendor: Vendor, request_id: &str) -> Response<AnswerBody> {
    let body = refusal.body(vendor, request_id).to_string();
    let mut response = response(refusal.status, JSON, body, vendor, request_id);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

/// An answer that costs nothing.
fn response(
    status: u16,
    kind: &'static str,
    body: impl Into<Bytes>,
    vendor: Vendor,
    request_id: &str,
) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::free(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    headers::write(response.headers_mut(), vendor, request_id, kind);
    response
}

fn not_json(vendor: Vendor) -> Refusal {
    let message = match vendor {
        Vendor::OpenAi => {
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
             HTTP library correctly.)"
        }
        Vendor::Anthropic => "The request body is not valid JSON",
    };
    Refusal::new(400, "invalid_request_error", message)
}

/// `GET /v1/models`.
fn models(vendor: Vendor) -> Value {
    let models = price::models(vendor);
    match vendor {
        Vendor::OpenAi => {
            let model = |m: &price::Model| json!({"id": m.family, "object": "model", "created": 1_780_000_000, "owned_by": "system"});
            json!({"object": "list", "data": models.map(model).collect::<Vec<_>>()})
        }
        Vendor::Anthropic => {
            let model = |m: &price::Model| {
                json!({
                    "type": "model", "id": m.snapshot, "display_name": m.family, "lifecycle": "active",
                    "created_at": "2026-01-01T00:00:00Z",
                })
            };
            let data: Vec<Value> = models.map(model).collect();
            let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
            json!({"first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data})
        }
    }
}

impl Transport for Simulator {
    /// Answers in process. Pauses and latency are on tokio's clock, so that a test may stop it;
    /// where there are none, no clock and no runtime is needed.
    fn send(
        &self,
        request: Request<Rope>,
        _connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async move {
            let request = request.map(|rope| rope.to_bytes());
            let response = self.answer(request).await?;
            Ok(response.map(|body| Box::pin(body) as ByteStream))
        })
    }
}
