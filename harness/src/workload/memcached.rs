//! Loading and probing memcached, by its text protocol.

use super::ProbeError;
use super::fill::value;
use super::redis::VALUE;
use super::talk::Talk;
use crate::record::SelfReport;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;

/// The key that [`load`] keeps a random value under: memcached has nothing of the kind by itself.
const NONCE: &str = "podferry:nonce";
/// Values asked for in one command.
const BATCH: u64 = 64;

/// Sets the nonce and so many values.
pub(super) fn load(talk: &mut Talk, nonce: &str, keys: u64) -> Result<(), ProbeError> {
    let mut out = Vec::new();
    let mut data = [0; VALUE];
    for i in 0..keys {
        value(i, &mut data);
        let _ = write!(out, "set data:{i:09} 0 0 {VALUE} noreply\r\n");
        out.extend_from_slice(&data);
        out.extend_from_slice(b"\r\n");
        if out.len() > 256 << 10 {
            talk.send(&out)?;
            out.clear();
        }
    }
    let _ = write!(out, "set {NONCE} 0 0 {}\r\n{nonce}\r\n", nonce.len());
    talk.send(&out)?;
    match talk.line()?.as_str() {
        "STORED" => Ok(()),
        other => Err(talk.nonsense("set", other)),
    }
}

/// The values under the keys, in the order of the answer.
fn get(talk: &mut Talk, keys: &[String], mut found: impl FnMut(&str, &[u8])) -> Result<(), ProbeError> {
    talk.send(format!("get {}\r\n", keys.join(" ")).as_bytes())?;
    loop {
        let line = talk.line()?;
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["END"] => return Ok(()),
            ["VALUE", key, _flags, length] => {
                let length: usize = length.parse().map_err(|_| talk.nonsense("get", &line))?;
                let bytes = talk.bytes(length + 2)?;
                found(key, &bytes[..length]);
            }
            _ => return Err(talk.nonsense("get", &line)),
        }
    }
}

pub(super) fn probe(talk: &mut Talk, keys: u64) -> Result<SelfReport, ProbeError> {
    let mut report = SelfReport::default();
    talk.send(b"stats\r\n")?;
    loop {
        let line = talk.line()?;
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["END"] => break,
            ["STAT", name @ ("pid" | "version" | "threads" | "max_connections"), value] => {
                report.boot.insert((*name).to_owned(), (*value).to_owned());
            }
            ["STAT", ..] => {}
            _ => return Err(talk.nonsense("stats", &line)),
        }
    }
    get(talk, &[NONCE.to_owned()], |_, v| report.nonce = Some(String::from_utf8_lossy(v).into_owned()))?;
    if keys > 0 {
        let mut hash = Sha256::new();
        for first in (0..keys).step_by(BATCH as usize) {
            let names: Vec<String> = (first..keys.min(first + BATCH)).map(|i| format!("data:{i:09}")).collect();
            get(talk, &names, |key, v| {
                hash.update(key);
                hash.update(v);
            })?;
        }
        report.memory_hash = Some(hash.finalize()[..16].iter().map(|b| format!("{b:02x}")).collect());
    }
    Ok(report)
}
