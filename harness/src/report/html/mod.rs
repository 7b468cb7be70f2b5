//! `report.html`: one file that opens from a disk, with nothing fetched. Its policy (CSP) admits the embedded style and
//! script by their digests and nothing else, so text of a workload that slipped through the escaping still could not run.

mod lanes;
mod page;
mod plot;
mod scale;

pub use page::html;
pub(super) use page::{STYLE, policy, render};
