//! OpenAI's models at Microsoft Azure: <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference>.
//! Deployments have the names of their models. Beyond paths and credentials, what differs from OpenAI is
//! what the filters add to each answer, and most errors.

mod answer;
mod call;
pub(crate) mod refusal;

pub(crate) use answer::{filtered, filtered_stream};
pub(crate) use call::{Call, Operation};
