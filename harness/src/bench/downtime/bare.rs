//! The bare controls: raw runc and raw criu, by shells in the nodes.

use crate::bench::bed::Bed;
use crate::bench::containers::Program;
use crate::bench::{blocking, broke, broken, script};
use crate::check;
use crate::client::{Client, ClientConfig, DEFAULT_INTERVAL, DEFAULT_MAX_OPS, Endpoint, Kind};
use crate::clock;
use crate::engine::{Container, Engine};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::provider::Provider;
use crate::record::Failure;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Answers before and after the move, as in the case.
const AROUND: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const PORT: u16 = 6379;
/// Where the engine keeps its things on a node.
const HOME: &str = "/data/runc";
const SOURCE: &str = "raw";
const COPY: &str = "raw-copy";

/// Raw runc: the downtime, and how long dump, copy and restore took.
pub(super) async fn runc(
    bed: &Bed,
    program: &Program,
    [from, to]: &[Arc<dyn Engine>; 2],
) -> Result<(f64, [f64; 3]), Failure> {
    let (a, b) = (bed.get("a"), bed.get("b"));
    script::clear(a, &["copied-fifo"]).await?;
    let source = program.start(bed, from, SOURCE).await?;
    let slot = to.prepare(&program.spec(COPY)).await?;
    let dump = format!(
        "D=/data/raw; rm -rf $D; mkdir -p $D/images $D/work
R='runc --root {HOME}/state'
stamp begin
$R pause {SOURCE}
$R checkpoint --leave-running --image-path $D/images --work-path $D/work {SOURCE}
stamp dumped
cp -r $D/images copy
stamp copied
tell copied-fifo
"
    );
    let restore = format!(
        "W=/data/raw-work; mkdir -p $W
await copied-fifo
runc --root {HOME}/state restore -d --image-path {place}/copy --work-path $W --bundle {HOME}/containers/{COPY} {COPY}
stamp restored
",
        place = script::PLACE
    );
    let downtime = moved(bed, (source.slot.address, slot.address), (&dump, &restore)).await;
    // Both go also when it failed: the nodes serve the next sample.
    let copy = Container { id: COPY.to_owned(), slot, log: PathBuf::new() };
    let removed = (from.remove(&source).await, to.remove(&copy).await);
    let downtime = downtime?;
    removed.0.and(removed.1)?;
    let part = |from, to| script::between(a, from, to);
    let parts = [part("begin", "dumped")?, part("dumped", "copied")?, part("copied", "restored")?];
    let folders = "rm -rf /data/raw /data/raw-work /shared/bench/*";
    for node in [a, b] {
        sh(node, folders).await?;
    }
    Ok((downtime, parts))
}

/// Raw criu: the downtime, and how long dump and restore took. `pair` makes the process's id one that no process of the
/// target has: a restored process has its old one.
pub(super) async fn criu(bed: &Bed, program: &Program, pair: usize) -> Result<(f64, [f64; 2]), Failure> {
    let (a, b) = (bed.get("a"), bed.get("b"));
    script::clear(a, &["dumped-fifo"]).await?;
    let before = 10_000 + 100 * pair;
    let pid = before + 1;
    let args: Vec<String> = program.workload.args.iter().map(|a| format!("'{a}'")).collect();
    // A session of its own, and nothing open but what CRIU knows. LC_ALL as in the image.
    let start = format!(
        "mkdir -p /data/plain; cd /; echo {before} >/proc/sys/kernel/ns_last_pid
LC_ALL=C setsid {} </dev/null >/dev/null 2>&1 & echo $!",
        args.join(" ")
    );
    let started = sh(a, &start).await?;
    if started != pid.to_string() {
        return Err(broken(format!("redis got the process id {started}, not {pid}")));
    }
    program.fill(bed, a.address()).await?;
    let dump = format!(
        "mkdir images work; stamp begin
criu dump --tree {pid} --images-dir images --work-dir work --log-file dump.log --tcp-close --skip-in-flight \
     --network-lock skip
stamp dumped
tell dumped-fifo
"
    );
    let restore = "\
await dumped-fifo
criu restore --restore-detached --images-dir images --work-dir work --log-file restore.log --tcp-close \
     --network-lock skip
stamp restored
";
    let downtime = moved(bed, (a.address(), b.address()), (&dump, restore)).await;
    let why = downtime.is_err().then(|| criu_says(a));
    for node in [a, b] {
        sh(node, &format!("kill -9 {pid} 2>/dev/null || true; while [ -d /proc/{pid} ]; do :; done")).await?;
    }
    let downtime = downtime.map_err(|mut failure| {
        failure.log = why.unwrap_or_default();
        failure.message = format!("{}\n{}", failure.message, failure.log.join("\n"));
        failure
    })?;
    let parts = [script::between(a, "begin", "dumped")?, script::between(a, "dumped", "restored")?];
    sh(a, "rm -rf /shared/bench/*").await?;
    Ok((downtime, parts))
}

fn criu_says(node: &SharedNode) -> Vec<String> {
    let log =
        |name: &str| std::fs::read_to_string(node.host_path(&PathBuf::from(script::PLACE).join("work").join(name)));
    let logs = ["dump.log", "restore.log"].map(|name| log(name).unwrap_or_default());
    logs.iter().flat_map(|l| l.lines()).filter(|l| l.contains("Error")).take(8).map(str::to_owned).collect()
}

async fn sh(node: &SharedNode, text: &str) -> Result<String, Failure> {
    let done = node.run(Exec::new("bash").args(["-c", text])).await;
    done.map(|output| output.text()).map_err(|e| broke("the surroundings of a bare control", &e))
}

/// Lets the client write, runs both scripts, sends the client to the copy when the second has ended; the downtime.
async fn moved(bed: &Bed, addresses: (Ipv4Addr, Ipv4Addr), scripts: (&str, &str)) -> Result<f64, Failure> {
    let config = ClientConfig {
        name: "writer".to_owned(),
        kind: Kind::RedisWriter,
        interval: DEFAULT_INTERVAL,
        op_timeout: Some(Duration::from_secs(1)),
        instance: SOURCE.to_owned(),
        endpoint: Endpoint::Tcp((addresses.0, PORT).into()),
        vantage: bed.vantage(),
        max_ops: DEFAULT_MAX_OPS,
    };
    let client = Client::start(config).map_err(|e| broke("can't start the client", &e))?;
    let silent = |e: crate::client::WaitError| broke("redis does not answer", &e);
    let watch = client.watch().clone();
    blocking(move || watch.wait_answers(AROUND, clock::now() + PATIENCE)).await?.map_err(silent)?;
    let triggered = clock::now();
    script::both((bed.get("a"), scripts.0), (bed.get("b"), scripts.1)).await?;
    let endpoint = Endpoint::Tcp((addresses.1, PORT).into());
    client.switch(COPY, endpoint).map_err(|e| broke("can't switch the client", &e))?;
    let watch = client.watch().clone();
    let answered = blocking(move || {
        let answered = watch.first_answer_from(COPY, clock::now() + PATIENCE)?;
        watch.wait_answers(watch.answered() + AROUND, clock::now() + PATIENCE)?;
        Ok(answered)
    });
    let answered = answered.await?.map_err(silent)?;
    let history = blocking(move || client.stop()).await?;
    let downtime = check::outage(&history, (triggered, answered));
    downtime.map(|d| d.as_secs_f64() * 1e3).ok_or_else(|| broken("the client's history shows no move".to_owned()))
}
