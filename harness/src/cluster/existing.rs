//! A cluster that is there already, by a kubeconfig and a context of the user's: nothing of podferry's is in it but one
//! namespace.

use super::control_plane::Ends;
use super::{Cluster, api, failure};
use crate::record::Failure;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::Path;
use std::sync::Arc;

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
    let cannot = format!("can't use the context {context} of {}", kubeconfig.display());
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read(kubeconfig)?, &options).await;
    let mut config = config.map_err(|e| failure(&cannot, &e))?;
    api::unlimited(&mut config);
    kube::Client::try_from(config).map_err(|e| failure(&cannot, &e))
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
