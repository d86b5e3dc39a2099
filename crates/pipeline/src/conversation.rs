//! What a request of OpenAI Responses has to do with kept answers: the conversation that it goes on from, and
//! whether its own answer is kept.

use bytes::Bytes;
use weighbridge_access::Principal;
use weighbridge_cache::{AnsweredBy, Cited, KeptAnswer, KeptError, KeptId, Tenant};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_protocol::{Body, Edits};
use weighbridge_routing::Rejection;
use weighbridge_translate::openai_responses::kept::{
    self, Asks, CitedItems, KeptAs, Reads, ReplayError, ReplayTo, Turn, as_going_on, input_as_items,
    passed_on, replayed, spelled_out,
};
use weighbridge_units::{AttemptId, Protocol};

use crate::compiled::{Compiled, Deployment, ModelRoute};
use crate::draft::Draft;
use crate::exchange::Exchange;
use crate::refusal::{Refusal, shown};
use crate::reserve::Unfit;
use crate::settings::AnswerKeeping;

const PREVIOUS: &str = "previous_response_id";

/// The conversation that a request of OpenAI Responses is a part of.
pub(crate) struct Conversation {
    tenant: Tenant,
    /// The answer is kept.
    keeps: bool,
    /// It would be kept, were that allowed: the provider must not keep it either.
    forbidden: bool,
    /// The answer that the request goes on from.
    previous: Option<KeptId>,
    /// What was said before, the oldest first. Gone once no other attempt can follow.
    chain: Vec<KeptAnswer>,
    /// The answers whose items it names, the oldest first. Gone with the chain.
    cited: Vec<KeptAnswer>,
    /// The answers of both.
    earlier: Vec<KeptId>,
    /// The provider that holds the conversation says that it does not any more.
    is_forgotten: bool,
    /// What the request itself says, as items, once no other attempt can follow.
    input: Option<String>,
}

/// Refuses a conversation that a provider holds: tenants share the account there, so that one could name
/// what another said.
fn refuse_conversations(body: &Body) -> Result<(), Refusal> {
    if body.get("conversation").is_none_or(Raw::is_null) {
        return Ok(());
    }
    let message = "Conversations that a provider holds are not served: use `previous_response_id`.";
    Err(Refusal::BadBody { message: message.into(), param: Some("conversation".into()) })
}

impl Conversation {
    /// Reads what a request says of keeping, the conversation that it goes on from, and the items that it names.
    ///
    /// An id that was not kept for the tenant goes nowhere: tenants share the account at the provider.
    pub(crate) async fn read(
        body: &Body,
        principal: &Principal,
        settings: &Compiled,
        draft: &Draft,
    ) -> Result<Self, Refusal> {
        refuse_conversations(body)?;
        let Asks { store, previous } = kept::asks(body).map_err(|error| Refusal::bad_field(&error, body))?;
        let keeper = draft.core.keeper.as_ref();
        let key = principal.key();
        let may_keep =
            keeper.is_some() && key.allow_store && settings.answer_keeping == AnswerKeeping::AsAsked;
        let tenant = tenant_of(principal)?;
        let mut conversation = Self {
            tenant,
            keeps: store && may_keep,
            forbidden: store && !may_keep,
            previous: None,
            chain: Vec::new(),
            cited: Vec::new(),
            earlier: Vec::new(),
            is_forgotten: false,
            input: None,
        };
        if let Some(asked) = previous {
            let Some(keeper) = keeper else {
                let message =
                    "This gateway keeps no answers to go on from: send what was said so far as `input`.";
                return Err(Refusal::BadBody { message: message.into(), param: Some(PREVIOUS.into()) });
            };
            let unknown = || Refusal::UnknownPrevious { id: shown(&asked).to_owned() };
            let last = KeptId::new(&asked).map_err(|_| unknown())?;
            let chain = keeper.chain(&conversation.tenant, &last, draft.core.env.now()).await;
            conversation.chain = chain.map_err(|error| too_much(error, PREVIOUS, unknown))?;
            conversation.previous = Some(last);
        }
        conversation.cited = conversation.cited_answers(body, draft).await?;
        let answers = conversation.chain.iter().chain(&conversation.cited);
        conversation.earlier = answers.map(|answer| answer.id.clone()).collect();
        Ok(conversation)
    }

