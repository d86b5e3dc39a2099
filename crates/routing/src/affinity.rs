use std::num::NonZeroU32;

/// A hash that is the same in every version, on every machine, and in every instance of a gateway: what is routed by it
/// keeps its place over restarts. It is no secret and resists no attacker; loads are bounded beside it.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        hash = folded(hash ^ chunk.iter().rfold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    let rest = chunks.remainder().iter().rfold(0, |word, byte| word << 8 | u64::from(*byte));
    mixed(folded(hash ^ rest))
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of a product: every bit of it hangs on every bit of `word`.
const fn folded(word: u64) -> u64 {
    let product = (word ^ SEED) as u128 * 0xd6e8_feb8_6659_fd93_u128;
    product as u64 ^ (product >> 64) as u64
}

/// Spreads the bits of a number, one to one (the finaliser of SplitMix64).
pub(crate) const fn mixed(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// How far a target is from an affinity value: the nearest serves it (weighted rendezvous hashing).
///
/// Of many values each target is nearest to a share that is its weight's, and where one goes away or its weight
/// changes, no value moves but those that it gains or loses.
pub(crate) fn distance(affinity: u64, target: u64, weight: NonZeroU32) -> i64 {
    // -log2 of a number that is even between 0 and 1, divided by the weight. At most 2^58.
    let farness = (64 << 32) - log2(mixed(affinity ^ target).max(1));
    ((farness << 20) / u64::from(weight.get())) as i64
}

/// The logarithm to base 2 of a number that is not 0, as 32.32 fixed point; wrong by less than 2^-18.
fn log2(number: u64) -> u64 {
    let zeros = number.leading_zeros();
    // Without its leading one: 8 bits that find a place in the table, and 32 of the way to the next place.
    let fraction = (number << zeros) << 1;
    let (place, way) = ((fraction >> 56) as usize, fraction << 8 >> 32);
    let [here, next] = [place, place + 1].map(|at| LOGARITHMS.get(at).copied().unwrap_or(1 << 32));
    (u64::from(63 - zeros) << 32) + here + (((next - here) * way) >> 32)
}

/// log2(1 + n / 256) for each n, as 0.32 fixed point.
static LOGARITHMS: [u64; 257] = {
    let (mut table, mut at) = ([0; 257], 0);
    while at < 257 {
        // Squaring doubles a logarithm: each time that the square reaches 2, the next bit is one.
        let (mut square, mut bit) = ((256 + at as u128) << 24, 32);
        if at == 256 {
            table[at] = 1 << 32;
            bit = 0;
        }
        while bit > 0 {
            bit -= 1;
            square = (square * square) >> 32;
            if square >= 2 << 32 {
                square >>= 1;
                table[at] |= 1 << bit;
            }
        }
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_never_changes() {
        // Whoever changes these moves every conversation to another deployment once.
        let hashes = ["", "a", "openai/gpt-4o-mini"].map(|text| stable_hash(text.as_bytes()));
        assert_eq!(
            hashes,
            [10_357_519_086_311_344_877, 5_853_782_082_209_129_862, 7_307_881_644_307_263_494]
        );
    }

    proptest! {
        #[test]
        fn logarithms_are_right(number in 1_u64..) {
            let exact = (number as f64).log2();
            let ours = log2(number) as f64 / 4_294_967_296.0;
            prop_assert!((exact - ours).abs() < 1.0 / 262_144.0, "{} is not {}", ours, exact);
        }

        #[test]
        fn texts_that_differ_in_one_byte_have_different_hashes(text in prop::collection::vec(any::<u8>(), 1..64), at in any::<prop::sample::Index>()) {
            let mut other = text.clone();
            other[at.index(text.len())] ^= 1;
            prop_assert_ne!(stable_hash(&text), stable_hash(&other));
        }
    }

    #[test]
    fn each_target_is_nearest_to_its_share() {
        let weights = [1, 2, 7].map(|weight| NonZeroU32::new(weight).unwrap());
        let mut nearest = [0_u32; 3];
        for caller in 0..10_000_u64 {
            let at = (0..3).min_by_key(|at| distance(mixed(caller), mixed(*at as u64 + 77), weights[*at]));
            nearest[at.unwrap()] += 1;
        }
        assert!((900..1_100).contains(&nearest[0]) && (6_800..7_200).contains(&nearest[2]), "{nearest:?}");
    }
}
