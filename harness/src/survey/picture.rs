//! What a witness outside sees of a container: its processes as the node's `/proc` has them, and the zoo's files as they lie
//! in its root.
//!
//! What differs from node to node, or from one look to the next, though nothing was lost, is left out: ids of inodes and
//! mounts, process ids as the node counts them, whether a process sleeps or runs at the moment.

use super::files;
use crate::node::SharedNode;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Values by their names, for each process by its id in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) processes: BTreeMap<u32, Process>,
    /// The zoo's folder: `file.NAME`.
    pub(super) files: BTreeMap<String, String>,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Its parent, by the id in the container; 0 if that is outside.
    pub(super) parent: u32,
    /// `status.Umask` and the like.
    pub(super) values: BTreeMap<String, String>,
}

impl Picture {
    /// Takes it of the container whose first process has this id in the node. What is not there is not in it.
    pub(super) fn take(node: &SharedNode, first: u32) -> Picture {
        let proc = node.host_path(Path::new("/proc"));
        let place = |pid: u32| proc.join(pid.to_string());
        let namespace = |pid: u32| fs::read_link(place(pid).join("ns/pid")).ok();
        let Some(own) = namespace(first) else { return Picture::default() };
        let entries = fs::read_dir(&proc).into_iter().flatten().flatten();
        let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
        let inside: BTreeMap<u32, (u32, BTreeMap<String, String>)> = pids
            .filter(|pid| namespace(*pid).as_ref() == Some(&own) || zombie_of(&place(*pid), &proc, &own))
            .filter_map(|pid| {
                let status = fields(&fs::read_to_string(place(pid).join("status")).ok()?);
                Some((pid, (last(status.get("NSpid")?)?, status)))
            })
            .collect();
        let id = |pid: u32| inside.get(&pid).map_or(0, |(id, _)| *id);
        let mut picture = Picture::default();
        for (pid, (number, status)) in &inside {
            let parent = status.get("PPid").and_then(|p| p.parse().ok()).map_or(0, id);
            picture.processes.insert(*number, Process { parent, values: values(&place(*pid), status, parent) });
        }
        picture.files = files::of(&place(first).join("root/zoo"));
        picture
    }

    /// A process and all below it.
    pub(super) fn family(&self, head: u32) -> Vec<u32> {
        let mut found = vec![head];
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            found.extend(self.processes.iter().filter(|(id, p)| p.parent == parent && **id != head).map(|(id, _)| *id));
            at += 1;
        }
        found
    }
}

/// A process that has ended has no namespaces any more; its parent has.
fn zombie_of(place: &Path, proc: &Path, own: &Path) -> bool {
    let Ok(status) = fs::read_to_string(place.join("status")) else { return false };
    let status = fields(&status);
    let parent = status.get("PPid").map(|p| proc.join(p).join("ns/pid"));
    status.get("State").is_some_and(|s| s.starts_with('Z'))
        && parent.and_then(|p| fs::read_link(p).ok()).as_deref() == Some(own)
}

fn fields(status: &str) -> BTreeMap<String, String> {
    let field =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().replace('\t', " ")));
    status.lines().filter_map(field).collect()
}

/// Ids are listed for each namespace, the innermost last.
fn last(ids: &str) -> Option<u32> {
    ids.split_whitespace().next_back()?.parse().ok()
}

/// Fields of `/proc/PID/status` that say something of what was held.
const STATUS: [&str; 24] = [
    "Name",
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "SigPnd",
    "ShdPnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Cpus_allowed_list",
    "VmLck",
    "THP_enabled",
    "NSpid",
    "NSpgid",
    "NSsid",
];

