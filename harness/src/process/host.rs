use super::{Exec, ExecError, Output};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program's output is still read after its end, for the case that it left a child in the background which
/// holds the pipes open: what the program itself wrote is in the pipes by then.
const AFTERMATH: Duration = Duration::from_millis(100);

impl Exec {
    /// Runs the program on the host and waits for its end; any exit code is an `Ok`. It has a process group of its own,
    /// which is killed whole when the time is up or when the future is dropped.
    ///
    /// # Errors
    /// It can't be started, takes too long, or its pipes break.
    pub async fn output(&self) -> Result<Output, ExecError> {
        let stdin = if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = self.command(stdin, Stdio::piped(), Stdio::piped()).spawn().map_err(|e| self.cant_start(e))?;
        let group = Group::of(&child);
        let result = timeout(self.timeout, talk(&mut child, &self.stdin)).await;
        match result {
            Ok(Ok(output)) => {
                group.spare();
                Ok(output)
            }
            Ok(Err(source)) => Err(ExecError::Io { command: self.to_string(), source }),
            Err(_) => {
                drop(group);
                // SIGKILL was sent; a task in uninterruptible sleep may still take its time.
                let _ = timeout(Duration::from_secs(2), child.wait()).await;
                Err(ExecError::Timeout { command: self.to_string(), limit: self.timeout })
            }
        }
    }

    /// Like [`Exec::output`], but another exit code than 0 is an error that shows the end of the output.
    ///
    /// # Errors
    /// As [`Exec::output`]; and [`ExecError::Status`].
    pub async fn run(&self) -> Result<Output, ExecError> {
        self.output().await?.checked(self)
    }

    /// Starts the program on the host, to go on beside the caller. Its process group is killed when the handle is
    /// dropped. `timeout` and `stdin` do not apply: the input is `/dev/null`.
    ///
    /// # Errors
    /// It can't be started.
    pub fn spawn(&self, stdout: Stdio, stderr: Stdio) -> Result<HostProgram, ExecError> {
        let child = self.command(Stdio::null(), stdout, stderr).spawn().map_err(|e| self.cant_start(e))?;
        Ok(HostProgram { command: self.to_string(), group: Group::of(&child), child })
    }

    fn command(&self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Command {
        super::note_start();
        let (program, args) = self.argv.split_first().expect("an Exec has a program");
        let mut command = Command::new(program);
        command.args(args).envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0).kill_on_drop(true);
        command
    }

    fn cant_start(&self, source: std::io::Error) -> ExecError {
        ExecError::Start { command: self.to_string(), source }
    }
}

/// A program on the host that goes on beside the harness. What is left of its process group is killed when its end was
/// waited for, or else when the handle is dropped.
#[derive(Debug)]
pub struct HostProgram {
    command: String,
    group: Group,
    child: Child,
}

impl HostProgram {
    /// Its process id; `None` after its end was waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its standard output, if it was piped and not taken yet.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, if it was piped and not taken yet.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for its end and gives its exit code (`128 + signal` for a signal).
    ///
    /// # Errors
    /// The wait itself failed.
    pub async fn wait(&mut self) -> Result<i32, ExecError> {
        let ended = self.child.wait().await;
        let code = ended.map(code).map_err(|source| ExecError::Io { command: self.command.clone(), source })?;
        self.group.send(Signal::SIGKILL);
        // An empty group's number may soon be another's.
        self.group.0 = None;
        Ok(code)
    }

    /// SIGTERM to its group, then after `grace` SIGKILL; waits for its end.
    ///
    /// # Errors
    /// The wait itself failed.
    pub async fn stop(&mut self, grace: Duration) -> Result<i32, ExecError> {
        self.group.send(Signal::SIGTERM);
        if let Ok(ended) = timeout(grace, self.wait()).await {
            return ended;
        }
        self.group.send(Signal::SIGKILL);
        self.wait().await
    }
}

/// The process group of a child: killed on drop.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn send(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // ESRCH: all of it has ended.
            let _ = killpg(group, signal);
        }
    }

    /// Lets go of it: the leader has ended, so its number may soon be another's.
    fn spare(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Signal::SIGKILL);
    }
}

async fn talk(child: &mut Child, input: &[u8]) -> std::io::Result<Output> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program may end, or close its input, before it has read all of it.
                let _ = stdin.write_all(input).await;
            }
        };
        let read = async {
            let out = async { stdout.expect("piped").read_to_end(&mut out).await };
            let err = async { stderr.expect("piped").read_to_end(&mut err).await };
            tokio::try_join!(out, err).map(|_| ())
        };
        let streams = async { tokio::join!(feed, read).1 };
        tokio::pin!(streams);
        let early = tokio::select! {
            status = child.wait() => Some(status?),
            done = &mut streams => { done?; None }
        };
        match early {
            Some(status) => {
                if let Ok(done) = timeout(AFTERMATH, streams).await {
                    done?;
                }
                status
            }
            None => child.wait().await?,
        }
    };
    Ok(Output { code: code(status), stdout: out, stderr: err })
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str) -> Exec {
        Exec::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn gives_output_code_and_signal() {
        let output = sh("cat; echo oops >&2; exit 7").stdin("in").output().await.unwrap();
        assert_eq!((output.code, output.text().as_str(), output.stderr.as_slice()), (7, "in", &b"oops\n"[..]));
        assert_eq!(sh("kill -9 $$").output().await.unwrap().code, 137);
        assert!(matches!(sh("exit 1").run().await, Err(ExecError::Status { code: 1, .. })));
        assert!(matches!(Exec::new("/no/such").run().await, Err(ExecError::Start { .. })));
    }

    #[tokio::test]
    async fn kills_the_whole_group_when_the_time_is_up() {
        let dir = tempfile::tempdir().unwrap();
        let exec = sh("sleep 60 & echo $! > child; wait").cwd(dir.path()).timeout(Duration::from_millis(300));
        assert!(matches!(exec.run().await, Err(ExecError::Timeout { .. })));
        let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
        let stat = format!("/proc/{}/stat", child.trim());
        // The signal was sent to it; on a busy machine it ends a while after its leader, and there is no event of a
        // process that is not our child. Unkilled it would go on for a minute.
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the child in the background lives on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn does_not_wait_for_what_holds_the_pipes_in_the_background() {
        let from = Instant::now();
        let output = sh("sleep 2 & echo done").output().await.unwrap();
        assert_eq!(output.text(), "done");
        assert!(from.elapsed() < Duration::from_secs(1), "{:?}", from.elapsed());
    }

    #[tokio::test]
    async fn stops_what_it_spawned() {
        let mut program = sh("sleep 60").spawn(Stdio::null(), Stdio::null()).unwrap();
        assert_eq!(program.stop(Duration::from_secs(5)).await.unwrap(), 128 + 15);
    }
}
