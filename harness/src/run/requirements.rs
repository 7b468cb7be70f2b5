//! What a case needs of its engine, asked before anything is made.

use super::world::World;
use crate::record::Failure;
use crate::scenario::plan::{Action, Case, Medium};

/// The reason to skip the case, if the engine lacks what its steps need on one of its nodes.
pub(super) async fn unmet(world: &World, case: &Case) -> Result<Option<String>, Failure> {
    let needs = Needs::of(case);
    for node in &case.nodes {
        let engine = world.engine(case.engine, node).await?;
        let can = engine.capabilities();
        let asked = [
            (needs.checkpoint, "checkpoint", &can.checkpoint),
            (needs.restore, "restore", &can.restore),
            (needs.restore_image, "restore from a checkpoint image", &can.restore_image),
        ];
        for (needed, what, able) in asked {
            if let (true, Err(reason)) = (needed, able) {
                return Ok(Some(format!("{} on node {node} can't {what}: {reason}", can.version)));
            }
        }
    }
    Ok(None)
}

/// What the steps of a case ask of an engine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    checkpoint: bool,
    restore: bool,
    restore_image: bool,
}

impl Needs {
    fn of(case: &Case) -> Self {
        let mut needs = Needs::default();
        for step in &case.steps {
            match &step.action {
                Action::Checkpoint { medium, .. } => {
                    needs.checkpoint = true;
                    needs.restore_image |= *medium == Medium::Image;
                }
                Action::Migrate { medium, .. } => {
                    needs.checkpoint = true;
                    needs.restore = true;
                    needs.restore_image |= *medium == Medium::Image;
                }
                Action::Restore { .. } => needs.restore = true,
                _ => {}
            }
        }
        needs
    }
}
