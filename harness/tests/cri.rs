//! The engine `cri` on real nodes. Needs root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

mod bed;

use bed::{Bed, answer, ask, counted, numbers, spec, start, within};
use podferry::engine::cri::{CriEngine, CriOptions};
use podferry::engine::{Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored};
use podferry::image::{Image, checkpoint_image};
use podferry::process::Exec;
use podferry::record::{CriuChoices, ErrorClass, TcpChoice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Shared = Arc<dyn Engine>;

async fn engines(bed: &Bed) -> (Shared, Shared) {
    let options = CriOptions::new(bed.pause().await);
    let from = Instant::now();
    let (a, b) = tokio::join!(
        CriEngine::connect(Arc::clone(&bed.a), options.clone()),
        CriEngine::connect(Arc::clone(&bed.b), options)
    );
    eprintln!("two engines up: {:?}", from.elapsed());
    (shown(a), shown(b))
}

/// The value, or a panic that shows all of the error.
fn shown<T>(result: Result<T, EngineError>) -> T {
    result.unwrap_or_else(|e| panic!("{}: {e}\n{}", e.class, e.log.join("\n")))
}

fn class<T>(result: Result<T, EngineError>, class: ErrorClass) -> EngineError {
    let error = result.err().expect("an error");
    assert_eq!(error.class, class, "{error}\n{}", error.log.join("\n"));
    assert!(error.message.starts_with(char::is_lowercase) && error.message.contains("on node "), "{error}");
    error
}

/// Carries an archive from one node to the other.
fn carry(from: &Shared, to: &Shared, checkpoint: &Checkpoint) -> Checkpoint {
    std::fs::copy(from.node().host_path(&checkpoint.path), to.node().host_path(&checkpoint.path)).unwrap();
    checkpoint.clone()
}

async fn restore(engine: &Shared, name: &str, image: &Arc<Image>, from: &Checkpoint) -> Result<Restored, EngineError> {
    let slot = engine.prepare(&spec(name, image)).await?;
    let restored = engine.restore(&slot, from).await;
    if restored.is_err() {
        engine.discard(&slot).await?;
    }
    restored
}

async fn clean(engine: &Shared, containers: &[&Container]) {
    for container in containers {
        shown(engine.remove(container).await);
        shown(engine.remove(container).await);
    }
    let dir = engine.node().host_path(Path::new("/data/checkpoints"));
    for entry in std::fs::read_dir(&dir).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(shown(engine.left().await), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_migrates_with_its_data_and_a_cold_start_has_none() {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed).await;
    let image = bed.redis().await;
    for (name, populate) in [("warm-up", 0), ("empty", 0), ("full", 16384)] {
        let source = start(&a, name, &image).await;
        answer(&a, &source, &["set", "mark", "moved"]).await;
        if populate > 0 {
            ask(&a, &source, &["debug", "populate", &populate.to_string(), "key", "4096"]).await.unwrap();
        }
        let run_id = run_id(&a, &source).await;
        let slot = shown(b.prepare(&spec(name, &image)).await);

        let began = Instant::now();
        shown(a.freeze(&source).await);
        let frozen = began.elapsed();
        let checkpoint = shown(a.checkpoint(&source, name).await);
        let taken = began.elapsed();
        let carried = carry(&a, &b, &checkpoint);
        let here = began.elapsed();
        let restored = shown(b.restore(&slot, &carried).await);
        let moved = restored.container;
        let size = answer(&b, &moved, &["dbsize"]).await;
        let done = began.elapsed();
        eprintln!(
            "{name}: freeze {frozen:?}, checkpoint {:?}, copy {:?}, create {:?}, start {:?}, downtime {done:?}",
            taken - frozen,
            here - taken,
            restored.restore_from.since(restored.create_from.unwrap()),
            restored.restore_to.since(restored.restore_from)
        );
        assert_eq!(size, (populate + 1).to_string());
        assert_eq!(ask(&b, &moved, &["get", "mark"]).await.as_deref(), Some("moved"));
        assert_eq!(self::run_id(&b, &moved).await, run_id, "another process");

        let report = shown(a.inspect(&source).await).unwrap();
        assert_eq!((report.engine_state.as_str(), report.frozen), ("paused", Some(true)));
        let report = shown(b.inspect(&moved).await).unwrap();
        assert_eq!((report.engine_state.as_str(), report.frozen), ("running", Some(false)));
        assert_eq!(
            (report.pid_inside, report.comm.as_deref(), report.processes),
            (Some(1), Some("redis-server"), Some(1))
        );
        let from = Instant::now();
        clean(&a, &[&source]).await;
        eprintln!("removed frozen in {:?}", from.elapsed());
        assert_eq!(shown(a.inspect(&source).await), None);
        clean(&b, &[&moved]).await;
    }

    // The same look at a container that was not restored.
    let cold = start(&b, "cold", &image).await;
    assert_eq!(answer(&b, &cold, &["dbsize"]).await, "0");
}

async fn run_id(engine: &Shared, container: &Container) -> String {
    let info = ask(engine, container, &["info", "server"]).await.unwrap();
    info.lines().find(|line| line.starts_with("run_id:")).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_archive_restores_twice_and_its_source_stays_as_it_was() {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed).await;
    let image = bed.looper().await;
    let source = start(&a, "looper", &image).await;
    counted(&a, &source, 3).await;

    // Running before, running after.
    let live = shown(a.checkpoint(&source, "live").await);
    let at = *numbers(&a, &source).last().unwrap();
    counted(&a, &source, at + 2).await;

    // Frozen before, frozen after; twice each.
    shown(a.freeze(&source).await);
    shown(a.freeze(&source).await);
    let at = *numbers(&a, &source).last().unwrap();
    let frozen = shown(a.checkpoint(&source, "frozen").await);
    assert_eq!(shown(a.inspect(&source).await).unwrap().frozen, Some(true));
    assert_eq!(numbers(&a, &source).last(), Some(&at));

    let carried = carry(&a, &b, &frozen);
    let one = shown(restore(&b, "one", &image, &carried).await).container;
    let two = shown(restore(&b, "two", &image, &carried).await).container;
    for copy in [&one, &two] {
        counted(&b, copy, at + 3).await;
        let mut new: Vec<u64> = numbers(&b, copy);
        new.dedup();
        assert!(new.windows(2).all(|w| w[1] == w[0] + 1), "{new:?}");
    }
    // A second hop, back to where it came from.
    let hop = shown(b.checkpoint(&one, "hop").await);
    let back = shown(restore(&a, "back", &image, &carry(&b, &a, &hop)).await).container;
    counted(&a, &back, at + 4).await;

    shown(a.thaw(&source).await);
    shown(a.thaw(&source).await);
    counted(&a, &source, at + 2).await;
    // The same archive as an image that the target's registry serves; an ordinary image is not taken for one.
    let wrapped = checkpoint_image(&bed.store, &a.node().host_path(&frozen.path), "looper", "frozen").unwrap();
    let slot = shown(b.prepare(&spec("pulled", &image)).await);
    let pulled = shown(b.restore_image(&slot, &wrapped.reference).await).container;
    counted(&b, &pulled, at + 3).await;
    let slot = shown(b.prepare(&spec("afresh", &image)).await);
    class(b.restore_image(&slot, &image.reference).await, ErrorClass::InvalidArchive);
    shown(b.discard(&slot).await);

    assert_ne!(live.path, frozen.path);
    clean(&a, &[&source, &back]).await;
    clean(&b, &[&one, &two, &pulled]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_at_once_take_turns_and_one_nobody_waits_for_ends_well() {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed).await;
    let source = start(&a, "redis", &bed.redis().await).await;
    answer(&a, &source, &["debug", "populate", "16384", "key", "4096"]).await;
    let (one, two) = tokio::join!(a.checkpoint(&source, "one"), a.checkpoint(&source, "two"));
    assert_ne!(shown(one).path, shown(two).path);

    // Given up at several moments of a checkpoint that takes some 400 ms.
    for limit in (0..400).step_by(80) {
        let _ = tokio::time::timeout(Duration::from_millis(limit), a.checkpoint(&source, "left-alone")).await;
    }
    // Waits its turn behind those.
    shown(a.checkpoint(&source, "last").await);
    assert_eq!(shown(a.inspect(&source).await).unwrap().frozen, Some(false));
    assert_eq!(answer(&a, &source, &["dbsize"]).await, "16384");
    clean(&a, &[&source]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_archives_are_named_and_nothing_stays() {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed).await;
    let image = bed.looper().await;
    let source = start(&a, "looper", &image).await;
    counted(&a, &source, 1).await;
    let good = shown(a.checkpoint(&source, "good").await);
    let bytes = std::fs::read(a.node().host_path(&good.path)).unwrap();
    let broken = |name: &str, bytes: Option<&[u8]>| {
        let path = PathBuf::from(format!("/data/checkpoints/{name}.tar"));
        if let Some(bytes) = bytes {
            std::fs::write(a.node().host_path(&path), bytes).unwrap();
        }
        Checkpoint { path, name: name.to_owned(), ..good.clone() }
    };
    let cases = [
        broken("cut", Some(&bytes[..bytes.len() / 2])),
        broken("empty", Some(&[])),
        broken("random", Some(&[0x5a; 4096])),
        broken("absent", None),
        broken("no-inventory", Some(&rewrite(&bytes, "checkpoint/inventory.img", None))),
        // CRIU reads past its end for ever; the watchdog ends it.
        broken("half-pages", Some(&rewrite(&bytes, "checkpoint/pages-1.img", Some(2)))),
    ];
    let before = shown(a.left().await).len();
    assert!(before > cases.len(), "the source and the archives are there");
    for case in &cases {
        let from = Instant::now();
        let error = class(restore(&a, "copy", &image, case).await, ErrorClass::InvalidArchive);
        eprintln!("{}: {:?}: {error} {:?}", case.name, from.elapsed(), error.log.first());
    }
    assert_eq!(shown(a.left().await).len(), before, "{:?}", a.left().await);
    let at = *numbers(&a, &source).last().unwrap();
    counted(&a, &source, at + 2).await;
    let copy = shown(restore(&a, "copy", &image, &good).await).container;
    clean(&a, &[&source, &copy]).await;
}

/// An archive without an entry, or with one cut to a part.
fn rewrite(archive: &[u8], entry: &str, part: Option<usize>) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    let mut found = false;
    for from in tar::Archive::new(archive).entries().unwrap() {
        let mut from = from.unwrap();
        let mut header = from.header().clone();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut from, &mut bytes).unwrap();
        if from.path().unwrap() == Path::new(entry) {
            found = true;
            let Some(part) = part else { continue };
            bytes.truncate(bytes.len() / part / 4096 * 4096);
        }
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        out.append(&header, &bytes[..]).unwrap();
    }
    assert!(found, "no {entry}");
    out.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_classes() {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed).await;
    let image = bed.image("short", "/usr/bin/busybox", &["sleep", "0.2"]).await;
    let ended = start(&a, "ended", &image).await;
    within("its end", async || (a.inspect(&ended).await.unwrap()?.engine_state == "stopped").then_some(())).await;
    class(a.checkpoint(&ended, "x").await, ErrorClass::NotRunning);
    class(a.freeze(&ended).await, ErrorClass::NotRunning);
    let unknown = Container { id: "deadbeef".to_owned(), ..ended.clone() };
    class(a.checkpoint(&unknown, "x").await, ErrorClass::UnknownContainer);
    class(a.freeze(&unknown).await, ErrorClass::UnknownContainer);
    class(a.prepare(&spec("ended", &image)).await, ErrorClass::NameTaken);
    let absent = Image { reference: "localhost:5000/podferry/none:1".to_owned(), ..(*image).clone() };
    class(a.prepare(&spec("absent", &Arc::new(absent))).await, ErrorClass::InvalidImage);

    let source = start(&a, "looper", &bed.looper().await).await;
    counted(&a, &source, 1).await;
    let good = shown(a.checkpoint(&source, "good").await);
    let (criu, hidden) = (Path::new("/usr/sbin/criu"), Path::new("/usr/sbin/criu.hidden"));
    std::fs::rename(a.node().host_path(criu), a.node().host_path(hidden)).unwrap();
    class(a.checkpoint(&source, "x").await, ErrorClass::CriuMissing);
    class(restore(&a, "copy", &source.slot.spec.image, &good).await, ErrorClass::CriuMissing);
    std::fs::rename(a.node().host_path(hidden), a.node().host_path(criu)).unwrap();
    let at = *numbers(&a, &source).last().unwrap();
    counted(&a, &source, at + 2).await;
    clean(&a, &[&source, &ended]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connected_clients_are_refused_or_dropped_as_criu_is_told() {
    let bed = Bed::up().await;
    let (engine, _) = &engines(&bed).await;
    let image = bed.redis().await;
    for (tcp, refused) in [(TcpChoice::Refuse, true), (TcpChoice::Close, false)] {
        let criu = CriuChoices { tcp, ..CriuChoices::default() };
        let slot = shown(engine.prepare(&ContainerSpec { criu, ..spec("redis", &image) }).await);
        let source = shown(engine.start(&slot).await);
        answer(engine, &source, &["set", "mark", "here"]).await;
        let address = source.slot.address.to_string();
        let client = Exec::new("redis-cli").args(["-h", &address, "subscribe", "news"]);
        let mut client = engine.node().spawn(client, Path::new("/tmp/client.log")).await.unwrap();
        let connected = async || (ask(engine, &source, &["pubsub", "channels"]).await? == "news").then_some(());
        within("a connected client", connected).await;
        let result = engine.checkpoint(&source, "connected").await;
        if refused {
            let error = class(result, ErrorClass::ConnectedTcp);
            assert!(error.hint.is_some() && error.log.iter().any(|line| line.contains("Connected TCP")), "{error:?}");
        } else {
            let copy = shown(restore(engine, "copy", &image, &shown(result)).await).container;
            assert_eq!(answer(engine, &copy, &["get", "mark"]).await, "here");
            assert_eq!(ask(engine, &copy, &["pubsub", "channels"]).await.as_deref(), Some(""));
            shown(engine.remove(&copy).await);
        }
        // The source's client has noticed nothing.
        assert_eq!(ask(engine, &source, &["pubsub", "channels"]).await.as_deref(), Some("news"));
        client.stop(Duration::from_secs(1)).await.unwrap();
        clean(engine, &[&source]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_in_a_checkpoint_leaves_nothing_frozen_once_it_is_back() {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed).await;
    let source = start(&a, "redis", &bed.redis().await).await;
    answer(&a, &source, &["debug", "populate", "16384", "key", "4096"]).await;
    let checkpoint = {
        let (a, source) = (Arc::clone(&a), source.clone());
        tokio::spawn(async move { a.checkpoint(&source, "cut-off").await })
    };
    let tmp = a.node().host_path(Path::new("/data/containerd-tmp"));
    within("the dump's begin", async || std::fs::read_dir(&tmp).unwrap().next()).await.unwrap();
    shown(a.kill_daemon().await);
    class(checkpoint.await.unwrap(), ErrorClass::DaemonGone);
    class(a.checkpoint(&source, "x").await, ErrorClass::DaemonGone);
    assert_eq!(ask(&a, &source, &["dbsize"]).await, None, "it is frozen, so this test can fail");
    let from = Instant::now();
    shown(a.revive().await);
    eprintln!("revived in {:?}", from.elapsed());
    assert_eq!(answer(&a, &source, &["dbsize"]).await, "16384");
    let report = shown(a.inspect(&source).await).unwrap();
    assert_eq!((report.engine_state.as_str(), report.frozen), ("running", Some(false)));
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
    // It is as good as before.
    shown(a.checkpoint(&source, "again").await);
    let logs = tempfile::tempdir().unwrap();
    shown(a.collect_logs(logs.path()).await);
    for file in ["containerd.log", "config.toml", "criu.conf", "criu.log"] {
        assert!(logs.path().join(file).metadata().unwrap().len() > 0, "{file} is empty");
    }
    clean(&a, &[&source]).await;
}
