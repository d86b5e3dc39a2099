//! Streams of Chat Completions: <https://platform.openai.com/docs/api-reference/chat-streaming>.

mod arguments;
mod calls;
mod candidate;
mod reader;
mod writer;

pub use reader::ChatReader;
pub use writer::ChatWriter;
