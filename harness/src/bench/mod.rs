//! Measures podferry itself against bare controls: shell scripts that make the same nodes and call the same programs.
//! Side by side, interleaved in the order ABBA, in one run. A measurement, not a test: a goal that is missed is printed.

mod bed;
mod cluster;
mod containers;
mod downtime;
mod lint;
mod nodes;
mod outage;
mod overhead;
mod script;
mod strategies;
mod table;
mod tricks;

pub use table::{Comparison, Goal, Row, Table};

use crate::component::NodeImage;
use crate::provider::local::{LocalConfig, LocalProvider};
use crate::record::{Chain, Failure};
use crate::run::Stores;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum What {
    /// Two nodes up and answering, against a bare shell script
    Nodes,
    /// A Kubernetes cluster with two workers (wants --kubernetes)
    Cluster,
    /// What the harness adds to the engine calls of a migration
    Overhead,
    /// Downtime of redis, against bare runc and bare criu
    Downtime,
    /// Strategies of migration, against the plain way of containerd
    Strategies,
    /// What each trick is worth that keeps a migration short
    Tricks,
    /// The error of a measured outage
    Outage,
    /// Checking 10,000 scenarios
    Lint,
}

impl What {
    /// All of them that need no cluster, in the order in which they are measured.
    pub const ALL: [What; 7] =
        [What::Nodes, What::Overhead, What::Downtime, What::Strategies, What::Tricks, What::Outage, What::Lint];
}

/// With what to measure.
pub struct Bench {
    /// What nodes are made of. One provider lives at a time, so all may bear one name.
    pub nodes: LocalConfig,
    /// The node image.
    pub image: NodeImage,
    /// Images of the workloads.
    pub stores: Stores,
    /// Scratch: events of the cases that are run. It goes with the run.
    pub dir: PathBuf,
    /// How many samples of each side.
    pub pairs: usize,
    /// The smallest data set of redis, in MiB.
    pub smallest: u64,
    /// The largest data set of redis, in MiB.
    pub largest: u64,
}

impl Bench {
    /// Measures one thing. `say` is told what is going on.
    ///
    /// # Errors
    /// Something broke, so that there is no measurement. All nodes are gone when this returns.
    pub async fn measure(&self, what: What, say: &(dyn Fn(&str) + Sync)) -> Result<Vec<Table>, Failure> {
        match what {
            What::Nodes => nodes::measure(self, say).await.map(|t| vec![t]),
            What::Cluster => cluster::measure(self, say).await.map(|t| vec![t]),
            What::Overhead => overhead::measure(self, say).await.map(|t| vec![t]),
            What::Downtime => downtime::measure(self, say).await,
            What::Strategies => strategies::measure(self, say).await,
            What::Tricks => tricks::measure(self, say).await.map(|t| vec![t]),
            What::Outage => outage::measure(self, say).await.map(|t| vec![t]),
            What::Lint => lint::measure(self, say).await.map(|t| vec![t]),
        }
    }

    /// The sizes, in MiB, that are asked for of these; the largest alone where it is below them all.
    fn sizes(&self, all: &[u64]) -> Vec<u64> {
        let asked: Vec<u64> = all.iter().copied().filter(|s| (self.smallest..=self.largest).contains(s)).collect();
        if asked.is_empty() { vec![self.largest] } else { asked }
    }

    fn provider(&self) -> Result<Arc<LocalProvider>, Failure> {
        LocalProvider::new(self.nodes.clone()).map(Arc::new)
    }
}

/// The order ABBA: true where the first side comes first.
fn first_goes_first(pair: usize) -> bool {
    pair.is_multiple_of(2)
}

/// Everything that goes wrong here is the surroundings' fault, or nobody can tell whose.
fn broke(what: impl std::fmt::Display, error: &dyn Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(error)))
}

fn broken(message: String) -> Failure {
    Failure::surroundings(message)
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| broke("a thread of the benchmark ended early", &e))
}
