//! Node images for real: fetched, unpacked and cached. Needs root and the package archive.

use podferry::component::{
    Cache, ComponentError, Fault, NodeImage, NodeImageSpec, Override, Progress, node_image, refresh_node_image,
    resolve, sweep_unfinished,
};
use podferry::ledger::{Claim, Ledger, UNFINISHED_IMAGE, dead_in};
use podferry::record::RunId;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn say(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
    fn update(&self, line: &str) {
        self.say(&format!("~ {line}"));
    }
}

impl Told {
    fn has(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

/// The shortest list that makes an image: 20 packages, some seconds.
fn small(dir: &Path, more: &str) -> NodeImageSpec {
    let file = dir.join("small.packages");
    let list =
        format!("# small\nsuite = sid\n?exact-name(runc)\nbase-files\nbase-passwd\nlibc-bin\nbusybox-static\n{more}\n");
    fs::write(&file, list).unwrap();
    NodeImageSpec::named(file.to_str().unwrap()).unwrap()
}

fn images(cache: &Cache) -> Vec<String> {
    let Ok(entries) = fs::read_dir(cache.dir().join("images")) else { return Vec::new() };
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn an_image_is_made_once_and_says_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let spec = small(dir.path(), "");
    let ledger = Arc::new(Ledger::open_in(&dir.path().join("runs"), &RunId("r".into())).unwrap());
    let cache = Cache::at(dir.path().join("cache")).with_ledger(ledger.clone());

    // Two at once: one makes it, the other waits and has it from the cache.
    let (told, told_too) = (Told::default(), Told::default());
    let both = tokio::join!(node_image(&spec, &cache, &told), node_image(&spec, &cache, &told_too));
    let (first, second) = (both.0.unwrap(), both.1.unwrap());
    assert!(first.built && !second.built);
    assert!(told.has("node image small: fetching and unpacking "), "{told:?}", told = told.0.lock().unwrap());
    assert!(told.has("~ node image small: fetching packages, 3 of "));
    assert!(told_too.has("another run is making it"));
    assert!(ledger.claims().unwrap().is_empty());

    let rootfs = &first.rootfs;
    assert!(fs::read_to_string(rootfs.join("etc/passwd")).unwrap().starts_with("root:"));
    assert!(fs::read_link(rootfs.join("bin")).unwrap() == Path::new("usr/bin"));
    assert!(rootfs.join("etc/ld.so.cache").is_file());
    assert!(first.packages["busybox-static"].contains(':'), "an epoch: {:?}", first.packages);
    let runc = &first.components[0];
    assert_eq!((first.components.len(), runc.name.as_str()), (1, "runc"));
    assert!(first.packages["runc"].starts_with(&runc.version), "{runc:?}");
    assert_eq!(runc.source, format!("package runc {} (sid)", first.packages["runc"]));
    assert!(runc.digest.starts_with("sha256:"));

    let from = Instant::now();
    let again = node_image(&spec, &cache, &()).await.unwrap();
    let took = from.elapsed();
    assert!(!again.built && took < Duration::from_millis(50), "{took:?}");
    assert_eq!((&again.key, &again.packages, &again.components), (&first.key, &first.packages, &first.components));

    overrides_are_tried_in_the_image(&again, dir.path()).await;
    refreshing_keeps_what_is_in_use(&spec, &cache, first, vec![second, again]).await;
}

async fn overrides_are_tried_in_the_image(image: &NodeImage, dir: &Path) {
    let own = dir.join("my-runc");
    fs::copy(image.rootfs.join("usr/sbin/runc"), &own).unwrap();
    let told = Told::default();
    let given: Override = format!("runc={}", own.display()).parse().unwrap();
    let resolved = resolve(&[given], image, &told).await.unwrap();
    assert_eq!(resolved[0].record.version, image.components[0].version);
    assert_eq!(resolved[0].record.digest, image.components[0].digest);
    assert_eq!(resolved[0].record.source, format!("path {}", own.display()));
    assert_eq!((&resolved[0].bind.host, &resolved[0].bind.inside), (&own, &PathBuf::from("/usr/sbin/runc")));
    assert!(told.has(&format!("from {}", own.display())));

    // One that the image has not at all, and still has not when it was tried.
    let given: Override = format!("crio={}", own.display()).parse().unwrap();
    let resolved = resolve(&[given], image, &()).await.unwrap();
    assert_eq!((resolved[0].record.name.as_str(), &resolved[0].record.version), ("crio", &image.components[0].version));
    assert!(!image.rootfs.join("usr/bin/crio").exists() && !image.rootfs.join("tmp/crio").exists());

    // A program of the host whose libraries the image lacks: bash needs libtinfo.
    let needy = dir.join("needy");
    fs::copy("/bin/bash", &needy).unwrap();
    let given: Override = format!("runc={}", needy.display()).parse().unwrap();
    let error = resolve(&[given], image, &()).await.unwrap_err();
    assert!(error.to_string().contains("does not run in the node image"), "{error}");
    assert!(error.to_string().contains("libtinfo"), "{error}");
    assert!(error.hint().unwrap().contains("link it statically"));
}

async fn refreshing_keeps_what_is_in_use(
    spec: &NodeImageSpec,
    cache: &Cache,
    first: NodeImage,
    others: Vec<NodeImage>,
) {
    let old = first.rootfs.parent().unwrap().to_owned();
    let marker = old.join("rootfs/marker");
    fs::write(&marker, "").unwrap();
    let anew = refresh_node_image(spec, cache, &()).await.unwrap();
    assert!(anew.built);
    assert_eq!(anew.key, first.key, "the same packages");
    assert!(!anew.rootfs.join("marker").exists(), "it was made anew");
    assert_eq!(images(cache).len(), 2, "the old one is in use: {:?}", images(cache));
    drop((first, others));
    let last = refresh_node_image(spec, cache, &()).await.unwrap();
    assert_eq!(images(cache).iter().filter(|n| **n == last.key).count(), 1);
    assert_eq!(images(cache).len(), 2, "only the one in use is kept: {:?}", images(cache));
    drop(anew);
}

#[tokio::test]
async fn a_suite_that_is_not_there_is_named_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let spec = NodeImageSpec::named("nosuchsuite").unwrap();
    let error = node_image(&spec, &cache, &()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("can't make the node image nosuchsuite: the default mirror has no suite nosuchsuite"),
        "{text}"
    );
    assert!(text.contains("\n  | E: "), "{text}");
    assert_eq!(error.fault(), Fault::Surroundings);
    assert_eq!(images(&cache), Vec::<String>::new());
}

#[tokio::test]
async fn a_mirror_that_is_not_reached_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = small(dir.path(), "mirror = http://127.0.0.1:9/debian");
    let from = Instant::now();
    let error = node_image(&spec, &Cache::at(dir.path().join("cache")), &()).await.unwrap_err();
    assert!(error.to_string().contains("http://127.0.0.1:9/debian is not reached"), "{error}");
    assert!(from.elapsed() < Duration::from_secs(60), "{:?}", from.elapsed());
}

