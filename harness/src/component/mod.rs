//! Where the programs of a node come from: the node image (made once from a distribution's packages and cached), programs
//! that are built from Go modules or got as releases, and binaries of the user's own. All say exactly what they are: version and digest.

mod bootstrap;
mod cache;
mod cluster;
mod contained;
mod download;
mod error;
mod fixup;
mod get;
mod host;
mod identity;
mod manifest;
mod module;
mod node_image;
mod overrides;
mod program;
mod release;
mod spec;
mod staged;
mod wanted;

pub use cache::{Cache, sweep_unfinished};
pub use cluster::{OwnProgram, cluster, given, of_cluster};
pub use error::{ComponentError, Fault};
pub use get::{build, built, fetch, verify};
pub use host::host_record;
pub use manifest::Manifest;
pub use node_image::{NodeImage, node_image, refresh_node_image};
pub use overrides::{Bind, Override, OverrideError, Resolved, look_at, resolve};
pub use program::Built;
pub use spec::{NodeImageSpec, SpecError};
pub use wanted::{Origin, Release, Wanted, alternatives};

pub(crate) use module::sources;
pub(crate) use spec::short_digest;

pub(crate) use bootstrap::{find_program, missing_packages, with_system_path};

/// Told what is going on while something takes long.
pub trait Progress: Send + Sync {
    /// A line worth keeping: `node image sid: fetching and unpacking 171 packages`.
    fn say(&self, line: &str);

    /// A line that the next one replaces: counts, for a terminal. By default nobody sees it.
    fn update(&self, _line: &str) {}
}

/// Tells nobody.
impl Progress for () {
    fn say(&self, _line: &str) {}
}
