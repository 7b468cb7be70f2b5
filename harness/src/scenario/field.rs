//! Fields that may be an expression.

use super::explain;
use super::expr::{self, Env, Expr, Known, Value, Wrong};
use super::place::Place;
use super::read::{AxisValues, Finding, Pending, Read, Reader, error};
use super::value::{Cell, Scalar, not_a, short};
use super::yaml::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The word that stands for the cell of a case.
pub(super) const MATRIX: &str = "matrix";
/// The word that stands for the parameters.
pub(super) const PARAMS: &str = "params";
/// The word that stands for the engine, in conditions.
pub(super) const ENGINE: &str = "engine";

/// What the expressions of a case are worked out of.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    /// Its cell of the matrix.
    pub(super) cell: Cell,
    /// The values of the parameters.
    pub(super) params: Cell,
    env: Env,
}

impl Inputs {
    pub(super) fn new(cell: Cell, params: Cell) -> Self {
        let typed = |all: &Cell| all.iter().map(|(k, v)| (k.clone(), Value::parse(v))).collect();
        let maps = BTreeMap::from([(MATRIX, typed(&cell)), (PARAMS, typed(&params))]);
        Inputs { env: Env { words: BTreeMap::new(), maps }, cell, params }
    }

    /// The same on an engine.
    pub(super) fn on(&self, engine: &str) -> Env {
        let mut env = self.env.clone();
        env.words.insert(ENGINE, Value::Text(engine.to_owned()));
        env
    }
}

/// A value that may be an expression: resolved in each case.
#[derive(Clone, Debug)]
pub(super) struct Field<T> {
    /// As written.
    pub(super) text: String,
    pub(super) place: Place,
    kind: FieldKind<T>,
}

#[derive(Clone, Debug)]
enum FieldKind<T> {
    Fixed(T),
    /// `${matrix.NAME}` or `${params.NAME}` and nothing else: the text as it is written there.
    Named(&'static str, String),
    Expr(Box<Expr>),
}

impl<T: Scalar> Field<T> {
    /// Its value, if it is the same in all cases.
    pub(super) fn fixed(&self) -> Option<&T> {
        match &self.kind {
            FieldKind::Fixed(value) => Some(value),
            _ => None,
        }
    }

    /// Its value in a case. `Err` only where values were given from outside that do not fit.
    pub(super) fn resolve(&self, inputs: &Inputs) -> Result<T, Finding> {
        match &self.kind {
            FieldKind::Fixed(value) => Ok(value.clone()),
            FieldKind::Named(root, name) => {
                let text = named(root, inputs).get(name).map_or("", String::as_str);
                T::parse(text).ok_or_else(|| not_a::<T>(text))
            }
            FieldKind::Expr(expr) => {
                let value = expr.value(inner(&self.text).unwrap_or_default(), &inputs.env);
                let text = value.map_err(|wrong| no_value(&wrong))?.to_string();
                T::parse(&text).ok_or_else(|| does_not_fit::<T>(&text))
            }
        }
    }

    /// All texts that it can stand for, with the place of each.
    pub(super) fn texts<'a>(&'a self, r: &'a Reader) -> Vec<(Cow<'a, str>, Place)> {
        match &self.kind {
            FieldKind::Fixed(_) => vec![(Cow::Borrowed(self.text.as_str()), self.place)],
            FieldKind::Named(root, name) => match all_of(root, r).iter().find(|a| a.name == *name) {
                Some(a) => a.values.iter().map(|(v, p)| (Cow::Borrowed(v.as_str()), *p)).collect(),
                None => Vec::new(),
            },
            FieldKind::Expr(expr) => {
                let text = inner(&self.text).unwrap_or_default();
                let values = r.inputs.iter().filter_map(|inputs| expr.value(text, &inputs.env).ok());
                let mut texts: Vec<String> = values.map(|value| value.to_string()).collect();
                texts.sort();
                texts.dedup();
                texts.into_iter().map(|text| (Cow::Owned(text), self.place)).collect()
            }
        }
    }
}

fn named<'a>(root: &str, inputs: &'a Inputs) -> &'a Cell {
    if root == PARAMS { &inputs.params } else { &inputs.cell }
}

fn all_of<'a>(root: &str, r: &'a Reader) -> &'a [AxisValues] {
    if root == PARAMS { &r.params } else { &r.axes }
}

/// What stands in `${` and `}`, if that is the whole text.
fn inner(text: &str) -> Option<&str> {
    text.strip_prefix("${").and_then(|t| t.strip_suffix('}'))
}

/// The plain form, which is as old as the language, and in which names may have dashes: `matrix.data`.
fn plain(inner: &str) -> Option<(&'static str, &str)> {
    let (root, name) = inner.trim().split_once('.')?;
    let root = [MATRIX, PARAMS].into_iter().find(|word| *word == root)?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (!name.is_empty() && name.bytes().all(legal)).then_some((root, name))
}

