//! Answers that are kept between requests: what a request asks for, how it goes on from earlier answers,
//! and how kept answers are read and deleted.
//!
//! A request names the answer that it goes on from (`previous_response_id`), and the API puts all that was
//! said up to there before its input. `instructions` are not carried over: each request has its own.
//! <https://platform.openai.com/docs/guides/conversation-state>
//!
//! A provider that holds the answer under an id of its own is sent that id ([`passed_on`]). Any other one is
//! sent the whole conversation ([`replayed`]), whatever its protocol.
//!
//! Items that a request names by their ids ([`cited_ids`]) are found in kept answers and sent in full, with the
//! rest of the conversation or alone ([`spelled_out`]).
//!
//! An id that the gateway has not kept for the tenant is never passed on. Tenants share the gateway's account
//! at the provider, which would show one tenant's conversation to another.

mod asks;
mod cited;
mod input_items;
mod replay;
mod retold;
mod told;

pub use asks::{Asks, asks};
pub use cited::{CitedItems, cited_id, cited_ids, item_ids, spelled_out};
pub use input_items::{InputItemsQuery, InvalidQuery, Order, input_items};
pub use replay::{Reads, ReplayError, ReplayTo, Turn, input_as_items, passed_on, replayed};
pub use retold::retold;
pub use told::{
    KeptAs, answer_in_event, as_going_on, deleted, event_as_going_on, item_not_found, not_found,
    previous_not_found,
};
