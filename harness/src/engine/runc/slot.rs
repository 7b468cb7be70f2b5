//! Slots: image, overlay, network and bundle, made before a container is started or restored in them.

use super::bundle;
use super::classify::During;
use super::runtime::{Inner, Supervised, blocking, exec_error, io_error};
use crate::engine::watchdog::Patience;
use crate::engine::{Container, ContainerSpec, EngineError, Slot, layers, network};
use crate::image::Image;
use crate::process::Exec;
use crate::record::ErrorClass;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

impl Inner {
    /// `at` is an address of another node's network, or of this one's.
    pub(super) async fn prepare(&self, spec: &ContainerSpec, at: Option<Ipv4Addr>) -> Result<Slot, EngineError> {
        let address = network::choose(&self.addresses, &self.node, &spec.name, at)?;
        let made = self.slot(spec, address, true).await;
        if made.is_err() {
            self.free(&spec.name, address);
        }
        made
    }

    /// `connect`: its network is to be made, which it is once for a pod.
    pub(super) async fn slot(
        &self,
        spec: &ContainerSpec,
        address: Ipv4Addr,
        connect: bool,
    ) -> Result<Slot, EngineError> {
        let image = self.unpack(&spec.image).await?;
        let folder = self.folder(&spec.name);
        let on_host = self.host(&folder);
        if on_host.exists() {
            let text = format!(
                "can't prepare container {}: there is one of this name on node {}",
                spec.name,
                self.node.name()
            );
            return Err(EngineError::new(ErrorClass::NameTaken, text));
        }
        let slot = Slot { spec: spec.clone(), address, handle: self.netns(&spec.name) };
        let made = self.make_slot(&slot, &image, &folder, connect).await;
        if made.is_err() {
            // What was made so far goes; the error that matters is the first.
            let _ = self.discard(&slot).await;
        }
        made.map(|()| slot)
    }

    async fn make_slot(&self, slot: &Slot, image: &Path, folder: &Path, connect: bool) -> Result<(), EngineError> {
        for part in ["rootfs", "upper", "work", "logs"] {
            self.make_folder(&folder.join(part))?;
        }
        let name = &slot.spec.name;
        let old_log = self.host(&self.log(name));
        if old_log.exists() {
            fs::remove_file(&old_log).map_err(|e| io_error("remove", &old_log, &e))?;
        }
        let netns = Path::new("/run/netns").join(&slot.handle);
        let options = self.write_criu_options(&slot.spec.criu)?;
        let config = bundle::config(&slot.spec, &self.cgroup(name), &netns, &options);
        let file = self.host(&folder.join("config.json"));
        fs::write(&file, config.to_string()).map_err(|e| io_error("write", &file, &e))?;
        let network = async {
            if connect {
                network::connect(&self.node, &slot.handle, slot.address, self.limits.other).await
            } else {
                Ok(())
            }
        };
        tokio::try_join!(self.mount(image, folder), network).map(drop)
    }

    /// `redirect_dir` and `metacopy` are off: with them, what is in the upper folder could not be read as a layer.
    async fn mount(&self, image: &Path, folder: &Path) -> Result<(), EngineError> {
        let part = |name: &str| folder.join(name).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off",
            image.display(),
            part("upper"),
            part("work")
        );
        let mount = Exec::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(part("rootfs"));
        self.step(mount, &format!("can't mount the root of {}", folder.display())).await
    }

    async fn step(&self, exec: Exec, what: &str) -> Result<(), EngineError> {
        self.node.run(exec.timeout(self.limits.other)).await.map(drop).map_err(|e| exec_error(what, &e))
    }

    /// The image's layers, one over the other, in one folder of the node: made once.
    async fn unpack(&self, image: &Image) -> Result<PathBuf, EngineError> {
        let _turn = self.unpacking.lock().await;
        let name: String = image.digest.chars().filter(char::is_ascii_alphanumeric).collect();
        let folder = self.home.join("images").join(&name);
        let (there, partial) =
            (self.host(&folder), self.host(&self.home.join("images").join(format!("{name}.partial"))));
        if there.exists() {
            return Ok(folder);
        }
        let (layers, reference) = (image.layers.clone(), image.reference.clone());
        blocking(move || {
            let _ = fs::remove_dir_all(&partial);
            fs::create_dir(&partial).map_err(|e| io_error("make", &partial, &e))?;
            for layer in &layers {
                let file = File::open(layer).map_err(|e| io_error("read", layer, &e))?;
                layers::apply(BufReader::with_capacity(1 << 20, file), &partial).map_err(|e| {
                    let mut error = io_error("unpack", layer, &e);
                    if error.class == ErrorClass::Surroundings {
                        error.class = ErrorClass::InvalidImage;
                    }
                    error.message = format!("image {reference}: {}", error.message);
                    error
                })?;
            }
            fs::rename(&partial, &there).map_err(|e| io_error("rename", &partial, &e))
        })
        .await?;
        Ok(folder)
    }

    pub(super) async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        self.make(slot, &["run", "-d"]).await
    }

    /// Makes the container; its first process waits to be started.
    pub(super) async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        self.make(slot, &["create"]).await
    }

    async fn make(&self, slot: &Slot, call: &[&str]) -> Result<Container, EngineError> {
        let name = &slot.spec.name;
        let (folder, log) = (self.folder(name), self.log(name));
        let bundle = folder.display().to_string();
        let what = format!("can't start container {name} on node {}", self.node.name());
        let started = self
            .supervised(Supervised {
                program: self.kind.name(),
                what: &what,
                during: During::Start,
                args: [call, &["--bundle", &bundle, name]].concat().into_iter().map(str::to_owned).collect(),
                container: name,
                folder: &folder.join("logs"),
                out: Some(&log),
                criu_log: None,
                patience: Patience::Watch(self.limits.other),
            })
            .await;
        if let Err(e) = started {
            self.forget(name).await;
            return Err(e);
        }
        Ok(Container { id: name.clone(), slot: slot.clone(), log })
    }
}
