//! What each trick that keeps a migration short is worth: the same migration with all of them, and with one left out.

use super::bed::{Bed, case};
use super::strategies::scenario;
use super::{Bench, Goal, Table, broken, first_goes_first};
use crate::record::{EngineKind, Failure, Metric, Trick};
use std::sync::Arc;

/// MiB of values, unless less is asked for: what a trick saves does not grow with them.
const SIZE: u64 = 64;

const ABOUT: [&str; 5] = [
    "redis moves by `strategy: stop-copy`, engine runc, under a write load of 1 kHz. Downtime, as the writer sees it.",
    "all: as everywhere. without X: `tricks: {X: false}`. Without pause-first, CRIU freezes and the source ends with its dump.",
    "  Without lean-mounts, containers have the mounts that containerd gives them. Without warm-probe, CRIU finds out in every",
    "  dump and restore what the kernel can do. Without skip-network-lock, it locks the network though connections are closed.",
    "link-first: the stall of a connection that is kept (`address: moved`), and with the link led to the copy after its restore.",
];

/// What is compared: a name, what the `migrate` step says, what stands under `spec`, and the figure.
struct Side {
    name: String,
    how: &'static str,
    more: String,
    figure: Metric,
    ms: Vec<f64>,
}

fn sides() -> Vec<Side> {
    let stop = |name: String, more: String| Side {
        name,
        how: "strategy: stop-copy",
        more,
        figure: Metric::Downtime,
        ms: Vec::new(),
    };
    let mut sides = vec![stop("all".to_owned(), String::new())];
    sides.extend(Trick::ALL.map(|t| stop(format!("without {t}"), format!("  tricks: {{{}: false}}\n", key(t)))));
    for (name, how) in [
        ("kept connection, link first", "strategy: stop-copy, address: moved"),
        ("kept connection, link last", "strategy: stop-copy, address: moved-late"),
    ] {
        let more = "  criu: {tcp: keep}\n".to_owned();
        sides.push(Side { name: name.to_owned(), how, more, figure: Metric::Stall, ms: Vec::new() });
    }
    sides
}

/// As scenarios write it.
fn key(trick: Trick) -> &'static str {
    match trick {
        Trick::PauseFirst => "pauseFirst",
        Trick::LeanMounts => "leanMounts",
        Trick::WarmProbe => "warmProbe",
        Trick::SkipNetworkLock => "skipNetworkLock",
    }
}

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let bed = Bed::up(bench, &["a", "b"]).await?;
    let measured = on_bed(bench, &bed, say).await;
    let down = bed.down().await;
    measured.and_then(|table| down.map(|()| table))
}

async fn on_bed(bench: &Bench, bed: &Arc<Bed>, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let (mut sides, mib) = (sides(), SIZE.min(bench.largest));
    for pair in 0..=bench.pairs {
        say(&format!("tricks: pair {pair} of {}", bench.pairs));
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if !first_goes_first(pair) {
            order.reverse();
        }
        for index in order {
            let side = &mut sides[index];
            let text = scenario(mib, ["a", "b"], 0, side.how, &side.more);
            let record = case(bench, Arc::clone(bed) as _, EngineKind::Runc, &text).await?;
            let figure = record.evidence.metrics.get(side.figure.name()).and_then(|v| v.last().copied());
            let figure = figure.ok_or_else(|| broken(format!("{} has no {}", side.name, side.figure.name())))?;
            // The first pair warms up.
            side.ms.extend((pair > 0).then_some(figure));
        }
    }
    Ok(table(mib, sides))
}

fn table(mib: u64, sides: Vec<Side>) -> Table {
    let mut table = Table::new(format!("tricks: redis with {mib} MiB moves, with one trick less"), &ABOUT);
    let rows: Vec<usize> = sides.into_iter().map(|side| table.row(side.name, side.ms)).collect();
    let (of_address, of_tricks) = (rows.len() - 2, &rows[1..rows.len() - 2]);
    for row in of_tricks {
        table.goal(*row, Goal::Times { row: rows[0], most: None });
    }
    table.goal(rows[of_address + 1], Goal::Times { row: rows[of_address], most: None });
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::workload::KINDS;

    #[test]
    fn all_scenarios_are_valid() {
        for side in sides() {
            let (scenario, found) = load(&scenario(64, ["a", "b"], 0, side.how, &side.more), "x", KINDS);
            assert!(scenario.is_some(), "{}: {found:?}", side.name);
        }
    }
}
