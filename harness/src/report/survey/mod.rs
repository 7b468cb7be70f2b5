//! The table of a survey: engines across, kinds of state down. Pure: a [`crate::record::Survey`] in, text out.

mod html;
mod markdown;
mod terminal;
mod view;

pub use html::html;
pub use markdown::markdown;
pub use terminal::terminal;

use crate::record::Survey;

/// `survey.json`: the record itself, whose types document it.
pub fn json(survey: &Survey) -> String {
    let mut text = serde_json::to_string_pretty(survey).unwrap_or_else(|e| {
        // Plain structs with string keys: only a float that is not finite could be refused, and serde_json writes null.
        format!("{{\"schema\":{},\"error\":\"{e}\"}}", survey.schema)
    });
    text.push('\n');
    text
}
