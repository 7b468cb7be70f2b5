use crate::node::{CgroupMounts, Cgroups};
use crate::record::{Leak, RunId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long killed processes may take to leave their group.
const PATIENCE: Duration = Duration::from_secs(5);

/// Version 1 tells nobody that a group is empty, so it is looked at this often.
const GLANCE: Duration = Duration::from_millis(1);

/// The folder of a run, in each hierarchy.
pub(super) fn run_folder(run: &RunId) -> String {
    format!("podferry-{run}")
}

/// The control group hierarchies of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchies {
    v1: Vec<V1>,
    /// Where the unified hierarchy is mounted. With version 1 hierarchies beside it (hybrid), nodes only join it.
    v2: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct V1 {
    mounted: PathBuf,
    /// As `mount -o` takes them.
    options: String,
}

impl V1 {
    fn is(&self, controller: &str) -> bool {
        self.options.split(',').any(|o| o == controller)
    }

    /// `cpu,cpuacct`, `systemd`.
    fn folder(&self) -> &str {
        self.options.strip_prefix("none,name=").unwrap_or(&self.options)
    }
}

impl Hierarchies {
    /// Looks at what is mounted.
    pub(super) fn find() -> io::Result<Hierarchies> {
        let found = Hierarchies::parse(&fs::read_to_string("/proc/self/mountinfo")?);
        if found.v1.is_empty() && found.v2.is_none() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no control group file system is mounted"));
        }
        Ok(found)
    }

    /// Reads `/proc/self/mountinfo`, see proc_pid_mountinfo(5).
    fn parse(mountinfo: &str) -> Hierarchies {
        let mut found = Hierarchies { v1: Vec::new(), v2: None };
        for line in mountinfo.lines() {
            let Some((mount, fs)) = line.split_once(" - ") else { continue };
            let Some(at) = mount.split(' ').nth(4) else { continue };
            let [kind, _, options] = fs.splitn(3, ' ').collect::<Vec<_>>()[..] else { continue };
            let at = PathBuf::from(at);
            match kind {
                "cgroup2" if found.v2.is_none() => found.v2 = Some(at),
                "cgroup" => {
                    let options = mount_options(options);
                    if !options.is_empty() && found.v1.iter().all(|v| v.options != options) {
                        found.v1.push(V1 { mounted: at, options });
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The groups of a node.
    pub(super) fn node(&self, run: &RunId, name: &str) -> Groups {
        self.groups(Path::new(&run_folder(run)).join(name))
    }

    fn groups(&self, path: PathBuf) -> Groups {
        Groups { hierarchies: self.clone(), path }
    }

    fn roots(&self) -> impl Iterator<Item = &Path> {
        self.v1.iter().map(|v| v.mounted.as_path()).chain(self.v2.as_deref())
    }
}

/// Takes away what is no controller and no name.
fn mount_options(superblock: &str) -> String {
    let other = ["rw", "ro", "xattr", "noprefix", "clone_children", "seclabel"];
    let of_interest = |o: &&str| !other.contains(o) && !o.starts_with("release_agent=");
    let kept: Vec<&str> = superblock.split(',').filter(of_interest).collect();
    match kept[..] {
        [name] if name.starts_with("name=") => format!("none,{name}"),
        _ => kept.join(","),
    }
}

/// One group, in every hierarchy.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    hierarchies: Hierarchies,
    /// `podferry-RUN/NODE`.
    path: PathBuf,
}

impl Groups {
    /// Makes it.
    pub(super) fn make(&self) -> io::Result<()> {
        // When another node was the run's last, its end removes the run's folder, perhaps just now.
        for _ in 0..100 {
            match self.try_make() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => std::thread::sleep(GLANCE),
                made => return made,
            }
        }
        self.try_make()
    }

    fn try_make(&self) -> io::Result<()> {
        for v1 in &self.hierarchies.v1 {
            fs::create_dir_all(v1.mounted.join(&self.path)).map_err(|e| about(&v1.mounted.join(&self.path), &e))?;
            if v1.is("cpuset") {
                self.copy_cpuset(&v1.mounted)?;
            }
        }
        let Some(v2) = &self.hierarchies.v2 else { return Ok(()) };
        if self.hierarchies.v1.is_empty() {
            let run = self.path.parent().unwrap_or(Path::new(""));
            fs::create_dir_all(v2.join(run))?;
            hand_down(v2)?;
            hand_down(&v2.join(run))?;
        }
        fs::create_dir_all(v2.join(&self.path)).map_err(|e| about(&v2.join(&self.path), &e))
    }

    /// A new group of the cpuset controller has no CPU and no memory node: nothing can join it.
    fn copy_cpuset(&self, mounted: &Path) -> io::Result<()> {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let all = fs::read_to_string(mounted.join(file)).map_err(|e| about(&mounted.join(file), &e))?;
            let mut at = mounted.to_owned();
            for part in &self.path {
                at.push(part);
                let path = at.join(file);
                if fs::read_to_string(&path)?.trim().is_empty() {
                    fs::write(&path, all.trim()).map_err(|e| about(&path, &e))?;
                }
            }
        }
        Ok(())
    }

    /// What PID 1 needs to know.
    pub(super) fn for_init(&self) -> Cgroups {
        let join = self.folders();
        let mounts = if self.hierarchies.v1.is_empty() {
            CgroupMounts::V2
        } else {
            let v1 = self.hierarchies.v1.iter();
            CgroupMounts::V1(v1.map(|v| (v.folder().to_owned(), v.options.clone())).collect())
        };
        Cgroups { join, mounts }
    }

    /// Kills all that is in it, frozen or not, and removes it; the run's folder too, when this was the last in it. What
    /// could not be removed is returned.
    pub(super) fn remove(&self) -> Vec<Leak> {
        let until = Instant::now() + PATIENCE;
        loop {
            let held = self.kill_all();
            let left: Vec<(PathBuf, io::Error)> =
                self.folders().into_iter().filter_map(|dir| Some((dir.clone(), remove_tree(&dir).err()?))).collect();
            if left.is_empty() {
                break;
            }
            if Instant::now() > until {
                let pids = held.iter().map(|p| Leak {
                    kind: "process".into(),
                    name: p.to_string(),
                    reason: "killed, but it does not end".into(),
                });
                let folder = |(dir, e): (PathBuf, io::Error)| Leak {
                    kind: "cgroup".into(),
                    name: dir.display().to_string(),
                    reason: e.to_string(),
                };
                return pids.chain(left.into_iter().map(folder)).collect();
            }
            std::thread::sleep(GLANCE);
        }
        if let Some(run) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            for root in self.hierarchies.roots() {
                // Other nodes may be in it.
                let _ = fs::remove_dir(root.join(run));
            }
        }
        Vec::new()
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.hierarchies.roots().map(|root| root.join(&self.path)).collect()
    }

    /// Thaws all, then kills all: SIGKILL does not reach frozen tasks of version 1.
    fn kill_all(&self) -> Vec<i32> {
        let mut killed = Vec::new();
        for v1 in self.hierarchies.v1.iter().filter(|v| v.is("freezer")) {
            walk(&v1.mounted.join(&self.path), &mut |group| drop(fs::write(group.join("freezer.state"), "THAWED")));
        }
        if let Some(v2) = &self.hierarchies.v2 {
            // Since kernel 5.14, for the whole tree, also for what is being forked just now.
            let _ = fs::write(v2.join(&self.path).join("cgroup.kill"), "1");
        }
        for folder in self.folders() {
            walk(&folder, &mut |group| {
                let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                // 0: a process of a PID namespace that can't be seen from here.
                for pid in procs.lines().filter_map(|l| l.parse::<i32>().ok()).filter(|p| *p > 0) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    killed.push(pid);
                }
            });
        }
        killed.sort_unstable();
        killed.dedup();
        killed
    }
}

