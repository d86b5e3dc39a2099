use super::AwsFrameError;

/// The value of a header, in one of the ten forms of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderValue<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Short(i16),
    /// Type 4.
    Int(i32),
    /// Type 5.
    Long(i64),
    /// Type 6, at most 32,767 bytes.
    Bytes(&'a [u8]),
    /// Type 7, at most 32,767 bytes.
    Text(&'a str),
    /// Type 8: milliseconds since the epoch.
    Timestamp(i64),
    /// Type 9.
    Uuid([u8; 16]),
}

/// The headers of one frame, known to be well-formed. They are read anew each time: there are three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsHeaders<'a>(&'a [u8]);

impl<'a> AwsHeaders<'a> {
    /// Checks that `bytes` are whole headers, one after another.
    pub(super) fn check(bytes: &'a [u8]) -> Result<Self, AwsFrameError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            next(&mut rest).ok_or(AwsFrameError::Headers)?;
        }
        Ok(Self(bytes))
    }

    /// Names and values, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, HeaderValue<'a>)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || next(&mut rest))
    }

    /// The value of the first header of that name.
    pub fn get(&self, name: &str) -> Option<HeaderValue<'a>> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The value of the first header of that name, if it is a text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Takes one header off the front; `None` where there is none, or it is malformed.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, HeaderValue<'a>)> {
    let [name_length] = array(rest)?;
    let name = take(rest, name_length.into())?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    let [kind] = array(rest)?;
    let value = match kind {
        0 => HeaderValue::Bool(true),
        1 => HeaderValue::Bool(false),
        2 => HeaderValue::Byte(i8::from_be_bytes(array(rest)?)),
        3 => HeaderValue::Short(i16::from_be_bytes(array(rest)?)),
        4 => HeaderValue::Int(i32::from_be_bytes(array(rest)?)),
        5 => HeaderValue::Long(i64::from_be_bytes(array(rest)?)),
        6 => HeaderValue::Bytes(counted(rest)?),
        7 => HeaderValue::Text(std::str::from_utf8(counted(rest)?).ok()?),
        8 => HeaderValue::Timestamp(i64::from_be_bytes(array(rest)?)),
        9 => HeaderValue::Uuid(array(rest)?),
        _ => return None,
    };
    Some((name, value))
}

fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(array(rest)?);
    take(rest, length.into())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}
