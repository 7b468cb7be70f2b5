//! A survey's files.

use crate::record::Survey;
use crate::report::survey as render;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of a survey that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}", path.display())]
pub struct StoreError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Writes the table in all its forms into the survey's folder; gives the files.
///
/// # Errors
/// A file cannot be written.
pub fn write(dir: &Path, survey: &Survey) -> Result<Vec<PathBuf>, StoreError> {
    let files = [
        ("survey.json", render::json(survey)),
        ("survey.md", render::markdown(survey)),
        ("survey.html", render::html(survey)),
    ];
    let write = |(name, text): (&str, String)| {
        let path = dir.join(name);
        match fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(StoreError { path, source }),
        }
    };
    files.into_iter().map(write).collect()
}
