//! The table of engines, and [`EngineKind`] made of it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Every engine, one a line: its kind, the name that users write, and the function of the room `engine` that connects it
/// (`engine::connect` reads that column; here it is only words). Reports list engines in this order.
macro_rules! engine_table {
    ($read:path) => {
        $read! {
            /// containerd by the Container Runtime Interface.
            Cri = "cri", cri::connect;
            /// The same over crun, by a wrapper that leaves out the option of containerd's that crun does not know.
            CriCrun = "cri-crun", cri::connect;
            /// CRI-O by the Container Runtime Interface. No package brings it: it is to be given.
            CriCrio = "cri-crio", crio::connect;
            /// runc, called directly: no containerd between.
            Runc = "runc", runc::connect;
            /// crun, by the same code as `runc`.
            Crun = "crun", runc::connect;
            /// containerd by a kubelet, which the API server of a Kubernetes cluster tells what to do.
            Kubelet = "kubelet", cri::kubelet::connect;
            /// containerd without CRI, as its own client `ctr` uses it.
            Ctr = "ctr", ctr::connect;
            /// podman over crun.
            Podman = "podman", podman::connect;
            /// podman over runc.
            PodmanRunc = "podman-runc", podman::connect;
            /// Docker with its experimental features on, by its API.
            Docker = "docker", docker::connect;
        }
    };
}
pub(crate) use engine_table;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $($connect:ident)::+;)*) => {
        /// How containers are run, checkpointed and restored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum EngineKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl EngineKind {
            /// All engines, in the order in which reports list them.
            pub const ALL: &[EngineKind] = &[$(EngineKind::$kind),*];

            /// The engine's name as users write it.
            pub fn name(self) -> &'static str {
                match self {
                    $(EngineKind::$kind => $name,)*
                }
            }
        }
    };
}
engine_table!(kinds);

/// What an engine needs that is on no node unless it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A program that no package brings: `--component NAME=PATH`.
    Program(&'static str),
    /// A Kubernetes cluster: `--kubernetes VERSION`.
    Cluster,
}

impl EngineKind {
    /// What is to be given for it, if anything is.
    pub fn given(self) -> Option<Given> {
        match self {
            EngineKind::CriCrio => Some(Given::Program("crio")),
            EngineKind::Kubelet => Some(Given::Cluster),
            _ => None,
        }
    }

    /// The engines that need nothing given: what is meant where none is named.
    pub fn usual() -> impl Iterator<Item = EngineKind> {
        EngineKind::ALL.iter().copied().filter(|kind| kind.given().is_none())
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|e| e.name() == s).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("unknown engine `{s}`: one of {}", all.join(", "))
        })
    }
}
