//! A run made by hand, with one of everything that a report must tell apart. Its events are in
//! `fixtures/golden/run.jsonl` too, so that a change of their form is noticed.

mod cases;
mod client;
mod events;
mod known;

use podferry::record::{CaseId, ComponentRecord, Event, KeptScenario, Line, Outcome, PastCase, Run, RunId, fold};

pub(crate) use events::Script;
use events::at;

/// The events of the run.
pub(crate) fn lines() -> Vec<Line> {
    let mut script = Script::new("20261122-165301-4f2a");
    script.begin();
    cases::plan_all(&mut script);
    cases::fenced_migration(&mut script);
    cases::unfenced_migration(&mut script);
    cases::failed_restore(&mut script);
    cases::cold_start(&mut script);
    cases::truncated_archive(&mut script);
    cases::errored(&mut script);
    cases::skipped(&mut script);
    cases::leaked(&mut script);
    script.end(20);
    script.lines
}

/// The run: what its events fold to, with the histories that the runner would have added from their files.
pub(crate) fn run() -> Run {
    with_surroundings(with_histories(fold(&lines())))
}

/// A run of known issues: one that shows, one that is gone, one that is over, one that need not show; and a case of which a
/// step and one of `finally` fail.
pub(crate) fn known() -> Run {
    fold(&known::lines())
}

/// A run that was killed in its second case.
pub(crate) fn killed() -> Run {
    let all = lines();
    let cut = CaseId(cases::UNFENCED.to_owned());
    let migrating = |l: &Line| l.case.as_ref() == Some(&cut) && matches!(l.event, Event::StepStarted { index: 2, .. });
    let end = all.iter().position(migrating).expect("the second case migrates");
    fold(&all[..=end])
}

fn with_histories(mut run: Run) -> Run {
    for case in &mut run.cases {
        for (client, load) in cases::loads(&case.id.0) {
            case.evidence.histories.insert(client.to_owned(), load.history());
        }
    }
    run
}

/// What lies beside the events: the text of a scenario, and earlier runs of the case whose restore fails.
fn with_surroundings(mut run: Run) -> Run {
    let line = |n: u32| if n == 28 { "    - id: move\n".to_owned() } else { format!("# line {n}\n") };
    let kept =
        KeptScenario { copy: "scenarios/redis-migrates.yaml".to_owned(), text: Some((1..=60).map(line).collect()) };
    run.scenarios.insert("scenarios/redis-migrates.yaml".to_owned(), kept);
    let past = |run: &str, outcome, reason: Option<&str>, criu: &str| PastCase {
        run: RunId(run.to_owned()),
        started: "2026-11-21T09:00:00Z".to_owned(),
        outcome,
        reason: reason.map(str::to_owned),
        downtime: (outcome == Outcome::Passed).then_some(412.0),
        components: vec![ComponentRecord {
            name: "criu".to_owned(),
            version: criu.to_owned(),
            source: "package sid".to_owned(),
            digest: format!("sha256:{criu}"),
        }],
    };
    let before = vec![
        past("20261121-101500-11aa", Outcome::Errored, Some("no room on the host"), "4.2.1"),
        past("20261121-090000-22bb", Outcome::Passed, None, "4.1"),
        past("20261120-090000-33cc", Outcome::Passed, None, "4.1"),
    ];
    run.past.insert(CaseId(cases::RESTORE_FAILS.to_owned()), before);
    run
}

/// Gives the first case's client a history of so many operations.
pub(crate) fn lengthen(run: &mut Run, count: u64) {
    for (client, load) in cases::loads(&run.cases[0].id.0) {
        let load = client::Load { count, ..load };
        run.cases[0].evidence.histories.insert(client.to_owned(), load.history());
    }
}
