//! What engine podman does beside what every engine must do (`conformance`), over crun and over runc, on real nodes. Needs root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

mod bed;

use bed::{Bed, answer, spec, start, within};
use podferry::archive;
use podferry::engine::podman::{Limits, PodmanEngine};
use podferry::engine::{Checkpoint, Container, Engine};
use podferry::node::SharedNode;
use podferry::record::{EngineKind, ErrorClass};
use podferry::scenario::plan::Damage;
use rstest::rstest;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn engines(bed: &Bed, kind: EngineKind) -> (Arc<dyn Engine>, Arc<dyn Engine>) {
    let connect = |node: &SharedNode| PodmanEngine::connect_with(Arc::clone(node), kind, Limits::default());
    let engines = tokio::try_join!(connect(&bed.a), connect(&bed.b)).unwrap();
    assert_eq!(engines.0.capabilities().checkpoint, Ok(()));
    engines
}

fn on_host(node: &SharedNode, checkpoint: &Checkpoint) -> PathBuf {
    node.host_path(&checkpoint.path)
}

/// As the room `run` carries it: to the same path on the other node.
fn carry(bed: &Bed, checkpoint: &Checkpoint) {
    archive::copy(&on_host(&bed.a, checkpoint), &on_host(&bed.b, checkpoint)).unwrap();
}

async fn clean(engine: &Arc<dyn Engine>, containers: &[&Container]) {
    for container in containers {
        let from = Instant::now();
        engine.remove(container).await.unwrap();
        eprintln!("removed in {:?}", from.elapsed());
        engine.remove(container).await.unwrap();
        assert_eq!(engine.inspect(container).await.unwrap(), None);
    }
    let left = engine.left().await.unwrap();
    assert!(left.iter().all(|l| l.contains("/checkpoints/")), "{left:?}");
}

/// criu 4.2.1 reads a cut pages image for ever.
#[rstest]
#[case(EngineKind::Podman)]
#[case(EngineKind::PodmanRunc)]
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_archive_is_refused_and_unverified_ended_by_the_watchdog(#[case] kind: EngineKind) {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed, kind).await;
    let image = bed.redis().await;
    let source = start(&a, "redis", &image).await;
    answer(&a, &source, &["set", "key", "value"]).await;
    let whole = a.checkpoint(&source, "whole").await.unwrap();
    assert_eq!(a.inspect(&source).await.unwrap().unwrap().frozen, Some(false), "what ran runs on");
    let mut bad = Vec::new();
    let pages = Damage::CutEntry { entry: "checkpoint/pages-1.img".into(), keep: 4096 * 100 };
    for (name, damage) in [("cut", Damage::Truncate { keep: 100_000 }), ("pages", pages)] {
        let cut =
            Checkpoint { name: name.into(), path: whole.path.with_file_name(format!("{name}.tar")), ..whole.clone() };
        archive::tamper(&on_host(&bed.a, &whole), &on_host(&bed.a, &cut), &damage).unwrap();
        let refused = archive::verify(&on_host(&bed.a, &cut), cut.form()).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::InvalidArchive, "{refused}");
        carry(&bed, &cut);
        bad.push(cut);
    }
    let limits = Limits { restore_log: 1 << 20, ..Limits::default() };
    let watched = PodmanEngine::connect_with(Arc::clone(&bed.b), kind, limits).await.unwrap();
    for cut in &bad {
        let slot = watched.prepare(&spec("cut", &image)).await.unwrap();
        let from = Instant::now();
        let ended = watched.restore(&slot, cut).await.unwrap_err();
        eprintln!("{kind} with {}, after {:?}: {ended} {:?}", cut.name, from.elapsed(), ended.log);
        assert_eq!(ended.class, ErrorClass::InvalidArchive, "{ended}");
        let bare = watched.restore_bare(&slot, cut, Duration::from_secs(2)).await.unwrap_err();
        eprintln!("{kind} bare with {}: {bare} {:?}", cut.name, bare.log);
        let wanted = if cut.name == "pages" { ErrorClass::GivenUp } else { ErrorClass::InvalidArchive };
        assert_eq!(bare.class, wanted, "{bare}");
        watched.discard(&slot).await.unwrap();
    }
    within("the end of criu", async || {
        let left = watched.left().await.unwrap();
        left.iter().all(|l| l.contains("/checkpoints/")).then_some(())
    })
    .await;
    carry(&bed, &whole);
    let slot = b.prepare(&spec("whole", &image)).await.unwrap();
    let copy = b.restore(&slot, &whole).await.unwrap().container;
    assert_eq!(answer(&b, &copy, &["get", "key"]).await, "value");
    assert_eq!(answer(&a, &source, &["get", "key"]).await, "value", "the source went on");
    clean(&a, &[&source]).await;
    clean(&b, &[&copy]).await;
}
