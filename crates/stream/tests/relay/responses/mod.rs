//! OpenAI Responses on either side: recordings, laws, and each oddity of the protocol by name.

mod fixtures;
mod kept;
pub(crate) mod laws;
mod reading;
pub(crate) mod stream_equals_whole;
mod support;
mod writing;
