//! Failures that a scenario knows of, as written.

use super::field::{Condition, Field};
use super::read::shape;
use super::units::Pattern;
use super::value::{Fixed, Scalar};
use crate::record::EngineKind;

shape! {
    /// A failure that is known. The case ends as `known`, which is neither passed nor failed; another failure counts.
    pub(super) struct KnownIssue ("a known issue") {
        /// Where it is written down: an address that begins with `https://` or `http://`.
        "link" => link: Fixed<Link>,
        /// Why it fails, in a line.
        "reason" => reason: Fixed<String>,
        /// The last day on which it counts, as `2027-03-31`. From the next day on the case fails as usual, and says so.
        "expires" => expires: Fixed<Day>,
        /// Whether it fails the case that the issue does not show; `true` if left out. `false` is for what shows at times.
        "strict" => strict: Option<Field<bool>>,
        /// A regular expression that the failure must match: its class and message (`restore-failed: ...`), or the check's
        /// name and what it saw (`counter: ...`). Any failure if left out.
        "text" => text: Option<Field<Pattern>>,
        /// The engines on which it fails; all of the scenario's if left out.
        "engines" => engines: Option<Vec<Fixed<EngineKind>>>,
        /// Of which cases it is: an expression over `engine`, `matrix` and `params`. All if left out.
        "where" => condition: Option<Condition>,
    }
}

impl KnownIssue {
    /// Whether it is for cases of this engine.
    pub(super) fn is_for(&self, engine: EngineKind) -> bool {
        self.engines.as_ref().is_none_or(|engines| engines.iter().any(|e| e.value == engine))
    }
}

/// The address of what is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link(pub(super) String);

impl Scalar for Link {
    const WHAT: &'static str = "an address such as `https://github.com/checkpoint-restore/criu/issues/1`";

    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let plain = rest.chars().all(|c| !c.is_whitespace() && !c.is_control());
        (plain && !rest.is_empty()).then(|| Link(text.to_owned()))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^https?://\S+$")
    }
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(pub(super) jiff::civil::Date);

impl Scalar for Day {
    const WHAT: &'static str = "a day such as `2027-03-31`";

    fn parse(text: &str) -> Option<Self> {
        // Days of one form alone: they are compared as texts too.
        text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text).map(Day)
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    }
}
