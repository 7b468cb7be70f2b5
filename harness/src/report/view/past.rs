//! How a case did before: whoever reads of a failure asks whether it is new, and what was changed since.

use super::{Status, text};
use crate::record::{CaseRecord, ComponentRecord, Millis, Outcome, PastCase, Run};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a case did in earlier runs whose folders lie beside this one's.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct PastView {
    /// The runs, the latest first; those that skipped it are not among them.
    pub runs: Vec<PastRun>,
    /// In one sentence.
    pub sentence: String,
    /// What ran on the nodes otherwise when it last passed, a line each.
    pub since: Vec<String>,
}

/// How a case did in one earlier run.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct PastRun {
    /// The run.
    pub run: String,
    /// When it began.
    pub started: String,
    /// How the case ended.
    pub status: Status,
    /// Why, where it was told.
    pub reason: Option<String>,
    /// The downtime, the median of its repetitions.
    pub downtime_ms: Option<f64>,
}

impl PastView {
    /// The sentence, and what is different since.
    pub fn lines(&self) -> Vec<String> {
        std::iter::once(self.sentence.clone()).chain(self.since.iter().cloned()).collect()
    }
}

/// For a case that needs a look, if anything is known of it.
pub(super) fn of(case: &CaseRecord, run: &Run) -> Option<PastView> {
    if !Status::of(case).is_trouble() {
        return None;
    }
    let past: Vec<&PastCase> = run.past.get(&case.id)?.iter().filter(|p| p.outcome != Outcome::Skipped).collect();
    let last_pass = past.iter().position(|p| p.outcome == Outcome::Passed);
    let since = last_pass.map(|i| changes(&past[i].components, &now(run))).unwrap_or_default();
    let since = match since.as_slice() {
        [] => Vec::new(),
        several => vec![format!("since it passed: {}", several.join(", "))],
    };
    let runs: Vec<PastRun> = past.iter().map(|p| one(p)).collect();
    let sentence = sentence(case, &past, last_pass)?;
    Some(PastView { runs, sentence: text::line(&sentence), since: since.iter().map(|l| text::line(l)).collect() })
}

fn one(past: &PastCase) -> PastRun {
    PastRun {
        run: text::line(&past.run.0),
        started: text::line(&past.started),
        status: match past.outcome {
            Outcome::Passed => Status::Passed,
            Outcome::Skipped => Status::Skipped,
            Outcome::Failed => Status::Failed,
            Outcome::Known => Status::Known,
            Outcome::Errored => Status::Errored,
            Outcome::Leaked => Status::Leaked,
        },
        reason: past.reason.as_deref().map(text::message),
        downtime_ms: past.downtime,
    }
}

/// `passed in the 4 runs before this one, the last of them 20261122-...; downtime then 141 ms`.
fn sentence(case: &CaseRecord, past: &[&PastCase], last_pass: Option<usize>) -> Option<String> {
    let runs =
        |n: usize| if n == 1 { "the run before this one".to_owned() } else { format!("the {n} runs before this one") };
    let alike = |n: usize| {
        let same = past[..n].iter().all(|p| p.reason.is_some() && p.reason == case.reason);
        if same { ", with the same words" } else { "" }
    };
    let downtime = |p: &PastCase| p.downtime.map(|ms| format!(", downtime {}", Millis(ms))).unwrap_or_default();
    match (past.len(), last_pass) {
        (0, _) => None,
        (n, None) => Some(format!("did not pass in {}{}", runs(n), alike(n))),
        (n, Some(0)) => {
            let passes = past.iter().filter(|p| p.outcome == Outcome::Passed).count();
            let of = if passes == n {
                format!("passed in {}", runs(n))
            } else {
                format!("passed in {passes} of {}", runs(n))
            };
            let last = if n == 1 { "it was" } else { "the last of them" };
            Some(format!("{of}, {last} {}{}", past[0].run, downtime(past[0])))
        }
        (_, Some(k)) => {
            Some(format!("did not pass in {}{}; passed in {}{}", runs(k), alike(k), past[k].run, downtime(past[k])))
        }
    }
}

