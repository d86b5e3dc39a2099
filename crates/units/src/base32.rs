//! Crockford's base 32 in lower case, without letters that are taken for digits: the alphabet of virtual keys
//! (<https://www.crockford.com/base32.html>).

/// The digits, by value.
pub const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const NO_DIGIT: u8 = 0xff;
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// The value of a digit, below 32. Upper case is no other way to write one.
///
/// ```
/// use weighbridge_units::base32::{DIGITS, value};
///
/// assert_eq!(value(DIGITS[31]), Some(31));
/// assert_eq!((value(b'l'), value(b'A')), (None, None));
/// ```
pub const fn value(digit: u8) -> Option<u8> {
    match VALUES[digit as usize] {
        NO_DIGIT => None,
        value => Some(value),
    }
}
