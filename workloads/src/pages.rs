use crate::Xxh64;
use std::fmt;

/// Words (of 8 bytes) in a page.
pub const PAGE: usize = 512;

/// Memory filled from a seed, whose every word can be checked at any time.
///
/// A page's first word is its generation; each other word is a base word (from seed, page and place) plus the
/// generation. Dirtying a page raises its generation and with it changes every word. The digest is taken over the base
/// words that the memory *implies*, so it stays the same however much was dirtied, and changes when any word is lost.
/// A page that fell back to an older generation would still imply its base words: the sum of generations, kept beside,
/// gives it away.
#[derive(Debug)]
pub struct Pages {
    seed: u64,
    words: Vec<u64>,
    dirtied: u64,
    next: usize,
}

/// What a check of all pages found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All words are as they should be; the digest over the base words.
    Intact(u64),
    /// The first page that is not.
    Broken(usize),
    /// Each page is whole, and the generations do not add up: some page is older than it should be.
    Stale {
        /// How often a page was dirtied.
        expected: u64,
        /// The sum of the generations found.
        found: u64,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Intact(digest) => write!(f, "ok {digest:016x}"),
            Verdict::Broken(page) => write!(f, "bad {page}"),
            Verdict::Stale { expected, found } => write!(f, "stale {found} of {expected} generations"),
        }
    }
}

/// A finaliser of the splitmix64 generator: neighbouring inputs give unrelated words, which no compressor shortens.
#[inline]
fn base_word(seed: u64, place: u64) -> u64 {
    let z = seed.wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Pages {
    /// Fills so many pages.
    pub fn new(seed: u64, pages: usize) -> Self {
        let word = |i: usize| if i.is_multiple_of(PAGE) { 0 } else { base_word(seed, i as u64) };
        Pages { seed, words: (0..pages * PAGE).map(word).collect(), dirtied: 0, next: 0 }
    }

    /// Number of pages.
    pub fn len(&self) -> usize {
        self.words.len() / PAGE
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How often a page was dirtied.
    pub fn dirtied(&self) -> u64 {
        self.dirtied
    }

    /// Dirties the next `count` pages, round and round.
    pub fn dirty(&mut self, count: usize) {
        if self.is_empty() {
            return;
        }
        for _ in 0..count {
            let from = self.next * PAGE;
            for word in &mut self.words[from..from + PAGE] {
                *word = word.wrapping_add(1);
            }
            self.dirtied += 1;
            self.next = (self.next + 1) % self.len();
        }
    }

    /// Reads every word and judges it.
    pub fn check(&self) -> Verdict {
        let mut digest = Xxh64::default();
        let mut generations = 0u64;
        for (page, words) in self.words.chunks_exact(PAGE).enumerate() {
            let generation = words[0];
            generations = generations.wrapping_add(generation);
            let mut wrong = 0;
            for (i, word) in words.iter().enumerate().skip(1) {
                let base = word.wrapping_sub(generation);
                wrong |= base ^ base_word(self.seed, (page * PAGE + i) as u64);
                digest.word(base);
            }
            if wrong != 0 {
                return Verdict::Broken(page);
            }
        }
        if generations != self.dirtied {
            return Verdict::Stale { expected: self.dirtied, found: generations };
        }
        Verdict::Intact(digest.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Pages, Verdict};

    #[test]
    fn the_digest_follows_from_the_seed_and_outlives_dirtying() {
        let mut a = Pages::new(7, 10);
        let fresh = a.check();
        assert!(matches!(fresh, Verdict::Intact(_)), "{fresh}");
        assert_eq!(fresh, Pages::new(7, 10).check());
        assert_ne!(fresh, Pages::new(8, 10).check());
        assert_ne!(fresh, Pages::new(7, 11).check());
        a.dirty(25);
        assert_eq!(a.dirtied(), 25);
        assert_eq!(a.words[0], 3);
        assert_eq!(a.check(), fresh);
    }

    #[test]
    fn one_turned_bit_is_found() {
        let mut a = Pages::new(7, 10);
        a.dirty(3);
        a.words[4 * PAGE + 77] ^= 1 << 40;
        assert_eq!(a.check().to_string(), "bad 4");
    }

    #[test]
    fn a_zeroed_page_is_found() {
        let mut a = Pages::new(7, 10);
        a.words[2 * PAGE..3 * PAGE].fill(0);
        assert_eq!(a.check(), Verdict::Broken(2));
    }

    #[test]
    fn a_page_of_an_older_generation_is_found() {
        let mut a = Pages::new(7, 10);
        let old: Vec<u64> = a.words[..PAGE].to_vec();
        a.dirty(10);
        a.words[..PAGE].copy_from_slice(&old);
        assert_eq!(a.check().to_string(), "stale 9 of 10 generations");
    }
}
