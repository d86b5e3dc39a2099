use std::borrow::Cow;
use std::fmt;

use weighbridge_protocol::json::{Kind, Raw, ScanLimits, Writer};

/// The text of one valid JSON value: a slice of the document that it was read from, or made where a
/// protocol writes the value differently.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText<'a>(Cow<'a, str>);

impl<'a> JsonText<'a> {
    /// The value that `write` writes.
    pub fn made(write: impl FnOnce(Writer<'_>)) -> Self {
        let mut out = Vec::new();
        write(Writer::new(&mut out));
        // The writer writes nothing but UTF-8.
        Self(Cow::Owned(String::from_utf8(out).unwrap_or_else(|_| "null".to_owned())))
    }

    /// The one value that `text` consists of; `None` where it is no valid JSON.
    pub fn parse(text: Cow<'a, str>) -> Option<Self> {
        match text {
            Cow::Borrowed(text) => Raw::parse(text, &ScanLimits::default()).ok().map(Self::from),
            Cow::Owned(text) => {
                let value = Raw::parse(&text, &ScanLimits::default()).ok()?.text().to_owned();
                Some(Self(Cow::Owned(value)))
            }
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.raw().map_or(Kind::Null, Raw::kind)
    }

    /// The value, to look into it.
    pub fn raw(&self) -> Option<Raw<'_>> {
        Raw::parse(&self.0, &ScanLimits::default()).ok()
    }
}

impl<'a> From<Raw<'a>> for JsonText<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self(Cow::Borrowed(raw.text()))
    }
}

impl fmt::Debug for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
