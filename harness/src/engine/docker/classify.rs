//! From what dockerd says to a class of error. Pure; the texts are those of Docker 26.1.5 and 28.5.2. What runc and CRIU
//! say within it is told as for the engine `runc`.

use crate::engine::criu_words;
use crate::engine::runc::classify::{During, classify as of_runtime};
use crate::record::ErrorClass as C;

/// dockerd's own words. Before those of the runtime: `already exists` and `does not exist` are said of many things.
const WORDS: &[(&[&str], C)] = &[
    (&["experimental feature is disabled", "only supported in experimental mode"], C::Unsupported),
    (&["No such container", "no such container"], C::UnknownContainer),
    (&["checkpoint with name", "Conflict. The container name"], C::NameTaken),
    // Docker removes no checkpoint of which it knows; one that is not there never came.
    (&["does not exist for container"], C::InvalidArchive),
    (&["No such image", "manifest unknown", "pull access denied", "failed to resolve reference"], C::InvalidImage),
    (&["is not running", "is not paused", "container not running"], C::NotRunning),
    (&["Cannot connect to containerd", "connection error: desc", "containerd.sock: connect"], C::DaemonGone),
];

/// The class of an error, from dockerd's message and the lines of CRIU's log.
pub(super) fn classify(during: During, message: &str, criu: &[String]) -> C {
    let own = WORDS.iter().find(|(texts, _)| texts.iter().any(|text| message.contains(text)));
    own.map_or_else(|| of_runtime(during, message, criu), |(_, class)| *class)
}

/// A checkpoint that a restore has just put into containerd's content store is still there from its making, until
/// containerd collects its garbage. Nothing is wrong with it: the same call succeeds a moment later.
pub(super) fn still_in_content(message: &str) -> bool {
    message.contains("failed to upload checkpoint to containerd") && message.contains("already exists")
}

/// What a user can do about it.
pub(super) fn hint(class: C, message: &str) -> Option<&'static str> {
    if message.contains("/proc/0/ns/net") {
        return Some(
            "Docker 28.5 looks for the network of a restored container before it has a process: restore it on the \
             host's network, or on another container's",
        );
    }
    Some(match class {
        C::CriuMissing => "put criu 4 or later into the node, on containerd's PATH",
        C::DaemonGone => "dockerd.log and containerd.log of the node say why",
        C::FilesDiffer => {
            "a docker checkpoint holds no files: what the container wrote into its root is not in the copy's. Keep it on \
             a volume, and copy that"
        }
        other => return criu_words::hint(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Verbatim, of Docker 26.1.5 or 28.5.2.
    #[rstest]
    #[case(
        During::Checkpoint,
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
        C::Unsupported
    )]
    #[case(During::Restore, "checkpoint is only supported in experimental mode", C::Unsupported)]
    #[case(During::Control, "No such container: w-holder", C::UnknownContainer)]
    #[case(
        During::Checkpoint,
        "cannot checkpoint container X: checkpoint with name a1 already exists for container X",
        C::NameTaken
    )]
    #[case(
        During::Start,
        "Conflict. The container name \"/h\" is already in use by container \"63eb962ff7b4\". You have to remove (or rename) that container to be able to reuse that name.",
        C::NameTaken
    )]
    #[case(During::Restore, "checkpoint nope does not exist for container /X", C::InvalidArchive)]
    #[case(During::Checkpoint, "container 97bebef5 is not running", C::NotRunning)]
    #[case(
        During::Checkpoint,
        "Cannot checkpoint container x: /usr/bin/runc did not terminate successfully: exit status 1: criu failed: type NOTIFY errno 0",
        C::DumpFailed
    )]
    #[case(During::Restore, "OCI runtime restore failed: criu failed: type RESTORE errno 0", C::RestoreFailed)]
    #[case(
        During::Restore,
        "bind-mount /proc/0/ns/net -> /run/docker/netns/735b4159189a: no such file or directory",
        C::RestoreFailed
    )]
    fn texts_have_their_class(#[case] during: During, #[case] message: &str, #[case] class: C) {
        assert_eq!(classify(during, message, &[]), class);
    }

    #[test]
    fn what_criu_says_comes_through() {
        let line = "Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.";
        let said = "Cannot checkpoint container x: criu failed: type NOTIFY errno 0";
        assert_eq!(classify(During::Checkpoint, said, &[line.to_owned()]), C::ConnectedTcp);
    }

    #[test]
    fn a_checkpoint_still_in_content_is_told_from_a_name_that_is_taken() {
        let said = "failed to upload checkpoint to containerd: commit failed: content sha256:0badc0de: already exists";
        assert!(still_in_content(said));
        assert!(!still_in_content("checkpoint with name a1 already exists for container X"));
    }

    #[test]
    fn the_bug_of_28_5_has_its_hint() {
        let said = "bind-mount /proc/0/ns/net -> /run/docker/netns/735b4159189a: no such file or directory";
        assert!(hint(C::RestoreFailed, said).is_some_and(|hint| hint.contains("28.5")));
        assert_eq!(hint(C::RestoreFailed, "criu failed"), None);
    }
}
