//! The processes of a node, by its own `/proc`.

use super::SharedNode;
use std::collections::BTreeMap;
use std::path::Path;

/// A process of the node, by the node's own ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) parent: u32,
    pub(crate) comm: String,
    /// It waits in the kernel, and no signal ends that: state `D`.
    pub(crate) uninterruptible: bool,
}

/// All processes of the node that have not ended.
pub(crate) fn processes(node: &SharedNode) -> BTreeMap<u32, Process> {
    let proc = node.host_path(Path::new("/proc"));
    let entries = std::fs::read_dir(&proc).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let read = |pid: u32| parse_stat(&std::fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?);
    pids.filter_map(|pid| Some((pid, read(pid)?))).collect()
}

/// The id on the host of a process of the node; `None` if there is none.
pub(crate) fn host_id(node: &SharedNode, pid: u32) -> Option<i32> {
    let namespace = |proc: &Path| std::fs::read_link(proc.join("ns/pid")).ok();
    let its = namespace(&node.host_path(Path::new(&format!("/proc/{pid}"))))?;
    let found = std::fs::read_dir("/proc").ok()?.flatten().find(|entry| {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        innermost(&status) == Some(pid) && namespace(&entry.path()).as_ref() == Some(&its)
    })?;
    found.file_name().to_str()?.parse().ok()
}

/// The last of the ids in `NSpid:`, one for each namespace that the process is in.
fn innermost(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse().ok()
}

/// `42 (a name) S 1 ...`: the name may hold anything, a closing bracket too.
fn parse_stat(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // A zombie does nothing more, and waits for a parent that may be slow.
    (state != "Z").then_some(Process { parent, comm, uninterruptible: state == "D" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_brackets() {
        let process = parse_stat("42 (a) (b)) S 7 42 42 0").unwrap();
        assert_eq!((process.parent, process.comm.as_str()), (7, "a) (b)"));
    }

    #[test]
    fn who_waits_in_the_kernel_is_told() {
        assert!(parse_stat("42 (sh) D 7 42").unwrap().uninterruptible);
        assert!(!parse_stat("42 (sh) S 7 42").unwrap().uninterruptible);
    }

    #[test]
    fn zombies_and_nonsense_are_nobody() {
        assert!(parse_stat("42 (criu) Z 7 42").is_none());
        assert!(parse_stat("").is_none());
        assert!(parse_stat("42 criu S 1").is_none());
    }
}
