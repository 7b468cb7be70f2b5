//! What a step does, in words.

use super::plan::{Action, Damage, Medium, RawCheckpoint, Step};
use crate::record::{GiveUp, SourceFate};

/// A line for people.
pub(super) fn of(action: &Action) -> String {
    match action {
        Action::Deploy { workload, node, instance } if workload == instance => format!("start {workload} on {node}"),
        Action::Deploy { workload, node, instance } => format!("start {workload} as {instance} on {node}"),
        Action::StartClient { client } => format!("start client {client}"),
        Action::StopClient { client } => format!("stop client {client}"),
        Action::AwaitAnswers { client, count } => format!("wait for {count} answers of {client}"),
        Action::AwaitCounter { instance, at_least } => format!("wait until {instance} counts {at_least}"),
        Action::Pause { time } => format!("wait {time:?}"),
        Action::Capture { instance, name } => format!("capture {instance} as {name}"),
        Action::Freeze { instance } => format!("freeze {instance}"),
        Action::Thaw { instance } => format!("thaw {instance}"),
        Action::Checkpoint { instance, name, source, medium, times, raw } => {
            let count = if *times > 1 { format!(", {times} at once") } else { String::new() };
            let how = raw.as_ref().map(bare).unwrap_or_default();
            format!("checkpoint {instance} as {name}, {}{}{count}{how}", fate(*source), kept(*medium))
        }
        Action::Transfer { checkpoint, to } => format!("transfer {checkpoint} to {to}"),
        Action::Tamper { checkpoint, name, damage } => format!("make {name} of {checkpoint}: {}", harm(damage)),
        Action::Restore { checkpoint, node, instance, verify, raw } => {
            let how = match (raw, verify) {
                (Some(_), _) => ", unguarded",
                (None, false) => ", not verified",
                (None, true) => "",
            };
            format!("restore {checkpoint} on {node} as {instance}{how}")
        }
        Action::Migrate { instance, to, into, source, medium } => {
            format!("migrate {instance} to {to} as {into}, {}{}", fate(*source), kept(*medium))
        }
        Action::Remove { instance } => format!("remove {instance}"),
        Action::Kill { node, role } => format!("kill {role} on {node}"),
    }
}

fn fate(source: SourceFate) -> &'static str {
    match source {
        SourceFate::Running => "source goes on",
        SourceFate::Stopped => "source stopped",
        SourceFate::Fenced => "source fenced",
    }
}

fn bare(raw: &RawCheckpoint) -> String {
    let over = raw.over.as_ref().map(|name| format!(", over {name}")).unwrap_or_default();
    let ended = match raw.give_up {
        None => String::new(),
        Some(GiveUp::Deadline(after)) => format!(", deadline {after:?}"),
        Some(GiveUp::Cancel(after)) => format!(", cancelled after {after:?}"),
    };
    format!(", unguarded{over}{ended}")
}

fn kept(medium: Medium) -> &'static str {
    if medium == Medium::Image { ", by image" } else { "" }
}

fn harm(damage: &Damage) -> String {
    match damage {
        Damage::Truncate { keep } => format!("cut to {keep} bytes"),
        Damage::Empty => "emptied".into(),
        Damage::Random => "overwritten with random bytes".into(),
        Damage::DropEntry { entry } => format!("without {entry}"),
        Damage::CutEntry { entry, keep } => format!("{entry} cut to {keep} bytes"),
        Damage::FlipBit { entry: Some(entry) } => format!("one bit of {entry} turned"),
        Damage::FlipBit { entry: None } => "one bit of a header turned".into(),
        Damage::EscapingEntry => "with an entry that escapes".into(),
        Damage::EscapingLink => "with a link that leads out".into(),
    }
}

impl Step {
    /// The nodes that the step names.
    pub fn nodes(&self) -> Vec<&str> {
        match &self.action {
            Action::Deploy { node, .. } | Action::Restore { node, .. } | Action::Kill { node, .. } => vec![node],
            Action::Transfer { to, .. } | Action::Migrate { to, .. } => vec![to],
            _ => Vec::new(),
        }
    }
}
