//! What a step does, in words.

use super::plan::{
    Action, Address, CallFault, Damage, Fault, FaultKind, Given, LinkFault, Medium, Migrate, Over, PodFreeze,
    RawCheckpoint, Step,
};
use crate::record::{GiveUp, SourceFate};

/// A line for people.
pub(crate) fn of(action: &Action) -> String {
    match action {
        Action::Deploy { instance, node, start: false, .. } => format!("make {instance} on {node}, not started"),
        Action::Deploy { workload, node, instance, given, .. } if workload == instance => {
            format!("start {workload} on {node}{}", with(given))
        }
        Action::Deploy { workload, node, instance, given, .. } => {
            format!("start {workload} as {instance} on {node}{}", with(given))
        }
        Action::StartClient { client } => format!("start client {client}"),
        Action::StopClient { client } => format!("stop client {client}"),
        Action::AwaitAnswers { client, count } => format!("wait for {count} answers of {client}"),
        Action::AwaitCounter { instance, at_least } => format!("wait until {instance} counts {at_least}"),
        Action::AwaitMemory { instance, at_least } => format!("wait until {instance} holds {}", bytes(*at_least)),
        Action::AwaitEnd { instance } => format!("wait until {instance} has ended"),
        Action::Pause { time } => format!("wait {time:?}"),
        Action::Capture { instance, name } => format!("capture {instance} as {name}"),
        Action::Freeze { instance } => format!("freeze {instance}"),
        Action::Thaw { instance } => format!("thaw {instance}"),
        Action::Checkpoint { instance, name, source, medium, times, raw } => {
            let count = if *times > 1 { format!(", {times} at once") } else { String::new() };
            let how = raw.as_ref().map(bare).unwrap_or_default();
            format!("checkpoint {instance} as {name}, {}{}{count}{how}", fate(*source), kept(*medium))
        }
        Action::Transfer { checkpoint, to, over } => format!("transfer {checkpoint} to {to}{}", way(*over)),
        Action::Tamper { checkpoint, name, damage } => format!("make {name} of {checkpoint}: {}", harm(damage)),
        Action::Restore { checkpoint, node, instance, verify, given, raw } => {
            let how = match (raw, verify) {
                (Some(_), _) => ", unguarded",
                (None, false) => ", not verified",
                (None, true) => "",
            };
            format!("restore {checkpoint} on {node} as {instance}{how}{}", with(given))
        }
        Action::Migrate(m) => {
            let how = m.strategy.map_or_else(|| fate(m.source).to_owned(), |s| format!("by {s}"));
            let how = [&how, kept(m.medium), way(m.over), along(m.address)].concat();
            format!("migrate {} to {} as {}, {how}{}", m.instance, m.to, m.into, with(&m.given))
        }
        Action::StartPod { pod, node } => format!("start pod {pod} on {node}"),
        Action::MigratePod { pod, to, into, freeze } => {
            let how = match freeze {
                PodFreeze::Together => "frozen at one instant",
                PodFreeze::Each => "each container frozen by itself",
            };
            format!("migrate pod {pod} to {to} as {into}, {how}")
        }
        Action::Remove { instance } => format!("remove {instance}"),
        Action::Restart { node } => format!("restart node {node}"),
        Action::CopyVolume { volume, from, to } => format!("copy volume {volume} from {from} to {to}"),
        Action::Fault(fault) => fault.title(),
        Action::Mend { name } => format!("mend {name}"),
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

fn with(given: &Given) -> String {
    let memory = given.memory.map(|limit| format!(", at most {} of memory", bytes(limit)));
    let volumes = given.volumes.as_ref().map(|volumes| match volumes.keys().map(String::as_str).collect::<Vec<_>>() {
        names if names.is_empty() => ", no volume".to_owned(),
        names => format!(", volume {}", names.join(", ")),
    });
    memory.into_iter().chain(volumes).collect()
}

/// As scenarios write it.
fn bytes(n: u64) -> String {
    match n {
        n if n > 0 && n % (1 << 20) == 0 => format!("{}Mi", n >> 20),
        n if n > 0 && n % (1 << 10) == 0 => format!("{}Ki", n >> 10),
        n => n.to_string(),
    }
}

fn along(address: Address) -> &'static str {
    match address {
        Address::New => "",
        Address::Moved => ", its address moved",
        Address::MovedLate => ", its address moved after the restore",
    }
}

fn way(over: Over) -> &'static str {
    if over == Over::Link { ", over the link" } else { "" }
}

impl Fault {
    /// What is broken, in words.
    pub fn title(&self) -> String {
        let node = &self.node;
        match &self.kind {
            FaultKind::Kill { role, of: Some(of), .. } => format!("kill the {} of {of} on {node}", role.name()),
            FaultKind::Kill { role, bare: true, .. } => format!("kill {} on {node}, unguarded", role.name()),
            FaultKind::Kill { role, of: None, .. } => format!("kill {} on {node}", role.name()),
            FaultKind::Pause => format!("pause node {node}"),
            FaultKind::Link(LinkFault::Cut) => format!("cut the link of {node}"),
            FaultKind::Link(LinkFault::Slow(rate)) => format!("slow the link of {node} to {rate} bytes a second"),
            FaultKind::Disk { of, leave } => format!("leave {leave} bytes for {} on {node}", of.name()),
            FaultKind::Corrupt { checkpoint } => format!("overwrite the middle of {checkpoint} on {node}"),
            FaultKind::Memory { leave } => format!("leave {leave} bytes of memory on {node}"),
            FaultKind::Port(port) => format!("something listens on port {port} on {node}"),
            FaultKind::Image { workload, how } => format!("the image of {workload} is {} on {node}", how.name()),
            FaultKind::Criu(how) => format!("criu is {} on {node}", how.name()),
            FaultKind::RuntimeCall { call, how: CallFault::Fail } => {
                format!("the next {} on {node} fails", call.name())
            }
            FaultKind::RuntimeCall { call, how: CallFault::Delay(by) } => {
                format!("the next {} on {node} is {by:?} late", call.name())
            }
        }
    }
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
    /// The node whose daemon the step kills and which is brought back unguarded.
    pub fn bare_kill(&self) -> Option<&str> {
        let fault = match (&self.action, &self.during) {
            (Action::Fault(fault), _) => fault,
            (_, Some(during)) => &during.fault,
            _ => return None,
        };
        matches!(fault.kind, FaultKind::Kill { bare: true, .. }).then_some(&fault.node)
    }

    /// The nodes that the step names.
    pub fn nodes(&self) -> Vec<&str> {
        match &self.action {
            Action::Deploy { node, .. } | Action::Restore { node, .. } | Action::Restart { node } => vec![node],
            Action::CopyVolume { from, to, .. } => vec![from, to],
            Action::Fault(fault) => vec![&fault.node],
            Action::StartPod { node, .. } => vec![node],
            Action::Transfer { to, .. } | Action::Migrate(Migrate { to, .. }) | Action::MigratePod { to, .. } => {
                vec![to]
            }
            _ => Vec::new(),
        }
    }
}
