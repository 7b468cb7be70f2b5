//! Downtime of redis that moves under write load.

mod bare;

use super::bed::{Bed, case, each_size, phase_ms};
use super::containers::Program;
use super::{Bench, Goal, Table, broken, first_goes_first};
use crate::engine::Engine;
use crate::engine::runc::RuncEngine;
use crate::provider::Provider;
use crate::record::{EngineKind, Failure, Metric, Phase};
use std::sync::Arc;

/// MiB of values.
const SIZES: [u64; 3] = [64, 256, 1024];
/// Pairs with the largest data set, at most: one takes half a minute.
const PAIRS_OF_LARGEST: usize = 5;

/// The scenario: `redis-migrates` of the shipped suite, without captures. A case on nodes of its own warms them up first.
fn scenario(mib: u64, nodes: [&str; 2], warmup: u32) -> String {
    let [from, to] = nodes;
    format!(
        "\
apiVersion: podferry/v1alpha1
kind: Scenario
metadata: {{name: bench-downtime}}
spec:
  nodes: [{from}, {to}]
  measure: {{warmup: {warmup}, repetitions: 1}}
  workloads:
    redis: {{use: redis, with: {{data: {mib}Mi}}}}
  clients:
    writer: {{kind: redis-writer, target: redis, rate: 1000/s, opTimeout: 1s}}
  steps:
    - deploy: {{workload: redis, node: {from}}}
    - client: {{start: writer}}
    - wait: {{answers: {{client: writer, count: 200}}}}
    - id: move
      timeout: 120s
      migrate: {{of: redis, to: {to}, as: redis-moved, source: fenced}}
    - wait: {{answers: {{client: writer, count: 200}}}}
    - client: {{stop: writer}}
  checks:
    - ackedWrites: {{client: writer, lost: none, atLeast: 400}}
"
    )
}

const ABOUT: [&str; 8] = [
    "Downtime: the longest time without an answer around the migration, as a redis-writer at 1 kHz outside the nodes sees",
    "  it; the same client for all. All images and archives lie in memory. Each side is warmed up by one migration.",
    "harness, runc: the `migrate` step of a case, fenced; images are written where the target reads them; their structure",
    "  is looked at and nothing is copied.",
    "raw runc: by shells in the nodes, `runc pause; runc checkpoint --leave-running; cp -r` to where the target reads it,",
    "  `runc restore` into a slot that is there already. The pause is a favour: without it, CRIU freezes in steps of 100 ms.",
    "raw criu: `criu dump` of a plain redis-server in a node to where the target reads it, `criu restore`; no container.",
    "harness, cri: the same case by containerd: checkpoint to an archive, copy, create and start from it.",
];

/// Parts of the harness's downtime.
const PARTS: [Phase; 6] =
    [Phase::Freeze, Phase::Checkpoint, Phase::Transfer, Phase::Create, Phase::Restore, Phase::FirstAnswer];

#[derive(Default)]
struct Side {
    downtime: Vec<f64>,
    parts: [Vec<f64>; PARTS.len()],
}

#[derive(Default)]
struct Sides {
    runc: Side,
    cri: Side,
    raw: Vec<f64>,
    raw_parts: [Vec<f64>; 3],
    no_copy: Vec<f64>,
    criu: Vec<f64>,
    criu_parts: [Vec<f64>; 2],
}

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Vec<Table>, Failure> {
    each_size(bench, &SIZES, &ABOUT, async |bed, mib| size(bench, bed, mib, say).await).await
}

