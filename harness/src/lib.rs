//! podferry: an end-to-end test and simulation harness for checkpoint, restore and migration of stateful containers
//! and pods. ARCHITECTURE.md is the map.

pub mod archive;
pub mod bench;
pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod component;
pub mod doctor;
pub mod engine;
mod fault;
pub mod image;
pub mod ledger;
pub mod node;
pub mod perf;
pub mod process;
pub mod provider;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stats;
pub mod survey;
pub mod testbed;
pub mod workload;
