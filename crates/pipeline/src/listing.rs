//! What the gateway answers by itself: the models that a key may use, and records of its requests.

use http::Response;
use serde_json::{Value, json};
use weighbridge_records::Scope;
use weighbridge_units::{Protocol, RequestId};

use crate::answer::AnswerBody;
use crate::draft::Draft;
use crate::receive::Authenticated;
use crate::refusal::Refusal;
use crate::respond;

/// Dates of models are not known to the gateway; both SDKs demand one.
const CREATED_SECS: i64 = 0;
const CREATED_TEXT: &str = "1970-01-01T00:00:00Z";

/// Who offers a model, as OpenAI's list shows it.
struct Offer {
    name: String,
    owner: String,
}

/// `GET /v1/models`, in the shape of the client's protocol.
pub(crate) fn models(caller: &Authenticated, draft: &Draft) -> Response<AnswerBody> {
    let client = draft.record.client_protocol;
    let offers = offers(caller, draft);
    let data: Vec<Value> = offers.iter().map(|offer| describe(client, offer)).collect();
    let list = match client {
        Protocol::AnthropicMessages => json!({
            "data": data,
            "first_id": offers.first().map(|offer| &offer.name),
            "last_id": offers.last().map(|offer| &offer.name),
            "has_more": false,
        }),
        _ => json!({ "object": "list", "data": data }),
    };
    respond::json(200, list.to_string())
}

/// `GET /v1/models/{model}`.
pub(crate) fn model(
    caller: &Authenticated,
    name: &str,
    draft: &Draft,
) -> Result<Response<AnswerBody>, Refusal> {
    let offer = offers(caller, draft).into_iter().find(|offer| offer.name == name);
    let offer = offer.ok_or_else(|| Refusal::UnknownModel {
        model: name.chars().take(200).collect(),
        near: draft
            .core
            .compiled
            .load()
            .near(name)
            .into_iter()
            .filter(|n| caller.principal.may_use(n))
            .collect(),
    })?;
    Ok(respond::json(200, describe(draft.record.client_protocol, &offer).to_string()))
}

/// `GET /v1/requests/{id}`: the latest record of that id within the caller's tenant.
pub(crate) async fn request(
    caller: &Authenticated,
    id: &str,
    draft: &Draft,
) -> Result<Response<AnswerBody>, Refusal> {
    let unknown = || Refusal::UnknownRequest { id: id.chars().take(RequestId::MAX_LENGTH).collect() };
    let id = RequestId::new(id).map_err(|_| unknown())?;
    let scope = Scope::Tenant(caller.principal.key().tenant.shared());
    match draft.core.log.get(&scope, &id).await {
        Ok(Some(record)) => Ok(respond::json(200, record)),
        Ok(None) => Err(unknown()),
        Err(error) => {
            tracing::error!(%error, "the request log cannot be read");
            Err(Refusal::Internal)
        }
    }
}

/// The names that the key may use: routes first, then every known model of each provider.
fn offers(caller: &Authenticated, draft: &Draft) -> Vec<Offer> {
    let settings = draft.core.compiled.load();
    let routes = settings
        .route_names()
        .into_iter()
        .map(|name| Offer { name: name.into(), owner: "weighbridge".into() });
    let direct = settings.providers().into_iter().flat_map(|provider| {
        weighbridge_catalogue::models(&provider.price_as).map(|model| Offer {
            name: format!("{}/{}", provider.name, model.id),
            owner: provider.name.to_string(),
        })
    });
    routes.chain(direct).filter(|offer| caller.principal.may_use(&offer.name)).collect()
}

fn describe(client: Protocol, offer: &Offer) -> Value {
    match client {
        Protocol::AnthropicMessages => json!({
            "type": "model",
            "id": offer.name,
            "display_name": offer.name,
            "created_at": CREATED_TEXT,
            "lifecycle": "active",
        }),
        _ => json!({
            "id": offer.name,
            "object": "model",
            "created": CREATED_SECS,
            "owned_by": offer.owner,
        }),
    }
}
