//! Strategies of migration side by side: what each costs, and how far below the plain way of containerd it stays.

use super::bed::{Bed, case, each_size};
use super::{Bench, Goal, Table, broken, first_goes_first};
use crate::engine::runc::RuncEngine;
use crate::record::{EngineKind, Failure, Metric, Strategy};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// MiB of values.
const SIZES: [u64; 3] = [64, 256, 1024];
/// With the largest data set a pair takes a minute.
const PAIRS_OF_LARGEST: usize = 3;

const ABOUT: [&str; 7] = [
    "redis under a write load of 1 kHz moves from node to node by the `migrate` step of a case; nothing that it acknowledged may",
    "  be missing (of `live-copy` the loss is counted). Downtime: the longest time without an answer, as the writer sees it.",
    "plain: engine cri, `source: fenced`: containerd's checkpoint archive is copied, and a container created and started from it.",
    "The others: `strategy: NAME`. All images lie in memory. Moved: bytes of state that were copied or sent from node to node;",
    "  sent: all that the source's node sent meanwhile, by its kernel's count. Images that are written where they are read are",
    "  not moved. Latency: the worst of a write that was due between the first answer and the last page.",
    "Nodes of the engine runc last for a size and are warmed up by a first pair; those of cri by a first migration each.",
];

/// What is measured of each side, beside its downtime.
const FIGURES: [Metric; 6] =
    [Metric::Total, Metric::BytesMoved, Metric::BytesSent, Metric::CheckpointSize, Metric::Pages, Metric::PagesLatency];

/// A way that redis moves.
struct Side {
    name: String,
    engine: EngineKind,
    /// `None`: `source: fenced`, without a strategy.
    strategy: Option<Strategy>,
    /// How many times less downtime than the plain way it is to have with the largest data set.
    goal: Option<f64>,
    figures: BTreeMap<&'static str, Vec<f64>>,
}

impl Side {
    fn new(engine: EngineKind, strategy: Option<Strategy>, goal: Option<f64>) -> Self {
        let name = strategy.map_or_else(|| "plain".to_owned(), |s| s.to_string());
        Side { name: format!("{engine}, {name}"), engine, strategy, goal, figures: BTreeMap::new() }
    }

    fn of(&self, metric: Metric) -> &[f64] {
        self.figures.get(metric.name()).map_or(&[], Vec::as_slice)
    }
}

/// The `migrate` step's own words.
fn words(strategy: Option<Strategy>) -> String {
    strategy.map_or_else(|| "source: fenced".to_owned(), |s| format!("strategy: {s}"))
}

/// The scenario: redis moves as `how` says, with `more` under `spec`.
pub(super) fn scenario(mib: u64, [from, to]: [&str; 2], warmup: u32, how: &str, more: &str) -> String {
    let lost = if how.contains("live-copy") { "counted" } else { "none" };
    format!(
        "\
apiVersion: podferry/v1alpha1
kind: Scenario
metadata: {{name: bench-strategies}}
spec:
  nodes: [{from}, {to}]
  measure: {{warmup: {warmup}, repetitions: 1}}
{more}  workloads:
    redis: {{use: redis, with: {{data: {mib}Mi}}}}
  clients:
    writer: {{kind: redis-writer, target: redis, rate: 1000/s, opTimeout: 1s}}
  steps:
    - deploy: {{workload: redis, node: {from}}}
    - client: {{start: writer}}
    - wait: {{answers: {{client: writer, count: 200}}}}
    - id: move
      timeout: 120s
      migrate: {{of: redis, to: {to}, as: redis-moved, {how}}}
    - wait: {{answers: {{client: writer, count: 200}}}}
    - client: {{stop: writer}}
  checks:
    - ackedWrites: {{client: writer, lost: {lost}, atLeast: 400}}
"
    )
}

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Vec<Table>, Failure> {
    each_size(bench, &SIZES, &ABOUT, async |bed, mib| size(bench, bed, mib, say).await).await
}

async fn size(bench: &Bench, bed: &Arc<Bed>, mib: u64, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let pairs = if mib >= SIZES[2] { bench.pairs.min(PAIRS_OF_LARGEST) } else { bench.pairs };
    let (mut sides, lacking) = sides(bed).await?;
    for pair in 0..=pairs {
        say(&format!("strategies: {mib} MiB, pair {pair} of {pairs}"));
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if !first_goes_first(pair) {
            order.reverse();
        }
        for index in order {
            one(bench, bed, mib, pair, &mut sides[index]).await?;
        }
    }
    Ok(table(mib, &sides, lacking))
}

