//! A run as its readers see it: every derived figure and sentence, worked out once. This is also `run.json`, word for
//! word; the docs of these types are its documentation.
//!
//! Times are in milliseconds. Those named `at_ms` and `from_ms` count from the start of the run. Text of workloads and
//! tools has its control characters made visible and is cut when it is huge; whole texts are in `events.jsonl`, client
//! operations one by one in the history files that a case lists.

mod broken;
mod case;
mod client;
mod consequence;
mod fault;
mod images;
mod known;
mod metric;
mod migration;
mod nodes;
mod past;
mod problem;
mod state;
mod writes;

pub use broken::BreakView;
pub use case::{CaseView, CheckView, CheckpointView, Status, StepView, TransferView};
pub use client::{ClientView, Latency, Outage};
pub use fault::FaultView;
pub use images::{ImagesView, OnImages};
pub use known::KnownView;
pub use metric::MetricView;
pub use migration::{MigrationView, Part, PhaseView};
pub use nodes::NodesView;
pub use past::{PastRun, PastView};
pub use problem::{Problem, ProblemKind};
pub use state::InstanceView;
pub use writes::WritesView;

pub(super) use migration::timeline as migration_timeline;
pub(super) use state::sentence as state_sentence;

use super::text;
use crate::record::{At, CaseRecord, ErrorClass, Failure, HostRecord, Leak, Millis, NodeRecord, Outcome, Run};
use serde::Serialize;

/// Version of `run.json`. Fields are added under the same number; it changes when one is removed or changes meaning.
pub const SCHEMA: u32 = 1;

/// A run.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RunView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run's name: also its folder's.
    pub id: String,
    /// The version of podferry.
    pub podferry: String,
    /// The verdict.
    pub verdict: RunVerdict,
    /// How many cases ended how.
    pub counts: Counts,
    /// What the order of the cases was drawn with (`--seed`), if it was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The command line.
    pub command: Vec<String>,
    /// When it started, RFC 3339.
    pub started: String,
    /// How long it took; `null` if it was killed.
    pub ms: Option<f64>,
    /// The exit code; `null` if it was killed.
    pub exit_code: Option<u8>,
    /// Whether the user interrupted it.
    pub interrupted: bool,
    /// The machine.
    pub host: HostRecord,
    /// The node image.
    pub image: String,
    /// The nodes with what ran on them.
    pub nodes: Vec<NodeRecord>,
    /// What is not the same on all nodes: components (`criu: 4.2.1 on a, 4.2.1 (patched) on b`), kernels, processors.
    pub differences: Vec<String>,
    /// Node images side by side, if there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesView>,
    /// The cases, in the order of the plan.
    pub cases: Vec<CaseView>,
    /// What was left behind, in any case or none.
    pub leaks: Vec<Leak>,
    /// What went wrong outside any case.
    pub errors: Vec<Failure>,
}

/// The verdict on a run.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RunVerdict {
    /// One word.
    pub word: RunWord,
    /// One sentence.
    pub sentence: String,
}

/// The verdict on a run in a word: the worst that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunWord {
    /// Every case passed or was skipped with a reason, and at least one passed.
    Passed,
    /// At least one case failed.
    Failed,
    /// The surroundings failed, in a case or outside.
    Errored,
    /// Something was left behind.
    Leaked,
    /// The user interrupted it.
    Interrupted,
    /// It has no end: it was killed, or it still runs.
    Unfinished,
    /// Every case that was not skipped failed as known issues say.
    Known,
    /// Every case was skipped.
    Skipped,
    /// There was no case.
    Empty,
}

impl RunWord {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            RunWord::Passed => "passed",
            RunWord::Failed => "failed",
            RunWord::Errored => "errored",
            RunWord::Leaked => "leaked",
            RunWord::Interrupted => "interrupted",
            RunWord::Unfinished => "unfinished",
            RunWord::Known => "known",
            RunWord::Skipped => "skipped",
            RunWord::Empty => "empty",
        }
    }

    /// The case status that it looks like.
    pub fn status(self) -> Status {
        match self {
            RunWord::Passed => Status::Passed,
            RunWord::Failed => Status::Failed,
            RunWord::Errored => Status::Errored,
            RunWord::Leaked => Status::Leaked,
            RunWord::Interrupted | RunWord::Unfinished => Status::Unfinished,
            RunWord::Known => Status::Known,
            RunWord::Skipped | RunWord::Empty => Status::Skipped,
        }
    }
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Counts {
    /// All that were planned.
    pub planned: usize,
    /// Every check passed.
    pub passed: usize,
    /// The stack under test is wrong.
    pub failed: usize,
    /// The surroundings are wrong.
    pub errored: usize,
    /// Something was left behind.
    pub leaked: usize,
    /// It failed as a known issue says.
    pub known: usize,
    /// A capability is absent.
    pub skipped: usize,
    /// It began and has no end.
    pub unfinished: usize,
    /// It was planned and never began.
    pub not_run: usize,
}

