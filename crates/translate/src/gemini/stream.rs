//! Streams of generateContent: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.
//!
//! Every chunk is a whole response with what is new. Nothing marks the beginning or the end: a stream is
//! complete where every candidate has finished and the body ends.

mod audio;
mod call;
mod partial_args;
mod reader;
mod waiting;
mod writer;

pub use reader::GeminiReader;
pub use writer::GeminiWriter;
