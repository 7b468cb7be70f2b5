//! Talking to the API server: a client, and waiting for an object to be as it should.

use super::failure;
use super::pki::{Authority, Identity};
use crate::record::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryFutureExt};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{WatchEvent, WatchParams};
use kube::config::AuthInfo;
use kube::{Config, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::{Duration, Instant};

pub use kube::Api;

/// A loopback connection is there at once, or refused.
const CONNECT: Duration = Duration::from_secs(5);

/// A client of a server that this authority vouches for. `server`: the name that its certificate must be for, where that
/// is not the one that it is reached by. It has no time limits of its own: a checkpoint must not be given up.
pub(super) fn client(
    url: &str,
    server: Option<String>,
    authority: &Authority,
    identity: &Identity,
) -> Result<kube::Client, Failure> {
    let url = url.parse().map_err(|e| failure("can't make a client of the API server", &e))?;
    let mut config = Config::new(url);
    config.root_cert = Some(vec![authority.der()]);
    config.tls_server_name = server;
    unlimited(&mut config);
    config.auth_info = AuthInfo {
        client_certificate_data: Some(STANDARD.encode(&identity.certificate)),
        client_key_data: Some(STANDARD.encode(&identity.key).into()),
        ..AuthInfo::default()
    };
    kube::Client::try_from(config).map_err(|e| failure("can't make a client of the API server", &e))
}

/// Takes the time limits off, and the retries.
pub(super) fn unlimited(config: &mut Config) {
    config.connect_timeout = Some(CONNECT);
    (config.read_timeout, config.write_timeout) = (None, None);
    // It would make the same call again when it is told 503, fifteen times and over hours: also that for a checkpoint, of a
    // kubelet that is not there (kube 5.0).
    config.default_retry = false;
}

/// That it is not there is no error for who wants it to be gone.
pub(super) fn gone_is_fine<T>(done: kube::Result<T>) -> kube::Result<()> {
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop),
    }
}

/// Why what was waited for did not come.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The API server refused, or did not answer.
    #[error("the API server says: {0}")]
    Api(#[from] Box<kube::Error>),
    /// It took too long.
    #[error("waited {0:?} for it")]
    Late(Duration),
    /// It never will be.
    #[error("{0}")]
    Never(String),
}

/// Watches an object of this name until `look` has found what it looks for in it. It is given `None` while there is no such
/// object. What `look` returns as an error ends the waiting.
///
/// # Errors
/// The API server does not answer, the time is up, or `look` says that it will never be.
pub async fn wait_for<K, T>(
    api: &Api<K>,
    name: &str,
    limit: Duration,
    mut look: impl FnMut(Option<&K>) -> Result<Option<T>, String>,
) -> Result<T, WaitError>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let from = Instant::now();
    let all = async {
        loop {
            let now = api.get_opt(name).map_err(Box::new).await?;
            if let Some(found) = look(now.as_ref()).map_err(WaitError::Never)? {
                return Ok(found);
            }
            // From what was seen just now on; of an object that is not there, from its making.
            let version = now.and_then(|k| k.meta().resource_version.clone()).unwrap_or_else(|| "0".to_owned());
            let params = WatchParams::default().fields(&format!("metadata.name={name}"));
            let mut events = Box::pin(api.watch(&params, &version).map_err(Box::new).await?);
            while let Some(event) = events.next().await {
                let seen = match event.map_err(Box::new)? {
                    WatchEvent::Added(k) | WatchEvent::Modified(k) => look(Some(&k)),
                    WatchEvent::Deleted(_) => look(None),
                    WatchEvent::Bookmark(_) => continue,
                    // What was seen is too old to go on from: it is looked at anew.
                    WatchEvent::Error(_) => break,
                };
                if let Some(found) = seen.map_err(WaitError::Never)? {
                    return Ok(found);
                }
            }
        }
    };
    tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err(WaitError::Late(from.elapsed())))
}

/// Objects of the namespace that podferry's pods are in.
pub(super) fn own<K>(client: kube::Client) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(client, super::NAMESPACE)
}
