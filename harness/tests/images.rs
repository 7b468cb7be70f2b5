//! The catalogue's images and probes on the real programs: each image is made from a node image, unpacked, and run in
//! namespaces of its own at its own port. Needs root, and the workloads (`PODFERRY_WORKLOADS` names their folder).

#![expect(clippy::print_stdout, reason = "the times are for who runs the test")]

mod node_image;

use node_image::rootfs;
use podferry::client::Vantage;
use podferry::image::{Image, NodeRoot, Store, WorkloadBinaries, unpack};
use podferry::process::{Exec, HostProgram};
use podferry::record::SelfReport;
use podferry::workload::{Target, Workload, pause};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::{TempDir, tempdir};

const LIMIT: Duration = Duration::from_secs(20);

/// Goes on inside its own network, process and mount namespaces, and ends with the harness's handle on it.
const SANDBOX: &str = r#"set -e
chroot "$1" ip link set lo up
mount -t proc proc "$2/proc"
mount --bind /dev "$2/dev"
shift 2
exec env -i "$@"
"#;

struct Bed {
    dir: TempDir,
    store: Store,
    workload: Workload,
    image: Image,
}

struct Running {
    _program: HostProgram,
    target: Target,
}

async fn bed(kind: &str, with: &[(&str, &str)]) -> Bed {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let with: BTreeMap<String, String> = with.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let workload = Workload::new(kind, &with).unwrap();
    let image = make(&workload, &store).await;
    unpack(&image, &dir.path().join("root")).unwrap();
    Bed { dir, store, workload, image }
}

async fn make(workload: &Workload, store: &Store) -> Image {
    let rootfs = rootfs();
    let root = NodeRoot { dir: &rootfs, key: "test" };
    workload.image(store, root, &WorkloadBinaries::find()).await.unwrap()
}

impl Bed {
    /// A cold start.
    async fn start(&self) -> Running {
        let log = self.dir.path().join("log");
        let exec = Exec::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SANDBOX, "sh"])
            .arg(rootfs())
            .arg(self.dir.path().join("root"))
            .args(&self.image.env)
            .arg("chroot")
            .arg(self.dir.path().join("root"))
            .args(&self.workload.args);
        let err = File::create(self.dir.path().join("err")).unwrap();
        let program = exec.spawn(File::create(&log).unwrap().into(), err.into()).unwrap();
        let network = PathBuf::from(format!("/proc/{}/ns/net", program.pid().unwrap()));
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let end = Instant::now() + LIMIT;
        while fs::read_link(&network).unwrap() == own {
            assert!(Instant::now() < end, "it stayed in our network");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let vantage: Vantage = Arc::new(move || {
            nix::sched::setns(File::open(&network)?, nix::sched::CloneFlags::CLONE_NEWNET).map_err(Into::into)
        });
        Running {
            _program: program,
            target: Target { connect: Arc::new(vantage), address: [127, 0, 0, 1].into(), log },
        }
    }

    fn told(&self, e: podferry::workload::ProbeError) -> ! {
        panic!("{}: {}", podferry::record::Failure::from(e).message, self.errors())
    }

    fn errors(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        read("log") + &read("err")
    }

    /// Starts it, fills it, and probes it twice.
    async fn twice(&self) -> (SelfReport, SelfReport) {
        let running = self.start().await;
        let t = &running.target;
        let began = Instant::now();
        self.workload.ready(t, LIMIT).unwrap_or_else(|e| self.told(e));
        let ready = began.elapsed();
        let began = Instant::now();
        self.workload.load(t, LIMIT).unwrap_or_else(|e| self.told(e));
        let load = began.elapsed();
        let began = Instant::now();
        let one = self.workload.probe(t, LIMIT).unwrap_or_else(|e| self.told(e));
        let probe = began.elapsed();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let two = self.workload.probe(t, LIMIT).unwrap_or_else(|e| self.told(e));
        println!("{}: ready {ready:?}, load {load:?}, probe {probe:?}", self.workload.kind);
        (one, two)
    }
}

