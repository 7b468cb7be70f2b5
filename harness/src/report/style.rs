use anstyle::{AnsiColor, Style as Ansi};
use std::fmt::Display;

/// Whether text is coloured. The caller decides (a terminal, and no `NO_COLOR`); everything reads the same without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Write ANSI colours.
    pub color: bool,
}

impl Style {
    /// No colour.
    pub const PLAIN: Style = Style { color: false };

    fn paint(self, style: Ansi, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    pub(super) fn bold(self, text: impl Display) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    pub(super) fn dim(self, text: impl Display) -> String {
        self.paint(Ansi::new().dimmed(), text)
    }

    pub(super) fn status(self, status: super::view::Status, text: impl Display) -> String {
        use super::view::Status as S;
        let color = match status {
            S::Passed => AnsiColor::Green,
            S::Failed => AnsiColor::Red,
            S::Errored | S::Unfinished => AnsiColor::Yellow,
            S::Leaked => AnsiColor::Magenta,
            S::Skipped | S::NotRun => AnsiColor::Cyan,
            S::Known => AnsiColor::Blue,
        };
        self.paint(Ansi::new().bold().fg_color(Some(color.into())), text)
    }
}
