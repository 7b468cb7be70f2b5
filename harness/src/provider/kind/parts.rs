//! What a kind node of podferry's is made of, and the image that is built of it.

use crate::image::{ImageError, Layer};
use crate::provider::containers::Pieces;
use crate::provider::containers::dock::Dock;
use crate::provider::containers::image::Recipe;
use crate::record::Failure;
use std::fs;
use std::path::{Path, PathBuf};

const SETUP: &str = include_str!("../../../../fixtures/kind/setup.sh");
const IMPORT: &str = include_str!("../../../../fixtures/kind/import-images.sh");
const IMAGES_UNIT: &str = include_str!("../../../../fixtures/kind/podferry-images.service");
const KUBELET_UNIT: &str = include_str!("../../../../fixtures/kind/kubelet.conf");

/// The parts of a node, on the host.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Packages and programs; its base is a node image of kind's.
    pub pieces: Pieces,
    /// kind's own files: the folder `images/base/files` of its sources.
    pub kind_files: PathBuf,
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

const RECIPE: Recipe<'static> = Recipe {
    name: "podferry/kind-node",
    // kind's configuration of containerd names one of its own (kind 0.33.0).
    pauses: &["registry.k8s.io/pause:3.10"],
    dockerfile: DOCKERFILE,
    over_base: "",
    texts: &[SETUP, IMPORT, IMAGES_UNIT, KUBELET_UNIT],
};

/// The last lines are what kind starts nodes by (kind 0.33.0, images/base/Dockerfile).
const DOCKERFILE: &str = r#"FROM scratch
ADD root.tar overlay.tar /
RUN ["/bin/sh", "/kind/bin/podferry-setup.sh"]
COPY images /kind/images
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"#;

impl Parts {
    /// Has Docker build the image, unless it has it, and gives its name.
    pub(super) async fn build(&self, dock: &Dock) -> Result<String, Failure> {
        self.pieces.build(dock, &RECIPE, self.overlay()).await
    }

    async fn overlay(&self) -> Result<Layer, ImageError> {
        let mut layer = self.pieces.overlay(&ON_NODE).await?;
        layer.text("/etc/systemd/system/kubelet.service.d/podferry.conf", KUBELET_UNIT, 0o644);
        if self.pieces.base.is_none() {
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
        self.pieces.link_plugins(layer, &["host-local", "loopback", "portmap", "ptp"]);
        layer.text("/kind/version", self.pieces.version.as_deref().unwrap_or_default(), 0o644);
        layer.text("/kind/bin/import-images.sh", IMPORT, 0o755);
        layer.text("/kind/bin/podferry-setup.sh", SETUP, 0o755);
        layer.text("/etc/systemd/system/podferry-images.service", IMAGES_UNIT, 0o644);
        Ok(())
    }
}

fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}