impl Counts {
    fn of(run: &Run) -> Self {
        let without_end = |started| run.cases.iter().filter(|c| c.outcome.is_none() && c.started == started).count();
        Counts {
            planned: run.cases.len(),
            passed: run.count(Outcome::Passed),
            failed: run.count(Outcome::Failed),
            errored: run.count(Outcome::Errored),
            leaked: run.count(Outcome::Leaked),
            known: run.count(Outcome::Known),
            skipped: run.count(Outcome::Skipped),
            unfinished: without_end(true),
            not_run: without_end(false),
        }
    }

    /// The number for a status.
    pub fn get(self, status: Status) -> usize {
        match status {
            Status::Passed => self.passed,
            Status::Failed => self.failed,
            Status::Errored => self.errored,
            Status::Leaked => self.leaked,
            Status::Known => self.known,
            Status::Skipped => self.skipped,
            Status::Unfinished => self.unfinished,
            Status::NotRun => self.not_run,
        }
    }

    /// `12 passed, 1 failed, 2 skipped`: those that there are, the worst after the passed.
    pub fn sentence(self) -> String {
        let parts: Vec<String> = [Status::Passed]
            .into_iter()
            .chain(Status::WORST_FIRST.into_iter().filter(|s| *s != Status::Passed))
            .filter(|s| self.get(*s) > 0)
            .map(|s| format!("{} {}", self.get(s), s.name()))
            .collect();
        if parts.is_empty() { "no cases".to_owned() } else { parts.join(", ") }
    }
}

impl RunView {
    /// Works out what the readers of a run want to know.
    pub fn of(run: &Run) -> RunView {
        let counts = Counts::of(run);
        RunView {
            schema: SCHEMA,
            id: text::line(&run.id.0),
            podferry: text::line(&run.podferry),
            verdict: verdict(run, counts),
            counts,
            seed: run.seed,
            command: run.command.iter().map(|a| text::shown(a, text::MESSAGE_LIMIT)).collect(),
            started: text::line(&run.started),
            ms: run.ended.map(|e| Millis::from(e.since(run.epoch)).0),
            exit_code: run.exit_code,
            interrupted: run.interrupted,
            host: host(&run.host),
            image: text::line(&run.image),
            nodes: run.nodes.iter().map(nodes::node).collect(),
            differences: images::differences(run),
            images: images::of(run),
            cases: run.cases.iter().map(|c| in_run(c, run)).collect(),
            leaks: run.leaks.iter().map(leak).collect(),
            errors: run.errors.iter().map(problem::failure).collect(),
        }
    }

    /// The cases that need a look, the worst first; those that passed or were skipped are not among them.
    pub fn troubled(&self) -> Vec<&CaseView> {
        let rank = |s: Status| Status::WORST_FIRST.iter().position(|w| *w == s);
        let mut cases: Vec<&CaseView> = self.cases.iter().filter(|c| c.status.is_trouble()).collect();
        cases.sort_by_key(|c| rank(c.status));
        cases
    }
}

/// A case with what the run knows of it.
fn in_run(case: &CaseRecord, run: &Run) -> CaseView {
    let view = CaseView::of(case, run.epoch);
    let trouble = view.status.is_trouble();
    let placed = |mut p: Problem| {
        // By the name that the run has of the file: a place's own is made fit to be shown.
        let kept = run.scenarios.iter().find(|(file, _)| text::line(file) == p.origin.file);
        let whole = kept.and_then(|(_, kept)| kept.text.as_deref());
        p.source = whole.and_then(|t| t.lines().nth((p.origin.line as usize).checked_sub(1)?)).map(text::code_line);
        p
    };
    CaseView {
        nodes: nodes::of_case(case, &run.nodes),
        past: past::of(case, run),
        bundle: (trouble && !run.id.0.is_empty()).then(|| bundle_command(run, &folder(run), &view.id)),
        problems: view.problems.into_iter().map(placed).collect(),
        ..view
    }
}

