//! What is mounted in a container, and what should be. CRIU restores the mounts of the checkpointed container and no
//! others: one that the new container is given beside those is left out, and nobody says so (runc 1.3.6, criu 4.2.1,
//! containerd 2.1.9).

use super::{Container, EngineError};
use crate::record::{ErrorClass, OutsideReport};

/// The mount points in a `/proc/PID/mountinfo`, without those that every container has. See proc_pid_mountinfo(5).
pub(super) fn points(mountinfo: &str) -> Vec<String> {
    let own = |point: &str| point == "/" || ["/proc", "/sys", "/dev"].iter().any(|dir| below(point, dir));
    let all = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    all.filter(|point| !own(point)).map(str::to_owned).collect()
}

fn below(point: &str, dir: &str) -> bool {
    point.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// That a container which was just restored has all mounts that it was given.
pub(super) fn all_there(container: &Container, seen: Option<&OutsideReport>) -> Result<(), EngineError> {
    let points = seen.map(|report| report.mounts.as_slice()).unwrap_or_default();
    let given = container.slot.spec.mounts.iter().map(|mount| mount.target.to_string_lossy());
    let lacking: Vec<String> =
        given.filter(|target| !points.iter().any(|p| p == target)).map(|t| t.into_owned()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let (name, what) = (&container.slot.spec.name, lacking.join(", "));
    let message =
        format!("container {name} was restored without its mount {what}: the checkpointed one did not have it");
    Err(EngineError::new(ErrorClass::MountMissing, message)
        .hint("a restore gives a container the mounts that it had when it was checkpointed, and no others"))
}

#[cfg(test)]
mod tests {
    use super::points;

    #[test]
    fn what_every_container_has_is_left_out() {
        let mountinfo = "1 0 0:30 / / rw - overlay overlay rw\n2 1 0:31 / /proc rw - proc proc rw\n\
                         3 1 0:32 / /dev/shm rw - tmpfs shm rw\n4 1 0:33 /a /vol rw - tmpfs data rw\n\
                         5 1 0:33 /b /processed rw - tmpfs data rw\n";
        assert_eq!(points(mountinfo), ["/vol", "/processed"]);
        assert!(points("").is_empty());
    }
}
