//! Post-copy and streaming by the engine runc, on real nodes. Needs root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

mod bed;

use bed::{Bed, answer, ask, spec, start, within};
use podferry::archive::{self, Form};
use podferry::clock;
use podferry::engine::runc::{Limits, RuncEngine};
use podferry::engine::{Container, Engine, EngineError, Migration, Mount, Moved, Timed};
use podferry::image::Image;
use podferry::node::{Link, SharedNode};
use podferry::process::Exec;
use podferry::record::{EngineKind, ErrorClass, Strategy};
use rstest::rstest;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Engines = (Arc<dyn Engine>, Arc<dyn Engine>);

async fn engines(bed: &Bed, limits: Limits) -> Engines {
    let connect = |node| RuncEngine::connect_with(node, EngineKind::Runc, limits);
    tokio::try_join!(connect(Arc::clone(&bed.a)), connect(Arc::clone(&bed.b))).unwrap()
}

/// A redis with so much in it.
async fn filled(engine: &Arc<dyn Engine>, name: &str, image: &Arc<Image>, mib: u32) -> Container {
    let source = start(engine, name, image).await;
    answer(engine, &source, &["set", "key", "value"]).await;
    let address = source.slot.address.to_string();
    let keys = (mib * 256).to_string();
    let fill = Exec::new("redis-cli").args(["-h", &address, "debug", "populate", &keys, "filler", "4000"]);
    engine.node().run(fill).await.unwrap();
    source
}

async fn migrate(
    engines: &Engines,
    source: &Container,
    strategy: Strategy,
    name: &str,
) -> (Migration, Result<Moved, EngineError>) {
    let slot = engines.1.prepare(&spec(name, &source.slot.spec.image)).await.unwrap();
    let migration = Migration {
        strategy,
        name: name.to_owned(),
        container: source.clone(),
        target: Arc::clone(&engines.1),
        slot,
        timed: Timed::default(),
    };
    let moved = engines.0.migrate_to(&migration).await;
    (migration, moved)
}

/// Nothing of CRIU's or runc's runs on either node any more.
async fn no_tools_left(bed: &Bed) {
    for node in [&bed.a, &bed.b] {
        within("the end of criu and runc", async || {
            let ps = node.run(Exec::new("sh").args(["-c", "cat /proc/[0-9]*/comm"])).await.unwrap().text();
            (!ps.lines().any(|l| l.contains("criu") || l == "runc")).then_some(())
        })
        .await;
    }
}

async fn clean(engines: &Engines, a: &[&Container], b: &[&Container]) {
    for (engine, containers) in [(&engines.0, a), (&engines.1, b)] {
        for container in containers {
            engine.remove(container).await.unwrap();
        }
        let left = engine.left().await.unwrap();
        assert!(left.iter().all(|l| l.starts_with("checkpoint ")), "{left:?}");
    }
}

/// How much redis holds, in MiB.
const SIZE: u32 = 64;

fn show(migration: &Migration, moved: &Moved) {
    for phase in migration.timed.take() {
        eprintln!("    {:?} on {}: {:?}", phase.phase, phase.node, phase.to.since(phase.from));
    }
    eprintln!("    restore: {:?}", moved.restored.restore_to.since(moved.restored.restore_from));
}

