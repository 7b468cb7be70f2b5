//! PID 1 of a local node: makes the node around itself, then runs programs for the harness until the line to the
//! harness is closed. Runs in a process of its own (the harness's own program, by a hidden subcommand), on one thread.

mod agent;
mod cgroup;
mod inherited;
mod pump;
mod root;

use super::wire::{Channel, Reply, Request, Setup};
use agent::Agent;
use nix::sched::{CloneFlags, unshare};
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "__node-init";

ctor::declarative::ctor! {
    /// Before `main`, while there is one thread: whatever program the harness is part of, be it `podferry` or somebody's
    /// tests, becomes PID 1 of a node when it is started for that.
    #[ctor(unsafe)]
    fn become_init() {
        if let Some(code) = serve(std::env::args_os()) {
            std::process::exit(code);
        }
    }
}

/// Serves the hidden subcommand that PID 1 of a local node is started with; `None` when the arguments ask for something
/// else.
///
/// Refuses to run when it is not PID 1, so that a person who types the subcommand harms nothing.
fn serve(mut args: impl Iterator<Item = OsString>) -> Option<i32> {
    if args.nth(1)? != SUBCOMMAND {
        return None;
    }
    if std::process::id() != 1 {
        return Some(2);
    }
    // The harness reads the cause from the channel; without a channel there is nobody to tell.
    Some(i32::from(init().is_err()))
}

fn init() -> io::Result<()> {
    let control = Channel::new(take_stdin()?);
    inherited::hide_from_programs()?;
    nix::unistd::setsid()?;
    let Some((Request::Setup(setup), files)) = control.recv()? else { return Ok(()) };
    let made = set_up(&setup, files, &control).and_then(|()| {
        std::env::set_current_dir("/").doing("chdir /")?;
        Agent::new(control.as_fd().try_clone_to_owned().doing("copy the control socket")?).doing("watch for children")
    });
    match made {
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
