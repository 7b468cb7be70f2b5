//! Pre-copy: memory is dumped while the container runs, and what it wrote meanwhile once more when it stands still.
//!
//! CRIU tells by soft-dirty bits (or `PAGEMAP_SCAN`) what was written; a kernel without them cannot. This was written against
//! the manuals of runc 1.3.6 and criu 4.2.1 and has not been seen to run: no kernel that it was tried on tracks.

use super::classify::During;
use super::dump::{After, Dump};
use super::restore::Pages;
use super::runtime::{Inner, Supervised};
use crate::clock;
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, EngineError, Migration, Moved};
use crate::record::Phase;
use std::fs;
use std::path::Path;

/// Where the first images lie, as seen from those that build on them.
const FIRST: &str = "../first";

impl Inner {
    pub(super) async fn pre_copy(&self, target: &Inner, migration: &Migration) -> Result<Moved, EngineError> {
        let path = self.checkpoints.join(&migration.name);
        let moved = self.pre_copy_into(target, migration, &path).await;
        if moved.is_err() {
            // The error counts; what cannot be thawed or removed shows up among what is left.
            let _ = self.thaw(&migration.container.id).await;
            let _ = fs::remove_dir_all(self.host(&path));
        }
        moved
    }

    async fn pre_copy_into(&self, target: &Inner, migration: &Migration, path: &Path) -> Result<Moved, EngineError> {
        let (container, node) = (&migration.container, self.node.name());
        let from = clock::now();
        self.pre_dump(&container.id, &path.join("first"), &migration.name).await?;
        migration.timed.ends(Phase::PreDump, node, from);

        let from = clock::now();
        self.freeze(&container.id).await?;
        migration.timed.ends(Phase::Freeze, node, from);

        let from = clock::now();
        let how = Dump { was_frozen: true, after: After::GoesOn, parent: Some(FIRST) };
        self.dump(container, &migration.name, path, how).await?;
        migration.timed.ends(Phase::Checkpoint, node, from);

        let name = migration.name.clone();
        let images = Checkpoint { name, engine: self.kind, path: path.to_owned(), archive: false, shared: true };
        let restored = target.restore(&migration.slot, &images, None, Pages::Here).await?;
        Ok(Moved { restored, moved: 0, images: Some(images), pages: None })
    }

    async fn pre_dump(&self, id: &str, images: &Path, name: &str) -> Result<(), EngineError> {
        let logs = self.home.join("logs").join(format!("{id}-pre-dump-{name}"));
        self.make_folder(images)?;
        self.make_folder(&logs)?;
        let path = |path: &Path| path.display().to_string();
        let args = ["checkpoint", "--pre-dump", "--image-path", &path(images), "--work-path", &path(&logs), id];
        self.supervised(Supervised {
            program: self.kind.name(),
            what: &format!("can't copy the memory of container {id} on node {} ahead", self.node.name()),
            during: During::Checkpoint,
            args: args.map(str::to_owned).to_vec(),
            container: id,
            folder: &logs,
            out: None,
            criu_log: Some("dump.log"),
            patience: Patience::Watch(self.limits.dump),
        })
        .await
    }
}
