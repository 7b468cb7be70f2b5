//! The names in an expression, found in its text: also those in a branch that is not taken today.

use super::ops::FUNCTIONS;
use super::{Known, Wrong};

/// A name that an expression uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scenario) struct Name {
    /// The first word: `matrix`.
    pub(in crate::scenario) root: String,
    /// What stands after its dot, or in brackets as a text: `data`.
    pub(in crate::scenario) member: Option<String>,
    /// Whether it is called: `size(...)`.
    called: bool,
    /// Bytes of the root and of the member.
    at: (usize, usize),
}

impl Name {
    /// The byte at which its member stands.
    pub(in crate::scenario) fn member_at(&self) -> usize {
        self.at.1
    }

    /// Whether there is something of this name; else what is wrong, and the word that is to be mended with those that there
    /// are in its place.
    pub(in crate::scenario) fn check(&self, known: &Known) -> Result<(), (Wrong, String, Vec<String>)> {
        let wrong = |message: String, at| Wrong { message, at };
        if self.called {
            return match FUNCTIONS.contains(&self.root.as_str()) {
                true => Ok(()),
                false => {
                    let message = format!("there is no function `{}`", self.root);
                    let all = FUNCTIONS.map(str::to_owned).to_vec();
                    Err((wrong(message, self.at.0), self.root.clone(), all))
                }
            };
        }
        let Some(members) = known.get(self.root.as_str()) else {
            let all = known.keys().map(|word| (*word).to_owned()).collect();
            return Err((wrong(format!("there is no `{}`", self.root), self.at.0), self.root.clone(), all));
        };
        match &self.member {
            // Without a list of what there is, the word stands for itself.
            Some(member) if !members.is_empty() && !members.contains(member) => {
                let message = format!("`{}` has no `{member}`", self.root);
                Err((wrong(message, self.at.1), member.clone(), members.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// Words of the language itself.
const KEYWORDS: [&str; 5] = ["true", "false", "if", "else", "in"];

/// All names of an expression, in order, be it well formed or not.
pub(in crate::scenario) fn of(text: &str) -> Vec<Name> {
    let bytes = text.as_bytes();
    let mut names: Vec<Name> = Vec::new();
    let mut i = 0;
    // Whether what comes next belongs to the name before it.
    let mut after_dot = false;
    while i < bytes.len() {
        let start = i;
        match bytes[i] {
            b'"' | b'`' => {
                i = quoted(bytes, i);
                let indexed = text[..start].trim_end().ends_with('[');
                let last = names.last_mut().filter(|name| indexed && name.member.is_none());
                if let Some(name) = last.filter(|name| text[..start].trim_end().len() == name_end(text, name) + 1) {
                    name.member = text.get(start + 1..i.saturating_sub(1)).map(str::to_owned);
                    name.at.1 = start + 1;
                }
                after_dot = false;
            }
            b if b.is_ascii_digit() => {
                while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_') {
                    i += 1;
                }
                after_dot = false;
            }
            b if b.is_ascii_alphabetic() || b == b'_' => {
                while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_') {
                    i += 1;
                }
                let word = &text[start..i];
                let called = text[i..].trim_start().starts_with('(');
                if after_dot {
                    // A method of a value is checked when it is called.
                    let last = names.last_mut().filter(|name| name.member.is_none() && !called && !name.called);
                    if let Some(name) = last {
                        name.member = Some(word.to_owned());
                        name.at.1 = start;
                    }
                } else if !KEYWORDS.contains(&word) {
                    names.push(Name { root: word.to_owned(), member: None, called, at: (start, start) });
                }
                after_dot = false;
            }
            b'.' => {
                after_dot = true;
                i += 1;
            }
            b if b.is_ascii_whitespace() => i += 1,
            _ => {
                after_dot = false;
                i += 1;
            }
        }
    }
    names
}

/// Where a name that has no member ends, with blanks before a bracket.
fn name_end(text: &str, name: &Name) -> usize {
    let end = name.at.0 + name.root.len();
    let blanks = text[end..].len() - text[end..].trim_start().len();
    end + blanks
}

/// The end of a text in quotes.
fn quoted(bytes: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < bytes.len() && bytes[i] != bytes[start] {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(bytes.len())
}
