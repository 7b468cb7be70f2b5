//! Comparisons on real nodes: what is the same is not called slower, and a runtime that is slower by 30 % is. Needs root and
//! the node image, and `PODFERRY_WORKLOADS`; and a machine that is not busy with other things.

#[path = "machine/mod.rs"]
mod machine;

use machine::{Place, Traces, await_death, await_event, descendants, names, runs};
use podferry::component::{Cache, NodeImage, NodeImageSpec, node_image};
use podferry::image::Store;
use podferry::perf::{self, acks::Acks, shipped_rule};
use podferry::provider::Provider;
use podferry::provider::local::{LocalConfig, LocalProvider, NoClaims, sweep_cgroups};
use podferry::record::{
    CaseRecord, ComparedFigure, Comparison, EngineKind, Event, HostRecord, Line, MachineUse, PerfVerdict, RunId,
};
use podferry::run::{Exit, Ground, Listener, Paired, Pairing, Preparations, Recorder, Sides, Stores, execute_paired};
use podferry::scenario::{self, Selection};
use podferry::workload::KINDS;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const PAIRS: usize = 40;

/// The quickest case with a checkpoint.
const SCENARIO: &str = "\
apiVersion: podferry/v1alpha1
kind: Scenario
metadata: {name: quick, title: a checkpoint of a counter}
spec:
  workloads: {counter: {use: counter, with: {interval: 10ms, journal: false}}}
  steps:
    - deploy: {workload: counter, node: a}
    - checkpoint: {of: counter, as: image, source: running}
  checks:
    - instance: {of: counter, state: running}
";

/// In the place of the node's runc: sleeps before each checkpoint, then hands on. The runtime itself lies where the image has
/// podman. It is run from a copy, since runc 1.3 starts a container's init from an overlay over the folder of its own
/// binary, and such an overlay sees what is below a mount.
fn slow_runc(delay: Duration) -> String {
    format!(
        "#!/bin/sh
d=/run/slow-runc
if [ ! -x $d/runc ]; then
  mkdir -p $d && cp {HIDEOUT} $d/runc.$$ && mv $d/runc.$$ $d/runc
fi
for word; do
  case $word in
    checkpoint) case \" $* \" in *' --help '*) ;; *) sleep {:.3} ;; esac; break ;;
  esac
done
exec $d/runc \"$@\"
",
        delay.as_secs_f64()
    )
}

const RUNC: &str = "/usr/sbin/runc";
const HIDEOUT: &str = "/usr/bin/podman";

fn figure<'a>(comparison: &'a Comparison, name: &str) -> &'a ComparedFigure {
    assert_eq!(comparison.cases.len(), 1);
    let case = &comparison.cases[0];
    let found = case.figures.iter().find(|f| f.name == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?} {:?}", case.trouble, case.figures))
}

/// By the program, as a user starts it.
fn same_with_same() -> Comparison {
    let place = Place::new();
    let before = Traces::now();
    fs::write(place.path("quick.yaml"), SCENARIO).expect("written");
    let pairs = PAIRS.to_string();
    let done = place
        .podferry(&["perf", "ab", "--scenario", "quick.yaml", "--engine", "runc", "--pairs", &pairs])
        .args(["--quiet", "--gate", "--out", "out"])
        .output()
        .expect("podferry starts");
    let text = format!("{}\n{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{text}");
    place.assert_clean(&before, &text);
    let run = runs(&place.out()).pop().expect("a run");
    assert_eq!(groups(&place), Vec::<PathBuf>::new());
    assert!(fs::read_to_string(run.join("comparison.md")).expect("a report").contains("all figures"));
    serde_json::from_str(&fs::read_to_string(run.join("comparison.json")).expect("a report")).expect("a comparison")
}

/// The control groups of both sides of the only run.
fn groups(place: &Place) -> Vec<PathBuf> {
    let run = runs(&place.out()).pop().expect("a run");
    let id = run.file_name().expect("a name").to_string_lossy().into_owned();
    let roots = names("/sys/fs/cgroup").into_iter().chain([PathBuf::from("/sys/fs/cgroup")]);
    roots.flat_map(names).filter(|p| p.to_string_lossy().contains(&format!("podferry-{id}"))).collect()
}

/// Each side has control groups under a name of its own: those too are found again.
#[test]
fn what_a_killed_comparison_leaves_is_swept() {
    let place = Place::new();
    fs::write(place.path("quick.yaml"), SCENARIO).expect("written");
    let mut command =
        place.podferry(&["perf", "ab", "--scenario", "quick.yaml", "--engine", "runc", "--pairs", "1000"]);
    let mut run = command.args(["--quiet", "--out", "out"]).spawn().expect("podferry starts");
    await_event(&place.out(), &["repetition", "side=candidate"], || run.try_wait().expect("it is ours").is_some());
    let family = descendants(run.id());
    run.kill().expect("killed");
    run.wait().expect("it has ended");
    await_death(&family);
    let left = groups(&place);
    assert!(left.iter().any(|p| p.to_string_lossy().ends_with("-candidate")), "{left:?}");
    let swept = place.podferry(&["clean"]).output().expect("podferry starts");
    assert_eq!(swept.status.code(), Some(0), "{}", String::from_utf8_lossy(&swept.stderr));
    assert_eq!(groups(&place), Vec::<PathBuf>::new());
}

