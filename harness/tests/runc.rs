//! Engines runc and crun on real nodes. Needs root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

mod bed;

use bed::{Bed, answer, ask, counted, numbers, spec, start, within};
use podferry::archive::{self, Form};
use podferry::engine::runc::{Limits, RuncEngine};
use podferry::engine::{Checkpoint, Container, Engine};
use podferry::image::{Image, ImageSpec, NodeRoot, WorkloadBinaries, build};
use podferry::node::SharedNode;
use podferry::process::Exec;
use podferry::record::{EngineKind, ErrorClass};
use podferry::scenario::plan::Damage;
use rstest::rstest;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn engines(bed: &Bed, kind: EngineKind) -> (Arc<dyn Engine>, Arc<dyn Engine>) {
    let (a, b) = (Arc::clone(&bed.a), Arc::clone(&bed.b));
    let engines = tokio::try_join!(RuncEngine::connect(a, kind), RuncEngine::connect(b, kind)).unwrap();
    assert_eq!(engines.0.capabilities().checkpoint, Ok(()));
    assert!(engines.0.capabilities().shared_images);
    engines
}

/// A busybox that runs a script, over an image with the given files.
async fn script(bed: &Bed, name: &str, script: &str, texts: &[(&str, &str)]) -> Arc<Image> {
    let dir = bed::rootfs();
    let spec = ImageSpec {
        repository: format!("podferry/{name}"),
        files: vec!["/usr/bin/busybox".into()],
        texts: texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned(), 0o644)).collect(),
        entrypoint: ["/usr/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let root = NodeRoot { dir: &dir, key: dir.to_str().unwrap() };
    Arc::new(build(&bed.store, root, &WorkloadBinaries::find(), &spec).await.unwrap())
}

fn on_host(node: &SharedNode, checkpoint: &Checkpoint) -> PathBuf {
    node.host_path(&checkpoint.path)
}

async fn clean(engine: &Arc<dyn Engine>, containers: &[&Container]) {
    for container in containers {
        engine.remove(container).await.unwrap();
        engine.remove(container).await.unwrap();
        assert_eq!(engine.inspect(container).await.unwrap(), None);
    }
    let left = engine.left().await.unwrap();
    assert!(left.iter().all(|l| l.starts_with("checkpoint ")), "{left:?}");
}

async fn run_id(engine: &Arc<dyn Engine>, container: &Container) -> String {
    let info = answer(engine, container, &["info", "server"]).await;
    info.lines().find_map(|l| l.trim().strip_prefix("run_id:")).unwrap().to_owned()
}

#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn redis_moves_with_its_state_and_a_cold_start_has_lost_it(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let image = bed.redis().await;
    let source = start(&a, "redis", &image).await;
    answer(&a, &source, &["set", "key", "value"]).await;
    let id = run_id(&a, &source).await;

    a.freeze(&source).await.unwrap();
    a.freeze(&source).await.unwrap();
    assert_eq!(ask(&a, &source, &["ping"]).await, None, "a frozen redis answers nothing");
    let checkpoint = a.checkpoint(&source, "moved").await.unwrap();
    let outside = a.inspect(&source).await.unwrap().unwrap();
    assert_eq!((outside.engine_state.as_str(), outside.frozen), ("paused", Some(true)), "frozen stays frozen");
    assert_eq!((outside.pid_inside, outside.comm.as_deref()), (Some(1), Some("redis-server")));
    let taken = a.checkpoint(&source, "moved").await.unwrap_err();
    assert_eq!(taken.class, ErrorClass::NameTaken, "{taken}");

    let folder = on_host(&bed.a, &checkpoint);
    archive::verify(&folder, Form::ImageFolder).unwrap();
    let stats = archive::stats(&folder).unwrap().unwrap();
    assert!(stats.frozen_us > 0 && stats.pages_written > 0, "{stats:?}");

    let slot = b.prepare(&spec("redis-moved", &image)).await.unwrap();
    let copy = b.restore(&slot, &checkpoint).await.unwrap().container;
    assert_eq!(answer(&b, &copy, &["get", "key"]).await, "value");
    assert_eq!(run_id(&b, &copy).await, id, "the same process");
    let outside = b.inspect(&copy).await.unwrap().unwrap();
    assert_eq!((outside.engine_state.as_str(), outside.frozen), ("running", Some(false)));
    assert!(outside.argv[0].contains("redis-server"), "{outside:?}");

    let cold = start(&b, "redis-cold", &image).await;
    assert_eq!(answer(&b, &cold, &["get", "key"]).await, "", "a cold start has no such key");
    assert_ne!(run_id(&b, &cold).await, id);

    let other = script(&bed, "other", "sleep 100", &[]).await;
    let slot = b.prepare(&spec("redis-other", &other)).await.unwrap();
    let refused = b.restore(&slot, &checkpoint).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::BaseImageMissing, "{refused}");
    b.discard(&slot).await.unwrap();
    b.discard(&slot).await.unwrap();

    clean(&a, &[&source]).await;
    clean(&b, &[&copy, &cold]).await;
}

