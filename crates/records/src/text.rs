//! How the fields of a record are written as JSON: names and money as text, and what a client
//! chose only after redaction.

use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use weighbridge_units::{Loss, RequestId, Usage};

use crate::redaction::redact;

pub(crate) fn displayed<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn maybe_displayed<S: Serializer>(value: &Option<impl Display>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

pub(crate) fn id<S: Serializer>(id: &RequestId, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&redact(id.as_str()))
}

pub(crate) fn maybe_id<S: Serializer>(value: &Option<RequestId>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => id(value, to),
        None => to.serialize_none(),
    }
}

pub(crate) fn redacted<S: Serializer>(value: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&redact(value))
}

pub(crate) fn maybe_redacted<S: Serializer>(value: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => redacted(value, to),
        None => to.serialize_none(),
    }
}

/// An object of the buckets that were told, and `contradictory` where the figures were.
pub(crate) fn usage<S: Serializer>(usage: &Usage, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    for (bucket, count) in usage.iter() {
        map.serialize_entry(bucket.as_str(), &count)?;
    }
    if usage.is_contradictory() {
        map.serialize_entry("contradictory", &true)?;
    }
    map.end()
}

pub(crate) fn tags<S: Serializer>(tags: &[(Arc<str>, Arc<str>)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(tags.iter().map(|(name, value)| (redact(name), redact(value))))
}

pub(crate) fn losses<S: Serializer>(losses: &[Loss], to: S) -> Result<S::Ok, S::Error> {
    struct Written<'a>(&'a Loss);
    impl Serialize for Written<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut loss = to.serialize_struct("Loss", 4)?;
            loss.serialize_field("pointer", &redact(&self.0.pointer))?;
            loss.serialize_field("kind", self.0.kind.as_str())?;
            loss.serialize_field("reason", &redact(&self.0.reason))?;
            loss.serialize_field("needed", &redact(&self.0.needed))?;
            loss.end()
        }
    }
    let mut seq = to.serialize_seq(Some(losses.len()))?;
    for loss in losses {
        seq.serialize_element(&Written(loss))?;
    }
    seq.end()
}

pub(crate) fn details<S: Serializer>(details: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(details.iter().map(|(name, value)| (name, redact(value))))
}
