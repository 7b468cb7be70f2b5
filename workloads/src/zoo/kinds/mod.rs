//! The kinds: a file a topic, a line a kind.

mod events;
mod files;
mod identity;
mod inet;
mod ipc;
mod locks;
mod mappings;
mod memory;
mod pipes;
mod processes;
mod rights;
mod rootfs;
mod signals;
mod terminals;
mod threads;
mod timers;
mod unix;
mod unlinked;

use super::kind::{Set, Specimen, of};

/// All kinds, in the order of their areas.
pub const KINDS: &[Specimen] = &[
    of::<processes::Tree>(),
    of::<processes::Session>(),
    of::<processes::Zombie>(),
    of::<processes::Stopped>(),
    of::<processes::Traced>(),
    of::<processes::DeletedProgram>(),
    of::<threads::Threads>(),
    of::<threads::Sleeper>(),
    of::<threads::Registers>(),
    of::<Set<rights::Credentials>>(),
    of::<Set<rights::Capabilities>>(),
    of::<Set<rights::NoNewPrivileges>>(),
    of::<Set<rights::Seccomp>>(),
    of::<rights::UserNamespace>(),
    of::<Set<rights::Umask>>(),
    of::<Set<rights::Limits>>(),
    of::<Set<rights::Scheduling>>(),
    of::<Set<rights::Affinity>>(),
    of::<Set<rights::OomScore>>(),
    of::<Set<rights::ParentDeath>>(),
    of::<Set<rights::Subreaper>>(),
    of::<Set<rights::Dumpable>>(),
    of::<Set<rights::TimerSlack>>(),
    of::<Set<rights::NoHugePages>>(),
    of::<Set<rights::Personality>>(),
    of::<memory::Heap>(),
    of::<memory::Shared>(),
    of::<memory::Memfd>(),
    of::<memory::Huge>(),
    of::<memory::Advised>(),
    of::<memory::Locked>(),
    of::<memory::Userfault>(),
    of::<memory::AioRing>(),
    of::<memory::IoUring>(),
    of::<mappings::Private>(),
    of::<mappings::SharedFile>(),
    of::<mappings::Deleted>(),
    of::<mappings::Protections>(),
    of::<files::Offset>(),
    of::<files::Append>(),
    of::<files::Numbers>(),
    of::<files::Folder>(),
    of::<files::Owner>(),
    of::<files::Devices>(),
    of::<files::ProcFile>(),
    of::<files::PidFd>(),
    of::<unlinked::Small>(),
    of::<unlinked::Large>(),
    of::<unlinked::OtherName>(),
    of::<unlinked::Directory>(),
    of::<terminals::Pty>(),
    of::<locks::Flock>(),
    of::<locks::Posix>(),
    of::<locks::PosixShared>(),
    of::<locks::Ofd>(),
    of::<locks::Lease>(),
    of::<pipes::Pipe>(),
    of::<pipes::Packets>(),
    of::<pipes::Fifo>(),
    of::<unix::Stream>(),
    of::<unix::Datagrams>(),
    of::<unix::SeqPackets>(),
    of::<unix::Passed>(),
    of::<unix::Named>(),
    of::<unix::Abstract>(),
    of::<unix::DeletedName>(),
    of::<unix::Waiting>(),
    of::<inet::Listener>(),
    of::<inet::Listener6>(),
    of::<inet::Established>(),
    of::<inet::InFlight>(),
    of::<inet::HalfClosed>(),
    of::<inet::Udp>(),
    of::<inet::UdpQueued>(),
    of::<inet::Netlink>(),
    of::<inet::Packet>(),
    of::<events::Epoll>(),
    of::<events::EventFd>(),
    of::<events::SignalFd>(),
    of::<events::TimerFd>(),
    of::<events::Inotify>(),
    of::<ipc::SysvShm>(),
    of::<ipc::SysvSem>(),
    of::<ipc::SysvMsg>(),
    of::<ipc::PosixShm>(),
    of::<ipc::PosixQueue>(),
    of::<signals::Pending>(),
    of::<signals::Handlers>(),
    of::<timers::Interval>(),
    of::<timers::CpuIntervals>(),
    of::<timers::Posix>(),
    of::<timers::Monotonic>(),
    of::<timers::Realtime>(),
    of::<timers::CpuTime>(),
    of::<rootfs::Changed>(),
    of::<rootfs::Created>(),
    of::<rootfs::Removed>(),
    of::<rootfs::Xattrs>(),
    of::<rootfs::HardLinks>(),
    of::<rootfs::Symlinks>(),
    of::<rootfs::Folders>(),
    of::<rootfs::Special>(),
    of::<rootfs::Times>(),
    of::<rootfs::Tmpfs>(),
    of::<identity::Environment>(),
    of::<identity::WorkingFolder>(),
    of::<Set<identity::Name>>(),
    of::<identity::Hostname>(),
    of::<identity::Address>(),
    of::<identity::Random>(),
];

/// A kind by its name.
pub fn find(name: &str) -> Option<&'static Specimen> {
    KINDS.iter().find(|k| k.label.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_areas_in_order() {
        for (i, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..i].iter().all(|k| k.label.name != kind.label.name), "{}", kind.label.name);
            let name = kind.label.name;
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
        let areas: Vec<_> = KINDS.iter().map(|k| k.label.area).collect();
        assert!(areas.is_sorted(), "a kind stands outside of its area");
    }
}
