//! Native calls: `/native/{provider}/…` is any call of a provider, as it is, with the gateway's credentials.
//!
//! | step | where |
//! |---|---|
//! | which provider, and which of its paths | `path.rs` |
//! | may this key, and can a budget bear it | here |
//! | is it a call that is served anyway | `known.rs` |
//! | is it one of Bedrock's, whose usage can be read | `bedrock.rs` |
//! | what passes of the heads | `headers.rs` |
//! | the body on its way up, piece by piece | `upload.rs` |
//! | the attempt, from its reservation to its end | `call.rs` |
//! | the answer on its way down | `body.rs` |
//! | what leaves HTTP: bytes in both directions | `session.rs` |
//!
//! A call of the provider's that the gateway serves anyway (Chat Completions at OpenAI, say) is served as it is
//! everywhere else: reserved at worst, metered, and settled as one attempt for `provider/model`. Bedrock's own formats pass
//! untouched, and are metered beside. Of other calls nobody
//! knows what they cost. Such a call is an attempt too, of the model `native` and without usage; whoever has a budget
//! of money or tokens is refused it, unless the provider's setting says otherwise or it is a call that only reads or
//! deletes.

mod bedrock;
mod body;
mod call;
mod headers;
mod known;
mod path;
mod session;
mod upload;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};
use http_body::Body;
use weighbridge_access::BudgetLimit;
use weighbridge_transport::Transport;
use weighbridge_units::Protocol;

use crate::budgets::{Asked as Question, Counting, Tags};
use crate::compiled::{Compiled, Provider};
use crate::draft::Draft;
use crate::endpoint::Inference;
use crate::exchange::Place;
use crate::fit;
use crate::pipeline::Served;
use crate::receive::{Authenticated, GOOGLE_KEY};
use crate::refusal::Refusal;
use crate::settings::NativeCalls;
use crate::steer::demands;

use bedrock::Invocation;
pub(crate) use body::NativeBody;
pub(crate) use headers::{PROTOCOL_KEY, protocols};
pub(crate) use path::{Asked, NativePath};
pub(crate) use session::{Session, switched};

/// What native calls are called where a model's name is asked for: in the ledger, in records, and behind `native/` in
/// the list of a key's models.
pub(crate) const MODEL: &str = "native";

/// Why a native call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The key has no permission for any.
    NoPermission,
    /// The path could lead elsewhere; the sentence says what is wrong with it.
    Path(&'static str),
    /// The provider's setting does not list the path.
    PathNotListed,
    /// Nobody knows what it costs, and a budget counts it.
    Unpriced { provider: std::sync::Arc<str> },
    /// It asks to leave HTTP in a way that is not passed on.
    Upgrade,
}

impl Why {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::NoPermission => "native-not-allowed",
            Self::Path(_) => "native-path",
            Self::PathNotListed => "native-path-not-allowed",
            Self::Unpriced { .. } => "native-unpriced",
            Self::Upgrade => "native-upgrade",
        }
    }

    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Path(_) => 400,
            Self::NoPermission | Self::PathNotListed | Self::Unpriced { .. } => 403,
            Self::Upgrade => 501,
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::NoPermission => {
                "This key may make no native calls: whoever administers it can make one with \
                                   `native: true`."
                    .into()
            }
            Self::Path(why) => format!("This path is not passed on: {why}."),
            Self::PathNotListed => "The operator does not pass calls on to this path.".into(),
            Self::Unpriced { provider } => format!(
                "What this call costs is not known, and a budget counts it, so that it is not passed on: use a key \
                 without a budget of money or tokens, or have the operator allow it (native = \"unmetered\" at \
                 `{provider}`)."
            ),
            Self::Upgrade => {
                "Of connections that leave HTTP, the gateway passes websockets on, which are asked for with GET over \
                 HTTP/1.1, without a body."
                    .into()
            }
        }
    }
}

fn refuse<T>(why: Why) -> Result<T, Refusal> {
    Err(Refusal::Native(why))
}

/// What a native call asks for, as far as anybody knows.
struct What {
    /// Its target: `provider/model`, or `provider/native`.
    target: String,
    path: NativePath,
    /// Which model is asked, where the provider's own format is not served to clients, and its usage is read all the
    /// same.
    invocation: Option<Invocation>,
}

