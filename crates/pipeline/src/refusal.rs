//! Every refusal of our own, in one place: what the client is told, and with which headers.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use weighbridge_access::{Fingerprint, LimitRefusal, ProviderKeyId, TenantName};
use weighbridge_ledger::{Measure, Quantity};
use weighbridge_protocol::Body;
use weighbridge_protocol::json::ReadError;
use weighbridge_translate::ApiError;
use weighbridge_translate::openai_responses::kept::{item_not_found, not_found, previous_not_found};
use weighbridge_units::{AttemptId, ErrorClass, Loss, NanoUsd};

use crate::native;
use crate::outbound::field_path;

/// Names which limit refused a request.
pub(crate) const LIMIT_KIND: HeaderName = HeaderName::from_static("x-gateway-limit-kind");
/// Tells OpenAI's and Anthropic's SDKs whether a retry makes sense.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How long a client should wait when the gateway itself cannot serve, in seconds.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// The longest name of a client's that stands in a refusal or a record, in bytes.
const SHOWN: usize = 200;

/// A name or an id of a client's as it may stand in a refusal or a record: bounded.
pub(crate) fn shown(name: &str) -> &str {
    name.get(..name.floor_char_boundary(SHOWN)).unwrap_or_default()
}

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// No key, a malformed key, an unknown, expired or revoked key: one answer for all of them.
    Unauthenticated,
    /// The key may not be used from there.
    OriginNotAllowed,
    /// The key is blocked, or its team, or its organisation.
    Blocked,
    /// The path is not one of ours.
    UnknownRoute { path: String },
    /// The path is ours, the method is not.
    MethodNotAllowed { allowed: &'static str },
    /// A header of the gateway's own is malformed.
    BadHeader { name: &'static str, expected: &'static str },
    /// The body is larger than the limit.
    BodyTooLarge { limit: usize },
    /// The body did not arrive in time.
    BodyTooSlow,
    /// The body broke off, or its framing is wrong.
    BodyBroken,
    /// The body is not what the protocol demands; `param` names the field where there is one.
    BadBody { message: String, param: Option<String> },
    /// No such model; `near` holds names that it may have meant.
    UnknownModel { model: String, near: Vec<String> },
    /// The key may not use the model.
    ModelNotAllowed { model: String },
    /// No price is known for the model, so that nothing could be reserved.
    Unpriced { model: String },
    /// A translation would lose something and the caller wants it refused.
    LossRejected { losses: Vec<Loss> },
    /// A limit per minute, or of requests at once.
    Limit(LimitRefusal),
    /// A budget has no room; `reset` is when its window ends, if it does.
    Budget { measure: Measure, available: Quantity, reset: Option<Duration> },
    /// The wallet of whoever pays has no room.
    Wallet { available: NanoUsd },
    /// The provider refused a key of the tenant's own. It is told whose it was, and nothing of the key but the little
    /// that may be shown.
    OwnKey {
        provider: Arc<str>,
        owner: TenantName,
        key: ProviderKeyId,
        label: Box<str>,
        fingerprint: Fingerprint,
        class: ErrorClass,
        status: u16,
    },
    /// Only keys of the tenant's own may be used, and it has none at the provider.
    NoOwnKey { provider: Arc<str> },
    /// The ledger cannot be written: nothing may be dispatched (rule C4).
    LedgerUnavailable,
    /// More requests than the gateway takes at once.
    Overloaded,
    /// The gateway is shutting down.
    Draining,
    /// No record of that id that the key may see.
    UnknownRequest { id: String },
    /// No kept answer of that id to go on from.
    UnknownPrevious { id: String },
    /// No item of that id in a kept answer that the key may see; `keeps` tells whether this answer is kept.
    UnknownItem { id: String, keeps: bool },
    /// No kept answer of that id that the key may see.
    UnknownAnswer { id: String },
    /// The store of kept answers cannot be read or written.
    KeptUnavailable,
    /// Something else was asked for under the same idempotency key.
    IdempotencyConflict,
    /// The same is being carried out, and cannot be joined or waited for any longer.
    IdempotencyBusy,
    /// The same was carried out, and its answer is not kept.
    IdempotencyGone,
    /// Another attempt has the claim; the client never sees this.
    ClaimHeld { attempt: AttemptId },
    /// No provider of the model has a label that is demanded.
    Residency { demanded: String },
    /// No model behind the name can serve the request.
    Misfit(ApiError),
    /// A rule of the model refuses it.
    ByRule { message: Arc<str> },
    /// What a provider answered, or what it failed with.
    Upstream { error: ApiError, retry_after: Option<Duration> },
    /// A native call that is not passed on.
    Native(native::Why),
    /// Something of our own broke.
    Internal,
}

