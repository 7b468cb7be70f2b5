//! Migration by placing: the target's container is made before the source is frozen, and CRIU writes its images where the
//! start of that container looks for them. No archive in between, which is where the plain way spends most of its time
//! (containerd 2.1.9 writes all memory four times).
//!
//! Containers are made from a checkpoint's three JSON files alone (`CRImportCheckpoint`, 2.1.9); their start takes
//! whatever lies in the folder [`RESTORE`] of the container then. That folder is no interface of containerd's: earlier
//! 2.1 versions have none. So it is looked for after the container was made.

use super::Inner;
use super::generated::containerd::services::tasks::v1::CheckpointTaskRequest;
use super::generated::runtime::v1 as cri;
use crate::clock;
use crate::engine::containerd::classify::During;
use crate::engine::containerd::tasks;
use crate::engine::cri_api::Sandboxes;
use crate::engine::cri_api::Served;
use crate::engine::{Checkpoint, Container, EngineError, Migration, Moved, Restored, Slot, layers};
use crate::record::{EngineKind, ErrorClass, Phase};
use prost::Message as _;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where containerd keeps what it restores a container from, in the container's own folder.
const RESTORE: &str = "ctrd-restore";
/// The folders of containers, below containerd's root.
const CONTAINERS: &str = "io.containerd.grpc.v1.cri/containers";
/// What it looks for there.
const IMAGES: &str = "checkpoint";
const DIFF: &str = "rootfs-diff.tar";

/// `containerd.runc.v1.CheckpointOptions`, as far as it is used (containerd/api v1.9.0, `types/runc/options/oci.proto`).
#[derive(Clone, PartialEq, prost::Message)]
struct CheckpointOptions {
    #[prost(bool, tag = "5")]
    file_locks: bool,
    #[prost(string, tag = "8")]
    image_path: String,
    #[prost(string, tag = "9")]
    work_path: String,
}

/// Whether this version restores from a folder that images can be placed in; `Err` says why not.
pub(super) fn able(number: (u32, u32, u32), shares: bool) -> Result<(), String> {
    match number {
        _ if !shares => Err("the nodes share no folder that images could be written to".to_owned()),
        // Read in its sources at the tag 2.1.9; 2.1.5 unpacks into the container's own folder.
        (2, 1, 6..) => Ok(()),
        (major, minor, patch) => Err(format!(
            "containerd {major}.{minor}.{patch} may have no folder `{RESTORE}` to place images in: it is known of 2.1.9"
        )),
    }
}

impl Inner {
    /// Moves a container by placing its images. Runs in a task of its own.
    pub(super) async fn place(&self, target: &Inner, migration: &Migration) -> Result<Moved, EngineError> {
        let (container, slot) = (&migration.container, &migration.slot);
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        let Some(shared) = self.node.shared_dir() else {
            return Err(self.surroundings("place a checkpoint", "the nodes share no folder"));
        };
        let place = shared.join("placed").join(&migration.name);
        let from = clock::now();
        fs::create_dir_all(self.host(place.join(IMAGES))).map_err(|e| self.surroundings("make a folder", e))?;
        let made = match self.dumps(container).await {
            Ok(dumps) => target.create_from(slot, &dumps, &place, &migration.name).await,
            Err(e) => Err(e),
        };
        migration.timed.ends(Phase::Prepare, target.node.name(), from);
        let moved = match made {
            Ok(copy) => self.dump_and_start(target, migration, &copy, &place).await,
            Err(e) => Err(e),
        };
        let failed = match moved {
            Ok(restored) => {
                let name = migration.name.clone();
                let images = Checkpoint { name, engine: EngineKind::Cri, path: place, archive: false, shared: true };
                return Ok(Moved { restored, moved: 0, images: Some(images), pages: None });
            }
            Err(e) => e,
        };
        target.clear_slot(slot).await;
        target.clear_yards().await;
        // A source that has ended meanwhile has nothing to thaw; the migration's own error is the one to tell.
        let _ = self.thaw_in_turn(&container.id).await;
        // What cannot be removed shows up among what is left.
        let _ = fs::remove_dir_all(self.host(&place));
        Err(failed)
    }

    async fn dump_and_start(
        &self,
        target: &Inner,
        migration: &Migration,
        copy: &Container,
        place: &Path,
    ) -> Result<Restored, EngineError> {
        let container = &migration.container;
        let (node, name) = (self.node.name(), &container.slot.spec.name);
        let from = clock::now();
        let paused = self.freeze_in_turn(&container.id).await;
        paused.map_err(|e| self.error(During::Control, &format!("freeze container {name}"), &e, Vec::new()))?;
        migration.timed.ends(Phase::Freeze, node, from);

        let from = clock::now();
        let (dumped, diff) = tokio::join!(self.dump_into(container, place), self.write_diff(container, place));
        migration.timed.ends(Phase::Checkpoint, node, from);
        dumped.and(diff)?;

        let restore_from = clock::now();
        target.start_placed(copy, place).await?;
        Ok(Restored { container: copy.clone(), create_from: None, restore_from, restore_to: clock::now() })
    }

