//! Engine docker on real nodes. Needs root.

mod bed;

use bed::{Bed, answer, ask, counted, numbers, spec, start, within};
use podferry::archive::{self, Form};
use podferry::engine::docker::{DockerEngine, Network};
use podferry::engine::{Checkpoint, Container, Engine};
use podferry::record::ErrorClass;
use std::sync::Arc;

async fn engines(bed: &Bed) -> (Arc<dyn Engine>, Arc<dyn Engine>) {
    let pause = bed.pause().await;
    let a = DockerEngine::connect(Arc::clone(&bed.a), Arc::clone(&pause));
    let b = DockerEngine::connect(Arc::clone(&bed.b), pause);
    tokio::try_join!(a, b).unwrap_or_else(|e| panic!("{e}: {:#?}", e.log))
}

/// As the harness does it: what one node has under a path, the other has under the same.
fn carry(bed: &Bed, checkpoint: &Checkpoint) {
    archive::copy(&bed.a.host_path(&checkpoint.path), &bed.b.host_path(&checkpoint.path)).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn redis_moves_with_its_state_and_a_cold_start_has_lost_it() {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed).await;
    let image = bed.redis().await;
    let source = start(&a, "redis", &image).await;
    answer(&a, &source, &["set", "key", "value"]).await;

    a.freeze(&source).await.unwrap();
    a.freeze(&source).await.unwrap();
    assert_eq!(ask(&a, &source, &["ping"]).await, None, "a frozen redis answers nothing");
    let checkpoint = a.checkpoint(&source, "moved").await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log));
    let outside = a.inspect(&source).await.unwrap().unwrap();
    assert_eq!((outside.engine_state.as_str(), outside.frozen), ("paused", Some(true)), "frozen stays frozen");
    assert_eq!((outside.pid_inside, outside.comm.as_deref()), (Some(1), Some("redis-server")));
    let taken = a.checkpoint(&source, "moved").await.unwrap_err();
    assert_eq!(taken.class, ErrorClass::NameTaken, "{taken}");
    archive::verify(&bed.a.host_path(&checkpoint.path), Form::ImageFolder).unwrap();
    a.remove(&source).await.unwrap();

    carry(&bed, &checkpoint);
    let slot = b.prepare(&spec("redis-moved", &image)).await.unwrap();
    let restored = b.restore(&slot, &checkpoint).await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log));
    let copy = restored.container;
    assert_eq!(answer(&b, &copy, &["get", "key"]).await, "value");
    let outside = b.inspect(&copy).await.unwrap().unwrap();
    assert_eq!((outside.engine_state.as_str(), outside.frozen), ("running", Some(false)));

    let cold = start(&b, "redis-cold", &image).await;
    assert_eq!(answer(&b, &cold, &["get", "key"]).await, "", "a cold start has no such key");

    let other = bed.looper().await;
    let slot = b.prepare(&spec("redis-other", &other)).await.unwrap();
    let refused = b.restore(&slot, &checkpoint).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::BaseImageMissing, "{refused}");
    b.discard(&slot).await.unwrap();
    b.discard(&slot).await.unwrap();

    clean(&a, &[&source]).await;
    clean(&b, &[&copy, &cold]).await;
}

