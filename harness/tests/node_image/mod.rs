//! The node image that tests on real nodes use.

use podferry::component::{Cache, NodeImageSpec, node_image};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Its root: the one that `PODFERRY_TEST_ROOTFS` names, else the shipped image of the user's cache, made first if it is
/// not there.
pub(crate) fn rootfs() -> PathBuf {
    static ROOTFS: OnceLock<PathBuf> = OnceLock::new();
    let shipped = || made(NodeImageSpec::shipped());
    ROOTFS.get_or_init(|| std::env::var_os("PODFERRY_TEST_ROOTFS").map_or_else(shipped, held)).clone()
}

/// An image that was made by somebody else: in use until this process ends.
fn held(rootfs: std::ffi::OsString) -> PathBuf {
    let rootfs = PathBuf::from(rootfs);
    if let Ok(in_use) = std::fs::File::open(rootfs.with_file_name("in-use")) {
        in_use.lock_shared().expect("a lock");
        std::mem::forget(in_use);
    }
    rootfs
}

/// The root of another suite's image with the shipped packages, made first if the cache has none.
#[allow(dead_code, reason = "each test file takes what it needs")]
pub(crate) fn suite(name: &str) -> PathBuf {
    made(NodeImageSpec::named(name).expect("a suite"))
}

/// In a thread of its own: the caller's may run a test's own runtime.
fn made(spec: NodeImageSpec) -> PathBuf {
    let make = move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let image = runtime.block_on(node_image(&spec, &Cache::of_user(), &())).expect("a node image");
        let rootfs = image.rootfs.clone();
        // It is in use, and must not be dropped from the cache, until this process ends.
        std::mem::forget(image);
        rootfs
    };
    std::thread::spawn(make).join().expect("a node image")
}
