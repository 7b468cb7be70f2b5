//! CRIU's options, as the configuration file has them that a container names by an annotation: the CRI has no field for
//! any of them, and runc reads the file for both engines.

use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{CriuChoices, TcpChoice};

/// The annotation by which runc takes CRIU's options from another file than `/etc/criu/runc.conf`.
pub(super) use crate::record::CRIU_ANNOTATION as ANNOTATION;

/// What CRIU keeps of what it found out about the kernel (criu 4.2.1: on a tmpfs only). `criu check` writes it.
pub(super) const KERNEL_DATA: &str = "/run/criu.kdat";

/// How a node's CRIU can be told to lock the network while it dumps and restores.
///
/// Locking is for connections that are kept; where they are closed it only costs: iptables-restore is spawned four times a
/// migration, 50 ms and more each, and rules that are left behind after a failure block the pod (criu#2828). Where they are
/// kept, nftables does it in a third of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NetworkLock {
    /// Whether this CRIU can lock by nftables.
    nftables: bool,
}

/// `None`: the node's CRIU takes no such option. criu 4.1.1 dies of it when it comes in a configuration file by RPC (`read
/// unixpacket: EOF` is all that runc 1.1.15 says); 4.2.1 obeys it.
pub(super) async fn network_lock(node: &SharedNode) -> Option<NetworkLock> {
    let said = node.output(Exec::new("criu").arg("--version")).await.ok()?.text();
    if !takes_network_lock(&said) {
        return None;
    }
    let check = Exec::new("criu").args(["check", "--feature", "network_lock_nftables"]);
    let nftables = node.output(check).await.is_ok_and(|said| said.code == 0);
    Some(NetworkLock { nftables })
}

fn takes_network_lock(version: &str) -> bool {
    let Some(number) = version.lines().find_map(|l| l.strip_prefix("Version: ")) else { return false };
    let mut parts = number.split('.').map(|p| p.trim().parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (4, 2)
}

/// The name of the file for these choices. It must be the same on all nodes, whatever their CRIU takes: containerd
/// gives a restored container the annotations of the *checkpointed* one, not those of the new request.
pub(super) fn file_name(choices: &CriuChoices) -> String {
    let CriuChoices { tcp, file_locks, ghost_limit, irmap, lock_network } = choices;
    let mut name = "criu".to_owned();
    name += match tcp {
        TcpChoice::Close => "",
        TcpChoice::Keep => "-keep",
        TcpChoice::Refuse => "-refuse",
    };
    if !file_locks {
        name += "-nolocks";
    }
    if let Some(bytes) = ghost_limit {
        name += &format!("-ghost{bytes}");
    }
    if let Some(folder) = irmap {
        // In hexadecimal: any path has to fit into a name, and no two into the same.
        name += "-irmap";
        name.extend(folder.bytes().map(|b| format!("{b:02x}")));
    }
    if *lock_network {
        name += "-lock";
    }
    name + ".conf"
}

/// The file's lines: an option each, without dashes. One that CRIU does not know makes every dump fail.
///
/// - `tcp-close`: a workload with clients connected can be dumped at all. It must be set on both sides.
/// - `skip-in-flight`: a client that is just connecting does not make the dump fail.
/// - `file-locks`: a workload that holds locks on its own files can be dumped.
pub(super) fn text(choices: &CriuChoices, network_lock: Option<NetworkLock>) -> String {
    let CriuChoices { tcp, file_locks, ghost_limit, irmap, lock_network } = choices;
    let mut lines = Vec::new();
    lines.extend(match tcp {
        TcpChoice::Close => Some("tcp-close".to_owned()),
        TcpChoice::Keep => Some("tcp-established".to_owned()),
        TcpChoice::Refuse => None,
    });
    lines.push("skip-in-flight".to_owned());
    lines.extend(file_locks.then(|| "file-locks".to_owned()));
    lines.extend(ghost_limit.map(|bytes| format!("ghost-limit {bytes}")));
    lines.extend(irmap.iter().flat_map(|folder| ["force-irmap".to_owned(), format!("irmap-scan-path {folder}")]));
    // Connections that are kept need the lock: what arrives in between would be answered by a reset.
    let lock = match (network_lock, tcp) {
        (Some(_), TcpChoice::Close | TcpChoice::Refuse) if !lock_network => Some("network-lock skip"),
        (Some(NetworkLock { nftables: true }), TcpChoice::Keep) => Some("network-lock nftables"),
        _ => None,
    };
    lines.extend(lock.map(str::to_owned));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_the_lock_is_for_4_2_and_later() {
        for (version, takes) in [("4.2.1", true), ("4.2", true), ("5.0", true), ("4.1.1", false), ("3.19", false)] {
            assert_eq!(takes_network_lock(&format!("Version: {version}\nGitID: v{version}\n")), takes, "{version}");
        }
        assert!(!takes_network_lock(""));
    }

    #[test]
    fn choices_become_lines_and_a_name() {
        let usual = CriuChoices::default();
        assert_eq!(file_name(&usual), "criu.conf");
        assert_eq!(
            text(&usual, Some(NetworkLock { nftables: true })),
            "tcp-close\nskip-in-flight\nfile-locks\nnetwork-lock skip\n"
        );
        let all = CriuChoices {
            tcp: TcpChoice::Keep,
            file_locks: false,
            ghost_limit: Some(8 << 20),
            irmap: Some("/w".to_owned()),
            lock_network: false,
        };
        assert_eq!(file_name(&all), "criu-keep-nolocks-ghost8388608-irmap2f77.conf");
        let lines = "tcp-established\nskip-in-flight\nghost-limit 8388608\nforce-irmap\nirmap-scan-path /w\n";
        assert_eq!(text(&all, Some(NetworkLock { nftables: false })), lines, "connections that are kept need the lock");
        let by_nftables = format!("{lines}network-lock nftables\n");
        assert_eq!(text(&all, Some(NetworkLock { nftables: true })), by_nftables);
        assert_eq!(text(&all, None), lines);
        let locked = CriuChoices { lock_network: true, ..usual.clone() };
        assert_eq!(file_name(&locked), "criu-lock.conf");
        assert_eq!(text(&locked, Some(NetworkLock { nftables: true })), "tcp-close\nskip-in-flight\nfile-locks\n");
        let refused = CriuChoices { tcp: TcpChoice::Refuse, ..usual };
        assert_eq!(text(&refused, None), "skip-in-flight\nfile-locks\n");
    }
}
