use super::steps::{Doing, Migrate, Restore, StartClient};
use super::{Action, Capture, ClientKind, Damage, Failed, Medium, Over, SourceFate, TestBed, here};
use crate::record::{ErrorClass, Failure, Origin};
use std::future::Future;

/// A container of a bed, by the name that its reports have.
#[derive(Clone)]
pub struct Instance {
    bed: TestBed,
    name: String,
}

impl Instance {
    pub(super) fn new(bed: &TestBed, name: &str) -> Instance {
        Instance { bed: bed.clone(), name: name.to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[track_caller]
    fn doing<T>(&self, action: Action, gives: T) -> Doing<T> {
        Doing::new(&self.bed, action, here(), gives)
    }

    /// Moves it to another node, its clients with it; gives the copy.
    #[track_caller]
    pub fn migrate(&self, to: &str) -> Migrate {
        Migrate::new(&self.bed, &self.name, to, here())
    }

    /// Starts a client on it. It follows its migrations.
    #[track_caller]
    pub fn client(&self, kind: ClientKind) -> StartClient {
        StartClient::new(&self.bed, kind, &self.name, here())
    }

    /// What it says of itself now, and what the kernel says of it.
    ///
    /// # Errors
    /// It is not there.
    #[track_caller]
    pub fn capture(&self) -> impl Future<Output = Result<Capture, Failed>> + Send + use<> {
        let (this, at) = (self.clone(), here());
        async move { this.captured(at).await }
    }

    async fn captured(&self, at: Origin) -> Result<Capture, Failed> {
        let name = self.bed.0.names.take(&format!("{}-seen", self.name));
        let action = Action::Capture { instance: self.name.clone(), name: name.clone() };
        Doing::new(&self.bed, action, at, ()).await?;
        let captures = self.bed.evidence().await?.captures;
        captures.into_iter().rev().find(|c| c.name == name).ok_or_else(|| {
            let message = format!("capture {name} was not recorded");
            Failed::surroundings(Failure::new(ErrorClass::Surroundings, message), self.bed.dir())
        })
    }

    /// Waits until its own counter is at least this.
    #[track_caller]
    pub fn counts(&self, at_least: u64) -> Doing<()> {
        self.doing(Action::AwaitCounter { instance: self.name.clone(), at_least }, ())
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn ends(&self) -> Doing<()> {
        self.doing(Action::AwaitEnd { instance: self.name.clone() }, ())
    }

    /// Freezes its tasks.
    #[track_caller]
    pub fn freeze(&self) -> Doing<()> {
        self.doing(Action::Freeze { instance: self.name.clone() }, ())
    }

    /// Thaws them.
    #[track_caller]
    pub fn thaw(&self) -> Doing<()> {
        self.doing(Action::Thaw { instance: self.name.clone() }, ())
    }

    /// Stops and removes it.
    #[track_caller]
    pub fn remove(&self) -> Doing<()> {
        self.doing(Action::Remove { instance: self.name.clone() }, ())
    }

    /// Takes a checkpoint. It goes on afterwards ([`SourceFate::Running`]), or is removed.
    #[track_caller]
    pub fn checkpoint(&self, source: SourceFate) -> Doing<CheckpointHandle> {
        let name = self.bed.0.names.take(&format!("{}-checkpoint", self.name));
        let gives = CheckpointHandle { bed: self.bed.clone(), name: name.clone() };
        let instance = self.name.clone();
        self.doing(Action::Checkpoint { instance, name, source, medium: Medium::Native, times: 1, raw: None }, gives)
    }
}

/// A checkpoint of a bed.
#[derive(Clone)]
pub struct CheckpointHandle {
    bed: TestBed,
    name: String,
}

impl CheckpointHandle {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Carries it to another node, and compares digests there.
    #[track_caller]
    pub fn transfer(&self, to: &str) -> Doing<()> {
        let action = Action::Transfer { checkpoint: self.name.clone(), to: to.to_owned(), over: Over::File };
        Doing::new(&self.bed, action, here(), ())
    }

    /// Makes a damaged copy of it, where it was taken.
    #[track_caller]
    pub fn tamper(&self, damage: Damage) -> Doing<CheckpointHandle> {
        let name = self.bed.0.names.take(&format!("{}-damaged", self.name));
        let gives = CheckpointHandle { bed: self.bed.clone(), name: name.clone() };
        Doing::new(&self.bed, Action::Tamper { checkpoint: self.name.clone(), name, damage }, here(), gives)
    }

    /// Makes a new instance of it, on a node that has it.
    #[track_caller]
    pub fn restore(&self, node: &str) -> Restore {
        Restore::new(&self.bed, &self.name, node, here())
    }
}

/// A client of a bed.
#[derive(Clone)]
pub struct ClientHandle {
    bed: TestBed,
    name: String,
}

impl ClientHandle {
    pub(super) fn new(bed: &TestBed, name: &str) -> ClientHandle {
        ClientHandle { bed: bed.clone(), name: name.to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it has so many more answers.
    #[track_caller]
    pub fn answers(&self, count: u64) -> Doing<()> {
        Doing::new(&self.bed, Action::AwaitAnswers { client: self.name.clone(), count }, here(), ())
    }

    /// Stops it; the next check does so too.
    #[track_caller]
    pub fn stop(&self) -> Doing<()> {
        Doing::new(&self.bed, Action::StopClient { client: self.name.clone() }, here(), ())
    }
}
