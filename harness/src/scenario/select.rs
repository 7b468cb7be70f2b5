use super::Scenario;
use super::plan::Case;
use crate::record::{EngineKind, Tier};
use regex::Regex;

/// Which cases are wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The engines. A scenario that names engines of its own runs with those of them that are here.
    pub engines: Vec<EngineKind>,
    /// Only scenarios of this tier; `None`: of all.
    pub tier: Option<Tier>,
    /// Any of these must match; none given: everything does. A part of the case's name (`redis`), a pattern with `*` and
    /// `?` for the whole scenario name or case name (`*-migrates`), or a label or cell (`area=migration`, `data=64Mi`).
    /// With `!` before it: cases that match are left out.
    pub filters: Vec<String>,
    /// Only cases of which this holds: an expression over `engine`, `tier`, `scenario`, `labels`, `matrix` and `params`.
    pub condition: Option<String>,
    /// Values of axes and parameters to use in place of those written, (name, value). Scenarios without such a name are not
    /// touched.
    pub params: Vec<(String, String)>,
}

impl Selection {
    /// Whether a case is wanted by its name, its labels and its cell.
    pub fn wants(&self, case: &Case) -> bool {
        let (not, any): (Vec<&String>, Vec<&String>) = self.filters.iter().partition(|f| f.starts_with('!'));
        let left_out = not.iter().any(|f| matches(&f[1..], case));
        !left_out && (any.is_empty() || any.iter().any(|f| matches(f, case)))
    }

    /// The engines that a scenario runs with, in the order of the selection.
    pub(super) fn engines_of(&self, scenario: &Scenario) -> Vec<EngineKind> {
        let own = scenario.document.spec.engines.as_ref();
        let allowed = |e: &EngineKind| own.is_none_or(|own| own.iter().any(|o| o.value == *e));
        self.engines.iter().copied().filter(allowed).collect()
    }
}

fn matches(filter: &str, case: &Case) -> bool {
    if let Some((key, value)) = filter.split_once('=')
        && !filter.contains('[')
    {
        let is = |v: Option<&String>| v.is_some_and(|v| v == value);
        return is(case.labels.get(key))
            || is(case.params.get(key))
            || (key == "engine" && case.engine.name() == value)
            || (key == "tier" && case.tier.name() == value);
    }
    if filter.contains(['*', '?']) {
        let pattern = regex::escape(filter).replace(r"\*", ".*").replace(r"\?", ".");
        return Regex::new(&format!("^{pattern}$")).is_ok_and(|p| p.is_match(&case.scenario) || p.is_match(&case.id.0));
    }
    case.id.0.contains(filter)
}
