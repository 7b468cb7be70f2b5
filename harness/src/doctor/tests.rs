use super::*;
use std::time::{Duration, Instant};

#[test]
fn findings_read_well() {
    let findings = [
        Finding::ok("root", "user 0"),
        Finding::warn("memory", "1024 MiB free\nand a second line", "free some"),
        Finding::missing("dump and restore", "a listening redis-server: can't be dumped", "use CRIU 4.2"),
    ];
    insta::assert_snapshot!(render(&findings));
    assert!(!healthy(&findings));
    assert!(healthy(&findings[..2]));
}

#[test]
fn the_quick_check_is_quick() {
    quick_host_check();
    let from = Instant::now();
    let findings = quick_host_check();
    let took = from.elapsed();
    assert_eq!(findings.len(), 5);
    assert!(took < Duration::from_millis(10), "{took:?}");
}
