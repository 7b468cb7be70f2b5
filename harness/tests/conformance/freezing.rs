//! Frozen is what the kernel calls so.

use crate::bed::{start, within};
use crate::pair::{Pair, answer, ask, look, shown, teller, tells};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn a_frozen_workload_answers_nobody(pair: Arc<Pair>) {
    let a = &pair.a;
    let redis = start(a, "redis", &pair.bed.redis().await).await;
    let teller = start(a, "teller", &teller(&pair.bed).await).await;
    answer(a, &redis, &["set", "mark", "here"]).await;
    tells(a, &teller, 1).await;
    for container in [&redis, &teller] {
        shown(a.freeze(container).await);
        shown(a.freeze(container).await);
        let seen = look(a, container).await;
        assert_eq!((seen.engine_state.as_str(), seen.frozen), ("paused", Some(true)));
    }
    assert_eq!(ask(a, &redis, &["ping"]).await, None, "a frozen redis answers");
    let log = a.node().host_path(&teller.log);
    let size = || std::fs::metadata(&log).map_or(0, |m| m.len());
    settled(size).await;
    for container in [&redis, &teller] {
        shown(a.thaw(container).await);
        shown(a.thaw(container).await);
        let seen = look(a, container).await;
        assert_eq!((seen.engine_state.as_str(), seen.frozen), ("running", Some(false)));
    }
    assert_eq!(answer(a, &redis, &["get", "mark"]).await, "here");
    let at = tells(a, &teller, 1).await.last;
    tells(a, &teller, at + 2).await;
    pair.clean(&[&redis, &teller], &[]).await;
}

/// What was written before may still be on its way through a pipe; then nothing must come for twice as long as the
/// workload takes to its next line.
async fn settled(size: impl Fn() -> u64) -> u64 {
    within("a log to stand still", async || {
        let before = size();
        tokio::time::sleep(Duration::from_millis(100)).await;
        (size() == before).then_some(before)
    })
    .await
}

/// A fenced source that ran on while it is removed could answer its clients once more, or acknowledge a write.
pub(crate) async fn a_frozen_container_is_removed_and_never_runs_on(pair: Arc<Pair>) {
    let a = &pair.a;
    let image = pair.bed.script("busy", "i=0; while true; do echo $i; i=$((i+1)); done", &[]).await;
    let container = start(a, "busy", &image).await;
    let path = a.node().host_path(&container.log);
    within("a log of some length", async || std::fs::metadata(&path).ok().filter(|m| m.len() > 10_000)).await;
    // Held open: some engines remove it with the container.
    let log = File::open(&path).expect("its log");
    let size = || log.metadata().map_or(0, |m| m.len());
    shown(a.freeze(&container).await);
    let frozen = settled(size).await;
    shown(a.remove(&container).await);
    assert_eq!(settled(size).await, frozen, "it wrote on after it was frozen");
    pair.clean(&[&container], &[]).await;
}

/// A caller that goes away must leave nothing frozen.
pub(crate) async fn a_checkpoint_nobody_waits_for_ends_well(pair: Arc<Pair>) {
    let a = &pair.a;
    let source = start(a, "redis", &pair.bed.redis().await).await;
    answer(a, &source, &["debug", "populate", "4096", "key", "4096"]).await;
    for (round, limit) in [10_u64, 80].into_iter().enumerate() {
        let name = format!("left-alone-{round}");
        let _ = tokio::time::timeout(Duration::from_millis(limit), a.checkpoint(&source, &name)).await;
        // It may just be frozen: then it goes on by itself.
        assert_eq!(answer(a, &source, &["dbsize"]).await, "4096");
        // And the next one is not in its way.
        let next = a.checkpoint(&source, &format!("after-{round}")).await;
        shown(next);
    }
    let seen = look(a, &source).await;
    assert_eq!((seen.engine_state.as_str(), seen.frozen), ("running", Some(false)));
    pair.clean(&[&source], &[]).await;
}
