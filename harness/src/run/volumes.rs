//! Volumes: folders of nodes that outlive containers. They are made when a container first asks for them and go with the
//! case.

use super::case::CaseRun;
use super::world::World;
use crate::archive;
use crate::engine::Mount;
use crate::record::{Chain, ErrorClass, Failure, Leak};
use crate::scenario::plan::{Given, Mounts};
use std::io;
use std::path::{Path, PathBuf};

/// Where the volumes of a node are, on its disk.
const LOCAL: &str = "/data/volumes";

impl CaseRun<'_> {
    /// What a container of a workload gets mounted on a node; folders that are not there yet are made, empty.
    pub(super) fn mounts(&mut self, workload: &str, node: &str, given: &Given) -> Result<Vec<Mount>, Failure> {
        let own: &Mounts = &self.case.workloads[workload].volumes;
        let wanted = given.volumes.as_ref().unwrap_or(own);
        let mut mounts = Vec::new();
        for (volume, target) in wanted {
            let source = self.volume(volume, node)?;
            mounts.push(Mount { source, target: PathBuf::from(target) });
        }
        Ok(mounts)
    }

    /// The folder of a volume on a node, made if it is not there.
    fn volume(&mut self, volume: &str, node: &str) -> Result<PathBuf, Failure> {
        let name = format!("{}-{volume}", self.tag);
        let home = if self.case.volumes[volume].shared { self.world.shared_dir(node) } else { Some(LOCAL.into()) };
        let home = home.ok_or_else(|| Failure {
            hint: Some("give the volume `shared: false` and copy it with `copyVolume`".to_owned()),
            ..Failure::surroundings(format!("node {node} has no folder that other nodes see, for volume {volume}"))
        })?;
        let path = home.join(name);
        let there = on_host(self.world, node, &path)?;
        std::fs::create_dir_all(&there)
            .map_err(|e| Failure::surroundings(format!("can't make volume {volume} on node {node}: {e}")))?;
        self.volumes.insert((node.to_owned(), path.clone()));
        Ok(path)
    }

    /// Copies what is in a volume; what the target's held before is gone.
    pub(super) async fn copy_volume(&mut self, volume: &str, from: &str, to: &str) -> Result<(), Failure> {
        // Nodes are made when something is first asked of them.
        self.world.engine(self.case.engine, to).await?;
        let (source, target) = (self.volume(volume, from)?, self.volume(volume, to)?);
        let (source, target) = (on_host(self.world, from, &source)?, on_host(self.world, to, &target)?);
        let copied = tokio::task::spawn_blocking(move || {
            std::fs::remove_dir_all(&target).map_err(|e| archive::ArchiveError::io("write", &target, e))?;
            archive::copy(&source, &target)
        });
        let what = format!("can't copy volume {volume} from {from} to {to}");
        match copied.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => {
                let class = if e.class() == ErrorClass::NoSpace { e.class() } else { ErrorClass::Surroundings };
                Err(Failure::new(class, format!("{what}: {}", Chain(&e))))
            }
            Err(e) => Err(Failure::surroundings(format!("{what}: {e}"))),
        }
    }

    /// Removes all volumes, and says which would not go.
    pub(super) fn remove_volumes(&mut self) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for (node, path) in std::mem::take(&mut self.volumes) {
            if let Err(e) = self.world.remove_path(&node, &path, true) {
                let name = format!("{} on {node}", path.display());
                leaks.push(Leak { kind: "volume".to_owned(), name, reason: e.to_string() });
            }
        }
        leaks
    }
}

fn on_host(world: &World, node: &str, path: &Path) -> Result<PathBuf, Failure> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, "the node is gone");
    world
        .host_path(node, path)
        .ok_or_else(|| Failure::surroundings(format!("can't reach {} on node {node}: {}", path.display(), gone())))
}
