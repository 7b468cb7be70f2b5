const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// xxHash, 64 bit, seed 0, over a stream of 64-bit words (their little-endian bytes). Not a defence against an
/// adversary: it is to notice what a restore broke.
#[derive(Clone, Debug)]
pub struct Xxh64 {
    lanes: [u64; 4],
    pending: [u64; 4],
    words: u64,
}

impl Default for Xxh64 {
    fn default() -> Self {
        Xxh64 { lanes: [P1.wrapping_add(P2), P2, 0, 0u64.wrapping_sub(P1)], pending: [0; 4], words: 0 }
    }
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

impl Xxh64 {
    /// Takes one word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let at = (self.words % 4) as usize;
        self.pending[at] = word;
        self.words += 1;
        if at == 3 {
            for (lane, word) in self.lanes.iter_mut().zip(self.pending) {
                *lane = round(*lane, word);
            }
        }
    }

    /// The digest of all words so far.
    pub fn digest(&self) -> u64 {
        let [a, b, c, d] = self.lanes;
        let mut h = if self.words >= 4 {
            let sum = a.rotate_left(1).wrapping_add(b.rotate_left(7));
            let sum = sum.wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18));
            self.lanes.iter().fold(sum, |h, lane| (h ^ round(0, *lane)).wrapping_mul(P1).wrapping_add(P4))
        } else {
            P5
        };
        h = h.wrapping_add(self.words * 8);
        for word in &self.pending[..(self.words % 4) as usize] {
            h = (h ^ round(0, *word)).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        }
        h = (h ^ (h >> 33)).wrapping_mul(P2);
        h = (h ^ (h >> 29)).wrapping_mul(P3);
        h ^ (h >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::Xxh64;

    fn of(text: &[u8]) -> u64 {
        let mut h = Xxh64::default();
        for word in text.chunks_exact(8) {
            h.word(u64::from_le_bytes(word.try_into().unwrap()));
        }
        h.digest()
    }

    #[test]
    fn known_values() {
        // From the reference implementation, seed 0.
        assert_eq!(of(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(of(b"abcdefgh"), 0x3AD3_5177_5B46_34B7);
        assert_eq!(of(b"abcdefghijklmnopqrstuvwxyz0123456789abcd"), 0x2774_D994_11DD_5D1C);
    }
}