    /// The answers whose items are named, by the request or by one that it goes on from.
    async fn cited_answers(&self, body: &Body, draft: &Draft) -> Result<Vec<KeptAnswer>, Refusal> {
        let turns: Vec<Turn<'_>> = self.chain.iter().map(as_told).collect();
        let ids = kept::cited_ids(body, &turns).map_err(|error| self.not_replayed(error, body))?;
        let Some(first) = ids.first() else { return Ok(Vec::new()) };
        let unknown = |id: &str| Refusal::UnknownItem { id: shown(id).to_owned(), keeps: self.keeps };
        let Some(keeper) = &draft.core.keeper else { return Err(unknown(first)) };
        let cited = keeper.citing(&self.tenant, &ids, draft.core.env.now()).await;
        let Cited { answers, missing } =
            cited.map_err(|error| too_much(error, "input", || unknown(first)))?;
        missing.first().map_or(Ok(answers), |id| Err(unknown(id)))
    }

    /// How many bytes were said before the request, and go to a provider with it or are there already.
    pub(crate) fn bytes_before(&self) -> u64 {
        let output = |answer: &KeptAnswer| {
            let root = Raw::parse(&answer.answer, &ScanLimits::default()).ok();
            root.and_then(|root| root.get("output")).map_or(0, |output| output.text().len())
        };
        let chain = self.chain.iter().map(|answer| answer.input.len() + output(answer));
        // Hardly any item of an answer is named without the others.
        chain.chain(self.cited.iter().map(output)).sum::<usize>() as u64
    }

    /// Whether the answer is kept.
    pub(crate) const fn keeps(&self) -> bool {
        self.keeps
    }

    /// The answer that the request goes on from, as the client names it.
    pub(crate) const fn previous(&self) -> Option<&KeptId> {
        self.previous.as_ref()
    }

    /// The position of the deployment whose provider holds the conversation, or the last of the answers whose
    /// items are named: the same model's, where there are several.
    pub(crate) fn home(&self, route: &ModelRoute) -> Option<usize> {
        let last = self.chain.last().or(self.cited.last())?;
        let holds = |deployment: &Deployment| match self.chain.is_empty() {
            true => self.reads(last, deployment) == Reads::Held,
            false => self.held_by(deployment).is_some(),
        };
        let same_model = |deployment: &Deployment| *deployment.model == *last.answered_by.model;
        let deployments = &route.deployments;
        let same = deployments.iter().position(|deployment| holds(deployment) && same_model(deployment));
        same.or_else(|| deployments.iter().position(|deployment| holds(deployment)))
    }

    /// The id under which a deployment's provider holds the conversation. What is not sent is bounded by the
    /// model's context window alone (rule R4), so where that is not known, everything is sent.
    fn held_by(&self, deployment: &Deployment) -> Option<&str> {
        let held = self.chain.last()?.held_by(&deployment.provider.name)?;
        let is_bounded = deployment.info.is_some();
        (speaks_responses(deployment) && is_bounded && !self.is_forgotten).then_some(held)
    }

    /// Takes note of a failure. Tells whether the deployment is to be asked once more, with the whole
    /// conversation: it was sent an id that its provider has forgotten, or has under another of its accounts.
    pub(crate) fn must_be_repeated(&mut self, deployment: &Deployment, refusal: &Refusal) -> bool {
        let Refusal::Upstream { error, .. } = refusal else { return false };
        let is_unknown = error.code.as_deref() == Some("previous_response_not_found");
        // Of reasoning, which a provider finds by its id. It has no code.
        let is_item = error.message.starts_with("Item with id '") && error.message.contains("not found");
        let mut sent = self.chain.iter().chain(&self.cited);
        let mut holds_item = || sent.any(|answer| self.reads(answer, deployment) == Reads::Held);
        let repeats = (is_unknown && self.held_by(deployment).is_some()) || (is_item && holds_item());
        self.is_forgotten |= repeats;
        repeats
    }

    /// The request as a deployment is asked; `None` where that is as the client wrote it.
    pub(crate) fn body_for(
        &self,
        body: &Body,
        deployment: &Deployment,
        settings: &Compiled,
    ) -> Result<Option<Body>, Unfit> {
        let in_background = body.get("background").is_some_and(|value| value.text() == "true");
        if in_background && speaks_responses(deployment) {
            // Nobody would fetch the answer, nor learn what it cost.
            let message = "background: the gateway passes answers on as they come and fetches none later: \
                           ask without it.";
            let refusal = Refusal::BadBody { message: message.into(), param: Some("background".into()) };
            return Err(Unfit::here(Rejection::Misfit, refusal));
        }
        let mut edits = self.with_history(body, deployment, settings)?;
        if self.forbidden {
            edits.set("store", "false");
        }
        written(&edits, settings)
    }

