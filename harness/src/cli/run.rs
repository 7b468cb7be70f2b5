//! `podferry run`: from arguments to an exit code.

use super::args::{OtlpArgs, ProviderArg, RunArgs, SelectArgs};
use super::launch::{Asked, Launch, OfCluster};
use super::progress::Progress;
use super::terminal::{coloured, complain, print};
use super::{clean, doctor, scenario, stack};
use crate::ledger::{self, Claim, Ledger};
use crate::provider::local::{LocalConfig, LocalProvider, sweep_cgroups};
use crate::record::{Chain, Event, Failure, RunId};
use crate::report;
use crate::run::{self, Exit, Recorder, Session};
use crate::scenario::plan::Plan;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// The most that a node's containers may write; it is taken from memory only as it is filled.
pub(super) const DATA_SIZE: u64 = 16 << 30;

/// Runs scenarios.
pub(super) async fn run(args: RunArgs) -> Exit {
    if let Err(refusal) = stack::fits(&args.stack, &args.select.engines) {
        return refusal.tell();
    }
    if args.stack.provider == ProviderArg::Existing && args.jobs > 1 {
        complain("error: --jobs has no meaning for an existing cluster: two cases would share its nodes");
        complain("hint: use --shard, each part with nodes of its own (--node)");
        return Exit::Usage;
    }
    let plan = match chosen(&args.select, args.stack.provider) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let plan = plan.on_images(&stack::names(&args.stack));
    let plan = match args.shard {
        Some(shard) => plan.shard(shard),
        None => plan,
    };
    if plan.cases.is_empty() {
        complain("nothing selected: there are more shards than cases");
        return Exit::NothingSelected;
    }
    let plan = match args.repeat {
        Some(repeat) => plan.repeated(repeat),
        None => plan,
    };
    let seed = args.seed.or_else(|| args.shuffle.then(|| fastrand::u64(..1 << 32)));
    let plan = match seed {
        Some(seed) => plan.shuffled(seed),
        None => plan,
    };
    if let Some(seed) = seed {
        complain(&format!("the order of the cases is drawn: --seed {seed} draws it again"));
    }
    if let Some(exit) = doctor::refuse_early() {
        return exit;
    }
    let beyond = scenario::beyond(&plan);
    match prepared(&args, plan, seed).await {
        Ok(exit) => {
            beyond.iter().for_each(|told| print(&format!("{told}\n")));
            exit
        }
        Err(refusal) => refusal.tell(),
    }
}

/// The cases that are asked for. What is wrong with them has been told when this fails.
pub(super) fn chosen(select: &SelectArgs, provider: ProviderArg) -> Result<Plan, Exit> {
    scenario::planned(&select.files(), crate::workload::KINDS, &select.selection(provider)).map_err(|(text, code)| {
        complain(&text);
        if code == Exit::InvalidScenario as u8 {
            Exit::InvalidScenario
        } else if code == Exit::NothingSelected as u8 {
            Exit::NothingSelected
        } else {
            Exit::Usage
        }
    })
}

/// Why a run did not begin.
pub(crate) struct Refusal {
    pub(crate) exit: Exit,
    pub(crate) failure: Failure,
}

impl Refusal {
    /// Tells the user; gives the exit code.
    pub(super) fn tell(self) -> Exit {
        complain(&format!("error: {}", self.failure.message));
        if let Some(hint) = self.failure.hint {
            complain(&format!("hint: {hint}"));
        }
        self.exit
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal { exit: Exit::Surroundings, failure }
    }
}

