//! `podferry perf ab`: from arguments to an exit code.

use super::super::args::{ImageArgs, ProviderArg, StackArgs};
use super::super::doctor;
use super::super::launch::{begin, sweep_last};
use super::super::progress::Progress;
use super::super::run::{
    Refusal, chosen, command, drop_images, interrupts, keep_scenarios, link_latest, make_folder, new_ledger, provider,
    sweep_first,
};
use super::super::stack::{self, Stack};
use super::super::terminal::{coloured, complain, print};
use super::args::AbArgs;
use super::{refuse, today};
use crate::image::Store;
use crate::perf::acks::{self, Acks};
use crate::perf::{self, Watch};
use crate::provider::Provider;
use crate::record::{Chain, Failure, Run, RunId};
use crate::report::{self, Style};
use crate::run::{self, Exit, Ground, Paired, Pairing, Preparations, Recorder, Sides, Stores, execute_paired};
use crate::scenario::plan::Plan;
use crate::stats::Side;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Compares two stacks.
pub(super) async fn ab(args: &AbArgs) -> Exit {
    if !args.select.chooses() {
        complain(
            "error: which cases are to be compared?\nhint: name some, for example `podferry perf ab counter-migrates`",
        );
        return Exit::Usage;
    }
    let plan = match chosen(&args.select, ProviderArg::Local) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let acks = match acks::load(&args.judge.acks, today()) {
        Ok(acks) => acks,
        Err(e) => return refuse(&e),
    };
    if let Some(exit) = doctor::refuse_early() {
        return exit;
    }
    let done = match args.baseline_build.is_some() || args.candidate_build.is_some() {
        true => super::builds::builds(args, plan, &acks).await,
        false => prepared(args, plan, &acks).await,
    };
    done.unwrap_or_else(Refusal::tell)
}

async fn prepared(args: &AbArgs, plan: Plan, acks: &Acks) -> Result<Exit, Refusal> {
    sweep_first();
    let progress = Progress::new(args.quiet);
    let (id, ledger) = new_ledger()?;
    let baseline = stack::of(&of_side(args, Side::Baseline), Arc::clone(&ledger), &progress).await?;
    let candidate = stack::of(&of_side(args, Side::Candidate), Arc::clone(&ledger), &progress).await?;
    let dir = make_folder(&args.out, &id)?;
    let images = [&baseline, &candidate].map(|side| format!("{} {}", side.image.suite, side.image.key)).join(", ");
    let recorder = begin(&dir, &id, command(), images, progress.listener())?;
    keep_scenarios(&args.select, &plan, &recorder);
    let open =
        |path: PathBuf| Store::open(path).map(Arc::new).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
    let stores = Stores { lasting: open(baseline.cache.dir().join("store"))?, of_run: open(dir.join("store"))? };
    // Each side has control groups of its own.
    let ids = Side::BOTH.map(|side| RunId(format!("{id}-{}", side.name())));
    let ground = |stack: &Stack, id: &RunId| -> Result<Ground, Refusal> {
        let provider = provider(id, stack, Arc::clone(&ledger))?;
        let preparations = Preparations::new(&stack.image, Arc::clone(&stores.lasting), provider.vantage());
        Ok(Ground { image: None, provider, preparations, kubernetes: None })
    };
    let sides = Sides { baseline: ground(&baseline, &ids[0])?, candidate: ground(&candidate, &ids[1])? };
    let paired = Paired { pairing: pairing(args, plan, &recorder), sides, stores: stores.clone() };
    let drawn = (paired.pairing.pairs, paired.pairing.seed);
    let (rule, watch) = (args.rule(), Watch::begin());
    execute_paired(paired, |run| perf::ab::suspects(run, &rule), interrupts()).await;
    let used = watch.end();
    progress.finish();
    drop_images(&dir, &recorder);
    sweep_last(&id, &ids, &ledger, &recorder);
    let run = recorded(&dir, &recorder);
    let comparison = perf::ab::comparison(&run, rule, drawn, used, acks);
    finish(&dir, &run, &comparison, args, &recorder)
}

/// How the sides are compared, as the arguments say.
pub(super) fn pairing(args: &AbArgs, plan: Plan, recorder: &Arc<Recorder>) -> Pairing {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    Pairing {
        plan,
        recorder: Arc::clone(recorder),
        again: again(args, seed),
        pairs: (args.pairs as usize).next_multiple_of(2),
        warmup: args.warmup as usize,
        seed,
        timeout: args.timeout,
    }
}

pub(super) fn of_side(args: &AbArgs, side: Side) -> StackArgs {
    let (image, components) = match side {
        Side::Baseline => (&args.baseline_node_image, &args.baseline),
        Side::Candidate => (&args.candidate_node_image, &args.candidate),
    };
    StackArgs {
        images: ImageArgs { names: vec![image.clone()] },
        components: components.clone(),
        ..StackArgs::default()
    }
}

/// The command that compares a case again, but for the case and its engine.
fn again(args: &AbArgs, seed: u64) -> String {
    let program = std::env::var("PODFERRY_COMMAND").unwrap_or_else(|_| "podferry".to_owned());
    let mut text = format!("{program} perf ab --pairs {} --seed {seed}", args.pairs);
    for (side, components) in [("baseline", &args.baseline), ("candidate", &args.candidate)] {
        components.iter().for_each(|c| text += &format!(" --{side}-component {c}"));
    }
    for (side, build) in [("baseline", &args.baseline_build), ("candidate", &args.candidate_build)] {
        build.iter().for_each(|path| text += &format!(" --{side}-build {}", path.display()));
    }
    for (side, image) in [("baseline", &args.baseline_node_image), ("candidate", &args.candidate_node_image)] {
        if image != super::super::args::DEFAULT_NODE_IMAGE {
            text += &format!(" --{side}-node-image {image}");
        }
    }
    text
}

/// The run as it is stored; what could not be written is still remembered.
pub(super) fn recorded(dir: &Path, recorder: &Recorder) -> Run {
    let stored = if recorder.broken().is_none() { run::load(dir).ok() } else { None };
    stored.unwrap_or_else(|| recorder.fold())
}

pub(super) fn finish(
    dir: &Path,
    run: &Run,
    comparison: &crate::record::Comparison,
    args: &AbArgs,
    recorder: &Recorder,
) -> Result<Exit, Refusal> {
    let written = run::write_reports(dir, run).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
    let ours = perf::write_reports(dir, comparison).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
    let latest = args.out.join("latest").display().to_string();
    let exit = Exit::of(run, false);
    let style = Style { color: coloured() };
    if exit != Exit::Passed {
        print(&report::terminal::summary(run, &latest, style));
    }
    print(&report::perf::terminal(comparison, &latest, style));
    if let Some(message) = recorder.broken() {
        return Err(Failure::surroundings(message).into());
    }
    written?;
    ours?;
    link_latest(&args.out, dir);
    Ok(if exit == Exit::Passed { perf::exit(comparison, args.judge.gate) } else { exit })
}