async fn digest_of_all(engine: &Arc<dyn Engine>, container: &Container) -> String {
    answer(engine, container, &["debug", "digest"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn by_post_copy_redis_answers_before_its_memory_is_there() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits::default()).await;
    let mib = SIZE;
    let source = filled(&engines.0, "redis", &bed.redis().await, mib).await;
    let digest = digest_of_all(&engines.0, &source).await;
    let from = Instant::now();
    let (migration, moved) = migrate(&engines, &source, Strategy::PostCopy, "redis-moved").await;
    let moved = moved.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    let copy = moved.restored.container.clone();
    let down = from.elapsed();
    assert_eq!(answer(&engines.1, &copy, &["get", "key"]).await, "value");
    let mut moved = moved;
    let pages = moved.pages.take().expect("pages come later");
    assert!(!pages.is_finished(), "all memory was there at once: nothing was late");
    let mut slowest = Duration::ZERO;
    while !pages.is_finished() {
        let asked = Instant::now();
        answer(&engines.1, &copy, &["get", "filler:7"]).await;
        slowest = slowest.max(asked.elapsed());
    }
    let arrived = pages.await.unwrap().unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    eprintln!(
        "{mib} MiB: restored after {down:?}, pages {:?} later, {} KiB, slowest redis-cli {slowest:?}",
        arrived.at.since(moved.restored.restore_to),
        arrived.moved >> 10
    );
    show(&migration, &moved);
    assert!(arrived.moved > u64::from(mib) << 20, "{arrived:?}");
    assert!(clock::now() > arrived.at);
    assert_eq!(digest_of_all(&engines.1, &copy).await, digest, "every page is what it was");
    // The dump has ended the source: there is nothing to thaw or to kill.
    assert_eq!(engines.0.inspect(&source).await.unwrap(), None);
    no_tools_left(&bed).await;
    clean(&engines, &[&source], &[&copy]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_stream_redis_moves_and_no_image_lies_at_its_source() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits::default()).await;
    let mib = SIZE;
    let source = filled(&engines.0, "redis", &bed.redis().await, mib).await;
    let digest = digest_of_all(&engines.0, &source).await;
    let from = Instant::now();
    let (migration, moved) = migrate(&engines, &source, Strategy::Stream, "redis-moved").await;
    let moved = moved.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    eprintln!("{mib} MiB: restored after {:?}, {} KiB", from.elapsed(), moved.moved >> 10);
    show(&migration, &moved);
    let copy = moved.restored.container;
    assert_eq!(digest_of_all(&engines.1, &copy).await, digest);
    assert!(moved.moved > u64::from(mib) << 20, "{} bytes", moved.moved);
    let outside = engines.0.inspect(&source).await.unwrap().unwrap();
    assert_eq!((outside.engine_state.as_str(), outside.frozen), ("paused", Some(true)), "it never runs on");
    let images = moved.images.unwrap();
    archive::verify(&bed.b.host_path(&images.path), Form::ImageFolder).unwrap();
    assert!(archive::stats(&bed.b.host_path(&images.path)).unwrap().unwrap().pages_written > 0);
    let du = bed.a.run(Exec::new("du").args(["-sm", "/data/runc/s", "/shared"])).await.unwrap().text();
    assert!(du.lines().all(|l| l.split_whitespace().next().unwrap().parse::<u32>().unwrap() <= 1), "{du}");
    no_tools_left(&bed).await;
    clean(&engines, &[&source], &[&copy]).await;
}

/// The copy has answered, and may have acknowledged what nobody else knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_while_pages_come_costs_the_copy_and_it_never_answers_wrongly() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits { quiet: Duration::from_millis(1500), ..Limits::default() }).await;
    let source = filled(&engines.0, "redis", &bed.redis().await, 64).await;
    bed.b.set_link(Link::Slow(20 << 20)).unwrap();
    let (_, moved) = migrate(&engines, &source, Strategy::PostCopy, "redis-moved").await;
    let moved = moved.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    let copy = moved.restored.container;
    assert_eq!(answer(&engines.1, &copy, &["get", "key"]).await, "value");
    bed.b.set_link(Link::Cut).unwrap();
    // What it still answers is right: a page that is missing is waited for.
    for n in 0..2000 {
        let Some(value) = ask(&engines.1, &copy, &["strlen", &format!("filler:{n}")]).await else { break };
        assert_eq!(value, "4000");
    }
    let lost = moved.pages.unwrap().await.unwrap().unwrap_err();
    eprintln!("{lost} {:?}", lost.log);
    assert_eq!(lost.class, ErrorClass::PagesLost, "{lost}");
    let outside = engines.1.inspect(&copy).await.unwrap().unwrap();
    assert_eq!(outside.engine_state, "stopped");
    assert_eq!(ask(&engines.1, &copy, &["ping"]).await, None);
    // It stands still, and goes on only if somebody takes the loss.
    let outside = engines.0.inspect(&source).await.unwrap().unwrap();
    assert_eq!((outside.engine_state.as_str(), outside.frozen), ("paused", Some(true)));
    bed.b.set_link(Link::Whole).unwrap();
    no_tools_left(&bed).await;
    clean(&engines, &[&source], &[&copy]).await;
}

