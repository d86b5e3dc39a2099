//! What the gateway answers by itself: the models that a key may use, and records of its requests.

use std::sync::Arc;

use http::Response;
use weighbridge_catalogue::ModelInfo;
use weighbridge_records::Scope;
use weighbridge_translate::model_list::{self, Listed, Paging};
use weighbridge_units::RequestId;

use crate::answer::AnswerBody;
use crate::draft::Draft;
use crate::receive::Authenticated;
use crate::refusal::Refusal;
use crate::respond;

/// A model that a key may use.
struct Offer {
    name: String,
    owner: Arc<str>,
    info: Option<&'static ModelInfo>,
}

impl Offer {
    fn listed(&self) -> Listed<'_> {
        Listed {
            input_max: self.info.map(|info| info.context_window),
            output_max: self.info.map(|info| info.max_output),
            ..Listed::new(&self.name, &self.owner)
        }
    }
}

/// `GET /v1/models` and `/v1beta/models`, in the shape of the client's protocol.
pub(crate) fn models(caller: &Authenticated, draft: &Draft) -> Response<AnswerBody> {
    let client = draft.record.client_protocol;
    let offers = offers(caller, draft);
    let listed: Vec<Listed<'_>> = offers.iter().map(Offer::listed).collect();
    let paging = Paging::of(client, caller.head.uri.query());
    respond::json(200, model_list::list(client, &listed, &paging))
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
    Ok(respond::json(200, model_list::one(draft.record.client_protocol, &offer.listed())))
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
        Ok(record) => {
            let shown = record.and_then(weighbridge_records::for_client).ok_or_else(unknown)?;
            Ok(respond::json(200, shown))
        }
        Err(error) => {
            tracing::error!(%error, "the request log cannot be read");
            Err(Refusal::Internal)
        }
    }
}

/// The names that the key may use: routes first, then every known model of each provider, by each of its names.
fn offers(caller: &Authenticated, draft: &Draft) -> Vec<Offer> {
    let settings = draft.core.compiled.load();
    let routes = settings.route_names().into_iter().map(|name| Offer {
        name: name.to_owned(),
        owner: "weighbridge".into(),
        info: settings.route(name).and_then(|route| route.deployments.first()?.info),
    });
    let direct = settings.providers().into_iter().flat_map(|provider| {
        weighbridge_catalogue::known_names(&provider.price_as).map(|(name, info)| Offer {
            name: format!("{}/{name}", provider.name),
            owner: Arc::clone(&provider.name),
            info: Some(info),
        })
    });
    routes.chain(direct).filter(|offer| caller.principal.may_use(&offer.name)).collect()
}
