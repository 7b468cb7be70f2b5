//! How each step, check and section is written, for who left it empty or wrote it otherwise; and the words that people use
//! for steps elsewhere.

use super::read::{Finding, error, quoted};
use super::yaml::{Node, Value};
use super::{action, explain, groups, judge};

/// Steps, each as it is written at its shortest.
const STEPS: [&str; 17] = [
    "deploy: {workload: NAME, node: a}",
    "client: {start: NAME}",
    "wait: {counter: {of: INSTANCE, atLeast: 20}}",
    "capture: {of: INSTANCE, as: NAME}",
    "freeze: {of: INSTANCE}",
    "thaw: {of: INSTANCE}",
    "checkpoint: {of: INSTANCE, as: NAME}",
    "transfer: {checkpoint: NAME, to: b}",
    "tamper: {checkpoint: NAME, as: DAMAGED, damage: empty}",
    "restore: {checkpoint: NAME, node: b, as: COPY}",
    "migrate: {of: INSTANCE, to: b, as: COPY}",
    "pod: {start: NAME}",
    "remove: {of: INSTANCE}",
    "restart: {node: a}",
    "copyVolume: {volume: NAME, from: a, to: b}",
    "fault: {node: a, kill: containerd}",
    "mend: FAULT",
];

/// Checks, likewise.
const CHECKS: [&str; 14] = [
    "counter: {of: COPY, resumesFrom: CAPTURE}",
    "ackedWrites: {client: NAME}",
    "sameProcess: {of: COPY, asOf: CAPTURE}",
    "exclusive: {between: [SOURCE, COPY]}",
    "instance: {of: INSTANCE, state: running}",
    "held: {of: INSTANCE, state: kept}",
    "connection: {client: NAME, step: ID, state: kept}",
    "consistent: {of: POD}",
    "log: {of: INSTANCE, eachOnce: true}",
    "archive: {of: CHECKPOINT}",
    "error: {step: ID, class: timeout}",
    "faster: {step: ID, than: ID, times: 2}",
    "workLost: {of: COPY, since: SOURCE}",
    "budget: {metric: restore, max: 10s}",
];

/// The first line of sections.
const SECTIONS: [(&str, &str); 10] = [
    ("metadata", "name: my-scenario"),
    ("spec", "workloads: {NAME: {use: counter}}"),
    ("workloads", "NAME: {use: counter}"),
    ("clients", "NAME: {kind: counter-reader, target: INSTANCE}"),
    ("volumes", "NAME: {}"),
    ("pods", "NAME: {containers: [WORKLOAD, WORKLOAD]}"),
    ("steps", "- deploy: {workload: NAME, node: a}"),
    ("finally", "- remove: {of: INSTANCE}"),
    ("checks", "- instance: {of: INSTANCE, state: running}"),
    ("axes", "NAME: [1Mi, 64Mi]"),
];

/// What people call steps; with each, the steps that it may mean, by name or written out. What destroys something stands beside words that do so alone.
const WORDS: &[(&str, &[&str])] = &[
    ("move", &["migrate"]),
    ("moveTo", &["migrate"]),
    ("migration", &["migrate"]),
    ("liveMigrate", &["migrate"]),
    ("relocate", &["migrate"]),
    ("evacuate", &["migrate"]),
    ("failover", &["migrate"]),
    ("handover", &["migrate"]),
    ("start", &["deploy", "client"]),
    ("run", &["deploy"]),
    ("launch", &["deploy"]),
    ("create", &["deploy"]),
    ("schedule", &["deploy"]),
    ("workload", &["deploy"]),
    ("container", &["deploy"]),
    ("connect", &["client"]),
    ("observe", &["client", "capture"]),
    ("load", &["client"]),
    ("sleep", &["wait", "wait: {time: 1s, reason: WHY}"]),
    ("delay", &["wait", "wait: {time: 1s, reason: WHY}"]),
    ("await", &["wait"]),
    ("until", &["wait"]),
    ("waitFor", &["wait"]),
    ("waitUntil", &["wait"]),
    ("record", &["capture"]),
    ("remember", &["capture"]),
    ("observeState", &["capture"]),
    ("probe", &["capture"]),
    ("pause", &["freeze"]),
    ("suspend", &["freeze"]),
    ("unpause", &["thaw"]),
    ("unfreeze", &["thaw"]),
    ("resume", &["thaw", "restore"]),
    ("dump", &["checkpoint"]),
    ("snapshot", &["checkpoint"]),
    ("save", &["checkpoint"]),
    ("backup", &["checkpoint"]),
    ("send", &["transfer"]),
    ("push", &["transfer"]),
    ("upload", &["transfer"]),
    ("carry", &["transfer"]),
    ("copy", &["transfer", "copyVolume"]),
    ("restoreTo", &["restore"]),
    ("restoreFrom", &["restore"]),
    ("recover", &["restore", "mend"]),
    ("corrupt", &["tamper", "fault"]),
    ("damage", &["tamper", "fault"]),
    ("stop", &["client: {stop: NAME}", "remove"]),
    ("delete", &["remove"]),
    ("destroy", &["remove"]),
    ("terminate", &["remove"]),
    ("undeploy", &["remove"]),
    ("rm", &["remove"]),
    ("reboot", &["restart"]),
    ("kill", &["fault: {node: a, kill: workload, of: INSTANCE}", "remove"]),
    ("break", &["fault"]),
    ("crash", &["fault: {node: a, kill: workload, of: INSTANCE}"]),
    ("inject", &["fault"]),
    ("partition", &["fault: {node: a, link: cut}"]),
    ("repair", &["mend"]),
    ("heal", &["mend"]),
    ("fix", &["mend"]),
];