fn now(run: &Run) -> Vec<ComponentRecord> {
    let mut all: Vec<ComponentRecord> = Vec::new();
    for one in run.nodes.iter().flat_map(|n| &n.components) {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    all
}

/// `criu 4.2.1 -> 4.2.2`: what has another digest, by version, or by the begin of the digest where versions are alike.
fn changes(then: &[ComponentRecord], now: &[ComponentRecord]) -> Vec<String> {
    let by_name = |all: &[ComponentRecord]| {
        let mut map: BTreeMap<String, Vec<ComponentRecord>> = BTreeMap::new();
        all.iter().for_each(|c| map.entry(c.name.clone()).or_default().push(c.clone()));
        map
    };
    let (then, now) = (by_name(then), by_name(now));
    let changed = now.iter().filter_map(|(name, is)| {
        let was = then.get(name)?;
        let digests = |all: &[ComponentRecord]| all.iter().map(|c| c.digest.clone()).collect::<Vec<_>>();
        let versions = |all: &[ComponentRecord]| all.iter().map(|c| c.version.clone()).collect::<Vec<_>>().join("/");
        let begin = |all: &[ComponentRecord]| {
            let short = |d: String| d.trim_start_matches("sha256:").chars().take(8).collect::<String>();
            digests(all).into_iter().map(short).collect::<Vec<_>>().join("/")
        };
        if digests(was) == digests(is) {
            return None;
        }
        Some(match versions(was) == versions(is) {
            true => format!("{name} {} ({} -> {})", versions(is), begin(was), begin(is)),
            false => format!("{name} {} -> {}", versions(was), versions(is)),
        })
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunId;

    fn past(run: &str, outcome: Outcome, reason: Option<&str>) -> PastCase {
        PastCase {
            run: RunId(run.to_owned()),
            started: String::new(),
            outcome,
            reason: reason.map(str::to_owned),
            downtime: (outcome == Outcome::Passed).then_some(141.0),
            components: Vec::new(),
        }
    }

    fn said(all: &[PastCase]) -> Option<String> {
        let mut run = crate::record::fold(&[]);
        let case = crate::record::CaseId("x".to_owned());
        let planned = crate::record::Event::CasePlanned {
            scenario: String::new(),
            title: String::new(),
            origin: crate::record::Origin::default(),
            engine: crate::record::EngineKind::Runc,
            params: BTreeMap::new(),
            labels: BTreeMap::new(),
            rerun: String::new(),
        };
        let finished = crate::record::Event::CaseFinished { outcome: Outcome::Failed, reason: Some("no".to_owned()) };
        for event in [planned, finished] {
            let line = crate::record::Line { at: crate::record::At(0), case: Some(case.clone()), event };
            crate::record::apply(&mut run, &line);
        }
        run.past.insert(case, all.to_vec());
        of(&run.cases[0], &run).map(|view| view.sentence)
    }

    #[test]
    fn what_was_before_is_one_sentence() {
        let (pass, fail) = (|run| past(run, Outcome::Passed, None), |run| past(run, Outcome::Failed, Some("no")));
        let other = past("r4", Outcome::Failed, Some("otherwise"));
        let told = [
            said(&[]),
            said(&[past("r1", Outcome::Skipped, None)]),
            said(&[pass("r2"), pass("r1")]),
            said(&[pass("r3"), fail("r2")]),
            said(&[fail("r3"), fail("r2"), pass("r1")]),
            said(&[other]),
        ];
        let told: Vec<String> = told.into_iter().map(|t| t.unwrap_or_else(|| "nothing".to_owned())).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        nothing
        nothing
        passed in the 2 runs before this one, the last of them r2, downtime 141 ms
        passed in 1 of the 2 runs before this one, the last of them r3, downtime 141 ms
        did not pass in the 2 runs before this one, with the same words; passed in r1, downtime 141 ms
        did not pass in the run before this one
        ");
    }

    #[test]
    fn components_that_were_others_are_told() {
        let one = |name: &str, version: &str, digest: &str| ComponentRecord {
            name: name.to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
            ..ComponentRecord::default()
        };
        let then = [one("criu", "4.2", "sha256:aaaaaaaaaa"), one("runc", "1.3.5", "x"), one("crun", "1", "y")];
        let now = [one("criu", "4.2", "sha256:bbbbbbbbbb"), one("runc", "1.3.6", "z"), one("crun", "1", "y")];
        assert_eq!(changes(&then, &now), ["criu 4.2 (aaaaaaaa -> bbbbbbbb)", "runc 1.3.5 -> 1.3.6"]);
    }
}
