use super::unpack;
use crate::image::Image;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};
use tempfile::{TempDir, tempdir};

/// An entry with a name and a target that no honest builder would write.
pub(in crate::image) fn raw(kind: EntryType, name: &str, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    let put = |field: &mut [u8], text: &str| field[..text.len()].copy_from_slice(text.as_bytes());
    put(&mut header.as_old_mut().name, name);
    put(&mut header.as_old_mut().linkname, target);
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(nix::unistd::getuid().as_raw().into());
    header.set_gid(nix::unistd::getgid().as_raw().into());
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut out = header.as_bytes().to_vec();
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

pub(in crate::image) fn layer(entries: &[Entry<'_>]) -> Vec<u8> {
    let content = |k: EntryType| if k == EntryType::Regular { b"hello".as_slice() } else { b"" };
    let mut out: Vec<u8> = entries.iter().flat_map(|(k, n, t)| raw(*k, n, t, content(*k))).collect();
    out.resize(out.len() + 1024, 0);
    out
}

/// Kind, name and target.
pub(in crate::image) type Entry<'a> = (EntryType, &'a str, &'a str);

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

/// The layers as an image, and `outer/root` to unpack to, beside a file that must stay as it is.
fn image(layers: &[Vec<u8>]) -> (TempDir, Image, PathBuf) {
    let dir = tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..layers.len()).map(|i| dir.path().join(format!("layer-{i}"))).collect();
    for (path, bytes) in paths.iter().zip(layers) {
        fs::write(path, bytes).unwrap();
    }
    let outer = dir.path().join("outer");
    fs::create_dir(&outer).unwrap();
    fs::write(outer.join("a"), "untouched").unwrap();
    let image = Image {
        reference: String::new(),
        digest: String::new(),
        layers: paths,
        entrypoint: Vec::new(),
        env: Vec::new(),
        working_dir: "/".to_owned(),
    };
    (dir, image, outer.join("root"))
}

fn listing(root: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            out.push(path.strip_prefix(root).unwrap().display().to_string());
            if path.is_dir() && !path.is_symlink() {
                todo.push(path);
            }
        }
    }
    out.sort();
    out
}

#[test]
fn layers_whiteouts_and_links() {
    let (_dir, image, root) = image(&[
        layer(&[
            (DIR, "usr/", ""),
            (FILE, "usr/a", ""),
            (FILE, "usr/b", ""),
            (LINK, "lib", "usr"),
            (DIR, "old/", ""),
            (FILE, "old/x", ""),
        ]),
        layer(&[
            (FILE, "old/new", ""),
            (FILE, "old/.wh..wh..opq", ""),
            (FILE, "usr/.wh.b", ""),
            (FILE, "lib/c", ""),
            (HARD, "d", "usr/a"),
        ]),
    ]);
    unpack(&image, &root).unwrap();
    assert_eq!(listing(&root), ["d", "lib", "old", "old/new", "usr", "usr/a", "usr/c"]);
    assert_eq!(fs::read_to_string(root.join("d")).unwrap(), "hello");
    assert_eq!(fs::metadata(root.join("usr/a")).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn what_is_in_the_way_gives_way() {
    let (_dir, image, root) = image(&[
        layer(&[(DIR, "a/", ""), (FILE, "a/x", ""), (FILE, "b", ""), (LINK, "c", "b")]),
        layer(&[(FILE, "a", ""), (DIR, "b/", ""), (FILE, "c", "")]),
    ]);
    unpack(&image, &root).unwrap();
    assert_eq!(listing(&root), ["a", "b", "c"]);
    assert!(root.join("b").is_dir() && !root.join("c").is_symlink());
}

#[test]
fn hostile_layers_name_the_entry() {
    let cases: [(&[Entry], &str); 5] = [
        (&[(FILE, "../a", "")], "entry `../a` leads out of the root by `..`"),
        (&[(FILE, "/a", "")], "entry `/a` is an absolute path"),
        (
            &[(LINK, "l", ".."), (FILE, "l/a", "")],
            "entry `l/a` goes through the link `l` -> `..`, which leaves the root",
        ),
        (&[(HARD, "h", "../a")], "entry `../a` leads out of the root by `..`"),
        (
            &[(LINK, "l", "/"), (FILE, "l/.wh.a", "")],
            "entry `l/.wh.a` goes through the link `l` -> `/`, which leaves the root",
        ),
    ];
    for (entries, message) in cases {
        let (_dir, image, root) = image(&[layer(entries)]);
        let e = unpack(&image, &root).unwrap_err();
        assert_eq!(e.class(), crate::record::ErrorClass::EscapingEntry);
        assert!(e.to_string().ends_with(message), "{e}");
    }
}

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("a"),
        Just("b"),
        Just(".."),
        Just("."),
        Just(".wh.a"),
        Just(".wh..wh..opq"),
        Just(".wh.."),
        Just(".wh.")
    ];
    (prop::bool::weighted(0.1), prop::collection::vec(part, 1..5))
        .prop_map(|(slash, parts)| format!("{}{}", if slash { "/" } else { "" }, parts.join("/")))
}

fn entry() -> impl Strategy<Value = (EntryType, String, String)> {
    let kind = prop_oneof![Just(FILE), Just(DIR), Just(LINK), Just(HARD), Just(EntryType::Fifo)];
    let target = prop_oneof![name(), name().prop_map(|n| format!("/{n}")), Just("../outer/a".to_owned())];
    (kind, name(), target)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_is_ever_written_outside(layers in prop::collection::vec(prop::collection::vec(entry(), 1..8), 1..3)) {
        let layers: Vec<Vec<u8>> = layers
            .iter()
            .map(|l| layer(&l.iter().map(|(k, n, t)| (*k, n.as_str(), t.as_str())).collect::<Vec<_>>()))
            .collect();
        let (dir, image, root) = image(&layers);
        let _ = unpack(&image, &root);
        let outer = root.parent().unwrap();
        let mut beside: Vec<_> = fs::read_dir(outer).unwrap().map(|e| e.unwrap().file_name()).collect();
        beside.sort();
        prop_assert_eq!(beside, ["a", "root"]);
        prop_assert_eq!(fs::read_to_string(outer.join("a")).unwrap(), "untouched");
        prop_assert_eq!(fs::read_dir(dir.path()).unwrap().count(), layers.len() + 1);
        // A hard link to a file outside would change it by a later write.
        prop_assert_eq!(std::os::unix::fs::MetadataExt::nlink(&fs::metadata(outer.join("a")).unwrap()), 1);
    }
}