/// Removes what a run left in the control groups of this machine, and kills what still lives there: for a run whose
/// harness has died. What could not be removed is returned.
///
/// # Errors
/// The machine's control groups can't be found.
pub fn sweep_cgroups(run: &RunId) -> io::Result<Vec<Leak>> {
    Ok(Hierarchies::find()?.groups(PathBuf::from(run_folder(run))).remove())
}

/// What containers are limited by. Others are left as the machine has them.
const FOR_CONTAINERS: [&str; 6] = ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"];

/// Lets the groups below have the controllers that this group has. On a systemd machine some are off at the root until
/// the first who needs them switches them on.
fn hand_down(group: &Path) -> io::Result<()> {
    let read = |file: &str| fs::read_to_string(group.join(file)).map_err(|e| about(&group.join(file), &e));
    let on = read("cgroup.subtree_control")?;
    for controller in read("cgroup.controllers")?.split_whitespace() {
        if FOR_CONTAINERS.contains(&controller) && !on.split_whitespace().any(|o| o == controller) {
            let file = group.join("cgroup.subtree_control");
            fs::write(&file, format!("+{controller}"))
                .map_err(|e| io::Error::new(e.kind(), format!("+{controller} to {}: {e}", file.display())))?;
        }
    }
    Ok(())
}

/// From the top down: a child of version 1 can't thaw under a frozen parent. Groups may vanish meanwhile.
fn walk(group: &Path, visit: &mut dyn FnMut(&Path)) {
    visit(group);
    for child in children(group) {
        walk(&child, visit);
    }
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

/// The files in a group's folder are the kernel's and go with it; only folders are removed, the deepest first.
fn remove_tree(group: &Path) -> io::Result<()> {
    for child in children(group) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(group) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn about(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests;
