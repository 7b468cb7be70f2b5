//! What a process is and may do: values that are set once and read back.

use crate::zoo::idle::Idle;
use crate::zoo::kind::{Area, Kind, Label, Setting, absent, same};
use crate::zoo::sys;
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Pid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use std::fs;
use std::io;

/// Fields of `/proc/self/status`.
fn status(names: &[&str]) -> io::Result<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    let field = |name: &&str| {
        let value = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(":\t"));
        format!("{name} {}", value.unwrap_or("-").replace('\t', " "))
    };
    Ok(names.iter().map(field).collect::<Vec<_>>().join(", "))
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $label:expr, set $set:block, get $get:block;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;

            impl Setting for $name {
                const LABEL: Label = $label;

                fn set() -> io::Result<()> $set

                fn get() -> io::Result<String> $get
            }
        )*
    };
}

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Rights, about)
}

settings! {
    /// Real, effective and saved users and groups, and more groups.
    Credentials: label("credentials", "real, effective and saved users and groups that are not root's")
        .zdtm("xids00 groups different_creds thread_different_uid_gid")
        .outside(&["status.Uid", "status.Gid", "status.Groups"])
        .alone("CRIU needs CAP_SYS_RESOURCE for a process of another user than its own"),
    set {
        let (uid, gid) = (Uid::from_raw, Gid::from_raw);
        setgroups(&[gid(1003), gid(1004)])?;
        setresgid(gid(1000), gid(1001), gid(1002))?;
        Ok(setresuid(uid(1000), uid(1001), uid(1002))?)
    },
    get {
        let (users, groups, more) = (getresuid()?, getresgid()?, getgroups()?);
        let more: Vec<u32> = more.iter().map(|g| g.as_raw()).collect();
        Ok(format!(
            "users {} {} {}, groups {} {} {}, more {more:?}",
            users.real, users.effective, users.saved, groups.real, groups.effective, groups.saved
        ))
    };

    /// One capability less in effect, one less permitted, one less to be had.
    Capabilities: label("capabilities", "sets of capabilities with one less in each")
        .zdtm("caps00 caps01")
        .outside(&["status.Cap"]),
    set {
        // Of those that every engine gives its containers: podman (5.8.6) gives fewest.
        const NET_BIND_SERVICE: u64 = 10;
        const SYS_CHROOT: u32 = 18;
        const SETFCAP: u32 = 31;
        sys::prctl(libc::PR_CAPBSET_DROP, NET_BIND_SERVICE)?;
        let [effective, permitted, inheritable] = sys::capabilities()?;
        let both = !(1_u64 << SETFCAP);
        sys::set_capabilities([effective & both & !(1 << SYS_CHROOT), permitted & both, inheritable])
    },
    get { status(&["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) };

    /// That no program gives it more.
    NoNewPrivileges: label("no-new-privileges", "that no program gives it more than it has")
        .zdtm("no_new_privs")
        .outside(&["status.NoNewPrivs"]),
    set { match sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0)? {
            0 => sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop),
            _ => Err(absent("the engine starts every program so")),
        } },
    get { status(&["NoNewPrivs"]) };

    /// A filter for system calls.
    Seccomp: label("seccomp", "a filter for system calls")
        .zdtm("seccomp_filter seccomp_filter_tsync seccomp_filter_inheritance seccomp_filter_threads seccomp_strict")
        .outside(&["status.Seccomp"]),
    set { sys::seccomp_allow_all() },
    get { status(&["Seccomp", "Seccomp_filters"]) };

    /// What is taken from the modes of new files.
    Umask: label("umask", "what is taken from the modes of new files")
        .zdtm("umask00")
        .outside(&["status.Umask"]),
    set {
        umask(Mode::from_bits_truncate(0o345));
        Ok(())
    },
    get {
        // It can only be read by being set.
        let now = umask(Mode::empty());
        umask(now);
        Ok(format!("{:04o}", now.bits()))
    };

    /// Limits below those that it started with.
    Limits: label("rlimits", "limits below those that it started with")
        .zdtm("rlimits00")
        .outside(&["limits"]),
    set {
        setrlimit(Resource::RLIMIT_NOFILE, 345, 678)?;
        setrlimit(Resource::RLIMIT_STACK, 3 << 20, 5 << 20)?;
        Ok(setrlimit(Resource::RLIMIT_MSGQUEUE, 12_345, 23_456)?)
    },
    get {
        let one = |r: Resource| getrlimit(r).map(|(soft, hard)| format!("{soft}/{hard}"));
        Ok(format!(
            "files {}, stack {}, queues {}",
            one(Resource::RLIMIT_NOFILE)?,
            one(Resource::RLIMIT_STACK)?,
            one(Resource::RLIMIT_MSGQUEUE)?
        ))
    };

    /// Policy and nice value.
    Scheduling: label("scheduling", "the policy for batch work, and a nice value")
        .zdtm("sched_prio00 sched_policy00")
        .outside(&["sched"]),
    set { sys::be_batch(7) },
    get { Ok(format!("policy {}, nice {}", sys::policy(), sys::nice())) };

    /// On which processors it may run.
    Affinity: label("cpu-affinity", "one processor that it may run on")
        .zdtm("cpu-affinity0")
        .outside(&["status.Cpus_allowed_list"]),
    set {
        let now = sched_getaffinity(Pid::from_raw(0))?;
        let allowed: Vec<usize> = (0..CpuSet::count()).filter(|n| now.is_set(*n).unwrap_or(false)).collect();
        let [first, _, ..] = allowed[..] else { return Err(absent("there is only one processor")) };
        let mut one = CpuSet::new();
        one.set(first)?;
        Ok(sched_setaffinity(Pid::from_raw(0), &one)?)
    },
    get { status(&["Cpus_allowed_list"]) };

    /// How soon it is killed for want of memory.
    OomScore: label("oom-score", "how soon it is killed for want of memory")
        .zdtm("oom_score_adj")
        .outside(&["oom_score_adj"]),
    set { fs::write("/proc/self/oom_score_adj", "987") },
    get { Ok(fs::read_to_string("/proc/self/oom_score_adj")?.trim().to_owned()) };

    /// What it is sent when its parent ends.
    ParentDeath: label("parent-death-signal", "the signal that it gets when its parent ends")
        .zdtm("pdeath_sig"),
    set { sys::prctl(libc::PR_SET_PDEATHSIG, 12).map(drop) },
    get { Ok(sys::prctl_read(libc::PR_GET_PDEATHSIG)?.to_string()) };

    /// That orphans below it come to it.
    Subreaper: label("child-subreaper", "that orphans below it become its children")
        .zdtm("child_subreaper child_subreaper_existing_child"),
    set { sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map(drop) },
    get { Ok(sys::prctl_read(libc::PR_GET_CHILD_SUBREAPER)?.to_string()) };

    /// That nobody of its user may look into it.
    Dumpable: label("dumpable", "that it leaves no core and others of its user may not trace it")
        .zdtm("dumpable01 dumpable02"),
    set { sys::prctl(libc::PR_SET_DUMPABLE, 0).map(drop) },
    get { Ok(sys::prctl(libc::PR_GET_DUMPABLE, 0)?.to_string()) };

    /// How late its timers may be.
    TimerSlack: label("timer-slack", "how late its timers may be"),
    set { sys::prctl(libc::PR_SET_TIMERSLACK, 123_456).map(drop) },
    get { Ok(sys::prctl(libc::PR_GET_TIMERSLACK, 0)?.to_string()) };

    /// That it gets no huge pages.
    NoHugePages: label("no-huge-pages", "that the kernel gives it no huge pages by itself")
        .zdtm("thp_disable")
        .outside(&["status.THP_enabled"]),
    set { sys::prctl(libc::PR_SET_THP_DISABLE, 1).map(drop) },
    get { Ok(sys::prctl(libc::PR_GET_THP_DISABLE, 0)?.to_string()) };

    /// That its addresses are not random.
    Personality: label("personality", "a personality: that its addresses are not random")
        .outside(&["personality"]),
    // docker's filter of system calls lets through no personality but a few (28.5.2).
    set { sys::personality(0x0004_0000).map(drop).map_err(|e| match e.raw_os_error() {
            Some(libc::EPERM) => absent(format!("the engine forbids the system call: {e}")),
            _ => e,
        }) },
    get { Ok(format!("{:x}", sys::personality(0xffff_ffff)?)) };
}

/// A child in a user namespace of its own.
pub(super) struct UserNamespace {
    child: Idle,
    own: String,
}

fn namespace(pid: u32) -> io::Result<String> {
    Ok(fs::read_link(format!("/proc/{pid}/ns/user"))?.display().to_string())
}

impl Kind for UserNamespace {
    const LABEL: Label = label("user-namespace", "a child in a user namespace of its own")
        .zdtm("userns00 userns01 userns02")
        .alone("CRIU carries no user namespace below that of the container");

    fn hold() -> io::Result<Self> {
        let made = Idle::start(0, || Ok(unshare(CloneFlags::CLONE_NEWUSER)?));
        let child = made.map_err(|e| absent(format!("no user namespace can be made here: {e}")))?;
        let own = namespace(std::process::id())?;
        let mut held = UserNamespace { child, own };
        held.verify()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        let childs = namespace(self.child.pid())?;
        same("its own differs from the child's", &true, &(self.own != childs))?;
        Ok("it has one of its own".to_owned())
    }
}