    /// The request as a deployment is asked for its size; `None` where that is as the client wrote it.
    pub(crate) fn counted(
        &self,
        body: &Body,
        deployment: &Deployment,
        settings: &Compiled,
    ) -> Result<Option<Body>, Unfit> {
        written(&self.with_history(body, deployment, settings)?, settings)
    }

    /// The request with what was said before it, in the way that a deployment knows it.
    fn with_history(
        &self,
        body: &Body,
        deployment: &Deployment,
        settings: &Compiled,
    ) -> Result<Edits, Unfit> {
        let limit = settings.limits.body_bytes;
        let edits = match self.held_by(deployment) {
            Some(id) => self.spelled_out(body, passed_on(body, id), deployment, limit),
            None if self.chain.is_empty() => self.spelled_out(body, body.edit(), deployment, limit),
            None => self.replayed(body, deployment, limit),
        };
        edits.map_err(|error| Unfit::anywhere(Rejection::Misfit, self.not_replayed(error, body)))
    }

    /// The request with the items in full that it names.
    fn spelled_out(
        &self,
        body: &Body,
        mut edits: Edits,
        deployment: &Deployment,
        limit: usize,
    ) -> Result<Edits, ReplayError> {
        if !self.cited.is_empty() {
            let cited = CitedItems::of(&self.turns(&self.cited, deployment))?;
            if let Some(input) = spelled_out(body, &cited, replay_to(deployment), limit)? {
                edits.set("input", input);
            }
        }
        Ok(edits)
    }

    fn replayed(&self, body: &Body, deployment: &Deployment, limit: usize) -> Result<Edits, ReplayError> {
        let cited = CitedItems::of(&self.turns(&self.cited, deployment))?;
        let turns: Vec<Turn<'_>> = self.turns(&self.chain, deployment);
        replayed(body, &turns, &cited, replay_to(deployment), limit)
    }

    fn turns<'t>(&self, answers: &'t [KeptAnswer], deployment: &Deployment) -> Vec<Turn<'t>> {
        let turn = |answer| Turn { reads: self.reads(answer, deployment), ..as_told(answer) };
        answers.iter().map(turn).collect()
    }

    /// What a deployment's provider can read of an answer.
    fn reads(&self, answer: &KeptAnswer, deployment: &Deployment) -> Reads {
        let holds = answer.held_by(&deployment.provider.name).is_some();
        match *answer.answered_by.provider == *deployment.provider.name {
            true if holds && speaks_responses(deployment) && !self.is_forgotten => Reads::Held,
            true => Reads::Encrypted,
            false => Reads::Nothing,
        }
    }

    /// Why the conversation cannot be sent.
    fn not_replayed(&self, error: ReplayError, body: &Body) -> Refusal {
        match error {
            ReplayError::Input(error) => Refusal::bad_field(&error, body),
            ReplayError::TooLarge { .. } => {
                let field = if self.previous.is_some() { PREVIOUS } else { "input" };
                Refusal::BadBody { message: error.to_string(), param: Some(field.into()) }
            }
            ReplayError::NoSuchItem { id } => {
                Refusal::UnknownItem { id: shown(&id).to_owned(), keeps: self.keeps }
            }
            error => {
                tracing::error!(%error, "a kept answer cannot be gone on from");
                let id = self.previous.as_ref().map(ToString::to_string);
                Refusal::UnknownPrevious { id: id.unwrap_or_default() }
            }
        }
    }

    /// What an answer that is translated tells of keeping.
    pub(crate) fn kept_as(&self, attempt: AttemptId) -> KeptAs {
        let previous = self.previous.as_ref().map(ToString::to_string);
        KeptAs { id: KeptId::of_attempt(attempt).to_string(), previous, store: self.keeps }
    }

    /// Lets go of what only another attempt would need.
    pub(crate) fn settle(&mut self, body: &Body) {
        (self.chain, self.cited) = (Vec::new(), Vec::new());
        self.note_input(body);
    }

    /// Takes note of what the request itself says, the first time: from then on it may be written otherwise.
    pub(crate) fn note_input(&mut self, body: &Body) {
        if self.keeps && self.input.is_none() {
            // What is no input was refused by the provider.
            self.input = input_as_items(body).ok();
        }
    }
}

/// A request with its edits, read once more: what is priced is what is sent.
fn written(edits: &Edits, settings: &Compiled) -> Result<Option<Body>, Unfit> {
    if edits.is_empty() {
        return Ok(None);
    }
    let limits = ScanLimits { depth: settings.limits.json_depth };
    let written = Body::scan(edits.rope().concat().into(), &limits);
    written.map(Some).map_err(|error| {
        let message = format!("the conversation so far cannot be sent once more: {error}");
        let refusal = Refusal::BadBody { message, param: Some(PREVIOUS.into()) };
        Unfit::anywhere(Rejection::Misfit, refusal)
    })
}