/// The same process answers alike, and a cold start does not: a probe that a cold start passes proves nothing.
async fn tells_itself_from_a_cold_start(kind: &str, with: &[(&str, &str)]) -> (SelfReport, SelfReport) {
    let bed = bed(kind, with).await;
    let (one, two) = bed.twice().await;
    assert!(one.nonce.as_ref().is_some_and(|n| n.len() > 8), "{one:?}");
    assert_eq!(one.nonce, two.nonce);
    assert_eq!(one.boot, two.boot);
    assert_eq!(one.memory_hash, two.memory_hash);
    let (cold, _) = bed.twice().await;
    assert_ne!(one.nonce, cold.nonce);
    (one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn counter() {
    let (one, two) = tells_itself_from_a_cold_start("counter", &[("interval", "1ms")]).await;
    assert!(two.counter > one.counter, "{one:?} {two:?}");
    assert_eq!(one.counter_interval_ms, Some(1.0));
    let journal = two.journal.unwrap();
    assert_eq!(journal, (1..=journal.len() as u64).collect::<Vec<_>>());
    assert!(one.boot["started_realtime_ns"].len() > 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let (one, two) = tells_itself_from_a_cold_start("python", &[("interval", "1ms")]).await;
    assert!(two.counter > one.counter, "{one:?} {two:?}");
    assert_eq!(one.counter_interval_ms, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_dirtied_keeps_its_digest() {
    let (one, _) = tells_itself_from_a_cold_start("memory", &[("data", "32Mi"), ("dirty", "64Mi")]).await;
    assert_eq!(one.memory_hash.unwrap().len(), 16);
    assert_eq!(one.boot["seed"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    let (one, _) = tells_itself_from_a_cold_start("redis", &[("data", "64Mi")]).await;
    assert_eq!(one.memory_hash.unwrap().len(), 32);
    assert_eq!((one.counter, one.boot["tcp_port"].as_str()), (Some(0), "6379"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_redis_that_changed_changes_its_digest_and_the_journal_does_not() {
    use std::io::{Read as _, Write as _};
    let bed = bed("redis", &[("data", "1Mi")]).await;
    let running = bed.start().await;
    let t = &running.target;
    bed.workload.ready(t, LIMIT).unwrap_or_else(|e| bed.told(e));
    bed.workload.load(t, LIMIT).unwrap();
    let before = bed.workload.probe(t, LIMIT).unwrap();
    let send = |text: &str, answer: &str| {
        let mut s = t.connect.connect("127.0.0.1:6379".parse().unwrap(), LIMIT).unwrap();
        s.write_all(text.as_bytes()).unwrap();
        let mut got = vec![0; answer.len()];
        s.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), answer);
    };
    for i in 0..25 {
        let values: String = (i * 1000..(i + 1) * 1000).map(|v| format!(" {v}")).collect();
        send(&format!("RPUSH podferry:journal{values}\r\n"), &format!(":{}\r\n", (i + 1) * 1000));
    }
    let after = bed.workload.probe(t, LIMIT).unwrap();
    assert_eq!((after.memory_hash.clone(), after.counter), (before.memory_hash, Some(25_000)));
    assert_eq!(bed.workload.journal(t, LIMIT).unwrap(), Some((0..25_000).collect()));
    send("SETRANGE data:000000100 7 X\r\n", ":4000\r\n");
    assert_ne!(bed.workload.probe(t, LIMIT).unwrap().memory_hash, after.memory_hash);
    send("DEL data:000000100\r\n", ":1\r\n");
    assert_ne!(bed.workload.probe(t, LIMIT).unwrap().memory_hash, after.memory_hash);
}

/// What redis refuses while it is filled is told in its words, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_full_says_so() {
    let mut bed = bed("redis", &[("data", "64Mi")]).await;
    bed.workload.args.extend(["--maxmemory".to_owned(), "8mb".to_owned()]);
    let running = bed.start().await;
    bed.workload.ready(&running.target, LIMIT).unwrap_or_else(|e| bed.told(e));
    let began = Instant::now();
    let text = bed.workload.load(&running.target, LIMIT).unwrap_err().to_string();
    assert!(text.contains("OOM command not allowed"), "{text}");
    assert!(began.elapsed() < LIMIT / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn memcached() {
    let (one, _) = tells_itself_from_a_cold_start("memcached", &[("data", "32Mi")]).await;
    assert_eq!(one.memory_hash.unwrap().len(), 32);
    assert!(one.boot.contains_key("pid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx() {
    let (one, two) = tells_itself_from_a_cold_start("nginx", &[]).await;
    assert!(two.counter > one.counter, "{one:?} {two:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looper_counts_in_its_log() {
    let bed = bed("looper", &[]).await;
    let running = bed.start().await;
    bed.workload.ready(&running.target, LIMIT).unwrap();
    assert_eq!(bed.workload.probe(&running.target, LIMIT).unwrap().counter, Some(0));
    let end = Instant::now() + LIMIT;
    while bed.workload.probe(&running.target, LIMIT).unwrap().counter < Some(1) {
        assert!(Instant::now() < end, "{}", bed.errors());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_build_is_a_look_up_and_a_broken_store_is_made_whole() {
    let bed = bed("counter", &[]).await;
    let began = Instant::now();
    assert_eq!(make(&bed.workload, &bed.store).await, bed.image);
    println!("looked up in {:?}", began.elapsed());
    let layer = &bed.image.layers[0];
    let whole = fs::read(layer).unwrap();
    fs::write(layer, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(make(&bed.workload, &bed.store).await, bed.image);
    assert_eq!(fs::read(layer).unwrap(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_give_the_same_image() {
    let (one, two) = (bed("redis", &[]).await, bed("redis", &[("data", "1Mi")]).await);
    assert_eq!(one.image.reference, two.image.reference);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_image_waits() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let rootfs = rootfs();
    let root = NodeRoot { dir: &rootfs, key: "test" };
    let binaries = WorkloadBinaries { dir: PathBuf::new() };
    let image = podferry::image::build(&store, root, &binaries, &pause()).await.unwrap();
    let out = dir.path().join("root");
    unpack(&image, &out).unwrap();
    let exec = Exec::new("chroot").arg(&out).args(&image.entrypoint).timeout(Duration::from_millis(200));
    let text = exec.run().await.unwrap_err().to_string();
    assert!(text.contains("did not end within"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    let nowhere = WorkloadBinaries { dir: "/nonexistent".into() };
    let root = NodeRoot { dir: Path::new("/nonexistent"), key: "none" };
    let counter = Workload::new("counter", &BTreeMap::new()).unwrap();
    let failure = podferry::record::Failure::from(counter.image(&store, root, &nowhere).await.unwrap_err());
    assert_eq!(failure.message, "no workload binary /nonexistent/counter");
    assert!(failure.hint.unwrap().contains("cargo xtask e2e"));
    let looper = Workload::new("looper", &BTreeMap::new()).unwrap();
    let text = looper.image(&store, root, &nowhere).await.unwrap_err().to_string();
    assert_eq!(text, "the node image has no /usr/bin/busybox, which the image podferry/looper is made from");
}

/// Who has no docker makes an image as the guide says.
#[tokio::test]
async fn the_guides_recipe_makes_an_image() {
    let guide = include_str!("../../docs/guide.md");
    let recipe = guide.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("image.py"), recipe).unwrap();
    fs::create_dir(dir.path().join("root")).unwrap();
    fs::write(dir.path().join("root/job"), "a program").unwrap();
    let made = std::process::Command::new("python3").arg("image.py").current_dir(dir.path()).status().unwrap();
    assert!(made.success());
    let archive = dir.path().join("job.tar").display().to_string();
    let with = BTreeMap::from([("archive".to_owned(), archive)]);
    let store = Store::open(dir.path().join("store")).unwrap();
    let root = NodeRoot { dir: dir.path(), key: "none" };
    let workload = Workload::new("archive", &with).unwrap();
    let image = workload.image(&store, root, &WorkloadBinaries::find()).await.unwrap();
    unpack(&image, &dir.path().join("unpacked")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("unpacked/job")).unwrap(), "a program");
}
