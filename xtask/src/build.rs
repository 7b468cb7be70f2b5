//! Building podferry and the workloads.

use crate::step::{cargo, program, root};
use std::path::PathBuf;

/// How much the compiler is to optimise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// What was built.
pub(crate) struct Built {
    podferry: PathBuf,
    workloads: PathBuf,
}

impl Built {
    /// Runs podferry; its exit code is ours.
    pub(crate) fn podferry(&self, args: &[String]) -> Result<u8, String> {
        self.step().args(args).status()
    }

    /// The environment that tests on real nodes need.
    pub(crate) fn workloads(&self) -> &PathBuf {
        &self.workloads
    }

    pub(crate) fn step(&self) -> crate::step::Step {
        program(&self.podferry).env("PODFERRY_WORKLOADS", &self.workloads).env("PODFERRY_COMMAND", "cargo xtask e2e")
    }
}

/// Builds podferry, and the workloads as static binaries: they go into images that hold nothing else.
pub(crate) fn binaries(profile: Profile) -> Result<Built, String> {
    let host = host_triple()?;
    let flags = format!("target.{host}.rustflags=['-C','target-feature=+crt-static','-C','strip=symbols']");
    // Not quiet: from nothing this takes minutes, and who waits wants to see that something happens.
    cargo(["build", "--release", "--package", "podferry-workloads", "--target", &host, "--config", &flags])
        .must("building the workloads")?;
    // Beside them, and with the C library shared: it is loaded into programs of a node.
    let flags = format!("target.{host}.rustflags=['-C','strip=symbols']");
    cargo(["build", "--release", "--package", "podferry-preload", "--target", &host, "--config", &flags])
        .must("building what is loaded into CRIU")?;
    let mut args = vec!["build", "--package", "podferry"];
    if profile == Profile::Release {
        args.push("--release");
    }
    cargo(args).must("building podferry")?;
    let target = target_dir();
    let folder = if profile == Profile::Release { "release" } else { "debug" };
    Ok(Built { podferry: target.join(folder).join("podferry"), workloads: target.join(host).join("release") })
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn host_triple() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = program(rustc.as_ref()).args(["-vV"]).read()?;
    text.lines()
        .find_map(|l| l.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}
