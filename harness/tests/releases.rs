//! Releases, got over HTTP from a server of the test's own: what comes whole is taken, and nothing else.

use flate2::Compression;
use flate2::write::GzEncoder;
use podferry::component::{Built, Cache, ComponentError, Fault, Wanted, build, fetch, verify};
use podferry::record::Chain;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A program that says a version, in the place of one of the stack.
const PROGRAM: &str = "/bin/true";

/// What the server answers to a path.
enum Answer {
    Whole(Vec<u8>),
    /// Half of it, under the length of all.
    Cut(Vec<u8>),
    Status(&'static str),
    Moved(&'static str),
}

struct Server {
    at: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn up(answers: BTreeMap<&'static str, Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answers) = (Arc::clone(&asked), Arc::new(answers));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (count, answers) = (Arc::clone(&count), Arc::clone(&answers));
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    let read = stream.read(&mut request).await.unwrap();
                    let text = String::from_utf8_lossy(&request[..read]).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or_default();
                    count.fetch_add(1, Ordering::Relaxed);
                    let head = |status: &str, length: usize, more: &str| {
                        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
                    };
                    let (head, body) = match answers.get(path) {
                        Some(Answer::Whole(body)) => (head("200 OK", body.len(), ""), &body[..]),
                        Some(Answer::Cut(body)) => (head("200 OK", body.len(), ""), &body[..body.len() / 2]),
                        Some(Answer::Status(status)) => (head(status, 0, ""), &[][..]),
                        Some(Answer::Moved(to)) => (head("302 Found", 0, &format!("Location: {to}\r\n")), &[][..]),
                        None => (head("404 Not Found", 0, ""), &[][..]),
                    };
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(body).await;
                });
            }
        });
        Server { at, asked }
    }

    /// `NAME=release@...` of a path.
    fn wanted(&self, name: &str, path: &str, sha256: &str, more: &str) -> Wanted {
        Wanted::read(&format!("{name}=release@{}{path}#sha256={sha256}{more}", self.at)).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A tar with the program under each of these paths, and a text.
fn tar(paths: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    add("README.md", b"hello");
    let program = fs::read(PROGRAM).unwrap();
    paths.iter().for_each(|path| add(path, &program));
    tar.into_inner().unwrap()
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gz, tar).unwrap();
    gz.finish().unwrap()
}

fn kept(cache: &Path) -> usize {
    fs::read_dir(cache.join("components")).map_or(0, Iterator::count)
}

fn runs(built: &Built) -> bool {
    std::process::Command::new(&built.path).status().unwrap().success()
        && fs::metadata(&built.path).unwrap().permissions().mode() & 0o777 == 0o755
}

#[tokio::test]
async fn a_release_is_got_once_and_is_what_its_digest_says() {
    let program = fs::read(PROGRAM).unwrap();
    let archive = packed(&tar(&["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"]));
    let zst = zstd::encode_all(&tar(&["x/runc.amd64", "y/runc"])[..], 1).unwrap();
    let digests = [sha256(&program), sha256(&archive), sha256(&zst)];
    let answers = [
        ("/runc", Answer::Whole(program.clone())),
        ("/latest", Answer::Moved("/runc")),
        ("/c.tar.gz", Answer::Whole(archive)),
        ("/r.tar.zst", Answer::Whole(zst)),
    ];
    let server = Server::up(answers.into()).await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());

    let plain = server.wanted("runc", "/latest", &digests[0], "");
    assert_eq!(verify(&plain, &cache).unwrap(), None);
    let built = build(&plain, &cache, &()).await.unwrap();
    assert!(built.now && runs(&built), "{built:?}");
    assert_eq!(built.record.digest, format!("sha256:{}", digests[0]));
    assert_eq!(built.record.source, format!("release {}/latest sha256:{}", server.at, digests[0]));
    let says = std::process::Command::new(PROGRAM).arg("--version").output().unwrap().stdout;
    assert!(String::from_utf8(says).unwrap().contains(&built.record.version), "{}", built.record.version);

    // What it is names it, and not where it lies.
    let asked = server.asked();
    let again = build(&server.wanted("runc", "/elsewhere", &digests[0], ""), &cache, &()).await.unwrap();
    assert_eq!((again.now, &again.path, server.asked()), (false, &built.path, asked));
    assert!(verify(&plain, &cache).unwrap().unwrap().is_ok());

    let containerd = server.wanted("containerd", "/c.tar.gz", &digests[1], "");
    fetch(&containerd, &cache, &()).await.unwrap();
    let built = build(&containerd, &cache, &()).await.unwrap();
    assert!(!built.now && runs(&built), "it was fetched: {built:?}");
    let names: Vec<_> = fs::read_dir(built.path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.contains(&"containerd-shim-runc-v2".into()), "its shim comes along: {names:?}");
    assert!(!names.contains(&"ctr".into()) && !names.contains(&".download".into()), "{names:?}");

    let member = server.wanted("runc", "/r.tar.zst", &digests[2], "&member=x/runc.amd64");
    assert!(runs(&build(&member, &cache, &()).await.unwrap()));
    assert_eq!(kept(cache.dir()), 3);
}

