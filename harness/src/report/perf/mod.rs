//! What a comparison found. Pure: a [`crate::record::Comparison`] in, text out.

mod history;
mod html;
mod markdown;
mod terminal;
mod view;

pub use history::history;
pub use html::html;
pub use markdown::markdown;
pub use terminal::terminal;

use crate::record::Comparison;

/// `comparison.json`: the record itself, whose types document it.
pub fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).unwrap_or_else(|e| {
        // Plain structs with string keys: only a float that is not finite could be refused, and serde_json writes null.
        format!("{{\"schema\":{},\"error\":\"{e}\"}}", comparison.schema)
    });
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
