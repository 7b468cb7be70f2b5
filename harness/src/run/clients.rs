//! The clients of a case, and whom each follows.

use crate::client::{Client, Endpoint, Watch};
use crate::record::{ErrorClass, Failure, History};
use std::collections::BTreeMap;

/// A client that runs.
pub(super) struct Running {
    pub(super) client: Client,
    /// The instance that it talks to now.
    pub(super) follows: String,
}

/// All clients of a repetition: those that run, and the histories of those that have ended.
#[derive(Default)]
pub(super) struct Clients {
    running: BTreeMap<String, Running>,
    histories: BTreeMap<String, History>,
}

impl Clients {
    pub(super) fn add(&mut self, name: &str, follows: String, client: Client) {
        self.running.insert(name.to_owned(), Running { client, follows });
    }

    pub(super) fn runs(&self, name: &str) -> bool {
        self.running.contains_key(name)
    }

    pub(super) fn watch(&self, name: &str) -> Result<Watch, Failure> {
        self.running.get(name).map(|r| r.client.watch().clone()).ok_or_else(|| Failure {
            class: ErrorClass::Surroundings,
            message: format!("client {name} does not run"),
            hint: None,
            log: Vec::new(),
        })
    }

    pub(super) fn following(&self, instance: &str) -> Vec<String> {
        self.running.iter().filter(|(_, r)| r.follows == instance).map(|(n, _)| n.clone()).collect()
    }

    pub(super) fn switch(&mut self, name: &str, into: &str, endpoint: Endpoint) -> Result<(), Failure> {
        let Some(running) = self.running.get_mut(name) else { return Ok(()) };
        running.client.switch(into, endpoint).map_err(|e| Failure {
            class: ErrorClass::Surroundings,
            message: format!("can't switch client {name} to {into}: {e}"),
            hint: None,
            log: Vec::new(),
        })?;
        into.clone_into(&mut running.follows);
        Ok(())
    }

    /// Tells every client that follows `from` that it is `into` now, at the same address. Who follows a log is switched.
    pub(super) fn moved(&mut self, from: &str, into: &str) -> Result<(), Failure> {
        let followers = self.running.iter_mut().filter(|(_, r)| r.follows == from);
        for (name, running) in followers {
            let told = running.client.moved(into).map_err(|e| {
                Failure::surroundings(format!("can't tell client {name} that {from} is {into} now: {e}"))
            })?;
            if told {
                into.clone_into(&mut running.follows);
            }
        }
        Ok(())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Running> {
        self.running.remove(name)
    }

    pub(super) fn running(&self) -> Vec<String> {
        self.running.keys().cloned().collect()
    }

    pub(super) fn keep(&mut self, name: &str, history: History) {
        self.histories.insert(name.to_owned(), history);
    }

    pub(super) fn take_histories(&mut self) -> BTreeMap<String, History> {
        std::mem::take(&mut self.histories)
    }

    pub(super) fn histories(&self) -> &BTreeMap<String, History> {
        &self.histories
    }
}
