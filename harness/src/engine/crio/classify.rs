//! From what CRI-O, conmon, runc and CRIU say to a class of error. Pure; the texts are those of CRI-O 1.34.0, runc 1.3.6 and
//! criu 4.2.1.

use crate::engine::cri_api::During;
use crate::engine::{criu_log, criu_words};
use crate::record::ErrorClass as C;

/// The class of an error, from the message and the lines of CRIU's log. The first rule that matches wins: causes stand
/// before the general failures that they make.
pub(super) fn classify(during: During, message: &str, criu: &[String]) -> C {
    let says = |text: &str| message.contains(text) || criu.iter().any(|line| line.contains(text));
    let any = |texts: &[&str]| texts.iter().any(|text| says(text));
    if let Some((_, class)) = RULES.iter().find(|(texts, _)| any(texts)) {
        return *class;
    }
    match during {
        During::Start if any(PULL) => C::InvalidImage,
        During::Start | During::Control => C::Other,
        During::Checkpoint => criu_words::dump(&says).unwrap_or(C::DumpFailed),
        During::Restore if any(criu_log::FILES_DIFFER) => C::FilesDiffer,
        During::Restore if any(&["Address already in use", "Can't bind inet socket"]) => C::PortTaken,
        During::Restore if any(BASE_IMAGE) => C::BaseImageMissing,
        During::Restore if any(&[criu_words::ADDRESS_MISSING]) => C::AddressMissing,
        During::Restore if any(ARCHIVE) => C::InvalidArchive,
        During::Restore if any(PULL) => C::InvalidImage,
        During::Restore => criu_words::restore(&says).unwrap_or(C::RestoreFailed),
    }
}

const RULES: [(&[&str], C); 9] = [
    (
        &[
            "transport error",
            "connection error",
            "tcp connect error",
            "h2 protocol error",
            "error reading a body from connection",
            "Connection refused (os error 111)",
        ],
        C::DaemonGone,
    ),
    (&["no space left on device", "No space left on device"], C::NoSpace),
    // The first is said by a CRI-O that found no CRIU when it started.
    (&["checkpoint/restore support not available", "check for CRIU", "CRIU version "], C::CriuMissing),
    (&["Connected TCP socket"], C::ConnectedTcp),
    (&["file locks are hold"], C::FileLocks),
    (&["expects following bind mounts defined"], C::MountMissing),
    (criu_log::MOUNT_MISSING, C::MountMissing),
    (
        &["could not find container", "specified container not found", "container with ID starting with"],
        C::UnknownContainer,
    ),
    (&["is not running", "container not running"], C::NotRunning),
];

const PULL: &[&str] =
    &["initializing source docker://", "pinging container registry", "manifest unknown", "image not known"];
/// The base image is taken by its id, from the node itself: CRI-O asks no registry for it.
const BASE_IMAGE: &[&str] = &["image not known", "does not resolve to an image ID", "locating image with ID"];
/// CRI-O cannot read the archive.
const ARCHIVE: &[&str] = &[
    "unpacking of checkpoint archive",
    "failed to read \"spec.dump\"",
    "failed to read \"config.dump\"",
    "failed to read \"io.kubernetes.cri-o.Annotations\"",
    "a complete checkpoint for this container cannot be found",
    "failed to open checkpoint archive",
    "invalid tar header",
    "unexpected EOF",
];

/// A message without what runc 1.3.6 quotes of CRIU's log when a dump fails, some twenty lines of it; and the errors in that.
pub(super) fn without_quotes(message: &str) -> (String, Vec<String>) {
    let is_quote = |line: &&str| line.contains("level=warning msg=");
    let quotes: String = message.lines().filter(is_quote).map(|line| line.to_owned() + "\n").collect();
    let lines = criu_log::errors(&quotes).into_iter().filter_map(|line| {
        // `time="..." level=warning msg="728:(00.011425) Error (criu/...): ..."`: the number is the line's.
        let said = line.split_once("msg=\"")?.1.trim_end_matches('"');
        Some(said.split_once(':').map_or(said, |(_, said)| said).to_owned())
    });
    let lines = lines.collect();
    let short = |line: &str| line.split("time=\"").next().unwrap_or_default().to_owned();
    let rest = message.lines().filter(|line| !is_quote(line)).map(str::to_owned);
    let first = message.lines().next().filter(is_quote).map(short);
    let kept: Vec<String> = first.into_iter().chain(rest).filter(|line| !line.trim().is_empty()).collect();
    (kept.join(" "), lines)
}

