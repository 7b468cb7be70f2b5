//! What a minikube node of podferry's is made of, and the image that is built of it, which minikube takes for its base image.

use crate::image::{ImageError, Layer};
use crate::provider::containers::Pieces;
use crate::provider::containers::dock::Dock;
use crate::provider::containers::image::Recipe;
use crate::record::Failure;
use std::fs;
use std::path::{Path, PathBuf};

const SETUP: &str = include_str!("../../../../fixtures/minikube/setup.sh");
const CONTAINERD: &str = include_str!("../../../../fixtures/minikube/containerd.sh");
const CONTAINERD_UNIT: &str = include_str!("../../../../fixtures/minikube/containerd.service");
const IMPORT: &str = include_str!("../../../../fixtures/minikube/import-images.sh");
const IMAGES_UNIT: &str = include_str!("../../../../fixtures/minikube/images.conf");

/// The parts of a node, on the host.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Packages and programs; its base is a base image of minikube's (`gcr.io/k8s-minikube/kicbase:v0.0.50`).
    pub pieces: Pieces,
    /// The files of minikube's own base image: the folder `deploy/kicbase` of its sources.
    pub kicbase: PathBuf,
}

/// A program that a node needs beside those of every cluster, as the component is called.
pub const CRICTL: &str = "crictl";

/// Programs that are laid into the image, where minikube's own has them. Those of Kubernetes come later: minikube copies them.
const ON_NODE: [(&str, &str); 4] = [
    ("containerd", "/usr/bin"),
    ("containerd-shim-runc-v2", "/usr/bin"),
    ("ctr", "/usr/bin"),
    (CRICTL, "/usr/local/bin"),
];

/// Programs that minikube copies to the nodes, out of its cache if they are there (minikube 1.38.1,
/// `constants.KubernetesReleaseBinaries`).
const OF_KUBERNETES: [&str; 3] = ["kubeadm", "kubelet", "kubectl"];

/// Plugins of the pods' network that minikube's image has and Debian's package too.
const PLUGINS: [&str; 8] = ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "ptp", "tuning"];

const RECIPE: Recipe<'static> = Recipe {
    name: "podferry/minikube-base",
    // As minikube has containerd look for it where it does not know a version of Kubernetes (1.38.1,
    // `constants_kubeadm_images.go`).
    pauses: &["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10.1"],
    dockerfile: DOCKERFILE,
    over_base: "RUN [\"/bin/sh\", \"/opt/podferry/containerd.sh\"]\n",
    texts: &[SETUP, CONTAINERD, CONTAINERD_UNIT, IMPORT, IMAGES_UNIT],
};

/// The last lines are what minikube starts nodes by (minikube 1.38.1, deploy/kicbase/Dockerfile).
const DOCKERFILE: &str = r#"FROM scratch
ADD root.tar overlay.tar /
RUN ["/bin/sh", "/opt/podferry/setup.sh"]
RUN ["/bin/sh", "/opt/podferry/containerd.sh"]
COPY images /opt/podferry/images
EXPOSE 22
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
        layer.text("/opt/podferry/containerd.sh", CONTAINERD, 0o755);
        if self.pieces.base.is_none() {
            self.as_minikube_has_it(&mut layer);
        }
        Ok(layer)
    }

    /// What is in the base images of minikube's own.
    fn as_minikube_has_it(&self, layer: &mut Layer) {
        for (file, inside, mode) in [
            ("entrypoint", "/usr/local/bin/entrypoint", 0o755),
            ("containerd.toml", "/etc/containerd/config.toml", 0o644),
            ("10-network-security.conf", "/etc/sysctl.d/10-network-security.conf", 0o644),
            ("11-tcp-mtu-probing.conf", "/etc/sysctl.d/11-tcp-mtu-probing.conf", 0o644),
        ] {
            layer.host_file(inside, &self.kicbase.join(file), mode);
        }
        self.pieces.link_plugins(layer, &PLUGINS);
        layer.text("/opt/podferry/setup.sh", SETUP, 0o755);
        layer.text("/opt/podferry/import-images.sh", IMPORT, 0o755);
        layer.text("/usr/lib/systemd/system/containerd.service", CONTAINERD_UNIT, 0o644);
        layer.text("/etc/systemd/system/containerd.service.d/podferry-images.conf", IMAGES_UNIT, 0o644);
    }

    /// Lays the programs of Kubernetes that are given where minikube takes them from: the cache in its home, which is a folder
    /// on the host. Whether there were any.
    pub(super) fn fill_cache(&self, home: &Path) -> Result<bool, Failure> {
        let cannot = |e: std::io::Error| Failure::surroundings(format!("can't fill the cache of minikube: {e}"));
        let pieces = &self.pieces;
        let given: Vec<(&str, &PathBuf)> =
            OF_KUBERNETES.iter().filter_map(|name| Some((*name, pieces.programs.get(*name)?))).collect();
        let Some(version) = pieces.version.as_ref().filter(|_| !given.is_empty()) else { return Ok(false) };
        let folder = home.join("cache/linux").join(arch()).join(version);
        fs::create_dir_all(&folder).map_err(cannot)?;
        for (name, program) in given {
            fs::copy(program, folder.join(name)).map_err(cannot)?;
        }
        Ok(true)
    }
}

/// This machine's architecture as Go calls it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::CONTAINERD_METRICS;

    #[test]
    fn containerd_tells_its_metrics_where_they_are_asked_for() {
        assert!(CONTAINERD.contains(&format!("address=\"{CONTAINERD_METRICS}\"")));
    }
}
