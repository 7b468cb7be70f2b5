use super::{
    BreakView, ClientView, FaultView, InstanceView, KnownView, MetricView, MigrationView, NodesView, PastView,
    PhaseView, Problem, broken, fault, known, migration, ms, problem, state,
};
use crate::record::{
    ArchivePart, At, CaseRecord, CheckSpec, CheckpointRecord, EngineKind, Failure, Leak, Metric, Origin, Outcome,
};
use crate::report::text;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a case ended, or that it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every check passed.
    Passed,
    /// A capability is absent, with the reason.
    Skipped,
    /// The stack under test is wrong.
    Failed,
    /// The surroundings are wrong.
    Errored,
    /// Something was left behind.
    Leaked,
    /// It failed as a known issue says: neither passed nor failed.
    Known,
    /// It began and has no end: the run was killed in it, or is in it.
    Unfinished,
    /// It was planned and never began.
    NotRun,
}

impl Status {
    /// All, in the order in which they want attention.
    pub const WORST_FIRST: [Status; 8] = [
        Status::Failed,
        Status::Errored,
        Status::Leaked,
        Status::Unfinished,
        Status::NotRun,
        Status::Known,
        Status::Skipped,
        Status::Passed,
    ];

    /// The status of a case.
    pub fn of(case: &CaseRecord) -> Status {
        match case.outcome {
            Some(Outcome::Passed) => Status::Passed,
            Some(Outcome::Skipped) => Status::Skipped,
            Some(Outcome::Failed) => Status::Failed,
            Some(Outcome::Errored) => Status::Errored,
            Some(Outcome::Leaked) => Status::Leaked,
            Some(Outcome::Known) => Status::Known,
            None if case.started => Status::Unfinished,
            None => Status::NotRun,
        }
    }

    /// The status in a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
            Status::Errored => "errored",
            Status::Leaked => "leaked",
            Status::Known => "known",
            Status::Unfinished => "unfinished",
            Status::NotRun => "not run",
        }
    }

    /// The status as a mark at the head of a line.
    pub fn mark(self) -> &'static str {
        match self {
            Status::Passed => "PASS",
            Status::Skipped => "SKIP",
            Status::Failed => "FAIL",
            Status::Errored => "ERROR",
            Status::Leaked => "LEAK",
            Status::Known => "KNOWN",
            Status::Unfinished => "CUT",
            Status::NotRun => "NORUN",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_trouble(self) -> bool {
        !matches!(self, Status::Passed | Status::Skipped | Status::Known)
    }
}

/// One case.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CaseView {
    /// Its name, stable from run to run.
    pub id: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// Where the scenario stands.
    pub origin: Origin,
    /// The engine.
    pub engine: EngineKind,
    /// Its cell of the matrix.
    pub params: BTreeMap<String, String>,
    /// The scenario's labels.
    pub labels: BTreeMap<String, String>,
    /// How it ended.
    pub status: Status,
    /// Why it was skipped or errored.
    pub reason: Option<String>,
    /// What became of the known issues that its scenario names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownView>,
    /// One sentence: for a case that passed what it showed, for another what is the matter.
    pub headline: String,
    /// When it began; `null` if it never did.
    pub from_ms: Option<f64>,
    /// How long it took; `null` if it has no end.
    pub ms: Option<f64>,
    /// Everything that is the matter.
    pub problems: Vec<Problem>,
    /// The checks and what they found.
    pub checks: Vec<CheckView>,
    /// The steps.
    pub steps: Vec<StepView>,
    /// The migrations, with where their time went.
    pub migrations: Vec<MigrationView>,
    /// Timed parts, on their nodes.
    pub phases: Vec<PhaseView>,
    /// Where steps failed, after the phases that ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<BreakView>,
    /// What was broken on purpose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultView>,
    /// Checkpoints that were taken.
    pub checkpoints: Vec<CheckpointView>,
    /// Checkpoints that were carried.
    pub transfers: Vec<TransferView>,
    /// Instances, with their state at the end.
    pub instances: Vec<InstanceView>,
    /// What the clients saw.
    pub clients: Vec<ClientView>,
    /// Figures over the repetitions.
    pub metrics: Vec<MetricView>,
    /// Files of evidence, relative to the run's folder.
    pub files: Vec<String>,
    /// For a case that needs a look: how the nodes that it ran on differ in components, kernel and processor, or that
    /// they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesView>,
    /// For a case that needs a look: how it did in earlier runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<PastView>,
    /// What it left behind.
    pub leaks: Vec<Leak>,
    /// For a case that needs a look: the command that makes one file of all that there is of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The command that runs it again.
    pub rerun: String,
}

