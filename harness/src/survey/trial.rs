//! One try: a zoo with some kinds on one node, a checkpoint of it, a copy on the other node, and what became of each.

use super::Column;
use super::catalogue::Row;
use super::judge::{Look, hazard, judge, not_held};
use super::picture::Picture;
use crate::engine::{Checkpoint, Container, ContainerSpec, Engine, Slot};
use crate::record::{ErrorClass, Failure, Finding, SurveyStage};
use crate::run::Held;
use crate::run::carry;
use crate::run::preparation::Prepared;
use crate::scenario::plan;
use crate::workload::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a zoo may take until it has all kinds, and until it answers after a restore.
const START: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(15);
/// How long a checkpoint or a restore may take. Engines have limits of their own, but not all of them for all that can hang;
/// their calls run in tasks of their own and go on, until the node is taken down.
const CALL: Duration = Duration::from_secs(75);

/// How a try ended.
pub(super) enum Trial {
    /// Each line was judged.
    Judged(Vec<(String, Finding)>),
    /// The engine refused, with its own words.
    Refused(SurveyStage, Failure),
    /// The copy was restored and answers nothing.
    Silent(Failure),
    /// The try says nothing of the stack.
    Errored(Failure),
}

/// What a try has made, to be removed whatever happens.
#[derive(Default)]
pub(super) struct Made {
    slots: Vec<(Arc<dyn Engine>, Slot)>,
    containers: Vec<(Arc<dyn Engine>, Container)>,
    checkpoints: Vec<(String, Checkpoint)>,
}

