//! Over synthetic checkpoints with the structure of real ones; real ones are read in the tests on real nodes.

mod arbitrary;

use super::*;
use crate::scenario::plan::Damage;
use prost::Message;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

fn image(heads: &[u32], entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = heads.iter().flat_map(|h| h.to_le_bytes()).collect();
    for entry in entries {
        bytes.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
        bytes.extend(entry);
    }
    bytes
}

const COMMON: u32 = 0x5456_4319;

fn pagemap(id: u32, runs: &[(u32, u64)]) -> Vec<u8> {
    let head = criu::PagemapHead { pages_id: id }.encode_to_vec();
    let entry = |(flags, pages): &(u32, u64)| {
        let (flags, nr_pages) = (Some(*flags), Some(*pages));
        criu::PagemapEntry { vaddr: 0x1000, compat_nr_pages: 0, in_parent: None, flags, nr_pages }.encode_to_vec()
    };
    let entries: Vec<_> = std::iter::once(head).chain(runs.iter().map(entry)).collect();
    image(&[COMMON, 0x5608_4025], &entries)
}

/// A process with two threads and three pages in its pages image; a run of pages in the parent and a lazy one are not
/// there, as their flags say.
pub(super) fn files(form: Form) -> BTreeMap<String, Vec<u8>> {
    let pstree = criu::PstreeEntry { pid: 1, threads: vec![1, 6] }.encode_to_vec();
    let one = || vec![vec![8, 1]];
    let mut rootfs = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_cksum();
    rootfs.append_data(&mut header, "data/new", &b"hello"[..]).unwrap();
    let mut rootfs = rootfs.into_inner().unwrap();
    if [Form::CriArchive, Form::OciArchive].contains(&form) {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&rootfs).unwrap();
        rootfs = gzip.finish().unwrap();
    }
    let pages: Vec<u8> = (0..3 * 4096_u32).map(|i| (i % 251) as u8).collect();
    let mut files = BTreeMap::from([
        ("checkpoint/core-1.img", image(&[COMMON, 0x5505_3847], &one())),
        ("checkpoint/core-6.img", image(&[COMMON, 0x5505_3847], &one())),
        ("checkpoint/descriptors.json", br#"["/dev/null","pipe:[1]","pipe:[2]"]"#.to_vec()),
        ("checkpoint/inventory.img", image(&[0x5831_3116], &one())),
        ("checkpoint/mm-1.img", image(&[COMMON, 0x5749_2820], &one())),
        ("checkpoint/pagemap-1.img", pagemap(1, &[(1, 7), (2, 9), (4, 2), (6, 1)])),
        ("checkpoint/pages-1.img", pages),
        ("checkpoint/pstree.img", image(&[COMMON, 0x5027_3030], &[pstree])),
        ("rootfs-diff.tar", rootfs),
        ("stats-dump", image(&[0x5510_5940, 0x5709_3306], &[stats_entry()])),
    ]);
    match form {
        Form::CriArchive => files.extend(["config.dump", "spec.dump", "status.dump"].map(|n| (n, b"{}".to_vec()))),
        Form::PodmanArchive => files.extend(["config.dump", "spec.dump"].map(|n| (n, b"{}".to_vec()))),
        Form::ImageFolder => files.extend([("meta.json", b"{}".to_vec())]),
        Form::OciArchive => {}
    }
    files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

/// The bytes that criu 4.2.1 wrote for an empty redis.
fn stats_entry() -> Vec<u8> {
    let hex = b"0a23088504109ae20518a61220ae0a28dc06300038db054000480050085808600068007000";
    hex.chunks(2).map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap()).collect()
}

pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, form: Form, files: &BTreeMap<String, Vec<u8>>) -> PathBuf {
        let path = self.path(name);
        match form {
            Form::CriArchive | Form::PodmanArchive => fs::write(&path, tar_of(files)).unwrap(),
            Form::OciArchive => fs::write(&path, tar_of(&oci_of(files))).unwrap(),
            Form::ImageFolder => {
                for (name, bytes) in files {
                    let file = path.join(name);
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, bytes).unwrap();
                }
            }
        }
        path
    }

    /// What is said of a checkpoint, without the place that this test has it in.
    fn error(&self, name: &str, form: Form) -> String {
        match verify(&self.path(name), form) {
            Ok(()) => "whole".into(),
            Err(e) => format!("{}: {e}", e.class()).replace(self.dir.path().to_str().unwrap(), "/X"),
        }
    }
}

