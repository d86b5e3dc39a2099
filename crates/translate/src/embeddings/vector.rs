//! The two ways to write the numbers of a vector.
//!
//! A number stays as it was written where its form stays. From base64 it becomes the shortest decimal that
//! reads back to the same 32 bits; to base64 it is rounded to 32 bits, which is what that form means. So
//! base64 → numbers → base64 gives the same text.

use std::fmt::Write as _;

use weighbridge_protocol::json::{Kind, Raw, ReadError, Writer};

use super::{Encoding, Vector};
use crate::gemini::base64;

impl Vector<'_> {
    /// Writes the numbers in that form.
    ///
    /// # Errors
    /// [`ReadError`] where they do not have it: text that is no base64 of whole numbers of 32 bits, a number
    /// that is not finite or too large for them.
    pub(super) fn write(self, encoding: Encoding, writer: Writer<'_>) -> Result<(), ReadError> {
        match (self, encoding) {
            (Self::Numbers(raw), Encoding::Float) | (Self::Base64(raw), Encoding::Base64) => {
                writer.raw(raw.text());
            }
            (Self::Numbers(raw), Encoding::Base64) => {
                let mut bytes = Vec::new();
                for item in raw.items()? {
                    bytes.extend_from_slice(&number(item)?.to_le_bytes());
                }
                writer.string(&base64::encode(&bytes));
            }
            (Self::Base64(raw), Encoding::Float) => writer.raw(&decimals(raw)?),
        }
        Ok(())
    }
}

fn number(raw: Raw<'_>) -> Result<f32, ReadError> {
    let parsed = if raw.kind() == Kind::Number { raw.text().parse::<f32>().ok() } else { None };
    parsed.filter(|number| number.is_finite()).ok_or_else(|| ReadError::new(raw, "a number of 32 bits"))
}

/// The numbers of a base64 text, as a JSON array.
fn decimals(raw: Raw<'_>) -> Result<String, ReadError> {
    let wrong = || ReadError::new(raw, "base64 of finite numbers of 32 bits");
    let bytes = base64::decode(&raw.str()?).ok_or_else(wrong)?;
    let (numbers, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(wrong());
    }
    let mut text = String::with_capacity(numbers.len() * 14);
    for bits in numbers {
        let number = f32::from_le_bytes(*bits);
        if !number.is_finite() {
            return Err(wrong());
        }
        text.push(if text.is_empty() { '[' } else { ',' });
        // Writing to a string cannot fail.
        let _ = if number != 0.0 && number.abs() < 1e-5 {
            write!(text, "{number:e}")
        } else {
            write!(text, "{number}")
        };
    }
    if text.is_empty() {
        text.push('[');
    }
    text.push(']');
    Ok(text)
}
