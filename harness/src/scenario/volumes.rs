//! What outlives containers, as written: the disks of nodes, and volumes on them.

use super::field::Field;
use super::read::shape;
use super::value::{ByName, Fixed, Name, Scalar};

shape! {
    /// Takes a node down whole and brings it back.
    pub(super) struct Restart ("`restart`") {
        /// The node.
        "node" => node: Name,
    }
}

shape! {
    /// Copies what is in a volume.
    pub(super) struct CopyVolume ("`copyVolume`") {
        /// The volume.
        "volume" => volume: Name,
        /// The node that has it.
        "from" => from: Name,
        /// The node that gets it; what its volume of that name held before is gone.
        "to" => to: Name,
    }
}

shape! {
    /// A folder outside of all containers, which is mounted into those that ask for it.
    pub(super) struct Volume ("a volume") {
        /// Whether all nodes see the same folder; each has one of its own if left out.
        "shared" => shared: Option<Field<bool>>,
    }
}

/// Volumes of a container: where in it each is mounted.
pub(super) type Mounts = ByName<Fixed<MountPath>>;

/// A path inside of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MountPath(pub(super) String);

impl Scalar for MountPath {
    const WHAT: &'static str = "a path in the container such as `/vol`";

    fn parse(text: &str) -> Option<Self> {
        let parts = text.strip_prefix('/')?;
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
        (parts.split('/').all(plain) && parts.bytes().all(legal)).then(|| MountPath(text.to_owned()))
    }

    fn pattern() -> Option<&'static str> {
        Some("^(/[a-zA-Z0-9._-]+)+$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_nowhere_else() {
        for good in ["/vol", "/var/lib/x-1", "/a_b/c.d"] {
            assert_eq!(MountPath::parse(good).map(|p| p.0).as_deref(), Some(good));
        }
        for bad in ["", "/", "vol", "/vol/", "/a//b", "/a/../b", "/./a", "/a b", "/a,b"] {
            assert!(MountPath::parse(bad).is_none(), "{bad}");
        }
    }
}
