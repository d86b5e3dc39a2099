use weighbridge_units::NanoUsd;

use crate::EntityId;

/// Appends fields.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn entity(&mut self, entity: EntityId) {
        self.0.extend_from_slice(&entity.get().to_le_bytes()[..7]);
    }

    /// Seven bits per byte, lowest first; the high bit says that more follow.
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The sign goes to the lowest bit, so that small numbers stay short.
    pub(super) fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    pub(super) fn nanos(&mut self, amount: NanoUsd) {
        self.signed(amount.get());
    }

    /// As [`Self::signed`], for the mantissa of a decimal.
    pub(super) fn signed_wide(&mut self, value: i128) {
        let mut value = (value << 1 ^ value >> 127) as u128;
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
