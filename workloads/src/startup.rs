use crate::Xxh64;
use std::time::{Duration, Instant};

/// Words of the table: 64 KiB, so that its digest costs next to nothing each time that it is asked for.
const WORDS: usize = 8 << 10;

/// What a program computed at its start and then only keeps in memory: a table, each word of which depends on all before
/// it. How far it came depends on the machine, so two starts have two tables; a restore must have the same.
#[derive(Clone, Debug)]
pub struct Startup {
    rounds: u64,
    table: Vec<u64>,
}

impl Startup {
    /// Computes until so much time was spent on a processor: a machine that is busy takes longer, not less work.
    pub fn compute(time: Duration) -> Self {
        let mut this = Startup { rounds: 0, table: vec![0; WORDS] };
        let (began, clock) = (Instant::now(), Clock::new());
        // Without the kernel's figure, by the clock on the wall.
        while clock.spent().unwrap_or_else(|| began.elapsed()) < time {
            this.round();
        }
        this
    }

    fn round(&mut self) {
        self.rounds += 1;
        let mut word = self.rounds;
        for (i, slot) in self.table.iter_mut().enumerate() {
            word = (word ^ *slot).rotate_left(29).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i as u64);
            *slot = word;
        }
    }

    /// Members of a JSON object, to stand behind others. The digest is taken of the table now.
    pub fn json_members(&self) -> String {
        let mut digest = Xxh64::default();
        self.table.iter().for_each(|word| digest.word(*word));
        format!(r#","startup_rounds":{},"startup_digest":"{:016x}""#, self.rounds, digest.digest())
    }
}

/// Time that the thread which made this has spent on a processor since.
struct Clock(Option<u64>);

impl Clock {
    fn new() -> Self {
        Clock(Self::nanoseconds())
    }

    /// The first figure of `schedstat`, in nanoseconds (Linux, `CONFIG_SCHED_INFO`).
    fn nanoseconds() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok()
    }

    fn spent(&self) -> Option<Duration> {
        Some(Duration::from_nanos(Self::nanoseconds()?.saturating_sub(self.0?)))
    }
}

#[cfg(test)]
mod tests {
    use super::Startup;
    use std::time::{Duration, Instant};

    #[test]
    fn it_takes_its_time_and_keeps_the_result() {
        let began = Instant::now();
        let startup = Startup::compute(Duration::from_millis(50));
        assert!(began.elapsed() >= Duration::from_millis(45), "{:?}", began.elapsed());
        assert!(startup.rounds > 10, "{}", startup.rounds);
        let said = startup.json_members();
        assert_eq!(said, startup.json_members());
        let mut other = startup.clone();
        other.table[17] ^= 1;
        assert_ne!(said, other.json_members(), "the digest is of what is in memory");
    }
}
