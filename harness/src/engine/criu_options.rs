//! Options for CRIU that depend on its version.

use crate::node::SharedNode;
use crate::process::Exec;

/// `network-lock skip`, if the node's CRIU takes it. Locking the network is for connections that are kept; where they
/// are closed it only costs: iptables-restore is spawned four times a migration, 50 ms and more each, and rules that
/// are left behind after a failure block the pod (criu#2828). criu 4.1.1 dies of this option when it comes in a
/// configuration file by RPC (`read unixpacket: EOF` is all that runc 1.1.15 says); 4.2.1 obeys it.
pub(super) async fn network_lock(node: &SharedNode) -> Option<&'static str> {
    let said = node.output(Exec::new("criu").arg("--version")).await.ok()?.text();
    takes_network_lock(&said).then_some("network-lock skip")
}

fn takes_network_lock(version: &str) -> bool {
    let Some(number) = version.lines().find_map(|l| l.strip_prefix("Version: ")) else { return false };
    let mut parts = number.split('.').map(|p| p.trim().parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (4, 2)
}

#[cfg(test)]
mod tests {
    use super::takes_network_lock;

    #[test]
    fn it_is_for_4_2_and_later() {
        for (version, takes) in [("4.2.1", true), ("4.2", true), ("5.0", true), ("4.1.1", false), ("3.19", false)] {
            assert_eq!(takes_network_lock(&format!("Version: {version}\nGitID: v{version}\n")), takes, "{version}");
        }
        assert!(!takes_network_lock(""));
    }
}
