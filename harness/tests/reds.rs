//! Every negative scenario of the shipped suite, made wrong in one of these ways, must fail on real nodes:
//!
//! - *harmless*: what it does to the stack is taken out of it. The error that it wants does not come, and that is told.
//! - *sound* (of traps): the harness's way is put in place of the bare one. What the scenario pins is gone, and that is told.
//! - *cold* (of use cases and volumes): every copy is a cold start. Each check that looks for what a restore brings is red.
//! - *harmed*: at its end the instance that should have gone on is killed. The check that looks after it must see that.
//!
//! A scenario that passes so proves nothing. Needs root and the node image, and `PODFERRY_WORKLOADS`.

mod mutation;

use mutation::{Mutant, cold, harmed, harmless, sound};
use podferry::component::{Cache, NodeImageSpec, node_image};
use podferry::image::Store;
use podferry::provider::Provider;
use podferry::provider::local::{LocalConfig, LocalProvider, NoClaims, sweep_cgroups};
use podferry::record::{CaseRecord, EngineKind, Line, Outcome, RunId};
use podferry::run::{self, Ground, Listener, Preparations, Recorder, Session, Stores};
use podferry::scenario::plan::{Case, Plan};
use podferry::scenario::{self, Selection};
use podferry::workload::KINDS;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

struct Deaf;

impl Listener for Deaf {
    fn line(&self, _line: &Line) {}
    #[expect(clippy::print_stdout, reason = "how far a test of some minutes has come")]
    fn case(&self, case: &CaseRecord) {
        println!("{:?} {}", case.outcome, case.id);
    }
}

/// All cases of the shipped suite.
fn suite(engines: &[EngineKind]) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the suite").map(|e| e.expect("a file").path()).collect();
    files.sort();
    let load = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("text");
        scenario::load(&text, &path.display().to_string(), KINDS).0.expect("a sound scenario")
    };
    let scenarios: Vec<_> = files.iter().map(load).collect();
    let selection = Selection { engines: engines.to_vec(), ..Selection::default() };
    let plan = scenario::plan(&scenarios, &selection).expect("a plan");
    plan.cases
}

/// Those that expect an error.
fn negative(engines: &[EngineKind]) -> Vec<Case> {
    suite(engines).into_iter().filter(|c| c.steps.iter().any(|s| s.expect_error.is_some())).collect()
}

/// Those that show a trap of the stack.
fn traps(engines: &[EngineKind]) -> Vec<Case> {
    suite(engines).into_iter().filter(|c| c.labels.get("area").is_some_and(|area| area == "trap")).collect()
}

/// Those that show what checkpoints are good for.
fn uses(engines: &[EngineKind]) -> Vec<Case> {
    let area = |c: &Case| c.labels.get("area").cloned().unwrap_or_default();
    suite(engines).into_iter().filter(|c| ["use", "volume"].contains(&area(c).as_str())).collect()
}

/// Runs cases on nodes of their own.
async fn run(cases: Vec<Case>) -> Vec<CaseRecord> {
    let id = RunId(format!("reds-{}", std::process::id()));
    let scratch = tempfile::tempdir().expect("a folder");
    let image = node_image(&NodeImageSpec::shipped(), &Cache::of_user(), &()).await.expect("the node image");
    let provider = LocalProvider::new(LocalConfig {
        run_id: id.clone(),
        podferry: env!("CARGO_BIN_EXE_podferry").into(),
        image_rootfs: image.rootfs.clone(),
        overrides: Vec::new(),
        binds: Vec::new(),
        components: Vec::new(),
        data_size: 16 << 30,
        claims: Arc::new(NoClaims),
    });
    let provider: Arc<dyn Provider> = Arc::new(provider.expect("a provider"));
    let open = |name: &str| Arc::new(Store::open(scratch.path().join(name)).expect("a store"));
    let stores = Stores { lasting: open("lasting"), of_run: open("of-run") };
    let preparations = Preparations::new(&image, Arc::clone(&stores.lasting), provider.vantage());
    let session = Session {
        plan: Plan { cases, beyond: 0 },
        grounds: vec![Ground { image: None, provider, preparations, kubernetes: None }],
        stores,
        recorder: Arc::new(Recorder::create(scratch.path(), Box::new(Deaf)).expect("a recorder")),
        stack_args: std::collections::BTreeMap::new(),
        deny_skips: false,
        timeout: Duration::from_secs(1200),
    };
    let (_interrupt, never) = watch::channel(false);
    let run = run::execute(session, never).await;
    sweep_cgroups(&id).expect("swept");
    assert!(run.errors.is_empty(), "{:?}", run.errors);
    run.cases
}

/// One of those that do the same: cells of a matrix that differ in their harm alone are alike without it.
fn unlike(mutants: Vec<Mutant>) -> Vec<Mutant> {
    let mut seen = BTreeSet::new();
    let does = |case: &Case| {
        let actions: Vec<_> = case.steps.iter().map(|s| &s.action).collect();
        format!("{} {} {:?} {actions:?}", case.scenario, case.engine, case.workloads)
    };
    mutants.into_iter().filter(|m| seen.insert(does(&m.case))).collect()
}

/// Runs the mutants; each must fail, and say what its kind must say.
async fn all_fail(mutants: Vec<Mutant>) {
    assert!(!mutants.is_empty());
    let mutants = unlike(mutants);
    let records = run(mutants.iter().map(|m| m.case.clone()).collect()).await;
    let mut wrong = Vec::new();
    for (mutant, record) in mutants.iter().zip(records) {
        let reason = record.reason.clone().unwrap_or_default();
        let skipped = record.outcome == Some(Outcome::Skipped);
        let seen = record.outcome == Some(Outcome::Failed) && mutant.says.is_match(&reason);
        if !seen && !skipped {
            wrong.push(format!("{}: {:?}: {reason} (wanted /{}/)", record.id, record.outcome, mutant.says));
        }
    }
    assert!(wrong.is_empty(), "these mutants did not fail as they must:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_harm_no_negative_case_passes() {
    let cases = negative(&[EngineKind::Runc, EngineKind::Cri]);
    let (mutants, not_taken): (Vec<_>, Vec<_>) = cases.into_iter().map(harmless).partition(Result::is_ok);
    let not_taken: Vec<String> = not_taken.into_iter().filter_map(Result::err).collect();
    assert!(not_taken.is_empty(), "nothing that could be taken out of: {not_taken:?}");
    all_fail(mutants.into_iter().filter_map(Result::ok).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_without_its_trap_is_told() {
    all_fail(traps(&[EngineKind::Runc, EngineKind::Cri]).into_iter().map(sound).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_go_on_is_seen() {
    // What looks for it is the same in every cell.
    let mut seen = BTreeSet::new();
    let cases = negative(&[EngineKind::Runc, EngineKind::Cri]);
    let one = cases.into_iter().filter(|c| seen.insert((c.scenario.clone(), c.engine))).filter_map(harmed);
    all_fail(one.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_is_no_restore() {
    all_fail(uses(&[EngineKind::Runc, EngineKind::Cri]).into_iter().filter_map(cold).collect()).await;
}
