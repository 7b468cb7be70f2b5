//! From what podman, crun, runc and CRIU say to a class of error. Pure; the texts are those of podman 5.8.6, crun 1.28,
//! runc 1.3.6 and criu 4.2.1.

use crate::engine::{criu_log, criu_words};
use crate::record::ErrorClass as C;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum During {
    /// Pulling an image, a cold start.
    Start,
    /// Looking, removing.
    Control,
    /// A checkpoint.
    Checkpoint,
    /// A restore.
    Restore,
}

/// The message in what podman wrote: its last line that begins with `Error: `, with what the OCI runtime said before.
pub(super) fn podman_message(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().rev().find_map(|line| line.strip_prefix("Error: "));
    let message = error.or_else(|| lines().next_back()).unwrap_or("nothing at all");
    // What the OCI runtime writes comes before, and podman repeats only `exit status`.
    let noise = |line: &str| line.starts_with("--- ") || line.starts_with("WARN[") || is_id(line);
    let said: Vec<&str> = lines().filter(|l| !l.starts_with("Error: ") && !noise(l) && !message.contains(l)).collect();
    if said.is_empty() { message.to_owned() } else { format!("{message} ({})", said.join("; ")) }
}

fn is_id(line: &str) -> bool {
    line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The class of an error, from podman's message and the lines of CRIU's log. The first rule that matches wins: causes stand
/// before the general failures that they make.
pub(super) fn classify(during: During, message: &str, criu: &[String]) -> C {
    let says = |text: &str| message.contains(text) || criu.iter().any(|line| line.contains(text));
    let any = |texts: &[&str]| texts.iter().any(|text| says(text));
    let rule = RULES.iter().find(|(texts, _)| any(texts)).map(|(_, class)| *class);
    let rule = rule.or_else(|| match during {
        During::Checkpoint => criu_words::dump(&says),
        During::Restore if any(BASE_IMAGE) => Some(C::BaseImageMissing),
        During::Restore => criu_words::restore(&says).or_else(|| any(ARCHIVE).then_some(C::InvalidArchive)),
        During::Start => any(PULL).then_some(C::InvalidImage),
        During::Control => None,
    });
    rule.unwrap_or(match during {
        During::Checkpoint => C::DumpFailed,
        During::Restore => C::RestoreFailed,
        During::Start | During::Control => C::Other,
    })
}

const RULES: [(&[&str], C); 11] = [
    (&["no space left on device", "No space left on device", "disk quota exceeded"], C::NoSpace),
    (
        &[
            // podman asks criu itself first.
            "requires at least CRIU",
            "failed to check for criu version",
            "could not load `libcriu",
            "\"criu\": executable file not found",
            "CRIU version ",
        ],
        C::CriuMissing,
    ),
    (&["Connected TCP socket"], C::ConnectedTcp),
    (&["file locks are hold"], C::FileLocks),
    (criu_log::MOUNT_MISSING, C::MountMissing),
    (criu_log::FILES_DIFFER, C::FilesDiffer),
    (&[criu_words::ADDRESS_MISSING], C::AddressMissing),
    (&["Address already in use", "Can't bind inet socket"], C::PortTaken),
    (&["is already in use by", "name is already in use"], C::NameTaken),
    (&["no such container", "no container with name or ID"], C::UnknownContainer),
    (&["is not running, cannot checkpoint", "container state improper", "template configuration at"], C::NotRunning),
];

const PULL: &[&str] =
    &["initializing source docker://", "pinging container registry", "image not known", "manifest unknown"];
const BASE_IMAGE: &[&str] = PULL;
/// What podman says of an archive that it cannot read.
const ARCHIVE: &[&str] = &[
    "failed extracting runtime information",
    "unpacking failed",
    "unexpected EOF",
    "invalid tar header",
    ".dump: no such file",
    "a complete checkpoint for this container cannot be found",
];

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        During::Checkpoint,
        "\"paused\" is not running, cannot checkpoint: container state improper",
        "",
        C::NotRunning
    )]
    #[case(
        During::Checkpoint,
        "`/usr/bin/crun checkpoint` failed: exit status 1",
        "Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established option.",
        C::ConnectedTcp
    )]
    #[case(During::Checkpoint, "checkpoint/restore requires at least CRIU 31100", "", C::CriuMissing)]
    #[case(During::Checkpoint, "could not load `libcriu.so.2`", "", C::CriuMissing)]
    #[case(
        During::Restore,
        "a complete checkpoint for this container cannot be found, cannot restore: faccessat /x/checkpoint/inventory.img: no such file",
        "",
        C::InvalidArchive
    )]
    #[case(
        During::Restore,
        "crun: open `/x/userdata/checkpoint/descriptors.json`: No such file or directory: OCI runtime attempted to invoke a \
         command that was not found",
        "",
        C::InvalidArchive
    )]
    #[case(During::Checkpoint, "template configuration at /x/userdata/config.json not found", "", C::NotRunning)]
    #[case(
        During::Restore,
        "failed to check for criu version: exec: \"criu\": executable file not found in $PATH",
        "",
        C::CriuMissing
    )]
    #[case(
        During::Restore,
        "open /data/podman/tmp/checkpoint32/config.dump: no such file or directory",
        "",
        C::InvalidArchive
    )]
    #[case(
        During::Restore,
        "failed extracting runtime information from /data/x.tar: unpacking failed (unexpected EOF)",
        "",
        C::InvalidArchive
    )]
    #[case(
        During::Restore,
        "creating container storage: reading image \"5bd5\": locating image with ID \"5bd5\": image not known",
        "",
        C::BaseImageMissing
    )]
    #[case(
        During::Restore,
        "creating container storage: the container name \"r1\" is already in use by b92f. You have to remove that",
        "",
        C::NameTaken
    )]
    #[case(
        During::Restore,
        "exit status 1",
        "Error (criu/image.c:511): Unexpected EOF on (empty-image)",
        C::InvalidArchive
    )]
    #[case(
        During::Restore,
        "OCI runtime error: crun: CRIU restoring failed: -52",
        "Error (soccr/soccr.c:499): Can't bind inet socket back: Cannot assign requested address",
        C::AddressMissing
    )]
    #[case(During::Restore, "exit status 1", "", C::RestoreFailed)]
    #[case(During::Control, "no container with name or ID \"x\" found: no such container", "", C::UnknownContainer)]
    #[case(
        During::Start,
        "initializing source docker://localhost:5000/x:1: reading manifest 1 in localhost:5000/x: manifest unknown",
        "",
        C::InvalidImage
    )]
    fn texts_have_their_class(#[case] during: During, #[case] message: &str, #[case] line: &str, #[case] class: C) {
        assert_eq!(classify(during, message, &[line.to_owned()]), class);
    }

    #[rstest]
    #[case("WARN[0000] x\nError: boom\n", "boom")]
    #[case("a\nb\n", "b (a)")]
    #[case("", "nothing at all")]
    #[case(
        "--- excerpt from CRIU log `/x/dump.log`\n--- end of excerpt\nCRIU checkpointing failed: -52: Invalid exchange\n\
         Error: `/usr/bin/crun checkpoint x` failed: exit status 1\n",
        "`/usr/bin/crun checkpoint x` failed: exit status 1 (CRIU checkpointing failed: -52: Invalid exchange)"
    )]
    #[case(
        "time=\"2026-11-28T00:00:27Z\" level=error msg=\"criu failed: type DUMP errno 0\"\nError: `runc` failed: exit status 1\n",
        "`runc` failed: exit status 1 (time=\"2026-11-28T00:00:27Z\" level=error msg=\"criu failed: type DUMP errno 0\")"
    )]
    fn the_runtimes_words_are_told_too(#[case] text: &str, #[case] message: &str) {
        assert_eq!(podman_message(text), message);
    }
}
