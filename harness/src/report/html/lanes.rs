use super::scale::{Scale, Strip, Tick, round};
use crate::record::Millis;
use crate::report::view::{CaseView, PhaseView};
use serde::Serialize;

/// The timeline of a case: a lane for each node, with the phases that ran there and the instances that lived there, and
/// one for each client, with the spans in which it had no answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// From the source's lane to the target's: the checkpoint crosses.
    crossings: Vec<Crossing>,
    ticks: Vec<Tick>,
    /// Pixels.
    height: f64,
    axis: f64,
    label: String,
}

#[derive(Clone, Debug, Serialize)]
struct Lane {
    name: String,
    /// `node` or `client`.
    kind: &'static str,
    /// Pixels from the top.
    y: f64,
    height: f64,
    bars: Vec<Bar>,
    lives: Vec<Life>,
}

#[derive(Clone, Debug, Serialize)]
struct Bar {
    strip: Strip,
    y: f64,
    /// Text on it, if there is room.
    text: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Life {
    x1: f64,
    x2: f64,
    y: f64,
    name: String,
    anchor: &'static str,
    /// Where its name stands.
    text: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Crossing {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
    title: String,
}

/// Pixels.
const BAR: f64 = 18.0;
const HEAD: f64 = 22.0;
const LIFE: f64 = 18.0;
const GAP: f64 = 8.0;
const AXIS: f64 = 22.0;

impl Lanes {
    /// `None` for a case without phases. `nodes` gives the order of the lanes.
    pub(super) fn of(case: &CaseView, nodes: &[String]) -> Option<Lanes> {
        let scale = window(case)?;
        let zero = case.migrations.first().map_or(case.phases.first()?.from_ms, |m| m.from_ms);
        let mut names: Vec<&str> = nodes.iter().map(String::as_str).collect();
        names.extend(case.phases.iter().map(|p| p.node.as_str()).filter(|n| !nodes.iter().any(|k| k == n)));
        names.extend(case.breaks.iter().map(|b| b.node.as_str()).filter(|n| !nodes.iter().any(|k| k == n)));
        names.dedup();
        names.retain(|n| {
            case.phases.iter().any(|p| p.node == *n)
                || case.breaks.iter().any(|b| b.node == *n)
                || case.instances.iter().any(|i| i.node == *n)
        });
        let mut y = 0.0;
        let mut lanes = Vec::new();
        for name in names {
            let lane = node_lane(case, name, scale, y);
            y += lane.height + GAP;
            lanes.push(lane);
        }
        for client in &case.clients {
            let mut lane = Lane {
                name: format!("client {}", client.name),
                kind: "client",
                y,
                height: HEAD + BAR + 6.0,
                bars: Vec::new(),
                lives: Vec::new(),
            };
            let (first, last) = (client.from_ms.unwrap_or(scale.from), client.to_ms.unwrap_or(scale.from));
            lane.bars.extend(bar(scale, first, last - first, "serving", "it has answers".to_owned(), y + HEAD));
            for outage in &client.outages {
                let text = format!("no answer {}{}", Millis(outage.ms), if outage.ended { "" } else { ", to the end" });
                lane.bars.extend(bar(scale, outage.from_ms, outage.ms, "outage", text, y + HEAD));
            }
            y += lane.height + GAP;
            lanes.push(lane);
        }
        let label = label(case);
        Some(Lanes {
            crossings: crossings(case, &lanes, scale),
            lanes,
            ticks: scale.ticks(zero),
            height: y + AXIS,
            axis: y,
            label,
        })
    }
}

/// What the timeline shows: from the first phase or trigger to the last phase or the end of the outage of a migration.
pub(super) fn window(case: &CaseView) -> Option<Scale> {
    let outages = case.migrations.iter().filter_map(|m| Some(m.from_ms + m.total_ms?));
    let from = case.phases.iter().map(|p| p.from_ms).chain(case.migrations.iter().map(|m| m.from_ms));
    let to = case.phases.iter().map(|p| p.from_ms + p.ms).chain(outages);
    let (from, to) = (from.fold(f64::INFINITY, f64::min), to.fold(f64::NEG_INFINITY, f64::max));
    // What failed late, a wait of a minute, must not press the phases before it to nothing.
    let broken = case.breaks.iter().map(|b| b.from_ms + b.ms.min(to - from));
    let to = broken.fold(to, f64::max);
    (from < to).then(|| Scale::around(from, to, 0.04))
}

fn label(case: &CaseView) -> String {
    let phases: Vec<String> =
        case.phases.iter().map(|p| format!("{} on {} {}", p.name, p.node, Millis(p.ms))).collect();
    let broken = case.breaks.iter().map(|b| format!("{} on {} after {}", b.class, b.node, Millis(b.ms)));
    let parts: Vec<String> = phases.into_iter().chain(broken).collect();
    format!("Timeline of {}: {}", case.id, parts.join(", "))
}

fn bar(scale: Scale, from: f64, len: f64, class: &str, title: String, y: f64) -> Option<Bar> {
    let strip = scale.strip(from, len, class, title)?;
    // Some 7 px a letter, on a plot that is 340 px wide on a phone.
    let text = (strip.w * 3.4 > strip.title.len() as f64 * 7.0 && ["outage", "failed"].contains(&class))
        .then(|| strip.title.clone());
    Some(Bar { strip, y, text })
}

fn node_lane(case: &CaseView, name: &str, scale: Scale, y: f64) -> Lane {
    let mut rows: Vec<f64> = Vec::new();
    let mut bars = Vec::new();
    for phase in case.phases.iter().filter(|p| p.node == name) {
        // Phases that overlap stand below each other.
        let free = rows.iter().position(|end| *end <= phase.from_ms + 1e-6);
        let row = free.unwrap_or_else(|| {
            rows.push(0.0);
            rows.len() - 1
        });
        rows[row] = phase.from_ms + phase.ms;
        let title = format!("{} {}", phase.name, Millis(phase.ms));
        bars.extend(bar(scale, phase.from_ms, phase.ms, &class(phase), title, y + HEAD + row as f64 * (BAR + 2.0)));
    }
    for broken in case.breaks.iter().filter(|b| b.node == name) {
        let title = format!("{} after {}", broken.class, Millis(broken.ms));
        let len = broken.ms.min(scale.to - broken.from_ms);
        bars.extend(bar(scale, broken.from_ms, len, "failed", title, y + HEAD));
        if rows.is_empty() {
            rows.push(0.0);
        }
    }
    // Each on a row of its own, below what it broke.
    for fault in case.faults.iter().filter(|f| f.node == name) {
        let row = rows.len() as f64;
        rows.push(f64::INFINITY);
        let lasted = fault.ms.unwrap_or(scale.to - fault.from_ms);
        bars.extend(bar(scale, fault.from_ms, lasted, "fault", fault.sentence(), y + HEAD + row * (BAR + 2.0)));
    }
    let below = y + HEAD + rows.len() as f64 * (BAR + 2.0);
    let mut lives = Vec::new();
    for i in case.instances.iter().filter(|i| i.node == name) {
        let to = i.ended_ms.unwrap_or(scale.to);
        if i.from_ms > scale.to || to < scale.from {
            continue;
        }
        let (x1, x2) = (scale.x(i.from_ms), scale.x(to));
        let (anchor, text) = if x1 > 60.0 { ("end", x2) } else { ("start", x1) };
        lives.push(Life { x1, x2, y: below + 14.0 + lives.len() as f64 * LIFE, name: i.name.clone(), anchor, text });
    }
    let height = HEAD + rows.len() as f64 * (BAR + 2.0) + lives.len() as f64 * LIFE + 8.0;
    Lane { name: format!("node {name}"), kind: "node", y, height, bars, lives }
}

/// The style class of a phase.
pub(super) fn class(phase: &PhaseView) -> String {
    format!("p-{}", phase.name.replace(' ', "-"))
}

fn crossings(case: &CaseView, lanes: &[Lane], scale: Scale) -> Vec<Crossing> {
    let lane = |node: &str| lanes.iter().find(|l| l.kind == "node" && l.name == format!("node {node}"));
    let of = |t: &crate::report::view::TransferView| {
        let (from, to) = (lane(&t.from_node)?, lane(&t.to_node)?);
        let down = to.y > from.y;
        Some(Crossing {
            x1: scale.x(t.from_ms),
            y1: if down { from.y + from.height } else { from.y },
            x2: round(scale.x(t.from_ms + t.ms)),
            y2: if down { to.y } else { to.y + to.height },
            title: format!("{} crosses by {} in {}", t.checkpoint, t.via, Millis(t.ms)),
        })
    };
    case.transfers.iter().filter_map(of).collect()
}
