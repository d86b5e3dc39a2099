//! OpenAI Responses, to and from the canonical model.

#[cfg(test)]
pub(crate) mod same;

use weighbridge_units::Protocol;

use crate::absent::Absent;

/// The adapter of OpenAI Responses.
pub(crate) static ADAPTER: Absent = Absent(Protocol::OpenAiResponses);