async fn prepared(args: &RunArgs, plan: Plan, seed: Option<u64>) -> Result<Exit, Refusal> {
    sweep_first();
    let progress = Progress::new(args.quiet);
    let workers: BTreeSet<String> = plan.cases.iter().flat_map(|case| case.nodes.iter().cloned()).collect();
    let told = OfCluster {
        existing: args.stack.existing.named().then(|| args.stack.existing.clone()),
        workers: workers.into_iter().collect(),
        progress: Arc::new(progress.clone()),
    };
    let lanes = args.jobs.into();
    let asked = Asked { stack: &args.stack, of_cluster: Some(told), out: &args.out, lanes, command: command() };
    let mut launch = Launch::new(asked, &progress, progress.listener()).await?;
    keep_scenarios(&args.select, &plan, &launch.recorder);
    if let Some(seed) = seed {
        launch.recorder.run(Event::Shuffled { seed });
    }
    let session = Session {
        plan,
        grounds: std::mem::take(&mut launch.grounds),
        stores: launch.stores.clone(),
        recorder: Arc::clone(&launch.recorder),
        stack_args: stack::words(&args.stack, &param_args(&args.select.params)),
        deny_skips: args.deny_skips,
        timeout: args.timeout,
    };
    run::execute(session, interrupts()).await;
    progress.finish();
    launch.close();
    finish(&launch.dir, &launch.recorder, args).await
}

/// Keeps the text of the scenarios that cases come from.
pub(super) fn keep_scenarios(select: &SelectArgs, plan: &Plan, recorder: &Recorder) {
    let texts = scenario::texts(&select.files(), plan);
    run::keep_scenarios(recorder, texts.iter().map(|(file, text)| (file.as_str(), text.as_str())));
}

/// Writes the reports and says how it went. A report that cannot be written (a full disk) makes the run's word
/// incomplete: that is an error of the surroundings, told after the verdict.
async fn finish(dir: &Path, recorder: &Recorder, args: &RunArgs) -> Result<Exit, Refusal> {
    // What could not be written is still remembered.
    let stored = if recorder.broken().is_none() { run::load_with_past(dir).ok() } else { None };
    let run = stored.unwrap_or_else(|| recorder.fold());
    let written = run::write_reports(dir, &run);
    print(&report::terminal::summary(
        &run,
        &args.out.join("latest").display().to_string(),
        report::Style { color: coloured() },
    ));
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        print(&report::annotations(&run));
    }
    if let Some(message) = recorder.broken() {
        return Err(Failure::surroundings(message).into());
    }
    written.map_err(|e| Failure::surroundings(Chain(&e).to_string()))?;
    link_latest(&args.out, dir);
    export(&run, &args.otlp).await?;
    Ok(Exit::of(&run, args.deny_skips))
}

/// Exports the traces of a run to where they are wanted.
pub(super) async fn export(run: &crate::record::Run, args: &OtlpArgs) -> Result<(), Refusal> {
    for target in &args.targets {
        run::export_traces(run, target).await?;
    }
    Ok(())
}

/// Local nodes of a stack.
pub(super) fn provider(id: &RunId, stack: &stack::Stack, ledger: Arc<Ledger>) -> Result<Arc<LocalProvider>, Refusal> {
    Ok(Arc::new(LocalProvider::new(local(id, stack, ledger)?)?))
}

/// What local nodes of a stack are made of.
pub(super) fn local(id: &RunId, stack: &stack::Stack, ledger: Arc<Ledger>) -> Result<LocalConfig, Refusal> {
    let podferry = own_program()?;
    Ok(LocalConfig {
        run_id: id.clone(),
        podferry,
        image_rootfs: stack.image.rootfs.clone(),
        overrides: stack.binds(),
        binds: stack.programs(),
        components: stack.components(),
        data_size: DATA_SIZE,
        claims: ledger,
    })
}

/// Removes the run's control groups, which no node needs any more, and forgets the claim on them. What stays is found by
/// the next start and by `podferry clean`; a kind cluster that was left on purpose by the latter alone.
pub(super) fn close_ledger(id: &RunId, ledger: &Ledger) -> Result<(), String> {
    let leaks = sweep_cgroups(id).map_err(|e| e.to_string())?;
    if let Some(leak) = leaks.first() {
        return Err(format!("{} {}: {}", leak.kind, leak.name, leak.reason));
    }
    let clusters = [ledger::KIND_CLUSTER, ledger::KEPT_KIND_CLUSTER];
    let gone =
        |claim: &Claim| if clusters.contains(&claim.kind.as_str()) { Err("it is up".to_owned()) } else { Ok(()) };
    let stays = ledger.sweep(gone).map_err(|e| Chain(&e).to_string())?;
    if stays.is_empty() { std::fs::remove_file(ledger.path()).map_err(|e| e.to_string()) } else { Ok(()) }
}

