//! Images of the user's own: good ones migrate, broken ones are told of and harm no other case.

use super::machine::Place;
use super::node_image::rootfs;
use super::{QUICK, case, json, run};
use podferry::image::{Image, ImageSpec, NodeRoot, Store, WorkloadBinaries, build};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;

/// An image in a store of its own.
pub(super) struct Made {
    store: Store,
    image: Image,
    _dir: tempfile::TempDir,
}

/// The counter, started as its image says, or by a script.
pub(super) fn image(name: &str, script: Option<&str>) -> Made {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path()).expect("a store");
    let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut spec = ImageSpec {
        repository: format!("mine/{name}"),
        binaries: vec![("usr/bin/counter".to_owned(), "counter".to_owned())],
        env: own(&["PATH=/usr/bin:/bin"]),
        entrypoint: own(&["/usr/bin/counter", "--port", "7000", "--interval-ms", "10", "--journal", "none"]),
        ..ImageSpec::default()
    };
    if let Some(script) = script {
        spec.files.push("/usr/bin/busybox".to_owned());
        spec.links.push(("bin".to_owned(), "usr/bin".to_owned()));
        spec.links.extend(["sh", "cat", "sleep"].map(|a| (format!("usr/bin/{a}"), "busybox".to_owned())));
        spec.texts.push(("start".to_owned(), script.to_owned(), 0o755));
        spec.entrypoint = own(&["/bin/sh", "/start"]);
    }
    let root = rootfs();
    let root = NodeRoot { dir: &root, key: "test" };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let image = runtime.block_on(build(&store, root, &WorkloadBinaries::find(), &spec)).expect("an image");
    Made { store, image, _dir: dir }
}

/// How an archive is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Oci,
    Docker,
}

/// Writes an image as one archive, by what the specifications say of each form.
pub(super) fn save(made: &Made, form: Form, path: &Path) {
    let blob = |digest: &str| fs::read(made.store.blob(digest).expect("a blob")).expect("read");
    let manifest = blob(&made.image.digest);
    let parsed: Value = serde_json::from_slice(&manifest).expect("a manifest");
    let digest = |v: &Value| v["digest"].as_str().expect("a digest").to_owned();
    let config = digest(&parsed["config"]);
    let layers: Vec<String> = parsed["layers"].as_array().expect("layers").iter().map(digest).collect();
    let mut tar = tar::Builder::new(fs::File::create(path).expect("a file"));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).expect("appended");
    };
    match form {
        Form::Oci => {
            let file = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
            add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
            let media = "application/vnd.oci.image.manifest.v1+json";
            let entry = json!({"mediaType": media, "digest": made.image.digest, "size": manifest.len()});
            add("index.json", json!({"schemaVersion": 2, "manifests": [entry]}).to_string().as_bytes());
            add(&file(&made.image.digest), &manifest);
            for digest in layers.iter().chain([&config]) {
                add(&file(digest), &blob(digest));
            }
        }
        Form::Docker => {
            let names: Vec<String> = (0..layers.len()).map(|i| format!("{i}/layer.tar")).collect();
            let entry = json!([{"Config": "config.json", "RepoTags": ["mine:latest"], "Layers": names}]);
            add("manifest.json", entry.to_string().as_bytes());
            add("config.json", &blob(&config));
            for (name, digest) in names.iter().zip(&layers) {
                add(name, &blob(digest));
            }
        }
    }
    tar.into_inner().and_then(|mut f| f.flush()).expect("written");
}

fn migrates(archive: &str) -> String {
    format!(
        "  workloads: {{mine: {{use: archive, with: {{archive: {archive}, port: 7000, probe: counter}}}}}}
  clients:
    reader: {{kind: counter-reader, target: mine, rate: 500/s, opTimeout: 1s}}
  steps:
    - deploy: {{workload: mine, node: a}}
    - client: {{start: reader}}
    - wait: {{answers: {{client: reader, count: 50}}}}
    - capture: {{of: mine, as: before}}
    - migrate: {{of: mine, to: b, as: moved}}
    - wait: {{answers: {{client: reader, count: 50}}}}
  checks:
    - sameProcess: {{of: moved, asOf: before}}
    - counter: {{of: moved, resumesFrom: before, tolerance: 5}}
    - exclusive: {{between: [mine, moved]}}
"
    )
}