#[tokio::test]
async fn a_package_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = small(dir.path(), "no-such-package");
    let error = node_image(&spec, &Cache::at(dir.path().join("cache")), &()).await.unwrap_err();
    assert!(error.to_string().contains("the suite sid has no package no-such-package"), "{error}");
}

#[tokio::test]
async fn a_list_without_the_base_is_told_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bare.packages");
    fs::write(&file, "suite = sid\nbusybox-static\n").unwrap();
    let spec = NodeImageSpec::named(file.to_str().unwrap()).unwrap();
    let error = node_image(&spec, &Cache::at(dir.path().join("cache")), &()).await.unwrap_err();
    assert!(matches!(error, ComponentError::Build { .. }), "{error}");
    assert!(error.to_string().contains("its packages bring no /usr/share/base-passwd/passwd.master"), "{error}");
    assert!(error.hint().unwrap().contains("?essential"));
}

const CHILD: &str = "PODFERRY_TEST_COMPONENT_CHILD";

/// Not a test of its own: the run that `a_run_killed_with_sigkill_leaves_what_the_next_one_sweeps` kills. Without the
/// variable it has nothing to do.
#[tokio::test]
async fn child_that_makes_an_image() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let ledger = Ledger::open_in(&dir.join("runs"), &RunId("killed".into())).unwrap();
    let cache = Cache::at(dir.join("cache")).with_ledger(Arc::new(ledger));
    node_image(&small(&dir, ""), &cache, &Printed).await.unwrap();
}

