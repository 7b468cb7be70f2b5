use super::import;
use crate::image::Store;
use crate::image::store::digest_of;
use crate::image::unpack::tests::layer;
use crate::record::ErrorClass;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use tar::EntryType;
use tempfile::{TempDir, tempdir};

const FILE: EntryType = EntryType::Regular;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn pack(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|l| digest_of(l)).collect();
    let arch = crate::image::architecture();
    let settings = json!({"Entrypoint": ["/bin/x"], "Cmd": ["-v"], "Env": ["A=b"], "WorkingDir": "/srv"});
    json!({"architecture": arch, "os": "linux", "config": settings, "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
        .into_bytes()
}

fn blob(bytes: &[u8]) -> (String, Vec<u8>) {
    (format!("blobs/sha256/{}", &digest_of(bytes)[7..]), bytes.to_vec())
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest_of(bytes), "size": bytes.len()})
}

/// An OCI layout of one layer, as it is stored and as it is decompressed.
fn layout(kind: &str, stored: &[u8], plain: &[u8]) -> Vec<(String, Vec<u8>)> {
    let config = config(&[plain]);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor(kind, stored)],
    })
    .to_string()
    .into_bytes();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", &manifest)],
    });
    vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        blob(&config),
        blob(&manifest),
        blob(stored),
    ]
}

fn saved(plain: &[u8]) -> Vec<(String, Vec<u8>)> {
    let list = json!([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]);
    vec![
        ("c.json".to_owned(), config(&[plain])),
        ("l/layer.tar".to_owned(), plain.to_vec()),
        ("manifest.json".to_owned(), list.to_string().into_bytes()),
    ]
}

struct Place {
    _dir: TempDir,
    store: Store,
    archive: PathBuf,
}

fn place(bytes: &[u8]) -> Place {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let archive = dir.path().join("My App.tar.gz");
    fs::write(&archive, bytes).unwrap();
    Place { _dir: dir, store, archive }
}

fn failure(bytes: &[u8]) -> (ErrorClass, String) {
    let p = place(bytes);
    let e = import(&p.store, &p.archive).unwrap_err();
    let text = e.to_string();
    let prefix = format!("{}: ", p.archive.display());
    (e.class(), text.strip_prefix(&prefix).unwrap_or_else(|| panic!("{text} does not begin with the file")).to_owned())
}

fn plain() -> Vec<u8> {
    layer(&[(EntryType::Directory, "bin/", ""), (FILE, "bin/x", "")])
}

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

#[rstest]
#[case::plain(pack(&layout(TAR, &plain(), &plain())))]
#[case::gzip(pack(&layout("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(&plain()), &plain())))]
#[case::zstd(pack(&layout("application/vnd.oci.image.layer.v1.tar+zstd", &zstd(&plain()), &plain())))]
#[case::whole_archive_gzip(gzip(&pack(&layout(TAR, &plain(), &plain()))))]
#[case::whole_archive_zstd(zstd(&pack(&layout(TAR, &plain(), &plain()))))]
#[case::docker_save(pack(&saved(&plain())))]
fn an_image_is_taken_in(#[case] bytes: Vec<u8>) {
    let p = place(&bytes);
    let image = import(&p.store, &p.archive).unwrap();
    assert_eq!(image.entrypoint, ["/bin/x", "-v"]);
    assert_eq!((image.env.as_slice(), image.working_dir.as_str()), (&["A=b".to_owned()][..], "/srv"));
    assert_eq!(fs::read(&image.layers[0]).unwrap(), plain());
    assert!(image.reference.starts_with("localhost:5000/archive/my-app:"), "{}", image.reference);
    assert_eq!(import(&p.store, &p.archive).unwrap(), image);
}

#[test]
fn a_changed_archive_is_read_anew() {
    let p = place(&pack(&saved(&plain())));
    let one = import(&p.store, &p.archive).unwrap();
    fs::write(&p.archive, pack(&saved(&layer(&[(FILE, "y", "")])))).unwrap();
    assert_ne!(import(&p.store, &p.archive).unwrap().digest, one.digest);
}

