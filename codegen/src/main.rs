//! `cargo run -p codegen [-- --check]`: gRPC definitions from pinned Go modules -> `harness/src/engine/containerd/generated/`.
//!
//! The definitions are not copied into this tree: `fixtures/protos/go.mod` names the modules and versions, `go.sum`
//! their digests, and the Go command fetches and verifies them. `protox` compiles them, so no `protoc` is needed.

mod protos;

use miette::{Context, IntoDiagnostic, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the output is kept, from the workspace's root.
const OUTPUT: &str = "harness/src/engine/containerd/generated";

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let check = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => bail!(help = "usage: codegen [--check]", "unknown arguments `{}`", args.join(" ")),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package lies in the workspace").to_owned();
    let made = generate(&root)?;
    let committed = root.join(OUTPUT);
    if check { compare(&made, &read(&committed)?) } else { write(&made, &committed) }
}

/// Generated files by name.
type Files = BTreeMap<String, Vec<u8>>;

fn generate(root: &Path) -> Result<Files> {
    let scratch = tempfile::tempdir().into_diagnostic()?;
    let include = scratch.path().join("include");
    let out = scratch.path().join("out");
    std::fs::create_dir_all(&out).into_diagnostic()?;
    protos::lay_out(&root.join("fixtures/protos"), &include)?;
    let set = protox::compile(protos::FILES, [&include]).into_diagnostic().wrap_err("can't compile the definitions")?;

    let mut config = prost_build::Config::new();
    config.include_file("mod.rs");
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .out_dir(&out)
        .compile_fds_with_config(set, config)
        .into_diagnostic()
        .wrap_err("can't generate Rust")?;
    strip_docs(&out)?;
    format(root, &out)?;
    read(&out)
}

/// Their comments are not ours to vouch for, and some are doctests that are none. The generators' own switches each
/// miss some (tonic's wants every method by name), and no line of code begins with three slashes.
fn strip_docs(dir: &Path) -> Result<()> {
    for (name, text) in read(dir)? {
        let text = String::from_utf8(text).into_diagnostic()?;
        let bare: String = text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("///")).collect();
        std::fs::write(dir.join(name), bare).into_diagnostic()?;
    }
    Ok(())
}

/// Formats with the tree's own settings, so that `cargo fmt --check` and `codegen --check` agree.
fn format(root: &Path, dir: &Path) -> Result<()> {
    let files: Vec<PathBuf> = read(dir)?.keys().map(|name| dir.join(name)).collect();
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root.join("rustfmt.toml"))
        .args(files)
        .status()
        .into_diagnostic()
        .wrap_err("can't run rustfmt")?;
    ensure!(status.success(), "rustfmt refused the generated files: {status}");
    Ok(())
}

fn read(dir: &Path) -> Result<Files> {
    let entries = std::fs::read_dir(dir).into_diagnostic().wrap_err_with(|| format!("can't list {}", dir.display()))?;
    let mut files = Files::new();
    for entry in entries {
        let entry = entry.into_diagnostic()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, std::fs::read(entry.path()).into_diagnostic()?);
    }
    Ok(files)
}

fn write(made: &Files, to: &Path) -> Result<ExitCode> {
    std::fs::create_dir_all(to).into_diagnostic()?;
    for name in read(to)?.keys().filter(|name| !made.contains_key(*name)) {
        std::fs::remove_file(to.join(name)).into_diagnostic()?;
    }
    for (name, text) in made {
        std::fs::write(to.join(name), text).into_diagnostic()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(made: &Files, committed: &Files) -> Result<ExitCode> {
    let names: std::collections::BTreeSet<&String> = made.keys().chain(committed.keys()).collect();
    let stale: Vec<&str> =
        names.into_iter().filter(|name| made.get(*name) != committed.get(*name)).map(String::as_str).collect();
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!(help = "run `cargo run -p codegen` and commit what it writes", "{OUTPUT} is stale: {}", stale.join(", "))
}
