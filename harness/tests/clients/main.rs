//! Clients against real servers on loopback: a real redis from the node image (needs root, to enter it), and
//! plain sockets that misbehave on purpose.
#![expect(clippy::print_stderr, reason = "figures are shown")]

mod accuracy;
mod follower;
#[path = "../node_image/mod.rs"]
mod node_image;
mod redis;
mod server;
mod switching;

use podferry::client::{Client, ClientConfig, DEFAULT_MAX_OPS, Endpoint, Kind};
use podferry::clock;
use podferry::record::{At, History, OpOutcome};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn config(kind: Kind, instance: &str, endpoint: Endpoint) -> ClientConfig {
    ClientConfig {
        name: "test".to_owned(),
        kind,
        interval: MS,
        op_timeout: None,
        instance: instance.to_owned(),
        endpoint,
        vantage: Arc::new(|| Ok(())),
        max_ops: DEFAULT_MAX_OPS,
    }
}

fn start(kind: Kind, instance: &str, address: SocketAddr) -> Client {
    Client::start(config(kind, instance, Endpoint::Tcp(address))).unwrap()
}

fn soon() -> At {
    clock::now() + Duration::from_secs(10)
}

fn wait_until(at: At) {
    std::thread::sleep(at.since(clock::now()));
}

fn count(history: &History, outcome: OpOutcome) -> usize {
    history.ops.iter().filter(|op| op.outcome == outcome).count()
}

/// What holds of every history: the schedule was kept, keys are the places on it, and stamps fit the outcome.
fn sound(history: &History) {
    for (i, op) in history.ops.iter().enumerate() {
        assert_eq!(op.key, i as u64);
        assert_eq!(
            op.intended,
            history.ops[0].intended + Duration::from_nanos(history.interval_ns) * i as u32,
            "op {i}"
        );
        match op.outcome {
            OpOutcome::Ok | OpOutcome::Error => assert!(op.intended <= op.sent && op.sent <= op.done, "{op:?}"),
            OpOutcome::Unknown => assert!(op.intended <= op.sent && op.done == At(0), "{op:?}"),
            OpOutcome::NotSent => assert!(op.sent == At(0) && op.done == At(0), "{op:?}"),
        }
    }
    assert_eq!(history.ended_early, None);
}
