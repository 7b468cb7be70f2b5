//! What the harness adds to the engine calls of a migration.

use super::bed::{Bed, case, phase_ms};
use super::containers::Program;
use super::{Bench, Goal, Table, broke, broken, first_goes_first, script};
use crate::engine::runc::RuncEngine;
use crate::engine::{Container, ContainerSpec, Engine, Slot};
use crate::provider::Provider;
use crate::record::{EngineKind, Failure, Phase};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SCENARIO: &str = "\
apiVersion: podferry/v1alpha1
kind: Scenario
metadata: {name: bench-overhead}
spec:
  workloads:
    counter: {use: counter, with: {interval: 10ms, journal: false}}
  steps:
    - deploy: {workload: counter, node: a}
    - id: move
      migrate: {of: counter, to: b, as: counter-moved, source: fenced}
  checks:
    - instance: {of: counter-moved, state: running}
";

const ABOUT: [&str; 6] = [
    "harness: the whole `migrate` step of a counter, engine runc, from node a to node b, by its own record: making the",
    "  slot, pause, checkpoint, a look at the images, restore, first answer, digest, and the removal of the source.",
    "bare loop: the programs that this step runs, with the same arguments, by two shells that wake each other: mount, ip,",
    "  ip; runc pause, runc checkpoint; runc restore; kill, runc delete, umount, ip. Nothing is waited for or looked at, and",
    "  no root's changes are carried (the counter writes no file). Nothing is subtracted: the parts below show what the difference is made of.",
    "  A part of the harness's step ends when its result is known in the harness, of the bare loop's when the shell goes on.",
];

/// The phases of the harness's step that have a counterpart, and the stamps between which the bare loop does it.
const PARTS: [(Phase, &str, &str); 5] = [
    (Phase::Prepare, "begin", "prepared"),
    (Phase::Freeze, "prepared", "frozen"),
    (Phase::Checkpoint, "frozen", "dumped"),
    (Phase::Restore, "dumped", "restored"),
    (Phase::StopSource, "restored", "end"),
];
/// Those that have none.
const OWN: [Phase; 3] = [Phase::Transfer, Phase::FirstAnswer, Phase::Digest];

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let bed = Bed::up(bench, &["a", "b"]).await?;
    let measured = on_bed(bench, &bed, say).await;
    let down = bed.down().await;
    measured.and_then(|table| down.map(|()| table))
}

#[derive(Default)]
struct Sides {
    harness: Vec<f64>,
    ours: [Vec<f64>; PARTS.len()],
    own: [Vec<f64>; OWN.len()],
    rest: Vec<f64>,
    bare: Vec<f64>,
    theirs: [Vec<f64>; PARTS.len()],
}

async fn on_bed(bench: &Bench, bed: &Arc<Bed>, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let bare = Bare::new(bench, bed).await?;
    let mut sides = Sides::default();
    // The first dump on a node is colder than those after it.
    for pair in 0..=bench.pairs {
        say(&format!("overhead: pair {pair} of {}", bench.pairs));
        if first_goes_first(pair) {
            harness(bench, bed, &mut sides).await?;
            bare.sample(bed, &mut sides).await?;
        } else {
            bare.sample(bed, &mut sides).await?;
            harness(bench, bed, &mut sides).await?;
        }
        if pair == 0 {
            sides = Sides::default();
        }
    }
    let mut table = Table::new("overhead: a migration with runc over the same calls made by a bare loop", &ABOUT);
    let ours = table.row("harness: the step", sides.harness);
    for ((phase, ..), ms) in PARTS.iter().zip(sides.ours) {
        table.row(format!("  {}", phase.name()), ms);
    }
    for (phase, ms) in OWN.iter().zip(sides.own) {
        table.row(format!("  {} (harness only)", phase.name()), ms);
    }
    table.row("  the rest (harness only)", sides.rest);
    let theirs = table.row("bare loop: all", sides.bare);
    for ((phase, ..), ms) in PARTS.iter().zip(sides.theirs) {
        table.row(format!("  {}", phase.name()), ms);
    }
    table.goal(ours, Goal::Plus { row: theirs, ms: 5.0 });
    Ok(table)
}

async fn harness(bench: &Bench, bed: &Arc<Bed>, sides: &mut Sides) -> Result<(), Failure> {
    let record = case(bench, Arc::clone(bed) as Arc<dyn Provider>, EngineKind::Runc, SCENARIO).await?;
    let step = record.evidence.steps.iter().find(|s| s.id == "move");
    let step = step.ok_or_else(|| broken("no record of the step".to_owned()))?;
    let whole = step.to.since(step.from).as_secs_f64() * 1e3;
    let index = record.evidence.steps.iter().position(|s| s.id == "move");
    // The deployment has a phase `prepare` of its own.
    let mut moved = record.clone();
    moved.evidence.phases.retain(|p| Some(p.step) == index);
    let part = |phase| phase_ms(&moved, phase).unwrap_or(0.0);
    let mut told = 0.0;
    for ((phase, ..), ms) in PARTS.iter().zip(&mut sides.ours) {
        ms.push(part(*phase));
        told += part(*phase);
    }
    for (phase, ms) in OWN.iter().zip(&mut sides.own) {
        ms.push(part(*phase));
        told += part(*phase);
    }
    sides.harness.push(whole);
    sides.rest.push(whole - told);
    Ok(())
}

