//! A checkpoint moves a process with its state, and nothing else passes for that.

use crate::bed::{spec, start};
use crate::pair::{Pair, Shared, answer, ask, carry, look, shown};
use podferry::archive;
use podferry::engine::Container;
use std::sync::Arc;
use std::time::Instant;

/// What only the process itself can tell.
struct Known {
    run_id: String,
    keys: String,
    mark: String,
}

async fn known(engine: &Shared, container: &Container) -> Known {
    let info = answer(engine, container, &["info", "server"]).await;
    let run_id = info.lines().find_map(|l| l.trim().strip_prefix("run_id:")).expect("a run id").to_owned();
    let keys = answer(engine, container, &["dbsize"]).await;
    Known { run_id, keys, mark: answer(engine, container, &["get", "mark"]).await }
}

/// Whether the container is the process that is known, and has its data; else all that it lacks.
async fn judge(engine: &Shared, container: &Container, source: &Known) -> Result<(), Vec<&'static str>> {
    let here = known(engine, container).await;
    let same = [
        ("another process", here.run_id == source.run_id),
        ("other keys", here.keys == source.keys),
        ("no mark", here.mark == source.mark),
    ];
    let wrong: Vec<&str> = same.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

pub(crate) async fn redis_moves_with_its_state_and_a_cold_start_has_none(pair: Arc<Pair>) {
    let (a, b) = (&pair.a, &pair.b);
    let image = pair.bed.redis().await;
    let source = start(a, "redis", &image).await;
    answer(a, &source, &["set", "mark", "moved"]).await;
    answer(a, &source, &["debug", "populate", "1000", "key", "4096"]).await;
    let before = known(a, &source).await;
    let slot = shown(b.prepare(&spec("redis-moved", &image)).await);

    let from = Instant::now();
    shown(a.freeze(&source).await);
    let checkpoint = shown(a.checkpoint(&source, "moved").await);
    let taken = from.elapsed();
    let seen = look(a, &source).await;
    assert_eq!((seen.engine_state.as_str(), seen.frozen), ("paused", Some(true)), "frozen stays frozen");
    assert_eq!(ask(a, &source, &["ping"]).await, None, "a frozen redis answers");
    assert_eq!((checkpoint.engine, checkpoint.name.as_str()), (pair.kind, "moved"));
    let path = a.node().host_path(&checkpoint.path);
    archive::verify(&path, checkpoint.form()).expect("a whole checkpoint");

    let carried = carry(a, b, &checkpoint);
    let restored = shown(b.restore(&slot, &carried).await);
    eprintln!("    taken in {taken:?}, restored in {:?}", restored.restore_to.since(restored.restore_from));
    let moved = restored.container;
    assert_eq!(judge(b, &moved, &before).await, Ok(()));
    let seen = look(b, &moved).await;
    assert_eq!((seen.engine_state.as_str(), seen.frozen, seen.pid_inside), ("running", Some(false), Some(1)));
    let address = moved.slot.address.to_string();
    assert_eq!((seen.comm.as_deref(), seen.address), (Some("redis-server"), Some(address)));

    // The same look at what was not restored.
    let cold = start(b, "redis-cold", &image).await;
    assert_eq!(judge(b, &cold, &before).await, Err(vec!["another process", "other keys", "no mark"]));

    // The source is as it was: thawed, it answers.
    shown(a.thaw(&source).await);
    assert_eq!(judge(a, &source, &before).await, Ok(()));
    pair.clean(&[&source], &[&moved, &cold]).await;
}
