use miette::{Context, IntoDiagnostic, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is compiled; each path is the import path that the definitions themselves use.
pub(crate) const FILES: [&str; 3] = [
    "k8s.io/cri-api/pkg/apis/runtime/v1/api.proto",
    "github.com/containerd/containerd/api/services/tasks/v1/tasks.proto",
    "github.com/containerd/containerd/api/services/version/v1/version.proto",
];

const MODULES: [&str; 2] = ["k8s.io/cri-api", "github.com/containerd/containerd/api"];

/// One object of `go mod download -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    path: String,
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    error: String,
}

/// Has the Go command fetch the pinned modules and makes a folder of links in which imports resolve.
pub(crate) fn lay_out(go_mod: &Path, include: &Path) -> Result<()> {
    let output = Command::new("go")
        .args(["mod", "download", "-json"])
        .args(MODULES)
        .current_dir(go_mod)
        // `readonly`: a module whose digest is not in go.sum is refused, not added.
        .env("GOFLAGS", "-mod=readonly")
        .output()
        .into_diagnostic()
        .wrap_err("can't run `go`: it fetches the definitions")?;
    for module in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Module>() {
        let module = module.into_diagnostic().wrap_err("`go mod download` printed nonsense")?;
        ensure!(module.error.is_empty(), "can't fetch {}: {}", module.path, module.error);
        let link = include.join(&module.path);
        std::fs::create_dir_all(link.parent().expect("a module path is relative")).into_diagnostic()?;
        std::os::unix::fs::symlink(&module.dir, &link).into_diagnostic()?;
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`go mod download` ended with {}: {stderr}", output.status);
    Ok(())
}
