use super::Problem;
use crate::record::{CaseRecord, KnownRecord, KnownState, Origin};
use crate::report::text;
use serde::Serialize;

/// A known issue of a case, and what became of it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct KnownView {
    /// Where it is written down.
    pub link: String,
    /// Why the case fails.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: String,
    /// Whether it is a failure that it does not show.
    pub strict: bool,
    /// Where it stands in the scenario.
    pub origin: Origin,
    /// What became of it.
    pub state: KnownState,
}

impl KnownView {
    /// What became of it, for a reader of the case.
    pub fn sentence(&self) -> String {
        let (link, expires) = (&self.link, &self.expires);
        match self.state {
            KnownState::Shown => format!("{}, {link} (until {expires})", self.reason),
            KnownState::Expired => format!("the known issue {link} expired on {expires}: it covers this no longer"),
            KnownState::Gone => format!("the known issue {link} did not show: {}", self.reason),
            KnownState::Absent => format!("the known issue {link} did not show this time"),
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self.state {
            KnownState::Shown | KnownState::Absent => None,
            KnownState::Expired => Some("see whether it is mended; if it is not, give it another day in `expires`"),
            KnownState::Gone => Some("take it away if it is mended; if it shows at times alone, say `strict: false`"),
        }
    }
}

pub(super) fn of(case: &CaseRecord) -> Vec<KnownView> {
    case.known.iter().map(view).collect()
}

pub(super) fn view(record: &KnownRecord) -> KnownView {
    let KnownRecord { issue, state } = record;
    KnownView {
        link: text::line(&issue.link),
        reason: text::line(&issue.reason),
        expires: text::line(&issue.expires),
        strict: issue.strict,
        origin: text::origin(&issue.origin),
        state: *state,
    }
}

/// Why a case is known to fail, with the failure.
pub(super) fn headline(known: &[KnownView], problem: Option<&Problem>) -> String {
    let told: Vec<String> = known.iter().map(KnownView::sentence).collect();
    let failure = problem.map(|p| format!(": {}", p.headline())).unwrap_or_default();
    format!("{}{failure}", told.join("; "))
}
