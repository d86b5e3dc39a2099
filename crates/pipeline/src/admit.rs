//! Authenticated → Admitted: a place, the body, a peek into it, the route, the key's limits.
//!
//! Permits come first and parsing after: what is refused early has cost little.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body as HttpBody;
use weighbridge_access::{Admission, Share};
use weighbridge_protocol::json::{ScanError, ScanLimits};
use weighbridge_protocol::{Body, Envelope, envelope_at};
use weighbridge_routing::Labels;
use weighbridge_translate::StreamForm;
use weighbridge_units::{Protocol, Timestamp};

use crate::budgets::{Asked, Tags, downgrading};
use crate::compiled::{Compiled, ModelRoute};
use crate::conversation::Conversation;
use crate::departure::Presence;
use crate::draft::Draft;
use crate::endpoint::Inference;
use crate::exchange::{Exchange, Place};
use crate::idempotency::{self, CarriedOut, Joined, Leading};
use crate::own_keys::{Lent, Shelf};
use crate::pipeline::Served;
use crate::read_body::read_body;
use crate::receive::Authenticated;
use crate::refusal::{Refusal, shown};
use crate::steer::steer;
use crate::vectors::Vectors;
use crate::watch::Watch;

/// A request that may be served, and where it may go.
pub(crate) struct Admitted {
    settings: Arc<Compiled>,
    route: Arc<ModelRoute>,
    authenticated: Authenticated,
    client: Protocol,
    form: StreamForm,
    envelope: Envelope,
    vectors: Option<Box<Vectors>>,
    conversation: Option<Box<Conversation>>,
    body: Body,
    admission: Admission,
    place: Place,
    demands: Vec<Labels>,
    /// That it carries out what its idempotency key stands for.
    pub(crate) leading: Option<Leading>,
}

/// What only a running pipeline has.
pub(crate) struct Live<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) watch: &'a Watch,
}

impl Authenticated {
    /// Reads and checks the body, finds the model, and takes the request out of the key's limits.
    pub(crate) async fn admit<B>(
        self,
        asked: Inference,
        body: B,
        draft: &mut Draft,
    ) -> Result<Served, Refusal>
    where
        B: HttpBody<Data = Bytes>,
    {
        let Reading { settings, body, mut place } = self.read(body, draft).await?;
        let key = idempotency::Asked::read(&self, &asked, &body, &settings, draft)?;
        let Inference { protocol: client, addressed, form, vectors, within } = asked;
        let (mut envelope, vectors) = match vectors {
            Some(format) => Vectors::read(format, addressed, &body)?,
            None => {
                let envelope = envelope_at(client, &body, addressed);
                (envelope.map_err(|error| Refusal::bad_field(&error, &body))?, None)
            }
        };
        if let Some(provider) = within {
            envelope.model = format!("{provider}/{}", envelope.model);
        }
        draft.record.stream = envelope.stream;
        if let Some(name) = settings.alias(&envelope.model) {
            envelope.model = name.to_string();
        }
        let route = self.route(&settings, &envelope.model, draft)?;
        let mut leading = None;
        if let Some(key) = key {
            // On the heap, so that requests without a key do not carry it around.
            match Box::pin(idempotency::join(key, client, draft, place)).await? {
                Joined::Answered(response) => return Ok(Served::Answer(response)),
                Joined::Leads(leads, at) => (leading, place) = (Some(leads), at),
            }
        }
        let mut steered = steer(&self, &settings, route, client, &body, &envelope);
        draft.record.rules = std::mem::take(&mut steered.matched);
        if let Some(refused) = steered.refused {
            return Err(refused);
        }
        let live = Live { shelf: &draft.core.shelf.load(), watch: &draft.core.watch };
        let route =
            self.downgraded(&settings, Arc::clone(&steered.route), &envelope, &live, draft.record.at)?;
        if !Arc::ptr_eq(&route, &steered.route) {
            steered.demand(&route.require);
        }
        let expected = tokens_expected(&body, &envelope);
        let mut admission = self.admission(&route, expected, draft)?;
        let conversation = match client {
            Protocol::OpenAiResponses if vectors.is_none() => {
                // On the heap, so that nothing else carries it around.
                let read = Box::pin(Conversation::read(&body, &self.principal, &settings, draft));
                let said = Box::new(read.await?);
                // The place comes first and reading after, so only now is it known what was said before.
                let before = weighbridge_tokens::estimate(said.bytes_before());
                admission.take_more(before, draft.core.env.monotonic()).map_err(Refusal::Limit)?;
                Some(said)
            }
            _ => None,
        };
        Ok(Served::Admitted(Box::new(Admitted {
            settings,
            route,
            authenticated: self,
            client,
            form,
            envelope,
            vectors,
            conversation,
            body,
            admission,
            place,
            demands: steered.demands,
            leading,
        })))
    }

