//! The scenarios of a run, kept in its folder: places in them can be read there when the files are other ones, or elsewhere.

use super::Recorder;
use crate::record::{Event, Failure};
use std::collections::BTreeSet;

/// The folder in a run's that they are kept in.
pub(super) const FOLDER: &str = "scenarios";

/// Keeps the text of scenario files, by the names that origins have of them. One that cannot be kept is told in the report:
/// the run itself does not need it.
pub fn keep_scenarios<'a>(recorder: &Recorder, files: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut taken = BTreeSet::new();
    for (file, text) in files {
        let copy = format!("{FOLDER}/{}", name(file, &mut taken));
        let path = recorder.dir().join(&copy);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        match made.and_then(|()| std::fs::write(&path, text)) {
            Ok(()) => recorder.run(Event::ScenarioKept { file: file.to_owned(), copy }),
            Err(e) => recorder.error(Failure::surroundings(format!("can't keep {file} as {}: {e}", path.display()))),
        }
    }
}

/// A file name for a path that may hold anything; no two are the same.
fn name(file: &str, taken: &mut BTreeSet<String>) -> String {
    let own = file.strip_prefix("scenarios/").unwrap_or(file).trim_start_matches(['.', '/']);
    let plain: String =
        own.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    // File names have at most 255 bytes; the end tells more than the beginning.
    let plain = plain[plain.len().saturating_sub(200)..].to_owned();
    let name = (1..)
        .map(|n| if n == 1 { plain.clone() } else { format!("{n}-{plain}") })
        .find(|name| !taken.contains(name))
        .unwrap_or_default();
    taken.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_differ() {
        let mut taken = BTreeSet::new();
        let mut of = |file: &str| name(file, &mut taken);
        assert_eq!(of("scenarios/redis-migrates.yaml"), "redis-migrates.yaml");
        assert_eq!(of("../../a/x.yaml"), "a_x.yaml");
        assert_eq!(of("a/x.yaml"), "2-a_x.yaml");
        assert_eq!(of("/tmp/ü ö.yaml"), "tmp____.yaml");
        assert!(of(&"long/".repeat(100)).len() <= 202);
    }
}
