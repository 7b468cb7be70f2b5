use crate::record::{HostRecord, MachineRecord};
use std::fs;
use std::path::Path;

/// What this machine is. What cannot be read stays empty.
pub fn host_record() -> HostRecord {
    let machine = MachineRecord::read(&read("/proc/sys/kernel/osrelease"), &read("/proc/cpuinfo"));
    HostRecord {
        kernel: machine.kernel,
        os: os_name(&read("/etc/os-release")),
        cpus: std::thread::available_parallelism().map_or(0, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        cpu_model: machine.cpu_model,
        memory_mib: memory_mib(&read("/proc/meminfo")),
        cgroup: cgroup_kind().to_owned(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first `key : value` line.
fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|l| l.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn os_name(os_release: &str) -> String {
    let line = os_release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    line.map(|l| l.trim_matches('"').to_owned()).unwrap_or_default()
}

fn memory_mib(meminfo: &str) -> u64 {
    let total = value(meminfo, "MemTotal").unwrap_or_default();
    total.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

/// `v2`: the unified hierarchy alone; `hybrid`: v1 with the unified one beside it; `v1`: no unified one.
fn cgroup_kind() -> &'static str {
    let unified = |path: &str| {
        Path::new(path).join("cgroup.procs").exists() && Path::new(path).join("cgroup.controllers").exists()
    };
    if unified("/sys/fs/cgroup") {
        "v2"
    } else if unified("/sys/fs/cgroup/unified") {
        "hybrid"
    } else {
        "v1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_its_files() {
        assert_eq!(
            os_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(memory_mib("MemTotal:       24684084 kB\nMemFree: 1 kB\n"), 24105);
        let here = host_record();
        assert!(here.cpus > 0 && here.memory_mib > 0 && !here.kernel.is_empty(), "{here:?}");
    }
}
