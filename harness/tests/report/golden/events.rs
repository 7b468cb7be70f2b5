use podferry::record::{
    At, CaseId, ComponentRecord, EngineKind, Event, HostRecord, Line, MachineRecord, NodeRecord, Origin, Outcome,
    Phase, PhaseSpan, RunId, StepRecord,
};
use std::collections::BTreeMap;

/// The monotonic clock at the start of the run, in ms.
const BOOT_MS: f64 = 1_000_000.0;

/// A moment, in ms since the start of the run.
pub(crate) fn at(ms: f64) -> At {
    At(((BOOT_MS + ms) * 1e6).round() as u64)
}

/// Writes events down, one after the other.
pub(crate) struct Script {
    id: RunId,
    /// What was written.
    pub(crate) lines: Vec<Line>,
    case: Option<CaseId>,
    /// Where the group of steps is used that steps are of.
    pub(crate) used_at: Option<Origin>,
    /// Whether steps are those of `finally`.
    pub(crate) finally: bool,
    /// The time, in ms since the start of the run.
    pub(crate) now: f64,
}

impl Script {
    pub(crate) fn new(id: &str) -> Self {
        Script { id: RunId(id.to_owned()), lines: Vec::new(), case: None, used_at: None, finally: false, now: 0.0 }
    }

    pub(crate) fn say(&mut self, event: Event) {
        self.lines.push(Line { at: at(self.now), case: self.case.clone(), event });
    }

    pub(crate) fn begin(&mut self) {
        self.say(Event::RunStarted {
            id: self.id.clone(),
            podferry: "0.1.0".to_owned(),
            command: ["podferry", "run", "--engine", "cri,runc"].map(str::to_owned).to_vec(),
            started: "2026-11-22T16:53:01Z".to_owned(),
            host: HostRecord {
                kernel: "6.18.5".to_owned(),
                os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
                cpus: 2,
                cpu_model: "AMD EPYC 7B13".to_owned(),
                memory_mib: 24_576,
                cgroup: "hybrid".to_owned(),
            },
            image: "sid-9f3c2ab1".to_owned(),
        });
        let nodes = [("a", "10.88.0.2", "4.2.1", " erms"), ("b", "10.88.0.3", "4.2.1 (patched)", "")];
        for (name, address, criu, more) in nodes {
            self.now += 210.0;
            self.say(Event::NodeUp(NodeRecord {
                name: name.to_owned(),
                address: address.to_owned(),
                up_ms: 212.4,
                components: components(criu),
                machine: MachineRecord::read("6.18.5", &format!("model name: AMD EPYC 7B13\nflags: fpu sse{more}\n")),
                image: None,
            }));
        }
    }

    /// Plans a case.
    pub(crate) fn plan(&mut self, id: &str, title: &str, engine: EngineKind, params: &[(&str, &str)], line: u32) {
        let scenario = id.split('[').next().unwrap_or(id).to_owned();
        self.case = Some(CaseId(id.to_owned()));
        self.say(Event::CasePlanned {
            title: title.to_owned(),
            origin: origin(&scenario, line, 3),
            scenario,
            engine,
            params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            labels: BTreeMap::from([("tier".to_owned(), "core".to_owned())]),
            rerun: format!("cargo xtask e2e run '{id}'"),
        });
        self.case = None;
    }

    /// Begins a planned case at a time.
    pub(crate) fn start(&mut self, id: &str, ms: f64) {
        self.now = ms;
        self.case = Some(CaseId(id.to_owned()));
        self.say(Event::CaseStarted);
    }

    /// A step that took so long, as the `index`th of its case.
    pub(crate) fn step(&mut self, index: usize, id: &str, title: &str, ms: f64, end: StepEnd) {
        self.say(Event::StepStarted { index, title: title.to_owned() });
        let from = at(self.now);
        self.now += ms;
        let (error_expected, failure) = match end {
            StepEnd::Fine => (false, None),
            StepEnd::Expected(f) => (true, Some(f)),
            StepEnd::Failed(f) => (false, Some(f)),
        };
        let line = 20 + 4 * u32::try_from(index).expect("few steps");
        let origin = origin(self.scenario(), line, 7);
        let step = StepRecord {
            id: id.to_owned(),
            title: title.to_owned(),
            origin,
            from,
            to: at(self.now),
            error_expected,
            failure,
            finally: self.finally,
            used_at: self.used_at.clone(),
            passed_over: None,
        };
        self.say(Event::StepFinished(step));
    }

    /// Phases on nodes: (phase, node, from in ms since the run's start, length).
    pub(crate) fn phases(&mut self, step: usize, spans: &[(Phase, &str, f64, f64)]) {
        for (phase, node, from, len) in spans {
            let span = PhaseSpan { phase: *phase, node: (*node).to_owned(), step, from: at(*from), to: at(from + len) };
            self.say(Event::Phase(span));
        }
    }

    pub(crate) fn metric(&mut self, name: &str, values: &[f64]) {
        for value in values {
            self.say(Event::Metric { name: name.to_owned(), value: *value });
        }
    }

    /// Ends the case.
    pub(crate) fn finish(&mut self, outcome: Outcome, reason: Option<&str>) {
        self.say(Event::CaseFinished { outcome, reason: reason.map(str::to_owned) });
        self.case = None;
    }

    pub(crate) fn end(&mut self, exit_code: u8) {
        self.now += 400.0;
        self.say(Event::RunFinished { exit_code });
    }

    /// The scenario of the case that runs.
    pub(crate) fn scenario(&self) -> &str {
        self.case.as_ref().map_or("", |c| c.0.split('[').next().unwrap_or_default())
    }
}

/// How a step ended.
pub(crate) enum StepEnd {
    Fine,
    Expected(podferry::record::Failure),
    Failed(podferry::record::Failure),
}

/// A place in a scenario.
pub(crate) fn origin(scenario: &str, line: u32, column: u32) -> Origin {
    Origin { file: format!("scenarios/{scenario}.yaml"), line, column }
}

fn components(criu: &str) -> Vec<ComponentRecord> {
    let digest = |c: char| std::iter::repeat_n(c, 64).collect::<String>();
    let of = |name: &str, version: &str, source: &str, d: char| ComponentRecord {
        name: name.to_owned(),
        version: version.to_owned(),
        source: source.to_owned(),
        digest: digest(d),
    };
    let patched = criu.contains("patched");
    vec![
        of("containerd", "2.1.9", "package sid", '1'),
        of("runc", "1.3.6", "package sid", '2'),
        of("criu", criu, if patched { "path /home/me/criu" } else { "package sid" }, if patched { '4' } else { '3' }),
        of("kernel", "6.18.5", "host", '5'),
    ]
}
