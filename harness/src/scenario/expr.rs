//! The expressions of the language: whole values that are worked out of the matrix and the parameters. Parsing and evaluation
//! are rhai's, of which this keeps single expressions over values with units; what an operator does to those is in [`ops`].
//!
//! An expression is read once, where it stands: its form and its names are checked then, in all its branches. Its value is
//! worked out in each cell of the matrix, when the file is checked and when cases are made of it.

mod names;
mod ops;
mod value;

pub(super) use names::{Name, of as names};
pub(super) use value::Value;

use rhai::packages::{LogicPackage, Package};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, ParseErrorType, Position, Scope};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Far more than any value of a scenario needs.
const MOST_OPERATIONS: u64 = 10_000;
const LONGEST_TEXT: usize = 4096;
const DEEPEST: usize = 32;

/// An expression that can be worked out.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    ast: AST,
}

/// Why an expression is none, or has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong.
    pub(super) message: String,
    /// The byte of the expression that it is about.
    pub(super) at: usize,
}

/// What an expression may refer to: names by the word before the dot.
pub(super) type Known = BTreeMap<&'static str, Vec<String>>;

/// Values by name: of words, and of what stands after their dot.
#[derive(Clone, Debug, Default)]
pub(super) struct Env {
    /// Single ones: `engine`.
    pub(super) words: BTreeMap<&'static str, Value>,
    /// With a name each: `matrix.data`.
    pub(super) maps: BTreeMap<&'static str, BTreeMap<String, Value>>,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    engine.register_global_module(LogicPackage::new().as_shared_module());
    // What operators do is said here alone: by themselves, values of two kinds are unequal, and nobody is told.
    engine.set_fast_operators(false);
    ops::register(&mut engine);
    engine.set_max_operations(MOST_OPERATIONS);
    engine.set_max_expr_depths(DEEPEST);
    engine.set_max_string_size(LONGEST_TEXT);
    engine.set_max_array_size(LONGEST_TEXT);
    engine.set_max_map_size(LONGEST_TEXT);
    engine.disable_symbol("eval").disable_symbol("switch");
    engine
});

impl Expr {
    /// Reads an expression, the text between `${` and `}`.
    pub(super) fn parse(text: &str) -> Result<Expr, Wrong> {
        let told = |e: rhai::ParseError| {
            let message = match e.err_type() {
                ParseErrorType::UnexpectedEOF => "it ends too early".to_owned(),
                ParseErrorType::BadInput(wrong) => fragment(&wrong.to_string()),
                wrong => fragment(&wrong.to_string()),
            };
            Wrong { message, at: byte(text, e.position()) }
        };
        if text.trim().is_empty() {
            return Err(Wrong { message: "there is nothing in it".to_owned(), at: 0 });
        }
        let ast = ENGINE.compile_expression(text).map_err(told)?;
        Ok(Expr { ast })
    }

    /// Its value.
    pub(super) fn value(&self, text: &str, env: &Env) -> Result<Value, Wrong> {
        let mut scope = Scope::new();
        for (word, value) in &env.words {
            scope.push_constant_dynamic(*word, value.clone().dynamic());
        }
        for (word, map) in &env.maps {
            let map: Map = map.iter().map(|(k, v)| (k.as_str().into(), v.clone().dynamic())).collect();
            scope.push_constant_dynamic(*word, Dynamic::from(map));
        }
        let told = |e: Box<EvalAltResult>| Wrong { message: said(&e), at: byte(text, e.position()) };
        let value = ENGINE.eval_ast_with_scope::<Dynamic>(&mut scope, &self.ast).map_err(told)?;
        let kind = ops::kind(&value);
        Value::of(&value).ok_or_else(|| Wrong { message: format!("it comes to {kind}, which is no value"), at: 0 })
    }
}

fn said(e: &EvalAltResult) -> String {
    match e {
        EvalAltResult::ErrorRuntime(message, _) => message.to_string(),
        EvalAltResult::ErrorFunctionNotFound(name, _) => {
            let (name, of) = name.split_once(" (").unwrap_or((name, ""));
            format!("there is no function `{name}` of ({of}")
        }
        other => {
            let mut plain = other.to_string();
            // The place is told otherwise.
            if let Some(at) = plain.rfind(" (line ") {
                plain.truncate(at);
            }
            fragment(&plain)
        }
    }
}

/// As our own messages begin.
fn fragment(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The byte that a position is of.
fn byte(text: &str, at: Position) -> usize {
    let line = at.line().unwrap_or(1).max(1);
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let column = at.position().unwrap_or(1).max(1) - 1;
    let rest = &text[before.min(text.len())..];
    before + rest.char_indices().nth(column).map_or(rest.len(), |(i, _)| i)
}

#[cfg(test)]
mod tests;