#[test]
fn broken_archives_are_told_by_file_and_entry() {
    let good = layout(TAR, &plain(), &plain());
    let archive = pack(&good);
    let without =
        |i: usize| pack(&good.iter().enumerate().filter(|(n, _)| *n != i).map(|(_, e)| e.clone()).collect::<Vec<_>>());
    let with = |i: usize, bytes: &[u8]| {
        let mut entries = good.clone();
        entries[i].1 = bytes.to_vec();
        pack(&entries)
    };
    let mut turned = plain();
    turned[600] ^= 1;
    let foreign = saved(&plain())
        .into_iter()
        .map(|(n, b)| (n, String::from_utf8_lossy(&b).replace(crate::image::architecture(), "s390x").into_bytes()))
        .collect::<Vec<_>>();
    let cases = [
        ("empty", Vec::new()),
        ("random", (0..4096u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()),
        ("text", b"hello".to_vec()),
        ("no image", pack(&[("x".to_owned(), b"y".to_vec())])),
        ("cut", archive[..archive.len() - 3000].to_vec()),
        ("cut gzip", gzip(&archive)[..300].to_vec()),
        ("no layer", without(4)),
        ("no config", without(2)),
        ("bad json", with(1, b"{")),
        ("turned bit", with(4, &turned)),
        ("other config", with(2, b"{}")),
        ("media type", pack(&layout("application/vnd.oci.image.layer.v1.tar+encrypted", &plain(), &plain()))),
        ("not what it was", pack(&layout(TAR, &gzip(&turned), &plain()))),
        ("not compressed", pack(&layout(TAR, &gzip(&plain())[..60], &plain()))),
        ("no tar", pack(&saved(b"this is not a tar"))),
        ("other machine", pack(&foreign)),
    ];
    let text: String = cases
        .iter()
        .map(|(name, bytes)| {
            let (class, message) = failure(bytes);
            format!("{name}: [{class}] {message}\n")
        })
        .collect();
    insta::assert_snapshot!(text.replace(crate::image::architecture(), "ARCH"));
}

#[test]
fn escaping_entries_are_refused() {
    let link = EntryType::Symlink;
    let cases: [&[(EntryType, &str, &str)]; 5] = [
        &[(FILE, "../x", "")],
        &[(FILE, "/etc/passwd", "")],
        &[(link, "a", "/etc"), (FILE, "a/passwd", "")],
        &[(link, "a", "b/../.."), (FILE, "a/x", "")],
        &[(EntryType::Link, "a", "../../etc/passwd")],
    ];
    let mut text = String::new();
    for entries in cases {
        let (class, message) = failure(&pack(&saved(&layer(entries))));
        assert_eq!(class, ErrorClass::EscapingEntry);
        text += &format!("{message}\n");
    }
    let mut outer = pack(&saved(&plain()));
    let at = outer.windows(11).position(|w| w == b"l/layer.tar").unwrap();
    outer[at..at + 11].copy_from_slice(b"../ayer.tar");
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&outer[at..at + 512]);
    header.set_cksum();
    outer[at..at + 512].copy_from_slice(header.as_bytes());
    let (class, message) = failure(&outer);
    assert_eq!(class, ErrorClass::EscapingEntry);
    insta::assert_snapshot!(text + &message);
}

proptest! {
    /// Whatever is cut or turned, there is an error or the very same image: never a panic, never another image.
    #[test]
    fn damage_is_found_or_harmless(cut in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(), both in any::<bool>()) {
        let whole = pack(&layout("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(&plain()), &plain()));
        let p = place(&whole);
        let good = import(&p.store, &p.archive).unwrap();
        let mut bytes = whole[..if both { cut.index(whole.len()) } else { whole.len() }].to_vec();
        if !bytes.is_empty() {
            let at = bit.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
        }
        let p = place(&bytes);
        if let Ok(image) = import(&p.store, &p.archive) {
            prop_assert_eq!(image.digest, good.digest);
        }
    }
}
