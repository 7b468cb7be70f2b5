//! What matters in CRIU's logs, for every engine.

use crate::record::ErrorClass;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// At most so many lines are kept in an error.
const LINES: usize = 20;

/// Read from the front and from the back of the log at most so much each: CRIU can write gigabytes.
pub(super) const PART: u64 = 1 << 20;

/// Said in every log on a machine without `CAP_SYS_RESOURCE`, and by helpers whose failure CRIU takes in its stride
/// (criu 4.2.1).
const NOISE: [&str; 2] = ["rlimit: Can't setup RLIMIT_NOFILE for self", "util.c:657): exited, status="];

/// A file that the process had open, outside of what the checkpoint carries, is missing or of another size (criu 4.2.1).
pub(super) const FILES_DIFFER: &[&str] = &["on restore: No such file or directory", "has bad size"];

/// A mount that the process had is not given to it again (criu 4.2.1).
pub(super) const MOUNT_MISSING: &[&str] = &["No mapping for", "Can't find mapping"];

/// The error with what CRIU said of its cause, where that names a thing which the engine's own words leave out: the file,
/// the mount.
pub(super) fn named(class: ErrorClass, message: String, lines: &[String]) -> String {
    let texts = match class {
        ErrorClass::FilesDiffer => FILES_DIFFER,
        ErrorClass::MountMissing => MOUNT_MISSING,
        _ => return message,
    };
    let tells = |line: &&String| texts.iter().any(|text| line.contains(text) && !message.contains(text));
    match lines.iter().find(tells) {
        Some(line) => format!("{message} (CRIU: {})", said(line)),
        None => message,
    }
}

/// A line without its stamp and place: `(00.03) Error (criu/x.c:3): what is wrong`.
pub(super) fn said(line: &str) -> &str {
    line.split_once("Error (").and_then(|(_, rest)| rest.split_once("): ")).map_or(line, |(_, said)| said.trim())
}

/// The lines of a CRIU log that matter: its errors without the noise; the last ones if there are many.
pub(super) fn errors(log: &str) -> Vec<String> {
    let matters = |line: &&str| line.contains("Error (") && !NOISE.iter().any(|noise| line.contains(noise));
    let mut kept: Vec<String> = log.lines().filter(matters).map(|line| line.trim().to_owned()).collect();
    kept.drain(..kept.len().saturating_sub(LINES));
    kept
}

/// A log's begin and end, `PART` of each at most. Empty if it cannot be read.
pub(super) fn ends(path: &Path) -> String {
    read_ends(path).unwrap_or_default()
}

fn read_ends(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(PART).read_to_end(&mut bytes)?;
    if len > PART {
        file.seek(SeekFrom::Start(len.saturating_sub(PART).max(PART)))?;
        bytes.push(b'\n');
        file.take(PART).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How much CRIU has logged when it is given up, for people: what spins logs without end, what hangs does not.
pub(super) fn amount(bytes: u64) -> String {
    match bytes >> 20 {
        0..=3 => format!("CRIU had written {} KiB of log", bytes >> 10),
        mib => format!("CRIU went on and on and had written {mib} MiB of log"),
    }
}

#[cfg(test)]
mod tests {
    use super::{errors, named};
    use crate::record::ErrorClass;

    #[test]
    fn the_thing_that_is_missing_is_named() {
        // Verbatim from criu 4.2.1.
        let lines = [
            "(00.020517)      1: Error (criu/files-reg.c:2223): Can't open file vol/journal on restore: No such file or directory".to_owned(),
            "(00.020600) Error (criu/cr-restore.c:2331): Restoring FAILED.".to_owned(),
        ];
        let message = || "runc says: criu failed".to_owned();
        assert_eq!(
            named(ErrorClass::FilesDiffer, message(), &lines),
            "runc says: criu failed (CRIU: Can't open file vol/journal on restore: No such file or directory)"
        );
        assert_eq!(named(ErrorClass::RestoreFailed, message(), &lines), message());
        assert_eq!(named(ErrorClass::MountMissing, message(), &lines), message());
    }

    #[test]
    fn noise_is_left_out() {
        let log = "(00.01) Dumping\n\
                   (00.02) Error (criu/rlimit.c:24): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n\
                   (00.02) Error (criu/util.c:657): exited, status=1\n\
                   (00.03) Error (criu/sk-inet.c:195): inet: Connected TCP socket\n";
        assert_eq!(errors(log), ["(00.03) Error (criu/sk-inet.c:195): inet: Connected TCP socket"]);
    }

    #[test]
    fn of_many_errors_the_last_are_kept() {
        let log: String = (0..50).map(|i| format!("(00.{i:02}) Error (criu/x.c:{i}): {i}\n")).collect();
        let kept = errors(&log);
        assert_eq!((kept.len(), kept[0].as_str()), (20, "(00.30) Error (criu/x.c:30): 30"));
    }
}
