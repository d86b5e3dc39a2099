//! Kept answers of OpenAI Responses, read and deleted.
//! <https://platform.openai.com/docs/api-reference/responses/get>

use std::borrow::Cow;

use http::Response;
use weighbridge_cache::KeptId;
use weighbridge_protocol::{Body, unescaped};
use weighbridge_translate::openai_responses::kept::{
    CitedItems, InputItemsQuery, InvalidQuery, Turn, cited_ids, deleted, input_items, retold,
};

use crate::answer::AnswerBody;
use crate::conversation::{as_told, not_given, tenant_of};
use crate::draft::Draft;
use crate::receive::Authenticated;
use crate::refusal::{Refusal, shown};
use crate::respond;

/// What is to become of a kept answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is read.
    Read,
    /// What it was made from is read.
    Items,
    /// It is deleted.
    Delete,
    /// It is not to be made any further.
    Cancel,
}

/// A question for a kept answer of the caller's tenant.
pub(crate) async fn answer(
    caller: &Authenticated,
    id: &str,
    act: Act,
    draft: &Draft,
) -> Result<Response<AnswerBody>, Refusal> {
    let unknown = || Refusal::UnknownAnswer { id: shown(id).to_owned() };
    let (Some(keeper), Ok(id)) = (&draft.core.keeper, KeptId::new(id)) else { return Err(unknown()) };
    let pairs = pairs(caller.head.uri.query().unwrap_or_default());
    let pairs = || pairs.iter().map(|(name, value)| (&**name, &**value));
    let tenant = tenant_of(&caller.principal)?;
    let now = draft.core.env.now();
    let unreadable = |error| {
        tracing::error!(%error, "a kept answer cannot be read");
        unknown()
    };
    let body = match act {
        Act::Read => {
            let kept = keeper.get(&tenant, &id, now).await.map_err(|error| not_given(&error, unknown()))?;
            if pairs().any(|pair| pair == ("stream", "true")) {
                let after = starting_after(pairs())?;
                return Ok(respond::events(retold(&kept.answer, after).map_err(unreadable)?));
            }
            kept.answer.into_bytes()
        }
        Act::Items => {
            let query = InputItemsQuery::read(pairs()).map_err(|error| {
                let param = match error {
                    InvalidQuery::Limit => "limit",
                    _ => "order",
                };
                Refusal::BadBody { message: error.to_string(), param: Some(param.into()) }
            })?;
            let chain =
                keeper.chain(&tenant, &id, now).await.map_err(|error| not_given(&error, unknown()))?;
            let turns: Vec<Turn<'_>> = chain.iter().map(as_told).collect();
            let ids = cited_ids(&Body::default(), &turns).map_err(unreadable)?;
            let cited = keeper.citing(&tenant, &ids, now).await;
            let cited = cited.map_err(|error| not_given(&error, unknown()))?.answers;
            let cited: Vec<Turn<'_>> = cited.iter().map(as_told).collect();
            let cited = CitedItems::of(&cited).map_err(unreadable)?;
            let (last, earlier) = turns.split_last().ok_or_else(unknown)?;
            input_items(id.as_str(), earlier, last.input, &cited, &query).map_err(unreadable)?
        }
        Act::Delete => {
            keeper.delete(&tenant, &id, now).await.map_err(|error| not_given(&error, unknown()))?;
            deleted(id.as_str())
        }
        Act::Cancel => {
            // It was whole before it was kept.
            keeper.get(&tenant, &id, now).await.map_err(|error| not_given(&error, unknown()))?;
            return Err(Refusal::BadBody {
                message: "Cannot cancel a synchronous response.".into(),
                param: None,
            });
        }
    };
    Ok(respond::json(200, body))
}

/// The number of the event that a stream is to go on after.
fn starting_after<'q>(pairs: impl Iterator<Item = (&'q str, &'q str)>) -> Result<Option<u64>, Refusal> {
    let asked = pairs.filter(|(name, _)| *name == "starting_after").last();
    asked
        .map(|(name, value)| {
            let message = || format!("`{name}` is the number of an event");
            value.parse().map_err(|_| Refusal::BadBody { message: message(), param: Some(name.into()) })
        })
        .transpose()
}

/// The names and values of a query, decoded.
fn pairs(query: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, value)| Some((unescaped(name)?, unescaped(value)?))).collect()
}
