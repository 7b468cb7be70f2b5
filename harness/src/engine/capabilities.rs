//! What an engine can do, as data.

use super::Strategies;

/// What an engine can do on this node, found out by asking it (versions, probes), once. An absent capability is a skip
/// with its reason, never a pass and never a failure: `Err` says why not, and a call that asks for it all the same is
/// refused as `Unsupported`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `containerd 2.1.9`, `runc 1.3.6`.
    pub version: String,
    /// Checkpoint.
    pub checkpoint: Result<(), String>,
    /// Restore from what checkpoint writes.
    pub restore: Result<(), String>,
    /// Restore from a checkpoint OCI image.
    pub restore_image: Result<(), String>,
    /// Restore of a container with mounts of the node's folders.
    pub restore_mounts: Result<(), String>,
    /// What was changed and deleted in the container's root file system goes with a checkpoint.
    pub root_changes: Result<(), String>,
    /// So does what became of the image's own files and folders: one that was changed in place, one that was removed and
    /// made again.
    pub image_changes: Result<(), String>,
    /// An archive is made of what the OCI runtime dumped: a stage of its own, which a fault can strike.
    pub archive: Result<(), String>,
    /// An archive whose entries were changed is taken as it is, and what is wrong with it is found where it is used, if it
    /// is found at all. Not by an engine that compares digests first.
    pub changed_archive: Result<(), String>,
    /// CRIU is told what a scenario says of locks on files ([`crate::record::CriuChoices`]), also that they are not carried.
    pub refused_locks: Result<(), String>,
    /// A naive client's checkpoint, see [`super::Engine::checkpoint_bare`].
    pub bare_checkpoint: Result<(), String>,
    /// A naive client's restore, see [`super::Engine::restore_bare`].
    pub bare_restore: Result<(), String>,
    /// A daemon that can be killed and started again.
    pub daemon: Result<(), String>,
    /// What ended with its node is still known after the node was restarted.
    pub remembers: Result<(), String>,
    /// Images written into a folder that both nodes share: nothing has to be carried.
    pub shared_images: bool,
    /// Migrations by a strategy of its own.
    pub strategies: Strategies,
}

impl Capabilities {
    /// All that a [`super::Engine`] can be asked for, but for bare checkpoints, by checkpoints that are carried.
    pub fn all(version: impl Into<String>) -> Self {
        Capabilities {
            version: version.into(),
            checkpoint: Ok(()),
            restore: Ok(()),
            restore_image: Ok(()),
            restore_mounts: Ok(()),
            root_changes: Ok(()),
            image_changes: Ok(()),
            archive: Ok(()),
            changed_archive: Ok(()),
            refused_locks: Ok(()),
            bare_checkpoint: Err("no client of it can be left in the middle of a call".to_owned()),
            bare_restore: Ok(()),
            daemon: Ok(()),
            remembers: Ok(()),
            shared_images: false,
            strategies: Strategies::default(),
        }
    }

    /// Each capability with its name, in the order of the table in `docs/engines.md`.
    pub fn named(&self) -> [(&'static str, &Result<(), String>); 13] {
        [
            ("checkpoint", &self.checkpoint),
            ("restore", &self.restore),
            ("restore from an image", &self.restore_image),
            ("restore with mounts", &self.restore_mounts),
            ("changes of the root", &self.root_changes),
            ("changes of the image's files", &self.image_changes),
            ("archive", &self.archive),
            ("changed archive", &self.changed_archive),
            ("refused locks", &self.refused_locks),
            ("bare checkpoint", &self.bare_checkpoint),
            ("bare restore", &self.bare_restore),
            ("daemon", &self.daemon),
            ("memory over a restart", &self.remembers),
        ]
    }
}