/// Those that the engines can do here, and for the others the reason.
async fn sides(bed: &Arc<Bed>) -> Result<(Vec<Side>, Vec<String>), Failure> {
    let runc = RuncEngine::connect(Arc::clone(bed.get("a")), EngineKind::Runc).await?;
    let mut sides =
        vec![Side::new(EngineKind::Cri, None, None), Side::new(EngineKind::Cri, Some(Strategy::Placed), Some(3.0))];
    let mut lacking = Vec::new();
    let wanted = Strategy::ALL.into_iter().filter(|s| *s != Strategy::Placed);
    for strategy in wanted {
        let goal = match strategy {
            Strategy::StopCopy => Some(3.0),
            Strategy::PostCopy => Some(12.0),
            _ => None,
        };
        match runc.capabilities().strategies.of(strategy) {
            Ok(()) => sides.push(Side::new(EngineKind::Runc, Some(strategy), goal)),
            Err(reason) => lacking.push(format!("Left out: runc, {strategy}: {reason}")),
        }
    }
    Ok((sides, lacking))
}

async fn one(bench: &Bench, bed: &Arc<Bed>, mib: u64, pair: usize, side: &mut Side) -> Result<(), Failure> {
    let how = words(side.strategy);
    let record = if side.engine == EngineKind::Cri {
        // The nodes of a case with containerd end with it: they are warmed up in the case, and not by pair 0.
        if pair == 0 {
            return Ok(());
        }
        let text = scenario(mib, ["c", "d"], 1, &how, "");
        case(bench, Arc::clone(&bed.provider) as _, side.engine, &text).await?
    } else {
        case(bench, Arc::clone(bed) as _, side.engine, &scenario(mib, ["a", "b"], 0, &how, "")).await?
    };
    if pair == 0 {
        return Ok(());
    }
    let last = |metric: Metric| record.evidence.metrics.get(metric.name()).and_then(|v| v.last().copied());
    let downtime = last(Metric::Downtime).ok_or_else(|| broken(format!("{} has no downtime", side.name)))?;
    side.figures.entry(Metric::Downtime.name()).or_default().push(downtime);
    for metric in FIGURES {
        side.figures.entry(metric.name()).or_default().extend(last(metric));
    }
    Ok(())
}

fn table(mib: u64, sides: &[Side], lacking: Vec<String>) -> Table {
    let mut table = Table::new(format!("strategies: redis with {mib} MiB moves under write load"), &[]);
    table.about.extend(medians(sides));
    table.about.extend(lacking);
    let rows: Vec<usize> = sides.iter().map(|side| table.row(&side.name, side.of(Metric::Downtime).to_vec())).collect();
    for (side, row) in sides.iter().zip(&rows).skip(1) {
        let most = side.goal.filter(|_| mib >= SIZES[2]).map(|times| 1.0 / times);
        table.goal(*row, Goal::Times { row: rows[0], most });
    }
    table
}

/// A line a side: medians of all that was measured.
fn medians(sides: &[Side]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<18} {:>11} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "medians", "downtime ms", "total ms", "moved MiB", "sent MiB", "images MiB", "pages ms", "latency ms"
    )];
    for side in sides {
        let mut line = format!("{:<18} {:>11}", side.name, shown(side, Metric::Downtime));
        for (metric, width) in FIGURES.into_iter().zip([9, 10, 10, 10, 10, 10]) {
            let _ = write!(line, " {:>width$}", shown(side, metric));
        }
        lines.push(line);
    }
    lines
}

fn shown(side: &Side, metric: Metric) -> String {
    match crate::stats::median(side.of(metric)) {
        None => "-".to_owned(),
        Some(value) if metric.unit() == "bytes" => format!("{:.1}", value / f64::from(1 << 20)),
        Some(value) => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::workload::KINDS;

    #[test]
    fn all_scenarios_are_valid() {
        for how in Strategy::ALL.map(Some).into_iter().chain([None]) {
            let (scenario, found) = load(&scenario(64, ["a", "b"], 1, &words(how), ""), "x", KINDS);
            assert!(scenario.is_some(), "{how:?}: {found:?}");
        }
    }

    #[test]
    fn the_table_says_what_is_met() {
        let side = |engine, strategy, goal, ms: f64, moved: f64| {
            let mut side = Side::new(engine, strategy, goal);
            side.figures.insert(Metric::Downtime.name(), vec![ms, ms + 10.0, ms + 20.0]);
            side.figures.insert(Metric::BytesMoved.name(), vec![moved]);
            side
        };
        let sides = [
            side(EngineKind::Cri, None, None, 8000.0, 1_181_116_006.0),
            side(EngineKind::Runc, Some(Strategy::StopCopy), Some(3.0), 1250.0, 0.0),
            side(EngineKind::Runc, Some(Strategy::PostCopy), Some(12.0), 900.0, 1e9),
        ];
        insta::assert_snapshot!(table(1024, &sides, vec!["Left out: runc, pre-copy: no tracking".to_owned()]).render());
        let small = table(64, &sides, Vec::new()).render();
        assert!(!small.contains("goal"), "{small}");
    }
}