#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn three_copies_of_a_looper_count_on_from_one_checkpoint(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let image = bed.looper().await;
    let source = start(&a, "looper", &image).await;
    counted(&a, &source, 3).await;
    a.freeze(&source).await.unwrap();
    let checkpoint = a.checkpoint(&source, "loop").await.unwrap();
    let last = *numbers(&a, &source).last().unwrap();
    a.thaw(&source).await.unwrap();
    a.thaw(&source).await.unwrap();
    counted(&a, &source, last + 2).await;
    let mut copies = Vec::new();
    for name in ["one", "two", "three"] {
        let slot = b.prepare(&spec(name, &image)).await.unwrap();
        copies.push(b.restore(&slot, &checkpoint).await.unwrap().container);
    }
    for copy in &copies {
        counted(&b, copy, last + 3).await;
        let seen = numbers(&b, copy);
        // It may have been frozen between writing a number and counting on.
        assert!(seen[0] == last + 1, "{} after {last}: {seen:?}", copy.id);
        assert!(seen.windows(2).all(|w| w[1] == w[0] + 1), "{seen:?}");
    }
    clean(&a, &[&source]).await;
    clean(&b, &copies.iter().collect::<Vec<_>>()).await;
}

/// A fenced source that ran on while it is removed could answer its clients once more, or acknowledge a write.
#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_container_is_removed_and_never_runs_on(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed, kind).await;
    let image = script(&bed, "busy", "i=0; while true; do echo $i; i=$((i+1)); done", &[]).await;
    let container = start(&a, "busy", &image).await;
    counted(&a, &container, 1000).await;
    a.freeze(&container).await.unwrap();
    let log = a.node().host_path(&container.log);
    let size = || std::fs::metadata(&log).unwrap().len();
    // What it wrote before may still be on its way through the pipe.
    let settled = async || {
        let before = size();
        tokio::time::sleep(Duration::from_millis(50)).await;
        (size() == before).then_some(before)
    };
    let frozen = within("the log to stand still", settled).await;
    a.remove(&container).await.unwrap();
    let removed = within("the log to stand still", settled).await;
    assert_eq!(removed, frozen, "it wrote on after it was frozen");
    clean(&a, &[&container]).await;
}

