//! Calls of the program `ctr`.

use super::{Inner, NAMESPACE};
use crate::engine::EngineError;
use crate::engine::containerd::classify::{During, classify};
use crate::engine::daemon::PATH;
use crate::process::{Exec, ExecError};
use crate::record::{Chain, ErrorClass};
use std::time::Duration;

/// Nothing that is called so waits for CRIU, but a dump.
const LIMIT: Duration = Duration::from_secs(300);

impl Inner {
    /// Calls it, and gives what it printed. `what` is what is done, for its error.
    pub(super) async fn ctr<S: AsRef<str>>(
        &self,
        during: During,
        what: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String, EngineError> {
        match self.ctr_said(what, args).await? {
            Ok(printed) => Ok(printed),
            Err(said) => Err(self.told(classify(during, &said, &[]), what, &said, Vec::new())),
        }
    }

    /// The same, with its own words where it fails.
    pub(super) async fn ctr_said<S: AsRef<str>>(
        &self,
        what: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Result<String, String>, EngineError> {
        let args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let call = Exec::new("ctr")
            .args(["--address", &self.places.socket, "--namespace", NAMESPACE])
            .args(args)
            .env("PATH", PATH)
            .timeout(LIMIT);
        let output = self.node.output(call).await.map_err(|e| {
            let class = match e {
                ExecError::Timeout { .. } => ErrorClass::Timeout,
                _ => ErrorClass::Surroundings,
            };
            self.told(class, what, &Chain(&e).to_string(), Vec::new())
        })?;
        if output.code == 0 {
            return Ok(Ok(output.text()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        // Warnings may stand before it; the last line that is `ctr`'s own is the error.
        let line = said.lines().rev().find_map(|line| line.strip_prefix("ctr: "));
        Ok(Err(line.unwrap_or_else(|| said.trim()).to_owned()))
    }

    /// The names of the images that are there, by `ctr`'s filters; all without one.
    pub(super) async fn images(&self, filter: &[&str]) -> Result<Vec<String>, EngineError> {
        let args = ["images", "ls", "-q"].iter().chain(filter);
        let printed = self.ctr(During::Control, "list images", args).await?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// Removes an image and what only it holds. Gone already is no error.
    pub(super) async fn remove_image(&self, name: &str) -> Result<(), EngineError> {
        match self.ctr(During::Control, &format!("remove image {name}"), ["images", "rm", "--sync", name]).await {
            Err(e) if e.class == ErrorClass::UnknownContainer => Ok(()),
            removed => removed.map(drop),
        }
    }
}
