//! Restores.

use super::archived::Config;
use super::call::{Inner, Supervised};
use super::classify::During;
use super::containers::id;
use crate::archive;
use crate::clock;
use crate::engine::failing::{blocking, exec_error};
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, criu_words, mounts, yards};
use crate::process::Exec;
use crate::record::{Chain, ErrorClass};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

/// There is no event for a control group that is made in another mount namespace.
const GLANCE: Duration = Duration::from_millis(2);

impl Inner {
    /// `bare` is the deadline of a naive client, which looks at nothing before and watches nothing.
    pub(super) async fn restore(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        bare: Option<Duration>,
    ) -> Result<Restored, EngineError> {
        let name = &slot.spec.name;
        let what = format!("can't restore checkpoint {} into {name} on node {}", from.name, self.node.name());
        let cannot = |class, why: String| EngineError::new(class, format!("{what}: {why}"));
        self.capabilities.restore.clone().map_err(|reason| cannot(ErrorClass::CriuMissing, reason))?;
        if from.engine != self.kind {
            let why = format!("{} restores its own archives, and this one is of {}", self.kind, from.engine);
            return Err(cannot(ErrorClass::Unsupported, why));
        }
        let restore_from = clock::now();
        let config = match self.archived(from).await {
            Ok(config) => Some(config),
            // podman itself is to say what is wrong.
            Err(_) if bare.is_some() => None,
            Err(e) => return Err(cannot(e.class, e.message)),
        };
        if let Some(config) = &config {
            fits(config, slot).map_err(|(class, why)| {
                let error = cannot(class, why);
                if class == ErrorClass::BaseImageMissing {
                    return error.hint("give the slot the image that the checkpoint was made from");
                }
                error.hint("a restore gives a container the mounts that it had when it was checkpointed, and no others")
            })?;
        }
        let laid = self.lay_folders(slot, config.as_ref()).await;
        let id = match &laid {
            Ok(_) => self.run_restore(slot, from, config.as_ref(), bare, &what).await,
            Err(e) => Err(cannot(e.class, e.message.clone())),
        };
        self.take_away(laid.unwrap_or_default()).await;
        let id = id?;
        let log = self.userdata(&id).join("ctr.log");
        let container = Container { id, slot: slot.clone(), log };
        if let Err(e) = self.settle(&container, bare.is_some()).await {
            self.end_of_failed(&container).await;
            return Err(e);
        }
        Ok(Restored { container, create_from: None, restore_from, restore_to: clock::now() })
    }

    async fn archived(&self, from: &Checkpoint) -> Result<Config, EngineError> {
        let path = self.host(&from.path);
        let bytes = blocking(move || {
            archive::entry(&path, "config.dump").map_err(|e| EngineError::new(e.class(), Chain(&e).to_string()))
        })
        .await?;
        Config::parse(&bytes).map_err(|why| EngineError::new(ErrorClass::InvalidArchive, why))
    }

    /// podman mounts the folders that the archive names. Where a slot has another one, that is laid over the archive's until
    /// the container has it mounted.
    async fn lay_folders(&self, slot: &Slot, config: Option<&Config>) -> Result<Vec<PathBuf>, EngineError> {
        let mut laid = Vec::new();
        for bind in config.into_iter().flat_map(Config::binds) {
            let given = slot.spec.mounts.iter().find(|mount| mount.target == bind.destination);
            let Some(given) = given.filter(|mount| mount.source != bind.source) else { continue };
            self.make_folder(&bind.source)?;
            let mount = Exec::new("mount").arg("--bind").arg(&given.source).arg(&bind.source);
            let what = format!("can't lay {} over {}", given.source.display(), bind.source.display());
            if let Err(e) = self.node.run(mount.timeout(self.limits.other)).await {
                self.take_away(laid).await;
                return Err(exec_error(&what, &e));
            }
            laid.push(bind.source.clone());
        }
        Ok(laid)
    }

