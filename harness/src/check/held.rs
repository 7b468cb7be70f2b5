use super::{Judged, capture, red};
use crate::record::{Evidence, HeldCheck, HeldExpectation};

/// By what the workload said of it when the runner looked last, `final:NAME`.
pub(super) fn judge(check: &HeldCheck, evidence: &Evidence) -> Judged {
    let of = &check.of;
    let last = capture(evidence, &format!("final:{of}"))?;
    let wanted = match check.state {
        HeldExpectation::Kept => "that it works as before",
        HeldExpectation::Lost => "that it does not work any more",
    };
    let Some(held) = last.inside.as_ref().and_then(|i| i.held.as_ref()) else {
        return Err(red(format!("`{of}` says nothing of a thing that it holds"), wanted));
    };
    let seen = format!("what `{of}` holds is {held}");
    if (held == "kept") == (check.state == HeldExpectation::Kept) { Ok(seen) } else { Err(red(seen, wanted)) }
}

#[cfg(test)]
mod tests {
    use crate::check::sample::{fails, passes, spoiled};
    use crate::record::{CheckSpec, Evidence, HeldCheck, HeldExpectation as State};

    fn check(state: State) -> CheckSpec {
        CheckSpec::Held(HeldCheck { of: "copy".to_owned(), state })
    }

    fn holds(held: Option<&str>) -> Evidence {
        spoiled(|e| e.captures[1].inside.as_mut().unwrap().held = held.map(str::to_owned))
    }

    #[test]
    fn kept_and_lost_are_told_apart() {
        let (kept, lost) = (holds(Some("kept")), holds(Some("lost: the lock is free")));
        assert_eq!(passes(&check(State::Kept), &kept), "what `copy` holds is kept");
        insta::assert_snapshot!(fails(&check(State::Kept), &lost), @"what `copy` holds is lost: the lock is free; wanted: that it works as before");
        passes(&check(State::Lost), &lost);
        fails(&check(State::Lost), &kept);
    }

    #[test]
    fn who_says_nothing_or_is_gone_has_neither_kept_nor_lost() {
        let gone = spoiled(|e| e.captures[1].inside = None);
        for evidence in [&holds(None), &gone, &spoiled(|e| drop(e.captures.pop()))] {
            fails(&check(State::Kept), evidence);
            fails(&check(State::Lost), evidence);
        }
    }
}
