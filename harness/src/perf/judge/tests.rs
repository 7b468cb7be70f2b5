use super::super::figures;
use super::super::shipped_rule;
use super::*;

fn figure(name: &str) -> Figure {
    figures::all().find(|f| f.name == name).expect("a figure of this name")
}

/// Samples around a value, ten percent to each side, never the same.
fn around(centre: f64, n: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| centre * (0.9 + 0.2 * rng.f64())).collect()
}

fn round(baseline: f64, candidate: f64, seed: u64) -> Both {
    Both { baseline: around(baseline, 40, seed), candidate: around(candidate, 40, seed + 1000) }
}

#[test]
fn a_time_is_judged_in_two_rounds() {
    let (rule, checkpoint) = (shipped_rule(), figure("checkpoint"));
    let slow = [round(100.0, 130.0, 1), round(100.0, 130.0, 2)];
    assert!(asks_for_more(&checkpoint, &slow[0], &rule));
    let judged = in_turn(&checkpoint, &slow, &rule).unwrap();
    assert_eq!((judged.verdict, judged.exact, judged.stops()), (PerfVerdict::Regressed, false, true));
    assert_eq!(judged.rounds.len(), 2);
    assert_eq!(judged.baseline.all.len(), 80);
    let alone = in_turn(&checkpoint, &slow[..1], &rule).unwrap();
    assert_eq!(
        (alone.verdict, alone.why.as_str()),
        (PerfVerdict::Inconclusive, "there was no second round to confirm it")
    );
    let same = [round(100.0, 100.0, 3)];
    assert!(!asks_for_more(&checkpoint, &same[0], &rule));
    assert_eq!(in_turn(&checkpoint, &same, &rule).unwrap().verdict, PerfVerdict::Unchanged);
    let fast = [round(130.0, 100.0, 5), round(130.0, 100.0, 6)];
    assert_eq!(in_turn(&checkpoint, &fast, &rule).unwrap().verdict, PerfVerdict::Improved);
    let denied = [round(100.0, 130.0, 7), round(100.0, 100.0, 8)];
    let denied = in_turn(&checkpoint, &denied, &rule).unwrap();
    assert_eq!(
        (denied.verdict, denied.why.as_str()),
        (PerfVerdict::Inconclusive, "the second round does not confirm the first")
    );
}

#[test]
fn what_is_missing_is_invalid() {
    let lost = Both { baseline: around(5.0, 40, 1), candidate: around(5.0, 39, 2) };
    let judged = in_turn(&figure("downtime"), &[lost], &shipped_rule()).unwrap();
    assert_eq!(judged.verdict, PerfVerdict::Invalid);
    assert_eq!(judged.why, "40 samples of the baseline and 39 of the candidate: some are missing");
    assert!(in_turn(&figure("downtime"), &[Both::default()], &shipped_rule()).is_none());
}

#[test]
fn a_count_without_noise_needs_no_statistics() {
    let (rule, spawns) = (shipped_rule(), figure("spawns"));
    let both = |b: f64, c: f64| Both { baseline: vec![b; 16], candidate: vec![c; 16] };
    let judged = |b, c| in_turn(&spawns, &[both(b, c)], &rule).unwrap();
    assert_eq!(judged(7.0, 7.0).verdict, PerfVerdict::Unchanged);
    let one_more = judged(7.0, 8.0);
    assert_eq!(
        (one_more.verdict, one_more.exact, one_more.why.as_str()),
        (PerfVerdict::Regressed, true, "1 more, each time")
    );
    assert_eq!(judged(7.0, 6.0).verdict, PerfVerdict::Improved);
    assert!(!asks_for_more(&spawns, &both(7.0, 8.0), &rule), "what is certain needs no second round");
    assert!(in_turn(&spawns, &[both(0.0, 0.0)], &rule).is_none(), "nothing is not a figure");
    // From nothing to something.
    assert_eq!(judged(0.0, 3.0).verdict, PerfVerdict::Regressed);
    // One that varies is judged as times are.
    let mut varies = both(7.0, 7.0);
    varies.baseline[3] = 8.0;
    let varies = in_turn(&spawns, &[varies], &rule).unwrap();
    assert_eq!((varies.exact, varies.verdict), (false, PerfVerdict::Unchanged));
    // A time is never exact, however it looks.
    assert!(!in_turn(&figure("total"), &[both(7.0, 8.0)], &rule).unwrap().exact);
}

#[test]
fn stored_times_advise_and_stored_counts_gate() {
    let rule = shipped_rule();
    let slow = apart(&figure("checkpoint"), &round(100.0, 130.0, 1), &rule).unwrap();
    assert_eq!((slow.verdict, slow.gates, slow.stops()), (PerfVerdict::Inconclusive, false, false));
    assert_eq!(slow.why, "it is slower or larger, or the machine was: `podferry perf ab` tells which");
    let same = apart(&figure("checkpoint"), &round(100.0, 100.0, 1), &rule).unwrap();
    assert_eq!(same.verdict, PerfVerdict::Unchanged);
    let more = Both { baseline: vec![5.0; 10], candidate: vec![6.0; 10] };
    assert!(apart(&figure("rpcs"), &more, &rule).unwrap().stops());
    let cold = Both { baseline: [vec![7.0], vec![5.0; 10]].concat(), candidate: [vec![9.0], vec![5.0; 10]].concat() };
    let cold = apart(&figure("spawns"), &cold, &rule).unwrap();
    assert_eq!((cold.exact, cold.verdict), (true, PerfVerdict::Unchanged), "nodes that are new do more");
    let few = Both { baseline: vec![5.0; 2], candidate: vec![6.0; 2] };
    let few = apart(&figure("rpcs"), &few, &rule).unwrap();
    assert_eq!((few.verdict, few.stops()), (PerfVerdict::Inconclusive, false));
}

#[test]
fn noise_says_how_many_pairs_would_do() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut wild = || (0..20).map(|_| 10.0 * (1.0 + 3.0 * rng.f64())).collect::<Vec<_>>();
    let both = Both { baseline: wild(), candidate: wild() };
    let judged = in_turn(&figure("stall"), &[both], &shipped_rule()).unwrap();
    assert_eq!(judged.verdict, PerfVerdict::Inconclusive);
    assert!(judged.why.starts_with("too noisy to rule out a change of 20 %: some "), "{}", judged.why);
}