async fn kill_criu(node: &SharedNode) {
    let all =
        "for p in /proc/[0-9]*; do if [ \"$(cat $p/comm)\" = criu ]; then kill -9 ${p#/proc/} && echo one; fi; done";
    let killed = node.run(Exec::new("sh").args(["-c", all])).await.unwrap().text();
    assert!(killed.contains("one"), "no criu ran on node {}", node.name());
}

/// The source's CRIU holds the pages: with it they are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_before_all_pages_are_over_takes_the_copy_with_it() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits::default()).await;
    let source = filled(&engines.0, "redis", &bed.redis().await, 64).await;
    bed.b.set_link(Link::Slow(20 << 20)).unwrap();
    let (_, moved) = migrate(&engines, &source, Strategy::PostCopy, "redis-moved").await;
    let moved = moved.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    let copy = moved.restored.container;
    kill_criu(&bed.a).await;
    let lost = moved.pages.unwrap().await.unwrap().unwrap_err();
    eprintln!("{lost} {:?}", lost.log);
    assert_eq!(lost.class, ErrorClass::PagesLost, "{lost}");
    assert_eq!(engines.1.inspect(&copy).await.unwrap().unwrap().engine_state, "stopped");
    no_tools_left(&bed).await;
    clean(&engines, &[&source], &[&copy]).await;
}

/// The kernel gives zeros for what a daemon that is gone has not fetched, unless somebody holds its descriptor.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_dies_makes_no_copy_answer_wrongly() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits::default()).await;
    let source = filled(&engines.0, "redis", &bed.redis().await, 192).await;
    let (_, moved) = migrate(&engines, &source, Strategy::PostCopy, "redis-moved").await;
    let moved = moved.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    let copy = moved.restored.container;
    // All over its memory, one after the other: a bucket of zeros is a key that is not there.
    let asks = "i=0; while [ $i -lt 49152 ]; do echo exists filler:$((i * 163 % 49152)); i=$((i+1)); done \
                | timeout 5 stdbuf -oL redis-cli -h $0 > /data/answers";
    let answers = || std::fs::read_to_string(bed.b.host_path(Path::new("/data/answers"))).unwrap_or_default();
    let asking = bed.b.output(Exec::new("sh").args(["-c", asks, &copy.slot.address.to_string()]));
    let killing = async {
        within("the first answers", async || (answers().lines().count() > 5).then_some(())).await;
        kill_criu(&bed.b).await;
    };
    let (asked, ()) = tokio::join!(asking, killing);
    asked.unwrap();
    let count = |answer: &str| answers().lines().filter(|l| *l == answer).count();
    let (right, wrong) = (count("1"), count("0"));
    assert!(right > 0 && wrong == 0, "{right} right answers and {wrong} wrong ones");
    let lost = moved.pages.unwrap().await.unwrap();
    let lost = lost.unwrap_err();
    eprintln!("{right} right answers; {lost} {:?}", lost.log);
    assert_eq!(lost.class, ErrorClass::PagesLost, "{lost}");
    assert_eq!(engines.1.inspect(&copy).await.unwrap().unwrap().engine_state, "stopped");
    let outside = engines.0.inspect(&source).await.unwrap().unwrap();
    assert_eq!(outside.frozen, Some(true), "the source was kept");
    no_tools_left(&bed).await;
    clean(&engines, &[&source], &[&copy]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_under_a_stream_leaves_the_source_and_nothing_else() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits { quiet: Duration::from_millis(1500), ..Limits::default() }).await;
    let source = filled(&engines.0, "redis", &bed.redis().await, 64).await;
    bed.b.set_link(Link::Slow(20 << 20)).unwrap();
    let cutting = async {
        let arriving = bed.b.host_path(Path::new("/data/runc/arrivals/redis-moved/checkpoint/pages-1.img"));
        within("pages on their way", async || std::fs::metadata(&arriving).is_ok_and(|m| m.len() > 0).then_some(()))
            .await;
        bed.b.set_link(Link::Cut).unwrap();
    };
    let ((migration, moved), ()) = tokio::join!(migrate(&engines, &source, Strategy::Stream, "redis-moved"), cutting);
    let Err(broken) = moved else { panic!("nothing could get through") };
    eprintln!("{broken} {:?}", broken.log);
    assert_eq!(broken.class, ErrorClass::LinkBroken, "{broken}");
    assert_eq!(answer(&engines.0, &source, &["get", "key"]).await, "value", "the source goes on");
    bed.b.set_link(Link::Whole).unwrap();
    engines.1.discard(&migration.slot).await.unwrap();
    assert_eq!(engines.1.left().await.unwrap(), Vec::<String>::new());
    no_tools_left(&bed).await;
    clean(&engines, &[&source], &[]).await;
}