fn no_value(wrong: &Wrong) -> Finding {
    error(explain::NO_VALUE, format!("the expression has no value: {}", wrong.message))
}

fn does_not_fit<T: Scalar>(text: &str) -> Finding {
    let what = not_a::<T>(text);
    what.of(explain::NO_VALUE).help(format!("make it come to {}", T::WHAT))
}

impl<T: Scalar> Read for Field<T> {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let text = r.scalar(node, owner, r.here)?.to_owned();
        let place = node.place;
        if !text.contains("${") {
            return match T::parse(&text) {
                Some(value) => Some(Field { text, place, kind: FieldKind::Fixed(value) }),
                None => {
                    r.tell(place, not_a::<T>(&text));
                    None
                }
            };
        }
        let Some(inner) = inner(&text) else {
            let finding = error(explain::BAD_EXPRESSION, format!("`{}` is not an expression alone", short(&text)));
            let help = "an expression is the whole value, `${...}`: there are no templates inside of texts";
            r.tell(place, finding.label("text beside `${...}`").help(help));
            return None;
        };
        let kind = match plain(inner) {
            Some((root, name)) => FieldKind::Named(root, known_name::<T>(root, name, place, r)?),
            None => {
                let at = Inside::of(&text, place, 2);
                let expr = parsed(inner, at, &known(r), r)?;
                let check = |text: &str| T::parse(text).is_none().then(|| does_not_fit::<T>(text));
                r.pending.push(Pending {
                    expr: expr.clone(),
                    text: inner.to_owned(),
                    inside: at,
                    place,
                    via: r.via,
                    check,
                });
                FieldKind::Expr(Box::new(expr))
            }
        };
        Some(Field { text, place, kind })
    }
}

/// What expressions of values may refer to.
fn known(r: &Reader) -> Known {
    let names = |all: &[AxisValues]| all.iter().map(|a| a.name.clone()).collect();
    Known::from([(MATRIX, names(&r.axes)), (PARAMS, names(&r.params))])
}

/// Where the bytes of an expression stand in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    whole: Place,
    /// Bytes before the expression, in the value as it is in the file; `None`: it is written with escapes, or on many lines.
    before: Option<u32>,
}

impl Inside {
    /// Of a value with so many bytes before its expression.
    fn of(text: &str, place: Place, before: u32) -> Inside {
        let quotes = place.length.checked_sub(text.len() as u32).filter(|more| matches!(more, 0 | 2));
        Inside { whole: place, before: quotes.filter(|_| !text.contains('\n')).map(|more| before + more / 2) }
    }

    /// The place of the word at a byte of the expression.
    fn word(self, text: &str, at: usize) -> Place {
        let Some(before) = self.before else { return self.whole };
        let at = at.min(text.len());
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if end > 0 { end } else { rest.chars().next().map_or(0, char::len_utf8) };
        Place {
            line: self.whole.line,
            column: self.whole.column + before + text[..at].chars().count() as u32,
            offset: self.whole.offset + before + at as u32,
            length: length as u32,
        }
    }
}

/// The place of the word at a byte of an expression that is a text by itself.
pub(super) fn word_at(text: &str, at: usize) -> Place {
    let whole = Place { line: 1, column: 1, offset: 0, length: text.len() as u32 };
    Inside { whole, before: Some(0) }.word(text, at)
}

/// Reads an expression; tells what is wrong with its form and its names.
fn parsed(text: &str, inside: Inside, known: &Known, r: &mut Reader) -> Option<Expr> {
    let names = expr::names(text);
    for name in &names {
        r.use_of(&name.root, name.member.as_deref());
    }
    let expr = match Expr::parse(text) {
        Ok(expr) => expr,
        Err(wrong) => {
            let finding =
                error(explain::BAD_EXPRESSION, format!("the expression is not understood: {}", wrong.message));
            r.tell(
                inside.word(text, wrong.at),
                finding.help("see \"Expressions\" in docs/scenarios.md for what there is"),
            );
            return None;
        }
    };
    let mut sound = true;
    for name in &names {
        if let Err((finding, at)) = declared(name, known) {
            r.tell(inside.word(text, at), finding);
            sound = false;
        }
    }
    sound.then_some(expr)
}

/// Whether there is what a name of an expression stands for; else what is wrong, and at which byte. All axes and parameters
/// are known, also where there are none.
fn declared(name: &expr::Name, known: &Known) -> Result<(), (Finding, usize)> {
    let root = name.root.as_str();
    let none = [MATRIX, PARAMS].contains(&root) && known.get(root).is_some_and(Vec::is_empty);
    if let Some(member) = name.member.as_ref().filter(|_| none) {
        let finding = error(explain::BAD_EXPRESSION, format!("`{root}` has no `{member}`"));
        return Err((undeclared(finding, root, member, &[]), name.member_at()));
    }
    name.check(known).map_err(|(wrong, word, all)| {
        let finding = error(explain::BAD_EXPRESSION, wrong.message);
        let finding = match &name.member {
            Some(member) if *member == word => undeclared(finding, root, member, &all),
            _ => finding.meant(&word, all.iter().map(String::as_str)),
        };
        (finding, wrong.at)
    })
}

