//! PID 1 of a local node: makes the node around itself, then runs programs for the harness until the line to the
//! harness is closed. Runs in a process of its own (the harness's own program, by a hidden subcommand), on one thread. A guest
//! does the same in a node that somebody else made.

mod agent;
mod cgroup;
mod inherited;
mod pump;
mod root;

use super::wire::{Channel, Reply, Request, Setup};
use agent::{Agent, AtItsEnd};
use nix::sched::{CloneFlags, setns, unshare};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "__node-init";

/// The hidden subcommand of a guest.
pub(crate) const GUEST: &str = "__node-guest";

/// The hidden subcommand of an agent on a node that is reached by its standard streams alone.
pub(crate) const AGENT: &str = "__node-agent";

/// The hidden subcommand of who holds the kernel's end of such a node's files.
pub(crate) const PUMP: &str = "__fuse-pump";

/// The hidden subcommand of who keeps the place for such an agent.
pub(crate) const PLACE: &str = "__node-place";

ctor::declarative::ctor! {
    /// Before `main`, while there is one thread: whatever program the harness is part of, be it `podferry` or somebody's
    /// tests, becomes PID 1 of a node, or a guest in another's, when it is started for that.
    #[ctor(unsafe)]
    fn become_init() {
        if let Some(code) = asked(std::env::args_os()) {
            std::process::exit(code);
        }
    }
}

/// Serves the hidden subcommands that PID 1 of a local node, and a guest in another's, are started with; `None` when the
/// arguments ask for something else.
///
/// The first refuses to run when it is not PID 1, so that a person who types the subcommand harms nothing; the second joins
/// namespaces that it may join, and does what its standard input says.
fn asked(mut args: impl Iterator<Item = OsString>) -> Option<i32> {
    let served = match args.nth(1)? {
        asked if asked == SUBCOMMAND && std::process::id() != 1 => return Some(2),
        asked if asked == SUBCOMMAND => init(),
        asked if asked == AGENT => return Some(told(super::remote::serve_agent())),
        // Its end is told by the mount.
        asked if asked == PUMP => return Some(i32::from(super::remote::pump().is_err())),
        asked if asked == PLACE => loop {
            // Until a signal ends it.
            nix::unistd::pause();
        },
        asked if asked == GUEST => guest(&args.next().unwrap_or_default()),
        _ => return None,
    };
    // The harness reads the cause from the channel; without a channel there is nobody to tell.
    Some(i32::from(served.is_err()))
}

/// What an agent says at its end is heard by who started it.
fn told(served: io::Result<()>) -> i32 {
    let Err(e) = served else { return 0 };
    let _ = io::Write::write_all(&mut io::stderr(), format!("podferry's agent: {e}\n").as_bytes());
    1
}

fn init() -> io::Result<()> {
    let control = alone()?;
    let Some((Request::Setup(setup), files)) = control.recv()? else { return Ok(()) };
    let made = set_up(&setup, files, &control);
    serve(control, made, AtItsEnd::All)
}

fn guest(namespaces: &OsStr) -> io::Result<()> {
    let control = alone()?;
    let joined = join(Path::new(namespaces));
    serve(control, joined, AtItsEnd::Own)
}

/// The line to the harness, and nothing else of whoever started it.
fn alone() -> io::Result<Channel> {
    let control = Channel::new(take_stdin()?);
    inherited::hide_from_programs()?;
    nix::unistd::setsid()?;
    Ok(control)
}

/// Joins the namespaces of a process but its PID namespace, which this one was started in.
fn join(namespaces: &Path) -> Result<(), String> {
    const KINDS: [(&str, CloneFlags); 5] = [
        ("cgroup", CloneFlags::CLONE_NEWCGROUP),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("net", CloneFlags::CLONE_NEWNET),
        // The last: no path of the host can be opened after it.
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    for (kind, flag) in KINDS {
        let path = namespaces.join(kind);
        let namespace = File::open(&path).doing(format_args!("open {}", path.display()))?;
        setns(namespace, flag).doing(format_args!("join {}", path.display()))?;
    }
    Ok(())
}

fn serve(control: Channel, made: Result<(), String>, end: AtItsEnd) -> io::Result<()> {
    let agent = made.and_then(|()| {
        std::env::set_current_dir("/").doing("chdir /")?;
        let line = control.as_fd().try_clone_to_owned().doing("copy the control socket")?;
        Agent::new(line, end).doing("watch for children")
    });
    match agent {
        Ok(agent) => {
            drop(control);
            agent.channel().send(&Reply::Ready, &[])?;
            agent.serve()
        }
        Err(trouble) => control.send(&Reply::Broken(trouble), &[]),
    }
}

/// The control socket comes as standard input; programs must not find it there.
fn take_stdin() -> io::Result<OwnedFd> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(control)
}

fn set_up(setup: &Setup, mounts: Vec<OwnedFd>, control: &Channel) -> Result<(), String> {
    cgroup::join(&setup.cgroups.join)?;
    // After joining: the cgroup namespace makes the groups that its maker is in the roots that are seen inside.
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWCGROUP;
    unshare(all).doing("unshare the namespaces")?;
    control.send(&Reply::Unshared, &[]).doing("tell the harness")?;
    nix::unistd::sethostname(&setup.name).doing("set the host name")?;
    root::build(setup, mounts)?;
    // Containers of the node are reached through it.
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").doing("switch on IP forwarding")
}

/// Says what was being done when something failed.
trait Doing<T> {
    fn doing(self, what: impl Display) -> Result<T, String>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Display) -> Result<T, String> {
        self.map_err(|e| format!("{what}: {e}"))
    }
}
