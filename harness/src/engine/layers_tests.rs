//! Layers without whiteout devices, which take root; those are tried on real nodes.

use super::layers::{apply, write_diff};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn layer(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_uid(nix::unistd::getuid().as_raw().into());
        header.set_gid(nix::unistd::getgid().as_raw().into());
        header.set_mtime(0);
        let data = if kind.is_file() { *content } else { "" };
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name_literal(content).unwrap();
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const DIR: tar::EntryType = tar::EntryType::Directory;
const LINK: tar::EntryType = tar::EntryType::Symlink;

fn names(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(root).unwrap().display().to_string());
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn later_layers_replace_and_remove() {
    let root = tempfile::tempdir().unwrap();
    let lower = layer(&[
        ("etc", DIR, ""),
        ("etc/a", FILE, "1"),
        ("etc/b", FILE, "1"),
        ("tree/x/y", FILE, "1"),
        ("opaque/old", FILE, "1"),
        ("turn", FILE, "1"),
        ("fold/in", FILE, "1"),
    ]);
    let upper = layer(&[
        ("etc/.wh.a", FILE, ""),
        ("./etc/b", FILE, "2"),
        (".wh.tree", FILE, ""),
        (".wh.never", FILE, ""),
        ("opaque", DIR, ""),
        ("opaque/.wh..wh..opq", FILE, ""),
        ("opaque/new", FILE, "2"),
        ("turn", DIR, ""),
        ("turn/now", FILE, "2"),
        ("/fold", FILE, "2"),
    ]);
    apply(&lower[..], root.path()).unwrap();
    apply(&upper[..], root.path()).unwrap();
    assert_eq!(names(root.path()), ["etc", "etc/b", "fold", "opaque", "opaque/new", "turn", "turn/now"]);
    assert_eq!(fs::read_to_string(root.path().join("etc/b")).unwrap(), "2");
}

#[test]
fn nothing_is_written_or_removed_outside_the_root() {
    for (entries, refused) in [
        (&[("../x", FILE, "bad")][..], true),
        (&[("a/../../x", FILE, "bad")], true),
        (&[("x", tar::EntryType::Link, "../victim")], true),
        (&[("turn", LINK, "turn"), ("turn/x", FILE, "bad")], true),
        (&[("out", LINK, ".."), ("out/x", FILE, "kept inside")], false),
        (&[("out", LINK, ".."), ("out/.wh.victim", FILE, "")], false),
        (&[("out", LINK, "/"), ("out/tmp/podferry-escaped", FILE, "kept inside")], false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(dir.path().join("victim"), "1").unwrap();
        assert_eq!(apply(&layer(entries)[..], &root).is_err(), refused, "{entries:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "{entries:?}");
        assert!(dir.path().join("victim").exists() && !Path::new("/tmp/podferry-escaped").exists(), "{entries:?}");
    }
}

/// The way to a node's files: the link `/proc/PID/root` reads `/`.
#[test]
fn a_root_behind_proc_is_written_to_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new("/proc/self/root").join(dir.path().strip_prefix("/").unwrap());
    apply(&layer(&[("a/b", FILE, "1"), ("c", tar::EntryType::Link, "a/b")])[..], &root).unwrap();
    assert_eq!(names(dir.path()), ["a", "a/b", "c"]);
}

#[test]
fn what_is_written_is_what_is_applied() {
    let (upper, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| upper.path().join(name);
    fs::create_dir_all(at("data/deep")).unwrap();
    fs::write(at("data/deep/file"), vec![7; 100_000]).unwrap();
    fs::set_permissions(at("data/deep/file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(at("data/deep/file"), at("data/same")).unwrap();
    symlink("deep/file", at("data/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("data/socket")).unwrap();
    nix::unistd::mkfifo(&at("data/pipe"), nix::sys::stat::Mode::from_bits_truncate(0o622)).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    for name in ["data/deep/file", "data/deep"] {
        File::open(at(name)).unwrap().set_modified(long_ago).unwrap();
    }
    xattr::set(at("data/deep/file"), "user.podferry", b"value").unwrap();
    let out = root.path().join("diff.tar");
    write_diff(upper.path(), &out).unwrap();
    assert!(write_diff(upper.path(), &out).is_err(), "nothing is written over");

    let target = root.path().join("root");
    fs::create_dir(&target).unwrap();
    apply(File::open(&out).unwrap(), &target).unwrap();
    assert_eq!(names(&target), ["data", "data/deep", "data/deep/file", "data/link", "data/pipe", "data/same"]);
    for name in ["data/deep/file", "data/deep"] {
        assert_eq!(fs::metadata(target.join(name)).unwrap().modified().unwrap(), long_ago, "{name}");
    }
    assert_eq!(xattr::get(target.join("data/deep/file"), "user.podferry").unwrap().as_deref(), Some(&b"value"[..]));
    let pipe = fs::metadata(target.join("data/pipe")).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&pipe.file_type()));
    let file = fs::metadata(target.join("data/deep/file")).unwrap();
    assert_eq!((file.len(), file.permissions().mode() & 0o777), (100_000, 0o640));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(file.ino(), fs::metadata(target.join("data/same")).unwrap().ino());
    assert_eq!(fs::read_link(target.join("data/link")).unwrap(), Path::new("deep/file"));
}
