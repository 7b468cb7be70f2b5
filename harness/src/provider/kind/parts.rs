//! What a kind node of podferry's is made of, and the image that is built of it.

use super::super::dock::Dock;
use super::super::pieces::{self, broken};
use crate::component::{NodeImage, short_digest};
use crate::image::{ImageError, Layer, program_layout};
use crate::record::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SETUP: &str = include_str!("../../../../fixtures/kind/setup.sh");
const IMPORT: &str = include_str!("../../../../fixtures/kind/import-images.sh");
const IMAGES_UNIT: &str = include_str!("../../../../fixtures/kind/podferry-images.service");
const CONTAINERD_UNIT: &str = include_str!("../../../../fixtures/kind/containerd.conf");
const KUBELET_UNIT: &str = include_str!("../../../../fixtures/kind/kubelet.conf");

/// The parts of a node, on the host.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The packages of a node: the folder that becomes its root.
    pub root: PathBuf,
    /// Another root, which runc, CRIU and busybox are taken from.
    pub stack: PathBuf,
    /// kind's own files: the folder `images/base/files` of its sources.
    pub kind_files: PathBuf,
    /// Programs by their names: containerd and its shim, ctr, kubeadm, kubelet, kubectl, and those of the control plane's
    /// images.
    pub programs: BTreeMap<String, PathBuf>,
    /// The version of Kubernetes: `v1.36.3`.
    pub version: String,
    /// A node image of kind's (`kindest/node:v1.36.1`) that the rest is laid over, in the place of `root`, `kind_files` and the
    /// images: only the programs that are given take the place of its own then.
    pub base: Option<String>,
    /// Names what is in it.
    pub key: String,
    /// Keeps the root from being pruned.
    pub held: Arc<NodeImage>,
}

/// Programs that are run on the node itself, with their folders.
const ON_NODE: [(&str, &str); 6] = [
    ("containerd", "/usr/local/bin"),
    ("containerd-shim-runc-v2", "/usr/local/bin"),
    ("ctr", "/usr/local/bin"),
    ("kubeadm", "/usr/bin"),
    ("kubelet", "/usr/bin"),
    ("kubectl", "/usr/bin"),
];

/// The sandbox's own image, as kind's configuration of containerd names it (kind 0.33.0).
const PAUSE: &str = "registry.k8s.io/pause:3.10";

/// All programs that a node of podferry's needs, as components are called.
pub const PROGRAMS: [&str; 12] = [
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "etcd",
    "coredns",
];

impl Parts {
    /// Writes the folder that Docker builds the image from.
    pub(super) async fn write(&self, into: &Path) -> Result<(), Failure> {
        let cannot = "can't put the node image of kind together";
        if let Some(base) = &self.base {
            let overlay = self.overlay().await.map_err(|e| broken(cannot, &e))?;
            overlay.write_file(&into.join("overlay.tar")).map_err(|e| broken(cannot, &e))?;
            let text = format!("FROM {base}\nADD overlay.tar /\n");
            let written = fs::write(into.join("Dockerfile"), text);
            return written.map_err(|e| Failure::surroundings(format!("{cannot}: {e}")));
        }
        let images = into.join("images");
        fs::create_dir_all(&images).map_err(|e| Failure::surroundings(format!("{cannot}: {e}")))?;
        let overlay = self.overlay().await.map_err(|e| broken(cannot, &e))?;
        let of_images = pieces::images(&pieces::Cluster {
            programs: &self.programs,
            version: &self.version,
            root: &self.root,
            stack: &self.stack,
            // Its configuration of containerd names one of its own.
            pauses: &[PAUSE],
        })
        .await?;
        let (root, into) = (self.root.clone(), into.to_owned());
        let work = move || -> Result<(), ImageError> {
            let mut base = Layer::default();
            base.take_from(&root, "/")?;
            base.write_file(&into.join("root.tar"))?;
            overlay.write_file(&into.join("overlay.tar"))?;
            let layer = into.join("layer.tar");
            for image in of_images {
                image.parts.write_file(&layer)?;
                program_layout(&layer, &images.join(image.file), &image.reference, &[&image.entry])?;
            }
            fs::remove_file(&layer).map_err(ImageError::io("remove", &layer))?;
            let dockerfile = into.join("Dockerfile");
            fs::write(&dockerfile, DOCKERFILE).map_err(ImageError::io("write", &dockerfile))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| broken(cannot, &e))?.map_err(|e| broken(cannot, &e))
    }