/// What a user can do about it, by what was under way.
pub(super) fn hint_during(during: During, class: C) -> Option<String> {
    hint(class).map(|hint| during.add_to(hint, class))
}

/// What a user can do about it.
pub(super) fn hint(class: C) -> Option<&'static str> {
    Some(match class {
        C::BaseImageMissing => "CRI-O looks for the base image on the node alone, by its id: pull it there first",
        C::NoPrivilege => "run the workload as user 0, or podferry where root has CAP_SYS_RESOURCE",
        C::CriuMissing => "put criu 3.16 or later into the node, on CRI-O's PATH, before CRI-O starts",
        C::DaemonGone => "crio.log of the node says why",
        C::MountMissing => "a restore must be given every bind mount of the checkpointed container, by container path",
        other => return criu_words::hint(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn what_is_said_of_a_daemon_that_is_gone_fits_what_was_under_way() {
        let hint = |during| hint_during(during, C::DaemonGone).unwrap();
        assert!(hint(During::Checkpoint).ends_with("; the container that was being checkpointed may be frozen"));
        assert!(hint(During::Restore).ends_with("; the runtime may have gone on with the restore without it"));
        assert_eq!(hint(During::Control), "crio.log of the node says why");
    }

    /// Verbatim from CRI-O 1.34.0, runc 1.3.6 and criu 4.2.1, but for what is cut from the middle of the log.
    const FAILED: &str = "failed to checkpoint container c27a: running \"/run/podferry-cri-crio/runtime\" [\"checkpoint\" \
        \"c27a\"] failed: `/run/podferry-cri-crio/runtime checkpoint c27a` failed: time=\"2026-11-28T03:44:58Z\" \
        level=warning msg=\"--- Quoting \\\"/data/crio/overlay-containers/c27a/userdata/dump.log\\\"\"\n\
        time=\"2026-11-28T03:44:58Z\" level=warning msg=\"20:(00.000750) Error (criu/util.c:1534): rlimit: Can't setup \
        RLIMIT_NOFILE for self: Operation not permitted\"\n\
        time=\"2026-11-28T03:44:58Z\" level=warning msg=\"728:(00.011425) Error (criu/sk-inet.c:200): inet: Connected TCP \
        socket, consider using --tcp-established option.\"\n\
        time=\"2026-11-28T03:44:58Z\" level=error msg=\"criu failed: type DUMP errno 0\"\n : exit status 1";

    #[test]
    fn a_quoted_log_is_told_apart() {
        let (message, lines) = without_quotes(FAILED);
        let connected = "(00.011425) Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.";
        assert_eq!(lines, [connected]);
        assert!(message.ends_with("` failed:  time=\"2026-11-28T03:44:58Z\" level=error msg=\"criu failed: type DUMP errno 0\"  : exit status 1"), "{message}");
        assert!(!message.contains("Quoting"), "{message}");
        assert_eq!(without_quotes("container x is not running"), ("container x is not running".to_owned(), vec![]));
    }

    #[rstest]
    #[case(During::Checkpoint, FAILED, C::ConnectedTcp)]
    #[case(During::Checkpoint, "checkpoint/restore support not available", C::CriuMissing)]
    #[case(During::Restore, "restoring \"/x.tar\" expects following bind mounts defined (/vol)", C::MountMissing)]
    #[case(
        During::Control,
        "could not find container \"deadbeef\": container with ID starting with deadbeef not found",
        C::UnknownContainer
    )]
    #[case(
        During::Restore,
        "failed to restore container a: level=error msg=\"criu failed: type RESTORE errno 0\" (criu/sk-inet.c:1059): inet: Can't \
         bind inet socket (id 6): Address already in use",
        C::PortTaken
    )]
    #[case(During::Restore, "failed to restore container a: something", C::RestoreFailed)]
    fn words(#[case] during: During, #[case] message: &str, #[case] class: C) {
        assert_eq!(classify(during, message, &[]), class);
    }
}
