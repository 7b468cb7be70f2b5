//! Values that are given from outside, with a default.

use super::document::Document;
use super::explain;
use super::field::PARAMS;
use super::read::{Reader, error, shape, warning};
use super::value::{Cell, Fixed};

shape! {
    /// A value that can be given from outside: `--param NAME=VALUE`. `${params.NAME}` stands for it.
    pub(super) struct Parameter ("a parameter") {
        /// Its value if none is given.
        "default" => default: Fixed<String>,
        /// What it is, for people.
        "description" => description: Option<Fixed<String>>,
    }
}

/// The values of the parameters: those given from outside, and the defaults of the others.
pub(super) fn values(document: &Document, given: &[(String, String)]) -> Cell {
    let all = document.spec.parameters.iter().flat_map(|p| &p.0);
    all.map(|(name, parameter)| {
        let value = given.iter().rev().find(|(n, _)| n == name.text()).map(|(_, value)| value);
        (name.text().to_owned(), value.unwrap_or(&parameter.default.value).clone())
    })
    .collect()
}

/// Tells of parameters that nothing refers to, and of those with the name of an axis.
pub(super) fn check(document: &Document, r: &mut Reader) {
    for (name, _) in document.spec.parameters.iter().flat_map(|p| &p.0) {
        let mut axes = document.spec.matrix.iter().flat_map(|m| &m.axes.0);
        if axes.any(|(axis, _)| axis.text() == name.text()) {
            let finding = error(explain::NAME_TAKEN, format!("the matrix has an axis `{}` too", name.text()));
            r.tell(name.place, finding.help("`--param` sets either by its name: give one of them another"));
        } else if !r.is_used(PARAMS, name.text()) {
            let finding = warning(explain::UNUSED, format!("no value refers to the parameter `{}`", name.text()));
            r.tell(name.place, finding.help(format!("write `${{params.{}}}` where its value is wanted", name.text())));
        }
    }
}