/// The bare loop.
struct Bare {
    program: Program,
    a: Arc<dyn Engine>,
    b: Arc<dyn Engine>,
    /// The copy's slot as the engine makes it: the script makes the same.
    slot: Slot,
    config: Vec<u8>,
    target: String,
    source: String,
}

/// Where the engine keeps its things on a node.
const HOME: &str = "/data/runc";
const COPY: &str = "bare-copy";
const SOURCE: &str = "bare";

impl Bare {
    async fn new(bench: &Bench, bed: &Bed) -> Result<Bare, Failure> {
        let program =
            Program::new(bench, "counter", &[("interval", "10ms".to_owned()), ("journal", "false".to_owned())]).await?;
        let a = RuncEngine::connect(Arc::clone(bed.get("a")), EngineKind::Runc).await?;
        let b = RuncEngine::connect(Arc::clone(bed.get("b")), EngineKind::Runc).await?;
        let spec: ContainerSpec = program.spec(COPY);
        let slot = b.prepare(&spec).await?;
        let config = b.node().host_path(&PathBuf::from(format!("{HOME}/containers/{COPY}/config.json")));
        let config = std::fs::read(config).map_err(|e| broke("can't read a bundle", &e))?;
        b.discard(&slot).await?;
        let image: String = program.image.digest.chars().filter(char::is_ascii_alphanumeric).collect();
        let target = target_script(&image, &slot);
        Ok(Bare { program, a, b, slot, config, target, source: source_script() })
    }

    async fn sample(&self, bed: &Bed, sides: &mut Sides) -> Result<(), Failure> {
        let (a, b) = (bed.get("a"), bed.get("b"));
        script::clear(a, &["prepared-fifo", "dumped-fifo", "restored-fifo"]).await?;
        let config = a.host_path(&Path::new(script::PLACE).join("config.json"));
        std::fs::write(config, &self.config).map_err(|e| broke("can't write a bundle", &e))?;
        let source = self.program.start(bed, &self.a, SOURCE).await?;
        script::both((a, &self.source), (b, &self.target)).await?;
        // The script ended the container and took its mount and network; what is left is the folder.
        self.a.discard(&source.slot).await?;
        let copy = Container { id: COPY.to_owned(), slot: self.slot.clone(), log: PathBuf::new() };
        self.b.remove(&copy).await?;
        sides.bare.push(script::between(a, "begin", "end")?);
        for ((_, from, to), ms) in PARTS.iter().zip(&mut sides.theirs) {
            ms.push(script::between(a, from, to)?);
        }
        Ok(())
    }
}

fn target_script(image: &str, slot: &Slot) -> String {
    let (address, netns) = (slot.address, &slot.handle);
    let veth = format!("pf{}", address.octets()[3]);
    format!(
        "S={HOME}/containers/{COPY}; I={HOME}/images/{image}; W={HOME}/logs/bare-restore
stamp begin
mkdir -p $S/rootfs $S/upper $S/work $W
cp config.json $S/config.json
mount -t overlay overlay -o lowerdir=$I,upperdir=$S/upper,workdir=$S/work,redirect_dir=off,metacopy=off,index=off $S/rootfs &
M=$!
ip -batch - <<END
netns add {netns}
link add {veth} type veth peer name eth0 netns {netns}
addr add 169.254.1.1/32 dev {veth}
link set {veth} up
route add {address}/32 dev {veth}
END
ip -n {netns} -batch - <<END
link set lo up
addr add {address}/32 dev eth0
link set eth0 up
route add 169.254.1.1/32 dev eth0 scope link
route add default via 169.254.1.1 dev eth0
END
wait $M
stamp prepared
tell prepared-fifo
await dumped-fifo
runc --root {HOME}/state --log $W/runtime.json --log-format json restore -d --image-path {place}/checkpoint \
     --work-path $W --bundle $S {COPY}
stamp restored
tell restored-fifo
",
        place = script::PLACE
    )
}

fn source_script() -> String {
    format!(
        "R='runc --root {HOME}/state'; W={HOME}/logs/bare-dump; mkdir -p $W {place}/checkpoint
await prepared-fifo
$R pause {SOURCE}
stamp frozen
$R --log $W/runtime.json --log-format json checkpoint --leave-running --image-path {place}/checkpoint --work-path $W {SOURCE}
stamp dumped
tell dumped-fifo
await restored-fifo
G=/sys/fs/cgroup/freezer/podferry/runc-{SOURCE} T='freezer.state THAWED'
[ -d $G ] || G=/sys/fs/cgroup/podferry/runc-{SOURCE} T='cgroup.freeze 0'
P=$(<$G/cgroup.procs)
kill -9 $P
echo ${{T#* }} >$G/${{T% *}}
for p in $P; do while [ -e /proc/$p ]; do :; done; done
$R delete {SOURCE}
umount -l {HOME}/containers/{SOURCE}/rootfs & ip netns del runc-{SOURCE} & wait
stamp end
",
        place = script::PLACE
    )
}
