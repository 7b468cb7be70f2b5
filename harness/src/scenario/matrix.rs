//! The cells of a matrix.

use super::document::{Document, Matrix};
use super::explain;
use super::place::Place;
use super::read::{Reader, error, warning};
use super::value::{ByName, Cell, Fixed};

/// Most cells that a matrix may have: more is a mistyped axis, not a test plan.
const MOST_CELLS: usize = 256;

/// The cells, in the order of the axes with the last one fastest; those of `include` last. One empty cell without a
/// matrix. `only` replaces the values of axes.
pub(super) fn cells(matrix: Option<&Matrix>, only: &[(String, String)]) -> Vec<Cell> {
    let Some(matrix) = matrix else { return vec![Cell::new()] };
    let mut all = product(matrix, only);
    all.retain(|cell| !excluded(matrix, cell));
    for entry in matrix.include.iter().flatten() {
        let cell: Cell = entry.0.iter().map(|(axis, v)| (axis.text().to_owned(), v.value.clone())).collect();
        let wanted = |(axis, value): (&String, &String)| {
            let mut asked = only.iter().filter(|(a, _)| a == axis).peekable();
            asked.peek().is_none() || asked.any(|(_, v)| v == value)
        };
        if !all.contains(&cell) && cell.iter().all(wanted) {
            all.push(cell);
        }
    }
    all
}

fn product(matrix: &Matrix, only: &[(String, String)]) -> Vec<Cell> {
    let mut all = vec![Cell::new()];
    for (axis, values) in &matrix.axes.0 {
        let asked: Vec<&str> = only.iter().filter(|(a, _)| a == axis.text()).map(|(_, v)| v.as_str()).collect();
        let values: Vec<&str> =
            if asked.is_empty() { values.iter().map(|v| v.value.as_str()).collect() } else { asked };
        if all.len().saturating_mul(values.len()) > MOST_CELLS {
            return Vec::new();
        }
        let with = |cell: &Cell, value: &str| {
            let mut cell = cell.clone();
            cell.insert(axis.text().to_owned(), value.to_owned());
            cell
        };
        all = all.iter().flat_map(|cell| values.iter().map(|v| with(cell, v)).collect::<Vec<_>>()).collect();
    }
    all
}

fn excluded(matrix: &Matrix, cell: &Cell) -> bool {
    matrix.exclude.iter().flatten().any(|entry| matches(entry, cell))
}

fn matches(entry: &ByName<Fixed<String>>, cell: &Cell) -> bool {
    entry.0.iter().all(|(axis, value)| cell.get(axis.text()) == Some(&value.value))
}

/// Checks axes, `exclude` and `include`.
pub(super) fn check(document: &Document, r: &mut Reader) {
    let Some(matrix) = &document.spec.matrix else { return };
    let mut size = 1usize;
    for (axis, values) in &matrix.axes.0 {
        size = size.saturating_mul(values.len());
        if values.is_empty() {
            let finding = error(explain::NOTHING_TO_DO, format!("axis `{}` has no values", axis.text()));
            r.tell(axis.place, finding.help("give it at least one value"));
        }
        for (i, value) in values.iter().enumerate() {
            if values[..i].iter().any(|v| v.value == value.value) {
                let message = format!("axis `{}` has `{}` twice", axis.text(), value.value);
                r.tell(value.place, error(explain::NAME_TAKEN, message).help("keep one of them"));
            }
        }
        if !r.is_used(super::field::MATRIX, axis.text()) {
            let finding = warning(explain::UNUSED, format!("no value refers to the axis `{}`", axis.text()));
            r.tell(
                axis.place,
                finding.help(format!("write `${{matrix.{}}}` where its values are wanted", axis.text())),
            );
        }
    }
    if size > MOST_CELLS {
        let place = matrix.axes.0.last().map_or(Place::default(), |(a, _)| a.place);
        let finding = error(explain::INVALID_VALUE, format!("the matrix has {size} cells, more than {MOST_CELLS}"));
        r.tell(place, finding.help("take values away, or make several scenarios of it"));
        return;
    }
    check_entries(matrix, r);
    if size > 0 && cells(Some(matrix), &[]).is_empty() {
        let place =
            matrix.exclude.iter().flatten().flat_map(|e| &e.0).next().map_or(Place::default(), |(a, _)| a.place);
        r.tell(place, error(explain::NOTHING_TO_DO, "all cells of the matrix are excluded").help("leave one"));
    }
}

fn check_entries(matrix: &Matrix, r: &mut Reader) {
    let all = product(matrix, &[]);
    for entry in matrix.exclude.iter().flatten() {
        if known_axes(matrix, entry, r) && !all.iter().any(|cell| matches(entry, cell)) {
            tell_nearest(matrix, entry, r);
        }
    }
    for entry in matrix.include.iter().flatten() {
        if !known_axes(matrix, entry, r) {
            continue;
        }
        for (axis, _) in &matrix.axes.0 {
            if !entry.0.iter().any(|(a, _)| a.text() == axis.text()) {
                let place = entry.0.first().map_or(axis.place, |(a, _)| a.place);
                let finding =
                    error(explain::NO_SUCH_CELL, format!("an included cell needs the axis `{}`", axis.text()));
                r.tell(place, finding.help(format!("add `{}: ...`", axis.text())));
            }
        }
    }
}

fn known_axes(matrix: &Matrix, entry: &ByName<Fixed<String>>, r: &mut Reader) -> bool {
    let mut all = true;
    for (axis, _) in &entry.0 {
        if !matrix.axes.0.iter().any(|(a, _)| a.text() == axis.text()) {
            all = false;
            let finding = error(explain::NO_SUCH_CELL, format!("the matrix has no axis `{}`", axis.text()));
            r.tell(axis.place, finding.meant(axis.text(), matrix.axes.0.iter().map(|(a, _)| a.text())));
        }
    }
    all
}

/// Tells at the value that no cell has.
fn tell_nearest(matrix: &Matrix, entry: &ByName<Fixed<String>>, r: &mut Reader) {
    for (axis, value) in &entry.0 {
        let values = matrix.axes.0.iter().filter(|(a, _)| a.text() == axis.text()).flat_map(|(_, v)| v);
        let values: Vec<&str> = values.map(|v| v.value.as_str()).collect();
        if !values.contains(&value.value.as_str()) {
            let message = format!("no cell of the matrix has `{}: {}`", axis.text(), value.value);
            r.tell(value.place, error(explain::NO_SUCH_CELL, message).meant(&value.value, values));
        }
    }
}
