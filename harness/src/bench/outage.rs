//! The error of a measured outage.

use super::bed::Bed;
use super::containers::Program;
use super::{Bench, Goal, Table, blocking, broke, broken};
use crate::check;
use crate::client::{Client, ClientConfig, DEFAULT_INTERVAL, DEFAULT_MAX_OPS, Endpoint, Kind};
use crate::clock;
use crate::engine::runc::RuncEngine;
use crate::engine::{Container, Engine};
use crate::provider::Provider;
use crate::record::{EngineKind, Failure};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const WANTED: [u64; 3] = [20, 50, 100];
/// Tries of each length, at least: p95 of fewer says nothing.
const TRIES: usize = 40;
/// Answers before and after the freeze.
const AROUND: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(20);

const ABOUT: [&str; 3] = [
    "A counter in a container (engine runc) is frozen by its freezer cgroup; a counter-reader at 1 kHz measures the outage.",
    "True: from when the freezer says frozen until just before it is told to thaw, waited for in a busy loop and stamped",
    "  on the same clock. Error: |measured - true|. A thread that the machine's noise keeps from running counts as error.",
];

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let bed = Bed::up(bench, &["a"]).await?;
    let measured = on_bed(bench, &bed, say).await;
    let down = bed.down().await;
    measured.and_then(|table| down.map(|()| table))
}

async fn on_bed(bench: &Bench, bed: &Bed, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let program = Program::new(bench, "counter", &[("interval", "10ms".to_owned())]).await?;
    let engine: Arc<dyn Engine> = RuncEngine::connect(Arc::clone(bed.get("a")), EngineKind::Runc).await?;
    let container = program.start(bed, &engine, "frozen").await?;
    let freezer = Freezer::of(&engine, &container)?;
    let mut table = Table::new("outage: a known outage as a 1 kHz client measures it", &ABOUT);
    for wanted in WANTED {
        say(&format!("outage: {wanted} ms"));
        let (mut errors, mut lateness) = (Vec::new(), Vec::new());
        for _ in 0..bench.pairs.max(TRIES) {
            let config = ClientConfig {
                name: "reader".to_owned(),
                kind: Kind::CounterReader,
                interval: DEFAULT_INTERVAL,
                op_timeout: None,
                instance: "frozen".to_owned(),
                endpoint: Endpoint::Tcp((container.slot.address, program.workload.port.unwrap_or(7000)).into()),
                vantage: bed.vantage(),
                max_ops: DEFAULT_MAX_OPS,
            };
            let freezer = freezer.clone();
            let (error, late) = blocking(move || one(config, &freezer, Duration::from_millis(wanted))).await??;
            errors.push(error);
            lateness.push(late);
        }
        let row = table.row(format!("error at {wanted} ms"), errors);
        table.row("  the client's own worst lateness", lateness);
        table.goal(row, Goal::Most { ms: 1.0 });
    }
    engine.remove(&container).await?;
    Ok(table)
}

/// The error, and the worst lateness of the client's timer, in ms.
fn one(config: ClientConfig, freezer: &Freezer, wanted: Duration) -> Result<(f64, f64), Failure> {
    let client = Client::start(config).map_err(|e| broke("can't start the client", &e))?;
    let answers = |count| {
        let got = client.wait_answers(count, clock::now() + PATIENCE);
        got.map(drop).map_err(|e| broke("the counter does not answer", &e))
    };
    answers(AROUND)?;
    let cannot = |e: io::Error| broke("can't use the freezer", &e);
    freezer.freeze().map_err(cannot)?;
    let from = clock::now();
    while clock::now() < from + wanted {
        std::hint::spin_loop();
    }
    let to = clock::now();
    freezer.thaw().map_err(cannot)?;
    answers(client.answered() + AROUND)?;
    let history = client.stop();
    let seen = check::outage(&history, (from, to)).ok_or_else(|| broken("the outage was not seen".to_owned()))?;
    let error = (seen.as_secs_f64() - to.since(from).as_secs_f64()).abs() * 1e3;
    Ok((error, history.worst_lateness_ns as f64 / 1e6))
}

/// The files of a container's freezer, on the host.
#[derive(Clone)]
struct Freezer {
    control: PathBuf,
    state: PathBuf,
    words: [&'static str; 3],
}

impl Freezer {
    fn of(engine: &Arc<dyn Engine>, container: &Container) -> Result<Freezer, Failure> {
        let group = format!("podferry/runc-{}", container.id);
        let host = |hierarchy: &str| engine.node().host_path(&Path::new("/sys/fs/cgroup").join(hierarchy).join(&group));
        let (v1, v2) = (host("freezer"), host(""));
        if v1.is_dir() {
            let file = v1.join("freezer.state");
            return Ok(Freezer { control: file.clone(), state: file, words: ["FROZEN", "THAWED", "FROZEN\n"] });
        }
        if v2.is_dir() {
            let (control, state) = (v2.join("cgroup.freeze"), v2.join("cgroup.events"));
            return Ok(Freezer { control, state, words: ["1", "0", "frozen 1\n"] });
        }
        Err(broken(format!("container {} has no freezer", container.id)))
    }

    /// Returns when all its tasks stand still.
    fn freeze(&self) -> io::Result<()> {
        fs::write(&self.control, self.words[0])?;
        let end = clock::now() + PATIENCE;
        while !fs::read_to_string(&self.state)?.contains(self.words[2]) {
            if clock::now() > end {
                return Err(io::Error::other("the container does not freeze"));
            }
        }
        Ok(())
    }

    fn thaw(&self) -> io::Result<()> {
        fs::write(&self.control, self.words[1])
    }
}
