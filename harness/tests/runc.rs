//! What only the engines runc and crun have, on real nodes; what every engine has is in `conformance`. Needs root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

mod bed;

use bed::{Bed, answer, spec, start, within};
use podferry::archive::{self, Form};
use podferry::engine::runc::{Limits, RuncEngine};
use podferry::engine::{Checkpoint, Container, Engine};
use podferry::image::Image;
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

/// What only this room's checkpoints have: a name that is taken, the runtime's own figures, and the image that they were
/// made from.
#[rstest]
#[case(EngineKind::Runc)]
#[case(EngineKind::Crun)]
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_has_a_name_figures_and_an_image(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let source = start(&a, "redis", &bed.redis().await).await;
    answer(&a, &source, &["ping"]).await;
    let checkpoint = a.checkpoint(&source, "moved").await.unwrap();
    let taken = a.checkpoint(&source, "moved").await.unwrap_err();
    assert_eq!(taken.class, ErrorClass::NameTaken, "{taken}");
    let stats = archive::stats(&on_host(&bed.a, &checkpoint)).unwrap().unwrap();
    assert!(stats.frozen_us > 0 && stats.pages_written > 0, "{stats:?}");

    let other = bed.script("other", "sleep 100", &[]).await;
    let slot = b.prepare(&spec("redis-other", &other)).await.unwrap();
    let refused = b.restore(&slot, &checkpoint).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::BaseImageMissing, "{refused}");
    b.discard(&slot).await.unwrap();
    let logs = tempfile::tempdir().unwrap();
    a.collect_logs(logs.path()).await.unwrap();
    assert!(logs.path().join("redis-dump-moved/dump.log").exists());
    clean(&a, &[&source]).await;
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
