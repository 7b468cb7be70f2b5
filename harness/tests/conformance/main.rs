//! What every engine must do, on real nodes: one body of tests, run for each line of the table of engines. A test is named
//! `ENGINE::TOPIC`, so `cargo test --test conformance -- ctr` is one engine's. Needs root.
//!
//! What an engine cannot do its capabilities must say, with a reason; then the topic asks for it all the same, and wants
//! to see it refused as `Unsupported`. Nothing passes unasked.
#![expect(clippy::print_stderr, reason = "timings and capabilities are shown")]

#[path = "../bed/mod.rs"]
mod bed;
mod connections;
mod copies;
mod damage;
mod files;
mod freezing;
mod life;
mod migration;
mod pair;
mod probes;
mod refusals;

use libtest_mimic::{Arguments, Failed, Trial};
use pair::{Pair, given, nodes, variable};
use podferry::record::{EngineKind, Given};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::runtime::Runtime;

type Topic = fn(Arc<Pair>) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! topics {
    ($($room:ident::$name:ident,)*) => {
        &[$((stringify!($name), (|pair| Box::pin($room::$name(pair))) as Topic),)*]
    };
}

const TOPICS: &[(&str, Topic)] = topics![
    probes::capabilities_are_asked_for,
    probes::an_engine_without_criu_says_so,
    life::a_container_is_made_seen_and_removed,
    life::ended_and_unknown_containers_are_told,
    freezing::a_frozen_workload_answers_nobody,
    freezing::a_frozen_container_is_removed_and_never_runs_on,
    freezing::a_checkpoint_nobody_waits_for_ends_well,
    migration::redis_moves_with_its_state_and_a_cold_start_has_none,
    copies::copies_of_one_checkpoint_count_on,
    files::changes_of_the_root_travel,
    files::a_mounted_folder_is_given_again,
    connections::clients_are_refused_or_dropped_as_criu_is_told,
    damage::damaged_checkpoints_are_refused,
    damage::a_failed_dump_leaves_the_source_as_it_was,
    refusals::checkpoint_images_are_restored_or_refused,
    refusals::bare_checkpoints_are_taken_or_refused,
    refusals::a_killed_daemon_comes_back_or_there_is_none,
];

/// Two nodes with one engine, made when a test of that engine comes first and kept for its others; made anew after one
/// that failed.
struct Rig {
    runtime: Runtime,
    pair: Mutex<Option<Arc<Pair>>>,
}

impl Rig {
    fn run(&self, kind: EngineKind, topic: Topic) -> Result<(), Failed> {
        let mut slot = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|pair| pair.kind != kind) {
            self.take_down(slot.take());
            *slot = Some(Arc::new(self.runtime.block_on(Pair::up(kind)).map_err(|e| e.to_string())?));
        }
        let pair = Arc::clone(slot.as_ref().ok_or("no nodes")?);
        let from = Instant::now();
        // A panic is this test's, and no other's.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.runtime.block_on(async {
                topic(Arc::clone(&pair)).await;
                pair.nothing_is_left().await;
            });
        }));
        eprintln!("{kind}: {:.1} s", from.elapsed().as_secs_f64());
        drop(pair);
        ended.map_err(|panic| {
            self.take_down(slot.take());
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Failed::from(said.unwrap_or_else(|| "it panicked".to_owned()))
        })
    }

    fn take_down(&self, pair: Option<Arc<Pair>>) {
        self.runtime.block_on(async { drop(pair) });
    }
}

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    // The nodes of one engine at a time.
    arguments.test_threads = Some(1);
    let runtime = Runtime::new().expect("a runtime");
    let rig = Arc::new(Rig { runtime, pair: Mutex::default() });
    let test = |kind: EngineKind, (name, topic): &(&str, Topic)| {
        let (rig, topic) = (Arc::clone(&rig), *topic);
        let trial = Trial::test(format!("{kind}::{name}"), move || rig.run(kind, topic));
        // Never passed where it was not asked: the reason stands beside its name. A cluster's programs are built from source,
        // which takes many minutes once: a lane of its own does that.
        let lacks = match kind.given() {
            Some(Given::Program(program)) if given(kind).is_none() => Some(variable(program)),
            Some(Given::Cluster) if bed::kubernetes().is_empty() && nodes(kind).is_none() => {
                Some("PODFERRY_TEST_KUBERNETES".to_owned())
            }
            _ => None,
        };
        match lacks {
            Some(variable) => trial.with_kind(format!("{variable} unset")).with_ignored_flag(true),
            None => trial,
        }
    };
    let trials = EngineKind::ALL.iter().flat_map(|kind| TOPICS.iter().map(|topic| test(*kind, topic))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let last = rig.pair.lock().unwrap_or_else(PoisonError::into_inner).take();
    rig.take_down(last);
    conclusion.exit_code()
}
