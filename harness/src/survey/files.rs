//! Files of a container as the host sees them.

use podferry_workloads::Xxh64;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The largest file whose content is compared.
const LARGEST: u64 = 1 << 20;

/// All that is in a folder, by name: `file.NAME`.
pub(super) fn of(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| (format!("file.{}", e.file_name().to_string_lossy()), one(&e.path()))).collect()
}

fn one(path: &Path) -> String {
    let Ok(meta) = fs::symlink_metadata(path) else { return "cannot be looked at".to_owned() };
    let kind = meta.file_type();
    let content = if kind.is_symlink() {
        format!("to {}", fs::read_link(path).unwrap_or_default().display())
    } else if kind.is_dir() {
        let mut names: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        format!("holds {names:?}")
    } else if kind.is_file() && meta.len() <= LARGEST {
        format!("{} bytes, digest {}", meta.len(), digest(&fs::read(path).unwrap_or_default()))
    } else if kind.is_char_device() {
        format!("device {:x}", meta.rdev())
    } else {
        format!("{} bytes", meta.len())
    };
    let attribute = xattr::get(path, "user.podferry")
        .ok()
        .flatten()
        .map_or_else(String::new, |value| format!(", user.podferry {}", String::from_utf8_lossy(&value)));
    format!("mode {:o}, owner {}:{}, {} names, {content}{attribute}", meta.mode(), meta.uid(), meta.gid(), links(&meta))
}

fn digest(bytes: &[u8]) -> String {
    let mut digest = Xxh64::default();
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        digest.word(u64::from_le_bytes(word));
    }
    format!("{:016x}", digest.digest())
}

/// A folder's number of names is a matter of its file system.
fn links(meta: &fs::Metadata) -> u64 {
    if meta.is_dir() { 1 } else { meta.nlink() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_is_not_the_same_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "content").unwrap();
        symlink("no/where", at("link")).unwrap();
        let before = of(dir.path());
        assert_eq!(before.len(), 2);
        assert!(before["file.link"].contains("to no/where"), "{before:?}");
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o600)).unwrap();
        let mode = of(dir.path());
        assert_ne!(before["file.file"], mode["file.file"]);
        fs::write(at("file"), "contant").unwrap();
        assert_ne!(mode["file.file"], of(dir.path())["file.file"]);
        assert_eq!(of(&at("none")), BTreeMap::new());
    }
}
