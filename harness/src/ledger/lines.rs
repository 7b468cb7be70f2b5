use serde::{Deserialize, Serialize};

/// A thing that a run made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// What sort of thing: says how it is removed.
    pub kind: String,
    /// Which: enough to find it without anything else.
    pub name: String,
}

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Line {
    /// The first line: whose ledger it is. Only for people who read the file; nothing is decided by it.
    Run {
        /// The run.
        run: String,
        /// Its process.
        pid: u32,
        /// When it began.
        started: String,
    },
    /// The thing is about to be made.
    Claim(Claim),
    /// The thing is gone.
    Release(Claim),
}

impl Line {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("plain strings are JSON");
        bytes.push(b'\n');
        bytes
    }
}

/// What a ledger says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// What was claimed and not released, in the order of the claims.
    pub(super) open: Vec<Claim>,
    /// Numbers (from 1) of whole lines that make no sense.
    pub(super) unreadable: Vec<usize>,
}

/// Reads a ledger. A last line without its end was being written when the run died: the thing it names was not made
/// yet, since [`super::Ledger::claim`] had not returned.
pub(super) fn parse(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        match serde_json::from_slice(line) {
            Ok(Line::Run { .. }) => {}
            Ok(Line::Claim(claim)) if contents.open.contains(&claim) => {}
            Ok(Line::Claim(claim)) => contents.open.push(claim),
            Ok(Line::Release(claim)) => contents.open.retain(|c| *c != claim),
            Err(_) => contents.unreadable.push(i + 1),
        }
    }
    contents
}
