//! What must be the same for figures of two runs to be comparable.

use crate::record::HostRecord;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A fingerprint of a machine: kernel, distribution, processors and their model, memory in GiB, control groups. What is
/// under test (containerd, runc, CRIU) is not in it.
pub fn fingerprint(host: &HostRecord) -> String {
    let HostRecord { kernel, os, cpus, cpu_model, memory_mib, cgroup } = host;
    let memory = (memory_mib + 512) / 1024;
    let digest = Sha256::digest(format!("{kernel}\n{os}\n{cpus}\n{cpu_model}\n{memory}\n{cgroup}"));
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kernel_is_another_machine_and_a_megabyte_is_not() {
        let host = HostRecord { kernel: "6.18".to_owned(), cpus: 2, memory_mib: 24_105, ..HostRecord::default() };
        let same = HostRecord { memory_mib: 24_104, ..host.clone() };
        let other = HostRecord { kernel: "6.19".to_owned(), ..host.clone() };
        assert_eq!(fingerprint(&host), fingerprint(&same));
        assert_ne!(fingerprint(&host), fingerprint(&other));
        assert_eq!(fingerprint(&host).len(), 12);
    }
}
