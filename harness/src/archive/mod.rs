//! Checkpoints as files: what is in them, whether they are whole, how they are carried, and how they are damaged on
//! purpose. All functions block, and all paths are paths on the host.
//!
//! A checkpoint has one of three [`Form`]s with the same inner names, so that a scenario can name an entry
//! (`checkpoint/inventory.img`) without knowing the engine:
//!
//! | entry | what |
//! |---|---|
//! | `checkpoint/*.img` | what CRIU wrote; `pages-N.img` is the memory, `pagemap-*.img` says where it belongs |
//! | `checkpoint/descriptors.json` | the standard streams, written by the runtime |
//! | `rootfs-diff.tar` | changes of the root filesystem; gzip in a CRI archive; none where `meta.json` says so, or podman found none (what was deleted it lists in `deleted.files`) |
//! | `stats-dump`, `dump.log` | CRIU's own figures and log |
//! | `index.json`, `blobs/*` | OCI archive only: the layout around it; in one blob lie CRIU's images, another is `rootfs-diff.tar` |
//! | `config.dump`, `spec.dump`, `status.dump` | archives only, the last CRI's only: what the container was |
//! | `meta.json` | image folder only: likewise |

mod carry;
mod criu;
mod error;
mod listing;
mod live;
mod makeup;
mod manifest;
mod oci;
mod stream;
mod tamper;
#[cfg(test)]
mod tests;
mod verify;

pub use carry::copy;
pub use criu::DumpStats;
pub use error::ArchiveError;
pub use listing::Form;
pub use live::{Beside, Capture, Sent, extract};
pub use makeup::makeup;
pub use manifest::{Manifest, ManifestEntry, digest, manifest};
pub use oci::{Blob, OciCheckpoint, oci_checkpoint};
pub use stream::{receive, send};
pub use tamper::tamper;
pub use verify::verify;

use std::path::Path;

/// The bytes of a small entry (16 MiB at most).
///
/// # Errors
/// The checkpoint cannot be read, or has no such entry ([`ArchiveError::Invalid`]), or a larger one.
pub fn entry(path: &Path, name: &str) -> Result<Vec<u8>, ArchiveError> {
    let listing = listing::Listing::read(path, Form::of(path)?)?;
    let item = listing.get(name).ok_or_else(|| ArchiveError::invalid(path, Some(name), "it is missing"))?;
    listing.bytes(item, 16 << 20)
}

/// How many bytes of an archive lie behind the end of its tar file, from the first that is not zero: left over from an
/// older and longer archive that was written over (containerd 2.1 opens the file without truncating it). `None` of what
/// is no archive.
///
/// # Errors
/// The archive cannot be read to its end.
pub fn trailing(path: &Path) -> Result<Option<u64>, ArchiveError> {
    if Form::of(path)? != Form::CriArchive {
        return Ok(None);
    }
    let listing = listing::Listing::read(path, Form::CriArchive)?;
    let length = std::fs::metadata(path).map_err(|e| ArchiveError::io("read", path, e))?.len();
    Ok(Some(verify::behind(&listing)?.map_or(0, |at| length - at)))
}

/// What CRIU itself says of the dump (`stats-dump`); `None` if the checkpoint has no such entry.
///
/// # Errors
/// The checkpoint cannot be read, or `stats-dump` is no image of CRIU's.
pub fn stats(path: &Path) -> Result<Option<DumpStats>, ArchiveError> {
    let listing = listing::Listing::read(path, Form::of(path)?)?;
    let Some(item) = listing.get("stats-dump") else { return Ok(None) };
    let bytes = listing.bytes(item, criu::LARGEST_IMAGE)?;
    criu::dump_stats(&bytes).map(Some).map_err(|what| ArchiveError::invalid(path, Some("stats-dump"), what))
}