    /// What is laid over the packages.
    async fn overlay(&self) -> Result<Layer, ImageError> {
        let mut layer = Layer::default();
        for (name, folder) in ON_NODE {
            if let Some(program) = self.programs.get(name) {
                layer.host_file(&format!("{folder}/{name}"), program, 0o755);
            }
        }
        layer.host_file("/usr/local/sbin/runc", &self.of_stack("runc"), 0o755);
        // What sockets are probed with.
        layer.host_file("/usr/local/bin/busybox", &self.stack.join("usr/bin/busybox"), 0o755);
        pieces::criu(&mut layer, &self.stack, &self.of_stack("criu")).await?;
        layer.text("/etc/systemd/system/containerd.service.d/podferry.conf", CONTAINERD_UNIT, 0o644);
        layer.text("/etc/systemd/system/kubelet.service.d/podferry.conf", KUBELET_UNIT, 0o644);
        if self.base.is_none() {
            self.as_kind_has_it(&mut layer).map_err(ImageError::io("read", &self.kind_files))?;
        }
        Ok(layer)
    }

    /// What is in the node images of kind's own.
    fn as_kind_has_it(&self, layer: &mut Layer) -> std::io::Result<()> {
        let files = &self.kind_files;
        for file in files_below(files)? {
            let inside = format!("/{}", file.strip_prefix(files).unwrap_or(&file).display());
            let program = inside.starts_with("/kind/bin/") || inside.starts_with("/usr/local/bin/");
            layer.host_file(&inside, &file, if program { 0o755 } else { 0o644 });
        }
        for plugin in ["host-local", "loopback", "portmap", "ptp"] {
            layer.link(&format!("/opt/cni/bin/{plugin}"), &format!("/usr/lib/cni/{plugin}"));
        }
        layer.text("/kind/version", &self.version, 0o644);
        layer.text("/kind/bin/import-images.sh", IMPORT, 0o755);
        layer.text("/kind/bin/podferry-setup.sh", SETUP, 0o755);
        layer.text("/etc/systemd/system/podferry-images.service", IMAGES_UNIT, 0o644);
        Ok(())
    }

    /// A program of the user's own, or the other root's.
    fn of_stack(&self, name: &str) -> PathBuf {
        self.programs.get(name).cloned().unwrap_or_else(|| self.stack.join("usr/sbin").join(name))
    }

    /// Has Docker build the image, unless it has it, and gives its name.
    pub(super) async fn build(&self, dock: &Dock) -> Result<String, Failure> {
        // A dockerd of the user's keeps the image of another podferry, whose files may be others.
        let files = [SETUP, IMPORT, IMAGES_UNIT, CONTAINERD_UNIT, KUBELET_UNIT, DOCKERFILE];
        let name = format!("podferry/kind-node:{}", short_digest(&(&self.key, files)));
        if dock.has(&name).await {
            return Ok(name);
        }
        let folder = dock.folder("node-image");
        let on_host = dock.host_path(&folder);
        fs::create_dir_all(&on_host).map_err(|e| broken("can't make a folder for the node image", &e))?;
        self.write(&on_host).await?;
        let built = dock.build(&on_host, &name).await;
        // It holds all of the image once more.
        let removed = fs::remove_dir_all(&on_host);
        built?;
        removed.map_err(|e| Failure::surroundings(format!("can't remove {}: {e}", on_host.display())))?;
        Ok(name)
    }
}

/// The last lines are what kind starts nodes by (kind 0.33.0, images/base/Dockerfile).
const DOCKERFILE: &str = r#"FROM scratch
ADD root.tar overlay.tar /
RUN ["/bin/sh", "/kind/bin/podferry-setup.sh"]
COPY images /kind/images
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"#;

fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}
