use super::{Action, Step};
use crate::record::{Check, CheckSpec, ConnectionExpectation};

/// How much of the machine a case takes, where cases run side by side (`--jobs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// All of it: no other case runs meanwhile.
    Exclusive,
    /// So many of as many parts as there are jobs.
    Of(u32),
}

impl Weight {
    /// The weight of a case whose scenario does not say: one whose verdict or figures rest on time has the machine for itself.
    pub(crate) fn usual(steps: &[Step], checks: &[Check], repeated: bool) -> Weight {
        if repeated || steps.iter().any(timed) || checks.iter().any(bounded) {
            Weight::Exclusive
        } else {
            Weight::Of(1)
        }
    }
}

/// Whether what a step shows depends on how fast the machine is: a fault so long after a stage began, a call that is given up
/// after a time, a wait for a time.
fn timed(step: &Step) -> bool {
    let late = step.during.as_ref().is_some_and(|during| !during.after.is_zero());
    let given_up = match &step.action {
        Action::Pause { .. } => true,
        Action::Checkpoint { raw: Some(raw), .. } => raw.give_up.is_some(),
        Action::Restore { raw: Some(raw), .. } => raw.deadline.is_some(),
        _ => false,
    };
    late || given_up
}

/// Whether a check bounds a time.
fn bounded(check: &Check) -> bool {
    match &check.spec {
        CheckSpec::Budget(_) | CheckSpec::Faster(_) => true,
        CheckSpec::Connection(connection) => connection.state == ConnectionExpectation::Kept,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Weight;
    use crate::scenario::{Selection, load, plan};
    use rstest::rstest;

    /// The weight of a counter that migrates, with this in its spec, its steps and its checks.
    fn weight(spec: &str, step: &str, check: &str) -> Weight {
        let text = format!(
            "apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n{spec}  workloads: {{c: {{use: counter}}}}\n  \
             clients: {{r: {{kind: counter-reader, target: c}}}}\n  steps:\n    - deploy: {{workload: c, node: a}}\n    - client: {{start: \
             r}}\n    - {{migrate: {{of: c, to: b, address: moved}}, id: m{step}}}\n  checks:\n    - instance: {{of: c-moved, state: \
             running}}\n{check}"
        );
        let (scenario, found) = load(&text, "x.yaml", crate::workload::KINDS);
        let scenario = scenario.unwrap_or_else(|| panic!("{found:?}"));
        let engines = vec![crate::record::EngineKind::Cri];
        plan(&[scenario], &Selection { engines, ..Selection::default() }).expect("a plan").cases[0].weight
    }

    const FAULT: &str = "fault: {node: a, kill: criu}";

    #[rstest]
    #[case::nothing_timed("", "", "", Weight::Of(1))]
    #[case::written("  weight: 2\n", "", "", Weight::Of(2))]
    #[case::written_alone("  weight: exclusive\n", "", "", Weight::Exclusive)]
    #[case::measured("  measure: {repetitions: 3}\n", "", "", Weight::Exclusive)]
    #[case::measured_but_written("  measure: {repetitions: 3}\n  weight: 1\n", "", "", Weight::Of(1))]
    #[case::bounded("", "", "    - budget: {metric: total, max: 9s}\n", Weight::Exclusive)]
    #[case::kept(
        "  criu: {tcp: keep}\n",
        "",
        "    - connection: {client: r, step: m, state: kept}\n",
        Weight::Exclusive
    )]
    #[case::closed("", "", "    - connection: {client: r, step: m, state: closed}\n", Weight::Of(1))]
    #[case::fault_at_once("", &format!(", during: {{stage: dump, {FAULT}}}"), "", Weight::Of(1))]
    #[case::fault_after_a_while("", &format!(", during: {{stage: dump, after: 20ms, {FAULT}}}"), "", Weight::Exclusive)]
    fn what_is_timed_has_the_machine_for_itself(
        #[case] spec: &str,
        #[case] step: &str,
        #[case] check: &str,
        #[case] weight: Weight,
    ) {
        assert_eq!(self::weight(spec, step, check), weight);
    }
}