fn tar_of(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

/// The layout of `ctr images export`, with names in the place of digests.
fn oci_of(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let images = files.iter().filter_map(|(name, bytes)| Some((name.strip_prefix("checkpoint/")?, bytes)));
    let memory = tar_of(&images.map(|(name, bytes)| (name.to_owned(), bytes.clone())).collect());
    let changes = files.get("rootfs-diff.tar").cloned().unwrap_or_default();
    let blob = |kind: &str, name: &str, size: usize| serde_json::json!({ "mediaType": kind, "digest": format!("sha256:{name}"), "size": size });
    let inner = serde_json::json!({
        "manifests": [
            blob("application/vnd.containerd.container.criu.checkpoint.criu.tar", "memory", memory.len()),
            blob("application/vnd.oci.image.layer.v1.tar+gzip", "changes", changes.len()),
        ],
        "annotations": { "image.name": "localhost:5000/x:1" },
    });
    let mut image = blob("application/vnd.oci.image.index.v1+json", "image", inner.to_string().len());
    image["annotations"] = serde_json::json!({ "io.containerd.image.name": "containerd.io/checkpoint/x:1" });
    let outer = serde_json::json!({ "manifests": [image] });
    let entries = [
        ("blobs/sha256/changes", changes),
        ("blobs/sha256/image", inner.to_string().into_bytes()),
        ("blobs/sha256/memory", memory),
        ("index.json", outer.to_string().into_bytes()),
        ("oci-layout", b"{}".to_vec()),
    ];
    entries.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

#[test]
fn an_image_of_containerd_is_read_and_damaged_like_the_other_forms() {
    let (place, form) = (Place::new(), Form::OciArchive);
    let path = place.write("cp", form, &files(form));
    assert_eq!(Form::of(&path).unwrap(), form);
    verify(&path, form).unwrap();
    let parts = oci_checkpoint(&path).unwrap();
    assert_eq!(
        (parts.name.as_str(), parts.base.as_deref()),
        ("containerd.io/checkpoint/x:1", Some("localhost:5000/x:1"))
    );
    assert_eq!(parts.memory.digest, "sha256:memory");
    let entry = |name: &str| name.to_owned();
    let damages = [
        ("inventory", Damage::DropEntry { entry: entry("checkpoint/inventory.img") }, "inventory.img"),
        ("pages", Damage::CutEntry { entry: entry("checkpoint/pages-1.img"), keep: 4096 }, "pages-1.img"),
        ("changes", Damage::DropEntry { entry: entry("rootfs-diff.tar") }, "blobs/sha256/changes"),
        ("cut", Damage::Truncate { keep: 1600 }, "cut"),
    ];
    for (name, damage, named) in damages {
        tamper(&path, &place.path(name), &damage).unwrap();
        // The archive around it is whole, but where it is cut itself.
        assert_eq!(listing::Listing::outside(&place.path(name)).is_ok(), name != "cut", "{name}");
        let told = place.error(name, Form::of(&place.path(name)).unwrap());
        assert!(told.starts_with("invalid-archive") && told.contains(named), "{name}: {told}");
    }
}

const FORMS: [Form; 3] = [Form::CriArchive, Form::PodmanArchive, Form::ImageFolder];

/// podman leaves out what did not change, so a lack of it is none; what the container was is in every archive.
#[test]
fn an_archive_of_podmans_needs_what_podman_needs() {
    let without = |name: &str| {
        let place = Place::new();
        let mut files = files(Form::PodmanArchive);
        files.remove(name).unwrap();
        place.write("cp", Form::PodmanArchive, &files);
        place.error("cp", Form::PodmanArchive)
    };
    assert_eq!(without("rootfs-diff.tar"), "whole");
    for needed in ["config.dump", "spec.dump", "checkpoint/inventory.img", "checkpoint/pages-1.img"] {
        let said = without(needed);
        assert!(said.contains(needed) && said.contains("it is missing"), "{said}");
    }
}

#[test]
fn a_whole_checkpoint_is_whole_and_listed() {
    for form in FORMS {
        let place = Place::new();
        let path = place.write("cp", form, &files(form));
        verify(&path, form).unwrap();
        let m = manifest(&path).unwrap();
        assert_eq!(m.entries.len(), files(form).len());
        assert_eq!((m.bytes, m.digest.clone()), digest(&path).unwrap());
        assert_eq!(m.entries.iter().find(|e| e.name == "checkpoint/pages-1.img").unwrap().size, 12288);
        let stats = stats(&path).unwrap().unwrap();
        assert_eq!((stats.freezing_us, stats.frozen_us, stats.pages_written), (517, 94490, 731));
    }
}

#[test]
fn a_copy_has_the_digest_of_the_original_and_a_taken_place_is_left_alone() {
    for form in FORMS {
        let place = Place::new();
        let path = place.write("cp", form, &files(form));
        let before = manifest(&path).unwrap();
        let copied = copy(&path, &place.path("copy")).unwrap();
        assert_eq!(copied, before.bytes);
        assert_eq!(manifest(&place.path("copy")).unwrap(), before);
        assert!(copy(&path, &place.path("copy")).is_err());
        assert!(tamper(&path, &place.path("copy"), &Damage::Empty).is_err());
        assert_eq!(manifest(&place.path("copy")).unwrap(), before, "what was there is untouched");
    }
}

/// `/dev/full` gives ENOSPC on every write.
#[test]
fn a_full_device_is_told_apart() {
    let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
    let e = ArchiveError::io("write", Path::new("/shared/cp.tar"), full);
    assert_eq!(e.class(), crate::record::ErrorClass::NoSpace);
    assert_eq!(e.to_string(), "can't write /shared/cp.tar: no space left on the device");
}

#[test]
fn every_damage_is_seen_and_named() {
    let damages: Vec<(&str, Damage)> = vec![
        ("truncated", Damage::Truncate { keep: 5000 }),
        ("empty", Damage::Empty),
        ("random", Damage::Random),
        ("no-inventory", Damage::DropEntry { entry: "checkpoint/inventory.img".into() }),
        ("no-core", Damage::DropEntry { entry: "checkpoint/core-6.img".into() }),
        ("no-pages", Damage::DropEntry { entry: "checkpoint/pages-1.img".into() }),
        ("no-pagemap", Damage::DropEntry { entry: "checkpoint/pagemap-1.img".into() }),
        ("no-rootfs-diff", Damage::DropEntry { entry: "rootfs-diff.tar".into() }),
        ("no-descriptors", Damage::DropEntry { entry: "checkpoint/descriptors.json".into() }),
        ("flipped-rootfs-diff", Damage::FlipBit { entry: Some("rootfs-diff.tar".into()) }),
        ("flipped-pages", Damage::FlipBit { entry: Some("checkpoint/pages-1.img".into()) }),
        ("flipped-header", Damage::FlipBit { entry: None }),
        ("cut-pages", Damage::CutEntry { entry: "checkpoint/pages-*.img".into(), keep: 4096 }),
        ("cut-core", Damage::CutEntry { entry: "checkpoint/core-6.img".into(), keep: 9 }),
        ("no-mm", Damage::DropEntry { entry: "checkpoint/mm-*.img".into() }),
        ("escaping", Damage::EscapingEntry),
        ("escaping-link", Damage::EscapingLink),
    ];
    let mut seen = String::new();
    for form in FORMS {
        let place = Place::new();
        let path = place.write("cp", form, &files(form));
        let before = manifest(&path).unwrap();
        for (name, damage) in &damages {
            tamper(&path, &place.path(name), damage).unwrap();
            seen += &format!("{form:?} {name}\n    {}\n", place.error(name, form));
            let after = digest(&place.path(name)).unwrap();
            assert_ne!(after.1, before.digest, "the digest sees {name}");
        }
        assert_eq!(manifest(&path).unwrap(), before, "the original is untouched");
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn a_damage_that_does_none_is_an_error_and_leaves_nothing() {
    for form in FORMS {
        let place = Place::new();
        let path = place.write("cp", form, &files(form));
        for damage in [
            Damage::Truncate { keep: 1 << 40 },
            Damage::CutEntry { entry: "checkpoint/pages-1.img".into(), keep: 1 << 40 },
            Damage::DropEntry { entry: "checkpoint/none.img".into() },
            Damage::DropEntry { entry: "checkpoint/none-*.img".into() },
            Damage::FlipBit { entry: Some("checkpoint/none.img".into()) },
        ] {
            assert!(tamper(&path, &place.path("out"), &damage).is_err());
            assert!(!place.path("out").exists(), "{damage:?}");
        }
    }
}

type Change<'a> = &'a dyn Fn(&mut BTreeMap<String, Vec<u8>>);

#[test]
fn what_is_wrong_is_named() {
    let place = Place::new();
    let mut seen = String::new();
    let mut case = |name: &str, form: Form, change: Change<'_>| {
        let mut files = files(form);
        change(&mut files);
        place.write(name, form, &files);
        seen += &format!("{name}\n    {}\n", place.error(name, form));
    };
    let folder = Form::ImageFolder;
    case("cut-pages", folder, &|f| f.get_mut("checkpoint/pages-1.img").unwrap().truncate(4096));
    case("long-pages", folder, &|f| f.get_mut("checkpoint/pages-1.img").unwrap().push(0));
    case("stray-pages", folder, &|f| drop(f.insert("checkpoint/pages-2.img".into(), vec![0; 4096])));
    case("cut-core", folder, &|f| {
        f.get_mut("checkpoint/core-1.img").unwrap().pop();
    });
    case("cut-pagemap", folder, &|f| {
        f.get_mut("checkpoint/pagemap-1.img").unwrap().pop();
    });
    case("empty-pstree", folder, &|f| f.get_mut("checkpoint/pstree.img").unwrap().clear());
    case("huge-counts", folder, &|f| {
        f.insert("checkpoint/pagemap-1.img".into(), pagemap(1, &[(4, u64::MAX), (4, 2)]));
    });
    case("huge-bytes", folder, &|f| drop(f.insert("checkpoint/pagemap-1.img".into(), pagemap(1, &[(4, u64::MAX)]))));
    case("no-mm", folder, &|f| drop(f.remove("checkpoint/mm-1.img")));
    case("broken-meta", folder, &|f| drop(f.insert("meta.json".into(), b"{".to_vec())));
    case("cut-rootfs-diff", folder, &|f| f.get_mut("rootfs-diff.tar").unwrap().truncate(1024));
    case("cut-rootfs-gzip", Form::CriArchive, &|f| {
        f.get_mut("rootfs-diff.tar").unwrap().pop();
    });
    case("broken-config", Form::CriArchive, &|f| drop(f.insert("config.dump".into(), b"x".to_vec())));
    seen += &format!("absent\n    {}\n", place.error("absent", folder));
    seen += &format!("folder for archive\n    {}\n", place.error("cut-core", Form::CriArchive));
    insta::assert_snapshot!(seen);
}

#[test]
fn changes_of_the_root_may_lack_only_where_the_checkpoint_says_so() {
    let place = Place::new();
    let without = |meta: &str| {
        let mut files = files(Form::ImageFolder);
        files.remove("rootfs-diff.tar");
        files.insert("meta.json".into(), meta.into());
        place.write("cp", Form::ImageFolder, &files);
        place.error("cp", Form::ImageFolder)
    };
    assert_eq!(without(r#"{"root_changes": false}"#), "whole");
    for meta in [r#"{"root_changes": true}"#, "{}"] {
        assert!(without(meta).contains("`rootfs-diff.tar`: it is missing"), "{}", without(meta));
    }
}

/// containerd 2.1 writes over an older archive without truncating it.
#[test]
fn what_is_left_of_an_older_archive_is_seen() {
    let place = Place::new();
    let mut bytes = tar_of(&files(Form::CriArchive));
    bytes.extend([0; 4096]);
    fs::write(place.path("padded"), &bytes).unwrap();
    assert_eq!(place.error("padded", Form::CriArchive), "whole", "zeros are padding");
    bytes.extend(b"old");
    fs::write(place.path("old"), &bytes).unwrap();
    assert!(place.error("old", Form::CriArchive).contains("something follows at byte"));
}

#[test]
fn names_and_links_that_lead_out_are_refused() {
    let add = |name: &str, kind: tar::EntryType, target: &str| {
        let mut bytes = tar_of(&files(Form::CriArchive));
        bytes.truncate(bytes.len() - 1024);
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_entry_type(kind);
        if !target.is_empty() {
            header.set_link_name_literal(target).unwrap();
        }
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 1024]);
        bytes
    };
    use tar::EntryType as T;
    let place = Place::new();
    let judge = |name: &str, kind: T, target: &str| {
        fs::write(place.path("cp"), add(name, kind, target)).unwrap();
        verify(&place.path("cp"), Form::CriArchive).map_err(|e| e.class().name())
    };
    for (name, kind, target) in [
        ("/etc/passwd", T::Regular, ""),
        ("../x", T::Regular, ""),
        ("a/../../x", T::Regular, ""),
        ("../x", T::Directory, ""),
        ("/x", T::Directory, ""),
        ("link", T::Symlink, "/etc"),
        ("link", T::Symlink, ".."),
        ("a/link", T::Symlink, "../../x"),
        ("link", T::Link, "../x"),
        ("../fifo", T::Fifo, ""),
    ] {
        assert_eq!(judge(name, kind, target), Err("escaping-entry"), "{name} {kind:?} {target}");
    }
    assert_eq!(judge("a/link", T::Symlink, "../x"), Ok(()));
    assert_eq!(judge("a/../b", T::Regular, ""), Ok(()));
    assert_eq!(judge("fifo", T::Fifo, ""), Err("invalid-archive"));
    assert_eq!(judge("stats-dump", T::Regular, ""), Err("invalid-archive"), "a name that is there twice");
}

/// Images of criu older than 4.0 count in the 32-bit field, those older than 2.0 have no flags.
#[test]
fn older_pagemaps_are_counted_alike() {
    let entry = |flags, in_parent| {
        criu::PagemapEntry { vaddr: 0, compat_nr_pages: 5, in_parent, flags, nr_pages: None }.encode_to_vec()
    };
    let head = criu::PagemapHead { pages_id: 3 }.encode_to_vec();
    let entries = [head, entry(None, None), entry(None, Some(true)), entry(Some(4), None), entry(Some(2), None)];
    assert_eq!(criu::pagemap(&image(&[COMMON, 0x5608_4025], &entries)), Ok((3, 10)));
}
