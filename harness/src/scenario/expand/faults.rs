//! Faults as written -> faults of the plan.

use super::{Cellular, Resolved};
use crate::scenario::faults::{During as WrittenDuring, Fault as Written};
use crate::scenario::plan::{CallFault, During, Fault, FaultKind};
use crate::scenario::value::Name;
use std::time::Duration;

impl Cellular<'_> {
    pub(super) fn fault(&self, written: &Written) -> Resolved<Fault> {
        let text = |name: &Name| name.text().to_owned();
        Ok(Fault { node: text(&written.node), name: written.name.as_ref().map(text), kind: self.fault_kind(written)? })
    }

    /// The linter has seen that it is exactly one.
    fn fault_kind(&self, written: &Written) -> Resolved<FaultKind> {
        let text = |name: &Name| name.text().to_owned();
        Ok(if let Some(role) = &written.kill {
            FaultKind::Kill {
                role: self.get(role)?,
                of: written.of.as_ref().map(text),
                bare: !self.or(&written.guard, true)?,
            }
        } else if let Some(link) = &written.link {
            FaultKind::Link(self.get(link)?)
        } else if let Some(disk) = &written.disk {
            FaultKind::Disk { of: self.get(&disk.of)?, leave: self.get(&disk.leave)?.0 }
        } else if let Some(corrupt) = &written.corrupt {
            FaultKind::Corrupt { checkpoint: text(&corrupt.checkpoint) }
        } else if let Some(memory) = &written.memory {
            FaultKind::Memory { leave: self.get(&memory.leave)?.0 }
        } else if let Some(criu) = &written.criu {
            FaultKind::Criu(self.get(criu)?)
        } else if let Some(port) = &written.port {
            FaultKind::Port(self.get(port)?.0)
        } else if let Some(image) = &written.image {
            FaultKind::Image { workload: text(&image.workload), how: self.get(&image.is)? }
        } else if let Some(call) = &written.runtime_call {
            let how = match &call.delay {
                Some(delay) => CallFault::Delay(self.get(delay)?),
                None => CallFault::Fail,
            };
            FaultKind::RuntimeCall { call: self.get(&call.call)?, how }
        } else {
            FaultKind::Pause
        })
    }

    pub(super) fn during(&self, written: &WrittenDuring) -> Resolved<During> {
        Ok(During {
            stage: self.get(&written.stage)?,
            after: self.or(&written.after, Duration::ZERO)?,
            fault: self.fault(&written.fault)?,
        })
    }
}
