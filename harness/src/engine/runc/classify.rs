//! From what runc, crun and CRIU say to a class of error. Pure; the texts are those of runc 1.3.6, crun 1.28 and criu
//! 4.2.1.

use crate::engine::criu_words;
use crate::record::ErrorClass as C;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum During {
    /// A cold start.
    Start,
    /// Freezing, thawing, looking, removing.
    Control,
    /// A checkpoint.
    Checkpoint,
    /// A restore.
    Restore,
}

/// The message in what a runtime wrote: the last error of its log in JSON (runc: one a line; crun: over several lines),
/// or its last line of plain text.
pub(super) fn runtime_message(text: &str) -> String {
    let mut last = None;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    while let Some(Ok(value)) = values.next() {
        if value["level"] == "error" {
            last = value["msg"].as_str().map(str::to_owned).or(last);
        }
    }
    let plain =
        || text.lines().rev().map(str::trim).find(|l| !l.is_empty() && !l.starts_with(['{', '}'])).map(str::to_owned);
    let message = last.or_else(plain).unwrap_or_else(|| "it said nothing".into());
    // runc's logger on a plain stderr: time="..." level=error msg="...".
    match message.split_once("level=error msg=\"") {
        Some((_, said)) => said.trim_end_matches('"').to_owned(),
        None => message,
    }
}

/// The class of an error, from the runtime's message and the lines of CRIU's log. The first rule that matches wins:
/// causes stand before the general failures that they make.
pub(in crate::engine) fn classify(during: During, message: &str, criu: &[String]) -> C {
    let says = |text: &&str| message.contains(*text) || criu.iter().any(|line| line.contains(*text));
    let rules: [(&[&str], C); 11] = [
        (&["no space left on device", "No space left on device"], C::NoSpace),
        (
            &[
                "\"criu\": executable file not found",
                "CRIU binary not found or too old",
                // runc 1.3.6: `CRIU version 20600 must be 30000 or higher`.
                "CRIU version ",
                "could not load `libcriu",
                "libcriu is too old",
                "failed CRIU version check",
                "CRIU: failed checking version",
            ],
            C::CriuMissing,
        ),
        (&["Connected TCP socket"], C::ConnectedTcp),
        (&["file locks are hold"], C::FileLocks),
        (crate::engine::criu_log::MOUNT_MISSING, C::MountMissing),
        (crate::engine::criu_log::FILES_DIFFER, C::FilesDiffer),
        (&[crate::engine::criu_words::ADDRESS_MISSING], C::AddressMissing),
        (&["Address already in use", "Can't bind inet socket"], C::PortTaken),
        (&["container with given ID already exists", "already exists"], C::NameTaken),
        (&["does not exist"], C::UnknownContainer),
        (
            &[
                "container not running",
                "container is not running",
                "cannot pause a stopped",
                "the container is not",
                "is not running",
            ],
            C::NotRunning,
        ),
    ];
    let rule = rules.iter().find(|(texts, _)| texts.iter().any(&says)).map(|(_, class)| *class);
    let says = |text: &str| says(&text);
    let rule = rule.or_else(|| match during {
        During::Checkpoint => criu_words::dump(&says),
        During::Restore => criu_words::restore(&says),
        During::Start | During::Control => None,
    });
    match (rule, during) {
        (Some(class), _) => class,
        (None, During::Checkpoint) => C::DumpFailed,
        (None, During::Restore) => C::RestoreFailed,
        (None, During::Start | During::Control) => C::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(During::Checkpoint, "exec: \"criu\": executable file not found in $PATH", "", C::CriuMissing)]
    #[case(
        During::Restore,
        "CRIU version check failed: exec: \"criu\": executable file not found in $PATH",
        "",
        C::CriuMissing
    )]
    #[case(During::Checkpoint, "CRIU version 20600 must be 30000 or higher", "", C::CriuMissing)]
    #[case(
        During::Checkpoint,
        "criu failed: type DUMP errno 0",
        "Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established option.",
        C::ConnectedTcp
    )]
    #[case(
        During::Checkpoint,
        "criu failed: type DUMP errno 0",
        "Error (criu/file-lock.c): Some file locks are hold by dumping tasks! You can try --file-locks to dump them.",
        C::FileLocks
    )]
    #[case(
        During::Checkpoint,
        "criu failed: type DUMP errno 0",
        "Error (criu/sk-unix.c): External socket is used. Consider using --ext-unix-sk option.",
        C::ExternalSocket
    )]
    #[case(
        During::Checkpoint,
        "criu failed: type DUMP errno 0",
        "Error (criu/image.c): write: No space left on device",
        C::NoSpace
    )]
    #[case(
        During::Restore,
        "criu failed: type RESTORE errno 0",
        "Error (criu/mount.c): mnt: No mapping for 325:(null) mountpoint",
        C::MountMissing
    )]
    #[case(
        During::Restore,
        "criu failed: type RESTORE errno 0",
        "Error (soccr/soccr.c:499): Can't bind inet socket back: Cannot assign requested address",
        C::AddressMissing
    )]
    #[case(
        During::Restore,
        "criu failed: type RESTORE errno 0",
        "Error (criu/sk-inet.c): inet: Can't bind inet socket (id 5): Address already in use",
        C::PortTaken
    )]
    #[case(
        During::Restore,
        "criu failed: type RESTORE errno 0",
        "Error (criu/image.c:511): Unexpected EOF on (empty-image)",
        C::InvalidArchive
    )]
    #[case(During::Start, "container with given ID already exists", "", C::NameTaken)]
    #[case(During::Control, "container does not exist", "", C::UnknownContainer)]
    #[case(
        During::Control,
        "container `x` does not exist: open `/data/crun/state/x/status`: No such file or directory",
        "",
        C::UnknownContainer
    )]
    #[case(During::Checkpoint, "container not running", "", C::NotRunning)]
    #[case(During::Start, "exec: \"/bin/none\": stat /bin/none: no such file or directory", "", C::Other)]
    fn texts_have_their_class(#[case] during: During, #[case] message: &str, #[case] line: &str, #[case] class: C) {
        assert_eq!(classify(during, message, &[line.to_owned()]), class);
    }

    #[rstest]
    #[case("{\"level\":\"error\",\"msg\":\"container not running\",\"time\":\"t\"}\n", "container not running")]
    #[case("{\"level\":\"warning\",\"msg\":\"x\"}\n{\"msg\":\"boom\",\"level\":\"error\",\"time\":\"t\"}\n", "boom")]
    #[case("{\n  \"msg\": \"over lines\",\n  \"level\": \"error\",\n  \"time\": \"t\"\n}\n", "over lines")]
    #[case("time=\"2026-11-22T17:19:45Z\" level=error msg=\"container not paused\"\n", "container not paused")]
    #[case("a\nb\n\n", "b")]
    #[case("", "it said nothing")]
    fn the_message_is_taken_from_either_form(#[case] text: &str, #[case] message: &str) {
        assert_eq!(runtime_message(text), message);
    }
}