async fn size(bench: &Bench, bed: &Arc<Bed>, mib: u64, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let pairs = if mib == SIZES[2] { bench.pairs.min(PAIRS_OF_LARGEST) } else { bench.pairs };
    let program = Program::new(bench, "redis", &[("data", format!("{mib}Mi"))]).await?;
    let engines = [
        RuncEngine::connect(Arc::clone(bed.get("a")), EngineKind::Runc).await?,
        RuncEngine::connect(Arc::clone(bed.get("b")), EngineKind::Runc).await?,
    ];
    let mut sides = Sides::default();
    for pair in 0..=pairs {
        say(&format!("downtime: {mib} MiB, pair {pair} of {pairs}"));
        let mut order = [0, 1, 2, 3];
        if !first_goes_first(pair) {
            order.reverse();
        }
        for side in order {
            one(bench, bed, &program, &engines, (mib, side, pair), &mut sides).await?;
        }
        if pair == 0 {
            sides = Sides::default();
        }
    }
    Ok(table(mib, sides))
}

async fn one(
    bench: &Bench,
    bed: &Arc<Bed>,
    program: &Program,
    engines: &[Arc<dyn Engine>; 2],
    (mib, side, pair): (u64, u32, usize),
    sides: &mut Sides,
) -> Result<(), Failure> {
    match side {
        0 => {
            harness(bench, Arc::clone(bed) as _, EngineKind::Runc, &scenario(mib, ["a", "b"], 0), &mut sides.runc)
                .await?
        }
        1 => {
            let (downtime, parts) = bare::runc(bed, program, engines).await?;
            sides.raw.push(downtime);
            sides.no_copy.push(downtime - parts[1]);
            for (all, part) in sides.raw_parts.iter_mut().zip(parts) {
                all.push(part);
            }
        }
        2 => {
            let (downtime, parts) = bare::criu(bed, program, pair).await?;
            sides.criu.push(downtime);
            for (all, part) in sides.criu_parts.iter_mut().zip(parts) {
                all.push(part);
            }
        }
        // The nodes of a case with containerd end with it: they are warmed up in the case, and not by pair 0.
        _ if pair > 0 => {
            let text = scenario(mib, ["c", "d"], 1);
            harness(bench, Arc::clone(&bed.provider) as _, EngineKind::Cri, &text, &mut sides.cri).await?;
        }
        _ => {}
    }
    Ok(())
}

async fn harness(
    bench: &Bench,
    provider: Arc<dyn Provider>,
    engine: EngineKind,
    text: &str,
    side: &mut Side,
) -> Result<(), Failure> {
    let record = case(bench, provider, engine, text).await?;
    let downtime = record.evidence.metrics.get(Metric::Downtime.name()).and_then(|v| v.last().copied());
    side.downtime.push(downtime.ok_or_else(|| broken("the case has no downtime".to_owned()))?);
    for (phase, all) in PARTS.iter().zip(&mut side.parts) {
        all.extend(phase_ms(&record, *phase));
    }
    Ok(())
}

fn table(mib: u64, sides: Sides) -> Table {
    let mut table = Table::new(format!("downtime: redis with {mib} MiB moves under write load"), &[]);
    let side = |table: &mut Table, name: &str, side: Side| {
        let row = table.row(name, side.downtime);
        for (phase, ms) in PARTS.iter().zip(side.parts) {
            table.row(format!("  {}", phase.name()), ms);
        }
        row
    };
    let runc = side(&mut table, "harness, runc", sides.runc);
    let raw = table.row("raw runc + copy + restore", sides.raw);
    for (name, ms) in ["pause, checkpoint", "copy", "restore"].iter().zip(sides.raw_parts) {
        table.row(format!("  {name}"), ms);
    }
    let no_copy = table.row("raw runc, its copy taken off", sides.no_copy);
    let criu = table.row("raw criu, no container", sides.criu);
    for (name, ms) in ["dump", "restore"].iter().zip(sides.criu_parts) {
        table.row(format!("  {name}"), ms);
    }
    let cri = side(&mut table, "harness, cri", sides.cri);
    table.goal(runc, Goal::Times { row: raw, most: Some(1.25) });
    for (of, to) in [(runc, no_copy), (runc, criu), (cri, raw), (cri, criu)] {
        table.goal(of, Goal::Times { row: to, most: None });
    }
    table
}
