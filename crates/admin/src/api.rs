use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use weighbridge_access::{PresentedKey, ProviderKeyId};
use weighbridge_ledger::{Extent, Refusal as LedgerRefusal};
use weighbridge_units::{AttemptId, KeyId, RequestId};

use crate::{Actor, AdminError, AdminService, CreatedKey, Credentials, GivenSecret, KeyView, UsageQuestion};

/// The largest request body. Definitions of keys are small.
const BODY_BYTES: usize = 64 * 1024;
/// The largest body that holds a request whose route is asked for: long prompts, without the media of the longest ones.
const REQUEST_BYTES: usize = 8 << 20;
/// The longest grace of a rotated secret.
const GRACE_SECS: u64 = 90 * 24 * 60 * 60;
/// The most rows of the journal in one answer.
const JOURNAL_ROWS: usize = 1_000;
/// What administrators of tenants may ask for at all. Each route looks at what of it is theirs.
const OF_TENANTS: [&str; 4] =
    ["/admin/v1/keys", "/admin/v1/provider-keys", "/admin/v1/tenants", "/admin/v1/usage"];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The admin API: JSON in and out, every route behind the credential.
///
/// | route | what |
/// |---|---|
/// | `POST /admin/v1/keys` | makes a key from a [`crate::NewKey`]; the answer holds the secret, once |
/// | `GET /admin/v1/keys` | every key |
/// | `PATCH /admin/v1/keys/{id}` | changes what a key may do, by a [`crate::Change`] |
/// | `DELETE /admin/v1/keys/{id}` | takes a key back |
/// | `POST /admin/v1/keys/{id}/rotate` | gives a key another secret: `{"grace_secs": 3600}` |
/// | `GET /admin/v1/tenants` | every organisation and team that is defined |
/// | `PUT /admin/v1/tenants/{name}` | defines one, by a [`crate::Change`] from no restriction: `acme`, `acme/search` |
/// | `GET`, `PATCH /admin/v1/tenants/{name}` | shows one, changes it |
/// | `POST /admin/v1/provider-keys` | seals and keeps a provider's key: a [`crate::NewProviderKey`] |
/// | `GET /admin/v1/provider-keys` | every provider's key, by the last characters of its secret |
/// | `PATCH /admin/v1/provider-keys/{id}` | changes its label or share: a [`crate::ProviderKeyChange`] |
/// | `DELETE /admin/v1/provider-keys/{id}` | throws it away |
/// | `POST /admin/v1/provider-keys/{id}/rotate` | gives it another secret: `{"secret": "…"}` |
/// | `POST /admin/v1/provider-keys/reseal` | seals all under the present master key |
/// | `GET /admin/v1/usage?by=&from=&to=&key=` | who used how much: a [`crate::UsageQuestion`] |
/// | `GET /admin/v1/savings?by=&from=&to=&key=` | what routes with a baseline saved |
/// | `GET /admin/v1/requests/{id}/explanation` | one request: attempts, arithmetic, postings, routing |
/// | `POST /admin/v1/route/explain` | how a request would be routed now, without sending it: a [`crate::RouteAsked`] |
/// | `GET /admin/v1/ledger/verify` | checks the whole journal; `?extent=since-seal` its end |
/// | `GET /admin/v1/ledger/balances` | all accounts |
/// | `GET /admin/v1/ledger/attempts` | what each ended attempt used and cost |
/// | `POST /admin/v1/ledger/fundings` | moves a tenant's wallet: a [`crate::NewFunding`]; once per id |
/// | `GET /admin/v1/ledger/wallet?tenant=` | what a tenant owes |
/// | `GET /admin/v1/ledger/statement?tenant=&from=&to=` | what moved a tenant's wallet, days in UTC |
/// | `GET /admin/v1/ledger/journal?after=&limit=` | rows of the journal, decoded |
///
/// Refusals read `{"error": {"type", "message", "field"}}`. No or a wrong credential is 401 on any
/// path, a virtual key 403. An administrator of a tenant sees and changes keys, provider keys and tenants within it; what is
/// not theirs is 404, and every route but those is 403.
pub fn router(service: Arc<AdminService>, credentials: impl Into<Credentials>) -> Router {
    let gate = Gate { credentials: credentials.into(), service: Arc::clone(&service) };
    Router::new()
        .route("/admin/v1/keys", post(create_key).get(list_keys))
        .route("/admin/v1/keys/{id}", delete(revoke_key).patch(update_key))
        .route("/admin/v1/tenants", get(list_tenants))
        .route("/admin/v1/tenants/{*name}", get(show_tenant).put(create_tenant).patch(update_tenant))
        .route("/admin/v1/keys/{id}/rotate", post(rotate_key))
        .route("/admin/v1/provider-keys", post(add_provider_key).get(list_provider_keys))
        .route("/admin/v1/provider-keys/reseal", post(reseal_provider_keys))
        .route("/admin/v1/provider-keys/{id}", delete(revoke_provider_key).patch(update_provider_key))
        .route("/admin/v1/provider-keys/{id}/rotate", post(rotate_provider_key))
        .route("/admin/v1/usage", get(usage))
        .route("/admin/v1/savings", get(savings))
        .route("/admin/v1/requests/{id}/explanation", get(explain))
        .route("/admin/v1/route/explain", post(explain_route).layer(DefaultBodyLimit::max(REQUEST_BYTES)))
        .route("/admin/v1/ledger/verify", get(verify_ledger))
        .route("/admin/v1/ledger/balances", get(balances))
        .route("/admin/v1/ledger/attempts", get(attempts))
        .route("/admin/v1/ledger/fundings", post(fund))
        .route("/admin/v1/ledger/wallet", get(wallet))
        .route("/admin/v1/ledger/statement", get(statement))
        .route("/admin/v1/ledger/journal", get(journal))
        .fallback(|| async {
            Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
        })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has other methods")
        })
        .with_state(service)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        // Outermost, so that without the credential nothing is told, not even which paths there are.
        .layer(middleware::from_fn_with_state(Arc::new(gate), check_credential))
}