/// An axis or parameter that there is not: what was probably meant, or what there is and how one is declared.
fn undeclared(finding: Finding, root: &str, name: &str, known: &[String]) -> Finding {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let declare = match root {
        MATRIX => format!("declare it below `spec`: `matrix: {{axes: {{{name}: [ONE, ANOTHER]}}}}`"),
        PARAMS => format!("declare it below `spec`: `parameters: {{{name}: {{default: VALUE}}}}`"),
        _ => return finding.meant(name, known),
    };
    if super::read::nearest(name, &known).is_some() {
        return finding.meant(name, known);
    }
    match super::read::quoted(&known) {
        none if none.is_empty() => finding.help(declare),
        some => finding.help(format!("one of {some}, or {declare}")),
    }
}

/// Works out all expressions in all cells, and tells of those that have no value there, or one that does not fit.
pub(super) fn check(r: &mut Reader) {
    for pending in std::mem::take(&mut r.pending) {
        let Pending { expr, text, inside, place, via, check } = pending;
        r.via = via;
        for inputs in r.inputs.clone() {
            let (at, finding) = match expr.value(&text, &inputs.on("cri")) {
                Ok(value) => (place, check(&value.to_string())),
                Err(wrong) => (inside.word(&text, wrong.at), Some(no_value(&wrong))),
            };
            if let Some(finding) = finding {
                let cell: Vec<String> = inputs.cell.iter().map(|(k, v)| format!("{k}={v}")).collect();
                let of = if cell.is_empty() { String::new() } else { format!("in the cell {}", cell.join(",")) };
                r.tell(at, if of.is_empty() { finding } else { finding.label(of) });
                // One cell is enough: others would say the same of the same mistake.
                break;
            }
        }
    }
    r.via = None;
}

/// The axis or parameter, when it is there and all of its values are a `T`.
fn known_name<T: Scalar>(root: &'static str, name: &str, place: Place, r: &mut Reader) -> Option<String> {
    r.use_of(root, Some(name));
    let Some(found) = all_of(root, r).iter().find(|a| a.name == name) else {
        let known: Vec<String> = all_of(root, r).iter().map(|a| a.name.clone()).collect();
        let message = match root {
            PARAMS => format!("there is no parameter `{name}`"),
            _ => format!("the matrix has no axis `{name}`"),
        };
        r.tell(place, undeclared(error(explain::BAD_EXPRESSION, message), root, name, &known));
        return None;
    };
    let bad: Vec<(Finding, Place)> =
        found.values.iter().filter(|(v, _)| T::parse(v).is_none()).map(|(v, p)| (not_a::<T>(v), *p)).collect();
    for (finding, at) in bad {
        r.tell(at, finding.label(format!("used as {} at line {}", T::WHAT, place.line)));
    }
    Some(name.to_owned())
}

impl<T: Scalar> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Field")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let expression = r"^\$\{.+\}$";
        let words = T::words();
        if !words.is_empty() {
            return json_schema!({"anyOf": [{"enum": words}, {"type": "string", "pattern": expression}]});
        }
        match T::pattern() {
            Some(pattern) => json_schema!({
                "type": ["string", "integer", "number", "boolean"],
                "pattern": format!("({pattern})|({expression})"),
            }),
            None => json_schema!({"type": ["string", "integer", "number", "boolean"]}),
        }
    }
}

/// Whether something is so, in a case: an expression, with or without `${` and `}` around it.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    text: String,
    place: Place,
    expr: Box<Expr>,
}

impl Condition {
    /// Whether it is so on an engine. `Err` only where values were given from outside that do not fit.
    pub(super) fn holds(&self, inputs: &Inputs, engine: &str) -> Result<bool, (Place, Finding)> {
        match self.expr.value(&self.text, &inputs.on(engine)) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err((self.place, does_not_fit::<bool>(&other.to_string()))),
            Err(wrong) => Err((self.place, no_value(&wrong))),
        }
    }
}

impl Read for Condition {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let written = r.scalar(node, owner, r.here)?.to_owned();
        let (text, before) = inner(&written).map_or((written.as_str(), 0), |inner| (inner, 2));
        let (text, place) = (text.to_owned(), node.place);
        let inside = Inside::of(&written, place, before);
        let known = Known::from_iter(known(r).into_iter().chain([(ENGINE, Vec::new())]));
        let expr = parsed(&text, inside, &known, r)?;
        let check = |text: &str| bool::parse(text).is_none().then(|| does_not_fit::<bool>(text));
        r.pending.push(Pending { expr: expr.clone(), text: text.clone(), inside, place, via: r.via, check });
        Some(Condition { text, place, expr: Box::new(expr) })
    }
}

impl JsonSchema for Condition {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Condition")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "boolean"]})
    }
}