impl Refusal {
    /// A field of the client's body that is missing, or not what its protocol demands.
    pub(crate) fn bad_field(error: &ReadError, body: &Body) -> Self {
        let param = Some(field_path(&error.pointer(body.text()))).filter(|path| !path.is_empty());
        let message = match &param {
            Some(path) => format!("{path}: {error}"),
            None => error.to_string(),
        };
        Self::BadBody { message, param }
    }

    /// The name in records and metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::OriginNotAllowed => "origin-not-allowed",
            Self::Blocked => "blocked",
            Self::UnknownRoute { .. } => "unknown-route",
            Self::MethodNotAllowed { .. } => "method-not-allowed",
            Self::BadHeader { .. } => "bad-header",
            Self::BodyTooLarge { .. } => "body-too-large",
            Self::BodyTooSlow => "body-too-slow",
            Self::BodyBroken => "body-broken",
            Self::BadBody { .. } => "bad-body",
            Self::UnknownModel { .. } => "unknown-model",
            Self::ModelNotAllowed { .. } => "model-not-allowed",
            Self::Unpriced { .. } => "unpriced",
            Self::LossRejected { .. } => "loss-rejected",
            Self::Limit(refused) => refused.kind.as_str(),
            Self::Budget { reset, .. } => budget_kind(*reset),
            Self::Wallet { .. } => WALLET,
            Self::OwnKey { .. } => "own-key-refused",
            Self::NoOwnKey { .. } => "no-own-key",
            Self::LedgerUnavailable => "ledger-unavailable",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::UnknownRequest { .. } => "unknown-request",
            Self::UnknownPrevious { .. } => "unknown-previous",
            Self::UnknownItem { .. } => "unknown-item",
            Self::UnknownAnswer { .. } => "unknown-answer",
            Self::KeptUnavailable => "kept-unavailable",
            Self::IdempotencyConflict => "idempotency-conflict",
            Self::IdempotencyBusy | Self::ClaimHeld { .. } => "idempotency-busy",
            Self::IdempotencyGone => "idempotency-gone",
            Self::Residency { .. } => "residency",
            Self::Misfit(_) => "misfit",
            Self::ByRule { .. } => "rule",
            Self::Upstream { .. } => "upstream",
            Self::Native(why) => why.kind(),
            Self::Internal => "internal",
        }
    }

    /// The error as every protocol can render it.
    pub(crate) fn to_api_error(&self) -> ApiError {
        use ErrorClass as Class;
        let (class, status, message) = match self {
            Self::Unauthenticated => (
                Class::Authentication,
                401,
                "No valid gateway key was given: send `authorization: Bearer wb-…` or `x-api-key: wb-…`."
                    .into(),
            ),
            Self::OriginNotAllowed => {
                (Class::Permission, 403, "This key may not be used from this address or page.".into())
            }
            Self::Blocked => (
                Class::Permission,
                403,
                "This key is blocked, or the team or organisation that it is of.".into(),
            ),
            Self::UnknownRoute { path } => {
                (Class::NotFound, 404, format!("There is no route `{path}` on this gateway."))
            }
            Self::MethodNotAllowed { allowed } => {
                (Class::BadRequest, 405, format!("This route takes {allowed} only."))
            }
            Self::BadHeader { name, expected } => {
                (Class::BadRequest, 400, format!("The header `{name}` is not understood: {expected}."))
            }
            Self::BodyTooLarge { limit } => (
                Class::TooLarge,
                413,
                format!("The body is larger than the {limit} bytes that are accepted."),
            ),
            Self::BodyTooSlow => (Class::Timeout, 408, "The body did not arrive in time.".into()),
            Self::BodyBroken => (Class::BadRequest, 400, "The body broke off before its end.".into()),
            Self::BadBody { message, .. } => (Class::BadRequest, 400, message.clone()),
            Self::UnknownModel { model, near } => (Class::NotFound, 404, unknown_model(model, near)),
            Self::ModelNotAllowed { model } => {
                (Class::Permission, 403, format!("This key may not use the model `{model}`."))
            }
            Self::Unpriced { model } => (
                Class::BadRequest,
                400,
                format!("No price is known for `{model}`, so it is not served: add one under [prices]."),
            ),
            Self::LossRejected { losses } => (Class::BadRequest, 400, loss_rejected(losses)),
            Self::Limit(LimitRefusal { kind, whose, limit, .. }) => {
                let limit = kind.amount(*limit);
                (Class::RateLimit, 429, format!("The {whose}'s limit of {limit} is reached ({kind})."))
            }
            Self::Budget { measure, available, reset } => {
                let (class, status) = match reset {
                    Some(_) => (Class::RateLimit, 429),
                    None => (Class::Billing, 402),
                };
                let left = measure.show(*available);
                let message = format!("A budget has no room for this request: {left} are left.");
                (class, status, message)
            }
            Self::Wallet { available } => (
                Class::Billing,
                402,
                format!("The wallet has no room for this request: {available} USD are left. Top it up."),
            ),
            Self::OwnKey { provider, owner, key, label, fingerprint, class, status } => {
                let message = own_key_refused(provider, owner, *key, label, fingerprint, *class, *status);
                match class {
                    Class::Billing => (Class::Billing, 402, message),
                    _ => (Class::Permission, 403, message),
                }
            }
            Self::NoOwnKey { provider } => (
                Class::Permission,
                403,
                format!(
                    "Your organisation requires provider keys of its own, and has none at `{provider}`: ask whoever \
                     administers it to add one."
                ),
            ),
            Self::LedgerUnavailable => (
                Class::Overloaded,
                503,
                "ledger_unavailable: the ledger cannot be written at the moment, so nothing is sent.".into(),
            ),
            Self::Overloaded => (Class::Overloaded, 503, "The gateway is at its capacity.".into()),
            Self::Draining => (Class::Overloaded, 503, "The gateway is shutting down.".into()),
            Self::UnknownRequest { id } => (Class::NotFound, 404, format!("There is no request `{id}`.")),
            Self::UnknownPrevious { id } => return previous_not_found(id),
            Self::UnknownItem { id, keeps } => return item_not_found(id, *keeps),
            Self::UnknownAnswer { id } => return not_found(id),
            Self::KeptUnavailable => {
                (Class::Overloaded, 503, "The kept answers cannot be reached at the moment.".into())
            }
            Self::IdempotencyConflict => (
                Class::BadRequest,
                409,
                "This idempotency key was used for another request: use a new key.".into(),
            ),
            Self::IdempotencyBusy | Self::ClaimHeld { .. } => (
                Class::BadRequest,
                409,
                "The request of this idempotency key is still being carried out: ask again.".into(),
            ),
            Self::IdempotencyGone => (
                Class::BadRequest,
                409,
                "The request of this idempotency key was carried out and charged, and its answer is not kept: use \
                 a new key to have it carried out again."
                    .into(),
            ),
            Self::Residency { demanded } => (
                Class::Permission,
                403,
                format!("No provider of this model has the label `{demanded}`, which this request must have."),
            ),
            Self::Misfit(error) => return error.clone(),
            Self::ByRule { message } => (Class::Permission, 403, message.to_string()),
            Self::Upstream { error, .. } => return error.clone(),
            Self::Native(why) => {
                let class = match why.status() {
                    403 => Class::Permission,
                    501 => Class::Server,
                    _ => Class::BadRequest,
                };
                (class, why.status(), why.message())
            }
            Self::Internal => {
                (Class::Server, 500, "The gateway failed; the request id tells which request.".into())
            }
        };
        ApiError { class, status, message, code: self.code().map(Into::into), param: self.param() }
    }

    /// Whether nothing but more money helps.
    pub(crate) const fn asks_for_payment(&self) -> bool {
        matches!(
            self,
            Self::Budget { reset: None, .. }
                | Self::Wallet { .. }
                | Self::OwnKey { class: ErrorClass::Billing, .. }
        )
    }

    /// Machine-readable codes that OpenAI's clients know, and our own.
    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unauthenticated => "invalid_api_key",
            Self::UnknownModel { .. } => "model_not_found",
            Self::Limit(_) => "rate_limit_exceeded",
            Self::Budget { .. } | Self::Wallet { .. } => "insufficient_quota",
            Self::OwnKey { .. } => "provider_key_refused",
            Self::NoOwnKey { .. } => "provider_key_missing",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::LossRejected { .. } => "translation_loss",
            Self::Unpriced { .. } => "model_not_priced",
            Self::Residency { .. } => "residency",
            Self::ByRule { .. } => "refused_by_rule",
            Self::Native(native::Why::Unpriced { .. }) => "native_unpriced",
            Self::IdempotencyConflict => "idempotency_key_reused",
            Self::IdempotencyBusy | Self::ClaimHeld { .. } => "idempotency_in_progress",
            Self::IdempotencyGone => "idempotency_answer_gone",
            _ => return None,
        })
    }

    fn param(&self) -> Option<String> {
        match self {
            Self::BadBody { param, .. } => param.clone(),
            Self::UnknownModel { .. } | Self::ModelNotAllowed { .. } | Self::Unpriced { .. } => {
                Some("model".into())
            }
            _ => None,
        }
    }

    /// Headers of the refusal, after the table of the documentation.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some(after) = self.retry_after() {
            // Rounded up: a client that comes back in time must not be too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        match self {
            Self::Limit(refused) => {
                headers.insert(LIMIT_KIND, HeaderValue::from_static(refused.kind.as_str()));
            }
            Self::Budget { reset, .. } => {
                headers.insert(LIMIT_KIND, HeaderValue::from_static(budget_kind(*reset)));
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Self::Wallet { .. } => {
                headers.insert(LIMIT_KIND, HeaderValue::from_static(WALLET));
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Self::OwnKey { .. }
            | Self::NoOwnKey { .. }
            | Self::Residency { .. }
            | Self::ByRule { .. }
            | Self::IdempotencyConflict
            | Self::IdempotencyGone => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Self::Upstream { error, .. } if error.status == 429 => {
                headers.insert(LIMIT_KIND, HeaderValue::from_static("upstream"));
            }
            Self::MethodNotAllowed { allowed } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            _ => {}
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limit(refused) => Some(refused.retry_after),
            Self::Budget { reset, .. } => *reset,
            Self::LedgerUnavailable
            | Self::KeptUnavailable
            | Self::Overloaded
            | Self::Draining
            | Self::IdempotencyBusy => Some(RETRY_SOON),
            Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Whose key was refused, where, and why.
fn own_key_refused(
    provider: &str,
    owner: &TenantName,
    key: ProviderKeyId,
    label: &str,
    fingerprint: &Fingerprint,
    class: ErrorClass,
    status: u16,
) -> String {
    let why = match class {
        ErrorClass::Billing => "as out of credit",
        ErrorClass::Permission => "as not permitted to do this",
        _ => "as not valid",
    };
    format!(
        "`{provider}` refused your organisation's own key `{label}` ({fingerprint}, {key}, of `{owner}`) {why} \
         (status {status}). Your gateway key is fine: ask whoever administers `{owner}` to look at the key, or to \
         rotate it."
    )
}

/// The kind of a refusal by a wallet.
const WALLET: &str = "wallet";

/// A budget that starts anew some day, or one that does not.
const fn budget_kind(reset: Option<Duration>) -> &'static str {
    if reset.is_some() { "budget" } else { "budget-total" }
}

fn unknown_model(model: &str, near: &[String]) -> String {
    let mut message = format!("The model `{model}` does not exist here or this key may not see it.");
    if !near.is_empty() {
        message.push_str(" Did you mean ");
        message.push_str(&near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "));
        message.push('?');
    }
    message
}

/// The list that a caller with the policy `reject` is answered with, bounded.
fn loss_rejected(losses: &[Loss]) -> String {
    const LISTED: usize = 20;
    let mut message = format!("{} thing(s) would be lost in translation:", losses.len());
    for loss in losses.iter().take(LISTED) {
        message.push_str(&format!(" [{}] {} ({});", loss.kind.as_str(), loss.place(), loss.reason));
    }
    if losses.len() > LISTED {
        message.push_str(&format!(" and {} more", losses.len() - LISTED));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_named_is_shown_in_part() {
        assert_eq!(shown("gpt-4o"), "gpt-4o");
        // The bound is in the middle of a character.
        let long = format!("a{}", "é".repeat(150));
        assert_eq!(shown(&long), &long[..199]);
    }
}
