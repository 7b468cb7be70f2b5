//! Room on disk and in memory.

use super::Finding;
use nix::sys::statvfs::statvfs;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;
/// A node image takes about 450 MiB, and 150 MiB of packages while it is made (Debian sid, late 2026).
const IMAGE_MIB: u64 = 700;
/// The shipped suite's largest data set is 512 MiB: two copies of it, and its checkpoint.
const SUITE_MIB: u64 = 2048;

/// A folder that may not be there yet: else the first one above it, which is on the same file system.
pub(super) fn nearest(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"))
}

/// The cache's file system.
pub(super) fn disk(cache: &Path) -> Finding {
    let there = nearest(cache);
    match statvfs(there) {
        Ok(s) => disk_finding(cache, s.blocks_available() * s.fragment_size() / MIB),
        Err(e) => Finding::warn("disk", format!("can't see the room at {}: {e}", there.display()), "look by df"),
    }
}

fn disk_finding(cache: &Path, free: u64) -> Finding {
    let detail = format!("{free} MiB free for node images at {}", cache.display());
    if free < IMAGE_MIB {
        let detail = format!("{detail}; one needs {IMAGE_MIB} MiB while it is made");
        return Finding::warn("disk", detail, "make room, or name another place by PODFERRY_CACHE");
    }
    Finding::ok("disk", detail)
}

/// `/proc/meminfo`.
pub(super) fn meminfo() -> String {
    fs::read_to_string("/proc/meminfo").unwrap_or_default()
}

pub(super) fn memory(meminfo: &str) -> Finding {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    let Some(free) = kib.and_then(|k| k.trim().parse::<u64>().ok()).map(|k| k / 1024) else {
        return Finding::warn("memory", "/proc/meminfo does not tell what is free", "mount /proc");
    };
    if free < SUITE_MIB {
        return Finding::warn(
            "memory",
            format!(
                "{free} MiB free; nodes and checkpoints live in memory, and the largest case of the shipped suite \
                 takes {SUITE_MIB} MiB"
            ),
            "free some, or leave out the cases with large data sets",
        );
    }
    Finding::ok("memory", format!("{free} MiB free"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn little_room_is_told() {
        assert_eq!(disk_finding(Path::new("/c"), 699).state, State::Warn);
        assert_eq!(disk_finding(Path::new("/c"), 700).state, State::Ok);
        assert_eq!(memory("MemTotal: 1 kB\nMemAvailable:   1048576 kB\n").state, State::Warn);
        assert_eq!(memory("MemAvailable:   8388608 kB\n").detail, "8192 MiB free");
        assert_eq!(memory("").state, State::Warn);
    }

    #[test]
    fn a_cache_that_is_not_there_yet_has_the_room_of_what_is_above_it() {
        assert!(disk(Path::new("/no/such/folder")).detail.contains(" MiB free for node images at /no/such/folder"));
    }
}
