//! Processes and how they hang together.

use crate::zoo::idle::{Idle, orphan};
use crate::zoo::kind::{Area, Kind, Label, home, lost, same};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgid, getpid, getppid, getsid, setpgid, setsid};
use std::fs;
use std::io;
use std::process::{Child, ChildStdin, Command, Stdio};

fn pid(of: u32) -> io::Result<Pid> {
    i32::try_from(of).map(Pid::from_raw).map_err(io::Error::other)
}

/// State and parent of a process.
fn stat(pid: u32) -> io::Result<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|e| io::Error::new(e.kind(), format!("process {pid} is gone: {e}")))?;
    let mut words = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let state = words.next().and_then(|w| w.chars().next());
    let parent = words.next().and_then(|w| w.parse().ok());
    state.zip(parent).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is `{text}`")))
}

/// The children of a process.
fn children(pid: u32) -> io::Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().filter_map(|w| w.parse().ok()).collect())
}

/// A child with a child, and one whose parent has ended.
pub(super) struct Tree {
    own: (Pid, Pid),
    child: Idle,
    below: Vec<u32>,
    orphan: u32,
    orphans_parent: u32,
    _life: ChildStdin,
}

impl Kind for Tree {
    const LABEL: Label = Label::new("process-tree", Area::Processes, "a child, a grandchild, and an orphan; their ids")
        .zdtm("pid00 pstree unhashed_proc child_subreaper_and_reparent wait00 vfork00")
        .outside(&["status.NSpid", "status.PPid", "cmdline"]);

    fn hold() -> io::Result<Self> {
        let child = Idle::start(1, || Ok(()))?;
        let below = children(child.pid())?;
        let (orphan, life) = orphan()?;
        let orphans_parent = stat(orphan)?.1;
        Ok(Tree { own: (getpid(), getppid()), child, below, orphan, orphans_parent, _life: life })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its own id with its parent's", &self.own, &(getpid(), getppid()))?;
        let own = u32::try_from(self.own.0.as_raw()).map_err(io::Error::other)?;
        same("the child's parent", &own, &stat(self.child.pid())?.1)?;
        same("the grandchildren", &self.below, &children(self.child.pid())?)?;
        same("the orphan's parent", &self.orphans_parent, &stat(self.orphan)?.1)?;
        Ok(format!("{own}, its child {}, below it {:?}, an orphan {}", self.child.pid(), self.below, self.orphan))
    }
}

/// A child that leads a session, and one that leads a group in it.
pub(super) struct Session {
    leader: Idle,
    member: Idle,
    was: [Pid; 4],
}

impl Session {
    fn now(leader: &Idle, member: &Idle) -> io::Result<[Pid; 4]> {
        let (l, m) = (pid(leader.pid())?, pid(member.pid())?);
        Ok([getsid(Some(l))?, getpgid(Some(l))?, getsid(Some(m))?, getpgid(Some(m))?])
    }
}

impl Kind for Session {
    const LABEL: Label = Label::new("session", Area::Processes, "a leader of a session, and one of a process group")
        .zdtm("session00 session01 session02 session03")
        .outside(&["status.NSsid", "status.NSpgid"]);

    fn hold() -> io::Result<Self> {
        let leader = Idle::start(0, || Ok(setsid().map(drop)?))?;
        let member = Idle::start(0, || Ok(setpgid(Pid::from_raw(0), Pid::from_raw(0))?))?;
        let was = Session::now(&leader, &member)?;
        same("the leader's session", &pid(leader.pid())?, &was[0])?;
        same("the member's group", &pid(member.pid())?, &was[3])?;
        Ok(Session { leader, member, was })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("sessions and groups", &self.was, &Session::now(&self.leader, &self.member)?)?;
        Ok(format!("session {}, group {}", self.was[0], self.was[3]))
    }
}

/// A child that has ended and that nobody has waited for.
pub(super) struct Zombie(Child);

impl Kind for Zombie {
    const LABEL: Label = Label::new("zombie", Area::Processes, "an ended child with its exit code, not waited for")
        .zdtm("zombie00 zombie01 helper_zombie_child")
        .outside(&["status.State"]);

    fn hold() -> io::Result<Self> {
        // An option that it does not know: it ends with 2.
        let child = Command::new("/proc/self/exe").arg("--end").stderr(Stdio::null()).spawn()?;
        let mut zombie = Zombie(child);
        waitid(Id::Pid(pid(zombie.0.id())?), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        zombie.verify()?;
        Ok(zombie)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its state", &'Z', &stat(self.0.id())?.0)?;
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        match waitid(Id::Pid(pid(self.0.id())?), flags)? {
            WaitStatus::Exited(_, 2) => Ok("exit code 2 waits".to_owned()),
            other => lost(format!("its end is {other:?}")),
        }
    }
}

/// A child that a signal has stopped.
pub(super) struct Stopped(Idle);

impl Kind for Stopped {
    const LABEL: Label = Label::new("stopped", Area::Processes, "a child that SIGSTOP has stopped")
        .zdtm("stopped stopped01 stopped02 stopped12")
        .alone("CRIU waits for it without end where the container is frozen by a freezer of cgroup v1")
        .outside(&["status.State"]);

    fn hold() -> io::Result<Self> {
        let child = Idle::start(0, || Ok(()))?;
        kill(pid(child.pid())?, Signal::SIGSTOP)?;
        waitid(Id::Pid(pid(child.pid())?), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT)?;
        Ok(Stopped(child))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its state", &'T', &stat(self.0.pid())?.0)?;
        Ok(format!("{} is stopped", self.0.pid()))
    }
}

/// A child that this process traces, as a debugger does.
pub(super) struct Traced(Idle);

impl Kind for Traced {
    const LABEL: Label = Label::new("ptrace", Area::Processes, "a child that its parent traces, as a debugger does")
        .zdtm("ptrace_sig")
        .alone("CRIU has to trace what it dumps, and there can be one tracer");

    fn hold() -> io::Result<Self> {
        let child = Idle::start(0, || Ok(()))?;
        nix::sys::ptrace::seize(pid(child.pid())?, nix::sys::ptrace::Options::empty())?;
        Ok(Traced(child))
    }

    fn verify(&mut self) -> io::Result<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.pid()))?;
        let tracer = status.lines().find_map(|l| l.strip_prefix("TracerPid:\t")).unwrap_or_default().to_owned();
        same("its tracer", &getpid().to_string(), &tracer)?;
        Ok(format!("{} is traced by {tracer}", self.0.pid()))
    }
}

/// A process whose program is no file any more.
pub(super) struct DeletedProgram {
    child: Child,
}

impl Kind for DeletedProgram {
    const LABEL: Label = Label::new("deleted-program", Area::Processes, "a process whose program's file is deleted")
        .zdtm("selfexe00")
        .outside(&["exe"])
        .alone("its program is larger than deleted files may be");

    fn hold() -> io::Result<Self> {
        let file = home().join("program");
        fs::create_dir_all(home())?;
        fs::copy("/proc/self/exe", &file)?;
        let child = Command::new(&file).args(["--idle", "0"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        fs::remove_file(&file)?;
        let mut held = DeletedProgram { child };
        held.verify()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        let exe = fs::read_link(format!("/proc/{}/exe", self.child.id()))?.display().to_string();
        if exe.ends_with(" (deleted)") { Ok(exe) } else { lost(format!("its program is {exe}")) }
    }
}

impl Drop for DeletedProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
