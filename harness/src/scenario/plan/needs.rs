use super::{Action, FaultKind, Migrate, Step};

/// What a step acts on, and what must be there for that: the scenario's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs<'a> {
    /// An instance.
    pub instance: Option<&'a str>,
    /// A checkpoint.
    pub checkpoint: Option<&'a str>,
    /// A pod.
    pub pod: Option<&'a str>,
    /// A client that was started.
    pub client: Option<&'a str>,
    /// A fault that was laid.
    pub fault: Option<&'a str>,
}

impl Step {
    /// What it acts on.
    pub fn needs(&self) -> Needs<'_> {
        let mut needs = Needs::default();
        match &self.action {
            Action::AwaitCounter { instance, .. }
            | Action::AwaitMemory { instance, .. }
            | Action::AwaitEnd { instance }
            | Action::Capture { instance, .. }
            | Action::Freeze { instance }
            | Action::Thaw { instance }
            | Action::Checkpoint { instance, .. }
            | Action::Migrate(Migrate { instance, .. })
            | Action::Remove { instance } => needs.instance = Some(instance),
            Action::Transfer { checkpoint, .. }
            | Action::Tamper { checkpoint, .. }
            | Action::Restore { checkpoint, .. } => needs.checkpoint = Some(checkpoint),
            Action::MigratePod { pod, .. } => needs.pod = Some(pod),
            Action::StopClient { client } | Action::AwaitAnswers { client, .. } => needs.client = Some(client),
            Action::Mend { name } => needs.fault = Some(name),
            Action::Fault(fault) => match &fault.kind {
                FaultKind::Kill { of: Some(of), .. } => needs.instance = Some(of),
                FaultKind::Corrupt { checkpoint } => needs.checkpoint = Some(checkpoint),
                _ => {}
            },
            Action::Deploy { .. }
            | Action::StartClient { .. }
            | Action::Pause { .. }
            | Action::StartPod { .. }
            | Action::Restart { .. }
            | Action::CopyVolume { .. } => {}
        }
        needs
    }
}
