use super::{Bench, Goal, Table, blocking, broken};
use crate::record::Failure;
use crate::scenario;
use crate::workload::KINDS;
use std::sync::Arc;
use std::time::Instant;

const SCENARIOS: usize = 10_000;

/// Reads and checks many different scenarios, from memory: files are not what is measured.
pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    say("lint: 10,000 generated scenarios");
    let files = Arc::new(scenario::bench_corpus(SCENARIOS));
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    let mut ms = Vec::new();
    // The first time fills caches and the allocator's arenas.
    for n in 0..=bench.pairs {
        let files = Arc::clone(&files);
        let (took, sound) = blocking(move || {
            let from = Instant::now();
            let loaded = scenario::load_all(&files, KINDS, &|_| Ok(()));
            let took = from.elapsed();
            (took, loaded.iter().filter(|(scenario, _)| scenario.is_some()).count())
        })
        .await?;
        if sound != SCENARIOS {
            return Err(broken(format!("only {sound} of {SCENARIOS} generated scenarios are sound")));
        }
        if n > 0 {
            ms.push(took.as_secs_f64() * 1e3);
        }
    }
    let about = format!(
        "Parsed and checked on all processors, {} different scenarios of {} bytes in the mean, from memory.",
        SCENARIOS,
        bytes / SCENARIOS
    );
    let mut table = Table::new("lint: 10,000 scenarios", &[&about]);
    let row = table.row("10,000 scenarios", ms);
    table.goal(row, Goal::Most { ms: 1000.0 });
    Ok(table)
}