impl Column<'_> {
    /// Tries these lines together; they share what CRIU is told and the user.
    pub(super) async fn trial(&self, rows: &[Row], made: &mut Made) -> Trial {
        self.attempt(rows, made).await.unwrap_or_else(|trial| trial)
    }

    async fn attempt(&self, rows: &[Row], made: &mut Made) -> Result<Trial, Trial> {
        let prepared = self.world.workload(&wanted(rows)).await.map_err(Trial::Errored)?;
        let spec = self.spec(rows, &prepared, "a");
        let (source, before) = self.source(&prepared, spec.clone(), made).await.map_err(Trial::Errored)?;
        let mut findings: BTreeMap<&str, Finding> = BTreeMap::new();
        for row in rows {
            findings.extend(not_held(&row.kind, &before).map(|f| (row.name.as_str(), f)));
        }
        if findings.len() < rows.len() {
            let held = self.checkpoint(&source, spec, made).await?;
            self.removed(made, &source).await.map_err(Trial::Errored)?;
            let after = self.copy(rows, &prepared, &held, "b", made).await?;
            let random = rows.iter().any(|row| row.kind.name == "random-state");
            let second = match random && !self.cold {
                true => Some(self.copy(rows, &prepared, &held, "a", made).await?),
                false => None,
            };
            for row in rows {
                let finding = || {
                    let hazard = second.as_ref().and_then(|second| hazard(&row.kind, &after, second));
                    Finding { hazard, ..judge(&row.kind, &before, &after) }
                };
                findings.entry(&row.name).or_insert_with(finding);
            }
        }
        Ok(Trial::Judged(findings.into_iter().map(|(name, finding)| (name.to_owned(), finding)).collect()))
    }

    fn spec(&self, rows: &[Row], prepared: &Prepared, node: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(node),
            image: Arc::clone(&prepared.image),
            args: prepared.args(),
            env: vec![("ZOO_NOTE".to_owned(), "of the container".to_owned())],
            user: rows[0].user,
            memory_limit: None,
            mounts: Vec::new(),
            criu: rows[0].criu.clone(),
            without: BTreeSet::new(),
        }
    }

    /// Starts it, waits until it has all, and looks.
    async fn source(
        &self,
        prepared: &Arc<Prepared>,
        spec: ContainerSpec,
        made: &mut Made,
    ) -> Result<(Container, Look), Failure> {
        let engine = Arc::clone(&self.engines["a"]);
        let slot = engine.prepare(&spec).await?;
        made.slots.push((Arc::clone(&engine), slot.clone()));
        let container = engine.start(&slot).await?;
        made.started(&engine, &container);
        let answers = prepared.kinds(self.target(&engine, &container), START).await?;
        // After the look: looking moves things, and the copy is looked at from outside first.
        let picture = picture(&engine, &container).await?;
        Ok((container, Look::new(answers, picture)))
    }

    async fn checkpoint(&self, source: &Container, spec: ContainerSpec, made: &mut Made) -> Result<Held, Trial> {
        let engine = &self.engines["a"];
        let refused = |e| Trial::Refused(SurveyStage::Checkpoint, Failure::from(e));
        let name = self.name("c");
        let call = bounded(SurveyStage::Checkpoint, engine.checkpoint(source, &name)).await?;
        let checkpoint = call.map_err(refused)?;
        made.checkpoints.push(("a".to_owned(), checkpoint.clone()));
        let mut held = Held {
            checkpoint: checkpoint.clone(),
            nodes: vec!["a".to_owned()],
            elsewhere: BTreeMap::new(),
            workload: "zoo".to_owned(),
            spec,
            known: None,
            reference: None,
        };
        held.known = Some(carry::carry(self.world, &held, "b").await.map_err(Trial::Errored)?);
        if !checkpoint.shared {
            made.checkpoints.push(("b".to_owned(), checkpoint));
        }
        Ok(held)
    }

    /// Removes a container that is needed no more.
    async fn removed(&self, made: &mut Made, container: &Container) -> Result<(), Failure> {
        let own = |(_, c): &(Arc<dyn Engine>, Container)| c.id == container.id;
        if let Some(at) = made.containers.iter().position(own) {
            let (engine, container) = made.containers.remove(at);
            engine.remove(&container).await?;
        }
        Ok(())
    }

    /// A copy on a node, looked at and removed.
    async fn copy(
        &self,
        rows: &[Row],
        prepared: &Arc<Prepared>,
        held: &Held,
        node: &str,
        made: &mut Made,
    ) -> Result<Look, Trial> {
        let engine = Arc::clone(&self.engines[node]);
        let spec = self.spec(rows, prepared, &format!("copy-{node}"));
        let slot = engine.prepare(&spec).await.map_err(|e| Trial::Errored(e.into()))?;
        made.slots.push((Arc::clone(&engine), slot.clone()));
        let container = match self.cold {
            true => engine.start(&slot).await.map_err(|e| Trial::Errored(e.into()))?,
            false => {
                let refused = |e| Trial::Refused(SurveyStage::Restore, Failure::from(e));
                let call = bounded(SurveyStage::Restore, engine.restore(&slot, held.at(node))).await?;
                call.map_err(refused)?.container
            }
        };
        made.started(&engine, &container);
        if self.cold {
            prepared.kinds(self.target(&engine, &container), START).await.map_err(Trial::Errored)?;
        }
        let outside = picture(&engine, &container).await.map_err(Trial::Errored)?;
        let answers = prepared.kinds(self.target(&engine, &container), ANSWER).await.map_err(Trial::Silent)?;
        self.removed(made, &container).await.map_err(Trial::Errored)?;
        Ok(Look::new(answers, outside))
    }

    fn target(&self, engine: &Arc<dyn Engine>, container: &Container) -> Target {
        Target {
            connect: Arc::new(self.world.vantage()),
            address: container.slot.address,
            log: engine.node().host_path(&container.log),
        }
    }

    /// Removes what a try has left; what could not be.
    pub(super) async fn clean(&self, made: Made) -> Vec<String> {
        let mut left = Vec::new();
        for (engine, container) in made.containers {
            left.extend(engine.remove(&container).await.err().map(|e| e.message));
        }
        for (engine, slot) in made.slots {
            left.extend(engine.discard(&slot).await.err().map(|e| e.message));
        }
        for (node, checkpoint) in made.checkpoints {
            let gone = self.world.remove_path(&node, &checkpoint.path, !checkpoint.archive);
            left.extend(gone.err().map(|e| format!("checkpoint {} on node {node}: {e}", checkpoint.name)));
        }
        left
    }
}

impl Made {
    /// The slot is the container's now.
    fn started(&mut self, engine: &Arc<dyn Engine>, container: &Container) {
        self.slots.retain(|(_, slot)| slot.handle != container.slot.handle);
        self.containers.push((Arc::clone(engine), container.clone()));
    }
}

/// Waits for a call of an engine, and not for ever.
async fn bounded<T>(stage: SurveyStage, call: impl Future<Output = T>) -> Result<T, Trial> {
    tokio::time::timeout(CALL, call).await.map_err(|_| {
        let message = format!("the {} did not end within {CALL:?}", stage.name());
        Trial::Refused(stage, Failure::new(ErrorClass::Timeout, message))
    })
}

/// The zoo that holds these lines.
fn wanted(rows: &[Row]) -> plan::Workload {
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.name).collect();
    plan::Workload {
        kind: "zoo".to_owned(),
        with: [("hold".to_owned(), kinds.join(","))].into_iter().collect(),
        volumes: BTreeMap::new(),
        user: rows[0].user,
        origin: crate::record::Origin::default(),
    }
}

async fn picture(engine: &Arc<dyn Engine>, container: &Container) -> Result<Picture, Failure> {
    let Some(first) = engine.first_process(container).await? else { return Ok(Picture::default()) };
    let node = Arc::clone(engine.node());
    let taken = tokio::task::spawn_blocking(move || Picture::take(&node, first)).await;
    taken.map_err(|e| Failure::surroundings(format!("looking at a container broke off: {e}")))
}
