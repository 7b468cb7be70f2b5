use super::{Layer, clean};
use crate::image::Store;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::tempdir;

fn names(layer: &Layer, store: &Store) -> Vec<String> {
    let blob = layer.write(store).unwrap();
    let mut tar = tar::Archive::new(fs::File::open(store.blob(&blob.digest).unwrap()).unwrap());
    tar.entries()
        .unwrap()
        .map(|e| {
            let e = e.unwrap();
            let link = e.link_name().unwrap().map(|l| format!(" -> {}", l.display())).unwrap_or_default();
            format!("{}{link} {:o}", e.path().unwrap().display(), e.header().mode().unwrap())
        })
        .collect()
}

#[test]
fn links_on_the_way_to_a_file_come_with_it() {
    let (dir, root) = (tempdir().unwrap(), tempdir().unwrap());
    let store = Store::open(dir.path()).unwrap();
    fs::create_dir_all(root.path().join("usr/lib64")).unwrap();
    symlink("usr/lib64", root.path().join("lib64")).unwrap();
    fs::write(root.path().join("usr/lib64/ld-2.so"), "x").unwrap();
    symlink("/usr/lib64/ld-2.so", root.path().join("usr/lib64/ld.so")).unwrap();
    let mut layer = Layer::default();
    assert!(layer.take_from(root.path(), "/lib64/ld.so").unwrap());
    assert_eq!(
        names(&layer, &store),
        [
            "lib64 -> usr/lib64 777",
            "usr/ 755",
            "usr/lib64/ 755",
            "usr/lib64/ld-2.so 644",
            "usr/lib64/ld.so -> /usr/lib64/ld-2.so 777"
        ]
    );
}

#[test]
fn a_missing_file_is_told_and_a_loop_is_an_error() {
    let root = tempdir().unwrap();
    let mut layer = Layer::default();
    assert!(!layer.take_from(root.path(), "/a/b").unwrap());
    symlink("l", root.path().join("l")).unwrap();
    let e = layer.take_from(root.path(), "/l").unwrap_err();
    assert!(e.to_string().ends_with("`/l` is a loop of links"), "{e}");
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let (dir, root) = (tempdir().unwrap(), tempdir().unwrap());
    let store = Store::open(dir.path()).unwrap();
    fs::write(root.path().join("f"), "hello").unwrap();
    let long = format!("etc/{}/file", "d".repeat(150));
    let digest = |swap: bool| {
        let mut layer = Layer::default();
        let steps: [&dyn Fn(&mut Layer); 3] =
            [&|l| l.text(&long, "x", 0o644), &|l| assert!(l.take_from(root.path(), "f").unwrap()), &|l| {
                l.link("l", "f")
            }];
        if swap {
            steps.iter().rev().for_each(|s| s(&mut layer))
        } else {
            steps.iter().for_each(|s| s(&mut layer))
        }
        layer.write(&store).unwrap().digest
    };
    let first = digest(false);
    fs::File::options().write(true).open(root.path().join("f")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(first, digest(true));
}

proptest! {
    #[test]
    fn cleaned_paths_stay_below_the_root(base in "(/[a-c.]{1,2}){0,3}", path in "/?([a-c.]{1,2}/){0,5}") {
        let out = clean(Path::new(&format!("/{base}")), Path::new(&path));
        prop_assert!(out.starts_with("/"));
        prop_assert!(!out.components().any(|c| c == std::path::Component::ParentDir));
        prop_assert_eq!(clean(Path::new("/"), &out), out);
    }
}