    async fn start_placed(&self, copy: &Container, place: &Path) -> Result<(), EngineError> {
        self.start_watched(copy, &place.display().to_string()).await?;
        self.was_restored(copy).await
    }

    /// The images alone, by containerd's tasks service: what `ctr tasks checkpoint --image-path` calls. The container stays
    /// frozen.
    async fn dump_into(&self, container: &Container, place: &Path) -> Result<(), EngineError> {
        let writing = self.criu.begin();
        let options = CheckpointOptions {
            file_locks: true,
            image_path: place.join(IMAGES).display().to_string(),
            work_path: place.display().to_string(),
        };
        let options = prost_types::Any {
            type_url: "containerd.runc.v1.CheckpointOptions".to_owned(),
            value: options.encode_to_vec(),
        };
        let request = CheckpointTaskRequest {
            container_id: container.id.clone(),
            parent_checkpoint: String::new(),
            options: Some(options),
        };
        let mut tasks = self.client.tasks.clone();
        let Err(status) = tasks.checkpoint(request).await else { return Ok(()) };
        let said = writing.said();
        let what = format!("dump container {}", container.slot.spec.name);
        let mut error = self.error(During::Checkpoint, &what, &status, said.lines);
        error.log.extend(said.mixed);
        Err(error)
    }

    /// The changes of its root, from the upper folder of its overlay.
    async fn write_diff(&self, container: &Container, place: &Path) -> Result<(), EngineError> {
        let what = format!("read the root of container {}", container.slot.spec.name);
        let root = PathBuf::from(&self.places.state)
            .join("io.containerd.runtime.v2.task/k8s.io")
            .join(&container.id)
            .join("rootfs");
        let mounts = fs::read_to_string(self.host("/proc/1/mountinfo")).map_err(|e| self.surroundings(&what, e))?;
        let upper = upper_of(&mounts, &root.display().to_string())
            .ok_or_else(|| self.surroundings(&what, format!("{} is no overlay", root.display())))?;
        let (upper, out) = (self.host(upper), self.host(place.join(DIFF)));
        let written = tokio::task::spawn_blocking(move || layers::write_diff(&upper, &out)).await;
        written.map_err(|e| self.surroundings(&what, e))?.map_err(|e| match e.kind() {
            io::ErrorKind::StorageFull => EngineError::new(ErrorClass::NoSpace, format!("can't {what}: {e}")),
            _ => self.surroundings(&what, e),
        })
    }

