//! The envelope of a request.

use crate::Body;
use crate::envelope::Envelope;
use crate::json::ReadError;

/// Reads the envelope.
///
/// # Errors
/// Always: the format is not described here yet.
pub fn read(body: &Body) -> Result<Envelope, ReadError> {
    Err(ReadError::new(body.root(), "a request of a protocol that is described here"))
}
