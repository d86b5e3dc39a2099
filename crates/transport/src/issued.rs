//! Credentials that an issuer gives for a while, and that have to be renewed.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{BoxFuture, Phase, Rope, TransportError};

/// Which of the credentials that one issuer gave: each is newer than those with a smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Keeps a credential that is valid for a while only, such as an access token or temporary keys.
///
/// The wall clock is an argument: `now` decides what is valid, and when it is time for the next one.
pub trait Issue: Send + Sync {
    /// Puts the credential at hand on `request`, and tells which one that was; `None` where none is at
    /// hand that is valid. Where it soon will not be any more, the next one is asked for beside.
    fn put(&self, request: &mut http::Request<Rope>, now: SystemTime) -> Option<Generation>;

    /// Waits until a valid one is at hand. However many wait, the issuer is asked once.
    ///
    /// # Errors
    /// [`Phase::Credential`] where the issuer gives none; the message names no secret.
    fn ready(&self, now: SystemTime) -> BoxFuture<'_, Result<(), TransportError>>;

    /// Takes note that a provider did not accept that credential, though it should be valid yet. Tells
    /// whether the request is worth sending again: there is a newer one, or one will be asked for.
    fn refused(&self, generation: Generation, now: SystemTime) -> bool;

    /// Whether what it gives signs a request, whose body has to be there as a whole then.
    fn signs(&self) -> bool {
        false
    }

    /// Shows the secrets that were sent last, so that they can be taken out of what a provider says.
    fn secrets(&self, each: &mut dyn FnMut(&str));
}

/// The issued credential of one request, which travels among its extensions until it is put on.
///
/// ```
/// use std::sync::Arc;
/// use std::time::SystemTime;
/// use http::{HeaderValue, Request};
/// use weighbridge_transport::{BoxFuture, Generation, Issue, Issued, Rope, TransportError};
///
/// struct Fixed;
/// impl Issue for Fixed {
///     fn put(&self, request: &mut Request<Rope>, _: SystemTime) -> Option<Generation> {
///         request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer t"));
///         Some(Generation(1))
///     }
///     fn ready(&self, _: SystemTime) -> BoxFuture<'_, Result<(), TransportError>> {
///         Box::pin(async { Ok(()) })
///     }
///     fn refused(&self, _: Generation, _: SystemTime) -> bool {
///         false
///     }
///     fn secrets(&self, each: &mut dyn FnMut(&str)) {
///         each("t");
///     }
/// }
///
/// # futures::executor::block_on(async {
/// let mut request = Request::new(Rope::new());
/// request.extensions_mut().insert(Issued(Arc::new(Fixed)));
/// assert_eq!(Issued::apply(&mut request, SystemTime::UNIX_EPOCH).await?, Some(Generation(1)));
/// assert_eq!(request.headers()["authorization"], "Bearer t");
/// # Ok::<(), TransportError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Issued(pub Arc<dyn Issue>);

impl Issued {
    /// Puts on a request the credential among its extensions, if there is one, and takes that out. Waits
    /// only where none is at hand.
    ///
    /// # Errors
    /// As [`Issue::ready`].
    pub async fn apply(
        request: &mut http::Request<Rope>,
        now: SystemTime,
    ) -> Result<Option<Generation>, TransportError> {
        let Some(Self(issuer)) = request.extensions_mut().remove::<Self>() else { return Ok(None) };
        if let Some(generation) = issuer.put(request, now) {
            return Ok(Some(generation));
        }
        issuer.ready(now).await?;
        // Not at hand though it was ready: refused meanwhile, for another request.
        let gone = || TransportError::new(Phase::Credential, "the credential was refused as soon as it came");
        issuer.put(request, now).map(Some).ok_or_else(gone)
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(..)")
    }
}
