//! The node image that tests on real nodes use.

use podferry::component::{Cache, NodeImageSpec, node_image};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Its root: the one that `PODFERRY_TEST_ROOTFS` names, else the shipped image of the user's cache, made first if it is
/// not there.
pub(crate) fn rootfs() -> PathBuf {
    static ROOTFS: OnceLock<PathBuf> = OnceLock::new();
    ROOTFS.get_or_init(|| std::env::var_os("PODFERRY_TEST_ROOTFS").map_or_else(shipped, PathBuf::from)).clone()
}

/// In a thread of its own: the caller's may run a test's own runtime.
fn shipped() -> PathBuf {
    let make = || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let made = runtime.block_on(node_image(&NodeImageSpec::shipped(), &Cache::of_user(), &()));
        let image = made.expect("the shipped node image");
        let rootfs = image.rootfs.clone();
        // It is in use, and must not be dropped from the cache, until this process ends.
        std::mem::forget(image);
        rootfs
    };
    std::thread::spawn(make).join().expect("the shipped node image")
}
