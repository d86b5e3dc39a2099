use weighbridge_units::NanoUsd;

use super::DecodeError;
use crate::{EntityId, Quantity};

/// Takes fields off the front of what is left.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
    /// The version of the bytes.
    pub(super) version: u8,
}

impl Reader<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            code => Err(DecodeError::Unknown { what: "yes or no", code }),
        }
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_be_bytes)
    }

    pub(super) fn entity(&mut self) -> Result<EntityId, DecodeError> {
        let mut bits = [0; 8];
        bits[..7].copy_from_slice(&self.array::<7>()?);
        let bits = u64::from_le_bytes(bits);
        let entity = EntityId::from_bits(bits);
        if entity.get() == bits { Ok(entity) } else { Err(DecodeError::Number) }
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        u64::try_from(self.wide(10)?).map_err(|_| DecodeError::Number)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Number)
    }

    pub(super) fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn nanos(&mut self) -> Result<NanoUsd, DecodeError> {
        self.signed().map(NanoUsd::new)
    }

    pub(super) fn quantity(&mut self) -> Result<Quantity, DecodeError> {
        self.signed().map(Quantity::new)
    }

    pub(super) fn signed_wide(&mut self) -> Result<i128, DecodeError> {
        let value = self.wide(19)?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    fn wide(&mut self, bytes_max: u32) -> Result<u128, DecodeError> {
        let mut value = 0_u128;
        for place in 0..bytes_max {
            let byte = self.u8()?;
            let bits = u128::from(byte & 0x7f);
            let shifted = bits << (7 * place);
            if shifted >> (7 * place) != bits {
                return Err(DecodeError::Number);
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Number)
    }
}