fn values(place: &Path, status: &BTreeMap<String, String>, parent: u32) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in STATUS {
        if let Some(value) = status.get(name) {
            let value = if name.starts_with("NS") { last(value).unwrap_or(0).to_string() } else { value.clone() };
            found.insert(format!("status.{name}"), value);
        }
    }
    found.insert("status.PPid".to_owned(), parent.to_string());
    let state = status.get("State").and_then(|s| s.chars().next()).unwrap_or('?');
    let state = if "RSD".contains(state) { "alive".to_owned() } else { state.to_string() };
    found.insert("status.State".to_owned(), state);
    for name in ["oom_score_adj", "personality"] {
        if let Ok(text) = fs::read_to_string(place.join(name)) {
            found.insert(name.to_owned(), text.trim().to_owned());
        }
    }
    for name in ["cmdline", "environ"] {
        if let Ok(text) = fs::read(place.join(name)) {
            found.insert(name.to_owned(), String::from_utf8_lossy(&text).replace('\0', " ").trim().to_owned());
        }
    }
    for name in ["exe", "cwd", "root"] {
        if let Ok(link) = fs::read_link(place.join(name)) {
            found.insert(name.to_owned(), ghostless(&link.display().to_string()));
        }
    }
    let text = |name: &str| fs::read_to_string(place.join(name)).unwrap_or_default();
    found.extend(limits(&text("limits")));
    found.extend(scheduling(&text("stat")));
    found.extend(maps(&text("maps")));
    found.insert("timers".to_owned(), timers(&text("timers")));
    found.insert("tasks".to_owned(), tasks(&place.join("task")));
    found.extend(descriptors(place));
    found
}

/// `Max open files            345                  678                  files`
fn limits(text: &str) -> BTreeMap<String, String> {
    let limit = |line: &str| {
        let (name, rest) = (line.get(..26)?.trim(), line.get(26..)?);
        let values: Vec<&str> = rest.split_whitespace().take(2).collect();
        Some((format!("limits.{name}"), values.join("/")))
    };
    text.lines().skip(1).filter_map(limit).collect()
}

/// Nice value and policy are fields 19 and 41 of `stat`; the second, in parentheses, can hold anything.
fn scheduling(stat: &str) -> Option<(String, String)> {
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(("sched".to_owned(), format!("nice {}, policy {}", words.get(16)?, words.get(38)?)))
}

/// Files that are mapped, by their path: rights and pages of each part. Memory that is shared and no file: its size alone,
/// since whoever restores it may back it by another thing.
fn maps(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut shared = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [range, rights, _, _, _, path @ ..] = words.as_slice() else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let number = |n: &str| u64::from_str_radix(n, 16).unwrap_or(0);
        let pages = number(to).saturating_sub(number(from)) / 4096;
        let path = ghostless(&path.join(" "));
        let no_file = path.starts_with("/dev/zero") || path.starts_with("/memfd:") || path.is_empty();
        if no_file && rights.ends_with('s') {
            shared += pages;
        } else if path.starts_with("/anon_hugepage") {
            found.insert("maps.huge".to_owned(), format!("{rights} {pages}"));
        } else if path.starts_with('/') {
            let parts = found.entry(format!("maps.{path}")).or_default();
            *parts += &format!("{}{rights} {pages}", if parts.is_empty() { "" } else { ", " });
        }
    }
    found.insert("maps.shared".to_owned(), format!("{shared} pages"));
    found
}

/// CRIU brings a deleted file back under a name of its own and deletes that (criu 4.2.1).
fn ghostless(link: &str) -> String {
    match link.split_once(".cr.") {
        Some((name, rest)) if rest.contains(".ghost") => format!("{name} (deleted)"),
        _ => link.to_owned(),
    }
}

/// Signals and clocks of POSIX timers.
fn timers(text: &str) -> String {
    let wanted = |line: &&str| line.starts_with("signal:") || line.starts_with("ClockID:");
    let line = |line: &str| line.split('/').next().unwrap_or(line).to_owned();
    text.lines().filter(wanted).map(line).collect::<Vec<_>>().join(", ")
}

fn tasks(place: &Path) -> String {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|e| fs::read_to_string(e.path().join("comm")).unwrap_or_default().trim().to_owned()).collect();
    names.sort();
    names.join(", ")
}

