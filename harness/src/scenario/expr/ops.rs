//! What operators and functions do: to numbers, to values with units, and that they do nothing to both at once that has no
//! meaning (a size and a time, a size and a bare number that is added).

use super::value::{United, Value};
use crate::scenario::units::{Rate, Size};
use crate::scenario::value::Scalar;
use rhai::{Dynamic, Engine, EvalAltResult, Position};
use std::cmp::Ordering;
use std::time::Duration;

type Told<T> = Result<T, Box<EvalAltResult>>;

/// The functions that there are.
pub(super) const FUNCTIONS: [&str; 9] =
    ["size", "time", "rate", "int", "min", "max", "contains", "starts_with", "ends_with"];

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<United>("a value with a unit");
    for op in ["+", "-", "*", "/", "%"] {
        engine.register_fn(op, move |a: Dynamic, b: Dynamic| both(&a, &b, op, |a, b| calculated(a, b, op)));
    }
    for op in ["==", "!=", "<", "<=", ">", ">="] {
        engine.register_fn(op, move |a: Dynamic, b: Dynamic| both(&a, &b, op, |a, b| compared(a, b, op)));
    }
    engine.register_fn("min", |a: Dynamic, b: Dynamic| both(&a, &b, "min", |a, b| chosen(a, b, Ordering::Less)));
    engine.register_fn("max", |a: Dynamic, b: Dynamic| both(&a, &b, "max", |a, b| chosen(a, b, Ordering::Greater)));
    engine.register_fn("size", |text: &str| read::<Size>(text).map(|size| Value::Size(size.0).dynamic()));
    engine.register_fn("time", |text: &str| read::<Duration>(text).map(|time| Value::Time(time).dynamic()));
    engine.register_fn("rate", |text: &str| read::<Rate>(text).map(|rate| Value::Rate(rate.0).dynamic()));
    engine.register_fn("int", |value: Dynamic| match Value::of(&value) {
        Some(Value::Int(int)) => Ok(int),
        Some(Value::Float(float)) => Ok(float as i64),
        _ => Err(wrong(format!("`int` takes a number, not {}", kind(&value)))),
    });
    // Of texts these alone: they are not joined, since no value is made of pieces.
    engine.register_fn("contains", |text: &str, part: &str| text.contains(part));
    engine.register_fn("starts_with", |text: &str, part: &str| text.starts_with(part));
    engine.register_fn("ends_with", |text: &str, part: &str| text.ends_with(part));
    engine.register_fn("contains", |list: &mut rhai::Array, sought: Dynamic| {
        let sought = Value::of(&sought);
        list.iter().any(|item| Value::of(item) == sought)
    });
}

/// What kind of thing a value is, for people.
pub(super) fn kind(value: &Dynamic) -> &'static str {
    match Value::of(value) {
        Some(value) => value.kind(),
        None if value.is_unit() => "nothing",
        None if value.is_array() => "a list",
        None => "a group of values",
    }
}

fn wrong(message: String) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into()
}

fn read<T: Scalar>(text: &str) -> Told<T> {
    T::parse(text).ok_or_else(|| wrong(format!("`{text}` is not {}", T::WHAT)))
}

fn both(a: &Dynamic, b: &Dynamic, op: &str, of: impl Fn(&Value, &Value) -> Option<Value>) -> Told<Dynamic> {
    // What a case does not have (a label, an axis) is unequal to everything, and neither above nor below it.
    if a.is_unit() || b.is_unit() {
        return match op {
            "==" => Ok((a.is_unit() && b.is_unit()).into()),
            "!=" => Ok((!(a.is_unit() && b.is_unit())).into()),
            "<" | "<=" | ">" | ">=" => Ok(false.into()),
            _ => Err(wrong(format!("`{op}` has no meaning for nothing"))),
        };
    }
    let (Some(left), Some(right)) = (Value::of(a), Value::of(b)) else {
        return Err(wrong(format!("`{op}` has no meaning for {} and {}", kind(a), kind(b))));
    };
    // A text beside a value with a unit is one of that kind: `matrix.data == "64Mi"`.
    let (left, right) = (like(left, &right), like_ref(&right, a));
    let none = || wrong(format!("`{op}` gives no value for {left} and {right} ({} and {})", left.kind(), right.kind()));
    of(&left, &right).map(Value::dynamic).ok_or_else(none)
}

