//! Programs that inherit the namespaces of the calling thread: for threads that were taken into a namespace.

use super::{Exec, ExecError, Output};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs a program as a child of the calling thread (which must not belong to a tokio runtime), so that it has the
/// thread's namespaces, and waits for its end. Another exit code than 0 is an error.
pub(crate) fn output_here(exec: &Exec) -> Result<Output, ExecError> {
    let broken = |source| ExecError::Io { command: exec.to_string(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    runtime.block_on(exec.run())
}

/// Starts `program` as PID 1 of a new PID namespace, with `control` as its standard input and the clean environment
/// that all programs of a node get. The id is the one on the host.
///
/// A thread may unshare its PID namespace alone: only its later children are concerned. So a thread of its own does it,
/// and no process is needed between the harness and PID 1.
pub(crate) fn init_in_new_pid_namespace(program: &Path, subcommand: &str, control: OwnedFd) -> io::Result<Child> {
    let mut command = agent(program, control);
    command.arg(subcommand);
    let start = move || {
        unshare(CloneFlags::CLONE_NEWPID)?;
        command.spawn()
    };
    std::thread::scope(|s| s.spawn(start).join().expect("the thread that starts PID 1 does not panic"))
}

/// Starts `program` likewise, in the PID namespace of a process that is there. `namespaces`: that process's folder of them
/// (`/proc/PID/ns`), which the program is told too.
pub(crate) fn guest_in_pid_namespace(
    program: &Path,
    subcommand: &str,
    namespaces: &Path,
    control: OwnedFd,
) -> io::Result<Child> {
    let pids = File::open(namespaces.join("pid"))?;
    let mut command = agent(program, control);
    command.arg(subcommand).arg(namespaces);
    // Where the node's own programs are is not podferry's matter: kind has them there.
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let start = move || {
        setns(&pids, CloneFlags::CLONE_NEWPID)?;
        command.spawn()
    };
    std::thread::scope(|s| s.spawn(start).join().expect("the thread that starts a guest does not panic"))
}

/// Starts `program` with a subcommand and two descriptors, its standard input and output. A thread that does nothing else is its
/// parent, so that a signal at the parent's death (`PR_SET_PDEATHSIG`) comes with the harness's end and not before.
pub(crate) fn start_between(program: &Path, subcommand: &str, input: OwnedFd, output: OwnedFd) -> io::Result<()> {
    let mut command = agent(program, input);
    command.arg(subcommand).stdout(Stdio::from(output));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::Builder::new().name(subcommand.to_owned()).spawn(move || {
        let started = command.spawn();
        // The command has descriptors of the child's, which must not stay open here.
        drop(command);
        match started {
            Ok(mut child) => {
                let _ = tell.send(Ok(()));
                let _ = child.wait();
            }
            Err(e) => drop(tell.send(Err(e))),
        }
    })?;
    told.recv().map_err(io::Error::other)?
}

fn agent(program: &Path, control: OwnedFd) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
    // Standard error stays the harness's own: a panic of PID 1 must be seen.
    command.stdin(Stdio::from(control)).stdout(Stdio::null());
    command
}
