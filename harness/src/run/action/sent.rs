//! What a node sends, by its kernel's count: a witness of what a migration moved beside whoever moved it.

use crate::node::SharedNode;
use std::path::Path;

/// The node's cable, as the node sees it; its containers are behind other devices.
const CABLE: &str = "eth0";

/// Bytes that the node has sent through its cable since it was made. `None`: its kernel does not say.
pub(super) fn by(node: &SharedNode) -> Option<u64> {
    // `/proc/net` leads to whoever reads it, who is not in the node.
    let text = std::fs::read_to_string(node.host_path(Path::new("/proc/1/net/dev"))).ok()?;
    transmitted(&text, CABLE)
}

/// The first field behind the eight of what was received.
fn transmitted(text: &str, device: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.trim_start().strip_prefix(device)?.strip_prefix(':'))?;
    line.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_the_ninth_figure() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n    \
                    lo: 1 2 3 4 5 6 7 8 9 10\n  eth0: 11 12 0 0 0 0 0 0 4711 14 0 0 0 0 0 0\n";
        assert_eq!(transmitted(text, "eth0"), Some(4711));
        assert_eq!(transmitted(text, "eth1"), None);
        assert_eq!(transmitted("eth0:", "eth0"), None);
    }
}
