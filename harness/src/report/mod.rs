//! What a run looks like to its readers. Pure: a [`crate::record::Run`] in, text out. No I/O, and no engine is named
//! but as the records name it.
//!
//! Everything that is derived (outages, lost writes, where the downtime went, the one sentence that says why) is
//! derived once, in [`view`]; the formats only lay it out. That is why they cannot disagree.

mod annotations;
mod bundle;
mod html;
mod json;
mod junit;
mod markdown;
mod otlp;
pub mod perf;
mod progress;
mod recheck;
mod style;
pub mod survey;
pub mod terminal;
mod text;
pub mod view;

pub use annotations::annotations;
pub use bundle::bundle_readme;
pub use html::html;
pub use json::{json, json_schema};
pub use junit::junit;
pub use markdown::{SUMMARY_LIMIT, markdown};
pub use otlp::{otlp, otlp_lines};
pub use progress::Progress;
pub use recheck::recheck;
pub use style::Style;