/// What people call checks when they write them among the steps.
const JUDGING: &[&str] = &["check", "checks", "assert", "verify", "ensure", "expectState", "test", "must"];

/// Steps that destroy or break: no word is taken for one of these that is only like it.
const DESTRUCTIVE: [&str; 4] = ["remove", "restart", "tamper", "fault"];

fn begins(examples: &'static [&'static str], key: &str) -> Option<&'static str> {
    examples.iter().copied().find(|e| e.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}

/// A step, written out.
pub(super) fn step(key: &str) -> Option<&'static str> {
    begins(&STEPS, key)
}

/// A check, written out.
pub(super) fn check(key: &str) -> Option<&'static str> {
    begins(&CHECKS, key)
}

/// The first line of a section.
pub(super) fn section(key: &str) -> Option<&'static str> {
    SECTIONS.iter().find(|(section, _)| *section == key).map(|(_, line)| *line)
}

/// What is told of a step with nothing in it, or with what belongs to another step.
pub(super) fn no_such_step(key: &str, value: &Node) -> Option<Finding> {
    empty_or_another(key, value, action::Action::KEYS, action::Action::keys_in, step)
}

/// What is told of a check with nothing in it, or with what belongs to another check.
pub(super) fn no_such_check(key: &str, value: &Node) -> Option<Finding> {
    empty_or_another(key, value, judge::CheckKind::KEYS, judge::CheckKind::keys_in, check)
}

fn empty_or_another(
    key: &str,
    value: &Node,
    all: &[&'static str],
    keys_in: fn(&str) -> &'static [&'static str],
    example: fn(&str) -> Option<&'static str>,
) -> Option<Finding> {
    let entries = match &value.value {
        Value::Null => {
            let finding = error(explain::WRONG_SHAPE, format!("`{key}` says nothing")).label("nothing");
            return Some(finding.help(format!("write `- {}`", example(key).unwrap_or(key))));
        }
        Value::Map(entries) => entries,
        _ => return None,
    };
    let given: Vec<&str> = entries.iter().map(|(k, _)| k.text.as_str()).collect();
    let own = keys_in(key);
    let strange: Vec<&str> = given.iter().copied().filter(|k| !own.contains(k)).collect();
    // A slip of the finger is told as such; and one key says little.
    if given.len() < 2 || strange.is_empty() || strange.iter().any(|k| super::read::nearest(k, own).is_some()) {
        return None;
    }
    let fits = |other: &&str| !DESTRUCTIVE.contains(other) && given.iter().all(|k| keys_in(other).contains(k));
    let mut fitting = all.iter().copied().filter(fits);
    let (Some(other), None) = (fitting.next(), fitting.next()) else { return None };
    let finding = error(explain::UNKNOWN_KEY, format!("`{key}` has no {}, and `{other}` has", quoted(&strange)));
    let finding = finding.label(format!("did you mean `{other}`?"));
    Some(finding.help(format!("write `- {}`", example(other).unwrap_or(other))))
}

