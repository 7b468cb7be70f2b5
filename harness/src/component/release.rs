//! Programs that their makers publish: got by an address and a digest, out of an archive if they are in one.

use super::cache::Cache;
use super::download::download;
use super::error::ComponentError;
use super::manifest::says;
use super::program::{Birth, Built, cached};
use super::spec::short_digest;
use super::wanted::Release;
use super::{Progress, identity};
use crate::process::Exec;
use crate::record::{Chain, ComponentRecord, Millis};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

/// Version of how releases are taken here: another one takes all anew.
const TAKER: u32 = 1;
/// What is taken along of an archive if it is there: containerd and its shim speak a protocol of their own.
const BESIDE: [(&str, &str); 1] = [("containerd", "containerd-shim-runc-v2")];

/// What a program is taken from names it; not where that lies.
pub(super) fn key(name: &str, release: &Release) -> String {
    short_digest(&("release", TAKER, name, &release.sha256, &release.member))
}

/// A release out of the cache, or got now. Two runs that need one get it once.
pub(super) async fn get(
    name: &str,
    release: &Release,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, ComponentError> {
    let key = key(name, release);
    if let Some(built) = cached(cache, name, &key) {
        return Ok(built);
    }
    let _lock = cache.lock(&key, &format!("component {name}"), progress).await?;
    match cached(cache, name, &key) {
        Some(built) => Ok(built),
        None => take(name, release, &key, cache, progress).await,
    }
}

async fn take(
    name: &str,
    release: &Release,
    key: &str,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, ComponentError> {
    let from = Instant::now();
    let unfinished = cache.unfinished_program(key, progress)?;
    let got = unfinished.dir.join(".download");
    progress.say(&format!("component {name}: getting {} (kept in {})", release.url, cache.dir().display()));
    download(name, &release.url, &release.sha256, &got, progress).await?;
    let (into, of, of_name) = (unfinished.dir.clone(), release.clone(), name.to_owned());
    let unpacked = tokio::task::spawn_blocking(move || unpack(&of_name, &of, &got, &into)).await;
    unpacked.map_err(|e| ComponentError::io("can't unpack", &unfinished.dir)(io::Error::other(e)))??;
    let path = unfinished.dir.join(name);
    let version = version(name, &path, progress).await;
    let read = ComponentError::io("can't read", &path);
    let digest = File::open(&path).and_then(identity::digest).map_err(read)?;
    let member = release.member.iter().map(|member| format!(", {member} of it")).collect::<String>();
    let source = format!("release {} sha256:{}{member}", release.url, release.sha256);
    let record = ComponentRecord { name: name.to_owned(), version, source, digest };
    let built = Birth::now(&record, from).publish(cache, key, &unfinished)?;
    progress.say(&format!("component {name}: got in {}", Millis::from(from.elapsed())));
    Ok(built)
}

/// What it says of itself. One that needs what only a node has is asked there, before it is used.
async fn version(name: &str, program: &Path, progress: &dyn Progress) -> String {
    let said = Exec::new(program).args(says(name)).run().await;
    match said {
        Ok(said) => {
            let said = identity::said(&said);
            identity::version_in(&said).unwrap_or_else(|| said.lines().take(1).collect())
        }
        Err(e) => {
            progress.say(&format!("component {name}: it does not say its version on this host: {}", Chain(&e)));
            "unknown".to_owned()
        }
    }
}

/// Puts the program in its folder: the file itself, or what has its name in an archive (a tar, packed by gzip or zstd).
fn unpack(name: &str, release: &Release, got: &Path, into: &Path) -> Result<(), ComponentError> {
    let read = || ComponentError::io("can't read", got);
    let mut head = Vec::new();
    File::open(got).and_then(|file| file.take(4).read_to_end(&mut head)).map_err(read())?;
    let file = File::open(got).map_err(read())?;
    let archive: Box<dyn Read> = match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(file).map_err(read())?),
        [0x7f, b'E', b'L', b'F'] if release.member.is_none() => {
            let place = into.join(name);
            fs::rename(got, &place).map_err(ComponentError::io("can't write", &place))?;
            return executable(&place);
        }
        _ => Box::new(io::BufReader::new(file)),
    };
    let beside = BESIDE.iter().find(|(of, _)| *of == name).map(|(_, beside)| *beside);
    let members = members(archive, name, release.member.as_deref(), beside, into);
    let (found, all) =
        members.map_err(|e| unusable(name, release, format!("it is no archive that can be read: {e}")))?;
    match found {
        1 => fs::remove_file(got).map_err(ComponentError::io("can't remove", got)),
        0 => {
            let what = release.member.as_deref().unwrap_or(name);
            let shown = all.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
            Err(unusable(name, release, format!("no {what} is in it; there are {shown}")))
        }
        _ => Err(unusable(name, release, format!("{found} files of this name are in it: say which by &member=PATH"))),
    }
}

/// Writes the wanted files of an archive; how many there were of the program, and the names of all files.
fn members(
    archive: impl Read,
    name: &str,
    member: Option<&str>,
    beside: Option<&str>,
    into: &Path,
) -> io::Result<(usize, Vec<String>)> {
    let (mut found, mut all) = (0, Vec::new());
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let file = path.file_name().unwrap_or_default();
        let wanted = member.map_or(file == name, |member| path == Path::new(member.trim_start_matches("./")));
        let place = match (wanted, beside.filter(|beside| file == *beside)) {
            (true, _) => {
                found += 1;
                into.join(name)
            }
            (_, Some(beside)) => into.join(beside),
            _ => {
                all.push(path.display().to_string());
                continue;
            }
        };
        all.push(path.display().to_string());
        io::copy(&mut entry, &mut File::create(&place)?)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    Ok((found, all))
}

fn executable(path: &Path) -> Result<(), ComponentError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(ComponentError::io("can't write", path))
}

fn unusable(name: &str, release: &Release, reason: String) -> ComponentError {
    ComponentError::Download {
        name: name.to_owned(),
        url: release.url.clone(),
        reason,
        remedy: "a release is a program, or a tar that has it, packed by gzip or zstd".to_owned(),
    }
}