/// One step.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct StepView {
    /// Its id in the scenario.
    pub id: String,
    /// What it does.
    pub title: String,
    /// Where it stands.
    pub origin: Origin,
    /// Where the group of steps is used that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Origin>,
    /// When it began.
    pub from_ms: f64,
    /// How long it took.
    pub ms: f64,
    /// Whether it went as the scenario said, be that success or failure.
    pub as_expected: bool,
    /// Whether an error was expected.
    pub error_expected: bool,
    /// The error that it met.
    pub failure: Option<Failure>,
    /// Whether it is one of those that are done whatever came before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// Why it was not done: what it acts on is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

/// One check.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CheckView {
    /// Its name in scenarios.
    pub name: &'static str,
    /// What it looked at.
    pub subject: String,
    /// Where it stands.
    pub origin: Origin,
    /// Whether what was asked holds.
    pub passed: bool,
    /// What was seen.
    pub seen: String,
    /// What was wanted, when it failed.
    pub wanted: Option<String>,
    /// The violation that the scenario expects of it: it passes by being violated so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
    /// The check as it was judged.
    pub spec: CheckSpec,
}

/// A checkpoint.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CheckpointView {
    /// Its name in the scenario.
    pub name: String,
    /// The instance.
    pub of: String,
    /// The node.
    pub node: String,
    /// When the engine was called.
    pub from_ms: f64,
    /// How long it took.
    pub ms: f64,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub digest: String,
    /// CRIU's own word on how long the tasks stood still.
    pub criu_frozen_ms: Option<f64>,
    /// CRIU's count of pages.
    pub criu_pages_written: Option<u64>,
    /// What it is made of, the largest part first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ArchivePart>,
}

/// A checkpoint that was carried.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct TransferView {
    /// The checkpoint.
    pub checkpoint: String,
    /// From where.
    pub from_node: String,
    /// To where.
    pub to_node: String,
    /// How.
    pub via: String,
    /// Bytes that were moved.
    pub bytes: u64,
    /// When it began.
    pub from_ms: f64,
    /// How long it took.
    pub ms: f64,
}

impl CaseView {
    /// Works out what the readers of a case want to know. `epoch` is the start of the run.
    pub fn of(case: &CaseRecord, epoch: At) -> CaseView {
        let e = &case.evidence;
        let clients: Vec<ClientView> = e.histories.iter().map(|(name, h)| ClientView::of(name, h, epoch)).collect();
        let phases = migration::phases(&e.phases, epoch);
        let mut view = CaseView {
            id: text::line(&case.id.0),
            scenario: text::line(&case.scenario),
            title: text::line(&case.title),
            origin: text::origin(&case.origin),
            engine: case.engine,
            params: case.params.iter().map(|(k, v)| (text::line(k), text::line(v))).collect(),
            labels: case.labels.iter().map(|(k, v)| (text::line(k), text::line(v))).collect(),
            status: Status::of(case),
            reason: case.reason.as_deref().map(text::message),
            known: known::of(case),
            headline: String::new(),
            from_ms: case.started.then(|| ms(epoch, case.from)),
            ms: case.to.map(|to| ms(case.from, to)),
            problems: problem::of(case),
            checks: case.checks.iter().map(check).collect(),
            steps: e.steps.iter().map(|s| step(s, epoch)).collect(),
            migrations: migration::of(case, &clients, epoch),
            breaks: broken::of(case, &phases, epoch),
            phases,
            faults: fault::of(&e.faults, epoch),
            checkpoints: e.checkpoints.iter().map(|c| checkpoint(c, epoch)).collect(),
            transfers: e.transfers.iter().map(|t| transfer(t, epoch)).collect(),
            instances: state::of(e, epoch),
            clients,
            metrics: metrics(&e.metrics),
            files: case.files.iter().map(|f| text::line(f)).collect(),
            // Of one case alone nobody knows the nodes, what was before, and the folder: the run adds them.
            nodes: None,
            past: None,
            bundle: None,
            leaks: case.leaks.iter().map(super::leak).collect(),
            rerun: text::line(&case.rerun),
        };
        view.headline = view.say();
        view
    }

    /// A figure by name.
    pub fn metric(&self, metric: Metric) -> Option<&MetricView> {
        self.metrics.iter().find(|m| m.name == metric.name())
    }

    /// What is the matter, or what it showed.
    fn say(&self) -> String {
        match self.status {
            Status::Passed => self.known.iter().fold(self.showed(), |said, k| format!("{said}; {}", k.sentence())),
            Status::Known => known::headline(&self.known, self.problems.first()),
            Status::Skipped => self.reason.clone().unwrap_or_else(|| "no reason was given".to_owned()),
            _ => self.problems.first().map_or_else(|| "no reason was recorded".to_owned(), Problem::headline),
        }
    }

