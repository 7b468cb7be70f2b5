use super::listing::Listing;
use super::{ArchiveError, Form};
use crate::record::{ArchivePart, PartKind};
use std::path::Path;

/// What a checkpoint is made of, the largest part first. Only its list is read.
///
/// # Errors
/// It cannot be read, or the tar file breaks off.
pub fn makeup(path: &Path) -> Result<Vec<ArchivePart>, ArchiveError> {
    let listing = Listing::read(path, Form::of(path)?)?;
    let mut parts: Vec<ArchivePart> = Vec::new();
    for item in &listing.items {
        // A blob whose own entries are listed.
        if item.within.is_none() && listing.items.iter().any(|inner| inner.within == Some(item.data)) {
            continue;
        }
        let kind = kind(&item.name);
        match parts.iter_mut().find(|part| part.kind == kind) {
            Some(part) => (part.files, part.bytes) = (part.files + 1, part.bytes + item.size),
            None => parts.push(ArchivePart { kind, files: 1, bytes: item.size }),
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    Ok(parts)
}

fn kind(name: &str) -> PartKind {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.rsplit_once('.') {
        Some((stem, "img")) if stem.starts_with("pages-") => PartKind::Memory,
        Some((_, "img")) => PartKind::Images,
        Some((_, "log")) => PartKind::Logs,
        _ if last.starts_with("stats-") => PartKind::Logs,
        // podman's `devshm-checkpoint.tar` holds the closed files of /dev/shm.
        _ if ["rootfs-diff.tar", "deleted.files", "devshm-checkpoint.tar"].contains(&last) => PartKind::Files,
        _ => PartKind::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, files};
    use super::*;

    #[test]
    fn what_a_checkpoint_is_made_of_is_told_in_every_form() {
        let place = Place::new();
        for form in [Form::CriArchive, Form::PodmanArchive, Form::OciArchive, Form::ImageFolder] {
            let files = files(form);
            let parts = makeup(&place.write(&format!("{form:?}"), form, &files)).unwrap();
            let of = |kind| parts.iter().find(|p| p.kind == kind).map(|p| (p.files, p.bytes));
            assert_eq!(of(PartKind::Memory), Some((1, 3 * 4096)), "{form:?}");
            assert_eq!(of(PartKind::Images).map(|p| p.0), Some(6), "{form:?}");
            assert_eq!(of(PartKind::Files), Some((1, files["rootfs-diff.tar"].len() as u64)), "{form:?}");
            assert!(parts.is_sorted_by(|a, b| a.bytes >= b.bytes), "{form:?}");
            let bytes: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
            let told: u64 = parts.iter().filter(|p| p.kind != PartKind::Rest).map(|p| p.bytes).sum();
            assert!(told <= bytes, "nothing counts twice in {form:?}: {parts:?}");
        }
    }
}
