//! A cluster that is there already, by a kubeconfig and a context of the user's: nothing of podferry's is in it but one
//! namespace.

use super::control_plane::Ends;
use super::{Cluster, api, failure};
use crate::record::Failure;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::Path;
use std::sync::Arc;
use tower::{BoxError, ServiceBuilder};

/// The contexts that a kubeconfig has.
///
/// # Errors
/// It can't be read, or is none.
pub fn contexts(kubeconfig: &Path) -> Result<Vec<String>, Failure> {
    Ok(read(kubeconfig)?.contexts.into_iter().map(|context| context.name).collect())
}

/// The API server of a context, as the user whom that names. The context that the file calls the current one is never taken.
///
/// # Errors
/// The file can't be read, or has no such context, or what that names is not to be had.
pub async fn client_of(kubeconfig: &Path, context: &str) -> Result<kube::Client, Failure> {
    let config = config(kubeconfig, context).await?;
    kube::Client::try_from(config).map_err(|e| failure(&cannot(kubeconfig, context), &e))
}

/// The same for streams of small messages: each is sent at once, where kube's own client (5.0) leaves the kernel to gather them,
/// which takes 40 ms for every other one. By a proxy there is no such client, and it is kube's own.
///
/// # Errors
/// As [`client_of`].
pub(crate) async fn prompt_client_of(kubeconfig: &Path, context: &str) -> Result<kube::Client, Failure> {
    let config = config(kubeconfig, context).await?;
    let made = if config.proxy_url.is_some() { kube::Client::try_from(config) } else { prompt(&config) };
    made.map_err(|e| failure(&cannot(kubeconfig, context), &e))
}

fn prompt(config: &Config) -> kube::Result<kube::Client> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let service = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(service);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

async fn config(kubeconfig: &Path, context: &str) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read(kubeconfig)?, &options).await;
    let mut config = config.map_err(|e| failure(&cannot(kubeconfig, context), &e))?;
    api::unlimited(&mut config);
    Ok(config)
}

fn cannot(kubeconfig: &Path, context: &str) -> String {
    format!("can't use the context {context} of {}", kubeconfig.display())
}

fn read(kubeconfig: &Path) -> Result<Kubeconfig, Failure> {
    let cannot = format!("can't read the kubeconfig {}", kubeconfig.display());
    Kubeconfig::read_from(kubeconfig).map_err(|e| failure(&cannot, &e))
}

impl Cluster {
    /// What `client` may do in a namespace that is there.
    pub fn existing(client: kube::Client, namespace: String) -> Arc<Cluster> {
        Arc::new(Cluster {
            node: None,
            namespace,
            authority: None,
            admin: client.clone(),
            client,
            _ends: Ends::default(),
            _relay: None,
        })
    }
}