/// A folder of the node in the container is external to CRIU, whichever way it is called.
#[rstest]
#[case(Strategy::Stream)]
#[case(Strategy::PostCopy)]
#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_folder_is_given_again(#[case] strategy: Strategy) {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits::default()).await;
    let mut wanted = spec("redis", &bed.redis().await);
    wanted.mounts = vec![Mount { source: "/data/volume".into(), target: "/volume".into() }];
    for node in [&bed.a, &bed.b] {
        std::fs::create_dir(node.host_path(Path::new("/data/volume"))).unwrap();
    }
    let source = engines.0.start(&engines.0.prepare(&wanted).await.unwrap()).await.unwrap();
    answer(&engines.0, &source, &["set", "key", "value"]).await;
    wanted.name = "redis-moved".into();
    let slot = engines.1.prepare(&wanted).await.unwrap();
    let (target, container) = (Arc::clone(&engines.1), source.clone());
    let migration = Migration { strategy, name: "m".into(), container, target, slot, timed: Timed::default() };
    let moved = engines.0.migrate_to(&migration).await.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    let copy = moved.restored.container;
    assert_eq!(answer(&engines.1, &copy, &["get", "key"]).await, "value");
    if let Some(pages) = moved.pages {
        pages.await.unwrap().unwrap();
    }
    let seen = engines.1.inspect(&copy).await.unwrap().unwrap();
    assert!(seen.mounts.iter().any(|m| m == "/volume"), "{:?}", seen.mounts);
    clean(&engines, &[&source], &[&copy]).await;
}

/// The page server takes the end of its connection for success: without the gate the source would be gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_costs_post_copy_nothing() {
    let bed = Bed::up().await;
    let engines = engines(&bed, Limits::default()).await;
    let image = bed.redis().await;
    let source = filled(&engines.0, "redis", &image, 16).await;
    let slot = engines.1.prepare(&spec("redis-moved", &image)).await.unwrap();
    let inside = Exec::new("ip").args(["netns", "exec", &slot.handle, "busybox", "nc", "-l", "-p", "6379"]);
    let mut squatter = bed.b.spawn(inside, Path::new("/data/squatter.log")).await.unwrap();
    within("the squatter listens", async || {
        let listing = Exec::new("ip").args(["netns", "exec", &slot.handle, "busybox", "netstat", "-ltn"]);
        bed.b.run(listing).await.unwrap().text().contains(":6379").then_some(())
    })
    .await;
    let migration = Migration {
        strategy: Strategy::PostCopy,
        name: "fails".into(),
        container: source.clone(),
        target: Arc::clone(&engines.1),
        slot: slot.clone(),
        timed: Timed::default(),
    };
    let Err(refused) = engines.0.migrate_to(&migration).await else { panic!("the port was taken") };
    eprintln!("{refused} {:?}", refused.log);
    assert_eq!(refused.class, ErrorClass::PortTaken, "{refused} {:?}", refused.log);
    assert_eq!(answer(&engines.0, &source, &["get", "key"]).await, "value", "the source goes on");
    assert_eq!(answer(&engines.0, &source, &["strlen", "filler:7"]).await, "4000");
    no_tools_left(&bed).await;
    squatter.stop(Duration::from_secs(1)).await.unwrap();
    engines.1.discard(&slot).await.unwrap();
    // And it can still move.
    let (_, moved) = migrate(&engines, &source, Strategy::PostCopy, "again").await;
    let moved = moved.unwrap_or_else(|e| panic!("{e} {:?}", e.log));
    moved.pages.unwrap().await.unwrap().unwrap();
    let copy = moved.restored.container;
    assert_eq!(answer(&engines.1, &copy, &["get", "key"]).await, "value");
    clean(&engines, &[&source], &[&copy]).await;
}
