//! A checkpoint image of containerd's as `ctr images export` writes it: a tar file of an OCI layout, in which one blob is a
//! tar file of CRIU's images and another the changes of the root file system.

use super::ArchiveError;
use super::listing::{Item, Listing};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The blob of CRIU's images: an uncompressed tar file (containerd 2.1).
const MEMORY: &str = "application/vnd.containerd.container.criu.checkpoint.criu.tar";
/// The blob of changes is a layer, in any of its forms.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// No index is longer.
const LARGEST_INDEX: u64 = 1 << 20;

/// What is in a checkpoint image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciCheckpoint {
    /// The name that it is imported by.
    pub name: String,
    /// The image that the container was made from.
    pub base: Option<String>,
    /// CRIU's images.
    pub memory: Blob,
    /// The changes of the root file system.
    pub changes: Option<Blob>,
}

/// A part of an image, by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    /// What it is.
    pub media_type: String,
    /// `sha256:...`.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Blob>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What is in the archive at a path. Its blobs' digests are not checked: who imports it does that.
///
/// # Errors
/// It is no archive of a checkpoint image.
pub fn oci_checkpoint(path: &Path) -> Result<OciCheckpoint, ArchiveError> {
    let listing = Listing::outside(path)?;
    read(&listing)
}

/// The same from the entries of its tar file.
pub(super) fn read(listing: &Listing) -> Result<OciCheckpoint, ArchiveError> {
    let broken = |what: &str| ArchiveError::invalid(&listing.path, Some("index.json"), what);
    let outer = index(listing, "index.json")?;
    let [image] = &outer.manifests[..] else { return Err(broken("it names not one image")) };
    let name = image.annotations.get("io.containerd.image.name").ok_or_else(|| broken("its image has no name"))?;
    let inner = index(listing, &blob_name(image))?;
    let find = |kind: &str| inner.manifests.iter().find(|blob| blob.media_type.starts_with(kind)).cloned();
    Ok(OciCheckpoint {
        name: name.clone(),
        base: inner.annotations.get("image.name").cloned(),
        memory: find(MEMORY).ok_or_else(|| broken("its image holds no memory of a process"))?,
        changes: find(LAYER),
    })
}

fn index(listing: &Listing, name: &str) -> Result<Index, ArchiveError> {
    let missing = || ArchiveError::invalid(&listing.path, Some(name), "it is missing");
    let bytes = listing.bytes(listing.get(name).ok_or_else(missing)?, LARGEST_INDEX)?;
    serde_json::from_slice(&bytes)
        .map_err(|e| ArchiveError::invalid(&listing.path, Some(name), format!("it is no index: {e}")))
}

/// The entry of a blob.
pub(super) fn blob_name(blob: &Blob) -> String {
    format!("blobs/{}", blob.digest.replacen(':', "/", 1))
}

/// Names the parts as they are named in the other forms: the changes, and each of CRIU's images.
pub(super) fn look_inside(listing: &mut Listing) -> Result<(), ArchiveError> {
    let parts = read(listing)?;
    let missing = |blob: &Blob| ArchiveError::invalid(&listing.path, Some(&blob_name(blob)), "it is missing");
    let memory = listing.get(&blob_name(&parts.memory)).ok_or_else(|| missing(&parts.memory))?.clone();
    if let Some(changes) = &parts.changes {
        let name = blob_name(changes);
        let item = listing.items.iter_mut().find(|item| item.name == name);
        "rootfs-diff.tar".clone_into(&mut item.ok_or_else(|| missing(changes))?.name);
    }
    listing.read_within(&memory, "checkpoint/")
}

/// Whether the first bytes of a file are those of such an archive.
pub(super) fn begins_so(head: &[u8]) -> bool {
    ["blobs/", "oci-layout", "index.json"].iter().any(|name| head.starts_with(name.as_bytes()))
}

impl Item {
    /// The place of the header of the entry that this one is within, in the outer tar file.
    pub(super) fn outer_header(&self) -> Option<u64> {
        self.within.map(|data| data - 512)
    }
}
