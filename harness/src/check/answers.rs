//! What clients' histories say of instances.

use crate::record::{At, Evidence, History, Op, OpOutcome};
use std::time::Duration;

/// The operations that were sent to an instance by any client, client by client, each in the order of its schedule.
pub(super) fn ops_of<'a>(evidence: &'a Evidence, instance: &'a str) -> impl Iterator<Item = &'a Op> {
    evidence.histories.values().flat_map(move |h| ops_to(h, instance))
}

/// Those of one client.
pub(super) fn ops_to<'a>(history: &'a History, instance: &'a str) -> impl Iterator<Item = &'a Op> {
    let ours = move |op: &&Op| history.endpoints.get(op.endpoint as usize).is_some_and(|e| e.instance == instance);
    history.ops.iter().filter(ours)
}

/// The longest time without an answer that touches the window, as the client saw it: `None` if no answer came before
/// it, or none after.
///
/// The estimator: between two consecutive answers around an outage of length D lie D and the time from the last answer
/// until the outage began, which is anywhere from nothing to the interval T of the schedule. So the gap is D + U(0, T),
/// and T/2 is taken off: no bias, and an error of at most T/2 to either side. With a new connection, the time from the
/// connection until the next operation is due adds another U(0, T), of which nothing is taken off: the copy was not
/// asked then, so it is not known to have served. Each end adds the client's own lateness
/// ([`History::worst_lateness_ns`] bounds it).
pub fn outage(history: &History, window: (At, At)) -> Option<Duration> {
    let (from, to) = window;
    let mut done: Vec<At> = history.ops.iter().filter(|op| op.outcome == OpOutcome::Ok).map(|op| op.done).collect();
    done.sort_unstable();
    if !(done.first()? <= &from && done.last()? >= &to) {
        return None;
    }
    let gaps = done.windows(2).filter(|pair| pair[1] >= from && pair[0] <= to).map(|pair| pair[1].since(pair[0]));
    let longest = gaps.max()?;
    Some(longest.saturating_sub(Duration::from_nanos(history.interval_ns / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sample::{MS, op};
    use proptest::prelude::*;

    fn answered_at(times: impl IntoIterator<Item = u64>) -> History {
        let ops = times.into_iter().enumerate().map(|(i, t)| op(i as u64, t, 0, 0)).collect();
        History { interval_ns: MS, ops, ..History::default() }
    }

    #[test]
    fn the_gap_around_the_window_is_the_outage() {
        let h = answered_at((0..100).chain(150..300).map(|ms| ms * MS));
        let window = |a: u64, b: u64| (At(a * MS), At(b * MS));
        assert_eq!(outage(&h, window(90, 160)), Some(Duration::from_micros(50_500)));
        assert_eq!(outage(&h, window(120, 130)), Some(Duration::from_micros(50_500)), "the window lies in the gap");
        assert_eq!(outage(&h, window(200, 250)), Some(Duration::from_micros(500)), "no outage there");
    }

    #[test]
    fn without_an_answer_on_both_sides_it_is_not_known() {
        let h = answered_at((10..100).map(|ms| ms * MS));
        assert_eq!(outage(&h, (At(0), At(50 * MS))), None, "the client began too late");
        assert_eq!(outage(&h, (At(50 * MS), At(200 * MS))), None, "it never came back");
        assert_eq!(outage(&History::default(), (At(0), At(1))), None);
    }

    #[test]
    fn failed_operations_are_no_answers() {
        let mut h = answered_at((0..200).map(|ms| ms * MS));
        for op in &mut h.ops[50..150] {
            op.outcome = OpOutcome::Error;
        }
        assert_eq!(outage(&h, (At(60 * MS), At(160 * MS))), Some(Duration::from_micros(100_500)));
    }

    proptest! {
        /// Whenever the outage begins between two operations, the error is at most half an interval.
        #[test]
        fn the_error_is_at_most_half_an_interval(begin in 100 * MS..101 * MS, length in MS..400 * MS) {
            let end = begin + length;
            let h = answered_at((0..700).map(|i| i * MS).map(|t| if (begin..end).contains(&t) { end } else { t }));
            let seen = outage(&h, (At(99 * MS), At(600 * MS))).unwrap().as_nanos() as i128;
            prop_assert!((seen - i128::from(length)).unsigned_abs() <= u128::from(MS / 2), "{seen} of {length}");
        }
    }
}