/// A text, read as the kind of value that stands on the other side.
fn like(value: Value, other: &Value) -> Value {
    match (&value, other) {
        (Value::Text(text), Value::Size(_) | Value::Time(_) | Value::Rate(_) | Value::Int(_)) => {
            let read = Value::parse(text);
            if read.kind() == other.kind() { read } else { value }
        }
        _ => value,
    }
}

fn like_ref(value: &Value, other: &Dynamic) -> Value {
    match Value::of(other) {
        Some(other) => like(value.clone(), &other),
        None => value.clone(),
    }
}

fn compared(a: &Value, b: &Value, op: &str) -> Option<Value> {
    let order = order(a, b)?;
    Some(Value::Bool(match op {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// `None`: they are of different kinds.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Size(a), Value::Size(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Rate(a), Value::Rate(b)) => a.partial_cmp(b),
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

fn chosen(a: &Value, b: &Value, which: Ordering) -> Option<Value> {
    Some(if order(a, b)? == which { a.clone() } else { b.clone() })
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

/// `None`: it has no meaning, or no value (a division by zero, a size below zero).
fn calculated(a: &Value, b: &Value, op: &str) -> Option<Value> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => whole(*a, *b, op).map(Value::Int),
        (Value::Size(a), Value::Size(b)) if op == "/" => ratio(*a as f64, *b as f64),
        (Value::Time(a), Value::Time(b)) if op == "/" => ratio(a.as_secs_f64(), b.as_secs_f64()),
        (Value::Rate(a), Value::Rate(b)) if op == "/" => ratio(*a, *b),
        (Value::Size(a), Value::Size(b)) => match op {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "%" => a.checked_rem(*b),
            _ => None,
        }
        .map(Value::Size),
        (Value::Time(a), Value::Time(b)) => match op {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            _ => None,
        }
        .map(Value::Time),
        (Value::Rate(a), Value::Rate(b)) => float(*a, *b, op).filter(|rate| *rate > 0.0).map(Value::Rate),
        (Value::Size(size), by) if matches!(op, "*" | "/") => {
            let bytes = float(*size as f64, number(by)?, op)?;
            (0.0..=9.0e18).contains(&bytes).then_some(Value::Size(bytes.round() as u64))
        }
        (Value::Time(time), by) if matches!(op, "*" | "/") => {
            let seconds = float(time.as_secs_f64(), number(by)?, op)?;
            Duration::try_from_secs_f64(seconds).ok().map(rounded).map(Value::Time)
        }
        (Value::Rate(rate), by) if matches!(op, "*" | "/") => float(*rate, number(by)?, op).map(Value::Rate),
        (by, Value::Size(_) | Value::Time(_) | Value::Rate(_)) if op == "*" && number(by).is_some() => {
            calculated(b, a, op)
        }
        _ => float(number(a)?, number(b)?, op).map(Value::Float),
    }
}

/// To the microsecond, the least that is written.
fn rounded(time: Duration) -> Duration {
    Duration::from_micros(((time.as_nanos() + 500) / 1000).min(u128::from(u64::MAX)) as u64)
}

fn whole(a: i64, b: i64, op: &str) -> Option<i64> {
    match op {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => a.checked_div(b),
        _ => a.checked_rem(b),
    }
}

fn float(a: f64, b: f64, op: &str) -> Option<f64> {
    let value = match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        _ => a % b,
    };
    value.is_finite().then_some(value)
}

/// A whole number where it is one.
fn ratio(a: f64, b: f64) -> Option<Value> {
    let ratio = float(a, b, "/")?;
    let whole = ratio.fract() == 0.0 && ratio.abs() < 9.0e15;
    Some(if whole { Value::Int(ratio as i64) } else { Value::Float(ratio) })
}
