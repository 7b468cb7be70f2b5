//! The check that counts: a listening process is dumped and restored, in a node, and must remember.

use super::Finding;
use crate::node::SharedNode;
use crate::process::{Exec, ExecError, Output};
use crate::record::Millis;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const NAME: &str = "dump and restore";
const DIR: &str = "/tmp/podferry-doctor";
/// On the node's own loopback, so it meets nobody.
const PORT: &str = "6390";
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a killed process may take to end.
const DEATH: Duration = Duration::from_secs(5);

/// What `criu check` says. Only a warning: the real dump decides.
pub(super) async fn criu_check(node: &SharedNode) -> Finding {
    match node.output(Exec::new("criu").arg("check").timeout(PATIENCE)).await {
        Ok(Output { code: 0, .. }) => Finding::ok("criu", "`criu check` says good"),
        Ok(output) => Finding::warn("criu", format!("`criu check` says: {}", output.tail()), "see the next line"),
        Err(e) => Finding::warn("criu", format!("`criu check` can't be run: {e}"), "name criu in the package list"),
    }
}

/// Why it failed: what was being done, and CRIU's own words.
struct Trouble {
    doing: &'static str,
    said: String,
}

impl Trouble {
    fn of(doing: &'static str) -> impl Fn(ExecError) -> Trouble {
        move |e| Trouble { doing, said: e.to_string() }
    }
}

/// Dumps and restores a redis-server that listens, and asks it for what it was told before.
pub(super) async fn dump_and_restore(node: &SharedNode) -> Finding {
    match try_it(node).await {
        Ok((dump, restore)) => Finding::ok(
            NAME,
            format!("a listening redis-server, dumped in {dump}, restored in {restore}, had what it was told before"),
        ),
        Err(trouble) => {
            let detail = format!("a listening redis-server: {}: {}", trouble.doing, trouble.said);
            Finding::missing(NAME, detail, remedy(&trouble.said))
        }
    }
}

async fn try_it(node: &SharedNode) -> Result<(Millis, Millis), Trouble> {
    let secret = format!("{:x}", jiff::Timestamp::now().as_nanosecond());
    let start = Trouble::of("it does not start");
    node.run(Exec::new("mkdir").args(["-p", DIR])).await.map_err(&start)?;
    let log = Path::new(DIR).join("redis.log");
    let pid_file = Path::new(DIR).join("redis.pid");
    let args = ["--port", PORT, "--bind", "127.0.0.1", "--save", "", "--dir", DIR, "--pidfile"];
    // A session of its own, as containers have one: CRIU refuses a process whose session's leader it does not dump.
    // setsid forks for that, so the server is not the program that was started, but it ends with the server.
    let redis = Exec::new("setsid").args(["--wait", "redis-server"]).args(args).arg(&pid_file);
    let mut redis = node.spawn(redis, &log).await.map_err(&start)?;
    ready(node, &log).await?;
    let pid = fs::read_to_string(node.host_path(&pid_file));
    let pid = pid.map_err(|e| Trouble { doing: "it tells no process id", said: e.to_string() })?;
    cli(node, &["SET", "doctor", &secret]).await.map_err(Trouble::of("it does not answer"))?;

    let from = Instant::now();
    criu(node, "dump", &["--tree", pid.trim()]).await?;
    let dump = from.elapsed();
    // CRIU kills what it dumped; its number must be free for the restore.
    let still_there = |said: String| Trouble { doing: "it is still there after its dump", said };
    let killed = tokio::time::timeout(DEATH, redis.wait()).await;
    killed.map_err(|_| still_there(format!("waited {DEATH:?}")))?.map_err(|e| still_there(e.to_string()))?;

    let from = Instant::now();
    criu(node, "restore", &["--restore-detached"]).await?;
    let restore = from.elapsed();
    let said = cli(node, &["GET", "doctor"]).await.map_err(Trouble::of("it does not answer after its restore"))?;
    if said.text() != secret {
        let said = format!("`{}` and not `{secret}`", said.text());
        return Err(Trouble { doing: "it does not remember what it was told", said });
    }
    Ok((dump.into(), restore.into()))
}

/// Waits until redis listens, by its own word.
async fn ready(node: &SharedNode, log: &Path) -> Result<(), Trouble> {
    let log = node.host_path(log);
    let from = Instant::now();
    loop {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if said.contains("Ready to accept connections") {
            return Ok(());
        }
        if from.elapsed() > PATIENCE {
            return Err(Trouble { doing: "it is not ready", said });
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn cli(node: &SharedNode, args: &[&str]) -> Result<Output, ExecError> {
    node.run(Exec::new("redis-cli").args(["-p", PORT]).args(args).timeout(PATIENCE)).await
}

/// Runs CRIU; a failure tells the errors of its log.
async fn criu(node: &SharedNode, action: &'static str, args: &[&str]) -> Result<(), Trouble> {
    let doing = if action == "dump" { "can't be dumped" } else { "can't be restored" };
    let log = format!("{action}.log");
    let exec = Exec::new("criu").args([action, "--images-dir", DIR, "--log-file", &log, "-v4"]).args(args);
    let Err(error) = node.run(exec.timeout(PATIENCE)).await else { return Ok(()) };
    let text = fs::read_to_string(node.host_path(&Path::new(DIR).join(&log))).unwrap_or_default();
    let errors = errors_in(&text);
    let said = if errors.is_empty() { error.to_string() } else { errors.join("\n") };
    Err(Trouble { doing, said })
}

/// The first lines of a CRIU log that tell errors; noise of a process without CAP_SYS_RESOURCE is left out.
fn errors_in(log: &str) -> Vec<String> {
    let of = |line: &str| line.split_once("Error (").map(|(_, rest)| format!("Error ({rest}"));
    log.lines().filter(|l| !l.contains("Can't setup RLIMIT_NOFILE")).filter_map(of).take(4).collect()
}

/// What helps against an error that is known.
fn remedy(said: &str) -> String {
    if said.contains("Can't get 1:16 opt") {
        return "this CRIU can't dump a TCP socket on this kernel (seen: CRIU 4.1 on kernels from 6.16 on). Use CRIU 4.2: \
                --node-image sid, or --component criu=PATH"
            .to_owned();
    }
    if said.contains("libnftables") || said.contains("nftables") || said.contains("iptables") {
        return "CRIU locks the network by nftables or iptables: the kernel lacks one of its modules (nf_tables, \
                ip_tables)"
            .to_owned();
    }
    if said.contains("can't start `") && said.contains("redis") {
        return "name redis-server and redis-tools in the node image's package list".to_owned();
    }
    "look for that line among CRIU's known problems; another kernel or another CRIU (--component criu=PATH) may do"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_a_log_are_found_and_a_known_one_has_its_remedy() {
        let log = "(00.001) Warn  (criu/rlimit.c:1): Can't setup RLIMIT_NOFILE for self\n\
                   (00.002) Error (criu/rlimit.c:9): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n\
                   (00.040) Error (criu/sockets.c:628): sockets: Can't get 1:16 opt: Operation not supported\n\
                   (00.041) Error (criu/cr-dump.c:1): Dumping FAILED.\n";
        let errors = errors_in(log);
        assert_eq!(
            errors,
            [
                "Error (criu/sockets.c:628): sockets: Can't get 1:16 opt: Operation not supported",
                "Error (criu/cr-dump.c:1): Dumping FAILED."
            ]
        );
        assert!(remedy(&errors[0]).contains("Use CRIU 4.2"));
        assert!(remedy("`x`: can't start `[doctor] redis-cli`").contains("redis-tools"));
    }
}