struct Deaf;

impl Listener for Deaf {
    fn line(&self, _line: &Line) {}

    fn case(&self, _case: &CaseRecord) {}
}

fn provider(image: &NodeImage, id: &RunId, overrides: Vec<(PathBuf, PathBuf)>) -> Arc<dyn Provider> {
    let config = LocalConfig {
        run_id: id.clone(),
        podferry: env!("CARGO_BIN_EXE_podferry").into(),
        image_rootfs: image.rootfs.clone(),
        overrides,
        binds: Vec::new(),
        components: image.components.clone(),
        data_size: 4 << 30,
        claims: Arc::new(NoClaims),
    };
    Arc::new(LocalProvider::new(config).expect("a provider"))
}

async fn with_delay(delay: Duration) -> Comparison {
    let scratch = tempfile::tempdir().expect("a folder");
    let image = node_image(&NodeImageSpec::shipped(), &Cache::of_user(), &()).await.expect("the node image");
    let script = scratch.path().join("runc");
    fs::write(&script, slow_runc(delay)).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
    let runc = image.rootfs.join(RUNC.trim_start_matches('/'));
    let slow = vec![(script, RUNC.into()), (runc, HIDEOUT.into())];
    let ids = ["baseline", "candidate"].map(|side| RunId(format!("perf-{}-{side}", std::process::id())));
    let open = |name: &str| Arc::new(Store::open(scratch.path().join(name)).expect("a store"));
    let stores = Stores { lasting: open("lasting"), of_run: open("of-run") };
    let ground = |provider: Arc<dyn Provider>| {
        let preparations = Preparations::new(&image, Arc::clone(&stores.lasting), provider.vantage());
        Ground { image: None, provider, preparations, kubernetes: None }
    };
    let sides = Sides {
        baseline: ground(provider(&image, &ids[0], Vec::new())),
        candidate: ground(provider(&image, &ids[1], slow)),
    };
    let (found, diagnostics) = scenario::load(SCENARIO, "quick.yaml", KINDS);
    let selection = Selection { engines: vec![EngineKind::Runc], ..Selection::default() };
    let plan = scenario::plan(&[found.unwrap_or_else(|| panic!("{diagnostics:?}"))], &selection).expect("a plan");
    let recorder = Arc::new(Recorder::create(scratch.path(), Box::new(Deaf)).expect("a recorder"));
    recorder.run(Event::RunStarted {
        id: RunId("perf".to_owned()),
        podferry: String::new(),
        command: Vec::new(),
        started: String::new(),
        host: HostRecord::default(),
        image: String::new(),
    });
    let pairing = Pairing {
        plan,
        recorder,
        again: String::new(),
        pairs: PAIRS,
        warmup: 2,
        seed: 1,
        timeout: Duration::from_secs(900),
    };
    let paired = Paired { pairing, sides, stores };
    let (_interrupt, never) = watch::channel(false);
    let run = execute_paired(paired, |run| perf::ab::suspects(run, &shipped_rule()), never).await;
    ids.iter().for_each(|id| assert!(sweep_cgroups(id).expect("swept").is_empty()));
    assert!(run.errors.is_empty(), "{:?}", run.errors);
    // What else the machine did is no matter here: the rule is what is tried.
    perf::ab::comparison(&run, shipped_rule(), (PAIRS, 1), MachineUse::default(), &Acks::default())
}

/// The delay is 30 % of what a checkpoint takes here, as the first comparison has measured it.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_not_slower_and_what_is_slower_is_found() {
    let same = tokio::task::spawn_blocking(same_with_same).await.expect("the comparison");
    let decided: Vec<&ComparedFigure> = (same.cases.iter().flat_map(|c| &c.figures))
        .filter(|f| matches!(f.verdict, PerfVerdict::Regressed | PerfVerdict::Improved | PerfVerdict::Invalid))
        .collect();
    assert!(decided.is_empty(), "{decided:#?}");
    let spawns = figure(&same, "spawns");
    assert!(spawns.exact && spawns.verdict == PerfVerdict::Unchanged, "{spawns:?}");

    let usual = figure(&same, "checkpoint").baseline.median.expect("a median");
    let slow = with_delay(Duration::from_secs_f64(0.3 * usual / 1e3)).await;
    let checkpoint = figure(&slow, "checkpoint");
    assert_eq!(checkpoint.verdict, PerfVerdict::Regressed, "{:?} {}", checkpoint.rounds, checkpoint.why);
    assert_eq!(checkpoint.rounds.len(), 2, "{:?}", checkpoint.rounds);
    assert!(checkpoint.rounds.iter().all(|r| (1.1..2.0).contains(&r.ratio)), "{:?}", checkpoint.rounds);
    assert_eq!(perf::exit(&slow, true), Exit::Regressed);
    tell(&same, &slow);
}

#[expect(clippy::print_stdout, reason = "the figures that the test rests on")]
fn tell(same: &Comparison, slow: &Comparison) {
    for (name, c) in [("the same", same), ("30 % slower", slow)] {
        println!("{name}: {}", podferry::report::perf::terminal(c, "", podferry::report::Style::PLAIN));
    }
}
