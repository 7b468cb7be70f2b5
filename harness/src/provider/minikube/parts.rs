//! What a minikube node of podferry's is made of, and the image that is built of it, which minikube takes for its base image.

use super::super::dock::Dock;
use super::super::pieces::{self, broken};
use crate::component::NodeImage;
use crate::image::{ImageError, Layer, program_layout};
use crate::record::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SETUP: &str = include_str!("../../../../fixtures/minikube/setup.sh");
const CONTAINERD: &str = include_str!("../../../../fixtures/minikube/containerd.sh");
const CONTAINERD_UNIT: &str = include_str!("../../../../fixtures/minikube/containerd.service");
const IMPORT: &str = include_str!("../../../../fixtures/minikube/import-images.sh");
const IMAGES_UNIT: &str = include_str!("../../../../fixtures/minikube/images.conf");
/// The same as on a kind node: where containerd writes a checkpoint first.
const TMPDIR_UNIT: &str = include_str!("../../../../fixtures/kind/containerd.conf");

/// The parts of a node, on the host.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The packages of a node: the folder that becomes its root.
    pub root: PathBuf,
    /// Another root, which runc, CRIU and busybox are taken from.
    pub stack: PathBuf,
    /// The files of minikube's own base image: the folder `deploy/kicbase` of its sources.
    pub kicbase: PathBuf,
    /// Programs by their names: containerd and its shim, ctr, crictl, kubeadm, kubelet, kubectl, and those of the control plane's
    /// images.
    pub programs: BTreeMap<String, PathBuf>,
    /// The version of Kubernetes: `v1.36.3`; none is known if minikube chooses it.
    pub version: Option<String>,
    /// A base image of minikube's (`gcr.io/k8s-minikube/kicbase:v0.0.50`) that the rest is laid over, in the place of `root`,
    /// `kicbase` and the images: only the programs that are given take the place of its own then.
    pub base: Option<String>,
    /// Names what is in it.
    pub key: String,
    /// Keeps the root from being pruned.
    pub held: Option<Arc<NodeImage>>,
}

/// Programs that are laid into the image, where minikube's own has them. Those of Kubernetes come later: minikube copies them.
const ON_NODE: [(&str, &str); 4] = [
    ("containerd", "/usr/bin"),
    ("containerd-shim-runc-v2", "/usr/bin"),
    ("ctr", "/usr/bin"),
    ("crictl", "/usr/local/bin"),
];

/// Programs that minikube copies to the nodes, out of its cache if they are there (minikube 1.38.1,
/// `constants.KubernetesReleaseBinaries`).
pub(super) const OF_KUBERNETES: [&str; 3] = ["kubeadm", "kubelet", "kubectl"];

/// The sandbox's own image, as minikube has containerd look for it where it does not know a version of Kubernetes (1.38.1,
/// `constants_kubeadm_images.go`).
const PAUSES: [&str; 2] = ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10.1"];

/// Plugins of the pods' network that minikube's image has and Debian's package too.
const PLUGINS: [&str; 8] = ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "ptp", "tuning"];

