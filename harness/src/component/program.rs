//! Programs that podferry got by itself, in the cache: what each is, and how it came there.

use super::cache::{Cache, Unfinished, write_whole};
use super::error::ComponentError;
use super::identity;
use crate::record::{ComponentRecord, Millis};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Instant;

/// A program that was built, or got as a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The program, on the host. What is built is linked statically, so that it runs in any node image.
    pub path: PathBuf,
    /// What it is.
    pub record: ComponentRecord,
    /// Whether it was got by this call; else it was in the cache.
    pub now: bool,
}

/// `component.json`: how a program came to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Birth {
    pub(super) record: ComponentRecord,
    /// Wall time at which it was done, RFC 3339.
    pub(super) made: String,
    /// How long it took.
    pub(super) took_ms: Millis,
    /// `go version go1.26.8 linux/amd64`, of what was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) go: Option<String>,
    /// Names of patches.
    #[serde(default)]
    pub(super) patches: Vec<String>,
}

impl Birth {
    pub(super) fn now(record: &ComponentRecord, from: Instant) -> Birth {
        Birth {
            record: record.clone(),
            made: jiff::Timestamp::now().to_string(),
            took_ms: from.elapsed().into(),
            go: None,
            patches: Vec::new(),
        }
    }

    /// Writes it beside its program, and puts both in their place. The caller holds the lock for it.
    pub(super) fn publish(self, cache: &Cache, key: &str, unfinished: &Unfinished) -> Result<Built, ComponentError> {
        let json = serde_json::to_vec_pretty(&self).expect("plain data is JSON");
        let file = unfinished.dir.join("component.json");
        write_whole(&file, &json).map_err(ComponentError::io("can't write", &file))?;
        cache.publish_program(key, unfinished)?;
        Ok(Built { path: cache.program(key).join(&self.record.name), record: self.record, now: true })
    }
}

/// The program of a key, if it is there.
pub(super) fn cached(cache: &Cache, name: &str, key: &str) -> Option<Built> {
    let dir = cache.program(key);
    let birth: Birth = serde_json::from_slice(&fs::read(dir.join("component.json")).ok()?).ok()?;
    let path = dir.join(name);
    path.is_file().then_some(Built { path, record: birth.record, now: false })
}

/// Compares a program with what it was when it came; what is wrong with it, if it is another.
pub(super) fn compare(built: Built) -> Result<Result<Built, String>, ComponentError> {
    let read = ComponentError::io("can't read", &built.path);
    let now = File::open(&built.path).and_then(identity::digest).map_err(read)?;
    let (was, path) = (&built.record.digest, built.path.display());
    Ok(if now == *was { Ok(built) } else { Err(format!("{path} was {was} and is {now}")) })
}