#[tokio::test]
async fn what_is_not_whole_or_another_file_is_told_and_not_kept() {
    let program = fs::read(PROGRAM).unwrap();
    let (good, length) = (sha256(&program), program.len());
    let twice = packed(&tar(&["a/runc", "b/runc"]));
    let none = packed(&tar(&["a/crun"]));
    let (of_twice, of_none) = (sha256(&twice), sha256(&none));
    let answers = [
        ("/good", Answer::Whole(program.clone())),
        ("/cut", Answer::Cut(program)),
        ("/down", Answer::Status("503 Service Unavailable")),
        ("/twice", Answer::Whole(twice)),
        ("/none", Answer::Whole(none)),
        ("/text", Answer::Whole(b"<html>sign in</html>".to_vec())),
    ];
    let server = Server::up(answers.into()).await;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let error = async |path: &str, sha256: &str, more: &str| -> ComponentError {
        let error = build(&server.wanted("runc", path, sha256, more), &cache, &()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Surroundings);
        assert!(error.hint().is_some() && kept(cache.dir()) == 0, "{error}");
        error
    };
    let said = |error: &ComponentError| Chain(error).to_string().replace(&server.at, "AT");

    let zeros = "0".repeat(64);
    let other = error("/good", &zeros, "").await;
    let why = format!("it is another file: its sha256 is {good}, expected {zeros}");
    assert_eq!(said(&other), format!("can't get runc from AT/good: {why}"));
    let cut = said(&error("/cut", &good, "").await);
    let broke = format!("can't get runc from AT/cut: it broke off after {} of {length} bytes: ", length / 2);
    assert!(cut.starts_with(&broke), "{cut}");
    let gone = said(&error("/gone", &good, "").await);
    assert_eq!(gone, "can't get runc from AT/gone: the server answers 404 Not Found");
    let down = said(&error("/down", &good, "").await);
    assert_eq!(down, "can't get runc from AT/down: the server answers 503 Service Unavailable");

    let none = said(&error("/none", &of_none, "").await);
    assert_eq!(none, "can't get runc from AT/none: no runc is in it; there are README.md, a/crun");
    let twice = said(&error("/twice", &of_twice, "").await);
    let which = "2 files of this name are in it: say which by &member=PATH";
    assert_eq!(twice, format!("can't get runc from AT/twice: {which}"));
    let text = said(&error("/text", &sha256(b"<html>sign in</html>"), "").await);
    assert!(text.starts_with("can't get runc from AT/text: it is no archive that can be read: "), "{text}");

    let nobody = Wanted::read(&format!("runc=release@http://127.0.0.1:1/runc#sha256={good}")).unwrap();
    let nobody = build(&nobody, &cache, &()).await.unwrap_err();
    let nobody = Chain(&nobody).to_string();
    assert!(nobody.starts_with("can't get runc from http://127.0.0.1:1/runc: no answer: "), "{nobody}");
    assert!(nobody.contains("Connection refused"), "{nobody}");
    let unknown = build(&server.wanted("nothing", "/good", &good, ""), &cache, &()).await.unwrap_err();
    assert_eq!(
        (unknown.to_string().as_str(), unknown.fault()),
        ("podferry builds no component `nothing`", Fault::Usage)
    );
}