/// Serves a native call.
pub(crate) async fn serve<B>(
    caller: Authenticated,
    asked: Asked,
    body: B,
    draft: &mut Draft,
    transport: &dyn Transport,
) -> Result<Served, Refusal>
where
    B: Body<Data = Bytes>,
{
    if !caller.principal.key().native {
        return refuse(Why::NoPermission);
    }
    let settings = draft.core.compiled.load_full();
    let provider = settings.provider(&asked.provider).filter(|it| it.native != NativeCalls::Off);
    let Some(provider) = provider else {
        return Err(Refusal::UnknownRoute { path: caller.head.uri.path().chars().take(200).collect() });
    };
    let path = NativePath::below(&asked.rest, provider.base_path()).or_else(|why| refuse(Why::Path(why)))?;
    if !provider.native_paths.is_empty() && !provider.native_paths.iter().any(|prefix| path.is_within(prefix))
    {
        return refuse(Why::PathNotListed);
    }
    if session::is_other_upgrade(&caller.head, body.is_end_stream()) {
        return refuse(Why::Upgrade);
    }
    let known = if caller.head.method == Method::POST { provider.inference_at(&path) } else { None };
    if let Some(inference) = known {
        draft.record.client_protocol = inference.protocol;
        let within = Some(provider.name.clone());
        return Box::pin(caller.admit(Inference { within, ..inference }, body, draft)).await;
    }
    let listed = format!("{MODEL}/{}", provider.name);
    // Names that no price knows are the client's inventions, and do not get into the books.
    let is_priced = |it: &Invocation| it.is_priced(&draft.core.prices.load(), &provider, draft.record.at);
    let is_post = caller.head.method == Method::POST;
    let invocation = if is_post { provider.invocation_at(&path).filter(is_priced) } else { None };
    let asked_model = invocation.as_ref().map(|it| format!("{}/{}", provider.name, it.model));
    let may_use = |name: &str| caller.principal.may_use(name);
    let is_allowed = may_use(&listed) || asked_model.as_deref().is_some_and(may_use);
    draft.record.model = asked_model.as_deref().unwrap_or(&listed).into();
    if !is_allowed {
        return Err(Refusal::ModelNotAllowed { model: draft.record.model.to_string() });
    }
    let target = asked_model.unwrap_or_else(|| format!("{}/{MODEL}", provider.name));
    let what = What { target, path, invocation };
    if let Some((label, value)) = fit::unmet(&provider, &demands(&caller, &settings)) {
        return Err(fit::residency(label, value));
    }
    let place = Place::take(&draft.core.places, settings.limits.open_requests).ok_or(Refusal::Overloaded)?;
    Box::pin(call::send(caller, &settings, what, place, body, draft, transport)).await
}

/// Hands the record of a native call over to its answer, with which it ends.
pub(crate) fn with_record(
    response: Response<Box<NativeBody>>,
    mut draft: Draft,
) -> Response<crate::answer::AnswerBody> {
    draft.answered(response.status().as_u16());
    response.map(|mut body| {
        body.adopt(draft);
        crate::answer::AnswerBody::native(body)
    })
}

/// Whether a call makes nothing: it reads or deletes. No provider charges for either; what is stored there is charged
/// to the installation by the day, if at all.
fn makes_nothing(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE)
}

/// Every budget that counts a native call.
fn counting<'a>(
    question: &Question<'_>,
    caller: &'a Authenticated,
    settings: &'a Compiled,
    provider: &'a Provider,
    book: weighbridge_ledger::Book,
) -> Vec<Counting<'a>> {
    use weighbridge_ledger::BudgetScope as Scope;
    let principal = &caller.principal;
    let tenants =
        principal.tenants().map(|node| (Scope::Tenant(node.tenant().name.as_str()), node.budgets()));
    let all =
        [(Scope::Installation, &*settings.budgets), (Scope::Provider(&provider.name), &*provider.budgets)];
    let all = all.into_iter().chain(tenants).chain([(Scope::Key(principal.key().id), principal.budgets())]);
    all.flat_map(|(owner, meters)| {
        meters.iter().filter_map(move |meter| question.counting(owner, meter, book))
    })
    .collect()
}

/// Whether what counts a call has to know what it costs.
fn must_be_priced(counting: &[Counting<'_>], caller: &Authenticated) -> bool {
    let by_use = |it: &Counting<'_>| !matches!(it.budget.limit, BudgetLimit::Requests(_));
    counting.iter().any(by_use) || caller.principal.payer().1.is_some()
}

fn question<'a>(caller: &'a Authenticated, draft: &Draft, model: &'a str) -> Question<'a> {
    let user = caller.attributes.user.as_deref().unwrap_or_default();
    Question { at: draft.record.at, model, user, tags: Tags::Read(&caller.attributes.tags) }
}

/// Which provider an address names, and what of it.
pub(crate) fn asked(uri: &Uri) -> Option<Asked> {
    Asked::of(uri)
}

/// Methods that are passed on: all but those that are about connections.
pub(crate) fn is_passed_on(method: &Method) -> bool {
    !matches!(*method, Method::CONNECT | Method::TRACE)
}

/// The protocol that a refusal is rendered in.
pub(crate) fn protocol_of(path: &str, headers: &HeaderMap) -> Protocol {
    if path.contains("/v1/messages") || headers.contains_key("anthropic-version") {
        Protocol::AnthropicMessages
    } else if path.contains("/v1beta/") || headers.contains_key(GOOGLE_KEY) {
        Protocol::GeminiGenerateContent
    } else {
        Protocol::OpenAiChat
    }
}