struct Printed;

impl Progress for Printed {
    #[expect(clippy::print_stdout, reason = "read by the parent")]
    fn say(&self, line: &str) {
        println!("\n{line}");
    }
    fn update(&self, line: &str) {
        self.say(line);
    }
}

/// Processes that have the folder in their command line.
fn busy_with(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
    lines.map(|l| String::from_utf8_lossy(&l).replace('\0', " ")).filter(|l| l.contains(dir)).collect()
}

#[tokio::test]
async fn a_run_killed_with_sigkill_leaves_what_the_next_one_sweeps() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_makes_an_image", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert!(out.lines().any(|l| l.unwrap().contains("fetching packages, 2 of ")));
    assert!(busy_with(dir.path()).iter().any(|l| l.contains("mmdebstrap")), "{:?}", busy_with(dir.path()));
    child.kill().unwrap();
    child.wait().unwrap();
    let from = Instant::now();
    while !busy_with(dir.path()).is_empty() {
        assert!(from.elapsed() < Duration::from_secs(5), "still there: {:?}", busy_with(dir.path()));
        std::thread::sleep(Duration::from_millis(2));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(dir.path().to_str().unwrap()));

    let cache = Cache::at(dir.path().join("cache"));
    let run = dead_in(&dir.path().join("runs")).unwrap().pop().unwrap();
    assert_eq!((run.claims.len(), run.claims[0].kind.as_str()), (1, UNFINISHED_IMAGE));
    assert_eq!(images(&cache).len(), 1);
    let sweep = |c: &Claim| sweep_unfinished(Path::new(&c.name)).map_err(|e| e.to_string());
    assert!(run.sweep(sweep).unwrap().is_empty());
    assert_eq!(images(&cache), Vec::<String>::new());
}

#[tokio::test]
async fn given_up_half_way_it_leaves_nothing_and_the_next_one_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let spec = small(dir.path(), "");
    let runs = dir.path().join("runs");
    let ledger = Arc::new(Ledger::open_in(&runs, &RunId("r".into())).unwrap());
    let cache = Cache::at(dir.path().join("cache")).with_ledger(ledger.clone());
    let told = Told::default();
    let making = node_image(&spec, &cache, &told);
    let begun = async {
        while !told.has("fetching packages, 2 of ") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        done = making => panic!("done already: {done:?}"),
        () = begun => {}
    }
    assert_eq!(images(&cache), Vec::<String>::new());
    drop(cache);
    assert!(Arc::into_inner(ledger).unwrap().close().unwrap().is_empty());
    assert!(dead_in(&runs).unwrap().is_empty());

    // What a killed run leaves is there though: made by hand, with a file that only root may remove.
    let cache = Cache::at(dir.path().join("cache"));
    let spec_key = fs::read_dir(cache.dir().join("locks")).unwrap().next().unwrap().unwrap().file_name();
    let left = cache.dir().join("images").join(format!(".unfinished-{}", spec_key.to_str().unwrap()));
    fs::create_dir_all(left.join("rootfs/etc")).unwrap();
    fs::set_permissions(left.join("rootfs/etc"), fs::Permissions::from_mode(0o500)).unwrap();
    let told = Told::default();
    let image = node_image(&spec, &cache, &told).await.unwrap();
    assert!(image.built && told.has("removing what an interrupted run had begun"));
    assert!(!left.exists() && image.rootfs.join("etc/passwd").is_file());
}
