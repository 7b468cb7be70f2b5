//! Slips that leave a text YAML, but another one than was meant: a colon without its space, and keys that are not indented
//! below theirs. Each is told of once, and put right in the tree, so that all else is read as it was meant.

use super::action::{Action, BESIDE as BESIDE_STEP};
use super::explain;
use super::judge::{BESIDE as BESIDE_CHECK, CheckKind};
use super::place::Place;
use super::read::{Reader, error};
use super::yaml::{Key, Node, Value};

/// Tells of the slips in a file, and puts them right.
pub(super) fn mend(root: &mut Node, r: &mut Reader) {
    colons(root, r);
    let Value::Map(entries) = &mut root.value else { return };
    let Some((_, spec)) = entries.iter_mut().find(|(key, _)| key.text == "spec") else { return };
    let Value::Map(sections) = &mut spec.value else { return };
    for (key, node) in sections {
        match key.text.as_str() {
            "steps" | "finally" => each(node, Action::KEYS, &BESIDE_STEP, r),
            "checks" => each(node, CheckKind::KEYS, BESIDE_CHECK, r),
            _ => {}
        }
    }
}

/// A key and what stands right behind its colon: `state:running`.
fn glued(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(':')?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = |c: char| !c.is_whitespace() && c != ':';
    let sound = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.chars().all(legal);
    (sound && value.starts_with(begins) && !value.starts_with("//")).then_some((key, value))
}

/// How a text with a colon that lacks its space was meant, if it is one.
pub(super) fn spaced(text: &str) -> Option<String> {
    glued(text).map(|(key, value)| format!("{key}: {value}"))
}

fn colons(node: &mut Node, r: &mut Reader) {
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| colons(item, r)),
        Value::Map(entries) => {
            for (key, value) in entries {
                if matches!(value.value, Value::Null)
                    && let Some((name, rest)) = glued(&key.text)
                {
                    let finding = error(explain::UNKNOWN_KEY, format!("`{}` has no space after its colon", key.text));
                    let finding = finding.label("a key without a value");
                    r.tell(key.place, finding.help(format!("write `{name}: {rest}`")));
                    let place = behind(key, name);
                    let quotes = |c| c == '"' || c == '\'';
                    *value = Node { value: Value::Scalar(rest.trim_matches(quotes).to_owned()), place, via: value.via };
                    key.text = name.to_owned();
                }
                colons(value, r);
            }
        }
    }
}

/// Where the value stands that is glued to a key; the whole, where that is not written as it is read.
fn behind(key: &Key, name: &str) -> Place {
    let before = name.len() as u32 + 1;
    match key.place.length == key.text.len() as u32 {
        true => Place {
            column: key.place.column + before,
            offset: key.place.offset + before,
            length: key.place.length - before,
            ..key.place
        },
        false => key.place,
    }
}

/// Items whose key has nothing, with keys beside it that belong into it.
fn each(list: &mut Node, keys: &[&str], beside: &[&str], r: &mut Reader) {
    let Value::List(items) = &mut list.value else { return };
    for item in items {
        let Value::Map(entries) = &mut item.value else { continue };
        let empty = |(key, node): &(Key, Node)| keys.contains(&key.text.as_str()) && matches!(node.value, Value::Null);
        let Some(at) = entries.iter().position(empty) else { continue };
        // A mapping by the name of a step may be the next step, whose dash is missing.
        let within = |(key, node): &(Key, Node)| {
            let own = keys.contains(&key.text.as_str()) && !matches!(node.value, Value::Scalar(_));
            !own && !beside.contains(&key.text.as_str())
        };
        let later = entries.split_off(at + 1);
        let (within, later): (Vec<_>, Vec<_>) = later.into_iter().partition(within);
        if let (Some((key, value)), Some(first)) = (entries.last_mut(), within.first()) {
            let names: Vec<&str> = within.iter().map(|(k, _)| k.text.as_str()).collect();
            let message = format!("{} on the level of `{}`, not in it", standing(&names), key.text);
            let finding = error(explain::WRONG_SHAPE, message).label(format!("nothing is in `{}`", key.text));
            r.tell(key.place, finding.help(written(&key.text, &within)));
            value.place = first.0.place;
            value.value = Value::Map(within);
        }
        entries.extend(later);
    }
}

/// `of` and `as` stand.
fn standing(names: &[&str]) -> String {
    let all = super::read::quoted(names);
    format!("{all} {}", if names.len() == 1 { "stands" } else { "stand" })
}

/// How it was meant: on one line if that is possible.
fn written(key: &str, within: &[(Key, Node)]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let value = |node: &Node| match &node.value {
        Value::Scalar(text) if !text.is_empty() && text.chars().all(plain) => Some(text.clone()),
        Value::Scalar(text) if !text.contains(['"', '\\', '\n']) => Some(format!("\"{text}\"")),
        _ => None,
    };
    let line: Option<Vec<String>> =
        within.iter().map(|(k, node)| value(node).map(|text| format!("{}: {text}", k.text))).collect();
    let names: Vec<&str> = within.iter().map(|(k, _)| k.text.as_str()).collect();
    let indent = format!("indent {} by two more", super::read::quoted(&names));
    match line {
        Some(line) => format!("{indent}, or write `- {key}: {{{}}}`", line.join(", ")),
        None => indent,
    }
}
