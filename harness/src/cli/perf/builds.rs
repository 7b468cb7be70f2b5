//! `podferry perf ab` of two builds of podferry.

use super::super::launch::{begin, sweep_last};
use super::super::progress::Progress;
use super::super::run::{
    Refusal, command, interrupts, keep_scenarios, make_folder, new_ledger, own_program, sweep_first,
};
use super::ab::{finish, of_side, pairing, recorded};
use super::args::AbArgs;
use crate::perf::acks::Acks;
use crate::perf::{self, Watch};
use crate::process::Exec;
use crate::record::{Chain, ComponentRecord, Failure};
use crate::run::{Build, Builds, Exit, execute_builds};
use crate::scenario::plan::Plan;
use crate::stats::Side;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;

/// Compares two builds, each sample a run of its own.
pub(super) async fn builds(args: &AbArgs, plan: Plan, acks: &Acks) -> Result<Exit, Refusal> {
    sweep_first();
    let progress = Progress::new(args.quiet);
    let sides = [build(args, Side::Baseline).await?, build(args, Side::Candidate).await?];
    let (id, ledger) = new_ledger()?;
    let dir = make_folder(&args.out, &id)?;
    let images = format!("{}, {}", args.baseline_node_image, args.candidate_node_image);
    let recorder = begin(&dir, &id, command(), images, progress.listener())?;
    keep_scenarios(&args.select, &plan, &recorder);
    let builds = Builds { pairing: pairing(args, plan, &recorder), sides };
    let drawn = (builds.pairing.pairs, builds.pairing.seed);
    let (rule, watch) = (args.rule(), Watch::begin());
    execute_builds(builds, |run| perf::ab::suspects(run, &rule), interrupts()).await;
    let used = watch.end();
    progress.finish();
    sweep_last(&id, &[], &ledger, &recorder);
    let run = recorded(&dir, &recorder);
    let comparison = perf::ab::comparison(&run, rule, drawn, used, acks);
    finish(&dir, &run, &comparison, args, &recorder)
}

/// A side's program with its version and digest; this one if the side names none.
async fn build(args: &AbArgs, side: Side) -> Result<Build, Refusal> {
    let named = match side {
        Side::Baseline => &args.baseline_build,
        Side::Candidate => &args.candidate_build,
    };
    let (program, source) = match named {
        Some(path) => (path.clone(), format!("path {}", path.display())),
        None => (own_program()?, "this one".to_owned()),
    };
    // Started from another folder than ours it would be another one.
    let program = std::fs::canonicalize(&program).map_err(|e| unusable(&program, &e.to_string()))?;
    let bytes = std::fs::read(&program).map_err(|e| unusable(&program, &e.to_string()))?;
    let said =
        Exec::new(&program).arg("--version").run().await.map_err(|e| unusable(&program, &Chain(&e).to_string()))?;
    let version = said.text();
    let Some(version) = version.strip_prefix("podferry ") else {
        return Err(unusable(&program, &format!("it says `{version}` of its version")));
    };
    let digest = Sha256::digest(&bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let component = ComponentRecord { name: "podferry".to_owned(), version: version.trim().to_owned(), source, digest };
    let stack = of_side(args, side);
    let mut words = vec!["--node-image".to_owned(), stack.images.names.join(",")];
    words.extend(stack.components.iter().flat_map(|c| ["--component".to_owned(), c.clone()]));
    Ok(Build { component, program, args: words })
}

fn unusable(program: &Path, why: &str) -> Refusal {
    let failure = Failure {
        hint: Some("name a program like target/release/podferry".to_owned()),
        ..Failure::surroundings(format!("{} is no build of podferry: {why}", program.display()))
    };
    Refusal { exit: Exit::Usage, failure }
}
