//! From a request to its answer: credentials, route, body, faults, generation.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use weighbridge_transport::{Phase, TransportError};
use weighbridge_units::AttemptId;

use crate::account::{ReceivedRequest, locked};
use crate::ask::{Ask, Form, House, Own};
use crate::body::{AnswerBody, Meter};
use crate::delivery::{self, Cutting};
use crate::embedding::Embedding;
use crate::frame::{Frame, Progress, Telling};
use crate::headers::{self, JSON};
use crate::refusal::Refusal;
use crate::route::Route;
use crate::scatter::Scatter;
use crate::script::{self, Candidate};
use crate::simulator::{Settings, Simulator};
use crate::{
    AnswerEnd, BilledUsage, Copyist, Fault, InvoiceLine, UsageAt, Vendor, anthropic, api, azure, bedrock,
    gemini, openai, price, responses,
};

/// What a request comes to.
enum Reading {
    /// A text is to be generated.
    Ask(Box<Ask>),
    /// Texts become numbers.
    Embedding(Embedding),
    /// A document that costs nothing.
    Document(Value),
    /// The content of a file.
    Content(Bytes),
}

impl Simulator {
    /// Answers one request.
    ///
    /// # Errors
    /// A [`TransportError`] where a fault breaks the connection before the head of an answer.
    pub async fn answer(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, TransportError> {
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        // In process nobody else puts it there.
        if let (None, Some(authority)) = (headers.get(HOST), head.uri.authority())
            && let Ok(host) = authority.as_str().parse()
        {
            headers.insert(HOST, host);
        }
        let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let received = ReceivedRequest { method: head.method, target, headers, body };
        let number = self.shared.requests.fetch_add(1, Ordering::AcqRel);
        self.shared.account.receive(received.clone());
        let fault = self.fault(&received, number);
        let mut ids = Scatter::of_bytes(&received.body);
        if let Some(id) = received.headers.get("x-client-request-id") {
            ids.mix(id.as_bytes());
        }
        let request_id = headers::request_id(&mut ids);
        let vendor = self.shared.vendor;
        let route = match self.shared.settings.copyist {
            Some(copyist) => copyist.route(&received.method, &received.target, &received.headers),
            None => Route::of(vendor, &received.method, &received.target),
        };
        if let Some(fault) = &fault
            && let Some(reply) = fails_at_once(fault, vendor, route.as_ref(), &request_id)
        {
            return reply;
        }
        let in_array = route.as_ref().is_some_and(Route::errors_in_arrays);
        match self.read(&received, route, &mut ids) {
            Ok(Reading::Document(document)) => {
                Ok(response(200, JSON, document.to_string(), vendor, &request_id))
            }
            Ok(Reading::Content(content)) => {
                Ok(response(200, "application/octet-stream", content, vendor, &request_id))
            }
            Ok(Reading::Ask(ask))
                if !ask.streams() && matches!(fault, Some(Fault::ErrorMidStream { .. })) =>
            {
                let refusal = Refusal { status: 200, ..Refusal::of_status(vendor, 500, None) };
                Ok(refusal_response(&refusal, vendor, in_array, &request_id))
            }
            Ok(Reading::Embedding(embedding)) => {
                self.embed(embedding, fault.as_ref(), &received, &request_id).await
            }
            Ok(Reading::Ask(mut ask)) if fault == Some(Fault::ContentPolicy) => {
                ask.blocked = true;
                self.generate(*ask, None, &received, ids, &request_id).await
            }
            Ok(Reading::Ask(ask)) => self.generate(*ask, fault, &received, ids, &request_id).await,
            Err(refusal) => Ok(match self.shared.settings.copyist {
                Some(copyist) => {
                    response(refusal.status, JSON, copyist.error(&refusal).to_string(), vendor, &request_id)
                }
                None => refusal_response(&refusal, vendor, in_array, &request_id),
            }),
        }
    }

    fn fault(&self, request: &ReceivedRequest, number: u64) -> Option<Fault> {
        // No lock is held while a caller's closure decides: it may queue faults itself.
        let queued = locked(&self.shared.faults).take(&request.body);
        queued
            .or_else(|| self.shared.settings.fault_of.as_ref().and_then(|decide| decide(request)))
            .or_else(|| locked(&self.shared.faults).mix.draw(number))
    }

    /// Checks credentials, route and body.
    fn read(
        &self,
        request: &ReceivedRequest,
        route: Option<Route>,
        ids: &mut Scatter,
    ) -> Result<Reading, Refusal> {
        let vendor = self.shared.vendor;
        if let Some(copyist) = self.shared.settings.copyist {
            return self.read_copied(copyist, request, route, ids);
        }
        headers::authorised(vendor, request, &self.shared.settings.keys)?;
        let body = || serde_json::from_slice::<Value>(&request.body).map_err(|_| Refusal::not_json(vendor));
        let (cache, kept) = (&self.shared.cache, &self.shared.kept);
        match route {
            Some(Route::Models) => Ok(Reading::Document(models(vendor))),
            Some(Route::Chat) => openai::read(&body()?, cache).map(Reading::ask),
            Some(Route::Responses) => responses::read(&body()?, cache, kept, ids).map(Reading::ask),
            Some(Route::CountResponse) => responses::count(&body()?, kept).map(Reading::Document),
            Some(Route::KeptResponse(id)) => kept.get(&id).map(Reading::Document),
            Some(Route::DeleteResponse(id)) => kept.delete(&id).map(Reading::Document),
            Some(Route::Stored(call)) => {
                let told = self.shared.stored.answer(&call, &request.headers, &request.body)?;
                Ok(match told {
                    openai::Told::Document(document) => Reading::Document(document),
                    openai::Told::Content(content) => Reading::Content(content),
                })
            }
            Some(Route::Embeddings) => openai::embed(&body()?).map(Reading::Embedding),
            Some(Route::CountMessage) => {
                let body = body()?;
                let version = headers::anthropic_version(&request.headers)?;
                anthropic::count(&body, version).map(Reading::Document)
            }
            Some(Route::Messages) => {
                let body = body()?;
                let version = headers::anthropic_version(&request.headers)?;
                anthropic::read(&body, version, cache).map(Reading::ask)
            }
            Some(Route::Google(call)) => match call.method {
                gemini::Method::Generate => {
                    gemini::read(&call, Form::Whole, &body()?, cache).map(Reading::ask)
                }
                gemini::Method::Stream { events } => {
                    let form = if events { Form::Events } else { Form::Array };
                    gemini::read(&call, form, &body()?, cache).map(Reading::ask)
                }
                gemini::Method::Count => gemini::count(&call, &body()?).map(Reading::Document),
                gemini::Method::Embed | gemini::Method::EmbedAll | gemini::Method::Predict => {
                    gemini::embed(&call, &body()?).map(Reading::Embedding)
                }
                gemini::Method::RawPredict | gemini::Method::StreamRawPredict => {
                    gemini::raw(&call, &body()?, cache).map(Reading::ask)
                }
            },
            Some(Route::Bedrock(call)) => match call.operation {
                bedrock::Operation::Converse => {
                    bedrock::read(&call, Form::Whole, &body()?, cache).map(Reading::ask)
                }
                bedrock::Operation::ConverseStream => {
                    bedrock::read(&call, Form::Frames, &body()?, cache).map(Reading::ask)
                }
                bedrock::Operation::CountTokens => bedrock::count(&call, &body()?).map(Reading::Document),
                bedrock::Operation::InvokeModel if bedrock::embeds(&call) => {
                    bedrock::embed(&call, &body()?).map(Reading::Embedding)
                }
                bedrock::Operation::InvokeModel | bedrock::Operation::InvokeModelWithResponseStream => {
                    bedrock::invoke(&call, &body()?, cache).map(Reading::ask)
                }
            },
            Some(Route::GoogleModel(name)) => gemini::told(&name).map(Reading::Document),
            Some(Route::Azure(call)) => {
                let body = call.read(body()?)?;
                let ask = match call.operation {
                    azure::Operation::Chat => openai::read(&body, cache)?,
                    azure::Operation::Responses => responses::read(&body, cache, kept, ids)?,
                    azure::Operation::Embeddings => return openai::embed(&body).map(Reading::Embedding),
                };
                Ok(Reading::ask(Ask { house: House::Azure, ..ask }))
            }
            None => Err(Refusal::of_status(vendor, 404, None)),
        }
    }

    /// As [`Self::read`], where OpenAI's API was copied.
    fn read_copied(
        &self,
        copyist: &'static Copyist,
        request: &ReceivedRequest,
        route: Option<Route>,
        ids: &mut Scatter,
    ) -> Result<Reading, Refusal> {
        copyist.authorised(&request.headers)?;
        let not_json = |_| Refusal::not_json(Vendor::OpenAi);
        let mut body: Value = serde_json::from_slice(&request.body).map_err(not_json)?;
        body["model"] = json!("gpt-4o-mini");
        let (cache, kept) = (&self.shared.cache, &self.shared.kept);
        match route {
            Some(Route::Chat) => {
                let ask = openai::read(&copyist.read(body)?, cache)?;
                let include_usage = ask.include_usage || copyist.usage == UsageAt::Unasked;
                Ok(Reading::ask(Ask { house: House::Copyist(copyist), include_usage, ..ask }))
            }
            Some(Route::Responses) => responses::read(&body, cache, kept, ids).map(Reading::ask),
            _ => Err(Refusal::of_status(Vendor::OpenAi, 404, None)),
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
        let usage = BilledUsage {
            input: ask.prompt.input,
            cache_read: ask.prompt.cache_read,
            cache_write_5m: ask.prompt.cache_write_5m,
            cache_write_1h: ask.prompt.cache_write_1h,
            ..BilledUsage::default()
        };
        let line = line(vendor, ask.model, ask.streams(), usage, &request.headers);
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
        let candidates = if ask.blocked { Vec::new() } else { script::candidates(&ask, &mut ids) };
        if let (Own::Responses(own), [candidate]) = (&ask.own, candidates.as_slice()) {
            // It is kept even if its delivery fails: it was generated.
            responses::keep(
                own,
                &responses::whole(&ask, own, candidate, &mut ids.clone(), true),
                &self.shared.kept,
            );
        }
        let hides_usage = fault == Some(Fault::NoUsage);
        let mut latency = self.shared.settings.latency;
        if let Some(Fault::SlowHead(late)) = fault {
            latency += late;
        }
        if !ask.streams() {
            // A whole answer takes about the time that its stream would take.
            let frames = Progress::total(&candidates).output / 2;
            latency += pause.saturating_mul(u32::try_from(frames).unwrap_or(u32::MAX));
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let delivery = match ask.streams() {
            true => {
                let frames = api::frames(&ask, &candidates, &mut ids, telling(fault.as_ref()));
                let Settings { chunking, crlf, .. } = self.shared.settings;
                delivery::stream(frames, fault.as_ref(), &ask, Cutting { chunking, pause, crlf }, &mut ids)
            }
            false => {
                delivery::whole(whole_frame(&ask, &candidates, &mut ids, fault.as_ref()), fault.as_ref())
            }
        };
        let mut response = Response::new(AnswerBody::metered(delivery, meter));
        headers::write(response.headers_mut(), vendor, request_id, headers::media_type(ask.form));
        if ask.house == House::Bedrock {
            let Progress { output, reasoning } = Progress::total(&candidates);
            let counts = [("input", ask.prompt.input), ("output", output + reasoning)];
            let told = !ask.streams() && !hides_usage;
            headers::write_counts(response.headers_mut(), if told { &counts } else { &[] });
        }
        Ok(response)
    }

    /// Answers with numbers.
    async fn embed(
        &self,
        mut embedding: Embedding,
        fault: Option<&Fault>,
        request: &ReceivedRequest,
        request_id: &str,
    ) -> Result<Response<AnswerBody>, TransportError> {
        let vendor = self.shared.vendor;
        let usage = BilledUsage { input: embedding.tokens, ..BilledUsage::default() };
        let line = line(vendor, embedding.model, false, usage, &request.headers);
        let mut meter = Meter::start(self.shared.account.clone(), embedding.model, line);
        if fault.is_some_and(Fault::ends_badly) {
            meter.will_fail();
        }
        if fault == Some(&Fault::StallBeforeHead) {
            meter.finished();
            return std::future::pending().await;
        }
        let late = if let Some(Fault::SlowHead(late)) = fault { *late } else { Duration::ZERO };
        let latency = self.shared.settings.latency + late;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if fault == Some(&Fault::NoUsage) {
            embedding.hide_usage();
        }
        let bytes = embedding.answer.to_string().into_bytes();
        let frame = Frame { bytes, progress: Progress::default(), tells_usage: embedding.told };
        let mut response = Response::new(AnswerBody::metered(delivery::whole(frame, fault), meter));
        headers::write(response.headers_mut(), vendor, request_id, JSON);
        if vendor == Vendor::Aws {
            let counts = [("input", embedding.tokens)];
            headers::write_counts(response.headers_mut(), if embedding.told { &counts } else { &[] });
        }
        Ok(response)
    }
}

impl Reading {
    fn ask(ask: Ask) -> Self {
        Self::Ask(Box::new(ask))
    }
}

fn telling(fault: Option<&Fault>) -> Telling {
    match fault {
        Some(Fault::NoUsage) => Telling::Never,
        Some(Fault::RunningUsage) => Telling::Running,
        _ => Telling::Documented,
    }
}

fn whole_frame(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, fault: Option<&Fault>) -> Frame {
    let tells_usage = fault != Some(&Fault::NoUsage);
    let body = api::whole(ask, candidates, ids, tells_usage);
    Frame { bytes: body.to_string().into_bytes(), progress: Progress::total(candidates), tells_usage }
}

/// The invoice line of a request of which nothing has been generated yet.
fn line(
    vendor: Vendor,
    model: &price::Model,
    stream: bool,
    usage: BilledUsage,
    headers: &HeaderMap,
) -> InvoiceLine {
    let attempt = headers.get("x-client-request-id").and_then(|id| id.to_str().ok());
    InvoiceLine {
        attempt: attempt.and_then(|id| id.parse::<AttemptId>().ok()),
        vendor,
        model: model.family.to_owned(),
        stream,
        usage,
        nano_usd: 0,
        end: AnswerEnd::CallerLeft,
        told: false,
    }
}

/// What a fault does before the request is looked at.
fn fails_at_once(
    fault: &Fault,
    vendor: Vendor,
    route: Option<&Route>,
    request_id: &str,
) -> Option<Result<Response<AnswerBody>, TransportError>> {
    let in_array = route.is_some_and(Route::errors_in_arrays);
    let refused = |refusal: Refusal| Some(Ok(refusal_response(&refusal, vendor, in_array, request_id)));
    let is_claude_at_vertex = route.is_some_and(Route::is_claude_at_vertex);
    match fault {
        Fault::RefuseConnection => Some(Err(TransportError::new(Phase::Connect, "connection refused"))),
        Fault::Reset => Some(Err(TransportError::new(Phase::Head, "connection reset"))),
        Fault::Status { code, retry_after } => refused(Refusal::of_status(vendor, *code, *retry_after)),
        Fault::NoCredit => refused(Refusal::no_credit(vendor)),
        Fault::ContextTooLong if is_claude_at_vertex => {
            refused(anthropic::too_long_at_vertex(300_000, 200_000))
        }
        Fault::ContextTooLong => {
            let api = route.and_then(Route::api)?;
            refused(Refusal::context_too_long(api, 300_000, 200_000))
        }
        Fault::ContentPolicy if is_claude_at_vertex => refused(anthropic::policy_at_vertex()),
        // It answers, and says so in the answer.
        Fault::ContentPolicy if vendor == Vendor::Google => None,
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

fn refusal_response(
    refusal: &Refusal,
    vendor: Vendor,
    in_array: bool,
    request_id: &str,
) -> Response<AnswerBody> {
    let mut body = refusal.body(vendor, request_id);
    if in_array && refusal.shape.is_none() {
        body = json!([body]);
    }
    let body = body.to_string();
    let mut response = response(refusal.status, JSON, body, vendor, request_id);
    // Google says in the body how long to wait.
    if let Some(seconds) = refusal.retry_after.filter(|_| vendor != Vendor::Google) {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    if vendor == Vendor::Aws && refusal.status != 200 {
        let class = format!("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", refusal.kind);
        if let Ok(class) = HeaderValue::from_str(&class) {
            response.headers_mut().insert("x-amzn-errortype", class);
        }
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

/// `GET /v1/models`.
fn models(vendor: Vendor) -> Value {
    let models = price::models(vendor);
    match vendor {
        Vendor::OpenAi | Vendor::Azure => {
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
        Vendor::Google => gemini::models(),
        // Its models are listed by another service.
        Vendor::Aws => json!({}),
    }
}
