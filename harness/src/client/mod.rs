//! Clients: outside observers with a fixed schedule (open loop), each on a thread of its own.

use std::io;
use std::sync::Arc;

/// Takes the calling thread to where clients stand (for local nodes: into the network namespace that the nodes'
/// addresses can be reached from). Called once, at the start of a client's thread; sockets made there stay there.
pub type Vantage = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;