/// A kept answer as the one who asked knows it.
pub(crate) fn as_told(answer: &KeptAnswer) -> Turn<'_> {
    Turn { input: &answer.input, answer: &answer.answer, reads: Reads::Nothing }
}

/// Why kept answers are not given to go on from: `field` names them.
fn too_much(error: KeptError, field: &str, unknown: impl FnOnce() -> Refusal) -> Refusal {
    match error {
        KeptError::TooLong { .. } | KeptError::TooLarge { .. } | KeptError::TooMany { .. } => {
            Refusal::BadBody { message: error.to_string(), param: Some(field.into()) }
        }
        error => not_given(&error, unknown()),
    }
}

fn replay_to(deployment: &Deployment) -> ReplayTo {
    if speaks_responses(deployment) { ReplayTo::Responses } else { ReplayTo::Translation }
}

/// Whether a client of Responses is served in its own protocol there.
fn speaks_responses(deployment: &Deployment) -> bool {
    deployment.address(Protocol::OpenAiResponses).protocol == Protocol::OpenAiResponses
}

/// A whole answer of the provider's own in the protocol, as its client knows what it went on from. Nothing of
/// it changes where the provider was told the same.
pub(crate) fn going_on(answer: Bytes, previous: &KeptId) -> Bytes {
    let Ok(body) = Body::scan(answer.clone(), &ScanLimits::default()) else { return answer };
    as_going_on(&body, previous.as_str()).map_or(answer, |edits| edits.rope().concat().into())
}

/// Keeps the answer of a request, as its client has it, where it is to be kept. The attempt was handed to
/// the ledger before.
pub(crate) fn keep(exchange: &mut Exchange, answer: &[u8]) {
    let Some(mut conversation) = exchange.conversation.take_if(|conversation| conversation.keeps) else {
        return;
    };
    conversation.settle(&exchange.body);
    let Conversation { tenant, previous, earlier, input: Some(input), .. } = *conversation else { return };
    let (Some(keeper), Some(deployment)) = (&exchange.core().keeper, &exchange.deployment) else { return };
    let Ok(answer) = std::str::from_utf8(answer) else { return };
    let Ok(root) = Raw::parse(answer, &ScanLimits::default()) else { return };
    let said = |name: &str| root.get(name).and_then(|value| value.str().ok());
    // What is made in the background, or has failed, is no answer yet.
    if said("status").is_some_and(|status| !matches!(&*status, "completed" | "incomplete")) {
        return;
    }
    let Some(id) = said("id").and_then(|id| KeptId::new(&id).ok()) else {
        tracing::warn!(provider = &*deployment.provider.name, "an answer without a usable id is not kept");
        return;
    };
    // The provider keeps it too, unless it says otherwise: not every server of the protocol does.
    let is_held =
        speaks_responses(deployment) && root.get("store").is_none_or(|store| store.text() != "false");
    let answer = KeptAnswer {
        provider_id: is_held.then(|| id.as_str().to_owned()),
        id,
        tenant,
        key: exchange.principal.key().id,
        created: exchange.wall(),
        answered_by: AnsweredBy {
            provider: deployment.provider.name.to_string(),
            model: deployment.model.to_string(),
        },
        previous,
        input,
        answer: answer.to_owned(),
    };
    let items = kept::item_ids(&as_told(&answer)).unwrap_or_else(|error| {
        tracing::warn!(%error, "the items of an answer cannot be found by their ids");
        Vec::new()
    });
    keeper.keep(answer, items, earlier);
}

/// Whose answers a key may see.
pub(crate) fn tenant_of(principal: &Principal) -> Result<Tenant, Refusal> {
    Tenant::new(&principal.key().tenant.shared()).map_err(|error| {
        tracing::error!(%error, "a key's tenant cannot own answers");
        Refusal::Internal
    })
}

/// Why a kept answer is not given. One that cannot be read is as good as none to the client.
pub(crate) fn not_given(error: &KeptError, unknown: Refusal) -> Refusal {
    match error {
        KeptError::NotFound(_) => unknown,
        KeptError::Store(error) => {
            tracing::error!(%error, "the store of kept answers failed");
            Refusal::KeptUnavailable
        }
        error => {
            tracing::error!(error = error as &dyn std::error::Error, "a kept answer cannot be given");
            unknown
        }
    }
}
