//! When a call that makes CRIU work is given up: one rule for all engines. Who is killed then is each engine's own.

use super::criu_log::amount;
use crate::record::ErrorClass;
use std::time::{Duration, Instant};

/// How often a log's size is looked at; that the call ends is waited for, not looked for.
const LOOK: Duration = Duration::from_millis(100);
/// A pages image that is cut short makes CRIU 4.2 read past its end for ever and log each try: gigabytes in minutes, in the
/// node's memory. A restore that goes well logs some 100 KiB.
pub(in crate::engine) const SPINNING: u64 = 32 << 20;
/// How long a call of a daemon's may take to return once its CRIU was killed.
pub(in crate::engine) const RETURN_LIMIT: Duration = Duration::from_secs(30);

/// When a call is ended by force.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Patience {
    /// After this time.
    Time(Duration),
    /// After this time, or when CRIU is seen to spin: a restore.
    Watch(Duration),
    /// When a naive client gives up: nobody looks before.
    Bare(Duration),
}

/// Why a call is not waited for any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Stuck {
    /// What kind of failure that is.
    pub(in crate::engine) class: ErrorClass,
    /// What was seen.
    pub(in crate::engine) why: String,
}

impl Patience {
    /// Waits for a call until it has ended or patience has. `logged` is the present size of CRIU's log, and `spinning` the
    /// one that no restore reaches which goes well ([`SPINNING`]).
    pub(in crate::engine) async fn wait<T>(
        self,
        call: impl Future<Output = T>,
        logged: impl Fn() -> u64,
        spinning: u64,
    ) -> Result<T, Stuck> {
        let mut call = std::pin::pin!(call);
        let began = Instant::now();
        loop {
            match tokio::time::timeout(LOOK, &mut call).await {
                Ok(answer) => return Ok(answer),
                Err(_) => {
                    if let Some(stuck) = self.over(began.elapsed(), logged(), spinning) {
                        return Err(stuck);
                    }
                }
            }
        }
    }

    fn over(self, elapsed: Duration, logged: u64, spinning: u64) -> Option<Stuck> {
        let (class, why) = match self {
            Patience::Watch(_) if logged > spinning => (
                ErrorClass::InvalidArchive,
                format!(
                    "criu had written {} MiB of log and came to no end: its pages image is cut short",
                    logged >> 20
                ),
            ),
            Patience::Bare(limit) if elapsed >= limit => {
                (ErrorClass::GivenUp, format!("it had not returned after {limit:?}, {}", amount(logged)))
            }
            Patience::Time(limit) | Patience::Watch(limit) if elapsed >= limit => {
                (ErrorClass::Timeout, format!("it did not end within {limit:?}"))
            }
            _ => return None,
        };
        Some(Stuck { class, why })
    }
}

/// What is told of a call that did not return within [`RETURN_LIMIT`].
pub(in crate::engine) fn late() -> String {
    format!("the call did not return within {RETURN_LIMIT:?} after CRIU was killed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn class(patience: Patience, elapsed: u64, logged: u64) -> Option<ErrorClass> {
        patience.over(Duration::from_secs(elapsed), logged, SPINNING).map(|stuck| stuck.class)
    }

    #[test]
    fn time_ends_every_kind_of_patience() {
        for patience in [Patience::Time(LIMIT), Patience::Watch(LIMIT), Patience::Bare(LIMIT)] {
            assert_eq!(class(patience, 4, 0), None, "{patience:?}");
            assert!(class(patience, 5, 0).is_some(), "{patience:?}");
        }
        assert_eq!(class(Patience::Bare(LIMIT), 5, SPINNING + 1), Some(ErrorClass::GivenUp));
    }

    #[test]
    fn only_a_watched_restore_is_seen_to_spin() {
        assert_eq!(class(Patience::Watch(LIMIT), 0, SPINNING + 1), Some(ErrorClass::InvalidArchive));
        assert_eq!(class(Patience::Watch(LIMIT), 0, SPINNING), None);
        assert_eq!(class(Patience::Time(LIMIT), 0, SPINNING + 1), None);
        assert_eq!(class(Patience::Bare(LIMIT), 0, SPINNING + 1), None);
    }

    #[tokio::test]
    async fn a_call_that_ends_is_not_given_up() {
        let call = async {
            tokio::time::sleep(2 * LOOK).await;
            7
        };
        assert_eq!(Patience::Time(LIMIT).wait(call, || 0, SPINNING).await, Ok(7));
        let never = std::future::pending::<i32>();
        let stuck = Patience::Time(2 * LOOK).wait(never, || 0, SPINNING).await.unwrap_err();
        assert_eq!(stuck.class, ErrorClass::Timeout);
    }
}
