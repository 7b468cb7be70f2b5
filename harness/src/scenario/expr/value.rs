use crate::scenario::units::{Rate, Size};
use crate::scenario::value::Scalar;
use rhai::{Dynamic, ImmutableString};
use std::fmt;
use std::time::Duration;

/// A value of an expression. What is written `64Mi` or `2s` keeps its unit.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::scenario) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes.
    Size(u64),
    Time(Duration),
    /// A second.
    Rate(f64),
}

/// A value with a unit, as rhai carries it.
#[derive(Clone, Debug)]
pub(super) struct United(pub(super) Value);

impl Value {
    /// What a text stands for.
    pub(in crate::scenario) fn parse(text: &str) -> Value {
        if let Ok(int) = text.parse::<i64>() {
            return Value::Int(int);
        }
        if let Ok(bool) = text.parse() {
            return Value::Bool(bool);
        }
        let decimal = |t: &str| t.bytes().all(|b| b.is_ascii_digit() || b == b'.').then(|| t.parse().ok())?;
        let size = || Size::parse(text).map(|size| Value::Size(size.0));
        let time = || Duration::parse(text).map(Value::Time);
        let rate = || Rate::parse(text).map(|rate| Value::Rate(rate.0));
        let float = || decimal(text).map(Value::Float);
        size().or_else(time).or_else(rate).or_else(float).unwrap_or_else(|| Value::Text(text.to_owned()))
    }

    /// What kind of value it is.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::Size(_) => "a size",
            Value::Time(_) => "a time",
            Value::Rate(_) => "a rate",
        }
    }

    /// As rhai takes it. (`Dynamic::from` would carry any type as it is, this one too.)
    pub(super) fn dynamic(self) -> Dynamic {
        match self {
            Value::Bool(bool) => bool.into(),
            Value::Int(int) => int.into(),
            Value::Float(float) => float.into(),
            Value::Text(text) => text.into(),
            united => Dynamic::from(United(united)),
        }
    }

    /// Of what rhai has; `None`: it is nothing, or a group of values.
    pub(super) fn of(value: &Dynamic) -> Option<Value> {
        if let Some(united) = value.clone().try_cast::<United>() {
            return Some(united.0);
        }
        let int = || value.as_int().ok().map(Value::Int);
        let float = || value.as_float().ok().map(Value::Float);
        let bool = || value.as_bool().ok().map(Value::Bool);
        let text = || value.clone().try_cast::<ImmutableString>().map(|t| Value::Text(t.into()));
        let char = || value.as_char().ok().map(|c| Value::Text(c.into()));
        int().or_else(float).or_else(bool).or_else(text).or_else(char)
    }
}

/// As scenarios write it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(bool) => bool.fmt(f),
            Value::Int(int) => int.fmt(f),
            Value::Float(float) => float.fmt(f),
            Value::Text(text) => text.fmt(f),
            Value::Size(bytes) => {
                let units = [(1u64 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
                match units.iter().find(|(unit, _)| *bytes > 0 && bytes % unit == 0) {
                    Some((unit, name)) => write!(f, "{}{name}", bytes / unit),
                    None => write!(f, "{bytes}B"),
                }
            }
            Value::Time(time) => match time.as_nanos() {
                nanos if nanos % 1_000_000_000 == 0 => write!(f, "{}s", time.as_secs()),
                nanos if nanos % 1_000_000 == 0 => write!(f, "{}ms", time.as_millis()),
                nanos => write!(f, "{}us", nanos as f64 / 1e3),
            },
            Value::Rate(rate) => write!(f, "{rate}/s"),
        }
    }
}
