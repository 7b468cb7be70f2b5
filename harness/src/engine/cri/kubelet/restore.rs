//! A restore: the archive becomes an image on the node, and a pod of that image is the copy.

use super::pod::Pull;
use super::{Own, found};
use crate::clock::now;
use crate::engine::containerd::Watched;
use crate::engine::containerd::classify::{self, During};
use crate::engine::cri_api::Served;
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, mounts};
use crate::image;
use crate::record::{Chain, ErrorClass};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where archives are made images of, in a node of podferry's.
const IMAGES: &str = "/data/kubelet-images";

impl Own {
    /// As a user does it who has no registry: the archive is made an image, and that imported.
    pub(super) async fn restore_archive(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        let create_from = now();
        let reference = self.import(slot, from).await?;
        let restored = self.restore_as_pod(slot, &reference, Pull::Never, create_from).await;
        // The container has what it needs of it; its memory is in it, once more.
        let removed = self.runtime.forget_image(&reference).await;
        restored.and_then(|restored| removed.map(|()| restored))
    }

    /// The kubelet pulls the image from the node's registry.
    pub(super) async fn restore_image(&self, slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        self.restore_as_pod(slot, reference, Pull::IfNotPresent, now()).await
    }

    async fn restore_as_pod(
        &self,
        slot: &Slot,
        image: &str,
        pull: Pull,
        create_from: crate::record::At,
    ) -> Result<Restored, EngineError> {
        let restore_from = now();
        let started = self.run_watched(slot, image, pull).await;
        let restore_to = now();
        let checked = match started {
            Ok(container) => self.look_at(container).await,
            Err(e) => Err(e),
        };
        match checked {
            Ok(container) => Ok(Restored { container, create_from: Some(create_from), restore_from, restore_to }),
            Err(e) => {
                // What went wrong is what is to be told.
                let _ = self.remove_pod(&slot.handle, None).await;
                self.runtime.clear_yards().await;
                // Of each of the kubelet's tries containerd leaves what it had unpacked (2.1.9).
                if self.runtime.criu.idle() {
                    self.runtime.empty_tmp();
                }
                Err(e)
            }
        }
    }

    async fn look_at(&self, container: Container) -> Result<Container, EngineError> {
        self.runtime.was_restored(&container).await?;
        if !container.slot.spec.mounts.is_empty() {
            mounts::all_there(&container, self.runtime.inspect(&container).await?.as_ref())?;
        }
        Ok(container)
    }

    /// Makes the pod, under the watchdog of all restores.
    async fn run_watched(&self, slot: &Slot, image: &str, pull: Pull) -> Result<Container, EngineError> {
        let runtime = &self.runtime;
        let writing = runtime.criu.begin();
        let (made, failed) = (Mutex::new(None), Mutex::new(None));
        let call = async {
            match self.run(slot, image, pull).await {
                Ok(container) => {
                    *made.lock().expect("nobody panics with it") = Some(container);
                    Ok(tonic::Response::new(()))
                }
                Err(e) => {
                    let status = tonic::Status::unknown(e.message.clone());
                    *failed.lock().expect("nobody panics with it") = Some(e);
                    Err(status)
                }
            }
        };
        let patience = Patience::Watch(runtime.options.restore_limit);
        // Which sandbox it will be is not known: of all restores under this containerd, the one that spins is killed.
        let watched = runtime.watch_restore(&writing, &runtime.places.socket, patience, call).await;
        let place = Container { id: String::new(), slot: slot.clone(), log: PathBuf::new() };
        match (watched, made.into_inner(), failed.into_inner()) {
            (Watched::Done, Ok(Some(container)), _) => Ok(container),
            (Watched::Refused(_), _, Ok(Some(e))) if e.class == ErrorClass::NameTaken => Err(e),
            (Watched::Refused(status), ..) => Err(runtime.restore_error(&place, image, &status, &writing)),
            (Watched::Killed(class, why, log), ..) => {
                let (name, node) = (&slot.spec.name, self.node().name());
                let mut error = EngineError::new(
                    class,
                    format!("can't restore container {name} from {image} on node {node}: {why}"),
                );
                error.log = log;
                Err(error)
            }
            (Watched::Done, ..) => Err(runtime.surroundings("restore", "a pod was made and is not there")),
        }
    }

    /// Makes an image of an archive, under a name of its own.
    async fn import(&self, slot: &Slot, from: &Checkpoint) -> Result<String, EngineError> {
        let (runtime, name) = (&self.runtime, &slot.spec.name);
        let what = format!("restore container {name}");
        let archive = runtime.host(&from.path);
        if !archive.is_file() {
            let why = format!("can't {what} on node {}: no archive at {}", self.node().name(), from.path.display());
            return Err(EngineError::new(ErrorClass::InvalidArchive, why));
        }
        let number = runtime.next();
        let reference = format!("localhost/podferry/checkpoint:{}-{number}", slot.handle);
        let images = if self.started.is_some() { IMAGES } else { found::IMAGES };
        let inside = Path::new(images).join(format!("{}-{number}.tar", slot.handle));
        let layout = runtime.host(&inside);
        std::fs::create_dir_all(runtime.host(images)).map_err(|e| runtime.surroundings(&what, e))?;
        let written = {
            let (layout, container, reference) = (layout.clone(), name.clone(), reference.clone());
            let write = move || image::checkpoint_layout(&archive, &layout, &container, &reference);
            tokio::task::spawn_blocking(write).await.map_err(|e| runtime.surroundings(&what, e))?
        };
        let imported = match written {
            Err(e) => Err(EngineError::new(e.class(), format!("can't {what}: {}", Chain(&e)))),
            // An import unpacks the archive, so that one which is no whole tar is seen here, in words of its own.
            Ok(()) => {
                self.import_layout(During::Restore, &what, &inside, &reference, &[]).await.map_err(|mut error| {
                    if error.class == ErrorClass::Other && error.message.contains("failed to extract layer") {
                        error.class = ErrorClass::InvalidArchive;
                        error.hint = classify::hint(ErrorClass::InvalidArchive).map(str::to_owned);
                    }
                    error
                })
            }
        };
        // It holds all of the memory.
        let _ = std::fs::remove_file(&layout);
        imported.map(|()| reference)
    }
}
