//! Faults as written.

use super::field::Field;
use super::plan::{CriuFault, DiskOf, ImageFault, LinkFault, Role, RuntimeCall, Stage};
use super::read::shape;
use super::units::{Port, Size};
use super::value::Name;
use std::time::Duration;

shape! {
    /// Breaks something on a node: one of `kill`, `pause`, `link`, `disk`, `corrupt`, `memory`, `criu`, `port`, `image`,
    /// `runtimeCall`. It is mended at the end of the case, or by `mend`.
    pub(super) struct Fault ("`fault`") {
        /// The node.
        "node" => node: Name,
        /// The name that `mend` mends it by.
        "as" => name: Option<Name>,
        /// A process of the node that gets SIGKILL. A daemon is brought back by the mending.
        "kill" => kill: Option<Field<Role>>,
        /// `kill: shim` and `kill: workload`: the instance that it belongs to.
        "of" => of: Option<Name>,
        /// `kill: containerd`: `false` brings it back as a service manager does, which puts nothing else right.
        "guard" => guard: Option<Field<bool>>,
        /// `true`: every process of the node stands still, but for its PID 1.
        "pause" => pause: Option<Field<bool>>,
        /// The node's cable: `cut`, or bytes a second such as `10Mi/s`.
        "link" => link: Option<Field<LinkFault>>,
        /// A file system that is full.
        "disk" => disk: Option<Disk>,
        /// A checkpoint that is overwritten in its middle.
        "corrupt" => corrupt: Option<Corrupt>,
        /// Memory that runs short.
        "memory" => memory: Option<Memory>,
        /// The node's CRIU: `absent`, or `old`: something that calls itself 2.6.
        "criu" => criu: Option<Field<CriuFault>>,
        /// A TCP port that something else listens on in the network of the container that the step makes; only in
        /// `during`, at the stage `restore`.
        "port" => port: Option<Field<Port>>,
        /// The image of a workload, which the node cannot get, or under whose name it gets another (cri only).
        "image" => image: Option<ImageOf>,
        /// One call of the OCI runtime, the next of its name, is delayed or fails.
        "runtimeCall" => runtime_call: Option<Call>,
    }
}

shape! {
    /// A file system that is full.
    pub(super) struct Disk ("`disk`") {
        /// The one that CRIU's `images` are written to, or the one that `archives` are kept on.
        "of" => of: Field<DiskOf>,
        /// Room that is left.
        "leave" => leave: Field<Size>,
    }
}

shape! {
    /// A checkpoint that is overwritten.
    pub(super) struct Corrupt ("`corrupt`") {
        /// The checkpoint; it must be on the node.
        "checkpoint" => checkpoint: Name,
    }
}

shape! {
    /// An image that a node cannot get.
    pub(super) struct ImageOf ("`image`") {
        /// The workload whose image it is.
        "workload" => workload: Name,
        /// `missing`, or `other`: another one has its name.
        "is" => is: Field<ImageFault>,
    }
}

shape! {
    /// Memory that runs short.
    pub(super) struct Memory ("`memory`") {
        /// By how much all that the node's processes take may still grow.
        "leave" => leave: Field<Size>,
    }
}

shape! {
    /// A call of the OCI runtime that is slow or fails: one of `delay` and `fail`.
    pub(super) struct Call ("`runtimeCall`") {
        /// The call.
        "call" => call: Field<RuntimeCall>,
        /// So much later it begins.
        "delay" => delay: Option<Field<Duration>>,
        /// `true`: it does nothing and fails.
        "fail" => fail: Option<Field<bool>>,
    }
}

shape! {
    /// A fault at a stage of the step that it stands beside.
    pub(super) struct During ("`during`") {
        /// The stage: `dump`, `archive` (cri), `transfer`, `restore`.
        "stage" => stage: Field<Stage>,
        /// How long after the stage's begin; if left out, the stage is held until the fault is there.
        "after" => after: Option<Field<Duration>>,
        /// The fault.
        "fault" => fault: Fault,
    }
}

impl Fault {
    /// The keys that say what is broken.
    pub(super) fn kinds(&self) -> Vec<&'static str> {
        let all = [
            ("kill", self.kill.is_some()),
            ("pause", self.pause.is_some()),
            ("link", self.link.is_some()),
            ("disk", self.disk.is_some()),
            ("corrupt", self.corrupt.is_some()),
            ("memory", self.memory.is_some()),
            ("criu", self.criu.is_some()),
            ("port", self.port.is_some()),
            ("image", self.image.is_some()),
            ("runtimeCall", self.runtime_call.is_some()),
        ];
        all.into_iter().filter_map(|(key, given)| given.then_some(key)).collect()
    }
}
