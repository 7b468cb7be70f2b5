use super::{Judged, capture, red};
use crate::record::{ConsistentCheck, Evidence};

/// By what each container said of the others when the runner looked last (`final:NAME`), after it had gone on since the
/// runner's look at the restore (`restored:NAME`).
pub(super) fn judge(check: &ConsistentCheck, evidence: &Evidence) -> Judged {
    let wanted = "that every container found the others where it left them, and went on with them";
    if check.containers.is_empty() {
        return Err(red(format!("`{}` has no containers", check.of), wanted));
    }
    let mut seen = Vec::new();
    for name in &check.containers {
        let restored = capture(evidence, &format!("restored:{name}"))?;
        let last = capture(evidence, &format!("final:{name}"))?;
        let inside = |c: &crate::record::Capture| c.inside.as_ref().and_then(|i| i.counter);
        let pair = last.inside.as_ref().and_then(|i| i.pair.as_ref());
        let Some(pair) = pair else {
            return Err(red(format!("`{name}` says nothing of the others"), wanted));
        };
        if pair != "in step" {
            return Err(red(format!("`{name}` is {pair}"), wanted));
        }
        match (inside(restored), inside(last)) {
            (Some(then), Some(now)) if now > then => seen.push(format!("`{name}` went on from {then} to {now}")),
            (then, now) => {
                let told = |n: Option<u64>| n.map_or("nothing".to_owned(), |n| n.to_string());
                return Err(red(format!("`{name}` is at {}, after {} at its restore", told(now), told(then)), wanted));
            }
        }
    }
    Ok(format!("all are in step: {}", seen.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::check::sample::{captured, evidence, fails, passes};
    use crate::record::{Capture, CheckSpec, ConsistentCheck, Evidence};

    fn check() -> CheckSpec {
        let containers = vec!["moved-first".to_owned(), "moved-second".to_owned()];
        CheckSpec::Consistent(ConsistentCheck { of: "moved".to_owned(), containers })
    }

    fn said(name: &str, of: &str, counter: u64, pair: &str) -> Capture {
        let mut capture = captured(&format!("{name}:{of}"), of, 90, counter);
        capture.inside.as_mut().unwrap().pair = Some(pair.to_owned());
        capture
    }

    fn pod(second: &str, until: u64) -> Evidence {
        let mut e = evidence();
        for of in ["moved-first", "moved-second"] {
            e.captures.push(said("restored", of, 100, "in step"));
        }
        e.captures.push(said("final", "moved-first", 180, "in step"));
        e.captures.push(said("final", "moved-second", until, second));
        e
    }

    #[test]
    fn a_pod_in_step_that_goes_on_is_consistent() {
        let seen = "all are in step: `moved-first` went on from 100 to 180, `moved-second` went on from 100 to 179";
        assert_eq!(passes(&check(), &pod("in step", 179)), seen);
    }

    #[test]
    fn one_that_is_out_of_step_or_stands_still_or_is_silent_is_not() {
        let torn = pod("out of step: took 90, and the file says given 140, taken 140", 179);
        insta::assert_snapshot!(fails(&check(), &torn), @"`moved-second` is out of step: took 90, and the file says given 140, taken 140; wanted: that every container found the others where it left them, and went on with them");
        insta::assert_snapshot!(fails(&check(), &pod("in step", 100)), @"`moved-second` is at 100, after 100 at its restore; wanted: that every container found the others where it left them, and went on with them");
        let mut silent = pod("in step", 179);
        silent.captures.last_mut().unwrap().inside = None;
        fails(&check(), &silent);
        let mut never_looked = pod("in step", 179);
        never_looked.captures.retain(|c| c.name != "restored:moved-first");
        fails(&check(), &never_looked);
    }
}
