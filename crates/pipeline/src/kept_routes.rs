//! Kept answers of OpenAI Responses, read and deleted.
//! <https://platform.openai.com/docs/api-reference/responses/get>

use std::borrow::Cow;

use http::Response;
use weighbridge_cache::{KeptAnswer, KeptId};
use weighbridge_protocol::unescaped;
use weighbridge_translate::openai_responses::kept::{
    InputItemsQuery, InvalidQuery, Turn, deleted, input_items,
};

use crate::answer::AnswerBody;
use crate::conversation::{not_given, shown, tenant_of};
use crate::draft::Draft;
use crate::receive::Authenticated;
use crate::refusal::Refusal;
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
}

/// A question for a kept answer of the caller's tenant.
pub(crate) async fn answer(
    caller: &Authenticated,
    id: &str,
    act: Act,
    draft: &Draft,
) -> Result<Response<AnswerBody>, Refusal> {
    let unknown = || Refusal::UnknownAnswer { id: shown(id) };
    let (Some(keeper), Ok(id)) = (&draft.core.keeper, KeptId::new(id)) else { return Err(unknown()) };
    let pairs = pairs(caller.head.uri.query().unwrap_or_default());
    let pairs = || pairs.iter().map(|(name, value)| (&**name, &**value));
    let tenant = tenant_of(&caller.principal)?;
    let now = draft.core.env.now();
    let body = match act {
        Act::Read => {
            if pairs().any(|pair| pair == ("stream", "true")) {
                let message = "A kept answer is whole and is not streamed again: ask without `stream`.";
                return Err(Refusal::BadBody { message: message.into(), param: Some("stream".into()) });
            }
            let kept = keeper.get(&tenant, &id, now).await.map_err(|error| not_given(&error, unknown()))?;
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
            let (last, earlier) = chain.split_last().ok_or_else(unknown)?;
            let turn = |kept| {
                let KeptAnswer { input, answer, .. }: &'_ KeptAnswer = kept;
                Turn { input, answer, by_same_provider: true }
            };
            let turns: Vec<Turn<'_>> = earlier.iter().map(turn).collect();
            input_items(id.as_str(), &turns, &last.input, &query).map_err(|error| {
                tracing::error!(%error, "a kept answer cannot be read");
                unknown()
            })?
        }
        Act::Delete => {
            keeper.delete(&tenant, &id, now).await.map_err(|error| not_given(&error, unknown()))?;
            deleted(id.as_str())
        }
    };
    Ok(respond::json(200, body))
}

/// The names and values of a query, decoded.
fn pairs(query: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, value)| Some((unescaped(name)?, unescaped(value)?))).collect()
}
