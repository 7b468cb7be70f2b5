use super::place::Place;
use crate::record::Origin;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The scenario cannot be run.
    Error,
    /// It can, and probably does not do what is meant.
    Warning,
}

/// Something wrong in a scenario file, with its place and what can be done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// `E0002`; `podferry explain` tells more.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong; a lower-case fragment that names the thing.
    pub message: String,
    /// The file as the user named it.
    pub file: String,
    /// Where in it.
    #[serde(flatten)]
    pub place: Place,
    /// Where the group of steps is used that it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Place>,
    /// What to read at the marked place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the user can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// The place as an [`Origin`].
    pub fn origin(&self) -> Origin {
        Origin { file: self.file.clone(), line: self.place.line, column: self.place.column }
    }

    /// Whether it keeps the scenario from being run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// For people: code, message, the line itself with the place marked, and the help. No colours.
    pub fn render(&self, source: &str) -> String {
        let shown = Shown { diagnostic: self, source: miette::NamedSource::new(&self.file, source.to_owned()) };
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .with_width(100)
            .with_context_lines(1);
        let mut out = String::new();
        match handler.render_report(&mut out, &shown) {
            Ok(()) => out,
            Err(fmt::Error) => self.to_string(),
        }
    }
}

/// One line: `file:line:column: error[E0002]: message (help)`, as editors and CI annotations want it.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}[{}]: {}", self.origin(), self.code, self.message)?;
        if let Some(used) = &self.used_at {
            write!(f, ", used at line {}", used.line)?;
        }
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: miette::NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let d = self.diagnostic;
        let span = (d.place.offset as usize, d.place.length as usize);
        let used = d.used_at.map(|used| {
            let span = (used.offset as usize, used.length as usize);
            miette::LabeledSpan::new_with_span(Some("used here".to_owned()), span)
        });
        let first = miette::LabeledSpan::new_primary_with_span(d.label.clone(), span);
        Some(Box::new(std::iter::once(first).chain(used)))
    }
}
