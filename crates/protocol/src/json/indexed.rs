//! A document with an index of its values.

use super::raw::Raw;
use super::scan::{Notes, scan_value};
use super::{ScanError, ScanLimits};

/// A document that was checked, and how far each value in it goes: for a document that is read as a whole.
///
/// Reading one level of a document steps over all that is inside it. Where only the text is known, each
/// level therefore looks at every byte below it once more; from an index the step is one addition.
///
/// ```
/// use weighbridge_protocol::json::{Fields, Indexed};
///
/// let document = Indexed::parse(r#"{"deep": [[{"down": 1}]], "seed": 7}"#, &Default::default())?;
/// let mut fields = Fields::read(document.root())?;
/// assert_eq!(fields.require::<u64>("seed")?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Indexed<'t> {
    /// The one value, without the white space around it.
    text: &'t str,
    /// Empty where the document has no index.
    extents: Vec<Extent>,
}

impl<'t> Indexed<'t> {
    /// Checks a document as [`Raw::parse`] does, and indexes it.
    ///
    /// A document of almost nothing but brackets and digits gets no index, which would be larger than the
    /// document by far; it is read as well, but slower.
    ///
    /// # Errors
    /// [`ScanError::Syntax`] or [`ScanError::TooDeep`].
    pub fn parse(text: &'t str, limits: &ScanLimits) -> Result<Self, ScanError> {
        let mut index = Index::for_bytes(text.len());
        let value = scan_value(text, limits, &mut index)?;
        let extents = if index.is_full { Vec::new() } else { index.extents };
        Ok(Self { text: text.get(value).unwrap_or("null"), extents })
    }

    /// The one value.
    pub fn root(&self) -> Raw<'_> {
        Raw::indexed(self.text, &self.extents)
    }
}

/// How far a value goes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    /// Bytes of its text.
    bytes: u32,
    /// It and the values and names inside it, [`Extent::ESCAPES`] aside.
    values: u32,
}

impl Extent {
    /// Marks a string with escapes.
    const ESCAPES: u32 = 1 << 31;

    pub(super) const fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// How many extents are its own and those of what is inside it.
    pub(super) const fn values(self) -> usize {
        (self.values & !Self::ESCAPES) as usize
    }

    /// Whether it is a string that has to be decoded.
    pub(super) const fn has_escapes(self) -> bool {
        self.values & Self::ESCAPES != 0
    }
}

/// The extents of all values and names, in the order in which they begin.
struct Index {
    extents: Vec<Extent>,
    most: usize,
    is_full: bool,
}

impl Index {
    fn for_bytes(bytes: usize) -> Self {
        // Requests have a value or name every 20 to 30 bytes. At most, the index is twice as long as the text.
        let most = (bytes / 4 + 16).min(Extent::ESCAPES as usize);
        Self { extents: Vec::with_capacity(bytes / 16 + 16), most, is_full: false }
    }
}

impl Notes for &mut Index {
    fn begin(&mut self) -> usize {
        let begun = self.extents.len();
        if begun < self.most {
            self.extents.push(Extent::default());
        } else {
            self.is_full = true;
        }
        begun
    }

    fn end(&mut self, begun: usize, bytes: usize, has_escapes: bool) {
        let values = self.extents.len().saturating_sub(begun);
        match (self.extents.get_mut(begun), u32::try_from(bytes), u32::try_from(values)) {
            (Some(extent), Ok(bytes), Ok(values)) => {
                let mark = if has_escapes { Extent::ESCAPES } else { 0 };
                *extent = Extent { bytes, values: values | mark };
            }
            _ => self.is_full = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_never_much_longer_than_the_text() {
        let tiny = format!("[{}0]", "0,".repeat(10_000));
        let document = Indexed::parse(&tiny, &ScanLimits::default()).unwrap();
        assert!(document.extents.is_empty());
        assert_eq!(document.root().items().unwrap().count(), 10_001);
        let usual = r#"{"role":"user","content":[{"type":"text","text":"Hi"}]}"#;
        assert_eq!(Indexed::parse(usual, &ScanLimits::default()).unwrap().extents.len(), 10);
    }
}
