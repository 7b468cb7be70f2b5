//! Checkpoints as images.

use super::store::Settings;
use super::{Image, ImageError, Store};
use std::fs::File;
use std::path::Path;

/// Puts a checkpoint archive into an image from which a target restores by reference: one layer, the archive as it is,
/// under the annotations that containerd and CRI-O tell a checkpoint by. CRI-O 1.3x looks for the second one alone,
/// containerd 2.1 to 2.3 for the first.
///
/// `container` is the name of the container that it is of; `name` the checkpoint's own. Both go into the configuration
/// too: CRI names images by the digest of the configuration, so two checkpoints must never share one.
pub fn checkpoint_image(store: &Store, archive: &Path, container: &str, name: &str) -> Result<Image, ImageError> {
    let mut file = File::open(archive).map_err(ImageError::io("read", archive))?;
    let layer = store.put_from(&mut file)?;
    let label = |key: &str, value: &str| (format!("podferry.checkpoint.{key}"), value.to_owned());
    let settings = Settings { labels: vec![label("container", container), label("name", name)], ..Settings::default() };
    store.publish("podferry/checkpoint", &settings, &[layer], &annotations(container))
}

/// What tells that an image is a checkpoint, of a container of this name.
pub(super) fn annotations(container: &str) -> [(&'static str, &str); 2] {
    [("org.criu.checkpoint.container.name", container), ("io.kubernetes.cri-o.annotations.checkpoint.name", container)]
}

#[cfg(test)]
mod tests {
    use super::checkpoint_image;
    use crate::image::Store;
    use serde_json::Value;
    use std::fs;

    #[test]
    fn two_checkpoints_of_equal_content_are_two_images() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        let archive = dir.path().join("cp.tar");
        fs::write(&archive, b"an archive").unwrap();
        let document = |digest: &str| -> Value {
            serde_json::from_slice(&fs::read(store.blob(digest).unwrap()).unwrap()).unwrap()
        };
        let one = checkpoint_image(&store, &archive, "redis", "cp-1").unwrap();
        let two = checkpoint_image(&store, &archive, "redis", "cp-2").unwrap();
        let (a, b) = (document(&one.digest), document(&two.digest));
        assert_eq!(a["annotations"]["org.criu.checkpoint.container.name"], "redis");
        assert_eq!(a["annotations"]["io.kubernetes.cri-o.annotations.checkpoint.name"], "redis");
        assert_ne!(a["config"]["digest"], b["config"]["digest"]);
        assert_eq!(one.layers, two.layers);
        assert_eq!(fs::read(&one.layers[0]).unwrap(), b"an archive");
        let config = document(a["config"]["digest"].as_str().unwrap());
        assert_eq!(config["rootfs"]["diff_ids"][0], a["layers"][0]["digest"]);
        assert!(one.reference.starts_with("localhost:5000/podferry/checkpoint:"));
    }
}
