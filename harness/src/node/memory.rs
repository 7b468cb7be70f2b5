//! The memory of a control group: what the kernel says of it, and its limit. Both forms of control groups.

use crate::record::MemoryReport;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Above this a limit is none: cgroup v1 says so by the largest multiple of a page, and no machine has an exbibyte.
const NO_LIMIT: u64 = 1 << 60;

/// A group of a node.
#[derive(Clone, Debug)]
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    v1: bool,
}

impl MemoryGroup {
    /// The group of this name, `/` for the node's own; it need not be there. `mounted` is the node's `/sys/fs/cgroup` as
    /// the harness sees it.
    pub(crate) fn of(mounted: &Path, name: &str) -> Self {
        let (name, memory) = (name.trim_start_matches('/'), mounted.join("memory"));
        let v1 = memory.is_dir();
        MemoryGroup { folder: if v1 { memory } else { mounted.to_owned() }.join(name), v1 }
    }

    /// What the kernel says of it; nothing of a group that is not there.
    pub(crate) fn report(&self) -> Option<MemoryReport> {
        let [usage, limit, kills] = match self.v1 {
            true => ["memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control"],
            false => ["memory.current", "memory.max", "memory.events"],
        };
        Some(MemoryReport {
            bytes: self.text(usage)?.trim().parse().ok()?,
            limit: self.text(limit).and_then(|l| l.trim().parse().ok()).filter(|l| *l < NO_LIMIT),
            oom_kills: field(&self.text(kills)?, "oom_kill").unwrap_or(0),
        })
    }

    /// How often it, or (version 2) a group below it, was refused memory for its limit.
    pub(crate) fn refusals(&self) -> Option<u64> {
        match self.v1 {
            true => self.text("memory.failcnt")?.trim().parse().ok(),
            false => field(&self.text("memory.events")?, "max"),
        }
    }

    /// Bytes of files that nobody has used for a while, in it and below: the kernel gives them up at once.
    pub(crate) fn idle_cache(&self) -> u64 {
        // Version 1 has the sum over all groups below under a name of its own.
        let name = if self.v1 { "total_inactive_file" } else { "inactive_file" };
        self.text("memory.stat").and_then(|stat| field(&stat, name)).unwrap_or(0)
    }

    /// Limits it to so many bytes, or not at all; the group is made if it is not there.
    pub(crate) fn set_limit(&self, bytes: Option<u64>) -> io::Result<()> {
        let (file, none) = if self.v1 { ("memory.limit_in_bytes", "-1") } else { ("memory.max", "max") };
        fs::create_dir_all(&self.folder)?;
        fs::write(self.folder.join(file), bytes.map_or_else(|| none.to_owned(), |b| b.to_string()))
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }
}

/// `oom_kill 1`: the number behind a word at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let group = || MemoryGroup::of(dir.path(), "/podferry/x");
        assert_eq!(group().report(), None, "no group, no word on it");
        write("podferry/x/memory.current", "4096\n");
        write("podferry/x/memory.max", "max\n");
        write("podferry/x/memory.events", "low 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n");
        write("podferry/x/memory.stat", "anon 1\ninactive_file 5\n");
        assert_eq!(group().report(), Some(MemoryReport { bytes: 4096, limit: None, oom_kills: 2 }));
        assert_eq!((group().refusals(), group().idle_cache()), (Some(7), 5));
        write("memory/podferry/x/memory.usage_in_bytes", "8192\n");
        write("memory/podferry/x/memory.limit_in_bytes", "16384\n");
        write("memory/podferry/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
        write("memory/podferry/x/memory.failcnt", "9\n");
        write("memory/podferry/x/memory.stat", "inactive_file 1\ntotal_inactive_file 6\n");
        assert_eq!(group().report(), Some(MemoryReport { bytes: 8192, limit: Some(16384), oom_kills: 1 }));
        assert_eq!((group().refusals(), group().idle_cache()), (Some(9), 6));
        write("memory/podferry/x/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(group().report().unwrap().limit, None);
    }

    #[test]
    fn limits_are_written_in_the_words_of_each_form() {
        let dir = tempfile::tempdir().unwrap();
        let limit = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
        MemoryGroup::of(dir.path(), "/podferry").set_limit(None).unwrap();
        assert_eq!(limit("podferry/memory.max"), "max");
        fs::create_dir(dir.path().join("memory")).unwrap();
        let group = MemoryGroup::of(dir.path(), "/podferry");
        group.set_limit(Some(4096)).unwrap();
        assert_eq!(limit("memory/podferry/memory.limit_in_bytes"), "4096");
        group.set_limit(None).unwrap();
        assert_eq!(limit("memory/podferry/memory.limit_in_bytes"), "-1");
    }
}
