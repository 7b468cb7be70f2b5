//! What a run stands on, from its arguments: a name and a ledger, a folder with the record in it, and grounds for its cases.

use super::args::StackArgs;
use super::run::{Refusal, close_ledger, drop_images, make_folder, new_ledger, now, provider};
use super::stack::{self, Stack};
use crate::component;
use crate::image::Store;
use crate::ledger::Ledger;
use crate::provider::{Provider, local};
use crate::record::{Chain, Event, Failure, RunId};
use crate::run::{Ground, Listener, Preparations, Recorder, Stores};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked for.
pub(crate) struct Asked<'a> {
    /// What runs on the nodes.
    pub(crate) stack: &'a StackArgs,
    /// Where the run's folder is made.
    pub(crate) out: &'a Path,
    /// How many cases may run side by side: so many grounds there are of each node image.
    pub(crate) lanes: usize,
    /// The command line, as it is told.
    pub(crate) command: Vec<String>,
}

/// A run that has begun, and that nothing was done in.
pub(crate) struct Launch {
    id: RunId,
    ledger: Arc<Ledger>,
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// Takes its events.
    pub(crate) recorder: Arc<Recorder>,
    /// Images on the host.
    pub(crate) stores: Stores,
    /// What the cases run on, those of one node image beside each other.
    pub(crate) grounds: Vec<Ground>,
    /// What the control groups of each further ground go by.
    further: Vec<RunId>,
}

impl Launch {
    /// Gets the node images and components, and begins the record.
    pub(crate) async fn new(
        asked: Asked<'_>,
        progress: &dyn component::Progress,
        listener: Box<dyn Listener>,
    ) -> Result<Launch, Refusal> {
        let (id, ledger) = new_ledger()?;
        let stacks = stack::all(asked.stack, &ledger, progress).await?;
        let dir = make_folder(asked.out, &id)?;
        let recorder =
            Recorder::create(&dir, listener).map_err(|e| Failure::surroundings(format!("{}: {e}", dir.display())))?;
        recorder.run(Event::RunStarted {
            id: id.clone(),
            podferry: env!("CARGO_PKG_VERSION").to_owned(),
            command: asked.command,
            started: now(),
            host: component::host_record(),
            image: images(&stacks),
        });
        let open =
            |path: PathBuf| Store::open(path).map(Arc::new).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
        let cache = stacks[0].1.cache.dir();
        let stores = Stores { lasting: open(cache.join("store"))?, of_run: open(dir.join("store"))? };
        let recorder = Arc::new(recorder);
        let mut launch = Launch { id, ledger, dir, recorder, stores, grounds: Vec::new(), further: Vec::new() };
        for (name, stack) in &stacks {
            for _ in 0..asked.lanes {
                launch.add_ground(stack, (stacks.len() > 1).then(|| name.clone()))?;
            }
        }
        Ok(launch)
    }

    fn add_ground(&mut self, stack: &Stack, image: Option<String>) -> Result<(), Refusal> {
        // Nodes of two grounds have the same names: their control groups must not.
        let id = match self.grounds.len() {
            0 => self.id.clone(),
            n => RunId(format!("{}-{n}", self.id)),
        };
        let provider = provider(&id, stack, Arc::clone(&self.ledger))?;
        let preparations = Preparations::new(&stack.image, Arc::clone(&self.stores.lasting), provider.vantage());
        let kubeconfig = match (&image, self.further.len()) {
            (None, 0) if self.grounds.is_empty() => "kubeconfig".to_owned(),
            (Some(name), _) if self.grounds.iter().all(|g| g.image != image) => format!("kubeconfig-{name}"),
            _ => format!("kubeconfig-{}", self.grounds.len()),
        };
        let kubernetes = stack.kubernetes().then(|| self.dir.join(kubeconfig));
        if !self.grounds.is_empty() {
            self.further.push(id);
        }
        self.grounds.push(Ground { image, provider, preparations, kubernetes });
        Ok(())
    }

    /// Removes what nobody needs when the run has ended; what stays is told in the report.
    pub(crate) fn close(&self) {
        drop_images(&self.dir, &self.recorder);
        let swept = self.further.iter().try_for_each(|id| match local::sweep_cgroups(id) {
            Ok(leaks) => leaks.first().map_or(Ok(()), |l| Err(format!("{} {}: {}", l.kind, l.name, l.reason))),
            Err(e) => Err(e.to_string()),
        });
        if let Err(reason) = swept.and_then(|()| close_ledger(&self.id, &self.ledger)) {
            self.recorder.error(Failure::surroundings(format!(
                "sweeping up after this run: {reason}; `podferry clean` tries again"
            )));
        }
    }
}

/// The node images, each once: several stacks may be on one.
fn images(stacks: &[(String, Stack)]) -> String {
    let mut images: Vec<String> = stacks.iter().map(|(_, s)| format!("{} {}", s.image.suite, s.image.key)).collect();
    images.dedup();
    images.join(", ")
}
