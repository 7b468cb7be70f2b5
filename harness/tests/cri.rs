//! What only the engine `cri` has, on real nodes; what every engine has is in `conformance`. Needs root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

mod bed;

use bed::{Bed, answer, ask, spec, start, within};
use podferry::component::{Cache, Wanted, build};
use podferry::engine::cri::{CriEngine, CriOptions};
use podferry::engine::{Container, Engine, EngineError};
use podferry::image::Image;
use podferry::record::ErrorClass;
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
async fn an_image_that_no_registry_has_is_told() {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed).await;
    let absent = Image { reference: "localhost:5000/podferry/none:1".to_owned(), ..(*bed.looper().await).clone() };
    let error = a.prepare(&spec("absent", &Arc::new(absent))).await.expect_err("an error");
    assert_eq!(error.class, ErrorClass::InvalidImage, "{error}");
    assert_eq!(shown(a.left().await), Vec::<String>::new());
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

/// What is known of releases that restore none, asked of them: else they would be skipped on the word of a table. Whether
/// 2.0 takes checkpoints is known by the first half.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds containerd from its sources: cargo xtask ci containerd"]
async fn releases_that_restore_none_are_asked_and_do_not() {
    for version in ["v2.0.14", "v2.4.2"] {
        let mut own = Vec::new();
        for name in ["containerd", "containerd-shim-runc-v2"] {
            let wanted = Wanted::named(&format!("{name}@{version}"));
            let built = build(&wanted, &Cache::of_user(), &()).await.unwrap_or_else(|e| panic!("{e}"));
            own.push((built.path, PathBuf::from(format!("/usr/bin/{name}"))));
        }
        let bed = Bed::with(own).await;
        let options = CriOptions { restore_anyway: true, ..CriOptions::new(bed.pause().await) };
        let a = shown(CriEngine::connect(Arc::clone(&bed.a), options).await);
        assert!(a.capabilities().version.contains(&version[1..]), "{}", a.capabilities().version);
        let image = bed.looper().await;
        let source = start(&a, "source", &image).await;
        let checkpoint = shown(a.checkpoint(&source, "snap").await);
        let slot = shown(a.prepare(&spec("copy", &image)).await);
        let refused = a.restore(&slot, &checkpoint).await.expect_err("no restore");
        eprintln!("{version}: {}: {refused}", refused.class);
        shown(a.discard(&slot).await);
        clean(&a, &[&source]).await;
    }
}
