//! Container images as OCI content on the host: made from node packages and the harness's own programs, or taken from
//! an archive of the user's; and what serves them to the nodes.

mod agent;
mod build;
mod bundle;
mod checkpoint;
mod error;
mod import;
mod inspect;
mod layer;
mod layout;
mod libraries;
mod paths;
mod registry;
mod store;
mod unpack;

pub use agent::{agent_layout, agent_reference};
pub use build::{ImageSpec, NodeRoot, WorkloadBinaries, build};
pub use checkpoint::checkpoint_image;
pub use error::ImageError;
pub use import::import;
pub(crate) use layer::Layer;
pub(crate) use layout::program_layout;
pub use layout::{checkpoint_layout, image_layout};
pub(crate) use libraries::{libraries, loader};
pub use registry::{Changes, Registry, RegistryHandle};
pub use store::Store;
pub use unpack::unpack;

use std::path::PathBuf;

/// Where nodes find the registry, and what the references of images begin with. containerd speaks plain HTTP to
/// `localhost` alone.
pub const REGISTRY: &str = "localhost:5000";

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Under what the nodes pull it: `localhost:5000/podferry/redis:<first 12 digits of the manifest digest>`. A tag
    /// that follows from the content never names two images.
    pub reference: String,
    /// `sha256:...` of the manifest.
    pub digest: String,
    /// The layers, lowest first: uncompressed tar files on the host.
    pub layers: Vec<PathBuf>,
    /// Program and arguments that it starts by default.
    pub entrypoint: Vec<String>,
    /// Its environment.
    pub env: Vec<String>,
    /// Its working directory.
    pub working_dir: String,
}

/// This machine's architecture by the name that images give it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
