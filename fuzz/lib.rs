//! What the fuzz targets share.
//!
//! The first bytes of every input say how it is used, the rest is the stream: a seed can be written
//! with an editor.

/// Takes the first `N` bytes off an input; `None` where there are not so many.
pub fn settings<const N: usize>(input: &[u8]) -> Option<([u8; N], &[u8])> {
    let (settings, stream) = input.split_first_chunk()?;
    Some((*settings, stream))
}

/// Cuts a stream into pieces. Their sizes vary, and follow from `seed` alone.
pub fn cut(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    let mut state = u32::from(seed) + 1;
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = 1 + (state >> 16) as usize % (1 + usize::from(seed));
        let (piece, after) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
