use super::*;
use crate::record::{
    Ack, CaseId, ComparedCase, ComparedFigure, HostRecord, MachineUse, PerfVerdict, RoundRecord, RuleRecord, RunId,
    Samples, Shift, Trend, Way,
};
use crate::report::Style;

fn figure(
    name: &str,
    unit: &str,
    verdict: PerfVerdict,
    medians: (f64, f64),
    rounds: &[(f64, f64, f64)],
) -> ComparedFigure {
    let side = |median| Samples { median: Some(median), all: vec![median; 16] };
    let round = |&(ratio, low, high): &(f64, f64, f64)| RoundRecord { ratio, low, high, smallest: 1.094 };
    ComparedFigure {
        name: name.to_owned(),
        unit: unit.to_owned(),
        exact: rounds.is_empty(),
        gates: true,
        verdict,
        why: "as <it> is".to_owned(),
        baseline: side(medians.0),
        candidate: side(medians.1),
        rounds: rounds.iter().map(round).collect(),
        ack: None,
    }
}

fn sample() -> Comparison {
    use PerfVerdict as V;
    let mut known = figure("total", "ms", V::Regressed, (200.0, 260.0), &[(1.4, 1.3, 1.5), (1.3, 1.2, 1.41)]);
    known.ack = Some(Ack {
        case: CaseId("counter[engine=runc]".to_owned()),
        figure: "total".to_owned(),
        reason: "safer".to_owned(),
        issue: Some("issue 7".to_owned()),
        expires: "2030-01-31".to_owned(),
        since: "2030-01-01".to_owned(),
    });
    let figures = vec![
        figure("downtime", "ms", V::Inconclusive, (81.2, 84.0), &[(1.034, 0.8, 1.3)]),
        figure("checkpoint", "ms", V::Regressed, (40.0, 52.4), &[(1.35, 1.28, 1.42), (1.31, 1.24, 1.39)]),
        figure("checkpoint-size", "bytes", V::Unchanged, (3_145_728.0, 3_145_728.0), &[(1.0, 1.0, 1.0)]),
        figure("spawns", "", V::Regressed, (20.0, 21.0), &[]),
        known,
    ];
    let case = |case: &str, figures, trouble: Option<&str>| ComparedCase {
        case: CaseId(case.to_owned()),
        again: format!("podferry perf ab '{case}'"),
        trouble: trouble.map(str::to_owned),
        skipped: trouble.is_some(),
        figures,
    };
    Comparison {
        schema: 1,
        id: RunId("20300101-000000-0001".to_owned()),
        podferry: "0.1.0".to_owned(),
        command: vec!["podferry".to_owned()],
        started: "2030-01-01T00:00:00Z".to_owned(),
        host: HostRecord { kernel: "6.18".to_owned(), cpus: 2, cpu_model: "Xeon".to_owned(), ..HostRecord::default() },
        machine: "0123456789ab".to_owned(),
        way: Way::Interleaved { pairs: 40, seed: 7 },
        rule: RuleRecord {
            confidence: 0.99,
            margin: 0.05,
            least_ms: 1.0,
            find: 0.2,
            power: 0.95,
            most_stolen: 0.1,
            most_load: 4.0,
        },
        differences: vec!["runc: 1.3.5 (path a) -> 1.3.6 (path b)".to_owned()],
        machine_use: Some(MachineUse { processors: 2, load_at_begin: Some(0.4), load: Some(1.3), stolen: Some(0.07) }),
        warnings: vec!["7 % of the processors' time was stolen by other machines".to_owned()],
        cases: vec![
            case("counter[engine=runc]", figures, None),
            case("redis[engine=cri]", Vec::new(), Some("the candidate skipped: it can't")),
        ],
    }
}

/// The same, with samples of a figure that differ, as measured ones do.
fn noisy() -> Comparison {
    let mut compared = sample();
    compared.cases[0].figures[1].candidate.all = (0..16).map(|i| 52.0 + f64::from(i % 5)).collect();
    compared
}

#[test]
fn a_comparison_for_a_terminal() {
    insta::assert_snapshot!(terminal(&sample(), "target/e2e/latest", Style::PLAIN));
}

#[test]
fn a_comparison_as_markdown() {
    insta::assert_snapshot!(markdown(&sample()));
}

/// One file that fetches nothing and that its own policy admits, with each verdict, the interval of each round and all samples.
#[test]
fn a_comparison_as_a_page() {
    let compared = noisy();
    let page = html(&compared);
    for outside in ["http://", "https://", "url(", "@import", " src=", "<link", " style=", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("as &lt;it&gt; is"), "text is escaped");
    for (case, figures) in [("counter[engine=runc]", 5), ("redis[engine=cri]", 0)] {
        assert!(page.contains(case) && page.matches("<th scope=\"row\">").count() >= figures);
    }
    let marks = page.matches(" mark\"").count();
    assert_eq!(marks, 1 + 2 + 1 + 2, "an interval a round");
    let dots = page.matches("h0").count();
    assert_eq!(dots, 3 * 2 * 16, "a dot for each sample of the three figures that vary");
    // What nobody need look at is folded away.
    assert_eq!((page.matches("<details class=\"case\">").count(), page.matches(" open>").count()), (1, 4));
}

#[test]
fn a_comparison_as_json_reads_back() {
    assert_eq!(serde_json::from_str::<Comparison>(&json(&sample())).unwrap(), sample());
}

/// Stored comparisons are read again by later versions, and a browser looks at this one.
#[test]
fn the_stored_comparison_still_reads_as_the_same() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden/comparison.json");
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        std::fs::write(&path, json(&noisy())).unwrap();
    }
    let stored: Comparison = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(stored, noisy());
}

#[test]
fn what_is_acknowledged_is_no_news() {
    let mut only = sample();
    only.cases.truncate(1);
    only.cases[0].figures.drain(..4);
    assert!(terminal(&only, "x", Style::PLAIN).starts_with("UNCHANGED  of 1 figure: 1 regressed (1 acknowledged)\n"));
    only.cases.clear();
    assert!(terminal(&only, "x", Style::PLAIN).starts_with("INVALID  nothing to compare\n"));
}

#[test]
fn a_history_for_a_terminal() {
    let shift = Shift {
        run: RunId("run-15".to_owned()),
        started: "2030-01-15T00:00:00Z".to_owned(),
        before: 100.0,
        after: 130.0,
        components: vec!["runc: 1.3.5 -> 1.3.6".to_owned()],
    };
    let trend = |figure: &str, level, shifts| Trend {
        case: CaseId("counter[engine=runc]".to_owned()),
        figure: figure.to_owned(),
        runs: 29,
        level,
        shifts,
    };
    let trends = [trend("total", 130.0, vec![shift]), trend("spawns", 20.0, Vec::new())];
    insta::assert_snapshot!(history(&trends, "0123456789ab", Style::PLAIN));
}