/// Removes the checkpoint images of the run: they hold memory, secrets and all, and nobody needs them any more.
pub(super) fn drop_images(dir: &Path, recorder: &Recorder) {
    let store = dir.join("store");
    if let Err(e) = std::fs::remove_dir_all(&store) {
        recorder.error(Failure::surroundings(format!("can't remove {}: {e}", store.display())));
    }
}

/// The binary that becomes PID 1 of each node: this one.
pub(super) fn own_program() -> Result<PathBuf, Refusal> {
    Ok(std::env::current_exe().map_err(|e| Failure::surroundings(format!("can't find my own program: {e}")))?)
}

/// Sweeps up after runs that were killed, and says so; what cannot be swept does not keep this run from its work.
pub(crate) fn sweep_first() {
    match clean::sweep(false) {
        Ok(swept) if swept.runs > 0 => {
            complain(&format!("swept up after {} killed run(s): {} thing(s)", swept.runs, swept.things));
            for stuck in swept.stuck {
                complain(&format!("leaked: {stuck}"));
            }
        }
        Ok(_) => {}
        Err(message) => complain(&format!("warning: can't look for killed runs: {message}")),
    }
}

/// The command line as the user typed it: under `cargo xtask e2e` that is not podferry's own path.
pub(super) fn command() -> Vec<String> {
    let program = std::env::var("PODFERRY_COMMAND").unwrap_or_else(|_| "podferry".to_owned());
    std::iter::once(program).chain(std::env::args().skip(1)).collect()
}

/// Wall time, to the millisecond: traces of others are held against it.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Millisecond).unwrap_or(now).to_string()
}

/// Values that were given from outside, as arguments, each with a space before it.
fn param_args(params: &[(String, String)]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    let quoted = |value: &str| if value.chars().all(plain) { value.to_owned() } else { format!("'{value}'") };
    params.iter().map(|(name, value)| format!(" --param {name}={}", quoted(value))).collect()
}

/// A name for a run, and its ledger.
pub(super) fn new_ledger() -> Result<(RunId, Arc<Ledger>), Refusal> {
    let id = run_id();
    let ledger = Ledger::open(&id).map_err(|e| Failure::surroundings(Chain(&e).to_string()))?;
    Ok((id, Arc::new(ledger)))
}

/// Start time, process, and for each further run of the process its number: sortable, and unique on the machine.
fn run_id() -> RunId {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let number = match RUNS.fetch_add(1, Ordering::Relaxed) {
        0 => String::new(),
        n => format!("-{n}"),
    };
    RunId(format!("{now}-{:04x}{number}", std::process::id() & 0xffff))
}

pub(super) fn make_folder(out: &Path, id: &RunId) -> Result<PathBuf, Refusal> {
    let dir =
        std::path::absolute(out).map_err(|e| Failure::surroundings(format!("{}: {e}", out.display())))?.join(&id.0);
    std::fs::create_dir_all(dir.join("cases"))
        .map_err(|e| Failure::surroundings(format!("can't make the run's folder {}: {e}", dir.display())))?;
    Ok(dir)
}

/// Points `latest` to this run. Renamed into place, so that two runs that end together leave one of them.
pub(crate) fn link_latest(out: &Path, dir: &Path) {
    let (Some(name), link) = (dir.file_name(), out.join("latest")) else { return };
    let fresh = out.join(format!(".latest-{}", std::process::id()));
    let made = std::os::unix::fs::symlink(name, &fresh).and_then(|()| std::fs::rename(&fresh, &link));
    if let Err(e) = made {
        complain(&format!("warning: can't link {}: {e}", link.display()));
    }
}

/// Turns true at the first Ctrl-C (or SIGTERM); the second ends the process at once: nodes end with it, and the next
/// start sweeps up the rest.
pub(super) fn interrupts() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
            return;
        };
        for told in ["interrupted: taking everything down (again to leave at once)", ""] {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
            if told.is_empty() {
                std::process::exit(i32::from(Exit::Interrupted as u8));
            }
            complain(told);
            let _ = sender.send(true);
        }
    });
    receiver
}
