use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A program to be run: on the host by [`Exec::run`], or in a node by `Node::run`. The same description serves both, so
/// an error can show the same pasteable command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Added to the environment (on the host: to the harness's own; in a node: to a clean one).
    pub env: Vec<(OsString, OsString)>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// What is written to its standard input; empty: `/dev/null`.
    pub stdin: Vec<u8>,
    /// How long it may take; it is killed then.
    pub timeout: Duration,
}

impl Exec {
    /// A program with no arguments, 60 s to live, and nothing on its standard input.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Exec {
            argv: vec![program.as_ref().to_owned()],
            env: Vec::new(),
            cwd: None,
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Sets what is written to its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Display for Exec {
    /// As one would type it in a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.argv.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            let arg = arg.to_string_lossy();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
            if !arg.is_empty() && arg.chars().all(plain) {
                f.write_str(&arg)?;
            } else {
                write!(f, "'{}'", arg.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// What a program left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `128 + signal` if a signal ended it, as shells say it.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text, without white space at its ends.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

/// Why a program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It could not be started.
    #[error("can't start `{command}`")]
    Start {
        /// The command.
        command: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It ended with another code than 0.
    #[error("`{command}` ended with {code}: {tail}")]
    Status {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// The last lines of its output.
        tail: String,
        /// All of it.
        output: Box<Output>,
    },
    /// It took too long and was killed.
    #[error("`{command}` did not end within {limit:?} and was killed")]
    Timeout {
        /// The command.
        command: String,
        /// How long it had.
        limit: Duration,
    },
    /// Its input or output broke.
    #[error("lost touch with `{command}`")]
    Io {
        /// The command.
        command: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// How many lines of output an error shows.
const TAIL_LINES: usize = 20;

impl ExecError {
    /// What the program left, if it ended at all.
    pub fn output(&self) -> Option<&Output> {
        match self {
            ExecError::Status { output, .. } => Some(output),
            ExecError::Start { .. } | ExecError::Timeout { .. } | ExecError::Io { .. } => None,
        }
    }
}

impl Output {
    /// The last lines of standard error, or of standard output when nothing was said on standard error.
    pub fn tail(&self) -> String {
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let text = Some(said(&self.stderr)).filter(|t| !t.trim().is_empty()).unwrap_or_else(|| said(&self.stdout));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// `self` if the exit code is 0, else the error that shows the command (as given) and the end of its output.
    ///
    /// # Errors
    /// [`ExecError::Status`].
    pub fn checked(self, command: impl fmt::Display) -> Result<Output, ExecError> {
        match self.code {
            0 => Ok(self),
            code => {
                Err(ExecError::Status { command: command.to_string(), code, tail: self.tail(), output: Box::new(self) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_command_as_one_would_type_it() {
        let exec = Exec::new("sh").args(["-c", "echo it's", ""]);
        assert_eq!(exec.to_string(), r"sh -c 'echo it'\''s' ''");
    }

    #[test]
    fn the_error_shows_the_end_of_what_was_said_last() {
        let many: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let output = Output { code: 3, stdout: many.into_bytes(), stderr: b"\n".to_vec() };
        let error = output.checked(Exec::new("prog")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`prog` ended with 3: line 30\n"), "{text}");
        assert!(text.ends_with("line 49"), "{text}");
        assert_eq!(error.output().map(|o| o.code), Some(3));
    }
}
