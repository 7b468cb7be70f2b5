//! Programs that are started, and how their end is told.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program about to be started.
pub(crate) struct Step(Command);

/// The cargo that started us, in the workspace's folder.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Step {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    Step(command)
}

/// Any other program.
pub(crate) fn program(path: &Path) -> Step {
    Step(Command::new(path))
}

impl Step {
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }

    /// Runs it; its exit code, or 128 + signal.
    pub(crate) fn status(mut self) -> Result<u8, String> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.0.status().map_err(|e| format!("can't start {:?}: {e}", self.0.get_program()))?;
        let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
        Ok(u8::try_from(code).unwrap_or(1))
    }

    /// Runs it; an error if it fails.
    pub(crate) fn must(self, what: &str) -> Result<(), String> {
        match self.status()? {
            0 => Ok(()),
            code => Err(format!("{what} failed with {code}")),
        }
    }

    /// Runs it and gives its standard output.
    pub(crate) fn read(mut self) -> Result<String, String> {
        let out = self
            .0
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| format!("can't start {:?}: {e}", self.0.get_program()))?;
        if !out.status.success() {
            return Err(format!("{:?} failed with {}", self.0.get_program(), out.status));
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}
