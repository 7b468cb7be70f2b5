//! Two builds of podferry in turn. Each sample is a run of its own, by the build's own program, so that a build is compared
//! by what its user meets; any two builds that have `podferry run` can be. One record of both, as in [`super::paired`].

use super::duel::{self, Duel, Pairing};
use super::{Exit, Recorder, load, to_its_end};
use crate::process::Exec;
use crate::record::{CaseId, CaseRecord, Chain, ComponentRecord, Event, NodeRecord, Outcome, Run};
use crate::scenario::plan::Case;
use crate::stats::Side;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// What a comparison of builds is made of.
pub struct Builds {
    /// How they are compared; runs of the builds are made below the recorder's folder.
    pub pairing: Pairing,
    /// The baseline's program and the candidate's.
    pub sides: [Build; 2],
}

/// A build.
pub struct Build {
    /// The program, as components are recorded.
    pub component: ComponentRecord,
    /// Its path.
    pub program: PathBuf,
    /// Arguments that name the stack under test.
    pub args: Vec<String>,
}

/// In a run of its own a case is done twice: the first time is of nodes that have not done it before.
const TIMES: &str = "2";
/// What making nodes, taking them down and writing reports may take beside the case.
const BESIDE: Duration = Duration::from_secs(120);

/// Runs a comparison of builds to its end, as [`super::execute_paired`] does.
pub async fn execute_builds(
    builds: Builds,
    confirm: impl Fn(&Run) -> BTreeSet<CaseId>,
    mut stop: watch::Receiver<bool>,
) -> Run {
    let Builds { pairing, sides } = builds;
    let (cases, recorder) = (pairing.cases(), &pairing.recorder);
    let mut duel = Duel::new(&pairing);
    let runs = Runs { sides: &sides, recorder };
    let work = async {
        duel.plan(&cases, 1);
        duel.rounds(&runs, &cases, confirm).await;
    };
    to_its_end(work, pairing.timeout, &mut stop, recorder).await;
    let exit = Exit::of(&recorder.fold(), false);
    recorder.run(Event::RunFinished { exit_code: exit as u8 });
    recorder.fold()
}

/// Runs of both builds.
struct Runs<'a> {
    sides: &'a [Build; 2],
    recorder: &'a Recorder,
}

/// Why a case ends on a side.
type End = (Outcome, Option<String>);

impl duel::Sides for Runs<'_> {
    async fn round(&self, duel: &Duel<'_>, case: &Case, both: &[Case; 2], round: u32) {
        let ended = self.pairs(duel, case, both, round).await;
        for (case, (outcome, reason)) in both.iter().zip(ended) {
            self.recorder.case(&case.id, Event::CaseFinished { outcome, reason });
        }
    }
}

impl Runs<'_> {
    /// The first sample that does not pass ends the case on both sides.
    async fn pairs(&self, duel: &Duel<'_>, case: &Case, both: &[Case; 2], round: u32) -> [End; 2] {
        let passed = || (Outcome::Passed, None);
        for turn in duel.turns(round) {
            duel.begins(turn, both);
            match self.sample(case, turn.side, turn.pair == 0).await {
                Ok(done) if !turn.warm => self.figures(&both[turn.index()].id, &done),
                Ok(_) => {}
                Err(end) => {
                    let mut ended = [passed(), passed()];
                    ended[turn.index()] = end;
                    return ended;
                }
            }
        }
        [passed(), passed()]
    }

    /// The last sample of each figure.
    fn figures(&self, id: &CaseId, done: &CaseRecord) {
        for (name, samples) in &done.evidence.metrics {
            if let Some(value) = samples.last() {
                self.recorder.case(id, Event::Metric { name: name.clone(), value: *value });
            }
        }
    }

    /// The case once, in a run of its own. What did not pass stays in the folder; the rest is in our record.
    async fn sample(&self, case: &Case, side: Side, first: bool) -> Result<CaseRecord, End> {
        let errored = |why: String| (Outcome::Errored, Some(why));
        let build = &self.sides[usize::from(side == Side::Candidate)];
        let out = self.recorder.dir().join(format!("side-{}", side.name()));
        let engine = case.engine.to_string();
        let exec = Exec::new(&build.program)
            .args(["run", "--quiet", "--repeat", TIMES, "--engine", &engine, "--out"])
            .arg(&out)
            .args(&build.args)
            .arg("--scenario")
            .arg(self.scenario(case))
            .arg(&case.id.0)
            .timeout(case.timeout.saturating_mul(2) + BESIDE);
        let output = exec.output().await.map_err(|e| errored(Chain(&e).to_string()))?;
        let folder = std::fs::canonicalize(out.join("latest")).ok();
        let run = folder.as_deref().and_then(|folder| load(folder).ok());
        let Some((folder, run)) = folder.zip(run) else {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(errored(format!("{} left no run, exit code {}: {said}", build.program.display(), output.code)));
        };
        if first {
            self.nodes(&run, side, build);
        }
        // The run before it is gone, so the link is to this one or to none.
        let done = run.cases.into_iter().find(|c| c.id == case.id);
        match done {
            Some(done) if done.outcome == Some(Outcome::Passed) && output.code == 0 => {
                forget(&folder);
                Ok(done)
            }
            Some(done) if done.outcome != Some(Outcome::Passed) => {
                let outcome = done.outcome.unwrap_or(Outcome::Errored);
                let reason = done.reason.unwrap_or_else(|| "no reason was recorded".to_owned());
                let kept =
                    if outcome == Outcome::Skipped { String::new() } else { format!("; see {}", folder.display()) };
                Err((outcome, Some(format!("{reason}{kept}"))))
            }
            _ => Err(errored(format!("its run ended with exit code {}; see {}", output.code, folder.display()))),
        }
    }

    /// The file as the user named it; of the shipped suite the text that was kept, so that both builds do the same.
    fn scenario(&self, case: &Case) -> PathBuf {
        let named = PathBuf::from(&case.origin.file);
        let kept =
            self.recorder.fold().scenarios.get(&case.origin.file).map(|kept| self.recorder.dir().join(&kept.copy));
        if named.is_file() { named } else { kept.unwrap_or(named) }
    }

    /// Records what a side ran on, once, with the build itself among the components.
    fn nodes(&self, run: &Run, side: Side, build: &Build) {
        for node in &run.nodes {
            let mut components = vec![build.component.clone()];
            components.extend(node.components.clone());
            let node = NodeRecord { image: Some(side.name().to_owned()), components, ..node.clone() };
            self.recorder.run(Event::NodeUp(node));
        }
    }
}

/// Removes a run that passed: hundreds of them are gigabytes, and what is wanted of it is recorded.
fn forget(folder: &Path) {
    // What cannot be removed takes room and harms nothing.
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(test)]
mod tests;
