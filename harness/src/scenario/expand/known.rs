use super::{Cellular, Resolved};
use crate::record::{EngineKind, KnownIssue, KnownPart};
use crate::scenario::known::KnownIssue as Written;
use crate::scenario::place::Place;

impl Cellular<'_> {
    /// All known issues of the case: of the scenario, of its steps, and of the checks that are for this engine.
    pub(super) fn known(&self, engine: EngineKind, steps: &[String]) -> Resolved<Vec<KnownIssue>> {
        let spec = &self.document().spec;
        let mut all = Vec::new();
        let mut add = |issues: &Option<Vec<Written>>, of: KnownPart| -> Resolved<()> {
            for written in issues.iter().flatten().filter(|issue| issue.is_for(engine)) {
                let holds = written.condition.as_ref().map(|c| c.holds(self.inputs, engine.name()));
                if !holds.transpose().map_err(|(place, finding)| self.wrong(place, finding))?.unwrap_or(true) {
                    continue;
                }
                all.push(self.known_issue(written, of.clone())?);
            }
            Ok(())
        };
        add(&spec.known_issues, KnownPart::Case)?;
        for (step, id) in spec.all_steps().zip(steps) {
            add(&step.around.known_issues, KnownPart::Step(id.clone()))?;
        }
        for (index, check) in spec.checks.iter().flatten().filter(|check| check.is_for(engine)).enumerate() {
            add(&check.known_issues, KnownPart::Check(index))?;
        }
        Ok(all)
    }

    fn known_issue(&self, written: &Written, of: KnownPart) -> Resolved<KnownIssue> {
        let place: Place = written.link.place;
        Ok(KnownIssue {
            link: written.link.value.0.clone(),
            reason: written.reason.value.clone(),
            expires: written.expires.value.0.to_string(),
            strict: self.or(&written.strict, true)?,
            text: self.given(&written.text)?.map(|pattern| pattern.0),
            of,
            origin: self.origin(place),
        })
    }
}
