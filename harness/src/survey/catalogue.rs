//! The lines of a survey: every kind of the zoo as the harness runs containers by default, and some of them with other
//! choices, since those decide what becomes of them.

use crate::record::{CriuChoices, SurveyRow, TcpChoice};
use podferry_workloads::zoo::{KINDS, Label};

/// A line, as it is tried.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The kind that it holds.
    pub kind: Label,
    /// What is held, with what else is set.
    pub about: String,
    /// Why it is tried alone; `None`: with all others.
    pub alone: Option<String>,
    /// What CRIU is told.
    pub criu: CriuChoices,
    /// The user that the container runs as.
    pub user: u32,
}

impl Row {
    fn of(kind: Label) -> Row {
        Row {
            name: kind.name.to_owned(),
            kind,
            about: kind.about.to_owned(),
            alone: kind.alone.map(str::to_owned),
            criu: CriuChoices::default(),
            user: 0,
        }
    }

    /// The same as it is recorded.
    pub fn record(&self) -> SurveyRow {
        SurveyRow {
            name: self.name.clone(),
            area: self.kind.area.name().to_owned(),
            about: self.about.clone(),
            zdtm: self.kind.zdtm.split_whitespace().map(str::to_owned).collect(),
            alone: self.alone.clone(),
        }
    }
}

/// A kind with other choices than the harness's own.
struct Variant {
    kind: &'static str,
    name: &'static str,
    about: &'static str,
    criu: fn() -> CriuChoices,
    user: u32,
}

const fn variant(kind: &'static str, name: &'static str, about: &'static str, criu: fn() -> CriuChoices) -> Variant {
    Variant { kind, name, about, criu, user: 0 }
}

fn tcp(choice: TcpChoice) -> CriuChoices {
    CriuChoices { tcp: choice, ..CriuChoices::default() }
}

/// A line a variant.
const VARIANTS: &[Variant] = &[
    variant("deleted-large", "ghost-limit", "CRIU's limit is set to 8 MiB (ghostLimit)", || CriuChoices {
        ghost_limit: Some(8 << 20),
        ..CriuChoices::default()
    }),
    variant("flock", "not-carried", "locks are not to be carried (fileLocks: false)", || CriuChoices {
        file_locks: false,
        ..CriuChoices::default()
    }),
    variant("tcp-established", "keep", "connections are to be kept (tcp: keep)", || tcp(TcpChoice::Keep)),
    variant("tcp-established", "refuse", "connections are not to be dumped (tcp: refuse)", || tcp(TcpChoice::Refuse)),
    variant("tcp-in-flight", "keep", "connections are to be kept (tcp: keep)", || tcp(TcpChoice::Keep)),
    variant("tcp-half-closed", "keep", "connections are to be kept (tcp: keep)", || tcp(TcpChoice::Keep)),
    variant("inotify", "irmap", "CRIU is told where to look for what is watched (irmap)", || CriuChoices {
        irmap: Some("/zoo".to_owned()),
        ..CriuChoices::default()
    }),
    Variant {
        user: 1000,
        ..variant("heap", "another-user", "the whole container runs as user 1000", CriuChoices::default)
    },
];

/// All lines, in the order of the table: a variant below its kind.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for specimen in KINDS {
        rows.push(Row::of(specimen.label));
        for v in VARIANTS.iter().filter(|v| v.kind == specimen.label.name) {
            rows.push(Row {
                name: format!("{}/{}", v.kind, v.name),
                about: format!("{}: {}", specimen.label.about, v.about),
                alone: Some(v.about.to_owned()),
                criu: (v.criu)(),
                user: v.user,
                ..Row::of(specimen.label)
            });
        }
    }
    rows
}

/// The lines that are asked for: by a line's name, a kind's (with its variants), or an area's.
///
/// # Errors
/// The word that names none.
pub fn selected(words: &[String]) -> Result<Vec<Row>, String> {
    let matches = |row: &Row, word: &str| row.name == word || row.kind.name == word || row.kind.area.name() == word;
    let all = rows();
    if let Some(unknown) = words.iter().find(|w| !all.iter().any(|row| matches(row, w))) {
        let close = all
            .iter()
            .map(|r| r.name.as_str())
            .max_by(|a, b| strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown)));
        return Err(format!("no kind of state is named `{unknown}`: did you mean `{}`?", close.unwrap_or_default()));
    }
    Ok(all.into_iter().filter(|row| words.is_empty() || words.iter().any(|w| matches(row, w))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use podferry_workloads::zoo::find;

    #[test]
    fn every_variant_is_one_of_a_kind_that_there_is() {
        for v in VARIANTS {
            assert!(find(v.kind).is_some(), "{}", v.kind);
        }
        assert_eq!(rows().len(), KINDS.len() + VARIANTS.len());
    }

    #[test]
    fn lines_are_chosen_by_their_name_kind_or_area() {
        let names = |words: &[&str]| -> Result<Vec<String>, String> {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            selected(&words).map(|rows| rows.into_iter().map(|r| r.name).collect())
        };
        assert_eq!(names(&["heap"]).unwrap(), ["heap", "heap/another-user"]);
        assert_eq!(names(&["flock/not-carried", "umask"]).unwrap(), ["umask", "flock/not-carried"]);
        assert!(names(&["root file system"]).unwrap().iter().all(|n| n.starts_with("rootfs-") || n == "tmpfs-file"));
        assert_eq!(names(&["umsk"]).unwrap_err(), "no kind of state is named `umsk`: did you mean `umask`?");
        assert_eq!(names(&[]).unwrap().len(), rows().len());
    }
}
