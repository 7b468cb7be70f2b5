//! A file from an address, by its digest.

use super::Progress;
use super::error::ComponentError;
use crate::record::Chain;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(30);
/// Without a byte for so long it has broken off.
const SILENCE: Duration = Duration::from_secs(60);
const MIB: f64 = 1024.0 * 1024.0;

/// Gets a file and looks at its digest; nobody is to use what is there when this fails. Proxies are taken from the usual
/// variables, certificates are judged by the system's.
pub(super) async fn download(
    name: &str,
    url: &str,
    sha256: &str,
    into: &Path,
    progress: &dyn Progress,
) -> Result<(), ComponentError> {
    let failed = |reason: String, remedy: &str| ComponentError::Download {
        name: name.to_owned(),
        url: url.to_owned(),
        reason,
        remedy: remedy.to_owned(),
    };
    let broken = |e: reqwest::Error, what: &str| failed(format!("{what}: {}", Chain(&e.without_url())), NETWORK);
    let client = client().map_err(|e| broken(e, "no client can be made"))?;
    let mut response = client.get(url).send().await.map_err(|e| broken(e, "no answer"))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answers {}", response.status()), ADDRESS));
    }
    let whole = response.content_length();
    let of = whole.map(|bytes| format!(" of {bytes}")).unwrap_or_default();
    let write = || ComponentError::io("can't write", into);
    let mut file = File::create(into).map_err(write())?;
    let (mut hash, mut got) = (Sha256::new(), 0u64);
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|e| broken(e, &format!("it broke off after {got}{of} bytes")))? else { break };
        file.write_all(&chunk).map_err(write())?;
        hash.update(&chunk);
        got += chunk.len() as u64;
        let all = whole.map(|bytes| format!(" of {:.0}", bytes as f64 / MIB)).unwrap_or_default();
        progress.update(&format!("component {name}: {:.0}{all} MiB", got as f64 / MIB));
    }
    let digest: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    match digest == sha256 {
        true => Ok(()),
        false => Err(failed(format!("it is another file: its sha256 is {digest}, expected {sha256}"), OTHER)),
    }
}

const NETWORK: &str = "try again, or get the file yourself and give its program by --component NAME=PATH";
const ADDRESS: &str = "look at the address; a program of your own is taken by --component NAME=PATH";
const OTHER: &str = "nothing of it was kept; if its makers say that this is the digest, give that one";

fn client() -> reqwest::Result<reqwest::Client> {
    static PROVIDER: Once = Once::new();
    // The one that the client of Kubernetes takes too; fails if somebody chose one before, which does as well.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let named = concat!("podferry/", env!("CARGO_PKG_VERSION"));
    reqwest::Client::builder().user_agent(named).connect_timeout(CONNECT).read_timeout(SILENCE).build()
}
