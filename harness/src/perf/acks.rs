//! Regressions that someone has accepted, with a reason and until a day.

use super::{PerfError, read, write};
use crate::record::{Ack, Comparison, PerfVerdict};
use std::path::Path;

/// What is acknowledged, and the day.
#[derive(Clone, Debug, Default)]
pub struct Acks {
    /// Today, as `2027-01-31`.
    pub today: String,
    /// All of them, expired ones too.
    pub all: Vec<Ack>,
}

/// Reads the file; one that is not there has none.
///
/// # Errors
/// It cannot be read, or is not a list of acknowledgements.
pub fn load(path: &Path, today: String) -> Result<Acks, PerfError> {
    if !path.exists() {
        return Ok(Acks { today, all: Vec::new() });
    }
    let text = read(path)?;
    let all = serde_json::from_str(&text).map_err(|source| PerfError::Form {
        path: path.to_owned(),
        what: "list of acknowledgements",
        line: source.line(),
        source,
    })?;
    Ok(Acks { today, all })
}

/// Adds one, in the place of an older one of the same figure, and drops those that expired.
///
/// # Errors
/// The file cannot be read or written.
pub fn add(path: &Path, ack: Ack, today: String) -> Result<(), PerfError> {
    let mut acks = load(path, today)?;
    let today = acks.today.clone();
    acks.all.retain(|a| a.expires >= today && (&a.case, &a.figure) != (&ack.case, &ack.figure));
    acks.all.push(ack);
    let mut text = serde_json::to_string_pretty(&acks.all).unwrap_or_default();
    text.push('\n');
    write(path, &text)
}

/// Marks what is acknowledged, and says what no longer is.
pub(super) fn apply(acks: &Acks, comparison: &mut Comparison) {
    for case in &mut comparison.cases {
        for figure in case.figures.iter_mut().filter(|f| f.verdict == PerfVerdict::Regressed) {
            let Some(ack) = acks.all.iter().find(|a| a.case == case.case && a.figure == figure.name) else { continue };
            // Days of this form compare as text.
            if ack.expires < acks.today {
                let (figure, case, day) = (&figure.name, &case.case, &ack.expires);
                comparison.warnings.push(format!("the acknowledgement of {figure} of {case} expired on {day}"));
            } else {
                figure.ack = Some(ack.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::CaseId;

    fn ack(figure: &str, expires: &str, reason: &str) -> Ack {
        Ack {
            case: CaseId("x[engine=runc]".to_owned()),
            figure: figure.to_owned(),
            reason: reason.to_owned(),
            issue: None,
            expires: expires.to_owned(),
            since: "2030-01-01".to_owned(),
        }
    }

    #[test]
    fn a_file_keeps_one_of_each_that_still_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("perf/acks.json");
        let today = || "2030-01-05".to_owned();
        assert!(load(&path, today()).unwrap().all.is_empty());
        for one in
            [ack("total", "2030-01-04", "old"), ack("total", "2030-02-01", "new"), ack("stall", "2030-02-01", "x")]
        {
            add(&path, one, today()).unwrap();
        }
        add(&path, ack("stall", "2030-03-01", "longer"), today()).unwrap();
        let reasons: Vec<_> = load(&path, today()).unwrap().all.into_iter().map(|a| a.reason).collect();
        assert_eq!(reasons, ["new", "longer"]);
        std::fs::write(&path, "{}").unwrap();
        assert!(load(&path, today()).unwrap_err().to_string().ends_with("line 1: this is no list of acknowledgements"));
    }
}
