use super::{Registry, RegistryHandle, parse};
use crate::image::store::{Settings, digest_of};
use crate::image::{Image, Store};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn serve() -> (TempDir, Arc<Store>, RegistryHandle) {
    let dir = tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let handle = Registry::serve(vec![Arc::clone(&store)], TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    (dir, store, handle)
}

fn publish(store: &Store, text: &[u8]) -> Image {
    let layer = store.put(text).unwrap();
    store.publish("podferry/x", &Settings::default(), &[layer], &[]).unwrap()
}

/// Head (lower case) and body of the answer, by a connection of its own.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn an_image_is_pulled_by_tag_and_by_digest() {
    let (_dir, store, registry) = serve();
    let image = publish(&store, b"the layer");
    let (_, tag) = image.reference.rsplit_once(':').unwrap();
    for name in [tag, image.digest.as_str()] {
        let path = format!("/v2/podferry/x/manifests/{name}");
        let (head, body) = ask(registry.address(), "GET", &path).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/vnd.oci.image.manifest.v1+json"), "{head}");
        assert!(head.contains(&format!("docker-content-digest: {}", image.digest)), "{head}");
        assert_eq!(digest_of(&body), image.digest);
        let (head, none) = ask(registry.address(), "HEAD", &path).await;
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(none.is_empty());
        let manifest: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let (head, bytes) = ask(registry.address(), "GET", &format!("/v2/podferry/x/blobs/{layer}")).await;
        assert!(head.contains("content-length: 9"), "{head}");
        assert_eq!(bytes, b"the layer");
    }
}

#[tokio::test]
async fn images_added_later_are_served() {
    let (_dir, store, registry) = serve();
    publish(&store, b"one");
    let later = publish(&store, b"two");
    let path = format!("/v2/podferry/x/manifests/{}", later.digest);
    assert!(ask(registry.address(), "HEAD", &path).await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn it_answers_nothing_else() {
    let (_dir, store, registry) = serve();
    let image = publish(&store, b"x");
    let at = registry.address();
    assert!(ask(at, "GET", "/v2/").await.0.starts_with("http/1.1 200"));
    let nothing = [
        "/".to_owned(),
        "/v2/podferry/x/manifests/latest".to_owned(),
        format!("/v2/podferry/y/manifests/{}", image.digest),
        format!("/v2/podferry/x/manifests/sha256:{}", "0".repeat(64)),
        "/v2/podferry/../podferry/x/manifests/latest".to_owned(),
        "/v2/podferry/x/blobs/../../../etc/passwd".to_owned(),
        "/v2/podferry/x/blobs/sha256:../../tags/podferry".to_owned(),
        "/v2/podferry/x/tags/list".to_owned(),
    ];
    for path in nothing {
        let (head, _) = ask(at, "GET", &path).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
    for method in ["PUT", "POST", "PATCH", "DELETE"] {
        let (head, body) = ask(at, method, "/v2/podferry/x/blobs/uploads/").await;
        assert!(head.starts_with("http/1.1 405"), "{head}");
        assert!(String::from_utf8_lossy(&body).contains("read-only"));
    }
}

#[tokio::test]
async fn it_ends_with_its_handle() {
    let (_dir, _store, registry) = serve();
    let at = registry.address();
    drop(registry);
    let gone = async {
        while tokio::net::TcpStream::connect(at).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.expect("the registry went on");
}

#[test]
fn repositories_may_have_slashes() {
    assert_eq!(parse("/v2/a/b/c/manifests/t"), Some(("a/b/c", "manifests", "t")));
    assert_eq!(parse("/v2/manifests/t"), None);
    assert_eq!(parse("/v2/a/uploads/t"), None);
}