/// All programs that a node of podferry's needs, as components are called.
pub const PROGRAMS: [&str; 13] = [
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "crictl",
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
    async fn write(&self, into: &Path) -> Result<(), Failure> {
        let cannot = "can't put the base image of minikube together";
        let io = |e: std::io::Error| Failure::surroundings(format!("{cannot}: {e}"));
        let overlay = self.overlay().await.map_err(|e| broken(cannot, &e))?;
        let Some(version) = self.version.as_ref().filter(|_| self.base.is_none()) else {
            overlay.write_file(&into.join("overlay.tar")).map_err(|e| broken(cannot, &e))?;
            let base = self.base.as_deref().unwrap_or_default();
            return fs::write(into.join("Dockerfile"), dockerfile_over(base)).map_err(io);
        };
        let images = into.join("images");
        fs::create_dir_all(&images).map_err(io)?;
        let of_images = pieces::images(&pieces::Cluster {
            programs: &self.programs,
            version,
            root: &self.root,
            stack: &self.stack,
            pauses: &PAUSES,
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
                program_layout(&layer, &images.join(&image.file), &image.reference, &[&image.entry])?;
                let name = images.join(&image.file).with_extension("name");
                fs::write(&name, &image.reference).map_err(ImageError::io("write", &name))?;
            }
            fs::remove_file(&layer).map_err(ImageError::io("remove", &layer))?;
            let dockerfile = into.join("Dockerfile");
            fs::write(&dockerfile, DOCKERFILE).map_err(ImageError::io("write", &dockerfile))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| broken(cannot, &e))?.map_err(|e| broken(cannot, &e))
    }

    /// What is laid over the packages, or over the image of minikube's own.
    async fn overlay(&self) -> Result<Layer, ImageError> {
        let mut layer = Layer::default();
        for (name, folder) in ON_NODE {
            if let Some(program) = self.programs.get(name) {
                layer.host_file(&format!("{folder}/{name}"), program, 0o755);
            }
        }
        // Before /usr/bin/runc on containerd's path.
        layer.host_file("/usr/local/sbin/runc", &self.of_stack("runc"), 0o755);
        // What sockets are probed with.
        layer.host_file("/usr/local/bin/busybox", &self.stack.join("usr/bin/busybox"), 0o755);
        pieces::criu(&mut layer, &self.stack, &self.of_stack("criu")).await?;
        layer.text("/etc/systemd/system/containerd.service.d/podferry.conf", TMPDIR_UNIT, 0o644);
        layer.text("/opt/podferry/containerd.sh", CONTAINERD, 0o755);
        if self.base.is_none() {
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
        for plugin in PLUGINS {
            layer.link(&format!("/opt/cni/bin/{plugin}"), &format!("/usr/lib/cni/{plugin}"));
        }
        layer.text("/opt/podferry/setup.sh", SETUP, 0o755);
        layer.text("/opt/podferry/import-images.sh", IMPORT, 0o755);
        layer.text("/usr/lib/systemd/system/containerd.service", CONTAINERD_UNIT, 0o644);
        layer.text("/etc/systemd/system/containerd.service.d/podferry-images.conf", IMAGES_UNIT, 0o644);
    }

    /// A program of the user's own, or the other root's.
    fn of_stack(&self, name: &str) -> PathBuf {
        self.programs.get(name).cloned().unwrap_or_else(|| self.stack.join("usr/sbin").join(name))
    }

    /// Has Docker build the image, unless it has it, and gives its name.
    pub(super) async fn build(&self, dock: &Dock) -> Result<String, Failure> {
        let name = format!("podferry/minikube-base:{}", self.key);
        if dock.has(&name).await {
            return Ok(name);
        }
        let folder = dock.folder("base-image");
        let on_host = dock.host_path(&folder);
        fs::create_dir_all(&on_host).map_err(|e| broken("can't make a folder for the base image", &e))?;
        self.write(&on_host).await?;
        let built = dock.build(&on_host, &name).await;
        // It holds all of the image once more.
        let removed = fs::remove_dir_all(&on_host);
        built?;
        removed.map_err(|e| Failure::surroundings(format!("can't remove {}: {e}", on_host.display())))?;
        Ok(name)
    }

    /// Lays the programs of Kubernetes that are given where minikube takes them from: the cache in its home, which is a folder
    /// on the host. Whether there were any.
    pub(super) fn fill_cache(&self, home: &Path) -> Result<bool, Failure> {
        let cannot = |e: std::io::Error| Failure::surroundings(format!("can't fill the cache of minikube: {e}"));
        let given: Vec<(&str, &PathBuf)> =
            OF_KUBERNETES.iter().filter_map(|name| Some((*name, self.programs.get(*name)?))).collect();
        let Some(version) = self.version.as_ref().filter(|_| !given.is_empty()) else { return Ok(false) };
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

fn dockerfile_over(base: &str) -> String {
    format!("FROM {base}\nADD overlay.tar /\nRUN [\"/bin/sh\", \"/opt/podferry/containerd.sh\"]\n")
}
