//! Credentials that are issued for a while: put on a request before it is sent, and replaced where a provider
//! refuses them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Request;
use weighbridge_routing::FailureCause;
use weighbridge_transport::{Generation, Issued, Rope, TransportError};
use weighbridge_units::{ErrorClass, Timestamp};

use crate::in_flight::InFlight;

/// The issued credential that a request is sent with.
pub(crate) struct Shown {
    issued: Issued,
    generation: Generation,
}

impl Shown {
    /// Whether a request that failed so is worth sending once more: its credential should have been valid, and
    /// another one is at hand, or will be asked for. So a rotation at the provider fails no request.
    pub(crate) fn is_replaced(&self, cause: &FailureCause, now: Timestamp) -> bool {
        cause.class() == Some(ErrorClass::Authentication) && self.issued.0.refused(self.generation, wall(now))
    }
}

/// As [`show`], of a request that no [`InFlight`] stands for.
pub(crate) async fn put(
    request: &mut Request<Rope>,
    now: Timestamp,
) -> Result<Option<Shown>, TransportError> {
    let Some(issued) = request.extensions().get::<Issued>().cloned() else { return Ok(None) };
    let generation = Box::pin(Issued::apply(request, wall(now))).await?;
    Ok(generation.map(|generation| Shown { issued, generation }))
}

/// Puts on a request the credential that it brings along, if that is an issued one, and waits where none is at
/// hand. The provider has got nothing until then: a client that leaves meanwhile owes nothing.
pub(crate) async fn show(
    request: &mut Request<Rope>,
    in_flight: &mut InFlight,
) -> Result<Option<Shown>, TransportError> {
    let Some(issued) = request.extensions_mut().remove::<Issued>() else { return Ok(None) };
    let now = wall(in_flight.wall());
    let generation = match issued.0.put(request, now) {
        Some(generation) => Some(generation),
        None => {
            request.extensions_mut().insert(issued.clone());
            in_flight.is_unsent(true);
            // On the heap, since it is rare: otherwise every request would carry the room for it.
            let generation = Box::pin(Issued::apply(request, now)).await?;
            in_flight.is_unsent(false);
            generation
        }
    };
    Ok(generation.map(|generation| Shown { issued, generation }))
}

fn wall(now: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or_default())
}
