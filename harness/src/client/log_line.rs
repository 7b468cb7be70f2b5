//! A line of a container's log, in each of the forms that engines write.

use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;

/// What a line says, and when it was written, if it says that.
#[derive(Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When, by the wall clock of the machine.
    pub stamp: Option<Timestamp>,
    /// What the container wrote, without white space at its end.
    pub text: Cow<'a, str>,
}

/// A line of Docker's driver `json-file`.
#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    time: Timestamp,
}

impl<'a> LogLine<'a> {
    /// Reads a line: as CRI writes it (`<time> stdout F <text>`), as Docker does (`{"log": TEXT, "time": TIME}`), or plain.
    pub fn read(line: &'a str) -> Self {
        let line = line.trim_end();
        if line.starts_with('{')
            && let Ok(Json { log, time }) = serde_json::from_str(line)
        {
            return LogLine { stamp: Some(time), text: Cow::Owned(log.trim_end().to_owned()) };
        }
        match cri(line) {
            Some((stamp, text)) => LogLine { stamp: Some(stamp), text: Cow::Borrowed(text) },
            None => LogLine { stamp: None, text: Cow::Borrowed(line) },
        }
    }
}

/// `2026-11-22T17:00:00.123456789Z stdout F text`.
fn cri(line: &str) -> Option<(Timestamp, &str)> {
    let mut words = line.splitn(4, ' ');
    let (stamp, stream, _) = (words.next()?, words.next()?, words.next()?);
    let stamp = matches!(stream, "stdout" | "stderr").then(|| stamp.parse().ok()).flatten()?;
    Some((stamp, words.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Option<String>, String) {
        let LogLine { stamp, text } = LogLine::read(line);
        (stamp.map(|s| s.to_string()), text.into_owned())
    }

    #[test]
    fn each_form_is_read() {
        let stamp = Some("2026-11-22T12:00:00.5Z".to_owned());
        assert_eq!(read("2026-11-22T12:00:00.5Z stdout F tick 43"), (stamp.clone(), "tick 43".to_owned()));
        let docker = r#"{"log":"tick \"43\"\n","stream":"stdout","time":"2026-11-22T12:00:00.5Z"}"#;
        assert_eq!(read(docker), (stamp.clone(), "tick \"43\"".to_owned()));
        assert_eq!(read("2026-11-22T12:00:00.5Z stdout F "), (stamp, String::new()));
        assert_eq!(read("tick 44\r"), (None, "tick 44".to_owned()));
    }

    #[test]
    fn what_is_in_no_form_is_plain() {
        for line in [r#"{"log":"x"}"#, "{", "12:00 stdout F 1", "2026-11-22T12:00:00.5Z other F 1", ""] {
            assert_eq!(read(line), (None, line.to_owned()));
        }
    }
}
