use super::{At, CaseId, Check, EngineKind, Evidence, Failure, KeptScenario, KnownRecord, Origin, PastCase, RunId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a case, or a run, ended. Six different things, never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every check passed.
    Passed,
    /// A capability is absent, with the reason.
    Skipped,
    /// The stack under test is wrong: a check failed, or a step failed that should not have.
    Failed,
    /// The surroundings are wrong: nothing is said of the stack.
    Errored,
    /// Something was left behind.
    Leaked,
    /// It failed as a known issue says: neither passed nor failed.
    Known,
}

impl Outcome {
    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Skipped => "skipped",
            Outcome::Failed => "failed",
            Outcome::Errored => "errored",
            Outcome::Leaked => "leaked",
            Outcome::Known => "known",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether what was asked holds.
    pub passed: bool,
    /// What was seen, in one sentence, also when it passed: `counter went on at 42 after 41, 58 values, each once`.
    pub seen: String,
    /// What was wanted, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
}

/// A check and its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The check.
    pub check: Check,
    /// What it found.
    pub verdict: Verdict,
}

/// One step as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The id given in the scenario, or made (`step-3`).
    pub id: String,
    /// What it does, for people: `migrate redis to b, fenced`.
    pub title: String,
    /// Where it stands.
    pub origin: Origin,
    /// Where the group of steps is used that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Origin>,
    /// When it began and ended.
    pub from: At,
    /// See `from`.
    pub to: At,
    /// Whether the scenario expected it to fail.
    pub error_expected: bool,
    /// The error that it met.
    pub failure: Option<Failure>,
    /// Whether it is one of those that are done whatever came before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// Why it was not done: what it acts on is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

impl StepRecord {
    /// Whether the step went as the scenario said, be that success or failure.
    pub fn as_expected(&self) -> bool {
        self.failure.is_some() == self.error_expected
    }
}

/// One case as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Its name.
    pub id: CaseId,
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
    /// How it ended; `None` while it runs, or if the run was killed in it.
    pub outcome: Option<Outcome>,
    /// Why it was skipped or errored, in one sentence.
    pub reason: Option<String>,
    /// What became of the known issues that its scenario names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownRecord>,
    /// Whether it began: one that was planned and never began is not one that was killed in the middle.
    #[serde(default)]
    pub started: bool,
    /// The step that had begun and not ended: what a killed case was doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_step: Option<String>,
    /// When it began; when it was planned, if it never did.
    pub from: At,
    /// When it ended.
    pub to: Option<At>,
    /// What was recorded.
    pub evidence: Evidence,
    /// What it was to be judged by; empty of runs that did not record it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Check>,
    /// What the checks made of it.
    pub checks: Vec<CheckRecord>,
    /// Evidence files, relative to the run's folder.
    pub files: Vec<String>,
    /// What it left behind; [`Run::leaks`] has these too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// The command that runs this case again.
    pub rerun: String,
}

/// Something that was left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Leak {
    /// `process`, `mount`, `cgroup`, `container`, `file`, ...
    pub kind: String,
    /// Which.
    pub name: String,
    /// Why it could not be removed.
    pub reason: String,
}

/// One binary of the stack under test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ComponentRecord {
    /// `containerd`, `runc`, `crun`, `criu`, `kernel`.
    pub name: String,
    /// Its own word on its version.
    pub version: String,
    /// `package sid`, `path /home/me/containerd`.
    pub source: String,
    /// sha256 of the binary.
    pub digest: String,
}

/// A node as it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// What it took to make it, in ms.
    pub up_ms: f64,
    /// What ran on it.
    pub components: Vec<ComponentRecord>,
    /// Its kernel and processor.
    #[serde(default)]
    pub machine: MachineRecord,
    /// The node image, as the user named it; only where there were several in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What a node's kernel says of itself and of its processor. CRIU refuses to restore where a processor lacks what the
/// memory was saved with (`FPU feature required by image is not supported`), and dumps what the kernel lets it see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MachineRecord {
    /// Kernel release.
    pub kernel: String,
    /// CPU model.
    pub cpu_model: String,
    /// What the CPU can do, as `/proc/cpuinfo` names it (`flags`; `Features` on arm64), sorted.
    pub cpu_flags: Vec<String>,
}

impl MachineRecord {
    /// From `/proc/sys/kernel/osrelease` and `/proc/cpuinfo`. What is not there stays empty.
    pub fn read(osrelease: &str, cpuinfo: &str) -> MachineRecord {
        let value = |keys: [&str; 2]| {
            let of = |line: &'_ str| line.split_once(':').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()));
            cpuinfo.lines().filter_map(of).find(|(k, _)| keys.contains(&k.as_str())).map(|(_, v)| v).unwrap_or_default()
        };
        let mut cpu_flags: Vec<String> = value(["flags", "Features"]).split_whitespace().map(str::to_owned).collect();
        cpu_flags.sort();
        let cpu_model = value(["model name", "CPU part"]);
        MachineRecord { kernel: osrelease.trim().to_owned(), cpu_model, cpu_flags }
    }
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HostRecord {
    /// Kernel release.
    pub kernel: String,
    /// Distribution, from os-release.
    pub os: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// CPU model.
    pub cpu_model: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// `v1`, `v2` or `hybrid`.
    pub cgroup: String,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of this form; 1.
    pub schema: u32,
    /// Its name.
    pub id: RunId,
    /// podferry's version.
    pub podferry: String,
    /// The command line.
    pub command: Vec<String>,
    /// Wall time of the start, RFC 3339.
    pub started: String,
    /// The monotonic stamp of the start; times in reports are relative to it.
    pub epoch: At,
    /// What the order of the cases was drawn with; `None`: it is that of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// When it ended; `None` if it was killed.
    pub ended: Option<At>,
    /// The machine.
    pub host: HostRecord,
    /// The node image: suite, content key.
    pub image: String,
    /// The nodes.
    pub nodes: Vec<NodeRecord>,
    /// The cases.
    pub cases: Vec<CaseRecord>,
    /// Files of scenarios that were kept: the copy, relative to the run's folder, by the name that origins have of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scenarios: BTreeMap<String, KeptScenario>,
    /// How cases of this run did in earlier runs, the latest first; whoever reads a run from its folder adds it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub past: BTreeMap<CaseId, Vec<PastCase>>,
    /// What was left behind.
    pub leaks: Vec<Leak>,
    /// What went wrong outside any case.
    pub errors: Vec<Failure>,
    /// Set when the run was interrupted by the user.
    pub interrupted: bool,
    /// The exit code.
    pub exit_code: Option<u8>,
}

impl Run {
    /// Number of cases that ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|c| c.outcome == Some(outcome)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::MachineRecord;

    #[test]
    fn a_machine_is_read_from_its_files() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: sse erms\n\nprocessor\t: 1\nflags\t\t: other\n";
        let machine = MachineRecord::read("6.18.5\n", cpuinfo);
        assert_eq!((machine.kernel.as_str(), machine.cpu_model.as_str()), ("6.18.5", "Xeon"));
        assert_eq!(machine.cpu_flags, ["erms", "sse"]);
        assert_eq!(MachineRecord::read("", "Features\t: fp aes\nCPU part\t: 0xd0c\n").cpu_flags, ["aes", "fp"]);
    }
}
