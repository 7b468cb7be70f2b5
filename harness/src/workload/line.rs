//! Probing the programs that speak podferry's line protocol: counter, python, memory, exchange, zoo.

use super::ProbeError;
use super::talk::Talk;
use crate::record::{KindReport, KindWord, SelfReport};
use serde_json::Value;

/// Values of `STATE` that a process never changes after its start.
const BOOT: [&str; 8] = ["pid", "started_realtime_ns", "hostname", "cwd", "argv", "seed", "note", "startup_digest"];

fn state(talk: &mut Talk) -> Result<(SelfReport, Value), ProbeError> {
    let text = talk.ask("STATE")?;
    let state: Value = serde_json::from_str(&text).map_err(|_| talk.nonsense("STATE", &text))?;
    let nonce = state["nonce"].as_str().ok_or_else(|| talk.nonsense("STATE", &text))?;
    let mut report = SelfReport { nonce: Some(nonce.to_owned()), ..SelfReport::default() };
    for key in BOOT {
        match &state[key] {
            Value::Null => {}
            Value::String(s) => drop(report.boot.insert(key.to_owned(), s.clone())),
            other => drop(report.boot.insert(key.to_owned(), other.to_string())),
        }
    }
    Ok((report, state))
}

/// Both questions go on one connection; the journal is asked for last, so it holds the counter told before.
pub(super) fn counter(talk: &mut Talk) -> Result<SelfReport, ProbeError> {
    let (mut report, state) = state(talk)?;
    report.counter = state["counter"].as_u64();
    report.counter_interval_ms = state["interval_ms"].as_f64();
    report.held = state["held"].as_str().map(str::to_owned);
    report.journal = Some(journal(talk)?);
    Ok(report)
}

/// One half of a pair says whether it found the other where it left it.
pub(super) fn exchange(talk: &mut Talk) -> Result<SelfReport, ProbeError> {
    let (mut report, state) = state(talk)?;
    report.counter = state["counter"].as_u64();
    report.pair = state["pair"].as_str().map(str::to_owned);
    Ok(report)
}

pub(super) fn journal(talk: &mut Talk) -> Result<Vec<u64>, ProbeError> {
    let text = talk.ask("JOURNAL")?;
    let values: Result<Vec<u64>, _> = text.split_ascii_whitespace().map(str::parse).collect();
    values.map_err(|_| talk.nonsense("JOURNAL", &text))
}

pub(super) fn memory(talk: &mut Talk) -> Result<SelfReport, ProbeError> {
    let (mut report, _) = state(talk)?;
    let verdict = talk.ask("HASH")?;
    match verdict.strip_prefix("ok ") {
        Some(digest) => report.memory_hash = Some(digest.to_owned()),
        // It is the process that says so: evidence, not a failure to get it.
        None => report.damage = Some(verdict),
    }
    Ok(report)
}

/// All kinds kept make one thing that is held; else those that are lost are told.
pub(super) fn zoo(talk: &mut Talk) -> Result<SelfReport, ProbeError> {
    let (mut report, _) = state(talk)?;
    let lost: Vec<String> = kinds(talk)?
        .into_iter()
        .filter(|k| k.word == KindWord::Lost)
        .map(|k| format!("{}: {}", k.kind, k.text))
        .collect();
    report.held = Some(if lost.is_empty() { "kept".to_owned() } else { format!("lost: {}", lost.join("; ")) });
    Ok(report)
}

/// A line a kind, up to `end`.
pub(super) fn kinds(talk: &mut Talk) -> Result<Vec<KindReport>, ProbeError> {
    let mut found = Vec::new();
    let mut line = talk.ask("REPORT")?;
    while line != "end" {
        found.push(kind(&line).ok_or_else(|| talk.nonsense("REPORT", &line))?);
        line = talk.line()?;
    }
    Ok(found)
}

/// `KIND WORD PID NONCE TEXT`.
fn kind(line: &str) -> Option<KindReport> {
    let mut words = line.splitn(5, ' ');
    let kind = words.next()?.to_owned();
    let word = KindWord::ALL.into_iter().find(|w| Some(w.name()) == words.clone().next())?;
    let (pid, nonce) = (words.nth(1)?.parse().ok()?, words.next()?.to_owned());
    Some(KindReport { kind, word, pid, nonce, text: words.next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::kind;
    use crate::record::{KindReport, KindWord};

    #[test]
    fn a_line_of_the_zoo() {
        let report = |word, text: &str| KindReport {
            kind: "umask".to_owned(),
            word,
            pid: 17,
            nonce: "ab".to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(kind("umask kept 17 ab 0345 as  it was"), Some(report(KindWord::Kept, "0345 as  it was")));
        assert_eq!(kind("umask lost 17 ab"), Some(report(KindWord::Lost, "")));
        assert_eq!(kind("umask dreamt 17 ab x"), None);
        assert_eq!(kind("umask kept x ab"), None);
        assert_eq!(kind(""), None);
    }
}