#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_root_travel(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let work = "cd /srv; PATH=/usr/bin; B=/usr/bin/busybox; $B rm gone; $B rm -r tree; $B mkdir tree; echo 2 > tree/new; \
                echo 2 > kept; echo 2 > made; $B ln made same; $B ln -s made link; $B chmod 640 made; \
                i=0; while true; do echo $i; i=$((i+1)); $B sleep 0.05; done";
    let files = [("/srv/gone", "1"), ("/srv/tree/old", "1"), ("/srv/kept", "1"), ("/srv/same-as-ever", "1")];
    let image = script(&bed, "changes", work, &files).await;
    let source = start(&a, "changes", &image).await;
    counted(&a, &source, 1).await;
    let checkpoint = a.checkpoint(&source, "changed").await.unwrap();
    let outside = a.inspect(&source).await.unwrap().unwrap();
    assert_eq!(outside.frozen, Some(false), "what ran runs on");
    let slot = b.prepare(&spec("changes", &image)).await.unwrap();
    let copy = b.restore(&slot, &checkpoint).await.unwrap().container;
    counted(&b, &copy, 2).await;
    let look = "cd /data/$0/containers/changes/rootfs/srv && find . | sort && cat tree/new kept made same link && stat -c '%a %h' made";
    let look = |node: &SharedNode| {
        let node = Arc::clone(node);
        async move { node.run(Exec::new("sh").args(["-c", look, kind.name()])).await.unwrap().text() }
    };
    let there = look(&bed.b).await;
    assert_eq!(there, look(&bed.a).await);
    assert_eq!(there, ".\n./kept\n./link\n./made\n./same\n./same-as-ever\n./tree\n./tree/new\n2\n2\n2\n2\n2\n640 2");
    // And once more, from the copy: its own upper folder holds what was carried.
    let again = b.checkpoint(&copy, "changed-again").await.unwrap();
    let slot = a.prepare(&spec("changes-back", &image)).await.unwrap();
    let back = a.restore(&slot, &again).await.unwrap().container;
    counted(&a, &back, 3).await;
    let back_look = look(&bed.a).await;
    assert_eq!(back_look, there);
    clean(&a, &[&source, &back]).await;
    clean(&b, &[&copy]).await;
}

#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_dump_leaves_the_source_as_it_was(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed, kind).await;
    // criu 4.2.1 carries files that are open and gone only up to 1 MiB.
    let ghost = "B=/usr/bin/busybox; exec 9> /ghost; $B dd if=/dev/zero bs=1M count=3 >&9; $B rm /ghost; \
                 i=0; while true; do echo $i; i=$((i+1)); $B sleep 0.05; done";
    let image = script(&bed, "ghost", ghost, &[]).await;
    let source = start(&a, "ghost", &image).await;
    let before = counted(&a, &source, 1).await;
    let failed = a.checkpoint(&source, "fails").await.unwrap_err();
    assert_eq!(failed.class, ErrorClass::DeletedFile, "{failed} {:?}", failed.log);
    assert!(failed.log.iter().any(|l| l.contains("ghost file")), "{:?}", failed.log);
    counted(&a, &source, before + 2).await;
    assert_eq!(a.inspect(&source).await.unwrap().unwrap().frozen, Some(false));

    a.freeze(&source).await.unwrap();
    a.checkpoint(&source, "fails").await.unwrap_err();
    assert_eq!(a.inspect(&source).await.unwrap().unwrap().frozen, Some(true), "what was frozen stays so");
    a.thaw(&source).await.unwrap();

    let hide = |from: &str, to: &str| {
        let exec = Exec::new("mv").args([from, to]);
        let node = Arc::clone(&bed.a);
        async move { node.run(exec).await.unwrap() }
    };
    hide("/usr/sbin/criu", "/usr/sbin/criu.hidden").await;
    let failed = a.checkpoint(&source, "fails").await;
    let now = RuncEngine::connect(Arc::clone(&bed.a), kind).await.unwrap();
    hide("/usr/sbin/criu.hidden", "/usr/sbin/criu").await;
    // crun has CRIU's library, and fails at calling the program.
    let failed = failed.unwrap_err();
    eprintln!("{kind} without criu: {failed}");
    assert!(matches!(failed.class, ErrorClass::CriuMissing), "{failed}");
    assert!(now.capabilities().checkpoint.as_ref().unwrap_err().contains("no criu"), "{:?}", now.capabilities());
    let before = counted(&a, &source, 1).await;
    counted(&a, &source, before + 2).await;
    assert_eq!(a.left().await.unwrap().iter().filter(|l| l.starts_with("checkpoint")).count(), 0, "no partial images");
    let logs = tempfile::tempdir().unwrap();
    a.collect_logs(logs.path()).await.unwrap();
    assert!(logs.path().join("ghost-dump-fails/dump.log").exists());
    clean(&a, &[&source]).await;
    let gone = a.freeze(&source).await.unwrap_err();
    assert_eq!(gone.class, ErrorClass::UnknownContainer, "{gone}");
}

