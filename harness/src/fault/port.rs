use super::{Fault, failed};
use crate::engine::Engine;
use crate::record::Failure;
use async_trait::async_trait;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// A port of a new container's network that something else listens on: the harness itself.
pub(super) struct Port {
    engine: Arc<dyn Engine>,
    port: u16,
    /// The container that is being made.
    newcomer: String,
    held: Mutex<Option<TcpListener>>,
}

impl Port {
    pub(super) fn new(engine: Arc<dyn Engine>, port: u16, newcomer: String) -> Self {
        Port { engine, port, newcomer, held: Mutex::default() }
    }
}

#[async_trait]
impl Fault for Port {
    async fn strike(&self) -> Result<(), Failure> {
        let Port { engine, port, newcomer, held } = self;
        let network = engine.network(newcomer).await?;
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
        let doing = || format!("listen on port {port} in the network of {newcomer}");
        let listener = engine.node().listen_in(&network, address).map_err(|e| failed(doing(), e))?;
        *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        Ok(())
    }

    async fn mend(&self) -> Result<(), Failure> {
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}
