//! A read-only registry over stores: just so much of the OCI distribution API as pulling needs.

use super::Store;
use super::store::MANIFEST;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::io::ReaderStream;

/// Serves images to a node.
///
/// A node's containerd pulls by tag once and asks by digest at each restore: containerd 2.1 sends a HEAD for the base
/// image of every checkpoint, even when it has the image. So it must be up for as long as the node restores.
#[derive(Debug)]
pub struct Registry;

/// A registry that is up; it ends when this is dropped.
#[derive(Debug)]
pub struct RegistryHandle {
    address: SocketAddr,
    changes: Changes,
    task: tokio::task::JoinHandle<()>,
}

impl Registry {
    /// Serves what the stores hold, now and later, to whom connects to `listener`. That socket decides where the
    /// registry can be reached: made inside a node's network namespace, only that node sees it. Needs a tokio runtime.
    pub fn serve(stores: Vec<Arc<Store>>, listener: TcpListener) -> io::Result<RegistryHandle> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let changes = Changes::default();
        let served = Served { stores, changes: changes.clone() };
        let app = Router::new().fallback(answer).with_state(Arc::new(served));
        let task = tokio::spawn(async move {
            // Ends with an error only if accepting does, and then there is nobody to tell.
            let _ = axum::serve(listener, app).await;
        });
        Ok(RegistryHandle { address, changes, task })
    }
}

/// What a registry does not serve, or serves under another image's name.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Mutex<Vec<Change>>>);

#[derive(Debug)]
struct Change {
    hidden: String,
    /// `repository:tag`, without the registry.
    tag: String,
    instead: Option<String>,
}

impl Changes {
    /// Serves the image of this digest no more, by tag or by digest; under its reference's tag, if `instead` is given,
    /// the image of that digest.
    pub fn hide(&self, digest: &str, reference: &str, instead: Option<String>) {
        let tag = reference.split_once('/').map_or(reference, |(_, tag)| tag).to_owned();
        self.all().push(Change { hidden: digest.to_owned(), tag, instead });
    }

    /// Serves the image of this digest again.
    pub fn undo(&self, digest: &str) {
        self.all().retain(|change| change.hidden != digest);
    }

    /// The digest of the image to be served by this name, if any: the one that is kept under it, unless told otherwise.
    fn of(&self, repository: &str, name: &str, kept: Option<String>) -> Option<String> {
        let all = self.all();
        let tag = format!("{repository}:{name}");
        match all.iter().find(|change| change.tag == tag) {
            Some(change) => change.instead.clone(),
            None => kept.filter(|digest| !all.iter().any(|change| change.hidden == *digest)),
        }
    }

    fn hides(&self, digest: &str) -> bool {
        self.all().iter().any(|change| change.hidden == digest)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Served {
    stores: Vec<Arc<Store>>,
    changes: Changes,
}

impl RegistryHandle {
    /// What can be changed of what it serves.
    pub fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RegistryHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(served): State<Arc<Served>>, method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read-only");
    }
    let head = method == Method::HEAD;
    let path = uri.path();
    if matches!(path, "/v2" | "/v2/") {
        return (StatusCode::OK, [("docker-distribution-api-version", "registry/2.0")], "{}").into_response();
    }
    let Some((repository, kind, name)) = parse(path) else {
        return refuse(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "no such path");
    };
    for store in &served.stores {
        let found = match kind {
            "manifests" => served.changes.of(repository, name, store.resolve(repository, name)).map(|d| (d, MANIFEST)),
            // Whose manifest is not to be had asks for it as a blob (containerd 2.1).
            _ if served.changes.hides(name) => None,
            _ => Some((name.to_owned(), "application/octet-stream")),
        };
        if let Some((digest, media_type)) = found
            && let Some(file) = store.blob(&digest)
        {
            return send(&file, &digest, media_type, head).await;
        }
    }
    match kind {
        "manifests" => refuse(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &format!("no image {repository} {name}")),
        _ => refuse(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", &format!("no blob {name}")),
    }
}

/// `/v2/<repository, with slashes>/<manifests or blobs>/<tag or digest>`.
fn parse(path: &str) -> Option<(&str, &str, &str)> {
    let (rest, name) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
    let (repository, kind) = rest.rsplit_once('/')?;
    matches!(kind, "manifests" | "blobs").then_some((repository, kind, name))
}

async fn send(file: &Path, digest: &str, media_type: &str, head: bool) -> Response {
    let opened = async {
        let file = tokio::fs::File::open(file).await?;
        let length = file.metadata().await?.len();
        io::Result::Ok((file, length))
    };
    let (file, length) = match opened.await {
        Ok(found) => found,
        Err(e) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &e.to_string()),
    };
    let body = if head { Body::empty() } else { Body::from_stream(ReaderStream::with_capacity(file, 256 << 10)) };
    Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, length)
        .header("docker-content-digest", digest)
        .body(body)
        .unwrap_or_else(|e| refuse(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &e.to_string()))
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests;
