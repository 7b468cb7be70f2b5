use super::view::Table;
use crate::record::Survey;
use crate::report::html::{self, STYLE};
use crate::report::text;
use minijinja::context;
use minijinja::value::Serde;

const PAGE: (&str, &str) = ("survey", include_str!("survey.html.j2"));

/// `survey.html`: the whole table with every engine's words and CRIU's log, as one file in the style of the report.
pub fn html(survey: &Survey) -> String {
    let table = Table::of(survey);
    let command = text::line(&survey.command.join(" "));
    let page = context! {
        policy => html::policy(), style => STYLE, survey => Serde(survey), table => Serde(&table), command,
    };
    html::render(PAGE, page)
}
