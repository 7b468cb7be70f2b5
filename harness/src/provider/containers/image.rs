//! An image of a cluster's nodes, built by Docker out of packages, programs and files: what that of kind and that of minikube have
//! in common.

use super::dock::Dock;
use super::failure;
use super::programs::{self, criu};
use crate::component::{NodeImage, short_digest};
use crate::image::{ImageError, Layer, program_layout};
use crate::record::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What both need of packages that were only unpacked; a setup of its own calls it.
const UNPACKED: &str = include_str!("../../../../fixtures/node/unpacked.sh");
/// Where containerd writes a checkpoint first.
const CONTAINERD_UNIT: &str = include_str!("../../../../fixtures/kind/containerd.conf");

/// What the nodes are made of, on the host.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// By all that the image is made of.
    pub key: String,
    /// The packages' root, if the image is podferry's own.
    pub root: Option<Arc<NodeImage>>,
    /// The root that runc and CRIU are taken from.
    pub stack: PathBuf,
    /// Programs by their names: containerd and its shim, ctr, those of Kubernetes and of the control plane's images; `runc` and
    /// `criu` if they are not to be the stack's.
    pub programs: BTreeMap<String, PathBuf>,
    /// The version of Kubernetes: `v1.36.3`; none is known if the maker of the cluster chooses it.
    pub version: Option<String>,
    /// An image of the maker's own (`kindest/node:v1.36.1`) that the rest is laid over, in the place of `root` and the images of
    /// programs: only the programs that are given take the place of its own then.
    pub base: Option<String>,
}

/// How an image is made of them.
pub(in crate::provider) struct Recipe<'a> {
    /// What it is called: `podferry/kind-node`.
    pub(in crate::provider) name: &'a str,
    /// References of the sandbox's own image, beside the one that kubeadm asks for.
    pub(in crate::provider) pauses: &'a [&'a str],
    /// Over podferry's own packages.
    pub(in crate::provider) dockerfile: &'a str,
    /// Over an image of the maker's own, behind what takes it and lays the rest over it.
    pub(in crate::provider) over_base: &'a str,
    /// The texts that go into it: a dockerd of the user's keeps the image of another podferry, whose texts may be others.
    pub(in crate::provider) texts: &'a [&'a str],
}

/// The programs of every cluster, as components are called: its nodes' and its control plane's.
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

/// What makes the pods' network, of the user's own if it is given: plugins, as components are called.
pub const PLUGINS: [&str; 3] = ["bridge", "ptp", "host-local"];

impl Pieces {
    /// A program of the user's own, or the stack's.
    fn of_stack(&self, name: &str) -> PathBuf {
        self.programs.get(name).cloned().unwrap_or_else(|| self.stack.join("usr/sbin").join(name))
    }

    /// The plugins that are not the user's own, with where they are in podferry's packages.
    pub(in crate::provider) fn link_plugins(&self, layer: &mut Layer, all: &[&str]) {
        for plugin in all.iter().filter(|plugin| !self.programs.contains_key(**plugin)) {
            layer.link(&format!("/opt/cni/bin/{plugin}"), &format!("/usr/lib/cni/{plugin}"));
        }
    }

    /// What is laid over any base. `on_node`: programs that are run on the node itself, with their folders.
    pub(in crate::provider) async fn overlay(&self, on_node: &[(&str, &str)]) -> Result<Layer, ImageError> {
        let mut layer = Layer::default();
        for (name, folder) in on_node {
            if let Some(program) = self.programs.get(*name) {
                layer.host_file(&format!("{folder}/{name}"), program, 0o755);
            }
        }
        for plugin in PLUGINS {
            if let Some(program) = self.programs.get(plugin) {
                layer.host_file(&format!("/opt/cni/bin/{plugin}"), program, 0o755);
            }
        }
        // Before /usr/bin/runc on containerd's path.
        layer.host_file("/usr/local/sbin/runc", &self.of_stack("runc"), 0o755);
        // What sockets are probed with.
        layer.host_file("/usr/local/bin/busybox", &self.stack.join("usr/bin/busybox"), 0o755);
        criu(&mut layer, &self.stack, &self.of_stack("criu")).await?;
        layer.text("/etc/systemd/system/containerd.service.d/podferry.conf", CONTAINERD_UNIT, 0o644);
        if self.base.is_none() {
            layer.text("/opt/podferry/unpacked.sh", UNPACKED, 0o755);
        }
        Ok(layer)
    }

