//! Credentials that depend on the request that they are for.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{Phase, Rope, TransportError};

/// Signs requests: proves with every byte of a request, and the time, that whoever sends it has a
/// secret.
///
/// A pure function of its arguments, so that vectors of others can judge it.
pub trait Sign: Send + Sync {
    /// Puts the signature on `request`, which is as it will be sent: its `host` header is there, its
    /// path and query are those of the request line, its body is what goes over the wire. What was
    /// there of an earlier signature is replaced.
    ///
    /// # Errors
    /// [`Phase::Prepare`](crate::Phase::Prepare) where such a request cannot be signed; the message
    /// names no secret.
    fn sign(&self, request: &mut http::Request<Rope>, now: SystemTime) -> Result<(), TransportError>;
}

/// The signer of one request, which travels among its extensions to the transport: only that knows
/// what is really sent.
///
/// ```
/// use std::sync::Arc;
/// use std::time::SystemTime;
/// use http::{HeaderValue, Request};
/// use weighbridge_transport::{Rope, Sign, Signer, TransportError};
///
/// struct Length;
/// impl Sign for Length {
///     fn sign(&self, request: &mut Request<Rope>, _: SystemTime) -> Result<(), TransportError> {
///         let length = HeaderValue::from(request.body().len());
///         request.headers_mut().insert("x-signed-length", length);
///         Ok(())
///     }
/// }
///
/// let mut request = Request::new(Rope::from(bytes::Bytes::from_static(b"{}")));
/// request.extensions_mut().insert(Signer(Arc::new(Length)));
/// Signer::apply(&mut request, SystemTime::UNIX_EPOCH)?;
/// assert_eq!(request.headers()["x-signed-length"], "2");
/// # Ok::<(), TransportError>(())
/// ```
#[derive(Clone)]
pub struct Signer(pub Arc<dyn Sign>);

impl Signer {
    /// Signs a request with the signer among its extensions, if there is one, and takes it out.
    ///
    /// # Errors
    /// As [`Sign::sign`].
    pub fn apply(request: &mut http::Request<Rope>, now: SystemTime) -> Result<(), TransportError> {
        match request.extensions_mut().remove::<Self>() {
            Some(_) if request.body().is_streamed() => {
                Err(TransportError::new(Phase::Prepare, "a body that is not there yet cannot be signed"))
            }
            Some(signer) => signer.0.sign(request, now),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}