/// criu 4.2.1 reads a cut pages image for ever.
async fn ended_by_the_watchdog(
    bed: &Bed,
    kind: EngineKind,
    limits: Limits,
    image: &Arc<Image>,
    cut: &Checkpoint,
    class: ErrorClass,
) {
    let b = RuncEngine::connect_with(Arc::clone(&bed.b), kind, limits).await.unwrap();
    let slot = b.prepare(&spec("cut", image)).await.unwrap();
    let from = Instant::now();
    let ended = b.restore(&slot, cut).await.unwrap_err();
    eprintln!("{kind} with cut pages, after {:?}: {ended}", from.elapsed());
    assert_eq!(ended.class, class, "{ended}");
    assert!(ended.message.contains("criu were killed"), "{ended}");
    b.discard(&slot).await.unwrap();
    within("the end of criu", async || {
        let ps = bed.b.run(Exec::new("sh").args(["-c", "cat /proc/[0-9]*/comm"])).await.unwrap().text();
        (!ps.lines().any(|l| l.contains("criu") || l.contains("redis") || l.contains("runc"))).then_some(())
    })
    .await;
    // The kernel takes a namespace's links down after `ip netns del` has returned. One engine gives its addresses out in
    // turn and never meets that; the next one here begins with the same address.
    within("the end of its link", async || {
        let links = bed.b.run(Exec::new("ip").args(["-o", "link", "show", "type", "veth"])).await.unwrap().text();
        links.lines().all(|l| l.contains(" eth0@")).then_some(())
    })
    .await;
}

#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn cut_pages_are_refused_and_unverified_ended_by_the_watchdog(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let image = bed.redis().await;
    let source = start(&a, "redis", &image).await;
    answer(&a, &source, &["set", "key", "value"]).await;
    let whole = a.checkpoint(&source, "whole").await.unwrap();
    let mut cut = whole.clone();
    cut.name = "cut".into();
    cut.path = whole.path.with_file_name("cut");
    archive::tamper(&on_host(&bed.a, &whole), &on_host(&bed.a, &cut), &Damage::Truncate { keep: 4096 * 100 }).unwrap();
    let refused = archive::verify(&on_host(&bed.a, &cut), Form::ImageFolder).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::InvalidArchive, "{refused}");

    // Told by the log that criu fills, or, if it fills none, by the time it takes.
    let by_log = Limits { restore_log: 1 << 20, ..Limits::default() };
    let by_time = Limits { restore: Duration::from_secs(1), restore_log: u64::MAX, ..Limits::default() };
    for (limits, class) in [(by_log, ErrorClass::InvalidArchive), (by_time, ErrorClass::Timeout)] {
        ended_by_the_watchdog(&bed, kind, limits, &image, &cut, class).await;
    }
    let slot = b.prepare(&spec("whole", &image)).await.unwrap();
    let copy = b.restore(&slot, &whole).await.unwrap().container;
    assert_eq!(answer(&b, &copy, &["get", "key"]).await, "value");
    assert_eq!(answer(&a, &source, &["get", "key"]).await, "value", "the source went on");
    clean(&a, &[&source]).await;
    clean(&b, &[&copy]).await;
}

