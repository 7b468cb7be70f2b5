//! What becomes of a kind of state, by what two witnesses saw before and after. Pure.

use super::picture::Picture;
use crate::record::{Fate, Finding, KindReport, KindWord};
use podferry_workloads::zoo::Label;
use std::collections::BTreeMap;

/// As much of one difference as is told.
const SHOWN: usize = 160;

/// What was seen of a container at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// What the zoo says, by kind.
    pub(super) inside: BTreeMap<String, KindReport>,
    /// What the host sees.
    pub(super) outside: Picture,
}

impl Look {
    pub(super) fn new(answers: Vec<KindReport>, outside: Picture) -> Self {
        Look { inside: answers.into_iter().map(|a| (a.kind.clone(), a)).collect(), outside }
    }
}

/// Before any checkpoint: why nothing can be found out of a kind. `None`: it is held.
pub(super) fn not_held(kind: &Label, look: &Look) -> Option<Finding> {
    let Some(answer) = look.inside.get(kind.name) else {
        return Some(Finding::new(Fate::Errored, "the zoo says nothing of it"));
    };
    match answer.word {
        KindWord::Kept => None,
        KindWord::Absent => Some(Finding::new(Fate::NotApplicable, &answer.text)),
        word => {
            Some(Finding::new(Fate::Errored, format!("before any checkpoint it was {}: {}", word.name(), answer.text)))
        }
    }
}

/// After the restore.
pub(super) fn judge(kind: &Label, before: &Look, after: &Look) -> Finding {
    let (Some(was), Some(is)) = (before.inside.get(kind.name), after.inside.get(kind.name)) else {
        return Finding::new(Fate::Lost, "the copy says nothing of it");
    };
    if was.nonce != is.nonce {
        return Finding::new(Fate::Lost, "it was held anew, by a process that never was the one of the source");
    }
    if is.word != KindWord::Kept {
        return Finding::new(Fate::Lost, &is.text);
    }
    if was.pid != is.pid {
        return Finding::new(Fate::Lost, format!("its process was {}, is {}", was.pid, is.pid));
    }
    let differences = differences(kind.outside, was.pid, &before.outside, &after.outside);
    match differences.is_empty() {
        true => Finding::new(Fate::Kept, &is.text),
        false => Finding::new(Fate::Lost, format!("seen from outside: {}", differences.join("; "))),
    }
}

/// What two copies of one checkpoint say of the next number of their generators: the same is a hazard.
pub(super) fn hazard(kind: &Label, one: &Look, other: &Look) -> Option<String> {
    let text = |look: &Look| look.inside.get(kind.name).filter(|a| a.word == KindWord::Kept).map(|a| a.text.clone());
    let (first, second) = (text(one)?, text(other)?);
    (kind.name == "random-state" && first == second).then(|| {
        format!("two restores of one checkpoint draw the same numbers ({first}): what they call secret is not")
    })
}

/// How the pictures differ in what a kind names, for its process and all below it.
fn differences(names: &[&str], head: u32, before: &Picture, after: &Picture) -> Vec<String> {
    let named = |name: &str| names.iter().any(|n| name.starts_with(n));
    let mut found = Vec::new();
    for id in before.family(head) {
        let of = if id == head { String::new() } else { format!("process {id}: ") };
        match (before.processes.get(&id), after.processes.get(&id)) {
            (Some(was), Some(is)) => found.extend(changes(&was.values, &is.values, &named, &of)),
            (Some(_), None) => found.push(format!("process {id} is gone")),
            (None, _) => {}
        }
    }
    found.extend(changes(&before.files, &after.files, &named, ""));
    found
}

