//! Prints the HTML report of a run made by hand, to look at it: `cargo run -p podferry --example golden-report > x.html`.
//! With a number, the first client's history has so many operations.

#[path = "../tests/report/golden/mod.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod golden;

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut run = golden::run();
    if let Some(count) = std::env::args().nth(1).and_then(|n| n.parse().ok()) {
        golden::lengthen(&mut run, count);
    }
    std::io::stdout().write_all(podferry::report::html(&run).as_bytes())
}
