//! Streams, read and written.

mod block;
mod reader;
mod writer;

pub use reader::ConverseReader;
pub use writer::ConverseWriter;