    async fn take_away(&self, laid: Vec<PathBuf>) {
        for folder in laid {
            let umount = Exec::new("umount").arg("--lazy").arg(&folder);
            if self.node.output(umount).await.is_ok_and(|done| done.code == 0) {
                // Only if it is empty: made for this.
                let _ = std::fs::remove_dir(self.host(&folder));
            }
        }
    }

    async fn run_restore(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        config: Option<&Config>,
        bare: Option<Duration>,
        what: &str,
    ) -> Result<String, EngineError> {
        let name = &slot.spec.name;
        let own = || self.home.join("criu").join(format!("{name}.conf"));
        let options = config.and_then(Config::criu_options).unwrap_or_else(own);
        let turn = self.turn(&options);
        let _turn = turn.lock().await;
        let log = format!("{name}-restore-{}", from.name);
        self.write_options(&options, &slot.spec.criu, &log)?;
        let path = from.path.display().to_string();
        let args = ["container", "restore", "--import", &path, "--name", name].map(str::to_owned).to_vec();
        let call = self.supervised(Supervised {
            what,
            during: During::Restore,
            netns: &slot.handle,
            args,
            container: name,
            log: &log,
            patience: bare.map_or(Patience::Watch(self.limits.restore), Patience::Bare),
        });
        let restored = tokio::select! {
            restored = call => restored.and_then(|printed| id(&printed, name)),
            never = self.limit_early(slot, config.and_then(Config::memory_limit)) => match never {},
        };
        match restored {
            Ok(id) => {
                self.options.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), options);
                Ok(id)
            }
            Err(e) => {
                self.forget(name).await;
                yards::clear(&self.node, &self.storage()).await;
                Err(criu_words::killed_for_memory(slot.spec.memory_limit, e))
            }
        }
    }

    /// Gives a container that is being restored the memory limit of its slot in the place of the archive's. podman can only
    /// do that afterwards (`podman update`): too late for one that needs more at once, and a limit that it does not fit
    /// into would be refused instead of felt. Between the moment when the runtime has limited the group and the one when
    /// CRIU fills it lie tens of milliseconds.
    async fn limit_early(&self, slot: &Slot, archived: Option<u64>) -> Infallible {
        let wanted = slot.spec.memory_limit.filter(|limit| Some(*limit) != archived);
        let before: Vec<String> = if wanted.is_some() { self.group_ids().collect() } else { Vec::new() };
        while let Some(limit) = wanted {
            tokio::time::sleep(GLANCE).await;
            let ours = |id: &String| !before.contains(id) && self.monitors_container(id, &slot.spec.name);
            let Some(group) = self.group_ids().find(ours).map(|id| self.group(&id)) else { continue };
            // The kernel counts in pages.
            let pages = |bytes: u64| bytes >> 12;
            let set = group.memory().map(|memory| memory.limit.map(pages));
            // An error is tried again: the runtime may not be done with the group.
            if set == Some(archived.map(pages)) && group.limit_memory(limit).is_ok() {
                break;
            }
        }
        std::future::pending().await
    }

    /// A look at the mounts.
    async fn settle(&self, container: &Container, bare: bool) -> Result<(), EngineError> {
        let spec = &container.slot.spec;
        if bare || spec.mounts.is_empty() {
            return Ok(());
        }
        mounts::all_there(container, self.inspect(container).await?.as_ref())
    }
}

/// Whether a slot is one for the container of an archive.
fn fits(config: &Config, slot: &Slot) -> Result<(), (ErrorClass, String)> {
    let image = &slot.spec.image.reference;
    if config.image != *image {
        let why = format!("it was made from image {}, and the slot has {image}", config.image);
        return Err((ErrorClass::BaseImageMissing, why));
    }
    for bind in config.binds() {
        if !slot.spec.mounts.iter().any(|mount| mount.target == bind.destination) {
            let target = bind.destination.display();
            let why = format!("the checkpointed container had a mount at {target}, and the slot has none there");
            return Err((ErrorClass::MountMissing, why));
        }
    }
    Ok(())
}
