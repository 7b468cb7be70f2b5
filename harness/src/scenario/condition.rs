//! The choice of cases by an expression: `engine == "cri" && matrix.data > size("32Mi")`.

use super::Scenario;
use super::explain;
use super::expr::{self, Env, Expr, Known, Value, Wrong};
use super::field::{self, ENGINE, MATRIX, PARAMS};
use super::plan::Case;
use super::read::{Finding, error};
use std::collections::{BTreeMap, BTreeSet};

/// What its findings name as their file.
pub const WHERE: &str = "--where";

const LABELS: &str = "labels";
const SCENARIO: &str = "scenario";
const TIER: &str = "tier";

/// A choice of cases.
pub(super) struct Choice<'t> {
    text: &'t str,
    expr: Expr,
}

/// What is wrong with a choice, and the byte of it.
pub(super) type Told = (usize, Finding);

impl<'t> Choice<'t> {
    /// Reads it. A name that no scenario has is a mistake; one that some have not is nothing there.
    pub(super) fn read(text: &'t str, scenarios: &[Scenario]) -> Result<Self, Vec<Told>> {
        let expr = Expr::parse(text).map_err(|wrong| {
            let message = format!("the expression is not understood: {}", wrong.message);
            vec![(wrong.at, error(explain::BAD_EXPRESSION, message))]
        })?;
        let known = known(scenarios);
        let mut told = Vec::new();
        for name in &expr::names(text) {
            if let Err((wrong, word, all)) = name.check(&known) {
                let finding = error(explain::BAD_EXPRESSION, wrong.message);
                told.push((wrong.at, finding.meant(&word, all.iter().map(String::as_str))));
            }
        }
        if told.is_empty() { Ok(Choice { text, expr }) } else { Err(told) }
    }

    /// Whether a case is wanted.
    pub(super) fn wants(&self, case: &Case) -> Result<bool, Told> {
        match self.expr.value(self.text, &env(case)) {
            Ok(Value::Bool(wanted)) => Ok(wanted),
            Ok(other) => Err(self.none(case, &Wrong { message: format!("it comes to `{other}`"), at: 0 })),
            Err(wrong) => Err(self.none(case, &wrong)),
        }
    }

    fn none(&self, case: &Case, wrong: &Wrong) -> Told {
        let finding = error(explain::NO_VALUE, format!("it is neither true nor false: {}", wrong.message));
        (wrong.at, finding.label(format!("for {}", case.id)))
    }

    /// The place of a byte of it.
    pub(super) fn place(text: &str, at: usize) -> super::Place {
        field::word_at(text, at)
    }
}

fn known(scenarios: &[Scenario]) -> Known {
    let mut of: BTreeMap<&'static str, BTreeSet<String>> =
        BTreeMap::from([(LABELS, BTreeSet::new()), (MATRIX, BTreeSet::new()), (PARAMS, BTreeSet::new())]);
    let mut add = |root, name: &str| of.entry(root).or_default().insert(name.to_owned());
    for scenario in scenarios {
        scenario.labels().for_each(|(label, _)| _ = add(LABELS, label));
        scenario.axes().for_each(|axis| _ = add(MATRIX, axis));
        scenario.parameters().for_each(|(parameter, ..)| _ = add(PARAMS, parameter));
    }
    let mut known: Known = of.into_iter().map(|(root, names)| (root, names.into_iter().collect())).collect();
    known.extend([ENGINE, SCENARIO, TIER].map(|word| (word, Vec::new())));
    known
}

fn env(case: &Case) -> Env {
    let text = |text: &str| Value::Text(text.to_owned());
    let typed = |all: &BTreeMap<String, String>| all.iter().map(|(k, v)| (k.clone(), Value::parse(v))).collect();
    let words = [(ENGINE, text(case.engine.name())), (SCENARIO, text(&case.scenario)), (TIER, text(case.tier.name()))];
    let labels = case.labels.iter().map(|(k, v)| (k.clone(), text(v))).collect();
    let maps = [(LABELS, labels), (MATRIX, typed(&case.params)), (PARAMS, typed(&case.parameters))];
    Env { words: words.into(), maps: maps.into() }
}