/// Descriptors from 3 on: the first three are what the zoo and its engine made them.
fn descriptors(place: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(place.join("fd")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_ok_and(|n| n > 2) {
            let info = fs::read_to_string(place.join("fdinfo").join(&name)).unwrap_or_default();
            found.insert(format!("fd.{name}"), descriptor(&entry.path(), &info));
        }
    }
    found
}

fn descriptor(link: &PathBuf, info: &str) -> String {
    let link = fs::read_link(link).map(|l| ghostless(&l.display().to_string())).unwrap_or_default();
    // `socket:[4711]` names an inode.
    let what = match link.split_once(":[") {
        Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
        _ => link,
    };
    // In which order an epoll lists what it waits for is no state.
    let mut facts: Vec<String> = info.lines().filter_map(fact).collect();
    facts.sort();
    std::iter::once(what).chain(facts).collect::<Vec<_>>().join("; ")
}

/// Flags of a descriptor without `O_LARGEFILE`, which says nothing on 64 bits and is set or not by how a file is opened.
fn flags(octal: &str) -> String {
    const LARGE_FILE: u32 = 0o100_000;
    u32::from_str_radix(octal, 8).map_or_else(|_| octal.to_owned(), |bits| format!("0{:o}", bits & !LARGE_FILE))
}

/// What of a line of `fdinfo` is the same wherever the descriptor is.
fn fact(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    let words: Vec<&str> = value.split_whitespace().collect();
    match name.trim() {
        "flags" => Some(format!("flags {}", flags(value.trim()))),
        "pos" | "eventfd-count" | "sigmask" | "clockid" | "it_interval" => {
            Some(format!("{} {}", name.trim(), words.join(" ")))
        }
        // `1: FLOCK  ADVISORY  WRITE 148 00:5c:12345 0 EOF`: process and inode are left out.
        "lock" => {
            let [_, kind, _, mode, _, _, range @ ..] = words.as_slice() else { return None };
            Some(format!("lock {kind} {mode} {}", range.join(" ")))
        }
        "tfd" => Some(format!("tfd {}", words.get(..5).unwrap_or(&words).join(" "))),
        name if name.starts_with("inotify wd") => Some("inotify".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_told_without_process_and_inode() {
        let line = "lock:\t1: POSIX  ADVISORY  WRITE 148 00:5c:12345 100 149";
        assert_eq!(fact(line).as_deref(), Some("lock POSIX WRITE 100 149"));
        assert_eq!(fact("mnt_id:\t12"), None);
        assert_eq!(fact("flags:\t0100002").as_deref(), Some("flags 02"));
        assert_eq!(fact("pos:\t1234").as_deref(), Some("pos 1234"));
    }

    #[test]
    fn a_deleted_file_has_the_name_that_it_had() {
        assert_eq!(ghostless("/zoo/x.cr.1.ghost (deleted)"), "/zoo/x (deleted)");
        assert_eq!(ghostless("/zoo/x (deleted)"), "/zoo/x (deleted)");
    }

    #[test]
    fn limits_scheduling_and_maps_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            345                  678                  files     \n";
        assert_eq!(limits(text)["limits.Max open files"], "345/678");
        let stat =
            format!("7 (a) b) S 1 7 7 0 -1 0 {}", (10..=41).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        assert_eq!(scheduling(&stat).unwrap().1, "nice 19, policy 41");
        let text = "1000-3000 rw-s 00000000 00:01 5 /dev/zero (deleted)\n\
                    3000-4000 r--p 00000000 00:02 6 /zoo/private\n\
                    4000-5000 rw-p 00001000 00:02 6 /zoo/private\n";
        let maps = maps(text);
        assert_eq!((maps["maps.shared"].as_str(), maps["maps./zoo/private"].as_str()), ("2 pages", "r--p 1, rw-p 1"));
    }

    #[test]
    fn a_family_is_a_process_with_all_below_it() {
        let of = |parent| Process { parent, values: BTreeMap::new() };
        let processes = [(1, of(0)), (5, of(1)), (6, of(5)), (9, of(6)), (7, of(1))].into_iter().collect();
        let picture = Picture { processes, files: BTreeMap::new() };
        assert_eq!(picture.family(5), [5, 6, 9]);
    }
}