    fn showed(&self) -> String {
        let downtime = self.metric(Metric::Downtime).map(|m| format!("downtime {}", m.shown()));
        // Of writers that no check asks about, their figures say little: some may write what others wrote before.
        let asked = self.checks.iter().any(|c| c.name == "ackedWrites");
        let writes = self.clients.iter().filter(|_| asked).filter_map(|c| c.writes.as_ref());
        let writes: Vec<String> = writes.map(|w| w.sentence()).collect();
        let seen = |name: &str| self.checks.iter().filter(move |c| c.name == name).map(|c| c.seen.clone()).next();
        let parts: Vec<String> = downtime
            .into_iter()
            .chain(if writes.is_empty() { seen("ackedWrites").into_iter().collect() } else { writes })
            .collect();
        if !parts.is_empty() {
            return parts.join(", ");
        }
        ["faster", "workLost", "counter", "sameProcess", "error", "instance"]
            .into_iter()
            .find_map(seen)
            .unwrap_or_default()
    }
}

fn metrics(all: &BTreeMap<String, Vec<f64>>) -> Vec<MetricView> {
    let known = Metric::ALL.map(Metric::name);
    let own = all.keys().map(String::as_str).filter(|k| !known.contains(k));
    let names: Vec<&str> = known.into_iter().chain(own).collect();
    names.into_iter().filter_map(|n| MetricView::of(n, all.get(n)?)).collect()
}

fn check(record: &crate::record::CheckRecord) -> CheckView {
    CheckView {
        name: record.check.spec.name(),
        subject: text::line(&subject(&record.check.spec)),
        origin: text::origin(&record.check.origin),
        passed: record.verdict.passed,
        seen: text::message(&record.verdict.seen),
        wanted: record.verdict.wanted.as_deref().map(text::message),
        violation: record.check.violation.as_deref().map(text::line),
        spec: record.check.spec.clone(),
    }
}

fn subject(spec: &CheckSpec) -> String {
    match spec {
        CheckSpec::Counter(c) => format!("{} after {}", c.of, c.resumes_from),
        CheckSpec::AckedWrites(c) => c.client.clone(),
        CheckSpec::SameProcess(c) => format!("{} as of {}", c.of, c.as_of),
        CheckSpec::Exclusive(c) => c.between.join(", "),
        CheckSpec::Instance(c) => c.of.clone(),
        CheckSpec::Held(c) => c.of.clone(),
        CheckSpec::Consistent(c) => c.of.clone(),
        CheckSpec::Connection(c) => format!("{} in {}", c.client, c.step),
        CheckSpec::Log(c) => c.of.clone(),
        CheckSpec::Archive(c) => c.of.clone(),
        CheckSpec::Error(c) => format!("{}: {}", c.step, c.class),
        CheckSpec::Faster(c) => format!("{} than {}", c.step, c.than),
        CheckSpec::WorkLost(c) => format!("{} since {}", c.of, c.since),
        CheckSpec::Budget(c) => c.metric.name().to_owned(),
    }
}

fn step(s: &crate::record::StepRecord, epoch: At) -> StepView {
    StepView {
        id: text::line(&s.id),
        title: text::line(&s.title),
        origin: text::origin(&s.origin),
        used_at: s.used_at.as_ref().map(text::origin),
        from_ms: ms(epoch, s.from),
        ms: ms(s.from, s.to),
        as_expected: s.as_expected(),
        error_expected: s.error_expected,
        failure: s.failure.as_ref().map(problem::failure),
        finally: s.finally,
        passed_over: s.passed_over.as_deref().map(text::line),
    }
}

fn checkpoint(c: &CheckpointRecord, epoch: At) -> CheckpointView {
    CheckpointView {
        name: text::line(&c.name),
        of: text::line(&c.of),
        node: text::line(&c.node),
        from_ms: ms(epoch, c.from),
        ms: ms(c.from, c.to),
        bytes: c.bytes,
        digest: text::line(&c.digest),
        criu_frozen_ms: c.criu_frozen_us.map(|us| us as f64 / 1e3),
        criu_pages_written: c.criu_pages_written,
        parts: c.parts.clone(),
    }
}

fn transfer(t: &crate::record::TransferRecord, epoch: At) -> TransferView {
    TransferView {
        checkpoint: text::line(&t.checkpoint),
        from_node: text::line(&t.from_node),
        to_node: text::line(&t.to_node),
        via: text::line(&t.via),
        bytes: t.bytes,
        from_ms: ms(epoch, t.from),
        ms: ms(t.from, t.to),
    }
}