/// Serves the API on a listener, which should be a loopback one, until `stop` is ready; requests in
/// flight are then answered first.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

struct Gate {
    credentials: Credentials,
    service: Arc<AdminService>,
}

async fn check_credential(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers(), &gate.service);
    let token = presented(request.headers());
    let actor = token.and_then(|token| gate.credentials.actor(token)).cloned();
    let mut response = match token {
        _ if let Some(actor) = actor => {
            if actor.is_of_installation() || is_of_tenants(request.uri().path()) {
                request.extensions_mut().insert(actor);
                next.run(request).await
            } else {
                let why = "this is for the administrator of the installation";
                Refusal::new(StatusCode::FORBIDDEN, "permission_denied", why).into_response()
            }
        }
        Some(token) if PresentedKey::parse(token).is_some() => Refusal::new(
            StatusCode::FORBIDDEN,
            "permission_denied",
            "a virtual key cannot administer: use the admin token",
        )
        .into_response(),
        _ => Refusal::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "the admin token is missing or wrong: send it as `authorization: Bearer <token>`",
        )
        .into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Whether a path is that of keys or tenants, or lies below.
fn is_of_tenants(path: &str) -> bool {
    OF_TENANTS
        .iter()
        .filter_map(|open| path.strip_prefix(open))
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The one credential of a request; none where there are several, as it is unclear who is meant.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The caller's id for the request, or one that is made.
fn request_id(headers: &HeaderMap, service: &AdminService) -> RequestId {
    let given =
        headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).and_then(|id| RequestId::new(id).ok());
    given.unwrap_or_else(|| {
        let mut random = [0; 16];
        // Without random numbers the id is not unique, which is no reason to refuse the request.
        let _ = getrandom::fill(&mut random);
        RequestId::from_attempt(AttemptId::new(service.now(), u128::from_be_bytes(random)))
    })
}

type Service = State<Arc<AdminService>>;
type Sent = Result<Bytes, BytesRejection>;

type Who = Extension<Actor>;

async fn create_key(State(service): Service, Extension(actor): Who, body: Sent) -> Result<Response, Refusal> {
    let created = service.create_key(&actor, read(body)?).await?;
    Ok((StatusCode::CREATED, Json(Created::new(&created))).into_response())
}

async fn list_keys(State(service): Service, Extension(actor): Who) -> Result<Response, Refusal> {
    Ok(Json(Listed { data: service.list_keys(&actor).await? }).into_response())
}

async fn update_key(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
    body: Sent,
) -> Result<Response, Refusal> {
    Ok(Json(service.update_key(&actor, key_id(&id)?, &read(body)?).await?).into_response())
}

async fn revoke_key(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    Ok(Json(service.revoke_key(&actor, key_id(&id)?).await?).into_response())
}

async fn list_tenants(State(service): Service, Extension(actor): Who) -> Result<Response, Refusal> {
    Ok(Json(Listed { data: service.list_tenants(&actor).await? }).into_response())
}

