//! Containers and processes that bare scripts work on: the same images, arguments and data as those of the cases.

use super::bed::Bed;
use super::{Bench, blocking, broke};
use crate::engine::{Container, ContainerSpec, Engine};
use crate::image::{Image, NodeRoot, WorkloadBinaries};
use crate::provider::Provider;
use crate::record::{CriuChoices, Failure};
use crate::workload::{Target, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const READY: Duration = Duration::from_secs(60);
const LOAD: Duration = Duration::from_secs(300);

/// A workload of the catalogue with its image.
pub(super) struct Program {
    pub(super) workload: Arc<Workload>,
    pub(super) image: Arc<Image>,
}

impl Program {
    pub(super) async fn new(bench: &Bench, kind: &str, with: &[(&str, String)]) -> Result<Program, Failure> {
        let with: BTreeMap<String, String> = with.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let workload = Workload::new(kind, &with)?;
        let root = NodeRoot { dir: &bench.image.rootfs, key: &bench.image.key };
        let image = workload.image(&bench.stores.lasting, root, &WorkloadBinaries::find()).await;
        let image = image.map_err(|e| broke(format!("can't make the image of {kind}"), &e))?;
        Ok(Program { workload: Arc::new(workload), image: Arc::new(image) })
    }

    pub(super) fn spec(&self, name: &str) -> ContainerSpec {
        ContainerSpec {
            name: name.to_owned(),
            image: Arc::clone(&self.image),
            args: self.workload.args.clone(),
            env: Vec::new(),
            user: 0,
            memory_limit: None,
            mounts: Vec::new(),
            criu: CriuChoices::default(),
            without: BTreeSet::new(),
        }
    }

    /// Starts it by an engine, waits until it answers and fills it.
    pub(super) async fn start(&self, bed: &Bed, engine: &Arc<dyn Engine>, name: &str) -> Result<Container, Failure> {
        let slot = engine.prepare(&self.spec(name)).await?;
        let container = engine.start(&slot).await?;
        self.fill(bed, slot.address).await?;
        Ok(container)
    }

    /// Waits until it answers at an address, and fills it.
    pub(super) async fn fill(&self, bed: &Bed, address: Ipv4Addr) -> Result<(), Failure> {
        let target = Target { connect: Arc::new(bed.vantage()), address, log: PathBuf::new() };
        let workload = Arc::clone(&self.workload);
        let filled = blocking(move || {
            workload.ready(&target, READY)?;
            workload.load(&target, LOAD)
        });
        filled.await?.map_err(|e| broke("a workload of the benchmark does not answer", &e))
    }
}
