use super::*;
use proptest::prelude::*;
use rstest::rstest;

const REFUSED: &str = "failed to pull checkpoint base image localhost:5000/x@sha256:0: failed to do request: Head \
                       \"http://localhost:5000/v2/x\": dial tcp [::1]:5000: connect: connection refused";
const RESTORE: &str = "failed to restore containerd task: failed to create shim task: OCI runtime restore failed: criu \
                       failed: type RESTORE errno 0";
const DUMP: &str = "checkpointing container \"c\" failed: /usr/sbin/runc did not terminate successfully: exit status 1: \
                    criu failed: type DUMP errno 0 path= /run/containerd/x/criu-dump.log";

#[rstest]
// Archives.
#[case(During::Restore, "unpacking of checkpoint archive /tmp/checkpoint1 failed: unexpected EOF", &[], C::InvalidArchive)]
#[case(During::Restore, "failed to read \"spec.dump\": open /tmp/checkpoint1/spec.dump: no such file or directory", &[], C::InvalidArchive)]
#[case(During::Restore, "failed to read \"config.dump\": x", &[], C::InvalidArchive)]
#[case(During::Restore, "unpacking of checkpoint archive /tmp/c failed: archive/tar: invalid tar header", &[], C::InvalidArchive)]
#[case(During::Restore, "failed to check if this is a checkpoint image: failed to resolve image \"/data/none.tar\": not found", &[], C::InvalidArchive)]
#[case(During::Restore, "read /data: is a directory", &[], C::InvalidArchive)]
#[case(During::Restore, "open /x/ctrd-restore/checkpoint/descriptors.json: no such file or directory", &[], C::InvalidArchive)]
#[case(During::Restore, "unpacking of rootfs-diff archive /x failed: unexpected EOF", &[], C::InvalidArchive)]
#[case(During::Restore, RESTORE, &["Error (criu/protobuf.c:72): Unexpected EOF on (empty-image)"], C::InvalidArchive)]
#[case(During::Restore, RESTORE, &["Error (criu/pagemap.c:90): Can't read async pr bytes"], C::InvalidArchive)]
// Base images.
#[case(During::Restore, REFUSED, &[], C::BaseImageMissing)]
#[case(During::Restore, "failed to pull checkpoint base image x@sha256:0: localhost:5000/x@sha256:0: not found", &[], C::BaseImageMissing)]
#[case(During::Restore, "failed to resolve image \"localhost:5000/x:1\" during checkpoint import: not found", &[], C::BaseImageMissing)]
#[case(During::Restore, "failed to pull checkpoint base image sha256:0: failed to resolve reference \"sha256:0\": parse \"dummy://sha256:0\": invalid port", &[], C::BaseImageMissing)]
#[case(During::Start, "failed to pull and unpack image \"localhost:5000/x:1\": failed to resolve reference: not found", &[], C::InvalidImage)]
// Names and states.
#[case(During::Restore, "failed to reserve container name \"c_c_default_u_0\": name is reserved for \"1\"", &[], C::NameTaken)]
#[case(During::Start, "failed to reserve sandbox name \"c\": name \"c\" is reserved for \"1\"", &[], C::NameTaken)]
#[case(During::Checkpoint, "container \"1\" is in CONTAINER_EXITED state. only CONTAINER_RUNNING containers can be checkpointed", &[], C::NotRunning)]
#[case(During::Checkpoint, "an error occurred when trying to find container the container status \"deadbeef\": not found", &[], C::UnknownContainer)]
#[case(During::Checkpoint, "failed to get task for container \"1\": no running task found: not found", &[], C::NotRunning)]
#[case(During::Checkpoint, "checkpointing container \"1\" failed: task 1 not found", &[], C::NotRunning)]
#[case(During::Checkpoint, "checkpointing container \"1\" failed: not found", &[], C::NotRunning)]
#[case(During::Checkpoint, "checkpointing container \"1\" failed: container not created: not found", &[], C::NotRunning)]
#[case(During::Checkpoint, "checkpointing container \"1\" failed: cannot pause a stopped container", &[], C::NotRunning)]
#[case(During::Checkpoint, "checkpointing container \"1\" failed: cannot pause a deleted process", &[], C::NotRunning)]
#[case(During::Control, "no running task found: task 1 not found: not found", &[], C::UnknownContainer)]
#[case(During::Control, "OCI runtime pause failed: container not running", &[], C::NotRunning)]
// CRIU.
#[case(During::Checkpoint, "CRIU binary not found or too old (<31600). Failed to checkpoint container \"1\": exec: \"criu\": executable file not found in $PATH", &[], C::CriuMissing)]
#[case(During::Restore, "OCI runtime restore failed: CRIU version check failed: exec: \"criu\": executable file not found in $PATH", &[], C::CriuMissing)]
#[case(During::Checkpoint, DUMP, &["Error (criu/sk-inet.c:195): inet: Connected TCP socket, consider using --tcp-established option."], C::ConnectedTcp)]
#[case(During::Restore, RESTORE, &["Error (criu/sk-inet.c:950): inet: Connected TCP socket in image"], C::ConnectedTcp)]
#[case(During::Checkpoint, DUMP, &["Error (criu/file-lock.c:122): Some file locks are hold by dumping tasks! You can try --file-locks to dump them."], C::FileLocks)]
#[case(During::Checkpoint, DUMP, &["Error (criu/fsnotify.c:290): fsnotify: Can't dump that handle"], C::Inotify)]
#[case(During::Checkpoint, "cannot pause a paused container", &[], C::DumpFailed)]
#[case(During::Restore, RESTORE, &["Error (criu/mount.c:2): mnt: No mapping for 325:(null) mountpoint"], C::MountMissing)]
#[case(During::Restore, RESTORE, &["Error (criu/sk-inet.c:1): inet: Can't bind inet socket (id 5): Address already in use"], C::PortTaken)]
#[case(During::Restore, RESTORE, &["Error (soccr/soccr.c:499): Can't bind inet socket back: Cannot assign requested address"], C::AddressMissing)]
#[case(During::Restore, RESTORE, &[], C::RestoreFailed)]
#[case(During::Restore, "/usr/bin/crun did not terminate successfully: exit status 64", &[], C::RestoreFailed)]
// Surroundings.
#[case(During::Checkpoint, "write /data/small/x.tar: no space left on device", &[], C::NoSpace)]
#[case(During::Checkpoint, DUMP, &["Error (criu/page-xfer.c:3): Unable to write: No space left on device"], C::NoSpace)]
#[case(During::Checkpoint, "transport error: connection reset", &[], C::DaemonGone)]
#[case(During::Control, "tcp connect error", &[], C::DaemonGone)]
// containerd was killed for its node's want of memory while `ctr` gave it an image.
#[case(During::Restore, "ctr: failed to ingest \"blobs/sha256/8498\": failed to copy: failed to send write: EOF", &[], C::DaemonGone)]
#[case(During::Restore, "ctr: failed to ingest \"blobs/sha256/8498\": failed to copy: failed to send write: error reading from server: read unix @->/run/containerd-kubelet/containerd.sock: read: connection reset by peer", &[], C::DaemonGone)]
#[case(During::Restore, "ctr: failed to ingest \"index.json\": failed to copy: unexpected EOF", &[], C::InvalidArchive)]
#[case(During::Restore, "failed to pull checkpoint base image x: read tcp 127.0.0.1:1->127.0.0.1:5000: read: connection reset by peer", &[], C::BaseImageMissing)]
#[case(During::Restore, "checkpoint restore via CreateContainer is disabled by configuration", &[], C::Unsupported)]
#[case(During::Checkpoint, "unknown method CheckpointContainer for service runtime.v1.RuntimeService", &[], C::Unsupported)]
#[case(During::Control, "something new", &[], C::Other)]
fn table(#[case] during: During, #[case] message: &str, #[case] criu: &[&str], #[case] class: C) {
    let criu: Vec<String> = criu.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(classify(during, message, &criu), class);
}

proptest! {
    #[test]
    fn a_cause_in_criu_s_log_beats_the_message(prefix in "[a-z ]{0,20}") {
        let line = vec![format!("{prefix}Error (x): inet: Connected TCP socket, consider")];
        prop_assert_eq!(classify(During::Checkpoint, DUMP, &line), C::ConnectedTcp);
    }
}
