use super::*;

const HYBRID: &str = "\
30 23 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

#[test]
fn reads_a_hybrid_machine() {
    let found = Hierarchies::parse(HYBRID);
    let groups = found.groups("podferry-r/a".into());
    let pairs = [("cpu,cpuacct", "cpu,cpuacct"), ("freezer", "freezer"), ("systemd", "none,name=systemd")];
    let mounts = pairs.map(|(folder, options)| (folder.to_owned(), options.to_owned())).to_vec();
    let join = ["cpu,cpuacct", "freezer", "systemd", "unified"];
    assert_eq!(
        groups.for_init(),
        Cgroups {
            join: join.map(|h| format!("/sys/fs/cgroup/{h}/podferry-r/a").into()).to_vec(),
            mounts: CgroupMounts::V1(mounts)
        }
    );
}

#[test]
fn reads_a_unified_machine() {
    let found = Hierarchies::parse("31 23 0:27 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
    let join = vec!["/sys/fs/cgroup/podferry-r/a".into()];
    assert_eq!(found.groups("podferry-r/a".into()).for_init(), Cgroups { join, mounts: CgroupMounts::V2 });
}

#[test]
fn finds_nothing_where_nothing_is() {
    let found = Hierarchies::parse("20 1 8:1 / / rw - ext4 /dev/sda1 rw\nnonsense\n");
    assert_eq!(found, Hierarchies { v1: vec![], v2: None });
}