async fn show_tenant(
    State(service): Service,
    Extension(actor): Who,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    Ok(Json(service.tenant(&actor, &name).await?).into_response())
}

async fn create_tenant(
    State(service): Service,
    Extension(actor): Who,
    Path(name): Path<String>,
    body: Sent,
) -> Result<Response, Refusal> {
    let created = service.create_tenant(&actor, &name, &read(body)?).await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

async fn update_tenant(
    State(service): Service,
    Extension(actor): Who,
    Path(name): Path<String>,
    body: Sent,
) -> Result<Response, Refusal> {
    Ok(Json(service.update_tenant(&actor, &name, &read(body)?).await?).into_response())
}

async fn rotate_key(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
    body: Sent,
) -> Result<Response, Refusal> {
    let id = key_id(&id)?;
    let Rotation { grace_secs } = read(body)?;
    if grace_secs > GRACE_SECS {
        return Err(Refusal::field("grace_secs", format!("at most {GRACE_SECS}")));
    }
    let rotated = service.rotate_key(&actor, id, Duration::from_secs(grace_secs)).await?;
    Ok(Json(Created::new(&rotated)).into_response())
}

async fn add_provider_key(
    State(service): Service,
    Extension(actor): Who,
    body: Sent,
) -> Result<Response, Refusal> {
    let added = service.add_provider_key(&actor, &read_secret(body)?).await?;
    Ok((StatusCode::CREATED, Json(added)).into_response())
}

async fn list_provider_keys(State(service): Service, Extension(actor): Who) -> Result<Response, Refusal> {
    Ok(Json(Listed { data: service.list_provider_keys(&actor).await? }).into_response())
}

async fn rotate_provider_key(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
    body: Sent,
) -> Result<Response, Refusal> {
    let NewSecret { secret } = read_secret(body)?;
    Ok(Json(service.rotate_provider_key(&actor, provider_key_id(&id)?, &secret).await?).into_response())
}

async fn update_provider_key(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
    body: Sent,
) -> Result<Response, Refusal> {
    let change = read_secret(body)?;
    Ok(Json(service.update_provider_key(&actor, provider_key_id(&id)?, &change).await?).into_response())
}

async fn revoke_provider_key(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    Ok(Json(service.revoke_provider_key(&actor, provider_key_id(&id)?).await?).into_response())
}

async fn reseal_provider_keys(State(service): Service, Extension(actor): Who) -> Result<Response, Refusal> {
    Ok(Json(service.reseal_provider_keys(&actor).await?).into_response())
}

async fn usage(
    State(service): Service,
    Extension(actor): Who,
    query: Result<Query<UsageQuestion>, QueryRejection>,
) -> Result<Response, Refusal> {
    Ok(Json(service.usage(&actor, &question(query)?).await?).into_response())
}

async fn savings(
    State(service): Service,
    Extension(actor): Who,
    query: Result<Query<UsageQuestion>, QueryRejection>,
) -> Result<Response, Refusal> {
    Ok(Json(service.savings(&actor, &question(query)?).await?).into_response())
}

fn question(query: Result<Query<UsageQuestion>, QueryRejection>) -> Result<UsageQuestion, Refusal> {
    let Query(question) =
        query.map_err(|_| Refusal::field("by, from, to, key", "each at most once, and no others"))?;
    Ok(question)
}

async fn explain(
    State(service): Service,
    Extension(actor): Who,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    Ok(Json(service.explain(&actor, &id).await?).into_response())
}

async fn explain_route(
    State(service): Service,
    Extension(actor): Who,
    body: Sent,
) -> Result<Response, Refusal> {
    let asked = read_up_to(REQUEST_BYTES, body)?;
    Ok(Json(service.explain_route(&actor, &asked)?).into_response())
}

async fn verify_ledger(
    State(service): Service,
    query: Result<Query<VerifyQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let known = "all, which it is if absent, or since-seal";
    let Query(query) = query.map_err(|_| Refusal::field("extent", known))?;
    let extent = match query.extent.as_deref() {
        None | Some("all") => Extent::All,
        Some("since-seal") => Extent::SinceSeal,
        Some(_) => return Err(Refusal::field("extent", known)),
    };
    Ok(Json(service.verify_ledger(extent).await?).into_response())
}

async fn balances(State(service): Service) -> Result<Response, Refusal> {
    Ok(Json(Listed { data: service.balances().await? }).into_response())
}

async fn attempts(State(service): Service) -> Result<Response, Refusal> {
    Ok(Json(Listed { data: service.attempts().await? }).into_response())
}

async fn fund(State(service): Service, Extension(actor): Who, body: Sent) -> Result<Response, Refusal> {
    Ok(Json(service.fund(&actor, &read(body)?).await?).into_response())
}

async fn wallet(
    State(service): Service,
    query: Result<Query<WalletQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::field("tenant", "name a tenant"))?;
    Ok(Json(Listed { data: service.wallet(&query.tenant).await? }).into_response())
}