fn changes(
    was: &BTreeMap<String, String>,
    is: &BTreeMap<String, String>,
    named: &impl Fn(&str) -> bool,
    of: &str,
) -> Vec<String> {
    let mut names: Vec<&String> = was.keys().chain(is.keys()).filter(|name| named(name)).collect();
    names.sort();
    names.dedup();
    let change = |name: &String| match (was.get(name), is.get(name)) {
        (Some(was), Some(is)) if was == is => None,
        (Some(was), Some(is)) => Some(format!("{of}{name} was `{}`, is `{}`", short(was), short(is))),
        (Some(was), None) => Some(format!("{of}{name} was `{}`, is gone", short(was))),
        (None, Some(is)) => Some(format!("{of}{name} is `{}`, was not there", short(is))),
        (None, None) => None,
    };
    names.into_iter().filter_map(change).collect()
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::super::picture::Process;
    use super::*;
    use podferry_workloads::zoo::Area;

    const KIND: Label = Label::new("umask", Area::Rights, "x").outside(&["status.Umask", "file.x"]);

    fn look(word: KindWord, nonce: &str, pid: u32, values: &[(&str, &str)]) -> Look {
        let answer = KindReport { kind: "umask".into(), word, pid, nonce: nonce.into(), text: "0345".into() };
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let processes = [(pid, Process { parent: 1, values })].into_iter().collect();
        Look::new(vec![answer], Picture { processes, files: BTreeMap::new() })
    }

    fn judged(after: &Look) -> (Fate, String) {
        let before = look(KindWord::Kept, "n", 7, &[("status.Umask", "0345"), ("status.Name", "a")]);
        let finding = judge(&KIND, &before, after);
        (finding.fate, finding.how)
    }

    #[test]
    fn what_both_witnesses_see_again_is_kept() {
        // Its name is not what this kind is about.
        let after = look(KindWord::Kept, "n", 7, &[("status.Umask", "0345"), ("status.Name", "b")]);
        assert_eq!(judged(&after), (Fate::Kept, "0345".to_owned()));
    }

    #[test]
    fn a_cold_start_is_lost_however_well_it_holds() {
        let after = look(KindWord::Kept, "other", 7, &[("status.Umask", "0345")]);
        let (fate, how) = judged(&after);
        assert!(fate == Fate::Lost && how.starts_with("it was held anew"), "{how}");
    }

    #[test]
    fn each_witness_alone_can_tell_a_loss() {
        let inside = look(KindWord::Lost, "n", 7, &[("status.Umask", "0345")]);
        assert_eq!(judged(&inside), (Fate::Lost, "0345".to_owned()));
        let outside = look(KindWord::Kept, "n", 7, &[("status.Umask", "0022")]);
        assert_eq!(judged(&outside).1, "seen from outside: status.Umask was `0345`, is `0022`");
        let gone = look(KindWord::Kept, "n", 7, &[]);
        assert_eq!(judged(&gone).1, "seen from outside: status.Umask was `0345`, is gone");
        assert_eq!(judged(&look(KindWord::Kept, "n", 8, &[])).1, "its process was 7, is 8");
        assert_eq!(judged(&Look::default()).0, Fate::Lost);
    }

    #[test]
    fn what_was_never_held_is_no_loss() {
        let found = |word| not_held(&KIND, &look(word, "n", 7, &[])).map(|f| f.fate);
        assert_eq!(found(KindWord::Kept), None);
        assert_eq!(found(KindWord::Absent), Some(Fate::NotApplicable));
        assert_eq!(found(KindWord::Failed), Some(Fate::Errored));
        assert_eq!(found(KindWord::Lost), Some(Fate::Errored));
        assert_eq!(not_held(&KIND, &Look::default()).unwrap().fate, Fate::Errored);
    }

    #[test]
    fn equal_numbers_of_two_copies_are_a_hazard() {
        const RANDOM: Label = Label::new("random-state", Area::Identity, "x");
        let of = |text: &str| {
            let answer = KindReport {
                kind: "random-state".into(),
                word: KindWord::Kept,
                pid: 7,
                nonce: "n".into(),
                text: text.into(),
            };
            Look::new(vec![answer], Picture::default())
        };
        assert!(hazard(&RANDOM, &of("number 2 is ab"), &of("number 2 is ab")).is_some());
        assert_eq!(hazard(&RANDOM, &of("number 2 is ab"), &of("number 2 is cd")), None);
        assert_eq!(hazard(&KIND, &of("x"), &of("x")), None);
    }
}
