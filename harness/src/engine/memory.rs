//! What the kernel says of a control group's memory. Both forms of control groups.

use crate::record::MemoryReport;
use std::fs;
use std::path::Path;

/// Above this a limit is none: cgroup v1 says so by the largest multiple of a page, and no machine has an exbibyte.
const NO_LIMIT: u64 = 1 << 60;

/// The memory of a group; `cgroups` is where the node's hierarchies are mounted, as the harness sees it.
pub(super) fn report(cgroups: &Path, group: &str) -> Option<MemoryReport> {
    let group = group.trim_start_matches('/');
    v1(&cgroups.join("memory").join(group)).or_else(|| v2(&cgroups.join(group)))
}

fn v1(folder: &Path) -> Option<MemoryReport> {
    let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    Some(MemoryReport {
        bytes: number("memory.usage_in_bytes")?,
        limit: number("memory.limit_in_bytes").filter(|limit| *limit < NO_LIMIT),
        oom_kills: field(&fs::read_to_string(folder.join("memory.oom_control")).ok()?, "oom_kill").unwrap_or(0),
    })
}

fn v2(folder: &Path) -> Option<MemoryReport> {
    let text = |file: &str| fs::read_to_string(folder.join(file)).ok();
    Some(MemoryReport {
        bytes: text("memory.current")?.trim().parse().ok()?,
        limit: text("memory.max").and_then(|max| max.trim().parse().ok()),
        oom_kills: field(&text("memory.events")?, "oom_kill").unwrap_or(0),
    })
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
        assert_eq!(report(dir.path(), "/podferry/x"), None, "no group, no word on it");
        write("podferry/x/memory.current", "4096\n");
        write("podferry/x/memory.max", "max\n");
        write("podferry/x/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
        assert_eq!(report(dir.path(), "/podferry/x"), Some(MemoryReport { bytes: 4096, limit: None, oom_kills: 2 }));
        write("memory/podferry/x/memory.usage_in_bytes", "8192\n");
        write("memory/podferry/x/memory.limit_in_bytes", "16384\n");
        write("memory/podferry/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
        let limited = MemoryReport { bytes: 8192, limit: Some(16384), oom_kills: 1 };
        assert_eq!(report(dir.path(), "/podferry/x"), Some(limited));
        write("memory/podferry/x/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(report(dir.path(), "/podferry/x").unwrap().limit, None);
    }
}