    /// Has Docker build the image, unless it has it, and gives its name. `overlay`: all that is laid over the base.
    pub(in crate::provider) async fn build(
        &self,
        dock: &Dock,
        recipe: &Recipe<'_>,
        overlay: impl Future<Output = Result<Layer, ImageError>>,
    ) -> Result<String, Failure> {
        let texts = (recipe.dockerfile, recipe.over_base, recipe.texts, UNPACKED, CONTAINERD_UNIT);
        let name = format!("{}:{}", recipe.name, short_digest(&(&self.key, texts)));
        if dock.has(&name).await {
            return Ok(name);
        }
        let cannot = format!("can't put the image {name} together");
        let folder = dock.folder("node-image");
        let on_host = dock.host_path(&folder);
        fs::create_dir_all(&on_host).map_err(|e| failure(&cannot, &e))?;
        let overlay = overlay.await.map_err(|e| failure(&cannot, &e))?;
        match (&self.base, &self.root) {
            (Some(base), _) => self.over(base, recipe, &overlay, &on_host).map_err(|e| failure(&cannot, &e))?,
            (None, Some(root)) => self.whole(&root.rootfs, recipe, overlay, &on_host, &cannot).await?,
            (None, None) => return Err(Failure::surroundings(format!("{cannot}: there is neither a base nor a root"))),
        }
        let built = dock.build(&on_host, &name).await;
        // It holds all of the image once more.
        let removed = fs::remove_dir_all(&on_host);
        built?;
        removed.map_err(|e| Failure::surroundings(format!("can't remove {}: {e}", on_host.display())))?;
        Ok(name)
    }

    /// Writes what Docker builds an image over another of.
    fn over(&self, base: &str, recipe: &Recipe<'_>, overlay: &Layer, into: &Path) -> Result<(), ImageError> {
        overlay.write_file(&into.join("overlay.tar"))?;
        let dockerfile = into.join("Dockerfile");
        let text = format!("FROM {base}\nADD overlay.tar /\n{}", recipe.over_base);
        fs::write(&dockerfile, text).map_err(ImageError::io("write", &dockerfile))
    }

    /// Writes what Docker builds an image of packages of, with images of the cluster's own programs in it.
    async fn whole(
        &self,
        root: &Path,
        recipe: &Recipe<'_>,
        overlay: Layer,
        into: &Path,
        cannot: &str,
    ) -> Result<(), Failure> {
        let Some(version) = &self.version else {
            return Err(Failure::surroundings(format!("{cannot}: the version of Kubernetes is not known")));
        };
        let images = into.join("images");
        fs::create_dir_all(&images).map_err(|e| failure(cannot, &e))?;
        let of_images = programs::images(&programs::Cluster {
            programs: &self.programs,
            version,
            root,
            stack: &self.stack,
            pauses: recipe.pauses,
        })
        .await?;
        let (root, into, dockerfile) = (root.to_owned(), into.to_owned(), recipe.dockerfile.to_owned());
        let work = move || -> Result<(), ImageError> {
            let mut base = Layer::default();
            base.take_from(&root, "/")?;
            base.write_file(&into.join("root.tar"))?;
            overlay.write_file(&into.join("overlay.tar"))?;
            let layer = into.join("layer.tar");
            for image in of_images {
                image.parts.write_file(&layer)?;
                let file = images.join(&image.file);
                program_layout(&layer, &file, &image.reference, &[&image.entry])?;
                // For who asks whether containerd has it already.
                let name = file.with_extension("name");
                fs::write(&name, &image.reference).map_err(ImageError::io("write", &name))?;
            }
            fs::remove_file(&layer).map_err(ImageError::io("remove", &layer))?;
            let file = into.join("Dockerfile");
            fs::write(&file, dockerfile).map_err(ImageError::io("write", &file))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| failure(cannot, &e))?.map_err(|e| failure(cannot, &e))
    }
}
