//! The one borrowed reader, and the emitter that matches it.
//!
//! A document is checked once ([`Raw::parse`]; [`Indexed::parse`] where all of it is read;
//! [`Body::scan`](crate::Body::scan) for a request that passes). After that a value is a [`Raw`]: a slice of the document, whose address is its place. An object
//! is opened as [`Fields`]; what nobody takes is left over as a [`Bag`]. Numbers, schemas and
//! arguments are never parsed and printed again, so not a digit of them changes.

mod fields;
mod indexed;
mod plain_run;
mod pointer;
mod raw;
mod scan;
mod writer;

pub use fields::{Bag, Field, Fields, FromRaw};
pub use indexed::Indexed;
pub use pointer::{pointer_of, pointers_of, push_segment};
pub use raw::{Items, Kind, Raw, ReadError};
pub use scan::{ScanError, ScanLimits, string_inside};
pub use writer::{Array, Object, Writer};

pub(crate) use raw::decode_string;
pub(crate) use scan::{FieldSpan, scan_object};