/// Not judged: a shared machine is no bench. Shown, so that a change is seen.
#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_migration_are_timed(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let image = bed.redis().await;
    for (round, mib) in [0, 0, 64, 64, 256, 256].into_iter().enumerate() {
        let name = format!("redis-{round}");
        let source = start(&a, &name, &image).await;
        answer(&a, &source, &["ping"]).await;
        if mib > 0 {
            let keys = (mib * 256).to_string();
            answer_slowly(&bed.a, &source, &["debug", "populate", &keys, "key", "4000"]).await;
        }
        let slot = b.prepare(&spec(&name, &image)).await.unwrap();
        let t0 = Instant::now();
        a.freeze(&source).await.unwrap();
        let t1 = Instant::now();
        let checkpoint = a.checkpoint(&source, &name).await.unwrap();
        let t2 = Instant::now();
        let copy = b.restore(&slot, &checkpoint).await.unwrap().container;
        let t3 = Instant::now();
        answer(&b, &copy, &["ping"]).await;
        let t4 = Instant::now();
        a.remove(&source).await.unwrap();
        let t5 = Instant::now();
        let ms = |d: Duration| format!("{:.1}", d.as_secs_f64() * 1e3);
        eprintln!(
            "{kind} redis {mib} MiB: freeze {} dump {} restore {} first answer {} together {} ms; remove {} ms",
            ms(t1 - t0),
            ms(t2 - t1),
            ms(t3 - t2),
            ms(t4 - t3),
            ms(t4 - t0),
            ms(t5 - t4)
        );
        let from = Instant::now();
        let manifest = archive::manifest(&on_host(&bed.a, &checkpoint)).unwrap();
        let digested = from.elapsed();
        let from = Instant::now();
        archive::verify(&on_host(&bed.a, &checkpoint), Form::ImageFolder).unwrap();
        eprintln!("    {} bytes, digest {} ms, verify {} ms", manifest.bytes, ms(digested), ms(from.elapsed()));
        assert!(manifest.bytes >= mib * 1_000_000);
        b.remove(&copy).await.unwrap();
        std::fs::remove_dir_all(on_host(&bed.a, &checkpoint)).unwrap();
    }
    assert_eq!(a.left().await.unwrap(), Vec::<String>::new());
    assert_eq!(b.left().await.unwrap(), Vec::<String>::new());
}

async fn answer_slowly(node: &SharedNode, container: &Container, words: &[&str]) {
    let address = container.slot.address.to_string();
    node.run(Exec::new("redis-cli").args(["-h", &address]).args(words)).await.unwrap();
}

/// A port that the restored process listens on is taken in the target's network: a port in use has a class of its own.
#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_on_the_target_is_told_and_the_source_goes_on(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let image = bed.redis().await;
    let source = start(&a, "redis", &image).await;
    answer(&a, &source, &["set", "key", "value"]).await;
    let checkpoint = a.checkpoint(&source, "moved").await.unwrap();

    let slot = b.prepare(&spec("redis-moved", &image)).await.unwrap();
    let inside = |words: &str| Exec::new("ip").args(["netns", "exec", &slot.handle]).args(words.split(' '));
    let mut squatter = bed.b.spawn(inside("busybox nc -l -p 6379"), "/data/squatter.log".as_ref()).await.unwrap();
    within("the squatter listens", async || {
        let said = bed.b.run(inside("busybox netstat -ltn")).await.unwrap().text();
        said.contains(":6379").then_some(())
    })
    .await;
    let refused = b.restore(&slot, &checkpoint).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::PortTaken, "{refused}: {:?}", refused.log);
    assert!(refused.message.contains("redis-moved") && refused.message.contains("node b"), "{refused}");
    assert_eq!(answer(&a, &source, &["get", "key"]).await, "value", "the source goes on");

    squatter.stop(Duration::from_secs(1)).await.unwrap();
    b.discard(&slot).await.unwrap();
    let slot = b.prepare(&spec("redis-again", &image)).await.unwrap();
    let copy = b.restore(&slot, &checkpoint).await.unwrap().container;
    assert_eq!(answer(&b, &copy, &["get", "key"]).await, "value");
    clean(&a, &[&source]).await;
    clean(&b, &[&copy]).await;
}