/// The run's folder as the user would name it where the run was started.
pub(super) fn folder(run: &Run) -> String {
    let words = &run.command;
    let out = words.iter().enumerate().find_map(|(i, word)| match word.strip_prefix("--out") {
        Some("") => words.get(i + 1).cloned(),
        Some(rest) => rest.strip_prefix('=').map(str::to_owned),
        None => None,
    });
    text::line(&format!("{}/{}", out.as_deref().unwrap_or("target/e2e").trim_end_matches('/'), run.id))
}

/// The command that bundles a case of a run in this folder.
pub(super) fn bundle_command(run: &Run, folder: &str, case: &str) -> String {
    let program = run.command.first().map_or("podferry", String::as_str);
    format!("{} bundle {folder} '{case}'", text::line(program))
}

fn host(h: &HostRecord) -> HostRecord {
    HostRecord {
        kernel: text::line(&h.kernel),
        os: text::line(&h.os),
        cpus: h.cpus,
        cpu_model: text::line(&h.cpu_model),
        memory_mib: h.memory_mib,
        cgroup: text::line(&h.cgroup),
    }
}

fn leak(leak: &Leak) -> Leak {
    Leak { kind: text::line(&leak.kind), name: text::line(&leak.name), reason: text::message(&leak.reason) }
}

fn verdict(run: &Run, n: Counts) -> RunVerdict {
    let cases = text::count(n.planned, "case");
    let troubles: Vec<String> = [Status::Errored, Status::Failed, Status::Leaked, Status::Unfinished, Status::NotRun]
        .into_iter()
        .filter(|s| n.get(*s) > 0)
        .map(|s| format!("{} {}", n.get(s), s.name()))
        .collect();
    let troubles = format!("{} of {cases}", troubles.join(", "));
    // In the order of the exit codes: surroundings that are wrong make every other word doubtful.
    let (word, sentence) = if run.interrupted {
        (RunWord::Interrupted, format!("interrupted by the user; {}", n.sentence()))
    } else if run.ended.is_none() {
        (RunWord::Unfinished, format!("the run has no end: it was killed or still goes on; {}", n.sentence()))
    } else if n.errored > 0 {
        (RunWord::Errored, troubles)
    } else if run.errors.iter().any(|e| e.class != ErrorClass::Timeout) {
        (RunWord::Errored, format!("{} outside any case; {}", text::count(run.errors.len(), "error"), n.sentence()))
    } else if n.failed > 0 {
        (RunWord::Failed, troubles)
    } else if !run.errors.is_empty() {
        (RunWord::Unfinished, format!("the run's time ran out; {}", n.sentence()))
    } else if n.unfinished + n.not_run > 0 {
        (RunWord::Unfinished, troubles)
    } else if n.leaked > 0 {
        (RunWord::Leaked, troubles)
    } else if !run.leaks.is_empty() {
        (RunWord::Leaked, format!("{} left behind; {}", text::count(run.leaks.len(), "thing"), n.sentence()))
    } else if n.planned == 0 {
        (RunWord::Empty, "no case was selected".to_owned())
    } else if n.passed == 0 && n.known > 0 {
        (RunWord::Known, format!("no case passed, and none failed that is not known to; {}", n.sentence()))
    } else if n.passed == 0 {
        (RunWord::Skipped, format!("all of {cases} skipped: nothing was tested"))
    } else if n.skipped + n.known > 0 {
        let besides = [(n.known, "known to fail"), (n.skipped, "skipped")].into_iter().filter(|(n, _)| *n > 0);
        let besides: Vec<String> = besides.map(|(n, what)| format!("{n} {what}")).collect();
        (RunWord::Passed, format!("{} of {cases} passed, {}", n.passed, besides.join(", ")))
    } else {
        (RunWord::Passed, if n.planned == 1 { "the case passed".to_owned() } else { format!("all {cases} passed") })
    };
    RunVerdict { word, sentence }
}

/// Milliseconds from one stamp to another; zero if they are the wrong way round.
pub(super) fn ms(from: At, to: At) -> f64 {
    Millis::from(to.since(from)).0
}
