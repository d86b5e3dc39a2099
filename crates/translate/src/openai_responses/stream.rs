//! The streams of Responses: <https://platform.openai.com/docs/api-reference/responses-streaming>.

mod reader;
mod reader_items;
mod reader_parts;
mod writer;
mod writer_items;
mod writer_parts;

pub use reader::ResponsesReader;
pub use writer::ResponsesWriter;
