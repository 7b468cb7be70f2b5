//! Spans: their ids, their times, their attributes.

use crate::record::{At, Run};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use sha2::{Digest, Sha256};

/// Wall time of stamps of the monotonic clock.
pub(super) struct Wall {
    epoch: At,
    /// Of the epoch, in ns since 1970.
    began: u64,
    /// The last moment that is known of.
    pub(super) end: At,
}

impl Wall {
    pub(super) fn of(run: &Run) -> Wall {
        let began = run.started.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_nanosecond);
        let known = run.cases.iter().flat_map(|c| {
            let steps = c.evidence.steps.iter().map(|s| s.to);
            c.to.into_iter().chain([c.from]).chain(steps)
        });
        let end = known.chain(run.ended).max().unwrap_or(run.epoch).max(run.epoch);
        Wall { epoch: run.epoch, began: u64::try_from(began).unwrap_or(0), end }
    }

    pub(super) fn at(&self, at: At) -> u64 {
        if at >= self.epoch {
            self.began.saturating_add(at.0 - self.epoch.0)
        } else {
            self.began.saturating_sub(self.epoch.0 - at.0)
        }
    }
}

/// The ids of one trace: they follow from its name.
pub(super) struct Ids {
    trace: Vec<u8>,
    made: std::cell::Cell<u32>,
}

impl Ids {
    pub(super) fn of(run: &str, case: &str) -> Ids {
        Ids { trace: digest(&[run.as_bytes(), b"\n", case.as_bytes()], 16), made: std::cell::Cell::new(0) }
    }

    pub(super) fn root(&self, name: &str, span: (At, At), wall: &Wall) -> Span {
        self.span(name, span, wall, Vec::new())
    }

    pub(super) fn child(&self, of: &Span, name: &str, span: (At, At), wall: &Wall) -> Span {
        self.span(name, span, wall, of.span_id.clone())
    }

    fn span(&self, name: &str, (from, to): (At, At), wall: &Wall, parent: Vec<u8>) -> Span {
        let n = self.made.replace(self.made.get() + 1);
        Span {
            trace_id: self.trace.clone(),
            span_id: digest(&[&self.trace, &n.to_be_bytes()], 8),
            parent_span_id: parent,
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: wall.at(from),
            end_time_unix_nano: wall.at(to.max(from)),
            ..Span::default()
        }
    }
}

fn digest(parts: &[&[u8]], bytes: usize) -> Vec<u8> {
    let mut hash = Sha256::new();
    parts.iter().for_each(|p| hash.update(p));
    hash.finalize()[..bytes].to_vec()
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(super) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub(super) fn truth(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn event(name: &str, at: At, wall: &Wall, attributes: Vec<KeyValue>) -> Event {
    Event { time_unix_nano: wall.at(at), name: name.to_owned(), attributes, dropped_attributes_count: 0 }
}

pub(super) fn link(to: &Span) -> Link {
    Link { trace_id: to.trace_id.clone(), span_id: to.span_id.clone(), ..Link::default() }
}

pub(super) fn failed(message: &str) -> Option<Status> {
    Some(Status { message: message.to_owned(), code: StatusCode::Error as i32 })
}

pub(super) fn fine() -> Option<Status> {
    Some(Status { message: String::new(), code: StatusCode::Ok as i32 })
}
