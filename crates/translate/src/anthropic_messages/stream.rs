//! Streams of Messages: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

mod block;
mod opening;
mod reader;
mod writer;

pub use reader::MessagesReader;
pub use writer::MessagesWriter;
