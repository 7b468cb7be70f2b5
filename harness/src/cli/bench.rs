//! `podferry bench`.

use super::args::BenchArgs;
use super::progress::Progress;
use super::run::{DATA_SIZE, Refusal, close_ledger, interrupts, new_ledger, own_program, sweep_first};
use super::terminal::{complain, print};
use super::{doctor, stack};
use crate::bench::{Bench, Table, What};
use crate::component;
use crate::image::Store;
use crate::ledger::{Ledger, TEMP_DIR};
use crate::provider::local::LocalConfig;
use crate::record::{Chain, Failure, RunId};
use crate::run::{Exit, Stores};
use std::path::Path;
use std::sync::Arc;

/// Measures, and prints a table a thing. Goals that are missed are printed, and change no exit code.
pub(super) async fn bench(args: &BenchArgs) -> Exit {
    if let Some(exit) = doctor::refuse_early() {
        return exit;
    }
    prepared(args).await.unwrap_or_else(Refusal::tell)
}

async fn prepared(args: &BenchArgs) -> Result<Exit, Refusal> {
    sweep_first();
    let (id, ledger) = new_ledger()?;
    let scratch = std::env::temp_dir().join(format!("podferry-bench-{}", id.0));
    ledger.claim(TEMP_DIR, &scratch.display().to_string()).map_err(|e| surroundings("can't note a claim", &e))?;
    let measured = in_scratch(args, &id, &ledger, &scratch).await;
    let gone = match std::fs::remove_dir_all(&scratch) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", scratch.display())),
        _ => Ok(()),
    };
    if let Err(reason) = gone.and_then(|()| close_ledger(&id, &ledger)) {
        complain(&format!("leaked: {reason}; `podferry clean` tries again"));
        return Ok(Exit::Leaked);
    }
    measured
}

async fn in_scratch(args: &BenchArgs, id: &RunId, ledger: &Arc<Ledger>, scratch: &Path) -> Result<Exit, Refusal> {
    let progress = Progress::lines();
    let stack = stack::of(&args.stack, Arc::clone(ledger), &progress).await?;
    std::fs::create_dir_all(scratch).map_err(|e| surroundings("can't make a scratch folder", &e))?;
    let open = |path| Store::open(path).map(Arc::new).map_err(|e| surroundings("can't open a store", &e));
    let bench = Bench {
        nodes: LocalConfig {
            run_id: id.clone(),
            podferry: own_program()?,
            image_rootfs: stack.image.rootfs.clone(),
            overrides: stack.binds(),
            binds: stack.programs(),
            components: stack.components(),
            data_size: DATA_SIZE,
            claims: Arc::clone(ledger) as _,
        },
        stores: Stores { lasting: open(stack.cache.dir().join("store"))?, of_run: open(scratch.join("store"))? },
        image: stack.image,
        dir: scratch.to_owned(),
        pairs: args.pairs,
        smallest: args.smallest,
        largest: args.largest,
    };
    let mut stop = interrupts();
    let done = tokio::select! {
        done = all(args, &bench) => done,
        _ = stop.wait_for(|stop| *stop) => return Ok(Exit::Interrupted),
    };
    progress.finish();
    done?;
    Ok(Exit::Passed)
}

async fn all(args: &BenchArgs, bench: &Bench) -> Result<(), Failure> {
    print(&machine(bench));
    let whats = if args.what.is_empty() { What::ALL.to_vec() } else { args.what.clone() };
    let mut tables: Vec<Table> = Vec::new();
    for what in whats {
        let before = load();
        let measured = bench.measure(what, &complain).await?;
        for table in &measured {
            print(&format!("\n{}", table.render()));
        }
        print(&format!("load average before {before}, after {}", load()));
        tables.extend(measured);
    }
    let Some(file) = &args.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(&tables).map_err(|e| surroundings("can't write the samples", &e))?;
    std::fs::write(file, text).map_err(|e| surroundings(&format!("can't write {}", file.display()), &e))
}

/// What the figures were measured on.
fn machine(bench: &Bench) -> String {
    let host = component::host_record();
    let parts: Vec<String> = bench
        .nodes
        .components
        .iter()
        .filter(|c| ["containerd", "runc", "criu"].contains(&c.name.as_str()))
        .map(|c| format!("{} {}", c.name, c.version))
        .collect();
    let build = if cfg!(debug_assertions) { ", NOT OPTIMISED" } else { "" };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "podferry {}{build}; {}; kernel {}; {processors} processors; medians with 95 % intervals",
        env!("CARGO_PKG_VERSION"),
        parts.join(", "),
        host.kernel
    )
}

/// One, five and fifteen minutes: other work on the machine is in the figures.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn surroundings(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(error)))
}