/// Three copies there, and one on the node that took the checkpoint, where containerd still has its content.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_looper_count_on_from_one_checkpoint() {
    let bed = Bed::up().await;
    let (a, b) = engines(&bed).await;
    let image = bed.looper().await;
    let source = start(&a, "looper", &image).await;
    counted(&a, &source, 3).await;
    a.freeze(&source).await.unwrap();
    let checkpoint = a.checkpoint(&source, "loop").await.unwrap();
    let last = *numbers(&a, &source).last().unwrap();
    let slot = a.prepare(&spec("here", &image)).await.unwrap();
    let here = a.restore(&slot, &checkpoint).await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log)).container;
    a.thaw(&source).await.unwrap();
    a.thaw(&source).await.unwrap();
    counted(&a, &source, last + 2).await;
    carry(&bed, &checkpoint);
    let mut copies = vec![(Arc::clone(&a), here)];
    for name in ["one", "two", "three"] {
        let slot = b.prepare(&spec(name, &image)).await.unwrap();
        copies.push((Arc::clone(&b), b.restore(&slot, &checkpoint).await.unwrap().container));
    }
    for (engine, copy) in &copies {
        counted(engine, copy, last + 3).await;
        let seen = numbers(engine, copy);
        // It may have been frozen between writing a number and counting on.
        assert!(seen[0] == last + 1, "{} after {last}: {seen:?}", copy.slot.spec.name);
        assert!(seen.windows(2).all(|w| w[1] == w[0] + 1), "{seen:?}");
    }
    clean(&a, &[&source, &copies[0].1]).await;
    clean(&b, &copies[1..].iter().map(|(_, c)| c).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_daemon_comes_back_and_its_containers_never_stopped() {
    let bed = Bed::up().await;
    let (a, _) = engines(&bed).await;
    let image = bed.looper().await;
    let runs = start(&a, "runs", &image).await;
    let stands = start(&a, "stands", &image).await;
    let before = counted(&a, &runs, 2).await;
    a.freeze(&stands).await.unwrap();
    a.kill_daemon().await.unwrap();
    let gone = a.inspect(&runs).await.unwrap_err();
    assert_eq!(gone.class, ErrorClass::DaemonGone, "{gone}");
    a.revive().await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log));
    counted(&a, &runs, before + 5).await;
    let state = async |container| a.inspect(container).await.unwrap().unwrap().engine_state;
    assert_eq!(state(&runs).await, "running");
    assert_eq!(state(&stands).await, "paused", "what was frozen on purpose stays frozen");
    let checkpoint = a.checkpoint(&runs, "after").await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log));
    let slot = a.prepare(&spec("copy", &image)).await.unwrap();
    let copy = a.restore(&slot, &checkpoint).await.unwrap().container;
    within("the copy's count", async || numbers(&a, &copy).last().copied()).await;
    clean(&a, &[&runs, &stands, &copy]).await;
}

/// Into which networks a restore goes, on the two node images: Docker 28.5 has lost those that it makes itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_into_a_network_of_its_own_on_trixie_and_not_on_sid() {
    let sid = restored_into("sid").await;
    let trixie = restored_into("trixie").await;
    let lost = "bind-mount /proc/0/ns/net";
    for (version, restored) in [&sid, &trixie] {
        for (network, restored) in restored {
            let own = matches!(network, Network::Bridge | Network::None);
            match restored {
                Err(why) => assert!(
                    own && version.starts_with("docker 28.") && why.contains(lost),
                    "{version}, {network:?}: {why}"
                ),
                Ok(()) => assert!(!own || !version.starts_with("docker 28."), "{version}, {network:?}"),
            }
        }
    }
    assert!(trixie.0.starts_with("docker 26."), "{} on trixie", trixie.0);
}

/// The version of a suite's Docker, and what it says of a restore into each network.
async fn restored_into(suite: &str) -> (String, Vec<(Network, Result<(), String>)>) {
    let bed = Bed::of(suite).await;
    let (pause, looper) = (bed.pause().await, bed.looper().await);
    let ((c, _of_c), (d, _of_d)) = (bed.node("c").await, bed.node("d").await);
    let mut version = String::new();
    let mut all = Vec::new();
    let nodes = [(&bed.a, Network::Holder), (&bed.b, Network::Host), (&c, Network::Bridge), (&d, Network::None)];
    for (node, network) in nodes {
        let engine = DockerEngine::connect_with(Arc::clone(node), Arc::clone(&pause), network).await;
        let engine = engine.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log));
        engine.capabilities().version.clone_into(&mut version);
        let source = start(&engine, "source", &looper).await;
        counted(&engine, &source, 3).await;
        let checkpoint = engine.checkpoint(&source, "snap").await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log));
        let last = *numbers(&engine, &source).last().unwrap();
        engine.remove(&source).await.unwrap();
        let slot = engine.prepare(&spec("copy", &looper)).await.unwrap();
        let restored = match engine.restore(&slot, &checkpoint).await {
            Ok(restored) => {
                counted(&engine, &restored.container, last).await;
                clean(&engine, &[&restored.container]).await;
                Ok(())
            }
            Err(e) => Err(e.message),
        };
        all.push((network, restored));
    }
    (version, all)
}
