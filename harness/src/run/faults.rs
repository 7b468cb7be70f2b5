//! The faults that are in force, and their mending.

use super::recorder::Recorder;
use crate::engine::Engine;
use crate::fault::{Fault, Wrapper};
use crate::record::{CaseId, Event, Failure, FaultRecord};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long mending one thing may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fault that was laid.
#[derive(Clone)]
struct Laid {
    /// Its number in the case.
    id: u32,
    name: Option<String>,
    node: String,
    title: String,
    fault: Arc<dyn Fault>,
}

#[derive(Default)]
struct State {
    laid: Vec<Laid>,
    count: u32,
    wrappers: BTreeMap<String, Arc<Wrapper>>,
}

/// All that is broken at the moment, newest last. It belongs to the world and not to the case: a case that is given up
/// in its middle leaves it to be mended.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<State>>);

impl Faults {
    /// Puts a fault among those in force, and lets it strike.
    pub(super) async fn lay(
        &self,
        what: &crate::scenario::plan::Fault,
        fault: Arc<dyn Fault>,
        tell: &Teller<'_>,
    ) -> Result<(), Failure> {
        let laid = {
            let mut state = self.state();
            state.count += 1;
            let (id, name, node) = (state.count, what.name.clone(), what.node.clone());
            let laid = Laid { id, name, node, title: what.title(), fault: Arc::clone(&fault) };
            state.laid.push(laid.clone());
            laid
        };
        let from = crate::clock::now();
        fault.strike().await?;
        let record = FaultRecord {
            id: laid.id,
            name: laid.name,
            title: laid.title,
            node: what.node.clone(),
            from,
            mended: None,
        };
        tell.tell(Event::Fault(record));
        Ok(())
    }

    /// Whether a fault of this name is in force.
    pub(super) fn laid(&self, name: &str) -> bool {
        self.state().laid.iter().any(|laid| laid.name.as_deref() == Some(name))
    }

    /// Mends the fault of a name.
    pub(super) async fn mend(&self, name: &str, tell: &Teller<'_>) -> Result<(), Failure> {
        let found = {
            let mut state = self.state();
            let at = state.laid.iter().position(|l| l.name.as_deref() == Some(name));
            at.map(|at| state.laid.remove(at))
        };
        let none = || Failure::surroundings(format!("no fault `{name}` is in force at this point of the scenario"));
        let laid = found.ok_or_else(none)?;
        let done = mend(&laid, tell).await;
        if done.is_err() {
            // It is tried again when the case ends.
            self.state().laid.push(laid);
        }
        done
    }

    /// Mends all that is broken on a node, the newest first: it is about to be made anew.
    pub(super) async fn mend_on(&self, node: &str, tell: &Teller<'_>) -> Result<(), Failure> {
        let here: Vec<Laid> = self.state().laid.extract_if(.., |laid| laid.node == node).collect();
        for laid in here.into_iter().rev() {
            mend(&laid, tell).await?;
        }
        let wrapper = self.state().wrappers.remove(node);
        match wrapper {
            Some(wrapper) => in_time("the wrapper of the runtime", wrapper.remove()).await,
            None => Ok(()),
        }
    }

    /// Mends all, the newest first, and says what could not be mended, or had no effect.
    pub(super) async fn mend_all(&self, tell: &Teller<'_>) -> Vec<Failure> {
        let mut failures = Vec::new();
        loop {
            let Some(laid) = self.state().laid.pop() else { break };
            failures.extend(mend(&laid, tell).await.err());
        }
        let wrappers = std::mem::take(&mut self.state().wrappers);
        for wrapper in wrappers.into_values() {
            failures.extend(in_time("the wrapper of the runtime", wrapper.remove()).await.err());
        }
        failures
    }

    /// The wrapper of the OCI runtime on an engine's node; laid when it is first asked for.
    pub(super) async fn wrapper(&self, engine: &Arc<dyn Engine>) -> Result<Arc<Wrapper>, Failure> {
        let name = engine.node().name().to_owned();
        if let Some(there) = self.state().wrappers.get(&name) {
            return Ok(Arc::clone(there));
        }
        let wrapper = Arc::new(Wrapper::new(engine));
        self.state().wrappers.insert(name, Arc::clone(&wrapper));
        wrapper.lay(engine.runtime()).await?;
        Ok(wrapper)
    }

    /// What is broken now, for who asks why something takes so long.
    pub(super) fn titles(&self) -> Vec<String> {
        self.state().laid.iter().map(|l| l.title.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn mend(laid: &Laid, tell: &Teller<'_>) -> Result<(), Failure> {
    let effect = laid.fault.effect().await;
    in_time(&laid.title, laid.fault.mend()).await?;
    tell.tell(Event::FaultMended { id: laid.id });
    effect.map_err(|e| Failure { message: format!("{}: {}", laid.title, e.message), ..e })
}

async fn in_time(what: &str, mending: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    match tokio::time::timeout(PATIENCE, mending).await {
        Ok(done) => done.map_err(|e| Failure { message: format!("can't mend ({what}): {}", e.message), ..e }),
        Err(_) => Err(Failure::surroundings(format!("can't mend ({what}): it took longer than {PATIENCE:?}"))),
    }
}

/// Where events of a case go.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) recorder: &'a Recorder,
    pub(super) case: &'a CaseId,
}

impl Teller<'_> {
    fn tell(&self, event: Event) {
        self.recorder.case(self.case, event);
    }
}
