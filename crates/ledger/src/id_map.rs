use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map from ids. Ids are hashes or random already, so that a multiplication spreads them well enough;
/// the seed keeps those that a client can influence from being chosen to collide.
pub(crate) type IdMap<K, V> = HashMap<K, V, IdHashing>;

/// Makes the hashers of an [`IdMap`].
#[derive(Debug, Clone)]
pub(crate) struct IdHashing {
    seed: u64,
}

impl Default for IdHashing {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0_u8) }
    }
}

impl BuildHasher for IdHashing {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.seed)
    }
}

/// Adds and multiplies, a word at a time.
#[derive(Debug, Clone)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.wrapping_add(word).wrapping_mul(0xf135_7aea_2e62_a9c5).rotate_left(29);
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u128(&mut self, value: u128) {
        self.write_u64(value as u64);
        self.write_u64((value >> 64) as u64);
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        // A map looks at the highest and the lowest bits.
        (self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbours_spread_over_low_and_high_bits() {
        let hashing = IdHashing::default();
        let hashes: Vec<u64> = (0..4_096_u64).map(|id| hashing.hash_one(id)).collect();
        let low: HashSet<_> = hashes.iter().map(|hash| hash & 4_095).collect();
        let high: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(low.len() > 2_000, "{} of 4,096 buckets are used", low.len());
        assert_eq!(high.len(), 128);
    }
}
