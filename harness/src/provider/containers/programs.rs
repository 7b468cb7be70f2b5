//! What the node images of clusters have in common: CRIU that runs in any root, and the images of a cluster's own programs.

use super::failure;
use crate::image::{ImageError, Layer, libraries, loader};
use crate::process::Exec;
use crate::record::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where CRIU lies with all of its libraries, so that it runs in any root.
const CRIU_HOME: &str = "/opt/podferry/criu";

/// CRIU of another distribution than the root's that it is laid in, with its loader and its libraries. The loader bears CRIU's
/// name: that is what the process is called by the kernel.
pub(super) async fn criu(layer: &mut Layer, stack: &Path, program: &Path) -> Result<(), ImageError> {
    const CRIU: &str = "/usr/sbin/criu";
    for library in libraries(stack, CRIU).await? {
        let host = in_root(stack, &library);
        let name = Path::new(&library).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match library == loader() {
            true => layer.host_file(&format!("{CRIU_HOME}/criu"), &host, 0o755),
            false => layer.host_file(&format!("{CRIU_HOME}/lib/{name}"), &host, 0o644),
        }
    }
    layer.host_file(&format!("{CRIU_HOME}/criu.program"), program, 0o755);
    let script =
        format!("#!/bin/sh\nexec {CRIU_HOME}/criu --library-path {CRIU_HOME}/lib {CRIU_HOME}/criu.program \"$@\"\n");
    layer.text("/usr/local/sbin/criu", &script, 0o755);
    Ok(())
}

/// A cluster whose programs are made into images.
pub(super) struct Cluster<'a> {
    /// Programs by their names.
    pub(super) programs: &'a BTreeMap<String, PathBuf>,
    /// The version of Kubernetes: `v1.36.3`.
    pub(super) version: &'a str,
    /// A root that nft is taken from.
    pub(super) root: &'a Path,
    /// A root that busybox is taken from.
    pub(super) stack: &'a Path,
    /// References of the sandbox's own image, beside the one that kubeadm asks for.
    pub(super) pauses: &'a [&'a str],
}

/// The image of a program.
pub(super) struct ProgramImage {
    /// `etcd.tar`.
    pub(super) file: String,
    pub(super) reference: String,
    /// What it starts.
    pub(super) entry: String,
    /// Its only layer.
    pub(super) parts: Layer,
}

/// The images of a cluster's own programs, by the references that its kubeadm asks for.
pub(super) async fn images(cluster: &Cluster<'_>) -> Result<Vec<ProgramImage>, Failure> {
    let asked = asked_for(cluster).await?;
    let more = cluster.pauses.iter().filter(|pause| asked.iter().all(|one| one != *pause));
    let mut images = Vec::new();
    for reference in asked.iter().map(String::as_str).chain(more.copied()) {
        images.push(image(cluster, reference).await?);
    }
    Ok(images)
}

async fn image(cluster: &Cluster<'_>, reference: &str) -> Result<ProgramImage, Failure> {
    let name = reference.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or_default();
    let (mut parts, mut entry) = (Layer::default(), format!("/usr/local/bin/{name}"));
    let mut file = format!("{name}.tar");
    match (name, cluster.programs.get(name)) {
        ("pause", _) => {
            parts.host_file("/bin/busybox", &cluster.stack.join("usr/bin/busybox"), 0o755);
            parts.text("/pause", "#!/bin/busybox sh\nexec /bin/busybox sleep 2147483647\n", 0o755);
            "/pause".clone_into(&mut entry);
            file = format!("pause-{}.tar", reference.rsplit(':').next().unwrap_or_default());
        }
        (_, Some(program)) => {
            // Its deployment says no command.
            if name == "coredns" {
                "/coredns".clone_into(&mut entry);
            }
            parts.host_file(&entry, program, 0o755);
        }
        (name, None) => {
            return Err(Failure::surroundings(format!("kubeadm asks for an image of {name}: podferry has none")));
        }
    }
    if name == "kube-proxy" {
        nft(&mut parts, cluster.root).await.map_err(|e| failure("can't make the image of kube-proxy", &e))?;
    }
    Ok(ProgramImage { file, reference: reference.to_owned(), entry, parts })
}

async fn asked_for(cluster: &Cluster<'_>) -> Result<Vec<String>, Failure> {
    let cannot = "can't ask kubeadm for its images";
    let kubeadm = cluster.programs.get("kubeadm");
    let kubeadm = kubeadm.ok_or_else(|| Failure::surroundings("there is no kubeadm".to_owned()))?;
    // With the version it asks no network.
    let list = ["config", "images", "list", "--kubernetes-version", cluster.version];
    let said = Exec::new(kubeadm).args(list).run().await.map_err(|e| failure(cannot, &e))?.text();
    Ok(said.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// What kube-proxy calls.
async fn nft(layer: &mut Layer, root: &Path) -> Result<(), ImageError> {
    const NFT: &str = "/usr/sbin/nft";
    layer.host_file(NFT, &root.join("usr/sbin/nft"), 0o755);
    for library in libraries(root, NFT).await? {
        layer.host_file(&library, &in_root(root, &library), 0o755);
    }
    layer.dir("/tmp", 0o1777);
    Ok(())
}

fn in_root(root: &Path, inside: &str) -> PathBuf {
    root.join(inside.trim_start_matches('/'))
}