#[test]
fn an_archive_of_the_users_own_migrates() {
    let place = Place::new();
    let made = image("counter", None);
    save(&made, Form::Oci, &place.path("mine-oci.tar"));
    save(&made, Form::Docker, &place.path("mine-docker.tar"));
    let (oci, docker) = (migrates("mine-oci.tar"), migrates("mine-docker.tar"));
    run(&place, &[("oci", &oci), ("docker", &docker)], &["--engine", "cri,runc"]).exits(0);
    assert_eq!(json(&place)["counts"]["passed"], 4);
}

/// An archive with one entry that leads out of the image.
fn escaping(path: &Path) {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    // The crate would not write such a name by itself.
    header.as_mut_bytes()[..15].copy_from_slice(b"../../etc/owned");
    header.set_cksum();
    layer.append(&header, &b"x"[..]).expect("appended");
    let layer = layer.into_inner().expect("a layer");
    let diff = sha256(&layer);
    let config = json!({"architecture": arch(), "os": "linux", "config": {"Entrypoint": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff}")]}});
    let mut tar = tar::Builder::new(fs::File::create(path).expect("a file"));
    let manifest = json!([{"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"]}]).to_string();
    let config = config.to_string();
    for (name, bytes) in
        [("manifest.json", manifest.as_bytes()), ("config.json", config.as_bytes()), ("layer.tar", &layer)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).expect("appended");
    }
    tar.finish().expect("written");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

#[test]
fn a_broken_image_is_named_and_the_other_cases_run() {
    let place = Place::new();
    save(&image("counter", None), Form::Oci, &place.path("whole.tar"));
    let whole = fs::read(place.path("whole.tar")).expect("read");
    fs::write(place.path("cut.tar"), &whole[..whole.len() / 2]).expect("written");
    let noise: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(place.path("noise.tar"), noise).expect("written");
    escaping(&place.path("escaping.tar"));
    let spec = |archive: &str| {
        format!(
            "  workloads: {{mine: {{use: archive, with: {{archive: {archive}, port: 7000}}}}}}
  steps:
    - deploy: {{workload: mine}}
  checks:
    - instance: {{of: mine, state: running}}
"
        )
    };
    let broken = ["noise", "cut", "escaping"].map(|name| (name, spec(&format!("{name}.tar"))));
    let mut scenarios: Vec<(&str, &str)> = broken.iter().map(|(n, s)| (*n, s.as_str())).collect();
    scenarios.push(("quick", QUICK));
    let absent = run(&place, &[("absent", &spec("absent.tar"))], &["--engine", "runc"]);
    let looked = place.path("absent.tar").display().to_string();
    absent.exits(3);
    for words in ["there is no file `absent.tar`", "absent.yaml:", &looked] {
        assert!(absent.err.replace("\n        ", "").contains(words), "`{words}` is not said: {}", absent.err);
    }
    let ended = run(&place, &scenarios, &["--engine", "runc"]);
    ended.exits(20);
    let run = json(&place);
    for (name, words) in
        [("noise", "tar"), ("cut", "is cut within"), ("escaping", "`../../etc/owned` leads out of the root by `..`")]
    {
        let (outcome, reason) = case(&run, name);
        assert_eq!(outcome, "errored", "{name}: {reason}");
        assert!(reason.contains(words) && reason.contains(&format!("{name}.tar")), "{name}: {reason}");
        assert!(ended.out.contains(&reason), "{}", ended.out);
    }
    assert_eq!(case(&run, "quick").0, "passed");
}

#[test]
fn a_program_that_ends_at_once_is_told_with_its_last_words_and_not_waited_for() {
    let place = Place::new();
    let made = image("brief", Some("echo the configuration is missing; exit 3\n"));
    save(&made, Form::Oci, &place.path("brief.tar"));
    let spec = "  workloads: {mine: {use: archive, with: {archive: brief.tar, port: 7000}}}
  steps:
    - deploy: {workload: mine}
  checks:
    - instance: {of: mine, state: running}
";
    let before = std::time::Instant::now();
    let ended = run(&place, &[("brief", spec)], &["--engine", "cri,runc"]);
    ended.exits(10);
    assert!(before.elapsed() < std::time::Duration::from_secs(20), "it was waited for: {:?}", before.elapsed());
    for words in ["before it answered", "the configuration is missing", "not-running"] {
        assert!(ended.out.matches(words).count() >= 2, "`{words}` is not said of both: {}", ended.out);
    }
}
