//! Cutting the input in pieces, as a socket does.

/// Cuts `data` where its own last bytes say, so that a capture is a seed as it is and the fuzzer moves the cuts by changing its tail.
pub fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let tail = data.iter().rev().take(8).fold(1u64, |seed, &byte| seed << 8 | u64::from(byte));
    let (mut state, mut rest) = (tail | 1, data);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Mostly a few bytes, where headers break, and runs that let long inputs end.
        let size = match state % 8 {
            0..4 => 1 + (state >> 8) % 16,
            4..7 => 1 + (state >> 8) % 1500,
            _ => 1 + (state >> 8) % 40_000,
        };
        let (piece, behind) = rest.split_at(rest.len().min(size as usize));
        rest = behind;
        Some(piece)
    })
}
