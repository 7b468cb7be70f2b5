//! What a container was, beside its images: `meta.json` in a folder of images. For the engines that keep such folders.

use super::Container;
use crate::image::Image;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

const FILE: &str = "meta.json";

/// What the container was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The container's name.
    pub(super) name: String,
    /// The runtime with its version.
    pub(super) runtime: String,
    /// The image's reference and digest.
    pub(super) image: String,
    pub(super) image_digest: String,
    /// The program; empty: the image's own.
    pub(super) args: Vec<String>,
    /// Its variables beside the image's.
    pub(super) env: Vec<(String, String)>,
    /// Whether the changes of its root file system are kept beside the images (`rootfs-diff.tar`).
    #[serde(default = "kept")]
    pub(super) root_changes: bool,
}

fn kept() -> bool {
    true
}

impl Meta {
    /// Of a container that is checkpointed by this runtime.
    pub(super) fn of(container: &Container, runtime: &str, root_changes: bool) -> Self {
        let spec = &container.slot.spec;
        Meta {
            name: spec.name.clone(),
            runtime: runtime.to_owned(),
            image: spec.image.reference.clone(),
            image_digest: spec.image.digest.clone(),
            args: spec.args.clone(),
            env: spec.env.clone(),
            root_changes,
        }
    }

    /// Writes it into a checkpoint's folder on the host.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(FILE), self.bytes()?)
    }

    /// What [`Meta::write`] writes.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads it from there; an error says what is wrong with the checkpoint.
    pub(super) fn read(folder: &Path) -> Result<Meta, String> {
        let text = fs::read(folder.join(FILE)).map_err(|e| format!("its entry `{FILE}` cannot be read: {e}"))?;
        serde_json::from_slice(&text).map_err(|e| format!("its entry `{FILE}` is not what it should be: {e}"))
    }

    /// That a container of this image can be restored from it: nobody else looks at that.
    pub(super) fn fits(&self, image: &Image) -> Result<(), String> {
        if self.image_digest == image.digest {
            return Ok(());
        }
        Err(format!(
            "it was made from image {} ({}), and the slot has {} ({})",
            self.image, self.image_digest, image.reference, image.digest
        ))
    }
}