    /// What a checkpoint tells of its container, beside images: `config.dump`, `spec.dump`, `status.dump`.
    async fn dumps(&self, container: &Container) -> Result<[(&'static str, Value); 3], EngineError> {
        let request = cri::ContainerStatusRequest { container_id: container.id.clone(), verbose: true };
        let mut runtime = self.client.runtime.clone();
        let what = format!("look at container {}", container.slot.spec.name);
        let answer = self.call(During::Checkpoint, &what, tasks::LIMIT, runtime.container_status(request)).await?;
        let info: Value = answer.info.get("info").and_then(|i| serde_json::from_str(i).ok()).unwrap_or_default();
        let spec = info.get("runtimeSpec").cloned();
        let spec = spec.ok_or_else(|| self.surroundings(&what, "containerd shows no OCI spec of it"))?;
        Ok(dumps(&answer.status.unwrap_or_default(), &container.id, spec))
    }

    /// Makes a container that is to be restored, from an archive without images, and leads it to where those will be.
    async fn create_from(
        &self,
        slot: &Slot,
        dumps: &[(&str, Value)],
        place: &Path,
        name: &str,
    ) -> Result<Container, EngineError> {
        let archive = PathBuf::from(&self.places.checkpoints).join(format!("{name}-placed.tar"));
        let file = self.host(&archive);
        let broken = |e: io::Error| self.surroundings("write the description of a checkpoint", e);
        fs::create_dir_all(self.host(&self.places.checkpoints)).map_err(broken)?;
        let written = write_archive(&file, dumps);
        let made = match written {
            Ok(()) => self.create(slot, &archive.display().to_string(), During::Restore).await,
            Err(e) => Err(broken(e)),
        };
        // containerd has read it.
        let _ = fs::remove_file(&file);
        let copy = made?;
        let folder = self.host(Path::new(&self.places.root).join(CONTAINERS).join(&copy.id).join(RESTORE));
        if !folder.is_dir() {
            let message = format!(
                "can't place images for container {}: {} on node {} keeps no folder `{RESTORE}`",
                slot.spec.name,
                self.capabilities.version,
                self.node.name()
            );
            return Err(EngineError::new(ErrorClass::Unsupported, message).hint("use `strategy: stop-copy`"));
        }
        for entry in [IMAGES, DIFF] {
            symlink(place.join(entry), folder.join(entry)).map_err(|e| self.surroundings("place images", e))?;
        }
        Ok(copy)
    }
}

/// The three JSON files. Annotations and labels must be there: containerd writes into them (2.1.9).
fn dumps(status: &cri::ContainerStatus, id: &str, spec: Value) -> [(&'static str, Value); 3] {
    let metadata = status.metadata.clone().unwrap_or_default();
    let image = status.image.clone().unwrap_or_default();
    let never = "0001-01-01T00:00:00Z";
    let config = json!({
        "id": id, "name": metadata.name,
        "rootfsImage": image.image, "rootfsImageRef": status.image_ref, "rootfsImageName": image.image,
        "runtime": "io.containerd.runc.v2",
        "createdTime": never, "checkpointedTime": never, "restoredTime": never, "restored": false,
    });
    let status = json!({
        "id": id, "metadata": { "name": metadata.name, "attempt": metadata.attempt },
        "state": cri::ContainerState::ContainerRunning as i32,
        "created_at": status.created_at, "started_at": status.started_at,
        "image": { "image": image.image, "user_specified_image": image.user_specified_image },
        "image_ref": status.image_ref, "log_path": status.log_path,
        "labels": status.labels, "annotations": status.annotations,
    });
    [("config.dump", config), ("spec.dump", spec), ("status.dump", status)]
}

fn write_archive(path: &Path, dumps: &[(&str, Value)]) -> io::Result<()> {
    let mut tar = tar::Builder::new(File::create_new(path)?);
    for (name, value) in dumps {
        let text = value.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    tar.into_inner().map(drop)
}

/// The upper folder of the overlay at this place, from `/proc/PID/mountinfo`: the place is the fifth field, and the options
/// of the file system are the last. The latest mount there is the one that is seen.
fn upper_of(mountinfo: &str, place: &str) -> Option<PathBuf> {
    let line = mountinfo.lines().rev().find(|l| l.split(' ').nth(4) == Some(place))?;
    let options = line.rsplit(' ').next()?;
    options.split(',').find_map(|o| o.strip_prefix("upperdir=")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_folder_is_that_of_the_latest_overlay() {
        let info = "30 1 0:1 / /run/c/rootfs rw - overlay overlay rw,lowerdir=/l,upperdir=/old,workdir=/w\n\
                    31 1 0:2 / /run/c/rootfs rw - overlay overlay rw,lowerdir=/l,upperdir=/data/s/7/fs,workdir=/w,uuid=on\n\
                    32 1 0:3 / /run/other rw - tmpfs tmpfs rw\n";
        assert_eq!(upper_of(info, "/run/c/rootfs"), Some(PathBuf::from("/data/s/7/fs")));
        assert_eq!(upper_of(info, "/run/other"), None);
        assert_eq!(upper_of(info, "/run/none"), None);
    }

    #[test]
    fn only_a_version_that_was_read_is_trusted() {
        assert_eq!(able((2, 1, 9), true), Ok(()));
        for number in [(1, 7, 24), (2, 0, 5), (2, 1, 5), (2, 2, 0)] {
            assert!(able(number, true).is_err_and(|why| why.contains("2.1.9")), "{number:?}");
        }
        assert!(able((2, 1, 9), false).is_err_and(|why| why.contains("share no folder")));
    }

    #[test]
    fn what_a_container_was_is_told_as_containerd_reads_it() {
        let status = cri::ContainerStatus {
            metadata: Some(cri::ContainerMetadata { name: "redis".into(), attempt: 0 }),
            image: Some(cri::ImageSpec { image: "localhost:5000/redis:1".into(), ..Default::default() }),
            image_ref: "localhost:5000/redis@sha256:01".into(),
            created_at: 1,
            started_at: 2,
            ..Default::default()
        };
        let [config, spec, status] = dumps(&status, "abc", json!({"ociVersion": "1.2.0"}));
        assert_eq!((config.0, spec.0, status.0), ("config.dump", "spec.dump", "status.dump"));
        assert_eq!(config.1["rootfsImageRef"], "localhost:5000/redis@sha256:01");
        assert_eq!(spec.1["ociVersion"], "1.2.0");
        assert_eq!(status.1["annotations"], json!({}), "never null: containerd would write into a nil map");
        assert_eq!((&status.1["state"], &status.1["started_at"]), (&json!(1), &json!(2)));
    }
}