    /// Takes a place, and reads and checks the body.
    pub(crate) async fn read<B>(&self, body: B, draft: &Draft) -> Result<Reading, Refusal>
    where
        B: HttpBody<Data = Bytes>,
    {
        let settings = draft.core.compiled.load_full();
        let limits = settings.limits;
        let place = Place::take(&draft.core.places, limits.open_requests).ok_or(Refusal::Overloaded)?;
        let bytes = read_body(body, limits.body_bytes, limits.body_time).await?;
        let body = Body::scan(bytes, &ScanLimits { depth: limits.json_depth }).map_err(bad_syntax)?;
        Ok(Reading { settings, body, place })
    }

    /// What stands behind a model's name. Whether a model exists is told to those only who may use it.
    pub(crate) fn route(
        &self,
        settings: &Compiled,
        model: &str,
        draft: &mut Draft,
    ) -> Result<Arc<ModelRoute>, Refusal> {
        draft.record.model = shown(model).into();
        let may_use = |name: &str| self.principal.may_use(name);
        let route = settings.route(model).ok_or_else(|| Refusal::UnknownModel {
            near: settings.near(model).into_iter().filter(|name| may_use(name)).collect(),
            model: shown(model).to_owned(),
        })?;
        if may_use(model) {
            Ok(route)
        } else {
            Err(Refusal::ModelNotAllowed { model: shown(model).to_owned() })
        }
    }

    /// The route of the model that the request gets because a soft budget is exceeded, else its own. It is one
    /// that the key may use.
    pub(crate) fn downgraded(
        &self,
        settings: &Compiled,
        route: Arc<ModelRoute>,
        envelope: &Envelope,
        live: &Live<'_>,
        at: Timestamp,
    ) -> Result<Arc<ModelRoute>, Refusal> {
        if !live.watch.has_exceeded() {
            return Ok(route);
        }
        let asked = Asked {
            at,
            model: &envelope.model,
            user: self.attributes.user.as_deref().or(envelope.end_user.as_deref()).unwrap_or_default(),
            tags: Tags::Read(&self.attributes.tags),
        };
        let lent = Lent::of(live.shelf, &self.principal, &route);
        let books = Lent::books(lent.as_ref());
        let counting = downgrading(&asked, settings, &route, &self.principal, books);
        let Some(model) = live.watch.downgrade(counting) else { return Ok(route) };
        let found = settings.route(model).filter(|_| self.principal.may_use(model));
        found.ok_or_else(|| Refusal::ModelNotAllowed { model: shown(model).to_owned() })
    }

    /// Takes the request out of the limits of the key, of whom it belongs to, and of the model.
    pub(crate) fn admission(
        &self,
        route: &ModelRoute,
        tokens: u64,
        draft: &Draft,
    ) -> Result<Admission, Refusal> {
        let now = draft.core.env.monotonic();
        let share = draft.core.fleet.as_ref().map_or(Share::WHOLE, |fleet| fleet.share());
        self.principal.admit_for(Some(&route.limits), share, now, tokens).map_err(Refusal::Limit)
    }
}

/// A request whose body was read and checked.
pub(crate) struct Reading {
    pub(crate) settings: Arc<Compiled>,
    pub(crate) body: Body,
    pub(crate) place: Place,
}

impl Admitted {
    /// The request as it travels from here on.
    pub(crate) fn into_exchange(self, mut draft: Draft, carried_out: Option<Arc<CarriedOut>>) -> Travelling {
        let Self { settings, route, authenticated, client, form, envelope, vectors, .. } = self;
        let Self { conversation, body, admission, place, demands, .. } = self;
        let Authenticated { head, principal, attributes } = authenticated;
        draft.record.tags = attributes.tags.into_pairs();
        draft.record.end_user = attributes.user.or_else(|| envelope.end_user.as_deref().map(Into::into));
        draft.presence = Presence::new(route.on_disconnect, settings.drain, carried_out.as_ref());
        let said = attributes.loss_policy.or(principal.key().loss_policy);
        let exchange = Box::new(Exchange {
            loss_policy: said.unwrap_or(settings.loss_policy),
            deadline: attributes.timeout.map(|timeout| draft.started + timeout),
            demands,
            wants_trailers: takes_trailers(&head.headers),
            client_headers: head.headers,
            draft,
            principal,
            client,
            form,
            envelope,
            vectors,
            conversation,
            body,
            media: Vec::new(),
            deployment: None,
            admission: Some(admission),
            carried_out,
            resumption: None,
            goes_on: false,
            _place: Some(place),
        });
        Travelling { exchange, settings, route }
    }
}

/// An admitted request with the settings that it keeps to its end.
pub(crate) struct Travelling {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) settings: Arc<Compiled>,
    pub(crate) route: Arc<ModelRoute>,
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let te = headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok());
    te.flat_map(|value| value.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// What is taken out of the tokens per minute until the truth is known.
fn tokens_expected(body: &Body, envelope: &Envelope) -> u64 {
    let prompt = weighbridge_tokens::estimate(body.bytes().len() as u64);
    let answer = envelope.max_output.unwrap_or(0).saturating_mul(envelope.candidates);
    prompt.saturating_add(answer)
}

fn bad_syntax(error: ScanError) -> Refusal {
    let param = match &error {
        ScanError::DuplicateKey { key, .. } => Some(key.to_string()),
        _ => None,
    };
    Refusal::BadBody { message: error.to_string(), param }
}
