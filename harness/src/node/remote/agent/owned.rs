//! What goes from the node when the agent does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Paths of the node; the last part of one may have `*` for anything.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    root: PathBuf,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Owned {
    pub(super) fn new(root: &Path) -> Owned {
        Owned { root: root.to_owned(), paths: Arc::default() }
    }

    pub(super) fn add(&self, paths: Vec<String>) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
    }

    /// Removes all of them that are there. Nobody is left to hear what could not be.
    pub(super) fn remove(&self) {
        for path in self.paths.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            for found in self.found(&path) {
                let folder = fs::symlink_metadata(&found).is_ok_and(|meta| meta.is_dir());
                let _ = if folder { fs::remove_dir_all(&found) } else { fs::remove_file(&found) };
            }
        }
    }

    fn found(&self, path: &str) -> Vec<PathBuf> {
        let path = self.root.join(path.trim_start_matches('/'));
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Vec::new();
        };
        let parts: Vec<&str> = name.split('*').collect();
        if parts.len() == 1 {
            return vec![path];
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter(|entry| matches(&entry.file_name().to_string_lossy(), &parts))
            .map(|entry| entry.path())
            .collect()
    }
}

/// Whether a name is these parts with anything between them.
fn matches(name: &str, parts: &[&str]) -> bool {
    let Some((first, others)) = parts.split_first() else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some((last, between)) = others.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_owned_goes() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        let all =
            ["run/own/a", "k/checkpoints/checkpoint-x_ns-1-y.tar", "k/checkpoints/checkpoint-x_other-y.tar", "k/z"];
        all.iter().for_each(|path| write(path));
        let owned = Owned::new(root.path());
        owned.add(vec!["/run/own".to_owned(), "/k/checkpoints/*_ns-1-*".to_owned(), "/no/such".to_owned()]);
        owned.remove();
        let left: Vec<bool> = all.iter().map(|path| root.path().join(path).exists()).collect();
        assert_eq!(left, [false, false, true, true]);
    }

    #[test]
    fn a_star_is_anything() {
        let of = |name: &str, pattern: &str| matches(name, &pattern.split('*').collect::<Vec<_>>());
        assert!(of("a_b-c", "*_b-*") && of("_b-", "*_b-*") && of("ab", "a*"));
        assert!(!of("a_c-", "*_b-*") && !of("xa", "a*") && !of("ab", "a"));
    }
}
