//! `podferry run`: from arguments to an exit code.

use super::args::{DEFAULT_NODE_IMAGE, OtlpArgs, RunArgs, SelectArgs, StackArgs};
use super::progress::Progress;
use super::terminal::{coloured, complain, print};
use super::{clean, doctor, scenario, stack};
use crate::component;
use crate::image::Store;
use crate::ledger::Ledger;
use crate::provider::Provider;
use crate::provider::local::{self, LocalConfig, LocalProvider};
use crate::record::{Chain, Event, Failure, RunId};
use crate::report;
use crate::run::{self, Exit, Ground, Preparations, Recorder, Session, Stores};
use crate::scenario::plan::Plan;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The most that a node's containers may write; it is taken from memory only as it is filled.
pub(super) const DATA_SIZE: u64 = 16 << 30;

/// Runs scenarios.
pub(super) async fn run(args: RunArgs) -> Exit {
    let plan = match chosen(&args.select) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let names: Vec<String> = stack::variants(&args.stack).into_iter().map(|(name, _)| name).collect();
    let plan = plan.on_images(&names);
    let plan = match args.shard {
        Some(shard) => plan.shard(shard),
        None => plan,
    };
    if plan.cases.is_empty() {
        complain("nothing selected: there are more shards than cases");
        return Exit::NothingSelected;
    }
    let plan = match args.repeat {
        Some(times) => plan.repeated(times),
        None => plan,
    };
    if let Some(exit) = doctor::refuse_early() {
        return exit;
    }
    let beyond = scenario::beyond(&plan);
    match prepared(&args, plan).await {
        Ok(exit) => {
            beyond.iter().for_each(|told| print(&format!("{told}\n")));
            exit
        }
        Err(refusal) => refusal.tell(),
    }
}

