//! A request's body: checked once, then passed on with few or no bytes changed.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::edits::Edits;
use crate::json::{FieldSpan, Raw, ScanError, ScanLimits, decode_string, scan_object};

/// A JSON object as it arrived, with the places of its fields.
///
/// Cloning it shares the bytes. What was checked is what is sent: no field is there twice, so that
/// no other reader can see another `model` than the one that was allowed and priced.
///
/// The default holds nothing: it takes the place of a body that is no longer needed.
#[derive(Debug, Clone, Default)]
pub struct Body {
    text: ByteString,
    object: Range<usize>,
    fields: Arc<[FieldSpan]>,
}

impl Body {
    /// Checks that the bytes are UTF-8 and one JSON object, nested no deeper than the limit, with
    /// each field once, and remembers where its fields are. One pass, at memory speed through long
    /// strings.
    ///
    /// # Errors
    /// [`ScanError`] says what is wrong, and where.
    pub fn scan(bytes: Bytes, limits: &ScanLimits) -> Result<Self, ScanError> {
        let text = ByteString::try_from(bytes)
            .map_err(|error| ScanError::NotUtf8 { offset: error.valid_up_to() })?;
        let mut fields = Vec::with_capacity(16);
        let object = scan_object(&text, limits, |field| fields.push(field))?;
        refuse_duplicates(&text, &fields)?;
        Ok(Self { text, object, fields: fields.into() })
    }

    /// The whole text, white space around the object included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes as they arrived.
    pub fn bytes(&self) -> &Bytes {
        self.text.as_bytes()
    }

    /// The object as a value.
    pub fn root(&self) -> Raw<'_> {
        Raw::trusted(self.slice(self.object.clone()))
    }

    /// The value of a field of the object.
    pub fn get(&self, name: &str) -> Option<Raw<'_>> {
        self.find(name).map(|field| Raw::trusted(self.slice(field.value.clone())))
    }

    /// Begins a list of edits; the body itself never changes.
    pub fn edit(&self) -> Edits {
        Edits::new(self.clone())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&FieldSpan> {
        self.fields.iter().find(|field| {
            let key = self.bytes().get(field.key.clone()).unwrap_or_default();
            if field.has_escapes {
                decode_string(self.slice(field.key.clone())).is_some_and(|decoded| decoded == name)
            } else {
                key == name.as_bytes()
            }
        })
    }

    /// The places of the fields, in order.
    pub(crate) fn fields(&self) -> &[FieldSpan] {
        &self.fields
    }

    /// Where a new field goes: behind the last one, or before the closing brace.
    pub(crate) fn insertion(&self) -> usize {
        self.fields.last().map_or(self.object.end.saturating_sub(1), |last| last.value.end)
    }

    fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

/// So many fields are compared one by one: most requests have fewer.
const FEW: usize = 8;

/// Compares few names one by one, and sorts many, so that a body of a million fields is no trap.
fn refuse_duplicates(text: &str, fields: &[FieldSpan]) -> Result<(), ScanError> {
    let name = |field: &FieldSpan| {
        let key = text.get(field.key.clone()).unwrap_or_default();
        let decoded = field.has_escapes.then(|| decode_string(key)).flatten();
        decoded.unwrap_or(Cow::Borrowed(key))
    };
    let twice = if fields.len() <= FEW {
        let is_there_before = |at, it: &str| fields.iter().take(at).any(|other| name(other) == it);
        let mut names = fields.iter().map(name).enumerate();
        names.find(|(at, name)| is_there_before(*at, name)).map(|(_, name)| name)
    } else {
        let mut names: Vec<Cow<'_, str>> = fields.iter().map(name).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
    };
    twice.map_or(Ok(()), |key| Err(ScanError::DuplicateKey { key: key.into_owned() }))
}
