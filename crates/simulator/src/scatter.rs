//! Numbers that look random and are a function of a seed.

/// SplitMix64: small, fast, and the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Scatter(u64);

impl Scatter {
    /// A sequence that depends on both numbers.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut scatter = Self(seed ^ number.wrapping_mul(0xd605_bbb5_8c8a_bc03));
        scatter.next();
        scatter
    }

    /// A sequence that depends on every byte.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self(fnv1a(bytes))
    }

    /// Lets the rest of the sequence depend on these bytes too.
    pub(crate) fn mix(&mut self, bytes: &[u8]) {
        self.0 ^= fnv1a(bytes);
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// `length` characters of an alphabet, as the vendors' ids have them.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut id = prefix.to_owned();
        id.extend((0..length).map(|_| char::from(ALPHABET[(self.next() % 62) as usize])));
        id
    }
}

/// A hash that is stable over builds and machines: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
