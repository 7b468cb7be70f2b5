//! Values to fill stores with.

/// Fills a value that follows from its number and that no compressor shortens (xorshift64*, seeded by the number).
pub(super) fn value(number: u64, out: &mut [u8]) {
    let mut x = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for chunk in out.chunks_mut(8) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        let word = x.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn values_differ_and_do_not_compress() {
        let (mut a, mut b, mut again) = ([0; 4000], [0; 4000], [0; 4000]);
        value(1, &mut a);
        value(2, &mut b);
        value(1, &mut again);
        assert_eq!(a, again);
        assert_ne!(a, b);
        assert!(zstd::bulk::compress(&a, 3).unwrap().len() >= 4000);
    }
}
