use super::{Judged, red};
use crate::record::{ArchiveCheck, Evidence};

/// By what was found behind the entries of the archive when the checkpoint had been taken.
pub(super) fn judge(check: &ArchiveCheck, evidence: &Evidence) -> Judged {
    let of = &check.of;
    let wanted = "an archive that ends where its entries end";
    let found = evidence.checkpoints.iter().rev().find(|c| c.name == *of);
    let record = found.ok_or_else(|| red(format!("there is no record of checkpoint `{of}`"), wanted))?;
    match record.trailing_bytes {
        Some(0) => Ok(format!("archive `{of}` of {} bytes ends where its entries end", record.bytes)),
        Some(n) => Err(red(
            format!("{n} of the {} bytes of archive `{of}` lie behind its end: a stale tail", record.bytes),
            wanted,
        )),
        None => Err(red(format!("checkpoint `{of}` is no archive, or could not be read"), wanted)),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::sample::{fails, passes, spoiled};
    use crate::record::{ArchiveCheck, CheckSpec, Evidence};

    fn check(of: &str) -> CheckSpec {
        CheckSpec::Archive(ArchiveCheck { of: of.to_owned() })
    }

    fn trailing(bytes: Option<u64>) -> Evidence {
        spoiled(|e| e.checkpoints[0].trailing_bytes = bytes)
    }

    #[test]
    fn nothing_lies_behind_the_end() {
        passes(&check("cp"), &trailing(Some(0)));
        insta::assert_snapshot!(fails(&check("cp"), &trailing(Some(77))), @"77 of the 3145728 bytes of archive `cp` lie behind its end: a stale tail; wanted: an archive that ends where its entries end");
    }

    #[test]
    fn what_was_not_looked_at_proves_nothing() {
        fails(&check("cp"), &trailing(None));
        fails(&check("other"), &trailing(Some(0)));
    }
}