async fn statement(
    State(service): Service,
    query: Result<Query<StatementQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(StatementQuery { tenant, from, to }) =
        query.map_err(|_| Refusal::field("tenant, from, to", "name a tenant and two days"))?;
    Ok(Json(service.statement(&tenant, &from, &to).await?).into_response())
}

async fn journal(
    State(service): Service,
    query: Result<Query<JournalQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::field("after, limit", "whole numbers"))?;
    let limit = query.limit.unwrap_or(JOURNAL_ROWS).min(JOURNAL_ROWS);
    Ok(Json(Listed { data: service.journal(query.after.unwrap_or(0), limit).await? }).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletQuery {
    tenant: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementQuery {
    tenant: String,
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Listed<T> {
    data: Vec<T>,
}

/// A key with its secret: serialised straight into the answer, kept nowhere.
#[derive(Serialize)]
struct Created<'a> {
    /// The whole key, `wb-<id>-<secret>`. It is not shown again.
    secret: &'a str,
    /// What can be shown later on too.
    key: &'a KeyView,
}

impl<'a> Created<'a> {
    fn new(created: &'a CreatedKey) -> Self {
        Self { secret: created.expose(), key: &created.view }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    grace_secs: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    secret: GivenSecret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyQuery {
    extent: Option<String>,
}

/// A text that cannot be an id is the id of no key.
fn key_id(text: &str) -> Result<KeyId, Refusal> {
    text.parse().map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such key"))
}

fn provider_key_id(text: &str) -> Result<ProviderKeyId, Refusal> {
    let missing = "there is no such provider key";
    text.parse().map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "not_found", missing))
}

/// Reads a body that may hold a secret, wherever in it: what is wrong is told by its place, without a word of it.
fn read_secret<T: for<'de> Deserialize<'de>>(body: Sent) -> Result<T, Refusal> {
    serde_json::from_slice(&received(BODY_BYTES, body)?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = format!(
            "the body is not right at line {line}, column {column}: a field is missing, unknown or of another type"
        );
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    })
}

fn read<T: for<'de> Deserialize<'de>>(body: Sent) -> Result<T, Refusal> {
    read_up_to(BODY_BYTES, body)
}

fn read_up_to<T: for<'de> Deserialize<'de>>(most: usize, body: Sent) -> Result<T, Refusal> {
    // serde_json's message tells field, line and column.
    serde_json::from_slice(&received(most, body)?).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", format!("the body is not right: {error}"))
    })
}

fn received(most: usize, body: Sent) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body has more than {most} bytes"),
        ),
        _ => Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "the body could not be read"),
    })
}

/// A refusal as it is answered.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
    field: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), field: None }
    }

    fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", message) }
    }
}

impl From<AdminError> for Refusal {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match &error {
            AdminError::Invalid { field, .. } => Self::field(field, message),
            AdminError::NotFound(_)
            | AdminError::NoTenant(_)
            | AdminError::NoProviderKey(_)
            | AdminError::NoRequest(_)
            | AdminError::Refused(LedgerRefusal::UnknownTopUp) => {
                Self::new(StatusCode::NOT_FOUND, "not_found", message)
            }
            AdminError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "permission_denied", message),
            AdminError::ExceedsParent { field, .. } => {
                Self { field: Some(field), ..Self::new(StatusCode::FORBIDDEN, "exceeds_parent", message) }
            }
            AdminError::Revoked(_)
            | AdminError::RevokedProviderKey(_)
            | AdminError::NoVault
            | AdminError::Vault(_)
            | AdminError::TenantExists(_)
            | AdminError::Changed(_)
            | AdminError::Refused(LedgerRefusal::Conflict) => {
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            AdminError::Refused(LedgerRefusal::StaleEpoch) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            }
            AdminError::Refused(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_request", message),
            _ => {
                // What the store said stays inside.
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, "an administrative act failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "error": { "type": self.kind, "message": self.message, "field": self.field }
        });
        (self.status, Json(body)).into_response()
    }
}
