//! OpenAI Responses on either side: recordings, laws, and each oddity of the protocol by name.

mod fixtures;
mod laws;
mod reading;
mod stream_equals_whole;
mod support;
mod writing;
