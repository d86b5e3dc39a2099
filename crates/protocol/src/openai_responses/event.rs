//! Names of stream events; each event's `type` is the same.
//! <https://platform.openai.com/docs/api-reference/responses-streaming>

/// The answer begins.
pub const CREATED: &str = "response.created";
/// It waits for its turn.
pub const QUEUED: &str = "response.queued";
/// The model is at work.
pub const IN_PROGRESS: &str = "response.in_progress";
/// The answer is whole; the event repeats all of it.
pub const COMPLETED: &str = "response.completed";
/// The answer was cut; the event repeats all of it.
pub const INCOMPLETE: &str = "response.incomplete";
/// The answer failed; the event repeats what there is of it.
pub const FAILED: &str = "response.failed";
/// The stream broke off.
pub const ERROR: &str = "error";
/// Nothing; keeps the connection alive.
pub const KEEPALIVE: &str = "keepalive";

/// An item begins.
pub const ITEM_ADDED: &str = "response.output_item.added";
/// An item is whole; the event repeats all of it.
pub const ITEM_DONE: &str = "response.output_item.done";
/// A part of a message, or the text of reasoning, begins.
pub const PART_ADDED: &str = "response.content_part.added";
/// A part is whole; the event repeats all of it.
pub const PART_DONE: &str = "response.content_part.done";
/// More text.
pub const TEXT_DELTA: &str = "response.output_text.delta";
/// The text is whole.
pub const TEXT_DONE: &str = "response.output_text.done";
/// A source of the text.
pub const ANNOTATION_ADDED: &str = "response.output_text.annotation.added";
/// More of a refusal.
pub const REFUSAL_DELTA: &str = "response.refusal.delta";
/// The refusal is whole.
pub const REFUSAL_DONE: &str = "response.refusal.done";
/// More of a call's arguments.
pub const ARGUMENTS_DELTA: &str = "response.function_call_arguments.delta";
/// The arguments are whole.
pub const ARGUMENTS_DONE: &str = "response.function_call_arguments.done";
/// More of what a custom tool is called with.
pub const INPUT_DELTA: &str = "response.custom_tool_call_input.delta";
/// What a custom tool is called with is whole.
pub const INPUT_DONE: &str = "response.custom_tool_call_input.done";
/// A piece of reasoning's summary begins.
pub const SUMMARY_ADDED: &str = "response.reasoning_summary_part.added";
/// More of the piece.
pub const SUMMARY_DELTA: &str = "response.reasoning_summary_text.delta";
/// The piece's text is whole.
pub const SUMMARY_TEXT_DONE: &str = "response.reasoning_summary_text.done";
/// The piece is whole.
pub const SUMMARY_DONE: &str = "response.reasoning_summary_part.done";
/// More of reasoning's own text.
pub const REASONING_DELTA: &str = "response.reasoning_text.delta";
/// Reasoning's own text is whole.
pub const REASONING_DONE: &str = "response.reasoning_text.done";
/// The provider begins with an image.
pub const IMAGE_IN_PROGRESS: &str = "response.image_generation_call.in_progress";
/// It makes the image.
pub const IMAGE_GENERATING: &str = "response.image_generation_call.generating";
/// A preview of the image.
pub const IMAGE_PARTIAL: &str = "response.image_generation_call.partial_image";
/// The image is made; its bytes come with the end of its item.
pub const IMAGE_COMPLETED: &str = "response.image_generation_call.completed";
