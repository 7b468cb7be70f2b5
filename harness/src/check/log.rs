use super::{Judged, Red, capture, red};
use crate::record::{Evidence, LogCheck, LogReport};

/// By the numbers that a capture found in the log of the instance; without a name, by the runner's last one.
pub(super) fn judge(check: &LogCheck, evidence: &Evidence) -> Judged {
    let of = &check.of;
    let at = check.at.clone().unwrap_or_else(|| format!("final:{of}"));
    let log = report(evidence, &at)?;
    let mut seen = format!("the log of `{of}` has {} numbers, {} to {}", log.numbers, log.first, log.last);
    if let Some(before) = &check.keeps {
        let source = report(evidence, before)?;
        if log.first > source.first || log.last < source.last {
            return Err(red(
                format!("{seen}, and that of its source had {} to {}", source.first, source.last),
                format!("all that was logged before capture `{before}`"),
            ));
        }
        seen += &format!("; those of `{before}`, {} to {}, are among them", source.first, source.last);
    }
    if check.each_once {
        if let Some((was, is)) = log.breaks.first() {
            let how = match log.repeated {
                0 => format!("{is} follows {was}"),
                n => format!("{is} follows {was}, {n} of them are there twice"),
            };
            return Err(red(format!("{seen}; {how}"), "each number once, one after the other"));
        }
        seen += "; each is there once";
    }
    Ok(seen)
}

fn report<'a>(evidence: &'a Evidence, name: &str) -> Result<&'a LogReport, Red> {
    let found = capture(evidence, name)?;
    let none = || format!("there was no number in the log of `{}` at capture `{name}`", found.instance);
    found.log.as_ref().ok_or_else(|| red(none(), "a log with numbers"))
}

#[cfg(test)]
mod tests {
    use crate::check::sample::{evidence, fails, passes, spoiled};
    use crate::record::{CheckSpec, Evidence, LogCheck, LogReport};

    fn check(each_once: bool, keeps: Option<&str>) -> CheckSpec {
        let keeps = keeps.map(str::to_owned);
        CheckSpec::Log(LogCheck { of: "copy".to_owned(), at: None, each_once, keeps })
    }

    /// Of the source before the checkpoint, and of the copy at the end.
    fn logs(source: &[u64], copy: &[u64]) -> Evidence {
        spoiled(|e| {
            e.captures[0].log = LogReport::of(source);
            e.captures[1].log = LogReport::of(copy);
        })
    }

    #[test]
    fn each_once_means_neither_twice_nor_left_out() {
        let seen = passes(&check(true, None), &logs(&[], &[3, 4, 5]));
        assert_eq!(seen, "the log of `copy` has 3 numbers, 3 to 5; each is there once");
        insta::assert_snapshot!(fails(&check(true, None), &logs(&[], &[9, 10, 11, 10, 11, 12])), @"the log of `copy` has 6 numbers, 9 to 12; 10 follows 11, 2 of them are there twice; wanted: each number once, one after the other");
        assert!(fails(&check(true, None), &logs(&[], &[9, 12])).contains("12 follows 9;"));
        assert!(passes(&check(false, None), &logs(&[], &[9, 12])).ends_with("9 to 12"));
    }

    #[test]
    fn what_the_source_had_logged_must_be_there() {
        passes(&check(true, Some("before")), &logs(&[1, 2], &[1, 2, 3]));
        insta::assert_snapshot!(fails(&check(false, Some("before")), &logs(&[1, 2], &[3, 4])), @"the log of `copy` has 2 numbers, 3 to 4, and that of its source had 1 to 2; wanted: all that was logged before capture `before`");
        assert!(fails(&check(false, Some("before")), &logs(&[1, 2, 3], &[1, 2])).contains("had 1 to 3"));
    }

    #[test]
    fn an_empty_log_proves_nothing() {
        assert!(fails(&check(false, None), &evidence()).contains("no number in the log of `copy`"));
        assert!(fails(&check(false, Some("before")), &logs(&[], &[1])).contains("at capture `before`"));
    }
}