/// The cases that are asked for. What is wrong with them has been told when this fails.
pub(super) fn chosen(select: &SelectArgs) -> Result<Plan, Exit> {
    scenario::planned(&select.files(), crate::workload::KINDS, &select.selection()).map_err(|(text, code)| {
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
pub(super) struct Refusal {
    pub(super) exit: Exit,
    pub(super) failure: Failure,
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

async fn prepared(args: &RunArgs, plan: Plan) -> Result<Exit, Refusal> {
    sweep_first();
    let progress = Progress::new(args.quiet);
    let (id, ledger) = new_ledger()?;
    let stacks = stack::all(&args.stack, &ledger, &progress).await?;
    let cache = stacks[0].1.cache.dir().to_owned();
    let dir = make_folder(&args.out, &id)?;
    let recorder = Arc::new(
        Recorder::create(&dir, progress.listener())
            .map_err(|e| Failure::surroundings(format!("{}: {e}", dir.display())))?,
    );
    recorder.run(Event::RunStarted {
        id: id.clone(),
        podferry: env!("CARGO_PKG_VERSION").to_owned(),
        command: command(),
        started: now(),
        host: component::host_record(),
        image: images(&stacks),
    });
    keep_scenarios(&args.select, &plan, &recorder);
    let open =
        |path: PathBuf| Store::open(path).map(Arc::new).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
    let stores = Stores { lasting: open(cache.join("store"))?, of_run: open(dir.join("store"))? };
    let several = stacks.len() > 1;
    let mut grounds = Vec::new();
    for (name, stack) in &stacks {
        let provider = provider(&id, stack, Arc::clone(&ledger))?;
        let preparations = Preparations::new(&stack.image, Arc::clone(&stores.lasting), provider.vantage());
        let kubeconfig = if several { format!("kubeconfig-{name}") } else { "kubeconfig".to_owned() };
        let kubernetes = stack.kubernetes().then(|| dir.join(kubeconfig));
        grounds.push(Ground { image: several.then(|| name.clone()), provider, preparations, kubernetes });
    }
    let session = Session {
        plan,
        grounds,
        stores,
        recorder: Arc::clone(&recorder),
        stack_args: stack_args(&args.stack),
        deny_skips: args.deny_skips,
        timeout: args.timeout,
    };
    run::execute(session, interrupts()).await;
    progress.finish();
    drop_images(&dir, &recorder);
    sweep_last(&id, &ledger, &recorder);
    finish(&dir, &recorder, args).await
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

pub(super) fn provider(id: &RunId, stack: &stack::Stack, ledger: Arc<Ledger>) -> Result<Arc<LocalProvider>, Refusal> {
    let podferry = own_program()?;
    let config = LocalConfig {
        run_id: id.clone(),
        podferry,
        image_rootfs: stack.image.rootfs.clone(),
        overrides: stack.binds(),
        binds: stack.programs(),
        components: stack.components(),
        data_size: DATA_SIZE,
        claims: ledger,
    };
    Ok(Arc::new(LocalProvider::new(config)?))
}

/// [`close_ledger`]; what stays is told in the report.
fn sweep_last(id: &RunId, ledger: &Ledger, recorder: &Recorder) {
    if let Err(reason) = close_ledger(id, ledger) {
        recorder.error(Failure::surroundings(format!(
            "sweeping up after this run: {reason}; `podferry clean` tries again"
        )));
    }
}

/// Removes the run's control groups, which no node needs any more, and forgets the claim on them. What stays is found by
/// the next start and by `podferry clean`.
pub(super) fn close_ledger(id: &RunId, ledger: &Ledger) -> Result<(), String> {
    let leaks = local::sweep_cgroups(id).map_err(|e| e.to_string())?;
    if let Some(leak) = leaks.first() {
        return Err(format!("{} {}: {}", leak.kind, leak.name, leak.reason));
    }
    ledger.sweep(|_| Ok(())).map_err(|e| Chain(&e).to_string())?;
    std::fs::remove_file(ledger.path()).map_err(|e| e.to_string())
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
pub(super) fn sweep_first() {
    match clean::sweep() {
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

/// The node images, each once: several stacks may be on one.
fn images(stacks: &[(String, stack::Stack)]) -> String {
    let mut images: Vec<String> = stacks.iter().map(|(_, s)| format!("{} {}", s.image.suite, s.image.key)).collect();
    images.dedup();
    images.join(", ")
}

/// The stack as arguments, each with a space before it; nothing for the default.
fn stack_args(args: &StackArgs) -> String {
    // Of several, a case says which it is on.
    let one = args.images.names.first().filter(|name| args.images.names.len() == 1 && *name != DEFAULT_NODE_IMAGE);
    let image = one.map(|name| format!(" --node-image {name}"));
    let kubernetes = args.kubernetes.as_ref().map(|version| format!(" --kubernetes {version}"));
    image.into_iter().chain(kubernetes).chain(args.components.iter().map(|c| format!(" --component {c}"))).collect()
}

/// A name for a run, and its ledger.
pub(super) fn new_ledger() -> Result<(RunId, Arc<Ledger>), Refusal> {
    let id = run_id();
    let ledger = Ledger::open(&id).map_err(|e| Failure::surroundings(Chain(&e).to_string()))?;
    Ok((id, Arc::new(ledger)))
}

/// Start time and process: sortable, and unique on the machine.
fn run_id() -> RunId {
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    RunId(format!("{now}-{:04x}", std::process::id() & 0xffff))
}

pub(super) fn make_folder(out: &Path, id: &RunId) -> Result<PathBuf, Refusal> {
    let dir =
        std::path::absolute(out).map_err(|e| Failure::surroundings(format!("{}: {e}", out.display())))?.join(&id.0);
    std::fs::create_dir_all(dir.join("cases"))
        .map_err(|e| Failure::surroundings(format!("can't make the run's folder {}: {e}", dir.display())))?;
    Ok(dir)
}

/// Points `latest` to this run. Renamed into place, so that two runs that end together leave one of them.
pub(super) fn link_latest(out: &Path, dir: &Path) {
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