/// What is told of a word that is no step: the step that it is another word for, or that it is nearly spelled like.
pub(super) fn no_step(word: &str, beside: &[&str]) -> Finding {
    let finding = error(explain::UNKNOWN_ACTION, format!("there is no step `{word}`"));
    if let Some(example) = check(word) {
        return finding.label("a check, and no step").help(format!("write it below `checks`: `- {example}`"));
    }
    if JUDGING.iter().any(|w| alike(w, word)) {
        let help = "what must be true is written below `checks`, such as `- instance: {of: INSTANCE, state: running}`";
        return finding.label("checks stand elsewhere").help(help);
    }
    if let Some((_, steps)) = WORDS.iter().find(|(w, _)| alike(w, word)) {
        let written: Vec<String> = steps.iter().map(|s| format!("`- {}`", step(s).unwrap_or(s))).collect();
        let finding = finding.label(format!("did you mean {}?", either(steps)));
        return finding.help(format!("write {}", written.join(", or ")));
    }
    let near = |key: &&str| !DESTRUCTIVE.contains(key) || strsim::osa_distance(word, key) <= 1;
    let known: Vec<&str> = action::Action::KEYS.iter().chain(&[groups::USE]).chain(beside).copied().collect();
    let likely: Vec<&str> = known.iter().copied().filter(near).collect();
    match super::read::nearest(word, &likely) {
        Some(_) => finding.meant(word, likely),
        None => finding.help(format!("one of {}", quoted(&known))),
    }
}

/// `a` or `b`: the names of steps.
fn either(steps: &[&str]) -> String {
    let mut names: Vec<String> = steps.iter().map(|s| format!("`{}`", name_of(s))).collect();
    names.dedup();
    names.join(" or ")
}

fn name_of(step: &str) -> &str {
    step.split(':').next().unwrap_or(step)
}

/// Whether two words are the same but for dashes and capitals.
fn alike(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    plain(a) == plain(b)
}

/// What is told of a word that is no check.
pub(super) fn no_check(word: &str, beside: Option<&'static str>) -> Finding {
    let finding = error(explain::UNKNOWN_ACTION, format!("there is no check `{word}`"));
    match step(word) {
        Some(example) => finding.label("a step, and no check").help(format!("write it below `steps`: `- {example}`")),
        None => finding.meant(word, judge::CheckKind::KEYS.iter().copied().chain(beside)),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, DESTRUCTIVE, STEPS, WORDS, check, name_of, no_step, step};
    use crate::scenario::action::Action;
    use crate::scenario::judge::CheckKind;
    use crate::scenario::read::Reader;

    #[test]
    fn there_is_one_of_each() {
        assert!(Action::KEYS.iter().all(|key| step(key).is_some()) && STEPS.len() == Action::KEYS.len());
        assert!(CheckKind::KEYS.iter().all(|key| check(key).is_some()) && CHECKS.len() == CheckKind::KEYS.len());
        for (word, steps) in WORDS {
            assert!(steps.iter().all(|s| step(name_of(s)).is_some()) && step(word).is_none(), "{word}");
        }
    }

    fn told(word: &str) -> String {
        let mut r = Reader::default();
        r.tell(crate::scenario::Place::default(), no_step(word, &["id", "name", "timeout", "expect"]));
        let found = r.diagnostics.remove(0);
        format!("{} {}", found.label.unwrap_or_default(), found.help.unwrap_or_default())
    }

    #[test]
    fn no_word_is_taken_for_what_destroys_unless_it_says_so() {
        assert_eq!(told("move"), "did you mean `migrate`? write `- migrate: {of: INSTANCE, to: b, as: COPY}`");
        assert_eq!(told("live-migrate"), told("liveMigrate"));
        assert_eq!(told("remov"), "did you mean `remove`? write `remove`");
        assert_eq!(told("migrat"), "did you mean `migrate`? write `migrate`");
        for word in ["rename", "mover", "start", "stat", "starts", "default", "moves", "temper2"] {
            let told = told(word);
            assert!(!DESTRUCTIVE.iter().any(|d| told.starts_with(&format!("did you mean `{d}`"))), "{word}: {told}");
        }
        let stop = "did you mean `client` or `remove`? write `- client: {stop: NAME}`, or `- remove: {of: INSTANCE}`";
        assert_eq!(told("stop"), stop);
        let sleep = "`- wait: {counter: {of: INSTANCE, atLeast: 20}}`, or `- wait: {time: 1s, reason: WHY}`";
        assert_eq!(told("sleep"), format!("did you mean `wait`? write {sleep}"));
        assert!(told("delete").starts_with("did you mean `remove`?"));
        assert!(told("assert").contains("below `checks`"));
        assert!(told("sameProcess").contains("below `checks`: `- sameProcess: {of: COPY, asOf: CAPTURE}`"));
        assert!(told("frobnicate").starts_with(" one of `deploy`"));
    }
}
